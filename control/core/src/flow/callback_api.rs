//! The callback services' requests, as Genesys Mobile Services has them: taken, found, cancelled, moved.

use serde_json::{Map, Value};

use crate::CallbackId;
use crate::api::{ApiError, ApiReply, CallbackFilter};
use crate::calendar;
use crate::callback::Callback;
use crate::core::{Changed, Core};
use crate::flow::api::{Answer, bad, check_number, missing};
use crate::interaction::{Outcome, Stage};
use crate::limits::{CALLBACKS, DATA_BYTES, LISTING};
use crate::mutation::Mutation;
use crate::record::{CallbackReason, CallbackSpec, Fact};
use crate::view::CallbackView;

impl Core {
    pub(super) fn start_callback(&mut self, service: &str, mut params: Map<String, Value>) -> Answer {
        let config = self.config.service(service).ok_or_else(|| missing("service"))?.clone();
        let number = match params.remove("_customer_number") {
            None | Some(Value::Null) => return Err(bad("_customer_number", "is missing")),
            Some(value) => text(&value).ok_or_else(|| bad("_customer_number", "is not text"))?,
        };
        check_number("_customer_number", &number)?;
        check_choice(&params, "_call_direction", &["USERTERMINATED"])?;
        check_choice(&params, "_wait_for_agent", &["true"])?;
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
        };
        if self.mutated(Mutation::ReplyBeforeRecord) {
            self.callbacks.insert(id.clone(), Callback::new(spec));
            self.schedule_callback(&id);
        } else {
            self.add_callback(spec);
        }
        Ok(ApiReply::CallbackStored(id))
    }

    pub(crate) fn check_throttles(
        &self,
        config: &crate::config::ServiceConfig,
        number: &str,
    ) -> Result<(), ApiError> {
        let day_ago = self.now.unix_ms.saturating_sub(86_400_000);
        let own = |callback: &&Callback| callback.spec.service == config.name;
        let open = self.callbacks.values().filter(own).filter(|callback| !callback.is_over());
        let (mut queued, mut equal) = (0, false);
        for callback in open {
            queued += 1;
            equal |= callback.spec.number == number;
        }
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
        if equal {
            return Err(ApiError::new(409, "already_queued", "a callback to this number waits already"));
        }
        let recent =
            |callback: &&Callback| callback.spec.number == number && callback.spec.arrival_ms > day_ago;
        let count = self.callbacks.values().filter(recent).count();
        if count >= config.max_per_number_and_day as usize {
            let message = format!("{count} callbacks to this number were asked for within 24 hours");
            return Err(ApiError::new(503, "number_limit", message));
        }
        Ok(())
    }

    pub(super) fn query_callbacks(&self, service: &str, filter: &CallbackFilter) -> Answer {
        self.config.service(service).ok_or_else(|| missing("service"))?;
        let fits = |callback: &&Callback| {
            callback.spec.service == service
                && filter.id.as_ref().is_none_or(|id| *id == callback.spec.id)
                && filter.customer_number.as_ref().is_none_or(|number| *number == callback.spec.number)
                && filter.state.as_ref().is_none_or(|state| state == callback.state.name())
        };
        let views =
            self.callbacks.values().filter(fits).take(LISTING).map(|callback| self.callback_view(callback));
        Ok(ApiReply::Callbacks(views.collect()))
    }

    /// With its position in the queue, from 1, while it waits there.
    fn callback_view(&self, callback: &Callback) -> CallbackView {
        let mut view = callback.view();
        let waiting = callback.interaction.and_then(|interaction| self.interactions.get(&interaction));
        let place = waiting.map(crate::flow::customers::place);
        if let Some(position) = place.and_then(|place| self.queues.position(&callback.spec.queue, &place)) {
            view.more.insert("_position".to_owned(), position.into());
            let wait_ms = self.estimated_wait_ms(&callback.spec.queue, position as u64);
            view.more.insert("_ewt".to_owned(), wait_ms.map(|ms| ms.div_ceil(1_000)).into());
        }
        view
    }

    fn open_callback(&self, service: &str, id: &CallbackId) -> Result<&Callback, ApiError> {
        let found = self.callbacks.get(id).filter(|callback| callback.spec.service == service);
        let callback = found.ok_or_else(|| missing("callback"))?;
        if callback.is_over() {
            return Err(ApiError::new(409, "completed", "the callback is completed"));
        }
        let stage = callback
            .interaction
            .and_then(|interaction| self.interactions.get(&interaction))
            .map(|found| found.stage);
        if matches!(stage, Some(Stage::Joining | Stage::Connected | Stage::Held)) {
            return Err(ApiError::new(409, "answered", "the customer has answered"));
        }
        Ok(callback)
    }

    pub(super) fn cancel_callback(&mut self, service: &str, id: &CallbackId) -> Answer {
        self.open_callback(service, id)?;
        self.withdraw_callback(id, CallbackReason::Cancelled);
        self.show_callback(id)
    }

    fn show_callback(&self, id: &CallbackId) -> Answer {
        let callback = self.callbacks.get(id).ok_or_else(|| missing("callback"))?;
        Ok(ApiReply::Callbacks(vec![callback.view()]))
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
        let value = params.get("_new_desired_time").ok_or_else(|| bad("_new_desired_time", "is missing"))?;
        let desired_ms = desired_time("_new_desired_time", value)?;
        let interaction = callback.interaction;
        self.record(Fact::CallbackMoved { id: id.clone(), desired_ms });
        if let Some(callback) = self.callbacks.get_mut(id) {
            callback.spec.desired_ms = desired_ms;
            callback.spec.scheduled = true;
            callback.due_ms = desired_ms.max(callback.blocked_until_ms);
        }
        match interaction {
            Some(interaction) => self.give_up(interaction, Outcome::Withdrawn),
            None => self.schedule_callback(id),
        }
        self.changed(Changed::Callback(id.clone()));
        self.show_callback(id)
    }
}

fn check_choice(params: &Map<String, Value>, field: &str, allowed: &[&str]) -> Result<(), ApiError> {
    let Some(value) = params.get(field) else { return Ok(()) };
    let given = text(value).unwrap_or_default();
    if allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(&given)) {
        return Ok(());
    }
    Err(bad(field, &format!("has to be {} for this service", allowed.join(" or "))))
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

fn number_of(
    params: &mut Map<String, Value>,
    field: &str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, ApiError> {
    let Some(value) = params.remove(field) else { return Ok(default) };
    let number = text(&value).and_then(|text| text.parse().ok()).filter(|number| range.contains(number));
    number.ok_or_else(|| bad(field, &format!("has to be a number from {} to {}", range.start(), range.end())))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The year 9999.
const LAST_MS: u64 = 253_370_764_800_000;
