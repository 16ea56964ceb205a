//! One system, one number of calls, one round.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::cli::BenchArgs;
use crate::generator::Generator;
use crate::loopback::Loopback;
use crate::machine::Cpus;
use crate::processor::Moment;
use crate::systems::{Kind, System};

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
    pub(crate) packets_per_s: f64,
    /// The generator gave up first: it may be more.
    pub(crate) generator_limited: bool,
}

impl Probe {
    /// Nothing lost, and no backlog built up.
    fn is_kept_up(&self) -> bool {
        self.received >= self.sent && self.delay_us.is_none_or(|delay| delay.p99 < BACKLOG_US)
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
        let mut running = system.start(self.args, self.cpus, generator.phones(), calls)?;
        let memory_before = running.process().resident_bytes()?;
        let phones: Vec<_> = (0..calls as usize).map(|call| generator.phones().of_call(call)).collect();
        let set_up = running.set_up(&phones)?;
        generator.aim(&set_up.ports);
        let span = Duration::from_millis(self.args.span_ms);
        self.hand_over(false)?;
        self.settle(system, running.as_mut(), generator)?;
        let nominal = self.probe(system, running.as_mut(), generator, NOMINAL_PERIOD, span)?;
        let mut handed = None;
        if self.hand_over(true)? {
            handed = Some(self.probe(system, running.as_mut(), generator, NOMINAL_PERIOD, span)?);
        }
        let memory_after = running.process().resident_bytes()?;
        let (mut capacity, mut half_load) = (None, None);
        if self.capacity {
            let from = handed.as_ref().unwrap_or(&nominal);
            let found = self.search(system, running.as_mut(), generator, from)?;
            if found.packets_per_s > 0.0 {
                let half = period_of(calls, found.packets_per_s / 2.0);
                half_load = Some(self.probe(system, running.as_mut(), generator, half, span)?);
            }
            capacity = Some(found);
        }
        let per_second = |count: u64| (count > 0).then(|| count as f64 / set_up.elapsed.as_secs_f64());
        Ok(Run {
            system,
            calls,
            round,
            nominal,
            handed,
            half_load,
            capacity,
            bytes_per_call: memory_after.saturating_sub(memory_before) as f64 / f64::from(calls),
            requests_per_s: per_second(set_up.requests),
            calls_set_up_per_s: per_second(set_up.requests)
                .map(|_| f64::from(calls) / set_up.elapsed.as_secs_f64()),
        })
    }

    /// Has the system's processor handle what arrives, or no longer. Whether it does.
    fn hand_over(&self, handed: bool) -> Result<bool> {
        let Some(loopback) = self.loopback else { return Ok(false) };
        loopback.hand_to(handed.then_some(self.cpus.system))?;
        Ok(handed)
    }

    /// Lets everybody speak until nothing changes any more.
    fn settle(&self, system: Kind, running: &mut dyn System, generator: &mut Generator) -> Result<()> {
        let calls = generator.calls();
        for _ in 0..MOST_WARM_UPS {
            probe(system, running, generator, NOMINAL_PERIOD, WARM_UP)?;
            if running.is_settled(calls)? {
                return Ok(());
            }
        }
        bail!("{} does not come to rest", system.name());
    }

    /// As [`probe`], with a look at the system's processor where that handles what arrives.
    fn probe(
        &self,
        system: Kind,
        running: &mut dyn System,
        generator: &mut Generator,
        period: Duration,
        span: Duration,
    ) -> Result<Probe> {
        let before = self.loopback.map(|_| Moment::on(self.cpus.system)).transpose()?;
        let mut probe = probe(system, running, generator, period, span)?;
        if let Some(before) = before {
            let busy_ns = Moment::on(self.cpus.system)?.busy_since(&before);
            probe.processor_us_per_packet = Some(busy_ns as f64 / 1_000.0 / probe.received.max(1) as f64);
        }
        Ok(probe)
    }

    /// Raises the rate until something is lost, then halves the gap.
    fn search(
        &self,
        system: Kind,
        running: &mut dyn System,
        generator: &mut Generator,
        nominal: &Probe,
    ) -> Result<Capacity> {
        let calls = generator.calls();
        let span = Duration::from_millis(self.args.span_ms / 4).max(SHORTEST_STEP);
        let mut step = |rate: f64| self.probe(system, running, generator, period_of(calls, rate), span);
        let (mut good, mut bad, mut generator_limited) = (0.0, f64::INFINITY, false);
        let cost = nominal.processor_us_per_packet.unwrap_or(nominal.cpu_us_per_packet);
        let mut rate = (1e6 / cost * FIRST_GUESS).clamp(LOWEST_RATE, HIGHEST_RATE);
        for _ in 0..MOST_STEPS {
            let mut probe = step(rate)?;
            // Once more, in case that something else on the machine was at fault.
            if !probe.is_kept_up() || probe.generator_limited {
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

/// Sends at a rate for a while, and looks at what it cost.
///
/// # Errors
/// The system has ended, or the generator's threads fail.
pub(crate) fn probe(
    system: Kind,
    running: &mut dyn System,
    generator: &mut Generator,
    period: Duration,
    span: Duration,
) -> Result<Probe> {
    let (cpu_before, taken_before) = (running.process().cpu_ns()?, running.taken()?);
    let (tally, ()) = generator.run(period, |_| sleep(span))?;
    let cpu_ns = running.process().cpu_ns()? - cpu_before;
    let received = if system.forwards() { tally.received } else { running.taken()? - taken_before };
    Ok(Probe {
        packets_per_s: tally.sent as f64 / span.as_secs_f64(),
        sent: tally.sent,
        received,
        misrouted: tally.misrouted,
        cpu_us_per_packet: cpu_ns as f64 / 1_000.0 / received.max(1) as f64,
        processor_us_per_packet: None,
        cpu_share: cpu_ns as f64 / span.as_nanos() as f64,
        delay_us: system.forwards().then(|| DelayUs {
            p50: tally.delay_us(0.5),
            p99: tally.delay_us(0.99),
            p999: tally.delay_us(0.999),
        }),
        generator_limited: tally.is_generator_limited(),
    })
}

/// The period at which this many calls, two phones each, make so many packets.
fn period_of(calls: u32, packets_per_s: f64) -> Duration {
    Duration::from_secs_f64(f64::from(calls) * 2.0 / packets_per_s)
}

/// 20 ms of G.711.
pub(crate) const NOMINAL_PERIOD: Duration = Duration::from_millis(20);
const WARM_UP: Duration = Duration::from_millis(500);
const MOST_WARM_UPS: u32 = 20;
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
