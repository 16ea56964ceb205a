//! An INVITE of an earlier run, whose transaction died with that run (RFC 3261 section 13.2.2.4): its answer is acknowledged and
//! the call goes on, its refusal is acknowledged and told, its time runs out.

use std::sync::Arc;
use std::time::Duration;

use offhook_control_core::CallId;
use offhook_control_core::sip::{RemoteMedia, SipCommand, SipEvent};
use rsipstack::sip::{Method, Response, StatusCode, StatusCodeKind};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::answer::Answer;
use super::dialog::Dialog;
use super::established::{Established, send_bye};
use super::limits::{CANCEL_WAIT_MS, EARLY_REQUESTS, RESTORED_CSEQ_GAP, RING_MS};
use super::outgoing::{Failure, failure_of, header};
use super::request::{self, reply, send_once};
use super::sdp;
use super::secrets::Secrets;
use super::set_up::SetUp;
use super::shared::{DialogKey, Inbox, Message, Received, Shared};
use super::taking_up::One;

/// Waits for the answer that the run before asked for.
pub(crate) async fn resume(
    shared: Arc<Shared>,
    call: CallId,
    text: String,
    sender: mpsc::Sender<Message>,
    mut inbox: Inbox,
    one: One<Received>,
) {
    let failed = match SetUp::parse(&text) {
        Ok(set_up) => {
            let key = (set_up.dialog.call_id.clone(), set_up.dialog.local_tag.clone());
            if shared.dialog(&key).is_none() {
                shared.add_dialog(key.clone(), sender.clone());
                drop(one);
                let rings = set_up.ring_ms.is_none();
                shared.emit(call, if rings { SipEvent::Ringing } else { SipEvent::Trying }).await;
                return Resumed::new(shared, call, sender, set_up, key).run(inbox).await;
            }
            "the dialog is held by another call".to_owned()
        }
        Err(reason) => reason,
    };
    shared.remove_call(call);
    inbox.close();
    shared.emit(call, SipEvent::RestoreFailed { reason: failed }).await;
}

struct Resumed {
    shared: Arc<Shared>,
    call: CallId,
    sender: mpsc::Sender<Message>,
    set_up: SetUp,
    key: DialogKey,
    secrets: Secrets,
    deadline: Instant,
    /// Set once we have given up: what to report when the INVITE has ended.
    giving_up: Option<Failure>,
    early: Option<RemoteMedia>,
    early_requests: Vec<Transaction>,
}

/// What a message leads to.
enum Turn {
    /// The INVITE is gone, and nobody knows what became of it.
    Gone,
    /// Nothing yet.
    Wait,
    /// The call is answered.
    Answered(Box<Established>),
    /// It is over, and so is the INVITE.
    Over(Failure),
}

impl Resumed {
    fn new(
        shared: Arc<Shared>,
        call: CallId,
        sender: mpsc::Sender<Message>,
        set_up: SetUp,
        key: DialogKey,
    ) -> Self {
        let left_ms = set_up.until_ms.saturating_sub(shared.unix_ms()).min(u64::from(RING_MS));
        // Keys that the run before offered are known to nobody; the core's next offer brings these.
        let secrets = Secrets::new(shared.config.security(set_up.dialog.trunk));
        Self {
            shared,
            call,
            sender,
            set_up,
            key,
            secrets,
            deadline: Instant::now() + Duration::from_millis(left_ms),
            giving_up: None,
            early: None,
            early_requests: Vec::new(),
        }
    }

    async fn run(mut self, mut inbox: Inbox) {
        let mut unreachable = self.shared.unreachable.subscribe();
        let failure = loop {
            let turn = tokio::select! {
                biased;
                message = inbox.recv() => match message {
                    Some(message) => self.on_message(message).await,
                    None => Turn::Over(Failure::network(500, "stopped")),
                },
                address = unreachable.recv(), if self.giving_up.is_some() => match address {
                    Ok(address) if self.set_up.datagrams_to() == Some(address) => {
                        Turn::Gone
                    }
                    Ok(_) | Err(_) => Turn::Wait,
                },
                () = sleep_until(self.deadline) => match self.giving_up.take() {
                    Some(_) => Turn::Gone,
                    None => {
                        self.give_up(408, "not answered in time".to_owned());
                        Turn::Wait
                    }
                },
            };
            match turn {
                Turn::Wait => {}
                Turn::Answered(established) => return established.run(inbox, self.early_requests).await,
                Turn::Over(failure) => break Some(failure),
                Turn::Gone => break None,
            }
        };
        self.shared.remove_call(self.call);
        for transaction in self.early_requests.drain(..) {
            reply(transaction, StatusCode::CallTransactionDoesNotExist, Vec::new());
        }
        match failure {
            Some(failure) => self.shared.emit(self.call, failure.event()).await,
            None => {
                let reason = "nobody knows what became of the INVITE".to_owned();
                self.shared.emit(self.call, SipEvent::RestoreFailed { reason }).await;
                self.end_late_answers(&mut inbox, "restart").await;
            }
        }
        self.shared.remove_dialog(&self.key);
    }

    async fn on_message(&mut self, message: Message) -> Turn {
        match message {
            Message::Stray(response) => self.on_response(&response).await,
            Message::Command(SipCommand::HangUp { reason }) => {
                self.give_up(487, reason);
                Turn::Wait
            }
            // The transaction that was to be cancelled is gone.
            Message::Replied { response: Some(response), .. }
                if response.status_code == StatusCode::CallTransactionDoesNotExist =>
            {
                Turn::Gone
            }
            // One that overtook its own 2xx on the way through us waits for it.
            Message::Peer(transaction) if self.early_requests.len() < EARLY_REQUESTS => {
                self.early_requests.push(*transaction);
                Turn::Wait
            }
            Message::Peer(transaction) => {
                reply(*transaction, StatusCode::RequestPending, Vec::new());
                Turn::Wait
            }
            Message::Command(_)
            | Message::Acked { .. }
            | Message::NotAcked
            | Message::Cancelled
            | Message::Replied { .. }
            | Message::Probed { .. } => Turn::Wait,
        }
    }

    async fn on_response(&mut self, response: &Response) -> Turn {
        match response.status_code.kind() {
            StatusCodeKind::Provisional => {
                let begins = self.begin_to_ring(response);
                let early = sdp::accept(&response.body, &self.set_up.local(), &self.secrets);
                if let (Ok(remote), false) = (early, response.body.is_empty()) {
                    self.early = Some(remote.clone());
                    self.shared.emit(self.call, SipEvent::EarlyMedia(remote)).await;
                } else if begins {
                    self.shared.emit(self.call, SipEvent::Ringing).await;
                }
                if begins {
                    self.shared.emit(self.call, SipEvent::SettingUp { data: self.set_up.write() }).await;
                }
                Turn::Wait
            }
            StatusCodeKind::Successful => self.on_answer(response).await,
            _ => {
                let to = header(response, "To");
                if let Ok((ack, hop)) = self.set_up.request(Method::Ack, to.as_deref()) {
                    send_once(&self.shared, ack, hop.sip_addr()).await;
                }
                Turn::Over(self.giving_up.take().unwrap_or_else(|| failure_of(response)))
            }
        }
    }

    /// What it has to ring counts from its first ringing, and another run has to know that too. True for the first.
    fn begin_to_ring(&mut self, response: &Response) -> bool {
        if response.status_code == StatusCode::Trying || self.giving_up.is_some() {
            return false;
        }
        let Some(ring_ms) = self.set_up.ring_ms.take().map(|ring_ms| u64::from(ring_ms.min(RING_MS))) else {
            return false;
        };
        self.deadline = Instant::now() + Duration::from_millis(ring_ms);
        self.set_up.until_ms = self.shared.unix_ms() + ring_ms;
        true
    }

    async fn on_answer(&mut self, response: &Response) -> Turn {
        let dialog = match self.acknowledged(response).await {
            Ok(dialog) => dialog,
            Err(reason) => return Turn::Over(Failure::new(500, reason)),
        };
        let answer = Answer {
            shared: &self.shared,
            call: self.call,
            sender: self.sender.clone(),
            key: self.key.clone(),
            local: self.set_up.local(),
            secrets: &self.secrets,
            early: self.early.take(),
            given_up: self.giving_up.take(),
        };
        match answer.take(dialog, response) {
            Ok(established) => Turn::Answered(Box::new(established)),
            Err(failure) => Turn::Over(failure),
        }
    }

    /// Acknowledges an answer: the dialog that it opens.
    async fn acknowledged(&self, response: &Response) -> Result<Dialog, String> {
        let mut dialog = self.set_up.dialog.answered(response).map_err(|error| error.to_string())?;
        let (ack, destination) =
            dialog.ack(&self.shared.endpoint, response).map_err(|error| error.to_string())?;
        send_once(&self.shared, ack, destination).await;
        dialog.skip_cseq(RESTORED_CSEQ_GAP);
        Ok(dialog)
    }

    /// Cancels; the outcome is awaited for a while.
    fn give_up(&mut self, status: u16, reason: String) {
        if self.giving_up.is_some() {
            return;
        }
        self.giving_up = Some(Failure::new(status, reason));
        self.deadline = Instant::now() + Duration::from_millis(CANCEL_WAIT_MS);
        let Ok((cancel, hop)) = self.set_up.request(Method::Cancel, None) else { return };
        let (shared, sender) = (Arc::clone(&self.shared), self.sender.clone());
        tokio::spawn(async move {
            let response = request::send(&shared, cancel, hop.sip_addr(), false).await;
            let _ = sender
                .send(Message::Replied { offered: false, refresh: false, response: response.map(Box::new) })
                .await;
        });
    }

    /// For as long as a peer repeats its answer, each gets its ACK, and the first of a branch a BYE.
    async fn end_late_answers(&mut self, inbox: &mut Inbox, reason: &str) {
        let until = Instant::now() + Duration::from_millis(u64::from(self.shared.config.t1_ms) * 64);
        let mut ended = Vec::new();
        while let Ok(Some(message)) = tokio::time::timeout_at(until, inbox.recv()).await {
            let response = match message {
                Message::Stray(response) => response,
                Message::Peer(transaction) => {
                    reply(*transaction, StatusCode::CallTransactionDoesNotExist, Vec::new());
                    continue;
                }
                _ => continue,
            };
            if response.status_code.kind() == StatusCodeKind::Successful
                && let Ok(mut dialog) = self.acknowledged(&response).await
                && !ended.contains(&dialog.remote_tag)
                && ended.len() < EARLY_REQUESTS
            {
                ended.push(dialog.remote_tag.clone());
                send_bye(&self.shared, &mut dialog, reason);
            }
        }
    }
}
