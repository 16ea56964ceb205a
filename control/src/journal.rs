//! The journal: an append-only stream of records in one SQLite file, written by one thread in groups.
//!
//! A record that [`Durable`] has announced survives `kill -9` and loss of power: every group is one transaction in
//! write-ahead mode with `synchronous=FULL`. Appends name the sequence number that they expect, so that two writers can
//! never interleave; the file is locked for as long as it is open. It holds passwords, so only its owner may read it.

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

/// Progress of the journal, in the order of the appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durable {
    /// Everything up to and with this sequence number is on disk.
    UpTo(u64),
    /// Writing failed; it is tried again until it succeeds. The sentence says why.
    Stalled(String),
}

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the journal {0} is in use by another process; only one offhook-control may write it")]
    InUse(String),
    /// The file is something else.
    #[error("{0} is not an Offhook journal; choose another path or move the file away")]
    NotAJournal(String),
    /// It was written by a newer version of the software.
    #[error(
        "the journal {path} has format {found}, and this version knows formats up to {known}; run the newer version"
    )]
    TooNew {
        /// Path of the file.
        path: String,
        /// Format found.
        found: i64,
        /// Highest format known.
        known: i64,
    },
    /// A sequence number is missing: the file was changed by hand or damaged.
    #[error("the journal {path} has a gap after record {after}; restore it from a copy")]
    Gap {
        /// Path of the file.
        path: String,
        /// Last record before the gap.
        after: u64,
    },
    /// The file cannot be kept from others' eyes.
    #[error("the journal {path} cannot be made readable for its owner alone: {source}")]
    Mode {
        /// Path of the file.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// SQLite or the operating system refused.
    #[error("the journal {path} cannot be opened: {source}")]
    Sqlite {
        /// Path of the file.
        path: String,
        /// What it said.
        source: rusqlite::Error,
    },
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
    groups: Option<SyncSender<Group>>,
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
        let (groups, queue) = sync_channel(QUEUE_GROUPS);
        let closing = Arc::new(AtomicBool::new(false));
        let writer = Writer { connection, durable, closing: Arc::clone(&closing) };
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run(&queue))
            .expect("a thread can be started at start-up");
        Ok(Self { groups: Some(groups), next_seq: last_seq + 1, closing, writer: Some(writer) })
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
        let groups = self.groups.as_ref().expect("the sender lives until drop");
        match groups.try_send(group) {
            Ok(()) => {
                self.next_seq += count;
                Ok(self.next_seq - 1)
            }
            Err(TrySendError::Full(group) | TrySendError::Disconnected(group)) => {
                Err(Full { records: group.records })
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.groups = None;
        self.closing.store(true, Ordering::Relaxed);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

struct Group {
    first_seq: u64,
    records: Vec<Vec<u8>>,
}

struct Writer<F> {
    connection: Connection,
    durable: F,
    closing: Arc<AtomicBool>,
}

impl<F: FnMut(Durable)> Writer<F> {
    fn run(mut self, queue: &Receiver<Group>) {
        while let Ok(first) = queue.recv() {
            let mut groups = vec![first];
            while groups.len() < GROUPS_PER_COMMIT {
                match queue.try_recv() {
                    Ok(group) => groups.push(group),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.write_until_done(&groups);
        }
    }

    fn write_until_done(&mut self, groups: &[Group]) {
        let last = groups.last().map_or(0, |group| group.first_seq + group.records.len() as u64 - 1);
        loop {
            match self.commit(groups) {
                Ok(()) => return (self.durable)(Durable::UpTo(last)),
                Err(error) => (self.durable)(Durable::Stalled(error.to_string())),
            }
            if self.closing.load(Ordering::Relaxed) {
                return;
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

fn connect(path: &Path) -> Result<Connection, OpenError> {
    let shown = path.display().to_string();
    let sqlite = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse(shown.clone()),
        Some(ErrorCode::NotADatabase) => OpenError::NotAJournal(shown.clone()),
        _ => OpenError::Sqlite { path: shown.clone(), source },
    };
    keep_private(path).map_err(|source| OpenError::Mode { path: shown.clone(), source })?;
    let connection = Connection::open(path).map_err(sqlite)?;
    connection.busy_timeout(Duration::from_millis(200)).map_err(sqlite)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(sqlite)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(sqlite)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sqlite)?;
    let application: i64 =
        connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(sqlite)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).map_err(sqlite)?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(OpenError::NotAJournal(shown));
    }
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    if found > FORMAT {
        return Err(OpenError::TooNew { path: shown, found, known: FORMAT });
    }
    let set_up = format!(
        "BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};
         CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, body BLOB NOT NULL); COMMIT;"
    );
    connection.execute_batch(&set_up).map_err(sqlite)?;
    Ok(connection)
}

/// Creates the file before SQLite does, or takes others' rights away. SQLite's own files beside it get the same mode.
fn keep_private(path: &Path) -> io::Result<()> {
    // Where there is no way to the file, SQLite says it better.
    if OpenOptions::new().append(true).create(true).mode(OWNER_ONLY).open(path).is_err() {
        return Ok(());
    }
    for suffix in ["", "-wal", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::set_permissions(PathBuf::from(name), Permissions::from_mode(OWNER_ONLY)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

fn read_all(
    path: &Path,
    connection: &Connection,
    replay: &mut impl FnMut(u64, &[u8]),
) -> Result<u64, OpenError> {
    let shown = path.display().to_string();
    let sqlite = |source| OpenError::Sqlite { path: shown.clone(), source };
    let first: Option<u64> = connection
        .query_row("SELECT min(seq) FROM journal", [], |row| row.get(0))
        .optional()
        .map_err(sqlite)?
        .flatten();
    let mut select = connection.prepare("SELECT seq, body FROM journal ORDER BY seq").map_err(sqlite)?;
    let mut rows = select.query([]).map_err(sqlite)?;
    let mut last = first.map_or(0, |seq| seq - 1);
    while let Some(row) = rows.next().map_err(sqlite)? {
        let seq: u64 = row.get(0).map_err(sqlite)?;
        if seq != last + 1 {
            return Err(OpenError::Gap { path: shown, after: last });
        }
        replay(seq, row.get_ref(1).and_then(|body| Ok(body.as_blob()?)).map_err(sqlite)?);
        last = seq;
    }
    Ok(last)
}

/// `OFHK`, so that `file` and we ourselves know the file again.
const APPLICATION_ID: i64 = 0x4F46_484B;
const FORMAT: i64 = 1;
/// Read and write for the owner, nothing for others.
const OWNER_ONLY: u32 = 0o600;
/// Groups that may wait for the disk.
pub const QUEUE_GROUPS: usize = 65_536;
const GROUPS_PER_COMMIT: usize = 1_024;
const RETRY: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    type Opened = (Journal, Vec<Vec<u8>>, Receiver<Durable>);

    fn open(path: &Path) -> Result<Opened, OpenError> {
        let (tell, told) = sync_channel(1_024);
        let mut records = Vec::new();
        let journal = Journal::open(
            path,
            |_, body| records.push(body.to_vec()),
            move |progress| {
                let _ = tell.try_send(progress);
            },
        )?;
        Ok((journal, records, told))
    }

    fn modes(folder: &Path) -> Vec<u32> {
        let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file"));
        files.map(|file| file.metadata().expect("it has a mode").permissions().mode() & 0o777).collect()
    }

    #[test]
    fn nobody_else_can_read_the_passwords_in_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal.db");
        let (mut journal, _, told) = open(&path).expect("a new journal opens");
        journal.append(vec![b"password".to_vec()]).expect("there is room");
        while told.recv() != Ok(Durable::UpTo(1)) {}
        assert_eq!(modes(folder.path()), [OWNER_ONLY, OWNER_ONLY], "the file and its log");
    }

    #[test]
    fn a_journal_that_others_could_read_is_closed_to_them() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal.db");
        drop(open(&path).expect("a new journal opens"));
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("it is ours");
        let (_journal, ..) = open(&path).expect("it opens again");
        assert!(modes(folder.path()).iter().all(|mode| *mode == OWNER_ONLY));
    }

    #[test]
    fn records_come_back_in_order_after_a_restart() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal.db");
        let (mut journal, records, told) = open(&path).expect("a new journal opens");
        assert!(records.is_empty());
        assert_eq!(journal.append(vec![b"one".to_vec(), b"two".to_vec()]), Ok(2));
        assert_eq!(journal.append(vec![b"three".to_vec()]), Ok(3));
        while told.recv() != Ok(Durable::UpTo(3)) {}
        drop(journal);
        let (journal, records, _told) = open(&path).expect("it opens again");
        assert_eq!(records, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
        assert_eq!(journal.next_seq(), 4);
    }

    #[test]
    fn a_second_writer_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal.db");
        let _first = open(&path).expect("a new journal opens");
        assert!(matches!(open(&path), Err(OpenError::InUse(_))));
    }

    #[test]
    fn another_kind_of_file_is_refused_and_left_as_it_was() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notes.txt");
        let text = "dear diary, ".repeat(1_000);
        std::fs::write(&path, &text).expect("the file is written");
        assert!(matches!(open(&path), Err(OpenError::NotAJournal(_))));
        assert_eq!(std::fs::read_to_string(&path).expect("it is still there"), text);
    }

    #[test]
    fn a_newer_format_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal.db");
        drop(open(&path).expect("a new journal opens"));
        let raw = Connection::open(&path).expect("SQLite opens it");
        raw.pragma_update(None, "user_version", FORMAT + 1).expect("the version is set");
        drop(raw);
        assert!(matches!(open(&path), Err(OpenError::TooNew { .. })));
    }

    #[test]
    fn a_gap_is_noticed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal.db");
        let (mut journal, ..) = open(&path).expect("a new journal opens");
        journal.append(vec![vec![1], vec![2], vec![3]]).expect("there is room");
        drop(journal);
        let raw = Connection::open(&path).expect("SQLite opens it");
        raw.execute("DELETE FROM journal WHERE seq = 2", []).expect("a row is deleted");
        drop(raw);
        assert!(matches!(open(&path), Err(OpenError::Gap { after: 1, .. })));
    }
}
