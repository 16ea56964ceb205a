//! Tasks that SIP hangs on. When one of them panics or ends, somebody has to know: control without SIP is of no use to anybody.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use offhook_control_core::CallId;
use offhook_control_core::sip::SipEvent;
use rsipstack::platform::CancellationToken;
use tokio::sync::watch;

use super::shared::Shared;

/// Runs tasks until the port is dropped, and tells of the first whose end leaves SIP unable to go on.
#[derive(Clone, Debug)]
pub(crate) struct Vital {
    stopped: CancellationToken,
    failed: watch::Sender<Option<String>>,
}

impl Vital {
    pub(crate) fn new(stopped: CancellationToken) -> Self {
        Self { stopped, failed: watch::Sender::new(None) }
    }

    /// A task without an end.
    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (stopped, failed) = (self.stopped.clone(), self.failed.clone());
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = AssertUnwindSafe(task).catch_unwind() => ended,
                () = stopped.cancelled() => return,
            };
            let how = if ended.is_err() { "panicked" } else { "ended" };
            let _ = failed.send_if_modified(|first| {
                first.is_none().then(|| *first = Some(format!("{name} {how}"))).is_some()
            });
        });
    }

    /// A task that may come to its end, but not otherwise.
    pub(crate) fn spawn_finite(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn(name, async {
            task.await;
            std::future::pending::<()>().await;
        });
    }

    /// Waits until SIP cannot go on: why.
    pub(crate) async fn failed(&self) -> String {
        let mut failed = self.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }
}

/// Runs a call until its end or the port's. One that panics is lost, and the core is told of it.
pub(crate) fn spawn_call(
    shared: &Arc<Shared>,
    call: CallId,
    task: impl Future<Output = ()> + Send + 'static,
) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = AssertUnwindSafe(task).catch_unwind() => ended,
            () = shared.stopped.cancelled() => return,
        };
        if ended.is_err() {
            tracing::error!(%call, "a call is lost by an internal error");
            shared.remove_call(call);
            shared.remove_closed_dialogs();
            let reason = "internal error".to_owned();
            shared.emit(call, SipEvent::Ended { by_peer: false, reason }).await;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_or_ends_is_told_by_its_name_and_one_that_may_end_is_not() {
        let vital = Vital::new(CancellationToken::new());
        vital.spawn_finite("the first", async {});
        vital.spawn("the second", async { panic!("a fault of ours") });
        assert_eq!(vital.failed().await, "the second panicked");
        vital.spawn("the third", async {});
        tokio::task::yield_now().await;
        assert_eq!(vital.failed().await, "the second panicked", "the first that failed");
        let vital = Vital::new(CancellationToken::new());
        vital.spawn("the fourth", async {});
        assert_eq!(vital.failed().await, "the fourth ended");
    }

    #[tokio::test]
    async fn a_port_that_is_dropped_has_not_failed() {
        let stopped = CancellationToken::new();
        let vital = Vital::new(stopped.clone());
        vital.spawn("a task", std::future::pending());
        stopped.cancel();
        tokio::task::yield_now().await;
        assert!(vital.failed().now_or_never().is_none());
    }
}
