//! The root: dispatches inputs to the entities.

use std::collections::VecDeque;

use crate::{Config, Input, Now, Output, Record};

/// The control plane.
#[derive(Debug)]
pub struct Core {
    config: Config,
    outputs: VecDeque<Output>,
}

impl Core {
    /// An empty control plane. `seed` feeds PINs and ids; the shell draws it from the system.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let _ = seed;
        Self { config, outputs: VecDeque::new() }
    }

    /// Takes up one record of the journal, before [`Core::start`].
    pub fn replay(&mut self, record: &Record) {
        let _ = (record, &self.config);
    }

    /// Begins this run: emits its first record. Everything else waits until that one is durable.
    pub fn start(&mut self, now: Now) {
        let _ = now;
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Now, input: Input) {
        let _ = (now, input);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due, in microseconds on the clock of [`Now::mono_us`].
    pub fn poll_timeout(&self) -> Option<u64> {
        None
    }

    /// SIP digest password of an agent's phone.
    pub fn password(&self, agent: &str) -> Option<&str> {
        let _ = agent;
        None
    }
}
