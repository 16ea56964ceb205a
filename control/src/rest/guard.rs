//! Who may ask: whoever bears the token, or, on loopback without one, whoever is no foreign web page.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::problem::Problem;
use super::{Api, console};

/// Passes a request on, or refuses it.
pub(crate) async fn check(State(api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_open = console::is_part(path) || matches!(path, "/healthz" | "/api/v1/healthz");
    let verdict = match &api.token {
        Some(_) if is_open => Ok(()),
        Some(token) => bears(request.headers(), token),
        None => is_local(request.headers()),
    };
    match verdict {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn bears(headers: &HeaderMap, token: &str) -> Result<(), Problem> {
    let refuse = |message| Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
    let Some(value) = text(headers, &header::AUTHORIZATION) else {
        return refuse("the header Authorization: Bearer TOKEN is missing");
    };
    let (scheme, given) = value.split_once(' ').unwrap_or((value, ""));
    // Digests are compared, so that the time taken says nothing about the token.
    let same = Sha256::digest(given.trim().as_bytes()) == Sha256::digest(token.as_bytes());
    if scheme.eq_ignore_ascii_case("bearer") && same { Ok(()) } else { refuse("the token is wrong") }
}

/// Without a token a browser on this machine is the way in for strangers: by a page that posts here, or by a name that is
/// made to resolve to this machine. Both are seen in the headers.
fn is_local(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |message| Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", message));
    let host = text(headers, &header::HOST).unwrap_or_default();
    if !host.is_empty() && !is_address_or_localhost(host) {
        return refuse("without http.token only an IP address or localhost is served as Host");
    }
    match text(headers, &header::ORIGIN) {
        Some(origin) if origin.split_once("://").is_none_or(|(_, from)| from != host) => {
            refuse("another site's page may not ask here without a token")
        }
        Some(_) | None => Ok(()),
    }
}

fn is_address_or_localhost(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a header value"))).collect()
    }

    #[test]
    fn only_the_right_token_opens() {
        let with = |value: &str| bears(&headers(&[(header::AUTHORIZATION, value)]), "correct-horse").is_ok();
        assert!(with("Bearer correct-horse"));
        assert!(with("bearer  correct-horse"));
        for wrong in
            ["Bearer correct-hors", "Bearer correct-horsee", "Bearer", "Basic correct-horse", "correct-horse"]
        {
            assert!(!with(wrong), "{wrong}");
        }
        assert!(bears(&HeaderMap::new(), "correct-horse").is_err());
    }

    #[test]
    fn a_foreign_page_is_refused_where_there_is_no_token() {
        let check = |host: &str, origin: Option<&str>| {
            let mut pairs = vec![(header::HOST, host)];
            pairs.extend(origin.map(|origin| (header::ORIGIN, origin)));
            is_local(&headers(&pairs)).is_ok()
        };
        assert!(check("127.0.0.1:8080", None));
        assert!(check("localhost:8080", Some("http://localhost:8080")));
        assert!(check("[::1]:8080", Some("http://[::1]:8080")));
        assert!(!check("127.0.0.1:8080", Some("https://evil.example")));
        assert!(!check("127.0.0.1:8080", Some("null")));
        assert!(!check("rebound.example:8080", None));
    }
}
