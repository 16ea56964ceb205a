//! Tables for people, in Markdown, so that they can stand in a README.

use std::fmt::Write as _;

use super::{Figure, Report};
use crate::measure::{Capacity, Fault, Run};
use crate::systems::Kind;
use crate::units::{Spread, figure};

/// Where and when, and beside which rtpengine.
pub(crate) fn heading(report: &Report) -> String {
    let Report { machine, cpus, rtpengine, .. } = report;
    let beside = rtpengine.as_ref().map_or(String::new(), |version| format!(", rtpengine {version}"));
    format!(
        "{}, {} processors ({}), Linux {}{beside}, load average {} at the start.\n\
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

/// What it comes to: the ways of ours beside rtpengine with one thread, by medians. Nothing if those did not take part.
pub(crate) fn in_short(report: &Report) -> String {
    let peer = Kind::RtpengineOne;
    let systems = report.systems();
    let ours: Vec<Kind> = Kind::OURS.into_iter().filter(|system| systems.contains(system)).collect();
    if ours.is_empty() || !systems.contains(&peer) {
        return String::new();
    }
    let mut text = format!(
        "Medians; CPU per packet as a share of what {0} takes, lossless packets/s as a multiple of its.\n\n\
         | calls | packets/s | lossless to: {0}",
        peer.name()
    );
    let questions = [
        Question::Ratio("CPU, whole processor", Figure::ProcessorUs),
        Question::Ratio("CPU, process", Figure::CpuUs),
        Question::Ratio("lossless", Figure::LosslessPerS),
        Question::Own("p99 µs at half load", Figure::HalfLoadP99Us),
    ];
    let columns: Vec<(Question, Kind)> = questions
        .into_iter()
        .flat_map(|question| ours.iter().map(move |&system| (question, system)))
        .filter(|&(question, system)| question.has_an_answer(system))
        .collect();
    for (question, system) in &columns {
        let _ = write!(text, " | {}: {}", question.name(), system.name());
    }
    let _ = writeln!(text, " |\n|{}", "---|".repeat(3 + columns.len()));
    for calls in report.calls() {
        let asked = f64::from(calls) * PACKETS_PER_CALL;
        let lossless = median(report.spread(peer, calls, Figure::LosslessPerS));
        let _ = write!(text, "| {} | {} | {lossless}", figure(f64::from(calls)), figure(asked));
        for &(question, system) in &columns {
            let answer = match question {
                Question::Ratio(_, wanted) => report.ratio(system, peer, calls, wanted),
                Question::Own(_, wanted) => report.spread(system, calls, wanted),
            };
            let _ = write!(text, " | {}", median(answer));
        }
        text.push_str(" |\n");
    }
    text
}

/// What is asked about each way of ours.
#[derive(Clone, Copy)]
enum Question {
    /// How it stands to the peer.
    Ratio(&'static str, Figure),
    Own(&'static str, Figure),
}

impl Question {
    fn name(self) -> &'static str {
        match self {
            Self::Ratio(name, _) | Self::Own(name, _) => name,
        }
    }

    /// What the kernel forwards costs the process nothing: no share to speak of.
    fn has_an_answer(self, system: Kind) -> bool {
        match self {
            Self::Ratio(_, figure) | Self::Own(_, figure) => {
                figure != Figure::CpuUs || system != Kind::InKernel
            }
        }
    }
}

/// Every table, and the warnings.
pub(crate) fn all(report: &Report) -> String {
    let calls = report.calls().into_iter();
    let tables: Vec<String> = calls.map(|calls| of_calls(report, calls)).collect();
    format!("{}\n{}", tables.join("\n"), warnings(report))
}

/// A number of calls: medians with their ranges, a column per system, and the ratios to rtpengine.
pub(crate) fn of_calls(report: &Report, calls: u32) -> String {
    let systems = report.systems();
    let pairs: Vec<(Kind, Kind)> = Kind::OURS
        .into_iter()
        .flat_map(|ours| [Kind::RtpengineOne, Kind::RtpengineMany].map(|peer| (ours, peer)))
        .filter(|(ours, peer)| systems.contains(ours) && systems.contains(peer))
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

/// What a reader must not overlook: a line for each system, number of calls and note, with its rounds.
pub(crate) fn warnings(report: &Report) -> String {
    let mut text = String::new();
    for calls in report.calls() {
        for system in report.systems() {
            let mut rounds: Vec<(String, Vec<String>)> = Vec::new();
            for run in report.of(system, calls) {
                for note in notes(run) {
                    let round = (run.round + 1).to_string();
                    match rounds.iter_mut().find(|(known, _)| *known == note) {
                        Some((_, rounds)) => rounds.push(round),
                        None => rounds.push((note, vec![round])),
                    }
                }
            }
            for (note, rounds) in rounds {
                let (who, rounds) = (system.name(), rounds.join(", "));
                let _ = writeln!(text, "- {who}, {calls} calls, round {rounds}: {note}");
            }
        }
    }
    text
}

/// What is to be said of a run.
fn notes(run: &Run) -> Vec<String> {
    let at_fifty = "the processor's CPU, loss and delay";
    let measured = match run.handed {
        Some(handed) => vec![(Some(run.nominal), "the process's CPU"), (Some(handed), at_fifty)],
        None => vec![(Some(run.nominal), "CPU, loss and delay")],
    };
    let measured = measured.into_iter().chain([(run.half_load, "the delay at half load")]);
    let mut notes: Vec<String> = measured
        .filter_map(|(probe, figures)| {
            let why = match probe?.fault()? {
                Fault::Silent => "nothing was forwarded",
                Fault::Generator => "the generator did not keep up",
            };
            Some(format!("{why}, nor when tried again; without {figures}."))
        })
        .collect();
    match run.capacity {
        Some(Capacity { packets_per_s: 0.0, .. }) => {
            notes.push("no rate without loss was found; without it and the delay at half of it.".into());
        }
        Some(Capacity { generator_limited: true, .. }) => {
            notes.push("the generator was the limit of the lossless rate; it may be higher.".into());
        }
        _ => {}
    }
    if run.nominal.misrouted > 0 {
        notes.push("packets reached the wrong side.".into());
    }
    notes
}

/// Both phones, a packet every 20 ms.
const PACKETS_PER_CALL: f64 = 100.0;

fn median(spread: Option<Spread>) -> String {
    spread.map_or("–".into(), |spread| figure(spread.median))
}

fn cell(spread: Option<Spread>) -> String {
    match spread {
        None => "–".into(),
        Some(Spread { median, min, max }) if min == max => figure(median),
        Some(Spread { median, min, max }) => format!("{} ({}–{})", figure(median), figure(min), figure(max)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Cpus, Machine};
    use crate::measure::Probe;

    fn run(system: Kind, round: u32, cpu_us_per_packet: f64, packets_per_s: f64) -> Run {
        let nominal = Probe {
            packets_per_s: 10_000.0,
            sent: 1,
            received: 1,
            misrouted: 0,
            cpu_us_per_packet,
            processor_us_per_packet: Some(cpu_us_per_packet + 1.0),
            cpu_share: 0.1,
            delay_us: None,
            generator_limited: false,
        };
        let capacity = Some(Capacity { packets_per_s, generator_limited: system == Kind::Offhook });
        Run {
            system,
            calls: 100,
            round,
            nominal,
            handed: Some(nominal),
            half_load: None,
            capacity,
            bytes_per_call: 1.0,
            requests_per_s: None,
            calls_set_up_per_s: None,
        }
    }

    fn report() -> Report {
        let cpus = Cpus { system: 0, shared: Vec::new(), receiver: 1, senders: vec![2] };
        let rounds = [
            run(Kind::Offhook, 0, 5.0, 300_000.0),
            run(Kind::RtpengineOne, 0, 10.0, 150_000.0),
            run(Kind::Offhook, 1, 6.0, 200_000.0),
            run(Kind::RtpengineOne, 1, 10.0, 100_000.0),
        ];
        Report {
            machine: Machine::here(),
            cpus,
            span_ms: 1,
            engine_args: Vec::new(),
            rtpengine: Some("10".into()),
            runs: rounds.into(),
        }
    }

    #[test]
    fn in_short_each_round_is_set_beside_its_own_peer() {
        let text = in_short(&report());
        let last = text.lines().last().expect("a line");
        assert_eq!(last, "| 100 | 10,000 | 125,000 | 0.591 | 0.550 | 2.00 | – |");
        let columns = |line: &str| line.matches('|').count();
        assert!(text.lines().skip(2).all(|line| columns(line) == columns(last)), "{text}");
    }

    #[test]
    fn a_warning_names_all_its_rounds_at_once() {
        let text = warnings(&report());
        assert_eq!(
            text,
            "- offhook, 100 calls, round 1, 2: the generator was the limit of the lossless rate; it may be higher.\n"
        );
    }

    #[test]
    fn what_is_no_figure_of_the_system_is_left_out_of_medians_and_of_ratios() {
        let mut report = report();
        report.runs[1].nominal.received = 0;
        report.runs[2].nominal.generator_limited = true;
        report.runs[3].capacity = Some(Capacity { packets_per_s: 0.0, generator_limited: false });
        let (ours, theirs) = (Kind::Offhook, Kind::RtpengineOne);
        assert_eq!(report.spread(ours, 100, Figure::CpuUs).map(|spread| spread.median), Some(5.0));
        assert_eq!(report.ratio(ours, theirs, 100, Figure::CpuUs), None, "no round has both");
        assert_eq!(report.ratio(ours, theirs, 100, Figure::LosslessPerS).map(|spread| spread.max), Some(2.0));
        let text = warnings(&report);
        for note in [
            "- offhook, 100 calls, round 2: the generator did not keep up, nor when tried again; without the process's CPU.",
            "- rtpengine, 1 thread, 100 calls, round 1: nothing was forwarded, nor when tried again; without the process's CPU.",
            "- rtpengine, 1 thread, 100 calls, round 2: no rate without loss was found; without it and the delay at half of it.",
        ] {
            assert!(text.lines().any(|line| line == note), "{text}");
        }
    }

    #[test]
    fn the_heading_says_beside_which_rtpengine() {
        assert!(heading(&report()).contains(", rtpengine 10,"));
    }

    #[test]
    fn a_report_reads_as_it_was_written() {
        let text = serde_json::to_string(&report()).expect("JSON");
        let read: Report = serde_json::from_str(&text).expect("a report");
        assert_eq!(all(&read), all(&report()));
    }
}
