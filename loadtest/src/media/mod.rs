//! RTP of the harness's own: stamped packets out, proof of who heard them in.
//!
//! One thread ([`pump`]) sends and receives for every endpoint; the rest is pure and tested without a socket.

pub(crate) mod continuity;
pub(crate) mod digits;
pub(crate) mod hearing;
pub(crate) mod keys;
pub(crate) mod ledger;
mod listener;
pub(crate) mod oracle;
pub(crate) mod party;
pub(crate) mod pump;
mod reporter;
mod rtcp;
pub(crate) mod rtp;
pub(crate) mod sockets;
pub(crate) mod stamp;

/// Names one endpoint of a run: agents first, then a new one for every call of a customer.
pub(crate) type EndpointId = u32;

/// Which side of a conversation an endpoint is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Agent,
    Customer,
}

impl Role {
    /// The other side of the conversation.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Agent => Self::Customer,
            Self::Customer => Self::Agent,
        }
    }
}

/// What the run is doing, so that what is heard meanwhile can be told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Agents are going off hook.
    #[default]
    Ramp,
    /// All are off hook and nobody calls.
    Parked,
    /// Calls come and go.
    Load,
    /// No new calls; the last ones end.
    Drain,
}

/// How many phases there are.
pub(crate) const PHASES: usize = 4;
/// Packets per second of a stream.
pub(crate) const PACKETS_PER_SECOND: u64 = 50;
/// Packet time in nanoseconds.
pub(crate) const PTIME_NS: u64 = 1_000_000_000 / PACKETS_PER_SECOND;
/// Samples, bytes of G.711 and RTP timestamp units in a packet.
pub(crate) const PTIME_TS: u32 = 160;
