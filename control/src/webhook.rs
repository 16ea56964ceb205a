//! Outcomes posted to other people's servers: a few at a time, tried again, never in the way of anything else.
//!
//! What goes to a customer's device is signed: `X-Offhook-Signature: t=SECONDS,v1=HEX`, the HMAC-SHA256 of `SECONDS.BODY`
//! under the service's `push_secret`.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use offhook_control_core::config::Secret;
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::{Semaphore, mpsc};

/// Handle to the task that posts.
pub(crate) struct Webhooks(mpsc::Sender<Post>);

struct Post {
    url: String,
    body: String,
    /// Key, and the moment in seconds since 1970 UTC.
    sign: Option<(Secret, u64)>,
}

impl Webhooks {
    /// Spawns the task.
    pub(crate) fn start() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUED);
        tokio::spawn(run(receiver));
        Self(sender)
    }

    /// Queues one POST. When too many wait, it is dropped and logged.
    pub(crate) fn post(&self, url: String, body: &Value, sign: Option<(Secret, u64)>) {
        let sign = sign.filter(|(secret, _)| !secret.0.is_empty());
        if let Err(error) = self.0.try_send(Post { url, body: body.to_string(), sign }) {
            tracing::warn!(%error, "too many webhooks wait; one is dropped");
        }
    }
}

async fn run(mut receiver: mpsc::Receiver<Post>) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).max_redirects(0).build().into();
    let places = std::sync::Arc::new(Semaphore::new(AT_ONCE));
    while let Some(post) = receiver.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let agent = agent.clone();
        tokio::spawn(async move {
            deliver(&agent, &post).await;
            drop(place);
        });
    }
}

async fn deliver(agent: &ureq::Agent, post: &Post) {
    let url = post.url.as_str();
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=ATTEMPTS {
        let (agent, to, body) = (agent.clone(), url.to_owned(), post.body.clone());
        let signature = post.sign.as_ref().map(|(secret, unix_s)| signature(secret, *unix_s, &body));
        let send = move || {
            let request = agent.post(&to).header("content-type", "application/json");
            let request = signature.iter().fold(request, |request, value| request.header(SIGNATURE, value));
            request.send(body).map(drop)
        };
        let sent = tokio::task::spawn_blocking(send).await;
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

/// The value of the header that proves who sent a body, and when.
fn signature(secret: &Secret, unix_s: u64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.0.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{unix_s}.{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={unix_s},v1={hex}")
}

const SIGNATURE: &str = "x-offhook-signature";
const QUEUED: usize = 1_024;
const AT_ONCE: usize = 8;
const ATTEMPTS: u32 = 4;
const TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cb_05_a_body_is_signed_with_its_time() {
        // HMAC-SHA256 of `1800000000.{"a":1}` under `key`.
        let signed = signature(&Secret("key".into()), 1_800_000_000, "{\"a\":1}");
        assert_eq!(
            signed,
            "t=1800000000,v1=7330c9cf7d886970cbebbbb5494c04d2aeff06a990adb7d7a75abfeb0159d291"
        );
    }
}
