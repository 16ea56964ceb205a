//! What follows when a leg is open, joined, gone or refused.

use crate::CallId;
use crate::agent::Agent;
use crate::call::{Role, State};
use crate::core::Core;
use crate::interaction::{Event, Outcome, Stage};
use crate::leg::{Aspect, Link};

impl Core {
    /// A leg is open: what waited for its address goes on.
    pub(super) fn on_leg_open(&mut self, id: CallId) {
        let now_us = self.now.mono_us;
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.opened_us = Some(now_us);
        if matches!(call.state, State::Up | State::Restoring) && !call.leg.knows_peer() {
            // Only the engine's former run knew where the peer is: the peer is asked, even if we are where we were.
            call.offered = None;
        }
        match (call.state, call.role.clone()) {
            (State::Opening, Role::Agent(_)) => self.send_dial(id),
            (State::Opening, Role::Customer(interaction)) => {
                self.on_customer_leg_open(interaction);
                // It was open before, in a run of the engine that is gone.
                self.drive_partner(id);
            }
            (State::Arriving, _) => self.send_answer(id),
            (State::Up, _) => {
                self.reoffer_if_moved(id);
                self.drive_partner(id);
            }
            (State::Dialling | State::Ringing | State::Restoring, _) => self.drive_partner(id),
            (State::Opening | State::Discarding | State::Ending | State::Over, _) => {}
        }
    }

    /// The agent's leg whose splice waits for this customer's leg.
    fn drive_partner(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        if let Role::Customer(interaction) = call.role
            && let Some(leg) = self.agent_call_of(interaction)
        {
            self.drive(leg);
        }
    }

    /// A leg's splice or parking is as wanted.
    pub(super) fn on_linked(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let both = matches!(call.leg.link_wanted(), Link::Spliced { hears: true, heard: true, .. });
        if let (true, Role::Agent(agent)) = (both, call.role.clone())
            && let Some(interaction) = self.agents.get(&agent).and_then(Agent::interaction)
        {
            self.on_open(interaction);
            self.on_spliced(interaction);
        }
    }

    /// What no event has told of a leg: whether it is heard, and that a play has ended.
    pub(super) fn on_leg_seen(&mut self, id: CallId, silent: Option<bool>, ended: Option<&str>) {
        if let Some(play) = ended {
            self.on_play_end(id, play);
        }
        match silent {
            Some(true) => self.on_silent(id),
            Some(false) => self.on_alive(id),
            None => {}
        }
    }

    /// A leg that is still wanted is gone: it is opened again, and the peer is told the new address (BY-09).
    pub(super) fn on_leg_gone(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.leg.failures += 1;
        let agent = match call.role {
            Role::Customer(interaction) => self.agent_call_of(interaction),
            Role::Agent(_) | Role::Orphan => None,
        };
        if let Some(agent) = agent.and_then(|agent| self.calls.get_mut(&agent)) {
            agent.leg.on_partner_gone();
        }
        self.drive(id);
    }

    /// The engine lost the leg, not the peer the phone: it is opened again under the open call.
    pub(super) fn reopen_leg(&mut self, id: CallId) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.leg.on_gone();
        }
        self.on_leg_gone(id);
    }

    /// The engine will not do what a leg needs.
    pub(super) fn on_leg_refused(&mut self, id: CallId, aspect: Aspect, code: offhook_proto::ErrorCode) {
        let Some(call) = self.calls.get(&id) else { return };
        let tries_left = call.leg.failures <= crate::limits::ENGINE_RETRIES;
        if aspect == Aspect::Link && code == offhook_proto::ErrorCode::LegNotFound && tries_left {
            let partner = call.leg.partner().and_then(|partner| self.legs.get(partner)).copied();
            if let Some(partner) = partner.and_then(|partner| self.calls.get_mut(&partner)) {
                partner.leg.doubt();
                let partner = partner.id;
                self.drive(partner);
            }
            return;
        }
        match call.role.clone() {
            Role::Agent(agent) => {
                let spliced = matches!(call.leg.link_wanted(), Link::Spliced { .. });
                let interaction = self.agents.get(&agent).and_then(Agent::interaction);
                match (aspect, interaction) {
                    (Aspect::Link, Some(interaction)) if spliced => {
                        self.give_up(interaction, Outcome::Engine);
                    }
                    (Aspect::Link, _) => {}
                    (Aspect::Life | Aspect::Play, _) => self.lose_leg(&agent, "engine"),
                }
            }
            Role::Customer(interaction) => self.give_up(interaction, Outcome::Engine),
            Role::Orphan => self.hang_up(id, "engine"),
        }
    }

    /// The engine made the splice.
    pub(super) fn on_spliced(&mut self, interaction: u64) {
        if self.interactions.get(&interaction).is_some_and(|found| found.stage == Stage::Joining)
            && self.step(interaction, Event::Spliced).is_some()
        {
            self.on_connected(interaction);
        }
    }

    /// The leg's call of the agent who has an interaction.
    pub(crate) fn agent_call_of(&self, interaction: u64) -> Option<CallId> {
        let agent = self.interactions.get(&interaction)?.agent.as_ref()?;
        self.agents.get(agent)?.call
    }
}
