//! The wait that gathers, and that a wake ends all the same.
//!
//! A wait for many completions is not over when the waker's poll adds one. A signal ends it: [`SIGNAL`], blocked in the ring's
//! thread except during such a wait, so that none comes too early and is lost. Its handler does nothing.

use crate::sys::{self, SignalMask};
use io_uring::{IoUring, types};
use std::io;
use std::time::Duration;

/// A thread's signals while it waits.
#[derive(Debug)]
pub(crate) struct GatheringWait {
    mask: SignalMask,
}

impl GatheringWait {
    /// Prepares the calling thread.
    pub(crate) fn prepare() -> io::Result<Self> {
        sys::handle_with_nothing(SIGNAL)?;
        let before = sys::block_signal(SIGNAL)?;
        Ok(Self { mask: before & !sys::mask_of(SIGNAL) })
    }

    /// Submits what is queued, and waits for `wanted` completions, or for one once `gather` has passed, or for the signal.
    pub(crate) fn enter(
        &self,
        ring: &mut IoUring,
        wanted: u32,
        gather: Duration,
        timeout: Option<&types::Timespec>,
    ) -> io::Result<usize> {
        let queued = ring.submission().len();
        let argument = Argument {
            mask: (&raw const self.mask).addr() as u64,
            mask_bytes: size_of::<SignalMask>() as u32,
            min_wait_us: u32::try_from(gather.as_micros()).unwrap_or(u32::MAX),
            timeout: timeout.map_or(0, |timeout| std::ptr::from_ref(timeout).addr() as u64),
        };
        let flags = ENTER_GETEVENTS | ENTER_EXT_ARG;
        // SAFETY: what is queued is as `Ring::push` demands; mask and time-out outlive the call, which only reads them.
        unsafe { ring.submitter().enter(queued as u32, wanted, flags, Some(&argument)) }
    }
}

/// `struct io_uring_getevents_arg` (`man 2 io_uring_enter`). The crate's own gives the size of the C library's signal set,
/// which the kernel refuses.
#[repr(C)]
struct Argument {
    mask: u64,
    mask_bytes: u32,
    min_wait_us: u32,
    timeout: u64,
}

/// Ends a thread's gathering wait. Unless handled it is ignored, and nobody here uses what else it tells.
pub(crate) const SIGNAL: libc::c_int = libc::SIGURG;

const ENTER_GETEVENTS: u32 = 1 << 0;
const ENTER_EXT_ARG: u32 = 1 << 3;
