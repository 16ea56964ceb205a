//! Everything that can be waited for, each with one deadline.

use std::collections::{BTreeMap, BTreeSet};

use crate::inbound_flow::Owner;
use crate::{AgentId, CallId, CallbackId, ContactId, EngineId};

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

/// Deadlines in microseconds on the clock of [`crate::Now::mono_us`].
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_timer: BTreeMap<Timer, u64>,
    by_deadline: BTreeSet<(u64, Timer)>,
}

impl Timers {
    /// Arms a timer, in place of its former deadline.
    pub(crate) fn arm(&mut self, timer: Timer, deadline_us: u64) {
        if let Some(old) = self.by_timer.insert(timer.clone(), deadline_us) {
            self.by_deadline.remove(&(old, timer.clone()));
        }
        self.by_deadline.insert((deadline_us, timer));
    }

    /// Stops a timer, if it runs.
    pub(crate) fn stop(&mut self, timer: &Timer) {
        if let Some(old) = self.by_timer.remove(timer) {
            self.by_deadline.remove(&(old, timer.clone()));
        }
    }

    pub(crate) fn is_armed(&self, timer: &Timer) -> bool {
        self.by_timer.contains_key(timer)
    }

    /// The first deadline.
    pub(crate) fn next(&self) -> Option<u64> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// Stops and returns a timer whose deadline has passed.
    pub(crate) fn expired(&mut self, now_us: u64) -> Option<Timer> {
        let (deadline, _) = self.by_deadline.first()?;
        if *deadline > now_us {
            return None;
        }
        let (_, timer) = self.by_deadline.pop_first()?;
        self.by_timer.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_has_one_deadline_and_fires_once() {
        let mut timers = Timers::default();
        timers.arm(Timer::Match, 10);
        timers.arm(Timer::Match, 20);
        timers.arm(Timer::Engine, 15);
        assert_eq!(timers.next(), Some(15));
        assert_eq!(timers.expired(14), None);
        assert_eq!(timers.expired(15), Some(Timer::Engine));
        assert_eq!(timers.expired(30), Some(Timer::Match));
        assert_eq!(timers.expired(30), None);
        timers.arm(Timer::Match, 10);
        timers.stop(&Timer::Match);
        assert!(!timers.is_armed(&Timer::Match));
        assert_eq!(timers.next(), None);
    }
}
