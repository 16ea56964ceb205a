//! How a customer's way ends, or goes back to where it came from.

use crate::agent::{Activity, Agent, Wanted};
use crate::call::{DELETED, FLOW_HUNG_UP, Role};
use crate::core::Core;
use crate::flow::calls::End;
use crate::inbound_flow::Owner;
use crate::interaction::{Event, Outcome, Source, Stage, Way};
use crate::leg::Link;
use crate::mutation::Mutation;
use crate::timer::Timer;
use crate::{AgentId, CallId};

impl Core {
    /// Takes the agent out; after a conversation they wrap up.
    pub(crate) fn release_agent(&mut self, id: u64, talked: bool) {
        let wrap_ms = self.queue_of(id).map_or(0, |queue| queue.wrap_up_ms);
        let now_us = self.now.mono_us;
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        let Some(agent_id) = interaction.agent.take() else { return };
        interaction.last_agent = Some(agent_id.clone());
        interaction.proof = None;
        // The phone stays with who speaks about a transfer.
        let consults = interaction.passing.consult;
        self.handling.end(id, &interaction.queue, now_us, u64::from(wrap_ms), talked);
        let customer = self.interactions.get(&id).and_then(|interaction| interaction.call);
        let agent_call = self.agents.get(&agent_id).and_then(|agent| agent.call);
        for call in [customer, agent_call].into_iter().flatten() {
            self.forget_one_way(call);
        }
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
        let lasting = agent.mode.now.persistent && !agent.for_one;
        let (call, leave) = (agent.call, !consults && (!lasting || agent.wanted == Wanted::LoggedOut));
        // The mode has changed since: the leg for the day is a call of its own, with its PIN (PM-04).
        agent.reopen |= !consults
            && agent.for_one
            && agent.mode.now.persistent
            && agent.wanted == Wanted::Available
            && call.is_some();
        let up = agent.is_up();
        if let (Some(call), true) = (call, up) {
            let keeps = talked && self.mutated(Mutation::KeepOnTransfer);
            if let Some(call) = self.calls.get_mut(&call).filter(|_| !keeps) {
                call.leg.link(Link::Parked);
            }
            self.play_to(call, Vec::new(), 0);
        }
        if talked && wrap_ms > 0 {
            self.begin_wrap_up(&agent_id, u64::from(wrap_ms));
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
        self.on_not_reached(id);
    }

    /// Ends an interaction from our side, whatever its stage.
    pub(crate) fn give_up(&mut self, id: u64, outcome: Outcome) {
        self.take_as_person(id);
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
            let source = self.interactions.get(&id).map(|found| found.source.clone());
            self.step(id, Event::CustomerOver);
            self.conclude(id, None);
            if let Some(Source::Callback(callback)) = source {
                self.requeue_at_once(&callback);
            }
        }
        if let Some(call) = call {
            self.hang_up(call, "ended");
        }
    }

    /// The customer's call is over.
    pub(crate) fn on_customer_over(&mut self, id: u64, end: &End) {
        self.take_as_person(id);
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
    pub(super) fn conclude(&mut self, id: u64, end: Option<&End>) {
        let Some(interaction) = self.interactions.remove(&id) else { return };
        self.leave_flow(&Owner::Caller(id));
        let call = interaction.call.and_then(|call| self.calls.get(&call));
        let (rang, answered) = call.map_or((false, false), |call| (call.rang, call.answered_ms.is_some()));
        let sent_away = call.and_then(|call| call.result.as_deref());
        let sent_away = sent_away.is_some_and(|result| matches!(result, DELETED | FLOW_HUNG_UP));
        let outcome = match (interaction.outcome, end) {
            _ if interaction.connected => Outcome::Talked,
            // Their phone may ring, or wait for a word, as long as anything of a dead process may.
            (_, Some(End::Lost)) if !answered && interaction.way == Way::Outbound => Outcome::Unknown,
            (Some(outcome), _) => outcome,
            (None, Some(End::Failed { status, network, cause })) => {
                Outcome::Refused { status: *status, network: *network, cause: *cause }
            }
            (None, Some(End::Ended { .. })) => Outcome::Talked,
            (None, Some(End::Lost) | None) => Outcome::Engine,
        };
        match interaction.source {
            Source::Callback(callback) => {
                self.conclude_callback(&callback, &outcome, rang, interaction.connected);
            }
            Source::Contact(contact) => {
                self.conclude_contact(&contact, &outcome, rang, interaction.connected);
            }
            Source::Caller => self.projection.abandoned += u64::from(!interaction.connected && !sent_away),
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
        let Some(id) = self.agents.get(agent).and_then(Agent::interaction) else {
            return;
        };
        let stage = self.interactions.get(&id).map(|interaction| interaction.stage);
        if !self.decline_to_speak(id, agent, "timed_out") {
            if stage != Some(Stage::Offered) {
                return;
            }
            self.announce_offer(id, "timed_out");
            self.step_back(id, crate::flow::agents::REFUSED_MS);
        }
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.activity = Activity::Refused;
        }
        self.agent_changed(agent);
    }
}
