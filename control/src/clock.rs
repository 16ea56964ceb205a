//! The two clocks. No other file of this package reads one.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use offhook_control_core::Now;

/// Microseconds since the process started, and the time of day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts counting.
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// What both clocks show.
    pub(crate) fn now(self) -> Now {
        let mono_us = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono_us, unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) }
    }

    /// When [`Now::mono_us`] will be this.
    pub(crate) fn instant(self, mono_us: u64) -> tokio::time::Instant {
        let far = Duration::from_secs(86_400);
        (self.start + Duration::from_micros(mono_us).min(self.start.elapsed() + far)).into()
    }
}
