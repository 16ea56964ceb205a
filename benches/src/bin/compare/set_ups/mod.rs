//! What control spends on a call, and on thousands of agents who are off hook.
//!
//! Control is the real program with its real journal. Around it stand agents' phones and a carrier that speak SIP over UDP, and
//! an engine that obeys and has no media, so that nothing but control is measured.

mod engine;
mod house;
mod rest;
pub(crate) mod restart;
mod sip;
mod tally;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::json;

use self::house::{CONNECTIONS, House, Pace};
use self::rest::Rest;
use self::tally::Tally;
use crate::cli::{BenchArgs, SetUpsArgs};
use crate::machine::{Cpus, Machine};
use crate::process::Process;
use crate::report::single;

#[derive(Debug, Serialize)]
struct SetUps {
    machine: Machine,
    /// Off hook, each with an open dialog.
    agents: u32,
    /// Processor time of control for an agent who logs in and is called.
    cpu_us_per_log_in: f64,
    /// With all agents off hook and no calls, in cores.
    idle_cores: f64,
    asked_per_s: u32,
    /// Contacts stored over REST, their phones called and answered, each joined with an agent.
    set_ups_per_s: f64,
    /// Processor time of control for the whole of it, from the REST request to the end of the conversation.
    cpu_us_per_set_up: f64,
    cores: f64,
    /// From the REST request to the INVITE at the carrier.
    request_to_invite_ms: single::QuantilesMs,
    /// From the carrier's 200 OK to the request that opens both gates at the engine.
    answer_to_splice_ms: single::QuantilesMs,
    refused: u64,
    resident_mib: f64,
}

/// Runs it and prints the figures.
///
/// # Errors
/// Control does not start, or the agents do not get off hook.
pub(crate) fn run(args: &BenchArgs, asked: &SetUpsArgs) -> Result<()> {
    let cpus = Cpus::choose(args)?;
    let machine = Machine::here();
    let house = House::build(Duration::from_millis(asked.talk_ms))?;
    let (http, tally) = (house.http, Arc::clone(&house.tally));
    let mut control = house.start(&cpus, &asked.control)?;
    control.wait_until(|| Rest::new(http).is_well().unwrap_or(false))?;

    let before = control.cpu_ns()?;
    house.log_in(asked.agents)?;
    house.await_off_hook(asked.agents)?;
    let cpu_us_per_log_in = us_since(&control, before)? / f64::from(asked.agents);

    sleep(SETTLE);
    let (before, since) = (control.cpu_ns()?, Instant::now());
    sleep(IDLE);
    let idle_cores = us_since(&control, before)? / since.elapsed().as_micros() as f64;

    let callers = call(http, asked.rate, Duration::from_millis(args.span_ms) + WARM_UP, &tally);
    sleep(WARM_UP);
    tally.begin();
    let (before, since) = (control.cpu_ns()?, Instant::now());
    sleep(Duration::from_millis(args.span_ms));
    let (spent_us, elapsed) = (us_since(&control, before)?, since.elapsed());
    let joined = tally.joined.load(Ordering::Relaxed);
    let resident = control.resident_bytes()?;
    for caller in callers {
        drop(caller.join());
    }
    if joined == 0 {
        bail!("no call was set up: {}", tally.last_refusal());
    }
    single::finish(
        args,
        "set-ups",
        &SetUps {
            machine,
            agents: asked.agents,
            cpu_us_per_log_in,
            idle_cores,
            asked_per_s: asked.rate,
            set_ups_per_s: joined as f64 / elapsed.as_secs_f64(),
            cpu_us_per_set_up: spent_us / joined as f64,
            cores: spent_us / elapsed.as_micros() as f64,
            request_to_invite_ms: tally.request_to_invite(),
            answer_to_splice_ms: tally.answer_to_splice(),
            refused: tally.refused.load(Ordering::Relaxed),
            resident_mib: resident as f64 / f64::from(1 << 20),
        },
    )
}

/// Stores contacts at a steady pace, over several connections.
fn call(http: SocketAddr, rate: u32, span: Duration, tally: &Arc<Tally>) -> Vec<thread::JoinHandle<()>> {
    let until = Instant::now() + span;
    let caller = |tally: Arc<Tally>| {
        move || {
            let rest = Rest::new(http);
            let mut pace = Pace::new((rate / CONNECTIONS).max(1));
            while Instant::now() < until {
                pace.wait();
                let number = tally.ask();
                let body = json!({ "queue": "sales", "number": number });
                match rest.ask("POST", "/api/v1/contacts", &body) {
                    Ok((201 | 200, _)) => {}
                    Ok((status, answer)) => tally.refuse(format!("{status} {answer}")),
                    Err(error) => return tally.refuse(format!("{error:#}")),
                }
            }
        }
    };
    (0..CONNECTIONS).map(|_| thread::spawn(caller(Arc::clone(tally)))).collect()
}

fn us_since(control: &Process, before: u64) -> Result<f64> {
    Ok((control.cpu_ns()? - before) as f64 / 1_000.0)
}

const SETTLE: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(5);
/// Until as many conversations end as begin.
const WARM_UP: Duration = Duration::from_secs(5);
