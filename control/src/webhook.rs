//! Outcomes posted to other people's servers: a few at a time, tried again, never in the way of anything else.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

/// Handle to the task that posts.
pub(crate) struct Webhooks(mpsc::Sender<(String, Value)>);

impl Webhooks {
    /// Spawns the task.
    pub(crate) fn start() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUED);
        tokio::spawn(run(receiver));
        Self(sender)
    }

    /// Queues one POST. When too many wait, it is dropped and logged.
    pub(crate) fn post(&self, url: String, body: Value) {
        if let Err(error) = self.0.try_send((url, body)) {
            tracing::warn!(%error, "too many webhooks wait; one is dropped");
        }
    }
}

async fn run(mut receiver: mpsc::Receiver<(String, Value)>) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).max_redirects(0).build().into();
    let places = std::sync::Arc::new(Semaphore::new(AT_ONCE));
    while let Some((url, body)) = receiver.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let agent = agent.clone();
        tokio::spawn(async move {
            deliver(&agent, &url, &body).await;
            drop(place);
        });
    }
}

async fn deliver(agent: &ureq::Agent, url: &str, body: &Value) {
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=ATTEMPTS {
        let (agent, to, json) = (agent.clone(), url.to_owned(), body.clone());
        let sent = tokio::task::spawn_blocking(move || agent.post(&to).send_json(&json).map(drop)).await;
        match sent {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::warn!(url, attempt, %error, "a webhook failed"),
            Err(error) => tracing::warn!(url, attempt, %error, "a webhook failed"),
        }
        if attempt < ATTEMPTS {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

const QUEUED: usize = 1_024;
const AT_ONCE: usize = 8;
const ATTEMPTS: u32 = 4;
const TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
