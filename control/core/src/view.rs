//! What people and programs see: objects of the REST interface and of live events.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compliance::Rule;
use crate::io::Key;
use crate::ledger::CampaignView;
use crate::modes::{Mode, ModeRights};
use crate::record::{AudioPath, CallKind, Station};
use crate::{AgentId, CallId, CallbackId, ContactId, OfferId};

/// An agent's status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    /// Not at work.
    #[default]
    LoggedOut,
    /// Logged in, on break.
    OnBreak,
    /// Logged in, working without customers.
    WorkingOffline,
    /// Wants to be available; the phone is being called or validated.
    PersistentCallOffered,
    /// Ready for a customer.
    Available,
    /// Has an offer to accept.
    Offered,
    /// Looks at a contact before it is called.
    Preview,
    /// With a customer, or one is being called for the agent.
    OnCall,
    /// After a conversation.
    WrapUp,
    /// Let too much go by.
    Refused,
}

/// State of an agent's persistent leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// No leg.
    #[default]
    Down,
    /// The phone is being called.
    Dialling,
    /// Answered; the PIN is awaited.
    Validating,
    /// Open.
    Up,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    /// Id.
    pub id: AgentId,
    /// Shown name.
    pub name: String,
    /// Skills.
    pub skills: Vec<String>,
    /// Where the phone is.
    pub station: Option<Station>,
    /// Group.
    pub group: Option<String>,
    /// One leg for the working day; in force now.
    pub persistent: bool,
    /// Takes offers without a click; in force now.
    pub auto_accept: bool,
    /// Another mode that the next `available` brings (PM-11).
    pub next_mode: Option<Mode>,
    /// What the agent may change.
    pub may_change: ModeRights,
    /// Validates the leg with a PIN.
    pub pin: bool,
    /// Status.
    pub status: AgentStatus,
    /// Persistent leg.
    pub connection: ConnectionStatus,
    /// What is offered now.
    pub offer: Option<OfferView>,
    /// Customer's call.
    pub call: Option<String>,
    /// When the status began, in milliseconds since 1970 UTC.
    pub since_ms: u64,
    /// Why the leg is down: `busy`, `no_answer`, `rejected`, `network`, `lost`, `hung_up`, `engine`, `pin`, `idle`.
    pub last_error: Option<String>,
}

/// An offer to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferView {
    /// Id.
    pub id: OfferId,
    /// To whom.
    pub agent: AgentId,
    /// What it is: `callback`, `preview` or `inbound`.
    pub kind: CallKind,
    /// The customer's number.
    pub number: String,
    /// For the screen-pop.
    pub data: Value,
    /// `offered`, `accepted`, `rejected`, `cancelled`, `timed_out` or `withdrawn`.
    pub state: String,
}

/// A callback, by its GMS names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallbackView {
    /// Id.
    #[serde(rename = "_id")]
    pub id: CallbackId,
    /// When it should be made, ISO 8601 UTC.
    #[serde(rename = "_desired_time")]
    pub desired_time: String,
    /// Service.
    #[serde(rename = "_service_name")]
    pub service_name: String,
    /// `SCHEDULED`, `QUEUED`, `ROUTING`, `PROCESSING` or `COMPLETED`.
    #[serde(rename = "_callback_state")]
    pub state: String,
    /// Why, once there is a reason; else empty.
    #[serde(rename = "_callback_reason")]
    pub reason: String,
    /// When it expires, ISO 8601 UTC.
    #[serde(rename = "_expiration_time")]
    pub expiration_time: String,
    /// Whom to call.
    #[serde(rename = "_customer_number")]
    pub customer_number: String,
    /// Path of this service.
    #[serde(rename = "_url")]
    pub url: String,
    /// `_CB_DIAL_n_RESULT` and the request's own data.
    #[serde(flatten)]
    pub more: serde_json::Map<String, Value>,
}

/// A contact of preview dialling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContactView {
    /// Id.
    pub id: ContactId,
    /// Queue.
    pub queue: String,
    /// Number.
    pub number: String,
    /// `queued`, `offered`, `dialling`, `connected`, `done` or `disabled`.
    pub state: String,
    /// Result of the contact's leg: `k b t h q c e d`.
    pub result_code: Option<String>,
    /// SIP status behind an `e`.
    pub result_response: Option<u16>,
    /// Dialled so often.
    pub attempts: u32,
    /// Agent who has it, or had it.
    pub agent: Option<AgentId>,
    /// What the agent said of it.
    pub disposition: Option<String>,
    /// The list that it belongs to.
    pub list: Option<String>,
    /// Not offered before this, ISO 8601 UTC.
    pub not_before: String,
}

/// A list of contacts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListView {
    /// Its name; empty for contacts without a list.
    pub list: String,
    /// How many contacts it has that are still known.
    pub contacts: usize,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallView {
    /// Id.
    pub id: String,
    /// What it is for.
    pub kind: CallKind,
    /// The other end.
    pub number: String,
    /// Agent.
    pub agent: Option<AgentId>,
    /// `dialling`, `ringing`, `queued`, `up` (an agent's leg), `spliced` or `ended`.
    pub state: String,
    /// Milliseconds since 1970 UTC.
    pub started_ms: u64,
    /// Milliseconds since 1970 UTC.
    pub answered_ms: Option<u64>,
    /// Milliseconds since 1970 UTC.
    pub ended_ms: Option<u64>,
    /// Milliseconds from the answer to audio in both directions, measured at the engine (BY-01).
    pub answer_to_audio_ms: Option<f64>,
    /// Our part of these: milliseconds from the answer until the engine had said that both hear each other. What is left is
    /// the wait for the next packet of both.
    pub answer_to_open_ms: Option<f64>,
    /// Directions of the conversation that have no audio now: `from_agent`, `to_agent`, `from_customer`, `to_customer` (BY-02).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_way: Vec<AudioPath>,
    /// How often that was so, by direction.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub one_way_times: std::collections::BTreeMap<AudioPath, u32>,
    /// How it ended.
    pub result: Option<String>,
    /// Whether what the customer keys in is heard.
    #[serde(default)]
    pub keys: KeysStatus,
    /// What was attached to it: `_CB_SERVICE_ID`, `_CB_T_SERVICE_START`, `_CB_T_CALLBACK_ACCEPTED` (CB-11).
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub data: serde_json::Map<String, Value>,
}

/// What becomes of the keys that a customer presses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeysStatus {
    /// Whoever hears the customer hears them.
    #[default]
    Heard,
    /// They are to be blocked; the engine has not said yet that they are.
    Blocking,
    /// Nobody hears them.
    Blocked,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueView {
    /// Name.
    pub name: String,
    /// Waiting customers, callbacks and contacts.
    pub waiting: u64,
    /// Age of the oldest, in milliseconds.
    pub oldest_ms: u64,
    /// Agents with the skill who are ready.
    pub agents_ready: u64,
}

/// Estimated waiting time of a queue (CB-07), under the names that Genesys Mobile Services gives them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EstimateView {
    /// Queue.
    pub name: String,
    /// Seconds until an agent is there, rounded up; none while no agent of the queue is at work.
    #[serde(rename = "ewt")]
    pub ewt_s: Option<u64>,
    /// Place that it is for, from 1.
    #[serde(rename = "pos")]
    pub position: u64,
    /// Waiting now.
    #[serde(rename = "calls")]
    pub waiting: u64,
    /// Seconds that an agent has with one customer.
    #[serde(rename = "aht")]
    pub handling_s: u64,
    /// Agents with the skill who are ready.
    pub agents_ready: u64,
    /// Agents with the skill who are at work.
    pub agents_staffed: u64,
    /// When, in seconds since 1970 UTC.
    #[serde(rename = "time")]
    pub time_s: u64,
}

/// Figures since start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatisticsView {
    /// Agents by status.
    pub agents: std::collections::BTreeMap<String, u64>,
    /// Legs that are open.
    pub legs_up: u64,
    /// Waiting in all queues.
    pub waiting: u64,
    /// Customers with an agent now.
    pub spliced: u64,
    /// Customers dialled.
    pub dialled: u64,
    /// Customers answered or taken.
    pub answered: u64,
    /// Customers spliced with an agent.
    pub connected: u64,
    /// Inbound callers who left before an agent.
    pub abandoned: u64,
    /// Callbacks completed, by reason.
    pub callbacks: std::collections::BTreeMap<String, u64>,
    /// Contacts, by result code.
    pub contacts: std::collections::BTreeMap<String, u64>,
    /// Milliseconds from answer to two-way audio, median.
    pub answer_to_audio_p50_ms: Option<f64>,
    /// The same, 99th percentile.
    pub answer_to_audio_p99_ms: Option<f64>,
    /// Our part of these, median: milliseconds until both could be heard.
    pub answer_to_open_p50_ms: Option<f64>,
    /// The same, 99th percentile.
    pub answer_to_open_p99_ms: Option<f64>,
    /// Signals that fitted no state, by kind.
    pub ignored: u64,
    /// Times that the trunk stopped answering.
    pub trunk_outages: u64,
    /// Times that a direction of a conversation had no audio, by direction.
    #[serde(default)]
    pub one_way: std::collections::BTreeMap<String, u64>,
    /// Customers who wait to be called and are not, because the trunk does not answer.
    pub held_back: u64,
}

/// The compliance ledger (BY-08).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComplianceView {
    /// Rules that refuse the dial of a contact.
    pub enforced: Vec<Rule>,
    /// Rules that refuse the dial of a callback.
    pub enforced_callbacks: Vec<Rule>,
    /// Most percent of a campaign's answered calls within 30 days that may be abandoned.
    pub max_abandoned_percent: f64,
    /// Numbers on the do-not-call list.
    pub do_not_call: u64,
    /// Campaigns that made a call, or were refused one, within 30 days.
    pub campaigns: Vec<CampaignView>,
}

/// Health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthView {
    /// `ok`.
    pub status: String,
    /// `up` when at least one engine is, else `down`.
    pub engine: String,
    /// Each of them, in the order of the configuration.
    pub engines: Vec<EngineView>,
    /// The way to the telephone network.
    pub trunk: TrunkView,
}

/// The trunk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkView {
    /// `up`, `away`, `unheard` (not answered since the start) or `unwatched` (not asked).
    pub state: String,
    /// Why it is away.
    pub reason: Option<String>,
}

/// One engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineView {
    /// `up` or `down`.
    pub state: String,
    /// Calls whose leg is there.
    pub legs: u64,
}

/// Completion of an asynchronous operation (PC-07).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationView {
    /// As in the reply to the request.
    pub operation: String,
    /// Whose.
    pub agent: AgentId,
    /// `up` or `failed`.
    pub result: String,
    /// Why it failed.
    pub error: Option<String>,
}

/// One live event.
#[derive(Clone, Debug, PartialEq)]
pub enum Notification {
    /// An agent changed.
    Agent(Box<AgentView>),
    /// An offer changed.
    Offer(Box<OfferView>),
    /// A callback changed.
    Callback(Box<CallbackView>),
    /// A contact changed.
    Contact(Box<ContactView>),
    /// A call changed.
    Call(Box<CallView>),
    /// An operation ended.
    Operation(Box<OperationView>),
    /// Statistics.
    Statistics(Box<StatisticsView>),
    /// The trunk answers, or stopped to.
    Trunk(TrunkView),
}

impl Notification {
    /// Name of the server-sent event.
    pub fn topic(&self) -> &'static str {
        match self {
            Self::Agent(_) => "agent",
            Self::Offer(_) => "offer",
            Self::Callback(_) => "callback",
            Self::Contact(_) => "contact",
            Self::Call(_) => "call",
            Self::Operation(_) => "operation",
            Self::Statistics(_) => "statistics",
            Self::Trunk(_) => "trunk",
        }
    }

    /// Whose order it belongs to.
    pub(crate) fn key(&self) -> Key {
        match self {
            Self::Agent(view) => Key::Agent(view.id.clone()),
            Self::Offer(view) => Key::Agent(view.agent.clone()),
            Self::Operation(view) => Key::Agent(view.agent.clone()),
            Self::Callback(view) => Key::Callback(view.id.clone()),
            Self::Contact(view) => Key::Contact(view.id.clone()),
            Self::Call(view) => view.id.parse().map_or(Key::None, |id| Key::Call(CallId(id))),
            Self::Statistics(_) | Self::Trunk(_) => Key::None,
        }
    }

    /// Its data.
    pub fn body(&self) -> Value {
        serde_json::from_str(&self.json()).unwrap_or(Value::Null)
    }

    /// Its data, as JSON text.
    pub fn json(&self) -> String {
        let text = match self {
            Self::Agent(view) => serde_json::to_string(view),
            Self::Offer(view) => serde_json::to_string(view),
            Self::Callback(view) => serde_json::to_string(view),
            Self::Contact(view) => serde_json::to_string(view),
            Self::Call(view) => serde_json::to_string(view),
            Self::Operation(view) => serde_json::to_string(view),
            Self::Statistics(view) => serde_json::to_string(view),
            Self::Trunk(view) => serde_json::to_string(view),
        };
        text.unwrap_or_default()
    }
}
