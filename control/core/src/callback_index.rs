//! Callbacks by number and by service, so that a request is judged without looking at all of them (CB-16).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::CallbackId;

/// Counts and keys. Every callback that is kept is added once, ends once, and is removed once.
#[derive(Debug, Default)]
pub(crate) struct CallbackIndex {
    by_number: BTreeMap<String, BTreeSet<CallbackId>>,
    open: BTreeMap<String, usize>,
    /// Moments of requests within a day by number, in milliseconds since 1970, oldest first.
    asked_ms: BTreeMap<String, VecDeque<u64>>,
    /// The same in order of their coming, so that old ones are forgotten.
    recent: VecDeque<(u64, String)>,
    /// Scheduled callbacks that have not ended, by service and the time that they are booked for, in milliseconds since 1970.
    booked: BTreeMap<(String, u64), u32>,
    bookings: BTreeMap<CallbackId, (String, u64)>,
    /// Callbacks that have not ended, by their access code.
    codes: BTreeMap<String, CallbackId>,
}

impl CallbackIndex {
    /// A callback of a service to a number was asked for.
    pub(crate) fn add(&mut self, id: &CallbackId, service: &str, number: &str, asked_ms: u64) {
        let number = canonical(number);
        self.by_number.entry(number.clone()).or_default().insert(id.clone());
        *self.open.entry(service.to_owned()).or_default() += 1;
        self.asked_ms.entry(number.clone()).or_default().push_back(asked_ms);
        self.recent.push_back((asked_ms, number));
        while let Some((old_ms, number)) =
            self.recent.pop_front_if(|(old_ms, _)| *old_ms + DAY_MS <= asked_ms)
        {
            if let Some(moments) = self.asked_ms.get_mut(&number) {
                moments.retain(|moment| *moment > old_ms);
                if moments.is_empty() {
                    self.asked_ms.remove(&number);
                }
            }
        }
    }

    /// What was asked for at a time that has yet to come, by a clock that was set back since, counts as asked for now.
    pub(crate) fn no_later_than(&mut self, now_ms: u64) {
        let moments = self.asked_ms.values_mut().flatten();
        moments
            .chain(self.recent.iter_mut().map(|(moment, _)| moment))
            .for_each(|moment| *moment = now_ms.min(*moment));
    }

    /// A callback is booked for this time of this service now, or for none; whatever it was booked for before.
    pub(crate) fn book(&mut self, id: &CallbackId, at: Option<(&str, u64)>) {
        if let Some(former) = self.bookings.remove(id)
            && let Some(count) = self.booked.get_mut(&former)
        {
            *count -= 1;
            if *count == 0 {
                self.booked.remove(&former);
            }
        }
        if let Some((service, at_ms)) = at {
            let booking = (service.to_owned(), at_ms);
            *self.booked.entry(booking.clone()).or_default() += 1;
            self.bookings.insert(id.clone(), booking);
        }
    }

    /// Callbacks that are booked for times within a span.
    pub(crate) fn booked(&self, service: &str, span_ms: std::ops::Range<u64>) -> u64 {
        let key = |at_ms: u64| (service.to_owned(), at_ms);
        let within = self.booked.range(key(span_ms.start)..key(span_ms.end));
        within.map(|(_, count)| u64::from(*count)).sum()
    }

    /// This code is that of a callback, until it ends.
    pub(crate) fn assign_code(&mut self, code: &str, id: &CallbackId) {
        self.codes.insert(code.to_owned(), id.clone());
    }

    /// Whose access code this is.
    pub(crate) fn of_code(&self, code: &str) -> Option<&CallbackId> {
        self.codes.get(code)
    }

    /// All callbacks with an access code.
    pub(crate) fn with_code(&self) -> impl ExactSizeIterator<Item = &CallbackId> {
        self.codes.values()
    }

    /// A callback of a service has ended, and with it its access code.
    pub(crate) fn end(&mut self, service: &str, code: Option<&str>) {
        if let Some(code) = code {
            self.codes.remove(code);
        }
        if let Some(open) = self.open.get_mut(service) {
            *open = open.saturating_sub(1);
        }
    }

    /// A callback is not kept any more.
    pub(crate) fn remove(&mut self, id: &CallbackId, number: &str) {
        let number = canonical(number);
        if let Some(ids) = self.by_number.get_mut(&number) {
            ids.remove(id);
            if ids.is_empty() {
                self.by_number.remove(&number);
            }
        }
    }

    /// Callbacks of a service that have not ended.
    pub(crate) fn open(&self, service: &str) -> usize {
        self.open.get(service).copied().unwrap_or(0)
    }

    /// All callbacks to a number that are kept.
    pub(crate) fn of_number(&self, number: &str) -> impl Iterator<Item = &CallbackId> {
        self.by_number.get(&canonical(number)).into_iter().flatten()
    }

    /// Requests for a number within the last 24 hours.
    pub(crate) fn asked_today(&self, number: &str, now_ms: u64) -> usize {
        let from_ms = now_ms.saturating_sub(DAY_MS);
        let moments = self.asked_ms.get(&canonical(number));
        moments.map_or(0, |moments| moments.iter().filter(|moment| **moment > from_ms).count())
    }
}

/// A number without the sign for "international", however that was written: `+31…` and `0031…` are one number.
pub(crate) fn canonical(number: &str) -> String {
    let number = number.strip_prefix('+').or_else(|| number.strip_prefix("00")).unwrap_or(number);
    number.to_owned()
}

const DAY_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cb_16_requests_of_a_day_are_counted_by_number_and_forgotten_after_it() {
        let mut index = CallbackIndex::default();
        let id = |n: u64| CallbackId(n.to_string());
        index.add(&id(1), "cb", "+31201", 1_000);
        index.add(&id(2), "cb", "0031201", 2_000);
        assert_eq!((index.asked_today("+31201", 3_000), index.open("cb")), (2, 2));
        assert_eq!(index.of_number("31201").count(), 2);
        assert_eq!(index.asked_today("+31201", DAY_MS + 1_500), 1);
        index.add(&id(3), "cb", "+31202", DAY_MS + 2_500);
        assert_eq!((index.asked_ms.len(), index.recent.len()), (1, 1), "the old ones are forgotten");
        index.end("cb", None);
        index.remove(&id(1), "+31201");
        assert_eq!((index.of_number("+31201").count(), index.open("cb")), (1, 2));
    }
}
