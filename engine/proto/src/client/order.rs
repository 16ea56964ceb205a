//! Events, put in order and acknowledged.

use std::collections::BTreeMap;

use crate::Event;
use crate::limits::CLIENT_REORDER;

/// An event in its place.
#[derive(Debug)]
pub(super) enum Slot {
    /// One to hand over.
    Event(Box<Event>),
    /// One of a kind that this version does not know.
    Unknown,
}

/// The stream of events of one subscription to one run of the engine.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Number to hand over next; unknown until the engine has said where the subscription begins.
    next: Option<u64>,
    /// Events that wait for one before them.
    early: BTreeMap<u64, Slot>,
    gap_since_us: Option<u64>,
    unacknowledged: u64,
    ack_due_us: Option<u64>,
}

impl Order {
    /// The subscription was answered: it begins after `seq`, or continues after `after` where there is one. True when the
    /// engine numbers anew, so that events may be missing.
    pub(super) fn begin(&mut self, now_us: u64, after: Option<u64>, seq: u64) -> bool {
        let starts_anew = after.is_some_and(|after| seq < after);
        if self.next.is_none() || starts_anew {
            self.next = Some(seq.saturating_add(1));
            self.early = self.early.split_off(&seq.saturating_add(1));
            self.gap_since_us = None;
            // Those up to `seq` are none of ours: the engine need not keep them.
            self.ack_due_us = (seq > 0).then_some(now_us);
        }
        starts_anew
    }

    /// Last event handed over.
    pub(super) fn last(&self) -> Option<u64> {
        self.next.map(|next| next - 1)
    }

    /// Takes an event in. False when it is dropped: seen before, or too far ahead.
    pub(super) fn insert(&mut self, now_us: u64, seq: u64, slot: Slot) -> bool {
        match self.next {
            // The engine has not seen the acknowledgement.
            Some(next) if seq < next => {
                self.ack_due_us.get_or_insert(now_us + ACK_DELAY_US);
                return false;
            }
            Some(next) if seq - next >= CLIENT_REORDER => return false,
            None if self.early.len() as u64 >= CLIENT_REORDER => return false,
            Some(_) | None => {}
        }
        self.early.insert(seq, slot).is_none()
    }

    /// The next event in order, which counts as taken from now on.
    pub(super) fn pop(&mut self, now_us: u64) -> Option<Slot> {
        let next = self.next?;
        let Some(slot) = self.early.remove(&next) else {
            if self.early.is_empty() {
                self.gap_since_us = None;
            } else {
                self.gap_since_us.get_or_insert(now_us);
            }
            return None;
        };
        self.next = Some(next.saturating_add(1));
        self.gap_since_us = None;
        self.unacknowledged += 1;
        self.ack_due_us.get_or_insert(now_us + ACK_DELAY_US);
        Some(slot)
    }

    /// Gives up on events that are missing for too long. True when it did.
    pub(super) fn skip_gap(&mut self, now_us: u64) -> bool {
        if self.gap_since_us.is_none_or(|since_us| now_us < since_us.saturating_add(GAP_US)) {
            return false;
        }
        self.gap_since_us = None;
        self.next = self.early.first_key_value().map(|(&seq, _)| seq).or(self.next);
        true
    }

    /// Number to acknowledge now, if it is time.
    pub(super) fn poll_ack(&mut self, now_us: u64) -> Option<u64> {
        let due = self.ack_due_us.is_some_and(|due_us| due_us <= now_us);
        if !due && self.unacknowledged < ACK_EVERY {
            return None;
        }
        self.ack_due_us = None;
        self.unacknowledged = 0;
        self.last()
    }

    pub(super) fn poll_timeout(&self) -> Option<u64> {
        let gap_us = self.gap_since_us.map(|since_us| since_us.saturating_add(GAP_US));
        self.ack_due_us.into_iter().chain(gap_us).min()
    }
}

/// An acknowledgement waits so long for more events to cover.
const ACK_DELAY_US: u64 = 20_000;
/// So many events are acknowledged without waiting.
const ACK_EVERY: u64 = 16;
/// The engine sends an event again many times within this; what has not come by then does not come.
const GAP_US: u64 = 10_000_000;
