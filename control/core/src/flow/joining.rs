//! Agent and customer hear each other, or the customer is held until an agent is there again.

use offhook_proto::PlaySource;

use crate::core::{Changed, Core};
use crate::inbound_flow::Owner;
use crate::interaction::{Event, Passing, Source, Way};
use crate::leg::Link;
use crate::mutation::Mutation;
use crate::record::Fact;
use crate::timer::Timer;
use crate::{AgentId, CallId};

impl Core {
    pub(crate) fn on_customer_answered(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get(&id) else { return };
        self.projection.answered += 1;
        if interaction.way != Way::Outbound {
            self.on_caller_answered(id);
        } else if self.step(id, Event::Answered).is_some() {
            self.join(id);
            self.listen(id);
        }
    }

    /// Wants the splice of agent and customer, with the customer's ear open or not.
    pub(super) fn splice(&mut self, id: u64, both: bool) {
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

    /// Opens both gates, and stops what plays. Goes out before anything is recorded.
    pub(super) fn join(&mut self, id: u64) {
        self.leave_flow(&Owner::Caller(id));
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
            let tone = self.config.prompts.connect_tone.clone();
            let sources = if tone.is_empty() { Vec::new() } else { vec![PlaySource::File(tone)] };
            self.play_to(agent_call, sources, 1);
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
        if !self.awaits_verdict(id) {
            self.note_connected(id, None);
        }
    }

    /// Puts on record that they can talk: now, or since a moment of before, in milliseconds since 1970 UTC.
    pub(crate) fn note_connected(&mut self, id: u64, since_ms: Option<u64>) {
        let since_ms = since_ms.filter(|_| !self.mutated(Mutation::ConnectAtVerdict));
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        let first = !std::mem::replace(&mut interaction.connected, true);
        let (Some(call), Some(agent)) = (interaction.call, interaction.agent.clone()) else { return };
        let source = interaction.source.clone();
        interaction.refusers.clear();
        interaction.passing = Passing::default();
        self.timers.stop(&Timer::Join(call));
        self.projection.connected += u64::from(first);
        self.record(Fact::Connected { call, agent, since_ms });
        match source {
            Source::Callback(callback) if first => self.complete_connected_callback(&callback),
            Source::Contact(contact) if first => self.complete_connected_contact(&contact),
            Source::Callback(_) | Source::Contact(_) | Source::Caller => {}
        }
    }

    /// Puts on record that who talked does so no more, for the agent's phone is lost: they may come back (BY-03).
    pub(super) fn note_parted(&mut self, id: u64, agent: &AgentId) {
        let Some(interaction) = self.interactions.get(&id).filter(|found| found.connected) else { return };
        if let Some(call) = interaction.call {
            self.record(Fact::Parted { call, agent: agent.clone() });
        }
    }

    /// The customer talks to nobody: an announcement, until the agent or another one is there (BY-03).
    pub(crate) fn hold(&mut self, id: u64, talked: bool) {
        self.take_as_person(id);
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
}

/// How long an answered customer may wait for the splice.
const JOIN_MS: u64 = 5_000;
