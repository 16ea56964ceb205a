//! The harness's SIP against an independent peer: SIPp's stock scenarios, in both directions.

#[path = "../src/sip/mod.rs"]
#[allow(dead_code, unused_imports, reason = "two calls need only a part of it")]
mod sip;

use std::net::UdpSocket;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use sip::{Cause, Event, UserAgent, describe};

const CALLS: usize = 20;

/// None: SIPp is not installed here.
fn sipp(arguments: &[&str]) -> Option<Child> {
    let mut command = Command::new("sipp");
    command.args(arguments).args(["-m", &CALLS.to_string(), "-nostdin", "-timeout", "60s"]);
    match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            eprintln!("not run: SIPp cannot be started ({error})");
            None
        }
    }
}

/// Drives a user agent on a socket until SIPp has ended and `done` says so; `on_event` decides.
fn drive(
    socket: &UdpSocket,
    agent: &mut UserAgent,
    sipp: &mut Child,
    mut on_event: impl FnMut(u64, &mut UserAgent, Event),
) -> ExitStatus {
    socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a timeout");
    let started = Instant::now();
    let mut buffer = [0; 65_535];
    loop {
        let now_ms = started.elapsed().as_millis() as u64;
        while let Some((to, bytes)) = agent.poll_transmit() {
            socket.send_to(&bytes, to).expect("loopback takes it");
        }
        if let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
            agent.handle_datagram(now_ms, from, &buffer[..bytes]);
        }
        agent.handle_timeout(now_ms);
        while let Some(event) = agent.poll_event() {
            on_event(now_ms, agent, event);
        }
        if let Some(status) = sipp.try_wait().expect("our own child") {
            return status;
        }
        assert!(started.elapsed() < Duration::from_secs(90), "SIPp does not end");
    }
}

#[test]
fn the_stock_caller_of_sipp_is_answered_and_hung_up_on_time_after_time() {
    let socket = UdpSocket::bind("127.0.9.1:0").expect("a port");
    let local = socket.local_addr().expect("bound");
    let to = local.to_string();
    let Some(mut sipp) = sipp(&["-sn", "uac", "-i", "127.0.9.1", "-r", "20", "-d", "100", &to]) else {
        return;
    };
    let mut agent = UserAgent::new(local, 1);
    let mut ended = 0;
    let status = drive(&socket, &mut agent, &mut sipp, |now_ms, agent, event| match event {
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
    assert_eq!((ended, agent.counters.unexpected, agent.counters.unreadable), (CALLS, 0, 0));
}

#[test]
fn the_stock_callee_of_sipp_is_called_and_hung_up_on() {
    let socket = UdpSocket::bind("127.0.9.2:0").expect("a port");
    let local = socket.local_addr().expect("bound");
    let free = UdpSocket::bind("127.0.9.3:0").and_then(|socket| socket.local_addr()).expect("a port");
    let port = free.port().to_string();
    let Some(mut sipp) = sipp(&["-sn", "uas", "-i", "127.0.9.3", "-p", &port]) else { return };
    let mut agent = UserAgent::new(local, 1);
    for _ in 0..CALLS {
        agent.invite(0, "+31", "+32", free, &describe(local, 1));
    }
    let (mut answered, mut ended) = (0, 0);
    let status = drive(&socket, &mut agent, &mut sipp, |now_ms, agent, event| match event {
        Event::Answered { call, remote } => {
            assert!(remote.is_some(), "SIPp answers with PCMU");
            answered += 1;
            agent.hang_up(now_ms, call);
        }
        Event::Ended { .. } => ended += 1,
        _ => {}
    });
    assert!(status.success(), "SIPp: {status}");
    assert_eq!((answered, agent.counters.unreadable), (CALLS, 0));
    assert!(ended >= CALLS - 1, "{ended}"); // SIPp may end before its last 200 has been read
}
