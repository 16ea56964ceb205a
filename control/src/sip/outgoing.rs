//! A call that we place, from `Dial` to its answer or failure.

use std::sync::Arc;
use std::time::Duration;

use offhook_control_core::CallId;
use offhook_control_core::sip::{Direction, LocalMedia, RemoteMedia, SipCommand, SipEvent, Target};
use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver};
use rsipstack::dialog::invitation::{InviteAsyncResult, InviteOption};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Header, Response, StatusCode, StatusCodeKind};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::answer::Answer;
use super::cause::q850_cause;
use super::dialog::Dialog;
use super::established::Established;
use super::inspect::is_local;
use super::limits::{CANCEL_WAIT_MS, EARLY_REQUESTS, OFFER_ATTEMPTS, RING_MS, STACK_CSEQS};
use super::reliable::TAG;
use super::request::reply;
use super::route::{Plan, plan};
use super::sdp;
use super::secrets::Secrets;
use super::set_up::SetUp;
use super::shared::{DialogKey, Inbox, Message, Shared};
use super::unreachable::refusal;

/// The parts of `SipCommand::Dial`.
pub(crate) struct Dial {
    pub(crate) target: Target,
    pub(crate) caller_id: Option<String>,
    pub(crate) display: Option<String>,
    pub(crate) local: LocalMedia,
    pub(crate) auto_answer: bool,
    pub(crate) ring_timeout_ms: u32,
}

/// Why a call was not answered: `SipEvent::Failed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) network: bool,
    pub(crate) cause: Option<u8>,
}

impl Failure {
    pub(crate) fn new(status: u16, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), network: false, cause: None }
    }

    pub(crate) fn network(status: u16, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), network: true, cause: None }
    }

    pub(crate) fn event(self) -> SipEvent {
        let Self { status, reason, network, cause } = self;
        SipEvent::Failed { status, reason, network, cause }
    }
}

/// Places the call, and carries it on when it is answered.
pub(crate) async fn run(
    shared: Arc<Shared>,
    call: CallId,
    dial: Dial,
    sender: mpsc::Sender<Message>,
    mut inbox: Inbox,
) {
    let mut session_expires_s = shared.config.session_expires_s;
    let (mut reliable, mut attempts) = (false, 0);
    let secrets = Secrets::new(shared.config.security(matches!(dial.target, Target::Trunk { .. })));
    let call_id = format!("{:032x}", rand::random::<u128>());
    let outcome = loop {
        attempts += 1;
        let plan = match plan(&shared, &dial, session_expires_s).await {
            Ok(plan) => Plan { reliable, ..plan },
            Err(failure) => break Err(failure),
        };
        match Attempt::start(&shared, call, &call_id, &dial, plan, &secrets, sender.clone()) {
            Ok(attempt) => match attempt.run(&mut inbox).await {
                // The peer wants longer sessions: once more, as it asks (RFC 4028 section 6).
                Err(Refused::TooBrief(least_s))
                    if attempts < OFFER_ATTEMPTS && session_expires_s.is_some_and(|ours| ours < least_s) =>
                {
                    session_expires_s = Some(least_s);
                }
                Err(Refused::TooBrief(_)) => {
                    let reason = "Session Interval Too Small".to_owned();
                    break Err(Failure::new(422, reason));
                }
                // It demands reliable provisional responses: once more with them (RFC 3262 section 4).
                Err(Refused::WantsReliable(_)) if !reliable => reliable = true,
                Err(Refused::WantsReliable(failure) | Refused::Failed(failure)) => break Err(failure),
                Ok(answered) => break Ok(answered),
            },
            Err(error) => break Err(Failure::network(500, error)),
        }
    };
    match outcome {
        Ok((established, early)) => established.run(inbox, early).await,
        Err(failure) => {
            shared.remove_call(call);
            shared.emit(call, failure.event()).await;
        }
    }
}

enum Refused {
    TooBrief(u32),
    WantsReliable(Failure),
    Failed(Failure),
}

type Answered = (Established, Vec<Transaction>);

/// One INVITE.
struct Attempt {
    shared: Arc<Shared>,
    call: CallId,
    sender: mpsc::Sender<Message>,
    local: LocalMedia,
    secrets: Secrets,
    plan: Plan,
    key: DialogKey,
    dialog: InviteDialog,
    states: DialogStateReceiver,
    invite: JoinHandle<InviteAsyncResult>,
    deadline: Instant,
    /// The same, as another run would have to know it.
    until_ms: u64,
    /// How long it may ring once it begins to; none when it has begun.
    ring_ms: Option<u32>,
    /// What another run has been left of it.
    told: Option<SetUp>,
    /// Set once we have given up: what to report when the INVITE has ended.
    giving_up: Option<Failure>,
    heard: bool,
    early: Option<RemoteMedia>,
    early_requests: Vec<Transaction>,
}

impl Attempt {
    fn start(
        shared: &Arc<Shared>,
        call: CallId,
        call_id: &str,
        dial: &Dial,
        plan: Plan,
        secrets: &Secrets,
        sender: mpsc::Sender<Message>,
    ) -> Result<Self, String> {
        let option = InviteOption {
            caller_display_name: plan.display.clone(),
            caller: plan.caller.clone(),
            callee: plan.callee.clone(),
            destination: Some(plan.destination.sip_addr()),
            contact: plan.contact.clone(),
            offer: Some(sdp::offer(&dial.local, secrets, Direction::SendRecv).into_bytes()),
            credential: if plan.trunk { shared.trunk_credential() } else { None },
            headers: Some(plan.headers.clone()),
            call_id: Some(call_id.to_owned()),
            support_prack: plan.reliable,
            ..InviteOption::default()
        };
        let (states_sender, states) = shared.layer.new_dialog_state_channel();
        let (dialog, invite) =
            shared.layer.do_invite_async(option, states_sender).map_err(|error| error.to_string())?;
        let id = dialog.id();
        let key = (id.call_id, id.local_tag);
        shared.add_dialog(key.clone(), sender.clone());
        let ring_ms = dial.ring_timeout_ms.clamp(1, RING_MS);
        Ok(Self {
            shared: Arc::clone(shared),
            call,
            sender,
            local: dial.local.clone(),
            secrets: secrets.clone(),
            plan,
            key,
            dialog,
            states,
            invite,
            deadline: Instant::now() + Duration::from_millis(u64::from(ring_ms)),
            until_ms: shared.unix_ms() + u64::from(ring_ms),
            ring_ms: Some(ring_ms),
            told: None,
            giving_up: None,
            heard: false,
            early: None,
            early_requests: Vec::new(),
        })
    }

    /// Waits for the answer, the failure or the hang-up.
    async fn run(mut self, inbox: &mut Inbox) -> Result<Answered, Refused> {
        let refusal = refusal(&self.shared, self.plan.destination.address);
        tokio::pin!(refusal);
        self.tell_set_up().await;
        loop {
            tokio::select! {
                biased;
                Some(state) = self.states.recv() => self.on_state(state).await,
                result = &mut self.invite => {
                    return match result {
                        Ok(result) => self.on_result(result),
                        Err(error) => Err(self.leave(Failure::network(500, error.to_string()))),
                    };
                }
                message = inbox.recv() => match message {
                    Some(message) => self.on_message(message),
                    None => return Err(self.abandon(Failure::network(500, "stopped"))),
                },
                () = &mut refusal, if !self.heard && !self.plan.destination.tcp => {
                    return Err(self.abandon(Failure::network(503, "the network refused the request (ICMP)")));
                }
                () = sleep_until(self.deadline) => {
                    if let Some(failure) = self.giving_up.take() {
                        return Err(self.leave(failure));
                    }
                    let reason = if self.heard { "not answered in time" } else { "no response in time" };
                    self.give_up(Failure { status: 408, reason: reason.to_owned(), network: !self.heard, cause: None });
                }
            }
        }
    }

    /// Tells what another run needs to go on, when it is new: an INVITE that was challenged has been sent with another branch.
    async fn tell_set_up(&mut self) {
        let invite = self.dialog.initial_request();
        match SetUp::new(&invite, &self.local, &self.plan, self.until_ms, self.ring_ms) {
            Ok(set_up) if self.told.as_ref() != Some(&set_up) => {
                self.shared.emit(self.call, SipEvent::SettingUp { data: set_up.write() }).await;
                self.told = Some(set_up);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "an INVITE could not be kept"),
        }
    }

    async fn on_state(&mut self, state: DialogState) {
        match state {
            DialogState::Trying(_) => {
                self.heard = true;
                self.tell_set_up().await;
                self.shared.emit(self.call, SipEvent::Trying).await;
            }
            DialogState::Early(_, response) => {
                self.heard = true;
                self.begin_to_ring();
                match sdp::accept(&response.body, &self.local, &self.secrets) {
                    Ok(remote) if !response.body.is_empty() => {
                        self.early = Some(remote.clone());
                        self.shared.emit(self.call, SipEvent::EarlyMedia(remote)).await;
                    }
                    _ => self.shared.emit(self.call, SipEvent::Ringing).await,
                }
                // After the ringing: what is kept says since when.
                self.tell_set_up().await;
            }
            _ => {}
        }
    }

    /// What it has to ring counts from its first ringing; another phone of the same call adds nothing.
    fn begin_to_ring(&mut self) {
        let Some(ring_ms) = self.ring_ms.take().filter(|_| self.giving_up.is_none()) else { return };
        self.deadline = Instant::now() + Duration::from_millis(u64::from(ring_ms));
        self.until_ms = self.shared.unix_ms() + u64::from(ring_ms);
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Command(SipCommand::HangUp { reason }) => {
                self.give_up(Failure::new(487, reason));
            }
            // A BYE or re-INVITE that overtook its own 2xx on the way through us waits for it. Anything else has no dialog
            // yet to change (RFC 3311 section 5.2).
            Message::Peer(transaction) if self.early_requests.len() < EARLY_REQUESTS => {
                self.early_requests.push(*transaction);
            }
            Message::Peer(transaction) => reply(*transaction, StatusCode::RequestPending, Vec::new()),
            Message::Command(_)
            | Message::Stray(_)
            | Message::Acked { .. }
            | Message::NotAcked
            | Message::Cancelled
            | Message::Replied { .. }
            | Message::Probed { .. } => {}
        }
    }

    /// Cancels; the outcome is awaited for a while.
    fn give_up(&mut self, failure: Failure) {
        if self.giving_up.is_some() {
            return;
        }
        self.giving_up = Some(failure);
        self.deadline = Instant::now() + Duration::from_millis(CANCEL_WAIT_MS);
        let dialog = self.dialog.clone();
        tokio::spawn(async move {
            if let Err(error) = dialog.cancel().await {
                tracing::debug!(%error, "CANCEL was not taken");
            }
        });
    }

    /// Ends without waiting for the INVITE, which was never received by anybody.
    fn abandon(mut self, failure: Failure) -> Refused {
        self.invite.abort();
        self.forget();
        Refused::Failed(failure)
    }

    /// Ends before the INVITE does: a late 2xx gets its ACK and BYE from the stack, which knows of our CANCEL.
    fn leave(mut self, failure: Failure) -> Refused {
        self.forget();
        Refused::Failed(failure)
    }

    fn on_result(mut self, result: InviteAsyncResult) -> Result<Answered, Refused> {
        let (id, response) = match result {
            Ok((id, Some(response))) => (id, response),
            Ok((_, None)) => {
                return Err(self.leave(Failure::network(408, "the INVITE ended without a response")));
            }
            Err(error) => {
                let failure =
                    Failure { status: 500, reason: error.to_string(), network: !self.heard, cause: None };
                return Err(self.leave(failure));
            }
        };
        if response.status_code.kind() != StatusCodeKind::Successful {
            return Err(self.refused(&response));
        }
        self.shared.layer.remove_dialog(&id);
        if self.dialog.state().is_terminated() {
            // Our CANCEL crossed the 2xx: the stack sends the BYE.
            let failure = self.giving_up.take();
            let reason = "cancelled".to_owned();
            return Err(self.leave(failure.unwrap_or(Failure {
                status: 487,
                reason,
                network: false,
                cause: None,
            })));
        }
        self.on_answer(&response)
    }

    fn refused(mut self, response: &Response) -> Refused {
        let failure = match self.giving_up.take() {
            Some(failure) => failure,
            None if response.status_code == StatusCode::SessionIntervalTooSmall => {
                if let Some(least_s) = min_se(response) {
                    self.forget();
                    return Refused::TooBrief(least_s);
                }
                failure_of(response)
            }
            None if response.status_code == StatusCode::ExtensionRequired
                && header(response, "Require").is_some_and(|tag| tag.trim().eq_ignore_ascii_case(TAG)) =>
            {
                self.forget();
                return Refused::WantsReliable(failure_of(response));
            }
            None => failure_of(response),
        };
        self.leave(failure)
    }

    fn on_answer(mut self, response: &Response) -> Result<Answered, Refused> {
        let invite = self.dialog.initial_request();
        let mut dialog = match Dialog::of_answer(&invite, response, self.plan.flow, self.plan.trunk) {
            Ok(dialog) => dialog.with(self.plan.phone.clone()),
            Err(error) => {
                let failure = Failure::new(500, error.to_string());
                return Err(self.leave(failure));
            }
        };
        if self.plan.reliable {
            // The stack has used some for its PRACKs.
            dialog.skip_cseq(STACK_CSEQS);
        }
        let answer = Answer {
            shared: &self.shared,
            call: self.call,
            sender: self.sender.clone(),
            key: self.key.clone(),
            local: self.local.clone(),
            secrets: &self.secrets,
            early: self.early.take(),
            given_up: self.giving_up.take(),
        };
        match answer.take(dialog, response) {
            Ok(established) => Ok((established, self.early_requests)),
            Err(failure) => Err(self.leave(failure)),
        }
    }

    fn forget(&mut self) {
        self.shared.remove_dialog(&self.key);
        for transaction in self.early_requests.drain(..) {
            reply(transaction, StatusCode::CallTransactionDoesNotExist, Vec::new());
        }
    }
}

pub(crate) fn failure_of(response: &Response) -> Failure {
    let status = response.status_code.code();
    let reason = response.reason_phrase().map_or_else(|| response.status_code.to_string(), str::to_owned);
    Failure { status, reason, network: is_local(&response.headers), cause: q850_cause(&response.headers) }
}

/// A header by name.
pub(crate) fn header(response: &Response, name: &str) -> Option<String> {
    use rsipstack::sip::prelude::HeadersExt as _;
    response.header_value(name)
}

pub(crate) fn min_se(response: &Response) -> Option<u32> {
    header(response, "Min-SE")?.split(';').next()?.trim().parse().ok()
}

/// Whether an Allow header names a method.
pub(crate) fn allows(headers: &rsipstack::sip::Headers, method: &str) -> bool {
    headers.iter().any(|header| match header {
        Header::Allow(value) => {
            value.value().split(',').any(|token| token.trim().eq_ignore_ascii_case(method))
        }
        _ => false,
    })
}
