//! When waiting for more packets pays: under load, and longer where nobody listens.

use std::time::Duration;

use offhook_engine_core::{DropReason, Time, Verdict};

/// A wait that goes on once something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gather {
    /// Completions that end it.
    pub(crate) batch: u32,
    /// The longest it goes on.
    pub(crate) longest: Duration,
}

/// Watches how much comes in and for whom, and says how the next wait may gather.
///
/// With few packets a wait that gathers finds nothing more and only delays them; with many it saves wake-ups, of which there are
/// few enough once a handful of packets share one: more would only wait for each other. What comes from parked legs delays nobody.
pub(crate) struct Pace {
    longest: Duration,
    window_began: Time,
    completions: u64,
    per_s: u64,
    /// How long a small batch takes to come together.
    fills_in: Duration,
    /// Until when somebody may be waiting.
    heard_until: Time,
}

impl Pace {
    /// Gathers for `longest` at most when somebody listens; zero never gathers.
    pub(crate) fn new(longest: Duration) -> Self {
        Self {
            longest,
            window_began: Time(0),
            completions: 0,
            per_s: 0,
            fills_in: longest,
            heard_until: Time(0),
        }
    }

    /// Takes note of what one round brought.
    pub(crate) fn count(&mut self, now: Time, completions: u64) {
        self.completions += completions;
        let window_us = now.since(self.window_began);
        if window_us >= WINDOW_US {
            self.per_s = self.completions * 1_000_000 / window_us;
            self.fills_in =
                Duration::from_micros(u64::from(HEARD_BATCH) * window_us / self.completions.max(1));
            self.completions = 0;
            self.window_began = now;
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

    /// How the next wait gathers; none when it should return at once. `joined`: whether any legs are spliced, who may break
    /// their silence at any moment.
    pub(crate) fn gather(&self, now: Time, joined: bool) -> Option<Gather> {
        if self.longest.is_zero() {
            return None;
        }
        let heard = now < self.heard_until;
        if !heard && !joined {
            let longest = self.longest.max(NOBODY);
            return (self.per_s >= SOME_PER_S).then_some(Gather { batch: UNHEARD_BATCH, longest });
        }
        if self.per_s < BUSY_PER_S {
            return None;
        }
        Some(if heard {
            // One steered socket is one thing that is ready, however much lies in it: the batch alone would not end the wait.
            Gather { batch: HEARD_BATCH, longest: self.longest.min(self.fills_in) }
        } else {
            Gather { batch: UNHEARD_BATCH, longest: self.longest.max(UNHEARD) }
        })
    }
}

/// Completions worth ending a wait early for, when somebody hears.
const HEARD_BATCH: u32 = 16;
/// The same when nobody does.
const UNHEARD_BATCH: u32 = 256;
const WINDOW_US: u64 = 10_000;
/// Completions a second from which on gathering pays.
const BUSY_PER_S: u64 = 2_000;
/// The same for the long wait that nobody minds; below it, what is measured in single packets stays exact.
const SOME_PER_S: u64 = 200;
/// How long what was heard makes it likely that more will be.
const HEARD_US: u64 = 100_000;
/// How long packets that nobody hears may wait while others are spliced.
const UNHEARD: Duration = Duration::from_millis(5);
/// How long they may wait while nobody is, so that nobody can begin to hear without a command, which ends the wait.
const NOBODY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_micros(300);
    const PARKED: Verdict = Verdict::Drop(DropReason::NotSpliced);

    /// What a worker that has met a steady stream for a second does next.
    fn gathers_at(packets_per_s: u64, verdict: Verdict, joined: bool) -> Option<Gather> {
        let mut pace = Pace::new(LIMIT);
        for packet in 0..packets_per_s {
            let now = Time(packet * 1_000_000 / packets_per_s);
            pace.on_verdict(now, verdict);
            pace.count(now, 1);
        }
        pace.gather(Time(1_000_000), joined)
    }

    fn longest_at(packets_per_s: u64, verdict: Verdict, joined: bool) -> Option<Duration> {
        gathers_at(packets_per_s, verdict, joined).map(|gather| gather.longest)
    }

    #[test]
    fn a_loaded_worker_gathers_and_an_idle_one_does_not() {
        assert_eq!(longest_at(20_000, Verdict::Consume, true), Some(LIMIT));
        assert_eq!(gathers_at(1_000, Verdict::Consume, true), None);
    }

    #[test]
    fn the_more_comes_the_sooner_a_batch_is_full() {
        assert_eq!(longest_at(50_000, Verdict::Consume, true), Some(LIMIT));
        assert_eq!(longest_at(100_000, Verdict::Consume, true), Some(Duration::from_micros(160)));
        assert_eq!(gathers_at(100_000, Verdict::Consume, true).map(|gather| gather.batch), Some(HEARD_BATCH));
    }

    #[test]
    fn what_nobody_hears_may_wait_longer_until_somebody_listens() {
        assert_eq!(longest_at(20_000, PARKED, true), Some(UNHEARD));
        assert_eq!(gathers_at(1_000, PARKED, true), None);
        assert_eq!(longest_at(20_000, PARKED, false), Some(NOBODY));
        assert_eq!(longest_at(1_000, PARKED, false), Some(NOBODY));
        assert_eq!(gathers_at(1_000, PARKED, false).map(|gather| gather.batch), Some(UNHEARD_BATCH));
        assert_eq!(gathers_at(100, PARKED, false), None);
        let mut pace = Pace::new(LIMIT);
        for packet in 0..1_000 {
            pace.count(Time(packet * 20), 1);
        }
        let longest = |pace: &Pace, at| pace.gather(Time(at), true).map(|gather| gather.longest);
        assert_eq!(longest(&pace, 20_000), Some(UNHEARD));
        pace.on_verdict(Time(20_000), Verdict::Consume);
        pace.on_verdict(Time(20_000), PARKED);
        assert_eq!(longest(&pace, 20_001), Some(LIMIT));
        assert_eq!(longest(&pace, 120_000), Some(UNHEARD));
        pace.on_command(Time(120_000));
        assert_eq!(longest(&pace, 120_001), Some(LIMIT));
    }

    #[test]
    fn a_worker_that_gathers_for_longer_than_it_counts_stays_busy() {
        let mut pace = Pace::new(LIMIT);
        for round in 0..50 {
            pace.count(Time(round * 20_000), 160);
        }
        assert_eq!(pace.gather(Time(1_000_000), true).map(|gather| gather.longest), Some(UNHEARD));
    }

    #[test]
    fn the_first_round_after_a_pause_does_not_gather() {
        let mut pace = Pace::new(LIMIT);
        for packet in 0..1_000 {
            pace.count(Time(packet * 20), 1);
        }
        assert!(pace.gather(Time(20_000), true).is_some());
        pace.count(Time(5_000_000), 1);
        assert!(pace.gather(Time(5_000_000), true).is_none());
    }

    #[test]
    fn a_limit_of_zero_never_gathers() {
        let mut pace = Pace::new(Duration::ZERO);
        for packet in 0..100_000 {
            pace.count(Time(packet * 10), 1);
        }
        assert_eq!(pace.gather(Time(1_000_000), true), None);
        assert_eq!(pace.gather(Time(1_000_000), false), None);
    }
}
