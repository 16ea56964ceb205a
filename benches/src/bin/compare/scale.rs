//! What many legs cost to create, to hold and to delete.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use offhook_loadtest::files::raise_limit;
use serde::Serialize;

use crate::cli::{BenchArgs, ScaleArgs};
use crate::generator::Generator;
use crate::machine::{Cpus, Machine, pin};
use crate::report::single;
use crate::systems::{Offhook, System as _, WINDOW, offhook};
use crate::units::Spread;

#[derive(Debug, Serialize)]
struct Scale {
    machine: Machine,
    legs: u32,
    /// Open files that the engine may have.
    files_allowed: u64,
    /// Workers of the engine: a limit of open files bounds each one's sockets, of which a leg has two.
    workers: usize,
    resident_kib_per_leg: f64,
    /// Microseconds a leg, sixteen requests under way at once, by tenths of all legs.
    create_us: Vec<f64>,
    delete_us: Vec<f64>,
    /// Median of the last three tenths over that of the first three.
    create_growth: f64,
    delete_growth: f64,
    create_cpu_us: f64,
    delete_cpu_us: f64,
    /// Idle legs sending their comfort noise, nothing coming in.
    idle_cpu_us_per_leg_and_second: f64,
}

/// Runs it and prints the figures.
///
/// # Errors
/// The engine does not start, or refuses.
pub(crate) fn run(args: &BenchArgs, asked: &ScaleArgs) -> Result<()> {
    let wanted = u64::from(asked.legs) * 2 + OTHER_FILES;
    let files_allowed = raise_limit(wanted)?;
    let workers = wanted.div_ceil(files_allowed) as usize;
    let cpus = Cpus::choose(args)?.with_processors(workers)?;
    pin(cpus.receiver)?;
    let machine = Machine::here();
    let generator = Generator::new(cpus.clone())?;
    let mut engine = Offhook::start_with_ports(args, &cpus, 15_000, 59_999)?;
    let before = engine.process().resident_bytes()?;
    let tenth = asked.legs / 10;
    let tenths = |n: u32| n * tenth..(n + 1) * tenth;

    let cpu = engine.process().cpu_ns()?;
    let mut create_us = Vec::new();
    for n in 0..10 {
        let legs = tenths(n)
            .map(|leg| offhook::leg(leg, generator.phones().of_call(leg as usize / 2)[leg as usize % 2]));
        let (_, exchanged) = engine.create(legs, WINDOW)?;
        create_us.push(exchanged.elapsed.as_secs_f64() * 1e6 / f64::from(tenth));
    }
    let create_cpu_us = cpu_us_since(&engine, cpu)? / f64::from(tenth * 10);
    sleep(Duration::from_secs(2));
    let after = engine.process().resident_bytes()?;

    let cpu = engine.process().cpu_ns()?;
    let span = Duration::from_millis(args.span_ms);
    sleep(span);
    let idle_us = cpu_us_since(&engine, cpu)?;

    let cpu = engine.process().cpu_ns()?;
    let mut delete_us = Vec::new();
    for n in 0..10 {
        let (_, exchanged) = engine.call_all(tenths(n).map(offhook::delete), WINDOW)?;
        delete_us.push(exchanged.elapsed.as_secs_f64() * 1e6 / f64::from(tenth));
    }
    let delete_cpu_us = cpu_us_since(&engine, cpu)? / f64::from(tenth * 10);
    single::finish(
        args,
        "scale",
        &Scale {
            machine,
            legs: tenth * 10,
            files_allowed,
            workers,
            resident_kib_per_leg: (after.saturating_sub(before)) as f64 / 1_024.0 / f64::from(tenth * 10),
            create_growth: growth(&create_us),
            delete_growth: growth(&delete_us),
            create_us,
            delete_us,
            create_cpu_us,
            delete_cpu_us,
            idle_cpu_us_per_leg_and_second: idle_us / f64::from(tenth * 10) / span.as_secs_f64(),
        },
    )
}

/// Descriptors of the engine beside those of legs.
const OTHER_FILES: u64 = 500;

fn cpu_us_since(engine: &Offhook, before: u64) -> Result<f64> {
    Ok((engine.process().cpu_ns()? - before) as f64 / 1_000.0)
}

/// The last three tenths over the first three, as medians.
fn growth(tenths: &[f64]) -> f64 {
    let median = |part: &[f64]| Spread::of(part.iter().copied()).map_or(f64::NAN, |spread| spread.median);
    median(&tenths[tenths.len() - 3..]) / median(&tenths[..3])
}
