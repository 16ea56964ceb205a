//! A leg as the director opens it.

use std::net::SocketAddr;
use std::sync::Arc;

use offhook_proto::{DtmfMode, Idle, LatchMode, Media, Remote, Srtp};

use crate::LegId;

/// A leg as the director opens it.
#[derive(Clone, Debug, PartialEq)]
pub struct LegSetup {
    /// Identity for as long as the engine runs.
    pub id: LegId,
    /// Name, as the controller chose it.
    pub name: Arc<str>,
    /// Controller that created it.
    pub owner: Option<Arc<str>>,
    /// Where it receives RTP.
    pub rtp: SocketAddr,
    /// Where it receives RTCP.
    pub rtcp: SocketAddr,
    /// SSRC of everything that its peer will be sent.
    pub ssrc: u32,
    /// First sequence number that its peer will be sent.
    pub sequence: u16,
    /// First timestamp that its peer will be sent.
    pub timestamp: u32,
    /// Where the peer receives, when known.
    pub remote: Option<Remote>,
    /// What the packets carry.
    pub media: Media,
    /// How the peer's source is learnt.
    pub latch: LatchMode,
    /// What the peer is sent when it hears nobody.
    pub idle: Idle,
    /// Whether it starts parked.
    pub park: bool,
    /// Milliseconds without a packet after which it counts as silent; 0 never.
    pub silent_after_ms: u32,
    /// Milliseconds without audio in a conversation after which it is told as one-way; 0 never.
    pub one_way_after_ms: u32,
    /// Encryption of its packets.
    pub srtp: Srtp,
    /// Whether its RTCP goes over the RTP port.
    pub rtcp_mux: bool,
    /// What becomes of the keys pressed on it.
    pub dtmf: DtmfMode,
}

/// What never changes about a leg and no packet needs.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) id: LegId,
    pub(crate) name: Arc<str>,
    pub(crate) owner: Option<Arc<str>>,
    pub(crate) rtp: SocketAddr,
    pub(crate) rtcp: SocketAddr,
}

impl From<LegSetup> for Identity {
    fn from(setup: LegSetup) -> Self {
        Self { id: setup.id, name: setup.name, owner: setup.owner, rtp: setup.rtp, rtcp: setup.rtcp }
    }
}
