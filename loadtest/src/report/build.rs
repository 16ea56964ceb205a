//! Makes the report out of the director's and the media thread's accounts.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::calls::{self, Call};
use super::{
    About, Agents, AnswerToAudio, BrokenStream, Continuity, Cost, Delay, Generator, Keys, Loss, Misrouted,
    Misrouting, Quantiles, Report, Rtcp, SCHEMA, UnstampedIn, checks,
};
use crate::clock;
use crate::host;
use crate::media::ledger::Ledger;
use crate::media::{EndpointId, Phase, Role};
use crate::plan::{Behaviour, Kind};
use crate::run::Finished;
use crate::run::director::Director;
use crate::run::stages::StageCpu;
use crate::run::state::{Outcome, Phone};

/// Most calls listed one by one.
const MAX_CALLS: usize = 20_000;
/// Packets later than this at the 99th percentile: the harness fell behind.
const LATE_MS: f64 = 5.0;

/// Builds the report; `versions` names what was tested.
pub(crate) fn build(finished: Finished, versions: BTreeMap<&'static str, String>) -> Report {
    let Finished { director, mut ledger } = finished;
    let mut calls = calls::calls(&director, &ledger);
    let listed = ledger.violations.len();
    let record = calls::compare(&calls, director.records.as_ref(), &mut ledger.violations);
    ledger.violation_count += (ledger.violations.len() - listed) as u64;
    let mut report = Report {
        schema: SCHEMA,
        passed: false,
        headline: String::new(),
        checks: Vec::new(),
        about: about(&director, versions),
        agents: agents(&director),
        outcomes: outcomes(&director),
        answer_to_audio: answer_to_audio(&calls),
        delay: Delay {
            to_agent_ms: quantiles_of(&ledger.delay_to_agent_ns),
            to_customer_ms: quantiles_of(&ledger.delay_to_customer_ns),
            to_agent_curve: curve(&ledger.delay_to_agent_ns),
            to_customer_curve: curve(&ledger.delay_to_customer_ns),
        },
        loss: loss(&calls),
        continuity: continuity(&director, &ledger),
        misrouting: misrouting(&director, &ledger),
        record,
        parked: director.cpu.parked.as_ref().map(cost),
        under_load: director.cpu.load.as_ref().map(cost),
        generator: generator(&ledger),
        unstamped: unstamped(&ledger),
        rtcp: rtcp(&ledger),
        keys: keys(&ledger),
        crashes: director.setup.load.crashes.then(|| super::crashes::count(&director)),
        mishaps: director.mishaps,
        http: director.http,
        sip: BTreeMap::from([("phones", director.phones.counters), ("trunk", director.trunk.counters)]),
        samples: director.samples,
        calls_unlisted: calls.len().saturating_sub(MAX_CALLS),
        calls: {
            calls.truncate(MAX_CALLS);
            calls
        },
        control_statistics: director.statistics,
    };
    checks::judge(&mut report, &director.setup.load);
    report
}

/// Quantiles of values in milliseconds.
pub(crate) fn quantiles_ms(values: Vec<f64>) -> Quantiles {
    let mut sorted = values;
    sorted.sort_by(f64::total_cmp);
    let Some((&min, &max)) = sorted.first().zip(sorted.last()) else { return Quantiles::default() };
    let at = |share: f64| sorted[((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len()) - 1];
    let count = sorted.len() as u64;
    Quantiles { count, min, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max }
}

fn quantiles_of(histogram: &Histogram<u64>) -> Quantiles {
    if histogram.is_empty() {
        return Quantiles::default();
    }
    let at = |share| histogram.value_at_quantile(share) as f64 / 1e6;
    let (min, max) = (histogram.min() as f64 / 1e6, histogram.max() as f64 / 1e6);
    Quantiles { count: histogram.len(), min, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max }
}

/// Percentiles ever closer to 100, as far as there are packets to tell.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let nines = (histogram.len().max(1) as f64).log10();
    let steps = (nines * 20.0) as u32;
    let shares = (0..=steps).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / 20.0));
    shares.map(|share| (share * 100.0, histogram.value_at_quantile(share) as f64 / 1e6)).collect()
}

fn about(director: &Director, versions: BTreeMap<&'static str, String>) -> About {
    let wall_s = (clock::now_ns() / 1_000_000 - director.started_ms) as f64 / 1e3;
    About {
        run: format!("{:016x}", director.setup.run),
        seed: director.setup.load.seed,
        command: std::env::args().collect::<Vec<_>>().join(" "),
        at_unix_s: clock::realtime_ns() / 1_000_000_000,
        wall_s,
        machine: host::machine(),
        versions,
    }
}

fn agents(director: &Director) -> Agents {
    Agents {
        asked: director.agents.len(),
        went_off_hook: director.agents.iter().filter(|agent| agent.off_hook_ms.is_some()).count(),
        ramp_s: director.cpu.ramp_ms.unwrap_or(0) as f64 / 1e3,
        still_off_hook_at_end: director.agents.iter().filter(|agent| agent.phone != Phone::OnHook).count(),
    }
}

fn outcomes(director: &Director) -> BTreeMap<&'static str, BTreeMap<Outcome, u64>> {
    let mut outcomes: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for order in &director.orders {
        let kind = match order.kind {
            Kind::Callback => "callback",
            Kind::Preview => "preview",
            Kind::Inbound => "inbound",
        };
        let outcome = order.outcome.unwrap_or(Outcome::Unfinished);
        *outcomes.entry(kind).or_default().entry(outcome).or_default() += 1;
    }
    outcomes
}

fn answer_to_audio(calls: &[Call]) -> AnswerToAudio {
    let outbound = || calls.iter().filter(|call| call.kind != Kind::Inbound);
    let inbound = calls.iter().filter(|call| call.kind == Kind::Inbound);
    let mut two_way_each_ms: Vec<f64> = outbound().filter_map(|call| call.two_way_ms).collect();
    two_way_each_ms.sort_by(f64::total_cmp);
    let mut lost_after_answer = BTreeMap::new();
    for lost in outbound().filter_map(|call| call.lost_after_answer) {
        *lost_after_answer.entry(lost).or_default() += 1;
    }
    AnswerToAudio {
        to_agent_ms: quantiles_ms(outbound().filter_map(|call| call.to_agent_ms).collect()),
        to_customer_ms: quantiles_ms(outbound().filter_map(|call| call.to_customer_ms).collect()),
        two_way_ms: quantiles_ms(two_way_each_ms.clone()),
        two_way_each_ms,
        lost_after_answer,
        early_packets: outbound()
            .filter_map(|call| call.conversation.as_ref())
            .map(|c| c.early_packets)
            .sum(),
        inbound_to_agent_ms: quantiles_ms(inbound.filter_map(|call| call.to_agent_ms).collect()),
        inside_to_customer_ms: quantiles_ms(
            outbound().filter_map(|call| call.inside_to_customer_ms).collect(),
        ),
        inside_ms: quantiles_ms(outbound().filter_map(|call| call.inside_ms).collect()),
    }
}

fn loss(calls: &[Call]) -> Loss {
    let mut loss = Loss::default();
    for call in calls {
        let Some(conversation) = &call.conversation else { continue };
        let directions = [conversation.to_agent, conversation.to_customer];
        loss.conversations += u64::from(directions.iter().any(Option::is_some));
        let talks = matches!(call.behaviour, Behaviour::Talk { .. }) && call.outcome == Some(Outcome::Talked);
        loss.one_way += u64::from(talks && directions.iter().any(Option::is_none));
        if let Some(heard) = &conversation.to_agent {
            loss.tail += conversation.sent.saturating_sub(heard.last_sequence + 1);
        }
        for heard in directions.iter().flatten() {
            loss.heard += heard.distinct;
            loss.missing += heard.missing();
            loss.reordered += heard.reordered;
            loss.repeated += heard.repeated;
            loss.longest_gap_ms = loss.longest_gap_ms.max(heard.longest_gap_ns as f64 / 1e6);
        }
    }
    loss
}

fn continuity(director: &Director, ledger: &Ledger) -> Continuity {
    let broken = ledger.broken.iter().map(|broken| BrokenStream {
        leg: name(director, broken.endpoint),
        breaks: broken.breaks,
        first: broken.first,
    });
    Continuity {
        agents: ledger.agents,
        customers: ledger.customers,
        broken_streams: ledger.broken_count,
        broken: broken.collect(),
    }
}

fn misrouting(director: &Director, ledger: &Ledger) -> Misrouting {
    let started_ns = director.started_ms * 1_000_000;
    let listed = ledger.violations.iter().map(|violation| Misrouted {
        what: violation.kind,
        at_s: violation.at_ns.saturating_sub(started_ns) as f64 / 1e9,
        listener: name(director, violation.listener),
        speaker: name(director, violation.speaker),
        packet: violation.packet,
    });
    Misrouting {
        packets_judged: ledger.heard + ledger.violation_count,
        violations: ledger.violation_count,
        listed: listed.collect(),
        tail_bound_packets: director.setup.load.tail_packets,
        longest_tail_packets: ledger.longest_tail_packets,
    }
}

/// An agent's id, or a customer's number.
fn name(director: &Director, endpoint: EndpointId) -> String {
    let at = endpoint as usize;
    if let Some(agent) = director.agents.get(at) {
        return agent.id.clone();
    }
    let attempt = at.checked_sub(director.agents.len()).and_then(|at| director.attempts.get(at));
    attempt.map_or_else(
        || format!("unknown {endpoint}"),
        |attempt| director.orders[attempt.order].number.clone(),
    )
}

fn cost(stage: &StageCpu) -> Cost {
    let wall_ns = stage.wall_ns.max(1) as f64;
    let seconds = wall_ns / 1e9;
    let engine_ns: u64 = stage.engine.iter().map(|thread| thread.cpu_ns).sum();
    let per = |count: f64| if count > 0.0 { engine_ns as f64 / 1e3 / count } else { 0.0 };
    Cost {
        seconds,
        off_hook: stage.off_hook,
        packets_sent: stage.sent,
        engine_cores: engine_ns as f64 / wall_ns,
        engine_threads: stage.engine.iter().map(|t| (t.name.clone(), t.cpu_ns as f64 / wall_ns)).collect(),
        engine_us_per_leg_s: per(stage.off_hook as f64 * seconds),
        engine_us_per_packet: per(stage.sent as f64),
        control_cores: stage.control_ns as f64 / wall_ns,
        harness_cores: stage.harness_ns as f64 / wall_ns,
    }
}

fn generator(ledger: &Ledger) -> Generator {
    let lateness_ms = quantiles_of(&ledger.lateness_ns);
    let trouble = ledger.trouble;
    Generator {
        sent: ledger.sent,
        media_thread_cores: ledger.cpu_ns as f64 / ledger.wall_ns.max(1) as f64,
        fell_behind: lateness_ms.p99 > LATE_MS || trouble.overflowed + trouble.unsent + trouble.skipped > 0,
        lateness_ms,
        trouble,
    }
}

fn rtcp(ledger: &Ledger) -> Rtcp {
    let counts = ledger.rtcp;
    let round_trip_ms = quantiles_of(&ledger.round_trip_ns);
    Rtcp {
        sent: counts.sent,
        received: counts.received,
        round_trips: round_trip_ms.count,
        round_trip_ms,
        endpoints_told: counts.told,
        lost_says_engine: counts.lost,
        // Timestamps of G.711 run at 8 kHz.
        most_jitter_ms: f64::from(counts.most_jitter_ts) / 8.0,
    }
}

fn keys(ledger: &Ledger) -> Keys {
    let mut keys =
        Keys { stray: ledger.stray_keys, not_taken: ledger.trouble.keys_not_taken, ..Keys::default() };
    for conversation in &ledger.conversations {
        let (pressed, heard) = conversation.keys.counts();
        keys.in_menus += conversation.keys.alone;
        keys.menu_ends += conversation.keys.ends;
        keys.pressed += pressed;
        keys.heard += heard;
        keys.conversations_wrong += u64::from(!conversation.keys.agree());
    }
    keys
}

fn unstamped(ledger: &Ledger) -> Vec<UnstampedIn> {
    let phases = [Phase::Ramp, Phase::Parked, Phase::Load, Phase::Drain];
    let cells = phases.into_iter().flat_map(|phase| [(phase, Role::Agent), (phase, Role::Customer)]);
    let at = |phase: Phase, role| ledger.unstamped[phase as usize][usize::from(role == Role::Customer)];
    cells.map(|(phase, listener)| UnstampedIn { phase, listener, packets: at(phase, listener) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let quantiles = quantiles_ms((1..=1_000).map(f64::from).rev().collect());
        assert_eq!((quantiles.min, quantiles.p50, quantiles.p99), (1.0, 500.0, 990.0));
        assert_eq!((quantiles.p999, quantiles.max, quantiles.count), (999.0, 1_000.0, 1_000));
        assert_eq!(quantiles_ms(Vec::new()).count, 0);
        assert_eq!(quantiles_ms(vec![7.0]).p999, 7.0);
    }

    #[test]
    fn a_curve_goes_no_further_than_its_packets() {
        let mut histogram = crate::media::ledger::histogram();
        (0..1_000_u64).for_each(|i| histogram.saturating_record(i * 1_000 + 1_000));
        let curve = curve(&histogram);
        assert!(curve.last().is_some_and(|&(percentile, _)| (99.8..=99.91).contains(&percentile)));
        assert!(curve.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    }
}
