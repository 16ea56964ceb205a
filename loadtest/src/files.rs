//! Open files, of which thousands of sockets need more than a process has at first.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lets this process and its children open `needed` files, or as many as they may; returns how many.
///
/// # Errors
/// The limits cannot be asked for, or not even be raised to what is allowed.
pub fn raise_limit(needed: u64) -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= needed {
        return Ok(soft);
    }
    // Root may raise the hard limit too.
    if setrlimit(Resource::RLIMIT_NOFILE, needed, needed.max(hard)).is_ok() {
        return Ok(needed);
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}
