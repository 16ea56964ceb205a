//! Connections that were asked for: what came of each is told, once, and again only by a run that cannot know that it was (PC-07).

use std::collections::{BTreeMap, BTreeSet};

use offhook_control_core::api::{OperationReply, Outcome};
use offhook_control_core::record::Fact;
use offhook_control_core::view::OperationView;

use super::world::World;

#[derive(Debug, Default)]
pub(super) struct Operations {
    /// Something is to be told about these; nothing about the others.
    asked: BTreeMap<String, bool>,
    /// What was told last, and by which life of control.
    told: BTreeMap<String, (u64, OperationView)>,
    /// On durable record as told.
    closed: BTreeSet<String>,
}

impl World {
    /// An agent was told what came of asking.
    pub(super) fn note_operation(&mut self, reply: &OperationReply) {
        let is_told = reply.outcome != Outcome::Ignored;
        self.oracle.operations.asked.insert(reply.operation.clone(), is_told);
    }

    /// An operation has ended. That may be heard before the reply that names it.
    pub(super) fn judge_operation(&mut self, view: &OperationView) {
        let (run, operation) = (self.shell.run, &view.operation);
        match self.oracle.operations.told.insert(operation.clone(), (run, view.clone())) {
            Some((before, _)) if before == run => {
                self.violate(format!("the end of operation {operation} is told twice"));
            }
            Some((_, before)) if before != *view => {
                self.violate(format!("the end of operation {operation} is told again in other words"));
            }
            Some(_) | None => {}
        }
        if self.oracle.operations.closed.contains(operation) {
            self.violate(format!("the end of operation {operation} is told again, and is on record as told"));
        }
        if self.oracle.operations.asked.get(operation) == Some(&false) {
            self.violate(format!("operation {operation} was ignored, and has an end"));
        }
    }

    /// A record became durable.
    pub(super) fn judge_operation_record(&mut self, fact: &Fact) {
        let Fact::ConnectionTold { operation, .. } = fact else { return };
        if !self.oracle.operations.told.contains_key(operation) {
            self.violate(format!("operation {operation} is on record as told, and nobody was told"));
        }
        self.oracle.operations.closed.insert(operation.clone());
    }

    /// At the very end.
    pub(super) fn judge_operations(&mut self) {
        let Operations { asked, told, .. } = &self.oracle.operations;
        let open = asked.iter().find(|(operation, is_told)| **is_told && !told.contains_key(*operation));
        if let Some((operation, _)) = open {
            self.violate(format!("what came of operation {operation} was never told"));
        }
    }
}
