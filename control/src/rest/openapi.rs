//! `/openapi.json`: the interface as a document. Tests hold it against this server.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;

use super::Api;

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/openapi.json", get(document))
}

async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}

pub(super) const DOCUMENT: &str = include_str!("openapi.json");
