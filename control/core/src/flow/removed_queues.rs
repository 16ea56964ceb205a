//! Queues that are configured no more: who is in one on the line is served as before, until they are gone.
//!
//! Nobody new gets there, and no callback stays: what waits without a call is told at once (CB-13).

use crate::config::{Config, QueueConfig};
use crate::core::Core;

impl Core {
    /// The settings of a queue: of one that was removed the last that it had, as long as somebody is in it.
    pub(crate) fn queue(&self, name: &str) -> Option<&QueueConfig> {
        self.config.queue(name).or_else(|| self.removed_queues.get(name))
    }

    /// The skill that a queue takes.
    pub(crate) fn skill_of(&self, queue: &str) -> Option<&str> {
        self.queue(queue)?.skill.as_deref()
    }

    /// New settings, in force at once.
    pub(crate) fn take_config(&mut self, config: Config) {
        let before = std::mem::replace(&mut self.config, config);
        for queue in before.queues {
            self.removed_queues.insert(queue.name.clone(), queue);
        }
        let in_one = |name: &str| self.interactions.values().any(|found| found.queue == name);
        self.removed_queues.retain(|name, _| self.config.queue(name).is_none() && in_one(name));
        self.refresh_callbacks();
        let up: Vec<_> =
            self.agents.values().filter(|agent| agent.is_up()).map(|agent| agent.id().clone()).collect();
        for id in up {
            self.arm_idle(&id);
        }
        self.match_due = true;
    }

    /// After a restart somebody is in a queue that may have been removed since: it takes the skill that it took then.
    pub(super) fn remember_queue(&mut self, name: &str, skill: Option<&String>) {
        if !name.is_empty() && self.config.queue(name).is_none() {
            let queue =
                QueueConfig { name: name.to_owned(), skill: skill.cloned(), ..QueueConfig::default() };
            self.removed_queues.insert(name.to_owned(), queue);
        }
    }
}
