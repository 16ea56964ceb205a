//! One connection to control's REST interface.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

pub(super) struct Rest {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
}

impl Rest {
    pub(super) fn connect(host: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), host })
    }

    /// Whether control has its engine.
    pub(super) fn is_well(&mut self) -> Result<bool> {
        let (status, health) = self.ask("GET", "/healthz", &Value::Null)?;
        Ok(status == 200 && health["engine"] == "up")
    }

    /// The body of a good answer.
    pub(super) fn demand(&mut self, method: &str, path: &str, body: &Value) -> Result<Value> {
        match self.ask(method, path, body)? {
            (200..300, answer) => Ok(answer),
            (status, answer) => bail!("{method} {path}: {status} {answer}"),
        }
    }

    /// Status and body.
    pub(super) fn ask(&mut self, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("no HTTP: {line:?}"))?;
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().context("a length")?;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        Ok((status, serde_json::from_slice(&answer).unwrap_or(Value::Null)))
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
