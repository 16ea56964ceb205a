//! The process: sockets, signals, the ready line.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use offhook_control_core::Input;
use offhook_control_core::api::{ApiReply, ApiRequest};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::clock::Clock;
use crate::config::Config;
use crate::rest::{self, Api};
use crate::runtime::{Ask, Doors, Runtime};

/// Runs until SIGTERM or SIGINT. SIGHUP reads the file at `path` again: queues, services, agents and what the core decides
/// by take effect at once; addresses do not.
///
/// # Errors
/// When the journal cannot be used or an address cannot be bound, or SIP, HTTP or the journal cannot go on.
pub async fn run(config: Config, path: &Path) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let reload = signal(SignalKind::hangup())?;
    // A file that has reached the limit of its size is an error to report and to try again, no reason to die.
    let _too_large = signal(SignalKind::from_raw(SIGXFSZ))?;
    let listen = config.http.listen;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("HTTP cannot listen on {listen} (http.listen)"))?;
    let (runtime, inbox, doors) = Runtime::start(&config, Clock::new()).await?;
    let sip = runtime.sip_addr();
    let http = listener.local_addr()?;
    let hang_up = config.sip.hang_up_on_exit;
    let (services, names) = watch::channel(services(&config));
    let api = Api::new(doors.clone(), config.http.token.as_deref(), names);
    let http_served = tokio::spawn(rest::serve(listener, api.router()));
    tokio::spawn(announce(doors.clone(), format!("offhook-control ready sip={sip} http={http}")));
    tokio::spawn(follow(reload, path.to_owned(), config, doors, services));
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::select! {
        outcome = runtime.run(inbox, stop, hang_up) => outcome,
        _ = http_served => bail!("HTTP cannot go on"),
    }
}

/// Says that everything works, once the core has answered.
async fn announce(doors: Doors, line: String) {
    let (answer, answered) = oneshot::channel();
    if doors.asks.send(Ask { request: ApiRequest::Statistics, answer }).await.is_err() {
        return;
    }
    if let Ok(ApiReply::Statistics(statistics)) = answered.await {
        // Whoever waited for the line may be gone.
        let _ = writeln!(io::stdout(), "{line} agents={}", statistics.agents.values().sum::<u64>());
    }
}

async fn follow(
    mut reload: Signal,
    path: PathBuf,
    mut config: Config,
    doors: Doors,
    names: watch::Sender<Vec<String>>,
) {
    while reload.recv().await.is_some() {
        match Config::read(&path) {
            Ok(new) => {
                apply(&config, &new, &doors).await;
                names.send_replace(services(&new));
                config = new;
                tracing::info!("the configuration was read again");
            }
            Err(error) => tracing::error!("the configuration is left as it was: {error}"),
        }
    }
}

async fn apply(old: &Config, new: &Config, doors: &Doors) {
    let _ = doors.inputs.send(Input::Config(Box::new(new.core.clone()))).await;
    for agent in new.agents.iter().filter(|agent| !old.agents.contains(agent)) {
        let (id, body) = agent.clone();
        let (answer, answered) = oneshot::channel();
        let request = ApiRequest::PutAgent(id.clone(), body);
        if doors.asks.send(Ask { request, answer }).await.is_err() {
            return;
        }
        if let Ok(ApiReply::Error(error)) = answered.await {
            tracing::error!(agent = %id, reason = error.message, "an agent of the configuration is refused");
        }
    }
}

fn services(config: &Config) -> Vec<String> {
    config.core.services.iter().map(|service| service.name.clone()).collect()
}

const SIGXFSZ: i32 = 25;
