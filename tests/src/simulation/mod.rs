//! One history: a seed, a world, an oracle.

mod engine;
mod flows;
mod network;
mod oracle;
mod reports;
mod shell;
mod users;
mod world;

use std::collections::BTreeMap;

use offhook_control_core::{Mutation, Transition};

pub use world::World;

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
    /// Callbacks that were completed.
    pub callbacks: u64,
}

/// Plays one seed to its end.
pub fn history(seed: u64, mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut world = World::new(seed, mutation, trace);
    world.run();
    world.into_outcome()
}
