//! An agent's mode: asked for, confirmed, and brought into force (PM-02, PM-11).

use crate::AgentId;
use crate::agent::{Agent, Wanted};
use crate::api::{ApiError, ApiReply, ConfirmModeBody, ModeAsked, ModesReply};
use crate::connection::State;
use crate::core::Core;
use crate::flow::api::{Answer, bad};
use crate::modes::{AgentMode, Mode, ModeWish};
use crate::record::{AgentProfile, Fact};
use crate::view::AgentStatus;

impl Core {
    /// The levels above the agents, as configured.
    pub(super) fn show_modes(&self) -> ApiReply {
        ApiReply::Modes(Box::new(ModesReply(self.config.modes.clone())))
    }

    /// What the agent's own setting and choice, the group and the tenant come to.
    pub(crate) fn resolved_mode(&self, profile: &AgentProfile, chosen: ModeWish) -> Mode {
        if profile.guest {
            return Mode { persistent: false, auto_accept: false };
        }
        let own = ModeWish { persistent: profile.persistent, auto_accept: profile.auto_accept };
        self.config.modes.resolve(profile.group.as_deref(), chosen.or(own))
    }

    /// Creates or changes an agent. Who is logged in keeps the mode in force until the next `available`.
    pub(crate) fn save_agent(&mut self, profile: AgentProfile) {
        let mode = self.resolved_mode(&profile, ModeWish::default());
        match self.agents.get_mut(&profile.id) {
            Some(agent) => {
                agent.profile = profile;
                if agent.wanted == Wanted::LoggedOut {
                    agent.mode.now = mode;
                }
            }
            None => {
                self.agents.insert(profile.id.clone(), Agent::new(profile, AgentMode::new(mode)));
            }
        }
    }

    /// The mode that the next `available` brings.
    pub(crate) fn next_mode(&self, agent: &Agent) -> Mode {
        self.resolved_mode(&agent.profile, agent.mode.chosen)
    }

    /// The settings as they are now come into force: at log-in and at `available`.
    pub(super) fn settle_mode(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        let (before, mode) = (agent.mode.now, self.next_mode(agent));
        if mode == before {
            return;
        }
        self.record(Fact::ModeInForce { agent: id.clone(), mode });
        if let Some(agent) = self.agents.get_mut(id) {
            agent.mode.now = mode;
        }
        if before.persistent && !mode.persistent {
            self.release_persistent_leg(id);
        }
        self.agent_changed(id);
    }

    /// From now on there is a leg for each call: the one for the day goes, after the customer who is on it.
    fn release_persistent_leg(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        if agent.interaction().is_none() {
            self.forget_reopening(id);
            self.timers.stop(&crate::timer::Timer::Redial(id.clone()));
            self.close_connection(id, "");
        }
    }

    /// The session is over, and with it what the agent chose.
    pub(crate) fn forget_mode(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        agent.mode.chosen = ModeWish::default();
        agent.mode.asked = None;
        let Some(agent) = self.agents.get(id) else { return };
        let mode = self.next_mode(agent);
        if let Some(agent) = self.agents.get_mut(id) {
            agent.mode.now = mode;
        }
    }

    /// An agent asks for another mode; nothing changes before the confirmation.
    pub(super) fn ask_mode(&mut self, id: &AgentId, wish: ModeWish) -> Answer {
        let agent = self.known(id)?;
        if wish.is_empty() {
            return Err(bad("persistent", "or auto_accept has to be given"));
        }
        self.check_mode(agent, wish)?;
        let mode = self.resolved_mode(&agent.profile, wish.or(agent.mode.chosen));
        let notice = notice(agent, mode);
        let change = format!("m{}", self.unique());
        if let Some(agent) = self.agents.get_mut(id) {
            agent.mode.asked = Some((change.clone(), wish));
        }
        Ok(ApiReply::ModeAsked(Box::new(ModeAsked { change, mode, notice })))
    }

    /// The agent has read the notice and means it.
    pub(super) fn confirm_mode(&mut self, id: &AgentId, body: &ConfirmModeBody) -> Answer {
        let agent = self.known(id)?;
        let asked = agent.mode.asked.as_ref().filter(|(change, _)| *change == body.change);
        let Some((_, wish)) = asked.cloned() else {
            return Err(ApiError::new(409, "no_change", "no such change is waiting to be confirmed"));
        };
        self.check_mode(agent, wish)?;
        let chosen = wish.or(agent.mode.chosen);
        self.record(Fact::ModeChosen { agent: id.clone(), wish: chosen });
        if let Some(agent) = self.agents.get_mut(id) {
            agent.mode.chosen = chosen;
            agent.mode.asked = None;
        }
        self.agent_changed(id);
        self.show_agent(id)
    }

    fn check_mode(&self, agent: &Agent, wish: ModeWish) -> Result<(), ApiError> {
        let modes = &self.config.modes;
        let rights = modes.rights(agent.profile.group.as_deref());
        if wish.persistent.is_some() && !rights.persistent {
            let message = "the administrator does not let this agent change the connection mode";
            return Err(ApiError::new(403, "mode_not_allowed", message));
        }
        if wish.auto_accept.is_some() && !rights.auto_accept {
            let message = "the administrator does not let this agent change automatic acceptance";
            return Err(ApiError::new(403, "auto_accept_not_allowed", message));
        }
        if wish.persistent == Some(true) && !modes.persistent_enabled {
            let message = "the administrator has not enabled persistent mode";
            return Err(ApiError::new(403, "persistent_not_enabled", message));
        }
        if agent.wanted != Wanted::WorkingOffline || agent.current_status() != AgentStatus::WorkingOffline {
            let message = "the mode is changed while working offline";
            return Err(ApiError::new(409, "not_working_offline", message));
        }
        Ok(())
    }
}

/// What the agent is told before confirming.
fn notice(agent: &Agent, mode: Mode) -> String {
    let offers = if mode.auto_accept { "offers are taken by themselves" } else { "each offer needs a click" };
    let phone = match (mode.persistent, agent.connection) {
        (true, State::Up | State::Announcing) => "the phone stays off hook",
        (true, _) => "the phone is called and the status is persistent_call_offered until it answers",
        (false, State::Down) => "the phone is called for each customer",
        (false, _) => "the open connection is closed and the phone is called for each customer",
    };
    format!(
        "From the next available on {phone}, and {offers}. The status stays working_offline until then; the change ends with \
         the session."
    )
}
