//! The callback services' requests, as Genesys Mobile Services has them: taken, found, cancelled, moved.

use std::collections::BTreeSet;
use std::ops::Bound;

use serde_json::{Map, Value};

use crate::CallbackId;
use crate::api::{ApiError, ApiReply, CallbackFilter, More};
use crate::calendar;
use crate::callback::Callback;
use crate::callback_index::canonical;
use crate::config::ServiceConfig;
use crate::core::{Changed, Core};
use crate::flow::api::{Answer, bad, check_number, missing};
use crate::flow::callback_options;
use crate::flow::originating::ORIGINATING;
use crate::flow::pages::page;
use crate::flow::unclear::taking_up;
use crate::interaction::{Outcome, Stage};
use crate::limits::{CALLBACKS, DATA_BYTES};
use crate::mutation::Mutation;
use crate::options::CallDirection;
use crate::record::{CallbackReason, CallbackSpec, Fact};
use crate::timer::Timer;
use crate::view::CallbackView;

impl Core {
    pub(super) fn start_callback(&mut self, service: &str, mut params: Map<String, Value>) -> Answer {
        let config = self.config.service(service).ok_or_else(|| missing("service"))?.clone();
        let number = match params.remove("_customer_number") {
            None | Some(Value::Null) => return Err(bad("_customer_number", "is missing")),
            Some(value) => text(&value).ok_or_else(|| bad("_customer_number", "is not text"))?,
        };
        check_number("_customer_number", &number)?;
        let mut options = callback_options::read(&params, &config)?;
        let direction = options.direction;
        let wants_code = callback_options::wants_code(&params, &config, direction)?;
        let originating = match params.get(ORIGINATING) {
            None | Some(Value::Null) => None,
            Some(value) => Some(self.originating_call(value)?),
        };
        let desired_ms = match params.remove("_desired_time") {
            None | Some(Value::Null) => None,
            Some(value) => Some(desired_time("_desired_time", &value)?),
        };
        let ttl_s = number_of(&mut params, "_ttl", config.ttl_s, 1..=31_536_000)?;
        let max_attempts =
            number_of(&mut params, "_max_dial_attempts", u64::from(config.max_dial_attempts), 1..=100)?;
        let retry_s = number_of(
            &mut params,
            "_dial_retry_timeout",
            u64::from(config.dial_retry_timeout_s),
            1..=604_800,
        )?;
        if Value::Object(params.clone()).to_string().len() > DATA_BYTES {
            return Err(ApiError::new(
                413,
                "too_large",
                "the request's own data is larger than 16,384 bytes",
            ));
        }
        self.check_throttles(&config, &number)?;
        let now_ms = self.now.unix_ms;
        let expires_ms = desired_ms.map(|desired_ms| desired_ms.saturating_add(ttl_s * 1_000));
        if let Some(expires_ms) = expires_ms.filter(|expires_ms| *expires_ms <= now_ms) {
            let what = format!("is so long ago that its _ttl was over at {}", calendar::write(expires_ms));
            return Err(bad("_desired_time", &what));
        }
        let is_booked = desired_ms.is_some_and(|desired_ms| desired_ms > now_ms);
        let desired_ms = opening(&config, now_ms, desired_ms)?;
        if let Some(desired_ms) = desired_ms.filter(|_| is_booked) {
            self.check_slot(&config, desired_ms, None)?;
        }
        options.access_code = if wants_code { Some(self.new_access_code()?) } else { None };
        let id = CallbackId(self.random_id());
        let spec = CallbackSpec {
            id: id.clone(),
            service: config.name,
            queue: config.queue,
            number,
            arrival_ms: now_ms,
            desired_ms: desired_ms.unwrap_or(now_ms),
            scheduled: desired_ms.is_some_and(|desired| desired > now_ms),
            ttl_s,
            max_attempts: u32::try_from(max_attempts).unwrap_or(u32::MAX),
            retry_s: u32::try_from(retry_s).unwrap_or(u32::MAX),
            data: params,
            origin: None,
            originating: originating.filter(|call| self.is_let_go(*call)),
            options,
        };
        if self.mutated(Mutation::ReplyBeforeRecord) {
            self.insert_callback(spec);
            self.schedule_callback(&id);
        } else {
            self.add_callback(spec.clone());
            if let Some(call) = originating {
                self.leave_with_callback(call, &spec);
            }
        }
        let access = self.callbacks.get(&id).filter(|_| direction == CallDirection::UserOriginated);
        let access = access.and_then(|found| Some((found, found.access_number()?)));
        Ok(match access {
            None => ApiReply::CallbackStored(id),
            Some((found, access_number)) => ApiReply::CallbackAccess {
                id,
                access_number: access_number.to_owned(),
                access_code: found.access_code().map(str::to_owned),
                expiration_time: calendar::write(found.expires_ms()),
            },
        })
    }

    pub(crate) fn check_throttles(&self, config: &ServiceConfig, number: &str) -> Result<(), ApiError> {
        let queued = self.index.open(&config.name);
        if queued >= config.max_queued as usize || self.callbacks.len() >= CALLBACKS + crate::limits::HISTORY
        {
            let message = format!("{queued} callbacks of this service wait already");
            return Err(ApiError::new(503, "service_full", message));
        }
        let windows = [(300, config.max_per_300_s), (3_600, config.max_per_3600_s)];
        for (window_s, limit) in windows {
            let count =
                self.throttles.get(&config.name).map_or(0, |asked| asked.count(self.now.unix_ms, window_s));
            if count >= limit as usize {
                let message = format!("{count} callbacks of this service were asked for within {window_s} s");
                return Err(ApiError::new(503, "service_rate", message));
            }
        }
        let equal = |id: &CallbackId| {
            let open = self.callbacks.get(id).filter(|callback| !callback.is_over());
            open.is_some_and(|callback| callback.spec.service == config.name)
        };
        if self.index.of_number(number).any(equal) {
            return Err(ApiError::new(409, "already_queued", "a callback to this number waits already"));
        }
        let count = self.index.asked_today(number, self.now.unix_ms);
        if count >= config.max_per_number_and_day as usize {
            let message = format!("{count} callbacks to this number were asked for within 24 hours");
            return Err(ApiError::new(503, "number_limit", message));
        }
        Ok(())
    }

    pub(super) fn query_callbacks(&self, service: &str, filter: &CallbackFilter) -> Answer {
        if !service.is_empty() {
            self.config.service(service).ok_or_else(|| missing("service"))?;
        }
        // However it was written: the sign for "international" comes as a blank where it was not encoded.
        let wanted = filter.customer_number.as_deref().map(str::trim);
        let fits = |callback: &&Callback| {
            (service.is_empty() || callback.spec.service == service)
                && filter.id.as_ref().is_none_or(|id| *id == callback.spec.id)
                && wanted.is_none_or(|number| canonical(number) == canonical(&callback.spec.number))
                && filter.state.as_ref().is_none_or(|state| state == callback.state.name())
        };
        let is_after = |id: &CallbackId| filter.after.as_ref().is_none_or(|after| id > after);
        let (found, more) = match (&filter.id, wanted) {
            (Some(id), _) => page(self.callbacks.get(id).into_iter().filter(fits), filter.limit)?,
            (None, Some(number)) => {
                let ids: BTreeSet<_> = self.index.of_number(number).filter(|id| is_after(id)).collect();
                page(ids.into_iter().filter_map(|id| self.callbacks.get(id)).filter(fits), filter.limit)?
            }
            (None, None) => {
                let from = filter.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
                let found = self.callbacks.range((from, Bound::Unbounded)).map(|(_, callback)| callback);
                page(found.filter(fits), filter.limit)?
            }
        };
        let next = found.last().filter(|_| more).map(|callback| More::Next(callback.spec.id.0.clone()));
        let views = found.into_iter().map(|callback| self.callback_view(callback)).collect();
        Ok(ApiReply::Callbacks(views).cut(next))
    }

    /// With its position in the queue, from 1, while it waits there.
    pub(super) fn callback_view(&self, callback: &Callback) -> CallbackView {
        let mut view = callback.view();
        let waiting = callback.interaction.and_then(|interaction| self.interactions.get(&interaction));
        let place = waiting.map(crate::flow::customers::place);
        if let Some(position) = place.and_then(|place| self.queues.position(&callback.spec.queue, &place)) {
            view.more.insert("_position".to_owned(), position.into());
            let wait_ms = self.estimated_wait_ms(&callback.spec.queue, position as u64);
            view.more.insert("_ewt".to_owned(), wait_ms.map(|ms| ms.div_ceil(1_000)).into());
            view.more
                .insert("_total_waiting".to_owned(), self.queues.waiting_count(&callback.spec.queue).into());
        }
        view
    }

    pub(super) fn open_callback(&self, service: &str, id: &CallbackId) -> Result<&Callback, ApiError> {
        let found = self.callbacks.get(id).filter(|callback| callback.spec.service == service);
        let callback = found.ok_or_else(|| missing("callback"))?;
        if callback.is_over() {
            return Err(ApiError::new(409, "completed", "the callback is completed"));
        }
        if callback.unclear {
            return Err(taking_up("the customer is on the line"));
        }
        let stage = callback
            .interaction
            .and_then(|interaction| self.interactions.get(&interaction))
            .map(|found| found.stage);
        if matches!(stage, Some(Stage::Joining | Stage::Connected | Stage::Held)) {
            return Err(ApiError::new(409, "answered", "the customer has answered"));
        }
        if self.is_called_in(id) {
            return Err(ApiError::new(409, "answered", "the customer is on the line"));
        }
        Ok(callback)
    }

    pub(super) fn cancel_callback(&mut self, service: &str, id: &CallbackId) -> Answer {
        self.open_callback(service, id)?;
        self.withdraw_callback(id, CallbackReason::Cancelled);
        self.show_callback(id)
    }

    pub(super) fn show_callback(&self, id: &CallbackId) -> Answer {
        let callback = self.callbacks.get(id).ok_or_else(|| missing("callback"))?;
        Ok(ApiReply::Callbacks(vec![self.callback_view(callback)]))
    }

    pub(super) fn reschedule(
        &mut self,
        service: &str,
        id: &CallbackId,
        params: &Map<String, Value>,
    ) -> Answer {
        let callback = self.open_callback(service, id)?;
        if callback.running.is_some() {
            return Err(ApiError::new(409, "in_progress", "the customer is being called"));
        }
        if let Some(other) = params.keys().find(|name| *name != "_new_desired_time") {
            return Err(bad(other, "is not changed by this request: only _new_desired_time is"));
        }
        let value = params.get("_new_desired_time").ok_or_else(|| bad("_new_desired_time", "is missing"))?;
        let asked_ms = desired_time("_new_desired_time", value)?;
        let interaction = callback.interaction;
        let config = self.config.service(service).ok_or_else(|| missing("service"))?;
        let now_ms = self.now.unix_ms;
        let open_ms = opening(config, now_ms, Some(asked_ms))?.unwrap_or(asked_ms);
        // What is past is now: whose time has come keeps it, and nobody overtakes by it (BY-07).
        let desired_ms = if asked_ms <= now_ms && callback.place_ms() <= now_ms {
            callback.spec.desired_ms
        } else {
            open_ms.max(now_ms)
        };
        if desired_ms > now_ms {
            self.check_slot(config, desired_ms, Some(callback))?;
        }
        self.record(Fact::CallbackMoved { id: id.clone(), desired_ms });
        let believes = asked_ms <= now_ms && self.mutated(Mutation::BelievePast);
        if let Some(callback) = self.callbacks.get_mut(id) {
            callback.move_to(desired_ms);
            if believes {
                (callback.spec.arrival_ms, callback.spec.scheduled) = (asked_ms, false);
            }
        }
        self.book_callback(id);
        self.timers.stop(&Timer::Confirm(id.clone()));
        match interaction {
            Some(interaction) => self.give_up(interaction, Outcome::Withdrawn),
            None => self.schedule_callback(id),
        }
        self.changed(Changed::Callback(id.clone()));
        self.show_callback(id)
    }
}

/// The time that was asked for, moved to the next opening of the service (CB-18).
fn opening(service: &ServiceConfig, now_ms: u64, desired_ms: Option<u64>) -> Result<Option<u64>, ApiError> {
    let wanted_ms = desired_ms.unwrap_or(now_ms).max(now_ms);
    let open_ms = service.office_hours.next_open_ms(wanted_ms);
    match open_ms {
        Some(open_ms) if open_ms == wanted_ms => Ok(desired_ms),
        Some(open_ms) if !service.reject_out_of_office_hours => Ok(Some(open_ms)),
        Some(open_ms) => {
            let message = format!("the service is closed then; it opens at {}", calendar::write(open_ms));
            Err(ApiError::new(503, "out_of_office_hours", message))
        }
        None => Err(ApiError::new(503, "out_of_office_hours", "the service does not open within a year")),
    }
}

fn desired_time(field: &str, value: &Value) -> Result<u64, ApiError> {
    let parsed = match value {
        Value::String(text) => calendar::parse(text)
            .or_else(|| text.parse().ok().and_then(|seconds: u64| seconds.checked_mul(1_000))),
        Value::Number(seconds) => seconds.as_u64().and_then(|seconds| seconds.checked_mul(1_000)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    parsed
        .filter(|ms| *ms < LAST_MS)
        .ok_or_else(|| bad(field, "is not a time such as 2026-11-20T09:30:00Z, nor seconds since 1970"))
}

pub(super) fn number_of(
    params: &mut Map<String, Value>,
    field: &str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, ApiError> {
    let Some(value) = params.remove(field) else { return Ok(default) };
    let number = text(&value).and_then(|text| text.parse().ok()).filter(|number| range.contains(number));
    number.ok_or_else(|| bad(field, &format!("has to be a number from {} to {}", range.start(), range.end())))
}

pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The year 9999.
const LAST_MS: u64 = 253_370_764_800_000;
