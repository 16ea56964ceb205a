//! What requests carry.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::record::{CallbackReason, Destination, Station};
use crate::{CallbackId, ContactId};

/// Body of `PUT /agents/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentBody {
    /// Shown name; the id when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Skills.
    #[serde(default)]
    pub skills: Vec<String>,
    /// Where the phone is.
    #[serde(default)]
    pub station: Option<Station>,
    /// Group whose modes apply; one of the configuration's.
    #[serde(default)]
    pub group: Option<String>,
    /// One leg for the working day; as the group or the tenant has it when absent (PM-13).
    #[serde(default)]
    pub persistent: Option<bool>,
    /// Take offers without a click; as the group or the tenant has it when absent (PM-13).
    #[serde(default)]
    pub auto_accept: Option<bool>,
    /// Validate the leg with a spoken PIN.
    #[serde(default)]
    pub pin: bool,
    /// SIP digest password; unchanged when absent.
    #[serde(default)]
    pub password: Option<String>,
}

/// Body of `POST /agents/{id}/login`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoginBody {
    /// Establish the persistent connection at once (PC-06).
    pub initiate: bool,
}

/// Body of `POST /agents/{id}/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusBody {
    /// Wanted status.
    pub status: WantedStatus,
}

/// Statuses that an agent can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WantedStatus {
    /// Ready for customers.
    Available,
    /// Break.
    OnBreak,
    /// Work without customers.
    WorkingOffline,
}

/// Body of `POST /agents/{id}/mode/confirm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmModeBody {
    /// As in the answer to the request.
    pub change: String,
}

/// Body of `POST /agents/{id}/connection`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectBody {
    /// Where the outcome is posted.
    pub callback_url: Option<String>,
}

/// Body of `POST /agents/{id}/pin`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinBody {
    /// As typed.
    pub pin: String,
}

impl std::fmt::Debug for PinBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PinBody(…)")
    }
}

/// Body of `POST /agents/{id}/transfer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferBody {
    /// `{"agent": "bob"}`, `{"number": "+31201"}` or `{"queue": "sales"}`.
    pub to: Destination,
    /// At once, or after a word with the other.
    #[serde(default)]
    pub mode: TransferMode,
}

/// Body of `POST /agents/{id}/keys`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysBody {
    /// Whether nobody is to hear what the agent's customer keys in.
    pub blocked: bool,
}

/// Query of `GET /service/callback/{service}/availability`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotsWish {
    /// ISO 8601 UTC; now when absent.
    pub start: Option<String>,
    /// ISO 8601 UTC.
    pub end: Option<String>,
    /// In its stead, from the start on; one day when both are absent.
    pub number_of_days: Option<u32>,
    /// Most spans.
    pub max_time_slots: Option<usize>,
}

/// Query of `GET /admin/callback/queues`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallbackQueues {
    /// Services; all when empty.
    pub targets: Vec<String>,
    /// Desired from, ISO 8601 UTC; 15 minutes ago when absent.
    pub start_time: Option<String>,
    /// Desired until, ISO 8601 UTC; 24 hours ahead when absent.
    pub end_time: Option<String>,
    /// States; all when empty.
    pub states: Vec<String>,
    /// Reasons; all when empty.
    pub reasons: Vec<CallbackReason>,
    /// Most callbacks.
    pub max: Option<usize>,
}

/// Body of `POST /admin/callback/cancel`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkCancel {
    /// Which ones.
    pub ids: Vec<CallbackId>,
    /// Kept as the reason of their end.
    #[serde(default)]
    pub reason: CancelReason,
}

/// Body of `POST /admin/callback/reportcancelled`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelledReport {
    /// Those that ended so.
    #[serde(default)]
    pub callback_reason: CancelReason,
    /// Columns besides those that are always there.
    #[serde(default)]
    pub exported_properties: Vec<String>,
}

/// Why callbacks are cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CancelReason {
    /// As a customer does.
    Cancelled,
    /// By whoever runs the place.
    #[default]
    CancelledByAdmin,
}

impl From<CancelReason> for CallbackReason {
    fn from(reason: CancelReason) -> Self {
        match reason {
            CancelReason::Cancelled => Self::Cancelled,
            CancelReason::CancelledByAdmin => Self::CancelledByAdmin,
        }
    }
}

/// How a customer is passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferMode {
    /// At once.
    #[default]
    Blind,
    /// The agent speaks with the other first, while the customer is held.
    Attended,
}

/// Body of `POST /contacts`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactBody {
    /// Queue whose agents see it.
    pub queue: String,
    /// Number to call.
    pub number: String,
    /// For the screen-pop.
    #[serde(default)]
    pub data: Value,
    /// Name of the list that it belongs to.
    #[serde(default)]
    pub list: Option<String>,
    /// Not offered to agents before this: `2026-11-20T09:30:00Z`.
    #[serde(default)]
    pub not_before: Option<String>,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageWish {
    /// After the one with this id.
    pub after: Option<String>,
    /// At most so many; [`crate::limits::LISTING`] where absent.
    pub limit: Option<usize>,
}

/// Which contacts are listed; an absent field matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContactFilter {
    /// Of this list.
    pub list: Option<String>,
    /// In this state: `queued`, `offered`, `dialling`, `connected`, `done` or `disabled`.
    pub state: Option<String>,
    /// After this one, in the order in which they came.
    pub after: Option<ContactId>,
    /// At most so many; [`crate::limits::LISTING`] where absent.
    pub limit: Option<usize>,
}

/// Body of `POST /contacts/{id}/disposition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispositionBody {
    /// What came of it, in the agent's words or the list's.
    pub disposition: String,
    /// The same number is to be called once more, as a contact of its own, not before this.
    #[serde(default)]
    pub again_at: Option<String>,
}

/// Body of `POST /do_not_call`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumbersBody {
    /// Which are not to be called.
    pub numbers: Vec<String>,
}

/// Which callbacks a query wants; an absent field matches all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallbackFilter {
    /// By id.
    #[serde(rename = "_id")]
    pub id: Option<CallbackId>,
    /// By customer's number.
    #[serde(rename = "_customer_number")]
    pub customer_number: Option<String>,
    /// By state.
    #[serde(rename = "_callback_state")]
    pub state: Option<String>,
    /// After this one, in the order of their ids.
    pub after: Option<CallbackId>,
    /// At most so many; [`crate::limits::LISTING`] where absent.
    pub limit: Option<usize>,
}
