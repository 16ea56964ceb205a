//! `CallDelaySec`: time between an agent's acceptance and the dialling of a queued callback (QC-14).

use crate::agent::Activity;
use crate::core::Core;
use crate::interaction::Stage;
use crate::timer::Timer;

impl Core {
    /// An agent has taken an outbound interaction: its customer's leg is opened, at once or after the call delay.
    pub(crate) fn open_customer_leg_after_delay(&mut self, id: u64) {
        let origin = self.interactions.get(&id).and_then(|interaction| interaction.origin.as_ref());
        match origin.map_or(0, |origin| origin.call_delay_s) {
            0 => self.open_customer_leg(id),
            seconds @ 1..MOST_S => self.arm(Timer::CallDelay(id), u64::from(seconds) * 1_000),
            MOST_S.. => self.refuse_for(id),
        }
    }

    pub(crate) fn on_call_delay_over(&mut self, id: u64) {
        let waits = |found: &crate::interaction::Interaction| {
            found.stage == Stage::Preparing && found.call.is_none() && found.origin.is_some()
        };
        if self.interactions.get(&id).is_some_and(waits) {
            self.open_customer_leg(id);
        }
    }

    /// The delay is longer than an accepted contact may wait: nobody is dialled, and the agent counts as having refused.
    fn refuse_for(&mut self, id: u64) {
        let Some(agent) = self.interactions.get(&id).and_then(|interaction| interaction.agent.clone()) else {
            return;
        };
        self.announce_offer(id, "refused");
        self.step_back(id, crate::flow::agents::REFUSED_MS);
        if let Some(agent) = self.agents.get_mut(&agent) {
            agent.activity = Activity::Refused;
        }
        self.agent_changed(&agent);
    }
}

/// A delay from here on, in seconds, puts agents in `refused`.
const MOST_S: u32 = 60;
