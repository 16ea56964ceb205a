//! The control plane's decisions: agents, their off-hook legs, callbacks, preview dialling, queues.
//!
//! Pure: it opens no socket, reads no clock and writes no file. [`Core`] is driven in five steps:
//!
//! 1. [`Core::new`] with a [`Config`] and a seed, then [`Core::replay`] of every journal [`Record`] in order.
//! 2. [`Core::start`] once; it emits the record that opens this run.
//! 3. [`Core::handle`] with [`Now`] and one [`Input`].
//! 4. [`Core::poll_output`] until it is empty. Whatever follows an [`Output::Record`] within one step waits until that
//!    record is durable; [`Output::key`] says whose order has to be kept.
//! 5. [`Core::poll_timeout`] says when to come back with [`Input::Tick`]; while [`Core::waits_for_calendar`], also when somebody
//!    has set that.
//!
//! Signalling, engine replies and events may come late, twice or in another order: each is matched against the state that
//! it meets, and one that fits nothing changes nothing.

mod agent;
pub mod api;
mod calendar;
mod call;
mod callback;
mod callback_index;
pub mod compact;
pub mod compliance;
pub mod config;
mod connection;
mod core;
mod engines;
pub mod estimate;
mod flow;
pub mod hours;
mod ids;
pub mod inbound_flow;
mod interaction;
mod io;
pub mod ledger;
mod leg;
pub mod limits;
mod line;
pub mod modes;
mod mutation;
mod news;
pub mod options;
mod preview;
mod projection;
mod queue;
pub mod record;
pub mod report;
pub mod sip;
mod throttle;
mod timer;
mod trunk;
pub mod view;
mod wait;
pub mod webhooks;
mod zones;

pub use crate::core::{Core, Transition};
pub use config::Config;
pub use ids::{AgentId, CallId, CallbackId, ContactId, EngineId, OfferId, OpId, RequestId};
pub use io::{EngineReply, Input, Key, Now, Output};
#[doc(hidden)]
pub use mutation::Mutation;
pub use news::news;
pub use record::Record;
