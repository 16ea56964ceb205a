//! Conversations of which one direction has no audio (BY-02): counted and shown. Nobody is hung up on for it: a phone may be muted.

use std::collections::BTreeMap;

use offhook_proto::AudioDirection;

use crate::CallId;
use crate::agent::Agent;
use crate::call::{Role, State};
use crate::core::{Changed, Core};
use crate::interaction::Stage;
use crate::record::{AudioPath, Fact};

impl Core {
    /// An engine says that a leg's direction has no audio, or has it again.
    pub(super) fn on_one_way(&mut self, leg: &str, direction: AudioDirection, is_lost: bool) {
        let Some(call) = self.legs.get(leg).and_then(|id| self.calls.get_mut(id)) else { return };
        if call.leg.open.is_none() || !call.leg.on_one_way(direction, is_lost) {
            return;
        }
        let role = call.role.clone();
        let Some(interaction) = self.conversation_of(&role).filter(|id| self.is_talking(*id)) else { return };
        let Some(customer) = self.customer_call_of(interaction) else { return };
        if let Some(path) = path(&role, direction).filter(|_| is_lost) {
            *self.projection.one_way.entry(path).or_default() += 1;
            if let Some(call) = self.calls.get_mut(&customer) {
                *call.one_way.entry(path).or_default() += 1;
                let times = call.one_way.clone();
                self.record(Fact::AudioMissed { call: customer, times });
            }
        }
        self.changed(Changed::Call(customer));
    }

    /// What an engine has said of a leg is over: its peer holds, or the two part, or what came after was lost.
    pub(super) fn forget_one_way(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if !call.leg.forget_one_way() {
            return;
        }
        let role = call.role.clone();
        if let Some(customer) = self.conversation_of(&role).and_then(|id| self.customer_call_of(id)) {
            self.changed(Changed::Call(customer));
        }
    }

    /// The directions of a customer's conversation that have no audio now.
    pub(super) fn one_way_of(&self, customer: CallId) -> Vec<AudioPath> {
        let Some(call) = self.calls.get(&customer).filter(|call| call.state == State::Up) else {
            return Vec::new();
        };
        let Role::Customer(interaction) = call.role else { return Vec::new() };
        if !self.is_talking(interaction) {
            return Vec::new();
        }
        let agent = self.agent_call_of(interaction).and_then(|agent| self.calls.get(&agent));
        let legs = [agent, Some(call)].into_iter().flatten();
        legs.flat_map(|call| call.leg.one_way().filter_map(|direction| path(&call.role, direction))).collect()
    }

    /// How often each direction had no audio.
    pub(super) fn one_way_figures(&self) -> BTreeMap<String, u64> {
        let times = |path| self.projection.one_way.get(&path).copied().unwrap_or_default();
        AudioPath::ALL.into_iter().map(|path| (path.name().to_owned(), times(path))).collect()
    }

    fn is_talking(&self, interaction: u64) -> bool {
        let found = self.interactions.get(&interaction);
        found.is_some_and(|found| matches!(found.stage, Stage::Joining | Stage::Connected))
    }

    fn conversation_of(&self, role: &Role) -> Option<u64> {
        match role {
            Role::Customer(interaction) => Some(*interaction),
            Role::Agent(agent) => self.agents.get(agent).and_then(Agent::interaction),
            Role::Orphan => None,
        }
    }

    fn customer_call_of(&self, interaction: u64) -> Option<CallId> {
        self.interactions.get(&interaction)?.call
    }
}

fn path(role: &Role, direction: AudioDirection) -> Option<AudioPath> {
    match (role, direction) {
        (Role::Agent(_), AudioDirection::FromPeer) => Some(AudioPath::FromAgent),
        (Role::Agent(_), AudioDirection::ToPeer) => Some(AudioPath::ToAgent),
        (Role::Customer(_), AudioDirection::FromPeer) => Some(AudioPath::FromCustomer),
        (Role::Customer(_), AudioDirection::ToPeer) => Some(AudioPath::ToCustomer),
        (Role::Orphan, AudioDirection::FromPeer | AudioDirection::ToPeer) => None,
    }
}
