//! Signatures for control sockets that are not on loopback: HMAC-SHA256 (RFC 2104, FIPS 180-4) with a time window.
//!
//! A signed datagram is `cookie SP "@" unix_ms "." signature SP dictionary`. The signature is 64 lower-case hexadecimal
//! digits over everything else in the datagram, in the order in which it stands: `cookie SP "@" unix_ms SP dictionary`.
//! Requests, replies and events are all signed. They cannot be taken for one another, because a request has a `command`, a
//! reply a `result` and an event the cookie `event`.
//!
//! What stops a replay:
//! - outside the window of [`crate::limits::SIGNATURE_WINDOW_MS`] the time itself does;
//! - inside it, an [`Envelope`] has seen the signature and refuses the datagram, from whatever address it comes. So the
//!   reply cache, which answers a cookie that its sender repeats (signed anew, with a new time), is never the only thing
//!   between a replay and a second execution, and it may evict as it likes;
//! - when there are too many signatures to remember, the oldest go and everything signed before them is refused: the
//!   window becomes shorter, never leaky;
//! - after a restart, everything signed before the start is refused.
//!
//! Engines that share a key accept each other's datagrams: give each its own.

mod envelope;
mod replay;

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

pub use envelope::Envelope;
pub use replay::ReplayGuard;

use crate::limits::KEY_BYTES_MIN;
use crate::{Error, ErrorCode, frame};

/// A shared secret. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// A key from the contents of a key file; white space at either end is no part of it.
    ///
    /// # Errors
    /// `bad_value` when it is shorter than [`KEY_BYTES_MIN`].
    pub fn new(secret: &[u8]) -> Result<Self, Error> {
        let secret = secret.trim_ascii();
        if secret.len() < KEY_BYTES_MIN {
            let reason = format!("key: must be {KEY_BYTES_MIN} bytes or more, not {}", secret.len());
            return Err(Error::new(ErrorCode::BadValue, reason));
        }
        Ok(Self(secret.to_vec()))
    }

    fn mac(&self, cookie: &str, unix_ms: u64, dictionary: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of every length");
        mac.update(cookie.as_bytes());
        mac.update(format!(" @{unix_ms} ").as_bytes());
        mac.update(dictionary);
        mac
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A datagram with its signature. `now_unix_ms` is wall-clock time, in milliseconds since 1970.
///
/// A datagram that is sent again is signed again: the receiver refuses a signature that it has seen.
pub fn sign(key: &Key, now_unix_ms: u64, cookie: &str, dictionary: &[u8]) -> Vec<u8> {
    let tag = key.mac(cookie, now_unix_ms, dictionary).finalize().into_bytes();
    let mut datagram = format!("{cookie} @{now_unix_ms}.").into_bytes();
    for byte in tag {
        datagram.push(HEX[usize::from(byte >> 4)]);
        datagram.push(HEX[usize::from(byte & 15)]);
    }
    datagram.push(b' ');
    datagram.extend_from_slice(dictionary);
    datagram
}

/// Cookie and dictionary of a datagram whose signature is right and not further than `window_ms` from now, either way.
///
/// Does not know whether it has been seen before: that is for [`Envelope`] or [`ReplayGuard`].
///
/// # Errors
/// `bad_request` when it is no datagram at all; `unauthorized` when it is not signed, signed with another key, or outside
/// the window. The comparison takes the same time wherever the signatures differ.
pub fn verify<'a>(
    key: &Key,
    now_unix_ms: u64,
    window_ms: u64,
    datagram: &'a [u8],
) -> Result<(&'a str, &'a [u8]), Error> {
    let signed = verified(key, now_unix_ms, window_ms, datagram)?;
    Ok((signed.cookie, signed.dictionary))
}

/// A datagram whose signature is right.
pub(crate) struct Signed<'a> {
    pub(crate) cookie: &'a str,
    pub(crate) unix_ms: u64,
    pub(crate) tag: [u8; 32],
    pub(crate) dictionary: &'a [u8],
}

fn verified<'a>(
    key: &Key,
    now_unix_ms: u64,
    window_ms: u64,
    datagram: &'a [u8],
) -> Result<Signed<'a>, Error> {
    let (cookie, rest) = frame::split(datagram)?;
    let Some((unix_ms, tag, dictionary)) = signature(rest) else {
        return Err(unauthorized("the datagram is not signed, and this socket demands a shared key"));
    };
    key.mac(cookie, unix_ms, dictionary)
        .verify_slice(&tag)
        .map_err(|_| unauthorized("the signature is wrong: is the key the same on both sides?"))?;
    let off_ms = now_unix_ms.abs_diff(unix_ms);
    if off_ms > window_ms {
        return Err(unauthorized(format!(
            "signed {off_ms} ms from the receiver's time, more than {window_ms}: do the clocks agree?"
        )));
    }
    Ok(Signed { cookie, unix_ms, tag, dictionary })
}

/// `"@" unix_ms "." 64 hex SP dictionary`. The time must stand as [`sign`] writes it: one signature, one spelling.
fn signature(rest: &[u8]) -> Option<(u64, [u8; 32], &[u8])> {
    let rest = rest.strip_prefix(b"@")?;
    let dot = rest.iter().take(21).position(|&byte| byte == b'.')?;
    let time = std::str::from_utf8(&rest[..dot]).ok()?;
    let unix_ms = time.parse().ok().filter(|unix_ms: &u64| unix_ms.to_string() == time)?;
    let (hex, dictionary) = rest[dot + 1..].split_at_checked(64)?;
    let mut tag = [0; 32];
    for (byte, pair) in tag.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some((unix_ms, tag, dictionary.strip_prefix(b" ")?))
}

fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'a'..=b'f' => Some(hex - b'a' + 10),
        _ => None,
    }
}

pub(crate) fn unauthorized(reason: impl Into<String>) -> Error {
    Error::new(ErrorCode::Unauthorized, reason)
}

const HEX: &[u8; 16] = b"0123456789abcdef";
