//! A system with its calls up, started anew once it has been asked for more than it carries.
//!
//! An overload may leave its marks: rtpengine reads a socket no more in which it has found more than fifty packets five times, for
//! as long as the call lasts. What comes after an overload would then be a figure of that, not of the rate asked for.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::generator::Generator;
use crate::measure::{Bench, DelayUs, NOMINAL_PERIOD, Probe};
use crate::processor::Moment;
use crate::systems::{Kind, SetUp, System};

/// A system under test. Its process ends with this value.
pub(crate) struct Trial<'a> {
    bench: &'a Bench<'a>,
    system: Kind,
    calls: u32,
    generator: &'a mut Generator,
    /// Nothing only while one ends and the next begins: both use the same ports.
    up: Option<Up>,
    /// The next measurement begins with a start.
    is_spent: bool,
}

struct Up {
    running: Box<dyn System>,
    resident_before: u64,
    set_up: SetUp,
}

impl<'a> Trial<'a> {
    /// Starts a system, sets calls up, and lets everybody speak until nothing changes any more.
    ///
    /// # Errors
    /// The system does not start, refuses a call or does not come to rest.
    pub(crate) fn start(
        bench: &'a Bench<'a>,
        system: Kind,
        calls: u32,
        generator: &'a mut Generator,
    ) -> Result<Self> {
        let mut trial = Self { bench, system, calls, generator, up: None, is_spent: false };
        trial.start_anew()?;
        Ok(trial)
    }

    /// How the calls were set up.
    pub(crate) fn set_up(&mut self) -> &SetUp {
        &self.up().set_up
    }

    /// Growth of resident memory since before the first call.
    ///
    /// # Errors
    /// The system has ended.
    pub(crate) fn resident_growth(&mut self) -> Result<u64> {
        let up = self.up();
        Ok(up.running.process().resident_bytes()?.saturating_sub(up.resident_before))
    }

    /// Has the next measurement begin with a system that was asked for nothing before.
    pub(crate) fn refresh(&mut self) {
        self.is_spent = true;
    }

    /// As [`probe`](Self::probe), and once more from a fresh start if that says nothing about the system.
    ///
    /// # Errors
    /// The system has ended or does not start again, or the generator's threads fail.
    pub(crate) fn measure(&mut self, period: Duration, span: Duration) -> Result<Probe> {
        let probe = self.probe(period, span)?;
        if probe.fault().is_none() {
            return Ok(probe);
        }
        self.refresh();
        self.probe(period, span)
    }

    /// Has every phone send a packet each `period` for a while, and looks at what it cost: the process, and the system's processor
    /// where that handles what arrives.
    ///
    /// # Errors
    /// The system has ended or does not start again, or the generator's threads fail.
    pub(crate) fn probe(&mut self, period: Duration, span: Duration) -> Result<Probe> {
        if self.is_spent {
            self.start_anew()?;
        }
        let cpu = self.bench.cpus.system;
        let before = self.bench.loopback.map(|_| Moment::on(cpu)).transpose()?;
        let mut probe = self.speak(period, span)?;
        if let Some(before) = before {
            let busy_ns = Moment::on(cpu)?.busy_since(&before);
            probe.processor_us_per_packet = Some(busy_ns as f64 / 1_000.0 / probe.received.max(1) as f64);
        }
        self.is_spent = !probe.is_kept_up();
        Ok(probe)
    }

    fn start_anew(&mut self) -> Result<()> {
        self.up = None;
        self.is_spent = false;
        let phones: Vec<_> =
            (0..self.calls as usize).map(|call| self.generator.phones().of_call(call)).collect();
        let Bench { args, cpus, .. } = self.bench;
        let mut running = self.system.start(args, cpus, self.generator.phones(), self.calls)?;
        let resident_before = running.process().resident_bytes()?;
        let set_up = running.set_up(&phones)?;
        self.generator.aim(&set_up.ports);
        self.up = Some(Up { running, resident_before, set_up });
        for _ in 0..MOST_WARM_UPS {
            self.speak(NOMINAL_PERIOD, WARM_UP)?;
            let calls = self.calls;
            if self.up().running.is_settled(calls)? {
                return Ok(());
            }
        }
        bail!("{} does not come to rest", self.system.name());
    }

    fn speak(&mut self, period: Duration, span: Duration) -> Result<Probe> {
        let running = &mut self.up.as_mut().expect(STARTED).running;
        let (cpu_before, taken_before) = (running.process().cpu_ns()?, running.taken()?);
        let (tally, ()) = self.generator.run(period, |_| sleep(span))?;
        let cpu_ns = running.process().cpu_ns()? - cpu_before;
        let forwards = self.system.forwards();
        let received = if forwards { tally.received } else { running.taken()? - taken_before };
        Ok(Probe {
            packets_per_s: tally.sent as f64 / span.as_secs_f64(),
            sent: tally.sent,
            received,
            misrouted: tally.misrouted,
            cpu_us_per_packet: cpu_ns as f64 / 1_000.0 / received.max(1) as f64,
            processor_us_per_packet: None,
            cpu_share: cpu_ns as f64 / span.as_nanos() as f64,
            delay_us: forwards.then(|| DelayUs {
                p50: tally.delay_us(0.5),
                p99: tally.delay_us(0.99),
                p999: tally.delay_us(0.999),
            }),
            generator_limited: tally.is_generator_limited(),
        })
    }

    fn up(&mut self) -> &mut Up {
        self.up.as_mut().expect(STARTED)
    }
}

const STARTED: &str = "a trial begins with a start, and a start that fails ends it";
const WARM_UP: Duration = Duration::from_millis(500);
const MOST_WARM_UPS: u32 = 20;
