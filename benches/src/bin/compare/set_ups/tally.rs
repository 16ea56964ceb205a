//! What the phones, the carrier and the engine saw, put together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;

use crate::clock::unix_ns;
use crate::report::single::{self, QuantilesMs};

/// Shared by all who stand around control.
#[derive(Debug)]
pub(super) struct Tally {
    /// Conversations whose gates were opened, since the beginning of the measurement.
    pub(super) joined: AtomicU64,
    pub(super) refused: AtomicU64,
    counts: AtomicBool,
    next: AtomicU64,
    agents_called: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When each number was asked for; taken out at its INVITE.
    asked_ns: Vec<Option<u64>>,
    /// When the customer whose leg has this RTP port answered.
    answered_ns: Vec<Option<u64>>,
    request_to_invite: Histogram<u64>,
    answer_to_splice: Histogram<u64>,
    refusal: String,
}

impl Default for Tally {
    fn default() -> Self {
        let histogram = || single::histogram().expect("the bounds are good");
        let state = State {
            asked_ns: Vec::new(),
            answered_ns: vec![None; 1 << 16],
            request_to_invite: histogram(),
            answer_to_splice: histogram(),
            refusal: String::new(),
        };
        Self {
            joined: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            counts: AtomicBool::new(false),
            next: AtomicU64::new(0),
            agents_called: AtomicU64::new(0),
            state: Mutex::new(state),
        }
    }
}

impl Tally {
    /// Counts from now on.
    pub(super) fn begin(&self) {
        self.joined.store(0, Ordering::Relaxed);
        self.counts.store(true, Ordering::Relaxed);
    }

    /// A customer's number that is asked for now.
    pub(super) fn ask(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        let at = number as usize;
        if state.asked_ns.len() <= at {
            state.asked_ns.resize(at + 1, None);
        }
        state.asked_ns[at] = Some(unix_ns());
        format!("{PREFIX}{number:09}")
    }

    /// The number of an INVITE, if it is a customer's.
    pub(super) fn is_customer(user: &str) -> Option<usize> {
        user.strip_prefix(PREFIX)?.parse().ok()
    }

    /// An agent's INVITE has come.
    pub(super) fn call_agent(&self) {
        self.agents_called.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn agents_called(&self) -> u64 {
        self.agents_called.load(Ordering::Relaxed)
    }

    /// The customer's INVITE has come, with this RTP port in its offer, and is answered now.
    pub(super) fn answer(&self, number: usize, port: u16) {
        let now_ns = unix_ns();
        let counts = self.counts.load(Ordering::Relaxed);
        let mut state = self.state();
        if let Some(asked_ns) = state.asked_ns.get_mut(number).and_then(Option::take)
            && counts
        {
            state.request_to_invite.saturating_record(now_ns.saturating_sub(asked_ns).max(1));
        }
        state.answered_ns[usize::from(port)] = Some(now_ns);
    }

    /// Both gates of the leg with this RTP port were opened. True for a customer's leg.
    pub(super) fn join(&self, port: u16) -> bool {
        let mut state = self.state();
        let Some(answered_ns) = state.answered_ns[usize::from(port)].take() else { return false };
        if self.counts.load(Ordering::Relaxed) {
            state.answer_to_splice.saturating_record(unix_ns().saturating_sub(answered_ns).max(1));
            self.joined.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    pub(super) fn refuse(&self, why: String) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.state().refusal = why;
    }

    pub(super) fn last_refusal(&self) -> String {
        self.state().refusal.clone()
    }

    pub(super) fn request_to_invite(&self) -> QuantilesMs {
        QuantilesMs::of(&self.state().request_to_invite)
    }

    pub(super) fn answer_to_splice(&self) -> QuantilesMs {
        QuantilesMs::of(&self.state().answer_to_splice)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const PREFIX: &str = "+1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_counts_once_and_only_after_the_beginning() {
        let tally = Tally::default();
        for counted in [false, true] {
            if counted {
                tally.begin();
            }
            let number = Tally::is_customer(&tally.ask()).expect("a customer's");
            tally.answer(number, 20_000);
            assert!(tally.join(20_000));
            assert!(!tally.join(20_000), "it is joined already");
            assert_eq!(tally.joined.load(Ordering::Relaxed), u64::from(counted));
        }
        assert_eq!(Tally::is_customer("agent-7"), None);
    }
}
