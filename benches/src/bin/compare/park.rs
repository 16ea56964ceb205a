//! What parked legs cost while their phones go on sending, and how soon one is heard again.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hdrhistogram::Histogram;
use offhook_proto::Idle;
use serde::Serialize;

use crate::cli::{BenchArgs, ParkArgs};
use crate::clock::unix_ns;
use crate::generator::{Generator, Watch};
use crate::machine::{Cpus, Machine, raise_nofile};
use crate::measure::NOMINAL_PERIOD;
use crate::report::single;
use crate::systems::{Offhook, System as _, WINDOW, offhook};

#[derive(Debug, Serialize)]
struct Parked {
    machine: Machine,
    legs: u32,
    keep_one_in: u16,
    comfort_noise_ms: u32,
    packets_per_s: f64,
    cpu_us_per_leg_and_second: f64,
    cpu_share: f64,
    unparks: u32,
    /// From the splice request, which unparks, to the arrival of the first packet at the other phone.
    to_first_packet_ms: single::QuantilesMs,
    /// From the reply to the moment when that first packet was sent.
    reply_to_first_sent_ms: single::QuantilesMs,
    /// Phones of which a packet that was sent after the reply was not heard before that.
    lost_after_unpark: u64,
    generator_limited: bool,
}

/// Runs it and prints the figures.
///
/// # Errors
/// The engine does not start, or refuses.
pub(crate) fn run(args: &BenchArgs, asked: &ParkArgs) -> Result<()> {
    let cpus = Cpus::choose(args)?;
    raise_nofile(u64::from(asked.legs) * 2 + 500)?;
    let machine = Machine::here();
    let mut generator = Generator::new(cpus.clone())?;
    let mut engine = Offhook::start_with_ports(args, &cpus, 20_000, 59_999)?;
    // Legs in pairs, so that flow n is leg n; all parked.
    let pairs = asked.legs.div_ceil(2);
    let legs = (0..pairs * 2).map(|number| {
        let mut leg =
            offhook::leg(number, generator.phones().of_call(number as usize / 2)[number as usize % 2]);
        leg.idle = match asked.comfort_noise_ms {
            0 => Idle::None,
            interval_ms => Idle::ComfortNoise { interval_ms },
        };
        leg
    });
    let (ports, _) = engine.create(legs, WINDOW)?;
    engine.call_all((0..pairs * 2).map(|leg| offhook::park(leg, asked.keep_one_in)), WINDOW)?;
    let ports: Vec<_> = ports.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
    generator.aim(&ports);
    // The first packets of a parked leg still latch it.
    generator.run(NOMINAL_PERIOD, |_| sleep(Duration::from_secs(2)))?;

    let span = Duration::from_millis(args.span_ms);
    let cpu_before = engine.process().cpu_ns()?;
    let (tally, ()) = generator.run(NOMINAL_PERIOD, |_| sleep(span))?;
    let cpu_us = (engine.process().cpu_ns()? - cpu_before) as f64 / 1_000.0;

    let unparks = asked.unparks.min(pairs);
    let (_, timed) = generator.run(NOMINAL_PERIOD, |watch| time_unparks(&mut engine, watch, unparks))?;
    let timed = timed?;
    single::finish(
        args,
        "park",
        &Parked {
            machine,
            legs: pairs * 2,
            keep_one_in: asked.keep_one_in,
            comfort_noise_ms: asked.comfort_noise_ms,
            packets_per_s: tally.sent as f64 / span.as_secs_f64(),
            cpu_us_per_leg_and_second: cpu_us / f64::from(pairs * 2) / span.as_secs_f64(),
            cpu_share: cpu_us / span.as_micros() as f64,
            unparks,
            to_first_packet_ms: single::QuantilesMs::of(&timed.to_first),
            reply_to_first_sent_ms: single::QuantilesMs::of(&timed.to_first_sent),
            lost_after_unpark: timed.lost,
            generator_limited: tally.is_generator_limited(),
        },
    )
}

struct Timed {
    to_first: Histogram<u64>,
    to_first_sent: Histogram<u64>,
    lost: u64,
}

fn time_unparks(engine: &mut Offhook, watch: &Watch, unparks: u32) -> Result<Timed> {
    sleep(Duration::from_millis(500));
    let mut timed = Timed { to_first: single::histogram()?, to_first_sent: single::histogram()?, lost: 0 };
    for pair in 0..unparks {
        let flows = [2 * pair, 2 * pair + 1];
        let asked_ns = unix_ns();
        flows.iter().for_each(|&flow| watch.begin(flow, asked_ns));
        engine.call(offhook::splice(flows[0], flows[1]))?;
        let replied_ns = unix_ns();
        for flow in flows {
            let deadline = Instant::now() + LONGEST_SILENCE;
            let first = loop {
                if let Some(first) = watch.first(flow) {
                    break first;
                }
                if Instant::now() > deadline {
                    bail!("leg {flow} stays silent after its splice");
                }
                sleep(Duration::from_micros(500));
            };
            timed.to_first.saturating_record(first.arrived_ns.saturating_sub(asked_ns).max(1));
            let since_reply_ns = first.sent_ns.saturating_sub(replied_ns);
            timed.to_first_sent.saturating_record(since_reply_ns.max(1));
            timed.lost += u64::from(first.previous_ns > replied_ns);
        }
    }
    Ok(timed)
}

const LONGEST_SILENCE: Duration = Duration::from_secs(1);
