//! The real binary, on ports of its own, and a client of its REST interface.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses its own part")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Long enough that only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a configuration and a journal, which outlives the processes that run in it.
pub struct Place {
    pub folder: TempDir,
}

impl Place {
    /// `more` is put at the end of the configuration, `http` into its section of that name.
    pub fn new(http: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = format!(
            "[sip]\nlisten = \"127.0.0.1:0\"\n[engine]\naddress = \"127.0.0.1:9\"\n[http]\nlisten = \"127.0.0.1:0\"\n{http}\n\
             [[queue]]\nname = \"sales\"\n[[service]]\nname = \"cb\"\nqueue = \"sales\"\nmax_queued = 1000000\nmax_per_300_s = 1000000\nmax_per_3600_s = 1000000\n{more}\n"
        );
        std::fs::write(folder.path().join("control.toml"), text).expect("the configuration is written");
        Self { folder }
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("control.toml")
    }

    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("offhook.journal")
    }

    pub fn start(&self) -> Control {
        Control::spawn(binary().arg(self.config())).expect("it starts")
    }
}

pub fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_offhook-control"))
}

/// Runs to its end.
pub fn output(command: &mut Command) -> (ExitStatus, String) {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&text).into_owned())
}

/// A running process. Dropping it kills it.
pub struct Control {
    child: Child,
    pub ready: String,
    pub base: String,
    pub agent: ureq::Agent,
    pub token: Option<String>,
}

impl Control {
    /// Waits for the ready line.
    pub fn spawn(command: &mut Command) -> Result<Self, String> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut stderr = child.stderr.take().expect("a pipe");
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let mut ready = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut ready).expect("a line");
        let Some(address) = ready.split_whitespace().find_map(|word| word.strip_prefix("http=")) else {
            let _ = child.wait();
            return Err(log.join().unwrap_or_default());
        };
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        Ok(Self { base: format!("http://{address}"), child, agent, token: None, ready })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn http_address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// As by `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it is gone");
    }

    /// As by `kill -NAME`; returns when it has ended.
    pub fn end(&mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.child.wait().expect("it ends")
    }

    pub fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.pid().to_string()]).status();
        assert!(done.expect("kill runs").success());
    }

    /// One request with a body as it is; status and JSON.
    pub fn raw(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<(u16, Value), ureq::Error> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", kind);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = self.agent.run(request.body(body.to_vec()).expect("a request"))?;
        let text = response.body_mut().read_to_string()?;
        Ok((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    pub fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.raw(method, path, "application/json", &bytes).expect("it answers")
    }

    pub fn read(&self, path: &str) -> Value {
        let (status, value) = self.send("GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {value}");
        value
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("it is written");
}
