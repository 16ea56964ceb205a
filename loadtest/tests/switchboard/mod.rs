//! A switchboard small enough to be trusted: REST, SIP and RTP of control and engine in one process, with faults on demand.
//!
//! It borrows the harness's SIP, so it proves nothing about that; SIPp does. It proves the director, the oracle and the report.

mod core;
mod http;
mod relay;
#[path = "../../src/sip/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a switchboard needs only a part of it")]
mod sip;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the switchboard does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// Now and then a customer's packet goes to another agent as well.
    Misroute,
    /// Now and then a packet is lost.
    Lose,
    /// Customers do not hear agents.
    OneWay,
    /// The agent's voice goes on to the customer after the hang-up.
    KeepTalking,
    /// Each splice restarts the stream with another SSRC.
    NewStream,
    /// The records name the wrong agent.
    WrongRecord,
}

/// A running switchboard; stops when dropped.
pub(crate) struct Switchboard {
    pub(crate) http: SocketAddr,
    pub(crate) sip: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Switchboard {
    pub(crate) fn start(trunk: SocketAddr, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(2))).expect("a timeout");
        let (http, sip) = (listener.local_addr().expect("bound"), socket.local_addr().expect("bound"));
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, asked) = mpsc::channel();
        http::serve(listener, sender);
        let relay = relay::Relay::start(fault, stop.clone());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut core = core::Core::new(sip, trunk, relay, fault);
            let mut buffer = [0; 65_535];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
                    core.handle_datagram(from, &buffer[..bytes]);
                }
                asked.try_iter().for_each(|asked| core.handle_request(asked));
                core.turn();
                core.transmit(&socket);
            }
        });
        Self { http, sip, stop, thread: Some(thread) }
    }
}

impl Drop for Switchboard {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
