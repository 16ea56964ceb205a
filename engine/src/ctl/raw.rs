//! One request exactly as it was typed.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, bail};
use offhook_proto::auth::{Envelope, Key};
use offhook_proto::{frame, limits, uninterrupted};

use crate::clock::unix_ms;

/// Sends a dictionary, again while nothing comes back, and returns the one in the reply.
///
/// # Errors
/// The engine does not answer, or its answer cannot be opened.
pub(crate) fn exchange(engine: SocketAddr, key: Option<Key>, dictionary: &str) -> anyhow::Result<String> {
    let any: SocketAddr =
        if engine.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(engine)?;
    socket.set_read_timeout(Some(AGAIN_AFTER))?;
    let mut envelope = Envelope::client(key);
    let cookie = format!("raw{}-{}", std::process::id(), unix_ms());
    let request = format!("{cookie} {dictionary}").into_bytes();
    let mut buffer = vec![0; limits::REPLY_BYTES];
    for _ in 0..ATTEMPTS {
        socket.send(&envelope.seal(unix_ms(), request.clone()))?;
        loop {
            let length = match uninterrupted(|| socket.recv(&mut buffer)) {
                Ok(length) => length,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) => return Err(error).context(format!("no engine at {engine} (--control)")),
            };
            let reply = envelope.open(unix_ms(), &buffer[..length])?;
            match frame::split(&reply) {
                Ok((answered, body)) if answered == cookie => {
                    return Ok(String::from_utf8_lossy(body).into_owned());
                }
                _ => {}
            }
        }
    }
    bail!("{engine} does not answer")
}

/// Whether the engine has refused the request.
pub(crate) fn is_refusal(reply: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(reply).is_ok_and(|reply| reply["result"] == "error")
}

const AGAIN_AFTER: Duration = Duration::from_millis(500);
const ATTEMPTS: u32 = 6;
