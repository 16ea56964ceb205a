//! How long a processor was not idle, whatever it did: processes, system calls, interrupts, and what the kernel does after them.

use std::fs;
use std::thread;

use anyhow::{Context, Result, anyhow};
use nix::time::{ClockId, clock_gettime};

use crate::machine::pin;

/// A moment on a processor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    at_ns: u64,
    idle_ns: u64,
}

impl Moment {
    /// Now, on a processor. Looking costs it less than a millisecond.
    ///
    /// # Errors
    /// `/proc/timer_list` cannot be read, which takes root, or is not kept.
    pub(crate) fn on(cpu: usize) -> Result<Self> {
        // Read on the processor itself, which is not idle then: an idle time is added up when it ends.
        let look = move || {
            pin(cpu)?;
            let list = fs::read_to_string(LIST).with_context(|| format!("cannot read {LIST}"))?;
            let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
            let idle_ns = idle(&list, cpu).with_context(|| format!("no idle time in {LIST}"))?;
            Ok(Self { at_ns: now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64, idle_ns })
        };
        thread::spawn(look).join().map_err(|_| anyhow!("looking at processor {cpu} failed"))?
    }

    /// Nanoseconds of work between an earlier moment and this one.
    pub(crate) fn busy_since(&self, earlier: &Self) -> u64 {
        (self.at_ns - earlier.at_ns).saturating_sub(self.idle_ns - earlier.idle_ns)
    }
}

/// Nanoseconds that a processor has been idle, with and without somebody waiting for a disk (or a ring).
fn idle(list: &str, cpu: usize) -> Option<u64> {
    let heading = format!("cpu: {cpu}");
    let mut lines = list.lines().skip_while(|line| *line != heading).skip(1);
    let mut idle = None;
    let mut waiting = None;
    for line in lines.by_ref().take_while(|line| !line.starts_with("cpu: ")) {
        let value = |name: &str| {
            let rest = line.trim_start().strip_prefix(name)?.trim_start().strip_prefix(':')?;
            rest.trim().strip_suffix(" nsecs")?.parse::<u64>().ok()
        };
        idle = idle.or_else(|| value(".idle_sleeptime"));
        waiting = waiting.or_else(|| value(".iowait_sleeptime"));
    }
    Some(idle? + waiting?)
}

const LIST: &str = "/proc/timer_list";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idle_time_is_that_of_the_processor_asked_for() {
        let list = "cpu: 1\n  .idle_sleeptime : 10 nsecs\n  .iowait_sleeptime: 5 nsecs\n\
                    cpu: 12\n  .idle_entrytime : 9 nsecs\n  .idle_sleeptime : 20 nsecs\n  .iowait_sleeptime: 7 nsecs\n";
        assert_eq!(idle(list, 1), Some(15));
        assert_eq!(idle(list, 12), Some(27));
        assert_eq!(idle(list, 2), None);
    }
}
