//! The customer is asked whether they are ready when an agent is (CB-05), or told that they may call (CB-04).
//!
//! Nobody is reserved meanwhile: the agent goes on to the next customer, and the callback comes back to its own place.

use serde_json::{Map, Value, json};

use crate::api::ApiError;
use crate::callback::State;
use crate::core::{Changed, Core};
use crate::flow::api::Answer;
use crate::interaction::{Source, Way};
use crate::mutation::Mutation;
use crate::options::{CallDirection, Unconfirmed};
use crate::record::{CallbackReason, Fact};
use crate::timer::Timer;
use crate::{CallbackId, Output};

impl Core {
    /// Instead of giving an agent to an interaction, asks its customer first where that is wanted. True when it was asked.
    pub(super) fn asks_first(&mut self, interaction: u64) -> bool {
        let Some(found) = self.interactions.get(&interaction) else { return false };
        let (Source::Callback(id), Way::Outbound) = (&found.source, found.way) else { return false };
        let id = id.clone();
        let waits = |callback: &crate::callback::Callback| {
            !callback.confirmed && callback.spec.options.confirm.is_some()
        };
        if !self.callbacks.get(&id).is_some_and(waits) || self.mutated(Mutation::SkipConfirmation) {
            return false;
        }
        self.leave_queue(interaction);
        self.ask_customer(&id);
        true
    }

    /// Takes an interaction that waits out of its queue, without a trace.
    pub(super) fn leave_queue(&mut self, interaction: u64) {
        let Some(found) = self.interactions.remove(&interaction) else { return };
        self.queues.leave(&found.queue, &crate::flow::customers::place(&found));
        if let Source::Callback(id) = found.source
            && let Some(callback) = self.callbacks.get_mut(&id)
        {
            callback.interaction = None;
        }
    }

    fn ask_customer(&mut self, id: &CallbackId) {
        let Some(callback) = self.callbacks.get_mut(id) else { return };
        let Some(confirm) = callback.spec.options.confirm else { return };
        callback.asked += 1;
        callback.asked_ms = self.now.unix_ms;
        callback.is_asked = true;
        callback.state = State::Routing;
        let attempt = callback.asked;
        self.record(Fact::CallbackAsked { id: id.clone(), attempt });
        let Some(spec) = self.callbacks.get(id).map(|callback| &callback.spec) else { return };
        let mut body = Map::new();
        let path = format!("/genesys/1/service/callback/{}/{id}", spec.service);
        let event = match spec.options.direction {
            CallDirection::UserOriginated => "callback_call_now",
            CallDirection::UserTerminated => "callback_confirm",
        };
        let fields = [
            ("event", json!(event)),
            ("_id", json!(id)),
            ("_service_name", json!(spec.service)),
            ("_customer_number", json!(spec.number)),
            ("_attempt", json!(attempt)),
            ("_user_confirm_timeout", json!(confirm.timeout_s)),
            ("_confirm_url", json!(format!("{path}/confirm"))),
            ("data", Value::Object(spec.data.clone())),
        ];
        body.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
        if let Some(number) = &spec.options.access_number {
            body.insert("_access_number".to_owned(), json!(number));
        }
        if let Some(code) = &spec.options.access_code {
            body.insert("_access_code".to_owned(), json!(code));
        }
        let service = self.config.service(&spec.service);
        let (url, secret) = service
            .map(|service| (service.push_url.clone(), service.push_secret.clone()))
            .unwrap_or_default();
        if !url.is_empty() {
            self.push(Output::Push { url, secret, body: Value::Object(body) });
        }
        self.arm(Timer::Confirm(id.clone()), u64::from(confirm.timeout_s) * 1_000);
        self.changed(Changed::Callback(id.clone()));
    }

    /// After a restart: whoever was asked may still answer, for as long as was left to them.
    pub(crate) fn resume_asking(&mut self, id: &CallbackId) {
        let Some(callback) = self.callbacks.get_mut(id).filter(|found| found.is_asked && !found.is_over())
        else {
            return;
        };
        let Some(confirm) = callback.spec.options.confirm else { return };
        callback.state = State::Routing;
        let (asked_ms, expires_ms) = (callback.asked_ms, callback.expires_ms());
        let timeout_ms = u64::from(confirm.timeout_s) * 1_000;
        // The calendar may have been set back meanwhile.
        let left_ms = (asked_ms + timeout_ms).saturating_sub(self.now.unix_ms).min(timeout_ms);
        self.arm_at(Timer::CallbackTtl(id.clone()), expires_ms);
        self.arm(Timer::Confirm(id.clone()), left_ms);
    }

    /// The customer did not answer in time.
    pub(crate) fn on_confirm_timeout(&mut self, id: &CallbackId) {
        let Some(callback) = self.callbacks.get_mut(id) else { return };
        let Some(confirm) = callback.spec.options.confirm.filter(|_| callback.is_asked) else { return };
        if callback.asked < confirm.attempts {
            self.ask_customer(id);
            return;
        }
        callback.is_asked = false;
        match (confirm.otherwise, callback.spec.options.direction) {
            (Unconfirmed::ConnectAnyway, CallDirection::UserTerminated) => {
                callback.confirmed = true;
                self.schedule_callback(id);
            }
            (Unconfirmed::Fail, _) | (Unconfirmed::ConnectAnyway, CallDirection::UserOriginated) => {
                self.end_callback(id, CallbackReason::FailUserNoConfirm);
            }
        }
    }

    /// The customer is ready: back to the queue, to the same place.
    pub(super) fn confirm_callback(&mut self, service: &str, id: &CallbackId) -> Answer {
        let callback = self.open_callback(service, id)?;
        if callback.spec.options.direction == CallDirection::UserOriginated {
            return Err(ApiError::new(
                409,
                "call_instead",
                "the customer confirms by calling the access number",
            ));
        }
        if callback.confirmed {
            return self.show_callback(id);
        }
        if !callback.is_asked {
            return Err(ApiError::new(409, "not_asked", "the customer has not been asked"));
        }
        self.record(Fact::CallbackConfirmed { id: id.clone() });
        if let Some(callback) = self.callbacks.get_mut(id) {
            callback.confirmed = true;
            callback.is_asked = false;
        }
        self.timers.stop(&Timer::Confirm(id.clone()));
        self.schedule_callback(id);
        self.show_callback(id)
    }
}
