//! `/agents`.

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use offhook_control_core::AgentId;
use offhook_control_core::api::{
    AgentBody, ApiRequest, ConfirmModeBody, ConnectBody, KeysBody, LoginBody, PinBody, StatusBody,
    TransferBody,
};
use offhook_control_core::modes::ModeWish;

use super::Api;
use super::body::{Body, Name, page_wish};

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/agents", get(list))
        .route("/agents/{id}", get(one).put(put))
        .route("/agents/{id}/login", post(login))
        .route("/agents/{id}/status", post(status))
        .route("/agents/{id}/mode", post(mode))
        .route("/agents/{id}/mode/confirm", post(confirm_mode))
        .route("/modes", get(modes))
        .route("/agents/{id}/connection", post(connect).delete(disconnect))
        .route("/agents/{id}/pin", post(pin))
        .route("/agents/{id}/logout", act(ApiRequest::Logout))
        .route("/agents/{id}/accept", act(ApiRequest::Accept))
        .route("/agents/{id}/reject", act(ApiRequest::Reject))
        .route("/agents/{id}/cancel", act(ApiRequest::Cancel))
        .route("/agents/{id}/hangup", act(ApiRequest::HangUp))
        .route("/agents/{id}/transfer", post(transfer))
        .route("/agents/{id}/transfer/complete", act(ApiRequest::CompleteTransfer))
        .route("/agents/{id}/transfer/cancel", act(ApiRequest::CancelTransfer))
        .route("/agents/{id}/keys", post(keys))
        .route("/agents/{id}/wrap_up_done", act(ApiRequest::WrapUpDone))
}

/// A request that is nothing but a name. A body is not looked at.
fn act(request: fn(AgentId) -> ApiRequest) -> axum::routing::MethodRouter<Api> {
    post(async move |State(api): State<Api>, Name(id): Name| api.ask(request(AgentId(id))).await)
}

async fn list(State(api): State<Api>, Query(fields): Query<Vec<(String, String)>>) -> Response {
    match page_wish(fields) {
        Ok(wish) => api.ask(ApiRequest::Agents(wish)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn one(State(api): State<Api>, Name(id): Name) -> Response {
    api.ask(ApiRequest::Agent(AgentId(id))).await
}

async fn put(State(api): State<Api>, Name(id): Name, Body(body): Body<AgentBody>) -> Response {
    api.ask(ApiRequest::PutAgent(AgentId(id), body)).await
}

async fn login(State(api): State<Api>, Name(id): Name, Body(body): Body<LoginBody>) -> Response {
    api.ask(ApiRequest::Login(AgentId(id), body)).await
}

async fn status(State(api): State<Api>, Name(id): Name, Body(body): Body<StatusBody>) -> Response {
    api.ask(ApiRequest::SetStatus(AgentId(id), body)).await
}

async fn mode(State(api): State<Api>, Name(id): Name, Body(body): Body<ModeWish>) -> Response {
    api.ask(ApiRequest::SetMode(AgentId(id), body)).await
}

async fn confirm_mode(State(api): State<Api>, Name(id): Name, Body(body): Body<ConfirmModeBody>) -> Response {
    api.ask(ApiRequest::ConfirmMode(AgentId(id), body)).await
}

async fn modes(State(api): State<Api>) -> Response {
    api.ask(ApiRequest::Modes).await
}

async fn connect(State(api): State<Api>, Name(id): Name, Body(body): Body<ConnectBody>) -> Response {
    api.ask(ApiRequest::Connect(AgentId(id), body)).await
}

async fn disconnect(State(api): State<Api>, Name(id): Name) -> Response {
    api.ask(ApiRequest::Disconnect(AgentId(id))).await
}

async fn transfer(State(api): State<Api>, Name(id): Name, Body(body): Body<TransferBody>) -> Response {
    api.ask(ApiRequest::Transfer(AgentId(id), body)).await
}

async fn keys(State(api): State<Api>, Name(id): Name, Body(body): Body<KeysBody>) -> Response {
    api.ask(ApiRequest::BlockKeys(AgentId(id), body)).await
}

async fn pin(State(api): State<Api>, Name(id): Name, Body(body): Body<PinBody>) -> Response {
    api.ask(ApiRequest::Pin(AgentId(id), body)).await
}
