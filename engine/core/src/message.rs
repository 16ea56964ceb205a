//! What passes between a worker, its shell and the director.

use std::net::SocketAddr;

use offhook_proto::{DetectStart, Error, EventBody, LegInfo, LegUpdate, SuperviseMode, WorkerInfo};

use crate::Time;
use crate::leg::recording::RecordId;
use crate::leg::{Leg, LegSetup};
use crate::prompt::Segment;

/// A leg for as long as the engine runs: never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u64);

/// A leg's place in its worker: small, dense, used again after the leg has gone. The shell keeps sockets by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegIx(pub u32);

impl LegIx {
    /// As an index into a table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One operation that the director has under way; the worker hands it back with the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// Which socket of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Socket {
    /// The even port: media.
    Rtp,
    /// The odd port above it: reports.
    Rtcp,
}

/// What to do with a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send the first `len` bytes of the buffer on from the RTP socket of leg `to`, if that is secure through
    /// [`crate::Worker::seal`].
    Forward {
        /// Leg whose RTP socket sends.
        to: LegIx,
        /// Bytes of the buffer to send.
        len: usize,
        /// Destination; absent when the socket is connected.
        address: Option<SocketAddr>,
    },
    /// Nothing more to do.
    Consume,
    /// Dropped and counted, or kept for a moment in case the reason goes away: then it is transmitted later.
    Drop(DropReason),
}

/// Why a packet was dropped; the counters are [`offhook_proto::Drops`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Shorter than a header, wrong version, or lengths that do not add up.
    Malformed,
    /// From an address that the latching rules refuse.
    Stranger,
    /// The leg is heard by nobody.
    NotSpliced,
    /// The direction's gate is closed.
    GateClosed,
    /// A payload type that was not negotiated on one of the sides.
    PayloadType,
    /// Older than what the other side has already been sent; where that is secure, also the same number again. Or the rest of a
    /// key that was pressed before the other side heard the leg.
    Late,
    /// The other leg plays a prompt or tone.
    Covered,
    /// The other leg has no known address yet.
    NoRemote,
    /// Larger than the receive buffer.
    Truncated,
    /// The kernel refused to send it on.
    SendFailed,
    /// Not what the leg's SRTP key has signed.
    AuthFailed,
    /// SRTP that came before, or from before the window.
    Replayed,
    /// The key of a secure leg's direction is not known yet.
    NoKey,
}

/// What the director asks of a worker. Each is answered by one [`WorkerReport`] with the same `op`.
#[derive(Debug)]
pub enum WorkerCommand {
    /// Opens a leg. Its sockets travel with this command.
    Create {
        /// Operation to report.
        op: OpId,
        /// The leg as configured.
        setup: Box<LegSetup>,
    },
    /// Takes over a leg that another worker gave up. Its sockets travel with this command. Reports nothing.
    Adopt {
        /// The leg with all its state.
        leg: Box<Leg>,
    },
    /// Gives a leg up for another worker: answered with [`WorkerReport::Detached`], or `Done` with an error.
    Detach {
        /// Operation to report.
        op: OpId,
        /// Which leg.
        leg: LegId,
        /// Part it from its partner first; an error otherwise when it has one.
        replace: bool,
    },
    /// Closes a leg: answered with [`WorkerReport::Closed`].
    Delete {
        /// Operation to report.
        op: OpId,
        /// Which leg.
        leg: LegId,
    },
    /// Changes a leg.
    Update {
        /// Operation to report.
        op: OpId,
        /// Which leg.
        leg: LegId,
        /// What to change.
        change: Box<LegUpdate>,
    },
    /// Asks for a leg's state and counters.
    Query {
        /// Operation to report.
        op: OpId,
        /// Which leg.
        leg: LegId,
    },
    /// Parks a leg.
    Park {
        /// Operation to report.
        op: OpId,
        /// Which leg.
        leg: LegId,
        /// Pass one packet in so many: a power of two from 1 to 1,024.
        keep_one_in: u16,
    },
    /// Unparks a leg.
    Unpark {
        /// Operation to report.
        op: OpId,
        /// Which leg.
        leg: LegId,
    },
    /// Joins two legs of this worker, or changes the gates of a pair.
    Splice {
        /// Operation to report.
        op: OpId,
        /// One leg.
        a: LegId,
        /// The other leg.
        b: LegId,
        /// Whether `a` hears `b`.
        a_hears_b: bool,
        /// Whether `b` hears `a`.
        b_hears_a: bool,
        /// Part either from a third partner first.
        replace: bool,
        /// Moment that the `splice.audio` events count from.
        since: Time,
        /// Whether packets that came since then, and could not be sent on, are sent on when a gate opens.
        replay: bool,
    },
    /// Parts a leg from its partner, and parks the named ones of the two.
    Unsplice {
        /// Operation to report.
        op: OpId,
        /// Either leg.
        leg: LegId,
        /// Which of the two to park afterwards.
        park: Vec<LegId>,
    },
    /// Lets a leg take part in the call of a pair of this worker, or changes how.
    Supervise {
        /// Operation to report.
        op: OpId,
        /// The supervisor's leg.
        leg: LegId,
        /// The agent's leg.
        of: LegId,
        /// Only while the agent is spliced to this leg.
        with: Option<LegId>,
        /// Who hears the supervisor.
        mode: SuperviseMode,
    },
    /// Ends what a leg supervises, if it does.
    SuperviseStop {
        /// Operation to report.
        op: OpId,
        /// The supervisor's leg.
        leg: LegId,
    },
    /// Lets a leg hear a copy of another one of this worker.
    Listen {
        /// Operation to report.
        op: OpId,
        /// The leg that hears it.
        leg: LegId,
        /// The leg that is heard.
        of: LegId,
    },
    /// Ends what a leg listens to, if it does.
    ListenStop {
        /// Operation to report.
        op: OpId,
        /// The leg that hears.
        leg: LegId,
    },
    /// Plays to a leg.
    Play {
        /// Operation to report.
        op: OpId,
        /// Which leg.
        leg: LegId,
        /// Name that the `play.ended` event carries.
        play: String,
        /// What to play, one after another.
        segments: Vec<Segment>,
        /// How much of the list.
        extent: Extent,
    },
    /// Stops playing.
    PlayStop {
        /// Operation to report.
        op: OpId,
        /// Which leg.
        leg: LegId,
        /// Only the play of this name; whatever plays when absent.
        play: Option<String>,
    },
    /// Starts, pauses, resumes or ends the recording of a leg.
    Record {
        /// Operation to report.
        op: OpId,
        /// Which leg.
        leg: LegId,
        /// What to do.
        change: RecordChange,
    },
    /// Starts the detection on a leg, in place of one that there is, or ends it.
    Detect {
        /// Operation to report.
        op: OpId,
        /// Which leg.
        leg: LegId,
        /// What to listen for; nothing any more when absent.
        start: Option<Box<DetectStart>>,
    },
    /// Asks for the worker's figures: answered with [`WorkerReport::Info`].
    Info {
        /// Operation to report.
        op: OpId,
    },
}

impl WorkerCommand {
    /// The leg whose sockets travel with this command, if they do.
    pub fn carries_sockets_of(&self) -> Option<LegId> {
        match self {
            Self::Create { setup, .. } => Some(setup.id),
            Self::Adopt { leg } => Some(leg.id()),
            Self::Detach { .. }
            | Self::Delete { .. }
            | Self::Update { .. }
            | Self::Query { .. }
            | Self::Park { .. }
            | Self::Unpark { .. }
            | Self::Splice { .. }
            | Self::Unsplice { .. }
            | Self::Supervise { .. }
            | Self::SuperviseStop { .. }
            | Self::Listen { .. }
            | Self::ListenStop { .. }
            | Self::Play { .. }
            | Self::PlayStop { .. }
            | Self::Record { .. }
            | Self::Detect { .. }
            | Self::Info { .. } => None,
        }
    }
}

impl WorkerCommand {
    /// Legs that it changes, by name: there are others only where these are joined to them.
    pub(crate) fn changes(&self) -> [Option<LegId>; 2] {
        match self {
            Self::Create { .. } | Self::Adopt { .. } | Self::Query { .. } | Self::Info { .. } => [None; 2],
            Self::Splice { a, b, .. } => [Some(*a), Some(*b)],
            Self::Supervise { leg, of, .. } | Self::Listen { leg, of, .. } => [Some(*leg), Some(*of)],
            Self::Detach { leg, .. }
            | Self::Delete { leg, .. }
            | Self::Update { leg, .. }
            | Self::Park { leg, .. }
            | Self::Unpark { leg, .. }
            | Self::Unsplice { leg, .. }
            | Self::SuperviseStop { leg, .. }
            | Self::ListenStop { leg, .. }
            | Self::Play { leg, .. }
            | Self::PlayStop { leg, .. }
            | Self::Record { leg, .. }
            | Self::Detect { leg, .. } => [Some(*leg), None],
        }
    }
}

/// What happens to a leg's recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordChange {
    /// It begins, in place of another.
    Start(RecordId),
    /// It is paused, or goes on.
    Pause(bool),
    /// It ends.
    Stop,
}

/// What a worker tells the director.
#[derive(Debug)]
pub enum WorkerReport {
    /// A command was executed or refused.
    Done {
        /// Operation of the command.
        op: OpId,
        /// The answer, or why it was refused.
        result: Result<Answer, Error>,
    },
    /// A leg was given up. Its sockets travel with this report.
    Detached {
        /// Operation of the command.
        op: OpId,
        /// The leg with all its state.
        leg: Box<Leg>,
    },
    /// A leg was closed. Its sockets have been closed before this report is handed over.
    Closed {
        /// Operation of the command.
        op: OpId,
        /// The leg as it was last.
        info: Box<LegInfo>,
    },
    /// The worker's figures. The shell fills in `cpu`, `cpu_us`, `wakeups` and `buffers_exhausted`.
    Info {
        /// Operation of the command.
        op: OpId,
        /// The figures.
        info: Box<WorkerInfo>,
    },
    /// Something happened on a leg.
    Event(EventBody),
    /// A leg's socket failed for good: the director releases the leg.
    SocketFailed {
        /// Which leg.
        leg: LegId,
        /// Why, in a sentence.
        reason: String,
    },
}

/// The answer to a command that was executed.
#[derive(Debug)]
pub enum Answer {
    /// Done.
    Done,
    /// The leg as it is now.
    Leg(Box<LegInfo>),
    /// A play has been stopped, so many milliseconds into its list's last round; nothing played when absent.
    Stopped(Option<u64>),
}

/// How much of a list is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Rounds; 0 = until stopped.
    pub times: u32,
    /// Where the first round begins, in milliseconds.
    pub start_ms: u32,
    /// Milliseconds after which the play ends; 0 = never.
    pub limit_ms: u32,
}

impl Extent {
    /// The whole list, so many times; 0 = until stopped.
    pub const fn times(times: u32) -> Self {
        Self { times, start_ms: 0, limit_ms: 0 }
    }
}

/// What a worker's shell has to do. A [`WorkerOutput::Transmit`]'s bytes are in the buffer given to the poll.
#[derive(Debug)]
pub enum WorkerOutput {
    /// Send `len` bytes of the buffer from a leg's socket, of a secure leg through [`crate::Worker::seal`].
    Transmit {
        /// Which leg.
        leg: LegIx,
        /// Which of its sockets.
        socket: Socket,
        /// Bytes of the buffer to send.
        len: usize,
        /// Destination; absent when the socket is connected.
        address: Option<SocketAddr>,
    },
    /// Start receiving on a leg's sockets, which came with a command that named `id`.
    Arm {
        /// Its place from now on.
        leg: LegIx,
        /// Which leg.
        id: LegId,
    },
    /// Stop receiving on both sockets of a leg, handle what has been received, then call
    /// [`crate::Worker::handle_disarmed`].
    Disarm {
        /// Which leg.
        leg: LegIx,
    },
    /// Connect a socket, so that the kernel drops strangers.
    Connect {
        /// Which leg.
        leg: LegIx,
        /// Which of its sockets.
        socket: Socket,
        /// Peer.
        address: SocketAddr,
    },
    /// Dissolve a socket's connection: its source is learnt anew.
    Disconnect {
        /// Which leg.
        leg: LegIx,
        /// Which of its sockets.
        socket: Socket,
    },
    /// Put the park filter on a leg's RTP socket, in place of one that is there.
    Park {
        /// Which leg.
        leg: LegIx,
        /// Pass packets whose sequence number is divisible by this: a power of two from 1 to 1,024.
        keep_one_in: u16,
        /// Payload type that always passes.
        telephone_event: Option<u8>,
        /// Whether RTCP comes to this socket and always passes.
        rtcp_mux: bool,
    },
    /// Take the park filter off.
    Unpark {
        /// Which leg.
        leg: LegIx,
    },
    /// Nothing but what [`crate::Worker::take_tap`] tells of the buffer.
    Heard,
    /// Complete a recording's file: nothing of this leg goes into it any more.
    RecordEnd {
        /// Which recording.
        record: RecordId,
        /// The moment that it ends at.
        at: Time,
        /// Whether it ends with its leg.
        leg_ends: bool,
    },
    /// Hand a report to the director.
    Report(WorkerReport),
}

/// A leg has left its worker.
#[derive(Debug)]
pub enum Disarmed {
    /// It moves: hand its sockets over with this report.
    Moved(WorkerReport),
    /// It ended: close its sockets, then hand over this report.
    Closed(WorkerReport),
}
