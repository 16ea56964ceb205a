//! The line to the carrier, which can be cut: it answers OPTIONS by itself, as a carrier's proxy does, and passes on the rest.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A line in working order. Dropping it cuts it: nobody listens at the trunk's address any more.
#[derive(Debug)]
pub struct Line {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    /// Between control's SIP and a carrier, at the trunk's address.
    ///
    /// # Panics
    /// When somebody else is there.
    pub fn new(trunk: SocketAddr, control: SocketAddr, carrier: SocketAddr) -> Self {
        let socket = UdpSocket::bind(trunk).expect("the trunk's address");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let message = &buffer[..length];
                let _ = match (from == carrier, message.starts_with(b"OPTIONS ")) {
                    (true, _) => socket.send_to(message, control),
                    (false, true) => socket.send_to(&ok(message), from),
                    (false, false) => socket.send_to(message, carrier),
                };
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// 200 to a request.
fn ok(request: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    let mut answer = String::from("SIP/2.0 200 OK\r\n");
    for line in text.lines().skip(1).take_while(|line| !line.is_empty()) {
        if ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)) {
            answer.push_str(line);
            answer.push_str(if line.starts_with("To:") { ";tag=line\r\n" } else { "\r\n" });
        }
    }
    answer.push_str("Content-Length: 0\r\n\r\n");
    answer.into_bytes()
}
