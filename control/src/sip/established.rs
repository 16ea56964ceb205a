//! A confirmed call: requests of the peer and of ours in its dialog, until one side hangs up.

use std::sync::Arc;
use std::time::Duration;

use offhook_control_core::CallId;
use offhook_control_core::sip::{Direction, LocalMedia, RemoteMedia, SipCommand, SipEvent};
use rsipstack::sip::{Header, Method, Response, StatusCode, StatusCodeKind};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::asking::{self, Ask, Heard};
use super::dialog::Dialog;
use super::limits::RESTORED_CSEQ_GAP;
use super::negotiate::Again;
use super::request::{reply, send_once};
use super::sdp::{self, SdpError};
use super::secrets::Secrets;
use super::session_timer::SessionTimer;
use super::shared::{DialogKey, Inbox, Message, Received, Shared};
use super::snapshot::Snapshot;
use super::taking_up::One;
use super::text::one_line;

/// How a confirmed call ended: `SipEvent::Ended`.
pub(crate) struct End {
    pub(crate) by_peer: bool,
    pub(crate) reason: String,
}

impl End {
    pub(crate) fn by_peer(reason: impl Into<String>) -> Self {
        Self { by_peer: true, reason: reason.into() }
    }
}

/// One confirmed call.
pub(crate) struct Established {
    pub(crate) shared: Arc<Shared>,
    pub(crate) call: CallId,
    pub(crate) sender: mpsc::Sender<Message>,
    key: DialogKey,
    pub(crate) dialog: Dialog,
    pub(crate) heard: Heard,
    /// Our side; none only until the first offer or answer of ours.
    pub(crate) local: Option<LocalMedia>,
    /// Our keys.
    pub(crate) secrets: Secrets,
    /// The peer's; none until its first answer.
    pub(crate) remote: Option<RemoteMedia>,
    pub(crate) session: Option<SessionTimer>,
    pub(crate) due: Option<Instant>,
    /// When the peer is asked next whether it is there.
    pub(crate) probe_due: Option<Instant>,
    pub(crate) peer_takes_update: bool,
    /// When the 2xx came or went, until `Answered` has been told.
    pub(crate) answered_at_us: Option<u64>,
    /// CSeq number of a 2xx of ours that waits for its ACK.
    pub(crate) unacked: Option<u32>,
    /// Whether that 2xx carried an offer, so that the ACK carries the answer.
    pub(crate) answer_in_ack: bool,
    /// Our offer that waits for its answer.
    pub(crate) offering: Option<LocalMedia>,
    /// An offer to make when the present exchange is over.
    pub(crate) next_offer: Option<LocalMedia>,
    /// The call is of an earlier run: this one has not heard of the peer's media.
    untold: bool,
    /// An offer that was refused for the moment.
    pub(crate) again: Option<Again>,
    /// How often one was refused since one was agreed on.
    pub(crate) refusals: u32,
    /// We hang up as soon as the ACK is there (RFC 3261 section 15).
    leaving: Option<String>,
}

impl Established {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        call: CallId,
        sender: mpsc::Sender<Message>,
        key: DialogKey,
        dialog: Dialog,
    ) -> Self {
        let secrets = Secrets::new(shared.config.security(dialog.trunk));
        Self {
            shared: Arc::clone(shared),
            call,
            sender,
            key,
            dialog,
            heard: Heard::default(),
            local: None,
            secrets,
            remote: None,
            session: None,
            due: None,
            probe_due: None,
            peer_takes_update: false,
            answered_at_us: None,
            unacked: None,
            answer_in_ack: false,
            offering: None,
            next_offer: None,
            untold: false,
            again: None,
            refusals: 0,
            leaving: None,
        }
    }

    /// Both sides are known.
    pub(crate) fn set_media(
        &mut self,
        local: LocalMedia,
        remote: RemoteMedia,
        session: Option<SessionTimer>,
    ) {
        self.local = Some(local);
        self.remote = Some(remote);
        self.set_session(session);
    }

    /// Our 2xx carried an offer; the answer comes with the ACK.
    pub(crate) fn offered(&mut self, local: LocalMedia, session: Option<SessionTimer>) {
        self.local = Some(local);
        self.answer_in_ack = true;
        self.set_session(session);
    }

    pub(crate) fn set_session(&mut self, session: Option<SessionTimer>) {
        self.session = session;
        self.due = session.map(|session| Instant::now() + Duration::from_millis(session.due_ms()));
    }

    /// Runs the call to its end. `early` are requests that came before the dialog was confirmed.
    pub(crate) async fn run(mut self, mut inbox: Inbox, early: Vec<Transaction>) {
        self.tell_answered().await;
        self.arm_probe();
        let mut end = None;
        for transaction in early {
            match end {
                None => end = self.on_peer(transaction).await,
                Some(_) => reply(transaction, StatusCode::CallTransactionDoesNotExist, Vec::new()),
            }
        }
        let end = match end {
            Some(end) => end,
            None => self.until_end(&mut inbox).await,
        };
        self.shared.remove_dialog(&self.key);
        self.shared.remove_call(self.call);
        inbox.close();
        while let Ok(message) = inbox.try_recv() {
            if let Message::Peer(transaction) = message {
                let bye = transaction.original.method == Method::Bye;
                let status = if bye { StatusCode::OK } else { StatusCode::CallTransactionDoesNotExist };
                reply(*transaction, status, Vec::new());
            }
        }
        self.shared.emit(self.call, SipEvent::Ended { by_peer: end.by_peer, reason: end.reason }).await;
    }

    async fn until_end(&mut self, inbox: &mut Inbox) -> End {
        loop {
            let (due, probe_due) = (self.due, self.probe_due);
            let again_due = self.again.as_ref().map(|again| again.at);
            let end = tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.on_message(message).await,
                    None => Some(End { by_peer: false, reason: "stopped".to_owned() }),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.on_due(),
                () = sleep_until(probe_due.unwrap_or_else(Instant::now)), if probe_due.is_some() => {
                    self.probe(false);
                    None
                }
                () = sleep_until(again_due.unwrap_or_else(Instant::now)), if again_due.is_some() => {
                    self.offer_again();
                    None
                }
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    async fn on_message(&mut self, message: Message) -> Option<End> {
        match message {
            Message::Command(SipCommand::HangUp { reason }) if self.unacked.is_some() => {
                self.leaving = Some(reason);
                None
            }
            Message::Command(SipCommand::HangUp { reason }) => {
                self.send_bye(&reason);
                Some(End { by_peer: false, reason })
            }
            Message::Command(SipCommand::ReOffer { local }) => {
                self.offer(local);
                None
            }
            Message::Command(SipCommand::Probe) => {
                self.probe(true);
                None
            }
            Message::Peer(transaction) => self.on_peer(*transaction).await,
            Message::Acked { cseq, body } if self.unacked == Some(cseq) => self.on_ack(&body).await,
            Message::NotAcked if self.unacked.is_some() => {
                self.send_bye("no ACK");
                Some(End::by_peer("no ACK to our answer"))
            }
            Message::Replied { offered, refresh, response } => {
                // An UPDATE that refreshes the session may be under way beside an offer.
                let offered = if offered { self.offering.take() } else { None };
                self.on_reply(offered, refresh, response.map(|boxed| *boxed)).await
            }
            Message::Stray(response) => {
                self.on_stray(&response).await;
                None
            }
            Message::Probed { asked: false, response } => self.on_probed(response.as_deref()),
            Message::Probed { asked: true, response } => self.on_answered(response.as_deref()).await,
            // The INVITE was cancelled before our 2xx went out.
            Message::Cancelled => Some(End::by_peer("cancelled by the caller")),
            Message::Command(_) | Message::Acked { .. } | Message::NotAcked => None,
        }
    }

    /// An answer to an INVITE of an earlier run that came again is acknowledged again; that of another branch is ended.
    async fn on_stray(&mut self, response: &Response) {
        if response.status_code.kind() != StatusCodeKind::Successful {
            return;
        }
        let Ok(mut answered) = self.dialog.answered(response) else { return };
        if let Ok((ack, destination)) = answered.ack(&self.shared.endpoint, response) {
            send_once(&self.shared, ack, destination).await;
        }
        if answered.remote_tag != self.dialog.remote_tag {
            send_bye(&self.shared, &mut answered, "answered elsewhere");
        }
    }

    async fn on_ack(&mut self, body: &[u8]) -> Option<End> {
        self.unacked = None;
        if self.answer_in_ack {
            self.answer_in_ack = false;
            let ours = self.local.as_ref().ok_or(SdpError::NoAudio);
            match ours.and_then(|local| sdp::accept(body, local, &self.secrets)) {
                Ok(remote) => self.on_remote(remote).await,
                Err(error) => {
                    self.send_bye(&error.to_string());
                    return Some(End {
                        by_peer: false,
                        reason: format!("no usable answer in the ACK: {error}"),
                    });
                }
            }
        }
        if let Some(reason) = self.leaving.take() {
            self.send_bye(&reason);
            return Some(End { by_peer: false, reason });
        }
        if let Some(local) = self.next_offer.take() {
            self.offer(local);
        }
        None
    }

    /// The peer's media, first or changed.
    pub(crate) async fn on_remote(&mut self, remote: RemoteMedia) {
        let first = self.remote.is_none();
        // A leg that is opened anew after a restart has to know where the peer receives, be it where it was.
        let changed = std::mem::take(&mut self.untold) || self.remote.as_ref() != Some(&remote);
        self.remote = Some(remote.clone());
        if first {
            self.answered_at_us = Some(self.shared.mono_us());
            self.tell_answered().await;
        } else if changed {
            self.shared.emit(self.call, SipEvent::Updated(remote)).await;
        }
    }

    async fn tell_answered(&mut self) {
        let Some(remote) = self.remote.clone() else {
            return;
        };
        if let Some(at_mono_us) = self.answered_at_us.take() {
            self.shared.emit(self.call, SipEvent::Answered { remote, at_mono_us }).await;
            self.tell_snapshot().await;
        }
    }

    pub(crate) async fn tell_snapshot(&self) {
        let (Some(local), Some(remote)) = (&self.local, &self.remote) else {
            return;
        };
        let snapshot = Snapshot::new(&self.dialog, local, remote, self.session, self.peer_takes_update);
        self.shared.emit(self.call, SipEvent::Snapshot { data: snapshot.write() }).await;
    }

    /// Our media as SDP in a running session: with a version of its own (RFC 3264 section 8).
    pub(crate) fn next_local(&mut self) -> Option<LocalMedia> {
        let local = self.local.as_mut()?;
        local.session_version += 1;
        Some(local.clone())
    }

    /// Sends a request in the dialog; its response, none when there was none, comes to the inbox as the message that `told`
    /// makes of it.
    pub(crate) fn ask(
        &mut self,
        method: Method,
        headers: Vec<Header>,
        body: Vec<u8>,
        told: impl FnOnce(Option<Box<Response>>) -> Message + Send + 'static,
    ) {
        self.dialog.follow(&self.shared);
        let (shared, dialog, heard) = (&self.shared, self.dialog.clone(), Arc::clone(&self.heard));
        let ask = Ask::new(shared, dialog, heard, method, headers, body);
        self.dialog.skip_cseq(asking::CSEQS);
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let response = ask.answer().await;
            let _ = sender.send(told(response.map(Box::new))).await;
        });
    }

    pub(crate) fn send_bye(&mut self, reason: &str) {
        send_bye(&self.shared, &mut self.dialog, reason);
    }

    /// What we say of our direction when the peer says nothing of its own.
    pub(crate) fn direction(&self) -> Direction {
        self.remote.as_ref().map_or(Direction::SendRecv, |remote| sdp::reversed(remote.direction))
    }
}

/// Ends a dialog by a BYE with its reason (RFC 3326); what comes of it is awaited by nobody.
pub(crate) fn send_bye(shared: &Arc<Shared>, dialog: &mut Dialog, reason: &str) {
    let why = Header::Reason(format!("SIP;cause=200;text=\"{}\"", one_line(reason)).into());
    let bye = Ask::new(shared, dialog.clone(), Heard::default(), Method::Bye, vec![why], Vec::new());
    dialog.skip_cseq(asking::CSEQS);
    tokio::spawn(bye.answer());
}

/// Takes up a call of an earlier run.
pub(crate) async fn restore(
    shared: Arc<Shared>,
    call: CallId,
    text: String,
    sender: mpsc::Sender<Message>,
    inbox: Inbox,
    one: One<Received>,
) {
    let snapshot = match Snapshot::parse(&text) {
        Ok(snapshot) => snapshot,
        Err(reason) => {
            shared.remove_call(call);
            return shared.emit(call, SipEvent::RestoreFailed { reason }).await;
        }
    };
    let mut dialog = snapshot.dialog.clone();
    dialog.skip_cseq(RESTORED_CSEQ_GAP);
    let key = (dialog.call_id.clone(), dialog.local_tag.clone());
    if shared.dialog(&key).is_some() {
        shared.remove_call(call);
        let reason = "the dialog is held by another call".to_owned();
        return shared.emit(call, SipEvent::RestoreFailed { reason }).await;
    }
    shared.add_dialog(key.clone(), sender.clone());
    drop(one);
    let mut established = Established::new(&shared, call, sender, key, dialog);
    established.set_media(snapshot.local(), snapshot.remote(), snapshot.session);
    established.peer_takes_update = snapshot.peer_takes_update;
    established.untold = true;
    shared.emit(call, SipEvent::Restored).await;
    established.tell_snapshot().await;
    established.run(inbox, Vec::new()).await;
}
