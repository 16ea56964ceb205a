//! Who is next, on both sides.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::AgentId;
use crate::interaction::Way;

/// A place: higher priority first, then the oldest arrival, then the order of coming; last, whose interaction has it.
pub(crate) type Place = (Reverse<i32>, u64, u64, u64);

/// Waiting interactions by queue, and agents who are ready.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    waiting: BTreeMap<String, BTreeSet<Place>>,
    /// Those of them who are on the line: nobody has to be called for them.
    on_the_line: BTreeMap<String, BTreeSet<Place>>,
    ready: BTreeSet<Idle>,
    /// The same agents once more for each of their skills.
    ready_by_skill: BTreeMap<String, BTreeSet<Idle>>,
    /// Since when, and under which skills.
    entered: BTreeMap<AgentId, (u64, Vec<String>)>,
}

/// Since when an agent is ready, on our clock.
type Idle = (u64, AgentId);

impl Queues {
    /// `way`: who is to be called when an agent is there, and who is on the line.
    pub(crate) fn enter(&mut self, queue: &str, place: Place, way: Way) {
        if way != Way::Outbound {
            self.on_the_line.entry(queue.to_owned()).or_default().insert(place);
        }
        self.waiting.entry(queue.to_owned()).or_default().insert(place);
    }

    pub(crate) fn leave(&mut self, queue: &str, place: &Place) {
        for waiting in [&mut self.waiting, &mut self.on_the_line] {
            if let Some(places) = waiting.get_mut(queue) {
                places.remove(place);
                if places.is_empty() {
                    waiting.remove(queue);
                }
            }
        }
    }

    /// Sets since when an agent with these skills is ready, on our clock; none when not ready.
    pub(crate) fn set_ready(&mut self, agent: &AgentId, since_us: Option<u64>, skills: &[String]) {
        let entered = self.entered.get(agent);
        if entered.map(|(since, skills)| (*since, &skills[..])) == since_us.map(|since| (since, skills)) {
            return;
        }
        if let Some((since, skills)) = self.entered.remove(agent) {
            let idle = (since, agent.clone());
            self.ready.remove(&idle);
            for skill in &skills {
                if let Some(ready) = self.ready_by_skill.get_mut(skill) {
                    ready.remove(&idle);
                    if ready.is_empty() {
                        self.ready_by_skill.remove(skill);
                    }
                }
            }
        }
        if let Some(since) = since_us {
            for skill in skills {
                self.ready_by_skill.entry(skill.clone()).or_default().insert((since, agent.clone()));
            }
            self.ready.insert((since, agent.clone()));
            self.entered.insert(agent.clone(), (since, skills.to_vec()));
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.ready.is_empty() || self.waiting.is_empty()
    }

    /// Ready agents with a skill, or all, longest idle first.
    pub(crate) fn ready(&self, skill: Option<&str>) -> impl Iterator<Item = &AgentId> {
        self.idle(skill).into_iter().flatten().map(|(_, agent)| agent)
    }

    /// How many those are.
    pub(crate) fn ready_count(&self, skill: Option<&str>) -> usize {
        self.idle(skill).map_or(0, BTreeSet::len)
    }

    fn idle(&self, skill: Option<&str>) -> Option<&BTreeSet<Idle>> {
        match skill {
            Some(skill) => self.ready_by_skill.get(skill),
            None => Some(&self.ready),
        }
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

    /// Waiting to be called, in all queues.
    pub(crate) fn to_be_called(&self) -> usize {
        let on_the_line: usize = self.on_the_line.values().map(BTreeSet::len).sum();
        self.waiting_total() - on_the_line
    }

    /// Position from 1 of a place in its queue.
    pub(crate) fn position(&self, queue: &str, place: &Place) -> Option<usize> {
        let places = self.waiting.get(queue)?;
        places.contains(place).then(|| places.range(..=place).count())
    }

    /// The first pair for which `fits` says yes: waiting in order of place over all queues, agents by idleness.
    ///
    /// Only agents with the queue's skill are asked about; where none of them is ready, its waiting are not looked at. Unless
    /// `may_call`, only those on the line are.
    pub(crate) fn next_pair<'a>(
        &self,
        may_call: bool,
        skill_of: impl Fn(&str) -> Option<&'a str>,
        fits: impl Fn(&AgentId, u64) -> bool,
    ) -> Option<(u64, AgentId)> {
        if self.is_idle() {
            return None;
        }
        let mut best: Option<(&Place, &AgentId)> = None;
        let waiting = if may_call { &self.waiting } else { &self.on_the_line };
        for (queue, places) in waiting {
            let skill = skill_of(queue);
            if self.ready_count(skill) == 0 {
                continue;
            }
            for place in places {
                if best.is_some_and(|(found, _)| found < place) {
                    break;
                }
                if let Some(agent) = self.ready(skill).find(|agent| fits(agent, place.3)) {
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
        queues.next_pair(true, |_| None, |_, _| true).map(|(id, agent)| (id, agent.0))
    }

    #[test]
    fn the_longest_idle_agent_takes_the_oldest_arrival() {
        let mut queues = Queues::default();
        queues.enter("a", (Reverse(0), 200, 1, 1), Way::Outbound);
        queues.enter("b", (Reverse(0), 100, 2, 2), Way::Outbound);
        queues.set_ready(&"late".into(), Some(9), &[]);
        queues.set_ready(&"early".into(), Some(3), &[]);
        assert_eq!(pair(&queues), Some((2, "early".into())));
    }

    #[test]
    fn while_nobody_may_be_called_whoever_is_on_the_line_is_served_and_the_others_keep_their_places() {
        let mut queues = Queues::default();
        queues.enter("a", (Reverse(0), 100, 1, 1), Way::Outbound);
        queues.enter("a", (Reverse(0), 200, 2, 2), Way::Inbound);
        queues.set_ready(&"x".into(), Some(3), &[]);
        assert_eq!(queues.next_pair(false, |_| None, |_, _| true), Some((2, "x".into())));
        assert_eq!((queues.to_be_called(), queues.position("a", &(Reverse(0), 200, 2, 2))), (1, Some(2)));
        queues.leave("a", &(Reverse(0), 200, 2, 2));
        assert_eq!(queues.next_pair(false, |_| None, |_, _| true), None);
        assert_eq!(queues.next_pair(true, |_| None, |_, _| true), Some((1, "x".into())));
    }

    #[test]
    fn a_higher_priority_goes_before_an_older_arrival() {
        let mut queues = Queues::default();
        queues.enter("a", (Reverse(0), 100, 1, 1), Way::Outbound);
        queues.enter("b", (Reverse(5), 200, 2, 2), Way::Outbound);
        queues.set_ready(&"x".into(), Some(3), &[]);
        assert_eq!(pair(&queues), Some((2, "x".into())));
    }

    #[test]
    fn by_07_a_place_is_kept_by_arrival_however_late_it_is_entered() {
        let mut queues = Queues::default();
        queues.enter("a", (Reverse(0), 200, 1, 1), Way::Outbound);
        queues.enter("a", (Reverse(0), 100, 7, 7), Way::Outbound);
        assert_eq!(queues.position("a", &(Reverse(0), 100, 7, 7)), Some(1));
    }

    #[test]
    fn an_agent_without_the_skill_is_passed_over() {
        let mut queues = Queues::default();
        queues.enter("a", (Reverse(0), 200, 1, 1), Way::Outbound);
        queues.set_ready(&"x".into(), Some(3), &["talks".into()]);
        queues.set_ready(&"y".into(), Some(4), &["talks".into(), "sings".into()]);
        let singer = |queues: &Queues| queues.next_pair(true, |_| Some("sings"), |_, _| true);
        assert_eq!(singer(&queues), Some((1, "y".into())));
        queues.set_ready(&"y".into(), None, &["talks".into(), "sings".into()]);
        assert_eq!(singer(&queues), None);
        assert_eq!((queues.ready_count(None), queues.ready_count(Some("sings"))), (1, 0));
    }

    #[test]
    fn skills_that_change_while_an_agent_is_ready_count_at_once() {
        let mut queues = Queues::default();
        queues.enter("a", (Reverse(0), 200, 1, 1), Way::Outbound);
        queues.set_ready(&"x".into(), Some(3), &["talks".into()]);
        queues.set_ready(&"x".into(), Some(3), &["sings".into()]);
        assert_eq!(queues.next_pair(true, |_| Some("sings"), |_, _| true), Some((1, "x".into())));
        assert_eq!(queues.next_pair(true, |_| Some("talks"), |_, _| true), None);
    }
}
