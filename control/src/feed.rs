//! Live events: a bounded ring that any number of listeners read at their own pace.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use offhook_control_core::view::Notification;
use tokio::sync::watch;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Grows by one from event to event. A later run starts above everything that an earlier one gave out.
    pub(crate) id: u64,
    pub(crate) topic: &'static str,
    /// JSON.
    pub(crate) data: Arc<str>,
}

/// What a listener is to be told next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// These; ask again from the last id + 1.
    Items(Vec<Item>),
    /// What was asked for is not kept any more: fetch everything afresh, then go on from this id.
    Reset(u64),
    /// Nothing yet.
    Wait,
}

/// The ring.
pub(crate) struct Feed {
    ring: Mutex<Ring>,
    latest: watch::Sender<u64>,
}

struct Ring {
    items: VecDeque<Item>,
    next_id: u64,
}

impl Feed {
    /// An empty ring. `unix_ms` makes its ids higher than those of earlier runs: room for a thousand events a millisecond.
    pub(crate) fn new(unix_ms: u64) -> Self {
        let next_id = unix_ms * 1_000;
        let ring = Ring { items: VecDeque::with_capacity(KEPT), next_id };
        Self { ring: Mutex::new(ring), latest: watch::Sender::new(next_id - 1) }
    }

    pub(crate) fn publish(&self, notification: &Notification) {
        let data = notification.json().into();
        let mut ring = self.ring();
        let id = ring.next_id;
        ring.next_id += 1;
        if ring.items.len() == KEPT {
            ring.items.pop_front();
        }
        ring.items.push_back(Item { id, topic: notification.topic(), data });
        self.latest.send_replace(id);
    }

    /// Id that the next event will get.
    pub(crate) fn next_id(&self) -> u64 {
        self.ring().next_id
    }

    /// What comes at and after `from`.
    pub(crate) fn read(&self, from: u64) -> Next {
        let ring = self.ring();
        let first = ring.next_id - ring.items.len() as u64;
        if from > ring.next_id || from < first {
            return Next::Reset(ring.next_id);
        }
        if from == ring.next_id {
            return Next::Wait;
        }
        let skip = usize::try_from(from - first).unwrap_or(usize::MAX);
        Next::Items(ring.items.iter().skip(skip).take(AT_ONCE).cloned().collect())
    }

    /// Changes with every event.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events kept for listeners that were away.
const KEPT: usize = 16_384;
/// Events handed to one listener at once.
const AT_ONCE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(feed: &Feed, count: usize) {
        for _ in 0..count {
            feed.publish(&Notification::Statistics(Box::default()));
        }
    }

    #[test]
    fn a_listener_gets_each_event_once_and_in_order() {
        let feed = Feed::new(1);
        assert_eq!(feed.read(1_000), Next::Wait);
        publish(&feed, 3);
        let Next::Items(items) = feed.read(1_001) else { panic!("there are events") };
        assert_eq!(items.iter().map(|item| item.id).collect::<Vec<_>>(), [1_001, 1_002]);
        assert_eq!(feed.read(1_003), Next::Wait);
    }

    #[test]
    fn who_was_away_for_too_long_is_told_to_start_afresh() {
        let feed = Feed::new(1);
        publish(&feed, KEPT + 5);
        assert_eq!(feed.read(1_004), Next::Reset(1_000 + KEPT as u64 + 5));
        assert!(matches!(feed.read(1_005), Next::Items(_)));
    }

    #[test]
    fn an_id_of_another_run_is_no_place_to_go_on_from() {
        let feed = Feed::new(2);
        publish(&feed, 1);
        assert_eq!(feed.read(1_500), Next::Reset(2_001));
        assert_eq!(feed.read(9_999), Next::Reset(2_001));
    }
}
