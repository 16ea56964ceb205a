//! `/contacts`: preview dialling.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use offhook_control_core::ContactId;
use offhook_control_core::api::{ApiRequest, ContactBody, DispositionBody};

use super::Api;
use super::body::{Body, Name};

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/contacts", get(list).post(add))
        .route("/contacts/{id}", get(one))
        .route("/contacts/{id}/disposition", post(dispose))
}

async fn dispose(State(api): State<Api>, Name(id): Name, Body(body): Body<DispositionBody>) -> Response {
    api.ask(ApiRequest::Dispose(ContactId(id), body)).await
}

async fn list(State(api): State<Api>) -> Response {
    api.ask(ApiRequest::Contacts).await
}

async fn one(State(api): State<Api>, Name(id): Name) -> Response {
    api.ask(ApiRequest::Contact(ContactId(id))).await
}

async fn add(State(api): State<Api>, Body(body): Body<ContactBody>) -> Response {
    api.ask(ApiRequest::AddContact(body)).await
}
