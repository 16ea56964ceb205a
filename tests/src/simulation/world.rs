//! The clock, the agenda and everything that shares them.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use offhook_control_core::compliance::{ComplianceConfig, Rule};
use offhook_control_core::config::{
    AgentConfig, Config, DetectionConfig, ModesConfig, OnMachine, OnTone, QueueConfig, ServiceConfig,
};
use offhook_control_core::options::Unconfirmed;
use offhook_control_core::sip::SipCommand;
use offhook_control_core::{CallId, Core, EngineId, Input, Mutation, Now, RequestId};
use offhook_proto::{Command, EventBody};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::Outcome;
use super::callbacks::{ACCESS, HELP};
use super::engines::SimEngine;
use super::network::{Network, PeerAct};
use super::oracle::Oracle;
use super::shell::Shell;
use super::users::{Deed, Users};
use super::wire::Wire;

/// Something that will happen.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// Control hears something; nothing, if it has crashed since.
    Hear {
        run: u64,
        input: Input,
    },
    /// The journal is durable up to a batch.
    Durable {
        run: u64,
        batch: u64,
    },
    /// A command reaches an engine.
    Command {
        run: u64,
        engine: EngineId,
        request: RequestId,
        command: Command,
    },
    /// A play of an engine leg ends.
    PlayEnds {
        engine: EngineId,
        instance: u64,
        leg: String,
        play: String,
    },
    /// An engine leg has had time to be heard.
    Silence {
        engine: EngineId,
        instance: u64,
        leg: String,
    },
    /// An engine tells something.
    Event {
        engine: EngineId,
        instance: u64,
        event: EventBody,
    },
    /// The SIP adaptor's message reaches the peer.
    Signal {
        run: u64,
        call: CallId,
        command: SipCommand,
    },
    /// A phone or customer does something.
    Peer {
        call: CallId,
        act: PeerAct,
    },
    /// A user does something.
    User(Deed),
    /// Control's timer is due.
    Tick {
        run: u64,
        due_us: u64,
    },
    /// A datagram of a life of control reaches an engine.
    ToEngine {
        engine: EngineId,
        run: u64,
        datagram: Vec<u8>,
    },
    /// An engine's datagram reaches control.
    ToControl {
        run: u64,
        engine: EngineId,
        datagram: Vec<u8>,
    },
    /// A client's timer is due.
    LinkTick {
        run: u64,
        engine: EngineId,
        due_us: u64,
    },
    /// An engine's timer is due.
    SwitchTick {
        engine: EngineId,
        instance: u64,
        due_us: u64,
    },
    /// A phone sends a packet.
    Speak {
        call: CallId,
    },
    ControlCrash,
    ControlStart,
    /// An engine dies, and is started again after so long.
    EngineCrash {
        engine: EngineId,
        pause_us: u64,
    },
    EngineStart(EngineId),
    /// An engine and control cannot hear each other for so long.
    EngineLost {
        engine: EngineId,
        pause_us: u64,
    },
    EngineBack(EngineId),
    /// Nobody can be reached through the trunk for so long.
    TrunkAway {
        pause_us: u64,
    },
    TrunkBack,
    /// The trunk answers the shell's question, or does not.
    TrunkAsked {
        run: u64,
    },
    /// Somebody sets the calendar.
    CalendarSet {
        by_ms: i64,
    },
    /// Nothing new begins from here on.
    Evening,
    /// Agents go home.
    Night,
}

/// What the engines of a history are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engines {
    /// A model of the protocol, which is fast and answers whatever it likes.
    Modelled,
    /// The real engine core, behind the real client and a network that loses, doubles and overtakes datagrams; phones send
    /// packets.
    Real,
}

/// Everything.
pub struct World {
    pub(super) rng: ChaCha8Rng,
    pub(super) now_us: u64,
    pub(super) agenda: BinaryHeap<Reverse<(u64, u64, Entry)>>,
    pub(super) sequence: u64,
    pub(super) config: Config,
    pub(super) mutation: Option<Mutation>,
    pub(super) shell: Shell,
    pub(super) engines: Vec<SimEngine>,
    /// In histories with real engine cores.
    pub(super) wire: Option<Wire>,
    pub(super) network: Network,
    pub(super) users: Users,
    pub(super) oracle: Oracle,
    pub(super) outcome: Outcome,
    tracing: bool,
    tick_at: Option<u64>,
}

/// A happening, ordered only by its time and number.
#[derive(Clone, Debug)]
pub(super) struct Entry(pub(super) Happening);

impl PartialEq for Entry {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

pub(super) const SECOND: u64 = 1_000_000;
/// The world's first moment, in milliseconds since 1970 UTC.
const START_MS: u64 = 1_800_000_000_000;

impl World {
    /// A world before its first moment.
    pub fn new(seed: u64, engines: Engines, mutation: Option<Mutation>, tracing: bool) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let config = config(seed, engines);
        let wire = (engines == Engines::Real).then(Wire::default);
        let engines = (0..config.engines).map(|_| SimEngine::default()).collect();
        let core = Core::new(config.clone(), rng.random());
        let mut world = Self {
            rng,
            now_us: SECOND,
            agenda: BinaryHeap::new(),
            sequence: 0,
            config,
            mutation,
            shell: Shell::new(core),
            engines,
            wire,
            network: Network::default(),
            users: Users::default(),
            oracle: Oracle::default(),
            outcome: Outcome::default(),
            tracing,
            tick_at: None,
        };
        world.plan();
        world
    }

    fn plan(&mut self) {
        for engine in self.engine_ids() {
            self.start_switch(engine);
        }
        self.start_control();
        self.plan_users();
        let day_us = 40 * SECOND;
        if self.chance(40) {
            for _ in 0..self.rng.random_range(1..3) {
                let at = self.rng.random_range(2 * SECOND..day_us);
                self.at(at, Happening::ControlCrash);
            }
        }
        self.plan_outages(day_us);
        self.plan_office(day_us);
        self.plan_calendar(day_us);
        self.at(day_us, Happening::Evening);
    }

    /// Runs until everything is over, or something is wrong.
    pub fn run(&mut self) {
        while self.outcome.violation.is_none() {
            let Some(Reverse((at, _, Entry(happening)))) = self.agenda.pop() else { break };
            self.now_us = self.now_us.max(at);
            self.happen(happening);
            self.judge();
            if self.users.night && self.is_over() {
                break;
            }
            if self.now_us > LAST_US {
                self.judge_end();
                if self.outcome.violation.is_none() {
                    self.violate("the world does not come to rest".to_owned());
                }
                return;
            }
        }
        if self.outcome.violation.is_none() {
            self.judge_end();
        }
    }

    fn happen(&mut self, happening: Happening) {
        if let Happening::EngineCrash { .. }
        | Happening::EngineStart(_)
        | Happening::EngineLost { .. }
        | Happening::EngineBack(_) = happening
        {
            self.ledger_doubts();
        }
        match happening {
            Happening::Hear { run, input } => self.hear(run, input),
            Happening::Durable { run, batch } => self.on_durable(run, batch),
            Happening::Command { run, engine, request, command } => {
                self.on_command(run, engine, request, &command);
            }
            Happening::PlayEnds { engine, instance, leg, play } => {
                self.on_play_ends(engine, instance, leg, play);
            }
            Happening::Silence { engine, instance, leg } => self.on_silence(engine, instance, leg),
            Happening::Event { engine, instance, event } => self.on_event(engine, instance, event),
            Happening::Signal { run, call, command } => self.on_signal(run, call, command),
            Happening::Peer { call, act } => self.on_peer(call, act),
            Happening::User(deed) => self.on_deed(deed),
            Happening::Tick { run, due_us } => {
                // Another run may have had a timer for the same moment.
                if run == self.shell.run && self.tick_at == Some(due_us) {
                    self.tick_at = None;
                    self.hear(run, Input::Tick);
                }
            }
            Happening::ToEngine { engine, run, datagram } => self.on_request(run, engine, &datagram),
            Happening::ToControl { run, engine, datagram } => self.on_answer(run, engine, &datagram),
            Happening::LinkTick { run, engine, due_us } => self.on_link_tick(run, engine, due_us),
            Happening::SwitchTick { engine, instance, due_us } => {
                self.on_switch_tick(engine, instance, due_us);
            }
            Happening::Speak { call } => self.on_speak(call),
            Happening::ControlCrash => self.crash_control(),
            Happening::ControlStart => self.start_control(),
            Happening::EngineCrash { engine, pause_us } => self.crash_engine(engine, pause_us),
            Happening::EngineStart(engine) => self.start_engine(engine),
            Happening::EngineLost { engine, pause_us } => self.lose_engine(engine, pause_us),
            Happening::EngineBack(engine) => self.find_engine(engine),
            Happening::TrunkAway { pause_us } => self.lose_trunk(pause_us),
            Happening::TrunkBack => self.find_trunk(),
            Happening::TrunkAsked { run } => self.on_trunk_asked(run),
            Happening::CalendarSet { by_ms } => self.set_calendar(by_ms),
            Happening::Evening => self.evening(),
            Happening::Night => self.fall_night(),
        }
    }

    pub(super) fn now(&self) -> Now {
        let unix_ms = START_MS + self.now_us / 1_000;
        Now { mono_us: self.now_us, unix_ms: unix_ms.saturating_add_signed(self.oracle.calendar.set_ms) }
    }

    pub(super) fn at(&mut self, at_us: u64, happening: Happening) {
        self.sequence += 1;
        self.agenda.push(Reverse((at_us, self.sequence, Entry(happening))));
    }

    pub(super) fn after(&mut self, us: u64, happening: Happening) {
        self.at(self.now_us + us, happening);
    }

    /// Control hears something after a while, sometimes twice.
    pub(super) fn tell(&mut self, after_us: u64, input: Input) {
        let run = self.shell.run;
        if self.rng.random_range(0..100_u32) < 3 {
            let later = after_us + self.rng.random_range(0..200_000_u64);
            self.after(later, Happening::Hear { run, input: input.clone() });
        }
        self.after(after_us, Happening::Hear { run, input });
    }

    /// Control hears something once: a link's own state is not doubled.
    pub(super) fn tell_once(&mut self, after_us: u64, input: Input) {
        let run = self.shell.run;
        self.after(after_us, Happening::Hear { run, input });
    }

    /// Wakes control when its next timer is due.
    pub(super) fn set_tick(&mut self, due_us: Option<u64>) {
        let Some(due) = due_us else { return };
        if self.tick_at.is_none_or(|at| due < at) {
            self.tick_at = Some(due);
            let run = self.shell.run;
            self.at(due.max(self.now_us), Happening::Tick { run, due_us: due });
        }
    }

    pub(super) fn forget_tick(&mut self) {
        self.tick_at = None;
    }

    /// True in so many cases of a hundred.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100_u32) < percent
    }

    pub(super) fn between_ms(&mut self, from: u64, to: u64) -> u64 {
        self.rng.random_range(from..to) * 1_000
    }

    pub(super) fn trace(&mut self, line: impl FnOnce() -> String) {
        if self.tracing {
            let at = self.now_us;
            self.outcome.trace.push(format!("{:>11.6} {}", at as f64 / 1e6, line()));
        }
    }

    pub(super) fn violate(&mut self, violation: String) {
        self.trace(|| format!("VIOLATION {violation}"));
        self.outcome.violation.get_or_insert(violation);
    }

    /// What the history came to.
    pub fn into_outcome(mut self) -> Outcome {
        if let Some(core) = &mut self.shell.core {
            for (transition, count) in core.take_transitions() {
                *self.outcome.transitions.entry(transition).or_default() += count;
            }
        }
        self.outcome
    }
}

/// Every other history listens to who answers, each with another set of actions.
fn detection(seed: u64) -> DetectionConfig {
    if seed.is_multiple_of(2) {
        return DetectionConfig::default();
    }
    let machines = [OnMachine::Drop, OnMachine::Message, OnMachine::Retry, OnMachine::Connect];
    let tones = [OnTone::Drop, OnTone::Retry, OnTone::Connect];
    let pick = (seed / 2) as usize;
    DetectionConfig {
        machine: machines[pick % machines.len()],
        fax: tones[pick % tones.len()],
        tones: tones[(pick / 4) % tones.len()],
        message: "message.wav".into(),
        ..DetectionConfig::default()
    }
}

fn config(seed: u64, engines: Engines) -> Config {
    // Here nobody says anything that could be told from a machine.
    let detection = if engines == Engines::Real { DetectionConfig::default() } else { detection(seed) };
    let queue = QueueConfig {
        name: "sales".into(),
        skill: Some("sales".into()),
        dnis: vec!["100".into(), ACCESS.into()],
        ring_timeout_ms: 20_000,
        setup_timeout_ms: 4_000,
        offer_timeout_ms: 5_000,
        wrap_up_ms: 1_500,
        max_attempts: 2,
        retry_s: 3,
        max_wait_s: 20,
        detection: detection.clone(),
        ..QueueConfig::default()
    };
    let service = ServiceConfig {
        name: "cb".into(),
        queue: "sales".into(),
        max_dial_attempts: 3,
        dial_retry_timeout_s: 3,
        ttl_s: 600,
        access_number: ACCESS.into(),
        push_url: "http://customers".into(),
        user_confirm_timeout_s: 5,
        on_user_confirm_timeout: if seed.is_multiple_of(3) {
            Unconfirmed::ConnectAnyway
        } else {
            Unconfirmed::Fail
        },
        detection,
        ..ServiceConfig::default()
    };
    let support = QueueConfig {
        name: "support".into(),
        skill: Some("support".into()),
        priority: if seed.is_multiple_of(2) { 0 } else { 2 },
        dnis: vec!["101".into(), HELP.into()],
        ..queue.clone()
    };
    let help = ServiceConfig {
        name: "help".into(),
        queue: "support".into(),
        access_number: HELP.into(),
        ..service.clone()
    };
    Config {
        trunk_watched: seed % 5 < 2,
        queues: vec![queue, support],
        services: vec![service, help],
        flows: vec![super::flows::flow()],
        agents: AgentConfig {
            ring_timeout_ms: 15_000,
            hold_timeout_s: 20,
            consult_timeout_s: 15,
            resume_grace_s: 8,
            silent_in_call_ms: 4_000,
            ..AgentConfig::default()
        },
        modes: ModesConfig {
            agents_may_change_persistent: true,
            agents_may_change_auto_accept: true,
            ..ModesConfig::default()
        },
        customer_silent_after_ms: 8_000,
        // No history lasts until the next morning.
        compliance: ComplianceConfig {
            enforce: BTreeSet::from([Rule::DoNotCall]),
            ..ComplianceConfig::default()
        },
        // One history in four has a single engine.
        engines: if seed % 4 == 3 { 1 } else { 2 },
        ..Config::default()
    }
}

/// A history that lasts longer than this is wrong, in microseconds.
const LAST_US: u64 = 4_000 * SECOND;
