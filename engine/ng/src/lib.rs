//! The `ng` family of the control protocol: what SIP proxies that drive rtpengine say, turned into the engine's own commands.
//!
//! [`Ng`] holds the calls, tags and media sections that such a client thinks in, and rewrites its session descriptions. It
//! never touches a socket, a clock or a leg: drive it with one input and the time ([`Ng::handle_datagram`],
//! [`Ng::handle_reply`], [`Ng::handle_timeout`]), do what [`Ng::poll_output`] says until there is nothing, and come back at
//! [`Ng::poll_timeout`]. It asks the engine with [`Output::Ask`]; each is answered with [`Ng::handle_reply`].
//!
//! Time is the time since the engine started.

mod answer;
mod bencode;
mod call;
mod codecs;
mod connect;
mod create;
mod delete;
mod end;
mod failure;
mod flags;
pub mod frame;
mod ignored;
mod json;
pub mod limits;
mod look;
mod mesh;
mod mute;
mod offer;
mod party;
mod play;
mod publish;
mod query;
mod record;
mod replies;
mod root;
pub mod sdp;
mod secure;
mod solo;
mod statistics;
mod subscribe;
mod transaction;
mod transform;
mod value;

pub use root::{Config, Ng, Output, Peer, speaks_ng};
pub use value::{Dict, Value};
pub use {bencode::parse as parse_bencode, bencode::write as write_bencode};
