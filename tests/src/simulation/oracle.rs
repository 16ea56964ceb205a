//! What must never happen, checked after every step.

use std::collections::{BTreeMap, BTreeSet};

use offhook_control_core::record::Fact;
use offhook_control_core::sip::{SipCommand, Target};
use offhook_control_core::view::CallView;
use offhook_control_core::{AgentId, CallId, CallbackId, ContactId};

use super::engine::call_of;
use super::flows::Callers;
use super::network::{GUESTS, PeerState, Who};
use super::world::{SECOND, World};

#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) callers: Callers,
    callbacks: BTreeMap<CallbackId, Fate>,
    contacts: BTreeMap<ContactId, bool>,
    /// Attempts on durable record, by call.
    dialled: BTreeMap<CallId, (Option<CallbackId>, AgentId)>,
    /// Every agent whom control ever named for a call.
    booked: BTreeMap<CallId, BTreeSet<AgentId>>,
    last_booked: BTreeMap<CallId, AgentId>,
    pub(super) engine_crashes: Vec<u64>,
    /// Control has asked for the end of these.
    pub(super) hung_up: BTreeSet<CallId>,
    /// Callbacks whose customer talked with an agent.
    talked: BTreeSet<CallbackId>,
    /// Calls on which something else than a person is found, and when: they may be withdrawn after a conversation, and be left a
    /// message without an agent.
    pub(super) machines: BTreeMap<CallId, u64>,
    /// Who passed a customer on, by the customer's call, and since when they hear each other all the same.
    pub(super) passed: BTreeMap<CallId, (AgentId, Option<u64>)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    ended: bool,
}

impl Oracle {
    pub(super) fn all_done(&self) -> bool {
        self.callbacks.values().all(|fate| fate.ended) && self.contacts.values().all(|done| *done)
    }

    /// Callbacks and contacts on durable record.
    pub(super) fn requests(&self) -> Vec<String> {
        let callbacks = self.callbacks.keys().map(|id| id.0.clone());
        callbacks.chain(self.contacts.keys().map(|id| id.0.clone())).collect()
    }
}

impl World {
    /// A record became durable.
    pub(super) fn judge_record(&mut self, fact: &Fact) {
        self.judge_caller_record(fact);
        match fact {
            Fact::CallbackAdded(spec) => {
                self.oracle.callbacks.insert(spec.id.clone(), Fate::default());
            }
            Fact::CallbackEnded { id, .. } => {
                self.outcome.callbacks += 1;
                let fate = self.oracle.callbacks.entry(id.clone()).or_default();
                if std::mem::replace(&mut fate.ended, true) {
                    self.violate(format!("callback {id} ended twice"));
                }
            }
            Fact::CallbackDialled { id, call, agent, .. } => {
                let ended = self.oracle.callbacks.get(id).is_none_or(|fate| fate.ended);
                if ended {
                    self.violate(format!("callback {id} is dialled although it ended, or was never taken"));
                }
                if self.oracle.talked.contains(id) && self.oracle.engine_crashes.is_empty() {
                    self.violate(format!("callback {id} is done twice"));
                }
                self.oracle.dialled.insert(*call, (Some(id.clone()), agent.clone()));
                self.book(*call, agent.clone());
            }
            Fact::ContactAdded { id, .. } => {
                self.oracle.contacts.insert(id.clone(), false);
            }
            Fact::ContactDialled { call, agent, .. } => {
                self.oracle.dialled.insert(*call, (None, agent.clone()));
                self.book(*call, agent.clone());
            }
            Fact::ContactResult { id, again_ms: None, .. } => {
                self.oracle.contacts.insert(id.clone(), true);
            }
            Fact::Connected { call, agent } => {
                self.oracle.passed.remove(call);
                self.book(*call, agent.clone());
            }
            Fact::Transferred { call, agent, .. } => {
                self.oracle.passed.insert(*call, (agent.clone(), None));
            }
            _ => {}
        }
    }

    fn book(&mut self, call: CallId, agent: AgentId) {
        self.oracle.booked.entry(call).or_default().insert(agent.clone());
        self.oracle.last_booked.insert(call, agent);
    }

    pub(super) fn judge_call_view(&mut self, view: &CallView) {
        if let (Some(agent), Ok(call)) = (&view.agent, view.id.parse())
            && view.ended_ms.is_none()
        {
            self.book(CallId(call), agent.clone());
        }
    }

    /// Control commands a call.
    pub(super) fn judge_command(&mut self, call: CallId, command: &SipCommand) {
        self.judge_drop(call, command);
        match command {
            SipCommand::HangUp { .. } | SipCommand::Reject { .. } => {
                self.oracle.hung_up.insert(call);
                if let Some(peer) = self.network.peers.get_mut(&call) {
                    peer.hung_up = true;
                }
            }
            SipCommand::Dial { target: Target::Trunk { number }, .. } if number.starts_with(GUESTS) => {}
            SipCommand::Dial { target: Target::Trunk { number }, .. } => self.judge_dial(call, number),
            SipCommand::Dial { target: Target::Registered { aor }, .. } => {
                let calling = |who: &Who, state, hung_up: bool| {
                    *who == Who::Phone(AgentId(aor.clone())) && state != PeerState::Over && !hung_up
                };
                let twice = self
                    .network
                    .peers
                    .values()
                    .any(|peer| calling(&peer.who, peer.state, peer.hung_up || !peer.known));
                if twice {
                    self.violate(format!("the phone of {aor} is called twice"));
                }
            }
            _ => {}
        }
    }

    fn judge_dial(&mut self, call: CallId, number: &str) {
        let Some((_, agent)) = self.oracle.dialled.get(&call).cloned() else {
            self.violate(format!("customer {number} is dialled before the attempt is on durable record"));
            return;
        };
        let ringing = self
            .network
            .peers
            .iter()
            .find(|(_, peer)| peer.number == number && peer.state != PeerState::Over);
        if let Some((other, _)) = ringing {
            let other = *other;
            self.violate(format!(
                "customer {number} is dialled while call {other} to the same number is not over"
            ));
            return;
        }
        // The leg may have been closed while the attempt was being written; a CANCEL follows then.
        let prefix = format!("a-{agent}-");
        let asked = self.engine.asked.iter().filter(|(name, _)| name.starts_with(&prefix));
        let proof = asked.map(|(_, asked)| *asked).max_by_key(|(at, _)| *at);
        match proof {
            Some((at, Some(age))) if self.now_us - at + age <= 1_150_000 => {}
            other => {
                self.violate(format!(
                    "customer {number} is dialled for {agent} without a fresh proof of the leg: {other:?}"
                ));
            }
        }
    }

    /// The INVITE leaves, unless a CANCEL follows it at once.
    pub(super) fn judge_invite(&mut self, call: CallId, number: &str) {
        let Some((_, agent)) = self.oracle.dialled.get(&call).cloned() else { return };
        if self.oracle.hung_up.contains(&call) {
            return;
        }
        let busy = self.network.peers.iter().find(|(other, peer)| {
            **other != call
                && !matches!(peer.who, Who::Phone(_))
                && peer.state != PeerState::Over
                && peer.known
                && !peer.hung_up
                && !self.oracle.machines.contains_key(other)
                && self.oracle.last_booked.get(other) == Some(&agent)
                && (if peer.talked {
                    peer.without_agent_us.is_none()
                } else {
                    // Answered and not joined at once: held, because the agent was lost or refused.
                    peer.who == Who::Customer && peer.answered_us.is_none_or(|at| self.now_us - at < SECOND)
                })
        });
        if let Some((other, _)) = busy {
            let other = *other;
            self.violate(format!("agent {agent} gets customer {number} while call {other} is theirs"));
        }
    }

    /// After every happening.
    pub(super) fn judge(&mut self) {
        let mut violation = None;
        let now_us = self.now_us;
        let mut talked = Vec::new();
        let mut overheard = BTreeSet::new();
        for (name, leg) in &self.engine.legs {
            let Some(partner) = &leg.partner else { continue };
            if !name.starts_with("a-") || !leg.hears {
                continue;
            }
            let Some(other) = self.engine.legs.get(partner) else { continue };
            let agent = agent_of(name);
            let Some(customer) = call_of(partner) else { continue };
            if partner.starts_with("a-") {
                let asked = [&agent, &agent_of(partner)].map(|agent| self.users.consulting.contains(agent));
                if asked == [false, false] {
                    violation =
                        Some(format!("{agent} hears the agent of {partner} without having asked for it"));
                }
                continue;
            }
            if self.oracle.passed.get(&customer).is_some_and(|(by, _)| *by == agent) {
                overheard.insert(customer);
            }
            let booked = self.oracle.booked.get(&customer).is_some_and(|agents| agents.contains(&agent));
            if !booked && other.hears {
                violation = Some(format!(
                    "{agent} and call {customer} hear each other, but control never booked that"
                ));
            }
            if other.hears {
                talked.push((customer, leg.call));
            }
        }
        let engine_obeys = self.engine.reachable && self.shell.core.is_some();
        for (call, (agent, since_us)) in &mut self.oracle.passed {
            if !overheard.contains(call) || !engine_obeys {
                *since_us = None;
            } else if now_us - *since_us.get_or_insert(now_us) > OVERHEARD_US {
                violation = Some(format!("{agent} still hears call {call}, which was passed on"));
            }
        }
        for (customer, phone) in &talked {
            let phone_up = self.network.peers.get(phone).is_some_and(|peer| peer.state == PeerState::Up);
            let Some(peer) = self.network.peers.get_mut(customer) else { continue };
            if peer.state == PeerState::Up && phone_up {
                if !peer.talked {
                    peer.talked = true;
                    self.outcome.conversations += 1;
                }
                let since_us = *peer.talking_us.get_or_insert(now_us);
                if now_us - since_us > CONVERSATION_US
                    && !self.oracle.machines.contains_key(customer)
                    && let Some((Some(callback), _)) = self.oracle.dialled.get(customer)
                {
                    self.oracle.talked.insert(callback.clone());
                }
                peer.without_agent_us = None;
            }
        }
        let served: BTreeSet<CallId> = talked.iter().map(|(customer, _)| *customer).collect();
        let entertained: BTreeSet<CallId> =
            self.engine.legs.values().filter(|leg| leg.play.is_some()).map(|leg| leg.call).collect();
        for (call, peer) in &mut self.network.peers {
            let abandoned = peer.state != PeerState::Up || matches!(peer.who, Who::Phone(_)) || peer.hung_up;
            let message = self.oracle.machines.get(call).is_some_and(|at| now_us < at + MESSAGE_US);
            // Only the peer itself can end a call whose dialog died with control.
            if abandoned || (!peer.known && !peer.snapshot_durable) {
                peer.alone_us = None;
                peer.without_agent_us = None;
                continue;
            }
            if served.contains(call) || entertained.contains(call) {
                peer.alone_us = None;
            }
            let alone_us = now_us - *peer.alone_us.get_or_insert(now_us);
            if message {
                peer.without_agent_us = None;
                if alone_us > BEEP_US {
                    violation = Some(format!(
                        "what answered at {} waits for its message for {} s",
                        peer.number,
                        alone_us / SECOND
                    ));
                }
                continue;
            }
            if !served.contains(call) {
                let without_us = now_us - *peer.without_agent_us.get_or_insert(now_us);
                if without_us > WITHOUT_AGENT_US && peer.who == Who::Customer {
                    violation = Some(format!(
                        "customer {} has been without an agent for {} s",
                        peer.number,
                        without_us / SECOND
                    ));
                }
            }
            if alone_us > ALONE_US {
                violation =
                    Some(format!("customer {} has heard nobody for {} s", peer.number, alone_us / SECOND));
            }
        }
        if let Some(violation) = violation {
            self.violate(violation);
        }
    }

    /// Whether everything has come to rest.
    pub(super) fn is_over(&self) -> bool {
        self.shell.core.as_ref().is_some_and(offhook_control_core::Core::is_quiet)
            && self.network.peers.values().all(|peer| peer.state == PeerState::Over)
            && self.oracle.all_done()
    }

    /// At the very end.
    pub(super) fn judge_end(&mut self) {
        let open: Vec<_> =
            self.oracle.callbacks.iter().filter(|(_, fate)| !fate.ended).map(|(id, _)| id.clone()).collect();
        if let Some(id) = open.first() {
            self.violate(format!("callback {id} never ended"));
        }
        if let Some(id) =
            self.users.callbacks.iter().find(|id| !self.oracle.callbacks.contains_key(*id)).cloned()
        {
            self.violate(format!("callback {id} was confirmed, and is not on record"));
        }
        if let Some(id) =
            self.users.contacts.iter().find(|id| !self.oracle.contacts.contains_key(*id)).cloned()
        {
            self.violate(format!("contact {id} was confirmed, and is not on record"));
        }
        if let Some((id, _)) = self.oracle.contacts.iter().find(|(_, done)| !**done) {
            self.violate(format!("contact {id} was never done"));
        }
        if let Some((call, peer)) = self.network.peers.iter().find(|(_, peer)| peer.state != PeerState::Over)
        {
            self.violate(format!("call {call} to {} was left open", peer.number));
        }
        if !self.shell.core.as_ref().is_some_and(offhook_control_core::Core::is_quiet) {
            self.violate("control holds on to a call, a request or an interaction".to_owned());
        }
        if let Some(leg) = self.engine.legs.keys().next().cloned() {
            self.violate(format!("engine leg {leg} was left open"));
        }
        self.judge_reports();
    }
}

fn agent_of(leg: &str) -> AgentId {
    let rest = leg.strip_prefix("a-").and_then(|rest| rest.rsplit_once('-'));
    AgentId(rest.map_or("", |(agent, _)| agent).to_owned())
}

/// Shorter encounters are none: nobody can say whether they heard each other.
const CONVERSATION_US: u64 = SECOND / 2;
/// How long the engine may take to part an agent from a customer who was passed on.
const OVERHEARD_US: u64 = 3 * SECOND;
/// How long control may wait for the beep of a machine, and then hang up or speak.
const BEEP_US: u64 = 45 * SECOND;
/// How long a machine may be left a message.
const MESSAGE_US: u64 = 160 * SECOND;
/// How long an answered customer may hear neither an agent nor an announcement.
const ALONE_US: u64 = 15 * SECOND;
/// How long a called customer may be without an agent, announcement or not.
const WITHOUT_AGENT_US: u64 = 45 * SECOND;
