//! The journal: an append-only stream of records in one SQLite file, written by one thread in groups.
//!
//! A record that [`Durable`] has announced survives `kill -9` and loss of power: every group is one transaction in
//! write-ahead mode with `synchronous=FULL`. Appends name the sequence number that they expect, so that two writers can
//! never interleave; the file is locked for as long as it is open. It holds passwords, so only its owner may read it.
//!
//! Records that later ones have made void are removed, all that belong together in one transaction, and their space is used
//! again. How many there were is written beside them, so that a record that is missing otherwise is still noticed.

use std::collections::VecDeque;
use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, params};

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
    /// Records are missing, or there are too many: the file was changed by hand or damaged.
    #[error(
        "the journal {path} should hold {last} records less {removed} that were removed, and holds {there}; restore it from a \
         copy"
    )]
    Gap {
        /// Path of the file.
        path: String,
        /// Number of the last record.
        last: u64,
        /// Records that are there.
        there: u64,
        /// Records that were removed because later ones had made them void.
        removed: u64,
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
        let writer = Writer { connection, durable, closing: Arc::clone(&closing), void: VecDeque::new() };
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

enum Work {
    Append(Group),
    /// Records of one transaction.
    Remove(Vec<u64>),
}

struct Group {
    first_seq: u64,
    records: Vec<Vec<u8>>,
}

struct Writer<F> {
    connection: Connection,
    durable: F,
    closing: Arc<AtomicBool>,
    /// Void records, as they have to go together.
    void: VecDeque<Vec<u64>>,
}

impl<F: FnMut(Durable)> Writer<F> {
    fn run(mut self, queue: &Receiver<Work>) {
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
    fn remove_some(&mut self) -> bool {
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
    fn write_until_done(&mut self, groups: &[Group]) -> bool {
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
         CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);
         CREATE TABLE IF NOT EXISTS removed (records INTEGER NOT NULL);
         INSERT INTO removed SELECT 0 WHERE NOT EXISTS (SELECT * FROM removed); COMMIT;"
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
    check_complete(path, connection)?;
    let mut select = connection.prepare("SELECT seq, body FROM journal ORDER BY seq").map_err(sqlite)?;
    let mut rows = select.query([]).map_err(sqlite)?;
    let mut last = 0;
    while let Some(row) = rows.next().map_err(sqlite)? {
        let seq: u64 = row.get(0).map_err(sqlite)?;
        replay(seq, row.get_ref(1).and_then(|body| Ok(body.as_blob()?)).map_err(sqlite)?);
        last = seq;
    }
    Ok(last)
}

/// Every number that was given out is there, or was removed by ourselves.
fn check_complete(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let shown = path.display().to_string();
    let sqlite = |source| OpenError::Sqlite { path: shown.clone(), source };
    let number = |query: &str| connection.query_row(query, [], |row| row.get::<_, u64>(0)).map_err(sqlite);
    let last = number("SELECT ifnull(max(seq), 0) FROM journal")?;
    let there = number("SELECT count(*) FROM journal")?;
    let removed = number("SELECT sum(records) FROM removed")?;
    match last.checked_sub(there + removed) {
        Some(0) => Ok(()),
        Some(_) | None => Err(OpenError::Gap { path: shown, last, there, removed }),
    }
}

/// `OFHK`, so that `file` and we ourselves know the file again.
const APPLICATION_ID: i64 = 0x4F46_484B;
const FORMAT: i64 = 2;
/// Read and write for the owner, nothing for others.
const OWNER_ONLY: u32 = 0o600;
/// Groups that may wait for the disk.
pub const QUEUE_GROUPS: usize = 65_536;
const GROUPS_PER_COMMIT: usize = 1_024;
const RETRY: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of SQLite's with its header in the log.
    const FRAME: usize = 4_096 + 24;

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

    /// A folder in memory where there is one: the test is about order, and opens the file often.
    fn memory_folder() -> tempfile::TempDir {
        tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary folder")
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
        assert!(matches!(open(&path), Err(OpenError::Gap { last: 3, there: 2, removed: 0, .. })));
    }

    #[test]
    fn void_records_are_gone_after_a_restart_and_their_numbers_are_not_given_out_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal.db");
        let (mut journal, ..) = open(&path).expect("a new journal opens");
        journal.append(vec![vec![1], vec![2], vec![3], vec![4]]).expect("there is room");
        journal.remove(vec![1, 3]).expect("there is room");
        journal.remove(vec![4]).expect("there is room");
        drop(journal);
        let (journal, records, _told) = open(&path).expect("it opens again");
        assert_eq!(records, [vec![2], vec![4]], "the last one stays");
        assert_eq!(journal.next_seq(), 5);
        drop(journal);
        let raw = Connection::open(&path).expect("SQLite opens it");
        raw.execute("DELETE FROM journal WHERE seq = 2", []).expect("a row is deleted");
        drop(raw);
        assert!(matches!(open(&path), Err(OpenError::Gap { removed: 2, .. })), "a gap is still noticed");
    }

    #[test]
    fn the_space_of_void_records_is_used_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal.db");
        let (mut journal, _, told) = open(&path).expect("a new journal opens");
        let mut round = || {
            for _ in 0..50 {
                let last = journal.append(vec![vec![7; 2_000]; 20]).expect("there is room");
                journal.remove((last - 19..=last).collect()).expect("there is room");
                while told.recv() != Ok(Durable::UpTo(last)) {}
            }
        };
        round();
        round();
        drop(journal);
        let bytes = std::fs::metadata(&path).expect("it is there").len();
        assert!(bytes < 500_000, "{bytes} bytes are left of 4 MB");
    }

    #[test]
    fn a_removal_that_was_cut_off_at_any_byte_is_whole_or_not_done() {
        let folder = memory_folder();
        let path = folder.path().join("journal.db");
        let log = folder.path().join("journal.db-wal");
        let (mut journal, _, told) = open(&path).expect("a new journal opens");
        journal.append((0..6).map(|n| vec![n; 40]).collect()).expect("there is room");
        while told.recv() != Ok(Durable::UpTo(6)) {}
        let before = std::fs::metadata(&log).expect("there is a log").len();
        journal.remove(vec![1, 2, 5]).expect("there is room");
        // A record that is durable shows that what stood before it is done.
        journal.append(vec![vec![6; 40]]).expect("there is room");
        while told.recv() != Ok(Durable::UpTo(7)) {}
        journal.append(vec![vec![7; 40]]).expect("there is room");
        while told.recv() != Ok(Durable::UpTo(8)) {}
        let (base, wal) = (std::fs::read(&path), std::fs::read(&log));
        let (base, wal) = (base.expect("the file is read"), wal.expect("the log is read"));
        drop(journal);
        let all: Vec<Vec<u8>> = (0..8).map(|n| vec![n; 40]).collect();
        let mut seen = std::collections::BTreeSet::new();
        // Every byte of the log's frame headers and around their ends; within a page one cut is like another.
        let is_telling =
            |length: &usize| (length + FRAME - 32 + 8) % FRAME < 40 || length.is_multiple_of(257);
        let from = usize::try_from(before).expect("it is short");
        for length in (from..=wal.len()).filter(is_telling).chain([wal.len()]) {
            std::fs::write(&path, &base).expect("the file is written");
            std::fs::write(&log, &wal[..length]).expect("the log is written");
            let (journal, records, _) =
                open(&path).unwrap_or_else(|error| panic!("cut at {length}: {error}"));
            let next = usize::try_from(journal.next_seq() - 1).expect("it is small");
            let whole = &all[..next];
            let without: Vec<_> = [2, 3].into_iter().chain(5..next).map(|n| all[n].clone()).collect();
            assert!(next >= 6, "cut at {length}: what was durable is there");
            assert!(records == whole || records == without, "cut at {length}: {records:?}");
            seen.insert(records.len());
        }
        assert!(seen.contains(&6) && seen.contains(&5), "both sides of the cut were seen: {seen:?}");
    }

    #[test]
    fn a_removal_that_the_disk_has_no_room_for_is_made_up_for_later() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal.db");
        let connection = connect(&path).expect("a new journal opens");
        let closing = Arc::new(AtomicBool::new(false));
        let (tell, told) = sync_channel(16);
        let durable = move |progress| drop(tell.try_send(progress));
        let mut writer = Writer { connection, durable, closing, void: VecDeque::new() };
        writer.write_until_done(&[Group { first_seq: 1, records: vec![vec![1], vec![2], vec![3]] }]);
        writer.void.push_back(vec![1]);
        writer.connection.execute_batch("PRAGMA query_only = 1").expect("it can be write-protected");
        assert!(!writer.remove_some());
        assert_eq!(writer.void, [vec![1]], "kept for another try");
        writer.connection.execute_batch("PRAGMA query_only = 0").expect("it can be written again");
        writer.void.push_back(vec![2]);
        assert!(writer.remove_some() && writer.remove_some() && writer.void.is_empty());
        assert_eq!(told.try_recv(), Ok(Durable::UpTo(3)));
        drop(writer);
        let (_, records, _) = open(&path).expect("it opens again");
        assert_eq!(records, [vec![3]]);
    }
}
