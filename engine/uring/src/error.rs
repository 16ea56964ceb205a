//! What can go wrong, and what to do about it.

use std::{fs, io};
use thiserror::Error;

/// Why a ring cannot be made; each text says what to do.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A size in the configuration is out of range.
    #[error("the ring's configuration is wrong: {0}")]
    Config(&'static str),
    /// The kernel has no io_uring at all (ENOSYS).
    #[error(
        "this kernel ({kernel}) has no io_uring: Linux 6.1 or newer, built with CONFIG_IO_URING, is needed; if \
         the kernel is new enough, a container's seccomp profile hides it"
    )]
    Missing {
        /// The running kernel's release.
        kernel: String,
    },
    /// The administrator has switched io_uring off (EPERM and the sysctl says so).
    #[error(
        "io_uring is switched off here (sysctl kernel.io_uring_disabled = {level}): set it to 0, or to 1 and put \
         this user into the group of sysctl kernel.io_uring_group"
    )]
    Disabled {
        /// 1: privileged processes only; 2: nobody.
        level: u8,
    },
    /// Something other than the sysctl forbids it (EPERM, EACCES).
    #[error(
        "io_uring is forbidden here, most likely by a container's seccomp profile or a security module: allow \
         io_uring_setup, io_uring_enter and io_uring_register (for example with a seccomp profile of your own, or \
         --security-opt seccomp=unconfined)"
    )]
    Forbidden,
    /// Not enough memory that may be locked (ENOMEM).
    #[error(
        "not enough memory for {what}: raise the locked-memory limit (ulimit -l, or LimitMEMLOCK= in systemd), or \
         the container's memory limit, or configure smaller rings"
    )]
    Memory {
        /// What was being set up.
        what: &'static str,
    },
    /// More registered sockets wanted than descriptors allowed (EMFILE).
    #[error(
        "{wanted} sockets do not fit into this process's limit of open files: raise it (ulimit -n, or \
         LimitNOFILE= in systemd), or configure fewer"
    )]
    Files {
        /// Size of the registered-file table asked for.
        wanted: u32,
    },
    /// The kernel has io_uring but lacks a part that the datapath is built on.
    #[error("this kernel ({kernel}) lacks {what}: Linux 6.1 or newer is needed")]
    Unsupported {
        /// The running kernel's release.
        kernel: String,
        /// The missing part.
        what: &'static str,
    },
    /// Anything else.
    #[error("cannot set up {what}: {source}")]
    Os {
        /// What was being set up.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

impl SetupError {
    /// The error for a system call that failed while `what` was being set up.
    pub(crate) fn from_os(what: &'static str, source: io::Error) -> Self {
        let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
        let level = disabled.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        Self::classify(what, source, level)
    }

    /// As [`from_os`](Self::from_os), with the sysctl's value given.
    fn classify(what: &'static str, source: io::Error, disabled_level: u8) -> Self {
        match source.raw_os_error() {
            Some(libc::ENOSYS) => Self::Missing { kernel: kernel_release() },
            Some(libc::EPERM | libc::EACCES) if disabled_level > 0 => {
                Self::Disabled { level: disabled_level }
            }
            Some(libc::EPERM | libc::EACCES) => Self::Forbidden,
            Some(libc::ENOMEM) => Self::Memory { what },
            Some(libc::EINVAL) => Self::unsupported(what),
            _ => Self::Os { what, source },
        }
    }

    pub(crate) fn unsupported(what: &'static str) -> Self {
        Self::Unsupported { kernel: kernel_release(), what }
    }
}

/// Why a registered-file operation was refused.
#[derive(Debug, Error)]
pub enum SlotError {
    /// Every slot of the table is taken.
    #[error("the ring's table of sockets is full")]
    Full,
    /// The slot was given back before.
    #[error("the slot is not registered any more")]
    Stale,
    /// A receive is armed already.
    #[error("a receive is armed on this slot")]
    Armed,
    /// No receive is armed.
    #[error("no receive is armed on this slot")]
    Idle,
    /// The submission queue is full and the kernel accepts nothing now: take completions, then try again.
    #[error("the submission queue is full")]
    QueueFull,
    /// The kernel refused.
    #[error("the kernel refused: {0}")]
    Os(#[from] io::Error),
}

/// Why a packet was not queued for sending; its buffer has been recycled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// The slot was given back before.
    #[error("the slot is not registered any more")]
    Stale,
    /// The submission queue is full and the kernel accepts nothing now: take completions first.
    #[error("the submission queue is full")]
    QueueFull,
    /// The payload does not fit into one datagram.
    #[error("the payload does not fit into one datagram")]
    TooLong,
}

fn kernel_release() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    if release.is_empty() { "of unknown version".to_owned() } else { release.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(errno: i32, level: u8) -> String {
        SetupError::classify("the ring", io::Error::from_raw_os_error(errno), level).to_string()
    }

    #[test]
    fn a_kernel_without_io_uring_is_told_the_version_it_needs() {
        let text = text(libc::ENOSYS, 0);
        assert!(text.contains("Linux 6.1 or newer") && text.contains(&kernel_release()), "{text}");
    }

    #[test]
    fn a_sysctl_that_forbids_io_uring_is_named() {
        assert!(text(libc::EPERM, 2).contains("kernel.io_uring_disabled = 2"));
    }

    #[test]
    fn a_refusal_without_the_sysctl_points_at_seccomp() {
        assert!(text(libc::EPERM, 0).contains("seccomp"));
    }

    #[test]
    fn lack_of_memory_names_the_limit_to_raise() {
        assert!(text(libc::ENOMEM, 0).contains("ulimit -l"));
    }

    #[test]
    fn an_unknown_flag_or_operation_asks_for_a_newer_kernel() {
        assert!(text(libc::EINVAL, 0).contains("lacks the ring: Linux 6.1"));
    }
}
