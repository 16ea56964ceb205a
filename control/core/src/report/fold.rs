//! Records turned into rows.

use super::callback::Asked;
use super::moment::Moment;
use super::refusal::RefusedRow;
use super::row::{ArchiveRow, Direction, EventRow, directions};
use super::talk::{Request, Talk, queue_key};
use super::{Reports, Rows};
use crate::call::{DELETED, FLOW_HUNG_UP, WAITED_TOO_LONG};
use crate::record::{CallKind, CallbackReason, Destination, DialResult, Fact, FailedAt, Record, ResultCode};
use crate::{AgentId, CallId};

impl Reports {
    /// Takes up one record; `keep_ms` is how long rows are kept.
    pub(crate) fn on_record(&mut self, record: &Record, keep_ms: u64) {
        let now = Moment { ms: record.at_ms, set_ms: self.set_ms };
        let at = At { now, keep_from_ms: record.at_ms.saturating_sub(keep_ms) };
        match &record.fact {
            fact @ (Fact::CallbackAdded(_)
            | Fact::CallbackRevised(_)
            | Fact::CallbackDialled { .. }
            | Fact::CallbackCalledIn { .. }
            | Fact::CallbackAttempted { .. }
            | Fact::CallbackMoved { .. }
            | Fact::CallbackEnded { .. }) => self.on_callback_record(fact, at),
            fact @ (Fact::ContactAdded { .. }
            | Fact::ContactRemoved { .. }
            | Fact::ContactDialled { .. }
            | Fact::ContactResult { .. }
            | Fact::ContactDisposed { .. }) => self.on_contact_record(fact, at),
            Fact::InboundArrived { call, queue, number, .. } => self.arrived(*call, queue, number, at),
            Fact::AgentRequested { call, queue, .. } => self.requested(*call, queue, at),
            Fact::DialRefused(refused) => put(&mut self.refused, at, RefusedRow::new(refused, at.now.ms)),
            Fact::Connected { call, agent, since_ms } => self.connected(*call, agent, *since_ms, at),
            Fact::Parted { call, agent } => {
                if let Some(talk) = self.talks.get_mut(call) {
                    talk.part(agent, at.now);
                }
            }
            Fact::Transferred { call, to, .. } => self.transferred(*call, to, at),
            Fact::CallEnded { call, summary } => {
                self.ended(*call, summary.as_deref().map_or("", |summary| summary.result.as_str()), at);
            }
            Fact::CalendarSet { by_ms } => self.set_ms = self.set_ms.saturating_add(*by_ms),
            Fact::Booted { .. }
            | Fact::AgentSaved(_)
            | Fact::AgentStatus { .. }
            | Fact::ModeChosen { .. }
            | Fact::ModeInForce { .. }
            | Fact::AgentRemoved { .. }
            | Fact::KeysBlocked { .. }
            | Fact::AudioMissed { .. }
            | Fact::ConnectionAsked { .. }
            | Fact::ConnectionEnded { .. }
            | Fact::ConnectionTold { .. }
            | Fact::AudioFlowed { .. }
            | Fact::WrapUp { .. }
            | Fact::LegUp { .. }
            | Fact::Spliced { .. }
            | Fact::NoPerson { .. }
            | Fact::SettingUp { .. }
            | Fact::Dialog { .. }
            | Fact::CallbackAsked { .. }
            | Fact::CallbackConfirmed { .. }
            | Fact::CallsSummed(_)
            | Fact::NumbersListed { .. }
            | Fact::NumberUnlisted { .. } => {}
        }
    }

    fn on_callback_record(&mut self, fact: &Fact, at: At) {
        match fact {
            Fact::CallbackAdded(spec) => {
                self.queued(&spec.id.0, CallKind::Callback, &spec.queue, &spec.number, at);
                if let Some(talk) = spec.first_call().and_then(|call| self.talks.get_mut(&call)) {
                    talk.called_back = true;
                }
                self.asked.insert(spec.id.clone(), Asked::new(spec));
            }
            Fact::CallbackRevised(spec) => {
                if let Some(request) = self.requests.get_mut(&spec.id.0) {
                    request.queue.clone_from(&spec.queue);
                }
            }
            Fact::CallbackDialled { id, attempt, call, agent, skill: _ } => {
                self.dialled(&id.0, *attempt, *call, agent, at);
                if let Some(asked) = self.asked.get_mut(id) {
                    asked.attempts = *attempt;
                }
            }
            Fact::CallbackCalledIn { id, call, .. } => self.called_in(&id.0, *call, at),
            Fact::CallbackAttempted { id, attempt, result, failed_at, code, response, .. } => {
                let code = code.map_or_else(|| old_code(*result, *failed_at), ResultCode::name);
                self.result(&id.0, code, *response, *failed_at);
                if let Some(asked) = self.asked.get_mut(id) {
                    asked.results.insert(*attempt, *result);
                }
            }
            Fact::CallbackMoved { id, desired_ms } => {
                if let Some(asked) = self.asked.get_mut(id) {
                    (asked.desired_ms, asked.scheduled) = (*desired_ms, true);
                }
            }
            Fact::CallbackEnded { id, reason, result } => {
                let state = match reason {
                    CallbackReason::AgentConnected => "answered",
                    CallbackReason::Cancelled | CallbackReason::CancelledByAdmin => "deleted in queue",
                    _ => "unanswered",
                };
                // No agent ends a callback: whoever did has ended its attempt too.
                if result.is_some() && *reason != CallbackReason::AgentConnected {
                    self.result(&id.0, WITHDRAWN, None, FailedAt::House);
                }
                if matches!(reason, CallbackReason::Cancelled | CallbackReason::CancelledByAdmin) {
                    self.deleted(&id.0, at);
                }
                self.finished(&id.0, state, at);
                if let Some(asked) = self.asked.remove(id) {
                    put(&mut self.callbacks, at, asked.row(&id.0, *reason, *result, at.now.ms));
                }
            }
            _ => {}
        }
    }

    fn on_contact_record(&mut self, fact: &Fact, at: At) {
        match fact {
            Fact::ContactAdded { id, spec } => {
                self.queued(&id.0, CallKind::Preview, &spec.queue, &spec.number, at);
            }
            Fact::ContactRemoved { id } => {
                self.deleted(&id.0, at);
                self.finished(&id.0, "deleted in queue", at);
            }
            Fact::ContactDialled { id, attempt, call, agent, skill: _ } => {
                self.dialled(&id.0, *attempt, *call, agent, at);
            }
            Fact::ContactResult { id, code, response, again_ms, disabled, agent, failed_at } => {
                self.result(&id.0, code.name(), *response, *failed_at);
                if *disabled {
                    self.cancelled(&id.0, agent.as_ref(), at);
                }
                if again_ms.is_none() {
                    let state = match (disabled, code.name()) {
                        (true, _) => "deleted in queue",
                        (false, "k") => "answered",
                        (false, _) => "unanswered",
                    };
                    self.finished(&id.0, state, at);
                }
            }
            Fact::ContactDisposed { id, disposition, .. } => {
                if let Some(row) = self.archive.newest_mut(|row| row.call_id == id.0) {
                    row.disposition = Some(disposition.clone());
                }
            }
            _ => {}
        }
    }

    fn queued(&mut self, id: &str, kind: CallKind, queue: &str, number: &str, at: At) {
        let request = Request {
            kind,
            queue: queue.to_owned(),
            number: number.to_owned(),
            arrived: at.now,
            attempts: 0,
            agent: None,
            sequence: 1,
            call: None,
            called_in: false,
        };
        let row = EventRow {
            dte_start: at.now.write(),
            call_sequence: 1,
            result_code: "q".to_owned(),
            ..request_row(id, &request)
        };
        put(&mut self.queue_events, at, row);
        self.requests.insert(id.to_owned(), request);
    }

    /// A conversation of its own begins, with the agent first (PV-03).
    fn dialled(&mut self, id: &str, attempt: u32, call: CallId, agent: &AgentId, at: At) {
        let Some(request) = self.requests.get_mut(id) else { return };
        request.attempts = attempt;
        request.agent = Some(agent.clone());
        (request.call, request.called_in) = (Some(call), false);
        let mut talk = Talk {
            call_id: id.to_owned(),
            session: call.to_string(),
            request: request.clone(),
            started: at.now,
            spoke: None,
            contact_sequence: 0,
            parties: Vec::new(),
            waits: None,
            code: None,
            cancelled: false,
            agent_lost: false,
            called_back: false,
        };
        talk.enter(agent, at.now);
        talk.contact_sequence = talk.next_sequence();
        request.sequence = talk.request.sequence;
        self.talks.insert(call, talk);
    }

    fn arrived(&mut self, call: CallId, queue: &str, number: &str, at: At) {
        let request = Request {
            kind: CallKind::Inbound,
            queue: queue.to_owned(),
            number: number.to_owned(),
            arrived: at.now,
            attempts: 0,
            agent: None,
            sequence: 1,
            call: None,
            called_in: false,
        };
        let talk = Talk {
            call_id: call.to_string(),
            session: call.to_string(),
            request,
            started: at.now,
            spoke: None,
            contact_sequence: 1,
            parties: Vec::new(),
            waits: (!queue.is_empty()).then_some(at.now),
            code: None,
            cancelled: false,
            agent_lost: false,
            called_back: false,
        };
        self.talks.insert(call, talk);
    }

    /// A flow takes a place in a queue for its caller; whoever was in another one has left that.
    fn requested(&mut self, call: CallId, queue: &str, at: At) {
        let Some(talk) = self.talks.get_mut(&call) else { return };
        if talk.request.queue == queue {
            return;
        }
        if let Some(since) = talk.waits.replace(at.now) {
            let row = waited(talk, since, at.now, LED_AWAY);
            put(&mut self.queue_events, at, row);
        }
        queue.clone_into(&mut talk.request.queue);
    }

    /// A caller is the customer of a callback: the call is a conversation of that, and no request of its own (CB-09).
    fn called_in(&mut self, id: &str, call: CallId, at: At) {
        let (Some(request), Some(talk)) = (self.requests.get_mut(id), self.talks.get_mut(&call)) else {
            return;
        };
        (request.call, request.called_in) = (Some(call), true);
        id.clone_into(&mut talk.call_id);
        talk.request = request.clone();
        talk.contact_sequence = talk.next_sequence();
        request.sequence = talk.request.sequence;
        talk.waits.get_or_insert(at.now);
    }

    fn connected(&mut self, call: CallId, agent: &AgentId, since_ms: Option<u64>, at: At) {
        let Some(talk) = self.talks.get_mut(&call) else { return };
        let spoke = Moment { ms: since_ms.unwrap_or(at.now.ms), ..at.now };
        if let Some(since) = talk.waits.take() {
            let row = waited(talk, since, spoke, "k");
            put(&mut self.queue_events, at, row);
        }
        talk.connect(agent, spoke);
        if let Some(request) = self.requests.get_mut(&talk.call_id) {
            request.agent = Some(agent.clone());
        }
    }

    fn transferred(&mut self, call: CallId, to: &Destination, at: At) {
        let Some(talk) = self.talks.get_mut(&call) else { return };
        talk.leave(at.now);
        if let Destination::Queue(queue) = to {
            talk.request.queue.clone_from(queue);
            talk.waits = Some(at.now);
        }
    }

    /// The customer's call is over, with this result: its rows are written (PV-03).
    fn ended(&mut self, call: CallId, result: &str, at: At) {
        let Some(mut talk) = self.talks.remove(&call) else { return };
        talk.called_back |= result == "callback";
        let is_callers = talk.request.kind == CallKind::Inbound || talk.request.called_in;
        let left = left(talk.called_back && talk.spoke.is_none(), result);
        if let Some(since) = talk.waits.take() {
            let row = waited(&mut talk, since, at.now, left.queue);
            put(&mut self.queue_events, at, row);
        }
        if is_callers && talk.spoke.is_none() {
            talk.code.get_or_insert((left.call.to_owned(), None));
        }
        for row in talk.rows(at.now) {
            put(&mut self.call_events, at, row);
        }
        if let Some(request) = self.requests.get_mut(&talk.call_id) {
            request.sequence = talk.request.sequence;
        }
        if talk.request.kind == CallKind::Inbound {
            let state = if talk.spoke.is_some() { "answered" } else { left.state };
            self.archive(&talk.call_id, talk.request, state, at);
        }
    }

    /// What became of the contact's leg; the call may still go on.
    fn result(&mut self, id: &str, code: &str, response: Option<u16>, failed_at: FailedAt) {
        if let Some(talk) = self.talk_of(id) {
            talk.code.get_or_insert_with(|| (code.to_owned(), response));
            talk.agent_lost |= failed_at == FailedAt::AgentPhone;
        }
    }

    /// The last attempt's conversation, until its call is over.
    fn talk_of(&mut self, id: &str) -> Option<&mut Talk> {
        let call = self.requests.get(id)?.call?;
        self.talks.get_mut(&call)
    }

    /// The agent cancelled (PV-05): `h` for the agent, `d` for the queue.
    fn cancelled(&mut self, id: &str, agent: Option<&AgentId>, at: At) {
        match self.talk_of(id) {
            Some(talk) => talk.cancelled = true,
            None => {
                let Some(request) = self.requests.get_mut(id) else { return };
                request.sequence += 1;
                if agent.is_some() {
                    request.agent = agent.cloned();
                }
                let row = EventRow {
                    internal_iq_session_id: format!("{id}-{}", request.sequence),
                    call_sequence: request.sequence,
                    dte_start: at.now.write(),
                    result_code: "h".to_owned(),
                    ciq: "a".to_owned(),
                    ..request_row(id, request)
                };
                put(&mut self.call_events, at, row);
            }
        }
        self.deleted(id, at);
    }

    fn deleted(&mut self, id: &str, at: At) {
        // A conversation that still runs has numbers of its own.
        let running = self.talk_of(id).map(|talk| talk.request.sequence);
        let Some(request) = self.requests.get_mut(id) else { return };
        request.sequence = running.unwrap_or(request.sequence) + 1;
        let row = EventRow {
            call_sequence: request.sequence,
            dte_start: request.arrived.write(),
            duration_tot_sec: request.arrived.seconds_until(at.now),
            result_code: "d".to_owned(),
            ..request_row(id, request)
        };
        put(&mut self.queue_events, at, row);
    }

    fn finished(&mut self, id: &str, state: &str, at: At) {
        if let Some(request) = self.requests.remove(id) {
            self.archive(id, request, state, at);
        }
    }

    fn archive(&mut self, id: &str, request: Request, state: &str, at: At) {
        let (reported_as, billed_as) = match directions(request.kind) {
            (reported_as, _) if request.called_in => (reported_as, Direction::Inbound),
            as_kind => as_kind,
        };
        let row = ArchiveRow {
            call_id: id.to_owned(),
            kind: request.kind,
            queue: request.queue,
            number: request.number,
            arrived: request.arrived.write(),
            finished: at.now.write(),
            state: state.to_owned(),
            attempts: request.attempts,
            agent: request.agent,
            reported_as,
            billed_as,
            disposition: None,
        };
        put(&mut self.archive, at, row);
    }
}

/// The moment of a record, and of the oldest row that is kept.
#[derive(Clone, Copy)]
struct At {
    now: Moment,
    keep_from_ms: u64,
}

fn put<T: Clone>(rows: &mut Rows<T>, at: At, row: T) {
    rows.push(at.now.ms, at.keep_from_ms, row);
}

/// What the queue's rows of a request have in common.
fn request_row(id: &str, request: &Request) -> EventRow {
    EventRow {
        call_id: id.to_owned(),
        internal_iq_session_id: id.to_owned(),
        originating: request.number.clone(),
        queue_key: request.queue_key(),
        ..EventRow::default()
    }
}

fn waited(talk: &mut Talk, since: Moment, until: Moment, code: &str) -> EventRow {
    // Whoever was put into another queue is no contact of the dialler there.
    let queue_key = queue_key(CallKind::Inbound, &talk.request.queue);
    let call_sequence = talk.next_sequence();
    EventRow {
        call_sequence,
        dte_start: since.write(),
        duration_tot_sec: since.seconds_until(until),
        result_code: code.to_owned(),
        queue_key,
        internal_iq_session_id: talk.session.clone(),
        ..request_row(&talk.call_id, &talk.request)
    }
}

/// How somebody left whom nobody has talked with.
struct Left {
    /// Code of the queue event.
    queue: &'static str,
    /// Code of the caller's own event.
    call: &'static str,
    /// What the archive calls it.
    state: &'static str,
}

/// `called_back`: a callback keeps their place in the queue; `result`: how the call ended.
fn left(called_back: bool, result: &str) -> Left {
    match result {
        _ if called_back => Left { queue: "q", call: CALLED_BACK, state: "callback" },
        WAITED_TOO_LONG => Left { queue: "t", call: "t", state: "abandoned" },
        FLOW_HUNG_UP => Left { queue: LED_AWAY, call: WITHDRAWN, state: "unanswered" },
        DELETED => Left { queue: "c", call: WITHDRAWN, state: "deleted in queue" },
        _ => Left { queue: "h", call: "h", state: "abandoned" },
    }
}

/// Result code of a callback's attempt on a record without one.
fn old_code(result: DialResult, failed_at: FailedAt) -> &'static str {
    match result {
        DialResult::Connected | DialResult::Person => "k",
        DialResult::Busy => "b",
        DialResult::NoAnswer => "t",
        DialResult::Unknown if failed_at == FailedAt::AgentPhone => "e",
        DialResult::Unknown => "q",
        DialResult::CreateCallError
        | DialResult::AnsweringMachine
        | DialResult::ErrorTone
        | DialResult::Fax => "e",
    }
}

/// Code of a call that neither side ended: cancelled with its callback, ended by whoever runs the place, or by a flow.
const WITHDRAWN: &str = "d";
/// Code of a caller who left with a callback: neither hung up nor abandoned (CB-12).
const CALLED_BACK: &str = "r";
/// Queue code of a caller whom a flow led out of the queue.
const LED_AWAY: &str = "b";
