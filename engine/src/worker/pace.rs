//! When waiting a little for more packets pays: only under load.

use std::time::Duration;

use offhook_engine_core::Time;

/// Watches how much comes in, and says how long the next wait may gather.
///
/// With few packets a wait that gathers finds nothing more and only delays commands; with many it saves wake-ups.
pub(crate) struct Pace {
    longest: Duration,
    window_ends: Time,
    completions: u32,
    busy: bool,
}

impl Pace {
    /// Gathers for `longest` at most; zero never gathers.
    pub(crate) fn new(longest: Duration) -> Self {
        Self { longest, window_ends: Time(0), completions: 0, busy: false }
    }

    /// Takes note of what one round brought.
    pub(crate) fn count(&mut self, now: Time, completions: u32) {
        self.completions = self.completions.saturating_add(completions);
        if now >= self.window_ends {
            self.busy = self.completions >= BUSY_COMPLETIONS && now < self.window_ends + WINDOW_US;
            self.completions = 0;
            self.window_ends = now + WINDOW_US;
        }
    }

    /// How long the next wait may go on once something is there; none when it should return at once.
    pub(crate) fn gather(&self) -> Option<Duration> {
        (self.busy && !self.longest.is_zero()).then_some(self.longest)
    }
}

const WINDOW_US: u64 = 10_000;
/// From 2,000 packets a second on.
const BUSY_COMPLETIONS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_micros(300);

    /// Feeds a steady stream and says whether the last wait may gather.
    fn gathers_at(packets_per_s: u64) -> bool {
        let mut pace = Pace::new(LIMIT);
        for packet in 0..packets_per_s {
            pace.count(Time(packet * 1_000_000 / packets_per_s), 1);
        }
        pace.gather().is_some()
    }

    #[test]
    fn a_loaded_worker_gathers_and_an_idle_one_does_not() {
        assert!(gathers_at(20_000));
        assert!(!gathers_at(1_000));
    }

    #[test]
    fn the_first_round_after_a_pause_does_not_gather() {
        let mut pace = Pace::new(LIMIT);
        for packet in 0..1_000 {
            pace.count(Time(packet * 20), 1);
        }
        assert!(pace.gather().is_some());
        pace.count(Time(5_000_000), 1);
        assert!(pace.gather().is_none());
    }

    #[test]
    fn a_limit_of_zero_never_gathers() {
        let mut pace = Pace::new(Duration::ZERO);
        for packet in 0..100_000 {
            pace.count(Time(packet * 10), 1);
        }
        assert_eq!(pace.gather(), None);
    }
}
