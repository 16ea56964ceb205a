//! The agents' console: REST requests and the stream of events.

pub(crate) mod events;
pub(crate) mod pool;
