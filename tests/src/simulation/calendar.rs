//! Somebody sets the calendar, forward and back, by seconds and by hours. What was booked for a time of day has to come when the
//! calendar shows that time, whatever it showed before; what waits between two attempts has to wait as long as it was meant to.

use std::collections::BTreeMap;

use offhook_control_core::options::CallDirection;
use offhook_control_core::record::{CallbackReason, DialResult, Fact};
use offhook_control_core::view::Notification;
use offhook_control_core::{CallbackId, Input};
use rand::RngExt as _;

use super::world::{Happening, SECOND, World};

/// What the calendar shows, and what was booked by it.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    /// By how much it has been set since the beginning, in milliseconds.
    pub(super) set_ms: i64,
    /// It is set in this history.
    pub(super) is_restless: bool,
    bookings: BTreeMap<CallbackId, Booking>,
}

/// A callback that has not ended.
#[derive(Clone, Debug, Default)]
struct Booking {
    /// Not before this, in milliseconds since 1970 UTC; 0 = as soon as possible.
    desired_ms: u64,
    ttl_ms: u64,
    /// In milliseconds since 1970 UTC.
    expires_ms: u64,
    wait: Wait,
    /// What control has told of it in this life.
    state: String,
    /// Its customer calls, and may be on the line.
    is_own_call: bool,
    /// Since when it should have gone on, in microseconds.
    late_us: Option<u64>,
}

/// After an attempt.
#[derive(Clone, Copy, Debug, Default)]
struct Wait {
    began_us: u64,
    whole_us: u64,
    /// Control's life in which it began.
    run: u64,
    /// A phone may ring as long.
    is_firm: bool,
}

impl Booking {
    fn move_to(&mut self, desired_ms: u64) {
        (self.desired_ms, self.expires_ms) = (desired_ms, desired_ms + self.ttl_ms);
        if !self.wait.is_firm {
            self.wait = Wait::default();
        }
    }
}

impl World {
    pub(super) fn plan_calendar(&mut self, day_us: u64) {
        self.oracle.calendar.is_restless = self.chance(35);
        if !self.oracle.calendar.is_restless {
            return;
        }
        for _ in 0..self.rng.random_range(1..5) {
            let at = self.rng.random_range(SECOND..day_us);
            let by_ms = match self.rng.random_range(0..4_u32) {
                0 => self.rng.random_range(600..60_000),
                1 | 2 => self.rng.random_range(60_000..3_600_000),
                _ => self.rng.random_range(3_600_000..20_000_000),
            };
            let by_ms = if self.chance(50) { by_ms } else { -by_ms };
            self.at(at, Happening::CalendarSet { by_ms });
        }
    }

    /// Nothing new is booked from here on: the calendar is set to the latest time of all, so that the history comes to an end.
    pub(super) fn turn_page(&mut self) {
        if !self.oracle.calendar.is_restless {
            return;
        }
        let last_ms =
            self.oracle.calendar.bookings.values().map(|found| found.expires_ms - found.ttl_ms).max();
        let by_ms = last_ms.unwrap_or(0).saturating_sub(self.now().unix_ms);
        if by_ms > 0 {
            self.set_calendar(by_ms.cast_signed());
        }
    }

    pub(super) fn set_calendar(&mut self, by_ms: i64) {
        self.trace(|| format!("the calendar is set by {by_ms} ms"));
        self.oracle.calendar.set_ms += by_ms;
        self.ledger_doubts();
        // The shell looks at it now and then.
        let notice_us = self.rng.random_range(0..SECOND);
        self.tell_once(notice_us, Input::Tick);
    }

    /// Seconds from now for which a callback is asked for.
    pub(super) fn desired_in_s(&mut self) -> u64 {
        if self.oracle.calendar.is_restless && self.chance(40) {
            self.rng.random_range(60..10_000)
        } else {
            self.rng.random_range(1..10)
        }
    }

    /// Control decides on a fact.
    pub(super) fn judge_booking(&mut self, fact: &Fact) {
        let (now_us, now_ms, run) = (self.now_us, self.now().unix_ms, self.shell.run);
        let violation = match fact {
            Fact::CallbackDialled { id, .. } => self
                .oracle
                .calendar
                .bookings
                .get(id)
                .and_then(|booking| booking.too_early(now_us, now_ms, run)),
            Fact::CallbackEnded { id, reason: CallbackReason::FailTimeoutTtl, .. } => {
                let expires_ms =
                    self.oracle.calendar.bookings.get(id).map_or(0, |booking| booking.expires_ms);
                (now_ms < expires_ms).then(|| format!("expires {} ms before its time", expires_ms - now_ms))
            }
            _ => None,
        };
        if let (Some(violation), Some(id)) = (violation, callback_of(fact)) {
            self.violate(format!("callback {id} {violation}"));
        }
        self.oracle.calendar.note(fact, Some((now_us, now_ms)), run);
    }

    /// Control tells something.
    pub(super) fn note_booking(&mut self, notification: &Notification) {
        if let Notification::Callback(view) = notification
            && let Some(booking) = self.oracle.calendar.bookings.get_mut(&view.id)
        {
            booking.state.clone_from(&view.state);
        }
    }

    /// Control died, and with it what was not on disk yet.
    pub(super) fn bookings_after_crash(&mut self) {
        let calendar = &mut self.oracle.calendar;
        let before = std::mem::take(&mut calendar.bookings);
        for record in &self.shell.journal {
            calendar.note(&record.fact, None, self.shell.run);
        }
        for (id, booking) in &mut calendar.bookings {
            if let Some(before) = before.get(id) {
                booking.wait = before.wait;
            }
        }
    }

    /// After every happening: nobody waits for longer than the calendar says, or than they were to wait.
    pub(super) fn judge_bookings(&mut self) {
        let (now_us, now_ms) = (self.now_us, self.now().unix_ms);
        let (lives, started_us) = (self.shell.core.is_some(), self.shell.started_us);
        let mut violation = None;
        for (id, booking) in &mut self.oracle.calendar.bookings {
            let since = lives.then(|| booking.is_late(now_us, now_ms, started_us)).flatten();
            let Some(why) = since else {
                booking.late_us = None;
                continue;
            };
            if now_us - *booking.late_us.get_or_insert(now_us) > LATE_US {
                violation = Some(format!("callback {id} {why}, and is still {}", booking.state));
            }
        }
        if let Some(violation) = violation {
            self.violate(violation);
        }
    }
}

impl Calendar {
    /// `now`: both clocks, where the fact is new.
    fn note(&mut self, fact: &Fact, now: Option<(u64, u64)>, run: u64) {
        if let Fact::CallbackAdded(spec) = fact {
            let desired_ms = if spec.scheduled { spec.desired_ms } else { 0 };
            let ttl_ms = spec.ttl_s * 1_000;
            let expires_ms = spec.desired_ms + ttl_ms;
            let is_own_call = spec.options.direction == CallDirection::UserOriginated;
            let booking = Booking { desired_ms, ttl_ms, expires_ms, is_own_call, ..Booking::default() };
            self.bookings.insert(spec.id.clone(), booking);
            return;
        }
        let Some(booking) = callback_of(fact).and_then(|id| self.bookings.get_mut(id)) else { return };
        match fact {
            Fact::CallbackMoved { desired_ms, .. } => booking.move_to(*desired_ms),
            Fact::CallbackAttempted { result, not_before_ms, .. } => {
                if let Some((began_us, now_ms)) = now {
                    let whole_us = (not_before_ms - now_ms) * 1_000;
                    booking.wait = Wait { began_us, whole_us, run, is_firm: *result == DialResult::Unknown };
                }
            }
            Fact::CallbackEnded { id, .. } => {
                let id = id.clone();
                self.bookings.remove(&id);
            }
            _ => {}
        }
    }
}

impl Booking {
    fn too_early(&self, now_us: u64, now_ms: u64, run: u64) -> Option<String> {
        let waited_us = now_us - self.wait.began_us;
        if now_ms < self.desired_ms {
            Some(format!("is dialled {} ms before its time", self.desired_ms - now_ms))
        } else if waited_us < self.wait.whole_us && (self.wait.is_firm || self.wait.run == run) {
            Some(format!("is dialled {} ms after the last attempt", waited_us / 1_000))
        } else {
            None
        }
    }

    /// Why it should not wait any more.
    fn is_late(&self, now_us: u64, now_ms: u64, started_us: u64) -> Option<&'static str> {
        // Whose customer is on the line waits no more, whatever it is called.
        if self.is_own_call || !matches!(self.state.as_str(), "SCHEDULED" | "QUEUED") {
            return None;
        }
        if now_ms >= self.expires_ms {
            return Some("is past its time to live");
        }
        // A restart may begin the wait anew.
        let waited_us = now_us - self.wait.began_us.max(started_us.min(now_us));
        let is_due = now_ms >= self.desired_ms && waited_us >= self.wait.whole_us;
        (is_due && self.state == "SCHEDULED").then_some("is due")
    }
}

fn callback_of(fact: &Fact) -> Option<&CallbackId> {
    match fact {
        Fact::CallbackMoved { id, .. }
        | Fact::CallbackDialled { id, .. }
        | Fact::CallbackAttempted { id, .. }
        | Fact::CallbackEnded { id, .. } => Some(id),
        _ => None,
    }
}

/// Longer than control takes to notice that the calendar was set, and than it waits for an engine that had no room.
const LATE_US: u64 = 8 * SECOND;
