//! Who is next, on both sides.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::AgentId;

/// A place: higher priority first, then the oldest arrival, then the order of coming; last, whose interaction has it.
pub(crate) type Place = (Reverse<i32>, u64, u64, u64);

/// Waiting interactions by queue, and agents who are ready.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    waiting: BTreeMap<String, BTreeSet<Place>>,
    ready: BTreeSet<(u64, AgentId)>,
    ready_since: BTreeMap<AgentId, u64>,
}

impl Queues {
    pub(crate) fn enter(&mut self, queue: &str, place: Place) {
        self.waiting.entry(queue.to_owned()).or_default().insert(place);
    }

    pub(crate) fn leave(&mut self, queue: &str, place: &Place) {
        if let Some(places) = self.waiting.get_mut(queue) {
            places.remove(place);
            if places.is_empty() {
                self.waiting.remove(queue);
            }
        }
    }

    /// Sets since when an agent is ready, on our clock; none when not ready.
    pub(crate) fn set_ready(&mut self, agent: &AgentId, since_us: Option<u64>) {
        let old = match since_us {
            Some(since) => self.ready_since.insert(agent.clone(), since),
            None => self.ready_since.remove(agent),
        };
        if old == since_us {
            return;
        }
        if let Some(old) = old {
            self.ready.remove(&(old, agent.clone()));
        }
        if let Some(since) = since_us {
            self.ready.insert((since, agent.clone()));
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.ready.is_empty() || self.waiting.is_empty()
    }

    /// Ready agents, longest idle first.
    pub(crate) fn ready(&self) -> impl Iterator<Item = &AgentId> {
        self.ready.iter().map(|(_, agent)| agent)
    }

    pub(crate) fn waiting(&self, queue: &str) -> impl Iterator<Item = &Place> {
        self.waiting.get(queue).into_iter().flatten()
    }

    pub(crate) fn waiting_count(&self, queue: &str) -> usize {
        self.waiting.get(queue).map_or(0, BTreeSet::len)
    }

    pub(crate) fn waiting_total(&self) -> usize {
        self.waiting.values().map(BTreeSet::len).sum()
    }

    /// Position from 1 of a place in its queue.
    pub(crate) fn position(&self, queue: &str, place: &Place) -> Option<usize> {
        let places = self.waiting.get(queue)?;
        places.contains(place).then(|| places.range(..=place).count())
    }

    /// The first pair for which `fits` says yes: waiting in order of place over all queues, agents by idleness.
    ///
    /// A queue for whose head no agent `could` ever do (skill) is passed over whole.
    pub(crate) fn next_pair(
        &self,
        could: impl Fn(&AgentId, &str) -> bool,
        fits: impl Fn(&AgentId, u64) -> bool,
    ) -> Option<(u64, AgentId)> {
        if self.is_idle() {
            return None;
        }
        let mut best: Option<(&Place, &AgentId)> = None;
        for (queue, places) in &self.waiting {
            let able: Vec<&AgentId> = self.ready().filter(|agent| could(agent, queue)).collect();
            if able.is_empty() {
                continue;
            }
            for place in places {
                if best.is_some_and(|(found, _)| found < place) {
                    break;
                }
                if let Some(agent) = able.iter().find(|agent| fits(agent, place.3)) {
                    best = Some((place, agent));
                    break;
                }
            }
        }
        best.map(|(place, agent)| (place.3, agent.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(queues: &Queues) -> Option<(u64, String)> {
        queues.next_pair(|_, _| true, |_, _| true).map(|(id, agent)| (id, agent.0))
    }

    #[test]
    fn the_longest_idle_agent_takes_the_oldest_arrival() {
        let mut queues = Queues::default();
        queues.enter("a", (Reverse(0), 200, 1, 1));
        queues.enter("b", (Reverse(0), 100, 2, 2));
        queues.set_ready(&"late".into(), Some(9));
        queues.set_ready(&"early".into(), Some(3));
        assert_eq!(pair(&queues), Some((2, "early".into())));
    }

    #[test]
    fn a_higher_priority_goes_before_an_older_arrival() {
        let mut queues = Queues::default();
        queues.enter("a", (Reverse(0), 100, 1, 1));
        queues.enter("b", (Reverse(5), 200, 2, 2));
        queues.set_ready(&"x".into(), Some(3));
        assert_eq!(pair(&queues), Some((2, "x".into())));
    }

    #[test]
    fn by_07_a_place_is_kept_by_arrival_however_late_it_is_entered() {
        let mut queues = Queues::default();
        queues.enter("a", (Reverse(0), 200, 1, 1));
        queues.enter("a", (Reverse(0), 100, 7, 7));
        assert_eq!(queues.position("a", &(Reverse(0), 100, 7, 7)), Some(1));
    }

    #[test]
    fn an_agent_without_the_skill_is_passed_over() {
        let mut queues = Queues::default();
        queues.enter("a", (Reverse(0), 200, 1, 1));
        queues.set_ready(&"x".into(), Some(3));
        queues.set_ready(&"y".into(), Some(4));
        let found = queues.next_pair(|agent, _| agent.0 == "y", |_, _| true);
        assert_eq!(found, Some((1, "y".into())));
        queues.set_ready(&"y".into(), None);
        assert_eq!(queues.next_pair(|agent, _| agent.0 == "y", |_, _| true), None);
    }
}
