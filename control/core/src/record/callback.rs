//! Callbacks as they are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::options::CallbackOptions;
use crate::{CallId, CallbackId};

/// A callback as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallbackSpec {
    /// Id.
    pub id: CallbackId,
    /// Service.
    pub service: String,
    /// Queue whose agents call.
    pub queue: String,
    /// Whom to call.
    pub number: String,
    /// When it was asked for, in milliseconds since 1970 UTC: its place in the queue.
    pub arrival_ms: u64,
    /// Not before, in milliseconds since 1970 UTC.
    pub desired_ms: u64,
    /// Whether the desired time was asked for.
    pub scheduled: bool,
    /// `_ttl` in seconds.
    pub ttl_s: u64,
    /// `_max_dial_attempts`.
    pub max_attempts: u32,
    /// `_dial_retry_timeout` in seconds.
    pub retry_s: u32,
    /// Everything else that the request held.
    pub data: Map<String, Value>,
    /// Direction, waiting, confirmation.
    #[serde(default)]
    pub options: CallbackOptions,
    /// The call that it was made from, when a flow made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Box<Origin>>,
    /// The call that is let go for it, when a request named it (CB-11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub originating: Option<CallId>,
}

impl CallbackSpec {
    /// When it was asked for, in milliseconds since 1970 UTC; its place in the queue may be older.
    pub fn asked_ms(&self) -> u64 {
        self.origin.as_ref().map_or(self.arrival_ms, |origin| origin.accepted_ms)
    }

    /// The call that was let go for it: its caller waits no more.
    pub fn first_call(&self) -> Option<CallId> {
        self.origin.as_ref().map(|origin| origin.call).or(self.originating)
    }
}

/// The call that a callback was made from, and what stays in force of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The contact's id: the same for the call, the queued callback and the call back (QC-09).
    pub contact: u64,
    /// The call.
    pub call: CallId,
    /// Its priority (QC-08).
    pub priority: i32,
    /// Who called (QC-06).
    pub ani: String,
    /// What was called (QC-06).
    pub dnis: String,
    /// Number shown to the customer (QC-05).
    pub caller_id: String,
    /// Never dialled; shown to the agent (QC-11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// Seconds between the agent's acceptance and dialling (QC-14).
    pub call_delay_s: u32,
    /// When it was accepted, in milliseconds since 1970 UTC.
    pub accepted_ms: u64,
    /// The flow that goes on without the call.
    pub flow: String,
    /// Its callback step, by caption.
    pub step: String,
    /// Its variables.
    pub variables: BTreeMap<String, String>,
}

/// `_CB_DIAL_n_RESULT` (CB-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are the field's")]
pub enum DialResult {
    CreateCallError,
    Busy,
    NoAnswer,
    AnsweringMachine,
    ErrorTone,
    Fax,
    Person,
    Connected,
    Unknown,
}

/// On whose side an attempt failed: what its callback ends with when there are no more attempts follows from that (CB-13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailedAt {
    /// An engine could not do it, or control died meanwhile.
    House,
    /// The agent's phone was lost.
    AgentPhone,
    /// The agent did not want to wait any longer.
    Agent,
    /// The customer could not be reached.
    #[default]
    Customer,
}

impl FailedAt {
    pub(super) fn is_customer(&self) -> bool {
        *self == Self::Customer
    }
}

/// `_callback_reason` (CB-13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are the field's")]
pub enum CallbackReason {
    AgentConnected,
    Cancelled,
    CancelledByAdmin,
    NotAvailable,
    FailTimeoutTtl,
    FailCallToCustomer,
    FailAgentConnect,
    FailQueueing,
    FailTargetNotFound,
    FailNoCustomerNumber,
    FailUserNoConfirm,
    FailInteractionDeleted,
    FailError,
}
