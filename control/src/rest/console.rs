//! The web console: one page, without anything from elsewhere.

use axum::Router;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use http::{StatusCode, header};

use super::Api;

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/", get(page)).route("/favicon.ico", get(StatusCode::NO_CONTENT))
}

async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Html(include_str!("../console/console.html")))
}

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
