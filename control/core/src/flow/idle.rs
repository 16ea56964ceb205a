//! An open leg that nobody uses is closed after a while, where that is wanted (PC-09).

use crate::AgentId;
use crate::agent::{Activity, Wanted};
use crate::core::Core;
use crate::timer::{Deadline, Timer};

impl Core {
    /// Waits until the open leg may have been idle for too long.
    pub(crate) fn arm_idle(&mut self, id: &AgentId) {
        let timer = Timer::Idle(id.clone());
        match self.idle_until_us(id) {
            Some(until_us) => self.timers.arm(timer, Deadline::Ours(until_us)),
            None => self.timers.stop(&timer),
        }
    }

    /// When a leg is closed that nobody uses from now on, in microseconds on our clock; none where no leg is.
    fn idle_until_us(&self, id: &AgentId) -> Option<u64> {
        let minutes = u64::from(self.config.agents.idle_timeout_min);
        let agent = self.agents.get(id)?;
        let since_us = match agent.activity {
            Activity::Free | Activity::Refused => agent.idle_since_us,
            Activity::Offered { .. } | Activity::Busy { .. } | Activity::WrapUp => self.now.mono_us,
        };
        (minutes > 0).then(|| since_us + minutes * 60_000_000)
    }

    /// The open leg was not used for long, unless it was meanwhile (PC-09).
    pub(crate) fn on_idle(&mut self, id: &AgentId) {
        if self.idle_until_us(id).is_none_or(|until_us| until_us > self.now.mono_us) {
            self.arm_idle(id);
            return;
        }
        self.set_wanted_if_available(id, Wanted::OnBreak);
        self.close_connection(id, "idle");
    }
}
