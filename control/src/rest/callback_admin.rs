//! `/service/callback/{service}/availability` and `/admin/callback`: callbacks as Genesys Mobile Services lets those who run the
//! place look at them, and cancel many at once.

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use offhook_control_core::api::{
    ApiReply, ApiRequest, BulkCancel, CallbackQueues, CancelledReport, SlotsWish,
};
use offhook_control_core::limits::{LISTING, SLOTS};
use offhook_control_core::record::CallbackReason;
use serde_json::Value;

use super::body::{Body, Name};
use super::callbacks::STATES;
use super::problem::Problem;
use super::{Api, reports};

type Fields = Query<Vec<(String, String)>>;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/service/callback/{service}/availability", get(availability))
        .route("/admin/callback/queues", get(queues))
        .route("/admin/callback/watermarks", get(watermarks))
        .route("/admin/callback/cancel", post(cancel))
        .route("/admin/callback/reportcancelled", post(report_cancelled))
}

async fn availability(State(api): State<Api>, Name(service): Name, Query(fields): Fields) -> Response {
    let mut wish = SlotsWish::default();
    for (name, value) in fields {
        let read = match name.as_str() {
            "start" => set(&mut wish.start, Ok(value)),
            "end" => set(&mut wish.end, Ok(value)),
            "number-of-days" => set(&mut wish.number_of_days, number(&name, &value, 366)),
            "max-time-slots" => set(&mut wish.max_time_slots, number(&name, &value, SLOTS)),
            _ => Err(unknown(&name, "start, end, number-of-days and max-time-slots")),
        };
        if let Err(problem) = read {
            return problem.into_response();
        }
    }
    api.ask(ApiRequest::CallbackSlots { service, wish }).await
}

async fn queues(State(api): State<Api>, Query(fields): Fields) -> Response {
    let mut wish = CallbackQueues::default();
    for (name, value) in fields {
        let read = match name.as_str() {
            "target" => {
                wish.targets.push(value);
                Ok(())
            }
            "start_time" => set(&mut wish.start_time, Ok(value)),
            "end_time" => set(&mut wish.end_time, Ok(value)),
            "max" => set(&mut wish.max, number(&name, &value, LISTING)),
            "states" | "_callback_state" => value.split(',').try_for_each(|state| {
                if !STATES.contains(&state) {
                    return Err(Problem::bad(format!("{name} must be one of {}", STATES.join(", "))));
                }
                wish.states.push(state.to_owned());
                Ok(())
            }),
            "_callback_reason" => serde_json::from_value(Value::String(value))
                .map(|reason: CallbackReason| wish.reasons.push(reason))
                .map_err(|_| Problem::bad("_callback_reason is none of the reasons")),
            _ => Err(unknown(
                &name,
                "target, start_time, end_time, max, states, _callback_state and _callback_reason",
            )),
        };
        if let Err(problem) = read {
            return problem.into_response();
        }
    }
    api.ask(ApiRequest::CallbackQueues(wish)).await
}

async fn watermarks(State(api): State<Api>, Query(fields): Fields) -> Response {
    if let Some((other, _)) = fields.iter().find(|(name, _)| name != "service_name") {
        return unknown(other, "service_name").into_response();
    }
    api.ask(ApiRequest::CallbackWatermarks(fields.into_iter().map(|(_, service)| service).collect())).await
}

async fn cancel(State(api): State<Api>, Body(wish): Body<BulkCancel>) -> Response {
    if wish.ids.len() > LISTING {
        return Problem::bad(format!("ids must be at most {LISTING}")).into_response();
    }
    api.ask(ApiRequest::CancelCallbacks(wish)).await
}

/// As CSV: what is always told of a callback, and the properties that are asked for; empty where it has none of that name.
async fn report_cancelled(State(api): State<Api>, Body(wish): Body<CancelledReport>) -> Response {
    if wish.exported_properties.len() > COLUMNS {
        return Problem::bad(format!("exported_properties must be at most {COLUMNS}")).into_response();
    }
    match api.reply(ApiRequest::CancelledCallbacks(wish.callback_reason)).await {
        Ok(reply @ ApiReply::Callbacks(_)) => {
            let asked = wish.exported_properties.iter().map(String::as_str);
            let columns: Vec<&str> =
                ALWAYS.into_iter().chain(asked.filter(|name| !ALWAYS.contains(name))).collect();
            let Value::Array(mut rows) = reply.body() else { return super::respond(&reply) };
            for row in &mut rows {
                row["_service_id"] = row["_id"].clone();
            }
            reports::table(&columns, &rows)
        }
        Ok(reply) => super::respond(&reply),
        Err(problem) => problem.into_response(),
    }
}

fn set<T>(field: &mut Option<T>, value: Result<T, Problem>) -> Result<(), Problem> {
    *field = Some(value?);
    Ok(())
}

fn number<T: std::str::FromStr + TryInto<usize> + Copy>(
    name: &str,
    value: &str,
    most: usize,
) -> Result<T, Problem> {
    let fits = |number: &T| (*number).try_into().is_ok_and(|number| (1..=most).contains(&number));
    let wrong = || Problem::bad(format!("{name} must be a number from 1 to {most}"));
    value.parse().ok().filter(fits).ok_or_else(wrong)
}

fn unknown(name: &str, known: &str) -> Problem {
    Problem::bad(format!("{name} is not known here; known are {known}"))
}

/// Columns of each report.
const ALWAYS: [&str; 7] = [
    "_id",
    "_service_name",
    "_customer_number",
    "_callback_state",
    "_callback_reason",
    "_desired_time",
    "_expiration_time",
];
/// Most columns besides these.
const COLUMNS: usize = 100;
