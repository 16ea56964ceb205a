//! One leg: a port pair, its peer, and the one stream that the peer hears for ever.

use std::net::SocketAddr;
use std::sync::Arc;

use offhook_proto::{Idle, LatchMode, Media, Remote};

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
}

/// A leg with all its state, as it moves between workers.
#[derive(Debug)]
pub struct Leg {
    setup: LegSetup,
}

impl Leg {
    /// Identity for as long as the engine runs.
    pub fn id(&self) -> LegId {
        self.setup.id
    }
}
