//! A customer's device: takes the pushes of a callback service, and proves who sent them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::eventually;

/// Listens for as long as the test runs.
#[derive(Debug)]
pub struct Device {
    address: SocketAddr,
    pushes: Arc<Mutex<Vec<Value>>>,
}

impl Device {
    /// Opens a port of the loopback address.
    ///
    /// # Panics
    /// When there is none.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let pushes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&pushes);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let push = receive(&stream);
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(push);
                let _ = (&stream).write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            }
        });
        Self { address, pushes }
    }

    /// The lines of a callback service that make it push here.
    pub fn settings(&self) -> String {
        format!("push_url = \"http://{}/push\"\npush_secret = \"{SECRET}\"\n", self.address)
    }

    /// What was pushed so far; a push that is not signed as it should be is null.
    pub fn pushes(&self) -> Vec<Value> {
        self.pushes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until there have been so many, and returns the last of them.
    pub fn awaits(&self, count: usize) -> Value {
        eventually(&format!("{count} pushes"), || self.pushes().get(count - 1).cloned())
    }
}

impl Default for Device {
    fn default() -> Self {
        Self::new()
    }
}

/// The body of one request, if its signature is that of our secret.
fn receive(stream: &TcpStream) -> Value {
    let mut reader = BufReader::new(stream);
    let header = |name: &str, line: &str| {
        let (of, value) = line.split_once(':')?;
        of.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    };
    let (mut length, mut signature) = (0, String::new());
    for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
        length = header("content-length", &line).and_then(|value| value.parse().ok()).unwrap_or(length);
        signature = header("x-offhook-signature", &line).unwrap_or(signature);
    }
    let mut body = vec![0; length];
    let whole = reader.read_exact(&mut body).is_ok();
    if whole && is_ours(&signature, &body) {
        serde_json::from_slice(&body).unwrap_or_default()
    } else {
        Value::Null
    }
}

/// `t=SECONDS,v1=HEX`: the HMAC-SHA256 of `SECONDS.BODY`.
fn is_ours(signature: &str, body: &[u8]) -> bool {
    let Some((time, sum)) = signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")) else {
        return false;
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    hex == sum
}

const SECRET: &str = "between us";
