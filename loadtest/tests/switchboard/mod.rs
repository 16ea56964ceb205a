//! A switchboard small enough to be trusted: REST, SIP and RTP of control and engine in one process, with faults on demand.
//!
//! It borrows the harness's SIP, so it proves nothing about that; SIPp does. It proves the director, the oracle and the report.

mod core;
mod http;
mod relay;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use offhook_loadtest::sip::Transport;
use offhook_loadtest::wire::Wire;

pub(crate) use http::TOKEN;

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
    /// Each packet of a key is sent on as a key of its own.
    RepeatKeys,
    /// Inbound callers have to press 4 and 2 before they are let through: none, but a house of its own.
    Menu,
    /// REST demands [`TOKEN`]: none either.
    Locked,
}

/// A running switchboard; stops when dropped.
pub(crate) struct Switchboard {
    pub(crate) http: SocketAddr,
    pub(crate) sip: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Switchboard {
    pub(crate) fn start(trunk: SocketAddr, transport: Transport, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (received, messages) = mpsc::channel();
        let on_message = move |from, message| drop(received.send((from, message)));
        let wire = Wire::open(SocketAddr::from(([127, 0, 0, 1], 0)), transport, on_message).expect("a port");
        let (http, sip) = (listener.local_addr().expect("bound"), wire.local());
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, asked) = mpsc::channel();
        http::serve(listener, fault == Fault::Locked, sender);
        let relay = relay::Relay::start(fault, stop.clone());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut core = core::Core::new(wire, transport, trunk, relay, fault);
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((from, message)) = messages.recv_timeout(Duration::from_millis(2)) {
                    core.handle_message(from, &message);
                }
                asked.try_iter().for_each(|asked| core.handle_request(asked));
                core.turn();
                core.transmit();
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
