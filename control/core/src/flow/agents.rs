//! Agents and their persistent legs.

use offhook_proto::PlaySource;

use crate::agent::{Activity, Agent, Wanted};
use crate::api::Outcome as Started;
use crate::call::{Role, State as CallState};
use crate::connection::{Event, State};
use crate::core::{Changed, Core};
use crate::flow::calls::{End, NewCall};
use crate::interaction::{Event as Way, Outcome, Stage};
use crate::leg::{Link, Program};
use crate::record::{CallKind, Fact, Station};
use crate::sip::Target;
use crate::timer::{Deadline, Timer};
use crate::{AgentId, CallId};

impl Core {
    pub(crate) fn agent(&mut self, id: &AgentId) -> Option<&mut Agent> {
        self.agents.get_mut(id)
    }

    /// Brings status, readiness and listeners up to date after a change.
    pub(crate) fn agent_changed(&mut self, id: &AgentId) {
        let now = self.now;
        let Some(agent) = self.agents.get_mut(id) else { return };
        let status = agent.current_status();
        if status != agent.status {
            agent.status = status;
            agent.since_ms = now.unix_ms;
        }
        let ready = agent.is_ready().then_some(agent.idle_since_us);
        self.queues.set_ready(id, ready, &agent.profile.skills);
        self.match_due |= ready.is_some() || !self.held.is_empty();
        self.changed(Changed::Agent(id.clone()));
    }

    /// Moves an agent's connection by an event; false when it fits nothing.
    pub(crate) fn step_connection(&mut self, id: &AgentId, event: Event) -> bool {
        let Some(agent) = self.agents.get_mut(id) else { return false };
        let state = agent.connection;
        let next = state.next(event);
        if let Some(next) = next {
            agent.connection = next;
        }
        self.saw("connection", state.name(), event.name());
        if next.is_some() {
            self.agent_changed(id);
        }
        next.is_some()
    }

    /// Calls an agent's phone, unless it is off hook or being called (PC-02).
    pub(crate) fn establish(&mut self, id: &AgentId) -> Started {
        let Some(agent) = self.agents.get_mut(id) else { return Started::Ignored };
        if agent.wanted == Wanted::LoggedOut || agent.profile.station.is_none() {
            return Started::Ignored;
        }
        match agent.connection {
            State::Up | State::Announcing => Started::AlreadyUp,
            State::Dialling | State::Validating | State::Restoring => Started::InProgress,
            // The old call has to end first, or the engine to say whether an earlier run's leg is still open.
            State::Closing => {
                agent.reopen = true;
                Started::Started
            }
            State::Down if self.replayed.is_pending() => {
                agent.reopen = true;
                Started::Started
            }
            State::Down => {
                self.dial_agent(id);
                Started::Started
            }
        }
    }

    fn dial_agent(&mut self, id: &AgentId) {
        let wait_us = self.phones_from_us.saturating_sub(self.now.mono_us);
        if wait_us > 0 {
            if let Some(agent) = self.agents.get_mut(id) {
                agent.reopen = true;
            }
            self.arm(Timer::Redial(id.clone()), wait_us.div_ceil(1_000));
            return;
        }
        let Some(agent) = self.agents.get(id) else { return };
        let Some(station) = agent.profile.station.clone() else { return };
        let for_one = !agent.mode.now.persistent;
        let auto_answer = for_one && agent.mode.now.auto_accept;
        let (target, number) = match station {
            Station::Registered => (Target::Registered { aor: id.0.clone() }, id.0.clone()),
            Station::Sip { uri } => (Target::Uri(uri.clone()), uri),
            Station::Number { number } => (Target::Trunk { number: number.clone() }, number),
        };
        if !self.step_connection(id, Event::Establish) {
            return;
        }
        self.timers.stop(&Timer::Redial(id.clone()));
        let call = CallId(self.unique());
        self.new_call(NewCall {
            id: call,
            kind: CallKind::AgentLeg,
            role: Role::Agent(id.clone()),
            state: CallState::Opening,
            target: Some(target),
            number,
            agent: Some(id.clone()),
            beside: None,
            remote: None,
        });
        if let Some(call) = self.calls.get_mut(&call) {
            call.auto_answer = auto_answer;
        }
        if let Some(agent) = self.agents.get_mut(id) {
            agent.call = Some(call);
            agent.for_one = for_one;
            agent.reopen = false;
        }
        self.drive(call);
    }

    pub(crate) fn on_agent_answered(&mut self, id: &AgentId) {
        let now_us = self.now.mono_us;
        let Some(agent) = self.agents.get(id) else { return };
        // A customer waits for whoever is called on demand: nothing is asked nor said (PM-12).
        let at_once = agent.for_one || agent.grace_us > now_us;
        if agent.profile.pin && !at_once {
            self.begin_validation(id);
        } else if self.step_connection(id, Event::Answered) {
            self.open_leg(id, if at_once { String::new() } else { self.connected_prompt(id) });
        }
    }

    /// Plays to a call's leg; no sources = stop what plays.
    pub(crate) fn play_to(&mut self, call: CallId, sources: Vec<PlaySource>, times: u32) {
        let name = format!("p{}", self.unique());
        if let Some(call) = self.calls.get_mut(&call) {
            call.leg.play((!sources.is_empty()).then_some(Program { name, sources, times }));
        }
        self.drive(call);
    }

    /// The leg is accepted: the agent is told, then it is open.
    pub(super) fn open_leg(&mut self, id: &AgentId, prompt: String) {
        let Some(call) = self.agents.get(id).and_then(|agent| agent.call) else { return };
        self.record(Fact::LegUp { agent: id.clone(), call });
        if prompt.is_empty() {
            self.play_to(call, Vec::new(), 0);
            self.on_announced(id);
        } else {
            self.arm(Timer::Announced(id.clone()), ANNOUNCEMENT_MS);
            self.play_to(call, vec![PlaySource::File(prompt)], 1);
        }
    }

    /// What the agent hears when the leg is open: the first queue's that the agent serves (PC-04).
    fn connected_prompt(&self, id: &AgentId) -> String {
        let Some(agent) = self.agents.get(id) else { return String::new() };
        self.config
            .queues
            .iter()
            .filter(|queue| queue.skill.is_some() && agent.has_skill(queue.skill.as_deref()))
            .map(|queue| &queue.connected)
            .find(|prompt| !prompt.is_empty())
            .unwrap_or(&self.config.prompts.connected)
            .clone()
    }

    /// A play to a call's leg has ended.
    pub(crate) fn on_play_over(&mut self, call: CallId) {
        self.on_message_over(call);
        if let Some(Role::Agent(agent)) = self.calls.get(&call).map(|call| call.role.clone())
            && self.agents.get(&agent).is_some_and(|agent| agent.connection == State::Announcing)
        {
            self.on_announced(&agent);
        }
    }

    pub(crate) fn on_announced(&mut self, id: &AgentId) {
        self.timers.stop(&Timer::Announced(id.clone()));
        if self.step_connection(id, Event::Announced) {
            self.on_leg_up(id);
        }
    }

    pub(crate) fn on_agent_restored(&mut self, id: &AgentId) {
        if self.step_connection(id, Event::Restored) {
            self.on_leg_up(id);
        }
    }

    fn on_leg_up(&mut self, id: &AgentId) {
        let now_us = self.now.mono_us;
        let Some(agent) = self.agents.get_mut(id) else { return };
        agent.last_error = None;
        agent.redials = 0;
        agent.grace_us = 0;
        if agent.interaction().is_none() {
            agent.idle_since_us = now_us;
        }
        let (call, busy) = (agent.call, agent.interaction());
        let spliced = busy
            .and_then(|busy| self.interactions.get(&busy))
            .is_some_and(|busy| matches!(busy.stage, Stage::Joining | Stage::Connected));
        if let Some(call) = call {
            if !spliced && let Some(call) = self.calls.get_mut(&call) {
                call.leg.link(Link::Parked);
            }
            self.drive(call);
        }
        self.arm_idle(id);
        self.complete_operations(id, None);
        self.agent_changed(id);
        if let Some(interaction) = busy {
            self.on_agent_up(interaction);
            self.on_consulted_up(interaction, id);
        }
    }

    /// Waits until the open leg may have been idle for too long.
    pub(crate) fn arm_idle(&mut self, id: &AgentId) {
        let timer = Timer::Idle(id.clone());
        match self.idle_until_us(id) {
            Some(until_us) => self.timers.arm(timer, Deadline::Ours(until_us)),
            None => self.timers.stop(&timer),
        }
    }

    /// When a leg is closed that nobody uses from now on, in microseconds on our clock; none where no leg is.
    fn idle_until_us(&self, id: &AgentId) -> Option<u64> {
        let minutes = u64::from(self.config.agents.idle_timeout_min);
        let agent = self.agents.get(id)?;
        let since_us = match agent.activity {
            Activity::Free | Activity::Refused => agent.idle_since_us,
            Activity::Offered { .. } | Activity::Busy { .. } | Activity::WrapUp => self.now.mono_us,
        };
        (minutes > 0).then(|| since_us + minutes * 60_000_000)
    }

    /// The open leg was not used for long, unless it was meanwhile (PC-09).
    pub(crate) fn on_idle(&mut self, id: &AgentId) {
        if self.idle_until_us(id).is_none_or(|until_us| until_us > self.now.mono_us) {
            self.arm_idle(id);
            return;
        }
        self.set_wanted_if_available(id, Wanted::OnBreak);
        self.close_connection(id, "idle");
    }

    /// Changes what an agent asked for, durably.
    pub(crate) fn set_wanted(&mut self, id: &AgentId, wanted: Wanted) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        if agent.wanted != wanted {
            agent.wanted = wanted;
            self.record(Fact::AgentStatus { agent: id.clone(), status: wanted.status() });
        }
        self.agent_changed(id);
    }

    pub(crate) fn set_wanted_if_available(&mut self, id: &AgentId, wanted: Wanted) {
        if self.agents.get(id).is_some_and(|agent| agent.wanted == Wanted::Available) {
            self.set_wanted(id, wanted);
        }
    }

    /// Hangs up the agent's leg on purpose. No agent does so while a customer is called for them.
    pub(crate) fn close_connection(&mut self, id: &AgentId, error: &'static str) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let Some(call) = agent.call else { return };
        agent.last_error = (!error.is_empty()).then_some(error);
        agent.redials = 0;
        if !self.step_connection(id, Event::Close) {
            return;
        }
        self.stop_leg_timers(id);
        self.agent_lost(id, Outcome::AgentLost);
        self.hang_up(call, error);
    }

    fn stop_leg_timers(&mut self, id: &AgentId) {
        for timer in [
            Timer::Announced(id.clone()),
            Timer::Pin(id.clone()),
            Timer::Idle(id.clone()),
            Timer::Silent(id.clone()),
        ] {
            self.timers.stop(&timer);
        }
    }

    /// The leg is dead although nobody hung up: it is given up at once, and called again (PC-05).
    pub(crate) fn lose_leg(&mut self, id: &AgentId, error: &'static str) {
        // The end of one that is being hung up on is reported.
        let agent = self.agents.get(id).filter(|agent| agent.connection != State::Closing);
        let Some(call) = agent.and_then(|agent| agent.call) else { return };
        if let Some(lost) = self.calls.get_mut(&call) {
            lost.role = Role::Orphan;
            if lost.state == CallState::Restoring {
                self.spare_phones();
            }
        }
        self.on_agent_call_over(id, call, &End::Lost);
        if let Some(agent) = self.agents.get_mut(id) {
            agent.last_error = Some(error);
        }
        self.hang_up(call, error);
    }

    /// The call to an agent's phone is over.
    pub(crate) fn on_agent_call_over(&mut self, id: &AgentId, call: CallId, end: &End) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        if agent.call != Some(call) {
            return;
        }
        let before = agent.connection;
        agent.call = None;
        agent.pin = None;
        let persistent = agent.mode.now.persistent;
        let error = leg_error(end);
        if before != State::Closing {
            agent.last_error = Some(error);
        }
        self.stop_leg_timers(id);
        let was_open = matches!(before, State::Up | State::Announcing | State::Restoring);
        if was_open {
            let grace_ms = u64::from(self.config.agents.resume_grace_s) * 1_000;
            let until = self.now.mono_us + grace_ms * 1_000;
            if let Some(agent) = self.agents.get_mut(id) {
                agent.grace_us = if before == State::Closing || agent.for_one { 0 } else { until };
            }
        }
        self.step_connection(id, Event::CallOver);
        self.complete_operations(id, Some(error));
        let hung_up = *end == End::Ended { by_peer: true };
        self.agent_lost(id, if hung_up { Outcome::AgentLeft } else { Outcome::AgentLost });
        let Some(agent) = self.agents.get_mut(id) else { return };
        if agent.reopen && *end == End::Lost {
            // The old call may not be over for the phone: its BYE has yet to go out.
            let delay = u64::from(self.config.agents.redial_delay_ms);
            self.arm(Timer::Redial(id.clone()), delay);
        } else if std::mem::take(&mut agent.reopen) {
            self.establish(id);
        } else if before != State::Closing && (persistent || self.is_awaited(id)) {
            self.after_loss(id, was_open, *end == End::Ended { by_peer: true });
        }
        self.forget_guest(id);
    }

    /// Whether a customer on hold waits for this agent.
    fn is_awaited(&self, id: &AgentId) -> bool {
        self.held.iter().any(|held| {
            self.interactions.get(held).is_some_and(|interaction| interaction.last_agent.as_ref() == Some(id))
        })
    }

    /// The leg went down and nobody asked for that: call again, or put the agent on break.
    fn after_loss(&mut self, id: &AgentId, was_open: bool, hung_up: bool) {
        let awaited = self.is_awaited(id);
        let attempts = self.config.agents.redial_attempts;
        let Some(agent) = self.agents.get_mut(id) else { return };
        if agent.wanted == Wanted::LoggedOut {
            return;
        }
        let again = awaited || agent.wanted == Wanted::Available;
        // With a PIN the leg is the agent's to open again (PM-08, PM-09).
        let own_choice = hung_up && agent.profile.pin && !awaited;
        if was_open && again && !own_choice && attempts > 0 {
            agent.redials = attempts;
        }
        if agent.redials > 0 {
            agent.redials -= 1;
            let delay = u64::from(self.config.agents.redial_delay_ms);
            self.arm(Timer::Redial(id.clone()), delay);
            return;
        }
        self.set_wanted_if_available(id, Wanted::OnBreak);
    }

    pub(crate) fn on_redial(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        let wanted = agent.reopen || (agent.wanted == Wanted::Available && agent.mode.now.persistent);
        if (wanted || self.is_awaited(id)) && agent.connection == State::Down {
            self.dial_agent(id);
        }
    }

    /// Whatever the agent had is taken from them: the leg is not there any more.
    fn agent_lost(&mut self, id: &AgentId, outcome: Outcome) {
        let Some(interaction) = self.agents.get(id).and_then(Agent::interaction) else { return };
        let Some(stage) = self.interactions.get(&interaction).map(|interaction| interaction.stage) else {
            return;
        };
        if self.on_consultation_broken(interaction, id) {
            return;
        }
        match stage {
            Stage::Joining | Stage::Connected if self.is_guest(id) => {
                self.give_up(interaction, Outcome::Talked);
            }
            Stage::Calling => {
                self.step_back(interaction, REFUSED_MS);
                if let Some(agent) = self.agents.get_mut(id) {
                    agent.activity = Activity::Refused;
                }
                self.agent_changed(id);
            }
            Stage::Offered | Stage::Preparing | Stage::Proving => self.step_back(interaction, 1_000),
            Stage::Dialling | Stage::Alerting => self.give_up(interaction, outcome),
            Stage::Joining | Stage::Connected => {
                if self.step(interaction, Way::AgentLost).is_some() {
                    self.hold(interaction, false);
                    if stage == Stage::Connected {
                        self.note_parted(interaction, id);
                    }
                }
            }
            Stage::Waiting | Stage::Held | Stage::Aborting | Stage::Done => {}
        }
    }

    /// A phone registered, or went away: nothing follows, a dial to it will show.
    pub(crate) fn on_registration(&mut self, id: &AgentId, registered: bool) {
        if registered && self.agents.contains_key(id) {
            self.changed(Changed::Agent(id.clone()));
        }
    }
}

fn leg_error(end: &End) -> &'static str {
    match end {
        End::Failed { network: true, .. } => "network",
        End::Failed { status: 486 | 600, .. } => "busy",
        End::Failed { status: 408 | 480 | 487, .. } => "no_answer",
        End::Failed { .. } => "rejected",
        End::Ended { by_peer: true } => "hung_up",
        End::Ended { by_peer: false } | End::Lost => "lost",
    }
}

/// Longer than any announcement: its end has not been reported.
const ANNOUNCEMENT_MS: u64 = 15_000;
/// How long a customer is not offered again to an agent who refused.
pub(crate) const REFUSED_MS: u64 = 30_000;
