//! Which signalling paths lead to phones that are registered.

use std::collections::HashMap;

use super::flow::Flow;
use super::registrar::Binding;

/// Each flow with the number of bindings that came over it: asked for with every call that comes in.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    bindings: HashMap<Flow, usize>,
}

impl Flows {
    pub(crate) fn contains(&self, flow: Flow) -> bool {
        self.bindings.contains_key(&flow)
    }

    /// These bindings are there.
    pub(crate) fn add(&mut self, bindings: &[Binding]) {
        for binding in bindings {
            *self.bindings.entry(binding.flow).or_default() += 1;
        }
    }

    /// These bindings were there.
    pub(crate) fn remove(&mut self, bindings: &[Binding]) {
        for binding in bindings {
            if let Some(count) = self.bindings.get_mut(&binding.flow) {
                *count -= 1;
                if *count == 0 {
                    self.bindings.remove(&binding.flow);
                }
            }
        }
    }
}
