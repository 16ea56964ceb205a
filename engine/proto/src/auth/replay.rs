//! Signatures that have been seen.

use std::collections::BTreeSet;

use super::unauthorized;
use crate::Error;
use crate::limits::SIGNATURES_KEPT;

/// Remembers the signatures of the last window and refuses a second sight of one.
///
/// Only signatures that are right may be shown to it, so that nobody without the key can fill it.
#[derive(Debug)]
pub struct ReplayGuard {
    seen: BTreeSet<(u64, [u8; 16])>,
    /// Everything signed before this time is refused.
    floor_unix_ms: u64,
    kept: usize,
}

impl ReplayGuard {
    /// A guard that refuses everything signed before `floor_unix_ms`: the moment of its start, for a receiver to whom a
    /// replay from before its restart would do harm; 0 for others.
    pub fn new(floor_unix_ms: u64) -> Self {
        Self::with_limit(floor_unix_ms, SIGNATURES_KEPT)
    }

    fn with_limit(floor_unix_ms: u64, kept: usize) -> Self {
        Self { seen: BTreeSet::new(), floor_unix_ms, kept }
    }

    /// Takes note of a signature from `unix_ms`, and forgets those from before `now_unix_ms - window_ms`.
    ///
    /// # Errors
    /// `unauthorized` when it has been seen, or is too old to know.
    pub fn admit(
        &mut self,
        now_unix_ms: u64,
        window_ms: u64,
        unix_ms: u64,
        tag: &[u8; 32],
    ) -> Result<(), Error> {
        if unix_ms < self.floor_unix_ms {
            return Err(unauthorized(
                "signed before the oldest time that can be told from a replay; send it again",
            ));
        }
        let mut half = [0; 16];
        half.copy_from_slice(&tag[..16]);
        if !self.seen.insert((unix_ms, half)) {
            return Err(unauthorized("this very datagram has been received before"));
        }
        let oldest_unix_ms = now_unix_ms.saturating_sub(window_ms);
        while let Some(&(at_unix_ms, _)) = self.seen.first() {
            if at_unix_ms >= oldest_unix_ms && self.seen.len() <= self.kept {
                break;
            }
            self.seen.pop_first();
            self.floor_unix_ms = self.floor_unix_ms.max(at_unix_ms + 1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(n: u8) -> [u8; 32] {
        [n; 32]
    }

    #[test]
    fn a_signature_is_admitted_once() {
        let mut guard = ReplayGuard::new(0);
        assert!(guard.admit(1_000, 100, 990, &tag(1)).is_ok());
        assert!(guard.admit(1_001, 100, 990, &tag(1)).is_err());
        assert!(guard.admit(1_001, 100, 990, &tag(2)).is_ok());
    }

    #[test]
    fn a_signature_that_was_forgotten_is_not_admitted_again() {
        let mut guard = ReplayGuard::with_limit(0, 2);
        for n in 1..=4 {
            assert!(guard.admit(1_000, 500, 990 + u64::from(n), &tag(n)).is_ok());
        }
        for n in 1..=4 {
            assert!(guard.admit(1_000, 500, 990 + u64::from(n), &tag(n)).is_err());
        }
    }

    #[test]
    fn a_clock_that_goes_back_reopens_nothing() {
        let mut guard = ReplayGuard::new(0);
        assert!(guard.admit(1_000, 100, 1_000, &tag(1)).is_ok());
        assert!(guard.admit(5_000, 100, 5_000, &tag(2)).is_ok());
        assert!(guard.admit(1_000, 100, 1_000, &tag(1)).is_err());
    }

    #[test]
    fn nothing_from_before_the_start_is_admitted() {
        let mut guard = ReplayGuard::new(1_000);
        assert!(guard.admit(1_000, 100, 999, &tag(1)).is_err());
        assert!(guard.admit(1_000, 100, 1_000, &tag(1)).is_ok());
    }
}
