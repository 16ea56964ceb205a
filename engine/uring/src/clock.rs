//! The clocks, and the processor, of the calling thread.

use crate::sys;
use std::io;

/// Monotonic time in nanoseconds, from an arbitrary start (CLOCK_MONOTONIC).
pub fn monotonic_ns() -> u64 {
    sys::clock_ns(libc::CLOCK_MONOTONIC)
}

/// Processor time that the calling thread has used, user and system, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    sys::clock_ns(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Confines the calling thread to processor `cpu`, counted from 0.
///
/// EINVAL if there is no such processor, or the process may not use it.
pub fn pin_to_cpu(cpu: usize) -> io::Result<()> {
    sys::pin_to_cpu(cpu)
}

/// The processors that the calling thread may run on, ascending; a container may have taken some away.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    sys::allowed_cpus()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_never_go_back() {
        let (wall, cpu) = (monotonic_ns(), thread_cpu_ns());
        assert!(monotonic_ns() >= wall && thread_cpu_ns() >= cpu);
    }

    #[test]
    fn a_pinned_thread_may_use_that_processor_only() {
        std::thread::spawn(|| {
            let last = *allowed_cpus().unwrap().last().unwrap();
            pin_to_cpu(last).unwrap();
            assert_eq!(allowed_cpus().unwrap(), [last]);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_processor_that_is_not_there_is_refused() {
        assert_eq!(pin_to_cpu(usize::MAX).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
