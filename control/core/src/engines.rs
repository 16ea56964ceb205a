//! The engines: which can be commanded, and how many legs each has.

use std::collections::BTreeMap;

use crate::EngineId;

/// Whether an engine can be commanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Down,
    /// Reachable; what it kept of an earlier run of ours is being asked.
    Reconciling,
    Up,
}

#[derive(Debug)]
struct Member {
    state: State,
    /// Since when it is down, in microseconds on our clock.
    down_us: u64,
    /// Calls whose leg is, or is to be, there.
    legs: usize,
    /// Legs were moved away from it while it could not be told.
    strays: bool,
}

/// All engines of the configuration, by number.
#[derive(Debug)]
pub(crate) struct Engines {
    members: BTreeMap<EngineId, Member>,
}

impl Engines {
    /// So many engines, all down since the clock's start.
    pub(crate) fn new(count: u16) -> Self {
        let member = || Member { state: State::Down, down_us: 0, legs: 0, strays: false };
        Self { members: (0..count.max(1)).map(|id| (EngineId(id), member())).collect() }
    }

    pub(crate) fn state(&self, id: EngineId) -> State {
        self.members.get(&id).map_or(State::Down, |member| member.state)
    }

    pub(crate) fn set_state(&mut self, id: EngineId, state: State, now_us: u64) {
        let Some(member) = self.members.get_mut(&id) else { return };
        if state == State::Down && member.state != State::Down {
            member.down_us = now_us;
        }
        member.state = state;
    }

    pub(crate) fn is_any_up(&self) -> bool {
        self.in_state(State::Up).next().is_some()
    }

    /// All of them, in order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = EngineId> {
        self.members.keys().copied()
    }

    pub(crate) fn in_state(&self, state: State) -> impl Iterator<Item = EngineId> {
        self.members.iter().filter(move |(_, member)| member.state == state).map(|(id, _)| *id)
    }

    /// Engines with legs that have been down for so long.
    pub(crate) fn overdue(&self, now_us: u64, patience_us: u64) -> Vec<EngineId> {
        let overdue = |member: &Member| {
            member.state == State::Down
                && member.legs > 0
                && now_us.saturating_sub(member.down_us) >= patience_us
        };
        self.members.iter().filter(|(_, member)| overdue(member)).map(|(id, _)| *id).collect()
    }

    /// The one that is up and has the fewest legs; the first of equals.
    pub(crate) fn least_loaded(&self) -> Option<EngineId> {
        let up = self.members.iter().filter(|(_, member)| member.state == State::Up);
        up.min_by_key(|(id, member)| (member.legs, **id)).map(|(id, _)| *id)
    }

    /// A leg goes there.
    pub(crate) fn enter(&mut self, id: EngineId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.legs += 1;
        }
    }

    /// A leg is not there any more.
    pub(crate) fn leave(&mut self, id: EngineId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.legs = member.legs.saturating_sub(1);
        }
    }

    /// It may hold legs that are elsewhere now.
    pub(crate) fn note_strays(&mut self, id: EngineId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.strays = true;
        }
    }

    /// Whether it may hold such legs; asked once.
    pub(crate) fn take_strays(&mut self, id: EngineId) -> bool {
        self.members.get_mut(&id).is_some_and(|member| std::mem::take(&mut member.strays))
    }

    /// State and number of legs of each, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (State, usize)> {
        self.members.values().map(|member| (member.state, member.legs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_go_where_the_fewest_are_and_never_to_an_engine_that_is_down() {
        let mut engines = Engines::new(3);
        assert_eq!(engines.least_loaded(), None);
        for id in [1, 2] {
            engines.set_state(EngineId(id), State::Up, 0);
        }
        let mut order = Vec::new();
        for _ in 0..4 {
            let chosen = engines.least_loaded().expect("two are up");
            engines.enter(chosen);
            order.push(chosen.0);
        }
        assert_eq!(order, [1, 2, 1, 2]);
        engines.leave(EngineId(2));
        assert_eq!(engines.least_loaded(), Some(EngineId(2)));
    }

    #[test]
    fn an_engine_without_legs_is_never_overdue() {
        let mut engines = Engines::new(2);
        engines.set_state(EngineId(0), State::Up, 0);
        engines.enter(EngineId(0));
        engines.set_state(EngineId(0), State::Down, 5);
        engines.set_state(EngineId(0), State::Down, 9);
        assert!(engines.overdue(14, 10).is_empty());
        assert_eq!(engines.overdue(15, 10), [EngineId(0)]);
    }
}
