use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, sync_channel};

use rusqlite::Connection;

use super::file::{FORMAT, OWNER_ONLY, connect};
use super::writer::{Group, Writer};
use super::{Durable, Journal, OpenError};

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
    is_left_as_it_was(&path);
}

#[test]
fn a_database_of_others_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("addresses.db");
    let raw = Connection::open(&path).expect("SQLite opens it");
    raw.execute_batch("CREATE TABLE people (name TEXT); INSERT INTO people VALUES ('Eve')")
        .expect("it is filled");
    drop(raw);
    is_left_as_it_was(&path);
}

fn is_left_as_it_was(path: &Path) {
    std::fs::set_permissions(path, Permissions::from_mode(0o644)).expect("it is ours");
    let before = std::fs::read(path).expect("it is there");
    assert!(matches!(open(path), Err(OpenError::NotAJournal(_))));
    assert!(std::fs::read(path).expect("it is still there") == before);
    assert_eq!(path.metadata().expect("it has a mode").permissions().mode() & 0o777, 0o644);
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
    let is_telling = |length: &usize| (length + FRAME - 32 + 8) % FRAME < 40 || length.is_multiple_of(257);
    let from = usize::try_from(before).expect("it is short");
    for length in (from..=wal.len()).filter(is_telling).chain([wal.len()]) {
        std::fs::write(&path, &base).expect("the file is written");
        std::fs::write(&log, &wal[..length]).expect("the log is written");
        let (journal, records, _) = open(&path).unwrap_or_else(|error| panic!("cut at {length}: {error}"));
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
    let mut writer = Writer::new(connection, durable, closing);
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
