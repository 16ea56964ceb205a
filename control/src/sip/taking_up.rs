//! The time in which dialogs of an earlier run are taken up. A request in a dialog that nobody knows yet has no answer then, where
//! a 481 would end the call for its peer and not for us: over UDP it comes again (RFC 3261 section 17.1.2.2), over a connection it does
//! not, and is kept until its dialog is there.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::HELD_REQUESTS;
use super::shared::{DialogKey, lock};

/// Whether it lasts, and what waits for its dialog meanwhile.
pub(crate) struct TakingUp<T> {
    /// More are to be expected.
    expected: AtomicBool,
    /// Those that are being taken up.
    under_way: AtomicUsize,
    /// When nothing comes again any more.
    end: Instant,
    /// In the order in which they came; none any more once all have been given out.
    held: Mutex<Option<Vec<(DialogKey, T)>>>,
    /// One more has been taken up, or no more are to be expected.
    moved: Notify,
}

/// One that is being taken up, until it is dropped.
pub(crate) struct One<T>(Arc<TakingUp<T>>);

/// What becomes of a request whose dialog nobody knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Hold<T> {
    /// It is given out later.
    Held,
    /// As many wait as may.
    Full,
    /// There is nothing to wait for: here it is again.
    Over(T),
}

impl<T> TakingUp<T> {
    /// Lasts for so long at most.
    pub(crate) fn new(expected: bool, longest: Duration) -> Arc<Self> {
        Arc::new(Self {
            expected: AtomicBool::new(expected),
            under_way: AtomicUsize::new(0),
            end: Instant::now() + longest,
            held: Mutex::new(expected.then(Vec::new)),
            moved: Notify::new(),
        })
    }

    pub(crate) fn one(self: &Arc<Self>) -> One<T> {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        One(Arc::clone(self))
    }

    /// No more are to be expected.
    pub(crate) fn no_more(&self) {
        self.expected.store(false, Ordering::Release);
        self.moved.notify_one();
    }

    pub(crate) fn lasts(&self) -> bool {
        (self.expected.load(Ordering::Acquire) || self.under_way.load(Ordering::Acquire) > 0)
            && Instant::now() < self.end
    }

    /// Keeps what is to wait for a dialog.
    pub(crate) fn hold(&self, key: DialogKey, item: T) -> Hold<T> {
        match &mut *lock(&self.held) {
            None => Hold::Over(item),
            Some(held) if held.len() >= HELD_REQUESTS => Hold::Full,
            Some(held) => {
                held.push((key, item));
                Hold::Held
            }
        }
    }

    /// What has waited long enough, in the order in which it came: its dialog is known, or it is over. None when all has been given out,
    /// and nothing is kept any more. Waits for it; one task at a time may.
    pub(crate) async fn released(&self, is_known: impl Fn(&DialogKey) -> bool) -> Option<Vec<T>> {
        loop {
            let moved = self.moved.notified();
            if !self.lasts() {
                let rest = lock(&self.held).take()?;
                return Some(rest.into_iter().map(|(_, item)| item).collect());
            }
            let known = match &mut *lock(&self.held) {
                Some(held) => held.extract_if(.., |(key, _)| is_known(key)).map(|(_, item)| item).collect(),
                None => Vec::new(),
            };
            if !known.is_empty() {
                return Some(known);
            }
            let _ = tokio::time::timeout_at(self.end, moved).await;
        }
    }
}

impl<T> Drop for One<T> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
        self.0.moved.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn key(call: &str) -> DialogKey {
        (call.to_owned(), "tag".to_owned())
    }

    #[tokio::test]
    async fn what_waits_is_given_out_with_its_dialog_and_the_rest_when_it_is_over_in_the_order_of_its_coming()
    {
        let taking_up = TakingUp::new(true, LONG);
        for (call, item) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            assert_eq!(taking_up.hold(key(call), item), Hold::Held);
        }
        let one = taking_up.one();
        drop(one);
        assert_eq!(taking_up.released(|known| *known == key("a")).await, Some(vec![1, 3]));
        let last = taking_up.one();
        taking_up.no_more();
        assert!(taking_up.lasts(), "one is still being taken up");
        drop(last);
        assert_eq!(taking_up.released(|_| false).await, Some(vec![2, 4]));
        assert_eq!(taking_up.released(|_| false).await, None);
        assert_eq!(taking_up.hold(key("d"), 5), Hold::Over(5));
    }

    #[tokio::test]
    async fn no_more_wait_than_may_and_none_for_longer_than_the_whole_time() {
        let taking_up = TakingUp::new(true, Duration::from_millis(20));
        for item in 0..HELD_REQUESTS {
            assert_eq!(taking_up.hold(key("a"), item), Hold::Held);
        }
        assert_eq!(taking_up.hold(key("a"), 0), Hold::Full);
        let released = taking_up.released(|_| false).await;
        assert_eq!(released.map(|items| items.len()), Some(HELD_REQUESTS));
    }

    #[tokio::test]
    async fn nothing_waits_where_nothing_is_to_be_taken_up() {
        let taking_up = TakingUp::new(false, LONG);
        assert_eq!(taking_up.hold(key("a"), 1), Hold::Over(1));
        assert_eq!(taking_up.released(|_| false).await, None);
    }
}
