//! What a start makes of the journal: one thread reads and parses the records, another replays them.

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, scope};

use anyhow::bail;
use offhook_control_core::Record;
use offhook_control_core::record::VERSION;
use tokio::sync::watch;

use super::Progress;
use crate::journal::{Durable, Journal};

/// Opens the journal and hands every record to `take`, oldest first, on this thread; `progress` follows the appends.
///
/// The records are read and parsed on another thread, which is ahead of `take` by 10,240 records at most.
///
/// # Errors
/// When the journal cannot be used or a record cannot be read. What stands before such a record may have been taken by then.
pub(super) fn replay(
    path: &Path,
    progress: watch::Sender<Progress>,
    mut take: impl FnMut(u64, Record),
) -> anyhow::Result<Journal> {
    let (sender, batches) = sync_channel(BATCHES);
    scope(|scope| {
        let reader = Builder::new()
            .name("replay".into())
            .spawn_scoped(scope, move || read(path, progress, &sender))
            .expect("a thread can be started at start-up");
        // Ends when the reader does: it drops its sender. Should this end first, by a panic, the reader's sends fail at once.
        for (seq, record) in batches.into_iter().flatten() {
            take(seq, record);
        }
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Hands every record over in batches, in their order, up to the first that cannot be read.
fn read(
    path: &Path,
    progress: watch::Sender<Progress>,
    batches: &SyncSender<Vec<(u64, Record)>>,
) -> anyhow::Result<Journal> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut broken = None;
    let on_record = |seq: u64, body: &[u8]| {
        if broken.is_some() {
            return;
        }
        match parse(body) {
            Ok(record) => batch.push((seq, record)),
            Err(reason) => broken = Some(anyhow::anyhow!("record {seq} {reason}")),
        }
        if batch.len() == BATCH {
            let _ = batches.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)));
        }
    };
    let journal = Journal::open(path, on_record, move |durable| {
        progress.send_modify(|progress| match durable {
            Durable::UpTo(seq) => *progress = Progress { durable: seq, stalled: None },
            Durable::Stalled(reason) => progress.stalled = Some(reason),
        });
    })?;
    if let Some(error) = broken {
        bail!(error.context(format!("the journal {}", path.display())));
    }
    let _ = batches.send(batch);
    Ok(journal)
}

/// One record of the journal, or what is wrong with it.
fn parse(body: &[u8]) -> Result<Record, String> {
    let newer = |v| format!("has version {v}, newer than this software's {VERSION}");
    match serde_json::from_slice::<Record>(body) {
        Ok(record) if record.v > VERSION => Err(newer(record.v)),
        Ok(record) => Ok(record),
        // A newer one may well hold what this software has no words for.
        Err(error) => match serde_json::from_slice::<Version>(body) {
            Ok(Version { v }) if v > VERSION => Err(newer(v)),
            Ok(_) | Err(_) => Err(format!("cannot be read: {error}")),
        },
    }
}

#[derive(serde::Deserialize)]
struct Version {
    v: u16,
}

/// Records that are handed over together.
const BATCH: usize = 1_024;
/// Batches that may wait; one more is being filled, and one replayed.
const BATCHES: usize = 8;

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::PathBuf;

    use offhook_control_core::record::Fact;
    use tempfile::TempDir;

    use super::*;

    /// A journal whose records are runs, numbered as the records are, but for one.
    fn journal(records: usize, other: Option<(usize, &str)>) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal.db");
        let mut journal = Journal::open(&path, |_, _| {}, |_| {}).expect("a new journal opens");
        let run = |seq: usize| match other {
            Some((at, body)) if at == seq => body.as_bytes().to_vec(),
            Some(_) | None => format!(r#"{{"v":1,"at_ms":7,"fact":"booted","run":{seq}}}"#).into_bytes(),
        };
        journal.append((1..=records).map(run).collect()).expect("there is room");
        (folder, path)
    }

    fn progress() -> watch::Sender<Progress> {
        watch::channel(Progress::default()).0
    }

    #[test]
    fn records_come_once_each_and_in_order_however_many_batches_they_fill() {
        for records in [0, 1, BATCH - 1, BATCH, BATCH + 1, (BATCHES + 3) * BATCH] {
            let (_folder, path) = journal(records, None);
            let mut taken = Vec::new();
            let opened = replay(&path, progress(), |seq, record| {
                let Fact::Booted { run } = record.fact else { panic!("{record:?}") };
                assert_eq!(seq, run);
                taken.push(usize::try_from(run).expect("it is small"));
            });
            assert_eq!(taken, (1..=records).collect::<Vec<_>>());
            assert_eq!(opened.expect("it opens").next_seq(), records as u64 + 1);
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_is_named_and_what_follows_it_is_not_replayed() {
        for (body, reason) in [
            ("{", "cannot be read"),
            (r#"{"v":1,"at_ms":7,"fact":"unheard_of"}"#, "cannot be read"),
            (r#"{"v":999,"at_ms":7,"fact":"unheard_of"}"#, "has version 999, newer"),
        ] {
            let at = 2 * BATCH + 5;
            let (_folder, path) = journal(4 * BATCH, Some((at, body)));
            let mut last = 0;
            let error = replay(&path, progress(), |seq, _| last = seq).err().expect("it is refused");
            let error = format!("{error:#}");
            assert!(error.contains(&format!("record {at} {reason}")), "{error}");
            assert!(error.contains("journal.db"), "{error}");
            assert!(last < at as u64, "{last} was replayed");
        }
    }

    #[test]
    fn a_replay_that_panics_ends_the_start_instead_of_leaving_the_reader_waiting() {
        let (_folder, path) = journal((BATCHES + 5) * BATCH, None);
        let panics = || replay(&path, progress(), |seq, _| assert!(seq < 10, "enough"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert!(replay(&path, progress(), |_, _| {}).is_ok(), "nobody holds the file any more");
    }
}
