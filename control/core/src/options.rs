//! What a callback's request chose, and what its service says where it chose nothing (CB-03 to CB-06).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::config::ServiceConfig;
use crate::record::CallbackSpec;

/// Who calls whom: `_call_direction` (CB-03).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallDirection {
    /// The customer calls an access number and is joined to the agent.
    #[serde(rename = "USERORIGINATED")]
    UserOriginated,
    /// We call the customer.
    #[default]
    #[serde(rename = "USERTERMINATED")]
    UserTerminated,
}

impl CallDirection {
    /// Both, with their names.
    pub const NAMES: [(&'static str, Self); 2] =
        [("USERORIGINATED", Self::UserOriginated), ("USERTERMINATED", Self::UserTerminated)];
}

/// What happens when the customer did not say that they are ready: `_on_user_confirm_timeout` (CB-05).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unconfirmed {
    /// The callback ends.
    #[default]
    #[serde(rename = "FAIL_USER_NO_CONFIRM")]
    Fail,
    /// The customer is called all the same.
    #[serde(rename = "CONNECT-ANYWAY")]
    ConnectAnyway,
}

impl Unconfirmed {
    /// Both, with their names.
    pub const NAMES: [(&'static str, Self); 2] =
        [("FAIL_USER_NO_CONFIRM", Self::Fail), ("CONNECT-ANYWAY", Self::ConnectAnyway)];
}

/// The customer is asked whether they are ready before they get an agent (CB-05).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// `_user_confirm_timeout`: seconds to answer each time.
    pub timeout_s: u32,
    /// `_max_notify_delivery_attempts`: times that they are asked.
    pub attempts: u32,
    /// What follows when they never answer.
    pub otherwise: Unconfirmed,
}

/// A callback's options, as stored with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallbackOptions {
    /// Who calls whom.
    pub direction: CallDirection,
    /// `_wait_for_agent`: nothing happens before an agent is available (CB-04).
    pub wait_for_agent: bool,
    /// Asks the customer first; none = does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Number that the customer calls (CB-09).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_number: Option<String>,
    /// Digits by which a caller without a number is known as the customer (CB-09). No other open callback has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_code: Option<String>,
    /// Parameters that the request named; a change of the service's options leaves them alone. None = all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given: Option<BTreeSet<String>>,
}

impl Default for CallbackOptions {
    fn default() -> Self {
        Self {
            direction: CallDirection::UserTerminated,
            wait_for_agent: true,
            confirm: None,
            access_number: None,
            access_code: None,
            given: None,
        }
    }
}

impl CallbackSpec {
    /// The service's options as they are now, for what the request left open (CB-06). True when something changed.
    pub(crate) fn follow(&mut self, service: &ServiceConfig) -> bool {
        let Some(given) = self.options.given.clone() else { return false };
        let before = self.clone();
        let open = |name: &str| !given.contains(name);
        if open("_ttl") {
            self.ttl_s = service.ttl_s;
        }
        if open("_max_dial_attempts") {
            self.max_attempts = service.max_dial_attempts;
        }
        if open("_dial_retry_timeout") {
            self.retry_s = service.dial_retry_timeout_s;
        }
        self.queue.clone_from(&service.queue);
        // A number that was told at once stays: the customer may be calling it (CB-04).
        if self.options.direction == CallDirection::UserOriginated && self.options.wait_for_agent {
            self.options.access_number = service.access_number();
        }
        // Whoever calls by themselves is told that an agent is there, whatever the service says about asking.
        let is_asked = self.options.direction == CallDirection::UserTerminated && self.options.wait_for_agent;
        if open("_wait_for_user_confirm") && is_asked {
            let confirm = service.confirm();
            self.options.confirm = service.wait_for_user_confirm.then_some(confirm);
        }
        if let Some(confirm) = &mut self.options.confirm {
            if open("_user_confirm_timeout") {
                confirm.timeout_s = service.user_confirm_timeout_s;
            }
            if open("_max_notify_delivery_attempts") {
                confirm.attempts = service.max_notify_delivery_attempts;
            }
            if open("_on_user_confirm_timeout") {
                confirm.otherwise = service.on_user_confirm_timeout;
            }
        }
        before != *self
    }
}
