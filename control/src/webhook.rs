//! Outcomes posted to other people's servers: a few at a time, tried again, never in the way of anything else.
//!
//! What goes to a customer's device is signed: `X-Offhook-Signature: t=SECONDS,v1=HEX`, the HMAC-SHA256 of `SECONDS.BODY`
//! under the service's `push_secret`.

use std::sync::Arc;
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
    let (open, places) = (Arc::new(Semaphore::new(QUEUED)), Arc::new(Semaphore::new(AT_ONCE)));
    while let Some(post) = receiver.recv().await {
        let Ok(room) = Arc::clone(&open).acquire_owned().await else { return };
        let (agent, places) = (agent.clone(), Arc::clone(&places));
        tokio::spawn(async move {
            deliver(&agent, &places, &post).await;
            drop(room);
        });
    }
}

/// Has a place only while it sends: a server that is down must not keep others' posts waiting between its tries.
async fn deliver(agent: &ureq::Agent, places: &Semaphore, post: &Post) {
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
        let place = places.acquire().await;
        let sent = tokio::task::spawn_blocking(send).await;
        drop(place);
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
/// Posts that wait to be begun, and those that have been begun and are not through.
const QUEUED: usize = 1_024;
/// Posts that are being sent.
const AT_ONCE: usize = 8;
const ATTEMPTS: u32 = 4;
const TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn cb_05_a_push_does_not_wait_for_servers_that_are_down() {
        let (down, up) = (TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0"));
        let (down, up) = (down.expect("a port"), up.expect("a port"));
        let url = |listener: &TcpListener| format!("http://{}/", listener.local_addr().expect("its address"));
        let webhooks = Webhooks::start();
        for _ in 0..AT_ONCE {
            webhooks.post(url(&down), &Value::Null, None);
        }
        webhooks.post(url(&up), &Value::Null, None);
        let tries = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&tries);
        std::thread::spawn(move || {
            while down.accept().is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let pushed = tokio::task::spawn_blocking(move || up.accept().is_ok()).await;
        assert!(pushed.expect("it is waited for"));
        let tries = tries.load(Ordering::Relaxed);
        assert!(tries <= AT_ONCE * 3, "it waited for {tries} tries of the others");
    }

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
