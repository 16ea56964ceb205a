//! The web console: a page, its style and its script, without anything from elsewhere.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderName, StatusCode, header};

use super::Api;

pub(crate) fn routes() -> Router<Api> {
    let file = |kind: &'static str, text: &'static str| get(async move || served(kind, text));
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("../console/console.html")))
        .route("/console.css", file("text/css; charset=utf-8", include_str!("../console/console.css")))
        .route("/console.js", file("text/javascript; charset=utf-8", include_str!("../console/console.js")))
        .route("/favicon.ico", get(StatusCode::NO_CONTENT))
}

/// Whether a path is a part of the console, which shows nothing before it has the token.
pub(super) fn is_part(path: &str) -> bool {
    matches!(path, "/" | "/console.css" | "/console.js" | "/favicon.ico")
}

fn served(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
