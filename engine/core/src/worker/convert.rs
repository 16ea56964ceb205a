//! Splices between legs of different encodings or packet times: packets go into the hearer's conversion, and come out at its ticks.

use offhook_proto::DtmfMode;

use super::Worker;
use super::splice::both;
use super::spread::turn_after_packet;
use crate::leg::conversion::{Conversion, Made};
use crate::leg::encoding::{remembers, suits};
use crate::leg::stream::Source;
use crate::leg::timer::Timer;
use crate::leg::{Leg, Payload};
use crate::rtp::{HEADER_BYTES, Header};
use crate::{DropReason, LegIx, Verdict, WorkerOutput};

impl Worker {
    /// Whether a packet of `leg` reaches its partner through a conversion. Speech that may be sent on as it is ends one that has
    /// filled its pause with noise.
    pub(super) fn is_converted(
        &mut self,
        leg: LegIx,
        partner: LegIx,
        header: &Header,
        payload: Payload,
        packet: &[u8],
    ) -> bool {
        let (from, to) = both(&mut self.legs, leg, partner);
        if payload == Payload::Audio && to.conversion.as_ref().is_some_and(|made| made.fills_pause()) {
            to.break_off();
        }
        if !from.is_heard_as_it_is(to) {
            return true;
        }
        let body = &packet[header.payload_at..header.payload_at + header.payload_len];
        match payload {
            Payload::Audio => !suits(from.media.codec, body, &to.media),
            Payload::ComfortNoise => to.media.comfort_noise.is_none() && !remembers(to.media.codec),
            Payload::TelephoneEvent => false,
        }
    }

    /// Takes a packet of `leg` for its partner, which does not hear it as it is. A telephone-event is sent on at once.
    pub(super) fn convert(
        &mut self,
        leg: LegIx,
        partner: LegIx,
        header: &Header,
        payload: Payload,
        packet: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        // From now on something else is made for the partner than comes.
        self.take_back(leg);
        let now = self.now;
        let (from, to) = both(&mut self.legs, leg, partner);
        let fills_pause = payload == Payload::ComfortNoise && from.is_heard_as_it_is(to);
        if to.conversion.is_none() {
            let made = conversion(from, to, fills_pause).ok_or(DropReason::PayloadType)?;
            to.hear_through(made);
        }
        let conversion = to.conversion.as_mut().expect("it was just made");
        let filters = conversion.filters();
        let body = &packet[header.payload_at..header.payload_at + header.payload_len];
        // Noise follows on the last packet of speech, which was sent on as it came.
        let first_tick = if fills_pause { now } else { turn_after_packet(now, partner) };
        match payload {
            Payload::Audio => {
                conversion.on_audio(now, first_tick, header.sequence, header.timestamp, body);
            }
            Payload::ComfortNoise => {
                conversion.on_noise(now, first_tick, header.sequence, header.timestamp, body);
            }
            Payload::TelephoneEvent => {
                return self.pass_key(leg, partner, header, packet, |now, _, to, event| {
                    Some(to.conversion.as_mut()?.on_key(now, header.timestamp, event))
                });
            }
        }
        from.packets_forwarded += 1;
        if to.deadlines.is_off(Timer::Convert) {
            to.deadlines.set(Timer::Convert, conversion.next_tick());
            self.rewind(partner);
        }
        if payload == Payload::Audio && !filters {
            self.note_heard(leg, partner, header, false);
        }
        Ok(Verdict::Consume)
    }

    pub(super) fn on_convert_tick(&mut self, leg: LegIx, buffer: &mut [u8]) -> Option<WorkerOutput> {
        let now = self.now;
        let hearer = &mut self.legs[leg.index()];
        let conversion = hearer.conversion.as_mut()?;
        let (tick, made) = conversion.tick(now, &mut buffer[HEADER_BYTES..]);
        hearer.deadlines.set(Timer::Convert, conversion.next_tick());
        let (len, duration_ts) = match made {
            Made::Audio { len, duration_ts } => (len, duration_ts),
            Made::Key(packet) => return self.send_key(leg, tick, packet, buffer),
            Made::Nothing => return None,
            Made::Silence => {
                hearer.stream.pause(Source::Conversion);
                return None;
            }
            Made::Over => {
                hearer.break_off();
                return None;
            }
        };
        let len = hearer.on_direct(now, &mut buffer[HEADER_BYTES..HEADER_BYTES + len]).unwrap_or(len);
        let (filters, key) =
            hearer.conversion.as_ref().map_or((false, false), |c| (c.filters(), c.sounds_key()));
        let mixed = !key && hearer.supervision.as_ref().is_some_and(|part| part.is_mixed());
        let destination = hearer.latch.destination()?;
        if filters {
            self.note_made(leg, tick, HEADER_BYTES..HEADER_BYTES + len);
        }
        if mixed {
            return self.tap.is_some().then_some(WorkerOutput::Heard);
        }
        let hearer = &mut self.legs[leg.index()];
        let len = hearer.write_made(tick, Source::Conversion, tick, Payload::Audio, duration_ts, len, buffer);
        self.on_first_audio(leg, self.now);
        Some(self.transmit(leg, destination, len))
    }
}

/// What `to` hears `from` through: a `brief` one where what is sent on as it comes is only interrupted.
pub(super) fn conversion(from: &Leg, to: &Leg, brief: bool) -> Option<Conversion> {
    let filters = from.filters_keys(&to.media);
    let events = filters && from.dtmf == DtmfMode::Convert;
    Conversion::new(&from.media, &to.media, filters, events, brief)
}
