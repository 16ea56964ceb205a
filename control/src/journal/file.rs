//! The file: opened, locked, kept private, recognised, read.

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

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
    #[error("the journal {path} (journal.path) cannot be opened: {reason}")]
    Sqlite {
        /// Path of the file.
        path: String,
        /// What it said, and what to look at.
        reason: String,
    },
}

impl OpenError {
    fn sqlite(path: &str, error: &rusqlite::Error) -> Self {
        let reason = match error.sqlite_error_code() {
            Some(ErrorCode::CannotOpen) => {
                "its directory has to be there, and this process has to be able to make files in it"
                    .to_owned()
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                "this process has to be able to write to it and to its directory".to_owned()
            }
            Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
            _ => error.to_string(),
        };
        Self::Sqlite { path: path.to_owned(), reason }
    }
}

pub(super) fn connect(path: &Path) -> Result<Connection, OpenError> {
    let shown = path.display().to_string();
    let sqlite = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse(shown.clone()),
        Some(ErrorCode::NotADatabase) => OpenError::NotAJournal(shown.clone()),
        _ => OpenError::sqlite(&shown, &source),
    };
    create_private(path);
    let connection = Connection::open(path).map_err(sqlite)?;
    connection.busy_timeout(Duration::from_millis(200)).map_err(sqlite)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(sqlite)?;
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
    // Up to here nothing has been changed that may be somebody else's.
    keep_private(path).map_err(|source| OpenError::Mode { path: shown.clone(), source })?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(sqlite)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sqlite)?;
    let set_up = format!(
        "BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};
         CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);
         CREATE TABLE IF NOT EXISTS removed (records INTEGER NOT NULL);
         INSERT INTO removed SELECT 0 WHERE NOT EXISTS (SELECT * FROM removed); COMMIT;"
    );
    connection.execute_batch(&set_up).map_err(sqlite)?;
    Ok(connection)
}

/// Creates the file before SQLite does, if there is none. Where there is no way to it, SQLite says it better.
fn create_private(path: &Path) {
    drop(OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path));
}

/// Takes others' rights away. SQLite's own files beside it get the same mode.
fn keep_private(path: &Path) -> io::Result<()> {
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

/// Hands over every record, oldest first, and returns the number of the last one; 0 when there is none.
pub(super) fn read_all(
    path: &Path,
    connection: &Connection,
    replay: &mut impl FnMut(u64, &[u8]),
) -> Result<u64, OpenError> {
    let shown = path.display().to_string();
    let sqlite = |source| OpenError::sqlite(&shown, &source);
    let mut select = connection.prepare("SELECT seq, body FROM journal ORDER BY seq").map_err(sqlite)?;
    let mut rows = select.query([]).map_err(sqlite)?;
    let (mut last, mut there) = (0, 0);
    while let Some(row) = rows.next().map_err(sqlite)? {
        let seq: u64 = row.get(0).map_err(sqlite)?;
        replay(seq, row.get_ref(1).and_then(|body| Ok(body.as_blob()?)).map_err(sqlite)?);
        last = seq;
        there += 1;
    }
    // Every number that was given out is there, or was removed by ourselves. Counted on the way: a count of its own would read
    // the whole file once more.
    let removed: u64 =
        connection.query_row("SELECT sum(records) FROM removed", [], |row| row.get(0)).map_err(sqlite)?;
    match last.checked_sub(there + removed) {
        Some(0) => Ok(last),
        Some(_) | None => Err(OpenError::Gap { path: shown, last, there, removed }),
    }
}

/// `OFHK`, so that `file` and we ourselves know the file again.
const APPLICATION_ID: i64 = 0x4F46_484B;
pub(super) const FORMAT: i64 = 2;
/// Read and write for the owner, nothing for others.
pub(super) const OWNER_ONLY: u32 = 0o600;
