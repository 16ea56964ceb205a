//! What can be asked of the control plane, and what it answers. The HTTP layer maps these one to one.

mod body;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use body::{
    AgentBody, BulkCancel, CallbackFilter, CallbackQueues, CancelReason, CancelledReport, ConfirmModeBody,
    ConnectBody, ContactBody, ContactFilter, DispositionBody, KeysBody, LoginBody, NumbersBody, PageWish,
    PinBody, SlotsWish, StatusBody, TransferBody, TransferMode, WantedStatus,
};

use crate::config::ModesConfig;
use crate::modes::{Mode, ModeWish};
use crate::report::{Page, Report};
use crate::view::{
    AgentView, CallView, CallbackView, ComplianceView, ContactView, EstimateView, HealthView, ListView,
    QueueView, StatisticsView,
};
use crate::{AgentId, CallId, CallbackId, ContactId};

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiRequest {
    /// `PUT /agents/{id}`.
    PutAgent(AgentId, AgentBody),
    /// `GET /agents`.
    Agents(PageWish),
    /// `GET /agents/{id}`.
    Agent(AgentId),
    /// `POST /agents/{id}/login`.
    Login(AgentId, LoginBody),
    /// `POST /agents/{id}/logout`.
    Logout(AgentId),
    /// `POST /agents/{id}/status`.
    SetStatus(AgentId, StatusBody),
    /// `POST /agents/{id}/mode`: the agent's own wish, which has to be confirmed (PM-11).
    SetMode(AgentId, ModeWish),
    /// `POST /agents/{id}/mode/confirm`.
    ConfirmMode(AgentId, ConfirmModeBody),
    /// `GET /modes`.
    Modes,
    /// `POST /agents/{id}/connection`.
    Connect(AgentId, ConnectBody),
    /// `DELETE /agents/{id}/connection`.
    Disconnect(AgentId),
    /// `POST /agents/{id}/pin`.
    Pin(AgentId, PinBody),
    /// `POST /agents/{id}/accept`.
    Accept(AgentId),
    /// `POST /agents/{id}/reject`.
    Reject(AgentId),
    /// `POST /agents/{id}/cancel`.
    Cancel(AgentId),
    /// `POST /agents/{id}/hangup`.
    HangUp(AgentId),
    /// `POST /agents/{id}/wrap_up_done`.
    WrapUpDone(AgentId),
    /// `POST /agents/{id}/transfer` (PV-07).
    Transfer(AgentId, TransferBody),
    /// `POST /agents/{id}/transfer/complete`.
    CompleteTransfer(AgentId),
    /// `POST /agents/{id}/transfer/cancel`.
    CancelTransfer(AgentId),
    /// `POST /agents/{id}/keys`.
    BlockKeys(AgentId, KeysBody),
    /// `POST /contacts`.
    AddContact(ContactBody),
    /// `POST /contacts/import`: all of them, or none.
    ImportContacts(Vec<ContactBody>),
    /// `DELETE /contacts/{id}`.
    RemoveContact(ContactId),
    /// `POST /contacts/{id}/disposition`.
    Dispose(ContactId, DispositionBody),
    /// `GET /contacts`.
    Contacts(ContactFilter),
    /// `GET /lists`.
    Lists,
    /// `GET /contacts/{id}`.
    Contact(ContactId),
    /// `GET /compliance`.
    Compliance,
    /// `GET /do_not_call`.
    DoNotCall {
        /// Only those behind this one.
        after: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// `GET /do_not_call/{number}`.
    Number(String),
    /// `POST /do_not_call` and `POST /do_not_call/import`: all of them, or none.
    ListNumbers(Vec<String>),
    /// `DELETE /do_not_call/{number}`.
    UnlistNumber(String),
    /// `GET /calls`.
    Calls(PageWish),
    /// `GET /calls/{id}`.
    Call(CallId),
    /// `DELETE /calls/{id}`.
    EndCall(CallId),
    /// `GET /queue_events`, `/call_events`, `/archive` (PV-08).
    Report {
        /// Which.
        report: Report,
        /// Only rows with higher numbers.
        after: u64,
        /// Most rows.
        limit: usize,
    },
    /// `GET /queues`.
    Queues,
    /// `GET /genesys/1/service/ewt-for-vq`.
    Estimate {
        /// Queue.
        queue: String,
        /// Place from 1; none = whoever came next.
        position: Option<u64>,
    },
    /// `GET /statistics`.
    Statistics,
    /// `GET /healthz`.
    Health,
    /// `POST /service/callback/{service}`: JSON or form fields, whose values are strings, numbers or booleans.
    StartCallback {
        /// Service name.
        service: String,
        /// Parameters by their GMS names.
        params: Map<String, Value>,
    },
    /// `GET /service/callback/{service}`, and `GET /service/callback` of all services.
    QueryCallbacks {
        /// Service name; empty = whichever.
        service: String,
        /// Which ones.
        filter: CallbackFilter,
    },
    /// `DELETE /service/callback/{service}/{id}`.
    CancelCallback {
        /// Service name.
        service: String,
        /// Which.
        id: CallbackId,
    },
    /// `POST /service/callback/{service}/{id}/confirm`.
    ConfirmCallback {
        /// Service name.
        service: String,
        /// Which.
        id: CallbackId,
    },
    /// `PUT /service/callback/{service}/{id}`.
    RescheduleCallback {
        /// Service name.
        service: String,
        /// Which.
        id: CallbackId,
        /// Body: `_new_desired_time`.
        params: Map<String, Value>,
    },
    /// `GET /service/callback/{service}/availability`.
    CallbackSlots {
        /// Service name.
        service: String,
        /// Which times.
        wish: SlotsWish,
    },
    /// `GET /admin/callback/queues`.
    CallbackQueues(CallbackQueues),
    /// `GET /admin/callback/watermarks` of these services; empty = all.
    CallbackWatermarks(Vec<String>),
    /// `POST /admin/callback/cancel`.
    CancelCallbacks(BulkCancel),
    /// `POST /admin/callback/reportcancelled`: callbacks that ended so.
    CancelledCallbacks(CancelReason),
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiReply {
    /// An agent, and whether it is new.
    Agent(Box<AgentView>, bool),
    /// Agents.
    Agents(Vec<AgentView>),
    /// A change of mode waits for its confirmation.
    ModeAsked(Box<ModeAsked>),
    /// The levels above the agents.
    Modes(Box<ModesReply>),
    /// An operation runs, or did not need to.
    Operation(OperationReply),
    /// A contact was stored.
    ContactStored(ContactId),
    /// So many contacts were stored.
    ContactsStored(usize),
    /// A contact.
    Contact(Box<ContactView>),
    /// Contacts.
    Contacts(Vec<ContactView>),
    /// Lists of contacts.
    Lists(Vec<ListView>),
    /// A call.
    Call(Box<CallView>),
    /// Calls.
    Calls(Vec<CallView>),
    /// Some rows of a report.
    Report(Page),
    /// All queues.
    Queues(Vec<QueueView>),
    /// Estimated waiting time.
    Estimate(EstimateView),
    /// Statistics.
    Statistics(Box<StatisticsView>),
    /// The compliance ledger.
    Compliance(Box<ComplianceView>),
    /// Numbers on the do-not-call list.
    Numbers(Vec<String>),
    /// So many numbers were listed.
    NumbersStored(usize),
    /// Health.
    Health(HealthView),
    /// A callback was stored.
    CallbackStored(CallbackId),
    /// The same; its customer may call this number.
    CallbackAccess {
        /// Which.
        id: CallbackId,
        /// Number to call.
        access_number: String,
        /// What to key in where the customer's own number is withheld.
        access_code: Option<String>,
        /// Until when, ISO 8601 UTC.
        expiration_time: String,
    },
    /// Callbacks that match.
    Callbacks(Vec<CallbackView>),
    /// When callbacks can be booked, ISO 8601 UTC, and how many.
    CallbackSlots(BTreeMap<String, u32>),
    /// Callbacks by service.
    CallbackQueues(BTreeMap<String, Vec<CallbackView>>),
    /// Callbacks under way, by service.
    CallbackWatermarks(BTreeMap<String, u64>),
    /// Many were to be cancelled.
    CallbacksCancelled {
        /// Those that are.
        cancelled: Vec<CallbackId>,
        /// Those that are not.
        failed: Vec<NotCancelled>,
    },
    /// A list that does not hold all that was asked for.
    Cut {
        /// What it holds.
        page: Box<ApiReply>,
        /// What it does not.
        more: More,
    },
    /// Refused.
    Error(ApiError),
}

/// What a list does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum More {
    /// What comes after the one with this id.
    Next(String),
    /// So many.
    LeftOff(usize),
}

/// A callback that was not cancelled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotCancelled {
    /// Which.
    #[serde(rename = "_id")]
    pub id: CallbackId,
    /// Why.
    #[serde(flatten)]
    pub error: ApiError,
}

/// Answer to `POST /agents/{id}/mode`: nothing has changed yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModeAsked {
    /// What the confirmation has to name.
    pub change: String,
    /// The mode that the next `available` would bring.
    pub mode: Mode,
    /// What a person has to know before confirming.
    pub notice: String,
}

/// Answer to `GET /modes`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModesReply(pub ModesConfig);

/// Answer to `POST /agents/{id}/connection`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationReply {
    /// Names the operation in its `operation` event.
    pub operation: String,
    /// What comes of it.
    pub outcome: Outcome,
}

/// What came of asking for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The phone is being called.
    Started,
    /// It was being called already.
    InProgress,
    /// The leg is open already.
    AlreadyUp,
    /// The agent has no station, is not logged in, or works without a persistent connection (PC-03).
    Ignored,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApiError {
    /// HTTP status.
    #[serde(skip)]
    pub status: u16,
    /// What a program can act on.
    #[serde(rename = "error")]
    pub code: &'static str,
    /// What a person can read.
    pub message: String,
    /// Tries left, for a wrong PIN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_left: Option<u32>,
}

impl ApiError {
    /// A refusal with its HTTP status, code and sentence.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), attempts_left: None }
    }
}

impl ApiReply {
    /// The same, where there is more of it.
    pub(crate) fn cut(self, more: Option<More>) -> Self {
        match more {
            Some(more) => Self::Cut { page: Box::new(self), more },
            None => self,
        }
    }

    /// HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Agent(_, true)
            | Self::ContactStored(_)
            | Self::ContactsStored(_)
            | Self::NumbersStored(_) => 201,
            Self::Operation(_) | Self::ModeAsked(_) => 202,
            Self::Error(error) => error.status,
            Self::Cut { page, .. } => page.status(),
            Self::Agent(_, false)
            | Self::Agents(_)
            | Self::Modes(_)
            | Self::Contact(_)
            | Self::Contacts(_)
            | Self::Lists(_)
            | Self::Call(_)
            | Self::Calls(_)
            | Self::Report(_)
            | Self::Queues(_)
            | Self::Estimate(_)
            | Self::Statistics(_)
            | Self::Compliance(_)
            | Self::Numbers(_)
            | Self::Health(_)
            | Self::CallbackStored(_)
            | Self::CallbackAccess { .. }
            | Self::Callbacks(_)
            | Self::CallbackSlots(_)
            | Self::CallbackQueues(_)
            | Self::CallbackWatermarks(_)
            | Self::CallbacksCancelled { .. } => 200,
        }
    }

    /// JSON body.
    pub fn body(&self) -> Value {
        let value = match self {
            Self::Agent(view, _) => serde_json::to_value(view),
            Self::Agents(views) => serde_json::to_value(views),
            Self::ModeAsked(asked) => serde_json::to_value(asked),
            Self::Modes(modes) => serde_json::to_value(modes),
            Self::Operation(reply) => serde_json::to_value(reply),
            Self::ContactStored(id) => Ok(serde_json::json!({ "id": id })),
            Self::Contact(view) => serde_json::to_value(view),
            Self::ContactsStored(count) => Ok(serde_json::json!({ "stored": count })),
            Self::Compliance(view) => serde_json::to_value(view),
            Self::Numbers(numbers) => Ok(serde_json::json!({ "numbers": numbers })),
            Self::NumbersStored(count) => Ok(serde_json::json!({ "stored": count })),
            Self::Contacts(views) => serde_json::to_value(views),
            Self::Lists(views) => serde_json::to_value(views),
            Self::Call(view) => serde_json::to_value(view),
            Self::Calls(views) => serde_json::to_value(views),
            Self::Report(page) => return page.body(),
            Self::Cut { page, .. } => return page.body(),
            Self::Queues(views) => serde_json::to_value(views),
            Self::Estimate(view) => serde_json::to_value(view),
            Self::Statistics(view) => serde_json::to_value(view),
            Self::Health(view) => serde_json::to_value(view),
            Self::CallbackStored(id) => Ok(serde_json::json!({ "_id": id })),
            Self::CallbackAccess { id, access_number, access_code, expiration_time } => {
                let mut body = serde_json::json!({
                    "_id": id, "_access_number": access_number, "_expiration_time": expiration_time
                });
                if let Some(code) = access_code {
                    body["_access_code"] = code.as_str().into();
                }
                Ok(body)
            }
            Self::Callbacks(views) => serde_json::to_value(views),
            Self::CallbackSlots(slots) => serde_json::to_value(slots),
            Self::CallbackQueues(queues) => serde_json::to_value(queues),
            Self::CallbackWatermarks(counts) => {
                Ok(serde_json::json!({ "services": counts, "total": counts.values().sum::<u64>() }))
            }
            Self::CallbacksCancelled { cancelled, failed } => {
                Ok(serde_json::json!({ "cancelled": cancelled, "failed": failed }))
            }
            Self::Error(error) => serde_json::to_value(error),
        };
        value.unwrap_or(Value::Null)
    }
}
