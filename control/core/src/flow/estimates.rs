//! Estimated waiting time of a queue, by place (CB-07).

use crate::CallId;
use crate::agent::Wanted;
use crate::core::Core;
use crate::estimate::{Load, wait_ms};
use crate::interaction::Source;
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

    /// A conversation of an earlier run is over: estimates go on from those.
    pub(super) fn learn_handling(&mut self, call: CallId, at_ms: u64) {
        let Some((_, since_ms)) = self.replayed.connected.get(&call) else { return };
        // Whoever waited for an agent who was lost took none of anybody's time.
        if self.replayed.parted.contains(&call) {
            return;
        }
        let talked_ms = at_ms.saturating_sub(*since_ms);
        let Some(queue) = self.queue_of_past(call).and_then(|queue| self.config.queue(queue)) else { return };
        let (name, wrap_up_ms) = (queue.name.clone(), u64::from(queue.wrap_up_ms));
        self.handling.learn(&name, talked_ms + wrap_up_ms);
    }

    /// The queue that a customer of an earlier run was in last.
    fn queue_of_past(&self, call: CallId) -> Option<&str> {
        let past = &self.replayed;
        let of_callback = |id| self.callbacks.get(id).map(|callback| callback.spec.queue.as_str());
        if let Some((queue, _)) = past.requeued.get(&call) {
            return Some(queue.as_str());
        }
        if let Some(id) = past.called_in.get(&call) {
            return of_callback(id);
        }
        match past.dialled.get(&call).map(|(source, _)| source) {
            Some(Source::Callback(id)) => of_callback(id),
            Some(Source::Contact(id)) => self.contacts.get(id).map(|contact| contact.spec.queue.as_str()),
            Some(Source::Caller) | None => past.callers.get(&call).map(|caller| caller.queue.as_str()),
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
