//! Requests for a connection: each has one end, which is told (PC-07), also by the run after the one that was asked.

use crate::AgentId;
use crate::Output;
use crate::agent::Operation;
use crate::api::Outcome as Started;
use crate::core::Core;
use crate::mutation::Mutation;
use crate::record::Fact;
use crate::view::{Notification, OperationView};

impl Core {
    /// Waits for the end of an operation, which is told once.
    pub(super) fn add_operation(&mut self, id: &AgentId, operation: Operation) {
        let (name, url) = (operation.id.clone(), operation.url.clone());
        self.record(Fact::ConnectionAsked { agent: id.clone(), operation: name, url });
        if let Some(agent) = self.agents.get_mut(id) {
            agent.operations.push(operation);
        }
    }

    /// The connection is open, or did not come to be: whoever asked for it is told.
    pub(super) fn complete_operations(&mut self, id: &AgentId, error: Option<&str>) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let operations = std::mem::take(&mut agent.operations);
        if operations.is_empty() || (error.is_some() && self.mutated(Mutation::ForgetOperation)) {
            return;
        }
        self.record(Fact::ConnectionTold { agent: id.clone() });
        for operation in operations {
            self.tell_operation(id, operation, error);
        }
    }

    /// The end of one operation, by event and to the URL that it came with.
    pub(super) fn tell_operation(&mut self, id: &AgentId, operation: Operation, error: Option<&str>) {
        let view = OperationView {
            operation: operation.id,
            agent: id.clone(),
            result: if error.is_none() { "up" } else { "failed" }.to_owned(),
            error: error.map(str::to_owned),
        };
        if let Some(url) = operation.url {
            let body = serde_json::to_value(&view).unwrap_or_default();
            self.push(Output::Webhook { url, body });
        }
        self.push(Output::Notify(Notification::Operation(Box::new(view))));
    }

    /// After a restart: what was asked for is still wanted.
    pub(super) fn resume_operations(&mut self, id: &AgentId) {
        let waits = self.agents.get(id).is_some_and(|agent| !agent.operations.is_empty());
        if !waits {
            return;
        }
        let persistent = self.agents.get(id).is_some_and(|agent| agent.mode.now.persistent);
        match if persistent { self.establish(id) } else { Started::Ignored } {
            Started::Ignored => self.complete_operations(id, Some("cancelled")),
            Started::AlreadyUp => self.complete_operations(id, None),
            Started::Started | Started::InProgress => {}
        }
    }
}
