//! Requests of ours in a dialog go where the peer is at the time. One whose connection has gone is waited for as long as a request would be
//! repeated to one over UDP (RFC 3261 section 17.1.2.2), and asked once more where it has come back over another.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rsipstack::sip::{Header, Method, Response};
use tokio::time::Instant;

use super::connections;
use super::dialog::Dialog;
use super::flow::Flow;
use super::inspect::is_local;
use super::request::{self, CSEQS_PER_REQUEST};
use super::shared::{Shared, lock};

/// CSeq numbers that a request may use up.
pub(crate) const CSEQS: u32 = ATTEMPTS * (CSEQS_PER_REQUEST + 1);

/// Where the peer was heard last, for whoever is waiting to send it something.
pub(crate) type Heard = Arc<Mutex<Option<Flow>>>;

/// A request in a dialog.
pub(crate) struct Ask {
    shared: Arc<Shared>,
    dialog: Dialog,
    heard: Heard,
    /// What that said when it was looked at last.
    heard_from: Option<Flow>,
    method: Method,
    headers: Vec<Header>,
    body: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        dialog: Dialog,
        heard: Heard,
        method: Method,
        headers: Vec<Header>,
        body: Vec<u8>,
    ) -> Self {
        let heard_from = *lock(&heard);
        Self { shared: Arc::clone(shared), dialog, heard, heard_from, method, headers, body }
    }

    /// Its final response; none where there is none, or it could not be sent. Uses up to [`CSEQS`] numbers of the dialog.
    pub(crate) async fn answer(mut self) -> Option<Response> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            if !self.reach().await {
                return None;
            }
            let asked = self.dialog.flow();
            let (headers, body) = (self.headers.clone(), self.body.clone());
            let made = self.dialog.request(&self.shared.endpoint, self.method, headers, body);
            self.dialog.skip_cseq(CSEQS_PER_REQUEST);
            let (request, destination) = made
                .inspect_err(|error| tracing::warn!(%error, "a request in a dialog could not be created"))
                .ok()?;
            let response = request::send(&self.shared, request, destination, self.dialog.trunk).await;
            let is_answered = response.as_ref().is_some_and(|response| !is_local(&response.headers));
            self.follow();
            if is_answered || attempts == ATTEMPTS || self.dialog.flow() == asked {
                return response;
            }
        }
    }

    /// Takes note of where the peer has come to.
    fn follow(&mut self) {
        let from = *lock(&self.heard);
        if from != self.heard_from {
            self.heard_from = from;
            self.dialog.hear(from);
        }
        self.dialog.follow(&self.shared);
    }

    /// Waits until there is a connection to the peer, where it takes one. False when there comes none.
    async fn reach(&mut self) -> bool {
        let until = Instant::now() + Duration::from_millis(64 * u64::from(self.shared.config.t1_ms));
        let mut tried = None;
        loop {
            self.follow();
            let Some(hop) = self.dialog.next_hop().filter(|hop| hop.tcp) else { return true };
            if self.shared.connections.is_open(hop) {
                return true;
            }
            let is_phone = self.dialog.is_phone();
            // A phone that has gone is hardly ever to be had where it came from; others listen.
            if !is_phone || tried != Some(hop) {
                tried = Some(hop);
                if connections::open(&self.shared, hop).await.is_ok() {
                    return true;
                }
                if !is_phone && self.dialog.leave_flow() {
                    continue;
                }
            }
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(if is_phone { LOOK_EVERY } else { OPEN_EVERY }).await;
        }
    }
}

const ATTEMPTS: u32 = 2;
/// How often a phone is looked for, and anybody else is tried.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const OPEN_EVERY: Duration = Duration::from_secs(1);
