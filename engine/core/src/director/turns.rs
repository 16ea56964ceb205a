//! Whose turn it is: operations on the same leg run one after another, in the order in which they came.
//!
//! An operation takes its place in the queues of all its legs at once, so no two can wait for each other.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::OpId;
use crate::limits::OPERATIONS_PER_LEG;

/// Queues of operations, by name of leg.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    queues: BTreeMap<Arc<str>, VecDeque<OpId>>,
    /// In how many queues an operation is not the first.
    blocked: HashMap<OpId, usize>,
}

impl Turns {
    /// Whether one more operation fits into the queues of all these legs.
    pub(crate) fn has_room(&self, legs: &[Arc<str>]) -> bool {
        legs.iter().all(|leg| self.queues.get(leg).is_none_or(|queue| queue.len() < OPERATIONS_PER_LEG))
    }

    /// Takes a place in each queue. Returns whether it is its turn at once. `legs` names none twice.
    pub(crate) fn enter(&mut self, op: OpId, legs: &[Arc<str>]) -> bool {
        let mut blocked = 0;
        for leg in legs {
            let queue = self.queues.entry(Arc::clone(leg)).or_default();
            blocked += usize::from(!queue.is_empty());
            queue.push_back(op);
        }
        if blocked > 0 {
            self.blocked.insert(op, blocked);
        }
        blocked == 0
    }

    /// Gives the places of an operation whose turn it was to the next ones. Calls `on_turn` for each whose turn it is now.
    pub(crate) fn leave(&mut self, op: OpId, legs: &[Arc<str>], mut on_turn: impl FnMut(OpId)) {
        for leg in legs {
            let Some(queue) = self.queues.get_mut(leg) else { continue };
            let first = queue.pop_front();
            assert_eq!(first, Some(op), "only the first operation of a leg runs");
            let Some(next) = queue.front().copied() else {
                self.queues.remove(leg);
                continue;
            };
            let blocked = self.blocked.get_mut(&next).expect("whoever was not the first is counted");
            *blocked -= 1;
            if *blocked == 0 {
                self.blocked.remove(&next);
                on_turn(next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_operation_gets_its_turn_alone_and_in_order(
            ops in proptest::collection::vec(proptest::collection::btree_set(0_u8..6, 1..4), 1..60),
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 60),
        ) {
            let legs = |op: usize| ops[op].iter().map(|leg| Arc::from(leg.to_string())).collect::<Vec<Arc<str>>>();
            let mut turns = Turns::default();
            let mut running = Vec::new();
            for op in 0..ops.len() {
                if turns.enter(OpId(op as u64), &legs(op)) {
                    running.push(op);
                }
            }
            let mut done = Vec::new();
            for pick in picks.iter().take(ops.len()) {
                for (at, one) in running.iter().enumerate() {
                    for other in &running[at + 1..] {
                        prop_assert!(ops[*one].is_disjoint(&ops[*other]));
                    }
                }
                let op = running.swap_remove(pick.index(running.len()));
                turns.leave(OpId(op as u64), &legs(op), |next| running.push(next.0 as usize));
                done.push(op);
            }
            prop_assert_eq!(done.len(), ops.len());
            for leg in 0..6 {
                let of_leg: Vec<_> = done.iter().filter(|op| ops[**op].contains(&leg)).collect();
                prop_assert!(of_leg.is_sorted());
            }
            prop_assert!(turns.queues.is_empty() && turns.blocked.is_empty());
        }
    }
}
