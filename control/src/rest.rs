//! HTTP: the REST interface, the GMS-style callback interface, live events and the console.
//!
//! Maps requests to [`ApiRequest`]s and answers to JSON; decides nothing. Every refusal is
//! `{"error": "code", "message": "sentence"}`.

mod agents;
mod body;
mod callback_admin;
mod callbacks;
mod calls;
mod compliance;
mod console;
mod contacts;
mod estimate;
mod events;
mod guard;
mod metrics;
mod openapi;
mod problem;
mod reports;
mod serve;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use offhook_control_core::api::{ApiReply, ApiRequest, More};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::runtime::{Ask, Doors};
use problem::Problem;
pub(crate) use serve::serve;

/// What every handler needs.
#[derive(Clone)]
pub(crate) struct Api {
    doors: Doors,
    /// Places for listeners of live events.
    listeners: Arc<Semaphore>,
    token: Option<Arc<str>>,
    /// Names of the callback services.
    services: watch::Receiver<Vec<String>>,
}

impl Api {
    /// `token` is what requests have to bear; none = open.
    pub(crate) fn new(doors: Doors, token: Option<&str>, services: watch::Receiver<Vec<String>>) -> Self {
        Self { doors, listeners: Arc::new(Semaphore::new(LISTENERS)), token: token.map(Arc::from), services }
    }

    /// All paths.
    pub(crate) fn router(self) -> Router {
        routes()
            .fallback(no_such_path)
            .method_not_allowed_fallback(no_such_method)
            .layer(body::limit())
            .layer(middleware::from_fn_with_state(self.clone(), guard::check))
            .layer(middleware::from_fn(body::read_first))
            .with_state(self)
    }

    /// Asks the core; answers 503 when it has no room or takes too long, so that no request hangs.
    async fn ask(&self, request: ApiRequest) -> Response {
        match self.reply(request).await {
            Ok(reply) => respond(&reply),
            Err(problem) => problem.into_response(),
        }
    }

    async fn reply(&self, request: ApiRequest) -> Result<ApiReply, Problem> {
        let (answer, answered) = oneshot::channel();
        self.doors.asks.try_send(Ask { request, answer }).map_err(|refused| match refused {
            TrySendError::Full(_) => Problem::busy("control is busy; try again"),
            TrySendError::Closed(_) => Problem::closing(),
        })?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => Err(Problem::closing()),
            Err(_) => Err(match &self.doors.progress.borrow().stalled {
                Some(reason) => {
                    Problem::unconfirmed(&format!("the journal cannot be written at present: {reason}"))
                }
                None => Problem::unconfirmed("control is busy"),
            }),
        }
    }
}

fn routes() -> Router<Api> {
    let api = Router::new()
        .merge(agents::routes())
        .merge(contacts::routes())
        .merge(calls::routes())
        .merge(compliance::routes())
        .merge(reports::routes())
        .merge(events::routes())
        .route("/healthz", get(health));
    Router::new()
        .nest("/api/v1", api)
        .nest("/genesys/1", callbacks::routes().merge(callback_admin::routes()).merge(estimate::routes()))
        .route("/healthz", get(health))
        .merge(console::routes())
        .merge(metrics::routes())
        .merge(openapi::routes())
}

fn respond(reply: &ApiReply) -> Response {
    let status = StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(reply.body())).into_response();
    if let ApiReply::Cut { more, .. } = reply {
        let (name, value) = match more {
            More::Next(id) => ("x-next", HeaderValue::from_str(id).ok()),
            More::LeftOff(count) => ("x-left-off", Some(HeaderValue::from(*count))),
        };
        response.headers_mut().extend(value.map(|value| (HeaderName::from_static(name), value)));
    }
    response
}

async fn health(State(api): State<Api>) -> Response {
    let stalled = api.doors.progress.borrow().stalled.clone();
    match (api.reply(ApiRequest::Health).await, stalled) {
        (Ok(reply), None) => respond(&reply),
        (Ok(_), Some(reason)) => Problem::from(crate::runtime::stalled(&reason)).into_response(),
        (Err(problem), _) => problem.into_response(),
    }
}

async fn no_such_path(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", format!("there is nothing at {}", uri.path()))
}

async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let message = format!("{} does not take {method}; the Allow header says what it takes", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

/// How long a request may wait for the core and for the disk.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most listeners of live events at once.
const LISTENERS: usize = 1_000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_path_but_the_consoles_is_in_the_document() {
        let document: serde_json::Value = serde_json::from_str(openapi::DOCUMENT).expect("it is JSON");
        let described =
            document["paths"].as_object().expect("paths").keys().cloned().collect::<BTreeSet<_>>();
        // axum tells its paths in no other way.
        let told = format!("{:?}", routes());
        let paths = told.split('"').filter(|part| part.starts_with('/') && !part.contains("__private"));
        let served: BTreeSet<_> = paths.filter(|path| !console::is_part(path)).map(str::to_owned).collect();
        assert_eq!(served, described);
    }

    #[test]
    fn a_list_that_was_cut_says_so_in_a_header() {
        let header = |more: More, name: &str| {
            let reply = ApiReply::Cut { page: Box::new(ApiReply::Agents(Vec::new())), more };
            respond(&reply).headers()[name].clone()
        };
        assert_eq!(header(More::Next("ann.1".into()), "x-next"), "ann.1");
        assert_eq!(header(More::LeftOff(7), "x-left-off"), "7");
        assert!(respond(&ApiReply::Agents(Vec::new())).headers().get("x-next").is_none());
    }
}
