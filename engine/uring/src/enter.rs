//! The system call that submits and waits (`man 2 io_uring_enter`).
//!
//! The io-uring crate's own cannot keep a registered ring descriptor across calls, nor run deferred work without
//! waiting; so it is made here.

use std::os::fd::RawFd;
use std::time::Duration;
use std::{io, ptr};

/// How a ring is entered: by descriptor, or by its index among the thread's registered ring descriptors.
#[derive(Debug)]
pub(crate) struct Entrance {
    fd: RawFd,
    flags: u32,
}

/// What to wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) min_complete: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) min_wait: Duration,
}

impl Entrance {
    /// Enters `ring` without a descriptor look-up if the kernel registers ring descriptors (5.18), else by it.
    pub(crate) fn new(ring: RawFd) -> Self {
        match registered_index(ring) {
            Some(index) => Self { fd: index as RawFd, flags: ENTER_REGISTERED_RING },
            None => Self { fd: ring, flags: 0 },
        }
    }

    /// Submits up to `count` queued operations, without waiting and without running deferred work.
    pub(crate) fn submit(&self, count: u32) -> io::Result<u32> {
        self.enter(count, 0, 0, None)
    }

    /// Submits up to `count` queued operations, runs deferred work, and waits.
    pub(crate) fn submit_and_wait(&self, count: u32, wait: &Wait) -> io::Result<u32> {
        let timeout = wait.timeout.map(|timeout| Timespec {
            sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            nsec: i64::from(timeout.subsec_nanos()),
        });
        let argument = WaitArgument {
            sigmask: 0,
            sigmask_len: 0,
            min_wait_us: u32::try_from(wait.min_wait.as_micros()).unwrap_or(u32::MAX),
            timeout: timeout.as_ref().map_or(0, |timeout| ptr::from_ref(timeout) as u64),
        };
        self.enter(count, wait.min_complete, ENTER_GETEVENTS | ENTER_EXT_ARG, Some(&argument))
    }

    fn enter(&self, count: u32, min: u32, flags: u32, argument: Option<&WaitArgument>) -> io::Result<u32> {
        let (address, len) = argument.map_or((ptr::null(), 0), |a| (ptr::from_ref(a), size_of_val(a)));
        let flags = flags | self.flags;
        // SAFETY: `address` is null with length 0, or a live struct io_uring_getevents_arg of that length whose
        // time-out is null or live; the queued operations were vouched for when they were pushed.
        let entered =
            unsafe { libc::syscall(libc::SYS_io_uring_enter, self.fd, count, min, flags, address, len) };
        u32::try_from(entered).map_err(|_| io::Error::last_os_error())
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        if self.flags == ENTER_REGISTERED_RING {
            let mut update = RingFdUpdate { index: self.fd as u32, reserved: 0, fd: 0 };
            register(self.fd, UNREGISTER_RING_FDS | USE_REGISTERED_RING, &mut update);
        }
    }
}

/// The index under which this thread's ring `ring` is registered from now on; `None` if the kernel will not.
fn registered_index(ring: RawFd) -> Option<u32> {
    let mut update = RingFdUpdate { index: u32::MAX, reserved: 0, fd: ring as u64 };
    let registered = register(ring, REGISTER_RING_FDS, &mut update);
    (registered == 1).then_some(update.index)
}

fn register(fd: RawFd, operation: u32, update: &mut RingFdUpdate) -> libc::c_long {
    // SAFETY: both operations used read and write one struct io_uring_rsrc_update, which is what `update` is.
    unsafe { libc::syscall(libc::SYS_io_uring_register, fd, operation, ptr::from_mut(update), 1) }
}

/// `struct io_uring_getevents_arg`.
#[repr(C)]
struct WaitArgument {
    sigmask: u64,
    sigmask_len: u32,
    min_wait_us: u32,
    timeout: u64,
}

/// `struct __kernel_timespec`.
#[repr(C)]
struct Timespec {
    sec: i64,
    nsec: i64,
}

/// `struct io_uring_rsrc_update`, as the two operations on ring descriptors use it.
#[repr(C)]
struct RingFdUpdate {
    index: u32,
    reserved: u32,
    fd: u64,
}

const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 1 << 3;
const ENTER_REGISTERED_RING: u32 = 1 << 4;
const REGISTER_RING_FDS: u32 = 20;
const UNREGISTER_RING_FDS: u32 = 21;
const USE_REGISTERED_RING: u32 = 1 << 31;
