//! Customers and agents find each other.

use std::cell::Cell;

use crate::AgentId;
use crate::agent::{Activity, Agent};
use crate::core::Core;
use crate::interaction::{Stage, Way};
use crate::mutation::Mutation;
use crate::timer::{Deadline, Timer};

impl Core {
    /// Pairs whoever can be paired: held customers first, then the queues in order.
    pub(crate) fn match_waiting(&mut self) {
        if !self.engines.is_any_up() {
            return;
        }
        let soon_us = self.now.mono_us + HELD_MS * 1_000;
        // The one timer serves everybody who waits: it rings for whoever is first.
        let mut again_us = u64::MAX;
        let held: Vec<u64> = self.held.iter().copied().collect();
        for id in held {
            if self.interactions.get(&id).is_some_and(|found| found.passing.consult) {
                continue;
            }
            match self.agent_for_held(id) {
                Some(agent) => self.assign(id, &agent),
                None => again_us = soon_us,
            }
        }
        loop {
            let (id, agent) = match self.next_pair() {
                Ok(pair) => pair,
                Err(later_us) => {
                    again_us = again_us.min(later_us);
                    break;
                }
            };
            self.assign(id, &agent);
            let stuck = self.interactions.get(&id).is_some_and(|found| found.stage == Stage::Waiting);
            if stuck {
                again_us = again_us.min(soon_us);
                break;
            }
        }
        if again_us < u64::MAX {
            self.timers.arm(Timer::Match, Deadline::Ours(again_us));
        }
    }

    /// The next pair, or when to look again on our clock; `u64::MAX` when nobody is waited for.
    fn next_pair(&self) -> Result<(u64, AgentId), u64> {
        let now_us = self.now.mono_us;
        let again_us = Cell::new(u64::MAX);
        let unskilled = self.mutated(Mutation::IgnoreSkill);
        let skill_of = |queue: &str| self.skill_of(queue).filter(|_| !unskilled);
        let may_call = self.trunk.is_open() || self.mutated(Mutation::DialWhileAway);
        let fits = |agent: &AgentId, id: u64| {
            let Some(interaction) = self.interactions.get(&id) else { return false };
            // Its queue is configured no more: it waits until it is again.
            if interaction.way == Way::Outbound && self.config.queue(&interaction.queue).is_none() {
                return false;
            }
            match interaction.refusers.get(agent) {
                Some(until) if *until > now_us => {
                    again_us.set(again_us.get().min(*until));
                    false
                }
                Some(_) | None => true,
            }
        };
        self.queues.next_pair(may_call, skill_of, fits).ok_or(again_us.get())
    }

    /// The agent whom the customer had, while the grace time lasts; then any who is ready and able.
    fn agent_for_held(&self, id: u64) -> Option<AgentId> {
        let interaction = self.interactions.get(&id)?;
        let now_us = self.now.mono_us;
        let refused = |agent: &AgentId| interaction.refusers.get(agent).is_some_and(|until| *until > now_us);
        let last = interaction.last_agent.as_ref().and_then(|last| self.agents.get(last));
        if let Some(last) = last
            && last.activity == Activity::Free
            && (last.is_up() || (!last.mode.now.persistent && last.is_ready()))
            && !refused(last.id())
        {
            return Some(last.id().clone());
        }
        let grace_us = u64::from(self.config.agents.resume_grace_s) * 1_000_000;
        let over_us = interaction.held_us + grace_us;
        if now_us < over_us {
            return None;
        }
        let skill = self.skill_of(&interaction.queue);
        let fits = |agent: &&AgentId| !refused(agent) && self.agents.get(*agent).is_some_and(Agent::is_up);
        self.queues.ready(skill).find(fits).cloned()
    }
}

/// How often a held customer is looked after.
const HELD_MS: u64 = 1_000;
