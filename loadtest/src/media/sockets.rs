//! UDP sockets for endpoints, and as many as a run needs.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};

use crate::files;
use crate::units::Ports;
use crate::wire::bind;

/// Receive buffer of an RTP socket: over a second of packets, however late the harness reads.
const RTP_RECEIVE_BYTES: usize = 256 * 1024;

/// An RTP socket and the RTCP socket on the port above it (RFC 3550 section 11).
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    pub(crate) local: SocketAddr,
}

/// Hands out pairs from a range, going round it so that a port rests before it is used again.
#[derive(Debug)]
pub(crate) struct PortPool {
    ip: IpAddr,
    ports: Ports,
    next: u16,
}

impl PortPool {
    /// A pool of the even ports of a range.
    pub(crate) fn new(ip: IpAddr, ports: Ports) -> Self {
        let first = ports.first + ports.first % 2;
        Self { ip, ports: Ports { first, last: ports.last }, next: first }
    }

    /// The next free pair. Errors: every port of the range is taken, or the process is out of descriptors.
    pub(crate) fn open(&mut self) -> io::Result<Pair> {
        let tries = (self.ports.last - self.ports.first) / 2 + 1;
        for _ in 0..tries {
            let port = self.next;
            self.next = if port.saturating_add(3) > self.ports.last { self.ports.first } else { port + 2 };
            match self.open_at(port) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                opened => return opened,
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "every RTP port of the range is taken; give more with --rtp-ports",
        ))
    }

    fn open_at(&self, port: u16) -> io::Result<Pair> {
        let local = SocketAddr::new(self.ip, port);
        let rtp = bind(local, RTP_RECEIVE_BYTES)?;
        let rtcp = bind(SocketAddr::new(self.ip, port + 1), RTP_RECEIVE_BYTES)?;
        // The kernel's arrival time, so that a late reader is not taken for a slow engine; and what it had to drop.
        setsockopt(&rtp, sockopt::ReceiveTimestampns, &true)?;
        setsockopt(&rtcp, sockopt::ReceiveTimestampns, &true)?;
        setsockopt(&rtp, sockopt::RxqOvfl, &1)?;
        Ok(Pair { rtp, rtcp, local })
    }
}

/// Raises the limit on open files to at least `needed`. Errors: less is allowed, said with both numbers.
pub(crate) fn raise_file_limit(needed: u64) -> io::Result<()> {
    let allowed = files::raise_limit(needed)?;
    if allowed < needed {
        let message =
            format!("this run needs {needed} open files and the limit is {allowed}; raise it with ulimit -n");
        return Err(io::Error::other(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_even_and_odd_neighbours_and_a_full_range_is_an_error() {
        let ports = Ports { first: 19_001, last: 19_005 };
        let mut pool = PortPool::new(IpAddr::from([127, 0, 0, 9]), ports);
        let pairs = [pool.open().expect("first"), pool.open().expect("second")];
        assert!(pairs.iter().all(|p| p.local.port() % 2 == 0));
        assert!(pairs.iter().all(|p| p.rtcp.local_addr().expect("bound").port() == p.local.port() + 1));
        assert_eq!(pool.open().map(|p| p.local).map_err(|e| e.kind()), Err(io::ErrorKind::AddrInUse));
        drop(pairs);
        assert!(pool.open().is_ok());
    }
}
