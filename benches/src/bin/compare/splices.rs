//! How many splices and unsplices a second, and how soon the first packet follows.

use std::collections::VecDeque;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cli::{BenchArgs, SplicesArgs};
use crate::clock::unix_ns;
use crate::generator::{Generator, Watch};
use crate::machine::{Cpus, Machine, raise_nofile};
use crate::measure::NOMINAL_PERIOD;
use crate::report::single;
use crate::systems::{Offhook, System as _, WINDOW, offhook};

#[derive(Debug, Serialize)]
struct Splices {
    machine: Machine,
    legs: u32,
    operations: u32,
    /// In a burst, sixteen under way at once, all legs sending.
    operations_per_s: f64,
    cpu_us_per_operation: f64,
    timed: u32,
    /// From the splice request to the arrival of the first packet, both directions.
    to_first_packet_ms: single::QuantilesMs,
    without_packet: u64,
    generator_limited: bool,
}

/// Runs it and prints the figures.
///
/// # Errors
/// The engine does not start, or refuses.
pub(crate) fn run(args: &BenchArgs, asked: &SplicesArgs) -> Result<()> {
    let cpus = Cpus::choose(args)?;
    raise_nofile(u64::from(asked.legs) * 2 + 500)?;
    let machine = Machine::here();
    let mut generator = Generator::new(cpus.clone())?;
    let mut engine = Offhook::start_with_ports(args, &cpus, 20_000, 59_999)?;
    let pairs = asked.legs / 2;
    let legs = (0..pairs * 2).map(|number| {
        offhook::leg(number, generator.phones().of_call(number as usize / 2)[number as usize % 2])
    });
    let (ports, _) = engine.create(legs, WINDOW)?;
    let ports: Vec<_> = ports.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
    generator.aim(&ports);

    let (_, burst) = generator.run(NOMINAL_PERIOD, |_| burst(&mut engine, pairs, asked.operations))?;
    let (operations_per_s, cpu_us_per_operation) = burst?;
    let (tally, timed) =
        generator.run(NOMINAL_PERIOD, |watch| time(&mut engine, watch, pairs, asked.timed))?;
    let (to_first, without_packet) = timed?;
    single::finish(
        args,
        "splices",
        &Splices {
            machine,
            legs: pairs * 2,
            operations: asked.operations,
            operations_per_s,
            cpu_us_per_operation,
            timed: asked.timed,
            to_first_packet_ms: single::QuantilesMs::of(&to_first),
            without_packet,
            generator_limited: tally.is_generator_limited(),
        },
    )
}

/// Operations per second, and the engine's CPU for each with what the packets cost meanwhile taken off.
fn burst(engine: &mut Offhook, pairs: u32, operations: u32) -> Result<(f64, f64)> {
    sleep(Duration::from_secs(1));
    let idle = Instant::now();
    let cpu_idle = engine.process().cpu_ns()?;
    sleep(Duration::from_secs(1));
    let cpu_before = engine.process().cpu_ns()?;
    let packets_share = (cpu_before - cpu_idle) as f64 / idle.elapsed().as_nanos() as f64;
    // All pairs are joined, then all parted, and so on: neighbours in the window never touch the same leg.
    let commands = (0..operations).map(|number| {
        let (pair, is_parting) = (number % pairs, number / pairs % 2 == 1);
        if is_parting { offhook::unsplice(2 * pair, &[]) } else { offhook::splice(2 * pair, 2 * pair + 1) }
    });
    let (_, exchanged) = engine.call_all(commands, WINDOW)?;
    let elapsed = exchanged.elapsed.as_secs_f64();
    let cpu_ns = (engine.process().cpu_ns()? - cpu_before) as f64 - packets_share * elapsed * 1e9;
    let parts = (0..pairs).map(|pair| offhook::unsplice(2 * pair, &[]));
    engine.call_all(parts, WINDOW)?;
    Ok((f64::from(operations) / elapsed, cpu_ns / 1_000.0 / f64::from(operations)))
}

/// Splices at a steady pace; each is parted again a while later, once its first packets must have come.
fn time(engine: &mut Offhook, watch: &Watch, pairs: u32, splices: u32) -> Result<(Histogram<u64>, u64)> {
    sleep(Duration::from_millis(500));
    let (mut to_first, mut without) = (single::histogram()?, 0);
    let mut open: VecDeque<(u32, u64)> = VecDeque::new();
    let mut next = Instant::now();
    for number in 0..splices {
        next += PACE;
        sleep(next.saturating_duration_since(Instant::now()));
        if open.len() >= MOST_OPEN.min(pairs as usize - 1)
            && let Some((pair, asked_ns)) = open.pop_front()
        {
            without += settle(watch, pair, asked_ns, &mut to_first);
            engine.call(offhook::unsplice(2 * pair, &[]))?;
        }
        let pair = number % pairs;
        let asked_ns = unix_ns();
        watch.begin(2 * pair, asked_ns);
        watch.begin(2 * pair + 1, asked_ns);
        engine.call(offhook::splice(2 * pair, 2 * pair + 1))?;
        open.push_back((pair, asked_ns));
    }
    sleep(PACE * MOST_OPEN as u32);
    for (pair, asked_ns) in open {
        without += settle(watch, pair, asked_ns, &mut to_first);
    }
    Ok((to_first, without))
}

fn settle(watch: &Watch, pair: u32, asked_ns: u64, to_first: &mut Histogram<u64>) -> u64 {
    let mut without = 0;
    for flow in [2 * pair, 2 * pair + 1] {
        match watch.first(flow) {
            Some(first) => to_first.saturating_record(first.arrived_ns.saturating_sub(asked_ns).max(1)),
            None => without += 1,
        }
    }
    without
}

const PACE: Duration = Duration::from_millis(5);
/// Splices that are left joined for half a second at that pace.
const MOST_OPEN: usize = 100;
