//! Who may speak: how a leg learns the address that its peer really sends from.
//!
//! The signalled address and port is learnt with its first packet. Any other source that the mode allows is only *believed* at
//! first: heard and, but for neighbours, sent to, so that no word of a phone behind NAT is lost. It is learnt, and the socket
//! connected to it, when nobody nearer has spoken for [`LATCH_WINDOW_MS`]; whoever is nearer takes its place until then.

mod nearness;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use offhook_proto::{LatchMode, Remote};

use self::nearness::Nearness;
use crate::Time;
use crate::limits::{LATCH_ASKING_MS, LATCH_BUDGET_PACKETS, LATCH_WINDOW_MS};

/// What a latch says of a packet's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The peer, as known.
    Known,
    /// Taken for the peer with this packet, until a nearer source speaks: do not connect to it. Whether it takes another
    /// one's place.
    Believed { instead: bool },
    /// The peer, learnt with this packet: connect to it. Whether it takes the place of another one that was believed.
    Learnt { instead: bool },
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
    /// The source that was told of last.
    told: Option<SocketAddr>,
    /// Whether the kernel was told, by socket; false again when that failed.
    pub(crate) rtp_connected: bool,
    pub(crate) rtcp_connected: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Learning(Learning),
    Latched(SocketAddr),
}

#[derive(Clone, Copy, Debug)]
struct Learning {
    candidates: [Candidate; 2],
    seen_packets: u16,
    believed: Option<Believed>,
    /// When somebody was believed first.
    since: Option<Time>,
}

/// A source that may become the peer, and how often it was seen.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: Option<SocketAddr>,
    packets: u8,
    nearness: Nearness,
}

/// The source that is taken for the peer for now.
#[derive(Clone, Copy, Debug)]
struct Believed {
    source: SocketAddr,
    nearness: Nearness,
    sent_to: bool,
}

impl Latch {
    /// A latch that has learnt nothing.
    pub(crate) fn new(mode: LatchMode, remote: Option<Remote>) -> Self {
        Self {
            mode,
            remote,
            rtp: State::Learning(Learning::FRESH),
            rtcp: None,
            told: None,
            rtp_connected: false,
            rtcp_connected: false,
        }
    }

    pub(crate) fn mode(&self) -> LatchMode {
        self.mode
    }

    pub(crate) fn remote(&self) -> Option<Remote> {
        self.remote
    }

    /// The source learnt, for good.
    pub(crate) fn latched(&self) -> Option<SocketAddr> {
        match self.rtp {
            State::Latched(source) => Some(source),
            State::Learning(_) => None,
        }
    }

    /// The source that is heard: learnt, or believed.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        match &self.rtp {
            State::Latched(source) => Some(*source),
            State::Learning(learning) => learning.believed.map(|believed| believed.source),
        }
    }

    /// Whether a source could still become the peer, as signalling stands or with a remote that is yet to be signalled.
    pub(crate) fn may_learn(&self, source: SocketAddr) -> bool {
        let State::Learning(learning) = &self.rtp else { return false };
        let Some(remote) = self.remote else { return true };
        let nearness = Nearness::of(self.mode, Some(remote.rtp), source);
        nearness.is_some_and(|nearness| learning.yields_to(nearness, self.mode))
    }

    /// Whether a source is the peer, or could still become it.
    pub(crate) fn may_be_peer(&self, source: SocketAddr) -> bool {
        self.peer() == Some(source) || self.may_learn(source)
    }

    /// Where RTP goes: to the source learnt or believed, before that to the signalled address, never to a guess.
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        let source = match &self.rtp {
            State::Latched(source) => Some(*source),
            State::Learning(learning) => {
                learning.believed.filter(|believed| believed.sent_to).map(|believed| believed.source)
            }
        };
        source.or(self.remote.map(|remote| remote.rtp))
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

    /// Judges the source of an RTP packet that came at a moment.
    pub(crate) fn admit(&mut self, at: Time, source: SocketAddr) -> Admission {
        let mode = self.mode;
        let signalled = self.remote.map(|remote| remote.rtp);
        let learning = match &mut self.rtp {
            State::Learning(learning) => learning,
            State::Latched(peer) if *peer == source => return Admission::Known,
            State::Latched(_) => return Admission::Refused,
        };
        let nearness = Nearness::of(mode, signalled, source);
        let before = learning.believed.map(|believed| believed.source);
        if before != Some(source) && !learning.comes_to_believe(source, nearness, mode) {
            return Admission::Refused;
        }
        let instead = before.is_some_and(|before| before != source);
        let since = *learning.since.get_or_insert(at);
        let waited_us = at.since(since);
        let Some(believed) = &mut learning.believed else { return Admission::Refused };
        if believed.nearness.is_certain(mode) || waited_us >= LATCH_WINDOW_MS * 1_000 {
            self.rtp = State::Latched(source);
            return Admission::Learnt { instead };
        }
        believed.sent_to |= !believed.nearness.waits_to_hear(mode) || waited_us >= LATCH_ASKING_MS * 1_000;
        if before == Some(source) { Admission::Known } else { Admission::Believed { instead } }
    }

    /// Judges the source of an RTCP packet: the signalled one, or any port of the address that RTP comes from. It is learnt for
    /// good only when that is.
    pub(crate) fn admit_rtcp(&mut self, source: SocketAddr) -> Admission {
        if let Some(known) = self.rtcp {
            return if known == source { Admission::Known } else { Admission::Refused };
        }
        let same_peer =
            self.mode != LatchMode::Strict && self.peer().is_some_and(|rtp| rtp.ip() == source.ip());
        if self.signalled_rtcp() != Some(source) {
            match (same_peer, self.latched()) {
                (false, _) => return Admission::Refused,
                (true, None) => return Admission::Known,
                (true, Some(_)) => {}
            }
        }
        self.rtcp = Some(source);
        Admission::Learnt { instead: false }
    }

    /// Takes note that a source that is believed or learnt is told of. Returns whether that is news: of sources that take each
    /// other's place with every packet nothing is told before one of them is learnt.
    pub(crate) fn is_news(&mut self, source: SocketAddr) -> bool {
        let settled = self.latched().is_some() || self.told.is_none() || self.is_nearest(source);
        settled && self.told.replace(source) != Some(source)
    }

    /// Starts again, as signalling says.
    pub(crate) fn restart(&mut self, mode: LatchMode, remote: Option<Remote>) {
        *self = Self::new(mode, remote);
    }

    /// Whether a source is nearer than the one that was told of.
    fn is_nearest(&self, source: SocketAddr) -> bool {
        let signalled = self.remote.map(|remote| remote.rtp);
        let nearness = |source| Nearness::of(self.mode, signalled, source);
        self.told.is_some_and(|told| nearness(source) < nearness(told))
    }

    fn signalled_rtcp(&self) -> Option<SocketAddr> {
        self.remote.and_then(|remote| remote.rtcp.or_else(|| port_after(remote.rtp)))
    }
}

impl Learning {
    const FRESH: Self = Self {
        candidates: [Candidate { source: None, packets: 0, nearness: Nearness::Far }; 2],
        seen_packets: 0,
        believed: None,
        since: None,
    };

    /// Whether a source of such a nearness would be believed from some packet on.
    fn yields_to(&self, nearness: Nearness, mode: LatchMode) -> bool {
        self.believed.is_none_or(|believed| nearness.displaces(believed.nearness, mode))
    }

    /// Counts a packet of a source that is not believed; true when it is from now on.
    fn comes_to_believe(&mut self, source: SocketAddr, nearness: Option<Nearness>, mode: LatchMode) -> bool {
        // Those who can never be the peer do not use up what it may need.
        let Some(nearness) = nearness.filter(|nearness| self.yields_to(*nearness, mode)) else {
            return false;
        };
        self.seen_packets = self.seen_packets.saturating_add(1);
        let needed = nearness.packets_needed(mode);
        let enough = needed == 1
            || self.seen_packets <= LATCH_BUDGET_PACKETS
                && count_candidate(&mut self.candidates, source, nearness) >= needed;
        if enough {
            self.believed = Some(Believed { source, nearness, sent_to: false });
        }
        enough
    }
}

/// Counts a packet of a source that needs more than one. Returns how many there were; 0 when there is no room for it.
///
/// A nearer source takes the place of a farther one; among equals the first stays, so that a flood from many sources
/// does not keep out one that was there before.
fn count_candidate(candidates: &mut [Candidate; 2], source: SocketAddr, nearness: Nearness) -> u8 {
    let at = candidates.iter().position(|c| c.source == Some(source));
    let at = at.or_else(|| candidates.iter().position(|c| c.source.is_none())).or_else(|| {
        let farther = usize::from(candidates[1].nearness > candidates[0].nearness);
        (candidates[farther].nearness > nearness).then_some(farther)
    });
    let Some(at) = at else { return 0 };
    let candidate = &mut candidates[at];
    if candidate.source != Some(source) {
        *candidate = Candidate { source: Some(source), packets: 0, nearness };
    }
    candidate.packets += 1;
    candidate.packets
}

fn port_after(address: SocketAddr) -> Option<SocketAddr> {
    Some(SocketAddr::new(address.ip(), address.port().checked_add(1)?))
}
