//! The plain system calls that neither std nor socket2 offers, each behind a safe function.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::{io, ptr};

/// A new event counter at zero, closed on exec.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: eventfd takes no pointers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    check(fd)?;
    // SAFETY: `fd` was just opened, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A raw IPv4 socket that takes packets with their headers and receives none (`man 7 raw`: IPPROTO_RAW).
pub(crate) fn raw_socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_INET, kind, libc::IPPROTO_RAW) };
    check(fd)?;
    // SAFETY: `fd` was just opened, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Adds one to an event counter. Does nothing at the counter's end, where it is readable anyway.
pub(crate) fn eventfd_add_one(event: &OwnedFd) {
    let one = 1_u64;
    // SAFETY: the kernel reads the eight bytes of `one`, which outlives the call.
    unsafe { libc::write(event.as_raw_fd(), ptr::from_ref(&one).cast(), size_of_val(&one)) };
}

/// Dissolves a socket's connection (`man 2 connect`: AF_UNSPEC).
pub(crate) fn disconnect(socket: BorrowedFd<'_>) -> io::Result<()> {
    let nowhere =
        libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: Default::default() };
    let len = size_of_val(&nowhere) as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes of `nowhere`, which outlives the call.
    check(unsafe { libc::connect(socket.as_raw_fd(), &raw const nowhere, len) })
}

/// Sets an integer option of the socket level.
pub(crate) fn set_socket_option(socket: BorrowedFd<'_>, option: i32, value: i32) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, option, value)
}

/// Sets an integer option.
pub(crate) fn set_option(socket: BorrowedFd<'_>, level: i32, option: i32, value: i32) -> io::Result<()> {
    let (address, len) = (ptr::from_ref(&value).cast(), size_of_val(&value) as libc::socklen_t);
    // SAFETY: the kernel reads `len` bytes of `value`, which outlives the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, address, len) })
}

/// Priority in queues of what a socket sends.
#[cfg(test)]
pub(crate) fn priority(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut priority: libc::c_int = 0;
    let mut len = size_of_val(&priority) as libc::socklen_t;
    let (value, len) = ((&raw mut priority).cast(), &raw mut len);
    // SAFETY: the kernel writes at most `len` bytes at `value`, an int, and the length; both outlive the call.
    check(unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PRIORITY, value, len) })?;
    Ok(priority as u32)
}

/// Length of the first datagram that waits in a socket (`man 7 udp`: FIONREAD).
pub(crate) fn bytes_waiting(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the kernel writes one int, which `bytes` is.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut bytes) })?;
    Ok(bytes as usize)
}

/// A clock's time in nanoseconds.
pub(crate) fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, which `time` is.
    let outcome = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(outcome, 0, "the clocks used exist on every Linux");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Confines the calling thread to one processor.
pub(crate) fn pin_to_cpu(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: cpu_set_t is an array of integers, for which zeroes are a value: the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `cpu` is below CPU_SETSIZE, so that the bit lies in the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: thread 0 is the calling one; the kernel reads one cpu_set_t, which `set` is.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) })
}

/// The processors that the calling thread may use, ascending.
pub(crate) fn allowed_cpus() -> io::Result<Vec<usize>> {
    // SAFETY: cpu_set_t is an array of integers, for which zeroes are a value: the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: thread 0 is the calling one; the kernel writes at most one cpu_set_t, which `set` is.
    check(unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) })?;
    let allowed = |cpu: &usize| {
        // SAFETY: `cpu` is below CPU_SETSIZE, so that the bit lies in the set.
        unsafe { libc::CPU_ISSET(*cpu, &set) }
    };
    Ok((0..libc::CPU_SETSIZE as usize).filter(allowed).collect())
}

/// Waits until every processor has left whatever part of the kernel it was in (`man 2 membarrier`: a grace period). Returns at
/// once where the kernel cannot.
pub(crate) fn wait_for_all_processors() {
    // SAFETY: membarrier takes no pointers.
    unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
}

/// Signals as the kernel counts them: bit 0 is signal 1.
pub(crate) type SignalMask = u64;

pub(crate) fn mask_of(signal: libc::c_int) -> SignalMask {
    1 << (signal - 1)
}

/// Blocks a signal in the calling thread, and returns the mask before.
pub(crate) fn block_signal(signal: libc::c_int) -> io::Result<SignalMask> {
    let (added, mut before) = (mask_of(signal), 0);
    let (added, how) = (&raw const added, libc::SIG_BLOCK);
    // SAFETY: the kernel reads one mask of the size given and writes another; both outlive the call.
    let outcome = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, how, added, &raw mut before, size_of::<SignalMask>())
    };
    check(outcome as libc::c_int)?;
    Ok(before)
}

/// Has this process do nothing at a signal.
pub(crate) fn handle_with_nothing(signal: libc::c_int) -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: sigaction consists of integers and pointers, for which zeroes are a value: no handler, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler touches nothing, and so may run anywhere; the kernel reads one sigaction.
    check(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) })
}

/// The calling thread's number.
pub(crate) fn thread_id() -> libc::pid_t {
    // SAFETY: gettid takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// Sends a signal to a thread of this process. Nothing happens when it has gone.
pub(crate) fn signal_thread(thread: libc::pid_t, signal: libc::c_int) {
    // SAFETY: tgkill takes no pointers, and reaches nobody but this process.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) };
}

/// The soft and hard limit of open files.
pub(crate) fn nofile_limits() -> io::Result<(u64, u64)> {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit, which `limits` is.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits) })?;
    Ok((limits.rlim_cur, limits.rlim_max))
}

/// Sets the soft and hard limit of open files.
pub(crate) fn set_nofile_limits(soft: u64, hard: u64) -> io::Result<()> {
    let limits = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the kernel reads one rlimit, which `limits` is.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) })
}

fn check(outcome: libc::c_int) -> io::Result<()> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
