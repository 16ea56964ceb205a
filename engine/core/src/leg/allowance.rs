//! How many events a peer may cause: whoever can send a leg packets must not flood its controllers.

use crate::Time;
use crate::limits::{PEER_EVENTS_AT_ONCE, PEER_EVENTS_PER_S};

/// A leg's allowance: so many at once, and then so many a second (the virtual scheduling algorithm of ITU-T I.371).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    /// When all that was taken has grown again.
    full_at: Time,
}

impl Allowance {
    /// Takes one. False when there is none.
    pub(crate) fn take(&mut self, now: Time) -> bool {
        let full_at = self.full_at.max(now) + INTERVAL_US;
        let granted = full_at.since(now) <= PEER_EVENTS_AT_ONCE * INTERVAL_US;
        if granted {
            self.full_at = full_at;
        }
        granted
    }
}

const INTERVAL_US: u64 = 1_000_000 / PEER_EVENTS_PER_S;

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(allowance: &mut Allowance, now: Time) -> u64 {
        (0..1_000).filter(|_| allowance.take(now)).count() as u64
    }

    #[test]
    fn so_many_are_granted_at_once_and_then_so_many_a_second() {
        let mut allowance = Allowance::default();
        assert_eq!(granted(&mut allowance, Time::from_ms(5_000)), PEER_EVENTS_AT_ONCE);
        assert_eq!(granted(&mut allowance, Time::from_ms(6_000)), PEER_EVENTS_PER_S);
        assert_eq!(granted(&mut allowance, Time::from_ms(600_000)), PEER_EVENTS_AT_ONCE);
    }

    #[test]
    fn nobody_who_presses_keys_as_fast_as_they_may_be_sent_meets_the_limit() {
        // ITU-T Q.24: a key lasts 40 ms at least, and so does the pause after it.
        let mut allowance = Allowance::default();
        assert!((0..10_000).all(|key| allowance.take(Time::from_ms(key * 80))));
    }
}
