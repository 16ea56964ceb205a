//! The shell around the pure control core: SIP, REST, the journal, the clock.
//!
//! [`config::Config`] is read and checked first; [`run`] then does everything until it is told to stop. One task owns the
//! core; everything else reaches it through bounded channels. What the core decides is written to the [`journal`] before
//! it is done.

mod clock;
pub mod config;
mod engine;
mod feed;
pub mod journal;
mod passwords;
mod rest;
mod runtime;
mod shell;
pub mod sip;
mod webhook;

pub use shell::run;
