//! What engines say by themselves.

use offhook_proto::{EventBody, PlayEnd, SpliceAudio};

use crate::agent::Agent;
use crate::call::{Call, Role, State};
use crate::core::Core;
use crate::engines;
use crate::flow::proof::FIRST_PACKET_MS;
use crate::interaction::Stage;
use crate::record::Fact;
use crate::timer::Timer;
use crate::{CallId, EngineId};

impl Core {
    pub(crate) fn on_engine_event(&mut self, engine: EngineId, event: EventBody) {
        // We alone replace plays: what plays now is known, and has the same name where it was asked for again in doubt. What ended
        // with its leg is played again where the leg is opened again, also under the same name.
        if matches!(event, EventBody::PlayEnded { end: PlayEnd::Replaced | PlayEnd::LegDeleted, .. }) {
            return;
        }
        self.replayed.hear(engine, &event);
        // What an engine says of a leg that lives on another one by now is of no interest.
        let of_leg = match &event {
            EventBody::LegSilent { leg, .. }
            | EventBody::LegAlive { leg }
            | EventBody::LegLatched { leg, .. }
            | EventBody::LegOneWay { leg, .. }
            | EventBody::LegTwoWay { leg, .. }
            | EventBody::LegReleased { leg, .. }
            | EventBody::PlayEnded { leg, .. } => Some(leg),
            EventBody::SpliceAudio(audio) => Some(&audio.from),
            _ => None,
        };
        if let Some(leg) = of_leg.filter(|leg| !self.is_on(leg, engine)) {
            if matches!(event, EventBody::LegSilent { .. }) && !self.legs.contains_key(leg) {
                self.look_at_stray(engine, leg.clone());
            }
            return;
        }
        match event {
            EventBody::LegSilent { leg, .. } => {
                // One that is yet to be opened has a former one's name, of which the engine still told.
                if let Some(call) = self.call_of_leg(&leg).filter(|call| call.leg.open.is_some()) {
                    call.leg.on_silence(true);
                    let id = call.id;
                    self.on_silent(id);
                }
            }
            EventBody::LegAlive { leg } => {
                if let Some(call) = self.call_of_leg(&leg) {
                    call.leg.on_silence(false);
                    call.leg.on_heard();
                    let id = call.id;
                    self.on_alive(id);
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
            EventBody::LegOneWay { leg, direction, .. } => self.on_one_way(&leg, direction, true),
            EventBody::LegTwoWay { leg, direction } => self.on_one_way(&leg, direction, false),
            EventBody::SpliceAudio(audio) => self.on_audio(&audio),
            EventBody::Detected(found) => self.on_detected(&found),
            EventBody::PlayEnded { leg, play, .. } => {
                let Some(id) = self.legs.get(&leg).copied() else { return };
                self.on_play_end(id, &play);
                self.drive(id);
            }
            EventBody::EventsLost { .. } => {
                for id in self.call_ids() {
                    if let Some(call) = self.calls.get_mut(&id).filter(|call| call.engine == Some(engine)) {
                        call.leg.doubt();
                        self.forget_one_way(id);
                        self.drive(id);
                    }
                }
            }
            EventBody::Dtmf { leg, digit, .. } => self.on_key(&leg, digit),
            EventBody::LegLatched { leg, .. } => {
                if let Some(call) = self.call_of_leg(&leg) {
                    call.leg.on_heard();
                }
            }
            EventBody::LegBye { .. }
            | EventBody::LegQuality { .. }
            | EventBody::SuperviseEnded { .. }
            | EventBody::RecordEnded { .. }
            | EventBody::LeaseExpired { .. } => {}
        }
    }

    fn call_of_leg(&mut self, leg: &str) -> Option<&mut Call> {
        self.calls.get_mut(self.legs.get(leg)?)
    }

    pub(super) fn on_play_end(&mut self, id: CallId, play: &str) {
        if self.calls.get_mut(&id).is_some_and(|call| call.leg.on_play_ended(play)) {
            self.on_play_over(id);
            self.on_caller_play(id, true);
        }
    }

    /// A leg is heard again.
    pub(super) fn on_alive(&mut self, id: CallId) {
        self.timers.stop(&Timer::Unheard(id));
        if let Some(call) = self.calls.get_mut(&id) {
            (call.probe.asked_us, call.probe.silent_us) = (None, None);
        }
        if let Some(Role::Agent(agent)) = self.calls.get(&id).map(|call| call.role.clone()) {
            self.timers.stop(&Timer::Silent(agent));
        }
    }

    /// Nothing has been heard of a leg for long. Of one whose call is not up yet that is looked at when it is.
    pub(crate) fn on_silent(&mut self, id: CallId) {
        let silent_us =
            self.now.mono_us.saturating_sub(u64::from(self.config.agents.silent_after_ms) * 1_000);
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.leg.is_silent()) else { return };
        if call.state != State::Up {
            return;
        }
        call.probe.silent_us.get_or_insert(silent_us);
        let answered_us = call.answered_us;
        match call.role.clone() {
            Role::Agent(agent) => {
                // The first packet after an answer, or after a move, may be on its way.
                let left_ms = self.left_ms(answered_us.max(self.told_us(id)), FIRST_PACKET_MS);
                let found = self.agents.get(&agent);
                let interaction =
                    found.and_then(Agent::interaction).and_then(|found| self.interactions.get(&found));
                let talks =
                    interaction.is_some_and(|found| matches!(found.stage, Stage::Joining | Stage::Connected));
                let is_up = found.is_some_and(Agent::is_up);
                let in_call_ms = if talks { u64::from(self.config.agents.silent_in_call_ms) } else { 0 };
                match in_call_ms.max(left_ms) {
                    0 if is_up => self.doubt(&agent, false),
                    0 => {}
                    patience_ms => {
                        // What it answers is known by then.
                        self.ask_phone(id, patience_ms);
                        self.arm(Timer::Silent(agent), patience_ms);
                    }
                }
            }
            Role::Customer(_) => self.on_unheard(id, false),
            Role::Orphan => {}
        }
    }

    /// Since when the engine can have heard the peer of a call, on our clock, so that its silence is the peer's. That is now as long
    /// as it is out of reach, or has not confirmed that it knows where the peer is.
    pub(super) fn told_us(&self, id: CallId) -> Option<u64> {
        let call = self.calls.get(&id)?;
        let hears = call.engine.is_some_and(|engine| self.engines.state(engine) == engines::State::Up)
            && !call.leg.is_untold();
        if hears { call.opened_us } else { Some(self.now.mono_us) }
    }

    /// Milliseconds that are left of a patience that began then; none where it never did.
    pub(super) fn left_ms(&self, since_us: Option<u64>, patience_ms: u64) -> u64 {
        let due_us = since_us.map_or(0, |since_us| since_us + patience_ms * 1_000);
        due_us.saturating_sub(self.now.mono_us).div_ceil(1_000)
    }

    /// The engine has opened both gates: how long that took since the answer, with all that was in between (BY-01).
    pub(super) fn on_open(&mut self, interaction: u64) {
        let now_us = self.now.mono_us;
        let call = self.interactions.get(&interaction).and_then(|interaction| interaction.call);
        let Some(call) = call.and_then(|call| self.calls.get_mut(&call)) else { return };
        let is_new = !call.audio.is_past && call.audio.open_us.is_none();
        let Some(from_us) = call.audio_from_us.filter(|_| is_new) else { return };
        call.audio.open_us = Some(now_us.saturating_sub(from_us));
        if let Some(ms) = call.audio.open_ms() {
            self.projection.open.measure(ms);
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
        let is_past = call.audio.is_past;
        let slot = if from { &mut call.audio.from_us } else { &mut call.audio.to_us };
        if slot.is_some() || is_past {
            // Measured once; that a later splice was made is good to know all the same.
            if let Role::Customer(interaction) = call.role {
                self.on_heard_again(interaction, &audio.from);
            }
            return;
        }
        *slot = Some(after_us);
        if call.audio_from_us.is_some()
            && let Some(ms) = call.audio.both_ms()
        {
            let role = call.role.clone();
            self.projection.audio.measure(ms);
            self.changed(crate::core::Changed::Call(id));
            // Audio both ways is as good a proof of the splice as the reply to the request, which may be lost.
            if let Role::Customer(interaction) = role {
                self.on_open(interaction);
                self.on_spliced(interaction);
            }
            self.note_audio(id);
        }
    }

    /// Puts on record how soon a customer's call had audio: the run that ends it may be another one.
    fn note_audio(&mut self, call: CallId) {
        let Some(audio) = self.calls.get(&call).map(|call| call.audio) else { return };
        if let Some(after_us) = audio.both_us() {
            self.record(Fact::AudioFlowed { call, after_us, open_us: audio.open_us });
        }
    }

    /// Somebody reaches the customer's ear: the agent, if the splice that is waited for was made.
    fn on_heard_again(&mut self, interaction: u64, speaker: &str) {
        let agent = self.agent_call_of(interaction);
        if agent.is_some() && agent == self.legs.get(speaker).copied() {
            self.on_spliced(interaction);
        }
    }

    pub(super) fn role_of(&self, leg: &str) -> Option<Role> {
        Some(self.calls.get(self.legs.get(leg)?)?.role.clone())
    }
}
