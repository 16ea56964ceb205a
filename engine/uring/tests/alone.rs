//! A ring that holds its sockets alone: the process has no descriptor of them.

mod common;

use common::*;
use offhook_proto::uninterrupted;
use offhook_uring::{Completion, FileSlot, Ring, RingConfig, SlotError, holds_sockets_alone};
use socket2::SockRef;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// None where the kernel cannot do it, which the ring says too.
fn ring_alone() -> Option<Ring> {
    let made = Ring::new(&RingConfig { keep_descriptors: false, ..small() });
    if holds_sockets_alone() {
        return Some(made.unwrap());
    }
    assert!(made.err().unwrap().to_string().contains("6.8"));
    None
}

/// What the kernel calls a descriptor's file, such as `socket:[4711]`.
fn name(descriptor: i32) -> String {
    fs::read_link(format!("/proc/self/fd/{descriptor}")).unwrap().display().to_string()
}

/// Whether this process has a descriptor of the file.
fn is_open(name: &str) -> bool {
    let mut links =
        fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.any(|link| link.as_os_str() == name)
}

fn local_address(ring: &mut Ring, slot: FileSlot) -> SocketAddr {
    SockRef::from(&ring.socket(slot).unwrap()).local_addr().unwrap().as_socket().unwrap()
}

#[test]
fn a_registered_socket_works_though_the_process_has_no_descriptor_of_it() {
    let Some(mut ring) = ring_alone() else { return };
    let (own, address) = socket("127.0.0.1:0");
    let name = name(own.as_raw_fd());
    let slot = ring.register(own.into()).unwrap();
    assert!(!is_open(&name));
    ring.receive(slot, 7).unwrap();
    let (phone, _) = socket("127.0.0.1:0");
    phone.send_to(b"hello", address).unwrap();
    let heard = datagram(&mut ring);
    assert_eq!((heard.token, &*heard.buffer), (7, &b"hello"[..]));
    ring.send_to(slot, 7, heard.buffer, phone.local_addr().unwrap()).unwrap();
    ring.submit().unwrap();
    let mut echo = [0; 16];
    let (len, from) = uninterrupted(|| phone.recv_from(&mut echo)).unwrap();
    assert_eq!((&echo[..len], from), (&b"hello"[..], address));
    assert!(!is_open(&name));
}

#[test]
fn a_call_outside_the_ring_takes_a_descriptor_while_it_lasts() {
    let Some(mut ring) = ring_alone() else { return };
    let (slot, address) = armed(&mut ring, "127.0.0.1:0", 0);
    let (phone, stranger) = (socket("127.0.0.1:0").0, UdpSocket::bind("127.0.0.1:0").unwrap());
    let installed = {
        let own = ring.socket(slot).unwrap();
        SockRef::from(&own).connect(&phone.local_addr().unwrap().into()).unwrap();
        name(SockRef::from(&own).as_raw_fd())
    };
    assert!(!is_open(&installed));
    stranger.send_to(b"stranger", address).unwrap();
    phone.send_to(b"peer", address).unwrap();
    assert_eq!(*datagram(&mut ring).buffer, *b"peer", "it is connected");
}

#[test]
fn completions_that_come_before_a_descriptor_are_kept_in_order() {
    let Some(mut ring) = ring_alone() else { return };
    let (slot, address) = armed(&mut ring, "127.0.0.1:0", 1);
    let (phone, _) = socket("127.0.0.1:0");
    for round in 0..20_u32 {
        for n in 0..10 {
            phone.send_to(&(round * 10 + n).to_be_bytes(), address).unwrap();
        }
        ring.submit_and_wait(10, Some(PATIENCE), None).unwrap();
        assert_eq!(local_address(&mut ring, slot), address);
        assert_eq!(local_address(&mut ring, slot), address);
        for n in 0..10 {
            assert_eq!(number(&datagram(&mut ring).buffer), round * 10 + n);
        }
    }
}

#[test]
fn a_full_completion_queue_does_not_keep_a_descriptor_back() {
    let config = RingConfig {
        submissions: 8,
        completions: 8,
        receive_buffers: 64,
        keep_descriptors: false,
        ..small()
    };
    if !holds_sockets_alone() {
        return;
    }
    let mut ring = Ring::new(&config).unwrap();
    let (slot, address) = armed(&mut ring, "127.0.0.1:0", 1);
    let (phone, _) = socket("127.0.0.1:0");
    for n in 0..40_u32 {
        phone.send_to(&n.to_be_bytes(), address).unwrap();
    }
    ring.submit_and_wait(8, Some(PATIENCE), None).unwrap();
    assert_eq!(local_address(&mut ring, slot), address);
    let mut heard = Vec::new();
    while heard.len() < 40 {
        match next(&mut ring) {
            Completion::Datagram(datagram) => heard.push(number(&datagram.buffer)),
            Completion::ReceiveEnded { .. } => ring.receive(slot, 1).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    assert!(heard.into_iter().eq(0..40));
}

#[test]
fn a_socket_taken_out_is_the_same_with_what_waits_in_it() {
    let Some(mut ring) = ring_alone() else { return };
    let (slot, address) = armed(&mut ring, "127.0.0.1:0", 1);
    assert!(matches!(ring.unregister(slot), Err(SlotError::Armed)));
    ring.cancel_receive(slot).unwrap();
    assert_eq!(ended(&mut ring).0, 1);
    let (phone, _) = socket("127.0.0.1:0");
    phone.send_to(b"waits", address).unwrap();
    let taken: UdpSocket = ring.unregister(slot).unwrap().into();
    let mut buffer = [0; 16];
    assert_eq!(
        (taken.local_addr().unwrap(), uninterrupted(|| taken.recv(&mut buffer)).unwrap()),
        (address, 5)
    );
    assert!(matches!(ring.socket(slot), Err(SlotError::Stale)));
    assert!(matches!(ring.unregister(slot), Err(SlotError::Stale)));
}

#[test]
fn a_closed_socket_leaves_its_port_and_its_slot_to_others() {
    for keep_descriptors in [true, !holds_sockets_alone()] {
        let mut ring = Ring::new(&RingConfig { files: 1, keep_descriptors, ..small() }).unwrap();
        let (slot, address) = armed(&mut ring, "127.0.0.1:0", 1);
        assert!(matches!(ring.close(slot), Err(SlotError::Armed)));
        ring.cancel_receive(slot).unwrap();
        ended(&mut ring);
        ring.close(slot).unwrap();
        assert!(matches!(ring.close(slot), Err(SlotError::Stale)));
        let again = UdpSocket::bind(address).unwrap();
        ring.register(again.into()).unwrap();
    }
}
