//! What a parked leg's filter passes.

use super::Leg;
use crate::Time;

/// A parked leg's filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parked {
    /// One packet in so many passes, as the controller wants it.
    pub(crate) keep_one_in: u16,
    /// Present while all pass, since too few came otherwise.
    pub(crate) look: Option<Look>,
}

/// A look at a leg without its filter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// When a packet came last that the filter would have passed.
    pub(crate) passed_at: Option<Time>,
}

impl Parked {
    /// One packet in so many passes now.
    pub(crate) fn passes_one_in(self) -> u16 {
        if self.look.is_some() { 1 } else { self.keep_one_in }
    }
}

impl Leg {
    /// How long it may be unheard before it is looked at without a filter: half of the time after which it counts as silent.
    pub(crate) fn look_after_ms(&self) -> u64 {
        u64::from(self.silent_after_ms) / 2
    }

    /// When it is looked at without its filter, as far as is known now.
    pub(crate) fn look_at(&self) -> Time {
        let filtered = self.parked.is_some_and(|parked| parked.passes_one_in() > 1);
        if !filtered || self.silent_after_ms == 0 || self.silent {
            return Time::NEVER;
        }
        self.last_packet.unwrap_or(self.created).plus_ms(self.look_after_ms())
    }
}
