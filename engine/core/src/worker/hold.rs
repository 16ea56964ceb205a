//! Packets that come a moment too early are held, and sent on when their moment comes.
//!
//! A phone sends its first word right after its 200 OK, which takes its time through a controller: the packets reach the
//! engine before the request that names their sender or opens their gate. Those that came since the answer, by the
//! controller's measure, are sent on when it does, all at once: a pause between them would stay in the call for ever.

use std::net::SocketAddr;

use super::forward::Setback;
use super::{Queued, Worker};
use crate::leg::hold::{Held, Hold};
use crate::leg::{Leaving, Leg, count};
use crate::limits::{HELD_MS, PACKET_BYTES};
use crate::rtp::Header;
use crate::{DropReason, LegIx, Socket, Time, Verdict, WorkerOutput};

impl Worker {
    /// Keeps a packet whose reason may go away, and drops any other.
    pub(super) fn hold_or_drop(
        &mut self,
        leg: LegIx,
        at: Time,
        source: SocketAddr,
        reason: DropReason,
        packet: &[u8],
    ) -> Verdict {
        let ends = matches!(self.legs[leg.index()].leaving, Some(Leaving::Ends(_)));
        if fits(packet) && !ends && self.may_pass(leg, reason, source) {
            self.hold(leg, at, source, reason, packet);
            return Verdict::Drop(reason);
        }
        self.dropped(leg, at, reason)
    }

    /// Keeps a packet that has to wait for those of its leg which are held.
    pub(super) fn hold_behind(&mut self, leg: LegIx, at: Time, source: SocketAddr, packet: &[u8]) -> Verdict {
        if !fits(packet) {
            return self.dropped(leg, at, DropReason::Stranger);
        }
        self.hold(leg, at, source, DropReason::Stranger, packet);
        Verdict::Consume
    }

    fn hold(&mut self, leg: LegIx, at: Time, source: SocketAddr, reason: DropReason, packet: &[u8]) {
        let Leg { hold, drops, recent_drops, media, .. } = &mut *self.legs[leg.index()];
        let hold = hold.get_or_insert_with(|| Box::new(Hold::of(media.codec)));
        hold.push(at, source, reason, packet, |held| {
            count(&mut self.totals.drops, held.reason);
            count(drops, held.reason);
            recent_drops.on_drop(held.at);
        });
    }

    /// Counts held packets of a leg that came before a moment as dropped.
    pub(super) fn drop_held(&mut self, leg: LegIx, before: Time) {
        while let Some(held) = self.legs[leg.index()].hold.as_mut().and_then(|hold| hold.pop_before(before)) {
            self.dropped(leg, held.at, held.reason);
        }
        self.legs[leg.index()].hold.take_if(|hold| hold.len() == 0);
    }

    /// Tries what is held of a leg again, before anything else that comes. Returns whether anything is.
    pub(super) fn release(&mut self, leg: LegIx) -> bool {
        let holds = self.legs[leg.index()].hold.is_some();
        if holds {
            self.queue.push_front(Queued::Held { leg, from: 0 });
        }
        holds
    }

    /// Tries the first held packet of a leg from a number on again, and plans the next one.
    pub(super) fn try_held(&mut self, leg: LegIx, from: u64, buffer: &mut [u8]) -> Option<WorkerOutput> {
        let held = self.legs.get(leg.index())?.hold.as_ref()?.copy_from(from, buffer)?;
        self.queue.push_front(Queued::Held { leg, from: held.number + 1 });
        let stale = self.is_stale(leg, held.at);
        let result = if stale {
            Err(Setback::Reason(held.reason))
        } else {
            self.retry(leg, &held, &mut buffer[..held.len])
        };
        let reason = match result {
            Ok(_) => None,
            Err(Setback::Reason(reason)) => Some(reason),
            // The release that this packet has begun comes to it.
            Err(Setback::Behind) => return None,
        };
        let kept = reason.filter(|&reason| !stale && self.may_pass(leg, reason, held.source));
        let from = &mut self.legs[leg.index()];
        if let Some(hold) = &mut from.hold {
            match kept {
                Some(reason) => hold.keep_for(held.number, reason),
                None => hold.remove(held.number),
            }
        }
        from.hold.take_if(|hold| hold.len() == 0);
        match (result, kept, reason) {
            (Ok(Verdict::Forward { to, len, address }), ..) => {
                return Some(WorkerOutput::Transmit { leg: to, socket: Socket::Rtp, len, address });
            }
            (_, None, Some(reason)) => {
                self.dropped(leg, held.at, reason);
            }
            _ => {}
        }
        self.tap.is_some().then_some(WorkerOutput::Heard)
    }

    fn retry(&mut self, leg: LegIx, held: &Held, packet: &mut [u8]) -> Result<Verdict, Setback> {
        match held.reason {
            DropReason::Stranger => return self.judge(leg, held.at, held.source, packet),
            DropReason::NoKey => return Err(DropReason::NoKey.into()),
            _ => {}
        }
        // It was read once before; since then its payload type may have been negotiated away.
        let header = Header::parse(packet).ok_or(DropReason::Malformed)?;
        let payload = self.legs[leg.index()].payload(header.payload_type).ok_or(DropReason::PayloadType)?;
        Ok(self.send_on(leg, &header, payload, packet)?)
    }

    /// Whether the partner hears a leg, but no longer what came at a moment.
    pub(super) fn is_stale(&self, leg: LegIx, at: Time) -> bool {
        let half = self.partner(leg).and_then(|partner| self.legs[partner.index()].splice);
        let oldest = self.now - HELD_MS * 1_000;
        half.is_some_and(|half| half.hears && at < half.replay_from.max(oldest))
    }

    /// Whether the reason for which a packet was not sent on may go away in a moment.
    fn may_pass(&self, leg: LegIx, reason: DropReason, source: SocketAddr) -> bool {
        let from = &self.legs[leg.index()];
        if reason != DropReason::Covered {
            return from.may_pass(reason, source);
        }
        // What plays to the partner while this leg rings stops with the answer: the first words come before that.
        let rings = from.splice.is_some_and(|half| !half.hears);
        let awaited = || {
            let half = self.partner(leg).and_then(|partner| self.legs[partner.index()].splice);
            half.is_some_and(|half| half.awaits.is_some() && half.measured_from.is_some())
        };
        rings || awaited()
    }
}

/// Whether a packet may be held: an empty one says nothing, and one that is longer than any that is made here cannot be sent on.
fn fits(packet: &[u8]) -> bool {
    (1..=PACKET_BYTES).contains(&packet.len())
}
