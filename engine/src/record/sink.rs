//! A file as its recording sees it: what is written is handed over to the disk in blocks, and never waited for.

use std::io::{Error, ErrorKind, Result, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc::UnboundedSender;

use super::Recorded;

/// A piece of what one file's task does, in order.
pub(crate) enum Piece {
    /// Bytes for a place in the file.
    Block { at: u64, bytes: Vec<u8> },
    /// The file is complete: close it and tell so.
    Last(Recorded),
}

/// What both ends of a file know.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Whether the file was made.
    made: AtomicBool,
    failed: OnceLock<(ErrorKind, String)>,
    /// Bytes of the file, and of all files, that wait to be written.
    waiting: AtomicUsize,
    all_waiting: Arc<AtomicUsize>,
    /// Most bytes of the file that wait.
    most: usize,
}

impl Shared {
    /// A file of so many samples a second, one of those whose bytes are counted together.
    pub(crate) fn new(rate_hz: u32, all_waiting: Arc<AtomicUsize>) -> Self {
        let most = FILE_SECONDS * rate_hz as usize * FRAME_BYTES;
        let (made, failed, waiting) = (AtomicBool::new(false), OnceLock::new(), AtomicUsize::new(0));
        Self { made, failed, waiting, all_waiting, most }
    }

    pub(crate) fn note_made(&self) {
        self.made.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_made(&self) -> bool {
        self.made.load(Ordering::Relaxed)
    }

    /// Nothing more can be written.
    pub(crate) fn fail(&self, error: &Error) {
        // Only the first failure is of interest.
        let _ = self.failed.set((error.kind(), error.to_string()));
    }

    pub(crate) fn failure(&self) -> Option<Error> {
        self.failed.get().map(|(kind, reason)| Error::new(*kind, reason.clone()))
    }

    pub(crate) fn written(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        self.all_waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes note of bytes that are to be written; false when too many wait already.
    fn wait_for(&self, bytes: usize) -> bool {
        let own = self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let all = self.all_waiting.fetch_add(bytes, Ordering::Relaxed) + bytes;
        own <= self.most && all <= ALL_BYTES
    }
}

/// The writing end. Failures of the disk come with a later write.
pub(crate) struct Sink {
    pieces: UnboundedSender<Piece>,
    shared: Arc<Shared>,
    block: Vec<u8>,
    /// Where the block begins.
    at: u64,
}

impl Sink {
    pub(crate) fn new(pieces: UnboundedSender<Piece>, shared: Arc<Shared>) -> Self {
        Self { pieces, shared, block: Vec::new(), at: 0 }
    }

    fn hand_over(&mut self) -> Result<()> {
        if let Some(error) = self.shared.failure() {
            return Err(error);
        }
        let len = self.block.len();
        if len == 0 {
            return Ok(());
        }
        if !self.shared.wait_for(len) {
            self.shared.written(len);
            let error = Error::new(ErrorKind::TimedOut, "the disk does not keep up");
            self.shared.fail(&error);
            return Err(error);
        }
        let bytes = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK_BYTES));
        let piece = Piece::Block { at: self.at, bytes };
        self.at += len as u64;
        self.pieces.send(piece).map_err(|_| Error::from(ErrorKind::BrokenPipe))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK_BYTES {
            self.hand_over()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.hand_over()
    }
}

impl Seek for Sink {
    /// From the beginning, or from here; nobody asks for the end.
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let here = self.at + self.block.len() as u64;
        let there = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => here.checked_add_signed(by),
            SeekFrom::End(_) => None,
        };
        let there = there.ok_or_else(|| Error::from(ErrorKind::Unsupported))?;
        if there != here {
            self.hand_over()?;
            self.at = there;
        }
        Ok(there)
    }
}

/// A second of two channels at 8 kHz, which is how often the header is brought up to date.
const BLOCK_BYTES: usize = 32_000;
/// A sample of each of two channels.
const FRAME_BYTES: usize = 4;
/// Seconds of one file of two channels that wait at most.
const FILE_SECONDS: usize = 60;
/// Most bytes of all files that wait: 16 seconds of 500 files of two channels at 8 kHz.
const ALL_BYTES: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    fn sink() -> (Sink, Arc<Shared>, UnboundedReceiver<Piece>) {
        let (pieces, inbox) = unbounded_channel();
        let shared = Arc::new(Shared::new(8_000, Arc::default()));
        (Sink::new(pieces, Arc::clone(&shared)), shared, inbox)
    }

    fn blocks(inbox: &mut UnboundedReceiver<Piece>) -> Vec<(u64, Vec<u8>)> {
        let pieces = std::iter::from_fn(|| inbox.try_recv().ok());
        pieces
            .map(|piece| match piece {
                Piece::Block { at, bytes } => (at, bytes),
                Piece::Last(_) => panic!("nobody has ended it"),
            })
            .collect()
    }

    #[test]
    fn what_is_written_is_handed_over_in_order_with_its_places() {
        let (mut sink, shared, mut inbox) = sink();
        sink.write_all(b"header").expect("taken");
        assert_eq!(sink.stream_position().expect("told"), 6);
        assert_eq!(blocks(&mut inbox), [], "where it is moves nothing");
        assert_eq!(sink.seek(SeekFrom::Start(2)).expect("done"), 2);
        sink.write_all(b"AD").expect("taken");
        sink.seek(SeekFrom::Start(6)).expect("done");
        sink.write_all(b"samples").expect("taken");
        sink.flush().expect("done");
        let expected = [(0, b"header".to_vec()), (2, b"AD".to_vec()), (6, b"samples".to_vec())];
        assert_eq!(blocks(&mut inbox), expected);
        assert_eq!(shared.waiting.load(Ordering::Relaxed), 15);
    }

    #[test]
    fn a_disk_that_stands_still_is_waited_for_by_nobody_and_up_to_a_limit() {
        let (mut sink, shared, mut inbox) = sink();
        let second = vec![0; 32_000];
        for _ in 0..60 {
            sink.write_all(&second).expect("it is kept");
        }
        let refused = sink.write_all(&second).expect_err("it is too much");
        assert_eq!(refused.to_string(), "the disk does not keep up");
        assert_eq!(blocks(&mut inbox).len(), 60);
        assert!(sink.flush().is_err() && shared.failure().is_some(), "and it stays so");
    }

    #[test]
    fn a_failure_of_the_disk_is_that_of_the_next_write() {
        let (mut sink, shared, _inbox) = sink();
        sink.write_all(b"a").expect("taken");
        shared.fail(&Error::from(ErrorKind::StorageFull));
        assert_eq!(sink.flush().map_err(|error| error.kind()), Err(ErrorKind::StorageFull));
    }
}
