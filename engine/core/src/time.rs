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
