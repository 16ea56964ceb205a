//! The link to one engine: commands in the order in which they are given, replies and news as inputs of the core.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use anyhow::Context as _;
use offhook_control_core::{EngineId, EngineReply, Input, RequestId, news as news_of};
use offhook_proto::auth::Key;
use offhook_proto::{AsyncClient, ClientEvent, Command, Config, EventBody};
use tokio::sync::mpsc;

/// Handle to one engine's client.
pub(crate) struct EngineLink {
    client: AsyncClient,
    inputs: mpsc::Sender<Input>,
    open: Arc<AtomicUsize>,
}

impl EngineLink {
    /// Opens a socket towards the engine, which need not be there yet, and subscribes to its events.
    ///
    /// # Errors
    /// When the key file cannot be read or no socket can be opened.
    pub(crate) async fn start(
        engine: EngineId,
        config: &crate::config::Engine,
        controller: &str,
        inputs: mpsc::Sender<Input>,
    ) -> anyhow::Result<Self> {
        let key = config.key_file.as_deref().map(read_key).transpose()?;
        let client = Config {
            controller: Some(controller.to_owned()),
            lease_ms: Some(config.lease_ms),
            silent_after_us: u64::from(config.silent_after_ms) * 1_000,
            ping_after_us: u64::from(config.silent_after_ms) * 1_000 / PINGS_BEFORE_SILENCE,
            ..Config::default()
        };
        let address: SocketAddr = config.address;
        let (client, news) = AsyncClient::connect(address, key, client)
            .await
            .with_context(|| format!("no socket can be opened towards the engine at {address}"))?;
        tokio::spawn(tell(engine, news, inputs.clone()));
        Ok(Self { client, inputs, open: Arc::default() })
    }

    /// Sends a command; its outcome comes as [`Input::EngineReply`]. Commands leave in the order of these calls.
    pub(crate) fn send(&self, request: RequestId, command: Command) {
        let client = self.client.clone();
        let mut call: Pin<Box<dyn Future<Output = EngineReply> + Send>> =
            Box::pin(async move { client.call(command).await });
        // The first poll puts the command into the client's queue, or in line for it; a task that is only spawned might
        // be overtaken by the next one.
        let first = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let inputs = self.inputs.clone();
        let open = Arc::clone(&self.open);
        open.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let result = match first {
                Poll::Ready(result) => result,
                Poll::Pending => call.await,
            };
            // Fails only when the process is about to end.
            let _ = inputs.send(Input::EngineReply { request, result }).await;
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Commands whose outcome has not been handed over yet.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

fn read_key(path: &Path) -> anyhow::Result<Key> {
    let secret =
        std::fs::read(path).with_context(|| format!("engine.key_file {} cannot be read", path.display()))?;
    Key::new(&secret).with_context(|| format!("engine.key_file {}", path.display()))
}

async fn tell(engine: EngineId, mut news: mpsc::Receiver<ClientEvent>, inputs: mpsc::Sender<Input>) {
    let mut run = String::new();
    while let Some(event) = news.recv().await {
        log(engine, &event);
        for input in news_of(engine, event, &mut run) {
            if inputs.send(input).await.is_err() {
                return;
            }
        }
    }
    tracing::error!(%engine, "the engine's news were not read for so long that they ended; start again");
    // Better seen as down than commanded blindly.
    let _ = inputs.send(Input::EngineDown { engine }).await;
}

fn log(engine: EngineId, event: &ClientEvent) {
    match event {
        ClientEvent::EngineUp { instance } => tracing::info!(%engine, %instance, "the engine is there"),
        ClientEvent::EngineRestarted { new, .. } => {
            tracing::warn!(%engine, instance = %new, "the engine was restarted; its legs are gone");
        }
        ClientEvent::EngineSilent => tracing::warn!(%engine, "the engine is silent"),
        ClientEvent::EngineBack => tracing::info!(%engine, "the engine is back"),
        ClientEvent::EventsMissed => {
            tracing::warn!(%engine, "events of the engine were missed; its legs are listed again");
        }
        ClientEvent::SubscribeRefused(error) => {
            tracing::error!(%engine, %error, "the engine refuses the subscription");
        }
        ClientEvent::Event(event) => log_audio(engine, &event.body),
        ClientEvent::Reply { .. } => {}
    }
}

fn log_audio(engine: EngineId, event: &EventBody) {
    match event {
        EventBody::LegOneWay { leg, direction, unheard_ms } => {
            tracing::warn!(%engine, leg, ?direction, unheard_ms, "a direction of a conversation has no audio");
        }
        EventBody::LegTwoWay { leg, direction } => {
            tracing::info!(%engine, leg, ?direction, "a direction of a conversation has audio again");
        }
        _ => {}
    }
}

/// An engine that is alive is heard at least so often before it counts as silent.
const PINGS_BEFORE_SILENCE: u64 = 4;
