//! The time in which dialogs of an earlier run are taken up. A request in a dialog that nobody knows yet has no answer then, and
//! comes again (RFC 3261 section 17.1.2.2), where a 481 would end the call for its peer and not for us.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Whether it lasts.
#[derive(Debug)]
pub(crate) struct TakingUp {
    /// More are to be expected.
    expected: AtomicBool,
    /// Those that are being taken up.
    under_way: AtomicUsize,
    /// When nothing comes again any more.
    end: Instant,
}

/// One that is being taken up, until it is dropped.
pub(crate) struct One(Arc<TakingUp>);

impl TakingUp {
    /// Lasts for so long at most.
    pub(crate) fn new(expected: bool, longest: Duration) -> Arc<Self> {
        let (expected, under_way) = (AtomicBool::new(expected), AtomicUsize::new(0));
        Arc::new(Self { expected, under_way, end: Instant::now() + longest })
    }

    pub(crate) fn one(self: &Arc<Self>) -> One {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        One(Arc::clone(self))
    }

    /// No more are to be expected.
    pub(crate) fn no_more(&self) {
        self.expected.store(false, Ordering::Release);
    }

    pub(crate) fn lasts(&self) -> bool {
        (self.expected.load(Ordering::Acquire) || self.under_way.load(Ordering::Acquire) > 0)
            && Instant::now() < self.end
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}
