//! The call during which a callback was asked for: marked, let go, and not counted as abandoned (CB-11, CB-12).

use serde_json::{Map, Value};

use crate::CallId;
use crate::api::ApiError;
use crate::call::Role;
use crate::core::{Changed, Core};
use crate::flow::api::bad;
use crate::flow::callback_api::text;
use crate::inbound_flow::Owner;
use crate::interaction::{Source, Stage, Way};
use crate::record::CallbackSpec;

impl Core {
    /// The live call that a request names.
    pub(super) fn originating_call(&self, named: &Value) -> Result<CallId, ApiError> {
        let call = named_call(named).filter(|call| {
            let interaction = match self.calls.get(call).map(|call| &call.role) {
                Some(Role::Customer(interaction)) => self.interactions.get(interaction),
                Some(Role::Agent(_) | Role::Orphan) | None => None,
            };
            interaction.is_some_and(|found| found.source == Source::Caller)
        });
        call.ok_or_else(|| bad(ORIGINATING, "names no caller who is on the line"))
    }

    /// Whether a callback lets this call go: its caller waits, and no agent has them.
    pub(super) fn is_let_go(&self, call: CallId) -> bool {
        let Some(Role::Customer(id)) = self.calls.get(&call).map(|call| &call.role) else { return false };
        let found = self.interactions.get(id).filter(|found| found.way == Way::Inbound);
        found.is_some_and(|found| matches!(found.stage, Stage::Offered | Stage::Waiting))
    }

    /// Attaches the callback's data to the call: its record tells them.
    pub(super) fn attach(&mut self, call: CallId, spec: &CallbackSpec) {
        if let Some(found) = self.calls.get_mut(&call) {
            found.data.extend(attached(spec));
            self.changed(Changed::Call(call));
        }
    }

    /// Attaches the callback's data to the call, and ends the call unless an agent has it.
    pub(super) fn leave_with_callback(&mut self, call: CallId, spec: &CallbackSpec) {
        self.attach(call, spec);
        let Some(Role::Customer(id)) = self.calls.get(&call).map(|call| call.role.clone()) else { return };
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        if let Value::Object(own) = &mut interaction.data {
            own.extend(attached(spec));
        }
        let offered = interaction.stage == Stage::Offered;
        if spec.originating != Some(call) {
            return;
        }
        if offered {
            self.announce_offer(id, "withdrawn");
            self.step_back(id, 0);
        }
        self.leave_queue(id);
        self.leave_flow(&Owner::Caller(id));
        if let Some(call) = self.calls.get_mut(&call) {
            call.result = Some("callback".to_owned());
        }
        self.hang_up(call, "Callback");
    }
}

/// `_CB_SERVICE_ID`, `_CB_T_SERVICE_START` and `_CB_T_CALLBACK_ACCEPTED`, in whole seconds since 1970 UTC.
fn attached(spec: &CallbackSpec) -> Map<String, Value> {
    let start_ms = if spec.scheduled { spec.desired_ms } else { spec.asked_ms() };
    let fields = [
        ("_CB_SERVICE_ID", Value::from(spec.id.to_string())),
        ("_CB_T_SERVICE_START", Value::from(start_ms / 1_000)),
        ("_CB_T_CALLBACK_ACCEPTED", Value::from(spec.asked_ms() / 1_000)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The call that the parameter names.
pub(super) fn named_call(named: &Value) -> Option<CallId> {
    text(named)?.parse().ok().map(CallId)
}

/// The parameter that names the call.
pub(super) const ORIGINATING: &str = "_originating_interaction_id";
