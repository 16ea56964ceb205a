//! The harness's SIP against an independent peer: SIPp's stock scenarios, in both directions.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use offhook_loadtest::sip::{Cause, Event, Transport, UserAgent, describe};
use offhook_loadtest::wire::Wire;

const CALLS: usize = 20;

/// None: SIPp is not installed here.
fn sipp(transport: Transport, arguments: &[&str]) -> Option<Child> {
    let mut command = Command::new("sipp");
    command.args(arguments).args(["-m", &CALLS.to_string(), "-nostdin", "-timeout", "60s"]);
    command.args(["-t", if transport == Transport::Tcp { "t1" } else { "u1" }]);
    match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            eprintln!("not run: SIPp cannot be started ({error})");
            None
        }
    }
}

/// A user agent with a wire under it.
struct Peer {
    agent: UserAgent,
    wire: Wire,
    messages: Receiver<(SocketAddr, Vec<u8>)>,
}

impl Peer {
    fn new(host: [u8; 4], transport: Transport) -> Self {
        let (sender, messages) = channel();
        let on_message = move |from, message| drop(sender.send((from, message)));
        let wire = Wire::open(SocketAddr::from((host, 0)), transport, on_message).expect("a port");
        Self { agent: UserAgent::new(wire.local(), transport, 1), wire, messages }
    }

    /// Drives it until SIPp has ended; `on_event` decides.
    fn drive(
        &mut self,
        sipp: &mut Child,
        mut on_event: impl FnMut(u64, &mut UserAgent, Event),
    ) -> ExitStatus {
        let started = Instant::now();
        loop {
            let now_ms = started.elapsed().as_millis() as u64;
            while let Some((to, message)) = self.agent.poll_transmit() {
                self.wire.send(to, message);
            }
            if let Ok((from, message)) = self.messages.recv_timeout(Duration::from_millis(5)) {
                self.agent.handle_message(now_ms, from, &message);
            }
            self.agent.handle_timeout(now_ms);
            while let Some(event) = self.agent.poll_event() {
                on_event(now_ms, &mut self.agent, event);
            }
            if let Some(status) = sipp.try_wait().expect("our own child") {
                return status;
            }
            assert!(started.elapsed() < Duration::from_secs(90), "SIPp does not end");
        }
    }
}

fn is_called(host: [u8; 4], transport: Transport) {
    let mut peer = Peer::new(host, transport);
    let local = peer.wire.local();
    let (ip, to) = (local.ip().to_string(), local.to_string());
    let arguments = ["-sn", "uac", "-i", &ip, "-r", "20", "-d", "100", &to];
    let Some(mut sipp) = sipp(transport, &arguments) else { return };
    let mut ended = 0;
    let status = peer.drive(&mut sipp, |now_ms, agent, event| match event {
        Event::Incoming { call, offer, .. } => {
            assert!(offer.is_some(), "SIPp offers PCMU");
            agent.ring(now_ms, call);
            assert!(agent.answer(now_ms, call, &describe(local, call)));
        }
        Event::Ended { cause, .. } => {
            assert_eq!(cause, Cause::ByeReceived);
            ended += 1;
        }
        _ => {}
    });
    assert!(status.success(), "SIPp: {status}");
    let counters = peer.agent.counters;
    assert_eq!((ended, counters.unexpected, counters.unreadable), (CALLS, 0, 0));
}

fn calls(host: [u8; 4], callee: [u8; 4], transport: Transport) {
    let mut peer = Peer::new(host, transport);
    let local = peer.wire.local();
    let free = UdpSocket::bind(SocketAddr::from((callee, 0))).and_then(|socket| socket.local_addr());
    let free = free.expect("a port");
    let (ip, port) = (free.ip().to_string(), free.port().to_string());
    let Some(mut sipp) = sipp(transport, &["-sn", "uas", "-i", &ip, "-p", &port]) else { return };
    if transport == Transport::Tcp {
        // What meets nobody is lost there: nothing sends it again.
        while std::net::TcpStream::connect(free).is_err() {
            assert!(sipp.try_wait().expect("our own child").is_none(), "SIPp has ended");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    for _ in 0..CALLS {
        peer.agent.invite(0, "+31", "+32", free, &describe(local, 1));
    }
    let (mut answered, mut ended) = (0, 0);
    let status = peer.drive(&mut sipp, |now_ms, agent, event| match event {
        Event::Answered { call, remote } => {
            assert!(remote.is_some(), "SIPp answers with PCMU");
            answered += 1;
            agent.hang_up(now_ms, call);
        }
        Event::Ended { .. } => ended += 1,
        _ => {}
    });
    assert!(status.success(), "SIPp: {status}");
    assert_eq!((answered, peer.agent.counters.unreadable), (CALLS, 0));
    assert!(ended >= CALLS - 1, "{ended}"); // SIPp may end before its last 200 has been read
}

#[test]
fn the_stock_caller_of_sipp_is_answered_and_hung_up_on_time_after_time() {
    is_called([127, 0, 9, 1], Transport::Udp);
}

#[test]
fn the_stock_callee_of_sipp_is_called_and_hung_up_on() {
    calls([127, 0, 9, 2], [127, 0, 9, 3], Transport::Udp);
}

#[test]
fn the_stock_caller_of_sipp_is_answered_over_its_one_tcp_connection() {
    is_called([127, 0, 9, 4], Transport::Tcp);
}

#[test]
fn the_stock_callee_of_sipp_is_called_over_one_tcp_connection() {
    calls([127, 0, 9, 5], [127, 0, 9, 6], Transport::Tcp);
}
