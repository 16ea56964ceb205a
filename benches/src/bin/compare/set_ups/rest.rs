//! Control's REST interface.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

/// A client with a connection of its own.
pub(super) struct Rest {
    client: ureq::Agent,
    host: SocketAddr,
}

impl Rest {
    pub(super) fn new(host: SocketAddr) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        Self { client: config.into(), host }
    }

    /// Whether control has its engine.
    pub(super) fn is_well(&self) -> Result<bool> {
        let (status, health) = self.ask("GET", "/healthz", &Value::Null)?;
        Ok(status == 200 && health["engine"] == "up")
    }

    /// The body of a good answer.
    pub(super) fn demand(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        match self.ask(method, path, body)? {
            (200..300, answer) => Ok(answer),
            (status, answer) => bail!("{method} {path}: {status} {answer}"),
        }
    }

    /// Status and body.
    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let url = format!("http://{}{path}", self.host);
        let mut response = match method {
            "GET" => self.client.get(url).call(),
            "PUT" => self.client.put(url).send_json(body),
            _ => self.client.post(url).send_json(body),
        }?;
        let text = response.body_mut().read_to_string()?;
        Ok((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null)))
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
