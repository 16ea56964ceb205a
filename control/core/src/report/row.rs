//! Rows as they are exported.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::callback::CallbackRow;
use super::refusal::RefusedRow;
use crate::AgentId;
use crate::record::CallKind;

/// Which report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// What happened to requests in queues.
    QueueEvents,
    /// What happened between people.
    CallEvents,
    /// Requests that are done.
    Archive,
    /// Callbacks that are over, with their `_CB_*` data.
    Callbacks,
    /// Dials that were refused, with the rule that they would have broken (BY-08).
    RefusedDials,
}

/// One row of `queue_events` or `call_events`; the fields and their order are the columns (PV-08).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// The request: a contact's or callback's id, or the number of a caller's call. Whoever calls for a callback has that one's id.
    pub call_id: String,
    /// One for each conversation of a request, another than that of its queue event (PV-03).
    pub internal_iq_session_id: String,
    /// Counts the events of a request, from 1.
    pub call_sequence: u32,
    /// When it began, ISO 8601 UTC.
    pub dte_start: String,
    /// Whole seconds.
    pub duration_tot_sec: u64,
    /// When they began to talk, ISO 8601 UTC; empty = never.
    pub dte_speak_start: String,
    /// Whole seconds.
    pub duration_speak_sec: u64,
    /// The customer's number.
    pub originating: String,
    /// In `queue_events`: `q` queued, or a caller who ordered a callback (CB-12), `k` went to an agent, `h` hung up, `t` waited for as long
    /// as the queue lets anybody wait, `b` led elsewhere by the flow, `c` ended by whoever runs the place, `d` deleted. In `call_events`
    /// as in PV-06, `r` a caller who left with a callback, and `d` where neither side ended it: a callback that was cancelled while its
    /// customer was called, a call that a flow or whoever runs the place ended.
    pub result_code: String,
    /// Behind an `e`: the cause of ITU-T Q.850, 1 to 127, where the carrier tells one, else the SIP status; empty = none.
    pub result_response: String,
    /// `c` the contact, `a` an agent, `e` an external number; empty in `queue_events`.
    pub ciq: String,
    /// The queue; `__Dialer_` and the queue for contacts (PV-02), `__Callback_` and the queue for callbacks.
    pub queue_key: String,
}

impl EventRow {
    /// Names of the columns, in their order.
    pub const COLUMNS: [&'static str; 12] = [
        "call_id",
        "internal_iq_session_id",
        "call_sequence",
        "dte_start",
        "duration_tot_sec",
        "dte_speak_start",
        "duration_speak_sec",
        "originating",
        "result_code",
        "result_response",
        "ciq",
        "queue_key",
    ];
}

/// Inbound or outbound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The customer came to us.
    Inbound,
    /// We called the customer.
    Outbound,
}

/// A request that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveRow {
    /// As in [`EventRow::call_id`].
    pub call_id: String,
    /// What it was.
    pub kind: CallKind,
    /// Queue.
    pub queue: String,
    /// The customer's number.
    pub number: String,
    /// When it came, ISO 8601 UTC.
    pub arrived: String,
    /// When it was done, ISO 8601 UTC.
    pub finished: String,
    /// `answered`; `abandoned`: a caller who was gone before an agent had them; `callback` (CB-12); `deleted in queue` (PV-05);
    /// `unanswered`: a customer who was not reached, or a caller whose flow ended the call.
    pub state: String,
    /// Times that the customer was called.
    pub attempts: u32,
    /// The last agent who had it.
    pub agent: Option<AgentId>,
    /// Who began it: a callback counts as inbound, because the customer asked for it (QC-13).
    pub reported_as: Direction,
    /// Who called whom over the trunk.
    pub billed_as: Direction,
    /// What the agent said of it.
    pub disposition: Option<String>,
}

impl ArchiveRow {
    /// Names of the columns, in their order.
    pub const COLUMNS: [&'static str; 12] = [
        "call_id",
        "kind",
        "queue",
        "number",
        "arrived",
        "finished",
        "state",
        "attempts",
        "agent",
        "reported_as",
        "billed_as",
        "disposition",
    ];
}

/// Some rows with their numbers, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// Of `queue_events` or `call_events`.
    Events(Vec<(u64, EventRow)>),
    /// Of the archive.
    Archive(Vec<(u64, ArchiveRow)>),
    /// Of the callbacks.
    Callbacks(Vec<(u64, CallbackRow)>),
    /// Of the refused dials.
    Refused(Vec<(u64, RefusedRow)>),
}

impl Page {
    /// Number to go on after; none when there are no rows.
    pub fn last(&self) -> Option<u64> {
        match self {
            Self::Events(rows) => rows.last().map(|(number, _)| *number),
            Self::Archive(rows) => rows.last().map(|(number, _)| *number),
            Self::Callbacks(rows) => rows.last().map(|(number, _)| *number),
            Self::Refused(rows) => rows.last().map(|(number, _)| *number),
        }
    }

    /// `{"rows": [...], "next": n}`; the next page begins after `next`, which is absent when there are no rows.
    pub fn body(&self) -> Value {
        let rows = match self {
            Self::Events(rows) => values(rows),
            Self::Archive(rows) => values(rows),
            Self::Callbacks(rows) => values(rows),
            Self::Refused(rows) => values(rows),
        };
        let mut body = serde_json::json!({ "rows": rows });
        if let Some(last) = self.last() {
            body["next"] = last.into();
        }
        body
    }

    /// Names of the columns, in their order.
    pub fn columns(&self) -> &'static [&'static str] {
        match self {
            Self::Events(_) => &EventRow::COLUMNS,
            Self::Archive(_) => &ArchiveRow::COLUMNS,
            Self::Callbacks(_) => &CallbackRow::COLUMNS,
            Self::Refused(_) => &RefusedRow::COLUMNS,
        }
    }
}

fn values<T: Serialize>(rows: &[(u64, T)]) -> Vec<Value> {
    rows.iter().filter_map(|(_, row)| serde_json::to_value(row).ok()).collect()
}

/// Which direction a request is reported and billed as (QC-13).
pub(crate) fn directions(kind: CallKind) -> (Direction, Direction) {
    match kind {
        CallKind::Inbound => (Direction::Inbound, Direction::Inbound),
        CallKind::Callback => (Direction::Inbound, Direction::Outbound),
        CallKind::Preview | CallKind::AgentLeg => (Direction::Outbound, Direction::Outbound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pv_08_the_columns_are_these_in_this_order() {
        let row = serde_json::to_string(&EventRow::default()).expect("a row is JSON");
        let places: Vec<_> = EventRow::COLUMNS.iter().map(|name| row.find(&format!("\"{name}\":"))).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{row}");
        assert_eq!(row.matches("\":").count(), EventRow::COLUMNS.len());
    }

    #[test]
    fn qc_13_a_callback_is_reported_as_inbound_and_billed_as_outbound() {
        assert_eq!(directions(CallKind::Callback), (Direction::Inbound, Direction::Outbound));
        assert_eq!(directions(CallKind::Preview), (Direction::Outbound, Direction::Outbound));
        assert_eq!(directions(CallKind::Inbound), (Direction::Inbound, Direction::Inbound));
    }
}
