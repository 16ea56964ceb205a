//! What every customer and agent is going to do, drawn from the seed before anything happens.
//!
//! A call's plan depends on the seed, its kind and its number in the run, and on nothing else: the same command plays the
//! same customers again, whatever the timing.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::units::{Share, Span};

/// How a call comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Callback,
    Preview,
    Inbound,
}

/// Who ends a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Agent,
    Customer,
}

/// What the customer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Answers, talks, and one of the two hangs up.
    Talk { ring_ms: u64, talk_ms: u64, ends: Side },
    /// Answers and hangs up almost at once.
    EarlyHangup { ring_ms: u64, after_ms: u64 },
    /// 486.
    Busy,
    /// 180 until the caller gives up.
    NoAnswer,
    /// Rings, then 603.
    Decline { ring_ms: u64 },
    /// 404.
    NotInUse,
}

/// How customers are mixed, and how long they take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub(crate) busy: Share,
    pub(crate) no_answer: Share,
    pub(crate) decline: Share,
    pub(crate) not_in_use: Share,
    pub(crate) early_hangup: Share,
    pub(crate) customer_ends: Share,
    pub(crate) ring: Span,
    pub(crate) talk: Span,
    pub(crate) early_after: Span,
}

/// The plan of the `index`th call of a kind. Inbound callers always talk or give up early.
pub(crate) fn call(seed: u64, kind: Kind, index: u32, mix: &Mix) -> Behaviour {
    let mut rng =
        ChaCha8Rng::seed_from_u64(seed.wrapping_mul(3).wrapping_add(kind as u64) << 32 | u64::from(index));
    let mut draw = |span: Span| rng.random_range(span.from_ms..=span.to_ms);
    let (ring_ms, talk_ms, after_ms) = (draw(mix.ring), draw(mix.talk), draw(mix.early_after));
    let (fate, ends): (f64, f64) = (rng.random(), rng.random());
    let ends = if ends < mix.customer_ends.0 { Side::Customer } else { Side::Agent };
    let fates = [
        (mix.early_hangup, Behaviour::EarlyHangup { ring_ms, after_ms }),
        (mix.busy, Behaviour::Busy),
        (mix.no_answer, Behaviour::NoAnswer),
        (mix.decline, Behaviour::Decline { ring_ms }),
        (mix.not_in_use, Behaviour::NotInUse),
    ];
    let possible = if kind == Kind::Inbound { &fates[..1] } else { &fates[..] };
    let mut threshold = 0.0;
    for (share, behaviour) in possible {
        threshold += share.0;
        if fate < threshold {
            return *behaviour;
        }
    }
    Behaviour::Talk { ring_ms, talk_ms, ends }
}

/// The telephone number of the `index`th call of a kind: E.164, and never the same twice in a run.
pub(crate) fn number(prefix: &str, kind: Kind, index: u32) -> String {
    format!("{prefix}{}{index:06}", kind as u8 + 1)
}

/// A generator for whatever an agent decides, different for each agent.
pub(crate) fn agent_rng(seed: u64, agent: usize) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed.wrapping_mul(3).wrapping_add(7) << 32 | agent as u64)
}

/// A draw from a range of times.
pub(crate) fn draw(rng: &mut ChaCha8Rng, span: Span) -> u64 {
    rng.random_range(span.from_ms..=span.to_ms)
}

/// True with the probability of a share.
pub(crate) fn chance(rng: &mut ChaCha8Rng, share: Share) -> bool {
    rng.random_bool(share.0.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix() -> Mix {
        let span = Span { from_ms: 100, to_ms: 2_000 };
        Mix {
            busy: Share(0.1),
            no_answer: Share(0.05),
            decline: Share(0.05),
            not_in_use: Share(0.05),
            early_hangup: Share(0.05),
            customer_ends: Share(0.5),
            ring: span,
            talk: span,
            early_after: span,
        }
    }

    #[test]
    fn the_same_seed_plays_the_same_customers_and_another_seed_others() {
        let play = |seed| (0..200).map(|i| call(seed, Kind::Callback, i, &mix())).collect::<Vec<_>>();
        assert_eq!(play(1), play(1));
        assert_ne!(play(1), play(2));
    }

    #[test]
    fn shares_come_out_as_asked() {
        let behaviours: Vec<_> = (0..10_000).map(|i| call(9, Kind::Callback, i, &mix())).collect();
        let share = |wanted: fn(&Behaviour) -> bool| behaviours.iter().filter(|b| wanted(b)).count();
        assert!((900..1_100).contains(&share(|b| *b == Behaviour::Busy)));
        assert!((400..600).contains(&share(|b| *b == Behaviour::NoAnswer)));
        assert!((6_800..7_200).contains(&share(|b| matches!(b, Behaviour::Talk { .. }))));
    }

    #[test]
    fn inbound_callers_are_never_busy() {
        let calls = (0..1_000).map(|i| call(9, Kind::Inbound, i, &mix()));
        assert!(
            calls.into_iter().all(|b| matches!(b, Behaviour::Talk { .. } | Behaviour::EarlyHangup { .. }))
        );
    }

    #[test]
    fn numbers_differ_by_kind_and_index() {
        assert_eq!(number("+3197", Kind::Callback, 7), "+31971000007");
        assert_ne!(number("+3197", Kind::Callback, 7), number("+3197", Kind::Preview, 7));
    }
}
