//! `/service/callback`: callbacks as Genesys Mobile Services has them.

use axum::Json;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use http::StatusCode;
use offhook_control_core::CallbackId;
use offhook_control_core::api::{ApiReply, ApiRequest, CallbackFilter};
use serde_json::json;

use super::Api;
use super::body::{Name, Names, Params, limit_of};
use super::problem::Problem;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/service/callback", get(query_all))
        .route("/service/{id}/check-queue-position", get(position))
        .route("/service/callback/{service}", post(start).get(query))
        .route("/service/callback/{service}/{id}/confirm", post(confirm))
        .route("/service/callback/{service}/{id}", delete(cancel).put(reschedule))
}

async fn start(State(api): State<Api>, Name(service): Name, Params(params): Params) -> Response {
    api.ask(ApiRequest::StartCallback { service, params }).await
}

async fn query(
    State(api): State<Api>,
    Name(service): Name,
    Query(fields): Query<Vec<(String, String)>>,
) -> Response {
    match filter(fields) {
        Ok(filter) => api.ask(ApiRequest::QueryCallbacks { service, filter }).await,
        Err(problem) => problem.into_response(),
    }
}

/// Callbacks of all services.
async fn query_all(api: State<Api>, fields: Query<Vec<(String, String)>>) -> Response {
    query(api, Name(String::new()), fields).await
}

/// Where a callback is in its queue.
async fn position(State(api): State<Api>, Name(id): Name) -> Response {
    let filter = CallbackFilter { id: Some(CallbackId(id)), ..CallbackFilter::default() };
    let found = match api.reply(ApiRequest::QueryCallbacks { service: String::new(), filter }).await {
        Ok(ApiReply::Callbacks(found)) => found,
        Ok(reply) => return super::respond(&reply),
        Err(problem) => return problem.into_response(),
    };
    let Some(callback) = found.into_iter().next() else {
        return Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such callback").into_response();
    };
    let Some(position) = callback.more.get("_position") else {
        let message = format!("the callback is {} and waits in no queue", callback.state);
        return Problem::new(StatusCode::CONFLICT, "not_waiting", message).into_response();
    };
    let (eta, waiting) = (&callback.more["_ewt"], &callback.more["_total_waiting"]);
    Json(json!({ "_position": position, "_eta": eta, "_total_waiting": waiting })).into_response()
}

/// The customer says that they are ready (CB-05). The body is not read.
async fn confirm(State(api): State<Api>, Names(service, id): Names) -> Response {
    api.ask(ApiRequest::ConfirmCallback { service, id: CallbackId(id) }).await
}

async fn cancel(State(api): State<Api>, Names(service, id): Names) -> Response {
    api.ask(ApiRequest::CancelCallback { service, id: CallbackId(id) }).await
}

async fn reschedule(State(api): State<Api>, Names(service, id): Names, Params(params): Params) -> Response {
    api.ask(ApiRequest::RescheduleCallback { service, id: CallbackId(id), params }).await
}

fn filter(fields: Vec<(String, String)>) -> Result<CallbackFilter, Problem> {
    let mut filter = CallbackFilter::default();
    for (name, value) in fields {
        match name.as_str() {
            "_id" => filter.id = Some(CallbackId(value)),
            "_customer_number" => filter.customer_number = Some(value),
            "_callback_state" if STATES.contains(&value.as_str()) => filter.state = Some(value),
            "_callback_state" => {
                return Err(Problem::bad(format!("_callback_state must be one of {}", STATES.join(", "))));
            }
            "after" => filter.after = Some(CallbackId(value)),
            "limit" => filter.limit = Some(limit_of(&value)?),
            other => {
                let known = "_id, _customer_number, _callback_state, after and limit";
                return Err(Problem::bad(format!("{other} is not a field to search by; known are {known}")));
            }
        }
    }
    Ok(filter)
}

pub(super) const STATES: [&str; 5] = ["SCHEDULED", "QUEUED", "ROUTING", "PROCESSING", "COMPLETED"];
