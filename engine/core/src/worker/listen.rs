//! Legs that hear a copy of what another one says, beside whoever is spliced to it.

use offhook_proto::{DtmfMode, Error, ErrorCode, SuperviseEnd};

use super::Worker;
use super::splice::already_spliced;
use super::spread::turn_after_packet;
use crate::leg::conversion::Conversion;
use crate::leg::timer::Timer;
use crate::leg::{Leg, Payload};
use crate::limits::LISTENERS;
use crate::rtp::Header;
use crate::{LegIx, Time};

impl Worker {
    /// Lets a leg hear another one, in place of one that it listens to.
    pub(super) fn listen(&mut self, listener: LegIx, of: LegIx) -> Result<(), Error> {
        if self.partner(listener).is_some() {
            return Err(already_spliced(self.legs[listener.index()].name()));
        }
        if self.legs[listener.index()].listens_to == Some(of) {
            return Ok(());
        }
        let heard = &self.legs[of.index()];
        if heard.listeners.as_ref().is_some_and(|listeners| listeners.len() >= LISTENERS) {
            let reason = format!("{LISTENERS} legs listen to {} already", heard.name());
            return Err(Error::new(ErrorCode::Busy, reason));
        }
        let conversion = self.copying(listener, of).ok_or_else(|| {
            Error::new(ErrorCode::CodecMismatch, "the codec library makes no such conversion")
        })?;
        if self.legs[listener.index()].supervises() {
            self.end_supervision(listener, SuperviseEnd::Replaced);
        }
        self.stop_listening(listener);
        self.unpark(listener);
        self.legs[listener.index()].fresh = false;
        self.drop_held(listener, Time::NEVER);
        let joined = &mut self.legs[listener.index()];
        if joined.player.is_none() {
            joined.break_off();
        }
        joined.listens_to = Some(of);
        joined.hear_through(conversion);
        self.legs[of.index()].listeners.get_or_insert_default().push(listener);
        self.plan_idle(listener);
        Ok(())
    }

    /// Ends what a leg listens to, if it does.
    pub(super) fn stop_listening(&mut self, listener: LegIx) {
        let left = &mut self.legs[listener.index()];
        let Some(of) = left.listens_to.take() else { return };
        if left.player.is_none() {
            left.break_off();
        }
        let heard = &mut self.legs[of.index()];
        if let Some(listeners) = &mut heard.listeners {
            listeners.retain(|one| *one != listener);
        }
        heard.listeners.take_if(|listeners| listeners.is_empty());
        self.plan_idle(listener);
    }

    /// Parts a leg that leaves from those that listen to it, and from whom it listens to.
    pub(super) fn part_listeners(&mut self, leg: LegIx) {
        self.stop_listening(leg);
        for listener in self.listeners(leg) {
            self.stop_listening(listener);
        }
    }

    /// What listeners hear of a leg goes another way from now on.
    pub(super) fn renew_copies(&mut self, leg: LegIx) {
        for listener in self.listeners(leg) {
            self.legs[listener.index()].break_off();
        }
    }

    /// Gives a packet of a leg to those that listen to it.
    pub(super) fn copy(&mut self, leg: LegIx, header: &Header, payload: Payload, packet: &[u8]) {
        let parked = self.legs[leg.index()].parked.is_some();
        if parked || payload == Payload::TelephoneEvent {
            return;
        }
        let listeners = self.legs[leg.index()].listeners.take();
        for &listener in listeners.iter().flat_map(|listeners| listeners.iter()) {
            self.copy_to(leg, listener, header, payload, packet);
        }
        self.legs[leg.index()].listeners = listeners;
        if payload == Payload::Audio {
            self.note_copied(leg, header);
        }
    }

    /// Who hears a leg on behalf of all that listen to it, where nobody else hears it; none when nobody does at all.
    pub(super) fn ear(&self, leg: LegIx) -> Option<LegIx> {
        let hears = |leg: &Leg| leg.splice.is_some_and(|half| half.hears) && leg.may_hear();
        if self.partner(leg).is_some_and(|partner| hears(&self.legs[partner.index()])) {
            return None;
        }
        let from = &self.legs[leg.index()];
        let mut listeners = from.listeners.iter().flat_map(|listeners| listeners.iter()).copied();
        listeners.find(|ear| from.parked.is_none() && self.legs[ear.index()].may_hear())
    }

    fn copy_to(&mut self, of: LegIx, listener: LegIx, header: &Header, payload: Payload, packet: &[u8]) {
        let now = self.now;
        let hearer = &self.legs[listener.index()];
        if !hearer.may_hear() {
            return;
        }
        if hearer.conversion.is_none() {
            let Some(made) = self.copying(listener, of) else { return };
            self.legs[listener.index()].hear_through(made);
        }
        let hearer = &mut self.legs[listener.index()];
        let Some(conversion) = &mut hearer.conversion else { return };
        let body = &packet[header.payload_at..header.payload_at + header.payload_len];
        let first_tick = turn_after_packet(now, listener);
        if payload == Payload::Audio {
            conversion.on_audio(now, first_tick, header.sequence, header.timestamp, body);
        } else {
            conversion.on_noise(now, first_tick, header.sequence, header.timestamp, body);
        }
        if hearer.deadlines.is_off(Timer::Convert) {
            hearer.deadlines.set(Timer::Convert, conversion.next_tick());
            self.rewind(listener);
        }
    }

    /// What a listener hears a leg through.
    fn copying(&self, listener: LegIx, of: LegIx) -> Option<Conversion> {
        let (from, to) = (&self.legs[of.index()], &self.legs[listener.index()]);
        Conversion::new(&from.media, &to.media, from.dtmf == DtmfMode::Block, false, false)
    }

    fn listeners(&self, leg: LegIx) -> Vec<LegIx> {
        self.legs[leg.index()].listeners.as_ref().map_or_else(Vec::new, |listeners| listeners.to_vec())
    }
}
