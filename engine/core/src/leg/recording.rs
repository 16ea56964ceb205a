//! What is recorded of a leg, told packet by packet.

use std::ops::Range;

use offhook_proto::Codec;

use crate::Time;

/// A recording for as long as the engine runs: never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub u64);

/// Whose voice it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The recorded leg's own.
    Near,
    /// Its partner's.
    Far,
}

/// What is recorded of the packet that a worker was just given or has just put out. Its payload lies in the same buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Recordings that it belongs to, and as whose voice: that of its speaker's leg and that of its hearer's.
    pub into: [Option<(RecordId, Side)>; 2],
    /// When it was sent on.
    pub at: Time,
    /// Encoding of the payload as it lies in the buffer.
    pub codec: Codec,
    /// SSRC of the speaker.
    pub ssrc: u32,
    /// RTP timestamp of the speaker.
    pub timestamp: u32,
    /// Timestamp units a second.
    pub clock_rate_hz: u32,
    /// Where the payload lies.
    pub payload: Range<usize>,
}

/// A leg's recording.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recording {
    pub(crate) id: RecordId,
    pub(crate) paused: bool,
}

impl Recording {
    /// A packet's place in it; none while it is paused.
    pub(crate) fn side(self, side: Side) -> Option<(RecordId, Side)> {
        (!self.paused).then_some((self.id, side))
    }
}
