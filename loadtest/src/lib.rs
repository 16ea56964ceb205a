//! The SIP of the load test, the sockets under it, and what lets it open thousands of them.
//!
//! It serves the harness, its tests and the comparisons of `benches`. [`sip::UserAgent`] is driven and owns no socket;
//! [`wire::Wire`] carries its messages. Nothing here is shared with the product.

pub mod files;
pub mod sip;
pub mod wire;
