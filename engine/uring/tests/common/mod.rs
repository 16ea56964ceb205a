//! What the tests share: a ring of test size, sockets, and a pump that never depends on speed.
#![allow(dead_code)]

use offhook_uring::{Buffer, Completion, FileSlot, ReceiveEnd, Ring, RingConfig};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Waits give up after this long; a test that reaches it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn small() -> RingConfig {
    RingConfig {
        submissions: 64,
        completions: 256,
        files: 16,
        keep_descriptors: true,
        receive_buffers: 64,
        receive_len: 1500,
        send_buffers: 16,
        send_len: 512,
    }
}

pub(crate) fn ring() -> Ring {
    Ring::new(&small()).expect("this machine has io_uring")
}

/// A bound socket with a deep receive queue, and its address.
pub(crate) fn socket(local: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(local).unwrap();
    offhook_uring::socket::set_receive_buffer(&socket, 4 << 20).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A socket in `ring`, receiving with `token`, and its address.
pub(crate) fn armed(ring: &mut Ring, local: &str, token: u32) -> (FileSlot, SocketAddr) {
    let (socket, address) = socket(local);
    let slot = ring.register(socket.into()).unwrap();
    ring.receive(slot, token).unwrap();
    ring.submit().unwrap();
    (slot, address)
}

/// The next completion, waited for.
pub(crate) fn next(ring: &mut Ring) -> Completion {
    for _ in 0..PATIENCE.as_secs() {
        if let Some(completion) = ring.next_completion() {
            return completion;
        }
        ring.submit_and_wait(1, Some(Duration::from_secs(1)), None).unwrap();
    }
    panic!("nothing completed");
}

/// Every completion that is there already, or comes of what is queued; waits for nothing.
pub(crate) fn rest(ring: &mut Ring) -> Vec<Completion> {
    let mut all = Vec::new();
    ring.submit_and_wait(0, None, None).unwrap();
    while let Some(completion) = ring.next_completion() {
        all.push(completion);
    }
    all
}

pub(crate) fn datagram(ring: &mut Ring) -> offhook_uring::Datagram {
    match next(ring) {
        Completion::Datagram(datagram) => datagram,
        other => panic!("a datagram was due, not {other:?}"),
    }
}

pub(crate) fn ended(ring: &mut Ring) -> (u32, ReceiveEnd) {
    match next(ring) {
        Completion::ReceiveEnded { token, reason } => (token, reason),
        other => panic!("the receive's end was due, not {other:?}"),
    }
}

/// A made packet of these bytes.
pub(crate) fn packet(ring: &mut Ring, bytes: &[u8]) -> Buffer {
    let mut buffer = ring.buffer().unwrap();
    buffer.resize(bytes.len()).unwrap();
    buffer.copy_from_slice(bytes);
    buffer
}

/// The number that a test wrote into a datagram.
pub(crate) fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}
