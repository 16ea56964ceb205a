//! Waking a ring's thread from others.

use crate::completion::{Kind, Tag};
use crate::{sys, wait};
use io_uring::{opcode, squeue, types};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Wakes the ring's thread out of its wait, from any thread, also from one that gathers; it then finds a `Completion::Woken`.
///
/// Put the message into its queue first, then wake. Wakes between two `Woken`s cost one system call in all.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Bell>);

#[derive(Debug)]
struct Bell {
    event: OwnedFd,
    rung: AtomicBool,
    /// The ring's thread.
    thread: libc::pid_t,
    /// That it is in a wait which one completion does not end.
    gathering: AtomicBool,
}

impl Waker {
    /// Wakes the calling thread.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Bell {
            event: sys::eventfd()?,
            rung: AtomicBool::new(false),
            thread: sys::thread_id(),
            gathering: AtomicBool::new(false),
        })))
    }

    /// Wakes the ring's thread. Harmless when the ring is gone.
    pub fn wake(&self) {
        if !self.0.rung.swap(true, Ordering::SeqCst) {
            // The counter gains one for each Woken, so it cannot reach its end and block.
            sys::eventfd_add_one(&self.0.event);
            if self.0.gathering.load(Ordering::SeqCst) {
                sys::signal_thread(self.0.thread, wait::SIGNAL);
            }
        }
    }

    /// Lets the next wake ring again; what was queued before any earlier wake is visible after this.
    pub(crate) fn answer(&self) {
        self.0.rung.swap(false, Ordering::AcqRel);
    }

    /// Says that a wait begins which only a signal ends early. False when somebody has just rung: then none shall begin.
    ///
    /// Either we see the ring or the ringer sees us.
    pub(crate) fn begin_gathering(&self) -> bool {
        self.0.gathering.store(true, Ordering::SeqCst);
        !self.0.rung.load(Ordering::SeqCst)
    }

    /// Says that it is over.
    pub(crate) fn end_gathering(&self) {
        self.0.gathering.store(false, Ordering::Relaxed);
    }

    /// The operation that reports each wake. The event is never read: a poll is triggered by each write.
    pub(crate) fn poll(&self) -> squeue::Entry {
        let tag = Tag { kind: Kind::Wake, slot: 0, token: 0 };
        opcode::PollAdd::new(types::Fd(self.0.event.as_raw_fd()), libc::POLLIN as u32)
            .multi(true)
            .build()
            .user_data(tag.pack())
    }
}
