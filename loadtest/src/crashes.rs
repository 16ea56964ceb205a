//! Kills processes in the middle of a run, as a crash would, and starts them again.

use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

/// How long a killed process stays dead: longer than control takes to find an engine silent.
const DEAD_FOR: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process and the command that starts it again.
pub(crate) struct Victim {
    pub(crate) name: &'static str,
    pub(crate) child: Child,
    pub(crate) command: Command,
}

/// The processes of a run, shared with whoever kills them.
pub(crate) type Victims = Arc<Mutex<Vec<Victim>>>;

/// What is killed, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Place among the victims.
    pub(crate) victim: usize,
    pub(crate) after: Duration,
}

/// Carries plans out on a thread of its own until dropped.
pub(crate) struct Killer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Killer {
    /// Counts from now. Only children of ours are killed, each through its handle.
    pub(crate) fn start(victims: &Victims, mut plans: Vec<Plan>) -> Self {
        plans.sort_by_key(|plan| plan.after);
        let stop = Arc::new(AtomicBool::new(false));
        let (victims, stopped) = (Arc::clone(victims), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let started = Instant::now();
            for plan in plans {
                if !pause(&stopped, started, plan.after) {
                    return;
                }
                if let Some(victim) = lock(&victims).get_mut(plan.victim) {
                    // It is a child that has not been waited for: no other process can have its id.
                    let _ = victim.child.kill();
                    let _ = victim.child.wait();
                    eprintln!("{} killed after {} s", victim.name, started.elapsed().as_secs());
                }
                // Started again even when the run is over: whoever ends it expects to find it.
                pause(&stopped, started, plan.after + DEAD_FOR);
                if let Some(victim) = lock(&victims).get_mut(plan.victim) {
                    match with_signals(|| victim.command.spawn()) {
                        Ok(child) => victim.child = child,
                        Err(error) => eprintln!("{} cannot be started again: {error}", victim.name),
                    }
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The victims, whoever else holds them.
pub(crate) fn lock(victims: &Victims) -> MutexGuard<'_, Vec<Victim>> {
    victims.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child inherits the mask of the thread that starts it: without SIGTERM it could not be asked to end.
fn with_signals<T>(start: impl FnOnce() -> T) -> T {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    let blocked = SigSet::thread_get_mask().is_ok_and(|mask| mask.contains(Signal::SIGTERM));
    if !blocked {
        return start();
    }
    let _ = signals.thread_unblock();
    let started = start();
    let _ = signals.thread_block();
    started
}

/// Waits; false when it was stopped meanwhile.
fn pause(stopped: &AtomicBool, started: Instant, until: Duration) -> bool {
    while started.elapsed() < until {
        if stopped.load(Relaxed) {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_killed_is_started_again() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let child = command.spawn().expect("sleep can be started");
        let before = child.id();
        let victims: Victims = Arc::new(Mutex::new(vec![Victim { name: "sleep", child, command }]));
        let plan = Plan { victim: 0, after: Duration::ZERO };
        let killer = Killer::start(&victims, vec![plan]);
        while lock(&victims)[0].child.id() == before {
            std::thread::sleep(LOOK_EVERY);
        }
        drop(killer);
        let victim = &mut lock(&victims)[0];
        assert!(matches!(victim.child.try_wait(), Ok(None)), "the new one lives");
        victim.child.kill().expect("it can be killed");
        victim.child.wait().expect("it has ended");
    }
}
