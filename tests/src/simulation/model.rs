//! A model of an engine by its protocol: legs, splices with gates, plays; replies delayed, doubled or lost.

use std::net::SocketAddr;

use offhook_control_core::{EngineId, Input, RequestId};
use offhook_proto::{
    Command, Detected, DetectedKind, Error, ErrorCode, EventBody, LegCreate, LegCreated, LegInfo, LegList,
    LegState, PlayEnd, PlayStarted, Remote, Reply, SpliceAudio,
};
use rand::RngExt as _;

use super::engines::{SimLeg, address_of, call_of};
use super::network::PeerState;
use super::voices::voice_address;
use super::world::{Happening, World};

impl World {
    pub(super) fn on_command(&mut self, run: u64, engine: EngineId, request: RequestId, command: &Command) {
        let lost = self.chance(2);
        let executed = !lost || self.chance(50);
        let reachable = self.engine(engine).is_reachable();
        let result = if reachable && executed { Some(self.execute(engine, command)) } else { None };
        self.trace(|| format!("  engine {engine} {command:?} -> {result:?}"));
        if run != self.shell.run {
            return;
        }
        let (delay, result) = match result {
            Some(reply) if !lost => (self.rng.random_range(50..4_000_u64), Ok(reply)),
            _ => (800_000, Err(Error::new(ErrorCode::Timeout, "no reply"))),
        };
        let delay = if self.chance(1) { delay + 700_000 } else { delay };
        self.tell(delay, Input::EngineReply { request, result });
    }

    fn execute(&mut self, id: EngineId, command: &Command) -> Reply {
        match command {
            Command::LegCreate(create) => self.create(id, create),
            Command::LegDelete(delete) => self.of_leg(id, &delete.leg, |world| {
                world.part(id, &delete.leg);
                world.engine(id).legs.remove(&delete.leg);
                Reply::done()
            }),
            Command::LegUpdate(update) => match self.engine(id).legs.get_mut(&update.leg) {
                Some(leg) => {
                    let learns = update.remote.is_some() && !leg.has_remote;
                    leg.has_remote |= learns;
                    leg.dtmf = update.dtmf.unwrap_or(leg.dtmf);
                    if learns {
                        self.listen_for_silence(id, update.leg.clone());
                    }
                    Reply::done()
                }
                None => not_found(),
            },
            Command::LegQuery(query) => self.query(id, &query.leg),
            Command::LegList(_) => {
                let legs: Vec<String> = self.engine(id).legs.keys().cloned().collect();
                let total = legs.len() as u64;
                Reply::ok(&LegList { legs, more: false, total })
            }
            Command::LegPark(park) => match self.engine(id).legs.get_mut(&park.leg) {
                Some(leg) if leg.partner.is_none() => {
                    leg.parked = true;
                    Reply::done()
                }
                Some(_) => Reply::Error(Error::new(ErrorCode::AlreadySpliced, "spliced")),
                None => not_found(),
            },
            Command::Splice(splice) => self.splice(id, splice),
            Command::Unsplice(unsplice) => self.of_leg(id, &unsplice.leg, |world| {
                world.part(id, &unsplice.leg);
                for leg in &unsplice.park {
                    if let Some(leg) = world.engine(id).legs.get_mut(leg) {
                        leg.parked = true;
                    }
                }
                Reply::done()
            }),
            Command::Play(play) => {
                let Some(leg) = self.engine(id).legs.get_mut(&play.leg) else { return not_found() };
                let replaced = leg.play.replace(play.play.clone());
                leg.spoken.clone_from(&play.sources);
                if let Some(replaced) = replaced {
                    let (leg, end) = (play.leg.clone(), PlayEnd::Replaced);
                    self.raise(id, 500, EventBody::PlayEnded { leg, play: replaced, end });
                }
                if play.times > 0 {
                    let length = self.between_ms(300, 2_500);
                    let (leg, play) = (play.leg.clone(), play.play.clone());
                    let instance = self.engine(id).instance;
                    self.after(length, Happening::PlayEnds { engine: id, instance, leg, play });
                }
                Reply::ok(&PlayStarted { play: play.play.clone(), duration_ms: None })
            }
            Command::PlayStop(stop) => match self.engine(id).legs.get_mut(&stop.leg) {
                Some(leg) => {
                    leg.play = None;
                    Reply::done()
                }
                None => not_found(),
            },
            Command::DetectStart(start) => self.of_leg(id, &start.leg, |world| {
                world.detect(id, &start.leg);
                Reply::done()
            }),
            Command::DetectStop(stop) => self.of_leg(id, &stop.leg, |_| Reply::done()),
            _ => Reply::Error(Error::new(ErrorCode::BadRequest, "not in this model")),
        }
    }

    /// What a command to one leg comes to.
    fn of_leg(&mut self, id: EngineId, leg: &str, done: impl FnOnce(&mut Self) -> Reply) -> Reply {
        if self.engine(id).legs.contains_key(leg) { done(self) } else { not_found() }
    }

    fn create(&mut self, id: EngineId, create: &LegCreate) -> Reply {
        let name = create.leg.as_str();
        if let Some(leg) = self.engine(id).legs.get(name)
            && leg.created_as.as_deref() != Some(create)
        {
            return Reply::Error(Error::new(ErrorCode::LegExists, "with other parameters"));
        }
        if !self.engine(id).legs.contains_key(name) {
            if self.chance(1) {
                self.oracle.refused.insert(name.to_owned());
                return Reply::Error(Error::new(ErrorCode::OutOfPorts, "no port left"));
            }
            let Some(call) = call_of(name) else {
                return Reply::Error(Error::new(ErrorCode::BadValue, name));
            };
            let now_us = self.now_us;
            let engine = self.engine(id);
            engine.next_port = engine.next_port.wrapping_add(2) | 1024;
            let rtp = SocketAddr::new(address_of(id), engine.next_port);
            let leg = SimLeg {
                call,
                created_as: Some(Box::new(create.clone())),
                rtp,
                has_remote: create.remote.is_some(),
                parked: create.park,
                partner: None,
                hears: false,
                play: None,
                spoken: Vec::new(),
                dtmf: create.dtmf,
                created_us: now_us,
                silent_after_us: u64::from(create.silent_after_ms) * 1_000,
            };
            engine.legs.insert(name.to_owned(), leg);
            let answered = self.network.peers.get(&call).is_some_and(|peer| peer.answered_us.is_some());
            if answered {
                self.listen_for_silence(id, name.to_owned());
            }
        }
        let rtp = self.engine(id).legs.get(name).map(|leg| leg.rtp).expect("it is there by now");
        let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
        Reply::ok(&LegCreated { leg: name.to_owned(), rtp, rtcp, worker: 0, ssrc: 1 })
    }

    /// A leg hears nothing from now on, unless its phone speaks.
    pub(super) fn listen_for_silence(&mut self, id: EngineId, leg: String) {
        let engine = self.engine(id);
        let (instance, after_us) =
            (engine.instance, engine.legs.get(&leg).map_or(0, |leg| leg.silent_after_us));
        if after_us > 0 {
            self.after(after_us, Happening::Silence { engine: id, instance, leg });
        }
    }

    /// A phone has had time to be heard: it stopped sending, or its leg was opened under a call that was up already, or was told of it.
    pub(super) fn on_silence(&mut self, id: EngineId, instance: u64, name: String) {
        let engine = self.engine(id);
        let Some(leg) = engine.legs.get(&name).filter(|_| engine.instance == instance) else { return };
        let (call, silent_ms) = (leg.call, leg.silent_after_us / 1_000);
        let fed = self.fed_leg(call).is_some_and(|(engine, _)| engine == id);
        let peer = self.network.peers.get(&call);
        let sends = peer.is_some_and(|peer| peer.state == PeerState::Up && peer.sends());
        if !fed || !sends {
            self.raise(id, 0, EventBody::LegSilent { leg: name, silent_ms });
        }
    }

    /// A phone sends to a leg from now on.
    pub(super) fn begin_to_hear(&mut self, id: EngineId, name: String) {
        let partner = self.engine(id).legs.get(&name).and_then(|leg| leg.partner.clone());
        let hears = partner.filter(|partner| self.engine(id).legs.get(partner).is_some_and(|leg| leg.hears));
        if let Some(to) = hears {
            let audio = SpliceAudio { from: name.clone(), to, after_us: 9_000, dropped_packets: 0 };
            self.raise(id, 2_000, EventBody::SpliceAudio(audio));
        }
        self.raise(id, 1_000, EventBody::LegAlive { leg: name });
    }

    fn splice(&mut self, id: EngineId, splice: &offhook_proto::Splice) -> Reply {
        let legs = &mut self.engine(id).legs;
        if !legs.contains_key(&splice.a) || !legs.contains_key(&splice.b) {
            return not_found();
        }
        let joined = legs.get(&splice.a).and_then(|leg| leg.partner.clone());
        if joined.as_deref() != Some(&splice.b) {
            self.part(id, &splice.a);
            self.part(id, &splice.b);
        }
        let legs = &mut self.engine(id).legs;
        if let Some(a) = legs.get_mut(&splice.a) {
            a.parked = false;
            a.partner = Some(splice.b.clone());
            a.hears = splice.a_hears_b;
        }
        if let Some(b) = legs.get_mut(&splice.b) {
            b.parked = false;
            b.partner = Some(splice.a.clone());
            b.hears = splice.b_hears_a;
        }
        if splice.a_hears_b && splice.b_hears_a {
            for (from, to) in [(&splice.a, &splice.b), (&splice.b, &splice.a)] {
                let (from, to) = (from.clone(), to.clone());
                let fed = call_of(&from).and_then(|call| self.fed_leg(call));
                if fed.is_some_and(|(engine, _)| engine == id) {
                    let audio = SpliceAudio { from, to, after_us: 9_000, dropped_packets: 0 };
                    self.raise(id, 20_000, EventBody::SpliceAudio(audio));
                }
            }
        }
        Reply::done()
    }

    /// What is found on a leg, at any moment: none, one or many, whether it fits or not.
    fn detect(&mut self, engine: EngineId, name: &str) {
        let kinds = [
            DetectedKind::Person,
            DetectedKind::Person,
            DetectedKind::Person,
            DetectedKind::NotSure,
            DetectedKind::Machine,
            DetectedKind::Machine,
            DetectedKind::Beep,
            DetectedKind::Fax,
            DetectedKind::Sit,
            DetectedKind::Busy,
            DetectedKind::Reorder,
            DetectedKind::DialTone,
            DetectedKind::Ringback,
        ];
        let Some(call) = call_of(name) else { return };
        for _ in 0..self.rng.random_range(0..4_u32) {
            let kind = kinds[self.rng.random_range(0..kinds.len())];
            let delay_us = self.between_ms(1, 9_000);
            let found = Detected {
                leg: name.to_owned(),
                kind,
                cause: None,
                after_ms: delay_us / 1_000,
                frequency_hz: None,
                duration_ms: None,
            };
            if !matches!(kind, DetectedKind::Person | DetectedKind::NotSure) {
                self.oracle.machines.insert(call, self.now_us + delay_us);
            }
            self.raise(engine, delay_us, EventBody::Detected(found));
        }
    }

    fn part(&mut self, id: EngineId, name: &str) {
        let legs = &mut self.engine(id).legs;
        let partner = legs.get_mut(name).and_then(|leg| leg.partner.take());
        if let Some(partner) = partner.and_then(|partner| legs.get_mut(&partner)) {
            partner.partner = None;
            partner.hears = false;
        }
        if let Some(leg) = legs.get_mut(name) {
            leg.hears = false;
        }
    }

    fn query(&mut self, id: EngineId, name: &str) -> Reply {
        let age_us = self.packet_age_us(id, name);
        let now_us = self.now_us;
        let engine = self.engine(id);
        // Of two queries at once either may be the proof: the one with the later packet counts. Whoever was asked last has the leg.
        let before_us = engine.asked.get(name).and_then(|(at_us, age_us)| at_us.checked_sub((*age_us)?));
        let proved_us =
            age_us.map(|age_us| before_us.map_or(age_us, |heard_us| age_us.min(now_us - heard_us)));
        engine.asked.insert(name.to_owned(), (now_us, proved_us));
        let Some(leg) = engine.legs.get(name) else { return not_found() };
        let partner = leg.partner.as_ref().and_then(|partner| engine.legs.get(partner));
        let state = match (&leg.partner, leg.parked) {
            (Some(_), _) => LegState::Spliced,
            (None, true) => LegState::Parked,
            (None, false) => LegState::Idle,
        };
        Reply::ok(&LegInfo {
            owner: Some("control".into()),
            state,
            spliced_to: leg.partner.clone(),
            hears: leg.hears,
            heard: partner.is_some_and(|partner| partner.hears),
            playing: leg.play.clone(),
            dtmf: leg.dtmf,
            remote: leg.has_remote.then(|| Remote { rtp: voice_address(leg.call), rtcp: None }),
            age_ms: (now_us - leg.created_us) / 1_000,
            last_packet_ms: age_us.map(|age| age / 1_000),
            ..LegInfo::new(name, leg.rtp, SocketAddr::new(leg.rtp.ip(), leg.rtp.port() + 1))
        })
    }

    pub(super) fn on_play_ends(&mut self, id: EngineId, instance: u64, leg: String, play: String) {
        let engine = self.engine(id);
        if instance != engine.instance {
            return;
        }
        let Some(found) = engine.legs.get_mut(&leg).filter(|leg| leg.play.as_ref() == Some(&play)) else {
            return;
        };
        found.play = None;
        let delay = self.rng.random_range(100..4_000_u64);
        self.raise(id, delay, EventBody::PlayEnded { leg, play, end: PlayEnd::Finished });
    }
}

fn not_found() -> Reply {
    Reply::Error(Error::new(ErrorCode::LegNotFound, "no such leg"))
}
