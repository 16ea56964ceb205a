//! What the kernel knows of routes and interfaces, asked over netlink (RFC 3549; `man 7 rtnetlink`).

use crate::sys;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

/// A socket for such questions. Answers come at once.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
}

/// Tells when interfaces, addresses, routes or the rules for these change in this network namespace.
#[derive(Debug)]
pub struct RouteWatch {
    socket: Socket,
}

impl RouteWatch {
    /// Watches from now on.
    ///
    /// # Errors
    /// No descriptor is free.
    pub fn new() -> io::Result<Self> {
        let netlink = Netlink::new()?;
        // The kernel tells nothing to a socket without an address, and gives it one when it asks something.
        netlink.interfaces()?;
        let Netlink { socket } = netlink;
        for group in GROUPS {
            sys::set_option(socket.as_fd(), libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, group as i32)?;
        }
        Ok(Self { socket })
    }

    /// Waits until something has changed since the last call, if need be.
    ///
    /// # Errors
    /// A system call failed.
    pub fn wait(&self) -> io::Result<()> {
        let mut message = [0; 4_096];
        loop {
            match (&self.socket).read(&mut message) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // More has changed than the queue holds.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => break,
                read => {
                    read?;
                    break;
                }
            }
        }
        // What is there already has changed already.
        self.socket.set_nonblocking(true)?;
        while (&self.socket).read(&mut message).is_ok() {}
        self.socket.set_nonblocking(false)
    }
}

const GROUPS: [u32; 5] = [
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_IPV4_IFADDR,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV4_RULE,
    libc::RTNLGRP_NEXTHOP,
];

/// How packets get somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Number of the interface that they leave by: the loopback's for addresses of this machine.
    pub interface: u32,
    /// Longest packet that gets there whole, IP header included, as far as the route tells; 65,535 if it does not.
    pub mtu_bytes: u16,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Whether it is up.
    pub is_up: bool,
    /// Whether packets for this machine come in here, with Ethernet headers (as the loopback's have). Those of a port of a bridge or
    /// bond come in by that one; those of a tunnel do not count, because they may have a route already (see forward.c).
    pub is_entrance: bool,
    /// Longest packet that it takes, IP header included.
    pub mtu_bytes: u32,
}

impl Netlink {
    /// A socket.
    ///
    /// # Errors
    /// No descriptor is free.
    pub fn new() -> io::Result<Self> {
        let protocol = Protocol::from(libc::NETLINK_ROUTE);
        Ok(Self { socket: Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(protocol))? })
    }

    /// The way from an address of this machine to another address, for packets of a traffic class.
    ///
    /// # Errors
    /// There is none, and why.
    pub fn route(&self, from: Ipv4Addr, to: Ipv4Addr, traffic_class: u8) -> io::Result<Route> {
        let mut body = vec![libc::AF_INET as u8, 32, 32, traffic_class, 0, 0, 0, 0, 0, 0, 0, 0];
        for (kind, address) in [(libc::RTA_DST, to), (libc::RTA_SRC, from)] {
            body.extend(8_u16.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(address.octets());
        }
        let mut found = None;
        self.ask(libc::RTM_GETROUTE, 0, &body, |message| {
            let attributes = message.get(ROUTE_HEADER_BYTES..).unwrap_or_default();
            let metrics = attribute(attributes, libc::RTA_METRICS).unwrap_or_default();
            let known_mtu = attribute(metrics, RTAX_MTU).and_then(|value| number(value, 0));
            let interface = attribute(attributes, libc::RTA_OIF).and_then(|value| number(value, 0));
            found = interface.zip(Some(known_mtu));
        })?;
        let (interface, known_mtu) = found.ok_or(io::ErrorKind::HostUnreachable)?;
        let mtu_bytes = known_mtu.and_then(|mtu| u16::try_from(mtu).ok()).unwrap_or(u16::MAX);
        Ok(Route { interface, mtu_bytes })
    }

    /// An interface, by its number.
    ///
    /// # Errors
    /// There is none.
    pub fn interface(&self, number: u32) -> io::Result<Interface> {
        let mut body = [0; LINK_HEADER_BYTES];
        body[4..8].copy_from_slice(&number.to_ne_bytes());
        let mut found = None;
        self.ask(libc::RTM_GETLINK, 0, &body, |message| found = interface(message))?;
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// All interfaces of this network namespace.
    ///
    /// # Errors
    /// A system call failed.
    pub fn interfaces(&self) -> io::Result<Vec<Interface>> {
        let mut interfaces = Vec::new();
        self.ask(libc::RTM_GETLINK, libc::NLM_F_DUMP as u16, &[0; LINK_HEADER_BYTES], |message| {
            interfaces.extend(interface(message));
        })?;
        Ok(interfaces)
    }

    fn ask(&self, kind: u16, flags: u16, body: &[u8], mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let mut request = Vec::with_capacity(HEADER_BYTES + body.len());
        request.extend((HEADER_BYTES as u32 + body.len() as u32).to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        request.extend((flags | libc::NLM_F_REQUEST as u16).to_ne_bytes());
        request.extend([0; 8]);
        request.extend(body);
        self.socket.send(&request)?;
        let mut answer = vec![0; ANSWER_BYTES];
        loop {
            let length = (&self.socket).read(&mut answer)?;
            let mut rest = &answer[..length];
            while let Some((kind, message, behind)) = split(rest) {
                match kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => return error(message),
                    _ => take(message),
                }
                rest = behind;
            }
            if flags == 0 {
                return Ok(());
            }
        }
    }
}

/// The next message of a datagram: its kind, its body, and what is behind it.
fn split(datagram: &[u8]) -> Option<(i32, &[u8], &[u8])> {
    let length = number(datagram, 0)? as usize;
    let kind = u16::from_ne_bytes(datagram.get(4..6)?.try_into().ok()?);
    let body = datagram.get(HEADER_BYTES..length)?;
    Some((i32::from(kind), body, datagram.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// The value of an attribute.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let half = |at: usize| Some(u16::from_ne_bytes(attributes.get(at..at + 2)?.try_into().ok()?));
        let (length, kind) = (usize::from(half(0)?), half(2)?);
        if kind == wanted {
            return attributes.get(4..length);
        }
        // An attribute is no shorter than its header.
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
}

fn interface(message: &[u8]) -> Option<Interface> {
    let kind = u16::from_ne_bytes(message.get(2..4)?.try_into().ok()?);
    let attributes = message.get(LINK_HEADER_BYTES..)?;
    let name = attribute(attributes, libc::IFLA_IFNAME)?;
    let info = attribute(attributes, libc::IFLA_LINKINFO).unwrap_or_default();
    let word = |kind| attribute(info, kind).map(|word| word.strip_suffix(b"\0").unwrap_or(word));
    let is_ethernet = [libc::ARPHRD_ETHER, libc::ARPHRD_LOOPBACK].contains(&kind);
    let is_tunnel = word(libc::IFLA_INFO_KIND).is_some_and(|kind| TUNNELS.contains(&kind));
    // What a part of a VRF receives comes in there.
    let is_part = attribute(attributes, libc::IFLA_MASTER).is_some()
        && word(libc::IFLA_INFO_SLAVE_KIND) != Some(b"vrf");
    Some(Interface {
        number: number(message, 4)?,
        name: String::from_utf8_lossy(name).trim_end_matches('\0').to_owned(),
        is_up: number(message, 8)? & libc::IFF_UP as u32 != 0,
        is_entrance: is_ethernet && !is_tunnel && !is_part,
        mtu_bytes: number(attribute(attributes, libc::IFLA_MTU)?, 0)?,
    })
}

fn error(message: &[u8]) -> io::Result<()> {
    match number(message, 0) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error((error as i32).wrapping_neg())),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// `struct nlmsghdr`, `struct rtmsg` and `struct ifinfomsg`.
const HEADER_BYTES: usize = 16;
const ROUTE_HEADER_BYTES: usize = 12;
const LINK_HEADER_BYTES: usize = 16;
const NLMSG_ERROR: i32 = libc::NLMSG_ERROR;
const NLMSG_DONE: i32 = libc::NLMSG_DONE;
/// linux/rtnetlink.h.
const RTAX_MTU: u16 = 2;
/// Kinds whose packets may come with a route (`external` in `man 8 ip-link`).
const TUNNELS: [&[u8]; 7] =
    [b"vxlan", b"geneve", b"gretap", b"ip6gretap", b"erspan", b"ip6erspan", b"bareudp"];
/// More than the kernel puts into one datagram.
const ANSWER_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_leads_to_this_machine() {
        let netlink = Netlink::new().unwrap();
        let interfaces = netlink.interfaces().unwrap();
        let loopback = interfaces.iter().find(|interface| interface.name == "lo").unwrap();
        assert!(loopback.is_up && loopback.is_entrance, "{loopback:?}");
        assert_eq!(netlink.interface(loopback.number).unwrap(), *loopback);
        let route = netlink.route(Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 9, 9, 9), 0xB8).unwrap();
        assert_eq!(route, Route { interface: loopback.number, mtu_bytes: u16::MAX });
    }

    #[test]
    fn nothing_leads_away_from_an_address_that_is_not_ours() {
        let netlink = Netlink::new().unwrap();
        assert!(netlink.route(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::LOCALHOST, 0).is_err());
        netlink.route(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST, 0).unwrap();
    }

    #[test]
    fn messages_that_are_cut_off_or_lie_about_their_length_end_the_reading() {
        assert_eq!(split(&[0; 3]), None);
        assert_eq!(split(&[0; 16]), None, "shorter than its own header");
        assert_eq!(split(&[255; 40]), None);
        assert_eq!(attribute(&[0; 8], 4), None);
        assert_eq!(attribute(&[2, 0, 4, 0], 4), None, "shorter than its own header");
        assert_eq!(attribute(&[8, 0, 4, 0, 1, 0, 0, 0], 4), Some(&[1, 0, 0, 0][..]));
    }
}
