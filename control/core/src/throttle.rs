//! How often a callback service was asked for within a sliding window (CB-16).

use std::collections::VecDeque;

/// The longest window, in milliseconds.
const LONGEST_MS: u64 = 3_600_000;

/// Moments of one service's requests, in milliseconds since 1970, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Throttle {
    moments: VecDeque<u64>,
}

impl Throttle {
    /// Takes note of a request, and forgets those before the longest window. A clock that was set back does not reorder them.
    pub(crate) fn note(&mut self, at_ms: u64) {
        let at_ms = self.moments.back().map_or(at_ms, |last| at_ms.max(*last));
        self.moments.push_back(at_ms);
        while self.moments.front().is_some_and(|first| *first + LONGEST_MS < at_ms) {
            self.moments.pop_front();
        }
    }

    /// What was asked for at a time that has yet to come, by a clock that was set back since, counts as asked for now.
    pub(crate) fn no_later_than(&mut self, now_ms: u64) {
        self.moments.iter_mut().for_each(|moment| *moment = now_ms.min(*moment));
    }

    /// Requests within the last `window_s` seconds, at most an hour.
    pub(crate) fn count(&self, now_ms: u64, window_s: u64) -> usize {
        let from_ms = now_ms.saturating_sub(window_s * 1_000);
        self.moments.len() - self.moments.partition_point(|moment| *moment <= from_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_slides_and_what_lies_before_the_longest_is_forgotten() {
        let mut throttle = Throttle::default();
        for second in 0..4_000 {
            throttle.note(second * 1_000);
        }
        assert_eq!(throttle.count(3_999_000, 300), 300);
        assert_eq!(throttle.count(3_999_000, 3_600), 3_600);
        assert_eq!(throttle.count(4_200_000, 300), 99);
        assert!(throttle.moments.len() <= 3_601);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_hide_requests() {
        let mut throttle = Throttle::default();
        throttle.note(500_000);
        throttle.note(100_000);
        assert_eq!(throttle.count(500_000, 300), 2);
        throttle.no_later_than(100_000);
        assert_eq!(
            (throttle.count(399_999, 300), throttle.count(400_000, 300)),
            (2, 0),
            "not for longer than their time"
        );
    }
}
