//! The shared key of the control socket, and where the socket may go without one.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use offhook_proto::auth::Key;

use crate::run::Mistake;

/// Reads the key, without the white space around it.
///
/// # Errors
/// The file cannot be read, or its key is too short.
pub(crate) fn read(path: &Path) -> anyhow::Result<Key> {
    let text = std::fs::read(path).with_context(|| format!("cannot read the key file {}", path.display()))?;
    Key::new(&text).with_context(|| format!("the key file {}", path.display()))
}

/// Refuses a control socket that other hosts can reach and that nothing protects.
///
/// # Errors
/// `control` is not a loopback address, there is no key, and `open` was not said.
pub(crate) fn check_exposure(control: SocketAddr, has_key: bool, open: bool) -> Result<(), Mistake> {
    if control.ip().is_loopback() || has_key || open {
        return Ok(());
    }
    Err(Mistake(format!(
        "the control socket on {control} would obey every host that can reach it: give --key-file FILE, \
         or --open if the network itself keeps strangers away"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_goes_without_a_key() {
        let at = |text: &str| text.parse().expect("an address");
        assert!(check_exposure(at("127.0.0.9:1"), false, false).is_ok());
        assert!(check_exposure(at("[::1]:1"), false, false).is_ok());
        assert!(check_exposure(at("0.0.0.0:1"), false, false).is_err());
        assert!(check_exposure(at("10.0.0.1:1"), true, false).is_ok());
        assert!(check_exposure(at("[::]:1"), false, true).is_ok());
    }
}
