//! Journal records: the facts from which everything is rebuilt.

mod agent;
mod call;
mod callback;
mod contact;
mod read;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::io::Key;
use crate::ledger::{CallsSummed, CampaignKind};
use crate::modes::{Mode, ModeWish};
use crate::view::AgentStatus;
use crate::{AgentId, CallId, CallbackId, ContactId};

pub use agent::{AgentProfile, Station};
pub use call::{AudioPath, CallKind, CallSummary, CallTimes, Destination};
pub use callback::{CallbackReason, CallbackSpec, DialResult, FailedAt, Origin};
pub use contact::{ContactSpec, Refused, ResultCode};

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
    /// Somebody asked for an agent's connection, and waits to be told what comes of it.
    ConnectionAsked {
        /// Whose.
        agent: AgentId,
        /// Name of the request.
        operation: String,
        /// Where the end is posted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// What came of such a request; it is told from then on.
    ConnectionEnded {
        /// Whose.
        agent: AgentId,
        /// Name of the request.
        operation: String,
        /// Why the connection did not come up; none = it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The end of such a request was told, and is not told again.
    ConnectionTold {
        /// Whose.
        agent: AgentId,
        /// Name of the request.
        operation: String,
    },
    /// An agent wraps up after a conversation, or is through with that before its time.
    WrapUp {
        /// Who.
        agent: AgentId,
        /// For as long as this, in milliseconds since 1970 UTC; none = no more.
        until_ms: Option<u64>,
    },
    /// An agent's phone answered and its leg is open.
    LegUp {
        /// Whose.
        agent: AgentId,
        /// The call.
        call: CallId,
    },
    /// An INVITE is out, and another run can go on with it.
    SettingUp {
        /// Which call.
        call: CallId,
        /// As the SIP adaptor gave it.
        set_up: String,
        /// Address of ours that it offers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offered: Option<SocketAddr>,
        /// Until then; none in older journals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        times: Option<CallTimes>,
    },
    /// A dialog can be restored.
    Dialog {
        /// Which call.
        call: CallId,
        /// As the SIP adaptor gave it.
        snapshot: String,
        /// Until then; none in older journals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        times: Option<CallTimes>,
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
        /// The skill that the queue takes then: it may be configured no more when this is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        skill: Option<String>,
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
        /// The skill that the queue takes then: it may be configured no more when this is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        skill: Option<String>,
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
        /// The skill that the queue takes then: it may be configured no more when this is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        skill: Option<String>,
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
        /// Whose fault it was.
        #[serde(default, skip_serializing_if = "FailedAt::is_customer")]
        failed_at: FailedAt,
        /// Result of the customer's leg, as a contact's (PV-06); none in older journals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<ResultCode>,
        /// What is behind an `e`, as a contact's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response: Option<u16>,
    },
    /// The settings of its service changed before it started: this is what they make of it (CB-06).
    CallbackRevised(Box<CallbackSpec>),
    /// The customer is asked whether they are ready, or told that they may call (CB-05).
    CallbackAsked {
        /// Which.
        id: CallbackId,
        /// From 1.
        attempt: u32,
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
        /// The skill that the queue takes then: it may be configured no more when this is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        skill: Option<String>,
    },
    /// A callback is complete.
    CallbackEnded {
        /// Which.
        id: CallbackId,
        /// Why.
        reason: CallbackReason,
        /// `_CB_DIAL_n_RESULT` of the attempt that connected, where it is not `CONNECTED`, or of the one that this ended.
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
        /// The skill that the queue takes then: it may be configured no more when this is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        skill: Option<String>,
    },
    /// The contact's leg ended, was answered, or was never dialled.
    ContactResult {
        /// Which.
        id: ContactId,
        /// Result code.
        code: ResultCode,
        /// SIP status behind it, from 300 on, or the cause of ITU-T Q.850, to 127.
        response: Option<u16>,
        /// Not dialled again before this; none = done.
        again_ms: Option<u64>,
        /// Whether the agent took it out of the list (PV-05).
        disabled: bool,
        /// Who had it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
        /// Whose fault it was that nobody talked.
        #[serde(default, skip_serializing_if = "FailedAt::is_customer")]
        failed_at: FailedAt,
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
        /// Since when, in milliseconds since 1970 UTC, where it was known only now that it is a person (CB-17).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since_ms: Option<u64>,
    },
    /// A called customer and an agent hear each other, and who answered is not known yet (CB-17): a conversation, unless it turns out to
    /// be no person.
    Spliced {
        /// The customer's call.
        call: CallId,
        /// With whom.
        agent: AgentId,
    },
    /// What answered turned out to be no person.
    NoPerson {
        /// The customer's call.
        call: CallId,
    },
    /// What was answered to the customer is heard both ways: how long that took, once it is measured (BY-01).
    AudioFlowed {
        /// The customer's call.
        call: CallId,
        /// Microseconds from the answer to audio in both directions.
        after_us: u64,
        /// Our part of these: microseconds from the answer until the engine had said that both hear each other.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        open_us: Option<u64>,
    },
    /// A customer talks with the agent no more, whose phone was lost; they may come back (BY-03).
    Parted {
        /// The customer's call.
        call: CallId,
        /// Whose phone it was.
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
        /// Their priority in the queue that they go to; the queue's own where it is missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        priority: Option<i32>,
        /// The skill that the queue takes then: it may be configured no more when this is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        skill: Option<String>,
    },
    /// The engine keeps what a customer keys in from whoever hears them, or does so no more.
    KeysBlocked {
        /// The customer's call.
        call: CallId,
        /// Whether nobody hears them.
        blocked: bool,
    },
    /// A dial was refused, because it would have broken a rule (BY-08).
    DialRefused(Box<Refused>),
    /// What a campaign's calls of a day came to until now: stands for the records before it (BY-08).
    CallsSummed(Box<CallsSummed>),
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
    /// Somebody set the calendar while control ran: this record's time is the first by the new one.
    CalendarSet {
        /// Milliseconds forward.
        by_ms: i64,
    },
    /// How often each direction of a customer's conversations had no audio until now, where that ever was so (BY-02).
    AudioMissed {
        /// The customer's call.
        call: CallId,
        /// By direction.
        times: BTreeMap<AudioPath, u32>,
    },
    /// Somebody who was called for one customer is gone.
    AgentRemoved {
        /// Who.
        agent: AgentId,
    },
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
            Fact::CallsSummed(_) | Fact::CalendarSet { .. } => Key::None,
            Fact::DialRefused(refused) => match refused.campaign.kind {
                CampaignKind::Service => Key::Callback(CallbackId(refused.id.clone())),
                CampaignKind::List | CampaignKind::Queue => Key::Contact(ContactId(refused.id.clone())),
            },
            Fact::AgentSaved(profile) => Key::Agent(profile.id.clone()),
            Fact::AgentStatus { agent, .. }
            | Fact::ModeChosen { agent, .. }
            | Fact::ModeInForce { agent, .. }
            | Fact::ConnectionAsked { agent, .. }
            | Fact::ConnectionEnded { agent, .. }
            | Fact::ConnectionTold { agent, .. }
            | Fact::WrapUp { agent, .. }
            | Fact::LegUp { agent, .. }
            | Fact::AgentRemoved { agent } => Key::Agent(agent.clone()),
            Fact::SettingUp { call, .. }
            | Fact::Dialog { call, .. }
            | Fact::CallEnded { call, .. }
            | Fact::InboundArrived { call, .. }
            | Fact::AgentRequested { call, .. }
            | Fact::Connected { call, .. }
            | Fact::Spliced { call, .. }
            | Fact::NoPerson { call }
            | Fact::AudioFlowed { call, .. }
            | Fact::Parted { call, .. }
            | Fact::Transferred { call, .. }
            | Fact::AudioMissed { call, .. }
            | Fact::KeysBlocked { call, .. } => Key::Call(*call),
            Fact::CallbackAdded(spec) | Fact::CallbackRevised(spec) => Key::Callback(spec.id.clone()),
            Fact::CallbackDialled { id, .. }
            | Fact::CallbackAttempted { id, .. }
            | Fact::CallbackMoved { id, .. }
            | Fact::CallbackAsked { id, .. }
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
