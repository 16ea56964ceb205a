//! Who is called back when, and what they do: drawn from the seed before anything happens.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// What a customer does, as `tests/scenarios/soak_customer.xml` reads it in the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Answers, talks, and hangs up.
    Leaves,
    /// Answers, and stays until the agent hangs up, after so long.
    Stays(Duration),
    /// 486.
    Busy,
    /// 404.
    NotInUse,
    /// Rings, then 603.
    Declines,
    /// Rings until the caller gives up.
    Silent,
}

impl Fate {
    /// Whether an agent is to talk with this customer.
    pub(crate) fn talks(self) -> bool {
        matches!(self, Self::Leaves | Self::Stays(_))
    }
}

/// One callback to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// After the beginning.
    pub(crate) at: Duration,
    pub(crate) number: String,
    pub(crate) fate: Fate,
}

/// All callbacks of a run, in their order: `per_second` of them, evenly spread.
pub(crate) fn orders(seed: u64, per_second: f64, lasting: Duration) -> Vec<Order> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = (per_second * lasting.as_secs_f64()) as u32;
    let order = |index: u32| {
        let ring = rng.random_range(0..4);
        let chance: f64 = rng.random();
        let talk_ms = rng.random_range(2_000..20_000);
        let (fate, talk) = match chance {
            x if x < 0.05 => (Fate::Busy, STAYS),
            x if x < 0.08 => (Fate::NotInUse, STAYS),
            x if x < 0.11 => (Fate::Declines, STAYS),
            x if x < 0.13 => (Fate::Silent, STAYS),
            x if x < 0.45 => (Fate::Stays(Duration::from_millis(talk_ms)), STAYS),
            _ => (Fate::Leaves, rng.random_range(0..2)),
        };
        let first = match fate {
            Fate::Leaves | Fate::Stays(_) => 0,
            Fate::Busy => 1,
            Fate::NotInUse => 2,
            Fate::Declines => 3,
            Fate::Silent => 4,
        };
        let at = Duration::from_secs_f64(f64::from(index) / per_second);
        Order { at, number: format!("+3197{first}{ring}{talk}{index:04}"), fate }
    };
    (0..count.min(MOST)).map(order).collect()
}

/// The digit of whoever does not hang up first.
const STAYS: u32 = 9;
/// Numbers differ in four digits.
const MOST: u32 = 10_000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_plays_the_same_customers_again_and_no_number_comes_twice() {
        let minute = Duration::from_secs(60);
        let played = orders(7, 10.0, minute);
        assert_eq!(played, orders(7, 10.0, minute));
        assert_ne!(played, orders(8, 10.0, minute));
        assert_eq!(played.len(), 600);
        let numbers: BTreeSet<_> = played.iter().map(|order| &order.number).collect();
        assert_eq!(numbers.len(), 600);
        assert!(played.iter().all(|order| order.number.len() == "+31970050000".len()));
    }
}
