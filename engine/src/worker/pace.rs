//! When waiting a little for more packets pays: only under load, and longer where nobody listens.

use std::time::Duration;

use offhook_engine_core::{DropReason, Time, Verdict};

/// Watches how much comes in and for whom, and says how long the next wait may gather.
///
/// With few packets a wait that gathers finds nothing more and only delays them; with many it saves wake-ups. What comes from
/// parked legs delays nobody.
pub(crate) struct Pace {
    longest: Duration,
    window_ends: Time,
    completions: u32,
    busy: bool,
    /// Until when somebody may be waiting.
    heard_until: Time,
}

impl Pace {
    /// Gathers for `longest` at most when somebody listens; zero never gathers.
    pub(crate) fn new(longest: Duration) -> Self {
        Self { longest, window_ends: Time(0), completions: 0, busy: false, heard_until: Time(0) }
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

    /// Takes note of what became of a packet.
    pub(crate) fn on_verdict(&mut self, now: Time, verdict: Verdict) {
        match verdict {
            Verdict::Drop(DropReason::NotSpliced) => {}
            Verdict::Forward { .. } | Verdict::Consume | Verdict::Drop(_) => {
                self.heard_until = now + HEARD_US;
            }
        }
    }

    /// Takes note of a command, which may bring listeners.
    pub(crate) fn on_command(&mut self, now: Time) {
        self.heard_until = now + HEARD_US;
    }

    /// How long the next wait may go on once something is there; none when it should return at once.
    pub(crate) fn gather(&self, now: Time) -> Option<Duration> {
        if !self.busy || self.longest.is_zero() {
            return None;
        }
        Some(if now < self.heard_until { self.longest } else { self.longest.max(UNHEARD) })
    }
}

const WINDOW_US: u64 = 10_000;
/// From 2,000 packets a second on.
const BUSY_COMPLETIONS: u32 = 20;
/// How long what was heard makes it likely that more will be.
const HEARD_US: u64 = 100_000;
/// How long packets that nobody hears may wait.
const UNHEARD: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_micros(300);
    const PARKED: Verdict = Verdict::Drop(DropReason::NotSpliced);

    /// Feeds a steady stream for a second; how long the last wait may gather.
    fn gathers_at(packets_per_s: u64, verdict: Verdict) -> Option<Duration> {
        let mut pace = Pace::new(LIMIT);
        for packet in 0..packets_per_s {
            let now = Time(packet * 1_000_000 / packets_per_s);
            pace.on_verdict(now, verdict);
            pace.count(now, 1);
        }
        pace.gather(Time(1_000_000))
    }

    #[test]
    fn a_loaded_worker_gathers_and_an_idle_one_does_not() {
        assert_eq!(gathers_at(20_000, Verdict::Consume), Some(LIMIT));
        assert_eq!(gathers_at(1_000, Verdict::Consume), None);
    }

    #[test]
    fn what_nobody_hears_may_wait_longer_until_somebody_listens() {
        assert_eq!(gathers_at(20_000, PARKED), Some(UNHEARD));
        assert_eq!(gathers_at(1_000, PARKED), None);
        let mut pace = Pace::new(LIMIT);
        for packet in 0..1_000 {
            pace.count(Time(packet * 20), 1);
        }
        assert_eq!(pace.gather(Time(20_000)), Some(UNHEARD));
        pace.on_verdict(Time(20_000), Verdict::Consume);
        pace.on_verdict(Time(20_000), PARKED);
        assert_eq!(pace.gather(Time(20_001)), Some(LIMIT));
        assert_eq!(pace.gather(Time(120_000)), Some(UNHEARD));
        pace.on_command(Time(120_000));
        assert_eq!(pace.gather(Time(120_001)), Some(LIMIT));
    }

    #[test]
    fn the_first_round_after_a_pause_does_not_gather() {
        let mut pace = Pace::new(LIMIT);
        for packet in 0..1_000 {
            pace.count(Time(packet * 20), 1);
        }
        assert!(pace.gather(Time(20_000)).is_some());
        pace.count(Time(5_000_000), 1);
        assert!(pace.gather(Time(5_000_000)).is_none());
    }

    #[test]
    fn a_limit_of_zero_never_gathers() {
        let mut pace = Pace::new(Duration::ZERO);
        for packet in 0..100_000 {
            pace.count(Time(packet * 10), 1);
        }
        assert_eq!(pace.gather(Time(1_000_000)), None);
    }
}
