//! Journal records: the facts from which everything is rebuilt.

mod read;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::compliance::Rule;
use crate::io::Key;
use crate::ledger::{Campaign, CampaignKind};
use crate::modes::{Mode, ModeWish};
use crate::options::CallbackOptions;
use crate::report::Direction;
use crate::view::AgentStatus;
use crate::{AgentId, CallId, CallbackId, ContactId};

/// Version of the records that this build writes. It reads all versions up to this one.
pub const VERSION: u16 = 1;

/// One durable fact.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Version of its layout.
    pub v: u16,
    /// When, in milliseconds since 1970 UTC.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What became true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A run began.
    Booted {
        /// Its number, from 1.
        run: u64,
    },
    /// An agent was created or changed.
    AgentSaved(Box<AgentProfile>),
    /// An agent's own choice of status changed.
    AgentStatus {
        /// Who.
        agent: AgentId,
        /// One of `logged_out`, `on_break`, `working_offline`, `available`.
        status: AgentStatus,
    },
    /// An agent confirmed a choice of mode; it ends with the session.
    ModeChosen {
        /// Who.
        agent: AgentId,
        /// All that was chosen in this session.
        wish: ModeWish,
    },
    /// Another mode came into force.
    ModeInForce {
        /// Whose.
        agent: AgentId,
        /// Which.
        mode: Mode,
    },
    /// An agent's phone answered and its leg is open.
    LegUp {
        /// Whose.
        agent: AgentId,
        /// The call.
        call: CallId,
    },
    /// A dialog can be restored.
    Dialog {
        /// Which call.
        call: CallId,
        /// As the SIP adaptor gave it.
        snapshot: String,
    },
    /// A call is over.
    CallEnded {
        /// Which.
        call: CallId,
        /// Its record, for calls with a customer.
        summary: Option<Box<CallSummary>>,
    },
    /// A caller waits.
    InboundArrived {
        /// The call.
        call: CallId,
        /// Queue.
        queue: String,
        /// Who calls.
        number: String,
        /// What was called.
        dnis: String,
        /// When the call arrived, in milliseconds since 1970; the record's own time where it is missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arrival_ms: Option<u64>,
        /// The contact's id, which a callback keeps (QC-09).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact: Option<u64>,
        /// Its priority; the queue's own where it is missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        priority: Option<i32>,
        /// The flow that it goes through. It is in no queue until an agent is requested.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flow: Option<String>,
    },
    /// A caller's flow took a place in a queue.
    AgentRequested {
        /// The call.
        call: CallId,
        /// Queue.
        queue: String,
        /// Higher goes first.
        priority: i32,
        /// The step that asked, by caption: where the flow goes on after a restart.
        step: String,
        /// The flow's variables.
        variables: BTreeMap<String, String>,
    },
    /// A callback was taken.
    CallbackAdded(Box<CallbackSpec>),
    /// A customer is about to be dialled for a callback.
    CallbackDialled {
        /// Which.
        id: CallbackId,
        /// From 1.
        attempt: u32,
        /// The call.
        call: CallId,
        /// For whom.
        agent: AgentId,
    },
    /// An attempt ended without a conversation.
    CallbackAttempted {
        /// Which.
        id: CallbackId,
        /// From 1.
        attempt: u32,
        /// `_CB_DIAL_n_RESULT`.
        result: DialResult,
        /// Not dialled again before this, in milliseconds since 1970 UTC.
        not_before_ms: u64,
    },
    /// A callback was rescheduled.
    CallbackMoved {
        /// Which.
        id: CallbackId,
        /// Milliseconds since 1970 UTC.
        desired_ms: u64,
    },
    /// The customer said that they are ready (CB-05).
    CallbackConfirmed {
        /// Which.
        id: CallbackId,
    },
    /// The customer of a callback called in (CB-09).
    CallbackCalledIn {
        /// Which.
        id: CallbackId,
        /// The call.
        call: CallId,
    },
    /// A callback is complete.
    CallbackEnded {
        /// Which.
        id: CallbackId,
        /// Why.
        reason: CallbackReason,
        /// `_CB_DIAL_n_RESULT` of the attempt that connected, where it is not `CONNECTED`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<DialResult>,
    },
    /// A contact was taken.
    ContactAdded {
        /// Id.
        id: ContactId,
        /// Whom to call, and for whom.
        #[serde(flatten)]
        spec: ContactSpec,
    },
    /// A contact was taken out of its list before it was called.
    ContactRemoved {
        /// Which.
        id: ContactId,
    },
    /// A contact is about to be dialled.
    ContactDialled {
        /// Which.
        id: ContactId,
        /// From 1.
        attempt: u32,
        /// The call.
        call: CallId,
        /// For whom.
        agent: AgentId,
    },
    /// The contact's leg ended, was answered, or was never dialled.
    ContactResult {
        /// Which.
        id: ContactId,
        /// Result code.
        code: ResultCode,
        /// SIP status behind it.
        response: Option<u16>,
        /// Not dialled again before this; none = done.
        again_ms: Option<u64>,
        /// Whether the agent took it out of the list (PV-05).
        disabled: bool,
        /// Who had it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
    },
    /// An agent said what came of a contact.
    ContactDisposed {
        /// Which.
        id: ContactId,
        /// In the agent's words.
        disposition: String,
    },
    /// A customer talks with an agent.
    Connected {
        /// The customer's call.
        call: CallId,
        /// With whom.
        agent: AgentId,
    },
    /// An agent passes a customer on (PV-07).
    Transferred {
        /// The customer's call.
        call: CallId,
        /// By whom.
        agent: AgentId,
        /// To whom.
        to: Destination,
    },
    /// A dial was refused, because it would have broken a rule (BY-08).
    DialRefused(Box<Refused>),
    /// Numbers came onto the do-not-call list, as digits.
    NumbersListed {
        /// Which.
        numbers: Vec<String>,
    },
    /// A number was taken off it.
    NumberUnlisted {
        /// Which.
        number: String,
    },
    /// Somebody who was called for one customer is gone.
    AgentRemoved {
        /// Who.
        agent: AgentId,
    },
}

/// A contact as stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContactSpec {
    /// Queue.
    pub queue: String,
    /// Number.
    pub number: String,
    /// For the screen-pop.
    pub data: Value,
    /// List; empty = none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub list: String,
    /// Not offered before this, in milliseconds since 1970 UTC; none = at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before_ms: Option<u64>,
}

/// A dial that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The contact's or callback's id.
    pub id: String,
    /// Whom it would have called.
    pub number: String,
    /// What it belongs to.
    pub campaign: Campaign,
    /// The rule.
    pub rule: Rule,
    /// Not tried again before this, in milliseconds since 1970 UTC; none = never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before_ms: Option<u64>,
}

/// Where a customer is passed on to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// Another agent.
    Agent(AgentId),
    /// A telephone number through the trunk.
    Number(String),
    /// A queue.
    Queue(String),
}

/// An agent as stored.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentProfile {
    /// Id.
    pub id: AgentId,
    /// Shown name.
    pub name: String,
    /// Skills.
    pub skills: Vec<String>,
    /// Where the phone is.
    pub station: Option<Station>,
    /// Group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// One leg for the working day, where that is set for this agent.
    #[serde(default)]
    pub persistent: Option<bool>,
    /// Takes offers without a click, where that is set for this agent.
    #[serde(default)]
    pub auto_accept: Option<bool>,
    /// Validates the leg with a PIN.
    pub pin: bool,
    /// SIP digest password.
    pub password: Option<String>,
    /// Nobody of ours: a number that was called for one customer (PV-07).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guest: bool,
}

impl fmt::Debug for AgentProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentProfile")
            .field("id", &self.id)
            .field("station", &self.station)
            .finish_non_exhaustive()
    }
}

/// Where an agent's phone is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Station {
    /// It registers here under the agent's id.
    Registered,
    /// A SIP URI.
    Sip {
        /// `sip:…`.
        uri: String,
    },
    /// A telephone number through the trunk.
    Number {
        /// `+` and digits.
        number: String,
    },
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// An agent's persistent leg.
    AgentLeg,
    /// A customer who asked to be called back.
    Callback,
    /// A contact that an agent has seen before.
    Preview,
    /// A caller.
    Inbound,
}

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
}

impl CallbackSpec {
    /// When it was asked for, in milliseconds since 1970 UTC; its place in the queue may be older.
    pub fn asked_ms(&self) -> u64 {
        self.origin.as_ref().map_or(self.arrival_ms, |origin| origin.accepted_ms)
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

/// `_callback_reason` (CB-13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are the field's")]
pub enum CallbackReason {
    AgentConnected,
    Cancelled,
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

/// Result of a contact's leg (PV-06).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultCode {
    /// Answered.
    K,
    /// Busy or rejected.
    B,
    /// Alerting timeout.
    T,
    /// Agent hung up while alerting, or cancelled.
    H,
    /// Agent hung up during set-up.
    Q,
    /// Set-up timeout.
    C,
    /// Network error, or number not in use.
    E,
}

/// A call with a customer, once it is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallSummary {
    /// What it was for.
    pub kind: CallKind,
    /// The customer's number.
    pub number: String,
    /// Agent.
    pub agent: Option<AgentId>,
    /// Milliseconds since 1970 UTC.
    pub started_ms: u64,
    /// When their phone began to ring, in milliseconds since 1970 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rang_ms: Option<u64>,
    /// Milliseconds since 1970 UTC.
    pub answered_ms: Option<u64>,
    /// Milliseconds from answer to audio in both directions (BY-01).
    pub answer_to_audio_ms: Option<f64>,
    /// How it ended.
    pub result: String,
    /// What was attached to it (CB-11).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
    /// The contact's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<u64>,
    /// Who called, or whom we called (QC-06).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ani: Option<String>,
    /// What was called, or the number that was shown (QC-06).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dnis: Option<String>,
    /// The ANI of the call that a queued callback was made from (QC-06).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_ani: Option<String>,
    /// Its DNIS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_dnis: Option<String>,
    /// As what it is reported (QC-13).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Direction>,
    /// As what it is billed (QC-13).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed: Option<Direction>,
}

impl Record {
    /// A fact of this build's version.
    pub fn new(at_ms: u64, fact: Fact) -> Self {
        Self { v: VERSION, at_ms, fact }
    }

    /// Whose order it belongs to.
    pub fn key(&self) -> Key {
        match &self.fact {
            Fact::Booted { .. } | Fact::NumbersListed { .. } | Fact::NumberUnlisted { .. } => Key::All,
            Fact::DialRefused(refused) => match refused.campaign.kind {
                CampaignKind::Service => Key::Callback(CallbackId(refused.id.clone())),
                CampaignKind::List | CampaignKind::Queue => Key::Contact(ContactId(refused.id.clone())),
            },
            Fact::AgentSaved(profile) => Key::Agent(profile.id.clone()),
            Fact::AgentStatus { agent, .. }
            | Fact::ModeChosen { agent, .. }
            | Fact::ModeInForce { agent, .. }
            | Fact::LegUp { agent, .. }
            | Fact::AgentRemoved { agent } => Key::Agent(agent.clone()),
            Fact::Dialog { call, .. }
            | Fact::CallEnded { call, .. }
            | Fact::InboundArrived { call, .. }
            | Fact::AgentRequested { call, .. }
            | Fact::Connected { call, .. }
            | Fact::Transferred { call, .. } => Key::Call(*call),
            Fact::CallbackAdded(spec) => Key::Callback(spec.id.clone()),
            Fact::CallbackDialled { id, .. }
            | Fact::CallbackAttempted { id, .. }
            | Fact::CallbackMoved { id, .. }
            | Fact::CallbackConfirmed { id }
            | Fact::CallbackCalledIn { id, .. }
            | Fact::CallbackEnded { id, .. } => Key::Callback(id.clone()),
            Fact::ContactAdded { id, .. }
            | Fact::ContactRemoved { id }
            | Fact::ContactDialled { id, .. }
            | Fact::ContactResult { id, .. }
            | Fact::ContactDisposed { id, .. } => Key::Contact(id.clone()),
        }
    }
}
