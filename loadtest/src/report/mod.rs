//! What a run found out, as data: the JSON for machines is this, and people's summaries are made from it.

mod build;
mod calls;
mod checks;
mod crashes;
mod html;
mod markup;
mod plots;
mod summary;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::host::Machine;
use crate::media::continuity::Breaks;
use crate::media::ledger::{Trouble, Unstamped};
use crate::media::rtp::Header;
use crate::rest::pool::HttpCounters;
use crate::run::director::Mishaps;
use crate::run::state::{Outcome, Sample};
use crate::sip::SipCounters;

pub(crate) use build::build;
pub(crate) use summary::summary;

/// Version of the JSON's shape; grows when a field changes its meaning.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) schema: u32,
    pub(crate) passed: bool,
    pub(crate) headline: String,
    pub(crate) checks: Vec<Check>,
    pub(crate) about: About,
    pub(crate) agents: Agents,
    /// By kind of call, then by outcome.
    pub(crate) outcomes: BTreeMap<&'static str, BTreeMap<Outcome, u64>>,
    pub(crate) answer_to_audio: AnswerToAudio,
    pub(crate) delay: Delay,
    pub(crate) loss: Loss,
    pub(crate) continuity: Continuity,
    pub(crate) misrouting: Misrouting,
    pub(crate) record: Record,
    pub(crate) parked: Option<Cost>,
    pub(crate) under_load: Option<Cost>,
    pub(crate) generator: Generator,
    pub(crate) unstamped: Vec<UnstampedIn>,
    pub(crate) rtcp: Rtcp,
    pub(crate) keys: Keys,
    pub(crate) mishaps: Mishaps,
    /// Only of a run whose processes were killed.
    pub(crate) crashes: Option<crashes::Crashes>,
    pub(crate) http: HttpCounters,
    pub(crate) sip: BTreeMap<&'static str, SipCounters>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) calls: Vec<calls::Call>,
    pub(crate) calls_unlisted: usize,
    /// Control's own statistics at the end, as it gave them.
    pub(crate) control_statistics: serde_json::Value,
}

/// One thing that has to hold.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) passed: bool,
    /// False: reported, but fails no run.
    pub(crate) binding: bool,
    pub(crate) found: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct About {
    pub(crate) run: String,
    pub(crate) seed: u64,
    pub(crate) command: String,
    pub(crate) at_unix_s: u64,
    pub(crate) wall_s: f64,
    pub(crate) machine: Machine,
    pub(crate) versions: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Agents {
    pub(crate) asked: usize,
    pub(crate) went_off_hook: usize,
    pub(crate) ramp_s: f64,
    pub(crate) still_off_hook_at_end: usize,
}

/// Milliseconds of many things.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) count: u64,
    pub(crate) min: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// From the customer's 200 OK leaving us, for callbacks and preview calls.
#[derive(Debug, Serialize)]
pub(crate) struct AnswerToAudio {
    /// To the arrival of the customer's first packet at the agent.
    pub(crate) to_agent_ms: Quantiles,
    /// To the arrival of the agent's first packet at the customer; includes waiting for the agent's next packet.
    pub(crate) to_customer_ms: Quantiles,
    /// To the later of both.
    pub(crate) two_way_ms: Quantiles,
    /// The later of both, one value a call, sorted.
    pub(crate) two_way_each_ms: Vec<f64>,
    /// Customer packets sent after the 200 OK that the agent did not hear, by how many a call lost.
    pub(crate) lost_after_answer: BTreeMap<u64, u64>,
    /// Agent's packets that reached a customer who had not answered yet.
    pub(crate) early_packets: u64,
    /// For inbound calls: from 200 OK to the agent hearing the customer, queueing included.
    pub(crate) inbound_to_agent_ms: Quantiles,
    /// To the agent's first packet at the customer, without the wait for a packet that had not been sent yet.
    pub(crate) inside_to_customer_ms: Quantiles,
    /// The later of both, likewise: what our system takes, and the machine.
    pub(crate) inside_ms: Quantiles,
}

/// From one endpoint's send call to the kernel's arrival stamp at the other's socket.
#[derive(Debug, Serialize)]
pub(crate) struct Delay {
    pub(crate) to_agent_ms: Quantiles,
    pub(crate) to_customer_ms: Quantiles,
    /// (Percentile, milliseconds), for plotting.
    pub(crate) to_agent_curve: Vec<(f64, f64)>,
    pub(crate) to_customer_curve: Vec<(f64, f64)>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Loss {
    pub(crate) conversations: u64,
    pub(crate) heard: u64,
    /// Between the first and the last packet heard, in both directions.
    pub(crate) missing: u64,
    pub(crate) reordered: u64,
    pub(crate) repeated: u64,
    /// Conversations in which only one side heard the other.
    pub(crate) one_way: u64,
    /// Sent by customers after the last that the agent heard: in flight at the end of the call.
    pub(crate) tail: u64,
    pub(crate) longest_gap_ms: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Continuity {
    pub(crate) agents: Breaks,
    pub(crate) customers: Breaks,
    pub(crate) broken_streams: u64,
    /// The worst.
    pub(crate) broken: Vec<BrokenStream>,
}

/// A leg that did not hear one unbroken stream.
#[derive(Debug, Serialize)]
pub(crate) struct BrokenStream {
    pub(crate) leg: String,
    pub(crate) breaks: Breaks,
    /// The header before the first break, and the one that broke.
    pub(crate) first: Option<(Header, Header)>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Misrouting {
    pub(crate) packets_judged: u64,
    pub(crate) violations: u64,
    pub(crate) listed: Vec<Misrouted>,
    pub(crate) tail_bound_packets: u64,
    pub(crate) longest_tail_packets: u64,
}

/// A violation with names in place of numbers.
#[derive(Debug, Serialize)]
pub(crate) struct Misrouted {
    pub(crate) what: crate::media::oracle::Kind,
    pub(crate) at_s: f64,
    pub(crate) listener: String,
    pub(crate) speaker: String,
    pub(crate) packet: u64,
}

/// Control's call records held against what the packets proved.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Record {
    pub(crate) available: bool,
    pub(crate) compared: u64,
    pub(crate) agree: u64,
    pub(crate) without_record: u64,
    /// Answer-to-audio as the engine measured it.
    pub(crate) engine_answer_to_audio_ms: Quantiles,
    /// Our part of it: until the engine had said that both hear each other.
    pub(crate) answer_to_open_ms: Quantiles,
}

/// What a stage cost in processor time.
#[derive(Debug, Serialize)]
pub(crate) struct Cost {
    pub(crate) seconds: f64,
    pub(crate) off_hook: usize,
    pub(crate) packets_sent: u64,
    pub(crate) engine_cores: f64,
    pub(crate) engine_threads: Vec<(String, f64)>,
    /// Microseconds of engine CPU per off-hook leg and second.
    pub(crate) engine_us_per_leg_s: f64,
    /// Microseconds of engine CPU per packet that the endpoints sent.
    pub(crate) engine_us_per_packet: f64,
    pub(crate) control_cores: f64,
    pub(crate) harness_cores: f64,
}

/// The harness itself.
#[derive(Debug, Serialize)]
pub(crate) struct Generator {
    pub(crate) sent: u64,
    pub(crate) media_thread_cores: f64,
    pub(crate) lateness_ms: Quantiles,
    pub(crate) fell_behind: bool,
    pub(crate) trouble: Trouble,
}

/// Reports of RTCP between endpoints and engine.
#[derive(Debug, Serialize)]
pub(crate) struct Rtcp {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Received ones that answer a report of the listener.
    pub(crate) round_trips: u64,
    /// From an endpoint to the engine and back, without the time that the engine kept the report (RFC 3550 section 6.4.1).
    pub(crate) round_trip_ms: Quantiles,
    /// Endpoints of which the engine has said how it hears them, and packets of theirs that it says it has lost.
    pub(crate) endpoints_told: u64,
    pub(crate) lost_says_engine: u64,
    /// The most jitter that it tells of any.
    pub(crate) most_jitter_ms: f64,
}

/// Keys that were pressed and heard (RFC 4733).
#[derive(Debug, Default, Serialize)]
pub(crate) struct Keys {
    /// By inbound callers, for a menu.
    pub(crate) in_menus: u64,
    /// By either side in conversations.
    pub(crate) pressed: u64,
    /// By the other side.
    pub(crate) heard: u64,
    /// Conversations in which other keys were heard than pressed.
    pub(crate) conversations_wrong: u64,
    /// Keys of menus whose end the agent heard, being joined before the key was over.
    pub(crate) menu_ends: u64,
    /// Heard by agents between two conversations, before a word of the next customer: at most ends of keys pressed in menus.
    pub(crate) stray: u64,
    /// Presses that the other side's description did not allow.
    pub(crate) not_taken: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct UnstampedIn {
    pub(crate) phase: crate::media::Phase,
    pub(crate) listener: crate::media::Role,
    pub(crate) packets: Unstamped,
}

/// Makes the directory, so that a run does not find out at its end that it has nowhere to report to. Errors: it cannot be made.
pub(crate) fn prepare(directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {} (--report-dir)", directory.display()))
}

/// Writes `report.json` and `report.html` into a directory that is there. Errors: they cannot be written.
pub(crate) fn write(report: &Report, directory: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot write the report to {}", directory.display());
    std::fs::write(directory.join("report.json"), serde_json::to_vec_pretty(report)?).with_context(failed)?;
    std::fs::write(directory.join("report.html"), html::render(report)).with_context(failed)?;
    Ok(())
}
