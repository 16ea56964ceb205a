//! Answers of the door, which waits for nobody: where a peer does not read them, they wait beside it, and then there are no more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::poll;
use rsipstack::sip::SipMessage;
use rsipstack::transport::SipConnection;

use super::flow::Flow;
use super::limits::ANSWERS_UNREAD;
use super::shared::lock;

/// How many answers wait for each connection that takes none at present.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unread(Arc<Mutex<HashMap<Flow, usize>>>);

impl Unread {
    /// Sends an answer, or leaves it out where [`ANSWERS_UNREAD`] wait for the same peer.
    pub(crate) async fn send(&self, connection: &SipConnection, answer: SipMessage) {
        // A datagram waits for no peer.
        let Some(flow) = Flow::of(Some(connection)).filter(|flow| flow.tcp) else {
            let _ = connection.send(answer, None).await;
            return;
        };
        if lock(&self.0).get(&flow).is_some_and(|waiting| *waiting >= ANSWERS_UNREAD) {
            return;
        }
        let connection = connection.clone();
        // Whether it has to wait is for the socket to say, not for the runtime.
        let sending = tokio::task::coop::unconstrained(async move { connection.send(answer, None).await });
        let mut sending = Box::pin(sending);
        if poll!(sending.as_mut()).is_ready() {
            return;
        }
        *lock(&self.0).entry(flow).or_default() += 1;
        let unread = self.clone();
        tokio::spawn(async move {
            let _ = sending.await;
            unread.forget_one(flow);
        });
    }

    fn forget_one(&self, flow: Flow) {
        let mut waiting = lock(&self.0);
        if let Some(count) = waiting.get_mut(&flow) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&flow);
            }
        }
    }
}
