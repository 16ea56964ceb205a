//! Receiving and sending over real sockets.

mod common;

use common::*;
use offhook_proto::uninterrupted;
use offhook_uring::{Completion, ReceiveEnd, Ring, RingConfig, SendError};
use std::os::unix::net::UnixDatagram;

const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

#[test]
fn thousands_of_datagrams_are_echoed_in_order_from_the_buffers_they_came_in() {
    for local in LOOPBACKS {
        let mut ring = ring();
        let (slot, address) = armed(&mut ring, local, 5);
        let (phone, phone_address) = socket(local);
        phone.connect(address).unwrap();
        let mut heard = [0; 2048];
        for burst in 0..200_u32 {
            for n in 0..40 {
                let len = 12 + (burst * 40 + n) as usize % 400;
                let mut bytes = vec![n as u8; len];
                bytes[..4].copy_from_slice(&(burst * 40 + n).to_be_bytes());
                phone.send(&bytes).unwrap();
            }
            for _ in 0..40 {
                let mut datagram = datagram(&mut ring);
                assert_eq!((datagram.token, datagram.source), (5, phone_address));
                assert!(!datagram.truncated);
                datagram.buffer[4] ^= 0xff;
                ring.send_to(slot, 0, datagram.buffer, datagram.source).unwrap();
            }
            ring.submit().unwrap();
            for n in 0..40 {
                let len = uninterrupted(|| phone.recv(&mut heard)).unwrap();
                assert_eq!(number(&heard), burst * 40 + n);
                assert_eq!(len, 12 + (burst * 40 + n) as usize % 400);
                assert_eq!(heard[4], n as u8 ^ 0xff);
                assert!(heard[5..len].iter().all(|&byte| byte == n as u8));
            }
        }
        assert!(rest(&mut ring).is_empty(), "sends that succeed report nothing");
    }
}

#[test]
fn a_buffer_may_be_reused_the_moment_the_submission_returns() {
    // Each round sends a block and then scribbles over the same memory: had the kernel kept a reference instead of
    // a copy, the receiver would read the scribble.
    let mut ring = Ring::new(&RingConfig { send_buffers: 1, ..small() }).unwrap();
    let (leg, _) = socket("127.0.0.1:0");
    let (phone, address) = socket("127.0.0.1:0");
    leg.connect(address).unwrap();
    let slot = ring.register(leg.into()).unwrap();
    for round in 0..2000_u32 {
        let mut buffer = packet(&mut ring, &[0xaa; 400]);
        buffer[..4].copy_from_slice(&round.to_be_bytes());
        let memory = buffer.as_ptr();
        ring.send(slot, 0, buffer).unwrap();
        ring.submit().unwrap();
        let mut scribble = ring.buffer().expect("the only buffer is free again");
        assert_eq!(scribble.as_ptr(), memory);
        scribble.resize(400).unwrap();
        scribble.fill(0x55);
    }
    let mut heard = [0; 512];
    for round in 0..2000 {
        assert_eq!(uninterrupted(|| phone.recv(&mut heard)).unwrap(), 400);
        assert_eq!(number(&heard), round);
        assert!(heard[4..400].iter().all(|&byte| byte == 0xaa), "round {round}");
    }
}

#[test]
fn more_sends_than_the_queue_and_the_arena_hold_all_leave() {
    let mut ring =
        Ring::new(&RingConfig { submissions: 8, completions: 8, send_buffers: 4, ..small() }).unwrap();
    let (leg, _) = socket("127.0.0.1:0");
    let (phone, address) = socket("127.0.0.1:0");
    leg.connect(address).unwrap();
    let slot = ring.register(leg.into()).unwrap();
    for n in 0..1000_u32 {
        let buffer = packet(&mut ring, &n.to_be_bytes());
        ring.send(slot, 0, buffer).unwrap();
    }
    ring.submit().unwrap();
    let mut heard = [0; 16];
    for n in 0..1000 {
        uninterrupted(|| phone.recv(&mut heard)).unwrap();
        assert_eq!(number(&heard), n);
    }
}

#[test]
fn a_program_that_holds_every_send_buffer_gets_none_and_then_again() {
    let mut ring = ring();
    let held: Vec<_> = std::iter::from_fn(|| ring.buffer()).collect();
    assert_eq!(held.len(), 16);
    drop(held);
    assert!(ring.buffer().is_some());
}

#[test]
fn running_out_of_receive_buffers_ends_the_receive_and_loses_nothing() {
    let mut ring = Ring::new(&RingConfig { receive_buffers: 8, ..small() }).unwrap();
    let (slot, address) = armed(&mut ring, "127.0.0.1:0", 1);
    let (phone, _) = socket("127.0.0.1:0");
    for n in 0..500_u32 {
        phone.send_to(&n.to_be_bytes(), address).unwrap();
    }
    let (mut held, mut heard, mut exhausted) = (Vec::new(), 0, 0);
    while heard < 500 {
        match next(&mut ring) {
            Completion::Datagram(datagram) => {
                assert_eq!(number(&datagram.buffer), heard);
                heard += 1;
                held.push(datagram);
            }
            Completion::ReceiveEnded { token: 1, reason: ReceiveEnd::NoBuffers } => {
                exhausted += 1;
                assert_eq!(held.len(), 8);
                held.clear();
                ring.receive(slot, 1).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(exhausted >= 60);
}

#[test]
fn buffers_that_are_just_dropped_come_back() {
    let mut ring = Ring::new(&RingConfig { receive_buffers: 8, ..small() }).unwrap();
    let (_, address) = armed(&mut ring, "127.0.0.1:0", 1);
    let (phone, _) = socket("127.0.0.1:0");
    for n in 0..1000_u32 {
        phone.send_to(&n.to_be_bytes(), address).unwrap();
        assert_eq!(number(&datagram(&mut ring).buffer), n);
    }
}

#[test]
fn an_oversized_datagram_arrives_cut_and_says_so() {
    let mut ring = Ring::new(&RingConfig { receive_len: 128, ..small() }).unwrap();
    let (_, address) = armed(&mut ring, "127.0.0.1:0", 1);
    let (phone, _) = socket("127.0.0.1:0");
    phone.send_to(&[7; 9000], address).unwrap();
    phone.send_to(&[8; 128], address).unwrap();
    let cut = datagram(&mut ring);
    assert!(cut.truncated);
    assert!((128..192).contains(&cut.buffer.len()) && cut.buffer.iter().all(|&byte| byte == 7));
    let whole = datagram(&mut ring);
    assert!(!whole.truncated);
    assert_eq!(*whole.buffer, [8; 128]);
}

#[test]
fn an_empty_datagram_ends_the_receive_which_is_then_armed_again() {
    let mut ring = ring();
    let (slot, address) = armed(&mut ring, "127.0.0.1:0", 9);
    let (phone, _) = socket("127.0.0.1:0");
    phone.send_to(&[], address).unwrap();
    phone.send_to(&[1], address).unwrap();
    assert!(datagram(&mut ring).buffer.is_empty());
    assert_eq!(ended(&mut ring), (9, ReceiveEnd::Disarmed));
    ring.receive(slot, 9).unwrap();
    assert_eq!(*datagram(&mut ring).buffer, [1]);
}

#[test]
fn a_dead_peer_shows_as_an_error_and_the_socket_lives_on() {
    let mut ring = ring();
    let (leg, address) = socket("127.0.0.1:0");
    let (phone, phone_address) = socket("127.0.0.1:0");
    leg.connect(phone_address).unwrap();
    drop(phone);
    let slot = ring.register(leg.into()).unwrap();
    ring.receive(slot, 3).unwrap();
    let buffer = packet(&mut ring, b"anyone?");
    ring.send(slot, 4, buffer).unwrap();
    assert_eq!(ended(&mut ring), (3, ReceiveEnd::Failed(libc::ECONNREFUSED)));
    ring.receive(slot, 3).unwrap();
    ring.submit().unwrap();
    let phone = std::net::UdpSocket::bind(phone_address).unwrap();
    phone.send_to(b"back", address).unwrap();
    assert_eq!(*datagram(&mut ring).buffer, *b"back");
}

#[test]
fn a_send_that_fails_reports_its_token() {
    let mut ring = ring();
    let (leg, _) = socket("127.0.0.1:0");
    let slot = ring.register(leg.into()).unwrap();
    let buffer = packet(&mut ring, b"to nobody: not connected");
    ring.send(slot, 77, buffer).unwrap();
    match next(&mut ring) {
        Completion::SendFailed { token: 77, errno } => assert!(errno > 0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_socket_refuses_a_packet_at_once_and_never_sends_it_late() {
    let mut ring = ring();
    let (leg, peer) = UnixDatagram::pair().unwrap();
    peer.set_nonblocking(true).unwrap();
    let slot = ring.register(leg.into()).unwrap();
    let (mut refused, mut heard, mut bytes) = (Vec::new(), Vec::new(), [0; 4]);
    for n in 0..2000_u32 {
        let buffer = packet(&mut ring, &n.to_be_bytes());
        ring.send(slot, n, buffer).unwrap();
        refused.extend(rest(&mut ring).into_iter().map(|completion| match completion {
            Completion::SendFailed { token, errno: libc::EAGAIN } => token,
            other => panic!("{other:?}"),
        }));
        if n % 500 == 499 {
            heard.extend(std::iter::from_fn(|| peer.recv(&mut bytes).ok().map(|_| number(&bytes))));
        }
    }
    assert!(rest(&mut ring).is_empty() && peer.recv(&mut bytes).is_err());
    assert!(!refused.is_empty());
    let sent: Vec<_> = (0..2000).filter(|n| !refused.contains(n)).collect();
    assert_eq!(heard, sent);
}

#[test]
fn a_slot_given_back_neither_sends_nor_receives() {
    let mut ring = ring();
    let (leg, _) = socket("127.0.0.1:0");
    let slot = ring.register(leg.into()).unwrap();
    ring.unregister(slot).unwrap();
    let buffer = packet(&mut ring, b"late");
    assert_eq!(ring.send(slot, 0, buffer), Err(SendError::Stale));
    assert!(ring.receive(slot, 0).is_err() && ring.unregister(slot).is_err() && ring.socket(slot).is_err());
}

#[test]
fn a_completion_queue_that_overflows_loses_no_datagram() {
    let config = RingConfig { submissions: 8, completions: 8, receive_buffers: 512, files: 16, ..small() };
    let mut ring = Ring::new(&config).unwrap();
    let legs: Vec<_> = (0..4).map(|token| armed(&mut ring, "127.0.0.1:0", token)).collect();
    let (phone, _) = socket("127.0.0.1:0");
    for n in 0..100_u32 {
        for (_, address) in &legs {
            phone.send_to(&n.to_be_bytes(), address).unwrap();
        }
    }
    let mut heard = [0; 4];
    while heard != [100; 4] {
        match next(&mut ring) {
            Completion::Datagram(datagram) => {
                let token = datagram.token as usize;
                assert_eq!(number(&datagram.buffer), heard[token]);
                heard[token] += 1;
            }
            Completion::ReceiveEnded { token, .. } => ring.receive(legs[token as usize].0, token).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}
