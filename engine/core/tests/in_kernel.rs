//! What is so of a worker is so, word by word, of one that hands over to the kernel whatever it can at the first moment: each of
//! these files is run here a second time, with `Rig::new` giving such a worker.
#![expect(clippy::duplicate_mod, reason = "each of the files is a crate of its own elsewhere")]

#[path = "continuity.rs"]
mod continuity;
#[path = "detecting.rs"]
mod detecting;
#[path = "early_keys.rs"]
mod early_keys;
#[path = "forwarding.rs"]
mod forwarding;
#[path = "holding.rs"]
mod holding;
#[path = "hostile.rs"]
mod hostile;
#[path = "keys.rs"]
mod keys;
#[path = "learning.rs"]
mod learning;
#[path = "listening.rs"]
mod listening;
#[path = "one_way.rs"]
mod one_way;
#[path = "pauses.rs"]
mod pauses;
#[path = "recording.rs"]
mod recording;
#[path = "reports.rs"]
mod reports;
#[path = "rollover.rs"]
mod rollover;
#[path = "secure.rs"]
mod secure;
#[path = "supervising.rs"]
mod supervising;
