//! The engines: processes that die, come back or are cut off, each with legs of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use offhook_control_core::{CallId, EngineId, Input};
use offhook_proto::{DtmfMode, EventBody, LegCreate, PlaySource};
use rand::RngExt as _;

use super::world::{Happening, SECOND, World};

/// One engine, as it is and as control may know it.
#[derive(Debug, Default)]
pub(super) struct SimEngine {
    /// Counts its lives.
    pub(super) instance: u64,
    pub(super) down: bool,
    /// Control and it cannot hear each other. Its legs live on.
    pub(super) cut_off: bool,
    /// When control could reach it again last.
    pub(super) back_us: u64,
    pub(super) legs: BTreeMap<String, SimLeg>,
    pub(super) next_port: u16,
    /// When it was asked about a leg, and how old the leg's last packet was then, in microseconds.
    pub(super) asked: BTreeMap<String, (u64, Option<u64>)>,
    /// Events that it keeps until control can be reached.
    kept: Vec<EventBody>,
}

/// One leg, as the engine has it.
#[derive(Clone, Debug)]
pub(super) struct SimLeg {
    pub(super) call: CallId,
    /// With what it was asked for; not known of real engines.
    pub(super) created_as: Option<Box<LegCreate>>,
    /// Where it receives.
    pub(super) rtp: SocketAddr,
    /// It knows where its phone receives.
    pub(super) has_remote: bool,
    pub(super) parked: bool,
    pub(super) partner: Option<String>,
    /// Hears its partner.
    pub(super) hears: bool,
    pub(super) play: Option<String>,
    /// What was played last.
    pub(super) spoken: Vec<PlaySource>,
    /// What becomes of the keys that are pressed on it.
    pub(super) dtmf: DtmfMode,
    /// When it was made.
    pub(super) created_us: u64,
    /// How long it may hear nothing before that is told; 0 for ever.
    pub(super) silent_after_us: u64,
}

impl SimEngine {
    pub(super) fn is_reachable(&self) -> bool {
        !self.down && !self.cut_off
    }

    /// Its leg for a call.
    pub(super) fn leg_of(&self, call: CallId) -> Option<(&String, &SimLeg)> {
        self.legs.iter().find(|(_, leg)| leg.call == call)
    }

    fn die(&mut self) {
        self.down = true;
        self.legs.clear();
        self.kept.clear();
    }
}

impl World {
    pub(super) fn engine(&mut self, id: EngineId) -> &mut SimEngine {
        &mut self.engines[usize::from(id.0)]
    }

    pub(super) fn engine_ids(&self) -> impl Iterator<Item = EngineId> + use<> {
        (0..self.config.engines).map(EngineId)
    }

    /// The engine and the leg that a call's phone sends to.
    pub(super) fn fed_leg(&self, call: CallId) -> Option<(EngineId, String)> {
        let to = self.network.peers.get(&call)?.sends_to?;
        let engine = self.engine_ids().find(|id| address_of(*id) == to.ip())?;
        let (name, leg) = self.engines[usize::from(engine.0)].leg_of(call)?;
        (leg.rtp == to).then(|| (engine, name.clone()))
    }

    /// Engines die or are cut off: mostly for a moment, and one of several for long.
    pub(super) fn plan_outages(&mut self, day_us: u64) {
        let count = self.config.engines;
        for _ in 0..count {
            let engine = EngineId(self.rng.random_range(0..count));
            if self.chance(15) {
                let (at, pause_us) = (self.rng.random_range(2 * SECOND..day_us), self.between_ms(400, 2_500));
                self.at(at, Happening::EngineCrash { engine, pause_us });
            }
            if self.chance(10) {
                let (at, pause_us) = (self.rng.random_range(2 * SECOND..day_us), self.between_ms(400, 2_500));
                self.at(at, Happening::EngineLost { engine, pause_us });
            }
        }
        if count == 1 || !self.chance(50) {
            return;
        }
        let engine = EngineId(self.rng.random_range(0..count));
        let (at, pause_us) = (self.rng.random_range(4 * SECOND..day_us), self.between_ms(5_000, 90_000));
        let outage = if self.chance(70) {
            Happening::EngineCrash { engine, pause_us }
        } else {
            Happening::EngineLost { engine, pause_us: pause_us.min(40 * SECOND) }
        };
        self.at(at, outage);
        // Control dies while the legs move.
        if self.chance(25) {
            let later = self.between_ms(1, 3_000);
            self.at(at + later, Happening::ControlCrash);
        }
    }

    pub(super) fn crash_engine(&mut self, id: EngineId, pause_us: u64) {
        if self.engine(id).down {
            return;
        }
        self.trace(|| format!("engine {id} crashes"));
        self.outcome.outages += 1;
        self.judge_engine_crash();
        self.engine(id).die();
        self.stop_switch(id);
        self.note_silence(id, pause_us);
        self.after(pause_us, Happening::EngineStart(id));
    }

    pub(super) fn start_engine(&mut self, id: EngineId) {
        self.trace(|| format!("engine {id} starts"));
        let now_us = self.now_us;
        let engine = self.engine(id);
        engine.down = false;
        engine.instance += 1;
        engine.back_us = now_us;
        let reachable = engine.is_reachable();
        self.start_switch(id);
        if reachable {
            self.tell_up(id, 1_000);
        }
    }

    pub(super) fn lose_engine(&mut self, id: EngineId, pause_us: u64) {
        if !self.engine(id).is_reachable() {
            return;
        }
        self.trace(|| format!("engine {id} is out of reach"));
        self.outcome.outages += 1;
        self.judge_engine_crash();
        self.engine(id).cut_off = true;
        self.note_silence(id, pause_us);
        self.after(pause_us, Happening::EngineBack(id));
    }

    pub(super) fn find_engine(&mut self, id: EngineId) {
        self.trace(|| format!("engine {id} is within reach"));
        let now_us = self.now_us;
        let engine = self.engine(id);
        engine.cut_off = false;
        engine.back_us = now_us;
        let kept = std::mem::take(&mut engine.kept);
        if !engine.down {
            self.tell_up(id, 1_000);
        }
        for event in kept {
            self.raise(id, 2_000, event);
        }
    }

    /// A modelled engine tells something after a while, if it still lives then.
    pub(super) fn raise(&mut self, engine: EngineId, after_us: u64, event: EventBody) {
        if self.wire.is_some() {
            return;
        }
        let instance = self.engine(engine).instance;
        self.after(after_us, Happening::Event { engine, instance, event });
    }

    pub(super) fn on_event(&mut self, id: EngineId, instance: u64, event: EventBody) {
        let engine = self.engine(id);
        if engine.down || engine.instance != instance {
            return;
        }
        if engine.cut_off {
            engine.kept.push(event);
        } else if matches!(event, EventBody::Dtmf { .. }) {
            // Events are numbered: none comes twice. The others do no harm when they do.
            self.tell_once(0, Input::EngineEvent { engine: id, event });
        } else {
            self.tell(0, Input::EngineEvent { engine: id, event });
        }
    }

    /// Control notices an engine's silence, unless that is short.
    fn note_silence(&mut self, id: EngineId, pause_us: u64) {
        let noticed = pause_us > SILENCE_US || self.chance(70);
        let known = self.shell.heard.contains_key(&id) && self.wire.is_none();
        if noticed && known {
            let after_us = self.rng.random_range(300_000..=SILENCE_US.min(pause_us));
            self.tell_once(after_us, Input::EngineDown { engine: id });
        }
    }

    /// Control hears an engine, for the first time in its life or again. Real clients find out by themselves.
    pub(super) fn tell_up(&mut self, id: EngineId, after_us: u64) {
        if self.wire.is_some() {
            return;
        }
        let run = self.engine(id).instance;
        let before = self.shell.heard.insert(id, run);
        let restarted = before.is_some_and(|before| before != run);
        self.tell_once(after_us, Input::EngineUp { engine: id, instance: run.to_string(), restarted });
    }

    /// Whether every engine that lives has been heard for so long that control could have put it in order.
    pub(super) fn are_engines_settled(&self) -> bool {
        let settled =
            |engine: &SimEngine| engine.is_reachable() && self.now_us >= engine.back_us + SETTLING_US;
        self.now_us >= self.shell.started_us + SETTLING_US
            && self.engines.iter().all(|engine| engine.down || settled(engine))
    }
}

/// Where an engine's legs receive: addresses of its own.
pub(super) fn address_of(engine: EngineId) -> IpAddr {
    let [high, low] = engine.0.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, high, low, 1))
}

/// Legs are named after their calls.
pub(super) fn call_of(leg: &str) -> Option<CallId> {
    leg.rsplit('-').next()?.parse().ok().map(CallId)
}

/// Silence that control notices.
const SILENCE_US: u64 = SECOND;
/// Legs that were moved away while an engine was cut off are found and deleted within this time.
const SETTLING_US: u64 = 8 * SECOND;
