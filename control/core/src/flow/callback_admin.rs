//! Callbacks as whoever runs the place asks for them, by the names of Genesys Mobile Services: at which times one can be booked,
//! which there are, how many are under way, and the end of many at once.

use std::collections::BTreeMap;

use crate::CallbackId;
use crate::api::{ApiError, ApiReply, BulkCancel, CallbackQueues, More, NotCancelled, SlotsWish};
use crate::calendar;
use crate::callback::{Callback, State};
use crate::config::ServiceConfig;
use crate::core::Core;
use crate::flow::api::{Answer, bad, missing};
use crate::limits::{LISTING, SLOTS};
use crate::record::CallbackReason;

impl Core {
    /// The beginnings of the spans of time in which a service is open, each with the number of callbacks that may still be
    /// booked in it; full ones are left out.
    pub(super) fn callback_slots(&self, service: &str, wish: &SlotsWish) -> Answer {
        let config = self.config.service(service).ok_or_else(|| missing("service"))?;
        let time =
            |field: &str, text: &Option<String>| text.as_ref().map(|text| moment(field, text)).transpose();
        let start_ms = time("start", &wish.start)?.unwrap_or(self.now.unix_ms).max(self.now.unix_ms);
        let days_ms = |days: u32| start_ms + u64::from(days) * DAY_MS;
        let end_ms = match (time("end", &wish.end)?, wish.number_of_days) {
            (Some(_), Some(_)) => return Err(bad("end", "excludes number-of-days")),
            (Some(end_ms), None) => end_ms.min(days_ms(DAYS)),
            (None, days) => days_ms(days.unwrap_or(1).min(DAYS)),
        };
        let bucket_ms = config.bucket_ms();
        let most = match config.max_request_by_time_bucket {
            0 => 0,
            _ => wish.max_time_slots.unwrap_or(SLOTS).min(SLOTS),
        };
        let (mut slots, mut at_ms) = (BTreeMap::new(), start_ms.next_multiple_of(bucket_ms));
        // The time zone is asked once for each opening: of a year of full spans, once a day.
        while at_ms < end_ms
            && slots.len() < most
            && let Some((open_ms, close_ms)) = config.office_hours.next_span_ms(at_ms)
        {
            at_ms = open_ms.next_multiple_of(bucket_ms);
            while at_ms < close_ms.min(end_ms) && slots.len() < most {
                let left = self.places_left(config, at_ms);
                if left > 0 {
                    slots.insert(calendar::write(at_ms), left);
                }
                at_ms += bucket_ms;
            }
        }
        Ok(ApiReply::CallbackSlots(slots))
    }

    /// How many callbacks may still be booked in the span that a time lies in.
    fn places_left(&self, config: &ServiceConfig, at_ms: u64) -> u32 {
        let bucket_ms = config.bucket_ms();
        let from_ms = at_ms - at_ms % bucket_ms;
        let booked = self.index.booked(&config.name, from_ms..from_ms + bucket_ms);
        config.max_request_by_time_bucket.saturating_sub(u32::try_from(booked).unwrap_or(u32::MAX))
    }

    /// Refuses a time that as many callbacks are booked for as may be, unless the one that is `moved` is among them.
    pub(super) fn check_slot(
        &self,
        config: &ServiceConfig,
        at_ms: u64,
        moved: Option<&Callback>,
    ) -> Result<(), ApiError> {
        let bucket_ms = config.bucket_ms();
        let is_theirs = moved.is_some_and(|callback| {
            callback.spec.scheduled && callback.spec.desired_ms / bucket_ms == at_ms / bucket_ms
        });
        if is_theirs || self.places_left(config, at_ms) > 0 {
            return Ok(());
        }
        let (count, minutes) = (config.max_request_by_time_bucket, config.request_time_bucket_min);
        let message = format!(
            "{count} callbacks are booked within these {minutes} minutes; availability tells other times"
        );
        Err(ApiError::new(503, "time_slot_full", message))
    }

    /// Callbacks by service, in the order of their desired times.
    pub(super) fn callback_queues(&self, wish: &CallbackQueues) -> Answer {
        let time = |field: &str, text: &Option<String>, default_ms: u64| {
            text.as_ref().map_or(Ok(default_ms), |text| moment(field, text))
        };
        let now_ms = self.now.unix_ms;
        let from_ms = time("start_time", &wish.start_time, now_ms.saturating_sub(QUEUES_BACK_MS))?;
        let to_ms = time("end_time", &wish.end_time, now_ms + DAY_MS)?;
        let mut found: BTreeMap<String, Vec<&Callback>> =
            self.asked_services(&wish.targets)?.map(|service| (service.name.clone(), Vec::new())).collect();
        let fits = |callback: &Callback| {
            let (state, reason) = (callback.state.name(), callback.state.reason());
            (from_ms..=to_ms).contains(&callback.spec.desired_ms)
                && (wish.states.is_empty() || wish.states.iter().any(|wanted| wanted == state))
                && (wish.reasons.is_empty() || reason.is_some_and(|reason| wish.reasons.contains(&reason)))
        };
        let max = wish.max.unwrap_or(LISTING).min(LISTING);
        for callback in self.callbacks.values().filter(|callback| fits(callback)) {
            if let Some(of_service) = found.get_mut(&callback.spec.service) {
                of_service.push(callback);
            }
        }
        let all = found.values().map(Vec::len).sum::<usize>();
        let left_off = all.checked_sub(max).filter(|left_off| *left_off > 0);
        let mut left = max;
        let views = found.into_iter().map(|(service, mut callbacks)| {
            callbacks.sort_by_key(|callback| callback.spec.desired_ms);
            callbacks.truncate(left);
            left -= callbacks.len();
            (service, callbacks.into_iter().map(|callback| self.callback_view(callback)).collect())
        });
        Ok(ApiReply::CallbackQueues(views.collect()).cut(left_off.map(More::LeftOff)))
    }

    /// How many callbacks of each service are queued, routed or processed.
    pub(super) fn callback_watermarks(&self, services: &[String]) -> Answer {
        let mut counts: BTreeMap<String, u64> =
            self.asked_services(services)?.map(|service| (service.name.clone(), 0)).collect();
        for callback in self.callbacks.values() {
            if matches!(callback.state, State::Queued | State::Routing | State::Processing)
                && let Some(count) = counts.get_mut(&callback.spec.service)
            {
                *count += 1;
            }
        }
        Ok(ApiReply::CallbackWatermarks(counts))
    }

    /// The services of these names; without names all.
    fn asked_services<'c>(
        &'c self,
        names: &'c [String],
    ) -> Result<impl Iterator<Item = &'c ServiceConfig>, ApiError> {
        if names.iter().any(|name| self.config.service(name).is_none()) {
            return Err(missing("service"));
        }
        Ok(self.config.services.iter().filter(|service| names.is_empty() || names.contains(&service.name)))
    }

    /// Cancels all of these that can be cancelled.
    pub(super) fn cancel_callbacks(&mut self, wish: BulkCancel) -> Answer {
        let (mut cancelled, mut failed) = (Vec::new(), Vec::new());
        for id in wish.ids {
            let service = self.callbacks.get(&id).map(|callback| callback.spec.service.clone());
            let open = service.ok_or_else(|| missing("callback"));
            match open.and_then(|service| self.open_callback(&service, &id).map(|_| ())) {
                Ok(()) => {
                    self.withdraw_callback(&id, wish.reason.into());
                    cancelled.push(id);
                }
                Err(error) => failed.push(NotCancelled { id, error }),
            }
        }
        Ok(ApiReply::CallbacksCancelled { cancelled, failed })
    }

    /// Callbacks that ended for a reason, with these properties of theirs.
    pub(super) fn cancelled_callbacks(&self, reason: CallbackReason) -> Answer {
        let over = self.callbacks.values().filter(|callback| callback.state.reason() == Some(reason));
        Ok(ApiReply::Callbacks(over.map(|callback| self.callback_view(callback)).collect()))
    }

    /// Takes note of the time that a callback is booked for, or that it is not any more.
    pub(crate) fn book_callback(&mut self, id: &CallbackId) {
        let booked = self.callbacks.get(id).filter(|callback| callback.spec.scheduled && !callback.is_over());
        self.index
            .book(id, booked.map(|callback| (callback.spec.service.as_str(), callback.spec.desired_ms)));
    }
}

fn moment(field: &str, text: &str) -> Result<u64, ApiError> {
    calendar::parse(text).ok_or_else(|| bad(field, "is not a time such as 2026-11-20T09:30:00Z"))
}

const DAY_MS: u64 = 86_400_000;
/// Most days that are looked at in one answer.
const DAYS: u32 = 366;
/// How far back desired times are looked for where nothing is said of it.
const QUEUES_BACK_MS: u64 = 15 * 60_000;
