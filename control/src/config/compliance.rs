//! `[compliance]`: rules for calling people (BY-08).

use std::collections::BTreeSet;

use offhook_control_core::compliance::{ComplianceConfig, Rule};
use offhook_control_core::hours::{OfficeHours, Span};

use super::table::Table;

pub(super) fn compliance(mut table: Table<'_, '_>) -> ComplianceConfig {
    let mut rules = ComplianceConfig::default();
    for (field, enforced) in
        [("enforce", &mut rules.enforce), ("enforce_callbacks", &mut rules.enforce_callbacks)]
    {
        let Some(names) = table.texts(field) else { continue };
        let rule = |name: &String| Rule::NAMES.iter().find(|(known, _)| known == name).map(|(_, rule)| *rule);
        let found: BTreeSet<Rule> = names.iter().filter_map(rule).collect();
        if names.iter().any(|name| rule(name).is_none()) {
            let known: Vec<&str> = Rule::NAMES.iter().map(|(name, _)| *name).collect();
            table.refuse(field, &format!("may list only {}", known.join(", ")));
        }
        *enforced = found;
    }
    if let Some(text) = table.text("calling_hours") {
        match OfficeHours::parse("", &[format!("mon {text}")], &[]).map(|hours| hours.spans) {
            Ok(spans) if spans.len() == 1 => {
                rules.calling_hours_min =
                    spans.first().map_or((0, 0), |Span { from_min, to_min, .. }| (*from_min, *to_min));
            }
            Ok(_) | Err(_) => table.refuse("calling_hours", "must be a span such as 08:00-21:00"),
        }
    }
    if let Some(zone) = table.text("default_time_zone") {
        if !OfficeHours::is_zone(&zone) {
            table.refuse("default_time_zone", "is no time zone such as Europe/Amsterdam");
        }
        rules.default_time_zone = zone;
    }
    if let Some(permille) = table.number("max_abandoned_permille", 0..=1_000) {
        rules.max_abandoned_permille = permille;
    }
    if let Some(answered) = table.number("min_answered", 1..=1_000_000) {
        rules.min_answered = answered;
    }
    let mut zones = table.table("time_zones");
    for (beginning, names) in zones.pairs() {
        let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
        if beginning.is_empty() || !beginning.bytes().all(|byte| byte.is_ascii_digit()) {
            zones.refuse_key(&beginning, "must be the digits that a number begins with");
        } else if names.is_empty() || names.iter().any(|zone| !OfficeHours::is_zone(zone)) {
            zones.refuse_key(&beginning, "must be time zones with spaces between them");
        }
        rules.time_zones.insert(beginning, names);
    }
    table.finish();
    rules
}
