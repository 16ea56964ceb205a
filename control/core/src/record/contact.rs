//! Contacts of preview dialling as they are kept, and dials that were refused.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compliance::Rule;
use crate::ledger::Campaign;

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
    /// Nobody's doing: whoever runs the place ended it.
    D,
}
