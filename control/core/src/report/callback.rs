//! Callbacks that are over, with what the originating call was told of them (CB-11).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calendar;
use crate::record::{CallbackReason, CallbackSpec, DialResult};

/// A callback that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackRow {
    /// Id.
    #[serde(rename = "_id")]
    pub id: String,
    /// Service.
    #[serde(rename = "_service_name")]
    pub service_name: String,
    /// Whom it called.
    #[serde(rename = "_customer_number")]
    pub customer_number: String,
    /// `COMPLETED`.
    #[serde(rename = "_callback_state")]
    pub state: String,
    /// Why it is over (CB-13).
    #[serde(rename = "_callback_reason")]
    pub reason: CallbackReason,
    /// ISO 8601 UTC.
    #[serde(rename = "_desired_time")]
    pub desired_time: String,
    /// As `_id`, under the name that the originating call knows it by.
    #[serde(rename = "_CB_SERVICE_ID")]
    pub service_id: String,
    /// When it was to start, in whole seconds since 1970 UTC: the time that was asked for, else the time of the request.
    #[serde(rename = "_CB_T_SERVICE_START")]
    pub service_start: u64,
    /// When it was asked for, in whole seconds since 1970 UTC.
    #[serde(rename = "_CB_T_CALLBACK_ACCEPTED")]
    pub callback_accepted: u64,
    /// Each `_CB_DIAL_n_RESULT` in its order, with spaces between them.
    #[serde(rename = "_CB_DIAL_RESULTS")]
    pub dial_results: String,
    /// When it was over, ISO 8601 UTC.
    pub finished: String,
}

impl CallbackRow {
    /// Names of the columns, in their order.
    pub const COLUMNS: [&'static str; 11] = [
        "_id",
        "_service_name",
        "_customer_number",
        "_callback_state",
        "_callback_reason",
        "_desired_time",
        "_CB_SERVICE_ID",
        "_CB_T_SERVICE_START",
        "_CB_T_CALLBACK_ACCEPTED",
        "_CB_DIAL_RESULTS",
        "finished",
    ];
}

/// A callback that is not over.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    service: String,
    number: String,
    asked_ms: u64,
    pub(super) desired_ms: u64,
    pub(super) scheduled: bool,
    pub(super) attempts: u32,
    /// By attempt.
    pub(super) results: BTreeMap<u32, DialResult>,
}

impl Asked {
    pub(super) fn new(spec: &CallbackSpec) -> Self {
        Self {
            service: spec.service.clone(),
            number: spec.number.clone(),
            // Its place may be older: that of the call that it was made from.
            asked_ms: spec.asked_ms(),
            desired_ms: spec.desired_ms,
            scheduled: spec.scheduled,
            attempts: 0,
            results: BTreeMap::new(),
        }
    }

    /// `result`: of the attempt that led to the conversation, if more is known of it than that, or of the one that was ended.
    pub(super) fn row(
        mut self,
        id: &str,
        reason: CallbackReason,
        result: Option<DialResult>,
        at_ms: u64,
    ) -> CallbackRow {
        // A customer who called by themselves was not dialled.
        let talked = reason == CallbackReason::AgentConnected && self.attempts > 0;
        if let Some(result) = result.or_else(|| talked.then_some(DialResult::Connected)) {
            self.results.insert(self.attempts, result);
        }
        let start_ms = if self.scheduled { self.desired_ms } else { self.asked_ms };
        CallbackRow {
            id: id.to_owned(),
            service_name: self.service,
            customer_number: self.number,
            state: "COMPLETED".to_owned(),
            reason,
            desired_time: calendar::write(self.desired_ms),
            service_id: id.to_owned(),
            service_start: start_ms / 1_000,
            callback_accepted: self.asked_ms / 1_000,
            dial_results: self.results.values().map(name).collect::<Vec<_>>().join(" "),
            finished: calendar::write(at_ms),
        }
    }
}

fn name(result: &DialResult) -> String {
    serde_json::to_value(result).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
