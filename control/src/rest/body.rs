//! What requests carry: JSON or form fields, of limited size, within a limited time.

use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{StatusCode, header};
use offhook_control_core::api::PageWish;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Problem;

/// A JSON body. An empty one counts as `{}`.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let bytes = read(request, BODY_BYTES).await.map_err(Problem::into_response)?;
        parse(&bytes).map(Self).map_err(Problem::into_response)
    }
}

/// Parameters of the callback interface: a JSON object, or form fields whose values are strings.
pub(crate) struct Params(pub(crate) Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_form = kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let bytes = read(request, BODY_BYTES).await.map_err(Problem::into_response)?;
        let params = if is_form { form(&bytes) } else { parse(&bytes) };
        params.map(Self).map_err(Problem::into_response)
    }
}

/// A piece of the path: 1 to 128 characters, none of them a control character.
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Path(name) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::bad(error.body_text()).into_response())?;
        checked(name).map(Self).map_err(Problem::into_response)
    }
}

/// Two pieces of the path.
pub(crate) struct Names(pub(crate) String, pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Names {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Path((first, second)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::bad(error.body_text()).into_response())?;
        let both = checked(first).and_then(|first| Ok(Self(first, checked(second)?)));
        both.map_err(Problem::into_response)
    }
}

/// `?after=ID&limit=N`: which part of a list is wanted.
pub(crate) fn page_wish(fields: Vec<(String, String)>) -> Result<PageWish, Problem> {
    let mut wish = PageWish::default();
    for (name, value) in fields {
        match name.as_str() {
            "after" => wish.after = Some(value),
            "limit" => wish.limit = Some(limit_of(&value)?),
            other => {
                return Err(Problem::bad(format!("{other} is not known here; known are after and limit")));
            }
        }
    }
    Ok(wish)
}

pub(crate) fn limit_of(value: &str) -> Result<usize, Problem> {
    value.parse().map_err(|_| Problem::bad("limit must be a number"))
}

/// The limit of [`BODY_BYTES`] as a layer.
pub(crate) fn limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(BODY_BYTES)
}

/// Reads a body of a usual length before anybody answers. Who answers without having read all of it leaves a connection that takes no
/// further request, which a peer that keeps it for one cannot know.
pub(crate) async fn read_first(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if !length.and_then(|length| length.parse().ok()).is_some_and(|length| (1..=BODY_BYTES).contains(&length))
    {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match tokio::time::timeout(BODY_TIME, to_bytes(body, BODY_BYTES)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, bytes.into())).await,
        Ok(Err(error)) => Problem::bad(error.to_string()).into_response(),
        Err(_) => too_slow().into_response(),
    }
}

/// The body, of at most the number of bytes that the route's layer allows: `limit`.
pub(crate) async fn read(request: Request, limit: usize) -> Result<Bytes, Problem> {
    match tokio::time::timeout(BODY_TIME, Bytes::from_request(request, &())).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(refused)) if refused.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the body is larger than {limit} bytes");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message))
        }
        Ok(Err(refused)) => Err(Problem::bad(refused.body_text())),
        Err(_) => Err(too_slow()),
    }
}

fn too_slow() -> Problem {
    let message = format!("the body took longer than {} s", BODY_TIME.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bytes = bytes.trim_ascii();
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    // An array would be read as the fields in their order.
    if bytes[0] != b'{' {
        return Err(Problem::bad("the body must be a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if path == "." { Problem::bad(inner.to_string()) } else { Problem::bad(format!("{path}: {inner}")) }
    })?;
    reader.end().map_err(|error| Problem::bad(error.to_string()))?;
    Ok(value)
}

fn form(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let fields: Vec<(String, String)> =
        serde_urlencoded::from_bytes(bytes).map_err(|error| Problem::bad(error.to_string()))?;
    Ok(fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect())
}

fn checked(name: String) -> Result<String, Problem> {
    let fits = !name.is_empty() && name.len() <= NAME_BYTES && !name.chars().any(char::is_control);
    fits.then_some(name)
        .ok_or_else(|| Problem::bad(format!("a name in the path must be 1 to {NAME_BYTES} bytes long")))
}

/// Largest body.
const BODY_BYTES: usize = 65_536;
const BODY_TIME: Duration = Duration::from_secs(10);
const NAME_BYTES: usize = 128;
