//! Everything that can be waited for, each with one deadline.

use std::collections::{BTreeMap, BTreeSet};

use crate::inbound_flow::Owner;
use crate::{AgentId, CallId, CallbackId, ContactId, EngineId, Now};

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// An agent's announcement should have ended.
    Announced(AgentId),
    /// An agent should have typed the PIN.
    Pin(AgentId),
    /// A lost leg is dialled again.
    Redial(AgentId),
    /// A customer should have said that they are ready.
    Confirm(CallbackId),
    /// An agent should have taken the offer.
    Offer(AgentId),
    /// Wrap-up ends.
    WrapUp(AgentId),
    /// Whoever asked for an agent's connection should have heard what came of it.
    Told(AgentId),
    /// The open leg has not been used for long.
    Idle(AgentId),
    /// The agent's leg has been silent for as long as it may be.
    Silent(AgentId),
    /// The customer has been silent since their phone was picked up, or was told where to send to.
    Unheard(CallId),
    /// An agent's phone that was just picked up may have sent its first packet; for this interaction.
    Proof(u64),
    /// The customer's phone should ring by now.
    Setup(CallId),
    /// The customer who answered should be with an agent by now.
    Join(CallId),
    /// It should be known by now whether a person answered.
    Verdict(CallId),
    /// A machine's beep, or the message left after it, should be over by now.
    Message(CallId),
    /// The customer whose agent was lost has been held for long enough.
    Hold(CallId),
    /// The caller has waited for long enough.
    MaxWait(CallId),
    /// A call is to be given up: its end should have been reported.
    Ended(CallId),
    /// A flow goes on.
    Flow(Owner),
    /// The customer of a callback with a call delay is dialled; by interaction.
    CallDelay(u64),
    /// A callback may be queued.
    CallbackDue(CallbackId),
    /// A callback's time to live is over.
    CallbackTtl(CallbackId),
    /// A contact may be queued again.
    ContactDue(ContactId),
    /// Somebody may be offered again what they refused.
    Match,
    /// Engine requests that failed are repeated.
    Engine,
    /// An engine is down for so long that its legs are moved (BY-09).
    FailOver,
    /// After a restart of ours, engines that have not been heard by now are left out.
    Reconcile,
    /// A leg that lives on another engine by now is deleted on this one.
    OldLeg(EngineId, String),
    /// Statistics are told to whoever listens.
    Statistics,
}

/// When a timer is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// A wait: microseconds on the clock of [`Now::mono_us`], whatever is done to the other one.
    Ours(u64),
    /// A time of day: milliseconds since 1970 UTC, as [`Now::unix_ms`] shows them by then.
    Calendar(u64),
}

/// Deadlines on both clocks.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_timer: BTreeMap<Timer, Deadline>,
    ours: BTreeSet<(u64, Timer)>,
    calendar: BTreeSet<(u64, Timer)>,
}

impl Timers {
    /// Arms a timer, in place of its former deadline.
    pub(crate) fn arm(&mut self, timer: Timer, deadline: Deadline) {
        self.stop(&timer);
        self.by_timer.insert(timer.clone(), deadline);
        let (deadlines, at) = self.on(deadline);
        deadlines.insert((at, timer));
    }

    /// Stops a timer, if it runs.
    pub(crate) fn stop(&mut self, timer: &Timer) {
        if let Some(old) = self.by_timer.remove(timer) {
            let (deadlines, at) = self.on(old);
            deadlines.remove(&(at, timer.clone()));
        }
    }

    fn on(&mut self, deadline: Deadline) -> (&mut BTreeSet<(u64, Timer)>, u64) {
        match deadline {
            Deadline::Ours(us) => (&mut self.ours, us),
            Deadline::Calendar(ms) => (&mut self.calendar, ms),
        }
    }

    pub(crate) fn is_armed(&self, timer: &Timer) -> bool {
        self.by_timer.contains_key(timer)
    }

    /// The first deadline, in microseconds on our clock, unless the calendar is set before it.
    pub(crate) fn next(&self, now: Now) -> Option<u64> {
        let ours = self.ours.first().map(|(us, _)| *us);
        let calendar = self.calendar.first().map(|(ms, _)| {
            let left_ms = ms.saturating_sub(now.unix_ms);
            now.mono_us.saturating_add(left_ms.saturating_mul(1_000))
        });
        ours.into_iter().chain(calendar).min()
    }

    /// Whether a time of day is waited for.
    pub(crate) fn wait_for_calendar(&self) -> bool {
        !self.calendar.is_empty()
    }

    /// Stops and returns a timer whose deadline has passed.
    pub(crate) fn expired(&mut self, now: Now) -> Option<Timer> {
        let is_due = |(deadline, _): &&(u64, Timer), now: u64| *deadline <= now;
        let ours = self.ours.first().filter(|first| is_due(first, now.mono_us));
        let due = ours.or_else(|| self.calendar.first().filter(|first| is_due(first, now.unix_ms)));
        let timer = due.map(|(_, timer)| timer.clone())?;
        self.stop(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_has_one_deadline_and_fires_once() {
        let now = |mono_us| Now { mono_us, unix_ms: 0 };
        let mut timers = Timers::default();
        timers.arm(Timer::Match, Deadline::Ours(10));
        timers.arm(Timer::Match, Deadline::Ours(20));
        timers.arm(Timer::Engine, Deadline::Ours(15));
        assert_eq!(timers.next(now(0)), Some(15));
        assert_eq!(timers.expired(now(14)), None);
        assert_eq!(timers.expired(now(15)), Some(Timer::Engine));
        assert_eq!(timers.expired(now(30)), Some(Timer::Match));
        assert_eq!(timers.expired(now(30)), None);
        timers.arm(Timer::Match, Deadline::Calendar(10));
        timers.arm(Timer::Match, Deadline::Ours(10));
        timers.stop(&Timer::Match);
        assert!(!timers.is_armed(&Timer::Match) && !timers.wait_for_calendar());
        assert_eq!(timers.next(now(0)), None);
    }

    #[test]
    fn a_time_of_day_follows_the_calendar_and_a_wait_does_not() {
        let mut timers = Timers::default();
        timers.arm(Timer::Match, Deadline::Calendar(10_000));
        timers.arm(Timer::Engine, Deadline::Ours(5_000_000));
        assert_eq!(timers.next(Now { mono_us: 0, unix_ms: 7_000 }), Some(3_000_000));
        let set_back = Now { mono_us: 1_000_000, unix_ms: 2_000 };
        assert_eq!((timers.next(set_back), timers.expired(set_back)), (Some(5_000_000), None));
        let set_forward = Now { mono_us: 2_000_000, unix_ms: 10_000 };
        assert_eq!(timers.next(set_forward), Some(2_000_000));
        assert_eq!(timers.expired(set_forward), Some(Timer::Match));
        assert_eq!(timers.expired(set_forward), None);
        let later = Now { mono_us: 5_000_000, unix_ms: 0 };
        assert_eq!(timers.expired(later), Some(Timer::Engine));
    }
}
