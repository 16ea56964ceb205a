//! A model of the engine by its protocol: legs, splices with gates, plays; replies delayed, doubled or lost.

use std::collections::BTreeMap;

use offhook_control_core::{CallId, EngineId, Input, RequestId};
use offhook_proto::{
    Command, Detected, DetectedKind, Error, ErrorCode, EventBody, LegCreated, LegInfo, LegList, LegState,
    Media, PlayEnd, PlaySource, PlayStarted, Reply, SpliceAudio,
};
use rand::RngExt as _;

use super::world::{Happening, World};

#[derive(Debug, Default)]
pub(super) struct SimEngine {
    pub(super) instance: u64,
    pub(super) down: bool,
    pub(super) reachable: bool,
    pub(super) legs: BTreeMap<String, SimLeg>,
    pub(super) next_port: u16,
    /// When it was last asked about a leg, and how old the leg's last packet was then, in microseconds.
    pub(super) asked: BTreeMap<String, (u64, Option<u64>)>,
}

#[derive(Clone, Debug)]
pub(super) struct SimLeg {
    pub(super) call: CallId,
    port: u16,
    parked: bool,
    pub(super) partner: Option<String>,
    /// Hears its partner.
    pub(super) hears: bool,
    pub(super) play: Option<String>,
    /// What was played last.
    pub(super) spoken: Vec<PlaySource>,
}

impl World {
    pub(super) fn on_command(&mut self, run: u64, request: RequestId, command: &Command) {
        let lost = self.chance(2);
        let executed = !lost || self.chance(50);
        let reachable = self.engine.reachable && !self.engine.down;
        let result = if reachable && executed { Some(self.execute(command)) } else { None };
        self.trace(|| format!("  engine {command:?} -> {result:?}"));
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

    fn execute(&mut self, command: &Command) -> Reply {
        match command {
            Command::LegCreate(create) => self.create(&create.leg, create.park),
            Command::LegDelete(delete) => match self.engine.legs.contains_key(&delete.leg) {
                true => {
                    self.part(&delete.leg);
                    self.engine.legs.remove(&delete.leg);
                    Reply::done()
                }
                false => not_found(),
            },
            Command::LegUpdate(update) => match self.engine.legs.contains_key(&update.leg) {
                true => Reply::done(),
                false => not_found(),
            },
            Command::LegQuery(query) => {
                let age = self.packet_age_us(&query.leg);
                let now_us = self.now_us;
                self.engine.asked.insert(query.leg.clone(), (now_us, age));
                self.about(&query.leg)
            }
            Command::LegList(_) => {
                let legs: Vec<String> = self.engine.legs.keys().cloned().collect();
                let total = legs.len() as u64;
                Reply::ok(&LegList { legs, more: false, total })
            }
            Command::LegPark(park) => match self.engine.legs.get_mut(&park.leg) {
                Some(leg) if leg.partner.is_none() => {
                    leg.parked = true;
                    Reply::done()
                }
                Some(_) => Reply::Error(Error::new(ErrorCode::AlreadySpliced, "spliced")),
                None => not_found(),
            },
            Command::Splice(splice) => self.splice(splice),
            Command::Unsplice(unsplice) => {
                if !self.engine.legs.contains_key(&unsplice.leg) {
                    return not_found();
                }
                self.part(&unsplice.leg);
                for leg in &unsplice.park {
                    if let Some(leg) = self.engine.legs.get_mut(leg) {
                        leg.parked = true;
                    }
                }
                Reply::done()
            }
            Command::Play(play) => {
                let Some(leg) = self.engine.legs.get_mut(&play.leg) else { return not_found() };
                leg.play = Some(play.play.clone());
                leg.spoken.clone_from(&play.sources);
                if play.times > 0 {
                    let length = self.between_ms(300, 2_500);
                    let (leg, play) = (play.leg.clone(), play.play.clone());
                    let instance = self.engine.instance;
                    self.after(length, Happening::PlayEnds { instance, leg, play });
                }
                Reply::ok(&PlayStarted { play: play.play.clone(), duration_ms: None })
            }
            Command::PlayStop(stop) => match self.engine.legs.get_mut(&stop.leg) {
                Some(leg) => {
                    leg.play = None;
                    Reply::done()
                }
                None => not_found(),
            },
            Command::DetectStart(start) => match self.engine.legs.contains_key(&start.leg) {
                true => {
                    self.detect(&start.leg);
                    Reply::done()
                }
                false => not_found(),
            },
            Command::DetectStop(stop) => match self.engine.legs.contains_key(&stop.leg) {
                true => Reply::done(),
                false => not_found(),
            },
            _ => Reply::Error(Error::new(ErrorCode::BadRequest, "not in this model")),
        }
    }

    fn create(&mut self, name: &str, park: bool) -> Reply {
        if !self.engine.legs.contains_key(name) {
            if self.chance(1) {
                return Reply::Error(Error::new(ErrorCode::OutOfPorts, "no port left"));
            }
            let Some(call) = call_of(name) else {
                return Reply::Error(Error::new(ErrorCode::BadValue, name));
            };
            self.engine.next_port = self.engine.next_port.wrapping_add(2) | 1024;
            let port = self.engine.next_port;
            let leg = SimLeg {
                call,
                port,
                parked: park,
                partner: None,
                hears: false,
                play: None,
                spoken: Vec::new(),
            };
            self.engine.legs.insert(name.to_owned(), leg);
        }
        let port = self.engine.legs.get(name).map_or(0, |leg| leg.port);
        Reply::ok(&LegCreated {
            leg: name.to_owned(),
            rtp: ([127, 0, 0, 1], port).into(),
            rtcp: ([127, 0, 0, 1], port + 1).into(),
            worker: 0,
            ssrc: 1,
        })
    }

    fn splice(&mut self, splice: &offhook_proto::Splice) -> Reply {
        if !self.engine.legs.contains_key(&splice.a) || !self.engine.legs.contains_key(&splice.b) {
            return not_found();
        }
        let joined = self.engine.legs.get(&splice.a).and_then(|leg| leg.partner.clone());
        if joined.as_deref() != Some(&splice.b) {
            self.part(&splice.a);
            self.part(&splice.b);
        }
        if let Some(a) = self.engine.legs.get_mut(&splice.a) {
            a.parked = false;
            a.partner = Some(splice.b.clone());
            a.hears = splice.a_hears_b;
        }
        if let Some(b) = self.engine.legs.get_mut(&splice.b) {
            b.parked = false;
            b.partner = Some(splice.a.clone());
            b.hears = splice.b_hears_a;
        }
        if splice.a_hears_b && splice.b_hears_a {
            for (from, to) in [(&splice.a, &splice.b), (&splice.b, &splice.a)] {
                let (from, to) = (from.clone(), to.clone());
                let audio = SpliceAudio { from, to, after_us: 9_000, dropped_packets: 0 };
                self.tell(
                    20_000,
                    Input::EngineEvent { engine: EngineId(0), event: EventBody::SpliceAudio(audio) },
                );
            }
        }
        Reply::done()
    }

    /// What is found on a leg, at any moment: none, one or many, whether it fits or not.
    fn detect(&mut self, name: &str) {
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
            let event = EventBody::Detected(found);
            self.tell(delay_us, Input::EngineEvent { engine: EngineId(0), event });
        }
    }

    fn part(&mut self, name: &str) {
        let partner = self.engine.legs.get_mut(name).and_then(|leg| leg.partner.take());
        if let Some(partner) = partner.and_then(|partner| self.engine.legs.get_mut(&partner)) {
            partner.partner = None;
            partner.hears = false;
        }
        if let Some(leg) = self.engine.legs.get_mut(name) {
            leg.hears = false;
        }
    }

    fn about(&mut self, name: &str) -> Reply {
        match self.info(name) {
            Some(info) => Reply::ok(&info),
            None => not_found(),
        }
    }

    fn info(&mut self, name: &str) -> Option<LegInfo> {
        let age_us = match self.engine.asked.get(name) {
            Some((at, age)) if *at == self.now_us => *age,
            _ => self.packet_age_us(name),
        };
        let leg = self.engine.legs.get(name)?;
        let state = match (&leg.partner, leg.parked) {
            (Some(_), _) => LegState::Spliced,
            (None, true) => LegState::Parked,
            (None, false) => LegState::Idle,
        };
        Some(LegInfo {
            listens_to: None,
            dtmf: offhook_proto::DtmfMode::Pass,
            leg: name.to_owned(),
            owner: Some("control".into()),
            state,
            spliced_to: leg.partner.clone(),
            hears: leg.hears,
            quality: None,
            supervises: None,
            supervised_by: None,
            playing: leg.play.clone(),
            worker: 0,
            rtp: ([127, 0, 0, 1], leg.port).into(),
            rtcp: ([127, 0, 0, 1], leg.port + 1).into(),
            remote: None,
            latched: None,
            latch: offhook_proto::LatchMode::Signalled,
            idle: offhook_proto::Idle::default(),
            codec: Media::default().codec,
            srtp: None,
            rtcp_mux: false,
            ssrc: 1,
            remote_ssrc: None,
            age_ms: 1,
            last_packet_ms: age_us.map(|age| age / 1_000),
            counters: offhook_proto::LegCounters::default(),
            rtcp_report: None,
        })
    }

    pub(super) fn on_play_ends(&mut self, instance: u64, leg: String, play: String) {
        if instance != self.engine.instance {
            return;
        }
        let Some(found) = self.engine.legs.get_mut(&leg) else { return };
        if found.play.as_ref() != Some(&play) {
            return;
        }
        found.play = None;
        let delay = self.rng.random_range(100..4_000_u64);
        self.tell(
            delay,
            Input::EngineEvent {
                engine: EngineId(0),
                event: EventBody::PlayEnded { leg, play, end: PlayEnd::Finished },
            },
        );
    }

    pub(super) fn crash_engine(&mut self) {
        self.trace(|| "engine crashes".to_owned());
        self.engine.down = true;
        self.engine.reachable = false;
        self.engine.legs.clear();
        self.oracle.engine_crashes.push(self.now_us);
        if self.chance(70) {
            self.tell_once(300_000, Input::EngineDown { engine: EngineId(0) });
        }
        let pause = self.between_ms(400, 2_500);
        self.after(pause, Happening::EngineStart);
    }

    pub(super) fn start_engine(&mut self) {
        self.trace(|| "engine starts".to_owned());
        self.engine.down = false;
        self.engine.reachable = true;
        self.engine.instance += 1;
        let instance = self.engine.instance.to_string();
        self.tell_once(1_000, Input::EngineUp { engine: EngineId(0), instance, restarted: true });
    }

    pub(super) fn lose_engine(&mut self) {
        if self.engine.down {
            return;
        }
        self.trace(|| "engine is out of reach".to_owned());
        self.engine.reachable = false;
        self.tell_once(300_000, Input::EngineDown { engine: EngineId(0) });
        let pause = self.between_ms(400, 2_500);
        self.after(pause, Happening::EngineBack);
    }

    pub(super) fn find_engine(&mut self) {
        if self.engine.down {
            return;
        }
        self.trace(|| "engine is back".to_owned());
        self.engine.reachable = true;
        let instance = self.engine.instance.to_string();
        self.tell_once(1_000, Input::EngineUp { engine: EngineId(0), instance, restarted: false });
    }
}

/// Legs are named after their calls.
pub(super) fn call_of(leg: &str) -> Option<CallId> {
    leg.rsplit('-').next()?.parse().ok().map(CallId)
}

fn not_found() -> Reply {
    Reply::Error(Error::new(ErrorCode::LegNotFound, "no such leg"))
}
