//! The process's one reader of clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offhook_engine_core::Time;
use offhook_uring::clock::monotonic_ns;

/// Time since the engine started, the same for all threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start_ns: u64,
}

impl Clock {
    /// A clock at 0.
    pub(crate) fn start() -> Self {
        Self { start_ns: monotonic_ns() }
    }

    /// The monotonic clock's nanoseconds at 0.
    pub(crate) fn start_ns(self) -> u64 {
        self.start_ns
    }

    /// The time now.
    pub(crate) fn now(self) -> Time {
        Time((monotonic_ns() - self.start_ns) / 1_000)
    }

    /// How long until `deadline`; zero when it has passed.
    pub(crate) fn until(self, deadline: Time) -> Duration {
        Duration::from_micros(deadline.since(self.now()))
    }

    /// Microseconds between 1970 and this clock's 0.
    pub(crate) fn unix_us_at_start(self) -> u64 {
        (unix().as_micros() as u64).saturating_sub(self.now().0)
    }
}

/// Wall-clock time in milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    unix().as_millis() as u64
}

fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
