//! Requests for a connection: the end of each is told once, by whichever run it comes in (PC-07).
//!
//! What came of one is on record before it is told, and that it was told only when its webhook has had its tries: if control dies in
//! between, the next run tells it again, in the same words.

use crate::agent::{Ended, Operation};
use crate::api::Outcome as Started;
use crate::connection::State;
use crate::core::Core;
use crate::limits::OPERATIONS;
use crate::mutation::Mutation;
use crate::record::Fact;
use crate::timer::{Deadline, Timer};
use crate::view::{Notification, OperationView};
use crate::{AgentId, Output};

impl Core {
    /// An operation that is over already is told at once; else its end is told once (PC-07).
    pub(super) fn add_operation(&mut self, id: &AgentId, operation: Operation, over: bool) {
        let (name, url) = (operation.id.clone(), operation.url.clone());
        self.record(Fact::ConnectionAsked { agent: id.clone(), operation: name, url });
        if let Some(agent) = self.agents.get_mut(id) {
            agent.operations.push(operation);
        }
        if over {
            self.complete_operations(id, None);
        }
    }

    /// The connection is open, or did not come to be: whoever asked for it is told.
    pub(super) fn complete_operations(&mut self, id: &AgentId, error: Option<&str>) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let operations = std::mem::take(&mut agent.operations);
        if error.is_some() && self.mutated(Mutation::ForgetOperation) {
            return;
        }
        for operation in operations {
            let (name, error) = (operation.id.clone(), error.map(str::to_owned));
            self.record(Fact::ConnectionEnded { agent: id.clone(), operation: name, error: error.clone() });
            self.tell_end(id, Ended { operation, error, told_us: 0 });
        }
    }

    /// Tells the end of one operation by event, and to the URL that it came with.
    fn tell_end(&mut self, id: &AgentId, mut ended: Ended) {
        let view = OperationView {
            operation: ended.operation.id.clone(),
            agent: id.clone(),
            result: if ended.error.is_none() { "up" } else { "failed" }.to_owned(),
            error: ended.error.clone(),
        };
        // The list may have been changed since.
        let url = ended.operation.url.clone().filter(|url| self.config.webhooks.allows(url));
        if let Some(url) = url {
            let body = serde_json::to_value(&view).unwrap_or_default();
            self.push(Output::Webhook { url, body });
        }
        self.push(Output::Notify(Notification::Operation(Box::new(view))));
        ended.told_us = self.now.mono_us;
        let Some(agent) = self.agents.get_mut(id) else { return };
        agent.ended.push(ended);
        if agent.ended.len() > OPERATIONS {
            let first = agent.ended.remove(0);
            self.record(Fact::ConnectionTold { agent: id.clone(), operation: first.operation.id });
        }
        self.arm_told(id);
    }

    fn arm_told(&mut self, id: &AgentId) {
        let first = self.agents.get(id).and_then(|agent| agent.ended.first());
        if let Some(first) = first {
            let until_us = first.told_us + TRIES_MS * 1_000;
            self.timers.arm(Timer::Told(id.clone()), Deadline::Ours(until_us));
        }
    }

    /// Whoever was told of an end has heard of it, or does not listen.
    pub(crate) fn on_told(&mut self, id: &AgentId) {
        let over_us = self.now.mono_us.saturating_sub(TRIES_MS * 1_000);
        let Some(agent) = self.agents.get_mut(id) else { return };
        let left = agent.ended.partition_point(|ended| ended.told_us <= over_us);
        let told: Vec<Ended> = agent.ended.drain(..left).collect();
        for ended in told {
            self.record(Fact::ConnectionTold { agent: id.clone(), operation: ended.operation.id });
        }
        self.arm_told(id);
    }

    /// A run begins with the requests that the journal has: ends that may not have been heard of are told again.
    pub(super) fn take_up_operations(&mut self) {
        let open = std::mem::take(&mut self.replayed.operations);
        if self.mutated(Mutation::ForgetOperationAtRestart) {
            return;
        }
        for (agent, operation) in open.into_values() {
            if let Some(agent) = self.agents.get_mut(&agent) {
                agent.operations.push(operation);
            }
        }
        for (agent, ended) in std::mem::take(&mut self.replayed.ended_operations).into_values() {
            self.tell_end(&agent, ended);
        }
    }

    /// What was asked for in an earlier run is still wanted.
    pub(super) fn resume_operations(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get(id).filter(|agent| !agent.operations.is_empty()) else { return };
        match if agent.mode.now.persistent { self.establish(id) } else { Started::Ignored } {
            Started::Ignored => self.complete_operations(id, Some("cancelled")),
            Started::AlreadyUp => self.complete_operations(id, None),
            Started::Started | Started::InProgress => {}
        }
    }

    /// The leg is not wanted any more. One that was still to be dialled is not, and whoever asked for it is told (PC-07).
    pub(crate) fn forget_reopening(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let waited = std::mem::take(&mut agent.reopen) || self.replayed.is_pending();
        if waited && agent.connection == State::Down {
            self.timers.stop(&Timer::Redial(id.clone()));
            self.complete_operations(id, Some("cancelled"));
        }
    }
}

/// Longer than all tries of a webhook take.
const TRIES_MS: u64 = 30_000;
