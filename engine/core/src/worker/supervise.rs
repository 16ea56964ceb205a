//! A third leg in the call of a pair: it listens, whispers to the agent, or is heard by both.
//!
//! Each of the three has a mix without itself. The pair's own packets go as ever while nobody hears the supervisor: their mixes
//! run along, so that it may be heard from one packet to the next.

use offhook_proto::{DtmfMode, Error, ErrorCode, EventBody, SuperviseEnd, SuperviseMode, Supervising};

use super::Worker;
use super::splice::{already_spliced, both};
use super::spread::turn;
use crate::leg::conversion::Made;
use crate::leg::stream::Source;
use crate::leg::supervision::{Role, Supervision, Trio};
use crate::leg::timer::Timer;
use crate::leg::{Leg, Payload};
use crate::limits::PACKET_BYTES;
use crate::rtp::{HEADER_BYTES, Header, forget_padding};
use crate::{DropReason, LegId, LegIx, Time, Verdict, WorkerOutput};

const ROLES: [Role; 3] = [Role::Supervisor, Role::Agent, Role::Customer];

impl Worker {
    pub(super) fn supervise(
        &mut self,
        supervisor: LegIx,
        agent: LegIx,
        with: Option<LegId>,
        mode: SuperviseMode,
    ) -> Result<(), Error> {
        let customer = self.partner(agent).filter(|customer| {
            with.is_none_or(|with| self.legs[customer.index()].id() == with) && *customer != supervisor
        });
        let Some(customer) = customer else {
            let name = self.legs[agent.index()].name();
            return Err(Error::new(ErrorCode::NotSpliced, format!("leg {name} is not in that call")));
        };
        if self.partner(supervisor).is_some() {
            return Err(already_spliced(self.legs[supervisor.index()].name()));
        }
        let trio = Trio { supervisor, agent, customer };
        let present = self.legs[agent.index()].supervision.as_ref().filter(|part| !part.is_ending());
        match present.map(|part| part.trio) {
            Some(present) if present == trio => {
                for role in ROLES {
                    let leg = &mut self.legs[trio.leg(role).index()];
                    if let Some(part) = &mut leg.supervision {
                        part.set_mode(self.now, mode);
                    }
                }
                return Ok(());
            }
            // The same two the other way round are another supervision.
            Some(present) if present.supervisor != supervisor => {
                let reason = "another leg supervises this call";
                return Err(Error::new(ErrorCode::AlreadySupervised, reason));
            }
            Some(_) | None => {}
        }
        let parts = self.parts(trio, mode)?;
        self.end_supervision(supervisor, SuperviseEnd::Replaced);
        self.stop_listening(supervisor);
        self.unpark(supervisor);
        self.legs[supervisor.index()].fresh = false;
        self.drop_held(supervisor, Time::NEVER);
        for (role, part) in ROLES.into_iter().zip(parts) {
            self.take_part(trio.leg(role), part);
        }
        let joined = &mut self.legs[supervisor.index()];
        if joined.player.is_none() {
            joined.break_off();
        }
        self.plan_idle(supervisor);
        Ok(())
    }

    /// Ends a supervision that a leg has a part in, if it has one. The pair goes on hearing each other.
    pub(super) fn end_supervision(&mut self, leg: LegIx, end: SuperviseEnd) {
        let Some(part) = &self.legs[leg.index()].supervision else { return };
        let (trio, ending) = (part.trio, part.is_ending());
        for role in [Role::Agent, Role::Customer] {
            if let Some(part) = &mut self.legs[trio.leg(role).index()].supervision {
                part.end(self.now);
            }
        }
        if ending {
            return;
        }
        let supervisor = &mut self.legs[trio.supervisor.index()];
        supervisor.leave_mix();
        supervisor.deadlines.stop(Timer::Mix);
        if supervisor.player.is_none() {
            supervisor.break_off();
        }
        let leg = supervisor.name().to_owned();
        let of = self.legs[trio.agent.index()].name().to_owned();
        self.plan_idle(trio.supervisor);
        self.event(EventBody::SuperviseEnded { leg, of, end });
    }

    /// Ends a supervision of a pair that is parted: there is nothing to go back to.
    pub(super) fn part_supervised(&mut self, leg: LegIx, partner: LegIx) {
        if self.legs[leg.index()].supervision.is_none() {
            return;
        }
        self.end_supervision(leg, SuperviseEnd::Parted);
        for leg in [leg, partner] {
            let parted = &mut self.legs[leg.index()];
            parted.supervision = None;
            parted.deadlines.stop(Timer::Mix);
        }
    }

    /// Makes the mixes anew after one of the three has changed its encoding.
    pub(super) fn renew_supervision(&mut self, leg: LegIx) {
        let Some(part) = &self.legs[leg.index()].supervision else { return };
        let (trio, mode, ending) = (part.trio, part.mode, part.is_ending());
        if ending {
            for leg in [trio.agent, trio.customer] {
                let left = &mut self.legs[leg.index()];
                left.supervision = None;
                left.deadlines.stop(Timer::Mix);
            }
            return;
        }
        match self.parts(trio, mode) {
            Ok(parts) => {
                for (role, part) in ROLES.into_iter().zip(parts) {
                    self.take_part(trio.leg(role), part);
                }
            }
            Err(_) => self.end_supervision(leg, SuperviseEnd::Stopped),
        }
    }

    /// What a leg supervises, and who supervises it.
    pub(super) fn supervision_of(&self, leg: LegIx) -> (Option<Supervising>, Option<String>) {
        let Some(part) = self.legs[leg.index()].supervision.as_ref().filter(|part| !part.is_ending()) else {
            return (None, None);
        };
        let name = |leg: LegIx| self.legs[leg.index()].name().to_owned();
        match part.role {
            Role::Supervisor => {
                let (of, with) = (name(part.trio.agent), name(part.trio.customer));
                (Some(Supervising { of, with, mode: part.mode }), None)
            }
            Role::Agent | Role::Customer => (None, Some(name(part.trio.supervisor))),
        }
    }

    fn parts(&self, trio: Trio, mode: SuperviseMode) -> Result<[Supervision; 3], Error> {
        let part = |role: Role| {
            let voices = trio.voices(role).map(|voice| &self.legs[voice.index()].media);
            let to = &self.legs[trio.leg(role).index()];
            let blocked = trio.voices(role).map(|voice| self.legs[voice.index()].dtmf == DtmfMode::Block);
            let mut part = Supervision::new(self.now, role, trio, mode, &to.media, voices, blocked)
                .ok_or_else(|| Error::new(ErrorCode::CodecMismatch, "the codec library makes no such mix"))?;
            if let Some(report) = to.reports.peer() {
                part.expect_loss(report.fraction_lost);
            }
            Ok(part)
        };
        Ok([part(Role::Supervisor)?, part(Role::Agent)?, part(Role::Customer)?])
    }

    fn take_part(&mut self, leg: LegIx, mut part: Supervision) {
        let first_tick = turn(self.now + 1, leg, part.ptime_us());
        part.begin(first_tick);
        let joined = &mut self.legs[leg.index()];
        joined.join_mix(&mut part);
        joined.supervision = Some(Box::new(part));
        joined.deadlines.set(Timer::Mix, first_tick);
        self.rewind(leg);
    }

    /// Takes a packet that `leg` says to `partner`, which has a part in a supervision: the supervisor hears it too, and the
    /// partner hears it in its mix or as it came.
    pub(super) fn forward_supervised(
        &mut self,
        leg: LegIx,
        partner: LegIx,
        header: &Header,
        payload: Payload,
        packet: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let at = self.now;
        let body = header.payload_at..header.payload_at + header.payload_len;
        let part = self.legs[partner.index()].supervision.as_mut().expect("it has a part");
        put_in(part, 0, at, header, payload, &packet[body.clone()]);
        let (trio, mixed, ending) = (part.trio, part.is_mixed(), part.is_ending());
        if !ending && let Some(part) = &mut self.legs[trio.supervisor.index()].supervision {
            put_in(part, usize::from(leg == trio.customer), at, header, payload, &packet[body]);
        }
        if mixed && payload == Payload::TelephoneEvent {
            return self.pass_key(leg, partner, header, packet, |now, from, to, event| {
                let part = to.supervision.as_mut()?;
                Some(part.on_key(now, header.timestamp, event, &from.media, &to.media))
            });
        }
        if self.is_converted(leg, partner, header, payload, packet) {
            return self.convert(leg, partner, header, payload, packet);
        }
        let verdict = self.pass_in_place(leg, partner, header, payload, packet)?;
        if payload == Payload::Audio {
            self.note_heard(leg, partner, header, true);
        }
        self.legs[leg.index()].packets_forwarded += 1;
        self.on_first_audio(partner, at);
        Ok(verdict)
    }

    /// Sends on a packet that needs no transcoding, unless the mix is heard in its stead.
    fn pass_in_place(
        &mut self,
        leg: LegIx,
        partner: LegIx,
        header: &Header,
        payload: Payload,
        packet: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let now = self.now;
        let (from, to) = both(&mut self.legs, leg, partner);
        let destination = to.latch.destination().ok_or(DropReason::NoRemote)?;
        let (mut payload_len, mut len) = (header.payload_len, packet.len());
        let body = &mut packet[header.payload_at..header.payload_at + payload_len];
        from.convert_for(&to.media, payload, body);
        if payload == Payload::Audio
            && let Some(blended) = to.on_direct(now, body)
        {
            (payload_len, len) = (blended, header.payload_at + blended);
            forget_padding(packet);
        }
        if to.supervision.as_ref().is_some_and(|part| part.is_mixed()) {
            return Ok(Verdict::Consume);
        }
        let Some(payload_type) = to.payload_type(payload) else {
            self.swallow(leg, partner, header);
            return Err(DropReason::PayloadType);
        };
        let numbered = from.numbered(header, payload, payload_type);
        to.stream.stamp(now, &numbered, payload_len)?.rewrite(packet);
        if payload == Payload::Audio {
            to.continuation = None;
        }
        let address = to.latch.address_of(destination);
        Ok(Verdict::Forward { to: partner, len, address })
    }

    /// Takes a packet of a leg that is not spliced: a supervisor's is heard by whom the mode says, nobody else's at all.
    pub(super) fn forward_unspliced(
        &mut self,
        leg: LegIx,
        header: &Header,
        payload: Payload,
        packet: &[u8],
    ) -> Result<Verdict, DropReason> {
        let at = self.now;
        let part = self.legs[leg.index()].supervision.as_ref().filter(|part| part.role == Role::Supervisor);
        let Some(part) = part else {
            let heard = self.legs[leg.index()].listeners.is_some();
            return if heard { Ok(Verdict::Consume) } else { Err(DropReason::NotSpliced) };
        };
        let (trio, mode) = (part.trio, part.mode);
        if mode == SuperviseMode::Listen {
            return Err(DropReason::GateClosed);
        }
        let body = &packet[header.payload_at..header.payload_at + header.payload_len];
        for role in [Role::Agent, Role::Customer] {
            if role.hears_supervisor(mode)
                && let Some(part) = &mut self.legs[trio.leg(role).index()].supervision
            {
                put_in(part, 1, at, header, payload, body);
            }
        }
        self.legs[leg.index()].packets_forwarded += 1;
        Ok(Verdict::Consume)
    }

    pub(super) fn on_mix_tick(&mut self, leg: LegIx, buffer: &mut [u8]) -> Option<WorkerOutput> {
        let now = self.now;
        let hearer = &mut self.legs[leg.index()];
        let part = hearer.supervision.as_mut()?;
        let (tick, made) = part.tick(now, &mut buffer[HEADER_BYTES..]);
        hearer.deadlines.set(Timer::Mix, part.next_tick());
        // A key that is heard or sent in another form than it came in covers the mix.
        let key = hearer.conversion.as_ref().is_some_and(|conversion| conversion.sounds_key());
        let covered = key || hearer.player.is_some();
        let (len, duration_ts) = match made {
            Made::Audio { len, duration_ts } if !covered => (len, duration_ts),
            Made::Silence => {
                hearer.stream.pause(Source::Conversion);
                return None;
            }
            Made::Over => {
                hearer.supervision = None;
                hearer.deadlines.stop(Timer::Mix);
                return None;
            }
            Made::Audio { .. } | Made::Key(_) | Made::Nothing => return None,
        };
        let destination = hearer.latch.destination()?;
        let len = hearer.write_made(tick, Source::Conversion, tick, Payload::Audio, duration_ts, len, buffer);
        Some(self.transmit(leg, destination, len))
    }
}

impl Leg {
    /// Takes note of a payload in its own encoding, of its partner, that it is sent unless its mix is. Where it is the first
    /// after the mix, blends it and returns its length.
    pub(crate) fn on_direct(&mut self, now: Time, payload: &mut [u8]) -> Option<usize> {
        let part = self.supervision.as_mut()?;
        if !part.take_return() {
            part.mix.on_direct(payload);
            return None;
        }
        let mut blended = [0; PACKET_BYTES];
        let len = part.mix.hand_back(now.0, payload, &mut blended)?;
        payload.get_mut(..len)?.copy_from_slice(&blended[..len]);
        Some(len)
    }
}

/// Puts a packet of a voice into a mix.
fn put_in(part: &mut Supervision, voice: usize, at: Time, header: &Header, payload: Payload, body: &[u8]) {
    let (sequence, timestamp) = (header.sequence, header.timestamp);
    match payload {
        Payload::Audio => part.mix.on_audio(voice, at.0, sequence, timestamp, body),
        Payload::ComfortNoise => part.mix.on_comfort_noise(voice, at.0, sequence, timestamp, body),
        Payload::TelephoneEvent => {}
    }
}
