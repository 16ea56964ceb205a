//! Who hears whom, checked after every step.

use std::collections::BTreeSet;

use offhook_control_core::CallId;
use offhook_proto::DtmfMode;

use super::engines::{SimEngine, SimLeg, call_of};
use super::network::{Peer, PeerState, Who};
use super::oracle::agent_of;
use super::world::{SECOND, World};

/// What agents' legs bring to ears at one moment.
#[derive(Default)]
struct Hearing {
    /// Customers who are joined with an agent.
    joined: Vec<CallId>,
    /// Those who hear each other.
    talks: Vec<Talk>,
    /// Customers whom the agent hears who passed them on.
    overheard: BTreeSet<CallId>,
    /// Customers whose keys are heard.
    keys_heard: BTreeSet<CallId>,
    violations: Vec<String>,
}

struct Talk {
    customer: CallId,
    /// The agent's phone.
    phone: CallId,
    /// What happens on an engine that is cut off nobody can know.
    is_known: bool,
}

impl World {
    /// After every happening.
    pub(super) fn judge(&mut self) {
        self.judge_bookings();
        let heard = self.hearing();
        let violations = heard.violations.iter().cloned();
        violations.for_each(|violation| self.violate(violation));
        heard.joined.iter().for_each(|customer| self.ledger_hears(*customer));
        self.judge_passed(&heard.overheard);
        self.judge_blocked(&heard.keys_heard);
        heard.talks.iter().for_each(|talk| self.judge_talk(talk));
        self.judge_alone(&heard.talks.iter().map(|talk| talk.customer).collect());
    }

    fn hearing(&self) -> Hearing {
        let mut heard = Hearing::default();
        for engine in &self.engines {
            for (name, leg) in engine.legs.iter().filter(|(name, leg)| name.starts_with("a-") && leg.hears) {
                self.listen_in(engine, name, leg, &mut heard);
            }
        }
        heard
    }

    /// An agent's leg hears its partner.
    fn listen_in(&self, engine: &SimEngine, name: &str, leg: &SimLeg, heard: &mut Hearing) {
        let Some((partner, other)) = leg.partner.as_ref().and_then(|name| engine.legs.get_key_value(name))
        else {
            return;
        };
        let agent = agent_of(name);
        let Some(customer) = call_of(partner) else { return };
        if partner.starts_with("a-") {
            if !self.may_consult([&agent, &agent_of(partner)]) {
                let violation = format!("{agent} hears the agent of {partner} without having asked for it");
                heard.violations.push(violation);
            }
            return;
        }
        // Whoever sends to another address is not heard here.
        let feeds = |leg: &SimLeg| {
            let peer = self.network.peers.get(&leg.call);
            leg.has_remote && peer.is_some_and(|peer| peer.sends_to == Some(leg.rtp))
        };
        let is_known = engine.is_reachable();
        if is_known && feeds(other) {
            if self.oracle.passed.get(&customer).is_some_and(|(by, _)| *by == agent) {
                heard.overheard.insert(customer);
            }
            if other.dtmf != DtmfMode::Block {
                heard.keys_heard.insert(customer);
            }
        }
        if !other.hears {
            return;
        }
        heard.joined.push(customer);
        if !self.is_booked(customer, &agent) {
            heard
                .violations
                .push(format!("{agent} and call {customer} hear each other, but control never booked that"));
        }
        if feeds(leg) && feeds(other) {
            heard.talks.push(Talk { customer, phone: leg.call, is_known });
        }
    }

    /// Who passed a customer on does not hear them for long.
    fn judge_passed(&mut self, overheard: &BTreeSet<CallId>) {
        let (now_us, lives) = (self.now_us, self.shell.core.is_some());
        let mut violations = Vec::new();
        for (call, (agent, since_us)) in &mut self.oracle.passed {
            if lasted_us(since_us, lives && overheard.contains(call), now_us) > OVERHEARD_US {
                violations.push(format!("{agent} still hears call {call}, which was passed on"));
            }
        }
        violations.into_iter().for_each(|violation| self.violate(violation));
    }

    /// Nobody hears for long what is keyed in and to be blocked.
    fn judge_blocked(&mut self, keys_heard: &BTreeSet<CallId>) {
        let (now_us, lives) = (self.now_us, self.shell.core.is_some());
        let mut violations = Vec::new();
        for (call, since_us) in &mut self.oracle.blocked {
            if lasted_us(since_us, lives && keys_heard.contains(call), now_us) > KEYS_HEARD_US {
                violations.push(format!("what call {call} keys in is heard, which was to be blocked"));
            }
        }
        violations.into_iter().for_each(|violation| self.violate(violation));
    }

    /// A customer and an agent hear each other.
    fn judge_talk(&mut self, talk: &Talk) {
        let (now_us, lives) = (self.now_us, self.shell.core.is_some());
        let phone = self.network.peers.get(&talk.phone);
        let dumb = phone.is_some_and(|peer| peer.dead_us.is_some());
        let phone_up = phone.is_some_and(|peer| peer.state == PeerState::Up);
        let Some(peer) = self.network.peers.get_mut(&talk.customer) else { return };
        let up = peer.state == PeerState::Up;
        let mute_us = lasted_us(&mut peer.mute_us, dumb && lives && up && !peer.hung_up, now_us);
        if up && phone_up {
            if !peer.talked {
                peer.talked = true;
                self.outcome.conversations += 1;
            }
            peer.without_agent_us = None;
            let since_us = *peer.talking_us.get_or_insert(now_us);
            if now_us - since_us > CONVERSATION_US && talk.is_known {
                self.oracle.on_conversation(talk.customer);
            }
        }
        if mute_us > MUTE_US {
            self.violate(format!("call {} is left with an agent whose phone is dead", talk.customer));
        }
    }

    /// No customer hears nobody for long, except those who talk.
    fn judge_alone(&mut self, served: &BTreeSet<CallId>) {
        let (now_us, lives) = (self.now_us, self.shell.core.is_some());
        let legs = self.engines.iter().flat_map(|engine| engine.legs.values());
        let entertained: BTreeSet<CallId> =
            legs.filter(|leg| leg.play.is_some() && leg.has_remote).map(|leg| leg.call).collect();
        let mut violations = Vec::new();
        for (call, peer) in &mut self.network.peers {
            let is_served = served.contains(call);
            if !is_served {
                peer.mute_us = None;
            }
            if is_nobodys(peer) {
                (peer.alone_us, peer.without_agent_us) = (None, None);
                continue;
            }
            let is_alone = !is_served && !entertained.contains(call);
            let alone_us = lasted_us(&mut peer.alone_us, is_alone, now_us);
            let (number, alone_s) = (&peer.number, alone_us / SECOND);
            if self.oracle.machines.get(call).is_some_and(|at| now_us < at + MESSAGE_US) {
                peer.without_agent_us = None;
                if alone_us > BEEP_US {
                    violations
                        .push(format!("what answered at {number} waits for its message for {alone_s} s"));
                }
                continue;
            }
            if !is_served {
                let since_us = *peer.without_agent_us.get_or_insert(now_us);
                let without_us = now_us.saturating_sub(since_us.max(self.oracle.disturbed_us));
                if without_us > WITHOUT_AGENT_US && peer.who == Who::Customer {
                    let without_s = without_us / SECOND;
                    violations.push(format!("customer {number} has been without an agent for {without_s} s"));
                }
            }
            if alone_us > ALONE_US && lives {
                violations.push(format!("customer {number} has heard nobody for {alone_s} s"));
            }
        }
        violations.into_iter().for_each(|violation| self.violate(violation));
    }
}

/// Whether control owes nothing to it. Only the peer itself can end a call whose dialog died with control.
fn is_nobodys(peer: &Peer) -> bool {
    let over = peer.state != PeerState::Up || matches!(peer.who, Who::Phone(_)) || peer.hung_up;
    over || (!peer.known && !peer.snapshot_durable)
}

/// How long something has been so, which is so now or not.
fn lasted_us(since_us: &mut Option<u64>, is_so: bool, now_us: u64) -> u64 {
    if !is_so {
        *since_us = None;
    }
    if is_so { now_us - *since_us.get_or_insert(now_us) } else { 0 }
}

/// Shorter encounters are none: nobody can say whether they heard each other.
const CONVERSATION_US: u64 = SECOND / 2;
/// How long the engine may take to part an agent from a customer who was passed on.
const OVERHEARD_US: u64 = 3 * SECOND;
/// How long it may take to block a customer's keys again, after control and an engine have died together.
const KEYS_HEARD_US: u64 = 8 * SECOND;
/// How long a customer may be joined with an agent whose phone sends nothing.
const MUTE_US: u64 = 25 * SECOND;
/// How long control may wait for the beep of a machine, and then hang up or speak.
const BEEP_US: u64 = 45 * SECOND;
/// How long a machine may be left a message.
const MESSAGE_US: u64 = 160 * SECOND;
/// How long an answered customer may hear neither an agent nor an announcement, while there is a control that could mend it.
const ALONE_US: u64 = 15 * SECOND;
/// How long a called customer may be without an agent, announcement or not, while no agent gets out of the way.
const WITHOUT_AGENT_US: u64 = 45 * SECOND;
