//! A customer's way: offered, prepared, proved, dialled, joined, held, over.

use std::cmp::Reverse;

use offhook_proto::{Error, ErrorCode, LegInfo, PlaySource, ToneName};

use crate::agent::{Activity, Wanted};
use crate::call::{Role, State as CallState};
use crate::core::{Changed, Core};
use crate::flow::calls::{End, NewCall};
use crate::interaction::{Event, Interaction, Outcome, Passing, Source, Stage, Way};
use crate::leg::Link;
use crate::limits::PROOF_AGE_MS;
use crate::mutation::Mutation;
use crate::record::Fact;
use crate::sip::Target;
use crate::timer::Timer;
use crate::view::{Notification, OfferView};
use crate::{AgentId, CallId, Output, RequestId};

impl Core {
    /// Moves an interaction by an event; none when it fits nothing. Keeps its place in the queue.
    pub(crate) fn step(&mut self, id: u64, event: Event) -> Option<Stage> {
        let interaction = self.interactions.get_mut(&id)?;
        let before = interaction.stage;
        let next = before.next(event, interaction.way);
        if let Some(next) = next {
            interaction.stage = next;
            let (queue, place) = (interaction.queue.clone(), place(interaction));
            let call = interaction.call;
            if next == Stage::Waiting {
                if !self.mutated(Mutation::ForgetPlace) {
                    self.queues.enter(&queue, place);
                }
                self.match_due = true;
            } else if before == Stage::Waiting {
                self.queues.leave(&queue, &place);
            }
            if next == Stage::Held {
                self.held.insert(id);
                self.match_due = true;
            } else if before == Stage::Held {
                self.held.remove(&id);
            }
            self.source_changed(id);
            if let Some(call) = call {
                self.changed(Changed::Call(call));
            }
        } else {
            self.projection.ignored += 1;
        }
        self.saw("interaction", before.name(), event.name());
        next
    }

    /// Puts a new interaction into its queue.
    pub(crate) fn enqueue(&mut self, interaction: Interaction) -> u64 {
        let id = interaction.id;
        if interaction.stage == Stage::Waiting {
            self.queues.enter(&interaction.queue, place(&interaction));
            self.match_due = true;
        }
        self.interactions.insert(id, interaction);
        self.source_changed(id);
        id
    }

    /// Callback or contact follow their interaction.
    fn source_changed(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get(&id) else { return };
        let (stage, agent) = (interaction.stage, interaction.agent.clone());
        match interaction.source.clone() {
            Source::Callback(callback) => self.on_callback_stage(&callback, stage),
            Source::Contact(contact) => self.on_contact_stage(&contact, stage, agent),
            Source::Caller => {}
        }
    }

    /// Gives an interaction to an agent: asks them, or takes it at once.
    pub(crate) fn assign(&mut self, id: u64, agent_id: &AgentId) {
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        let Some(agent) = self.agents.get_mut(agent_id) else { return };
        let returns = interaction.stage == Stage::Held && interaction.passing.to.is_none();
        interaction.agent = Some(agent_id.clone());
        interaction.offer = None;
        interaction.proof_tries = 0;
        let preview = matches!(interaction.source, Source::Contact(_)) && !interaction.connected;
        if !agent.is_up() {
            agent.activity = Activity::Busy { interaction: id };
            self.agent_changed(agent_id);
            if self.step(id, Event::TakeCalling).is_some() {
                self.handling.start(id, self.now.mono_us);
                self.announce_offer(id, "accepted");
                self.establish(agent_id);
            }
        } else if agent.profile.auto_accept || !agent.profile.persistent || returns {
            self.take(id);
        } else {
            agent.activity = Activity::Offered { interaction: id, preview };
            self.agent_changed(agent_id);
            let ms = self.queue_of(id).map_or(15_000, |queue| queue.offer_timeout_ms);
            if self.step(id, Event::Offer).is_some() {
                self.announce_offer(id, "offered");
                self.arm(Timer::Offer(agent_id.clone()), u64::from(ms));
            }
        }
    }

    fn queue_of(&self, id: u64) -> Option<&crate::config::QueueConfig> {
        self.config.queue(&self.interactions.get(&id)?.queue)
    }

    /// Tells whoever listens what became of an offer.
    pub(crate) fn announce_offer(&mut self, id: u64, state: &str) {
        let offer = self.next_offer();
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        let Some(agent) = interaction.agent.clone() else { return };
        let view = OfferView {
            id: interaction.offer.get_or_insert(offer).clone(),
            agent,
            kind: interaction.kind(),
            number: interaction.number.clone(),
            data: interaction.data.clone(),
            state: state.to_owned(),
        };
        self.push(Output::Notify(Notification::Offer(Box::new(view))));
    }

    /// The agent takes it.
    pub(crate) fn take(&mut self, id: u64) {
        let Some(agent) = self.interactions.get(&id).and_then(|interaction| interaction.agent.clone()) else {
            return;
        };
        let Some(stage) = self.step(id, Event::Take) else { return };
        self.timers.stop(&Timer::Offer(agent.clone()));
        let free = self.mutated(Mutation::FreeTooEarly);
        if let Some(found) = self.agents.get_mut(&agent) {
            found.activity = if free { Activity::Free } else { Activity::Busy { interaction: id } };
        }
        self.handling.start(id, self.now.mono_us);
        self.announce_offer(id, "accepted");
        self.agent_changed(&agent);
        self.prepare(id, stage);
    }

    /// The phone of an agent without a lasting leg is there.
    pub(crate) fn on_agent_up(&mut self, id: u64) {
        if self.interactions.get(&id).is_some_and(|found| found.stage == Stage::Calling)
            && let Some(stage) = self.step(id, Event::AgentUp)
        {
            self.prepare(id, stage);
        }
    }

    fn prepare(&mut self, id: u64, stage: Stage) {
        if stage == Stage::Preparing {
            self.open_customer_leg(id);
        } else {
            self.prove(id);
        }
    }

    fn open_customer_leg(&mut self, id: u64) {
        let beside = self.agent_leg_of(id);
        let call = CallId(self.unique());
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        interaction.call = Some(call);
        let (kind, number, agent) =
            (interaction.kind(), interaction.number.clone(), interaction.agent.clone());
        self.new_call(NewCall {
            id: call,
            kind,
            role: Role::Customer(id),
            state: CallState::Opening,
            target: Some(Target::Trunk { number: number.clone() }),
            number,
            agent,
            beside,
            remote: None,
        });
        self.drive(call);
    }

    fn agent_leg_of(&self, id: u64) -> Option<String> {
        let call = self.agent_call_of(id)?;
        Some(self.calls.get(&call)?.leg.name.clone())
    }

    /// The customer's leg is open: the agent will hear it from the first packet on; the customer hears nothing yet.
    pub(crate) fn on_customer_leg_open(&mut self, id: u64) {
        if self.interactions.get(&id).is_some_and(|found| found.stage == Stage::Preparing)
            && self.step(id, Event::LegOpen).is_some()
        {
            self.splice(id, false);
            self.prove(id);
        }
    }

    /// Wants the splice of agent and customer, with the customer's ear open or not.
    fn splice(&mut self, id: u64, both: bool) {
        let Some(agent_call) = self.agent_call_of(id) else { return };
        let Some(call) = self.interactions.get(&id).and_then(|interaction| interaction.call) else { return };
        let Some(customer) = self.calls.get(&call) else { return };
        let (partner, since_us) = (customer.leg.name.clone(), customer.audio_from_us);
        let agent_call =
            if self.mutated(Mutation::WrongAgent) { self.another_agent(agent_call) } else { agent_call };
        if let Some(agent) = self.calls.get_mut(&agent_call) {
            agent.leg.link(Link::Spliced { partner, hears: true, heard: both });
            agent.leg.since_us = since_us.filter(|_| both);
        }
        self.drive(agent_call);
    }

    fn another_agent(&self, but: CallId) -> CallId {
        let other = self
            .agents
            .values()
            .filter(|agent| agent.is_up())
            .find_map(|agent| agent.call.filter(|call| *call != but));
        other.unwrap_or(but)
    }

    /// Asks the engine whether the agent's leg lives (BY-02).
    fn prove(&mut self, id: u64) {
        if self.mutated(Mutation::DialWithoutProof) {
            self.on_proved(id);
            return;
        }
        let Some(leg) = self.agent_leg_of(id) else {
            self.step_back(id, 1_000);
            return;
        };
        let request = self.ask_proof(id, leg);
        let now_us = self.now.mono_us;
        if let Some(interaction) = self.interactions.get_mut(&id) {
            interaction.proof = Some(request);
            interaction.proof_sent_us = now_us;
            interaction.proof_tries += 1;
        }
    }

    /// The engine's answer: only a packet within the last second proves the leg.
    pub(crate) fn on_proof(&mut self, id: u64, request: RequestId, info: Result<LegInfo, Error>) {
        let now_us = self.now.mono_us;
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        if interaction.proof != Some(request) || interaction.stage != Stage::Proving {
            return;
        }
        interaction.proof = None;
        let (tries, agent) = (interaction.proof_tries, interaction.agent.clone());
        let way_ms = now_us.saturating_sub(interaction.proof_sent_us) / 1_000;
        let believed = self.mutation == Some(Mutation::BelieveStaleProof);
        match info {
            Ok(info) => {
                let age_ms = info.last_packet_ms.unwrap_or(u64::MAX);
                let proved = age_ms.saturating_add(way_ms) <= PROOF_AGE_MS || believed;
                if proved && self.may_still_be_joined(id) {
                    self.arm(Timer::Proof(id), PROOF_STEP_MS);
                } else if proved {
                    self.on_proved(id);
                } else if age_ms <= PROOF_AGE_MS && tries < PROOF_TRIES {
                    self.prove(id);
                } else if age_ms <= PROOF_AGE_MS {
                    self.step_back(id, 1_000);
                } else if self.may_still_speak(id, info.last_packet_ms) {
                    self.arm(Timer::Proof(id), PROOF_STEP_MS);
                } else if let Some(agent) = agent {
                    self.lose_leg(&agent, "lost");
                }
            }
            Err(error) if error.code == ErrorCode::LegNotFound => {
                // The engine lost the leg, not the agent the phone: it is opened again under the open call.
                if let Some(call) = self.agent_call_of(id) {
                    if let Some(call) = self.calls.get_mut(&call) {
                        call.leg.on_gone();
                    }
                    self.drive(call);
                }
                self.step_back(id, 1_000);
            }
            Err(_) if tries < PROOF_TRIES => self.prove(id),
            Err(_) => self.step_back(id, 1_000),
        }
    }

    /// A packet of a phone that was just picked up, or of one whose last kept packet was lost on the way, may have come.
    pub(crate) fn on_proof_due(&mut self, id: u64) {
        if let Some(interaction) = self.interactions.get_mut(&id)
            && interaction.stage == Stage::Proving
            && interaction.proof.is_none()
        {
            interaction.proof_tries = 0;
            self.prove(id);
        }
    }

    /// Whether a leg without a recent packet may be alive all the same: it was parked until now and one of the few packets
    /// that were let through got lost, or its phone was picked up so recently that the first is still on the way.
    fn may_still_speak(&self, id: u64, last_packet_ms: Option<u64>) -> bool {
        if let Some(age_ms) = last_packet_ms {
            return age_ms < FIRST_PACKET_MS;
        }
        let call = self.agent_call_of(id).and_then(|call| self.calls.get(&call));
        let answered_us = call.and_then(|call| call.answered_us);
        answered_us.is_some_and(|at_us| self.now.mono_us.saturating_sub(at_us) < FIRST_PACKET_MS * 1_000)
    }

    /// Whether somebody is to be dialled for an agent of whom the engine has not confirmed that nobody else hears them: the
    /// customer whom they passed on may (PV-07).
    fn may_still_be_joined(&self, id: u64) -> bool {
        let outbound = self.interactions.get(&id).is_some_and(|found| found.way == Way::Outbound);
        let call = self.agent_call_of(id).and_then(|call| self.calls.get(&call));
        outbound && call.is_some_and(|call| !call.leg.is_linked())
    }

    fn on_proved(&mut self, id: u64) {
        match self.step(id, Event::Proved) {
            Some(Stage::Dialling) => self.dial_customer(id),
            Some(Stage::Joining) => self.join(id),
            _ => {}
        }
    }

    fn dial_customer(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get(&id) else { return };
        let (Some(call), Some(agent)) = (interaction.call, interaction.agent.clone()) else { return };
        self.projection.dialled += 1;
        let late = self.mutated(Mutation::DialBeforeRecord);
        if late {
            self.send_dial(call);
        }
        match interaction_source(self, id) {
            Some(Source::Callback(callback)) => self.record_callback_dial(&callback, call, &agent),
            Some(Source::Contact(contact)) => self.record_contact_dial(&contact, call, &agent),
            Some(Source::Caller) | None => {}
        }
        if !late {
            self.send_dial(call);
        }
    }

    /// The customer's phone rings: the agent hears its early media, or a ringback made here (PM-10).
    pub(crate) fn on_customer_ringing(&mut self, id: u64, first: bool) {
        if first {
            self.step(id, Event::Ringing);
        }
        let early = self
            .interactions
            .get(&id)
            .and_then(|interaction| self.calls.get(&interaction.call?))
            .is_some_and(|call| call.early_media);
        let Some(agent_call) = self.agent_call_of(id) else { return };
        if early {
            self.play_to(agent_call, Vec::new(), 0);
        } else if first {
            let tone =
                PlaySource::Tone { name: ToneName::Ringback, country: Some(self.config.country.clone()) };
            self.play_to(agent_call, vec![tone], 0);
        }
    }

    pub(crate) fn on_customer_answered(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get(&id) else { return };
        self.projection.answered += 1;
        if interaction.way != Way::Outbound {
            self.on_caller_answered(id);
        } else if self.step(id, Event::Answered).is_some() {
            self.join(id);
        }
    }

    /// Opens both gates, and stops what plays. Goes out before anything is recorded.
    fn join(&mut self, id: u64) {
        let Some(call) = self.interactions.get(&id).and_then(|interaction| interaction.call) else { return };
        let agent = self.interactions.get(&id).and_then(|interaction| interaction.agent.clone());
        let outbound = self.interactions.get(&id).is_some_and(|interaction| interaction.way == Way::Outbound);
        let now_us = self.now.mono_us;
        if let Some(call) = self.calls.get_mut(&call) {
            let from_us = if outbound { call.answered_us } else { None };
            call.audio_from_us.get_or_insert(from_us.unwrap_or(now_us));
        }
        self.splice(id, true);
        if let Some(agent_call) = self.agent_call_of(id) {
            self.play_to(agent_call, Vec::new(), 0);
        }
        self.play_to(call, Vec::new(), 0);
        self.timers.stop(&Timer::Hold(call));
        self.timers.stop(&Timer::MaxWait(call));
        self.arm(Timer::Join(call), JOIN_MS);
        if let Some(call) = self.calls.get_mut(&call) {
            call.agent = agent;
        }
        self.changed(Changed::Call(call));
    }

    /// They can talk: now it is a fact.
    pub(crate) fn on_connected(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        let first = !std::mem::replace(&mut interaction.connected, true);
        let (Some(call), Some(agent)) = (interaction.call, interaction.agent.clone()) else { return };
        let source = interaction.source.clone();
        interaction.refusers.clear();
        interaction.passing = Passing::default();
        self.timers.stop(&Timer::Join(call));
        self.projection.connected += u64::from(first);
        self.record(Fact::Connected { call, agent });
        match source {
            Source::Callback(callback) if first => self.complete_connected_callback(&callback),
            Source::Contact(contact) if first => self.complete_connected_contact(&contact),
            Source::Callback(_) | Source::Contact(_) | Source::Caller => {}
        }
    }

    /// The customer talks to nobody: an announcement, until the agent or another one is there (BY-03).
    pub(crate) fn hold(&mut self, id: u64, talked: bool) {
        let now_us = self.now.mono_us;
        if self.mutated(Mutation::ForgetHeld) {
            self.held.remove(&id);
        }
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        interaction.way = Way::Resumed;
        interaction.held_us = now_us;
        let call = interaction.call;
        self.release_agent(id, talked);
        let Some(call) = call else { return };
        self.timers.stop(&Timer::Join(call));
        let hold_ms = u64::from(self.config.agents.hold_timeout_s) * 1_000;
        if !self.mutated(Mutation::ForgetHeld) {
            self.arm(Timer::Hold(call), hold_ms);
        }
        // The engine is told even when the agent's leg is gone and with it the splice.
        let prompt = self.config.prompts.hold.clone();
        if !prompt.is_empty() {
            self.play_to(call, vec![PlaySource::File(prompt), PlaySource::SilenceMs(2_000)], 0);
        }
    }

    /// Takes the agent out; after a conversation they wrap up.
    pub(crate) fn release_agent(&mut self, id: u64, talked: bool) {
        let wrap_ms = self.queue_of(id).map_or(0, |queue| queue.wrap_up_ms);
        let now_us = self.now.mono_us;
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        let Some(agent_id) = interaction.agent.take() else { return };
        interaction.last_agent = Some(agent_id.clone());
        interaction.proof = None;
        self.handling.end(id, &interaction.queue, now_us, u64::from(wrap_ms), talked);
        self.timers.stop(&Timer::Offer(agent_id.clone()));
        self.timers.stop(&Timer::Silent(agent_id.clone()));
        let Some(agent) = self.agents.get_mut(&agent_id) else { return };
        if agent.interaction() != Some(id) {
            return;
        }
        agent.activity = Activity::Free;
        agent.idle_since_us = now_us;
        if talked && wrap_ms > 0 {
            agent.activity = Activity::WrapUp;
        }
        let (call, leave) = (agent.call, !agent.profile.persistent || agent.wanted == Wanted::LoggedOut);
        let up = agent.is_up();
        if talked && wrap_ms > 0 {
            self.arm(Timer::WrapUp(agent_id.clone()), u64::from(wrap_ms));
        }
        if let (Some(call), true) = (call, up) {
            let keeps = talked && self.mutated(Mutation::KeepOnTransfer);
            if let Some(call) = self.calls.get_mut(&call).filter(|_| !keeps) {
                call.leg.link(Link::Parked);
            }
            self.play_to(call, Vec::new(), 0);
        }
        self.agent_changed(&agent_id);
        if leave {
            self.close_connection(&agent_id, "");
            self.forget_guest(&agent_id);
        }
    }

    /// Back to where it came from: the agent refused, or cannot be reached. Nobody was dialled.
    pub(crate) fn step_back(&mut self, id: u64, not_again_ms: u64) {
        let until_us = self.now.mono_us + not_again_ms * 1_000;
        let Some(interaction) = self.interactions.get(&id) else { return };
        if !matches!(interaction.stage, Stage::Offered | Stage::Calling | Stage::Preparing | Stage::Proving) {
            return;
        }
        let (way, call, agent) = (interaction.way, interaction.call, interaction.agent.clone());
        // Released first: the place in the queue must not be given to this agent again in the same step.
        if let (Some(agent), Some(interaction)) = (agent, self.interactions.get_mut(&id)) {
            interaction.refusers.insert(agent, until_us);
            if !self.timers.is_armed(&Timer::Match) {
                self.arm(Timer::Match, not_again_ms.min(1_000));
            }
        }
        self.release_agent(id, false);
        if way == Way::Outbound
            && let Some(call) = call
        {
            if let Some(call) = self.calls.get_mut(&call) {
                call.role = Role::Orphan;
            }
            if let Some(interaction) = self.interactions.get_mut(&id) {
                interaction.call = None;
            }
            self.hang_up(call, "agent not available");
        }
        self.step(id, Event::Refuse);
        self.return_to_sender(id);
    }

    /// Ends an interaction from our side, whatever its stage.
    pub(crate) fn give_up(&mut self, id: u64, outcome: Outcome) {
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        let (stage, way, call) = (interaction.stage, interaction.way, interaction.call);
        if matches!(stage, Stage::Aborting | Stage::Done) {
            return;
        }
        let talked = interaction.connected && stage == Stage::Connected;
        interaction.outcome = Some(outcome);
        self.end_consultation(id);
        let undialled = matches!(
            stage,
            Stage::Waiting | Stage::Offered | Stage::Calling | Stage::Preparing | Stage::Proving
        );
        if way == Way::Outbound && undialled {
            self.release_agent(id, false);
            if let Some(call) = call {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.role = Role::Orphan;
                }
                self.hang_up(call, "withdrawn");
            }
            if self.step(id, Event::Withdraw).is_some() {
                self.conclude(id, None);
            }
            return;
        }
        if self.step(id, Event::Abort).is_none() {
            return;
        }
        self.release_agent(id, talked);
        if self.mutated(Mutation::RetryBeforeEnd) && !talked {
            if let Some(call) = call.and_then(|call| self.calls.get_mut(&call)) {
                call.role = Role::Orphan;
            }
            self.step(id, Event::CustomerOver);
            self.conclude(id, None);
        }
        if let Some(call) = call {
            self.hang_up(call, "ended");
        }
    }

    /// The customer's call is over.
    pub(crate) fn on_customer_over(&mut self, id: u64, end: &End) {
        let Some(interaction) = self.interactions.get(&id) else { return };
        let talked = interaction.connected && interaction.stage == Stage::Connected;
        let held = interaction.stage == Stage::Held;
        if self.step(id, Event::CustomerOver).is_none() {
            return;
        }
        self.held.remove(&id);
        self.end_consultation(id);
        self.release_agent(id, talked && !held);
        self.conclude(id, Some(end));
    }

    /// Tells callback or contact how it went, and forgets the interaction.
    fn conclude(&mut self, id: u64, end: Option<&End>) {
        let Some(interaction) = self.interactions.remove(&id) else { return };
        let rang = interaction.call.and_then(|call| self.calls.get(&call)).is_some_and(|call| call.rang);
        let outcome = match (interaction.outcome, end) {
            _ if interaction.connected => Outcome::Talked,
            (Some(outcome), _) => outcome,
            (None, Some(End::Failed { status, network })) => {
                Outcome::Refused { status: *status, network: *network }
            }
            (None, Some(End::Ended { .. })) => Outcome::Talked,
            (None, Some(End::Lost) | None) => Outcome::Engine,
        };
        match interaction.source {
            Source::Callback(callback) => self.conclude_callback(&callback, &outcome, interaction.connected),
            Source::Contact(contact) => {
                self.conclude_contact(&contact, &outcome, rang, interaction.connected);
            }
            Source::Caller => self.projection.abandoned += u64::from(!interaction.connected),
        }
    }

    pub(crate) fn on_setup_timeout(&mut self, call: CallId) {
        if let Some(Role::Customer(id)) = self.calls.get(&call).map(|call| call.role.clone()) {
            self.give_up(id, Outcome::SetupTimeout);
        }
    }

    pub(crate) fn on_join_timeout(&mut self, call: CallId) {
        if let Some(Role::Customer(id)) = self.calls.get(&call).map(|call| call.role.clone()) {
            self.give_up(id, Outcome::Engine);
        }
    }

    pub(crate) fn on_hold_timeout(&mut self, call: CallId) {
        if let Some(Role::Customer(id)) = self.calls.get(&call).map(|call| call.role.clone())
            && !self.end_long_consultation(id)
        {
            self.give_up(id, Outcome::Talked);
        }
    }

    /// The agent did not react: the next one is asked (PV-04).
    pub(crate) fn on_offer_timeout(&mut self, agent: &AgentId) {
        let Some(id) = self.agents.get(agent).and_then(super::super::agent::Agent::interaction) else {
            return;
        };
        if self.interactions.get(&id).is_none_or(|interaction| interaction.stage != Stage::Offered) {
            return;
        }
        self.announce_offer(id, "timed_out");
        self.step_back(id, crate::flow::agents::REFUSED_MS);
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.activity = Activity::Refused;
        }
        self.agent_changed(agent);
    }
}

/// Place in the queue.
pub(crate) fn place(interaction: &Interaction) -> crate::queue::Place {
    (Reverse(interaction.priority), interaction.arrival_ms, interaction.id)
}

fn interaction_source(core: &Core, id: u64) -> Option<Source> {
    core.interactions.get(&id).map(|interaction| interaction.source.clone())
}

/// Proofs asked for before the agent is passed over.
const PROOF_TRIES: u32 = 3;
/// How long a phone may take to its next packet, or to its first after it was picked up, before it counts as dead.
const FIRST_PACKET_MS: u64 = 3_000;
/// How long to wait before such a leg is asked for again.
const PROOF_STEP_MS: u64 = 100;
/// How long an answered customer may wait for the splice.
const JOIN_MS: u64 = 5_000;
