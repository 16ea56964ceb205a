//! How near a source is to what was signalled, and what that takes.

use std::net::{IpAddr, SocketAddr};

use offhook_proto::LatchMode;

use crate::limits::{LATCH_ANY_PACKETS, LATCH_SAME_ADDRESS_PACKETS, LATCH_SAME_NETWORK_PACKETS};

/// How near a source is to the signalled one, as its mode sees it. The nearer is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Nearness {
    /// The signalled address and port.
    Signalled,
    /// Another port of the signalled address.
    SameAddress,
    /// Another address of the signalled network (/24 or /64).
    SameNetwork,
    /// The signalled port of another address.
    SamePort,
    /// Anything else.
    Far,
}

impl Nearness {
    /// Of a source that a mode may learn; none when it never does.
    pub(super) fn of(mode: LatchMode, signalled: Option<SocketAddr>, source: SocketAddr) -> Option<Self> {
        if signalled == Some(source) {
            return Some(Self::Signalled);
        }
        let is = |same: fn(SocketAddr, SocketAddr) -> bool| signalled.is_some_and(|it| same(it, source));
        let same_address = is(|one, other| one.ip() == other.ip()).then_some(Self::SameAddress);
        let near = || {
            let same_network = is(|one, other| same_network(one.ip(), other.ip()));
            same_address.or(same_network.then_some(Self::SameNetwork))
        };
        let same_port = || is(|one, other| one.port() == other.port()).then_some(Self::SamePort);
        match mode {
            LatchMode::Strict => None,
            LatchMode::Signalled => near(),
            LatchMode::Any => near().or(Some(Self::Far)),
            LatchMode::Heuristic => same_address.or_else(same_port).or(Some(Self::Far)),
            LatchMode::Delayed | LatchMode::Immediate => Some(Self::Far),
        }
    }

    /// Packets that such a source must send before it is believed.
    pub(super) fn packets_needed(self, mode: LatchMode) -> u8 {
        match mode {
            LatchMode::Delayed | LatchMode::Heuristic | LatchMode::Immediate => 1,
            LatchMode::Any | LatchMode::Signalled | LatchMode::Strict => match self {
                Self::Signalled => 1,
                Self::SameAddress => LATCH_SAME_ADDRESS_PACKETS,
                Self::SameNetwork => LATCH_SAME_NETWORK_PACKETS,
                Self::SamePort | Self::Far => LATCH_ANY_PACKETS,
            },
        }
    }

    /// Whether such a source takes the place of one that is believed, as long as nobody is learnt.
    pub(super) fn displaces(self, believed: Self, mode: LatchMode) -> bool {
        match mode {
            // As in rtpengine the last to speak holds.
            LatchMode::Delayed | LatchMode::Heuristic => self <= believed,
            LatchMode::Any | LatchMode::Immediate | LatchMode::Signalled | LatchMode::Strict => {
                self < believed
            }
        }
    }

    /// Whether such a source is sent to only when the signalled address has had its time to speak.
    pub(super) fn waits_to_hear(self, mode: LatchMode) -> bool {
        mode == LatchMode::Signalled && self == Self::SameNetwork
    }

    /// Whether such a source is learnt with the packet that makes it believed.
    pub(super) fn is_certain(self, mode: LatchMode) -> bool {
        self == Self::Signalled || mode == LatchMode::Immediate
    }
}

/// Whether two addresses share a /24 or a /64.
fn same_network(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.octets()[..3] == other.octets()[..3],
        (IpAddr::V6(one), IpAddr::V6(other)) => one.octets()[..8] == other.octets()[..8],
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}
