//! Between control and real engine cores: control's real clients, and a network that loses, doubles, delays and overtakes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use offhook_control_core::{EngineId, Input, RequestId, news};
use offhook_proto::{Client, ClientEvent, Command, Config, DetectedKind, EventBody, LegInfo, PlaySource};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::engines::{SimLeg, call_of};
use super::switch::{Out, Switch};
use super::world::{Happening, World};

/// The engines of a history with real cores.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Of the control that lives.
    links: BTreeMap<EngineId, Link>,
    /// Engines that live, and when each is looked at next.
    pub(super) switches: BTreeMap<EngineId, (Switch, Option<u64>)>,
    /// What control last had a leg played.
    spoken: BTreeMap<String, Vec<PlaySource>>,
}

#[derive(Debug)]
struct Link {
    client: Client,
    /// Control's requests by the client's.
    asked: BTreeMap<offhook_proto::RequestId, RequestId>,
    /// The engine's run, as known so far.
    instance: String,
    due_us: Option<u64>,
}

impl World {
    /// Control begins to look for the engines.
    pub(super) fn open_links(&mut self) {
        for engine in self.engine_ids() {
            let config = Config {
                controller: Some(self.config.controller.clone()),
                lease_ms: Some(LEASE_MS),
                silent_after_us: SILENT_AFTER_US,
                ping_after_us: SILENT_AFTER_US / 4,
                ..Config::default()
            };
            let client = Client::new(self.now_us, self.rng.random(), config).expect("it is in its range");
            let link = Link { client, asked: BTreeMap::new(), instance: String::new(), due_us: None };
            let Some(wire) = &mut self.wire else { return };
            wire.links.insert(engine, link);
            self.run_link(engine);
        }
    }

    /// Control has died.
    pub(super) fn cut_links(&mut self) {
        if let Some(wire) = &mut self.wire {
            wire.links.clear();
        }
    }

    /// Control sends a command.
    pub(super) fn send_command(&mut self, engine: EngineId, request: RequestId, command: Command) {
        let now_us = self.now_us;
        let Some(wire) = &mut self.wire else { return };
        if let Command::Play(play) = &command {
            wire.spoken.insert(play.leg.clone(), play.sources.clone());
        }
        let Some(link) = wire.links.get_mut(&engine) else { return };
        match link.client.request(now_us, command) {
            Ok(id) => {
                link.asked.insert(id, request);
            }
            Err(error) => self.tell_once(0, Input::EngineReply { request, result: Err(error) }),
        }
        self.run_link(engine);
    }

    pub(super) fn on_link_tick(&mut self, run: u64, engine: EngineId, due_us: u64) {
        if run != self.shell.run {
            return;
        }
        let now_us = self.now_us;
        let link = self.wire.as_mut().and_then(|wire| wire.links.get_mut(&engine));
        let Some(link) = link.filter(|link| link.due_us == Some(due_us)) else { return };
        link.due_us = None;
        link.client.handle_timeout(now_us);
        self.run_link(engine);
    }

    pub(super) fn on_answer(&mut self, run: u64, engine: EngineId, datagram: &[u8]) {
        let now_us = self.now_us;
        if run != self.shell.run || self.engine(engine).cut_off {
            return;
        }
        let link = self.wire.as_mut().and_then(|wire| wire.links.get_mut(&engine));
        let Some(link) = link else { return };
        link.client.handle_datagram(now_us, datagram);
        self.run_link(engine);
    }

    /// Hands over what a client has to say, to both sides.
    fn run_link(&mut self, engine: EngineId) {
        let Some(link) = self.wire.as_mut().and_then(|wire| wire.links.get_mut(&engine)) else { return };
        let mut inputs = Vec::new();
        while let Some(event) = link.client.poll_event() {
            match event {
                ClientEvent::Reply { id, result } => {
                    let request = link.asked.remove(&id);
                    inputs.extend(request.map(|request| Input::EngineReply { request, result }));
                }
                event => inputs.extend(news(engine, event, &mut link.instance)),
            }
        }
        let datagrams: Vec<_> = std::iter::from_fn(|| link.client.poll_transmit()).collect();
        let due_us = link.client.poll_timeout();
        let earlier = due_us.filter(|due| link.due_us.is_none_or(|planned| *due < planned));
        link.due_us = earlier.or(link.due_us);
        let run = self.shell.run;
        if let Some(due_us) = earlier {
            self.at(due_us.max(self.now_us), Happening::LinkTick { run, engine, due_us });
        }
        for input in inputs {
            self.note_detected(&input);
            self.tell_once(0, input);
        }
        for datagram in datagrams {
            self.carry(|| Happening::ToEngine { engine, run, datagram: datagram.clone() });
        }
    }

    fn note_detected(&mut self, input: &Input) {
        if let Input::EngineEvent { event: EventBody::Detected(found), .. } = input
            && !matches!(found.kind, DetectedKind::Person | DetectedKind::NotSure)
            && let Some(call) = call_of(&found.leg)
        {
            self.oracle.machines.insert(call, self.now_us);
        }
    }

    /// A datagram is lost, comes once or twice, and may be overtaken.
    fn carry(&mut self, arrives: impl Fn() -> Happening) {
        let times = match self.rng.random_range(0..100_u32) {
            0..2 => 0,
            2..4 => 2,
            _ => 1,
        };
        for _ in 0..times {
            let slow = self.chance(1);
            let delay = if slow { self.between_ms(5, 400) } else { self.rng.random_range(50..3_000_u64) };
            self.after(delay, arrives());
        }
    }

    pub(super) fn start_switch(&mut self, engine: EngineId) {
        if self.wire.is_none() {
            return;
        }
        let instance = self.engine(engine).instance;
        let rng = ChaCha8Rng::seed_from_u64(self.rng.random());
        let switch = Switch::new(self.now_us, engine, instance, rng);
        if let Some(wire) = &mut self.wire {
            wire.switches.insert(engine, (switch, None));
        }
    }

    pub(super) fn stop_switch(&mut self, engine: EngineId) {
        if let Some(wire) = &mut self.wire {
            wire.switches.remove(&engine);
        }
    }

    pub(super) fn on_request(&mut self, run: u64, engine: EngineId, datagram: &[u8]) {
        if self.engine(engine).is_reachable() {
            self.trace(|| format!("  engine {engine} {}", String::from_utf8_lossy(datagram)));
            self.with_switch(engine, |switch, now_us| switch.on_datagram(now_us, control_at(run), datagram));
        }
    }

    pub(super) fn on_switch_tick(&mut self, engine: EngineId, instance: u64, due_us: u64) {
        if self.engine(engine).instance != instance {
            return;
        }
        let switch = self.wire.as_mut().and_then(|wire| wire.switches.get_mut(&engine));
        let Some((_, planned)) = switch.filter(|(_, planned)| *planned == Some(due_us)) else { return };
        *planned = None;
        self.with_switch(engine, Switch::on_time);
    }

    /// Gives a living engine something to do, and carries what comes of it.
    pub(super) fn with_switch(&mut self, engine: EngineId, act: impl FnOnce(&mut Switch, u64)) {
        let now_us = self.now_us;
        let switch = self.wire.as_mut().and_then(|wire| wire.switches.get_mut(&engine));
        let Some((switch, planned)) = switch else { return };
        act(switch, now_us);
        let Out { datagrams, voices } = switch.take_out();
        let legs = switch.take_legs(now_us);
        let earlier = switch.due_us().filter(|due| planned.is_none_or(|planned| *due < planned));
        *planned = earlier.or(*planned);
        if let Some(due_us) = earlier {
            let instance = self.engine(engine).instance;
            self.at(due_us.max(now_us), Happening::SwitchTick { engine, instance, due_us });
        }
        if let Some(legs) = legs {
            self.show_legs(engine, legs);
        }
        for (from, to, packet) in voices {
            self.judge_voice(engine, from, to, &packet);
        }
        for (to, datagram) in datagrams {
            let run = u64::from(to.port() - FIRST_PORT);
            self.carry(|| Happening::ToControl { run, engine, datagram: datagram.clone() });
        }
    }

    fn show_legs(&mut self, engine: EngineId, legs: Vec<LegInfo>) {
        let spoken = self.wire.as_ref().map(|wire| &wire.spoken);
        let shown = legs.into_iter().filter_map(|info| {
            let leg = SimLeg {
                call: call_of(&info.leg)?,
                created_as: None,
                rtp: info.rtp,
                has_remote: info.remote.is_some(),
                parked: info.state == offhook_proto::LegState::Parked,
                partner: info.spliced_to,
                hears: info.hears,
                play: info.playing,
                spoken: spoken.and_then(|spoken| spoken.get(&info.leg)).cloned().unwrap_or_default(),
                dtmf: info.dtmf,
                created_us: 0,
                silent_after_us: 0,
            };
            Some((info.leg, leg))
        });
        let shown = shown.collect();
        self.engine(engine).legs = shown;
    }
}

/// Where a life of control sends from.
fn control_at(run: u64) -> SocketAddr {
    ([127, 0, 0, 9], FIRST_PORT + u16::try_from(run).expect("control does not live so often")).into()
}

const FIRST_PORT: u16 = 10_000;
/// Longer than control is ever away.
const LEASE_MS: u32 = 60_000;
const SILENT_AFTER_US: u64 = 2_000_000;
