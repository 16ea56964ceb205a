//! Handing a direction over.

use super::{Kernel, Worker};
use crate::kernel::Rule;
use crate::leg::Leg;
use crate::leg::timer::Timer;
use crate::rtp::may_be_rtcp;
use crate::worker::splice::both;
use crate::{LegIx, Time};

/// Whether a direction can be handed over.
#[derive(Clone, Copy, Debug)]
enum Fit {
    /// Now, by this rule.
    Now(Rule),
    /// Not yet: what is in the way may go without a command.
    Later,
    /// Not before a command changes something.
    Not,
}

impl Worker {
    /// Begins to watch what a leg and its partner say to each other: something about them may be new.
    pub(in crate::worker) fn offer_pair(&mut self, leg: LegIx) {
        for leg in [Some(leg), self.partner(leg)].into_iter().flatten() {
            self.offer(leg);
        }
    }

    fn offer(&mut self, leg: LegIx) {
        let Some(Kernel { patience, .. }) = &self.kernel else { return };
        let Some(offered) = self.legs.get_mut(leg.index()) else { return };
        if offered.splice.is_none() {
            offered.deadlines.stop(Timer::Handover);
        } else {
            let handover = offered.handover.get_or_insert_default();
            handover.watch(&offered.receive);
            offered.deadlines.set(Timer::Handover, look_at(self.now, patience.look_ms));
        }
        self.rewind(leg);
    }

    /// Hands over what a leg says, if nothing is special about it.
    pub(in crate::worker) fn on_handover_look(&mut self, leg: LegIx) {
        let fit = self.fit(leg);
        let Some(Kernel { path, patience, legs }) = &mut self.kernel else { return };
        let offered = &mut self.legs[leg.index()];
        let Some(handover) = &mut offered.handover else { return };
        match fit {
            Fit::Now(rule) => {
                if path.install(leg, &rule) {
                    legs.insert(leg);
                    handover.on_installed(self.now);
                }
            }
            Fit::Later => {
                let look_ms = handover.look_in_ms(patience.look_ms);
                offered.deadlines.set(Timer::Handover, look_at(self.now, look_ms));
            }
            Fit::Not => {}
        }
    }

    fn fit(&mut self, leg: LegIx) -> Fit {
        let (Some(Kernel { patience, .. }), Some(partner)) = (&self.kernel, self.partner(leg)) else {
            return Fit::Not;
        };
        let packets = patience.packets;
        let (from, to) = both(&mut self.legs, leg, partner);
        if from.in_kernel().is_some() || !may_ever_fit(from, to) {
            return Fit::Not;
        }
        let Leg { handover, receive, .. } = from;
        let settled = handover.as_mut().is_some_and(|handover| handover.is_settled(receive, packets));
        let rule = if settled && is_plain(from, to) { rule(from, to) } else { None };
        rule.map_or(Fit::Later, Fit::Now)
    }
}

/// The moment of the next look: nobody waits for it, so it shares wake-ups.
pub(super) fn look_at(now: Time, look_ms: u64) -> Time {
    now.plus_ms(look_ms).at_shared_tick()
}

/// Whether nothing that only a command ends is in the way.
fn may_ever_fit(from: &Leg, to: &Leg) -> bool {
    let hears = to.splice.is_some_and(|half| half.hears);
    let stays = from.leaving.is_none() && to.leaving.is_none();
    let in_clear = from.secure.is_none() && to.secure.is_none();
    let recorded = from.recording.is_some() || to.recording.is_some();
    hears
        && stays
        && in_clear
        && !recorded
        && from.detect.is_none()
        && from.media.codec == to.media.codec
        && !to.media.repacketise
        && to.media.max_ptime_ms.is_none()
        && !may_be_rtcp(from.media.payload_type)
}

/// Whether nothing that passes is in the way.
fn is_plain(from: &Leg, to: &Leg) -> bool {
    let heard = to.splice.is_some_and(|half| half.awaits.is_none());
    let supervised = from.supervision.is_some() || to.supervision.is_some();
    heard
        && !supervised
        && from.is_heard_as_it_is(to)
        && to.player.is_none()
        && from.listeners.is_none()
        && from.hold.is_none()
        && from.parked.is_none()
        && !from.silent
}

/// The rule for it; none while either stream may need more than its shifts.
fn rule(from: &Leg, to: &Leg) -> Option<Rule> {
    let steady = from.receive.steady()?;
    let settled = to.stream.settled(steady.ssrc).filter(|it| it.highest == steady.highest as u16)?;
    Some(Rule {
        at: from.identity.rtp,
        source: from.latch.latched()?,
        from: to.identity.rtp,
        to: to.latch.latched()?,
        ssrc: steady.ssrc,
        payload_type: from.media.payload_type,
        out_ssrc: to.stream.ssrc(),
        out_payload_type: to.media.payload_type,
        sequence_shift: settled.sequence_shift,
        timestamp_shift: settled.timestamp_shift,
        clock_rate_hz: from.clock_rate(),
        highest: steady.highest,
        first: steady.highest.wrapping_sub(u32::from(settled.reach)),
        timestamp: settled.timestamp,
        transit_ts: steady.transit_ts,
        jitter_16ths: steady.jitter_16ths,
    })
}
