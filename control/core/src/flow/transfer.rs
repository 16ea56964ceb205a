//! Customers passed on: to an agent, a number or a queue, at once or after a word with the other (PV-07).
//!
//! The customer is held meanwhile and always belongs to somebody: whoever passed them on gets them back when the other cannot
//! be reached. A number is called like an agent of its own, a guest, who is forgotten with the call.

use crate::agent::{Activity, Agent, Wanted};
use crate::api::{ApiError, ApiReply, TransferBody, TransferMode};
use crate::connection::State;
use crate::core::Core;
use crate::flow::agents::REFUSED_MS;
use crate::flow::api::{Answer, bad, check_number, missing};
use crate::interaction::{Event, Interaction, Passing, Stage, Way};
use crate::leg::Link;
use crate::record::{AgentProfile, Destination, Fact, Station};
use crate::timer::Timer;
use crate::{AgentId, CallId};

impl Core {
    /// `POST /agents/{id}/transfer`.
    pub(super) fn transfer(&mut self, by: &AgentId, body: TransferBody) -> Answer {
        let (id, call) = self.customer_of(by)?;
        self.check_destination(by, &body)?;
        self.take_as_person(id);
        let to = body.to;
        let other = match &to {
            Destination::Agent(other) => other.clone(),
            Destination::Number(number) => self.invite(number),
            Destination::Queue(queue) => {
                let queue = queue.clone();
                let priority = self.config.queue(&queue).map_or(0, |queue| queue.priority);
                let (agent, skill) = (by.clone(), self.skill_of(&queue).map(str::to_owned));
                self.record(Fact::Transferred { call, agent, to, priority: Some(priority), skill });
                self.pass_to_queue(id, by, queue, priority);
                return self.shown(by);
            }
        };
        match body.mode {
            TransferMode::Blind => {
                self.record(Fact::Transferred { call, agent: by.clone(), to, priority: None, skill: None });
                self.pass_on(id, by, &other);
            }
            TransferMode::Attended => self.consult(id, by, &other),
        }
        self.shown(by)
    }

    /// `POST /agents/{id}/transfer/complete`: the customer is the other's.
    pub(super) fn complete_transfer(&mut self, by: &AgentId) -> Answer {
        let (id, other) = self.consultation_of(by)?;
        if !self.has_come(id, &other) {
            return Err(ApiError::new(409, "not_answered", "the other side has not answered"));
        }
        self.hand_over(id);
        self.shown(by)
    }

    /// `POST /agents/{id}/transfer/cancel`: the customer is the agent's again.
    pub(super) fn cancel_transfer(&mut self, by: &AgentId) -> Answer {
        let (id, _) = self.consultation_of(by)?;
        self.take_back(id);
        self.shown(by)
    }

    fn shown(&self, id: &AgentId) -> Answer {
        let view = self.agent_view(id).ok_or_else(|| missing("agent"))?;
        Ok(ApiReply::Agent(Box::new(view), false))
    }

    pub(super) fn customer_of(&self, by: &AgentId) -> Result<(u64, CallId), ApiError> {
        let agent = self.known(by)?;
        let found = agent.interaction().and_then(|id| self.interactions.get(&id));
        let talking = found.filter(|found| found.stage == Stage::Connected);
        talking
            .and_then(|found| Some((found.id, found.call?)))
            .ok_or_else(|| ApiError::new(409, "no_call", "the agent is not talking to a customer"))
    }

    fn consultation_of(&self, by: &AgentId) -> Result<(u64, AgentId), ApiError> {
        let agent = self.known(by)?;
        let found = agent.interaction().and_then(|id| self.interactions.get(&id));
        let consults = found.filter(|found| found.passing.consult && found.passing.by.as_ref() == Some(by));
        consults.and_then(|found| Some((found.id, found.passing.to.clone()?))).ok_or_else(|| {
            ApiError::new(409, "no_consultation", "the agent is not consulting anybody about a transfer")
        })
    }

    fn check_destination(&self, by: &AgentId, body: &TransferBody) -> Result<(), ApiError> {
        match &body.to {
            Destination::Agent(other) if other == by => Err(bad("to", "is the agent who has the customer")),
            Destination::Agent(other) => match self.known(other)?.is_ready() {
                true => Ok(()),
                false => Err(ApiError::new(409, "agent_not_ready", "the other agent is not available")),
            },
            Destination::Number(number) => {
                check_number("to", number)?;
                match self.trunk.is_open() {
                    true => Ok(()),
                    false => Err(ApiError::new(503, "trunk_away", "the trunk does not answer")),
                }
            }
            Destination::Queue(queue) if self.config.queue(queue).is_none() => {
                Err(bad("to", "names no queue"))
            }
            Destination::Queue(_) if body.mode == TransferMode::Attended => {
                Err(bad("mode", "is blind for a queue: nobody is there to be spoken with"))
            }
            Destination::Queue(_) => Ok(()),
        }
    }

    /// A number becomes an agent for one customer.
    pub(super) fn invite(&mut self, number: &str) -> AgentId {
        let id = AgentId(format!("{}{}", AgentId::GUEST, self.unique()));
        let profile = AgentProfile {
            id: id.clone(),
            name: number.to_owned(),
            skills: Vec::new(),
            station: Some(Station::Number { number: number.to_owned() }),
            group: None,
            persistent: Some(false),
            auto_accept: Some(false),
            pin: false,
            password: None,
            guest: true,
        };
        self.record(Fact::AgentSaved(Box::new(profile.clone())));
        self.save_agent(profile);
        self.set_wanted(&id, Wanted::Available);
        id
    }

    /// Forgets a guest without a customer and without a call.
    pub(crate) fn forget_guest(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get(id).filter(|agent| agent.profile.guest) else { return };
        if agent.connection == State::Down && agent.call.is_none() && agent.interaction().is_none() {
            self.timers.stop(&Timer::Redial(id.clone()));
            self.timers.stop(&Timer::WrapUp(id.clone()));
            self.record(Fact::AgentRemoved { agent: id.clone() });
            self.agents.remove(id);
        }
    }

    /// After a restart: guests whose customer is gone are not kept on the line.
    pub(crate) fn forget_lonely_guests(&mut self) {
        let lonely = |agent: &&Agent| agent.profile.guest && agent.interaction().is_none();
        let lonely: Vec<_> = self.agents.values().filter(lonely).map(|agent| agent.id().clone()).collect();
        for id in lonely {
            self.close_connection(&id, "");
            self.forget_guest(&id);
        }
    }

    /// Whether the agent is a guest, whose hanging up ends the customer's call.
    pub(crate) fn is_guest(&self, id: &AgentId) -> bool {
        self.agents.get(id).is_some_and(|agent| agent.profile.guest)
    }

    fn pass_to_queue(&mut self, id: u64, by: &AgentId, queue: String, priority: i32) {
        self.release_agent(id, true);
        let until_us = self.now.mono_us + REFUSED_MS * 1_000;
        if let Some(interaction) = self.interactions.get_mut(&id) {
            interaction.queue = queue;
            interaction.priority = priority;
            interaction.way = Way::Inbound;
            interaction.refusers.insert(by.clone(), until_us);
        }
        if self.step(id, Event::Requeue).is_some() {
            self.wait_in_queue(id);
        }
    }

    /// Blind: the agent is out, the other is asked.
    fn pass_on(&mut self, id: u64, by: &AgentId, other: &AgentId) {
        if self.step(id, Event::Transfer).is_none() {
            return;
        }
        self.hold(id, true);
        if let Some(interaction) = self.interactions.get_mut(&id) {
            interaction.passing = Passing { by: Some(by.clone()), to: Some(other.clone()), consult: false };
        }
        self.assign(id, other);
    }

    /// Attended: the customer is held while the agent speaks with the other, who is asked first where that takes a click (PM-12).
    fn consult(&mut self, id: u64, by: &AgentId, other: &AgentId) {
        if self.step(id, Event::Transfer).is_none() {
            return;
        }
        if let Some(interaction) = self.interactions.get_mut(&id) {
            interaction.passing = Passing { by: Some(by.clone()), to: Some(other.clone()), consult: true };
            interaction.offer = None;
        }
        self.hold(id, true);
        if let Some(call) = self.interactions.get(&id).and_then(|interaction| interaction.call) {
            self.arm(Timer::Hold(call), u64::from(self.config.agents.consult_timeout_s) * 1_000);
        }
        self.end_wrap_up(by);
        for agent_id in [by, other] {
            if let Some(agent) = self.agents.get_mut(agent_id) {
                let is_asked = agent_id == other && agent.is_up() && agent.has_to_click();
                agent.activity = match is_asked {
                    true => Activity::Offered { interaction: id, preview: false },
                    false => Activity::Busy { interaction: id },
                };
            }
            self.agent_changed(agent_id);
        }
        if self.has_come(id, other) {
            self.link_consultation(id);
        } else if self.agents.get(other).is_some_and(Agent::is_up) {
            self.offer_to(id, other);
        } else {
            self.establish(other);
        }
    }

    /// Whether the other of a consultation is there and need not be asked, or has come.
    fn has_come(&self, id: u64, other: &AgentId) -> bool {
        let found = self.agents.get(other);
        found.is_some_and(|found| found.is_up() && found.activity == Activity::Busy { interaction: id })
    }

    /// Whether an agent is asked to speak with another about a customer.
    fn is_asked_to_speak(&self, id: u64, agent: &AgentId) -> bool {
        let is_other =
            |found: &Interaction| found.passing.consult && found.passing.to.as_ref() == Some(agent);
        let is_offered = |found: &Agent| matches!(found.activity, Activity::Offered { interaction, .. } if interaction == id);
        self.interactions.get(&id).is_some_and(is_other) && self.agents.get(agent).is_some_and(is_offered)
    }

    /// The agent comes to speak. False when that was not asked.
    pub(super) fn come_to_speak(&mut self, id: u64, agent: &AgentId) -> bool {
        if !self.is_asked_to_speak(id, agent) {
            return false;
        }
        self.stop_asking(id, agent, "accepted");
        self.link_consultation(id);
        true
    }

    /// The agent does not come to speak, for this reason: the customer goes back. False when that was not asked.
    pub(super) fn decline_to_speak(&mut self, id: u64, agent: &AgentId, state: &str) -> bool {
        if !self.is_asked_to_speak(id, agent) {
            return false;
        }
        self.stop_asking(id, agent, state);
        self.take_back(id);
        true
    }

    fn stop_asking(&mut self, id: u64, agent: &AgentId, state: &str) {
        self.timers.stop(&Timer::Offer(agent.clone()));
        self.announce_offer_to(id, agent.clone(), state);
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.activity = Activity::Busy { interaction: id };
        }
        self.agent_changed(agent);
    }

    /// The other's phone is there.
    pub(crate) fn on_consulted_up(&mut self, id: u64, agent: &AgentId) {
        let asked = |found: &Interaction| found.passing.consult && found.passing.to.as_ref() == Some(agent);
        if self.interactions.get(&id).is_some_and(asked) {
            self.link_consultation(id);
        }
    }

    fn link_consultation(&mut self, id: u64) {
        let Some((by, to)) = self.pair_of(id) else { return };
        // The splice is the first one's; the other's leg must not be parked against it.
        let partner = self.calls.get_mut(&to).map(|call| {
            call.leg.link(Link::Free);
            call.leg.name.clone()
        });
        if let (Some(partner), Some(call)) = (partner, self.calls.get_mut(&by)) {
            call.leg.link(Link::Spliced { partner, hears: true, heard: true });
        }
        self.drive(by);
    }

    /// The calls of the two who speak about a transfer.
    fn pair_of(&self, id: u64) -> Option<(CallId, CallId)> {
        let passing = &self.interactions.get(&id)?.passing;
        let call = |agent: &Option<AgentId>| self.agents.get(agent.as_ref()?)?.call;
        Some((call(&passing.by)?, call(&passing.to)?))
    }

    /// Ends a consultation: the two do not hear each other any more. Who began it, and with whom.
    fn part(&mut self, id: u64) -> Option<(AgentId, AgentId)> {
        let passing = self.interactions.get(&id).map(|found| found.passing.clone());
        let Passing { by, to, .. } = passing.filter(|passing| passing.consult)?;
        let is_asked = to.as_ref().is_some_and(|to| self.is_asked_to_speak(id, to));
        if let Some(to) = to.as_ref().filter(|_| is_asked) {
            self.stop_asking(id, to, "withdrawn");
        }
        let pair = self.pair_of(id).filter(|_| !is_asked);
        self.interactions.get_mut(&id)?.passing = Passing::default();
        if let Some((by, to)) = pair {
            for call in [by, to] {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.leg.link(Link::Parked);
                }
            }
            // The engine took the other's leg out of its parking place.
            if let Some(call) = self.calls.get_mut(&to) {
                call.leg.on_partner_gone();
            }
            self.drive(by);
            self.drive(to);
        }
        Some((by?, to?))
    }

    fn let_go(&mut self, id: u64, agent: &AgentId, talked: bool) {
        if let Some(interaction) = self.interactions.get_mut(&id) {
            interaction.agent = Some(agent.clone());
        }
        self.release_agent(id, talked);
    }

    fn hand_over(&mut self, id: u64) {
        let Some((by, to)) = self.part(id) else { return };
        let number = self.agents.get(&to).filter(|agent| agent.profile.guest);
        let destination = match number {
            Some(guest) => Destination::Number(guest.profile.name.clone()),
            None => Destination::Agent(to.clone()),
        };
        if let Some(call) = self.interactions.get(&id).and_then(|found| found.call) {
            let (agent, to) = (by.clone(), destination);
            self.record(Fact::Transferred { call, agent, to, priority: None, skill: None });
        }
        self.let_go(id, &by, true);
        self.resume_with(id, &by, &to);
    }

    /// They have spoken for too long. False when nobody speaks about this customer.
    pub(crate) fn end_long_consultation(&mut self, id: u64) -> bool {
        let consults = self.interactions.get(&id).is_some_and(|found| found.passing.consult);
        if consults {
            self.take_back(id);
        }
        consults
    }

    fn take_back(&mut self, id: u64) {
        let Some((by, to)) = self.part(id) else { return };
        self.let_go(id, &to, false);
        self.resume_with(id, &by, &by);
    }

    /// A held customer goes to an agent who takes them at once.
    fn resume_with(&mut self, id: u64, by: &AgentId, agent: &AgentId) {
        if let Some(interaction) = self.interactions.get_mut(&id) {
            interaction.agent = Some(agent.clone());
            interaction.last_agent = Some(agent.clone());
            interaction.offer = None;
            interaction.proof_tries = 0;
            if by != agent {
                interaction.passing =
                    Passing { by: Some(by.clone()), to: Some(agent.clone()), consult: false };
            }
            if let Some(call) = interaction.call {
                let hold_ms = u64::from(self.config.agents.hold_timeout_s) * 1_000;
                self.arm(Timer::Hold(call), hold_ms);
            }
        }
        self.take(id);
    }

    /// One of the two who spoke about a transfer is gone. True when that was so.
    pub(crate) fn on_consultation_broken(&mut self, id: u64, lost: &AgentId) -> bool {
        let Some(interaction) = self.interactions.get(&id).filter(|found| found.passing.consult) else {
            return false;
        };
        let other_up = interaction.passing.to.as_ref().is_some_and(|to| self.has_come(id, to));
        match (interaction.passing.by.as_ref() == Some(lost), other_up) {
            (false, _) => self.take_back(id),
            (true, true) => self.hand_over(id),
            (true, false) => {
                if let Some((by, to)) = self.part(id) {
                    self.let_go(id, &to, false);
                    self.let_go(id, &by, false);
                    self.note_parted(id, &by);
                    self.arm_hold(id);
                }
            }
        }
        true
    }

    /// The customer is gone, or is sent away: the two are free.
    pub(crate) fn end_consultation(&mut self, id: u64) {
        if let Some((by, to)) = self.part(id) {
            self.let_go(id, &to, false);
            self.let_go(id, &by, true);
        }
    }

    fn arm_hold(&mut self, id: u64) {
        let hold_ms = u64::from(self.config.agents.hold_timeout_s) * 1_000;
        if let Some(call) = self.interactions.get(&id).and_then(|found| found.call) {
            self.arm(Timer::Hold(call), hold_ms);
        }
        self.match_due = true;
    }

    /// Whoever was to have the customer does not: they go back to whoever passed them on.
    pub(crate) fn return_to_sender(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        if interaction.stage != Stage::Held || interaction.passing.consult {
            return;
        }
        let Some(by) = std::mem::take(&mut interaction.passing).by else { return };
        interaction.last_agent = Some(by.clone());
        self.end_wrap_up(&by);
        self.match_due = true;
    }
}
