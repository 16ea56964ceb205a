//! Wrap-up: after a conversation an agent is given nobody for a time, over a restart too (BY-10).

use crate::AgentId;
use crate::agent::{Activity, Wanted};
use crate::core::Core;
use crate::flow::replay::Replayed;
use crate::record::Fact;
use crate::timer::Timer;

impl Replayed {
    /// The calendar was set: what is left of a wrap-up does not change with it.
    pub(super) fn shift_wrap_ups(&mut self, by_ms: i64) {
        for (began_ms, until_ms) in self.wrap_ups.values_mut() {
            *began_ms = began_ms.saturating_add_signed(by_ms);
            *until_ms = until_ms.saturating_add_signed(by_ms);
        }
    }
}

impl Core {
    /// A conversation is over, and its agent wraps up for so many milliseconds.
    pub(super) fn begin_wrap_up(&mut self, id: &AgentId, ms: u64) {
        self.arm(Timer::WrapUp(id.clone()), ms);
        let until_ms = Some(self.now.unix_ms.saturating_add(ms));
        self.record(Fact::WrapUp { agent: id.clone(), until_ms });
    }

    /// After a restart: for as long as was left.
    pub(super) fn resume_wrap_up(&mut self, id: &AgentId) {
        let Some((began_ms, until_ms)) = self.replayed.wrap_ups.remove(id) else { return };
        // The calendar may have been set back while nobody ran.
        let left_ms = until_ms.saturating_sub(self.now.unix_ms).min(until_ms.saturating_sub(began_ms));
        let Some(agent) = self.agents.get_mut(id) else { return };
        if left_ms == 0 || agent.wanted == Wanted::LoggedOut {
            return;
        }
        agent.activity = Activity::WrapUp;
        (agent.status, agent.since_ms) = (agent.current_status(), began_ms);
        self.arm(Timer::WrapUp(id.clone()), left_ms);
    }

    /// The agent is through with it before its time, if they are in it.
    pub(crate) fn end_wrap_up(&mut self, id: &AgentId) {
        if self.agents.get(id).is_some_and(|agent| agent.activity == Activity::WrapUp) {
            self.timers.stop(&Timer::WrapUp(id.clone()));
            self.record(Fact::WrapUp { agent: id.clone(), until_ms: None });
            self.on_wrap_up_over(id);
        }
    }

    /// Its time is over.
    pub(crate) fn on_wrap_up_over(&mut self, id: &AgentId) {
        let now_us = self.now.mono_us;
        let Some(agent) = self.agents.get_mut(id) else { return };
        if agent.activity != Activity::WrapUp {
            return;
        }
        agent.activity = Activity::Free;
        agent.idle_since_us = now_us;
        self.agent_changed(id);
    }
}
