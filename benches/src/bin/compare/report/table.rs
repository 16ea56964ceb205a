//! Tables for people, in Markdown, so that they can stand in a README.

use std::fmt::Write as _;

use super::{Figure, Report};
use crate::machine::{Cpus, Machine};
use crate::systems::Kind;
use crate::units::{Spread, figure};

/// Where and when.
pub(crate) fn heading(machine: &Machine, cpus: &Cpus) -> String {
    format!(
        "{}, {} processors ({}), Linux {}, load average {} at the start.\n\
         Systems on processor {}, receiver on {}, senders on {:?}.\n",
        machine.date,
        machine.processors,
        machine.processor,
        machine.kernel,
        machine.load_average,
        cpus.system,
        cpus.receiver,
        cpus.senders,
    )
}

/// A number of calls: medians with their ranges, a column per system, and the ratios to rtpengine.
pub(crate) fn of_calls(report: &Report, calls: u32) -> String {
    let systems = report.systems();
    let all = |wanted: [Kind; 2]| systems.iter().copied().filter(move |system| wanted.contains(system));
    let pairs: Vec<(Kind, Kind)> = all([Kind::Offhook, Kind::Steered])
        .flat_map(|ours| all([Kind::RtpengineOne, Kind::RtpengineMany]).map(move |peer| (ours, peer)))
        .collect();
    let mut text = format!("### {calls} calls, median (range)\n\n|");
    for name in systems
        .iter()
        .map(|system| system.name().to_owned())
        .chain(pairs.iter().map(|(ours, peer)| format!("{} / {}", ours.name(), peer.name())))
    {
        let _ = write!(text, " | {name}");
    }
    let columns = systems.len() + pairs.len();
    let _ = writeln!(text, " |\n|---|{}", "---|".repeat(columns));
    for figure in Figure::ALL {
        let _ = write!(text, "| {}", figure.name());
        for &system in &systems {
            let _ = write!(text, " | {}", cell(report.spread(system, calls, figure)));
        }
        for &(ours, peer) in &pairs {
            let _ = write!(text, " | {}", cell(report.ratio(ours, peer, calls, figure)));
        }
        text.push_str(" |\n");
    }
    text
}

/// What a reader must not overlook.
pub(crate) fn warnings(report: &Report) -> String {
    let mut text = String::new();
    for run in &report.runs {
        let who = format!("{}, {} calls, round {}", run.system.name(), run.calls, run.round + 1);
        if run.nominal.generator_limited {
            let _ =
                writeln!(text, "! {who}: the generator did not keep up; its figures are not the system's.");
        }
        if run.capacity.is_some_and(|capacity| capacity.generator_limited) {
            let _ = writeln!(
                text,
                "! {who}: the generator was the limit of the lossless rate; it may be higher."
            );
        }
        if run.nominal.misrouted > 0 {
            let _ = writeln!(text, "! {who}: {} packets reached the wrong side.", run.nominal.misrouted);
        }
    }
    text
}

fn cell(spread: Option<Spread>) -> String {
    match spread {
        None => "–".into(),
        Some(Spread { median, min, max }) if min == max => figure(median),
        Some(Spread { median, min, max }) => format!("{} ({}–{})", figure(median), figure(min), figure(max)),
    }
}
