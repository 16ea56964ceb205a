//! A callback request's options: read, checked against the service, and kept up with it (CB-03 to CB-06).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::CallbackId;
use crate::api::ApiError;
use crate::callback::{Callback, State};
use crate::config::ServiceConfig;
use crate::core::{Changed, Core};
use crate::flow::api::bad;
use crate::flow::callback_api::{number_of, text};
use crate::options::{CallDirection, CallbackOptions, Unconfirmed};
use crate::record::Fact;
use crate::timer::Timer;

/// Reads the options of a request, over those of its service.
pub(super) fn read(
    params: &Map<String, Value>,
    service: &ServiceConfig,
) -> Result<CallbackOptions, ApiError> {
    // A client that asks for a chat must not get a telephone call.
    choice(params, "_media_type", (), &[("voice", ())])?;
    let direction = choice(params, "_call_direction", service.call_direction, &CallDirection::NAMES)?;
    let wait_for_agent = flag(params, "_wait_for_agent", service.wait_for_agent)?;
    let ask = flag(params, "_wait_for_user_confirm", service.wait_for_user_confirm)?;
    let mut confirm = service.confirm();
    let limits = [
        ("_user_confirm_timeout", &mut confirm.timeout_s, 1..=3_600),
        ("_max_notify_delivery_attempts", &mut confirm.attempts, 1..=100),
    ];
    for (name, value, range) in limits {
        let mut given = params.get(name).map(|value| (name.to_owned(), value.clone())).into_iter().collect();
        *value = u32::try_from(number_of(&mut given, name, u64::from(*value), range)?).unwrap_or(u32::MAX);
    }
    confirm.otherwise = choice(params, "_on_user_confirm_timeout", confirm.otherwise, &Unconfirmed::NAMES)?;
    let access_number = service.access_number();
    let given: BTreeSet<String> =
        OPTIONS.iter().filter(|name| params.contains_key(**name)).map(|name| (*name).to_owned()).collect();
    match direction {
        CallDirection::UserTerminated if !wait_for_agent => Err(bad(
            "_wait_for_agent",
            "has to be true with USERTERMINATED: nobody is called before an agent is there",
        )),
        CallDirection::UserOriginated if access_number.is_none() => Err(bad(
            "_call_direction",
            "has to be USERTERMINATED: this service has no access_number that a customer could call",
        )),
        _ if ask && !wait_for_agent => {
            Err(bad("_wait_for_user_confirm", "may be true only together with _wait_for_agent=true"))
        }
        _ if ask && service.push_url.is_empty() => Err(bad(
            "_wait_for_user_confirm",
            "has to be false: this service has no push_url to ask the customer by",
        )),
        CallDirection::UserOriginated | CallDirection::UserTerminated => Ok(CallbackOptions {
            direction,
            wait_for_agent,
            // Whoever calls by themselves confirms by calling; until then they are told that an agent is there.
            confirm: (ask || (direction == CallDirection::UserOriginated && wait_for_agent))
                .then_some(confirm),
            access_number: access_number.filter(|_| direction == CallDirection::UserOriginated),
            access_code: None,
            given: Some(given),
        }),
    }
}

/// Whether a code is wanted beside the access number: `_provide_code`.
pub(super) fn wants_code(
    params: &Map<String, Value>,
    service: &ServiceConfig,
    direction: CallDirection,
) -> Result<bool, ApiError> {
    match direction {
        CallDirection::UserOriginated => flag(params, "_provide_code", service.provide_code),
        CallDirection::UserTerminated if flag(params, "_provide_code", false)? => {
            Err(bad("_provide_code", "may be true only together with USERORIGINATED: nobody else calls"))
        }
        CallDirection::UserTerminated => Ok(false),
    }
}

impl Core {
    /// New settings of the services hold at once for every callback that has not started (CB-06). Whoever waits in a queue that
    /// is not configured any more, or is to call a number that there is no more, waits no longer (CB-13).
    pub(crate) fn refresh_callbacks(&mut self) {
        let is_open = |found: &Callback| !found.is_over() && !found.unclear && found.running.is_none();
        let open = self.callbacks.iter().filter(|(_, found)| is_open(found));
        let open: Vec<CallbackId> = open.map(|(id, _)| id.clone()).collect();
        for id in open.into_iter().filter(|id| !self.is_called_in(id)).collect::<Vec<_>>() {
            self.refresh_callback(&id);
        }
    }

    pub(super) fn refresh_callback(&mut self, id: &CallbackId) {
        let Some(callback) = self.callbacks.get_mut(id) else { return };
        let queue = callback.spec.queue.clone();
        let service = self.config.service(&callback.spec.service).filter(|_| callback.is_untouched());
        if service.is_some_and(|service| callback.spec.follow(service)) {
            let (spec, interaction) = (callback.spec.clone(), callback.interaction);
            let (expires_ms, moved) = (callback.expires_ms(), spec.queue != queue);
            self.record(Fact::CallbackRevised(Box::new(spec)));
            self.arm_at(Timer::CallbackTtl(id.clone()), expires_ms);
            self.changed(Changed::Callback(id.clone()));
            if let (Some(waiting), true) = (interaction, moved) {
                self.leave_queue(waiting);
                return self.schedule_callback(id);
            }
        }
        let is_due = self.callbacks.get(id).is_some_and(|found| found.state != State::Scheduled);
        if let Some(obstacle) = self.obstacle(id).filter(|_| is_due) {
            self.withdraw_callback(id, obstacle);
        }
    }
}

fn choice<T: Copy>(
    params: &Map<String, Value>,
    field: &str,
    default: T,
    names: &[(&str, T)],
) -> Result<T, ApiError> {
    let Some(value) = params.get(field).filter(|value| !value.is_null()) else { return Ok(default) };
    let given = text(value).unwrap_or_default();
    let found = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(&given)).map(|(_, value)| *value);
    let all: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    found.ok_or_else(|| bad(field, &format!("has to be {}", all.join(" or "))))
}

fn flag(params: &Map<String, Value>, field: &str, default: bool) -> Result<bool, ApiError> {
    choice(params, field, default, &[("true", true), ("false", false)])
}

/// Parameters that a service has a value for.
const OPTIONS: [&str; 7] = [
    "_ttl",
    "_max_dial_attempts",
    "_dial_retry_timeout",
    "_wait_for_user_confirm",
    "_user_confirm_timeout",
    "_max_notify_delivery_attempts",
    "_on_user_confirm_timeout",
];
