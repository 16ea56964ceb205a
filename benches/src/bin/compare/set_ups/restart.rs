//! How soon control is back on its journal, with thousands of agents off hook, after it was killed (SIGKILL).

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use super::SETTLE;
use super::house::House;
use super::rest::Rest;
use crate::cli::{BenchArgs, RestartArgs};
use crate::machine::{Cpus, Machine};
use crate::report::single;
use crate::units::Spread;

#[derive(Debug, Serialize)]
struct Restarts {
    machine: Machine,
    /// Off hook, each with an open dialog.
    agents: u32,
    restarts: u32,
    /// From the start of the process to its ready line: the journal is replayed.
    ready_ms: Spread,
    /// From there to when the engine has been asked for every leg, and all agents are off hook as before.
    off_hook_ms: Spread,
    /// Agents whose phones were called though they were off hook.
    called_again: u64,
}

/// Runs it and prints the figures.
///
/// # Errors
/// Control does not start, or not all agents are off hook again.
pub(crate) fn run(args: &BenchArgs, asked: &RestartArgs) -> Result<()> {
    let cpus = Cpus::choose(args)?;
    let machine = Machine::here();
    let house = House::build(Duration::ZERO)?;
    let mut control = house.start(&cpus, &asked.control)?;
    control.wait_until(|| Rest::new(house.http).is_well().unwrap_or(false))?;
    house.log_in(asked.agents)?;
    house.await_off_hook(asked.agents)?;
    sleep(SETTLE);
    let calls_before = house.tally.agents_called();
    let (mut ready, mut off_hook) = (Vec::new(), Vec::new());
    for _ in 0..asked.restarts {
        control.kill()?;
        let started = Instant::now();
        control = house.start(&cpus, &asked.control)?;
        control.wait_for(&format!("agents={}", asked.agents))?;
        ready.push(started.elapsed().as_secs_f64() * 1e3);
        let ready = Instant::now();
        control.wait_until(|| Rest::new(house.http).is_well().unwrap_or(false))?;
        house.await_off_hook(asked.agents)?;
        off_hook.push(ready.elapsed().as_secs_f64() * 1e3);
        sleep(SETTLE);
    }
    let spread = |values: Vec<f64>| Spread::of(values).context("no restart");
    single::finish(
        args,
        "restart",
        &Restarts {
            machine,
            agents: asked.agents,
            restarts: asked.restarts,
            ready_ms: spread(ready)?,
            off_hook_ms: spread(off_hook)?,
            called_again: house.tally.agents_called() - calls_before,
        },
    )
}
