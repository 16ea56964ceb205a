//! A source whose packets are stamped elsewhere for a while, by the same shifts.

use super::{Anchor, Clock, Numbered, Source, Stream, is_jump};
use crate::Time;
use crate::kernel::Progress;
use crate::limits::{MAX_DROPOUT, MAX_MISORDER};

/// Where a source stands that needs nothing but its shifts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) sequence_shift: u16,
    pub(crate) timestamp_shift: u32,
    /// Its highest sequence number, and how far behind that a packet still has a number.
    pub(crate) highest: u16,
    pub(crate) reach: u16,
    /// Its last timestamp that stood for its own moment.
    pub(crate) timestamp: u32,
}

impl Stream {
    /// Where the partner's stream of this SSRC stands; none while it is not heard, or its next packet may need more than shifts.
    pub(crate) fn settled(&self, ssrc: u32) -> Option<Settled> {
        let anchor = self.anchor.filter(|anchor| anchor.source == Source::Partner(ssrc))?;
        let ready = !anchor.marker_due && anchor.restart_at.is_none() && self.clock.is_some();
        let Anchor { sequence_shift, timestamp_shift, highest, reach, own_timestamp, .. } = anchor;
        ready.then_some(Settled { sequence_shift, timestamp_shift, highest, reach, timestamp: own_timestamp })
    }

    /// Whether a packet would be stamped by the shifts that there are, or not at all.
    pub(crate) fn keeps_shifts(&self, now: Time, packet: &Numbered) -> bool {
        let Some(anchor) = self.anchor.filter(|anchor| anchor.source == packet.source) else { return false };
        let ahead = packet.sequence.wrapping_sub(anchor.highest);
        let far = (MAX_DROPOUT..=u16::MAX - MAX_MISORDER).contains(&ahead);
        let moves = packet.payload.has_own_moment() && ahead < 0x8000;
        !(far || moves && is_jump(now, packet, &anchor))
    }

    /// Takes note of packets that were stamped elsewhere by the shifts that there are: so many since the last time.
    /// `received` is the highest number that had been received before, with its wraps in the upper half.
    pub(crate) fn on_forwarded(
        &mut self,
        progress: &Progress,
        packets: u64,
        payload_bytes: u64,
        received: u32,
        duration_ts: u32,
    ) {
        self.packets += packets;
        self.payload_bytes += payload_bytes;
        let Some(anchor) = &mut self.anchor else { return };
        anchor.restart_at = None;
        // The highest number sent may be behind the highest received by what was not sent on.
        let behind = (received as u16).wrapping_sub(anchor.highest) as i16;
        let ahead = (progress.highest.wrapping_sub(received) as i32).saturating_add(i32::from(behind));
        if ahead <= 0 {
            return;
        }
        anchor.reach = anchor.reach.saturating_add(u16::try_from(ahead).unwrap_or(u16::MAX));
        anchor.highest = progress.highest as u16;
        anchor.own_timestamp = progress.timestamp;
        anchor.own_at = progress.at;
        self.next_sequence = anchor.highest.wrapping_add(anchor.sequence_shift).wrapping_add(1);
        let timestamp = progress.timestamp.wrapping_add(anchor.timestamp_shift);
        if timestamp.wrapping_sub(self.last_timestamp) < 0x8000_0000 {
            self.last_timestamp = timestamp;
            self.clock = Some(Clock { timestamp, at: progress.at, duration_ts });
        }
    }
}
