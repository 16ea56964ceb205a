//! The path of a packet: judged, measured, rewritten where it lies.

use std::net::SocketAddr;

use offhook_proto::{EventBody, SpliceAudio};

use super::Worker;
use super::splice::both;
use crate::leg::encoding::event_rate;
use crate::leg::latch::Admission;
use crate::leg::stream::Source;
use crate::leg::timer::Timer;
use crate::leg::{Leg, Payload, count};
use crate::rtcp;
use crate::rtp::{Header, is_rtcp};
use crate::{DropReason, LegIx, Socket, Time, Verdict, WorkerOutput};

/// Why a packet was not sent on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Setback {
    Reason(DropReason),
    /// Packets that were held come before it.
    Behind,
}

impl From<DropReason> for Setback {
    fn from(reason: DropReason) -> Self {
        Self::Reason(reason)
    }
}

impl Worker {
    /// Takes one RTP packet as received by `leg` and rewrites it in place for whoever hears it.
    pub fn handle_rtp(&mut self, now: Time, leg: LegIx, source: SocketAddr, packet: &mut [u8]) -> Verdict {
        self.now = now;
        self.tap = None;
        let Some(mut from) = self.legs.get_mut(leg.index()) else { return Verdict::Consume };
        if from.handover.is_some() {
            self.on_passed_up(leg, source, packet);
            from = &mut self.legs[leg.index()];
        }
        self.totals.received += 1;
        from.packets_received += 1;
        let packet = match &mut from.secure {
            None => packet,
            Some(secure) if !packet.is_empty() => {
                let reports = from.rtcp_mux && is_rtcp(packet);
                let opened = match secure.open(reports, packet) {
                    Err(reason @ (DropReason::AuthFailed | DropReason::Replayed))
                        if !reports && from.latch.may_be_peer(source) =>
                    {
                        secure.open_rolled_over(now, reason, packet)
                    }
                    opened => opened,
                };
                match opened {
                    Ok(len) => &mut packet[..len],
                    Err(reason) => return self.hold_or_drop(leg, now, source, reason, packet),
                }
            }
            Some(_) => packet,
        };
        match self.judge(leg, now, source, packet) {
            Ok(verdict) => verdict,
            Err(Setback::Reason(reason)) => self.hold_or_drop(leg, now, source, reason, packet),
            Err(Setback::Behind) => self.hold_behind(leg, now, source, packet),
        }
    }

    /// Judges a packet that came at a moment, now or before, and rewrites it for whoever hears it.
    pub(super) fn judge(
        &mut self,
        leg: LegIx,
        at: Time,
        source: SocketAddr,
        packet: &mut [u8],
    ) -> Result<Verdict, Setback> {
        let from = &mut self.legs[leg.index()];
        let header = Header::parse(packet);
        let reports = is_rtcp(packet);
        let sound = if reports { rtcp::parse(packet, |_| {}) } else { header.is_some() || packet.is_empty() };
        if !sound {
            return Err(DropReason::Malformed.into());
        }
        // What is no audio must not teach the latch.
        let admission = match (header, reports) {
            (Some(_), false) => from.latch.admit(at, source),
            _ if from.latch.peer() == Some(source) => Admission::Known,
            _ => Admission::Refused,
        };
        match admission {
            Admission::Known => {}
            Admission::Believed { instead } | Admission::Learnt { instead } => {
                self.on_peer(leg, source, instead);
                if self.release(leg) && !self.is_stale(leg, at) {
                    return Err(Setback::Behind);
                }
            }
            Admission::Refused => return Err(DropReason::Stranger.into()),
        }
        self.on_alive(leg);
        match header {
            _ if reports => {
                self.on_reports(leg, packet);
                Ok(Verdict::Consume)
            }
            Some(header) => Ok(self.on_media(leg, at, header, packet)?),
            None => Ok(Verdict::Consume),
        }
    }

    fn on_media(
        &mut self,
        leg: LegIx,
        at: Time,
        header: Header,
        packet: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let from = &mut self.legs[leg.index()];
        from.bytes_received += header.payload_len as u64;
        let in_order = from.receive.on_packet(header.ssrc, header.sequence);
        if from.parked.is_some() {
            self.on_parked_packet(leg, header.sequence);
        }
        let from = &mut self.legs[leg.index()];
        let payload = from.payload(header.payload_type).ok_or(DropReason::PayloadType)?;
        from.on_voice(self.now, payload);
        if let Some(detect) = &mut from.detect {
            let body = &packet[header.payload_at..header.payload_at + header.payload_len];
            match payload {
                Payload::Audio => {
                    detect.on_audio(self.now, header.ssrc, header.sequence, header.timestamp, body);
                }
                Payload::ComfortNoise => detect.on_noise(self.now, header.sequence, header.timestamp, body),
                Payload::TelephoneEvent => detect.on_event(header.ssrc),
            }
        }
        let listened_to = from.listeners.is_some();
        match payload {
            Payload::Audio if in_order => from.receive.on_timing(at, header.timestamp, from.clock_rate()),
            Payload::Audio | Payload::ComfortNoise => {}
            Payload::TelephoneEvent => self.on_telephone_event(leg, &header, packet),
        }
        if listened_to {
            self.copy(leg, &header, payload, packet);
        }
        self.send_on(leg, &header, payload, packet)
    }

    /// Rewrites a packet that was admitted for the partner.
    pub(super) fn send_on(
        &mut self,
        leg: LegIx,
        header: &Header,
        payload: Payload,
        packet: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let verdict = self.forward(leg, header, payload, packet)?;
        self.totals.forwarded += 1;
        Ok(verdict)
    }

    /// Rewrites a packet for the partner of `leg`, or gives it to the partner's conversion.
    fn forward(
        &mut self,
        leg: LegIx,
        header: &Header,
        payload: Payload,
        packet: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let Some(half) = self.legs[leg.index()].splice else {
            return self.forward_unspliced(leg, header, payload, packet);
        };
        let partner = half.partner;
        if payload == Payload::TelephoneEvent && self.keep_key(leg, partner, header) {
            return Ok(Verdict::Consume);
        }
        let to = &mut self.legs[partner.index()];
        let half = to.splice.as_mut().expect("a splice has two halves");
        if !half.hears {
            return Err(DropReason::GateClosed);
        }
        if to.player.is_some() {
            return Err(DropReason::Covered);
        }
        let destination = to.latch.destination().ok_or(DropReason::NoRemote)?;
        if to.supervision.is_some() {
            return self.forward_supervised(leg, partner, header, payload, packet);
        }
        if self.is_converted(leg, partner, header, payload, packet) {
            return self.convert(leg, partner, header, payload, packet);
        }
        let (from, to) = both(&mut self.legs, leg, partner);
        let Some(payload_type) = to.payload_type(payload) else {
            self.swallow(leg, partner, header);
            return Err(DropReason::PayloadType);
        };
        let numbered = from.numbered(header, payload, payload_type);
        to.stream.stamp(self.now, &numbered, header.payload_len)?.rewrite(packet);
        let body = &mut packet[header.payload_at..header.payload_at + header.payload_len];
        from.convert_for(&to.media, payload, body);
        from.packets_forwarded += 1;
        let address = to.latch.address_of(destination);
        if payload == Payload::Audio {
            to.continuation = None;
            self.note_heard(leg, partner, header, true);
        }
        self.on_first_audio(partner, self.now);
        Ok(Verdict::Forward { to: partner, len: packet.len(), address })
    }

    /// Leaves out a packet of `leg` in what its partner hears, without a gap.
    pub(super) fn swallow(&mut self, leg: LegIx, partner: LegIx, header: &Header) {
        // The shifts change with it.
        self.take_back(leg);
        self.legs[partner.index()].stream.swallow(Source::Partner(header.ssrc), header.sequence);
    }

    /// Takes note that a leg has been sent a packet of its partner's, and tells the first time.
    pub(super) fn on_first_audio(&mut self, leg: LegIx, at: Time) {
        let to = &mut self.legs[leg.index()];
        let Some(half) = &mut to.splice else { return };
        half.heard_at = Some(at);
        let Some(awaits) = half.awaits.take() else { return };
        let partner = half.partner;
        let from = &self.legs[partner.index()];
        let body = EventBody::SpliceAudio(SpliceAudio {
            from: from.name().to_owned(),
            to: self.legs[leg.index()].name().to_owned(),
            after_us: at.since(awaits.since),
            dropped_packets: dropped_since(from, awaits.drops_before),
        });
        self.event(body);
    }

    /// Takes note of whom a leg hears from now on, which may be another one than before.
    fn on_peer(&mut self, leg: LegIx, source: SocketAddr, instead: bool) {
        if instead && let Some(partner) = self.partner(leg) {
            // What the other one has said under the same SSRC must not make this one's late.
            self.legs[partner.index()].break_off();
        }
        let heard = &mut self.legs[leg.index()];
        let learnt = heard.latch.latched().is_some();
        if learnt && !std::mem::replace(&mut heard.latch.rtp_connected, true) {
            self.output(WorkerOutput::Connect { leg, socket: Socket::Rtp, address: source });
        }
        let heard = &mut self.legs[leg.index()];
        if heard.latch.is_news(source) {
            let body = EventBody::LegLatched { leg: heard.name().to_owned(), source };
            self.event(body);
        }
    }

    /// Takes note that a packet of the peer came.
    pub(super) fn on_alive(&mut self, leg: LegIx) {
        let alive = &mut self.legs[leg.index()];
        if alive.on_alive(self.now) {
            alive.watch_silence();
            let body = EventBody::LegAlive { leg: alive.name().to_owned() };
            self.rewind(leg);
            self.event(body);
        }
    }

    fn on_telephone_event(&mut self, leg: LegIx, header: &Header, packet: &[u8]) {
        let pressed = &mut self.legs[leg.index()];
        let payload = &packet[header.payload_at..header.payload_at + header.payload_len];
        let event_rate = event_rate(&pressed.media);
        let digit = pressed.digits.on_event(self.now, header.timestamp, payload, event_rate);
        // The timer is only moved on when it fires, not with every packet of a key.
        if pressed.deadlines.is_off(Timer::Digit)
            && let Some(deadline) = pressed.digits.deadline()
        {
            pressed.deadlines.set(Timer::Digit, deadline);
            self.rewind(leg);
        }
        if let Some(digit) = digit {
            self.release_tone(leg, digit);
            self.on_digit(leg, digit);
        }
    }

    pub(super) fn dropped(&mut self, leg: LegIx, at: Time, reason: DropReason) -> Verdict {
        count(&mut self.totals.drops, reason);
        self.legs[leg.index()].count_drop(at, reason);
        Verdict::Drop(reason)
    }
}

fn dropped_since(from: &Leg, before: u64) -> u32 {
    u32::try_from(from.recent_drops.count() - before).unwrap_or(u32::MAX)
}
