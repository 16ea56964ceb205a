//! What the engine does to a socket outside the ring.

use crate::sys;
use socket2::{SockAddr, SockRef};
use std::io;
use std::os::fd::AsFd;

/// Dissolves a UDP socket's connection, so that it hears everybody again; its local port stays.
///
/// The kernel gives up a port that it chose itself (bound as port 0), so such a one is bound again; for an instant
/// another process could take it. Bind legs by number.
pub fn disconnect(socket: impl AsFd) -> io::Result<()> {
    let before = SockRef::from(&socket).local_addr()?;
    sys::disconnect(socket.as_fd())?;
    let after = SockRef::from(&socket).local_addr()?;
    let port = |address: &SockAddr| address.as_socket().map_or(0, |address| address.port());
    if port(&after) == port(&before) { Ok(()) } else { SockRef::from(&socket).bind(&before) }
}

/// Asks for `bytes` of receive buffer and returns what the kernel granted (it doubles, for its own overhead).
///
/// Goes beyond `net.core.rmem_max` where the process may (CAP_NET_ADMIN), else up to it.
pub fn set_receive_buffer(socket: impl AsFd, bytes: usize) -> io::Result<usize> {
    let value = i32::try_from(bytes).unwrap_or(i32::MAX);
    if sys::set_socket_option(socket.as_fd(), libc::SO_RCVBUFFORCE, value).is_err() {
        sys::set_socket_option(socket.as_fd(), libc::SO_RCVBUF, value)?;
    }
    SockRef::from(&socket).recv_buffer_size()
}

/// Whether a datagram that is not empty waits first in a socket's queue.
pub fn has_datagrams(socket: impl AsFd) -> io::Result<bool> {
    sys::bytes_waiting(socket.as_fd()).map(|bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn pair() -> (UdpSocket, UdpSocket) {
        (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap())
    }

    #[test]
    fn a_disconnected_socket_hears_strangers_again_on_the_same_port() {
        let (numbered, (chosen, friend), (stranger, _)) = (bound_by_number(), pair(), pair());
        for socket in [numbered, chosen] {
            let address = socket.local_addr().unwrap();
            socket.connect(friend.local_addr().unwrap()).unwrap();
            socket.set_nonblocking(true).unwrap();
            stranger.send_to(b"deaf", address).unwrap();
            assert_eq!(socket.recv(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            disconnect(&socket).unwrap();
            assert_eq!(socket.local_addr().unwrap(), address);
            stranger.send_to(b"heard", address).unwrap();
            assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 5);
        }
    }

    /// A socket bound to a port by its number, as legs are.
    fn bound_by_number() -> UdpSocket {
        let free = || pair().0.local_addr().unwrap();
        std::iter::repeat_with(free).find_map(|address| UdpSocket::bind(address).ok()).unwrap()
    }

    #[test]
    fn what_waits_in_a_socket_is_seen_until_it_is_taken() {
        let (one, other) = pair();
        assert!(!has_datagrams(&one).unwrap());
        other.send_to(b"here", one.local_addr().unwrap()).unwrap();
        assert!(has_datagrams(&one).unwrap());
        one.recv(&mut [0; 8]).unwrap();
        assert!(!has_datagrams(&one).unwrap());
    }

    #[test]
    fn a_granted_receive_buffer_is_reported() {
        assert!(set_receive_buffer(pair().0, 65_536).unwrap() >= 65_536);
    }
}
