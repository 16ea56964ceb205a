//! Whether this machine, rather than what is tested, kept a program waiting: the kernel counts how long each thread was ready to run
//! and had no processor.

use std::collections::VecDeque;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Watches programs from when it is made until it is dropped.
#[derive(Debug)]
pub struct Stalls {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    worst_ns: AtomicU64,
    over: AtomicBool,
}

impl Stalls {
    /// Watches the programs with these process ids.
    pub(crate) fn of(programs: Vec<u32>) -> Self {
        let shared = Arc::new(Shared::default());
        let watched = Arc::clone(&shared);
        let thread = Some(std::thread::spawn(move || watch(&programs, &watched)));
        Self { shared, thread }
    }

    /// The longest time within one second that they all together have waited for a processor, or the watch itself overslept.
    pub fn worst(&self) -> Duration {
        Duration::from_nanos(self.shared.worst_ns.load(Ordering::Relaxed))
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(programs: &[u32], shared: &Shared) {
    let mut waits = VecDeque::new();
    let mut slept = Instant::now();
    while !shared.over.load(Ordering::Relaxed) {
        let waited_ns: u64 = programs.iter().map(|program| waited_ns(*program)).sum();
        waits.push_back(waited_ns);
        let in_a_second_ns = waited_ns.saturating_sub(waits[0]);
        let overslept_ns = slept.elapsed().saturating_sub(EVERY).as_nanos() as u64;
        shared.worst_ns.fetch_max(in_a_second_ns.max(overslept_ns), Ordering::Relaxed);
        if waits.len() > IN_A_SECOND {
            waits.pop_front();
        }
        slept = Instant::now();
        std::thread::sleep(EVERY);
    }
}

/// How long all threads of a program have been ready to run and were not run: the second number of their `schedstat`.
fn waited_ns(program: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{program}/task")).into_iter().flatten().flatten();
    let waited = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    waited.sum()
}

/// From here on what was heard may have pauses that nobody made, or lack words that came before the engine knew of them.
pub const STALL: Duration = Duration::from_millis(100);
const EVERY: Duration = Duration::from_millis(50);
const IN_A_SECOND: usize = 20;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::child::Child;
    use super::super::until;
    use super::*;

    #[test]
    fn more_programs_than_processors_are_seen_to_wait() {
        let folder = tempfile::tempdir().expect("a directory");
        let count = std::thread::available_parallelism().map_or(1, usize::from) + 1;
        let busy = |number| {
            let mut command = Command::new("sh");
            command.args(["-c", "while :; do :; done"]);
            Child::start(&mut command, folder.path(), folder.path().join(format!("{number}.log")))
        };
        let programs: Vec<Child> = (0..count).map(busy).collect();
        let stalls = Stalls::of(programs.iter().map(Child::id).collect());
        until("one of them waits for a processor", || stalls.worst() >= STALL);
    }
}
