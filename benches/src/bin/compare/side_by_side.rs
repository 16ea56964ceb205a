//! The comparison: every system in turn, round after round.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cli::{BenchArgs, SideBySideArgs};
use crate::generator::Generator;
use crate::loopback::Loopback;
use crate::machine::{Cpus, Machine, raise_nofile};
use crate::measure::{Bench, Run};
use crate::report::{Figure, Report, plot, table};
use crate::systems::{Kind, Offhook, rtpengine};

/// Runs it, prints the tables, and writes JSON and a plot.
///
/// # Errors
/// A system does not start or ends early; the results cannot be written.
pub(crate) fn run(args: &BenchArgs, asked: &SideBySideArgs) -> Result<()> {
    let (mut args, mut asked) = (args.clone(), asked.clone());
    if asked.quick {
        args.span_ms = args.span_ms.min(QUICK_SPAN_MS);
        asked.pairs = 1;
        asked.calls.retain(|calls| [100, 1_000].contains(calls));
    }
    let cpus = Cpus::choose(&args)?;
    // Before anything is started: what is started later belongs to it.
    let loopback = match Loopback::own() {
        Ok(loopback) => Some(loopback),
        Err(error) => {
            eprintln!("the loopback is everybody's, so that only processes are measured: {error:#}");
            None
        }
    };
    for (kind, option) in [(Kind::Steered, "--steer"), (Kind::InKernel, "--kernel")] {
        if asked.systems.contains(&kind)
            && let Err(error) = Offhook::start_with(&args, &cpus, option)
        {
            eprintln!("{}, does not take part: {error:#}", kind.name());
            asked.systems.retain(|&system| system != kind);
        }
    }
    if loopback.is_none() && asked.systems.contains(&Kind::InKernel) {
        eprintln!("{}, does not take part: its work is no process's", Kind::InKernel.name());
        asked.systems.retain(|&system| system != Kind::InKernel);
    }
    let most_calls = asked.calls.iter().copied().max().unwrap_or_default();
    raise_nofile(u64::from(most_calls) * SOCKETS_PER_CALL + OTHER_FILES)?;
    let machine = Machine::here();
    let is_peer = |system: &Kind| matches!(system, Kind::RtpengineOne | Kind::RtpengineMany);
    let rtpengine = match asked.systems.iter().any(is_peer) {
        true => Some(rtpengine::version(&args.rtpengine)?),
        false => None,
    };
    let mut generator = Generator::new(cpus.clone())?;
    let bench = Bench { args: &args, cpus: &cpus, capacity: !asked.no_capacity, loopback: loopback.as_ref() };
    let mut report = Report {
        machine,
        cpus: cpus.clone(),
        span_ms: args.span_ms,
        engine_args: args.engine_args.clone(),
        rtpengine,
        runs: Vec::new(),
    };
    println!("{}", table::heading(&report));
    for &calls in &asked.calls {
        for round in 0..asked.pairs {
            for &system in &asked.systems {
                let which = || format!("{}, {calls} calls, round {}", system.name(), round + 1);
                let run = match bench.run(system, calls, round, &mut generator) {
                    Ok(run) => run,
                    Err(error) => {
                        eprintln!("{}, once more: {error:#}", which());
                        bench.run(system, calls, round, &mut generator).with_context(which)?
                    }
                };
                eprintln!("{}", progress(&run));
                report.runs.push(run);
            }
            // A comparison that is cut short keeps what it has.
            keep(&report, &args.results)?;
        }
        println!("{}", table::of_calls(&report, calls));
    }
    println!("{}\n{}", table::in_short(&report), table::warnings(&report));
    println!("Written: compare.json, compare.md and compare.svg in {}", args.results.display());
    Ok(())
}

/// Writes figures for machines, tables for people, and the plot.
fn keep(report: &Report, results: &Path) -> Result<()> {
    let text = format!("{}\n{}\n{}", table::heading(report), table::in_short(report), table::all(report));
    fs::create_dir_all(results)?;
    let path = |name: &str| results.join(name);
    for (name, contents) in [("compare.json", serde_json::to_string_pretty(report)?), ("compare.md", text)] {
        fs::write(path(name), contents).with_context(|| format!("{}", path(name).display()))?;
    }
    plot::write(report, &path("compare.svg"))
}

fn progress(run: &Run) -> String {
    format!(
        "{:>5} calls, round {}: {:<22} {:6.2} µs a packet{}, {} lost{}",
        run.calls,
        run.round + 1,
        run.system.name(),
        run.nominal.cpu_us_per_packet,
        Figure::ProcessorUs.of(run).map_or(String::new(), |us| format!(", the whole processor {us:.2}")),
        run.nominal.sent.saturating_sub(run.nominal.received),
        run.capacity.map_or(String::new(), |found| format!(
            ", lossless to {:.0} packets/s{}",
            found.packets_per_s,
            if found.generator_limited { " (generator's limit)" } else { "" }
        )),
    )
}

const QUICK_SPAN_MS: u64 = 2_000;
/// RTP and RTCP, twice.
const SOCKETS_PER_CALL: u64 = 4;
const OTHER_FILES: u64 = 1_000;
