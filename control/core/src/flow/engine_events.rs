//! What engines say by themselves.

use offhook_proto::{EventBody, SpliceAudio};

use crate::EngineId;
use crate::agent::Agent;
use crate::call::{Role, State};
use crate::core::Core;
use crate::flow::proof::FIRST_PACKET_MS;
use crate::interaction::{Outcome, Stage};
use crate::timer::Timer;

impl Core {
    pub(crate) fn on_engine_event(&mut self, engine: EngineId, event: EventBody) {
        // What an engine says of a leg that lives on another one by now is of no interest.
        let of_leg = match &event {
            EventBody::LegSilent { leg, .. }
            | EventBody::LegAlive { leg }
            | EventBody::LegReleased { leg, .. }
            | EventBody::PlayEnded { leg, .. } => Some(leg),
            EventBody::SpliceAudio(audio) => Some(&audio.from),
            _ => None,
        };
        if of_leg.is_some_and(|leg| !self.is_on(leg, engine)) {
            return;
        }
        match event {
            EventBody::LegSilent { leg, .. } => self.on_silent(&leg),
            EventBody::LegAlive { leg } => {
                if let Some(Role::Agent(agent)) = self.role_of(&leg) {
                    self.timers.stop(&Timer::Silent(agent));
                }
            }
            EventBody::LegReleased { leg, .. } => {
                let Some(id) = self.legs.get(&leg).copied() else { return };
                if let Some(call) = self.calls.get_mut(&id) {
                    call.leg.on_gone();
                    if call.leg.is_wanted() {
                        self.on_leg_gone(id);
                    }
                    self.reap(id);
                }
            }
            EventBody::SpliceAudio(audio) => self.on_audio(&audio),
            EventBody::Detected(found) => self.on_detected(&found),
            EventBody::PlayEnded { leg, play, .. } => {
                let Some(id) = self.legs.get(&leg).copied() else { return };
                let over = self.calls.get_mut(&id).is_some_and(|call| call.leg.on_play_ended(&play));
                if over {
                    self.on_play_over(id);
                    self.on_caller_play(id, true);
                }
                self.drive(id);
            }
            EventBody::EventsLost { .. } => {
                for id in self.call_ids() {
                    if let Some(call) = self.calls.get_mut(&id).filter(|call| call.engine == Some(engine)) {
                        call.leg.doubt();
                        self.drive(id);
                    }
                }
            }
            EventBody::Dtmf { leg, digit, .. } => self.on_key(&leg, digit),
            EventBody::LegLatched { .. }
            | EventBody::LegBye { .. }
            | EventBody::LegQuality { .. }
            | EventBody::SuperviseEnded { .. }
            | EventBody::RecordEnded { .. }
            | EventBody::LeaseExpired { .. } => {}
        }
    }

    fn on_silent(&mut self, leg: &str) {
        let Some(id) = self.legs.get(leg).copied() else { return };
        let Some(call) = self.calls.get(&id) else { return };
        if call.state != State::Up {
            return;
        }
        // The first packet after an answer, or after a move, may be on its way.
        let due_us = call.answered_us.max(call.opened_us).unwrap_or(0) + FIRST_PACKET_MS * 1_000;
        if self.now.mono_us < due_us {
            if let Role::Agent(agent) = call.role.clone() {
                self.arm(Timer::Silent(agent), (due_us - self.now.mono_us).div_ceil(1_000));
            }
            return;
        }
        match call.role.clone() {
            Role::Agent(agent) => {
                let talking = self
                    .agents
                    .get(&agent)
                    .and_then(Agent::interaction)
                    .and_then(|interaction| self.interactions.get(&interaction))
                    .is_some_and(|interaction| {
                        matches!(interaction.stage, Stage::Joining | Stage::Connected)
                    });
                let up = self.agents.get(&agent).is_some_and(Agent::is_up);
                if talking {
                    self.arm(Timer::Silent(agent), u64::from(self.config.agents.silent_in_call_ms));
                } else if up {
                    self.lose_leg(&agent, "lost");
                }
            }
            Role::Customer(interaction) => self.give_up(interaction, Outcome::Talked),
            Role::Orphan => {}
        }
    }

    /// The first packet of one direction of a splice: the engine's measure of answer-to-audio time (BY-01).
    fn on_audio(&mut self, audio: &SpliceAudio) {
        let customer = |core: &Self, leg: &str| {
            let id = core.legs.get(leg).copied()?;
            matches!(core.calls.get(&id)?.role, Role::Customer(_)).then_some(id)
        };
        let (id, from) = match (customer(self, &audio.from), customer(self, &audio.to)) {
            (Some(id), _) => (id, true),
            (None, Some(id)) => (id, false),
            (None, None) => return,
        };
        let now_us = self.now.mono_us;
        let Some(call) = self.calls.get_mut(&id) else { return };
        let after_us = match call.audio_from_us {
            // Audio that flowed before the answer costs nothing after it.
            None => 0,
            Some(from_us) => audio.after_us.min(now_us.saturating_sub(from_us)),
        };
        let slot = if from { &mut call.audio.from_us } else { &mut call.audio.to_us };
        if slot.is_some() {
            return;
        }
        *slot = Some(after_us);
        if call.audio_from_us.is_some()
            && let Some(ms) = call.audio.both_ms()
        {
            let role = call.role.clone();
            self.projection.measure(ms);
            self.changed(crate::core::Changed::Call(id));
            // Audio both ways is as good a proof of the splice as the reply to the request, which may be lost.
            if let Role::Customer(interaction) = role {
                self.on_spliced(interaction);
            }
        }
    }

    pub(super) fn role_of(&self, leg: &str) -> Option<Role> {
        Some(self.calls.get(self.legs.get(leg)?)?.role.clone())
    }
}
