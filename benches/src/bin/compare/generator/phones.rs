//! The sockets of all phones.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use nix::sys::socket::{setsockopt, sockopt};
use offhook_loadtest::wire::bind;

/// Sockets that the phones of one side share.
const SOCKETS_PER_SIDE: usize = 4;

/// Sockets of both sides: the near ones first. The RTCP port above each swallows reports, so that none is refused.
pub(crate) struct Phones {
    rtp: Vec<UdpSocket>,
    addresses: Vec<SocketAddr>,
    _rtcp: Vec<UdpSocket>,
}

impl Phones {
    /// # Errors
    /// No free pair of ports.
    pub(crate) fn open() -> Result<Self> {
        let mut phones = Self { rtp: Vec::new(), addresses: Vec::new(), _rtcp: Vec::new() };
        let mut ports = (FIRST_PORT..LAST_PORT).step_by(2);
        while phones.rtp.len() < 2 * SOCKETS_PER_SIDE {
            let Some(port) = ports.next() else { bail!("no free ports for phones on {ADDRESS}") };
            let (Ok(rtp), Ok(rtcp)) =
                (bind((ADDRESS, port).into(), RECEIVE_BUFFER_BYTES), UdpSocket::bind((ADDRESS, port + 1)))
            else {
                continue;
            };
            setsockopt(&rtp, sockopt::ReceiveTimestampns, &true)?;
            phones.addresses.push(rtp.local_addr()?);
            phones.rtp.push(rtp);
            phones._rtcp.push(rtcp);
        }
        Ok(phones)
    }

    /// Addresses of a side's sockets; call `n` uses the one at `n` modulo their count.
    pub(crate) fn near(&self) -> &[SocketAddr] {
        &self.addresses[..SOCKETS_PER_SIDE]
    }

    /// Those of the other side.
    pub(crate) fn far(&self) -> &[SocketAddr] {
        &self.addresses[SOCKETS_PER_SIDE..]
    }

    /// The phones of a call.
    pub(crate) fn of_call(&self, call: usize) -> [SocketAddr; 2] {
        [self.near()[call % SOCKETS_PER_SIDE], self.far()[call % SOCKETS_PER_SIDE]]
    }

    /// Those for RTP, non-blocking, with the kernel's stamp on what arrives.
    pub(crate) fn sockets(&self) -> &[UdpSocket] {
        &self.rtp
    }

    /// The socket that a flow is sent from.
    pub(super) fn of_flow(&self, flow: u32) -> &UdpSocket {
        &self.rtp[socket_of(flow)]
    }

    /// Packets that these sockets have had no room for since they were opened.
    ///
    /// # Errors
    /// `/proc/net/udp` cannot be read.
    pub(super) fn overflowed(&self) -> Result<u64> {
        let table = fs::read_to_string("/proc/net/udp").context("cannot read /proc/net/udp")?;
        let own: Vec<String> = self
            .rtp
            .iter()
            .map(|socket| fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())))
            .filter_map(|link| {
                Some(link.ok()?.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').into())
            })
            .collect();
        let drops = |line: &str| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let inode = *fields.get(9)?;
            own.iter().any(|own| own == inode).then(|| fields.last()?.parse::<u64>().ok())?
        };
        Ok(table.lines().filter_map(drops).sum())
    }
}

/// The socket that a flow is sent from, by position.
fn socket_of(flow: u32) -> usize {
    let (call, side) = (flow as usize / 2, flow as usize % 2);
    side * SOCKETS_PER_SIDE + call % SOCKETS_PER_SIDE
}

/// The socket that a flow should arrive at: the other side's of the same call.
pub(super) fn destination_of(flow: u32) -> usize {
    socket_of(flow ^ 1)
}

/// Not the address that the systems bind to, so that no port is in the way.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const FIRST_PORT: u16 = 10_000;
const LAST_PORT: u16 = 19_998;
const RECEIVE_BUFFER_BYTES: usize = 32 << 20;
