//! Where control's REST interface is, and what opens it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use ureq::RequestBuilder;
use ureq::http::header::AUTHORIZATION;

/// How long control may take to say that it is there.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A control, as its operator and its console reach it.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// As `http://127.0.0.1:8080`, without the slash at the end.
    base: String,
    /// `Bearer TOKEN` (RFC 6750 section 2.1).
    authorization: Option<String>,
}

impl Server {
    /// `base` as `http://127.0.0.1:8080`; `token_file` has control's `http.token`. Errors: a file that cannot be read, or is empty.
    pub(crate) fn new(base: &str, token_file: Option<&Path>) -> anyhow::Result<Self> {
        let authorization = token_file.map(read_token).transpose()?.map(|token| format!("Bearer {token}"));
        Ok(Self { base: base.trim_end_matches('/').to_owned(), authorization })
    }

    /// The address of `path`, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The request with what opens the interface.
    pub(crate) fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        }
    }

    /// Asks whether anybody is there and lets us in. Errors: nobody, something else than a control, or a token that is missing or
    /// wrong.
    pub(crate) fn ask(&self) -> anyhow::Result<()> {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).build();
        let agent = ureq::Agent::new_with_config(config);
        let response = self
            .authorized(agent.get(self.url("/api/v1/statistics")))
            .call()
            .with_context(|| format!("control cannot be reached at {} (--control)", self.base))?;
        match response.status().as_u16() {
            200..300 => Ok(()),
            401 if self.authorization.is_none() => {
                anyhow::bail!("control at {} demands a token (--token-file)", self.base)
            }
            401 => anyhow::bail!("control at {} does not take the token of --token-file", self.base),
            status => {
                anyhow::bail!("{} answers {status} to GET /api/v1/statistics: is it a control?", self.base)
            }
        }
    }
}

fn read_token(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read {} (--token-file)", file.display()))?;
    let token = text.trim();
    anyhow::ensure!(!token.is_empty(), "{} (--token-file) has no token in it", file.display());
    Ok(token.to_owned())
}
