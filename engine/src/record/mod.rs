//! Recordings: a thread of its own decodes and mixes, and another one writes, so that no slow disk ever delays a packet, and
//! none loses one before a minute is over.

mod disk;
mod file;
mod recording;
mod sink;
mod track;

use std::collections::HashMap;
use std::io::BufWriter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use offhook_engine_core::{OpId, RecordId, Side, Tap, Time};
use offhook_proto::{Codec, Error, ErrorCode, RecordEnd, RecordMode};
use tokio::sync::mpsc;
use tracing::warn;

use self::disk::{Disk, FileEnd};
pub(crate) use self::file::{FileMode, Folder};
use self::recording::Recording;
use self::sink::Sink;
use crate::clock::Clock;

/// Everyone's end of the link to the recorder.
#[derive(Clone)]
pub(crate) struct Recorder {
    orders: Sender<Order>,
    lost: Arc<AtomicU64>,
}

/// What the recorder tells.
pub(crate) enum Recorded {
    /// A file was made, or not.
    Opened { op: OpId, result: Result<(), Error> },
    /// A recording has ended.
    Ended { leg: String, file: String, end: RecordEnd, duration_ms: u64, reason: Option<String> },
}

/// A recording to be opened.
pub(crate) struct Opening {
    pub(crate) op: OpId,
    pub(crate) record: RecordId,
    pub(crate) leg: String,
    pub(crate) file: String,
    pub(crate) mode: RecordMode,
    /// Samples a second.
    pub(crate) rate_hz: u32,
}

/// One packet's payload, copied.
pub(crate) struct Frame {
    at: Time,
    codec: Codec,
    ssrc: u32,
    timestamp: u32,
    clock_rate_hz: u32,
    len: usize,
    bytes: [u8; FRAME_BYTES],
}

#[expect(
    clippy::large_enum_variant,
    reason = "the channel's places are made once; a box would be made per packet"
)]
enum Order {
    Open(Opening),
    Add { into: [Option<(RecordId, Side)>; 2], frame: Frame },
    End { record: RecordId, at: Time, leg_ends: bool },
}

impl Recorder {
    /// Starts both threads. They end when everyone has dropped their end.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(
        folder: Option<Folder>,
        clock: Clock,
    ) -> std::io::Result<(Self, mpsc::UnboundedReceiver<Recorded>, thread::JoinHandle<()>)> {
        let (orders, inbox) = bounded(ORDERS);
        let (told, news) = mpsc::unbounded_channel();
        let disk = Disk::start(told.clone())?;
        let room = Room { folder, clock, told, disk, recordings: HashMap::new() };
        let thread = thread::Builder::new().name("recorder".into()).spawn(move || room.run(&inbox))?;
        Ok((Self { orders, lost: Arc::default() }, news, thread))
    }

    /// Makes a file. Answered with [`Recorded::Opened`].
    ///
    /// # Errors
    /// `busy` when the recorder does not keep up.
    pub(crate) fn open(&self, opening: Opening) -> Result<(), Error> {
        self.orders
            .try_send(Order::Open(opening))
            .map_err(|_| Error::new(ErrorCode::Busy, "the recorder does not keep up"))
    }

    /// Hands a packet over. One that finds no room is counted, and silence in the recording.
    pub(crate) fn add(&self, tap: &Tap, packet: &[u8]) {
        let payload = packet.get(tap.payload.clone()).unwrap_or_default();
        let frame = Frame::new(tap.at, tap.codec, tap.ssrc, tap.timestamp, tap.clock_rate_hz, payload);
        let sent =
            frame.is_some_and(|frame| self.orders.try_send(Order::Add { into: tap.into, frame }).is_ok());
        if !sent {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Completes a file. False when it must be asked for again.
    pub(crate) fn end(&self, record: RecordId, at: Time, leg_ends: bool) -> bool {
        !matches!(self.orders.try_send(Order::End { record, at, leg_ends }), Err(TrySendError::Full(_)))
    }

    /// Packets that found no room.
    pub(crate) fn frames_lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Frame {
    /// A frame; none when it is longer than any that is recorded.
    pub(crate) fn new(
        at: Time,
        codec: Codec,
        ssrc: u32,
        timestamp: u32,
        clock_rate_hz: u32,
        payload: &[u8],
    ) -> Option<Self> {
        let mut bytes = [0; FRAME_BYTES];
        bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(Self { at, codec, ssrc, timestamp, clock_rate_hz, len: payload.len(), bytes })
    }

    fn payload(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The recorder thread's everything.
struct Room {
    folder: Option<Folder>,
    clock: Clock,
    told: mpsc::UnboundedSender<Recorded>,
    recordings: HashMap<RecordId, Running>,
    disk: Disk,
}

struct Running {
    leg: String,
    file: String,
    /// Samples come one by one, which the buffer is quicker at than the sink.
    recording: Recording<BufWriter<Sink>>,
    end: FileEnd,
}

impl Room {
    fn run(mut self, inbox: &Receiver<Order>) {
        let mut advance_at = self.clock.now();
        loop {
            match inbox.recv_timeout(ADVANCE_EVERY) {
                Ok(order) => self.take(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = self.clock.now();
            if now >= advance_at {
                advance_at = now + ADVANCE_EVERY.as_micros() as u64;
                self.advance(now);
            }
        }
        let now = self.clock.now();
        for record in self.recordings.keys().copied().collect::<Vec<_>>() {
            self.end(record, now, RecordEnd::Stopped);
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Open(opening) => {
                let op = opening.op;
                if let Err(reason) = self.open(opening) {
                    let result = Err(Error::new(ErrorCode::System, reason));
                    self.tell(Recorded::Opened { op, result });
                }
            }
            Order::Add { into, frame } => {
                for (record, side) in into.into_iter().flatten() {
                    if let Some(running) = self.recordings.get_mut(&record) {
                        running.recording.add(side, &frame);
                    }
                }
            }
            Order::End { record, at, leg_ends } => {
                self.end(record, at, if leg_ends { RecordEnd::LegDeleted } else { RecordEnd::Stopped });
            }
        }
    }

    /// Begins a recording; whether its file could be made is told later.
    fn open(&mut self, opening: Opening) -> Result<(), String> {
        let Opening { op, record, leg, file, mode, rate_hz } = opening;
        let folder = self.folder.clone().ok_or("this engine was started without --recordings")?;
        let (sink, end) = self.disk.create(op, folder, file.clone(), rate_hz);
        let recording = Recording::new(self.clock.now(), BufWriter::new(sink), mode, rate_hz)
            .map_err(|error| format!("{file:?}: {error}"))?;
        self.recordings.insert(record, Running { leg, file, recording, end });
        Ok(())
    }

    fn advance(&mut self, now: Time) {
        let failed: Vec<_> = self
            .recordings
            .iter_mut()
            .filter_map(|(record, running)| {
                let written = running.recording.advance(now);
                let failure = running.end.shared.failure().map(hound::Error::IoError);
                Some((*record, failure.or(written.err())?))
            })
            .collect();
        for (record, error) in failed {
            self.fail(record, &error);
        }
    }

    fn end(&mut self, record: RecordId, at: Time, end: RecordEnd) {
        let Some(Running { leg, file, recording, end: file_end }) = self.recordings.remove(&record) else {
            return;
        };
        let so_far_ms = recording.duration_ms();
        let (end, duration_ms, reason) = match recording.end(at) {
            Ok(duration_ms) => (end, duration_ms, None),
            Err(error) => (RecordEnd::Failed, so_far_ms, Some(error.to_string())),
        };
        file_end.close(Recorded::Ended { leg, file, end, duration_ms, reason });
    }

    fn fail(&mut self, record: RecordId, error: &hound::Error) {
        let Some(Running { leg, file, recording, end }) = self.recordings.remove(&record) else { return };
        if !end.shared.is_made() {
            // It was refused, and never began.
            return;
        }
        warn!(leg, file, %error, "recording failed");
        let (duration_ms, reason) = (recording.duration_ms(), Some(error.to_string()));
        self.tell(Recorded::Ended { leg, file, end: RecordEnd::Failed, duration_ms, reason });
    }

    fn tell(&self, news: Recorded) {
        // Nobody listens any more only when the engine stops.
        let _ = self.told.send(news);
    }
}

/// Longest payload that is recorded: 20 ms of 16-bit samples at 48 kHz.
const FRAME_BYTES: usize = 1_920;
const ORDERS: usize = 8_192;
const ADVANCE_EVERY: Duration = Duration::from_millis(200);
