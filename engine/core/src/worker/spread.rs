//! Spreading in time: what need not happen at once should not.

use crate::{LegIx, Time};

/// A small generator (SplitMix64) for spreading. Nothing that must not be guessed comes from it.
#[derive(Clone, Debug)]
pub(crate) struct Spread(u64);

impl Spread {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }
}

/// The next moment from `now` on that is a leg's turn within a period: legs' turns are spread evenly over it.
pub(crate) fn turn(now: Time, leg: LegIx, period_us: u64) -> Time {
    let phase = share(leg, period_us);
    let into = (now.0 + period_us - phase % period_us) % period_us;
    now + (period_us - into) % period_us
}

/// When what is made of packets that come evenly from `now` on begins to be made, so that they wait little: legs that begin at once
/// are spread evenly over 10 ms.
pub(crate) fn turn_after_packet(now: Time, leg: LegIx) -> Time {
    now + AFTER_PACKET_US + share(leg, AFTER_PACKET_SPREAD_US)
}

/// A leg's place in so many microseconds: legs' places are spread evenly over them.
fn share(leg: LegIx, whole_us: u64) -> u64 {
    (u64::from(leg.0.wrapping_mul(0x9E37_79B1)) * whole_us) >> 32
}

/// Packets are late by a little now and then: they are waited for.
const AFTER_PACKET_US: u64 = 2_000;
/// Half of the usual packet time.
const AFTER_PACKET_SPREAD_US: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_legs_take_turns_evenly_over_the_period() {
        let mut per_ms = [0; 20];
        for leg in 0..1_000 {
            let turn = turn(Time(123_456), LegIx(leg), 20_000);
            assert!((123_456..143_456).contains(&turn.0));
            per_ms[(turn.0 % 20_000 / 1_000) as usize] += 1;
        }
        assert!(per_ms.iter().all(|legs| (40..=60).contains(legs)), "{per_ms:?}");
    }

    #[test]
    fn five_hundred_legs_that_begin_at_once_follow_their_packets_evenly_within_12_ms() {
        let mut per_ms = [0; 12];
        for leg in 0..500 {
            let turn = turn_after_packet(Time(123_456), LegIx(leg));
            per_ms[(turn.0 - 123_456) as usize / 1_000] += 1;
        }
        assert_eq!(per_ms[..2], [0, 0]);
        assert!(per_ms[2..].iter().all(|legs| (40..=60).contains(legs)), "{per_ms:?}");
    }
}
