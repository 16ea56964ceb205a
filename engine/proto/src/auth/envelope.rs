//! What stands between a socket and the cores that know no keys.

use std::borrow::Cow;

use super::replay::ReplayGuard;
use super::{Key, sign, unauthorized, verified};
use crate::limits::SIGNATURE_WINDOW_MS;
use crate::{Error, frame};

/// Signs what goes out and opens what comes in; without a key it does neither. One per socket.
#[derive(Debug)]
pub struct Envelope {
    key: Option<Key>,
    guard: ReplayGuard,
}

impl Envelope {
    /// For an engine that starts now: what was signed before is refused, since a replay of it could create legs anew.
    /// `now_unix_ms` is wall-clock time, in milliseconds since 1970.
    pub fn engine(key: Option<Key>, now_unix_ms: u64) -> Self {
        Self { key, guard: ReplayGuard::new(now_unix_ms) }
    }

    /// For a client: its cookies are new, so that old replies mean nothing to it.
    pub fn client(key: Option<Key>) -> Self {
        Self { key, guard: ReplayGuard::new(0) }
    }

    /// Whether datagrams are signed.
    pub fn is_signed(&self) -> bool {
        self.key.is_some()
    }

    /// `cookie SP dictionary` as it goes on the wire. A datagram without a cookie stays as it is.
    pub fn seal(&self, now_unix_ms: u64, datagram: Vec<u8>) -> Vec<u8> {
        let Some(key) = &self.key else { return datagram };
        match frame::split(&datagram) {
            Ok((cookie, dictionary)) => sign(key, now_unix_ms, cookie, dictionary),
            Err(_) => datagram,
        }
    }

    /// `cookie SP dictionary` of what came from the wire.
    ///
    /// # Errors
    /// `bad_request` when it is no datagram at all; `unauthorized` when its signature is missing, wrong, out of time or
    /// seen before, or when it is signed and there is no key here.
    pub fn open<'a>(&mut self, now_unix_ms: u64, datagram: &'a [u8]) -> Result<Cow<'a, [u8]>, Error> {
        let Some(key) = &self.key else {
            let (_, rest) = frame::split(datagram)?;
            if rest.starts_with(b"@") {
                return Err(unauthorized("the datagram is signed, and this side has no key"));
            }
            return Ok(Cow::Borrowed(datagram));
        };
        let signed = verified(key, now_unix_ms, SIGNATURE_WINDOW_MS, datagram)?;
        self.guard.admit(now_unix_ms, SIGNATURE_WINDOW_MS, signed.unix_ms, &signed.tag)?;
        let mut plain = Vec::with_capacity(signed.cookie.len() + 1 + signed.dictionary.len());
        plain.extend_from_slice(signed.cookie.as_bytes());
        plain.push(b' ');
        plain.extend_from_slice(signed.dictionary);
        Ok(Cow::Owned(plain))
    }
}
