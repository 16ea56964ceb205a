//! Waits between attempts: they last as long as they were meant to, whatever is done to the calendar meanwhile.

use crate::Now;

/// A wait that began in this run, or in an earlier one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wait {
    whole_ms: u64,
    /// Its end, by the calendar of its beginning, in milliseconds since 1970 UTC: for the record, and for whoever looks.
    pub(crate) until_ms: u64,
    /// Its end on our clock. Not known of a wait of an earlier run until that is resumed.
    until_us: u64,
    /// Nobody is called before its end, come what may: a phone may ring as long as it lasts.
    pub(crate) is_firm: bool,
}

impl Wait {
    pub(crate) fn begin(now: Now, ms: u64, is_firm: bool) -> Self {
        let until_us = now.mono_us.saturating_add(ms.saturating_mul(1_000));
        Self { whole_ms: ms, until_ms: now.unix_ms.saturating_add(ms), until_us, is_firm }
    }

    /// A wait of an earlier run, which began with a record of `at_ms`.
    pub(crate) fn of_record(at_ms: u64, until_ms: u64, is_firm: bool) -> Self {
        Self { whole_ms: until_ms.saturating_sub(at_ms), until_ms, until_us: 0, is_firm }
    }

    /// Goes on with the wait of an earlier run: for as long as the calendar says is left, and never for longer than the whole.
    /// The calendar may have been set while nobody was there to see it, so that a firm wait begins anew.
    pub(crate) fn resume(&mut self, now: Now) {
        let left_ms = self.until_ms.saturating_sub(now.unix_ms).min(self.whole_ms);
        let left_ms = if self.is_firm { self.whole_ms } else { left_ms };
        self.until_us = now.mono_us.saturating_add(left_ms.saturating_mul(1_000));
    }

    /// Its end, in microseconds on our clock; none when it is over.
    pub(crate) fn runs_until_us(&self, now: Now) -> Option<u64> {
        (self.until_us > now.mono_us).then_some(self.until_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_ms(wait: Wait, now: Now) -> u64 {
        wait.runs_until_us(now).map_or(0, |until_us| (until_us - now.mono_us) / 1_000)
    }

    #[test]
    fn a_calendar_that_is_set_makes_a_wait_neither_shorter_nor_longer() {
        let wait = Wait::begin(Now { mono_us: 5_000, unix_ms: 1_000_000 }, 300, false);
        assert_eq!(wait.until_ms, 1_000_300);
        assert_eq!(left_ms(wait, Now { mono_us: 105_000, unix_ms: 9_000_000 }), 200);
        assert_eq!(left_ms(wait, Now { mono_us: 305_000, unix_ms: 0 }), 0);
    }

    #[test]
    fn over_a_restart_the_calendar_says_what_is_left_and_a_phone_that_may_ring_is_spared_for_the_whole_time()
    {
        let after = |unix_ms, is_firm| {
            let mut wait = Wait::of_record(1_000_000, 1_000_300, is_firm);
            let now = Now { mono_us: 7_000, unix_ms };
            wait.resume(now);
            left_ms(wait, now)
        };
        assert_eq!([1_000_100, 1_000_400, 500_000].map(|unix_ms| after(unix_ms, false)), [200, 0, 300]);
        assert_eq!([1_000_100, 1_000_400, 500_000].map(|unix_ms| after(unix_ms, true)), [300, 300, 300]);
    }
}
