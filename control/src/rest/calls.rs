//! `/calls`, `/queues`, `/services`, `/statistics`.

use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use offhook_control_core::CallId;
use offhook_control_core::api::ApiRequest;

use super::Api;
use super::body::{Name, page_wish};
use super::problem::Problem;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/calls", get(list))
        .route("/calls/{id}", get(one).delete(end))
        .route("/queues", get(queues))
        .route("/services", get(services))
        .route("/statistics", get(statistics))
}

async fn list(State(api): State<Api>, Query(fields): Query<Vec<(String, String)>>) -> Response {
    match page_wish(fields) {
        Ok(wish) => api.ask(ApiRequest::Calls(wish)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn one(State(api): State<Api>, Name(id): Name) -> Response {
    match number(&id) {
        Ok(call) => api.ask(ApiRequest::Call(call)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn end(State(api): State<Api>, Name(id): Name) -> Response {
    match number(&id) {
        Ok(call) => api.ask(ApiRequest::EndCall(call)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn queues(State(api): State<Api>) -> Response {
    api.ask(ApiRequest::Queues).await
}

/// Names of the callback services, for whoever shows them.
async fn services(State(api): State<Api>) -> Json<Vec<String>> {
    Json(api.services.borrow().clone())
}

async fn statistics(State(api): State<Api>) -> Response {
    api.ask(ApiRequest::Statistics).await
}

fn number(id: &str) -> Result<CallId, Problem> {
    let none = || Problem::new(StatusCode::NOT_FOUND, "no_such_call", format!("there is no call {id}"));
    id.parse().map(CallId).map_err(|_| none())
}
