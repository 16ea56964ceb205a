//! The one idea of time in this crate.

use std::ops::{Add, Sub};

/// Microseconds since the engine started. Only ever an argument: nothing here reads a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// Later than anything: a deadline that is not set.
    pub const NEVER: Self = Self(u64::MAX);

    /// A moment so many milliseconds after start.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000))
    }

    /// Whole milliseconds since start.
    pub const fn as_ms(self) -> u64 {
        self.0 / 1_000
    }

    /// This moment and so many milliseconds. Stays [`Time::NEVER`] once there.
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000)))
    }

    /// The first moment from this one on at which things that are not urgent happen: they share wake-ups.
    ///
    /// Stays [`Time::NEVER`] once there.
    pub(crate) const fn at_shared_tick(self) -> Self {
        match self.0.checked_next_multiple_of(SHARED_TICK_US) {
            Some(tick) => Self(tick),
            None => Self::NEVER,
        }
    }

    /// Microseconds since `earlier`; 0 when that is in the future.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Time {
    type Output = Self;

    /// So many microseconds later.
    fn add(self, us: u64) -> Self {
        Self(self.0.saturating_add(us))
    }
}

impl Sub<u64> for Time {
    type Output = Self;

    /// So many microseconds earlier, not before the start.
    fn sub(self, us: u64) -> Self {
        Self(self.0.saturating_sub(us))
    }
}

/// Short enough that what falls due together is no burst: with 20,000 legs, each sending comfort noise and a report every 5 s,
/// 40 packets.
pub(crate) const SHARED_TICK_US: u64 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_tick_is_never_early_and_less_than_a_tick_late() {
        for us in [0, 1, SHARED_TICK_US - 1, SHARED_TICK_US, SHARED_TICK_US + 1, 123_456_789] {
            let tick = Time(us).at_shared_tick();
            assert!(
                tick.0.is_multiple_of(SHARED_TICK_US) && tick >= Time(us) && tick.0 - us < SHARED_TICK_US,
                "{us}"
            );
        }
        assert_eq!(Time::NEVER.at_shared_tick(), Time::NEVER);
    }
}
