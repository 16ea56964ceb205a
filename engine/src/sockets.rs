//! Sockets: a leg's pair for RTP and RTCP, and the one for control.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use offhook_proto::Dscp;
use offhook_uring::socket::set_receive_buffer;
use socket2::{Domain, Protocol, Socket, Type};

/// A leg's two sockets.
#[derive(Debug)]
pub(crate) struct LegSockets {
    /// Bound to the even port.
    pub(crate) rtp: OwnedFd,
    /// Bound to the port after it.
    pub(crate) rtcp: OwnedFd,
}

impl LegSockets {
    /// A pair on two addresses. RTCP is marked as RTP is, whose way it is to measure.
    ///
    /// # Errors
    /// Either port is taken, an address is not local, or this process has too many files open.
    pub(crate) fn bind(rtp: SocketAddr, rtcp: SocketAddr, dscp: Dscp) -> io::Result<Self> {
        let marked = |address: SocketAddr| {
            let (socket, traffic_class) = (bind(address)?, u32::from(dscp.traffic_class()));
            match address {
                SocketAddr::V4(_) => socket.set_tos_v4(traffic_class)?,
                SocketAddr::V6(_) => socket.set_tclass_v6(traffic_class)?,
            }
            io::Result::Ok(socket.into())
        };
        Ok(Self { rtp: marked(rtp)?, rtcp: marked(rtcp)? })
    }
}

/// The control socket, not blocking, with room for a burst of requests.
///
/// # Errors
/// The port is taken or the address is not local.
pub(crate) fn bind_control(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = bind(address)?;
    // What the kernel does not allow is cut down to net.core.rmem_max and wmem_max: a shorter queue, not a failure.
    set_receive_buffer(&socket, CONTROL_QUEUE_BYTES)?;
    socket.set_send_buffer_size(CONTROL_QUEUE_BYTES)?;
    Ok(socket.into())
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Room for a few thousand datagrams.
pub(crate) const CONTROL_QUEUE_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_pair_is_refused_when_either_port_is_taken() {
        let taken = bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).expect("a free port");
        let port = taken.local_addr().expect("bound").as_socket().expect("an IP address").port();
        let at = |port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        for (rtp, rtcp) in [(at(port), at(0)), (at(0), at(port))] {
            let error = LegSockets::bind(rtp, rtcp, Dscp::EF).expect_err("taken");
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn the_control_socket_holds_as_long_a_burst_as_this_process_may_have() {
        let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let control = bind_control(any).expect("a free port");
        let granted = socket2::SockRef::from(&control).recv_buffer_size().expect("it has one");
        let most =
            set_receive_buffer(bind(any).expect("a free port"), CONTROL_QUEUE_BYTES).expect("a buffer");
        assert_eq!(granted, most);
    }

    #[test]
    fn ipv6_leaves_the_same_port_of_ipv4_alone() {
        let first = bind(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0)).expect("a free port");
        let port = first.local_addr().expect("bound").as_socket().expect("an IP address").port();
        bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)).expect("free on IPv4");
    }
}
