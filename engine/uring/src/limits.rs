//! The limits of open files and of a file's size.

use crate::sys;
use std::io;
use thiserror::Error;

/// The limit of open files is too low and cannot be raised by this process.
#[derive(Debug, Error)]
pub enum LimitError {
    /// The hard limit is in the way.
    #[error(
        "{wanted} open files are needed and the hard limit is {hard}: raise it (ulimit -Hn, LimitNOFILE= in \
         systemd, --ulimit nofile= in Docker)"
    )]
    Hard {
        /// Descriptors asked for.
        wanted: u64,
        /// The hard limit in force.
        hard: u64,
    },
    /// The system refused.
    #[error("cannot change the limit of open files: {0}")]
    Os(#[from] io::Error),
}

/// Raises the limit of open files to at least `wanted` and returns the limit in force; never lowers it.
///
/// The hard limit is raised too where the process may (CAP_SYS_RESOURCE).
pub fn raise_nofile(wanted: u64) -> Result<u64, LimitError> {
    let (soft, hard) = sys::nofile_limits()?;
    if soft >= wanted {
        return Ok(soft);
    }
    match sys::set_nofile_limits(wanted, hard.max(wanted)) {
        Ok(()) => Ok(wanted),
        Err(_) if wanted > hard => Err(LimitError::Hard { wanted, hard }),
        Err(error) => Err(error.into()),
    }
}

/// From now on a write past the limit of a file's size (`ulimit -f`, `LimitFSIZE=`) fails like one to a full disk; SIGXFSZ would
/// end the process.
///
/// # Errors
/// The system refused.
pub fn outlive_file_size_limit() -> io::Result<()> {
    sys::handle_with_nothing(libc::SIGXFSZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_high_enough_is_left_alone() {
        let (soft, _) = sys::nofile_limits().unwrap();
        assert_eq!(raise_nofile(1).unwrap(), soft);
    }

    #[test]
    fn a_limit_beyond_the_kernels_own_is_refused_with_the_hard_limit() {
        let text = raise_nofile(1 << 40).unwrap_err().to_string();
        assert!(text.contains("LimitNOFILE="), "{text}");
    }
}
