//! One system, one number of calls, one round.

use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::cli::BenchArgs;
use crate::generator::Generator;
use crate::loopback::Loopback;
use crate::machine::Cpus;
use crate::systems::{Kind, SetUp};
use crate::trial::Trial;

/// What one round found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) system: Kind,
    pub(crate) calls: u32,
    pub(crate) round: u32,
    /// At 50 packets a second and phone, where each sender's processor handles what it sends.
    pub(crate) nominal: Probe,
    /// The same, where the system's processor handles everything.
    pub(crate) handed: Option<Probe>,
    /// Half of the lossless rate, for the delay.
    pub(crate) half_load: Option<Probe>,
    pub(crate) capacity: Option<Capacity>,
    /// Growth of resident memory from before the first call to after the traffic, per call.
    pub(crate) bytes_per_call: f64,
    pub(crate) requests_per_s: Option<f64>,
    pub(crate) calls_set_up_per_s: Option<f64>,
}

impl Run {
    /// What 50 packets a second and phone did, where the system's processor handles everything if it does anywhere.
    pub(crate) fn at_fifty(&self) -> &Probe {
        self.handed.as_ref().unwrap_or(&self.nominal)
    }
}

/// What a rate did to a system.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) packets_per_s: f64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) misrouted: u64,
    /// User and system time of all its threads, by forwarded packet.
    pub(crate) cpu_us_per_packet: f64,
    /// Everything that the system's processor did, by forwarded packet, if that processor handles what arrives.
    pub(crate) processor_us_per_packet: Option<f64>,
    /// Share of its processor.
    pub(crate) cpu_share: f64,
    /// Send to arrival; nothing for what does not forward.
    pub(crate) delay_us: Option<DelayUs>,
    /// The generator could not keep up itself.
    pub(crate) generator_limited: bool,
}

/// Quantiles of the delay, in microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct DelayUs {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

/// The highest rate without a loss.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Capacity {
    /// 0 when none was found.
    pub(crate) packets_per_s: f64,
    /// The generator gave up first: it may be more.
    pub(crate) generator_limited: bool,
}

/// Why a measurement says nothing about its system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No packet came out of the system.
    Silent,
    /// The generator did not keep up.
    Generator,
}

impl Probe {
    /// Nothing lost, and no backlog built up.
    pub(crate) fn is_kept_up(&self) -> bool {
        self.received >= self.sent && self.delay_us.is_none_or(|delay| delay.p99 < BACKLOG_US)
    }

    /// Far more was asked for than the system carries.
    fn is_swamped(&self) -> bool {
        self.received * 10 < self.sent * 9 && self.fault().is_none()
    }

    /// What keeps its figures from being the system's.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match (self.received, self.generator_limited) {
            (0, _) => Some(Fault::Silent),
            (_, true) => Some(Fault::Generator),
            (_, false) => None,
        }
    }
}

/// What a measurement takes.
pub(crate) struct Bench<'a> {
    pub(crate) args: &'a BenchArgs,
    pub(crate) cpus: &'a Cpus,
    pub(crate) capacity: bool,
    /// Present where the machine lets us have one.
    pub(crate) loopback: Option<&'a Loopback>,
}

impl Bench<'_> {
    /// Starts a system, sets calls up, measures, and ends it.
    ///
    /// # Errors
    /// The system does not start, refuses a call or ends.
    pub(crate) fn run(&self, system: Kind, calls: u32, round: u32, generator: &mut Generator) -> Result<Run> {
        let span = Duration::from_millis(self.args.span_ms);
        self.hand_over(false)?;
        let mut trial = Trial::start(self, system, calls, generator)?;
        let SetUp { requests, elapsed, .. } = *trial.set_up();
        let nominal = trial.measure(NOMINAL_PERIOD, span)?;
        let mut handed = None;
        if self.hand_over(true)? {
            handed = Some(trial.measure(NOMINAL_PERIOD, span)?);
        }
        let bytes_per_call = trial.resident_growth()? as f64 / f64::from(calls);
        let (mut capacity, mut half_load) = (None, None);
        if self.capacity {
            let found = self.search(&mut trial, calls, handed.as_ref().unwrap_or(&nominal))?;
            if found.packets_per_s > 0.0 {
                trial.refresh();
                half_load = Some(trial.measure(period_of(calls, found.packets_per_s / 2.0), span)?);
            }
            capacity = Some(found);
        }
        let per_second = |count: u64| (requests > 0).then(|| count as f64 / elapsed.as_secs_f64());
        Ok(Run {
            system,
            calls,
            round,
            nominal,
            handed,
            half_load,
            capacity,
            bytes_per_call,
            requests_per_s: per_second(requests),
            calls_set_up_per_s: per_second(u64::from(calls)),
        })
    }

    /// Has the system's processor handle what arrives, or no longer. Whether it does.
    fn hand_over(&self, handed: bool) -> Result<bool> {
        let Some(loopback) = self.loopback else { return Ok(false) };
        loopback.hand_to(handed.then_some(self.cpus.system))?;
        Ok(handed)
    }

    /// Raises the rate until something is lost, then halves the gap.
    fn search(&self, trial: &mut Trial<'_>, calls: u32, nominal: &Probe) -> Result<Capacity> {
        let span = Duration::from_millis(self.args.span_ms / 4).max(SHORTEST_STEP);
        let mut step = |rate: f64| trial.probe(period_of(calls, rate), span);
        let (mut good, mut bad, mut generator_limited) = (0.0, f64::INFINITY, false);
        let cost = nominal.processor_us_per_packet.unwrap_or(nominal.cpu_us_per_packet);
        let mut rate = (1e6 / cost * FIRST_GUESS).clamp(LOWEST_RATE, HIGHEST_RATE);
        for _ in 0..MOST_STEPS {
            let mut probe = step(rate)?;
            // Once more, from a fresh start, in case that something else on the machine was at fault: not if so much was lost.
            if (!probe.is_kept_up() || probe.generator_limited) && !probe.is_swamped() {
                probe = step(rate)?;
            }
            if probe.is_kept_up() && !probe.generator_limited {
                good = rate;
            } else {
                bad = rate;
                generator_limited = probe.generator_limited;
            }
            if bad - good < good * RESOLUTION || good >= HIGHEST_RATE {
                break;
            }
            rate = if bad.is_infinite() {
                (good * STEP_UP).min(HIGHEST_RATE)
            } else if good == 0.0 {
                bad / STEP_UP
            } else {
                f64::midpoint(good, bad)
            };
        }
        Ok(Capacity { packets_per_s: good, generator_limited })
    }
}

/// The period at which this many calls, two phones each, make so many packets.
fn period_of(calls: u32, packets_per_s: f64) -> Duration {
    Duration::from_secs_f64(f64::from(calls) * 2.0 / packets_per_s)
}

/// 20 ms of G.711.
pub(crate) const NOMINAL_PERIOD: Duration = Duration::from_millis(20);
/// Delay that shows a queue to be growing rather than a moment's hiccup.
const BACKLOG_US: f64 = 20_000.0;
const SHORTEST_STEP: Duration = Duration::from_millis(500);
/// Of the rate at which the nominal cost would fill the processor.
const FIRST_GUESS: f64 = 0.8;
const STEP_UP: f64 = 1.25;
const RESOLUTION: f64 = 0.04;
const MOST_STEPS: u32 = 14;
const LOWEST_RATE: f64 = 5_000.0;
const HIGHEST_RATE: f64 = 1_000_000.0;
