//! Who may speak: how a leg learns the address that its peer really sends from.
//!
//! Nothing is ever sent to an address that is only guessed: until the latch the destination is the signalled one, or none.

use std::net::{IpAddr, SocketAddr};

use offhook_proto::{LatchMode, Remote};

use crate::limits::{
    LATCH_ANY_PACKETS, LATCH_BUDGET_PACKETS, LATCH_SAME_ADDRESS_PACKETS, LATCH_SAME_NETWORK_PACKETS,
};

/// What a latch says of a packet's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The peer, as known.
    Known,
    /// The peer, learnt with this packet: connect to it.
    Learnt,
    /// Not the peer, or not yet.
    Refused,
}

/// The learning of one leg's RTP and RTCP sources.
#[derive(Clone, Debug)]
pub(crate) struct Latch {
    mode: LatchMode,
    remote: Option<Remote>,
    rtp: State,
    rtcp: Option<SocketAddr>,
    /// Whether the kernel was told, by socket; false again when that failed.
    pub(crate) rtp_connected: bool,
    pub(crate) rtcp_connected: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Learning { candidates: [Candidate; 2], seen_packets: u16 },
    Latched(SocketAddr),
}

/// A source that may become the peer, and how often it was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Candidate {
    source: Option<SocketAddr>,
    packets: u8,
    needed: u8,
}

impl State {
    const FRESH: Self = Self::Learning {
        candidates: [Candidate { source: None, packets: 0, needed: 0 }; 2],
        seen_packets: 0,
    };
}

impl Latch {
    /// A latch that has learnt nothing.
    pub(crate) fn new(mode: LatchMode, remote: Option<Remote>) -> Self {
        Self { mode, remote, rtp: State::FRESH, rtcp: None, rtp_connected: false, rtcp_connected: false }
    }

    pub(crate) fn mode(&self) -> LatchMode {
        self.mode
    }

    pub(crate) fn remote(&self) -> Option<Remote> {
        self.remote
    }

    /// The source learnt.
    pub(crate) fn latched(&self) -> Option<SocketAddr> {
        match self.rtp {
            State::Latched(source) => Some(source),
            State::Learning { .. } => None,
        }
    }

    /// Whether a source could still become the peer, as signalling stands or with a remote that is yet to be signalled.
    pub(crate) fn may_learn(&self, source: SocketAddr) -> bool {
        let Some(remote) = self.remote else { return true };
        remote.rtp == source || packets_needed(self.mode, Some(remote.rtp), source).is_some()
    }

    /// Whether a source is the peer, or could still become it.
    pub(crate) fn may_be_peer(&self, source: SocketAddr) -> bool {
        self.latched().map_or_else(|| self.may_learn(source), |latched| latched == source)
    }

    /// Where RTP goes: to the source learnt, before that to the signalled address, never to a guess.
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        self.latched().or(self.remote.map(|remote| remote.rtp))
    }

    /// The address to send RTP with: none where the socket is connected to its destination.
    pub(crate) fn address_of(&self, destination: SocketAddr) -> Option<SocketAddr> {
        (!self.rtp_connected).then_some(destination)
    }

    /// Where RTCP goes; none without a remote.
    ///
    /// The port after that of RTP where none was signalled (RFC 3550 section 11).
    pub(crate) fn rtcp_destination(&self) -> Option<SocketAddr> {
        self.rtcp.or_else(|| self.signalled_rtcp()).or_else(|| self.latched().and_then(port_after))
    }

    /// Judges the source of an RTP packet.
    pub(crate) fn admit(&mut self, source: SocketAddr) -> Admission {
        let State::Learning { candidates, seen_packets } = &mut self.rtp else {
            return if self.latched() == Some(source) { Admission::Known } else { Admission::Refused };
        };
        let signalled = self.remote.map(|remote| remote.rtp);
        *seen_packets = seen_packets.saturating_add(1);
        let learnt = if signalled == Some(source) {
            true
        } else if *seen_packets > LATCH_BUDGET_PACKETS {
            false
        } else {
            packets_needed(self.mode, signalled, source)
                .is_some_and(|needed| count_candidate(candidates, source, needed))
        };
        if !learnt {
            return Admission::Refused;
        }
        self.rtp = State::Latched(source);
        Admission::Learnt
    }

    /// Judges the source of an RTCP packet: the signalled one, or any port of the address that RTP latched to.
    pub(crate) fn admit_rtcp(&mut self, source: SocketAddr) -> Admission {
        if let Some(known) = self.rtcp {
            return if known == source { Admission::Known } else { Admission::Refused };
        }
        let same_peer = match (self.mode, self.latched()) {
            (LatchMode::Strict, _) | (_, None) => false,
            (LatchMode::Signalled | LatchMode::Any, Some(rtp)) => rtp.ip() == source.ip(),
        };
        if self.signalled_rtcp() != Some(source) && !same_peer {
            return Admission::Refused;
        }
        self.rtcp = Some(source);
        Admission::Learnt
    }

    /// Starts again, as signalling says.
    pub(crate) fn restart(&mut self, mode: LatchMode, remote: Option<Remote>) {
        *self = Self::new(mode, remote);
    }

    fn signalled_rtcp(&self) -> Option<SocketAddr> {
        self.remote.and_then(|remote| remote.rtcp.or_else(|| port_after(remote.rtp)))
    }
}

/// Packets that a source must send before it is believed; none when it never is.
fn packets_needed(mode: LatchMode, signalled: Option<SocketAddr>, source: SocketAddr) -> Option<u8> {
    let near = signalled.and_then(|signalled| {
        if signalled.ip() == source.ip() {
            Some(LATCH_SAME_ADDRESS_PACKETS)
        } else {
            same_network(signalled.ip(), source.ip()).then_some(LATCH_SAME_NETWORK_PACKETS)
        }
    });
    match mode {
        LatchMode::Strict => None,
        LatchMode::Signalled => near,
        LatchMode::Any => near.or(Some(LATCH_ANY_PACKETS)),
    }
}

/// Counts a packet of a source that is not the signalled one; true when there were enough.
///
/// A nearer source takes the place of a farther one; among equals the first stays, so that a flood from many sources
/// does not keep out one that was there before.
fn count_candidate(candidates: &mut [Candidate; 2], source: SocketAddr, needed: u8) -> bool {
    let at = candidates.iter().position(|c| c.source == Some(source));
    let at = at.or_else(|| candidates.iter().position(|c| c.source.is_none())).or_else(|| {
        let farther = usize::from(candidates[1].needed > candidates[0].needed);
        (candidates[farther].needed > needed).then_some(farther)
    });
    let Some(at) = at else { return false };
    let candidate = &mut candidates[at];
    if candidate.source != Some(source) {
        *candidate = Candidate { source: Some(source), packets: 0, needed };
    }
    candidate.packets += 1;
    candidate.packets >= needed
}

/// Whether two addresses share a /24 or a /64.
fn same_network(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.octets()[..3] == other.octets()[..3],
        (IpAddr::V6(one), IpAddr::V6(other)) => one.octets()[..8] == other.octets()[..8],
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

fn port_after(address: SocketAddr) -> Option<SocketAddr> {
    Some(SocketAddr::new(address.ip(), address.port().checked_add(1)?))
}

#[cfg(test)]
mod tests {
    use super::Admission::{Known, Learnt, Refused};
    use super::*;

    const SIGNALLED: &str = "192.0.2.10:4000";

    fn at(address: &str) -> SocketAddr {
        address.parse().expect("a literal address")
    }

    fn latch(mode: LatchMode) -> Latch {
        Latch::new(mode, Some(Remote { rtp: at(SIGNALLED), rtcp: None }))
    }

    fn packets_until_learnt(latch: &mut Latch, source: &str) -> Option<usize> {
        (1..=1_000).find(|_| latch.admit(at(source)) == Learnt)
    }

    #[test]
    fn every_mode_learns_each_kind_of_source_after_its_number_of_packets() {
        let near = Some(usize::from(LATCH_SAME_ADDRESS_PACKETS));
        let network = Some(usize::from(LATCH_SAME_NETWORK_PACKETS));
        let any = Some(usize::from(LATCH_ANY_PACKETS));
        let sources = [SIGNALLED, "192.0.2.10:9", "192.0.2.99:4000", "198.51.100.1:4000"];
        for (mode, expected) in [
            (LatchMode::Strict, [Some(1), None, None, None]),
            (LatchMode::Signalled, [Some(1), near, network, None]),
            (LatchMode::Any, [Some(1), near, network, any]),
        ] {
            let learnt = sources.map(|source| packets_until_learnt(&mut latch(mode), source));
            assert_eq!(learnt, expected, "{mode:?}");
        }
    }

    #[test]
    fn rtp_bleed_fails_a_stranger_never_becomes_the_destination() {
        let mut latch = latch(LatchMode::Signalled);
        for port in 1..=u16::MAX {
            assert_eq!(latch.admit(SocketAddr::new(at("203.0.113.66:0").ip(), port)), Refused);
            assert_eq!(latch.destination(), Some(at(SIGNALLED)));
        }
        assert_eq!(latch.admit(at(SIGNALLED)), Learnt, "the peer still gets through after the flood");
    }

    #[test]
    fn rtp_inject_fails_nobody_else_is_heard_after_the_latch() {
        let mut latch = latch(LatchMode::Any);
        assert_eq!(latch.admit(at(SIGNALLED)), Learnt);
        for source in ["192.0.2.10:4002", "192.0.2.11:4000", "203.0.113.66:4000"] {
            assert_eq!(packets_until_learnt(&mut latch, source), None);
        }
        assert_eq!(latch.admit(at(SIGNALLED)), Known);
        assert_eq!(latch.latched(), Some(at(SIGNALLED)));
    }

    #[test]
    fn after_the_budget_only_the_signalled_source_latches() {
        let mut latch = latch(LatchMode::Any);
        for port in 0..LATCH_BUDGET_PACKETS {
            assert_eq!(latch.admit(SocketAddr::new(at("203.0.113.1:0").ip(), port)), Refused);
        }
        assert_eq!(packets_until_learnt(&mut latch, "192.0.2.10:4002"), None);
        assert_eq!(latch.admit(at(SIGNALLED)), Learnt);
    }

    #[test]
    fn a_nearer_source_is_not_kept_out_by_farther_ones() {
        let mut latch = latch(LatchMode::Any);
        for source in ["203.0.113.1:1", "203.0.113.2:1", "203.0.113.3:1", "192.0.2.10:4002"] {
            assert_eq!(latch.admit(at(source)), Refused);
        }
        assert_eq!(latch.admit(at("192.0.2.10:4002")), Learnt);
    }

    #[test]
    fn nothing_is_learnt_or_sent_to_before_signalling_names_a_remote() {
        let mut latch = Latch::new(LatchMode::Signalled, None);
        assert_eq!(packets_until_learnt(&mut latch, SIGNALLED), None);
        assert_eq!((latch.destination(), latch.rtcp_destination()), (None, None));
    }

    #[test]
    fn rtcp_comes_from_the_signalled_port_or_the_latched_address_only() {
        let mut latch = latch(LatchMode::Signalled);
        assert_eq!(latch.admit_rtcp(at("192.0.2.10:4005")), Refused, "RTP has not latched");
        assert_eq!(latch.admit(at("192.0.2.10:4002")), Refused);
        assert_eq!(latch.admit(at("192.0.2.10:4002")), Learnt);
        assert_eq!(latch.admit_rtcp(at("192.0.2.11:4001")), Refused);
        assert_eq!(latch.admit_rtcp(at("192.0.2.10:4005")), Learnt);
        assert_eq!(latch.admit_rtcp(at("192.0.2.10:4001")), Refused);
        assert_eq!(latch.rtcp_destination(), Some(at("192.0.2.10:4005")));
    }

    #[test]
    fn a_restart_forgets_what_was_learnt() {
        let mut latch = latch(LatchMode::Signalled);
        assert_eq!(latch.admit(at(SIGNALLED)), Learnt);
        latch.restart(LatchMode::Signalled, Some(Remote { rtp: at("198.51.100.7:6000"), rtcp: None }));
        assert_eq!(latch.admit(at(SIGNALLED)), Refused);
        assert_eq!(latch.admit(at("198.51.100.7:6000")), Learnt);
    }
}
