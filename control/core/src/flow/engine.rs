//! Between the legs and their engines: commands out, replies and events in.

use std::collections::BTreeSet;

use offhook_proto::{Command, EventBody, LegDelete, LegInfo, LegQuery, SpliceAudio};

use crate::agent::Agent;
use crate::call::{Role, State};
use crate::core::Core;
use crate::engines::State as EngineState;
use crate::flow::proof::FIRST_PACKET_MS;
use crate::interaction::{Event, Outcome, Stage};
use crate::io::{EngineReply, Key, Output};
use crate::leg::{ASPECTS, Aspect, Change, Link};
use crate::mutation::Mutation;
use crate::timer::Timer;
use crate::{CallId, EngineId, RequestId};

/// A request on its way.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) engine: EngineId,
    pub(crate) pending: Pending,
}

/// What a request was for.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    Leg {
        call: CallId,
        aspect: Aspect,
        command: Command,
    },
    Proof {
        interaction: u64,
    },
    List,
    Sweep,
    Query {
        leg: String,
    },
    Orphan {
        leg: String,
    },
    /// A leg that has been moved elsewhere since its creation was asked for.
    Left {
        leg: String,
    },
    Detect {
        interaction: u64,
    },
}

impl Core {
    /// Sends whatever closes the difference between what is wanted of a call's leg and what is known.
    pub(crate) fn drive(&mut self, id: CallId) {
        let Some(engine) = self.engine_of(id) else { return };
        self.gather(id);
        for aspect in ASPECTS {
            let Some(call) = self.calls.get(&id) else { return };
            let partner_open = call
                .leg
                .partner()
                .and_then(|partner| self.legs.get(partner))
                .and_then(|partner| self.calls.get(partner))
                .is_some_and(|partner| {
                    partner.leg.open.is_some() && partner.leg.is_wanted() && partner.engine == Some(engine)
                });
            let now_us = self.now.mono_us;
            if self.mutated(Mutation::KeepLeg)
                && !call.leg.is_wanted()
                && call.kind != crate::record::CallKind::AgentLeg
            {
                return;
            }
            let Some(call) = self.calls.get_mut(&id) else { return };
            if let Some(command) = call.leg.next(aspect, partner_open, now_us) {
                let request = self.next_request();
                let pending = Pending::Leg { call: id, aspect, command: command.clone() };
                self.requests.insert(request, Asked { engine, pending });
                self.push(Output::Engine { engine, request, key: Key::Call(id), command });
            }
        }
    }

    /// Asks the engine about an agent's leg, so that a customer may be dialled for it (BY-02).
    pub(crate) fn ask_proof(&mut self, engine: EngineId, interaction: u64, leg: String) -> RequestId {
        self.ask(engine, Pending::Proof { interaction }, Command::LegQuery(LegQuery { leg }))
    }

    pub(crate) fn ask(&mut self, engine: EngineId, pending: Pending, command: Command) -> RequestId {
        let request = self.next_request();
        self.requests.insert(request, Asked { engine, pending });
        self.push(Output::Engine { engine, request, key: Key::None, command });
        request
    }

    pub(crate) fn delete_orphan(&mut self, engine: EngineId, leg: String) {
        self.ask(engine, Pending::Orphan { leg: leg.clone() }, Command::LegDelete(LegDelete { leg }));
    }

    pub(crate) fn on_engine_reply(&mut self, request: RequestId, result: EngineReply) {
        let Some(Asked { engine, pending }) = self.requests.remove(&request) else {
            self.projection.ignored += 1;
            return;
        };
        match pending {
            Pending::Leg { call, aspect, command } => self.on_leg_reply(call, aspect, &command, result),
            Pending::Proof { interaction } => {
                let info = result.and_then(offhook_proto::Reply::parse::<LegInfo>);
                self.on_proof(interaction, request, info);
            }
            Pending::Detect { interaction } => {
                if !unanswered(&result) && !matches!(result, Ok(offhook_proto::Reply::Ok(_))) {
                    self.take_as_person(interaction);
                }
            }
            Pending::List => self.on_listed(engine, result),
            Pending::Sweep => self.on_swept(engine, result),
            Pending::Query { leg } => self.on_queried(engine, leg, result),
            Pending::Left { leg } => {
                if unanswered(&result) || matches!(result, Ok(offhook_proto::Reply::Ok(_))) {
                    self.on_old_leg(engine, leg);
                }
            }
            Pending::Orphan { leg } => {
                if unanswered(&result) && !self.is_on(&leg, engine) {
                    self.delete_orphan(engine, leg);
                }
            }
        }
    }

    fn on_leg_reply(&mut self, id: CallId, aspect: Aspect, command: &Command, result: EngineReply) {
        let failed = !matches!(result, Ok(offhook_proto::Reply::Ok(_)));
        let result = if self.mutated(Mutation::TrustTimeout) && unanswered(&result) {
            Ok(offhook_proto::Reply::done())
        } else {
            result
        };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let change = call.leg.on_reply(aspect, command, result);
        match change {
            Change::None => {}
            Change::Opened => self.on_leg_open(id),
            Change::Linked => self.on_linked(id),
            Change::Keys => self.changed(crate::core::Changed::Call(id)),
            Change::Gone => self.on_leg_gone(id),
            Change::Refused(aspect, code) => self.on_leg_refused(id, aspect, code),
            Change::Mute => {
                self.on_play_over(id);
                self.on_caller_play(id, false);
            }
            Change::Closed => {}
        }
        if failed {
            self.retry.insert(id);
            if !self.timers.is_armed(&Timer::Engine) {
                self.arm(Timer::Engine, RETRY_MS);
            }
        } else {
            self.drive(id);
        }
        self.reap(id);
    }

    pub(crate) fn on_engine_retry(&mut self) {
        self.retry_reconciling();
        self.retry_sweeping();
        for id in std::mem::take(&mut self.retry) {
            self.drive(id);
            self.reap(id);
        }
    }

    /// A leg is open: what waited for its address goes on.
    fn on_leg_open(&mut self, id: CallId) {
        let now_us = self.now.mono_us;
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.opened_us = Some(now_us);
        if matches!(call.state, State::Up | State::Restoring) && !call.leg.knows_peer() {
            // Only the engine's former run knew where the peer is: the peer is asked, even if we are where we were.
            call.offered = None;
        }
        match (call.state, call.role.clone()) {
            (State::Opening, Role::Agent(_)) => self.send_dial(id),
            (State::Opening, Role::Customer(interaction)) => self.on_customer_leg_open(interaction),
            (State::Arriving, _) => self.send_answer(id),
            (State::Up, _) => {
                self.reoffer_if_moved(id);
                self.drive_partner(id);
            }
            (
                State::Opening
                | State::Dialling
                | State::Ringing
                | State::Restoring
                | State::Discarding
                | State::Ending
                | State::Over,
                _,
            ) => {}
        }
    }

    /// The agent's leg whose splice waits for this customer's leg.
    fn drive_partner(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        if let Role::Customer(interaction) = call.role
            && let Some(leg) = self.agent_call_of(interaction)
        {
            self.drive(leg);
        }
    }

    /// A leg's splice or parking is as wanted.
    fn on_linked(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let both = matches!(call.leg.link_wanted(), Link::Spliced { hears: true, heard: true, .. });
        if let (true, Role::Agent(agent)) = (both, call.role.clone())
            && let Some(interaction) = self.agents.get(&agent).and_then(Agent::interaction)
        {
            self.on_spliced(interaction);
        }
    }

    /// A leg that is still wanted is gone: it is opened again, and the peer is told the new address (BY-09).
    fn on_leg_gone(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.leg.failures += 1;
        let agent = match call.role {
            Role::Customer(interaction) => self.agent_call_of(interaction),
            Role::Agent(_) | Role::Orphan => None,
        };
        if let Some(agent) = agent.and_then(|agent| self.calls.get_mut(&agent)) {
            agent.leg.on_partner_gone();
        }
        self.drive(id);
    }

    /// The engine will not do what a leg needs.
    fn on_leg_refused(&mut self, id: CallId, aspect: Aspect, code: offhook_proto::ErrorCode) {
        let Some(call) = self.calls.get(&id) else { return };
        let tries_left = call.leg.failures <= crate::limits::ENGINE_RETRIES;
        if aspect == Aspect::Link && code == offhook_proto::ErrorCode::LegNotFound && tries_left {
            let partner = call.leg.partner().and_then(|partner| self.legs.get(partner)).copied();
            if let Some(partner) = partner.and_then(|partner| self.calls.get_mut(&partner)) {
                partner.leg.doubt();
                let partner = partner.id;
                self.drive(partner);
            }
            return;
        }
        match call.role.clone() {
            Role::Agent(agent) => {
                let spliced = matches!(call.leg.link_wanted(), Link::Spliced { .. });
                let interaction = self.agents.get(&agent).and_then(Agent::interaction);
                match (aspect, interaction) {
                    (Aspect::Link, Some(interaction)) if spliced => {
                        self.give_up(interaction, Outcome::Engine);
                    }
                    (Aspect::Link, _) => {}
                    (Aspect::Life | Aspect::Play, _) => self.lose_leg(&agent, "engine"),
                }
            }
            Role::Customer(interaction) => self.give_up(interaction, Outcome::Engine),
            Role::Orphan => self.hang_up(id, "engine"),
        }
    }

    pub(crate) fn on_engine_event(&mut self, engine: EngineId, event: EventBody) {
        // What an engine says of a leg that lives on another one by now is of no interest.
        let of_leg = match &event {
            EventBody::LegSilent { leg, .. }
            | EventBody::LegAlive { leg }
            | EventBody::LegReleased { leg, .. }
            | EventBody::PlayEnded { leg, .. } => Some(leg),
            EventBody::SpliceAudio(audio) => Some(&audio.from),
            _ => None,
        };
        if of_leg.is_some_and(|leg| !self.is_on(leg, engine)) {
            return;
        }
        match event {
            EventBody::LegSilent { leg, .. } => self.on_silent(&leg),
            EventBody::LegAlive { leg } => {
                if let Some(Role::Agent(agent)) = self.role_of(&leg) {
                    self.timers.stop(&Timer::Silent(agent));
                }
            }
            EventBody::LegReleased { leg, .. } => {
                let Some(id) = self.legs.get(&leg).copied() else { return };
                if let Some(call) = self.calls.get_mut(&id) {
                    call.leg.on_gone();
                    if call.leg.is_wanted() {
                        self.on_leg_gone(id);
                    }
                    self.reap(id);
                }
            }
            EventBody::SpliceAudio(audio) => self.on_audio(&audio),
            EventBody::Detected(found) => self.on_detected(&found),
            EventBody::PlayEnded { leg, play, .. } => {
                let Some(id) = self.legs.get(&leg).copied() else { return };
                let over = self.calls.get_mut(&id).is_some_and(|call| call.leg.on_play_ended(&play));
                if over {
                    self.on_play_over(id);
                    self.on_caller_play(id, true);
                }
                self.drive(id);
            }
            EventBody::EventsLost { .. } => {
                for id in self.call_ids() {
                    if let Some(call) = self.calls.get_mut(&id).filter(|call| call.engine == Some(engine)) {
                        call.leg.doubt();
                        self.drive(id);
                    }
                }
            }
            EventBody::Dtmf { leg, digit, .. } => self.on_key(&leg, digit),
            EventBody::LegLatched { .. }
            | EventBody::LegBye { .. }
            | EventBody::LegQuality { .. }
            | EventBody::SuperviseEnded { .. }
            | EventBody::RecordEnded { .. }
            | EventBody::LeaseExpired { .. } => {}
        }
    }

    fn on_silent(&mut self, leg: &str) {
        let Some(id) = self.legs.get(leg).copied() else { return };
        let Some(call) = self.calls.get(&id) else { return };
        if call.state != State::Up {
            return;
        }
        // The first packet after an answer, or after a move, may be on its way.
        let due_us = call.answered_us.max(call.opened_us).unwrap_or(0) + FIRST_PACKET_MS * 1_000;
        if self.now.mono_us < due_us {
            if let Role::Agent(agent) = call.role.clone() {
                self.arm(Timer::Silent(agent), (due_us - self.now.mono_us).div_ceil(1_000));
            }
            return;
        }
        match call.role.clone() {
            Role::Agent(agent) => {
                let talking = self
                    .agents
                    .get(&agent)
                    .and_then(Agent::interaction)
                    .and_then(|interaction| self.interactions.get(&interaction))
                    .is_some_and(|interaction| {
                        matches!(interaction.stage, Stage::Joining | Stage::Connected)
                    });
                let up = self.agents.get(&agent).is_some_and(Agent::is_up);
                if talking {
                    self.arm(Timer::Silent(agent), u64::from(self.config.agents.silent_in_call_ms));
                } else if up {
                    self.lose_leg(&agent, "lost");
                }
            }
            Role::Customer(interaction) => self.give_up(interaction, Outcome::Talked),
            Role::Orphan => {}
        }
    }

    /// The first packet of one direction of a splice: the engine's measure of answer-to-audio time (BY-01).
    fn on_audio(&mut self, audio: &SpliceAudio) {
        let customer = |core: &Self, leg: &str| {
            let id = core.legs.get(leg).copied()?;
            matches!(core.calls.get(&id)?.role, Role::Customer(_)).then_some(id)
        };
        let (id, from) = match (customer(self, &audio.from), customer(self, &audio.to)) {
            (Some(id), _) => (id, true),
            (None, Some(id)) => (id, false),
            (None, None) => return,
        };
        let now_us = self.now.mono_us;
        let Some(call) = self.calls.get_mut(&id) else { return };
        let after_us = match call.audio_from_us {
            // Audio that flowed before the answer costs nothing after it.
            None => 0,
            Some(from_us) => audio.after_us.min(now_us.saturating_sub(from_us)),
        };
        let slot = if from { &mut call.audio.from_us } else { &mut call.audio.to_us };
        if slot.is_some() {
            return;
        }
        *slot = Some(after_us);
        if call.audio_from_us.is_some()
            && let Some(ms) = call.audio.both_ms()
        {
            let role = call.role.clone();
            self.projection.measure(ms);
            self.changed(crate::core::Changed::Call(id));
            // Audio both ways is as good a proof of the splice as the reply to the request, which may be lost.
            if let Role::Customer(interaction) = role {
                self.on_spliced(interaction);
            }
        }
    }

    pub(crate) fn on_engine_up(&mut self, engine: EngineId, restarted: bool) {
        if restarted {
            self.on_legs_lost(engine);
        } else {
            for call in self.calls.values_mut().filter(|call| call.engine == Some(engine)) {
                call.leg.doubt();
            }
        }
        let now_us = self.now.mono_us;
        if self.replayed.is_pending() {
            self.engines.set_state(engine, EngineState::Reconciling, now_us);
            self.begin_reconciling(engine);
            return;
        }
        self.engines.set_state(engine, EngineState::Up, now_us);
        if self.engines.take_strays(engine) {
            self.sweep(engine, None);
        }
        self.match_due = true;
        for id in self.call_ids() {
            self.drive(id);
            self.reap(id);
        }
        self.fail_over();
    }

    pub(crate) fn on_engine_down(&mut self, engine: EngineId) {
        self.engines.set_state(engine, EngineState::Down, self.now.mono_us);
        self.stop_reconciling(engine);
        self.arm(Timer::FailOver, crate::flow::failover::PATIENCE_MS);
    }

    /// A dead engine, or another run of it: none of our legs there exists, none of our requests will be answered.
    pub(crate) fn on_legs_lost(&mut self, engine: EngineId) {
        for call in self.calls.values_mut().filter(|call| call.engine == Some(engine)) {
            call.leg.relocate();
            // What was silent there may speak elsewhere.
            if let Role::Agent(agent) = &call.role {
                self.timers.stop(&Timer::Silent(agent.clone()));
            }
        }
        let mut proofs = BTreeSet::new();
        self.forget_requests(|asked| {
            let lost = asked.engine == engine;
            if let (Pending::Proof { interaction }, true) = (&asked.pending, lost) {
                proofs.insert(*interaction);
            }
            lost
        });
        for interaction in proofs {
            self.step_back(interaction, 1_000);
        }
    }

    /// Does not wait for these any more. A leg that may be created all the same is deleted then.
    pub(crate) fn forget_requests(&mut self, mut forgotten: impl FnMut(&Asked) -> bool) {
        self.requests.retain(|_, asked| {
            if !forgotten(asked) {
                return true;
            }
            let left = match &asked.pending {
                Pending::Leg { command: Command::LegCreate(create), .. } => create.leg.clone(),
                Pending::Left { .. } => return true,
                Pending::Leg { .. }
                | Pending::Proof { .. }
                | Pending::List
                | Pending::Sweep
                | Pending::Query { .. }
                | Pending::Orphan { .. }
                | Pending::Detect { .. } => return false,
            };
            asked.pending = Pending::Left { leg: left };
            true
        });
    }

    pub(crate) fn call_ids(&self) -> Vec<CallId> {
        self.calls.keys().copied().collect()
    }

    pub(super) fn role_of(&self, leg: &str) -> Option<Role> {
        Some(self.calls.get(self.legs.get(leg)?)?.role.clone())
    }

    /// The leg's call of the agent who has an interaction.
    pub(crate) fn agent_call_of(&self, interaction: u64) -> Option<CallId> {
        let agent = self.interactions.get(&interaction)?.agent.as_ref()?;
        self.agents.get(agent)?.call
    }

    /// The engine made the splice.
    fn on_spliced(&mut self, interaction: u64) {
        if self.interactions.get(&interaction).is_some_and(|found| found.stage == Stage::Joining)
            && self.step(interaction, Event::Spliced).is_some()
        {
            self.on_connected(interaction);
        }
    }
}

fn unanswered(result: &EngineReply) -> bool {
    use offhook_proto::{ErrorCode, Reply};
    matches!(
        result,
        Err(error) | Ok(Reply::Error(error)) if matches!(error.code, ErrorCode::Timeout | ErrorCode::Busy)
    )
}

const RETRY_MS: u64 = 100;
