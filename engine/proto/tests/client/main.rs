//! The client against an engine that exists only here, on one virtual clock.

mod events;
mod network;
mod requests;
mod support;
