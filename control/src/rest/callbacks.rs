//! `/service/callback`: callbacks as Genesys Mobile Services has them.

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, post};
use offhook_control_core::CallbackId;
use offhook_control_core::api::{ApiRequest, CallbackFilter};

use super::Api;
use super::body::{Name, Names, Params};
use super::problem::Problem;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
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
                return Err(Problem::bad(format!("_callback_state takes one of {}", STATES.join(", "))));
            }
            other => {
                let known = "_id, _customer_number and _callback_state";
                return Err(Problem::bad(format!("{other} is not a field to search by; known are {known}")));
            }
        }
    }
    Ok(filter)
}

const STATES: [&str; 5] = ["SCHEDULED", "QUEUED", "ROUTING", "PROCESSING", "COMPLETED"];
