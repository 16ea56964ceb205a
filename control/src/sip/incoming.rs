//! A call that comes in, from its INVITE to our answer or refusal.

use std::sync::Arc;

use offhook_control_core::CallId;
use offhook_control_core::sip::{Direction, LocalMedia, SipCommand, SipEvent};
use rsipstack::sip::prelude::HeadersExt as _;
use rsipstack::sip::{CSeq, Header, Method, Request, Response, SipMessage, StatusCode, StatusCodeKind};
use rsipstack::transaction::transaction::{Transaction, TransactionEvent, TransactionEventSender};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::dialog::{Dialog, tag_request};
use super::established::Established;
use super::flow::Flow;
use super::limits::CALL_INBOX;
use super::outgoing::{Failure, allows};
use super::reliable::{Due, Reliable};
use super::request::{full_response, reply, sdp_warning, warning};
use super::sdp::{self, Description, SdpError};
use super::secrets::{Secrets, Security};
use super::session_timer::SessionTimer;
use super::shared::{Inbox, Message, Shared, lock};
use super::text::{address_uri, user_of};
use super::vital::spawn_call;

/// Headers that the core is told.
const TOLD: [&str; 7] = [
    "P-Asserted-Identity",
    "Diversion",
    "History-Info",
    "Call-ID",
    "User-Agent",
    "User-to-User",
    "X-Callback-Id",
];

/// Takes an INVITE outside a dialog, or refuses it.
pub(crate) fn take(shared: &Arc<Shared>, mut transaction: Transaction) {
    let Some(flow) = Flow::of(transaction.connection.as_ref()) else {
        return reply(transaction, StatusCode::ServerInternalError, Vec::new());
    };
    let Some(begun) = shared.under_way.begin(&transaction.original) else {
        return reply(transaction, StatusCode::LoopDetected, Vec::new());
    };
    let asked = value(&transaction.original, "Session-Expires");
    let session = match SessionTimer::of_request(asked.as_deref(), shared.config.min_session_s) {
        Ok(session) => session,
        Err(least_s) => {
            let headers = vec![Header::MinSE(least_s.to_string().into())];
            return reply(transaction, StatusCode::SessionIntervalTooSmall, headers);
        }
    };
    let secrets = Secrets::new(shared.config.security(true));
    let offer = match offer_of(&transaction.original, secrets.security) {
        Ok(offer) => offer,
        Err(error) => {
            tracing::info!(source = %flow.address, %error, "a call without usable SDP is refused");
            return reply(transaction, StatusCode::NotAcceptableHere, vec![sdp_warning(&error)]);
        }
    };
    let local_tag = format!("{:016x}", rand::random::<u64>());
    tag_request(&mut transaction.original, &local_tag);
    let contact = shared.contact(flow.tcp);
    let behind = flow.tcp.then_some(flow);
    let dialog = match Dialog::of_invite(&transaction.original, &local_tag, &contact, behind, true) {
        Ok(dialog) => dialog,
        Err(error) => {
            tracing::info!(source = %flow.address, %error, "an INVITE that opens no dialog is refused");
            return reply(transaction, StatusCode::BadRequest, Vec::new());
        }
    };
    let call = shared.next_incoming();
    let (sender, inbox) = mpsc::channel(CALL_INBOX);
    shared.add_call(call, sender.clone());
    let key = (dialog.call_id.clone(), local_tag);
    shared.add_dialog(key, sender.clone());
    let incoming = Incoming {
        shared: Arc::clone(shared),
        call,
        invite: transaction.original.clone(),
        responses: transaction.tu_sender.clone(),
        sender: sender.clone(),
        dialog,
        offer,
        secrets,
        session,
        reliable: Reliable::of_invite(&transaction.original, shared.config.t1_ms.into()),
        answer: None,
    };
    tokio::spawn(async move {
        let _begun = begun;
        let _ = transaction.send_trying().await;
        drive(transaction, sender).await;
    });
    spawn_call(shared, call, incoming.run(inbox));
}

/// Keeps an INVITE's server transaction going, and tells the call what the peer does to it.
pub(crate) async fn drive(mut transaction: Transaction, call: mpsc::Sender<Message>) {
    let cseq = transaction.original.cseq_header().and_then(CSeq::seq).unwrap_or_default();
    let mut acked = false;
    while let Some(message) = transaction.receive().await {
        let SipMessage::Request(request) = message else { continue };
        match request.method {
            Method::Ack => {
                acked = true;
                let _ = call.send(Message::Acked { cseq, body: request.body }).await;
            }
            Method::Cancel => {
                let _ = transaction.reply(StatusCode::RequestTerminated).await;
                let _ = call.send(Message::Cancelled).await;
            }
            _ => {}
        }
    }
    let answered = transaction
        .last_response
        .as_ref()
        .is_some_and(|last| last.status_code.kind() == StatusCodeKind::Successful);
    if answered && !acked {
        let _ = call.send(Message::NotAcked).await;
    }
}

struct Incoming {
    shared: Arc<Shared>,
    call: CallId,
    invite: Request,
    responses: TransactionEventSender,
    sender: mpsc::Sender<Message>,
    dialog: Dialog,
    /// None when the caller leaves the offer to us.
    offer: Option<Description>,
    secrets: Secrets,
    session: Option<SessionTimer>,
    /// Where the caller requires reliable provisional responses.
    reliable: Option<Reliable>,
    /// Waits for the acknowledgement of one of them.
    answer: Option<LocalMedia>,
}

enum Next {
    Wait,
    Answered(LocalMedia),
    Over(Failure),
}

impl Incoming {
    async fn run(mut self, mut inbox: Inbox) {
        let remote = match &self.offer {
            Some(offer) => match offer.remote_media(&self.shared.config.media, &self.secrets) {
                Ok(remote) => Some(remote),
                Err(error) => {
                    self.refuse_offer(&error);
                    return self.close();
                }
            },
            None => None,
        };
        let incoming = SipEvent::Incoming {
            from: caller(&self.invite),
            to: user_of(&self.invite.uri),
            remote,
            trunk: true,
            headers: told(&self.invite),
        };
        self.shared.emit(self.call, incoming).await;
        loop {
            let due = self.reliable.as_ref().and_then(Reliable::due);
            let next = tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.on_message(message),
                    None => return self.close(),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.on_due(),
            };
            match next {
                Next::Wait => {}
                Next::Answered(local) => return self.answered(local, inbox).await,
                Next::Over(failure) => {
                    self.close();
                    return self.shared.emit(self.call, failure.event()).await;
                }
            }
        }
    }

    fn on_message(&mut self, message: Message) -> Next {
        match message {
            Message::Command(SipCommand::Ring { early }) => self.ring(early.as_ref()),
            Message::Command(SipCommand::Answer { local }) if self.is_ringing_unacknowledged() => {
                self.answer = Some(local);
            }
            Message::Command(SipCommand::Answer { local }) => return Next::Answered(local),
            Message::Command(SipCommand::Reject { status, reason }) => {
                let status = if (400..700).contains(&status) { status } else { 480 };
                self.refuse(StatusCode::from(status), &reason);
                return Next::Over(Failure::new(status, reason));
            }
            Message::Command(SipCommand::HangUp { reason }) => {
                self.refuse(StatusCode::TemporarilyUnavailable, &reason);
                return Next::Over(Failure::new(487, reason));
            }
            Message::Cancelled => {
                let reason = "cancelled by the caller".to_owned();
                return Next::Over(Failure::new(487, reason));
            }
            Message::Peer(transaction) if transaction.original.method == Method::Bye => {
                reply(*transaction, StatusCode::OK, Vec::new());
                self.refuse(StatusCode::RequestTerminated, "BYE before the answer");
                let reason = "ended by the caller before the answer".to_owned();
                return Next::Over(Failure::new(487, reason));
            }
            Message::Peer(transaction) if transaction.original.method == Method::PRack => {
                return self.on_prack(*transaction);
            }
            Message::Peer(transaction) => reply(*transaction, StatusCode::RequestPending, Vec::new()),
            Message::Command(_)
            | Message::Acked { .. }
            | Message::NotAcked
            | Message::Replied { .. }
            | Message::Stray(_)
            | Message::Probed { .. } => {}
        }
        Next::Wait
    }

    fn is_ringing_unacknowledged(&self) -> bool {
        self.reliable.as_ref().is_some_and(Reliable::is_waiting)
    }

    fn on_prack(&mut self, transaction: Transaction) -> Next {
        let prack = &transaction.original;
        let taken = self.dialog.takes(prack)
            && self.reliable.as_mut().is_some_and(|reliable| reliable.on_prack(prack));
        let status = if taken { StatusCode::OK } else { StatusCode::CallTransactionDoesNotExist };
        reply(transaction, status, Vec::new());
        let following = self.reliable.as_mut().filter(|_| taken);
        match following.and_then(|reliable| reliable.following(Instant::now())) {
            Some(response) => self.send(response),
            None if taken => return self.answer.take().map_or(Next::Wait, Next::Answered),
            None => {}
        }
        Next::Wait
    }

    fn on_due(&mut self) -> Next {
        match self.reliable.as_mut().and_then(|reliable| reliable.on_due(Instant::now())) {
            Some(Due::Again(response)) => self.send(response),
            Some(Due::Over) => {
                let reason = "no PRACK".to_owned();
                self.refuse(StatusCode::ServerTimeOut, &reason);
                return Next::Over(Failure { status: 504, reason, network: true, cause: None });
            }
            None => {}
        }
        Next::Wait
    }

    fn ring(&mut self, early: Option<&LocalMedia>) {
        let answer = early
            .zip(self.offer.as_ref())
            .and_then(|(local, offer)| sdp::answer(offer, local, &self.secrets).ok());
        let status = if answer.is_some() { StatusCode::SessionProgress } else { StatusCode::Ringing };
        let sdp = answer.map(|(text, _)| text);
        let response = full_response(&self.shared, &self.invite, status, self.dialog.contact(), sdp);
        match &mut self.reliable {
            None => self.send(response),
            Some(reliable) => {
                if let Some(response) = reliable.send(response, Instant::now()) {
                    self.send(response);
                }
            }
        }
    }

    async fn answered(self, local: LocalMedia, inbox: Inbox) {
        let (text, remote) = match &self.offer {
            Some(offer) => match sdp::answer(offer, &local, &self.secrets) {
                Ok((text, remote)) => (text, Some(remote)),
                Err(error) => {
                    self.refuse_offer(&error);
                    self.close();
                    let failure = Failure::new(488, error.to_string());
                    return self.shared.emit(self.call, failure.event()).await;
                }
            },
            None => (sdp::offer(&local, &self.secrets, Direction::SendRecv), None),
        };
        let mut more = Vec::new();
        if let Some(session) = self.session {
            more.push(Header::SessionExpires(session.response_value().into()));
            more.push(Header::Require("timer".into()));
        }
        self.respond(StatusCode::OK, Some(text), more);
        let cseq = self.invite.cseq_header().and_then(CSeq::seq).unwrap_or_default();
        let key = (self.dialog.call_id.clone(), self.dialog.local_tag.clone());
        let mut established =
            Established::new(&self.shared, self.call, self.sender.clone(), key, self.dialog);
        established.secrets = self.secrets;
        established.peer_takes_update = allows(&self.invite.headers, "UPDATE");
        established.unacked = Some(cseq);
        match remote {
            Some(remote) => {
                established.answered_at_us = Some(self.shared.mono_us());
                established.set_media(local, remote, self.session);
            }
            None => established.offered(local, self.session),
        }
        established.run(inbox, Vec::new()).await;
    }

    fn respond(&self, status: StatusCode, sdp: Option<String>, more: Vec<Header>) {
        let mut response = full_response(&self.shared, &self.invite, status, self.dialog.contact(), sdp);
        response.headers.extend(more);
        self.send(response);
    }

    fn send(&self, response: Response) {
        let _ = self.responses.send(TransactionEvent::Respond(response));
    }

    fn refuse(&self, status: StatusCode, reason: &str) {
        self.refuse_with(status, (!reason.is_empty()).then(|| warning(399, reason)));
    }

    fn refuse_offer(&self, error: &SdpError) {
        self.refuse_with(StatusCode::NotAcceptableHere, Some(sdp_warning(error)));
    }

    fn refuse_with(&self, status: StatusCode, more: Option<Header>) {
        let mut response = self.shared.endpoint.make_response(&self.invite, status, None);
        response.headers.extend(more.into_iter().collect());
        self.send(response);
    }

    fn close(&self) {
        self.shared.remove_dialog(&(self.dialog.call_id.clone(), self.dialog.local_tag.clone()));
        self.shared.remove_call(self.call);
    }
}

/// Whether calls from there are the trunk's. Phones may live on its address in a laboratory; they are told by their flow.
pub(crate) fn is_trunk(shared: &Shared, flow: Flow) -> bool {
    is_of_trunk(shared, flow) && !lock(&shared.registrar).is_flow_of_phone(flow)
}

/// Whether the trunk has that address.
pub(crate) fn is_of_trunk(shared: &Shared, flow: Flow) -> bool {
    lock(&shared.trunk_sources).contains(&flow.address.ip())
}

fn offer_of(invite: &Request, security: Security) -> Result<Option<Description>, SdpError> {
    if invite.body.trim_ascii().is_empty() {
        return Ok(None);
    }
    Description::parse(&invite.body, security).map(Some)
}

/// The caller's number: what the trunk asserts, else the From header.
pub(crate) fn caller(invite: &Request) -> String {
    let asserted = value(invite, "P-Asserted-Identity");
    let uri = asserted.as_deref().map(address_uri).and_then(|text| rsipstack::sip::Uri::try_from(text).ok());
    let uri = uri.or_else(|| invite.from_header().ok().and_then(|from| from.uri().ok()));
    uri.as_ref().map(user_of).unwrap_or_default()
}

pub(crate) fn told(invite: &Request) -> Vec<(String, String)> {
    TOLD.iter().filter_map(|name| value(invite, name).map(|value| ((*name).to_owned(), value))).collect()
}

pub(crate) fn value(request: &Request, name: &str) -> Option<String> {
    request.header_value(name)
}
