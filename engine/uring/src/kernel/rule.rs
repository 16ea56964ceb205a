//! A rule and its progress, and how both lie in the memory that is shared with the program (`struct rule` in forward.c).

use super::Route;
use std::net::SocketAddrV4;

/// How the packets of one stream are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where they are sent to: an address of this machine.
    pub at: SocketAddrV4,
    /// Where they come from.
    pub source: SocketAddrV4,
    /// Where they come from once forwarded: an address of this machine.
    pub from: SocketAddrV4,
    /// Where they go.
    pub to: SocketAddrV4,
    /// How they get there.
    pub route: Route,
    /// Whose lease it needs; see [`Forwarder::renew`](super::Forwarder::renew).
    pub worker: u32,
    /// Traffic class as it goes (RFC 2474 section 3): a code point above two zero bits.
    pub traffic_class: u8,
    /// SSRC as it comes.
    pub ssrc: u32,
    /// SSRC as it goes.
    pub out_ssrc: u32,
    /// Payload type as it comes, 0 to 127.
    pub payload_type: u8,
    /// Payload type as it goes, 0 to 127.
    pub out_payload_type: u8,
    /// Added to each sequence number.
    pub sequence_shift: u16,
    /// Added to each timestamp.
    pub timestamp_shift: u32,
    /// Timestamp units a second.
    pub clock_rate_hz: u32,
    /// Highest sequence number so far, with its wraps in the upper half.
    pub highest: u32,
    /// Lowest sequence number that may be forwarded, counted likewise.
    pub first: u32,
    /// Timestamp of the packet with the highest number.
    pub timestamp: u32,
    /// Arrival minus timestamp of the last packet, in timestamp units.
    pub transit_ts: u32,
    /// Jitter in sixteenths of a timestamp unit (RFC 3550 A.8).
    pub jitter_16ths: u32,
}

/// What was forwarded by a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Packets.
    pub packets: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// When the packet with the highest number came, in microseconds since the start of the clock; 0 if it is the rule's own.
    pub at_us: u64,
    /// When the last packet came, likewise; 0 if none has.
    pub last_at_us: u64,
    /// Highest sequence number so far, with its wraps in the upper half.
    pub highest: u32,
    /// Timestamp of the packet with this number.
    pub timestamp: u32,
    /// Payload bytes of it; 0 if it is the rule's own.
    pub last_payload_bytes: u16,
    /// Arrival minus timestamp of the last packet.
    pub transit_ts: u32,
    /// Jitter in sixteenths of a timestamp unit.
    pub jitter_16ths: u32,
}

/// Words of a rule behind its first, which says whether it is used.
pub(super) const WORDS: usize = 15;

/// Everything about a rule but its first word.
pub(super) type Words = [u64; WORDS];

impl Rule {
    pub(super) fn words(&self, clock_start_ns: u64) -> Words {
        let address = |address: SocketAddrV4| u32::from_ne_bytes(address.ip().octets());
        let port = |address: SocketAddrV4| address.port().to_be();
        [
            wide(address(self.at), pair(port(self.at), port(self.source))),
            wide(address(self.source), self.ssrc.to_be()),
            wide(address(self.from), address(self.to)),
            wide(pair(port(self.from), port(self.to)), self.route.interface),
            wide(self.out_ssrc.to_be(), self.timestamp_shift),
            wide(
                self.clock_rate_hz,
                pair(self.sequence_shift, u16::from_le_bytes([self.payload_type, self.out_payload_type])),
            ),
            clock_start_ns,
            0,
            0,
            0,
            0,
            wide(self.highest, self.first),
            wide(self.timestamp, self.transit_ts),
            wide(self.jitter_16ths, 0),
            wide(self.worker, pair(self.marks(), self.route.mtu_bytes)),
        ]
    }
}

impl Rule {
    /// Traffic class, and priority in queues on the way out: what the kernel gives a socket of that class (`man 7 socket`,
    /// SO_PRIORITY), whence interfaces of VLANs take their priorities.
    fn marks(&self) -> u16 {
        let priority = PRIORITIES[usize::from(self.traffic_class >> 3 & 3)];
        u16::from_le_bytes([self.traffic_class, priority])
    }
}

/// By two bits of the traffic class, the upper half of what was called type of service (RFC 1349): best effort, bulk, interactive, and
/// both of these (linux/pkt_sched.h).
const PRIORITIES: [u8; 4] = [0, 2, 6, 4];

impl Progress {
    pub(super) fn of(words: &Words) -> Self {
        let low = |word: u64| word as u32;
        let high = |word: u64| (word >> 32) as u32;
        Self {
            packets: words[7],
            payload_bytes: words[8],
            at_us: words[9],
            last_at_us: words[10],
            highest: low(words[11]),
            timestamp: low(words[12]),
            transit_ts: high(words[12]),
            jitter_16ths: low(words[13]),
            last_payload_bytes: high(words[13]) as u16,
        }
    }
}

/// Which of the words holds the interface, in its upper half.
pub(super) const INTERFACE_WORD: usize = 3;

/// The same word with another interface.
pub(super) fn with_interface(word: u64, interface: u32) -> u64 {
    wide(word as u32, interface)
}

/// Which of the words holds the longest packet, in its upper 16 bits.
pub(super) const MTU_WORD: usize = 14;

/// The same word with another longest packet.
pub(super) fn with_mtu(word: u64, mtu_bytes: u16) -> u64 {
    word << 16 >> 16 | u64::from(mtu_bytes) << 48
}

/// Two fields beside each other, as little-endian C lays them out.
fn wide(first: u32, second: u32) -> u64 {
    u64::from(first) | u64::from(second) << 32
}

fn pair(first: u16, second: u16) -> u32 {
    u32::from(first) | u32::from(second) << 16
}

#[cfg(not(target_endian = "little"))]
compile_error!("the program is compiled for little-endian machines");

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, SockRef, Socket, Type};
    use std::os::fd::AsFd;

    #[test]
    fn what_is_forwarded_has_the_priority_of_what_a_socket_sends() {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        for traffic_class in (0..=u8::MAX).step_by(4) {
            SockRef::from(&socket).set_tos_v4(traffic_class.into()).unwrap();
            let rule = Rule { traffic_class, ..crate::kernel::tests::rule() };
            let priority = crate::sys::priority(socket.as_fd()).unwrap();
            assert_eq!(u32::from(rule.marks() >> 8), priority, "{traffic_class}");
        }
    }
}
