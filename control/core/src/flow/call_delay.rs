//! What lies between an agent's acceptance and the dialling of a queued callback: the call that it came from ends, and
//! `CallDelaySec` passes (QC-14).

use crate::agent::Activity;
use crate::call::State;
use crate::core::Core;
use crate::interaction::{Source, Stage};
use crate::timer::Timer;

impl Core {
    /// An agent has taken an outbound interaction: its customer's leg is opened, at once or after the call delay.
    pub(crate) fn open_customer_leg_after_delay(&mut self, id: u64) {
        let origin = self.interactions.get(&id).and_then(|interaction| interaction.origin.as_ref());
        match origin.map_or(0, |origin| origin.call_delay_s) {
            0 => self.open_customer_leg_after_origin(id),
            seconds @ 1..MOST_S => self.arm(Timer::CallDelay(id), u64::from(seconds) * 1_000),
            MOST_S.. => self.refuse_for(id),
        }
    }

    pub(crate) fn on_call_delay_over(&mut self, id: u64) {
        let interaction = self.interactions.get(&id);
        if interaction.is_some_and(|found| found.stage == Stage::Preparing && found.call.is_none()) {
            self.open_customer_leg_after_origin(id);
        }
    }

    /// The customer's own phone is busy until the call that they asked in is over.
    fn open_customer_leg_after_origin(&mut self, id: u64) {
        let callback = match self.interactions.get(&id).map(|found| &found.source) {
            Some(Source::Callback(callback)) => self.callbacks.get(callback),
            Some(Source::Contact(_) | Source::Caller) | None => None,
        };
        let call = callback.and_then(|callback| self.calls.get(&callback.spec.first_call()?));
        if call.is_some_and(|call| call.state != State::Over) {
            self.arm(Timer::CallDelay(id), ORIGIN_MS);
        } else {
            self.open_customer_leg(id);
        }
    }

    /// The delay is longer than an accepted contact may wait: nobody is dialled, and the agent counts as having refused.
    fn refuse_for(&mut self, id: u64) {
        let agent = self.interactions.get(&id).and_then(|interaction| interaction.agent.clone());
        let Some(agent) = agent else { return };
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
/// How often the end of the first call is looked for, in milliseconds.
const ORIGIN_MS: u64 = 100;
