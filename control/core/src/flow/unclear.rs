//! Attempts, and calls of customers, of which a new run does not know yet how they ended: until the engines have told, nothing else
//! ends or moves their callbacks (BY-10). No request, time, setting or step of a flow parts a customer from an agent for that.

use std::collections::BTreeSet;

use crate::api::ApiError;
use crate::callback::State;
use crate::core::{Changed, Core};
use crate::interaction::Outcome;
use crate::mutation::Mutation;
use crate::{AgentId, CallbackId};

impl Core {
    /// Callbacks whose customer may be on the line, by the journal, wait for the engines' word.
    pub(super) fn note_unclear_callbacks(&mut self) {
        let called_in: BTreeSet<CallbackId> = self.replayed.called_in.values().cloned().collect();
        let mut unclear = Vec::new();
        for (id, callback) in self.callbacks.iter_mut().filter(|(_, found)| !found.is_over()) {
            let dialled = callback.running.is_some();
            if dialled || called_in.contains(id) {
                callback.unclear = true;
                callback.state = if dialled { State::Processing } else { State::Queued };
                unclear.push(id.clone());
            }
        }
        unclear.into_iter().for_each(|id| self.changed(Changed::Callback(id)));
    }

    /// All that can be known is known. An attempt of which nobody told counts as unknown, and is made again when the phone cannot ring
    /// any more; who called may call again. What had to wait for this takes place.
    pub(super) fn forget_attempts(&mut self) {
        let unclear = self.callbacks.iter().filter(|(_, found)| found.unclear);
        let unclear: Vec<CallbackId> = unclear.map(|(id, _)| id.clone()).collect();
        for id in &unclear {
            let Some(callback) = self.callbacks.get_mut(id) else { continue };
            callback.unclear = false;
            match (callback.interaction, &callback.running) {
                (Some(_), _) => {}
                (None, Some(_)) => self.conclude_callback(id, &Outcome::Unknown, false, false),
                (None, None) => {
                    self.refresh_callback(id);
                    self.after_attempt(id);
                }
            }
        }
        self.resume_callback_flows(&unclear);
        let contacts = self.contacts.values();
        let contacts = contacts.filter(|found| found.running.is_some() && found.interaction.is_none());
        let contacts: Vec<_> = contacts.map(|contact| contact.id.clone()).collect();
        for id in contacts {
            self.conclude_contact(&id, &Outcome::Unknown, false, false);
        }
    }

    /// Refuses what would take down a leg of the run before: its agent may be with a customer, who would be hung up on.
    pub(super) fn check_leg_is_clear(&self, agent: &AgentId) -> Result<(), ApiError> {
        if self.replayed.is_pending() && self.replayed.legs_up.contains_key(agent) {
            return Err(taking_up("the agent is with a customer"));
        }
        Ok(())
    }

    /// How long a phone that a dead process called may still ring.
    pub(crate) fn unknown_wait_ms(&self) -> u64 {
        if self.mutated(Mutation::RedialAtOnce) { 0 } else { UNKNOWN_RETRY_MS }
    }
}

/// What a request is told that has to wait for what the engines tell.
pub(super) fn taking_up(whether: &str) -> ApiError {
    let message = format!("control was restarted, and asks its engines whether {whether}");
    ApiError::new(503, "taking_up", message)
}

/// An INVITE of a dead process may ring as long as this: ring timeout and transaction (RFC 3261 section 13.2.2).
const UNKNOWN_RETRY_MS: u64 = 90_000;
