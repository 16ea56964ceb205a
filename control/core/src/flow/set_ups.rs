//! INVITEs that had no answer when the run before died (BY-10): a customer's phone rings on for the agent who was to have them,
//! every other is cancelled.

use crate::agent::Activity;
use crate::call::Role;
use crate::core::Core;
use crate::flow::replay::SetUp;
use crate::flow::restart::Past;
use crate::flow::taken_up::TakenUp;
use crate::interaction::{Source, Stage, Way};
use crate::record::CallKind;
use crate::timer::Timer;
use crate::{AgentId, CallId};

impl Core {
    /// The customer is waited for, or has picked up meanwhile. The agent is busy with them, as before.
    pub(super) fn ring_on(&mut self, past: &Past<'_>, set_up: SetUp, agent: &AgentId) {
        let mut interaction = self.interaction_of(past);
        let id = interaction.id;
        interaction.stage = Stage::Dialling;
        interaction.way = Way::Outbound;
        interaction.agent = Some(agent.clone());
        let (kind, number) = (interaction.kind(), interaction.number.clone());
        self.own(id, &interaction.source);
        self.interactions.insert(id, interaction);
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.activity = Activity::Busy { interaction: id };
        }
        self.handling.start(id, self.now.mono_us);
        let role = Role::Customer(id);
        let taken_up = Some(TakenUp::SetUp(set_up));
        self.restore(past.call, kind, role, number, Some(agent.clone()), taken_up, past.info.as_ref());
        self.arm(Timer::Ended(past.call), RING_MS);
        self.splice(id, false);
        self.source_changed(id);
        self.agent_changed(agent);
    }

    /// Callback or contact are the interaction's, and wait in no queue.
    pub(super) fn own(&mut self, id: u64, source: &Source) {
        match source {
            Source::Callback(callback) => {
                self.leave_queue_of(callback);
                if let Some(callback) = self.callbacks.get_mut(callback) {
                    callback.interaction = Some(id);
                }
            }
            Source::Contact(contact) => {
                if let Some(contact) = self.contacts.get_mut(contact) {
                    contact.interaction = Some(id);
                }
            }
            Source::Caller => {}
        }
    }

    /// A phone that nobody waits for any more rings no longer.
    pub(super) fn stop_ringing(&mut self, call: CallId, set_up: SetUp) {
        let taken_up = Some(TakenUp::SetUp(set_up));
        self.restore(call, CallKind::AgentLeg, Role::Orphan, String::new(), None, taken_up, None);
        self.hang_up(call, "restart");
        self.arm(Timer::Ended(call), RING_MS);
    }
}

/// Longer than the adaptor lets any phone ring, and takes to cancel.
const RING_MS: u64 = 240_000;
