//! `cookie SP dictionary`: how a datagram is laid out, in both directions.

use crate::limits::COOKIE_BYTES;
use crate::{Error, ErrorCode};

/// Splits a datagram into its cookie and the rest.
///
/// # Errors
/// `bad_request` when there is no space after 1 to [`COOKIE_BYTES`] printable bytes.
pub fn split(datagram: &[u8]) -> Result<(&str, &[u8]), Error> {
    let space = datagram.iter().take(COOKIE_BYTES + 1).position(|&byte| byte == b' ');
    let Some(space) = space.filter(|&at| at > 0) else {
        return Err(Error::new(
            ErrorCode::BadRequest,
            "a datagram starts with a cookie of 1 to 64 bytes and a space",
        ));
    };
    let (cookie, rest) = (&datagram[..space], &datagram[space + 1..]);
    match std::str::from_utf8(cookie) {
        Ok(cookie) if cookie.bytes().all(|byte| byte.is_ascii_graphic()) => Ok((cookie, rest)),
        _ => Err(Error::new(ErrorCode::BadRequest, "the cookie holds bytes that are not printable ASCII")),
    }
}

/// A datagram of a cookie and a JSON dictionary.
pub fn join(cookie: &str, body: &impl serde::Serialize) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(256);
    datagram.extend_from_slice(cookie.as_bytes());
    datagram.push(b' ');
    serde_json::to_writer(&mut datagram, body).expect("our own types serialise into memory");
    datagram
}
