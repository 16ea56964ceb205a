//! What stands around control: agents' phones, a carrier, an engine without media, a folder with its configuration and journal.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tempfile::TempDir;

use super::rest::Rest;
use super::tally::Tally;
use super::{engine, sip};
use crate::machine::Cpus;
use crate::process::Process;

/// Everything but control itself, which may come and go.
pub(super) struct House {
    pub(super) http: SocketAddr,
    pub(super) tally: Arc<Tally>,
    trunk: SocketAddr,
    file: PathBuf,
    _folder: TempDir,
}

impl House {
    /// Phones, carrier and engine; customers hang up after `talk`.
    ///
    /// # Errors
    /// No socket, or no temporary folder.
    pub(super) fn build(talk: Duration) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let tally = Arc::new(Tally::default());
        let engine = engine::start(Arc::clone(&tally))?;
        let (sip, http) = (free()?, free()?);
        let trunk = sip::start(talk, Arc::clone(&tally))?;
        let file = folder.path().join("control.toml");
        fs::write(&file, config(sip, http, trunk, engine))?;
        Ok(Self { http, tally, trunk, file, _folder: folder })
    }

    /// Starts control, with its journal as it is.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(&self, cpus: &Cpus, control: &Path) -> Result<Process> {
        let arguments = ["--log".into(), "error".into(), self.file.to_string_lossy().into_owned()];
        Process::start(&cpus.list(), control, &arguments)
    }

    /// Logs agents in at a steady pace, over several connections.
    pub(super) fn log_in(&self, agents: u32) -> Result<()> {
        let (http, phones) = (self.http, self.trunk);
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|first| {
                thread::spawn(move || -> Result<()> {
                    let rest = Rest::new(http);
                    let mut pace = Pace::new(LOG_INS_PER_S / CONNECTIONS);
                    for agent in (first..agents).step_by(CONNECTIONS as usize) {
                        pace.wait();
                        let station = json!({ "kind": "sip", "uri": format!("sip:agent-{agent}@{phones}") });
                        let body = json!({
                            "skills": ["sales"], "station": station, "persistent": true, "auto_accept": true
                        });
                        let path = format!("/api/v1/agents/agent-{agent}");
                        rest.demand("PUT", &path, &body)?;
                        rest.demand("POST", &format!("{path}/login"), &json!({}))?;
                        rest.demand("POST", &format!("{path}/status"), &json!({ "status": "available" }))?;
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().ok().context("a thread is gone")?)
    }

    pub(super) fn await_off_hook(&self, agents: u32) -> Result<()> {
        let rest = Rest::new(self.http);
        let deadline = Instant::now() + OFF_HOOK_WITHIN;
        loop {
            let statistics = rest.demand("GET", "/api/v1/statistics", &serde_json::Value::Null)?;
            if statistics["agents"]["available"] == agents {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("only these agents are off hook: {}", statistics["agents"]);
            }
            sleep(LOOK_EVERY);
        }
    }
}

fn config(sip: SocketAddr, http: SocketAddr, trunk: SocketAddr, engine: SocketAddr) -> String {
    let (host, port) = (trunk.ip(), trunk.port());
    format!(
        r#"[sip]
listen = "{sip}"
hang_up_on_exit = false
[trunk]
host = "{host}"
port = {port}
transport = "udp"
[engine]
address = "{engine}"
[journal]
path = "journal"
[http]
listen = "{http}"
[media]
codecs = ["PCMU"]
[prompts]
connected = ""
[[queue]]
name = "sales"
skill = "sales"
wrap_up_s = 1
"#
    )
}

/// So many times a second; what was missed is caught up with.
pub(super) struct Pace {
    next: Instant,
    step: Duration,
}

impl Pace {
    pub(super) fn new(per_s: u32) -> Self {
        Self { next: Instant::now(), step: Duration::from_secs(1) / per_s }
    }

    pub(super) fn wait(&mut self) {
        self.next += self.step;
        sleep(self.next.saturating_duration_since(Instant::now()));
    }
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

pub(super) const CONNECTIONS: u32 = 8;
const LOG_INS_PER_S: u32 = 400;
const OFF_HOOK_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);
