//! Keys that reach the partner in another form than they came in, or not at all.

use offhook_proto::DtmfMode;

use super::Worker;
use super::convert::conversion;
use super::splice::both;
use super::spread::turn_after_packet;
use crate::leg::digits::Digit;
use crate::leg::press::{KeyPacket, KeyTones};
use crate::leg::stream::Source;
use crate::leg::timer::Timer;
use crate::leg::{Leg, Payload, count};
use crate::rtp::{HEADER_BYTES, Header};
use crate::{DropReason, LegIx, Time, Verdict, WorkerOutput};

impl Worker {
    /// Takes a telephone-event of `leg` for its partner. Returns whether it goes no further: it is blocked, or a tone instead, or
    /// the rest of a key that began before the partner heard the leg, say the one that a menu was answered with.
    pub(super) fn keep_key(&mut self, leg: LegIx, partner: LegIx, header: &Header) -> bool {
        let began_at = self.legs[leg.index()].digits.began_at(header.timestamp);
        if began_at.is_some_and(|began_at| self.is_early(partner, began_at)) {
            self.swallow(leg, partner, header);
            // It was heard by whom it was for: no drop that a splice came too late for.
            count(&mut self.totals.drops, DropReason::Late);
            count(&mut self.legs[leg.index()].drops, DropReason::Late);
            return true;
        }
        let mode = self.legs[leg.index()].dtmf;
        let kept = match mode {
            DtmfMode::Pass => false,
            DtmfMode::Convert => self.hears_tones(partner),
            DtmfMode::Block => true,
        };
        if !kept {
            return false;
        }
        self.swallow(leg, partner, header);
        if mode == DtmfMode::Convert
            && let Some((key, timestamp)) = self.legs[leg.index()].digits.down()
            && let Some(tones) = self.tones(leg, partner)
        {
            tones.press(key, timestamp);
        }
        true
    }

    /// A key of telephone-events is over: where it is a tone for the partner, that ends.
    pub(super) fn release_tone(&mut self, leg: LegIx, digit: Digit) {
        if self.legs[leg.index()].dtmf == DtmfMode::Convert
            && let Some(partner) = self.partner(leg).filter(|partner| self.hears_tones(*partner))
            && !self.is_early(partner, digit.began_at)
            && let Some(tones) = self.tones(leg, partner)
        {
            tones.release(digit.key, digit.duration_ms);
        }
    }

    /// Whether a leg hears its partner, but did not yet when a key began.
    fn is_early(&self, leg: LegIx, began_at: Time) -> bool {
        self.legs[leg.index()].splice.is_some_and(|half| half.hears && began_at < half.keys_from)
    }

    /// Whether a leg hears its partner, and its keys as tones if at all.
    fn hears_tones(&self, leg: LegIx) -> bool {
        let to = &self.legs[leg.index()];
        to.splice.is_some_and(|half| half.hears) && to.may_hear() && to.media.telephone_event.is_none()
    }

    /// The tones that `partner` hears for keys of `leg`; none when the codec library makes none for it.
    fn tones(&mut self, leg: LegIx, partner: LegIx) -> Option<&mut KeyTones> {
        // From now on more is made for the partner than comes.
        self.take_back(leg);
        let now = self.now;
        let (from, to) = self.legs.get2_mut(leg.index(), partner.index())?;
        if to.conversion.is_none() {
            let made = conversion(from, to, from.is_heard_as_it_is(to))?;
            to.hear_through(made);
        }
        let starts = to.deadlines.is_off(Timer::Convert);
        let first_tick = turn_after_packet(now, partner);
        if starts {
            let next_tick = to.conversion.as_ref()?.next_tick();
            to.deadlines.set(Timer::Convert, if next_tick == Time::NEVER { first_tick } else { next_tick });
            self.rewind(partner);
        }
        let conversion = self.legs[partner.index()].conversion.as_mut()?;
        Some(conversion.tones(now, first_tick))
    }

    /// Sends a telephone-event that was a tone.
    pub(super) fn send_key(
        &mut self,
        leg: LegIx,
        tick: Time,
        packet: KeyPacket,
        buffer: &mut [u8],
    ) -> Option<WorkerOutput> {
        let hearer = &mut self.legs[leg.index()];
        let destination = hearer.latch.destination()?;
        hearer.media.telephone_event?;
        let KeyPacket { began, marker, payload } = packet;
        buffer[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&payload);
        let len = hearer.write_made(tick, Source::Conversion, began, Payload::TelephoneEvent, 0, 4, buffer);
        buffer[1] |= u8::from(marker) << 7;
        Some(self.transmit(leg, destination, len))
    }

    /// Sends on a telephone-event of `leg` among what is made for `partner`. `begins` puts it on the partner's clock and says
    /// when the key began there; none where nothing is made.
    pub(super) fn pass_key(
        &mut self,
        leg: LegIx,
        partner: LegIx,
        header: &Header,
        packet: &mut [u8],
        begins: impl FnOnce(Time, &Leg, &mut Leg, &mut [u8; 4]) -> Option<Time>,
    ) -> Result<Verdict, DropReason> {
        let now = self.now;
        let (from, to) = both(&mut self.legs, leg, partner);
        let destination = to.latch.destination().ok_or(DropReason::NoRemote)?;
        if to.media.telephone_event.is_none() {
            return Err(DropReason::PayloadType);
        }
        let body = &packet[header.payload_at..header.payload_at + header.payload_len];
        let mut event = *body.first_chunk::<4>().ok_or(DropReason::Malformed)?;
        let began = begins(now, from, to, &mut event).ok_or(DropReason::PayloadType)?;
        packet[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&event);
        let len = to.write_made(now, Source::Conversion, began, Payload::TelephoneEvent, 0, 4, packet);
        packet[1] |= u8::from(header.marker) << 7;
        from.packets_forwarded += 1;
        let address = to.latch.address_of(destination);
        Ok(Verdict::Forward { to: partner, len, address })
    }
}
