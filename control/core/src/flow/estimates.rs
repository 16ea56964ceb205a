//! Estimated waiting time of a queue, by place (CB-07).

use crate::agent::Wanted;
use crate::core::Core;
use crate::estimate::{Load, wait_ms};
use crate::view::EstimateView;

impl Core {
    /// Milliseconds that the customer at `position` (from 1) of a queue will probably wait; none while no agent of the
    /// queue is at work.
    pub(crate) fn estimated_wait_ms(&self, queue: &str, position: u64) -> Option<u64> {
        wait_ms(self.load(queue, position))
    }

    /// The estimate as a statistic; without `position` that of whoever came next.
    pub(crate) fn estimate_view(&self, queue: &str, position: Option<u64>) -> EstimateView {
        let waiting = self.queues.waiting_count(queue) as u64;
        let load = self.load(queue, position.unwrap_or(waiting + 1));
        EstimateView {
            name: queue.to_owned(),
            ewt_s: wait_ms(load).map(|ms| ms.div_ceil(1_000)),
            position: load.position,
            waiting,
            handling_s: load.handling_ms.div_ceil(1_000),
            agents_ready: load.agents_ready,
            agents_staffed: load.agents_staffed,
            time_s: self.now.unix_ms / 1_000,
        }
    }

    fn load(&self, queue: &str, position: u64) -> Load {
        let skill = self.skill_of(queue);
        let able = self.agents.values().filter(|agent| agent.has_skill(skill));
        let (mut agents_ready, mut agents_staffed) = (0, 0);
        for agent in able {
            agents_ready += u64::from(agent.is_ready());
            agents_staffed += u64::from(agent.wanted == Wanted::Available);
        }
        Load { position, agents_ready, agents_staffed, handling_ms: self.handling.mean_ms(queue) }
    }
}
