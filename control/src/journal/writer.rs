//! The writing thread: groups in one transaction each, void records when there is time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use rusqlite::{Connection, params};

use super::Durable;

/// What the writing thread is asked for.
pub(super) enum Work {
    Append(Group),
    /// Records of one transaction.
    Remove(Vec<u64>),
}

/// Records of one transaction, oldest first.
pub(super) struct Group {
    pub(super) first_seq: u64,
    pub(super) records: Vec<Vec<u8>>,
}

/// The thread's own.
pub(super) struct Writer<F> {
    pub(super) connection: Connection,
    durable: F,
    closing: Arc<AtomicBool>,
    /// Void records, as they have to go together.
    pub(super) void: VecDeque<Vec<u64>>,
}

impl<F: FnMut(Durable)> Writer<F> {
    pub(super) fn new(connection: Connection, durable: F, closing: Arc<AtomicBool>) -> Self {
        Self { connection, durable, closing, void: VecDeque::new() }
    }

    pub(super) fn run(mut self, queue: &Receiver<Work>) {
        let mut wait = true;
        loop {
            let first =
                if wait { queue.recv().map_err(|_| TryRecvError::Disconnected) } else { queue.try_recv() };
            if matches!(first, Err(TryRecvError::Disconnected)) && (wait || self.void.is_empty()) {
                return;
            }
            let mut groups = Vec::new();
            let mut next = first.ok();
            while let Some(work) = next {
                match work {
                    Work::Append(group) => groups.push(group),
                    Work::Remove(void) => self.void.push_back(void),
                }
                next = if groups.len() < GROUPS_PER_COMMIT { queue.try_recv().ok() } else { None };
            }
            if !groups.is_empty() && !self.write_until_done(&groups) {
                return;
            }
            wait = !self.remove_some() || self.void.is_empty();
        }
    }

    /// Removes the oldest void records, few enough that no append waits for long.
    ///
    /// False when that was not possible. That is no harm: it is tried again with the next append.
    pub(super) fn remove_some(&mut self) -> bool {
        let Some(void) = self.void.pop_front() else { return true };
        let Err(error) = self.remove(&void) else { return true };
        tracing::warn!(%error, "void records stay in the journal for now");
        self.void.push_front(void);
        false
    }

    fn remove(&mut self, void: &[u64]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            // The last record stays: its number must not be given out again.
            let last: u64 =
                transaction.query_row("SELECT ifnull(max(seq), 0) FROM journal", [], |row| row.get(0))?;
            let mut delete = transaction.prepare_cached("DELETE FROM journal WHERE seq = ?1")?;
            let mut removed = 0;
            for seq in void.iter().filter(|seq| **seq < last) {
                removed += delete.execute(params![seq])?;
            }
            transaction.execute("UPDATE removed SET records = records + ?1", params![removed])?;
        }
        transaction.commit()
    }

    /// False when the disk would not take them and the journal is to be closed.
    pub(super) fn write_until_done(&mut self, groups: &[Group]) -> bool {
        let last = groups.last().map_or(0, |group| group.first_seq + group.records.len() as u64 - 1);
        loop {
            match self.commit(groups) {
                Ok(()) => {
                    (self.durable)(Durable::UpTo(last));
                    return true;
                }
                Err(error) => (self.durable)(Durable::Stalled(error.to_string())),
            }
            if self.closing.load(Ordering::Relaxed) {
                return false;
            }
            std::thread::sleep(RETRY);
        }
    }

    fn commit(&mut self, groups: &[Group]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO journal (seq, body) VALUES (?1, ?2)")?;
            for group in groups {
                for (seq, body) in (group.first_seq..).zip(&group.records) {
                    insert.execute(params![seq, body])?;
                }
            }
        }
        transaction.commit()
    }
}

const GROUPS_PER_COMMIT: usize = 1_024;
const RETRY: Duration = Duration::from_millis(500);
