//! Requests of people and programs, checked and carried out.

use rand::RngExt as _;

use crate::agent::{Activity, Agent, Operation, Wanted};
use crate::api::{
    AgentBody, ApiError, ApiReply, ApiRequest, ConnectBody, OperationReply, Outcome as Started, WantedStatus,
};
use crate::call::{DELETED, Role, State as CallState};
use crate::connection::State;
use crate::core::Core;
use crate::flow::agents::REFUSED_MS;
use crate::interaction::{Outcome, Source, Stage};
use crate::limits::{AGENT_ID_BYTES, AGENTS, NUMBER_CHARS, OPERATIONS, SKILLS, TEXT_BYTES};
use crate::record::{AgentProfile, Fact, Station};
use crate::{AgentId, CallId};

pub(super) type Answer = Result<ApiReply, ApiError>;

impl Core {
    pub(crate) fn on_api(&mut self, request: ApiRequest) -> ApiReply {
        self.observe_request(&request);
        self.answer(request).unwrap_or_else(ApiReply::Error)
    }

    fn answer(&mut self, request: ApiRequest) -> Answer {
        match request {
            ApiRequest::PutAgent(id, body) => self.put_agent(&id, body),
            ApiRequest::Agents(wish) => self.list_agents(&wish),
            ApiRequest::Agent(id) => self.show_agent(&id),
            ApiRequest::Login(id, body) => self.log_in(&id, body.initiate),
            ApiRequest::Logout(id) => self.log_out(&id),
            ApiRequest::SetStatus(id, body) => self.set_status(&id, body.status),
            ApiRequest::SetMode(id, wish) => self.ask_mode(&id, wish),
            ApiRequest::ConfirmMode(id, body) => self.confirm_mode(&id, &body),
            ApiRequest::Modes => Ok(self.show_modes()),
            ApiRequest::Connect(id, body) => self.connect(&id, body),
            ApiRequest::Disconnect(id) => self.disconnect(&id),
            ApiRequest::Pin(id, body) => self.type_pin(&id, &body.pin),
            ApiRequest::Accept(id) => self.accept(&id),
            ApiRequest::Reject(id) => self.reject(&id),
            ApiRequest::Cancel(id) => self.cancel(&id),
            ApiRequest::HangUp(id) => self.hang_up_customer(&id),
            ApiRequest::WrapUpDone(id) => {
                self.known(&id)?;
                self.end_wrap_up(&id);
                self.show_agent(&id)
            }
            ApiRequest::Transfer(id, body) => self.transfer(&id, body),
            ApiRequest::CompleteTransfer(id) => self.complete_transfer(&id),
            ApiRequest::CancelTransfer(id) => self.cancel_transfer(&id),
            ApiRequest::BlockKeys(id, body) => self.block_keys(&id, body),
            ApiRequest::AddContact(body) => self.store_contact(body),
            ApiRequest::ImportContacts(bodies) => self.import_contacts(bodies),
            ApiRequest::RemoveContact(id) => self.remove_contact(&id),
            ApiRequest::Dispose(id, body) => self.dispose(&id, body),
            ApiRequest::Contacts(filter) => self.list_contacts(&filter),
            ApiRequest::Lists => self.show_lists(),
            ApiRequest::Contact(id) => {
                let contact = self.contacts.get(&id).ok_or_else(|| missing("contact"))?;
                Ok(ApiReply::Contact(Box::new(contact.view())))
            }
            ApiRequest::Compliance => self.show_compliance(),
            ApiRequest::DoNotCall { after, limit } => self.show_do_not_call(after.as_deref(), limit),
            ApiRequest::Number(number) => self.show_number(&number),
            ApiRequest::ListNumbers(numbers) => self.list_numbers(&numbers),
            ApiRequest::UnlistNumber(number) => self.unlist_number(&number),
            ApiRequest::Calls(wish) => self.list_calls(&wish),
            ApiRequest::Call(id) => {
                let name = id.to_string();
                let past = || self.projection.calls().filter(|call| call.id == name).last().cloned();
                let view = self.call_view(id).or_else(past).ok_or_else(|| missing("call"))?;
                Ok(ApiReply::Call(Box::new(view)))
            }
            ApiRequest::EndCall(id) => self.end_call(id),
            ApiRequest::Report { report, after, limit } => {
                let keep_from_ms = self.now.unix_ms.saturating_sub(self.report_keep_ms());
                Ok(ApiReply::Report(self.reports.page(report, after, limit, keep_from_ms)))
            }
            ApiRequest::Queues => Ok(ApiReply::Queues(self.queue_views())),
            ApiRequest::Estimate { queue, position } => {
                self.config.queue(&queue).ok_or_else(|| missing("queue"))?;
                Ok(ApiReply::Estimate(self.estimate_view(&queue, position)))
            }
            ApiRequest::Statistics => Ok(ApiReply::Statistics(Box::new(self.statistics()))),
            ApiRequest::Health => Ok(ApiReply::Health(self.health())),
            ApiRequest::StartCallback { service, params } => self.start_callback(&service, params),
            ApiRequest::QueryCallbacks { service, filter } => self.query_callbacks(&service, &filter),
            ApiRequest::ConfirmCallback { service, id } => self.confirm_callback(&service, &id),
            ApiRequest::CancelCallback { service, id } => self.cancel_callback(&service, &id),
            ApiRequest::RescheduleCallback { service, id, params } => self.reschedule(&service, &id, &params),
            ApiRequest::CallbackSlots { service, wish } => self.callback_slots(&service, &wish),
            ApiRequest::CallbackQueues(wish) => self.callback_queues(&wish),
            ApiRequest::CallbackWatermarks(services) => self.callback_watermarks(&services),
            ApiRequest::CancelCallbacks(wish) => self.cancel_callbacks(wish),
            ApiRequest::CancelledCallbacks(reason) => self.cancelled_callbacks(reason.into()),
        }
    }

    pub(super) fn known(&self, id: &AgentId) -> Result<&Agent, ApiError> {
        self.agents.get(id).filter(|agent| !agent.profile.guest).ok_or_else(|| missing("agent"))
    }

    pub(super) fn show_agent(&self, id: &AgentId) -> Answer {
        let view = self.agent_view(id).ok_or_else(|| missing("agent"))?;
        Ok(ApiReply::Agent(Box::new(view), false))
    }

    fn put_agent(&mut self, id: &AgentId, body: AgentBody) -> Answer {
        check_agent(id, &body)?;
        if body.group.is_some() && self.config.modes.group(body.group.as_deref()).is_none() {
            return Err(bad("group", "names no group"));
        }
        let old = self.agents.get(id).map(|agent| &agent.profile);
        if old.is_none() && self.agents.len() >= AGENTS {
            return Err(ApiError::new(503, "too_many_agents", format!("there are {AGENTS} agents already")));
        }
        let password = body.password.or_else(|| old.and_then(|old| old.password.clone()));
        let created = old.is_none();
        let moved = old.is_some_and(|old| old.station != body.station);
        if moved {
            self.check_leg_is_clear(id)?;
        }
        let is_reachable = body.station.is_some();
        let profile = AgentProfile {
            id: id.clone(),
            name: body.name.unwrap_or_else(|| id.0.clone()),
            skills: body.skills,
            station: body.station,
            group: body.group,
            persistent: body.persistent,
            auto_accept: body.auto_accept,
            pin: body.pin,
            password,
            guest: false,
        };
        self.record(Fact::AgentSaved(Box::new(profile.clone())));
        self.save_agent(profile);
        if moved {
            if !is_reachable {
                self.set_wanted_if_available(id, Wanted::OnBreak);
            }
            self.close_connection(id, "");
            let available = self
                .agents
                .get(id)
                .is_some_and(|agent| agent.wanted == Wanted::Available && agent.mode.now.persistent);
            if available {
                self.establish(id);
            }
        }
        self.agent_changed(id);
        let view = self.agent_view(id).ok_or_else(|| missing("agent"))?;
        Ok(ApiReply::Agent(Box::new(view), created))
    }

    fn log_in(&mut self, id: &AgentId, initiate: bool) -> Answer {
        if self.known(id)?.wanted == Wanted::LoggedOut {
            if let Some(agent) = self.agent(id) {
                agent.activity = Activity::Free;
                agent.last_error = None;
            }
            self.set_wanted(id, Wanted::OnBreak);
            self.settle_mode(id);
        }
        if initiate && self.known(id)?.mode.now.persistent {
            self.establish(id);
        }
        self.show_agent(id)
    }

    fn log_out(&mut self, id: &AgentId) -> Answer {
        let agent = self.known(id)?;
        self.check_leg_is_clear(id)?;
        let interaction = agent.interaction();
        let declines = interaction.is_some_and(|found| self.decline_to_speak(found, id, "withdrawn"));
        if let Some(interaction) = interaction.filter(|_| !declines) {
            match self.interactions.get(&interaction).map(|interaction| interaction.stage) {
                Some(Stage::Offered | Stage::Calling | Stage::Preparing | Stage::Proving) => {
                    self.announce_offer(interaction, "withdrawn");
                    self.step_back(interaction, REFUSED_MS);
                }
                _ => return Err(ApiError::new(409, "on_call", "the agent is with a customer")),
            }
        }
        if let Some(agent) = self.agent(id) {
            agent.activity = Activity::Free;
        }
        self.forget_reopening(id);
        self.timers.stop(&crate::timer::Timer::WrapUp(id.clone()));
        self.timers.stop(&crate::timer::Timer::Redial(id.clone()));
        self.set_wanted(id, Wanted::LoggedOut);
        self.close_connection(id, "");
        self.forget_mode(id);
        self.show_agent(id)
    }

    fn set_status(&mut self, id: &AgentId, status: WantedStatus) -> Answer {
        let agent = self.known(id)?;
        if agent.wanted == Wanted::LoggedOut {
            return Err(ApiError::new(409, "not_logged_in", "the agent is not logged in"));
        }
        if status == WantedStatus::Available && agent.profile.station.is_none() {
            return Err(ApiError::new(409, "no_station", "the agent has no station"));
        }
        let is_back = status == WantedStatus::Available && agent.wanted != Wanted::Available;
        if is_back && !self.config.agents.establish_after_break && self.has_to_establish(agent) {
            return Err(ApiError::new(409, "no_connection", "the connection is down: establish it first"));
        }
        let wanted = match status {
            WantedStatus::Available => Wanted::Available,
            WantedStatus::OnBreak => Wanted::OnBreak,
            WantedStatus::WorkingOffline => Wanted::WorkingOffline,
        };
        if let Activity::Offered { interaction, .. } = agent.activity
            && wanted != Wanted::Available
        {
            self.decline(id, interaction, "rejected");
        }
        let now_us = self.now.mono_us;
        if let Some(agent) = self.agent(id)
            && agent.activity == Activity::Refused
        {
            agent.activity = Activity::Free;
            agent.idle_since_us = now_us;
        }
        self.end_wrap_up(id);
        if wanted == Wanted::Available {
            self.settle_mode(id);
        }
        if let Some(agent) = self.agent(id)
            && wanted != Wanted::WorkingOffline
        {
            agent.mode.asked = None;
        }
        self.set_wanted(id, wanted);
        if wanted == Wanted::Available && self.known(id)?.mode.now.persistent {
            self.establish(id);
        }
        self.show_agent(id)
    }

    /// The agent's connection is neither open nor on its way.
    fn has_to_establish(&self, agent: &Agent) -> bool {
        let is_down = matches!(agent.connection, State::Down | State::Closing) && !agent.reopen;
        agent.mode.now.persistent && is_down && !self.replayed.is_pending()
    }

    fn connect(&mut self, id: &AgentId, body: ConnectBody) -> Answer {
        let agent = self.known(id)?;
        if body.callback_url.as_ref().is_some_and(|url| url.len() > TEXT_BYTES || !url.starts_with("http")) {
            return Err(bad("callback_url", "is not an http or https URL of at most 1,024 bytes"));
        }
        if !body.callback_url.as_ref().is_none_or(|url| self.config.webhooks.allows(url)) {
            return Err(bad("callback_url", "names a host that is not among webhooks.allowed_hosts"));
        }
        if agent.operations.len() >= OPERATIONS {
            let message = format!("{OPERATIONS} requests wait for this connection already");
            return Err(ApiError::new(429, "too_many_operations", message));
        }
        let persistent = agent.mode.now.persistent;
        let outcome = if persistent { self.establish(id) } else { Started::Ignored };
        let operation = format!("op{}", self.unique());
        match outcome {
            Started::Ignored => {}
            Started::Started | Started::InProgress => {
                self.add_operation(id, Operation { id: operation.clone(), url: body.callback_url }, false);
            }
            Started::AlreadyUp => {
                self.add_operation(id, Operation { id: operation.clone(), url: body.callback_url }, true);
            }
        }
        Ok(ApiReply::Operation(OperationReply { operation, outcome }))
    }

    fn disconnect(&mut self, id: &AgentId) -> Answer {
        let agent = self.known(id)?;
        self.check_leg_is_clear(id)?;
        let stage = agent
            .interaction()
            .and_then(|interaction| self.interactions.get(&interaction))
            .map(|found| found.stage);
        if matches!(stage, Some(Stage::Dialling | Stage::Alerting | Stage::Joining | Stage::Connected)) {
            return Err(ApiError::new(409, "on_call", "the agent is with a customer"));
        }
        self.set_wanted_if_available(id, Wanted::OnBreak);
        self.forget_reopening(id);
        self.close_connection(id, "");
        self.show_agent(id)
    }

    fn type_pin(&mut self, id: &AgentId, typed: &str) -> Answer {
        self.known(id)?;
        match self.on_pin(id, typed) {
            None => Err(ApiError::new(409, "no_validation", "the agent is not being asked for a PIN")),
            Some(Ok(())) => self.show_agent(id),
            Some(Err(left)) => {
                let tries = match left {
                    0 => "the call is ended".to_owned(),
                    1 => "one try is left".to_owned(),
                    _ => format!("{left} tries are left"),
                };
                let mut error = ApiError::new(403, "wrong_pin", format!("this is not the PIN; {tries}"));
                error.attempts_left = Some(left);
                Err(error)
            }
        }
    }

    fn offered(&self, id: &AgentId) -> Result<u64, ApiError> {
        match self.known(id)?.activity {
            Activity::Offered { interaction, .. } => Ok(interaction),
            Activity::Free | Activity::Busy { .. } | Activity::WrapUp | Activity::Refused => {
                Err(ApiError::new(409, "no_offer", "nothing is offered to the agent"))
            }
        }
    }

    fn accept(&mut self, id: &AgentId) -> Answer {
        let interaction = self.offered(id)?;
        if !self.come_to_speak(interaction, id) {
            self.take(interaction);
        }
        self.show_agent(id)
    }

    fn reject(&mut self, id: &AgentId) -> Answer {
        let interaction = self.offered(id)?;
        self.decline(id, interaction, "rejected");
        self.show_agent(id)
    }

    /// An agent does not take what is offered to them.
    fn decline(&mut self, id: &AgentId, interaction: u64, state: &str) {
        if !self.decline_to_speak(interaction, id, state) {
            self.announce_offer(interaction, state);
            self.step_back(interaction, REFUSED_MS);
        }
    }

    /// Offered or being dialled: a previewed contact is taken out of the list (PV-05), a callback goes to the next agent.
    fn cancel(&mut self, id: &AgentId) -> Answer {
        let interaction = self
            .known(id)?
            .interaction()
            .ok_or_else(|| ApiError::new(409, "no_offer", "nothing is offered to the agent"))?;
        if self.decline_to_speak(interaction, id, "cancelled") {
            return self.show_agent(id);
        }
        let Some(found) = self.interactions.get(&interaction) else { return self.show_agent(id) };
        let (stage, contact) = (found.stage, matches!(found.source, Source::Contact(_)));
        match stage {
            Stage::Joining
            | Stage::Connected
            | Stage::Aborting
            | Stage::Held
            | Stage::Done
            | Stage::Waiting => {
                return Err(ApiError::new(409, "answered", "the customer has answered"));
            }
            Stage::Offered | Stage::Calling | Stage::Preparing | Stage::Proving if !contact => {
                self.decline(id, interaction, "cancelled");
            }
            Stage::Offered
            | Stage::Calling
            | Stage::Preparing
            | Stage::Proving
            | Stage::Dialling
            | Stage::Alerting => {
                self.announce_offer(interaction, "cancelled");
                self.give_up(interaction, Outcome::AgentCancelled);
            }
        }
        self.show_agent(id)
    }

    fn hang_up_customer(&mut self, id: &AgentId) -> Answer {
        let interaction = self.known(id)?.interaction();
        let stage =
            interaction.and_then(|interaction| self.interactions.get(&interaction)).map(|found| found.stage);
        match (interaction, stage) {
            (Some(interaction), Some(Stage::Preparing | Stage::Proving | Stage::Calling)) => {
                self.step_back(interaction, REFUSED_MS);
            }
            (Some(interaction), Some(Stage::Dialling | Stage::Alerting | Stage::Joining)) => {
                self.give_up(interaction, Outcome::AgentHungUp);
            }
            (Some(interaction), Some(Stage::Connected)) => self.give_up(interaction, Outcome::Talked),
            _ => return Err(ApiError::new(409, "no_call", "the agent has no customer")),
        }
        self.show_agent(id)
    }

    fn end_call(&mut self, id: CallId) -> Answer {
        let call = self.calls.get(&id).ok_or_else(|| missing("call"))?;
        match call.role.clone() {
            Role::Agent(agent) => {
                self.set_wanted_if_available(&agent, Wanted::OnBreak);
                self.close_connection(&agent, "");
            }
            Role::Customer(interaction) => {
                if let Some(call) = self.calls.get_mut(&id).filter(|call| call.state != CallState::Ending) {
                    call.result.get_or_insert_with(|| DELETED.to_owned());
                }
                self.give_up(interaction, Outcome::Deleted);
            }
            Role::Orphan => {}
        }
        let view = self.call_view(id).ok_or_else(|| missing("call"))?;
        Ok(ApiReply::Call(Box::new(view)))
    }

    pub(super) fn random_id(&mut self) -> String {
        format!("{:032x}", self.rng.random::<u128>())
    }
}

fn check_agent(id: &AgentId, body: &AgentBody) -> Result<(), ApiError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if id.0.is_empty() || id.0.len() > AGENT_ID_BYTES || id.is_guest() || !id.0.bytes().all(plain) {
        return Err(bad("id", "has to be 1 to 40 of A-Z a-z 0-9 . _ - that do not begin with a dot"));
    }
    if body.name.as_ref().is_some_and(|name| name.len() > TEXT_BYTES) {
        return Err(bad("name", "is longer than 1,024 bytes"));
    }
    if body.skills.len() > SKILLS || body.skills.iter().any(|skill| skill.len() > TEXT_BYTES) {
        return Err(bad("skills", "has more than 64 entries, or one longer than 1,024 bytes"));
    }
    if body.password.as_ref().is_some_and(|password| password.len() > TEXT_BYTES) {
        return Err(bad("password", "is longer than 1,024 bytes"));
    }
    match &body.station {
        Some(Station::Number { number }) => check_number("station.number", number),
        Some(Station::Sip { uri })
            if uri.len() > TEXT_BYTES
                || !uri.starts_with("sip:")
                || !uri.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Err(bad("station.uri", "is not a sip: URI of at most 1,024 printable bytes"))
        }
        Some(Station::Sip { .. } | Station::Registered) | None => Ok(()),
    }
}

pub(crate) fn check_number(field: &str, number: &str) -> Result<(), ApiError> {
    let digits = number.strip_prefix('+').unwrap_or(number);
    let good = !digits.is_empty()
        && number.len() <= NUMBER_CHARS
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*' || byte == b'#');
    if good { Ok(()) } else { Err(bad(field, "is not a telephone number of at most 32 digits")) }
}

pub(super) fn missing(what: &str) -> ApiError {
    ApiError::new(404, "not_found", format!("there is no such {what}"))
}

pub(super) fn bad(field: &str, what: &str) -> ApiError {
    ApiError::new(400, "bad_parameter", format!("{field} {what}"))
}
