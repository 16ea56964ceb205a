//! The UDP socket, with the ICMP errors that the stack would not see.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd as _;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use offhook_proto::Dscp;
use rsipstack::platform::CancellationToken;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipConnection, TransportEvent};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::{broadcast, mpsc};

use super::backlog::Backlog;
use super::door;
use super::flow::Flow;
use super::legible::{self, Legible, Refused};
use super::shared::{Shared, Slot};
use super::vital::Vital;

/// Receive buffer asked for, in bytes: a burst of some thousand messages waits here while the stack is busy.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// A UDP socket whose refused destinations are announced. It is closed when the port is dropped, though transactions that
/// linger in the stack still hold on to it.
pub(crate) struct Udp {
    socket: Arc<RwLock<Option<Arc<UdpSocket>>>>,
    local: SocketAddr,
    backlog: Arc<Backlog>,
    shared: Slot,
}

impl Udp {
    /// Binds `address`; what is sent has `dscp`, and what is read is noted in the `backlog`. Destinations for which the network sent an ICMP error are announced on `unreachable` until
    /// `cancelled`.
    pub(crate) fn bind(
        address: SocketAddr,
        dscp: Dscp,
        backlog: Arc<Backlog>,
        shared: Slot,
        unreachable: broadcast::Sender<SocketAddr>,
        cancelled: CancellationToken,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        if address.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
            socket.set_tos_v4(dscp.traffic_class().into())?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
            socket.set_tclass_v6(dscp.traffic_class().into())?;
        }
        socket.bind(&address.into())?;
        let socket = Arc::new(UdpSocket::from_std(socket.into())?);
        let local = socket.local_addr()?;
        let slot = Arc::new(RwLock::new(Some(Arc::clone(&socket))));
        let open = Arc::clone(&slot);
        let errors = socket;
        tokio::spawn(async move {
            let announce = async {
                while errors.ready(Interest::ERROR).await.is_ok() {
                    while let Ok(address) = errors.try_io(Interest::ERROR, || next_error(&errors)) {
                        if let Some(address) = address {
                            let _ = unreachable.send(address);
                        }
                    }
                }
            };
            tokio::select! {
                () = announce => {}
                () = cancelled.cancelled() => {}
            }
            open.write().unwrap_or_else(PoisonError::into_inner).take();
        });
        Ok(Self { socket: slot, local, backlog, shared })
    }

    fn socket(&self) -> io::Result<Arc<UdpSocket>> {
        let slot = self.socket.read().unwrap_or_else(PoisonError::into_inner);
        slot.clone().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Answers what the stack is not given.
    async fn refuse(&self, socket: &UdpSocket, refused: Refused, from: SocketAddr) {
        let Some(shared) = self.shared.get().and_then(Weak::upgrade) else { return };
        let flow = Flow { tcp: false, address: from };
        if let Some(response) = refused.response(&shared, flow)
            && let Ok(to) = SipConnection::get_destination(&response)
        {
            let _ = socket.send_to(&response.to_bytes(), to).await;
        }
    }
}

#[async_trait::async_trait]
impl rsipstack::platform::net::UdpSocket for Udp {
    async fn recv_from(&self, buf: &mut [u8]) -> rsipstack::Result<(usize, SocketAddr)> {
        let socket = self.socket()?;
        self.backlog.room().await;
        loop {
            match socket.recv_from(buf).await {
                Ok((length, from)) => match legible::datagram(buf, length) {
                    Legible::Message(length) => {
                        self.backlog.note_read(&buf[..length], from);
                        return Ok((length, from));
                    }
                    Legible::Refused(refused) => self.refuse(&socket, refused, from).await,
                    Legible::Nothing => {}
                },
                Err(error) if is_icmp(&error) => {}
                Err(error) => {
                    // The stack would ask again at once.
                    tracing::warn!(%error, "SIP cannot read datagrams");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn send_to(&self, buf: &[u8], addr: SocketAddr) -> rsipstack::Result<usize> {
        // An error left by an earlier datagram is returned by the next send, whoever that one is for.
        let socket = self.socket()?;
        for _ in 0..3 {
            match socket.send_to(buf, addr).await {
                Err(error) if is_icmp(&error) => {}
                other => return Ok(other?),
            }
        }
        Ok(socket.send_to(buf, addr).await?)
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.local)
    }
}

/// Reads datagrams and hands them to the door. One that makes a part of ours panic is lost, and nothing else.
pub(crate) fn serve(vital: &Vital, shared: Arc<Shared>, udp: UdpConnection, backlog: Arc<Backlog>) {
    let (sender, mut received) = mpsc::unbounded_channel();
    let lost = Arc::clone(&backlog);
    vital.spawn("reading datagrams", async move {
        while AssertUnwindSafe(udp.serve_loop(sender.clone())).catch_unwind().await.is_err() {
            tracing::error!("a datagram is lost by an internal error");
            lost.note_handled();
        }
    });
    vital.spawn("handling datagrams", async move {
        while let Some(event) = received.recv().await {
            if let TransportEvent::Incoming(message, connection, from) = event {
                backlog.note_handled();
                let handled = door::receive(&shared, message, connection, from);
                if AssertUnwindSafe(handled).catch_unwind().await.is_err() {
                    tracing::error!("a message is lost by an internal error");
                }
            }
        }
    });
}

/// How long to wait where the system refuses to let us read.
const PAUSE: Duration = Duration::from_millis(100);

fn is_icmp(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}

/// Takes one entry off the error queue: the destination of the datagram that failed.
fn next_error(socket: &UdpSocket) -> io::Result<Option<SocketAddr>> {
    let mut control = nix::cmsg_space!([u8; 256]);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut [], Some(&mut control), flags)?;
    Ok(message.address.and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4)));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))))
    }))
}

#[cfg(test)]
mod tests {
    use std::io::IoSliceMut;

    use nix::sys::socket::ControlMessageOwned;
    use rsipstack::platform::net::UdpSocket as _;

    use super::*;

    /// The traffic class of the next datagram.
    fn class_of_next(socket: &std::net::UdpSocket) -> Option<u8> {
        let (mut bytes, mut control) = ([0; 64], nix::cmsg_space!(i32, i32));
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::empty();
        let received =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags).unwrap();
        received.cmsgs().unwrap().find_map(|message| match message {
            ControlMessageOwned::Ipv4Tos(class) => Some(class),
            ControlMessageOwned::Ipv6TClass(class) => Some(class as u8),
            _ => None,
        })
    }

    #[tokio::test]
    async fn what_is_sent_has_the_code_point() {
        for (address, dscp) in
            [("127.0.0.1:0", Dscp::CS3), ("[::1]:0", Dscp::EF), ("127.0.0.1:0", Dscp::default())]
        {
            let peer = std::net::UdpSocket::bind(address).unwrap();
            if peer.local_addr().unwrap().is_ipv4() {
                setsockopt(&peer, sockopt::IpRecvTos, &true).unwrap();
            } else {
                setsockopt(&peer, sockopt::Ipv6RecvTClass, &true).unwrap();
            }
            let (unreachable, _) = broadcast::channel(1);
            let stopped = CancellationToken::new();
            let udp = Udp::bind(
                address.parse().unwrap(),
                dscp,
                Arc::default(),
                Arc::default(),
                unreachable,
                stopped,
            )
            .unwrap();
            udp.send_to(b"OPTIONS", peer.local_addr().unwrap()).await.unwrap();
            assert_eq!(class_of_next(&peer), Some(dscp.traffic_class()), "{address} {dscp}");
        }
    }
}
