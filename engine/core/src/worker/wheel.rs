//! A timer wheel: one deadline per leg, set, moved and taken in constant time.

use crate::Time;

/// Microseconds of one slot, as a power of two: 256.
const SLOT_SHIFT: u32 = 8;
/// Slots: a turn takes almost 17 seconds, more than lies between reports, comfort noise and looks for silence. What is due
/// later is looked at once a turn.
const SLOTS: usize = 1 << 16;
const NONE: u32 = u32::MAX;

/// The deadlines of a worker's legs, by index.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// First entry of each slot's list.
    heads: Box<[u32]>,
    /// One bit per slot that has entries.
    occupied: Box<[u64]>,
    entries: Vec<Entry>,
    /// All ticks before this one have been taken.
    next_tick: u64,
    armed: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    deadline: Time,
    /// Slot that it hangs in; `NONE` when not armed.
    slot: u32,
    next: u32,
    previous: u32,
}

const UNARMED: Entry = Entry { deadline: Time::NEVER, slot: NONE, next: NONE, previous: NONE };

impl Wheel {
    /// A wheel without deadlines.
    pub(crate) fn new() -> Self {
        Self {
            heads: vec![NONE; SLOTS].into_boxed_slice(),
            occupied: vec![0; SLOTS / 64].into_boxed_slice(),
            entries: Vec::new(),
            next_tick: 0,
            armed: 0,
        }
    }

    /// Sets, moves or (with [`Time::NEVER`]) takes off the deadline of an index.
    pub(crate) fn set(&mut self, index: u32, deadline: Time) {
        if self.entries.len() <= index as usize {
            self.entries.resize(index as usize + 1, UNARMED);
        }
        if self.entries[index as usize].deadline == deadline {
            return;
        }
        self.unlink(index);
        self.entries[index as usize].deadline = deadline;
        if deadline != Time::NEVER {
            self.link(index);
        }
    }

    /// Takes every index whose deadline has passed, in order of slots. Their deadlines are off afterwards.
    pub(crate) fn take_due(&mut self, now: Time, mut on_due: impl FnMut(u32)) {
        let until = now.0 >> SLOT_SHIFT;
        // A turn visits every slot once, however long the pause was.
        let first = self.next_tick.max((until + 1).saturating_sub(SLOTS as u64));
        self.next_tick = self.next_tick.max(until + 1);
        let mut tick = first;
        while let Some(found) = self.next_occupied(tick, until) {
            let mut index = self.heads[found as usize % SLOTS];
            while index != NONE {
                let entry = self.entries[index as usize];
                self.unlink(index);
                if tick_of(entry.deadline) <= until {
                    self.entries[index as usize].deadline = Time::NEVER;
                    on_due(index);
                } else {
                    self.link(index);
                }
                // Entries that were hung in again went to the front of a list, so `entry.next` still leads on.
                index = entry.next;
            }
            tick = found + 1;
        }
    }

    /// When to call [`Wheel::take_due`] next: never later than the earliest deadline and a slot.
    pub(crate) fn deadline(&self) -> Option<Time> {
        if self.armed == 0 {
            return None;
        }
        let last = self.next_tick + SLOTS as u64 - 1;
        self.next_occupied(self.next_tick, last).map(|tick| Time(tick << SLOT_SHIFT))
    }

    fn link(&mut self, index: u32) {
        let deadline = self.entries[index as usize].deadline;
        let farthest = self.next_tick + SLOTS as u64 - 1;
        let slot = tick_of(deadline).clamp(self.next_tick, farthest) as usize % SLOTS;
        let next = std::mem::replace(&mut self.heads[slot], index);
        if next != NONE {
            self.entries[next as usize].previous = index;
        }
        self.entries[index as usize] = Entry { deadline, slot: slot as u32, next, previous: NONE };
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.armed += 1;
    }

    fn unlink(&mut self, index: u32) {
        let Entry { slot, next, previous, .. } = self.entries[index as usize];
        if slot == NONE {
            return;
        }
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
        if previous == NONE {
            self.heads[slot as usize] = next;
        } else {
            self.entries[previous as usize].next = next;
        }
        if self.heads[slot as usize] == NONE {
            self.occupied[slot as usize / 64] &= !(1 << (slot % 64));
        }
        self.entries[index as usize].slot = NONE;
        self.armed -= 1;
    }

    /// The first tick from `from` up to and with `last` whose slot has entries.
    fn next_occupied(&self, from: u64, last: u64) -> Option<u64> {
        let mut tick = from;
        while tick <= last {
            let slot = tick as usize % SLOTS;
            let word = self.occupied[slot / 64] >> (slot % 64);
            if word != 0 {
                let found = tick + u64::from(word.trailing_zeros());
                return (found <= last).then_some(found);
            }
            tick += 64 - (slot as u64 % 64);
        }
        None
    }
}

/// The first tick at which a deadline has passed.
fn tick_of(deadline: Time) -> u64 {
    deadline.0.div_ceil(1 << SLOT_SHIFT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn due(wheel: &mut Wheel, now: Time) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.take_due(now, |index| due.push(index));
        due.sort_unstable();
        due
    }

    #[test]
    fn a_deadline_comes_once_and_never_early() {
        let mut wheel = Wheel::new();
        wheel.set(3, Time(1_000));
        assert_eq!(wheel.deadline(), Some(Time(1_024)));
        assert!(due(&mut wheel, Time(1_023)).is_empty());
        assert_eq!(due(&mut wheel, Time(1_024)), [3]);
        assert_eq!((due(&mut wheel, Time(9_000_000)), wheel.deadline()), (vec![], None));
    }

    #[test]
    fn a_deadline_beyond_a_turn_is_kept() {
        let mut wheel = Wheel::new();
        wheel.set(0, Time::from_ms(60_000));
        let mut turns = 0;
        let mut now = Time(0);
        loop {
            turns += 1;
            now = wheel.deadline().expect("it is armed").max(now);
            if due(&mut wheel, now) == [0] {
                break;
            }
        }
        assert!(now >= Time::from_ms(60_000) && now < Time::from_ms(60_001));
        assert!(turns < 40, "{turns} looks");
    }

    #[test]
    fn what_is_due_within_seconds_is_looked_at_only_when_it_is_due() {
        let mut wheel = Wheel::new();
        for index in 0..1_000 {
            wheel.set(index, Time(2_500_000 + u64::from(index) * 5_000));
        }
        let mut taken = 0;
        while let Some(now) = wheel.deadline() {
            let looks = due(&mut wheel, now).len();
            assert!(looks > 0, "nothing was due at {now:?}");
            taken += looks;
        }
        assert_eq!(taken, 1_000);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_sorted_list(steps in proptest::collection::vec((0_u32..20, 0_u64..6_000_000, 0_u64..3_000_000), 1..200)) {
            let (mut wheel, mut model, mut now) = (Wheel::new(), BTreeMap::new(), 0_u64);
            for (index, ahead, passes) in steps {
                wheel.set(index, Time(now + ahead));
                model.insert(index, now + ahead);
                now += passes;
                let expected: Vec<u32> =
                    model.iter().filter(|&(_, &at)| at.div_ceil(256) <= now / 256).map(|(&index, _)| index).collect();
                model.retain(|index, _| !expected.contains(index));
                prop_assert_eq!(due(&mut wheel, Time(now)), expected);
                if let Some(first) = model.values().min() {
                    let deadline = wheel.deadline().expect("something is armed").0;
                    prop_assert!(deadline <= first.div_ceil(256) * 256);
                }
            }
        }
    }
}
