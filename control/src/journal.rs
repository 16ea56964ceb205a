//! The journal: an append-only stream of records in one SQLite file, written by one thread in groups.
//!
//! A record that [`Durable`] has announced survives `kill -9` and loss of power: every group is one transaction in
//! write-ahead mode with `synchronous=FULL`. Appends name the sequence number that they expect, so that two writers can
//! never interleave; the file is locked for as long as it is open. It holds passwords, so only its owner may read it.
//!
//! Records that later ones have made void are removed, all that belong together in one transaction, and their space is used
//! again. How many there were is written beside them, so that a record that is missing otherwise is still noticed.

mod file;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

pub use file::OpenError;
use file::{connect, read_all};
use writer::{Group, Work, Writer};

/// Progress of the journal, in the order of the appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durable {
    /// Everything up to and with this sequence number is on disk.
    UpTo(u64),
    /// Writing failed; it is tried again until it succeeds. The sentence says why.
    Stalled(String),
}

/// An append that was not taken: the writer is [`QUEUE_GROUPS`] groups behind.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal is {QUEUE_GROUPS} groups behind")]
pub struct Full {
    /// The group, for another try.
    pub records: Vec<Vec<u8>>,
}

/// Handle to the writing thread. Dropping it writes what is queued and closes the file.
pub struct Journal {
    work: Option<SyncSender<Work>>,
    next_seq: u64,
    closing: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens or creates the journal at `path` and hands every record in it to `replay`, oldest first.
    ///
    /// `durable` is called on the writing thread after each group.
    ///
    /// # Errors
    /// [`OpenError`] when the file is locked, foreign, newer, damaged or unreachable.
    pub fn open(
        path: &Path,
        mut replay: impl FnMut(u64, &[u8]),
        durable: impl FnMut(Durable) + Send + 'static,
    ) -> Result<Self, OpenError> {
        let connection = connect(path)?;
        let last_seq = read_all(path, &connection, &mut replay)?;
        let (work, queue) = sync_channel(QUEUE_GROUPS);
        let closing = Arc::new(AtomicBool::new(false));
        let writer = Writer::new(connection, durable, Arc::clone(&closing));
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run(&queue))
            .expect("a thread can be started at start-up");
        Ok(Self { work: Some(work), next_seq: last_seq + 1, closing, writer: Some(writer) })
    }

    /// Sequence number that the next record will get, from 1.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Queues records for one transaction and returns the sequence number of the last.
    ///
    /// # Errors
    /// [`Full`] when [`QUEUE_GROUPS`] groups wait for the disk; nothing was taken then.
    pub fn append(&mut self, records: Vec<Vec<u8>>) -> Result<u64, Full> {
        let count = records.len() as u64;
        let group = Group { first_seq: self.next_seq, records };
        match self.send(Work::Append(group)) {
            Ok(()) => {
                self.next_seq += count;
                Ok(self.next_seq - 1)
            }
            Err(Work::Append(group)) => Err(Full { records: group.records }),
            Err(Work::Remove(_)) => unreachable!("what was sent comes back"),
        }
    }

    /// Removes records that others, appended before this, have made void. None of them is there afterwards, or all are.
    ///
    /// Nobody waits for it: a full disk puts it off. What was not removed before the process ends is there at the next start.
    ///
    /// # Errors
    /// The same numbers, when the writer is [`QUEUE_GROUPS`] groups behind.
    pub fn remove(&mut self, void: Vec<u64>) -> Result<(), Vec<u64>> {
        match self.send(Work::Remove(void)) {
            Ok(()) | Err(Work::Append(_)) => Ok(()),
            Err(Work::Remove(void)) => Err(void),
        }
    }

    fn send(&self, work: Work) -> Result<(), Work> {
        let sender = self.work.as_ref().expect("the sender lives until drop");
        sender.try_send(work).map_err(|refused| match refused {
            TrySendError::Full(work) | TrySendError::Disconnected(work) => work,
        })
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.work = None;
        self.closing.store(true, Ordering::Relaxed);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Groups that may wait for the disk.
pub const QUEUE_GROUPS: usize = 65_536;
