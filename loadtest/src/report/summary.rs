//! The summary that a person reads on the terminal.

use super::checks::grouped;
use super::{Quantiles, Report};

/// The verdict, its checks and the figures, in lines.
pub(crate) fn summary(report: &Report) -> String {
    let mut lines =
        vec![String::new(), format!("{}  {}", verdict(report.passed), report.headline), String::new()];
    for check in &report.checks {
        let mark = match (check.passed, check.binding) {
            (true, _) => "ok  ",
            (false, true) => "FAIL",
            (false, false) => "note",
        };
        lines.push(format!("  {mark}  {:<58} {}", check.name, check.found));
    }
    lines.push(String::new());
    let audio = &report.answer_to_audio;
    lines.push(row("answer to two-way audio", &audio.two_way_ms));
    lines.push(row("  customer heard by agent", &audio.to_agent_ms));
    lines.push(row("  agent heard by customer", &audio.to_customer_ms));
    lines.push(row("    less wait for packet", &audio.inside_to_customer_ms));
    lines.push(row("  in Offhook, heard", &audio.inside_ms));
    lines.push(row("  in Offhook, recorded", &report.record.answer_to_open_ms));
    lines.push(row("  inbound, queue included", &audio.inbound_to_agent_ms));
    lines.push(row("delay to agents", &report.delay.to_agent_ms));
    lines.push(row("delay to customers", &report.delay.to_customer_ms));
    lines.push(row("RTCP round trip", &report.rtcp.round_trip_ms));
    lines.push(row("lateness of generator", &report.generator.lateness_ms));
    lines.push(String::new());
    for (kind, outcomes) in &report.outcomes {
        let counts = outcomes.iter().map(|(outcome, count)| format!("{count} {}", label(outcome)));
        lines.push(format!("  {kind:<26}{}", counts.collect::<Vec<_>>().join(", ")));
    }
    for (name, cost) in [("parked", &report.parked), ("under load", &report.under_load)] {
        let Some(cost) = cost.as_ref().filter(|cost| cost.engine_cores > 0.0) else { continue };
        lines.push(format!(
            "  {name:<26}{} legs: engine {:.3} cores, {:.2} µs per leg and second, {:.3} µs per packet sent",
            cost.off_hook, cost.engine_cores, cost.engine_us_per_leg_s, cost.engine_us_per_packet
        ));
    }
    if report.generator.fell_behind {
        lines.push("  The generator fell behind: delays of this run say more about this machine than about the engine.".to_owned());
    }
    for (problem, count) in &report.http.problems {
        lines.push(format!("  {count} × {problem}"));
    }
    for violation in report.misrouting.listed.iter().take(10) {
        lines.push(format!(
            "  {:?} at {:.3} s: {} heard {} (packet {})",
            violation.what, violation.at_s, violation.listener, violation.speaker, violation.packet
        ));
    }
    lines.push(format!(
        "  {} packets sent; {} RTCP reports sent, {} received, which report {} packets lost",
        grouped(report.generator.sent),
        grouped(report.rtcp.sent),
        grouped(report.rtcp.received),
        grouped(report.rtcp.lost_says_engine),
    ));
    lines.join("\n")
}

fn verdict(passed: bool) -> &'static str {
    if passed { "PASSED" } else { "FAILED" }
}

fn row(name: &str, q: &Quantiles) -> String {
    if q.count == 0 {
        return format!("  {name:<26}none");
    }
    format!(
        "  {name:<26}p50 {:>8.2}  p99 {:>8.2}  p99.9 {:>8.2}  max {:>8.2} ms  ({})",
        q.p50,
        q.p99,
        q.p999,
        q.max,
        grouped(q.count)
    )
}

/// An outcome in words.
pub(crate) fn label(outcome: &crate::run::state::Outcome) -> String {
    serde_json::to_value(outcome)
        .ok()
        .and_then(|v| v.as_str().map(|s| s.replace('_', " ")))
        .unwrap_or_default()
}
