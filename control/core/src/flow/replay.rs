//! The journal read again: what its records say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use offhook_proto::{EventBody, LegInfo, LegState};

use crate::agent::{Ended, Operation, Wanted};
use crate::call::Audio;
use crate::callback::State as CallbackState;
use crate::core::Core;
use crate::flow::calls::leg_name;
use crate::flow::originating::{ORIGINATING, named_call};
use crate::interaction::Source;
use crate::line::Line;
use crate::preview::State as ContactState;
use crate::record::{AudioPath, CallKind, CallTimes, Destination, DialResult, Fact, FailedAt, Record};
use crate::view::AgentStatus;
use crate::wait::Wait;
use crate::{AgentId, CallId, CallbackId, EngineId};

/// What the journal says about calls of earlier runs.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub(super) pending: bool,
    pub(super) dialogs: BTreeMap<CallId, Dialog>,
    /// INVITEs that had no answer yet.
    pub(super) set_ups: BTreeMap<CallId, SetUp>,
    pub(super) legs_up: BTreeMap<AgentId, CallId>,
    /// The same by call: a day's calls end, and each end must not look through all agents.
    leg_of: BTreeMap<CallId, AgentId>,
    /// Requests for an agent's connection, by name, and the ends of those that may not have been heard of.
    pub(super) operations: BTreeMap<String, (AgentId, Operation)>,
    pub(super) ended_operations: BTreeMap<String, (AgentId, Ended)>,
    pub(super) callers: BTreeMap<CallId, Caller>,
    /// Callers who left with a callback, and were not let go before the record of that.
    pub(super) let_go: BTreeMap<CallId, (Caller, CallbackId)>,
    /// Calls that a request for a callback named, with an agent then (CB-11).
    pub(super) attached: BTreeMap<CallId, CallbackId>,
    /// Callers who called for a callback.
    pub(super) called_in: BTreeMap<CallId, CallbackId>,
    pub(super) dialled: BTreeMap<CallId, (Source, AgentId)>,
    pub(super) connected: BTreeMap<CallId, (AgentId, u64)>,
    /// The same, but for who answered: nobody waits for that any more.
    pub(super) spliced: BTreeMap<CallId, (AgentId, u64)>,
    /// Customers whose agent's phone was lost, and who were not joined again.
    pub(super) parted: BTreeSet<CallId>,
    /// On their way to somebody else.
    pub(super) transferred: BTreeMap<CallId, Destination>,
    /// The queue that a customer was passed on to last, and the priority there.
    pub(super) requeued: BTreeMap<CallId, (String, Option<i32>)>,
    /// The skill that the queue took where a customer was put last.
    pub(super) skills: BTreeMap<CallId, Option<String>>,
    /// Agents who wrap up, with when that began and ends, in milliseconds since 1970 UTC.
    pub(super) wrap_ups: BTreeMap<AgentId, (u64, u64)>,
    /// What else is on record of customers' calls.
    pub(super) marks: BTreeMap<CallId, Marks>,
    /// What the engine says, by name of the leg.
    pub(super) found: BTreeMap<String, (EngineId, LegInfo)>,
    pub(super) asked: BTreeSet<(EngineId, String)>,
    /// Engines that have named all our legs.
    pub(super) listed: BTreeSet<EngineId>,
    /// Engines that were not heard until now are not waited for any more.
    pub(super) overdue: bool,
}

/// What is on record of a customer's call besides its way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Nobody is to hear their keys.
    pub(super) blocked: bool,
    /// How often audio was missing, by direction (BY-02).
    pub(super) missed: BTreeMap<AudioPath, u32>,
    /// How soon it had audio (BY-01).
    pub(super) audio: Option<Audio>,
}

/// An INVITE that is out.
#[derive(Debug)]
pub(super) struct SetUp {
    /// As the SIP adaptor gave it.
    pub(super) set_up: String,
    /// Address of ours that it offers.
    pub(super) offered: Option<SocketAddr>,
    pub(super) times: Option<CallTimes>,
}

/// A dialog that can be restored.
#[derive(Debug)]
pub(super) struct Dialog {
    /// As the SIP adaptor gave it.
    pub(super) snapshot: String,
    pub(super) times: Option<CallTimes>,
}

#[derive(Debug)]
pub(super) struct Caller {
    pub(super) queue: String,
    pub(super) number: String,
    pub(super) dnis: String,
    pub(super) arrival_ms: u64,
    pub(super) contact: Option<u64>,
    pub(super) priority: Option<i32>,
    pub(super) flow: Option<String>,
    /// The step that took the place in the queue, and the flow's variables then.
    pub(super) step: Option<(String, BTreeMap<String, String>)>,
}

impl Caller {
    /// What their call's record says of them.
    pub(super) fn line(&self) -> Line {
        Line::of_caller(self.contact, &self.number, &self.dnis)
    }
}

impl Replayed {
    /// Whether the engine has still to be asked.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending
    }

    /// What an engine tells of a leg that is not taken up yet. It does so once.
    pub(super) fn hear(&mut self, engine: EngineId, event: &EventBody) {
        let (EventBody::LegSilent { leg, .. }
        | EventBody::LegAlive { leg }
        | EventBody::LegReleased { leg, .. }
        | EventBody::PlayEnded { leg, .. }) = event
        else {
            return;
        };
        let Some((_, info)) = self.found.get_mut(leg).filter(|(found, _)| *found == engine) else { return };
        match event {
            EventBody::LegSilent { silent_ms, .. } => info.last_packet_ms = Some(*silent_ms),
            EventBody::LegAlive { .. } => info.last_packet_ms = Some(0),
            EventBody::LegReleased { .. } => {
                self.found.remove(leg);
            }
            _ => info.playing = None,
        }
    }

    fn forget(&mut self, call: CallId) {
        self.dialogs.remove(&call);
        self.set_ups.remove(&call);
        self.callers.remove(&call);
        self.let_go.remove(&call);
        self.attached.remove(&call);
        self.called_in.remove(&call);
        self.dialled.remove(&call);
        self.connected.remove(&call);
        self.spliced.remove(&call);
        self.parted.remove(&call);
        self.transferred.remove(&call);
        self.requeued.remove(&call);
        self.skills.remove(&call);
        self.marks.remove(&call);
        if let Some(agent) = self.leg_of.remove(&call)
            && self.legs_up.get(&agent) == Some(&call)
        {
            self.legs_up.remove(&agent);
        }
    }

    fn mark(&mut self, call: CallId, change: impl FnOnce(&mut Marks)) {
        let marks = self.marks.entry(call).or_default();
        change(marks);
        if *marks == Marks::default() {
            self.marks.remove(&call);
        }
    }

    fn leg_up(&mut self, agent: AgentId, call: CallId) {
        self.leg_of.insert(call, agent.clone());
        if let Some(before) = self.legs_up.insert(agent, call).filter(|before| *before != call) {
            self.leg_of.remove(&before);
        }
    }

    /// Whether a leg that an engine kept is that of a call that may go on.
    pub(super) fn is_wanted(&self, leg: &str) -> bool {
        if let Some(call) = customer_of(leg).filter(|call| customer_leg(*call) == leg) {
            return self.callers.contains_key(&call)
                || self.dialled.contains_key(&call)
                || self.connected.contains_key(&call);
        }
        let agent = self.agent_of(leg).and_then(|agent| self.legs_up.get_key_value(agent));
        agent.is_some_and(|(agent, call)| leg_name(CallKind::AgentLeg, Some(agent), *call) == leg)
    }

    /// Whose leg of an earlier run has this name.
    fn agent_of(&self, leg: &str) -> Option<&AgentId> {
        let call = leg.strip_prefix("a-")?.rsplit('-').next()?.parse().ok()?;
        self.leg_of.get(&CallId(call))
    }

    /// The customer and the agent who hear each other, by what an engine says of either leg; none when that is on record.
    pub(super) fn talk(&self, leg: &str, info: &LegInfo) -> Option<(CallId, AgentId)> {
        let partner = info.spliced_to.as_deref().filter(|_| info.state == LegState::Spliced && info.hears)?;
        // An agent hears a customer whose phone still rings.
        let (call, agent_leg) = match customer_of(leg) {
            Some(call) => (call, partner),
            None => (customer_of(partner).filter(|_| info.heard)?, leg),
        };
        let dialled = self.dialled.get(&call).map(|(_, agent)| agent);
        let is_known = dialled.is_some() || self.callers.contains_key(&call);
        let agent = self.agent_of(agent_leg).or(dialled)?;
        let is_told = self.connected.contains_key(&call) && !self.parted.contains(&call);
        (is_known && !is_told).then(|| (call, agent.clone()))
    }
}

impl Core {
    pub(crate) fn on_record(&mut self, record: Record) {
        let at_ms = record.at_ms;
        match record.fact {
            Fact::Booted { run } => self.run = run,
            fact @ (Fact::AgentSaved(_)
            | Fact::AgentStatus { .. }
            | Fact::ModeChosen { .. }
            | Fact::ModeInForce { .. }
            | Fact::ConnectionAsked { .. }
            | Fact::ConnectionEnded { .. }
            | Fact::ConnectionTold { .. }
            | Fact::WrapUp { .. }
            | Fact::AgentRemoved { .. }) => self.on_agent_record(fact, at_ms),
            Fact::LegUp { agent, call } => {
                self.replayed.leg_up(agent, call);
            }
            Fact::SettingUp { call, set_up, offered, times } => {
                self.replayed.set_ups.insert(call, SetUp { set_up, offered, times });
            }
            Fact::Dialog { call, snapshot, times } => {
                self.replayed.set_ups.remove(&call);
                self.replayed.dialogs.insert(call, Dialog { snapshot, times });
            }
            Fact::CallEnded { call, summary: _ } => {
                self.learn_handling(call, at_ms);
                self.replayed.forget(call);
            }
            Fact::InboundArrived {
                call,
                queue,
                number,
                dnis,
                arrival_ms,
                contact,
                priority,
                flow,
                skill,
            } => {
                self.replayed.skills.insert(call, skill);
                let arrival_ms = arrival_ms.unwrap_or(at_ms);
                let step = None;
                let caller = Caller { queue, number, dnis, arrival_ms, contact, priority, flow, step };
                self.replayed.callers.insert(call, caller);
            }
            Fact::AgentRequested { call, queue, priority, step, variables, skill } => {
                self.replayed.skills.insert(call, skill);
                if let Some(caller) = self.replayed.callers.get_mut(&call) {
                    caller.queue = queue;
                    caller.priority = Some(priority);
                    caller.step = Some((step, variables));
                }
            }
            Fact::Connected { call, agent, since_ms } => {
                self.replayed.transferred.remove(&call);
                self.replayed.spliced.remove(&call);
                self.replayed.parted.remove(&call);
                self.replayed.connected.insert(call, (agent, since_ms.unwrap_or(at_ms)));
            }
            Fact::Spliced { call, agent } => {
                self.replayed.spliced.insert(call, (agent, at_ms));
            }
            Fact::NoPerson { call } => {
                self.replayed.spliced.remove(&call);
            }
            Fact::Parted { call, agent: _ } => {
                self.replayed.parted.insert(call);
            }
            Fact::AudioFlowed { call, after_us, open_us } => {
                let audio = Audio::of_record(after_us, open_us);
                self.replayed.mark(call, |marks| marks.audio = Some(audio));
            }
            fact @ (Fact::CallbackAdded(_)
            | Fact::CallbackDialled { .. }
            | Fact::CallbackAttempted { .. }
            | Fact::CallbackMoved { .. }
            | Fact::CallbackRevised(_)
            | Fact::CallbackAsked { .. }
            | Fact::CallbackConfirmed { .. }
            | Fact::CallbackCalledIn { .. }
            | Fact::CallbackEnded { .. }) => self.on_callback_record(fact, at_ms),
            fact @ (Fact::ContactAdded { .. }
            | Fact::ContactRemoved { .. }
            | Fact::ContactDialled { .. }
            | Fact::ContactResult { .. }
            | Fact::ContactDisposed { .. }) => self.on_contact_record(fact, at_ms),
            Fact::Transferred { call, agent: _, to, priority, skill } => {
                if let Destination::Queue(queue) = &to {
                    self.replayed.skills.insert(call, skill);
                    self.replayed.requeued.insert(call, (queue.clone(), priority));
                }
                self.replayed.transferred.insert(call, to);
            }
            Fact::KeysBlocked { call, blocked } => {
                self.replayed.mark(call, |marks| marks.blocked = blocked);
            }
            Fact::AudioMissed { call, times } => {
                self.replayed.mark(call, |marks| marks.missed = times);
            }
            Fact::NumbersListed { numbers } => self.do_not_call.extend(numbers),
            Fact::NumberUnlisted { number } => {
                self.do_not_call.remove(&number);
            }
            Fact::CalendarSet { by_ms } => self.replayed.shift_wrap_ups(by_ms),
            Fact::DialRefused(_) | Fact::CallsSummed(_) => {}
        }
    }

    fn on_agent_record(&mut self, fact: Fact, at_ms: u64) {
        match fact {
            Fact::AgentSaved(profile) => self.save_agent(*profile),
            Fact::AgentStatus { agent, status } => {
                if let Some(agent) = self.agents.get_mut(&agent) {
                    agent.wanted = wanted(status);
                    agent.since_ms = at_ms;
                }
                if status == AgentStatus::LoggedOut {
                    self.replayed.wrap_ups.remove(&agent);
                    self.forget_mode(&agent);
                }
            }
            Fact::ModeChosen { agent, wish } => {
                if let Some(agent) = self.agents.get_mut(&agent) {
                    agent.mode.chosen = wish;
                }
            }
            Fact::ModeInForce { agent, mode } => {
                if let Some(agent) = self.agents.get_mut(&agent) {
                    agent.mode.now = mode;
                }
            }
            Fact::ConnectionAsked { agent, operation, url } => {
                self.replayed.operations.insert(operation.clone(), (agent, Operation { id: operation, url }));
            }
            Fact::ConnectionEnded { agent: _, operation, error } => {
                if let Some((agent, asked)) = self.replayed.operations.remove(&operation) {
                    let ended = Ended { operation: asked, error, told_us: 0 };
                    self.replayed.ended_operations.insert(operation, (agent, ended));
                }
            }
            Fact::ConnectionTold { agent: _, operation } => {
                self.replayed.ended_operations.remove(&operation);
            }
            Fact::WrapUp { agent, until_ms } => match until_ms {
                Some(until_ms) => drop(self.replayed.wrap_ups.insert(agent, (at_ms, until_ms))),
                None => drop(self.replayed.wrap_ups.remove(&agent)),
            },
            Fact::AgentRemoved { agent } => {
                self.replayed.wrap_ups.remove(&agent);
                self.agents.remove(&agent);
            }
            _ => {}
        }
    }

    fn on_callback_record(&mut self, fact: Fact, at_ms: u64) {
        match fact {
            Fact::CallbackAdded(spec) => {
                // The place is the callback's now: a call that was not dropped before the end is dropped (QC-04).
                if let Some(call) = spec.first_call()
                    && let Some(caller) = self.replayed.callers.remove(&call)
                {
                    self.replayed.let_go.insert(call, (caller, spec.id.clone()));
                } else if let Some(call) = spec.data.get(ORIGINATING).and_then(named_call) {
                    self.replayed.attached.insert(call, spec.id.clone());
                }
                self.insert_callback(*spec);
            }
            Fact::CallbackRevised(spec) => {
                let id = spec.id.clone();
                if let Some(callback) = self.callbacks.get_mut(&id) {
                    callback.spec = *spec;
                }
                self.book_callback(&id);
            }
            Fact::CallbackDialled { id, attempt, call, agent, skill } => {
                self.replayed.skills.insert(call, skill);
                self.replayed.dialled.insert(call, (Source::Callback(id.clone()), agent.clone()));
                if let Some(callback) = self.callbacks.get_mut(&id) {
                    callback.attempts = attempt;
                    callback.running = Some((call, agent, at_ms));
                    // Nobody who is to be asked first is dialled before they are ready, or have been asked in vain.
                    callback.is_asked = false;
                    callback.confirmed |= callback.spec.options.confirm.is_some();
                }
            }
            Fact::CallbackAttempted { id, attempt, result, not_before_ms, failed_at, .. } => {
                if let Some(callback) = self.callbacks.get_mut(&id) {
                    callback.results.insert(attempt, result);
                    callback.failed_at = callback.failed_at.max(Some(failed_at));
                    callback.wait = Wait::of_record(at_ms, not_before_ms, result == DialResult::Unknown);
                    callback.running = None;
                }
            }
            Fact::CallbackMoved { id, desired_ms } => {
                if let Some(callback) = self.callbacks.get_mut(&id) {
                    callback.move_to(desired_ms);
                }
                self.book_callback(&id);
            }
            Fact::CallbackAsked { id, attempt } => {
                if let Some(callback) = self.callbacks.get_mut(&id) {
                    (callback.asked, callback.asked_ms, callback.is_asked) = (attempt, at_ms, true);
                }
            }
            Fact::CallbackConfirmed { id } => {
                if let Some(callback) = self.callbacks.get_mut(&id) {
                    (callback.is_asked, callback.confirmed) = (false, true);
                }
            }
            Fact::CallbackCalledIn { id, call, skill } => {
                self.replayed.skills.insert(call, skill);
                if let Some(callback) = self.callbacks.get_mut(&id) {
                    callback.is_asked = false;
                }
                self.replayed.called_in.insert(call, id);
            }
            Fact::CallbackEnded { id, reason, result } => {
                let Some(callback) = self.callbacks.get_mut(&id).filter(|found| !found.is_over()) else {
                    return;
                };
                if let Some(result) = result.or_else(|| callback.last_result(reason)) {
                    callback.results.insert(callback.attempts, result);
                }
                callback.state = CallbackState::Completed(reason);
                (callback.running, callback.is_asked) = (None, false);
                self.on_callback_ended(&id, reason);
            }
            _ => {}
        }
    }

    fn on_contact_record(&mut self, fact: Fact, at_ms: u64) {
        match fact {
            Fact::ContactAdded { id, spec } => self.insert_contact(&id, spec, at_ms),
            Fact::ContactRemoved { id } => self.finish_contact(&id, true),
            Fact::ContactDialled { id, attempt, call, agent, skill } => {
                self.replayed.skills.insert(call, skill);
                self.replayed.dialled.insert(call, (Source::Contact(id.clone()), agent.clone()));
                if let Some(contact) = self.contacts.get_mut(&id) {
                    contact.attempts = attempt;
                    contact.running = Some((call, agent.clone(), at_ms));
                    contact.agent = Some(agent);
                    contact.state = ContactState::Dialling;
                }
            }
            Fact::ContactDisposed { id, disposition } => self.on_disposed(&id, disposition),
            Fact::ContactResult { id, code, response, again_ms, disabled, agent: _, failed_at } => {
                let Some(contact) = self.contacts.get_mut(&id) else { return };
                contact.code = Some(code);
                contact.response = response;
                contact.running = None;
                contact.state = ContactState::Queued;
                if let Some(again_ms) = again_ms {
                    contact.wait = Wait::of_record(at_ms, again_ms, failed_at == FailedAt::House);
                }
                *self.projection.contacts.entry(code.name().to_owned()).or_default() += 1;
                if again_ms.is_none() {
                    self.finish_contact(&id, disabled);
                }
            }
            _ => {}
        }
    }
}

pub(super) fn customer_leg(call: CallId) -> String {
    leg_name(CallKind::Inbound, None, call)
}

fn customer_of(leg: &str) -> Option<CallId> {
    leg.strip_prefix("c-")?.parse().ok().map(CallId)
}

fn wanted(status: AgentStatus) -> Wanted {
    match status {
        AgentStatus::LoggedOut => Wanted::LoggedOut,
        AgentStatus::Available => Wanted::Available,
        AgentStatus::WorkingOffline => Wanted::WorkingOffline,
        AgentStatus::OnBreak
        | AgentStatus::PersistentCallOffered
        | AgentStatus::Offered
        | AgentStatus::Preview
        | AgentStatus::OnCall
        | AgentStatus::WrapUp
        | AgentStatus::Refused => Wanted::OnBreak,
    }
}
