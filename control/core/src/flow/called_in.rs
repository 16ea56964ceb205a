//! User-originated callbacks: the customer calls the access number and is joined to the agent (CB-09).

use serde_json::Value;

use crate::CallbackId;
use crate::callback_index::canonical;
use crate::core::Core;
use crate::interaction::{Interaction, Source};
use crate::options::CallDirection;
use crate::record::Fact;
use crate::timer::Timer;

impl Core {
    /// The callback whose customer calls: open, with this access number, asked for from this number; the oldest place first.
    pub(super) fn expected_call(&self, from: &str, to: &str) -> Option<CallbackId> {
        let place = |id: &&CallbackId| self.callbacks.get(*id).map(crate::callback::Callback::place_ms);
        self.index.of_number(from).filter(|id| self.awaits_call(id, to)).min_by_key(place).cloned()
    }

    /// Whether the customer of a callback is to call this number, and is not on the line yet.
    pub(super) fn awaits_call(&self, id: &CallbackId, to: &str) -> bool {
        self.callbacks.get(id).is_some_and(|callback| {
            let number = callback.spec.options.access_number.as_deref();
            !callback.is_over()
                && callback.spec.options.direction == CallDirection::UserOriginated
                && number.is_some_and(|number| canonical(number) == canonical(to))
                && !self.is_called_in(id)
        })
    }

    /// Whether the customer of a callback is on the line by their own call.
    pub(super) fn is_called_in(&self, id: &CallbackId) -> bool {
        let interaction = self.callbacks.get(id).and_then(|callback| callback.interaction);
        interaction
            .and_then(|interaction| self.interactions.get(&interaction))
            .is_some_and(|found| found.way != crate::interaction::Way::Outbound)
    }

    /// Makes a caller the customer of a callback: its data, its queue, its place.
    pub(super) fn call_in(&mut self, interaction: &mut Interaction, id: &CallbackId) {
        if let Some(waiting) = self.callbacks.get(id).and_then(|callback| callback.interaction) {
            self.leave_queue(waiting);
        }
        self.timers.stop(&Timer::Confirm(id.clone()));
        let Some(callback) = self.callbacks.get_mut(id) else { return };
        callback.is_asked = false;
        callback.interaction = Some(interaction.id);
        self.stand_for(interaction, id);
    }

    /// A caller's queue, place and data are those of a callback.
    pub(super) fn stand_for(&self, interaction: &mut Interaction, id: &CallbackId) {
        interaction.source = Source::Callback(id.clone());
        let Some(callback) = self.callbacks.get(id) else { return };
        let spec = &callback.spec;
        interaction.flow = None;
        interaction.queue.clone_from(&spec.queue);
        interaction.priority = self.config.queue(&spec.queue).map_or(0, |queue| queue.priority);
        interaction.arrival_ms = callback.place_ms();
        let mut data = spec.data.clone();
        data.insert("_CB_SERVICE_ID".to_owned(), id.to_string().into());
        data.insert("dnis".to_owned(), interaction.dnis.clone().into());
        interaction.data = Value::Object(data);
    }

    /// On record, so that a restart knows whose call it is.
    pub(super) fn record_call_in(&mut self, interaction: u64) {
        let Some(found) = self.interactions.get(&interaction) else { return };
        if let (Source::Callback(id), Some(call)) = (found.source.clone(), found.call) {
            let skill = self.skill_of(&found.queue).map(str::to_owned);
            self.record(Fact::CallbackCalledIn { id, call, skill });
        }
    }
}
