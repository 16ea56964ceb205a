//! The contract between a media engine and whoever drives it: requests, replies and events in datagrams of JSON.
//!
//! This crate holds the types ([`Request`], [`Reply`], [`Event`]), the framing ([`frame`]), the signature for sockets that
//! are not on loopback ([`auth`]) and a client ([`client`]). It opens no socket and reads no clock. `PROTOCOL.md` beside it
//! describes the same contract in prose, and `golden/` holds example datagrams that the tests check against these types.

pub mod auth;
pub mod client;
mod error;
mod event;
pub mod frame;
pub mod limits;
mod reply;
mod request;
mod types;

pub use error::{Error, ErrorCode};
pub use event::{Event, EventBody, PlayEnd, SpliceAudio};
pub use reply::{
    EngineInfo, LegCounters, LegCreated, LegInfo, LegList, LegState, PlayStarted, Reply, RtcpReport,
    Subscribed, WorkerInfo,
};
pub use request::{
    Command, EventAck, LegCreate, LegDelete, LegList as LegListRequest, LegPark, LegQuery, LegUnpark,
    LegUpdate, Play, PlayStop, Request, Splice, Subscribe, Unsplice,
};
pub use types::{Codec, Drops, Idle, LatchMode, Media, PlaySource, Remote, ToneName};
