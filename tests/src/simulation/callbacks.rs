//! Callbacks in both directions, and customers who confirm or call, or do not (CB-03 to CB-05, CB-09).

use std::collections::{BTreeMap, BTreeSet};

use offhook_control_core::api::ApiRequest;
use offhook_control_core::options::{CallDirection, CallbackOptions, Unconfirmed};
use offhook_control_core::record::{CallbackReason, Fact};
use offhook_control_core::{CallId, CallbackId};
use rand::RngExt as _;
use serde_json::Value;

use super::users::{Asked, Deed};
use super::world::{Happening, World};

/// The number that customers call for their callbacks.
pub(super) const ACCESS: &str = "300";
/// The same, for the service that needs the other skill.
pub(super) const HELP: &str = "301";

/// What is on durable record of callbacks, beside their end.
#[derive(Debug, Default)]
pub(super) struct Requests {
    options: BTreeMap<CallbackId, CallbackOptions>,
    /// The customer has said that they are ready.
    confirmed: BTreeSet<CallbackId>,
    services: BTreeMap<CallbackId, String>,
    /// Customers who called for their callback.
    pub(super) called_in: BTreeMap<CallId, CallbackId>,
}

impl Requests {
    /// The service of a callback on durable record.
    pub(super) fn service_of(&self, id: &CallbackId) -> String {
        self.services.get(id).cloned().unwrap_or_default()
    }
}

impl World {
    pub(super) fn ask_for_callback(&mut self, number: u32) {
        let mut params = serde_json::Map::new();
        let mut with = |name: &str, value: Value| params.insert(name.to_owned(), value);
        with("_customer_number", format!("+3120{number}").into());
        let roll = self.rng.random_range(0..100_u32);
        match roll {
            0..75 => with("_call_direction", "USERTERMINATED".into()),
            _ => with("_ttl", "60".into()),
        };
        match roll {
            60..75 => with("_wait_for_user_confirm", "true".into()),
            88..100 => with("_wait_for_agent", "false".into()),
            _ => None,
        };
        if self.chance(25) {
            let later = self.now().unix_ms / 1_000 + self.desired_in_s();
            params.insert("_desired_time".into(), later.to_string().into());
        }
        let service = if self.chance(30) { "help" } else { "cb" };
        self.ask(ApiRequest::StartCallback { service: service.into(), params }, Asked::Callback(number));
    }

    /// The customer was told the access number, and mostly calls.
    pub(super) fn plan_own_call(&mut self, number: String, access: String) {
        if self.chance(75) {
            let think = self.between_ms(200, 12_000);
            self.after(think, Happening::User(Deed::CallForCallback { number, access }));
        }
    }

    /// What reaches the customer's device.
    pub(super) fn on_push(&mut self, body: &Value) {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        if self.chance(10) {
            return;
        }
        if text("event") == "callback_call_now" {
            self.plan_own_call(text("_customer_number"), text("_access_number"));
        } else if self.chance(75) {
            let think = self.between_ms(100, 7_000);
            self.after(think, Happening::User(Deed::Confirm(CallbackId(text("_id")))));
        }
    }

    /// A fact became durable.
    pub(super) fn judge_request_record(&mut self, fact: &Fact) {
        let requests = &mut self.oracle.requests;
        match fact {
            Fact::CallbackAdded(spec) => {
                requests.options.insert(spec.id.clone(), spec.options.clone());
                requests.services.insert(spec.id.clone(), spec.service.clone());
            }
            Fact::CallbackConfirmed { id } => {
                requests.confirmed.insert(id.clone());
            }
            Fact::CallbackMoved { id, .. } => {
                requests.confirmed.remove(id);
            }
            Fact::CallbackCalledIn { id, call, .. } => {
                requests.called_in.insert(*call, id.clone());
                if self.oracle.was_talked_about(id) {
                    self.violate(format!("callback {id} is taken up again after the conversation"));
                }
            }
            Fact::CallbackDialled { id, .. } => self.judge_wish(&id.clone()),
            Fact::CallbackEnded { id, reason, .. }
                if *reason != CallbackReason::AgentConnected && self.oracle.was_talked_about(id) =>
            {
                self.violate(format!("callback {id} ends as {reason:?}, and was talked about"));
            }
            _ => {}
        }
    }

    /// A customer is dialled: only one who wants that.
    fn judge_wish(&mut self, id: &CallbackId) {
        let requests = &self.oracle.requests;
        let Some(options) = requests.options.get(id) else { return };
        let asked = options.confirm.is_some_and(|confirm| confirm.otherwise == Unconfirmed::Fail);
        if options.direction == CallDirection::UserOriginated {
            self.violate(format!("the customer of callback {id} is dialled, and was to call"));
        } else if asked && !requests.confirmed.contains(id) {
            self.violate(format!("the customer of callback {id} is dialled without having confirmed"));
        }
    }
}
