//! Somebody set the calendar: what was booked for a time of day follows it, and what waits does not notice.

use crate::core::Core;
use crate::interaction::{Outcome, Way};
use crate::mutation::Mutation;
use crate::record::Fact;
use crate::{CallbackId, ContactId, Now};

impl Core {
    /// Compares the two clocks. When they have parted, all that is not called yet is booked anew.
    pub(crate) fn look_at_calendar(&mut self) {
        let calendar_ms = calendar_ms(self.now);
        if calendar_ms.abs_diff(self.calendar_ms) < STEP_MS || self.mutated(Mutation::KeepCalendar) {
            return;
        }
        let by_ms = calendar_ms.saturating_sub(std::mem::replace(&mut self.calendar_ms, calendar_ms));
        self.record(Fact::CalendarSet { by_ms });
        self.forget_future();
        let callbacks = self.callbacks.iter();
        let callbacks = callbacks.filter(|(_, found)| !found.is_over() && found.running.is_none());
        for id in callbacks.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.book_callback_anew(&id);
        }
        let contacts = self.contacts.iter();
        let contacts = contacts.filter(|(_, found)| !found.is_over() && found.running.is_none());
        for id in contacts.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.book_contact_anew(&id);
        }
    }

    /// After a restart: waits of the earlier run go on.
    pub(crate) fn resume_waits(&mut self) {
        let now = self.now;
        self.forget_future();
        for callback in self.callbacks.values_mut() {
            callback.wait.resume(now);
            if let Some(origin) = &callback.spec.origin {
                let ago_us = now.unix_ms.saturating_sub(origin.accepted_ms).saturating_mul(1_000);
                callback.accepted_us = signed(now.mono_us).saturating_sub(signed(ago_us));
            }
        }
        for contact in self.contacts.values_mut() {
            contact.wait.resume(now);
        }
    }

    /// What was asked for at times that have yet to come counts as asked for now: else it would count until they have come.
    fn forget_future(&mut self) {
        let now_ms = self.now.unix_ms;
        self.throttles.values_mut().for_each(|throttle| throttle.no_later_than(now_ms));
        self.index.no_later_than(now_ms);
    }

    fn book_callback_anew(&mut self, id: &CallbackId) {
        let now_ms = self.now.unix_ms;
        let Some(callback) = self.callbacks.get_mut(id) else { return };
        callback.forbidden_until_ms = 0;
        let is_early = callback.due_ms > now_ms;
        match callback.interaction {
            Some(interaction) if is_early => self.wait_again(interaction),
            Some(_) => {}
            None => self.after_attempt(id),
        }
    }

    fn book_contact_anew(&mut self, id: &ContactId) {
        let now_ms = self.now.unix_ms;
        let Some(contact) = self.contacts.get_mut(id) else { return };
        contact.forbidden_until_ms = 0;
        let is_early = contact.due_ms > now_ms;
        match contact.interaction {
            Some(interaction) if is_early => self.wait_again(interaction),
            Some(_) => {}
            None => self.schedule_contact(id),
        }
    }

    /// Who is not to be called yet, after all, is called when their time comes.
    fn wait_again(&mut self, id: u64) {
        let is_called =
            |found: &crate::interaction::Interaction| found.way == Way::Outbound && !found.connected;
        if self.interactions.get(&id).is_some_and(is_called) {
            self.announce_offer_withdrawn(id);
            self.give_up(id, Outcome::Withdrawn);
        }
    }
}

/// What the calendar showed when our clock began, in milliseconds since 1970 UTC.
pub(crate) fn calendar_ms(now: Now) -> i64 {
    signed(now.unix_ms).saturating_sub(signed(now.mono_us / 1_000))
}

/// Far from the limits of either type, which saturate.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Less than this is how long it may take to read both clocks; time servers that do not set the calendar but let it run faster or
/// slower do the same to our clock.
const STEP_MS: u64 = 500;
