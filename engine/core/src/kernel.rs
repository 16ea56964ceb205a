//! The seam to a path in the operating system's kernel: what it must know to forward one direction of a splice by itself, and
//! what must be known of it afterwards.
//!
//! A [`crate::Worker`] hands over only directions that need nothing but twelve bytes rewritten: plain RTP, one codec, nothing
//! mixed, played, recorded or listened to. It takes one back before anything about either leg changes, and goes on with the
//! numbers that [`Progress`] tells, so that nobody hears, counts or reports a difference.

use std::fmt::Debug;
use std::net::SocketAddr;

use crate::limits::{HANDOVER_LOOK_MS, HANDOVER_PACKETS};
use crate::{LegIx, Time};

/// What forwards directions of splices without their worker, each named by the leg that speaks.
///
/// It takes a packet of such a leg only when nothing about it is in doubt, and leaves every other one to the leg's socket, as
/// if there were no rule. It takes a datagram when all of this is so:
///
/// - It came over IPv4, whole and without options, from [`Rule::source`] to [`Rule::at`].
/// - It is RTP whose first byte is 0x80: version 2, no padding, extension or contributing source. Its payload has
///   1 to [`MAX_PAYLOAD_BYTES`] bytes.
/// - SSRC and payload type are those of the rule. (Reports on the RTP port have other payload types.)
/// - Its sequence number is ahead of the highest one by less than [`MAX_DROPOUT`], or it is the highest one again or behind it
///   by less than [`MAX_MISORDER`], and not behind [`Rule::first`].
/// - If it is ahead: its timestamp is not behind that of the highest one, in arithmetic modulo 2^32.
/// - Its transit (arrival minus timestamp, see [`Progress::transit_ts`]) differs from the last one by less than
///   [`MAX_TRANSIT_CHANGE_S`] seconds.
///
/// It sends it from [`Rule::from`] to [`Rule::to`], with the rule's SSRC and payload type, sequence number and timestamp shifted,
/// and the marker and payload as they are.
///
/// [`MAX_DROPOUT`]: crate::limits::MAX_DROPOUT
/// [`MAX_MISORDER`]: crate::limits::MAX_MISORDER
pub trait KernelPath: Debug + Send {
    /// Forwards what `leg` receives from now on by a rule. Returns whether it will; false where it cannot: another address
    /// family, no interface, no room. There is no rule for this leg yet.
    fn install(&mut self, leg: LegIx, rule: &Rule) -> bool;

    /// What was forwarded since the rule was installed. Cheap: asked for before reports, for information, and when a packet of the
    /// leg comes to the worker after all.
    ///
    /// May be behind by what is in work, also in some fields only; what has come in before a packet that the worker was given is
    /// in it.
    fn progress(&self, leg: LegIx) -> Progress;

    /// Takes the rule of `leg` away. After it returns, no packet is forwarded by it any more, and what it returns is exact.
    fn withdraw(&mut self, leg: LegIx) -> Progress;
}

/// How one direction is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The speaking leg's own RTP address.
    pub at: SocketAddr,
    /// Its peer. Nothing else is taken.
    pub source: SocketAddr,
    /// The hearing leg's own RTP address: what is sent comes from here.
    pub from: SocketAddr,
    /// The hearing leg's peer.
    pub to: SocketAddr,
    /// SSRC of what is taken.
    pub ssrc: u32,
    /// Payload type of what is taken, without the marker bit: 0 to 63 or 96 to 127.
    pub payload_type: u8,
    /// SSRC of what is sent.
    pub out_ssrc: u32,
    /// Payload type of what is sent, without the marker bit.
    pub out_payload_type: u8,
    /// Added to each sequence number, modulo 2^16.
    pub sequence_shift: u16,
    /// Added to each timestamp, modulo 2^32.
    pub timestamp_shift: u32,
    /// Timestamp units a second.
    pub clock_rate_hz: u32,
    /// Highest sequence number received so far, with its wraps in the upper half (RFC 3550 A.1).
    pub highest: u32,
    /// Lowest sequence number that may still be sent on, counted like `highest` and not ahead of it, modulo 2^32: those before have
    /// no place in what the hearer gets.
    pub first: u32,
    /// Timestamp of the packet with the highest number, as received.
    pub timestamp: u32,
    /// As in [`Progress::transit_ts`].
    pub transit_ts: u32,
    /// As in [`Progress::jitter_16ths`].
    pub jitter_16ths: u32,
}

/// What was forwarded by a rule since it was installed. Where nothing was, `packets` is 0 and all but it is of no account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Packets, those that came twice or late included.
    pub packets: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// Highest sequence number received so far, with its wraps in the upper half (RFC 3550 A.1). The rule's own when no packet
    /// was ahead of that.
    pub highest: u32,
    /// Timestamp of the packet with this number, as received: of the one that came first, and the rule's own as above.
    pub timestamp: u32,
    /// When that packet came; 0 where `highest` is the rule's own, like the next.
    pub at: Time,
    /// Bytes of that packet's payload.
    pub last_payload_bytes: u16,
    /// When the last packet of all came.
    pub last_at: Time,
    /// Transit of the last packet of all (RFC 3550 A.8): arrival minus timestamp as received, modulo 2^32.
    ///
    /// The arrival is in timestamp units: its [`Time`] in seconds times the clock rate, rounded down.
    pub transit_ts: u32,
    /// Jitter in sixteenths of a timestamp unit (RFC 3550 A.8, as in its code): with each packet's change of transit *d*,
    /// J += |d| − ((J + 8) >> 4).
    pub jitter_16ths: u32,
}

/// How long a direction is looked at before it is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Milliseconds between two looks.
    pub look_ms: u64,
    /// Packets that must have come since the direction was opened, or anything about it changed, with hardly one missing.
    pub packets: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { look_ms: HANDOVER_LOOK_MS, packets: HANDOVER_PACKETS }
    }
}

/// Bytes of the longest payload that a path takes.
pub const MAX_PAYLOAD_BYTES: usize = 1_400;

/// Seconds by which the transit of two packets may differ. Beyond, the sender may have started its timestamps anew.
pub const MAX_TRANSIT_CHANGE_S: u32 = 2;
