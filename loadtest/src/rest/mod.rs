//! The agents' console: REST requests and the stream of events.

pub(crate) mod events;
pub(crate) mod pool;
mod server;

pub(crate) use server::Server;
