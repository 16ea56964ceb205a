//! One history: a seed, a world, an oracle.

mod calendar;
mod callbacks;
mod engines;
mod failures;
mod flows;
mod hearing;
mod ledger;
mod model;
mod network;
mod office;
mod operations;
mod oracle;
mod order;
mod reports;
mod shell;
mod switch;
mod users;
mod voices;
mod wire;
mod world;

use std::collections::BTreeMap;

use offhook_control_core::{Mutation, Transition};

pub use world::{Engines, World};

/// What one seed came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// First thing that must not happen, in a sentence.
    pub violation: Option<String>,
    /// Inputs that the core took.
    pub steps: u64,
    /// Which event met which state, and how often.
    pub transitions: BTreeMap<Transition, u64>,
    /// What happened, line by line, when asked for.
    pub trace: Vec<String>,
    /// Crashes of control that were survived.
    pub crashes: u64,
    /// Customers who talked with an agent.
    pub conversations: u64,
    /// Engines that died or were cut off.
    pub outages: u64,
    /// Packets of one phone that another was sent.
    pub heard: u64,
    /// Callbacks that were completed.
    pub callbacks: u64,
}

/// Plays one seed to its end.
pub fn history(seed: u64, engines: Engines, mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut world = World::new(seed, engines, mutation, trace);
    world.run();
    world.into_outcome()
}
