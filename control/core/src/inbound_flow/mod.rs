//! Inbound flows: what a caller hears and is asked before an agent is found.
//!
//! A flow is configured ([`FlowConfig`]), checked whole when it is read ([`check`]) and run by a pure interpreter: it is
//! given one event and returns one effect. It plays nothing and stores nothing itself.

mod check;
mod run;
#[cfg(test)]
mod run_tests;
mod step;
mod variables;

pub use check::{Fault, Key, check};
pub(crate) use run::{Effect, Event, Order, Other, Owner, Run};
pub use step::{
    Action, CallbackAction, DEFAULT, FlowConfig, FlowMedia, LONGER, ON_ERROR, StepConfig, TIMEOUT,
};
pub use variables::is_name;
