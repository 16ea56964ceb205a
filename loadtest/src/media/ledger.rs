//! What the media thread knows at the end, and the few figures that it shows meanwhile.

use std::sync::atomic::AtomicU64;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::continuity::Breaks;
use super::hearing::Heard;
use super::keys::Keys;
use super::oracle::Violation;
use super::rtp::Header;
use super::{EndpointId, PHASES};

/// Figures that other threads may look at while the run goes on.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) sent: AtomicU64,
    /// Stamped packets that arrived where they should.
    pub(crate) heard: AtomicU64,
    pub(crate) violations: AtomicU64,
}

/// Packets without a stamp, by what they were.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Unstamped {
    /// PCMU that is digital silence throughout.
    pub(crate) silence: u64,
    /// PCMU that is not: prompts, tones, music.
    pub(crate) sound: u64,
    pub(crate) comfort_noise: u64,
    pub(crate) telephone_events: u64,
    pub(crate) other: u64,
}

/// Packets that tell of trouble.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Trouble {
    pub(crate) damaged: u64,
    pub(crate) not_rtp: u64,
    pub(crate) wrong_source: u64,
    pub(crate) unsent: u64,
    /// Left out because the harness was more than three packet times behind.
    pub(crate) skipped: u64,
    /// Presses of keys that the other side takes none of.
    pub(crate) keys_not_taken: u64,
    /// Dropped by the kernel because the harness read too slowly: no fault of the engine.
    pub(crate) overflowed: u64,
}

/// One customer's call, as the packets tell it.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) customer: EndpointId,
    pub(crate) agent: Option<EndpointId>,
    pub(crate) answered_ns: Option<u64>,
    /// Stamped packets that the customer sent, from its answer to the end.
    pub(crate) sent: u64,
    pub(crate) to_agent: Option<Heard>,
    pub(crate) to_customer: Option<Heard>,
    pub(crate) early_packets: u64,
    pub(crate) keys: Keys,
}

/// The breaks in what one endpoint heard.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Broken {
    pub(crate) endpoint: EndpointId,
    pub(crate) breaks: Breaks,
    /// The first packet that broke the stream, and the one before it.
    pub(crate) first: Option<(Header, Header)>,
}

/// Reports of RTCP.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rtcp {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Endpoints of which the other side has said how it hears them.
    pub(crate) told: u64,
    /// Packets of theirs that it says it has lost.
    pub(crate) lost: u64,
    /// The most jitter that it tells of any, in timestamp units.
    pub(crate) most_jitter_ts: u32,
}

/// Everything the media thread found out.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) sent: u64,
    pub(crate) heard: u64,
    pub(crate) delay_to_agent_ns: Histogram<u64>,
    pub(crate) delay_to_customer_ns: Histogram<u64>,
    /// How late packets left, against their place on the 20 ms grid.
    pub(crate) lateness_ns: Histogram<u64>,
    pub(crate) conversations: Vec<Conversation>,
    pub(crate) agents: Breaks,
    pub(crate) customers: Breaks,
    /// The most broken streams, worst first.
    pub(crate) broken: Vec<Broken>,
    pub(crate) broken_count: u64,
    /// By phase, then agent and customer.
    pub(crate) unstamped: [[Unstamped; 2]; PHASES],
    pub(crate) trouble: Trouble,
    pub(crate) rtcp: Rtcp,
    /// From a report of ours to the one that answers it, without the time that the other side kept it.
    pub(crate) round_trip_ns: Histogram<u64>,
    /// Keys heard by an agent between two customers.
    pub(crate) stray_keys: u64,
    pub(crate) violations: Vec<Violation>,
    pub(crate) violation_count: u64,
    pub(crate) longest_tail_packets: u64,
    pub(crate) cpu_ns: u64,
    pub(crate) wall_ns: u64,
}

/// A histogram of 1 µs to 60 s in nanoseconds, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("the bounds are in order")
}
