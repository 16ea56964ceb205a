//! Requests of people and programs, checked and carried out.

use rand::RngExt as _;
use serde_json::{Map, Value};

use crate::agent::{Activity, Agent, Operation, Wanted};
use crate::api::{
    AgentBody, ApiError, ApiReply, ApiRequest, CallbackFilter, ConnectBody, ContactBody, OperationReply,
    Outcome as Started, WantedStatus,
};
use crate::calendar;
use crate::call::{Role, State as CallState};
use crate::callback::Callback;
use crate::core::{Changed, Core};
use crate::flow::agents::REFUSED_MS;
use crate::interaction::{Outcome, Source, Stage};
use crate::limits::{
    AGENT_ID_BYTES, AGENTS, CALLBACKS, CONTACTS, DATA_BYTES, LISTING, NUMBER_CHARS, OPERATIONS, SKILLS,
    TEXT_BYTES,
};
use crate::mutation::Mutation;
use crate::record::{AgentProfile, CallbackReason, CallbackSpec, Fact, Station};
use crate::view::{CallView, CallbackView};
use crate::{AgentId, CallId, CallbackId, ContactId};

type Answer = Result<ApiReply, ApiError>;

impl Core {
    pub(crate) fn on_api(&mut self, request: ApiRequest) -> ApiReply {
        self.answer(request).unwrap_or_else(ApiReply::Error)
    }

    fn answer(&mut self, request: ApiRequest) -> Answer {
        match request {
            ApiRequest::PutAgent(id, body) => self.put_agent(&id, body),
            ApiRequest::Agents => {
                let ids: Vec<_> = self.agents.keys().take(LISTING).collect();
                Ok(ApiReply::Agents(ids.into_iter().filter_map(|id| self.agent_view(id)).collect()))
            }
            ApiRequest::Agent(id) => self.show_agent(&id),
            ApiRequest::Login(id, body) => self.log_in(&id, body.initiate),
            ApiRequest::Logout(id) => self.log_out(&id),
            ApiRequest::SetStatus(id, body) => self.set_status(&id, body.status),
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
            ApiRequest::AddContact(body) => self.store_contact(body),
            ApiRequest::Contacts => Ok(ApiReply::Contacts(
                self.contacts.values().take(LISTING).map(crate::preview::Contact::view).collect(),
            )),
            ApiRequest::Contact(id) => {
                let contact = self.contacts.get(&id).ok_or_else(|| missing("contact"))?;
                Ok(ApiReply::Contact(Box::new(contact.view())))
            }
            ApiRequest::Calls => Ok(ApiReply::Calls(self.call_views())),
            ApiRequest::Call(id) => {
                let name = id.to_string();
                let past = || self.projection.calls().filter(|call| call.id == name).last().cloned();
                let view = self.call_view(id).or_else(past).ok_or_else(|| missing("call"))?;
                Ok(ApiReply::Call(Box::new(view)))
            }
            ApiRequest::EndCall(id) => self.end_call(id),
            ApiRequest::Queues => Ok(ApiReply::Queues(self.queue_views())),
            ApiRequest::Statistics => Ok(ApiReply::Statistics(Box::new(self.statistics()))),
            ApiRequest::Health => Ok(ApiReply::Health(self.health())),
            ApiRequest::StartCallback { service, params } => self.start_callback(&service, params),
            ApiRequest::QueryCallbacks { service, filter } => self.query_callbacks(&service, &filter),
            ApiRequest::CancelCallback { service, id } => self.cancel_callback(&service, &id),
            ApiRequest::RescheduleCallback { service, id, params } => self.reschedule(&service, &id, &params),
        }
    }

    fn known(&self, id: &AgentId) -> Result<&Agent, ApiError> {
        self.agents.get(id).ok_or_else(|| missing("agent"))
    }

    fn show_agent(&self, id: &AgentId) -> Answer {
        let view = self.agent_view(id).ok_or_else(|| missing("agent"))?;
        Ok(ApiReply::Agent(Box::new(view), false))
    }

    fn put_agent(&mut self, id: &AgentId, body: AgentBody) -> Answer {
        check_agent(id, &body)?;
        let old = self.agents.get(id).map(|agent| &agent.profile);
        if old.is_none() && self.agents.len() >= AGENTS {
            return Err(ApiError::new(503, "too_many_agents", format!("there are {AGENTS} agents already")));
        }
        let password = body.password.or_else(|| old.and_then(|old| old.password.clone()));
        let created = old.is_none();
        let moved = old.is_some_and(|old| old.station != body.station);
        let profile = AgentProfile {
            id: id.clone(),
            name: body.name.unwrap_or_else(|| id.0.clone()),
            skills: body.skills,
            station: body.station,
            persistent: body.persistent,
            auto_accept: body.auto_accept,
            pin: body.pin,
            password,
        };
        self.record(Fact::AgentSaved(Box::new(profile.clone())));
        match self.agents.get_mut(id) {
            Some(agent) => agent.profile = profile,
            None => {
                self.agents.insert(id.clone(), Agent::new(profile));
            }
        }
        if moved {
            self.close_connection(id, "");
            let available = self
                .agents
                .get(id)
                .is_some_and(|agent| agent.wanted == Wanted::Available && agent.profile.persistent);
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
        }
        if initiate && self.known(id)?.profile.persistent {
            self.establish(id);
        }
        self.show_agent(id)
    }

    fn log_out(&mut self, id: &AgentId) -> Answer {
        let agent = self.known(id)?;
        if let Some(interaction) = agent.interaction() {
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
        let wanted = match status {
            WantedStatus::Available => Wanted::Available,
            WantedStatus::OnBreak => Wanted::OnBreak,
            WantedStatus::WorkingOffline => Wanted::WorkingOffline,
        };
        if let Activity::Offered { interaction, .. } = agent.activity
            && wanted != Wanted::Available
        {
            self.announce_offer(interaction, "rejected");
            self.step_back(interaction, REFUSED_MS);
        }
        let now_us = self.now.mono_us;
        if let Some(agent) = self.agent(id)
            && agent.activity == Activity::Refused
        {
            agent.activity = Activity::Free;
            agent.idle_since_us = now_us;
        }
        self.end_wrap_up(id);
        self.set_wanted(id, wanted);
        if wanted == Wanted::Available && self.known(id)?.profile.persistent {
            self.establish(id);
        }
        self.show_agent(id)
    }

    fn connect(&mut self, id: &AgentId, body: ConnectBody) -> Answer {
        let agent = self.known(id)?;
        if body.callback_url.as_ref().is_some_and(|url| url.len() > TEXT_BYTES || !url.starts_with("http")) {
            return Err(bad("callback_url", "is not an http or https URL of at most 1,024 bytes"));
        }
        if agent.operations.len() >= OPERATIONS {
            let message = format!("{OPERATIONS} requests wait for this connection already");
            return Err(ApiError::new(429, "too_many_operations", message));
        }
        let persistent = agent.profile.persistent;
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
            None => Err(ApiError::new(409, "no_validation", "no PIN is awaited")),
            Some(Ok(())) => self.show_agent(id),
            Some(Err(left)) => {
                let mut error =
                    ApiError::new(403, "wrong_pin", format!("this is not the PIN; {left} tries are left"));
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
        self.take(interaction);
        self.show_agent(id)
    }

    fn reject(&mut self, id: &AgentId) -> Answer {
        let interaction = self.offered(id)?;
        self.announce_offer(interaction, "rejected");
        self.step_back(interaction, REFUSED_MS);
        self.show_agent(id)
    }

    /// Offered or being dialled: a previewed contact is taken out of the list (PV-05), a callback goes to the next agent.
    fn cancel(&mut self, id: &AgentId) -> Answer {
        let interaction = self
            .known(id)?
            .interaction()
            .ok_or_else(|| ApiError::new(409, "no_offer", "nothing is offered to the agent"))?;
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
                self.announce_offer(interaction, "cancelled");
                self.step_back(interaction, REFUSED_MS);
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
            Role::Customer(interaction) => self.give_up(interaction, Outcome::AgentHungUp),
            Role::Orphan => {}
        }
        let view = self.call_view(id).ok_or_else(|| missing("call"))?;
        Ok(ApiReply::Call(Box::new(view)))
    }

    fn call_views(&self) -> Vec<CallView> {
        let live = self
            .calls
            .values()
            .filter(|call| call.state != CallState::Over)
            .filter_map(|call| self.call_view(call.id));
        let past = self.projection.calls().cloned();
        live.chain(past).take(LISTING).collect()
    }

    fn store_contact(&mut self, body: ContactBody) -> Answer {
        if self.config.queue(&body.queue).is_none() {
            return Err(bad("queue", "names no queue"));
        }
        check_number("number", &body.number)?;
        if body.data.to_string().len() > DATA_BYTES {
            return Err(bad("data", "is larger than 16,384 bytes"));
        }
        if self.contacts.len() - self.finished.len().min(self.contacts.len()) >= CONTACTS {
            return Err(ApiError::new(503, "too_many_contacts", format!("{CONTACTS} contacts wait already")));
        }
        let id = ContactId(self.random_id());
        self.add_contact(&id, body.queue, body.number, body.data);
        Ok(ApiReply::ContactStored(id))
    }

    fn random_id(&mut self) -> String {
        format!("{:032x}", self.rng.random::<u128>())
    }

    fn start_callback(&mut self, service: &str, mut params: Map<String, Value>) -> Answer {
        let config = self.config.service(service).ok_or_else(|| missing("service"))?.clone();
        let number = match params.remove("_customer_number") {
            None | Some(Value::Null) => return Err(bad("_customer_number", "is missing")),
            Some(value) => text(&value).ok_or_else(|| bad("_customer_number", "is not text"))?,
        };
        check_number("_customer_number", &number)?;
        check_choice(&params, "_call_direction", &["USERTERMINATED"])?;
        check_choice(&params, "_wait_for_agent", &["true"])?;
        let desired_ms = match params.remove("_desired_time") {
            None | Some(Value::Null) => None,
            Some(value) => Some(desired_time("_desired_time", &value)?),
        };
        let ttl_s = number_of(&mut params, "_ttl", config.ttl_s, 1..=31_536_000)?;
        let max_attempts =
            number_of(&mut params, "_max_dial_attempts", u64::from(config.max_dial_attempts), 1..=100)?;
        let retry_s = number_of(
            &mut params,
            "_dial_retry_timeout",
            u64::from(config.dial_retry_timeout_s),
            1..=604_800,
        )?;
        if Value::Object(params.clone()).to_string().len() > DATA_BYTES {
            return Err(ApiError::new(
                413,
                "too_large",
                "the request's own data is larger than 16,384 bytes",
            ));
        }
        self.check_throttles(&config, &number)?;
        let now_ms = self.now.unix_ms;
        let id = CallbackId(self.random_id());
        let spec = CallbackSpec {
            id: id.clone(),
            service: config.name,
            queue: config.queue,
            number,
            arrival_ms: now_ms,
            desired_ms: desired_ms.unwrap_or(now_ms),
            scheduled: desired_ms.is_some_and(|desired| desired > now_ms),
            ttl_s,
            max_attempts: u32::try_from(max_attempts).unwrap_or(u32::MAX),
            retry_s: u32::try_from(retry_s).unwrap_or(u32::MAX),
            data: params,
        };
        if self.mutated(Mutation::ReplyBeforeRecord) {
            self.callbacks.insert(id.clone(), Callback::new(spec));
            self.schedule_callback(&id);
        } else {
            self.add_callback(spec);
        }
        Ok(ApiReply::CallbackStored(id))
    }

    fn check_throttles(&self, config: &crate::config::ServiceConfig, number: &str) -> Result<(), ApiError> {
        let day_ago = self.now.unix_ms.saturating_sub(86_400_000);
        let own = |callback: &&Callback| callback.spec.service == config.name;
        let open = self.callbacks.values().filter(own).filter(|callback| !callback.is_over());
        let (mut queued, mut equal) = (0, false);
        for callback in open {
            queued += 1;
            equal |= callback.spec.number == number;
        }
        if queued >= config.max_queued as usize || self.callbacks.len() >= CALLBACKS + crate::limits::HISTORY
        {
            let message = format!("{queued} callbacks of this service wait already");
            return Err(ApiError::new(503, "service_full", message));
        }
        if equal {
            return Err(ApiError::new(409, "already_queued", "a callback to this number waits already"));
        }
        let recent =
            |callback: &&Callback| callback.spec.number == number && callback.spec.arrival_ms > day_ago;
        let count = self.callbacks.values().filter(recent).count();
        if count >= config.max_per_number_and_day as usize {
            let message = format!("{count} callbacks to this number were asked for within 24 hours");
            return Err(ApiError::new(503, "number_limit", message));
        }
        Ok(())
    }

    fn query_callbacks(&self, service: &str, filter: &CallbackFilter) -> Answer {
        self.config.service(service).ok_or_else(|| missing("service"))?;
        let fits = |callback: &&Callback| {
            callback.spec.service == service
                && filter.id.as_ref().is_none_or(|id| *id == callback.spec.id)
                && filter.customer_number.as_ref().is_none_or(|number| *number == callback.spec.number)
                && filter.state.as_ref().is_none_or(|state| state == callback.state.name())
        };
        let views =
            self.callbacks.values().filter(fits).take(LISTING).map(|callback| self.callback_view(callback));
        Ok(ApiReply::Callbacks(views.collect()))
    }

    /// With its position in the queue, from 1, while it waits there.
    fn callback_view(&self, callback: &Callback) -> CallbackView {
        let mut view = callback.view();
        let waiting = callback.interaction.and_then(|interaction| self.interactions.get(&interaction));
        let place = waiting.map(crate::flow::customers::place);
        if let Some(position) = place.and_then(|place| self.queues.position(&callback.spec.queue, &place)) {
            view.more.insert("_position".to_owned(), position.into());
        }
        view
    }

    fn open_callback(&self, service: &str, id: &CallbackId) -> Result<&Callback, ApiError> {
        let found = self.callbacks.get(id).filter(|callback| callback.spec.service == service);
        let callback = found.ok_or_else(|| missing("callback"))?;
        if callback.is_over() {
            return Err(ApiError::new(409, "completed", "the callback is completed"));
        }
        let stage = callback
            .interaction
            .and_then(|interaction| self.interactions.get(&interaction))
            .map(|found| found.stage);
        if matches!(stage, Some(Stage::Joining | Stage::Connected | Stage::Held)) {
            return Err(ApiError::new(409, "answered", "the customer has answered"));
        }
        Ok(callback)
    }

    fn cancel_callback(&mut self, service: &str, id: &CallbackId) -> Answer {
        self.open_callback(service, id)?;
        self.withdraw_callback(id, CallbackReason::Cancelled);
        self.show_callback(id)
    }

    fn show_callback(&self, id: &CallbackId) -> Answer {
        let callback = self.callbacks.get(id).ok_or_else(|| missing("callback"))?;
        Ok(ApiReply::Callbacks(vec![callback.view()]))
    }

    fn reschedule(&mut self, service: &str, id: &CallbackId, params: &Map<String, Value>) -> Answer {
        let callback = self.open_callback(service, id)?;
        if callback.running.is_some() {
            return Err(ApiError::new(409, "in_progress", "the customer is being called"));
        }
        let value = params.get("_new_desired_time").ok_or_else(|| bad("_new_desired_time", "is missing"))?;
        let desired_ms = desired_time("_new_desired_time", value)?;
        let interaction = callback.interaction;
        self.record(Fact::CallbackMoved { id: id.clone(), desired_ms });
        if let Some(callback) = self.callbacks.get_mut(id) {
            callback.spec.desired_ms = desired_ms;
            callback.spec.scheduled = true;
            callback.due_ms = desired_ms.max(callback.blocked_until_ms);
        }
        match interaction {
            Some(interaction) => self.give_up(interaction, Outcome::Withdrawn),
            None => self.schedule_callback(id),
        }
        self.changed(Changed::Callback(id.clone()));
        self.show_callback(id)
    }
}

fn check_agent(id: &AgentId, body: &AgentBody) -> Result<(), ApiError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if id.0.is_empty() || id.0.len() > AGENT_ID_BYTES || !id.0.bytes().all(plain) {
        return Err(bad("id", "has to be 1 to 40 of A-Z a-z 0-9 . _ -"));
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

fn check_number(field: &str, number: &str) -> Result<(), ApiError> {
    let digits = number.strip_prefix('+').unwrap_or(number);
    let good = !digits.is_empty()
        && number.len() <= NUMBER_CHARS
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*' || byte == b'#');
    if good { Ok(()) } else { Err(bad(field, "is not a telephone number of at most 32 digits")) }
}

fn check_choice(params: &Map<String, Value>, field: &str, allowed: &[&str]) -> Result<(), ApiError> {
    let Some(value) = params.get(field) else { return Ok(()) };
    let given = text(value).unwrap_or_default();
    if allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(&given)) {
        return Ok(());
    }
    Err(bad(field, &format!("has to be {} for this service", allowed.join(" or "))))
}

fn desired_time(field: &str, value: &Value) -> Result<u64, ApiError> {
    let parsed = match value {
        Value::String(text) => calendar::parse(text)
            .or_else(|| text.parse().ok().and_then(|seconds: u64| seconds.checked_mul(1_000))),
        Value::Number(seconds) => seconds.as_u64().and_then(|seconds| seconds.checked_mul(1_000)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    parsed
        .filter(|ms| *ms < LAST_MS)
        .ok_or_else(|| bad(field, "is not a time such as 2026-11-20T09:30:00Z, nor seconds since 1970"))
}

fn number_of(
    params: &mut Map<String, Value>,
    field: &str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, ApiError> {
    let Some(value) = params.remove(field) else { return Ok(default) };
    let number = text(&value).and_then(|text| text.parse().ok()).filter(|number| range.contains(number));
    number.ok_or_else(|| bad(field, &format!("has to be a number from {} to {}", range.start(), range.end())))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn missing(what: &str) -> ApiError {
    ApiError::new(404, "not_found", format!("there is no such {what}"))
}

fn bad(field: &str, what: &str) -> ApiError {
    ApiError::new(400, "bad_parameter", format!("{field} {what}"))
}

/// The year 9999.
const LAST_MS: u64 = 253_370_764_800_000;
