//! The rules for calling people, and the formulas that judge a campaign (BY-08).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::hours::OfficeHours;
use crate::record::CallKind;
use crate::zones;

/// A rule that a dial can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Numbers on the list are not called (47 CFR 64.1200(c)(2)).
    DoNotCall,
    /// 08:00 to 21:00 where the called party is (47 CFR 64.1200(c)(1)).
    CallingHours,
    /// At most 3 % of a campaign's answered calls within 30 days are abandoned (16 CFR 310.4(b)(4)(i)).
    AbandonedRate,
    /// A phone rings for at least 15 seconds (16 CFR 310.4(b)(4)(ii)).
    RingTime,
}

impl Rule {
    /// All, with their names.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("do_not_call", Self::DoNotCall),
        ("calling_hours", Self::CallingHours),
        ("abandoned_rate", Self::AbandonedRate),
        ("ring_time", Self::RingTime),
    ];

    /// As in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::DoNotCall => "do_not_call",
            Self::CallingHours => "calling_hours",
            Self::AbandonedRate => "abandoned_rate",
            Self::RingTime => "ring_time",
        }
    }
}

/// Which rules refuse a dial, and their limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComplianceConfig {
    /// Rules that refuse the dial of a contact; all others are only counted.
    pub enforce: BTreeSet<Rule>,
    /// Rules that refuse the dial of a callback, for which its customer has asked.
    pub enforce_callbacks: BTreeSet<Rule>,
    /// Minutes since midnight where the called party is: from, and to (not included).
    pub calling_hours_min: (u16, u16),
    /// IANA time zones by the beginning of a number (digits, longest first), over those that are built in.
    pub time_zones: BTreeMap<String, Vec<String>>,
    /// Zone of numbers that no beginning fits, and of those without a country code; empty = UTC.
    pub default_time_zone: String,
    /// Most abandoned of a thousand answered calls of a campaign within 30 days.
    pub max_abandoned_permille: u32,
    /// Answered calls of a campaign before its rate refuses anything.
    pub min_answered: u32,
}

impl Default for ComplianceConfig {
    fn default() -> Self {
        Self {
            enforce: Rule::NAMES.into_iter().map(|(_, rule)| rule).collect(),
            enforce_callbacks: BTreeSet::from([Rule::DoNotCall]),
            calling_hours_min: (480, 1_260),
            time_zones: BTreeMap::new(),
            default_time_zone: String::new(),
            max_abandoned_permille: 30,
            min_answered: 100,
        }
    }
}

impl ComplianceConfig {
    /// Rules that refuse a dial of this kind.
    pub fn enforced(&self, kind: CallKind) -> &BTreeSet<Rule> {
        match kind {
            CallKind::Preview => &self.enforce,
            CallKind::Callback | CallKind::Inbound | CallKind::AgentLeg => &self.enforce_callbacks,
        }
    }

    /// The first moment from `unix_ms` on at which a number may be called, both in milliseconds since 1970 UTC.
    ///
    /// `own` is the zone that is known for this number. Where its country has several zones it has to be day in all of them.
    /// None when that is never so.
    pub fn may_call_from_ms(&self, number: &str, own: Option<&str>, unix_ms: u64) -> Option<u64> {
        let hours: Vec<OfficeHours> =
            self.zones_of(number, own).iter().map(|zone| self.hours_in(zone)).collect();
        let mut at_ms = unix_ms;
        for _ in 0..ROUNDS {
            let mut next_ms = at_ms;
            for hours in &hours {
                next_ms = hours.next_open_ms(next_ms)?;
            }
            if next_ms == at_ms {
                return Some(at_ms);
            }
            at_ms = next_ms;
        }
        None
    }

    fn zones_of(&self, number: &str, own: Option<&str>) -> Vec<String> {
        if let Some(zone) = own.filter(|zone| !zone.is_empty() && zones::is_known(zone)) {
            return vec![zone.to_owned()];
        }
        let digits = crate::callback_index::canonical(number);
        let set = (1..=digits.len()).rev().filter_map(|n| self.time_zones.get(digits.get(..n)?)).next();
        let international = number.starts_with('+') || number.starts_with("00");
        let country = zones::of_number(&digits).filter(|_| international);
        match (set, country) {
            (Some(zones), _) => zones.clone(),
            (None, Some(zones)) => zones.map(str::to_owned).collect(),
            (None, None) => vec![self.default_time_zone.clone()],
        }
    }

    fn hours_in(&self, zone: &str) -> OfficeHours {
        OfficeHours::every_day(zone, self.calling_hours_min.0, self.calling_hours_min.1)
    }
}

/// What the UK's formula makes of a campaign's answered calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct UkRate {
    /// Dropped calls that probably reached a person.
    pub estimated_abandoned: f64,
    /// Percent of these in all calls that probably reached a person.
    pub abandoned_percent: f64,
}

/// Ofcom's formula (statement on persistent misuse, 2010): of the calls that were `dropped` without an agent as many
/// reached a person as of those that were not: `human` of `human + machine`. Where there is none to go by, all did.
pub fn uk_rate(dropped: u64, human: u64, machine: u64) -> UkRate {
    let (dropped, human, machine) = (count(dropped), count(human), count(machine));
    let told = human + machine;
    let estimated_abandoned = if told > 0.0 { dropped * human / told } else { dropped };
    let reached = estimated_abandoned + human;
    let abandoned_percent = if reached > 0.0 { estimated_abandoned / reached * 100.0 } else { 0.0 };
    UkRate { estimated_abandoned, abandoned_percent }
}

/// Percent of a campaign's calls answered by a person for which no agent was there within two seconds.
pub fn us_percent(abandoned: u64, answered: u64) -> f64 {
    if answered == 0 { 0.0 } else { count(abandoned) / count(answered) * 100.0 }
}

#[allow(clippy::cast_precision_loss, reason = "calls of 30 days")]
fn count(calls: u64) -> f64 {
    calls as f64
}

/// A customer has an agent within so many milliseconds of the answer, which is before the greeting is completed.
pub const AGENT_WITHIN_MS: u64 = 2_000;
/// Shortest ringing before a call may be given up, in milliseconds.
pub const RING_MS: u64 = 15_000;
/// Days over which the US rate is taken.
pub const US_DAYS: u64 = 30;
/// Times that all zones of a country are gone through for a moment at which it is day in all.
const ROUNDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar;

    #[test]
    fn by_08_the_uk_formula_estimates_how_many_dropped_calls_reached_a_person() {
        let rate = uk_rate(29, 9, 7);
        assert!((rate.estimated_abandoned - 16.3125).abs() < 1e-9);
        assert_eq!(format!("{:.2}", rate.abandoned_percent), "64.44");
        assert_eq!(uk_rate(0, 0, 0), UkRate::default());
        assert!(
            (uk_rate(3, 0, 0).abandoned_percent - 100.0).abs() < 1e-9,
            "nothing to go by: all were persons"
        );
        assert!(uk_rate(3, 0, 5).estimated_abandoned.abs() < 1e-9);
    }

    #[test]
    fn by_08_the_us_rate_is_of_calls_that_persons_answered() {
        assert_eq!(format!("{:.2} {:.2}", us_percent(3, 100), us_percent(0, 0)), "3.00 0.00");
    }

    fn from(config: &ComplianceConfig, number: &str, own: Option<&str>, at: &str) -> String {
        let at_ms = calendar::parse(at).expect("a date");
        config.may_call_from_ms(number, own, at_ms).map_or("never".to_owned(), calendar::write)
    }

    #[test]
    fn by_08_calling_hours_are_those_of_the_called_party() {
        let mut config = ComplianceConfig::default();
        assert_eq!(from(&config, "+31201234567", None, "2026-11-20T06:59:00Z"), "2026-11-20T07:00:00.000Z");
        assert_eq!(from(&config, "0031201234567", None, "2026-11-20T20:00:00Z"), "2026-11-21T07:00:00.000Z");
        assert_eq!(from(&config, "+442071234567", None, "2026-11-20T20:59:59Z"), "2026-11-20T20:59:59.000Z");
        // Day in New York and in Honolulu: from 08:00 there, which is 13:00 here.
        assert_eq!(from(&config, "+12125550100", None, "2026-11-20T14:00:00Z"), "2026-11-20T18:00:00.000Z");
        let new_york = Some("America/New_York");
        assert_eq!(
            from(&config, "+12125550100", new_york, "2026-11-20T14:00:00Z"),
            "2026-11-20T14:00:00.000Z"
        );
        config.time_zones.insert("1212".into(), vec!["America/New_York".into()]);
        assert_eq!(from(&config, "+12125550100", None, "2026-11-20T14:00:00Z"), "2026-11-20T14:00:00.000Z");
        config.default_time_zone = "Asia/Tokyo".into();
        assert_eq!(from(&config, "100", None, "2026-11-20T12:30:00Z"), "2026-11-20T23:00:00.000Z");
    }
}
