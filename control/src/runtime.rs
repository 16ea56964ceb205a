//! The one task that owns the core: feeds it inputs, performs its outputs, keeps the write-ahead rule.

mod gate;
mod replay;
mod start;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use offhook_control_core::api::{ApiError, ApiReply, ApiRequest};
use offhook_control_core::compact::Compactor;
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::{CallId, Core, Input, OpId, Output, Record};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::engine::EngineLink;
use crate::feed::Feed;
use crate::journal::Journal;
use crate::passwords::Passwords;
use crate::sip::SipPort;
use crate::webhook::Webhooks;
use gate::Gate;
pub(crate) use start::Doors;

/// One API request on its way to the core.
pub(crate) struct Ask {
    pub(crate) request: ApiRequest,
    pub(crate) answer: oneshot::Sender<ApiReply>,
}

/// How far the journal has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// Everything up to this record is on disk.
    pub(crate) durable: u64,
    /// Why nothing can be written at present.
    pub(crate) stalled: Option<String>,
}

/// Where inputs come from.
pub(crate) struct Inbox {
    /// SIP and engine.
    pub(crate) inputs: mpsc::Receiver<Input>,
    /// HTTP.
    pub(crate) asks: mpsc::Receiver<Ask>,
    /// The journal's writer.
    pub(crate) progress: watch::Receiver<Progress>,
}

/// The core with everything that it acts through.
pub(crate) struct Runtime {
    core: Core,
    clock: Clock,
    journal: Journal,
    /// Number that the next record will get.
    next_seq: u64,
    /// Groups that the journal's writer had no room for.
    backlog: VecDeque<Vec<Vec<u8>>>,
    compactor: Compactor,
    /// How long finished histories stay in the journal, in milliseconds.
    keep_ms: u64,
    gate: Gate,
    stalled: Option<String>,
    sip: SipPort,
    /// Calls that have not had their last event.
    calls: BTreeSet<CallId>,
    /// In the order of the configuration.
    engines: Vec<EngineLink>,
    answers: HashMap<OpId, oneshot::Sender<ApiReply>>,
    next_op: u64,
    feed: Arc<Feed>,
    passwords: Arc<Passwords>,
    webhooks: Webhooks,
    /// Whether all calls of the run before have been given to SIP.
    taken_up: bool,
    /// Nobody is called any more.
    closing: bool,
}

impl Runtime {
    /// Runs until `stop` is ready, then winds down: `hang_up` ends all calls first, else they are left to the next run.
    ///
    /// # Errors
    /// SIP or the journal cannot go on. Everything is left to the next run, as after a crash.
    pub(crate) async fn run(
        mut self,
        mut inbox: Inbox,
        stop: impl Future<Output = ()>,
        hang_up: bool,
    ) -> anyhow::Result<()> {
        tokio::pin!(stop);
        loop {
            if !self.taken_up && !self.core.is_taking_up() && self.gate.is_empty() && self.backlog.is_empty()
            {
                self.taken_up = true;
                self.sip.no_more_to_take_up();
            }
            let wake_us = self.next_tick_us();
            let wake = self.clock.instant(wake_us.unwrap_or(u64::MAX));
            tokio::select! {
                changed = inbox.progress.changed() => match changed {
                    Ok(()) => self.on_progress(&mut inbox),
                    Err(_) => bail!("the journal's writer is gone"),
                },
                Some(input) = inbox.inputs.recv(), if self.backlog.len() < BACKLOG_GROUPS => self.on_input(input),
                Some(ask) = inbox.asks.recv() => self.on_ask(ask),
                () = tokio::time::sleep_until(wake), if wake_us.is_some() => self.step(Input::Tick),
                reason = self.sip.failed() => bail!("SIP cannot go on: {reason}"),
                () = &mut stop => break,
            }
        }
        self.wind_down(inbox, hang_up).await;
        Ok(())
    }

    /// When the core is looked after: at its next deadline, and soon where it waits for a time of day. Nobody says when somebody
    /// has set the calendar, nor that a machine has slept.
    fn next_tick_us(&self) -> Option<u64> {
        let due_us = self.core.poll_timeout()?;
        let look_us = self.clock.now().mono_us.saturating_add(CALENDAR_LOOK_US);
        Some(if self.core.waits_for_calendar() { due_us.min(look_us) } else { due_us })
    }

    async fn wind_down(mut self, mut inbox: Inbox, hang_up: bool) {
        self.closing = true;
        tracing::info!(calls = self.calls.len(), hang_up, "ending");
        if hang_up {
            for call in &self.calls {
                self.sip.command(*call, SipCommand::HangUp { reason: "shutdown".into() });
            }
        }
        let patience = tokio::time::sleep(WIND_DOWN);
        tokio::pin!(patience);
        while !self.is_settled(hang_up) {
            tokio::select! {
                changed = inbox.progress.changed() => match changed {
                    Ok(()) => self.on_progress(&mut inbox),
                    Err(_) => break,
                },
                Some(input) = inbox.inputs.recv() => self.on_input(input),
                Some(ask) = inbox.asks.recv() => drop(ask.answer.send(closing())),
                () = &mut patience => {
                    tracing::warn!(calls = self.calls.len(), "not everything has ended; ending anyway");
                    break;
                }
            }
        }
    }

    fn is_settled(&self, hang_up: bool) -> bool {
        let calls = !hang_up || self.calls.is_empty();
        calls
            && self.engines.iter().all(|engine| engine.open() == 0)
            && self.gate.is_empty()
            && self.backlog.is_empty()
    }

    fn on_progress(&mut self, inbox: &mut Inbox) {
        let progress = inbox.progress.borrow_and_update().clone();
        match (&self.stalled, &progress.stalled) {
            (None, Some(reason)) => {
                tracing::error!(reason, "the journal cannot be written; changes are refused");
            }
            (Some(_), None) => tracing::info!("the journal is written again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        self.stalled = progress.stalled;
        while let Some(group) = self.backlog.pop_front() {
            if !self.append(group) {
                break;
            }
        }
        for output in self.gate.advance(progress.durable) {
            self.perform(output);
        }
    }

    fn on_ask(&mut self, Ask { request, answer }: Ask) {
        if let Some(reason) = self.stalled.as_ref().filter(|_| changes_something(&request)) {
            drop(answer.send(ApiReply::Error(stalled(reason))));
            return;
        }
        self.next_op += 1;
        let op = OpId(self.next_op);
        self.answers.insert(op, answer);
        self.step(Input::Api { op, request });
    }

    fn on_input(&mut self, input: Input) {
        match &input {
            Input::Sip { call, event } => self.follow(*call, event),
            Input::EngineReply { request, result: Err(error) } => tracing::debug!(%request, %error, "engine"),
            Input::EngineReply { result: Ok(_), .. }
            | Input::Api { .. }
            | Input::Registration { .. }
            | Input::EngineEvent { .. }
            | Input::EngineUp { .. }
            | Input::EngineDown { .. }
            | Input::Trunk { .. }
            | Input::Tick => {}
            Input::Config(config) => self.keep_ms = keep_ms(config),
        }
        self.step(input);
    }

    fn follow(&mut self, call: CallId, event: &SipEvent) {
        match event {
            SipEvent::Incoming { .. } => {
                self.calls.insert(call);
                if self.closing {
                    self.sip.command(call, SipCommand::HangUp { reason: "shutdown".into() });
                }
            }
            SipEvent::Failed { status, reason, .. } => {
                tracing::debug!(%call, status, reason, "call failed");
                self.calls.remove(&call);
            }
            SipEvent::Ended { by_peer, reason } => {
                tracing::debug!(%call, by_peer, reason, "call ended");
                self.calls.remove(&call);
            }
            SipEvent::RestoreFailed { reason } => {
                tracing::debug!(%call, reason, "call not restored");
                self.calls.remove(&call);
            }
            SipEvent::Trying
            | SipEvent::Ringing
            | SipEvent::EarlyMedia(_)
            | SipEvent::Answered { .. }
            | SipEvent::Alive
            | SipEvent::Updated(_)
            | SipEvent::SettingUp { .. }
            | SipEvent::Snapshot { .. }
            | SipEvent::Restored => {}
        }
    }

    /// One step of the core: what may be done is done at once, what has to wait for the disk waits in the gate.
    fn step(&mut self, input: Input) {
        self.core.handle(self.clock.now(), input);
        self.drain();
    }

    fn drain(&mut self) {
        let core = &mut self.core;
        let step = self.gate.step(self.next_seq, std::iter::from_fn(|| core.poll_output()));
        for output in step.due {
            self.perform(output);
        }
        if step.records.is_empty() {
            return;
        }
        for (seq, record) in (self.next_seq..).zip(&step.records) {
            self.compactor.note(seq, record);
        }
        self.next_seq += step.records.len() as u64;
        let group = step.records.iter().map(|record| self.write(record)).collect();
        if self.backlog.is_empty() {
            self.append(group);
        } else {
            self.backlog.push_back(group);
        }
        self.compact();
    }

    /// Has void records removed, once they are many. Not before what made them void is on its way to the disk.
    fn compact(&mut self) {
        self.compactor.expire(self.clock.now().unix_ms, self.keep_ms);
        if self.compactor.dead() < VOID_RECORDS || !self.backlog.is_empty() {
            return;
        }
        if let Err(void) = self.journal.remove(self.compactor.take_dead()) {
            self.compactor.put_back(void);
        }
    }

    fn write(&self, record: &Record) -> Vec<u8> {
        self.passwords.note(record);
        serde_json::to_vec(record).expect("a record has string keys only")
    }

    /// Hands a group to the journal, or keeps it as the oldest of the backlog.
    fn append(&mut self, group: Vec<Vec<u8>>) -> bool {
        match self.journal.append(group) {
            Ok(_) => true,
            Err(full) => {
                self.backlog.push_front(full.records);
                false
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Record(_) => unreachable!("the gate keeps records apart"),
            Output::Sip { call, command } => self.command(call, command),
            Output::Engine { engine, request, command, .. } => {
                if let Some(engine) = self.engines.get(usize::from(engine.0)) {
                    engine.send(request, command);
                }
            }
            Output::Reply { op, reply } => {
                // Whoever asked may have gone.
                if let Some(answer) = self.answers.remove(&op) {
                    drop(answer.send(reply));
                }
            }
            Output::Notify(notification) => self.feed.publish(&notification),
            Output::Webhook { url, body } => self.webhooks.post(url, &body, None),
            Output::Push { url, secret, body } => {
                let unix_s = self.clock.now().unix_ms / 1_000;
                self.webhooks.post(url, &body, Some((secret, unix_s)));
            }
        }
    }

    fn command(&mut self, call: CallId, command: SipCommand) {
        if matches!(command, SipCommand::Dial { .. } | SipCommand::Restore { .. } | SipCommand::Resume { .. })
        {
            if self.closing {
                return;
            }
            self.calls.insert(call);
        }
        self.sip.command(call, command);
    }
}

/// Refusal of everything while the journal cannot be written.
pub(crate) fn stalled(reason: &str) -> ApiError {
    ApiError::new(503, "journal_stalled", format!("the journal cannot be written at present: {reason}"))
}

fn closing() -> ApiReply {
    ApiReply::Error(ApiError::new(503, "closing", "control is ending"))
}

fn changes_something(request: &ApiRequest) -> bool {
    match request {
        ApiRequest::Agents(_)
        | ApiRequest::Agent(_)
        | ApiRequest::Modes
        | ApiRequest::Contacts(_)
        | ApiRequest::Lists
        | ApiRequest::Contact(_)
        | ApiRequest::Compliance
        | ApiRequest::DoNotCall { .. }
        | ApiRequest::Number(_)
        | ApiRequest::Calls(_)
        | ApiRequest::Call(_)
        | ApiRequest::Report { .. }
        | ApiRequest::Queues
        | ApiRequest::Estimate { .. }
        | ApiRequest::Statistics
        | ApiRequest::Health
        | ApiRequest::QueryCallbacks { .. }
        | ApiRequest::CallbackSlots { .. }
        | ApiRequest::CallbackQueues(_)
        | ApiRequest::CallbackWatermarks(_)
        | ApiRequest::CancelledCallbacks(_) => false,
        // Hanging up makes things smaller and must always be possible; so must keeping a card number from ears.
        ApiRequest::HangUp(_) | ApiRequest::EndCall(_) | ApiRequest::BlockKeys(..) => false,
        ApiRequest::PutAgent(..)
        | ApiRequest::Login(..)
        | ApiRequest::Logout(_)
        | ApiRequest::SetStatus(..)
        | ApiRequest::SetMode(..)
        | ApiRequest::ConfirmMode(..)
        | ApiRequest::Connect(..)
        | ApiRequest::Disconnect(_)
        | ApiRequest::Pin(..)
        | ApiRequest::Accept(_)
        | ApiRequest::Reject(_)
        | ApiRequest::Cancel(_)
        | ApiRequest::WrapUpDone(_)
        | ApiRequest::Transfer(..)
        | ApiRequest::CompleteTransfer(_)
        | ApiRequest::CancelTransfer(_)
        | ApiRequest::ListNumbers(_)
        | ApiRequest::UnlistNumber(_)
        | ApiRequest::AddContact(_)
        | ApiRequest::ImportContacts(_)
        | ApiRequest::RemoveContact(_)
        | ApiRequest::Dispose(..)
        | ApiRequest::StartCallback { .. }
        | ApiRequest::ConfirmCallback { .. }
        | ApiRequest::CancelCallback { .. }
        | ApiRequest::CancelCallbacks(_)
        | ApiRequest::RescheduleCallback { .. } => true,
    }
}

/// How long finished histories are needed: by reports, and by whatever counts over the last month.
fn keep_ms(config: &offhook_control_core::Config) -> u64 {
    u64::from(config.reports.retention_days.max(MONTH_DAYS)) * 86_400_000
}

const MONTH_DAYS: u32 = 31;
/// How often the two clocks are compared while a time of day is waited for, in microseconds.
const CALENDAR_LOOK_US: u64 = 1_000_000;

/// Void records that are removed at once.
const VOID_RECORDS: usize = 512;
/// Groups kept while the journal's writer has no room; above it, SIP and engine wait.
const BACKLOG_GROUPS: usize = 65_536;
/// How long a regular end may take.
const WIND_DOWN: Duration = Duration::from_secs(5);
