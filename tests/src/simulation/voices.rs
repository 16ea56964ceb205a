//! What phones say in histories with real engine cores: packets that name who speaks, judged where they are heard.

use std::net::SocketAddr;

use offhook_control_core::{CallId, EngineId};
use offhook_proto::DtmfMode;
use rand::RngExt as _;

use super::engines::{SimLeg, address_of, call_of};
use super::network::PeerState;
use super::oracle::agent_of;
use super::switch::SILENCE;
use super::world::{Happening, SECOND, World};

/// What a phone has said, and when it was last heard by whom it talks with.
#[derive(Clone, Debug, Default)]
pub(super) struct Voice {
    sequence: u16,
    timestamp: u32,
    /// Since when it talks to somebody who does not hear it.
    unheard_us: Option<u64>,
}

impl World {
    /// A phone that was picked up speaks until it is hung up, or dies.
    pub(super) fn begin_to_speak(&mut self, call: CallId) {
        if self.wire.is_some() {
            let pause = self.rng.random_range(0..EVERY_US);
            self.after(pause, Happening::Speak { call });
        }
    }

    pub(super) fn on_speak(&mut self, call: CallId) {
        let Some(peer) = self.network.peers.get_mut(&call) else { return };
        if peer.state != PeerState::Up || !peer.sends() {
            return;
        }
        // One packet in eight: enough to know who is heard, and of these the filter of a parked leg passes one in four.
        peer.voice.sequence = peer.voice.sequence.wrapping_add(EVERY_PACKETS);
        peer.voice.timestamp = peer.voice.timestamp.wrapping_add(160 * u32::from(EVERY_PACKETS));
        let mut payload = [SILENCE; 160];
        payload[..8].copy_from_slice(&call.0.to_be_bytes());
        let packet = rtp(0, peer.voice.sequence, peer.voice.timestamp, call, &payload);
        self.note_silence_between(call);
        if !self.chance(1) {
            self.send_packet(call, packet);
        }
        self.after(EVERY_US, Happening::Speak { call });
    }

    /// A key as a telephone-event (RFC 4733): its beginning and its end.
    pub(super) fn send_key(&mut self, call: CallId, digit: char) {
        let Some(event) = digit.to_digit(10) else { return };
        for (end, duration) in [(0x00, 80_u16), (0x80, 800), (0x80, 800)] {
            let Some(peer) = self.network.peers.get_mut(&call) else { return };
            peer.voice.sequence = peer.voice.sequence.wrapping_add(1);
            let [high, low] = duration.to_be_bytes();
            let payload = [event as u8, end | 10, high, low];
            let packet = rtp(TELEPHONE_EVENT, peer.voice.sequence, peer.voice.timestamp, call, &payload);
            self.send_packet(call, packet);
        }
        // What follows is audio again, at a number that the filter knows.
        if let Some(peer) = self.network.peers.get_mut(&call) {
            peer.voice.sequence = peer.voice.sequence.next_multiple_of(EVERY_PACKETS);
        }
    }

    fn send_packet(&mut self, call: CallId, mut packet: Vec<u8>) {
        let Some(to) = self.network.peers.get(&call).and_then(|peer| peer.sends_to) else { return };
        let Some(engine) = self.engine_ids().find(|id| address_of(*id) == to.ip()) else { return };
        let mut passed = false;
        self.with_switch(engine, |switch, now_us| {
            passed = switch.on_packet(now_us, to, voice_address(call), &mut packet);
        });
        let now_us = self.now_us;
        let engine = self.engine(engine);
        if let Some((name, _)) = engine.leg_of(call).filter(|_| passed) {
            let name = name.clone();
            engine.asked.insert(name, (now_us, Some(0)));
        }
    }

    /// A packet leaves an engine: who speaks in it may be heard by whom it goes to.
    pub(super) fn judge_voice(&mut self, engine: EngineId, from: SocketAddr, to: SocketAddr, packet: &[u8]) {
        let Some(speaker) = speaker_of(packet) else { return };
        let legs = &self.engine(engine).legs;
        let hearer = legs.iter().find(|(_, leg)| leg.rtp == from).map(|(name, _)| name.clone());
        let speaks = legs.iter().find(|(_, leg)| leg.call == speaker).map(|(name, _)| name.clone());
        let (Some(hearer), Some(speaks)) = (hearer, speaks) else { return };
        let Some(call) = call_of(&hearer) else { return };
        if to != voice_address(call) {
            self.violate(format!("what {speaks} says goes to {to}, which is not the phone of {hearer}"));
            return;
        }
        self.outcome.heard += 1;
        if let Some(peer) = self.network.peers.get_mut(&speaker) {
            peer.voice.unheard_us = None;
        }
        let allowed = match (hearer.starts_with("a-"), speaks.starts_with("a-")) {
            (true, true) => self.may_consult([&agent_of(&hearer), &agent_of(&speaks)]),
            (true, false) => self.is_booked(speaker, &agent_of(&hearer)),
            (false, true) => self.is_booked(call, &agent_of(&speaks)),
            (false, false) => false,
        };
        if !allowed {
            self.violate(format!("{hearer} hears {speaks}, but control never booked that"));
        }
    }

    /// Whoever is spliced with an open ear, and is told nothing else, has to hear the other in the end: once the engine knows where
    /// the other is, or control could have told it.
    fn note_silence_between(&mut self, call: CallId) {
        let is_controlled = self.shell.core.is_some();
        let talks = self.fed_leg(call).is_some_and(|(engine, name)| {
            let engine = &self.engines[usize::from(engine.0)];
            let leg = &engine.legs[&name];
            let is_told = leg.has_remote || is_controlled && engine.is_reachable();
            // What is searched for keys is made anew: it does not name the speaker any more.
            let partner = leg.partner.as_ref().filter(|_| leg.dtmf != DtmfMode::Block);
            let partner = partner.and_then(|partner| engine.legs.get(partner));
            let hears = |partner: &SimLeg| partner.hears && partner.has_remote && partner.play.is_none();
            is_told && partner.is_some_and(hears)
        });
        let now_us = self.now_us;
        let Some(peer) = self.network.peers.get_mut(&call) else { return };
        if !talks {
            peer.voice.unheard_us = None;
        } else if now_us - *peer.voice.unheard_us.get_or_insert(now_us) > UNHEARD_US {
            self.violate(format!("call {call} talks, and is not heard by the other side"));
        }
    }
}

/// Where a call's phone receives and sends from: no two share a network.
pub(super) fn voice_address(call: CallId) -> SocketAddr {
    let [.., run, _, high, low] = if call.is_incoming() {
        (call.0 - CallId::FIRST_INCOMING).to_be_bytes()
    } else {
        ((((call.0 >> 32) + 1) << 24) | (call.0 & 0xFFFF)).to_be_bytes()
    };
    ([10, run, low, high], 4_000).into()
}

/// Who speaks in a packet of a phone; none in one that an engine made by itself.
fn speaker_of(packet: &[u8]) -> Option<CallId> {
    let payload = packet.get(12..).filter(|payload| payload.len() == 160)?;
    let (name, rest) = payload.split_first_chunk::<8>()?;
    let spoken = rest.iter().all(|byte| *byte == SILENCE) && *name != [SILENCE; 8];
    spoken.then(|| CallId(u64::from_be_bytes(*name)))
}

fn rtp(payload_type: u8, sequence: u16, timestamp: u32, call: CallId, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend((call.0 as u32 ^ 0x5555_0000).to_be_bytes());
    packet.extend(payload);
    packet
}

const EVERY_PACKETS: u16 = 8;
const EVERY_US: u64 = 160_000;
const TELEPHONE_EVENT: u8 = 101;
const UNHEARD_US: u64 = 4 * SECOND;
