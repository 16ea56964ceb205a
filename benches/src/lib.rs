//! Where the time goes: criterion benches with one question each, and side-by-side comparisons with peers.
//!
//! - `benches/*.rs`: one file per question, reported per packet, frame or operation. `make bench` runs them all.
//! - `compare`: the engine beside rtpengine and two bare forwarders, on one pinned processor, with one generator.
//!   `make compare` runs it; `compare park`, `compare splices` and `compare scale` ask about the engine alone.

pub mod fixture;
