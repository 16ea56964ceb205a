//! Moments, and how long it was between them, whatever was done to the calendar meanwhile.

use crate::calendar;

/// What the calendar showed, and by how much it had been set until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Milliseconds since 1970 UTC.
    pub(super) ms: u64,
    /// Milliseconds forward, since the first record.
    pub(super) set_ms: i64,
}

impl Moment {
    /// Whole seconds until a later moment.
    pub(super) fn seconds_until(self, later: Self) -> u64 {
        let set_ms = later.set_ms.saturating_sub(self.set_ms);
        later.ms.saturating_add_signed(set_ms.saturating_neg()).saturating_sub(self.ms) / 1_000
    }

    /// As reports write it.
    pub(super) fn write(self) -> String {
        calendar::write(self.ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_that_is_set_makes_a_duration_neither_shorter_nor_longer() {
        let begin = Moment { ms: 10_000_000, set_ms: -500_000 };
        for set_ms in [0, 3_600_000, -3_600_000] {
            let end = Moment {
                ms: (begin.ms + 90_000).saturating_add_signed(set_ms),
                set_ms: begin.set_ms + set_ms,
            };
            assert_eq!(begin.seconds_until(end), 90, "set by {set_ms}");
        }
        assert_eq!(begin.seconds_until(Moment { ms: 5_000_000, ..begin }), 0, "nobody saw how it was set");
    }
}
