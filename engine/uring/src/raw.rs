//! Packets with headers made here, sent through one raw socket whatever port they come from.

use crate::pool::TooLong;
use crate::sys;
use socket2::SockRef;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};

/// A socket for [`Ring::send_raw`](crate::Ring::send_raw) with so many bytes of queue. It never receives.
///
/// What it sends is routed as what `address` sends, and with `traffic_class` (`man 7 ip`: IP_TOS), whatever the headers say: they
/// had better say the same.
///
/// # Errors
/// The process may not (CAP_NET_RAW), or `address` is not one of this machine.
pub fn open(address: Ipv4Addr, send_bytes: usize, traffic_class: u8) -> io::Result<OwnedFd> {
    let socket = sys::raw_socket()?;
    SockRef::from(&socket).bind(&SocketAddrV4::new(address, 0).into())?;
    SockRef::from(&socket).set_tos_v4(traffic_class.into())?;
    let value = i32::try_from(send_bytes).unwrap_or(i32::MAX);
    if sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, value).is_err() {
        sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, value)?;
    }
    Ok(socket)
}

/// IPv4 without options, and UDP.
pub(crate) const HEADERS_LEN: usize = IP_LEN + UDP_LEN;

const IP_LEN: usize = 20;
const UDP_LEN: usize = 8;

/// The headers of a datagram (RFC 791, RFC 768). The kernel fills in the IPv4 checksum and identification.
pub(crate) fn headers(
    from: SocketAddrV4,
    to: SocketAddrV4,
    traffic_class: u8,
    payload: &[u8],
) -> Result<[u8; HEADERS_LEN], TooLong> {
    let udp_len = u16::try_from(UDP_LEN + payload.len()).map_err(|_| TooLong)?;
    let total_len = udp_len.checked_add(IP_LEN as u16).ok_or(TooLong)?;
    let mut headers = [0; HEADERS_LEN];
    headers[0] = 0x45;
    headers[1] = traffic_class;
    headers[2..4].copy_from_slice(&total_len.to_be_bytes());
    headers[6] = DO_NOT_FRAGMENT;
    headers[8] = TIME_TO_LIVE;
    headers[9] = libc::IPPROTO_UDP as u8;
    headers[12..16].copy_from_slice(&from.ip().octets());
    headers[16..20].copy_from_slice(&to.ip().octets());
    headers[20..22].copy_from_slice(&from.port().to_be_bytes());
    headers[22..24].copy_from_slice(&to.port().to_be_bytes());
    headers[24..26].copy_from_slice(&udp_len.to_be_bytes());
    // The pseudo header: both addresses, protocol and length; then UDP's own, its checksum still zero.
    let pseudo = u64::from(libc::IPPROTO_UDP as u16) + u64::from(udp_len);
    let sum = pseudo + sum_of(&headers[12..]) + sum_of(payload);
    headers[26..].copy_from_slice(&checksum(sum).to_be_bytes());
    Ok(headers)
}

/// The sum of 16-bit words, the last one filled up with a zero (RFC 1071). Cannot overflow below 2^48 words.
fn sum_of(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    // Two words at once: what carries from the lower half counts one, as it does when the halves are added.
    let sum: u64 = words.iter().map(|&word| u64::from(u32::from_be_bytes(word))).sum();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    sum + u64::from(u32::from_be_bytes(last))
}

/// The complement of a sum's carries added in; never zero, which would say that there is no checksum.
fn checksum(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match !(sum as u16) {
        0 => u16::MAX,
        checksum => checksum,
    }
}

const DO_NOT_FRAGMENT: u8 = 0x40;
const TIME_TO_LIVE: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_that_of_the_words_one_by_one() {
        for len in [0, 1, 2, 3, 4, 5, 171, 172, 1_400] {
            let bytes: Vec<u8> = (0..len).map(|at| (at * 37 + 251) as u8).collect();
            let mut slow = 0_u32;
            for pair in bytes.chunks(2) {
                slow += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
                slow = (slow & 0xffff) + (slow >> 16);
            }
            let expected = match !(slow as u16) {
                0 => u16::MAX,
                checksum => checksum,
            };
            assert_eq!(checksum(sum_of(&bytes)), expected, "{len} bytes");
        }
    }

    #[test]
    fn a_datagram_sums_up_to_all_ones() {
        let (from, to) = ("192.0.2.1:20000".parse().unwrap(), "198.51.100.7:4000".parse().unwrap());
        let payload = [0x80, 0, 1, 2, 3];
        let headers = headers(from, to, 0xB8, &payload).unwrap();
        assert_eq!(headers[..4], [0x45, 0xB8, 0, 33]);
        // The receiver's check (RFC 768): pseudo header and datagram, checksum included.
        let sum = 17 + 13 + sum_of(&headers[12..]) + sum_of(&payload);
        assert_eq!(checksum(sum), u16::MAX, "the complement of all ones, which is written as all ones");
    }

    #[test]
    fn what_does_not_fit_into_a_datagram_is_refused() {
        let address = "192.0.2.1:20000".parse().unwrap();
        assert!(headers(address, address, 0, &[0; 65_507]).is_ok());
        assert_eq!(headers(address, address, 0, &[0; 65_508]), Err(TooLong));
    }
}
