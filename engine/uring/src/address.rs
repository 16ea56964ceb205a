//! Socket addresses as the kernel lays them out (sockaddr_in and sockaddr_in6 of `man 7 ip` and `man 7 ipv6`).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for any address, in bytes; a multiple of 16, so that what follows stays aligned.
pub(crate) const ADDRESS_LEN: usize = 32;

const V4_LEN: usize = 16;
const V6_LEN: usize = 28;

/// The address in `bytes`; `None` if it is cut short or of another family.
pub(crate) fn parse(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(array(bytes, 0)?);
    let port = u16::from_be_bytes(array(bytes, 2)?);
    match i32::from(family) {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(array::<4>(bytes, 4)?);
            Some(SocketAddrV4::new(ip, port).into())
        }
        libc::AF_INET6 => {
            let flow = u32::from_ne_bytes(array(bytes, 4)?);
            let ip = Ipv6Addr::from(array::<16>(bytes, 8)?);
            let scope = u32::from_ne_bytes(array(bytes, 24)?);
            Some(SocketAddrV6::new(ip, port, flow, scope).into())
        }
        _ => None,
    }
}

/// Writes `address` and returns its length in bytes.
pub(crate) fn write(address: SocketAddr, bytes: &mut [u8; ADDRESS_LEN]) -> u32 {
    match address {
        SocketAddr::V4(address) => {
            bytes[..V4_LEN].copy_from_slice(&v4(address));
            V4_LEN as u32
        }
        SocketAddr::V6(v6) => {
            bytes[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
            bytes[2..4].copy_from_slice(&v6.port().to_be_bytes());
            bytes[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
            bytes[8..24].copy_from_slice(&v6.ip().octets());
            bytes[24..V6_LEN].copy_from_slice(&v6.scope_id().to_ne_bytes());
            V6_LEN as u32
        }
    }
}

/// An IPv4 address's bytes (struct sockaddr_in).
pub(crate) fn v4(address: SocketAddrV4) -> [u8; V4_LEN] {
    let mut bytes = [0; V4_LEN];
    bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
    bytes[4..8].copy_from_slice(&address.ip().octets());
    bytes
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_survive_writing_and_parsing() {
        let v6 = SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 1, 2, 3, 4), 40_002, 7, 3);
        for address in ["127.0.0.1:40000".parse().unwrap(), SocketAddr::from(v6)] {
            let mut bytes = [0xaa; ADDRESS_LEN];
            let len = write(address, &mut bytes) as usize;
            assert_eq!(parse(&bytes[..len]), Some(address));
            assert_eq!(parse(&bytes[..len - 12]), None);
        }
    }

    #[test]
    fn an_unknown_family_is_no_address() {
        assert_eq!(parse(&[0xff; ADDRESS_LEN]), None);
        assert_eq!(parse(&[]), None);
    }
}
