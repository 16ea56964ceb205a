//! The only place that reads clocks.

use nix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC in nanoseconds; zero if the kernel refuses, which it never does for this clock.
pub(crate) fn now_ns() -> u64 {
    read_ns(ClockId::CLOCK_MONOTONIC)
}

/// CPU time used by the calling thread, in nanoseconds.
pub(crate) fn thread_cpu_ns() -> u64 {
    read_ns(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time used by the whole process, in nanoseconds.
pub(crate) fn process_cpu_ns() -> u64 {
    read_ns(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// Nanoseconds since 1970, as the kernel stamps received packets.
pub(crate) fn realtime_ns() -> u64 {
    read_ns(ClockId::CLOCK_REALTIME)
}

fn read_ns(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}
