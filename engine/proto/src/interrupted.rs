use std::io;

/// What a call of the operating system comes to when a signal does not break it off: it is made again after each `EINTR`.
///
/// The standard library does this for some calls and not for a datagram socket's. One with a timeout is broken off even where
/// no signal has a handler, when the process is stopped and continued: by a terminal, a debugger, a container that is paused
/// (signal(7), "Interruption of system calls and library functions by stop signals"). The timeout then begins anew.
///
/// # Errors
/// Those of `call`, but [`io::ErrorKind::Interrupted`].
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_signals_break_off_is_made_again_and_one_that_fails_is_not() {
        let outcomes = [Err(broken_off()), Err(broken_off()), Ok(7), Ok(8)];
        let mut outcomes = outcomes.into_iter();
        let mut call = || outcomes.next().expect("one more");
        assert_eq!(uninterrupted(&mut call).ok(), Some(7));
        assert_eq!(uninterrupted(&mut call).ok(), Some(8));
        let failed = uninterrupted(|| Err::<(), _>(io::ErrorKind::ConnectionRefused.into()));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    fn broken_off() -> io::Error {
        io::ErrorKind::Interrupted.into()
    }
}
