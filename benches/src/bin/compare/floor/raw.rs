//! One socket for all legs, read in large batches; packets leave through one raw socket, with headers made here.
//!
//! What a privileged datapath could come to, were all ports steered into one socket: the bare minimum in both directions.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, MultiHeaders, SockFlag, SockProtocol, SockType, SockaddrIn,
    recvmmsg, sendmmsg, socket,
};

use super::{FIRST_PORT, recvmmsg as reader};
use crate::cli::FloorArgs;
use crate::generator::flow_of;
use crate::systems::MEDIA_ADDRESS;

/// The two sockets.
pub(super) struct Forwarder {
    reader: UdpSocket,
    raw: OwnedFd,
    near: Vec<SocketAddr>,
    far: Vec<SocketAddr>,
}

type Packet = [u8; HEADERS_BYTES + 256];

impl Forwarder {
    pub(super) fn new(args: &FloorArgs) -> Result<Self> {
        ensure!(!args.near.is_empty() && !args.far.is_empty(), "a forwarder needs phones on both sides");
        let raw = socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Raw)
            .context("a raw socket takes CAP_NET_RAW")?;
        Ok(Self { reader: reader::open()?, raw, near: args.near.clone(), far: args.far.clone() })
    }

    pub(super) fn run(&self, taken: &AtomicU64) -> Result<()> {
        let mut packets: Vec<Packet> = vec![[0; HEADERS_BYTES + 256]; BATCH];
        let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
        loop {
            let lens = self.read(&mut packets, &mut headers)?;
            let sent: Vec<_> = packets
                .iter_mut()
                .zip(&lens)
                .filter_map(|(packet, &len)| {
                    Some((self.address(packet, len)?, &packet[..HEADERS_BYTES + len]))
                })
                .collect();
            self.send(&sent)?;
            taken.fetch_add(lens.len() as u64, Ordering::Relaxed);
            if lens.len() < BATCH {
                std::thread::sleep(GATHER);
            }
        }
    }

    /// Payload lengths of a batch, which lie behind room for their headers.
    fn read(&self, packets: &mut [Packet], headers: &mut MultiHeaders<()>) -> Result<Vec<usize>> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            packets.iter_mut().map(|packet| [IoSliceMut::new(&mut packet[HEADERS_BYTES..])]).collect();
        let fd = self.reader.as_raw_fd();
        match recvmmsg(fd, headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
            Ok(messages) => Ok(messages.map(|message| message.bytes).collect()),
            Err(Errno::EINTR) => Ok(Vec::new()),
            Err(error) => Err(error).context("the reader cannot receive"),
        }
    }

    /// Writes the headers from a call's other leg to its phone, whose address it returns (RFC 791, RFC 768).
    fn address(&self, packet: &mut Packet, len: usize) -> Option<SockaddrIn> {
        let flow = flow_of(&packet[HEADERS_BYTES..HEADERS_BYTES + len])?;
        let call = flow as usize / 2;
        let phones = if flow.is_multiple_of(2) { &self.far } else { &self.near };
        let SocketAddr::V4(phone) = phones[call % phones.len()] else { return None };
        packet[..20].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        packet[12..16].copy_from_slice(&Ipv4Addr::octets(&MEDIA_ADDRESS));
        packet[16..20].copy_from_slice(&phone.ip().octets());
        packet[20..22].copy_from_slice(&(FIRST_PORT + (flow ^ 1) as u16).to_be_bytes());
        packet[22..24].copy_from_slice(&phone.port().to_be_bytes());
        packet[24..26].copy_from_slice(&(len as u16 + 8).to_be_bytes());
        packet[26..28].fill(0);
        packet[HEADERS_BYTES + 1] ^= 0x80;
        Some(phone.into())
    }

    fn send(&self, packets: &[(SockaddrIn, &[u8])]) -> Result<()> {
        if packets.is_empty() {
            return Ok(());
        }
        let slices: Vec<[IoSlice<'_>; 1]> = packets.iter().map(|(_, bytes)| [IoSlice::new(bytes)]).collect();
        let addresses: Vec<Option<SockaddrIn>> = packets.iter().map(|(phone, _)| Some(*phone)).collect();
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(packets.len(), None);
        let none: [ControlMessage<'_>; 0] = [];
        match sendmmsg(self.raw.as_raw_fd(), &mut headers, &slices, &addresses, none, MsgFlags::MSG_DONTWAIT)
        {
            // A full queue loses packets, as it would anybody's.
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => Ok(()),
            Err(error) => Err(error).context("the raw socket cannot send"),
        }
    }
}

/// IPv4 and UDP.
const HEADERS_BYTES: usize = 28;
const BATCH: usize = 64;
/// Time for more packets to come when there were few.
const GATHER: Duration = Duration::from_micros(300);
