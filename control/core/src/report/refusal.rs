//! Dials that were refused, with the rule that they would have broken (BY-08).

use serde::{Deserialize, Serialize};

use crate::calendar;
use crate::compliance::Rule;
use crate::ledger::CampaignKind;
use crate::record::Refused;

/// A dial that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// When, ISO 8601 UTC.
    pub at: String,
    /// The contact's or callback's id.
    pub call_id: String,
    /// Whom it would have called.
    pub number: String,
    /// What the campaign is.
    pub campaign_kind: CampaignKind,
    /// Its name.
    pub campaign: String,
    /// The rule.
    pub rule: Rule,
    /// When it is tried again, ISO 8601 UTC; empty = never.
    pub not_before: String,
}

impl RefusedRow {
    /// Names of the columns, in their order.
    pub const COLUMNS: [&'static str; 7] =
        ["at", "call_id", "number", "campaign_kind", "campaign", "rule", "not_before"];

    pub(super) fn new(refused: &Refused, at_ms: u64) -> Self {
        Self {
            at: calendar::write(at_ms),
            call_id: refused.id.clone(),
            number: refused.number.clone(),
            campaign_kind: refused.campaign.kind,
            campaign: refused.campaign.name.clone(),
            rule: refused.rule,
            not_before: refused.not_before_ms.map(calendar::write).unwrap_or_default(),
        }
    }
}
