//! Validation of an agent's leg by a PIN that is spoken to the phone and typed in the console.

use offhook_proto::PlaySource;
use rand::RngExt as _;

use crate::AgentId;
use crate::agent::{Agent, Pin, Wanted};
use crate::connection::{Event, State};
use crate::core::Core;
use crate::timer::Timer;

impl Core {
    /// The phone was answered: a new PIN is spoken to it.
    pub(super) fn begin_validation(&mut self, id: &AgentId) {
        if !self.step_connection(id, Event::AnsweredPin) {
            return;
        }
        let digits = format!("{:04}", self.rng.random_range(0..10_000_u32));
        let attempts_left = self.config.agents.pin_attempts.max(1);
        if let Some(agent) = self.agents.get_mut(id) {
            agent.pin = Some(Pin { digits, attempts_left });
        }
        let timeout = u64::from(self.config.agents.pin_timeout_ms);
        self.arm(Timer::Pin(id.clone()), timeout);
        self.speak_pin(id, None);
    }

    /// Speaks the PIN, after another prompt if there is one.
    fn speak_pin(&mut self, id: &AgentId, before: Option<String>) {
        let prompts = &self.config.prompts;
        let Some(Agent { call: Some(call), pin: Some(pin), .. }) = self.agents.get(id) else { return };
        let (call, times) = (*call, self.config.agents.pin_times.clamp(1, 8));
        let mut sources: Vec<PlaySource> =
            before.into_iter().filter(|name| !name.is_empty()).map(PlaySource::File).collect();
        for _ in 0..times {
            if !prompts.pin_intro.is_empty() {
                sources.push(PlaySource::File(prompts.pin_intro.clone()));
            }
            for digit in pin.digits.chars() {
                sources.push(PlaySource::File(format!("{}{digit}.wav", prompts.digits)));
            }
            sources.push(PlaySource::SilenceMs(600));
        }
        self.play_to(call, sources, 1);
    }

    pub(crate) fn on_pin_timeout(&mut self, id: &AgentId) {
        if self.agents.get(id).is_some_and(|agent| agent.connection == State::Validating) {
            self.fail_validation(id);
        }
    }

    fn fail_validation(&mut self, id: &AgentId) {
        self.set_wanted_if_available(id, Wanted::OnBreak);
        self.close_connection(id, "pin");
    }

    /// A typed PIN; the tries that are left when it is wrong. None when no PIN is awaited.
    pub(crate) fn on_pin(&mut self, id: &AgentId, typed: &str) -> Option<Result<(), u32>> {
        let agent = self.agents.get_mut(id)?;
        if agent.connection != State::Validating {
            return None;
        }
        let pin = agent.pin.as_mut()?;
        if pin.digits == typed {
            agent.pin = None;
            self.timers.stop(&Timer::Pin(id.clone()));
            if self.step_connection(id, Event::PinRight) {
                self.open_leg(id, self.config.prompts.pin_ok.clone());
            }
            return Some(Ok(()));
        }
        pin.attempts_left -= 1;
        let left = pin.attempts_left;
        if left == 0 {
            self.fail_validation(id);
        } else {
            self.speak_pin(id, Some(self.config.prompts.wrong_pin.clone()));
        }
        Some(Err(left))
    }
}
