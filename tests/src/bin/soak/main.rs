//! `make soak-sipp`: agents off hook and customers who are called back, all phones played by SIPp, while control and one of
//! two engines are killed (SIGKILL) and started again.
//!
//! At the end no callback is lost or done twice and no agent has been called again: judged by control's reports, by SIPp's
//! message log and its own count of what went by its scenarios, and by what is left in the engines. Customers are drawn from
//! a seed. Ends with a verdict, and with success only when everything held.

mod console;
mod judge;
mod phones;
mod plan;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use offhook_tests::e2e::{House, Settings, until, within};

use self::console::Console;
use self::judge::Check;
use self::phones::Phones;

fn main() -> ExitCode {
    let wishes = match Wishes::read(std::env::args().skip(1)) {
        Ok(wishes) => wishes,
        Err(error) => {
            eprintln!("soak: {error}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    // A house that does not stand ends in a panic, whose message says why.
    match std::panic::catch_unwind(|| soak(&wishes)) {
        Ok(checks) => verdict(&checks),
        Err(_) => {
            println!("\nFAILED  the soak could not be carried out");
            ExitCode::FAILURE
        }
    }
}

/// What is asked for on the command line.
#[derive(Clone, Debug)]
struct Wishes {
    agents: u64,
    /// Callbacks a second.
    callbacks: u64,
    /// All in seconds.
    duration: u64,
    kill_control_at: u64,
    kill_engine_at: u64,
    seed: u64,
}

impl Wishes {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wishes = Self {
            agents: 200,
            callbacks: 4,
            duration: 300,
            kill_control_at: 100,
            kill_engine_at: 200,
            seed: 1,
        };
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} takes a number"))?;
            let value = value.parse().map_err(|_| format!("{name} takes a number, not {value}"))?;
            let field = match name.as_str() {
                "--agents" => &mut wishes.agents,
                "--callbacks" => &mut wishes.callbacks,
                "--duration" => &mut wishes.duration,
                "--kill-control-at" => &mut wishes.kill_control_at,
                "--kill-engine-at" => &mut wishes.kill_engine_at,
                "--seed" => &mut wishes.seed,
                _ => return Err(format!("{name} is not known")),
            };
            *field = value;
        }
        if wishes.agents == 0 || wishes.callbacks == 0 || wishes.duration == 0 {
            return Err("without agents, callbacks and time there is nothing to see".to_owned());
        }
        Ok(wishes)
    }
}

fn soak(wishes: &Wishes) -> Vec<Check> {
    let mut house = House::open(&settings());
    println!("console  http://{}/ (while it runs)", house.http);
    let lasting = Duration::from_secs(wishes.duration);
    let agents: Vec<String> = (1..=wishes.agents).map(|number| format!("agent{number:04}")).collect();
    let orders = plan::orders(wishes.seed, wishes.callbacks as f64, lasting);
    let mut console = Console::new(house.rest.clone(), agents.clone(), orders);
    console.hire();
    let agent_phones = Phones::agents(&house, &agents);
    let customers = Phones::customers(&house);
    console.open();
    within(Duration::from_secs(120), "all agents are off hook", || {
        (console.off_hook()? == agents.len()).then_some(())
    });
    println!("{} agents off hook", agents.len());
    let callers = Phones::callers(&house, CALLER_EVERY_MS, wishes.duration * 1_000 / CALLER_EVERY_MS);
    let mut deaths = Deaths::of(wishes);
    let started = Instant::now();
    while !console.is_done() || started.elapsed() < lasting {
        deaths.pass(&mut house, started.elapsed());
        console.work(started.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    deaths.pass(&mut house, Duration::MAX);
    drain(&mut console, started);
    let mut checks = judge::callbacks(&console);
    checks.extend(judge::agents(&agent_phones, &agents, console.off_hook().unwrap_or(0)));
    checks.push(judge::records(&house.rest.get("/api/v1/statistics")));
    until("everybody has logged out", || console.close());
    until("every phone is on the hook again", || agent_phones.sipp.received("BYE ") >= agents.len());
    let all = [&agent_phones, &customers, &callers];
    let over = Instant::now();
    while over.elapsed() < LAST_WORDS && all.iter().any(|phones| phones.count(CALLS_LEFT) > 0) {
        std::thread::sleep(Duration::from_millis(500));
    }
    for phones in all {
        let calls = judge::scenarios(phones);
        if !calls.holds {
            println!("--- {} ---\n{}", phones.name, phones.failures());
        }
        checks.push(calls);
    }
    checks.extend(judge::engines(&house, ENGINES));
    checks
}

/// Waits until what was asked for has come to its end, and everybody who called has left.
fn drain(console: &mut Console, started: Instant) {
    let (mut open, begun) = (usize::MAX, Instant::now());
    while open > 0 && begun.elapsed() < DRAIN {
        console.work(started.elapsed());
        let ids: Vec<_> = console.asked.iter().filter_map(|asked| asked.id.clone()).collect();
        let done = |id: &String| {
            console.callback(id).is_some_and(|callback| callback["_callback_state"] == "COMPLETED")
        };
        open = ids.iter().filter(|id| !done(id)).count();
        std::thread::sleep(Duration::from_millis(500));
    }
    let talked = Instant::now();
    while talked.elapsed() < LAST_WORDS {
        console.work(started.elapsed());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// When, what, and in words.
type Act = (Duration, fn(&mut House), &'static str);

/// Who dies when; each is back after [`DEAD_FOR`].
struct Deaths {
    plan: Vec<Act>,
}

impl Deaths {
    fn of(wishes: &Wishes) -> Self {
        let control = Duration::from_secs(wishes.kill_control_at);
        let engine = Duration::from_secs(wishes.kill_engine_at);
        let mut plan: Vec<Act> = vec![
            (control, House::kill_control, "control is killed"),
            (control + DEAD_FOR, House::start_control, "control is started again"),
            (engine, House::kill_engine, "the first engine is killed"),
            (engine + DEAD_FOR, House::start_engine, "the first engine is started again"),
        ];
        plan.sort_by_key(|(at, ..)| *at);
        Self { plan }
    }

    fn pass(&mut self, house: &mut House, since_start: Duration) {
        while self.plan.first().is_some_and(|(at, ..)| *at <= since_start) {
            let (at, act, what) = self.plan.remove(0);
            println!("{:3} s  {what}", at.as_secs());
            act(house);
        }
    }
}

fn settings() -> Settings {
    Settings {
        engines: ENGINES,
        legs: 1_000,
        silent_after_ms: 3_000,
        redial_delay_ms: 1_000,
        connected: "connected.wav",
        wrap_up_s: 1,
        dial_retry_timeout_s: 5,
        service: "max_queued = 10000\nmax_per_300_s = 100000\nmax_per_3600_s = 100000".to_owned(),
        ..Settings::default()
    }
}

fn verdict(checks: &[Check]) -> ExitCode {
    println!();
    for Check { name, holds, found } in checks {
        println!("  {}  {name:<56} {found}", if *holds { "ok  " } else { "FAIL" });
    }
    let failed = checks.iter().filter(|check| !check.holds).count();
    if failed == 0 {
        println!("\nPASSED  {} things held", checks.len());
        return ExitCode::SUCCESS;
    }
    println!("\nFAILED  {failed} of {} things did not hold", checks.len());
    ExitCode::FAILURE
}

const ENGINES: usize = 2;
/// SIPp's name for the calls that it is in.
const CALLS_LEFT: &str = "CurrentCall";
/// Longer than control takes to find an engine silent.
const DEAD_FOR: Duration = Duration::from_secs(3);
const CALLER_EVERY_MS: u64 = 2_000;
/// The longest way of a callback: three attempts at a phone that nobody answers, and the pauses.
const DRAIN: Duration = Duration::from_secs(120);
/// Callers stay for half a minute, and some customers with them.
const LAST_WORDS: Duration = Duration::from_secs(35);
const USAGE: &str = "soak [--agents N] [--callbacks PER_SECOND] [--duration S] [--kill-control-at S] [--kill-engine-at S] [--seed N]";
