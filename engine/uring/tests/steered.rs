//! Receiving for many ports through one socket, and sending for them through a raw one.

mod common;

use common::*;
use offhook_proto::uninterrupted;
use offhook_uring::{ReceiveEnd, Steering, raw};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

/// None where this process may not: then there is nothing to test.
fn steering() -> Option<Steering> {
    // An address of its own, so that tests at the same time do not meet.
    match Steering::new(Ipv4Addr::new(127, 0, 78, 1), 1) {
        Ok(steering) => Some(steering),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            eprintln!("not tested: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(address) => panic!("{address} is of IPv6"),
    }
}

#[test]
fn datagrams_of_many_ports_come_through_one_socket_and_leave_from_their_own_ports() {
    let Some(steering) = steering() else { return };
    let mut ring = ring();
    let slot = ring.register(steering.open(0, 1 << 20).unwrap().into()).unwrap();
    let raw = ring.register(raw::open(steering.address(), 1 << 20, 0xB8).unwrap()).unwrap();
    ring.receive_steered(slot, 9).unwrap();
    ring.submit().unwrap();
    let legs: Vec<_> = (0..20)
        .map(|_| UdpSocket::bind((steering.address(), 0)).unwrap())
        .inspect(|leg| steering.steer(leg.local_addr().unwrap().port(), 0).unwrap())
        .collect();
    let (phone, phone_address) = socket("127.0.0.1:0");
    for round in 0..50_u32 {
        for (n, leg) in legs.iter().enumerate() {
            let mut bytes = vec![n as u8; 8 + (round as usize * 7 + n) % 400];
            bytes[..4].copy_from_slice(&round.to_be_bytes());
            phone.send_to(&bytes, leg.local_addr().unwrap()).unwrap();
        }
        for (n, leg) in legs.iter().enumerate() {
            let own = leg.local_addr().unwrap();
            let datagram = datagram(&mut ring);
            assert_eq!((datagram.token, datagram.source, datagram.truncated), (9, phone_address, false));
            assert_eq!(datagram.port, Some(own.port()));
            assert_eq!(datagram.buffer.len(), 8 + (round as usize * 7 + n) % 400);
            assert_eq!((number(&datagram.buffer), datagram.buffer[5]), (round, n as u8));
            ring.send_raw(raw, 0, datagram.buffer, v4(own), v4(phone_address), 0xB8).unwrap();
        }
        ring.submit().unwrap();
        let mut heard = [0; 512];
        for (n, leg) in legs.iter().enumerate() {
            let (len, source) = uninterrupted(|| phone.recv_from(&mut heard)).unwrap();
            assert_eq!(source, leg.local_addr().unwrap());
            assert_eq!(len, 8 + (round as usize * 7 + n) % 400);
            assert_eq!((number(&heard), heard[7]), (round, n as u8));
        }
    }
    ring.cancel_receive(slot).unwrap();
    ring.submit_and_wait(0, None, None).unwrap();
    assert_eq!(ended(&mut ring), (9, ReceiveEnd::Cancelled));
}

#[test]
fn a_made_packet_leaves_through_the_raw_socket_from_the_port_named() {
    let Some(steering) = steering() else { return };
    let mut ring = ring();
    let raw = ring.register(raw::open(steering.address(), 1 << 16, 0xB8).unwrap()).unwrap();
    let (phone, phone_address) = socket("127.0.0.1:0");
    let from = SocketAddrV4::new(steering.address(), 40_404);
    let made = packet(&mut ring, b"made here");
    ring.send_raw(raw, 0, made, from, v4(phone_address), 0xB8).unwrap();
    ring.submit().unwrap();
    let mut heard = [0; 64];
    assert_eq!(uninterrupted(|| phone.recv_from(&mut heard)).unwrap(), (9, SocketAddr::V4(from)));
    assert_eq!(&heard[..9], b"made here");
}
