//! The stages of a run: ramp, parked, load, drain, records, log-out.

use std::sync::atomic::Ordering::Relaxed;

use super::director::{Director, Task};
use super::state::{Outcome, Phone, Sample};
use super::timers::Timer;
use crate::clock;
use crate::host::{self, ThreadCpu};
use crate::media::Phase;
use crate::media::pump::Command;
use crate::plan::Kind;
use crate::rest::pool::Method;

const TICK_MS: u64 = 100;
const SAMPLE_MS: u64 = 1_000;
/// Beyond the time that the ramp takes by itself.
const RAMP_PATIENCE_MS: u64 = 30_000;
/// Control gets this long to write its last records before they are read.
const SETTLE_MS: u64 = 1_500;
const RECORDS_PATIENCE_MS: u64 = 12_000;
const LOG_OUT_PATIENCE_MS: u64 = 15_000;

/// Where the run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Ramp,
    Parked,
    Load,
    Drain,
    Records,
    LogOut,
    Done,
}

/// Processor time of a stage.
#[derive(Clone, Debug, Default)]
pub(crate) struct StageCpu {
    pub(crate) wall_ns: u64,
    pub(crate) engine: Vec<ThreadCpu>,
    pub(crate) control_ns: u64,
    pub(crate) harness_ns: u64,
    pub(crate) off_hook: usize,
    /// Packets that the endpoints sent meanwhile.
    pub(crate) sent: u64,
}

/// Processor time so far, and of the stages that are priced.
#[derive(Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) parked: Option<StageCpu>,
    pub(crate) load: Option<StageCpu>,
    pub(crate) ramp_ms: Option<u64>,
    stage_ms: u64,
    opening: StageCpu,
    last: StageCpu,
    last_heard: u64,
    asked: bool,
}

impl Director {
    pub(crate) fn begin(&mut self) {
        self.cpu.stage_ms = self.started_ms;
        self.cpu.last = self.read_cpu();
        self.timers.set(self.started_ms + TICK_MS, Timer::Tick);
    }

    pub(crate) fn on_tick(&mut self, now_ms: u64) {
        self.timers.set(now_ms + TICK_MS, Timer::Tick);
        if !self.pump.is_alive() {
            self.stage = Stage::Done;
            return;
        }
        let in_stage_ms = now_ms - self.cpu.stage_ms;
        let load = &self.setup.load;
        match self.stage {
            Stage::Ramp => {
                let ramp_ms =
                    if load.ramp.0 > 0.0 { (load.agents as f64 * 1_000.0 / load.ramp.0) as u64 } else { 0 };
                if self.all_parked() || in_stage_ms >= ramp_ms + RAMP_PATIENCE_MS {
                    self.cpu.ramp_ms = Some(in_stage_ms);
                    self.enter(now_ms, Stage::Parked);
                }
            }
            Stage::Parked if in_stage_ms >= load.parked.0 => {
                self.cpu.parked = Some(self.stage_cpu());
                self.enter(now_ms, Stage::Load);
                self.start_load(now_ms);
            }
            Stage::Load if in_stage_ms >= load.duration.0 => {
                self.cpu.load = Some(self.stage_cpu());
                self.enter(now_ms, Stage::Drain);
            }
            Stage::Drain if self.open_orders == 0 || in_stage_ms >= load.drain.0 => {
                self.enter(now_ms, Stage::Records);
                self.end_all(now_ms);
            }
            Stage::Records => self.on_records_tick(now_ms, in_stage_ms),
            Stage::LogOut => {
                let on_hook = self.agents.iter().all(|agent| agent.phone == Phone::OnHook);
                if on_hook || in_stage_ms >= LOG_OUT_PATIENCE_MS {
                    self.enter(now_ms, Stage::Done);
                }
            }
            Stage::Parked | Stage::Load | Stage::Drain | Stage::Done => {}
        }
        self.sample(now_ms);
        self.show(now_ms);
    }

    pub(crate) fn on_next_callback(&mut self, now_ms: u64) {
        let load = &self.setup.load;
        let (rate, concurrent) = (load.callbacks, load.concurrent);
        if self.next(now_ms, rate.0, Timer::NextCallback)
            && (concurrent == 0 || self.open_orders < concurrent)
        {
            self.order(now_ms, Kind::Callback);
        }
    }

    pub(crate) fn on_next_preview(&mut self, now_ms: u64) {
        if self.next(now_ms, self.setup.load.previews.0, Timer::NextPreview) {
            self.order(now_ms, Kind::Preview);
        }
    }

    pub(crate) fn on_next_inbound(&mut self, now_ms: u64) {
        if self.next(now_ms, self.setup.load.inbound.0, Timer::NextInbound) {
            self.order(now_ms, Kind::Inbound);
        }
    }

    fn all_parked(&self) -> bool {
        let up = |connection: &str| connection.is_empty() || connection == "up";
        let parked = |phone| matches!(phone, Phone::OffHook(_));
        self.agents.iter().all(|agent| parked(agent.phone) && up(&agent.connection))
    }

    fn start_load(&mut self, now_ms: u64) {
        for timer in [Timer::NextCallback, Timer::NextPreview, Timer::NextInbound] {
            self.timers.set(now_ms, timer);
        }
    }

    /// Sets the timer for the next call of a rate. False: none is to be made now.
    fn next(&mut self, now_ms: u64, per_second: f64, timer: Timer) -> bool {
        if self.stage != Stage::Load || per_second <= 0.0 {
            return false;
        }
        // From the number of calls rather than from now, so that a rate comes out exactly.
        let kind = match timer {
            Timer::NextCallback => Kind::Callback,
            Timer::NextPreview => Kind::Preview,
            _ => Kind::Inbound,
        };
        let gap_ms = 1_000.0 / per_second;
        let due_ms = self.cpu.stage_ms + (f64::from(self.made[kind as usize] + 1) * gap_ms) as u64;
        let held = self.setup.load.concurrent > 0 && kind == Kind::Callback;
        self.timers.set(if held { now_ms + gap_ms as u64 } else { due_ms }, timer);
        true
    }

    fn enter(&mut self, now_ms: u64, stage: Stage) {
        self.stage = stage;
        self.cpu.stage_ms = now_ms;
        self.cpu.opening = self.read_cpu();
        let phase = match stage {
            Stage::Ramp => Phase::Ramp,
            Stage::Parked => Phase::Parked,
            Stage::Load => Phase::Load,
            Stage::Drain | Stage::Records | Stage::LogOut | Stage::Done => Phase::Drain,
        };
        self.pump.tell(Command::Phase(phase));
    }

    /// Ends what the drain time did not see the end of, and settles the orders that are still open.
    fn end_all(&mut self, now_ms: u64) {
        let calls: Vec<_> = self.trunk_calls.keys().copied().collect();
        for call in calls {
            self.trunk.hang_up(now_ms, call);
        }
        for order in 0..self.orders.len() {
            if self.orders[order].outcome.is_none() {
                self.withdraw(order);
                let dialled = self.orders[order].attempts > 0;
                self.conclude(order, if dialled { Outcome::Unfinished } else { Outcome::NeverDialled });
            }
        }
    }

    fn on_records_tick(&mut self, now_ms: u64, in_stage_ms: u64) {
        if in_stage_ms >= SETTLE_MS && !self.cpu.asked {
            self.cpu.asked = true;
            self.request(Task::Calls, Method::Get, "/api/v1/calls".to_owned(), None);
            self.request(Task::Statistics, Method::Get, "/api/v1/statistics".to_owned(), None);
        }
        if (self.records.is_some() && in_stage_ms >= 2 * SETTLE_MS) || in_stage_ms >= RECORDS_PATIENCE_MS {
            self.enter(now_ms, Stage::LogOut);
            for agent in 0..self.agents.len() {
                self.log_out(agent);
            }
        }
    }

    fn read_cpu(&self) -> StageCpu {
        let setup = &self.setup;
        StageCpu {
            wall_ns: clock::now_ns(),
            engine: setup.engine_pid.map(host::thread_cpu).unwrap_or_default(),
            control_ns: setup.control_pid.map(host::process_cpu_ns).unwrap_or_default(),
            harness_ns: clock::process_cpu_ns(),
            off_hook: self.off_hook(),
            sent: self.pump.live.sent.load(Relaxed),
        }
    }

    fn stage_cpu(&self) -> StageCpu {
        difference(&self.read_cpu(), &self.cpu.opening)
    }

    fn sample(&mut self, now_ms: u64) {
        if now_ms < self.started_ms + self.samples.len() as u64 * SAMPLE_MS {
            return;
        }
        let now = self.read_cpu();
        let spent = difference(&now, &self.cpu.last);
        let heard = self.pump.live.heard.load(Relaxed);
        let seconds = spent.wall_ns as f64 / 1e9;
        let (customers, conversations) = self.customers_now();
        let cores = |cpu_ns: u64| cpu_ns as f64 / spent.wall_ns.max(1) as f64;
        self.samples.push(Sample {
            at_s: (now_ms - self.started_ms) as f64 / 1e3,
            off_hook: now.off_hook,
            customers,
            conversations,
            sent_per_s: spent.sent as f64 / seconds.max(1e-3),
            heard_per_s: (heard - self.cpu.last_heard) as f64 / seconds.max(1e-3),
            engine_cores: cores(spent.engine.iter().map(|thread| thread.cpu_ns).sum()),
            control_cores: cores(spent.control_ns),
            harness_cores: cores(spent.harness_ns),
            violations: self.pump.live.violations.load(Relaxed),
        });
        self.cpu.last = now;
        self.cpu.last_heard = heard;
    }

    fn show(&mut self, now_ms: u64) {
        let load = &self.setup.load;
        let in_stage = (now_ms - self.cpu.stage_ms) as f64;
        let of = |span_ms: u64| in_stage / span_ms.max(1) as f64;
        let off_hook = self.off_hook();
        let (name, share) = match self.stage {
            Stage::Ramp => ("off hook", off_hook as f64 / load.agents.max(1) as f64),
            Stage::Parked => ("parked", of(load.parked.0)),
            Stage::Load => ("calls", of(load.duration.0)),
            Stage::Drain => ("drain", of(load.drain.0)),
            Stage::Records => ("records", of(RECORDS_PATIENCE_MS)),
            Stage::LogOut | Stage::Done => ("log out", 1.0 - off_hook as f64 / load.agents.max(1) as f64),
        };
        let sample = self.samples.last().copied().unwrap_or_default();
        let message = format!(
            "{off_hook} off hook · {} ringing or answered · {} talking · {} requested · {:.0} packets/s · {} misrouted",
            sample.customers,
            sample.conversations,
            self.orders.len(),
            sample.sent_per_s,
            sample.violations,
        );
        self.progress.show(name, share, &message);
    }
}

fn difference(now: &StageCpu, then: &StageCpu) -> StageCpu {
    let before = |tid| then.engine.iter().find(|thread| thread.tid == tid).map_or(0, |thread| thread.cpu_ns);
    let engine = now.engine.iter();
    StageCpu {
        wall_ns: now.wall_ns - then.wall_ns,
        engine: engine
            .map(|t| ThreadCpu { cpu_ns: t.cpu_ns.saturating_sub(before(t.tid)), ..t.clone() })
            .collect(),
        control_ns: now.control_ns.saturating_sub(then.control_ns),
        harness_ns: now.harness_ns.saturating_sub(then.harness_ns),
        off_hook: now.off_hook,
        sent: now.sent - then.sent,
    }
}
