//! Where the time goes: criterion benches with one question each, and side-by-side comparisons with peers.
//!
//! - `benches/*.rs`: one file per question, reported per packet, frame or operation. `make bench` runs them all.
//! - `compare`: the engine beside rtpengine, a bare forwarder and a bare reader, on one pinned processor, with one generator.
//!   `make compare` runs it; `compare park`, `splices`, `players` and `scale` ask about the engine alone, `compare set-ups` and
//!   `restart` about control.

pub mod fixture;
