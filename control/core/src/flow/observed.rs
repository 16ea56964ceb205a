//! Which request met which state: what tests count, to know what they have not seen.

use std::collections::BTreeSet;

use crate::AgentId;
use crate::api::{ApiRequest, StatusBody, WantedStatus};
use crate::callback::State as CallbackState;
use crate::core::{Core, Transition};
use crate::preview::State as ContactState;
use crate::record::CallbackReason;
use crate::view::AgentStatus;

impl Core {
    /// Counts a request that is made of an agent, a callback or a contact.
    pub(super) fn observe_request(&mut self, request: &ApiRequest) {
        if !self.is_observed() {
            return;
        }
        let met = match request {
            ApiRequest::CancelCallback { id, .. } => self.callback_state(id, "cancel"),
            ApiRequest::RescheduleCallback { id, .. } => self.callback_state(id, "reschedule"),
            ApiRequest::ConfirmCallback { id, .. } => self.callback_state(id, "confirm"),
            ApiRequest::RemoveContact(id) => self.contact_state(id, "remove"),
            ApiRequest::Dispose(id, _) => self.contact_state(id, "dispose"),
            request => of_agent(request).and_then(|(id, event)| {
                let agent = self.agents.get(id)?;
                Some(("agent", status_name(agent.current_status()), event))
            }),
        };
        if let Some((entity, state, event)) = met {
            self.saw(entity, state, event);
        }
    }

    fn callback_state(&self, id: &crate::CallbackId, event: &'static str) -> Option<Transition> {
        Some(("callback", self.callbacks.get(id)?.state.name(), event))
    }

    fn contact_state(&self, id: &crate::ContactId, event: &'static str) -> Option<Transition> {
        Some(("contact", self.contacts.get(id)?.state.name(), event))
    }
}

/// Every request in every state.
pub(crate) fn requests() -> BTreeSet<Transition> {
    let agents = STATUSES
        .into_iter()
        .flat_map(|status| AGENT_REQUESTS.iter().map(move |event| ("agent", status_name(status), *event)));
    let callbacks = CALLBACK_STATES.into_iter().flat_map(|state| {
        ["cancel", "reschedule", "confirm"].into_iter().map(move |event| ("callback", state.name(), event))
    });
    let contacts = CONTACT_STATES.into_iter().flat_map(|state| {
        ["remove", "dispose"].into_iter().map(move |event| ("contact", state.name(), event))
    });
    agents.chain(callbacks).chain(contacts).collect()
}

/// Names the requests that are made of an agent, once: for those that come, and for the list of all.
macro_rules! of_agent {
    ($($request:pat => $id:ident, $name:literal;)*) => {
        /// Whom a request is about, and its name.
        fn of_agent(request: &ApiRequest) -> Option<(&AgentId, &'static str)> {
            match request {
                $($request => Some(($id, $name)),)*
                _ => None,
            }
        }

        const AGENT_REQUESTS: &[&str] = &[$($name),*];
    };
}

of_agent! {
    ApiRequest::PutAgent(id, _) => id, "put";
    ApiRequest::Login(id, _) => id, "login";
    ApiRequest::Logout(id) => id, "logout";
    ApiRequest::SetStatus(id, StatusBody { status: WantedStatus::Available }) => id, "available";
    ApiRequest::SetStatus(id, StatusBody { status: WantedStatus::OnBreak }) => id, "on_break";
    ApiRequest::SetStatus(id, StatusBody { status: WantedStatus::WorkingOffline }) => id, "working_offline";
    ApiRequest::SetMode(id, _) => id, "set_mode";
    ApiRequest::ConfirmMode(id, _) => id, "confirm_mode";
    ApiRequest::Connect(id, _) => id, "connect";
    ApiRequest::Disconnect(id) => id, "disconnect";
    ApiRequest::Pin(id, _) => id, "pin";
    ApiRequest::Accept(id) => id, "accept";
    ApiRequest::Reject(id) => id, "reject";
    ApiRequest::Cancel(id) => id, "cancel";
    ApiRequest::HangUp(id) => id, "hang_up";
    ApiRequest::WrapUpDone(id) => id, "wrap_up_done";
    ApiRequest::Transfer(id, _) => id, "transfer";
    ApiRequest::CompleteTransfer(id) => id, "complete_transfer";
    ApiRequest::CancelTransfer(id) => id, "cancel_transfer";
    ApiRequest::BlockKeys(id, _) => id, "block_keys";
}

fn status_name(status: AgentStatus) -> &'static str {
    match status {
        AgentStatus::LoggedOut => "logged_out",
        AgentStatus::OnBreak => "on_break",
        AgentStatus::WorkingOffline => "working_offline",
        AgentStatus::PersistentCallOffered => "persistent_call_offered",
        AgentStatus::Available => "available",
        AgentStatus::Offered => "offered",
        AgentStatus::Preview => "preview",
        AgentStatus::OnCall => "on_call",
        AgentStatus::WrapUp => "wrap_up",
        AgentStatus::Refused => "refused",
    }
}

const STATUSES: [AgentStatus; 10] = [
    AgentStatus::LoggedOut,
    AgentStatus::OnBreak,
    AgentStatus::WorkingOffline,
    AgentStatus::PersistentCallOffered,
    AgentStatus::Available,
    AgentStatus::Offered,
    AgentStatus::Preview,
    AgentStatus::OnCall,
    AgentStatus::WrapUp,
    AgentStatus::Refused,
];

const CALLBACK_STATES: [CallbackState; 5] = [
    CallbackState::Scheduled,
    CallbackState::Queued,
    CallbackState::Routing,
    CallbackState::Processing,
    CallbackState::Completed(CallbackReason::AgentConnected),
];

const CONTACT_STATES: [ContactState; 6] = [
    ContactState::Queued,
    ContactState::Offered,
    ContactState::Dialling,
    ContactState::Connected,
    ContactState::Done,
    ContactState::Disabled,
];
