//! What must never happen, checked after every step.

use std::collections::{BTreeMap, BTreeSet};

use offhook_control_core::record::Fact;
use offhook_control_core::sip::{SipCommand, Target};
use offhook_control_core::view::CallView;
use offhook_control_core::{AgentId, CallId, CallbackId, ContactId};

use super::calendar::Calendar;
use super::callbacks::Requests;
use super::engines::call_of;
use super::flows::Callers;
use super::ledger::Ledger;
use super::network::{GUESTS, Peer, PeerState, Who};
use super::office::HOMES;
use super::operations::Operations;
use super::order::Order;
use super::world::{SECOND, World};

#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) callers: Callers,
    pub(super) calendar: Calendar,
    pub(super) requests: Requests,
    pub(super) order: Order,
    pub(super) operations: Operations,
    pub(super) ledger: Ledger,
    /// Whom callbacks and contacts are for, and who is not to be called: on durable record.
    pub(super) numbers: BTreeMap<String, String>,
    pub(super) unwanted: BTreeSet<String>,
    callbacks: BTreeMap<CallbackId, Fate>,
    contacts: BTreeMap<ContactId, bool>,
    /// Attempts on durable record, by call.
    dialled: BTreeMap<CallId, (Option<CallbackId>, AgentId)>,
    /// Every agent whom control ever named for a call.
    booked: BTreeMap<CallId, BTreeSet<AgentId>>,
    last_booked: BTreeMap<CallId, AgentId>,
    /// When an agent last got out of the way, or control died: whoever waits does so anew.
    pub(super) disturbed_us: u64,
    /// When an engine died last.
    pub(super) engine_died_us: Option<u64>,
    /// Callbacks of whose conversation nothing may be left but the customer's memory: control and an engine died together.
    forgotten: BTreeSet<CallbackId>,
    /// Legs that an engine had no room for.
    pub(super) refused: BTreeSet<String>,
    /// Control has asked for the end of these.
    pub(super) hung_up: BTreeSet<CallId>,
    /// Callbacks whose customer talked with an agent.
    talked: BTreeSet<CallbackId>,
    /// Calls on which something else than a person is found, and when: they may be withdrawn after a conversation, and be left a
    /// message without an agent.
    pub(super) machines: BTreeMap<CallId, u64>,
    /// Who passed a customer on, by the customer's call, and since when they hear each other all the same.
    pub(super) passed: BTreeMap<CallId, (AgentId, Option<u64>)>,
    /// Customers whose keys nobody is to hear, on durable record, and since when somebody does all the same.
    pub(super) blocked: BTreeMap<CallId, Option<u64>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    ended: bool,
}

impl Oracle {
    pub(super) fn all_done(&self) -> bool {
        self.callbacks.values().all(|fate| fate.ended) && self.contacts.values().all(|done| *done)
    }

    /// Nobody is left who knows of the conversations until now.
    pub(super) fn forget_talks(&mut self) {
        self.forgotten.extend(self.talked.iter().cloned());
    }

    /// A customer and an agent have talked.
    pub(super) fn on_conversation(&mut self, customer: CallId) {
        let dialled = self.dialled.get(&customer).and_then(|(callback, _)| callback.as_ref());
        let callback = dialled.or_else(|| self.requests.called_in.get(&customer));
        if !self.machines.contains_key(&customer)
            && let Some(callback) = callback
        {
            self.talked.insert(callback.clone());
        }
    }

    /// Whether the customer of a callback talked with an agent, and somebody knows.
    pub(super) fn was_talked_about(&self, id: &CallbackId) -> bool {
        self.talked.contains(id) && !self.forgotten.contains(id)
    }

    /// Callbacks and contacts on durable record.
    pub(super) fn on_record(&self) -> Vec<String> {
        let callbacks = self.callbacks.keys().map(|id| id.0.clone());
        callbacks.chain(self.contacts.keys().map(|id| id.0.clone())).collect()
    }
}

impl World {
    /// A record became durable.
    pub(super) fn judge_record(&mut self, fact: &Fact) {
        self.judge_caller_record(fact);
        self.judge_request_record(fact);
        self.judge_list(fact);
        self.judge_operation_record(fact);
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
                if self.oracle.was_talked_about(id) {
                    self.violate(format!("callback {id} is done twice"));
                }
                self.oracle.dialled.insert(*call, (Some(id.clone()), agent.clone()));
                self.book(*call, agent.clone());
            }
            Fact::ContactAdded { id, .. } => {
                self.oracle.contacts.insert(id.clone(), false);
            }
            Fact::ContactRemoved { id } => {
                self.oracle.contacts.insert(id.clone(), true);
            }
            Fact::ContactDialled { id, call, agent, .. } => {
                if self.oracle.contacts.get(id) != Some(&false) {
                    self.violate(format!("contact {id} is dialled although it is done, or was never taken"));
                }
                self.oracle.dialled.insert(*call, (None, agent.clone()));
                self.book(*call, agent.clone());
            }
            Fact::ContactResult { id, again_ms: None, .. } => {
                self.oracle.contacts.insert(id.clone(), true);
            }
            Fact::Connected { call, agent, .. } => {
                self.oracle.passed.remove(call);
                self.book(*call, agent.clone());
            }
            Fact::KeysBlocked { call, blocked: true } => {
                self.oracle.blocked.insert(*call, None);
            }
            Fact::KeysBlocked { call, blocked: false } => {
                self.oracle.blocked.remove(call);
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

    /// Whether either of two agents ever asked to speak with another.
    pub(super) fn may_consult(&self, agents: [&AgentId; 2]) -> bool {
        agents.into_iter().any(|agent| self.users.consulting.contains(agent))
    }

    /// Whether control ever named an agent for a call.
    pub(super) fn is_booked(&self, customer: CallId, agent: &AgentId) -> bool {
        self.oracle.booked.get(&customer).is_some_and(|agents| agents.contains(agent))
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
                if let SipCommand::HangUp { reason } = command {
                    self.judge_hang_up(call, reason);
                }
                self.oracle.hung_up.insert(call);
                if let Some(peer) = self.network.peers.get_mut(&call) {
                    peer.hung_up = true;
                }
            }
            SipCommand::Dial { target: Target::Registered { aor: phone } | Target::Uri(phone), .. } => {
                self.judge_phone(phone);
            }
            SipCommand::Dial { target: Target::Trunk { number }, .. } => match number {
                home if home.starts_with(HOMES) => self.judge_phone(home),
                guest if guest.starts_with(GUESTS) => {}
                customer => self.judge_dial(call, customer),
            },
            _ => {}
        }
    }

    /// An agent's phone is called.
    fn judge_phone(&mut self, phone: &str) {
        let who = Who::Phone(AgentId(phone.to_owned()));
        let over = |peer: &Peer| peer.hung_up || !peer.known;
        let called = |peer: &Peer| peer.who == who && peer.state != PeerState::Over && !over(peer);
        if self.network.peers.values().any(called) {
            self.violate(format!("the phone of {phone} is called twice"));
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
        let asked = self.engines.iter().flat_map(|engine| &engine.asked);
        let asked = asked.filter(|(name, _)| name.starts_with(&prefix));
        // A leg that was never heard where it is now has no proof of its own; one that was asked may have died with its engine.
        let legs = self.engines.iter().flat_map(|engine| engine.legs.keys().chain(engine.asked.keys()));
        let mut phones = legs.filter(|name| name.starts_with(&prefix)).filter_map(|name| call_of(name));
        let vouched = phones.any(|phone| self.has_vouched(phone, 1_150_000));
        // What is asked of a former leg, to delete it, proves nothing of the one that is used.
        let proof = asked.max_by_key(|(name, (at, _))| (call_of(name), *at)).map(|(_, asked)| *asked);
        match proof {
            Some((at, Some(age))) if self.now_us - at + age <= 1_150_000 => {}
            _ if vouched => {}
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
                && self.oracle.passed.get(other).is_none_or(|(by, _)| *by != agent)
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

    /// Whether everything has come to rest.
    pub(super) fn is_over(&self) -> bool {
        self.shell.core.as_ref().is_some_and(offhook_control_core::Core::is_quiet)
            && self.network.peers.values().all(|peer| peer.state == PeerState::Over)
            && self.oracle.all_done()
            && self.are_engines_settled()
            && self.shell.is_durable()
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
        let mut legs = self.engines.iter().flat_map(|engine| engine.legs.keys());
        if let Some(leg) = legs.next().cloned() {
            self.violate(format!("engine leg {leg} was left open"));
        }
        self.judge_operations();
        self.judge_ledger();
        self.judge_reports();
    }
}

/// Whose leg it is; of a number that was called for one customer, under the name that it has as an agent.
pub(super) fn agent_of(leg: &str) -> AgentId {
    let rest = leg.strip_prefix("a-").and_then(|rest| rest.rsplit_once('-'));
    AgentId(rest.map_or("", |(agent, _)| agent).to_owned())
}
