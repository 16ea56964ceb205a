//! What has to hold for a run to pass.

use super::summary::label;
use super::{Check, Report};
use crate::cli::LoadArgs;
use crate::run::state::Outcome;

/// Fills in the checks, the verdict and the headline.
pub(crate) fn judge(report: &mut Report, load: &LoadArgs) {
    let mut checks = checks(report, load);
    if let Some(crashes) = &report.crashes {
        checks.retain(|check| KEPT_IN_CRASHES.contains(&check.name));
        checks.extend(super::crashes::checks(crashes, report.mishaps.legs_dropped));
    }
    let failed: Vec<&str> = checks.iter().filter(|c| c.binding && !c.passed).map(|c| c.name).collect();
    report.passed = failed.is_empty();
    report.headline = if report.passed {
        let (packets, calls) = (report.misrouting.packets_judged, report.loss.conversations);
        format!(
            "{} packets in {} conversations: nobody heard anybody they should not",
            grouped(packets),
            grouped(calls)
        )
    } else {
        format!("failed: {}", failed.join("; "))
    };
    report.checks = checks;
}

/// What has to hold even while processes die.
const KEPT_IN_CRASHES: [&str; 3] = [
    "nobody heard anybody they should not",
    "every agent went off hook",
    "there were conversations to judge",
];

fn checks(report: &Report, load: &LoadArgs) -> Vec<Check> {
    let mut checks = of_audio(report, load);
    checks.extend(of_calls(report, load));
    if load.pin.0 > 0.0 {
        let wrong = report.mishaps.wrong_pins;
        let name = "every spoken PIN was understood and accepted";
        checks.push(check(name, wrong == 0, format!("{wrong} wrong")));
    }
    if load.keys.is_some() || load.menu_keys.is_some() {
        checks.push(of_keys(report));
    }
    checks.push(of_generator(report, load));
    checks
}

fn check(name: &'static str, passed: bool, found: String) -> Check {
    Check { name, passed, binding: true, found }
}

/// What was heard.
fn of_audio(report: &Report, load: &LoadArgs) -> Vec<Check> {
    let (misrouting, loss) = (&report.misrouting, &report.loss);
    let (agents, customers) = (&report.continuity.agents, &report.continuity.customers);
    let jumps = [agents, customers]
        .map(|b| b.ssrc_changes + b.sequence_jumps + b.timestamp_jumps)
        .iter()
        .sum::<u64>();
    let gaps = [agents, customers].map(|b| b.lost + b.late).iter().sum::<u64>();
    let p99_ms = report.answer_to_audio.two_way_ms.p99;
    vec![
        check(
            "nobody heard anybody they should not",
            misrouting.violations == 0,
            format!("{} of {} packets", grouped(misrouting.violations), grouped(misrouting.packets_judged)),
        ),
        check(
            "no packet was lost in a conversation",
            loss.missing == 0,
            of(loss.missing, loss.heard + loss.missing),
        ),
        check(
            "none was repeated or overtaken",
            loss.repeated + loss.reordered == 0,
            format!("{} repeated, {} overtaken", loss.repeated, loss.reordered),
        ),
        check("every conversation was two-way", loss.one_way == 0, of(loss.one_way, loss.conversations)),
        check(
            "what each leg hears is one unbroken stream",
            jumps + gaps == 0,
            format!("{jumps} jumps, {gaps} gaps in {} packets", grouped(agents.packets + customers.packets)),
        ),
        check(
            "answer to two-way audio, 99 % of calls",
            p99_ms <= load.max_answer_to_audio.0 as f64,
            format!("{p99_ms:.1} ms; limit {} ms", load.max_answer_to_audio.0),
        ),
    ]
}

/// What became of agents and calls.
fn of_calls(report: &Report, load: &LoadArgs) -> Vec<Check> {
    let (loss, mishaps, record) = (&report.loss, &report.mishaps, &report.record);
    let unplanned = unplanned(report);
    let never_joined = outcome(report, Outcome::NeverJoined);
    let still_off_hook = report.agents.still_off_hook_at_end as u64;
    let expects_calls = load.callbacks.0 + load.previews.0 + load.inbound.0 > 0.0 && load.duration.0 > 0;
    let agrees = record.agree == record.compared && (record.compared > 0 || loss.conversations == 0);
    vec![
        check(
            "every agent went off hook",
            report.agents.went_off_hook == report.agents.asked,
            format!("{} of {}", report.agents.went_off_hook, report.agents.asked),
        ),
        check(
            "every agent stayed off hook, dialled once",
            mishaps.legs_dropped + mishaps.dialled_twice == 0,
            format!("{} dropped, {} dialled twice", mishaps.legs_dropped, mishaps.dialled_twice),
        ),
        check(
            "no customer who answered was left with nobody",
            never_joined == 0,
            format!("{never_joined} waited in vain"),
        ),
        check("every call ended as planned", unplanned.is_empty(), in_words(&unplanned)),
        check(
            "control's record names the agents whom the packets prove",
            record.available && agrees,
            format!(
                "{} of {} agree, {} without record",
                record.agree, record.compared, record.without_record
            ),
        ),
        check(
            "there were conversations to judge",
            !expects_calls || loss.conversations > 0,
            grouped(loss.conversations),
        ),
        check(
            "hanging up ended every call",
            mishaps.hangups_ignored + still_off_hook == 0,
            format!("{} ignored, {still_off_hook} legs left after log-out", mishaps.hangups_ignored),
        ),
        check(
            "nobody was dialled who should not be",
            mishaps.unknown_numbers + mishaps.unusable_offers == 0,
            format!(
                "{} unknown numbers, {} offers without usable audio",
                mishaps.unknown_numbers, mishaps.unusable_offers
            ),
        ),
    ]
}

fn of_keys(report: &Report) -> Check {
    let keys = &report.keys;
    check(
        "every key was heard once by the other side",
        keys.conversations_wrong + keys.not_taken == 0 && keys.menu_ends + keys.stray <= keys.in_menus,
        format!(
            "{} of {}; wrong in {} conversations, {} not taken; {} in menus, the end of {} heard by the agent",
            grouped(keys.heard),
            grouped(keys.pressed),
            keys.conversations_wrong,
            keys.not_taken,
            grouped(keys.in_menus),
            keys.menu_ends + keys.stray
        ),
    )
}

fn of_generator(report: &Report, load: &LoadArgs) -> Check {
    let generator = &report.generator;
    Check {
        name: "the load generator kept its pace",
        passed: !generator.fell_behind,
        binding: load.strict_pacing,
        found: format!(
            "99 % within {:.1} ms, {} not read in time, {} not sent",
            generator.lateness_ms.p99,
            generator.trouble.overflowed,
            generator.trouble.unsent + generator.trouble.skipped
        ),
    }
}

/// How many orders ended in each way that no plan foresees.
fn unplanned(report: &Report) -> Vec<(Outcome, u64)> {
    let unplanned = [
        Outcome::CancelledByControl,
        Outcome::RequestRefused,
        Outcome::CallRefused,
        Outcome::SipTimeout,
        Outcome::NeverDialled,
        Outcome::Unfinished,
    ];
    let counted = unplanned.into_iter().map(|wanted| (wanted, outcome(report, wanted)));
    counted.filter(|(_, count)| *count > 0).collect()
}

fn in_words(outcomes: &[(Outcome, u64)]) -> String {
    let words: Vec<_> =
        outcomes.iter().map(|(outcome, count)| format!("{count} {}", label(outcome))).collect();
    if words.is_empty() { "all did".to_owned() } else { words.join(", ") }
}

fn outcome(report: &Report, wanted: Outcome) -> u64 {
    report.outcomes.values().filter_map(|kinds| kinds.get(&wanted)).sum()
}

fn of(part: u64, whole: u64) -> String {
    format!("{} of {}", grouped(part), grouped(whole))
}

/// A number with thin spaces between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
