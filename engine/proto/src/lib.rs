//! The contract between a media engine and whoever drives it: requests, replies and events in datagrams of JSON.
//!
//! This crate holds the types ([`Request`], [`Reply`], [`Event`]), the framing ([`frame`]), the signature for sockets that
//! are not on loopback ([`auth`]) and a client as a state machine ([`client`]). `PROTOCOL.md` beside it describes the same
//! contract in prose, and `golden/` holds example datagrams that the tests check against these types.
//!
//! It opens no socket and reads no clock, except in the two thin shells around the client, which are features:
//! `blocking` (`BlockingClient`) and `tokio` (`AsyncClient`).

#[cfg(feature = "tokio")]
mod async_client;
pub mod auth;
#[cfg(feature = "blocking")]
mod blocking;
pub mod client;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod clock;
mod codec;
mod detect;
mod dscp;
mod error;
mod event;
pub mod frame;
mod interrupted;
pub mod limits;
mod mki;
mod opus;
mod parse;
mod ptime;
mod reply;
mod request;
mod sdes;
mod srtp;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod trouble;
mod types;
pub mod validate;

#[cfg(feature = "tokio")]
pub use async_client::AsyncClient;
#[cfg(feature = "blocking")]
pub use blocking::BlockingClient;

pub use client::{Client, ClientEvent, Config, RequestId};
pub use codec::Codec;
pub use detect::{
    AmdParameters, DetectStart, DetectStop, DetectWhat, Detected, DetectedCause, DetectedKind, ToneParameters,
};
pub use dscp::{Dscp, NotDscp};
pub use error::{Error, ErrorCode};
pub use event::{AudioDirection, Event, EventBody, PlayEnd, RecordEnd, SpliceAudio, SuperviseEnd};
pub use interrupted::uninterrupted;
pub use mki::Mki;
pub use opus::Opus;
pub use ptime::Ptime;
pub use reply::{
    EngineInfo, LegCounters, LegCreated, LegInfo, LegList, LegState, PlayStarted, PlayStopped, Quality,
    QualityScale, Reply, RtcpReport, Subscribed, Supervising, VoipMetrics, WorkerInfo,
};
pub use request::{
    Command, EventAck, LegCreate, LegDelete, LegList as LegListRequest, LegPark, LegQuery, LegUnpark,
    LegUpdate, Listen, ListenStop, Play, PlayStop, RecordStart, Recorded, Request, Splice, Subscribe,
    Supervise, SuperviseStop, Unsplice,
};
pub use sdes::{Crypto, SdesKeys};
pub use srtp::{Srtp, SrtpInfo, SrtpKey, SrtpKeys, SrtpSuite};
pub use types::{
    Drops, DtmfMode, Idle, Keys, LatchMode, Media, PlaySource, RecordMode, Remote, SuperviseMode, ToneName,
};
