//! Connections that were asked for: what came of each is told, once (PC-07).

use std::collections::{BTreeMap, BTreeSet};

use offhook_control_core::api::{OperationReply, Outcome};

use super::world::World;

/// Operations of the control that lives.
#[derive(Debug, Default)]
pub(super) struct Operations {
    /// Something is to be told about these; nothing about the others.
    asked: BTreeMap<String, bool>,
    told: BTreeSet<String>,
}

impl World {
    /// An agent was told what came of asking.
    pub(super) fn note_operation(&mut self, reply: &OperationReply) {
        let is_told = reply.outcome != Outcome::Ignored;
        self.oracle.operations.asked.insert(reply.operation.clone(), is_told);
    }

    /// An operation has ended. That may be heard before the reply that names it.
    pub(super) fn judge_operation(&mut self, operation: &str) {
        if !self.oracle.operations.told.insert(operation.to_owned()) {
            self.violate(format!("the end of operation {operation} is told twice"));
        }
        if self.oracle.operations.asked.get(operation) == Some(&false) {
            self.violate(format!("operation {operation} was ignored, and has an end"));
        }
    }

    /// At the very end.
    pub(super) fn judge_operations(&mut self) {
        let Operations { asked, told } = &self.oracle.operations;
        let open = asked.iter().find(|(operation, is_told)| **is_told && !told.contains(*operation));
        if let Some((operation, _)) = open {
            self.violate(format!("what came of operation {operation} was never told"));
        }
    }

    /// Whoever asked has to ask again.
    pub(super) fn forget_operations(&mut self) {
        self.oracle.operations = Operations::default();
    }
}
