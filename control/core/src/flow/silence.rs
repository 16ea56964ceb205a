//! A phone that is not heard is asked by SIP whether it is there, before it is given up (BY-02): one that is muted may send
//! neither RTP nor RTCP. What answers for it is OPTIONS in its dialog (RFC 3261 section 11.2). And the engine is asked whether
//! it still hears nothing: what it told while it was out of reach for a moment comes late.

use offhook_proto::{Error, ErrorCode, LegInfo};

use crate::agent::Agent;
use crate::call::{Role, State};
use crate::core::Core;
use crate::flow::engine::Pending;
use crate::flow::proof::FIRST_PACKET_MS;
use crate::interaction::Outcome;
use crate::io::Output;
use crate::sip::SipCommand;
use crate::timer::Timer;
use crate::{AgentId, CallId, EngineId};

impl Core {
    /// A phone has answered that it is there: since it was asked, as the answer may have been on its way for long.
    pub(crate) fn on_answered_by_sip(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(asked_us) = call.probe.asked_us.take() else { return };
        call.probe.answered_us = Some(asked_us);
        let (is_silent, role) = (call.leg.is_silent(), call.role.clone());
        let Role::Agent(agent) = role else { return };
        if is_silent {
            self.doubt(&agent, false);
        }
        if let Some(interaction) = self.agents.get(&agent).and_then(Agent::interaction) {
            self.on_proof_due(interaction);
        }
    }

    /// The agent's leg has been silent for as long as it may be. `is_confirmed`: the engine was asked, and has not heard it since.
    pub(crate) fn on_silence_over(&mut self, agent: &AgentId, is_confirmed: bool) {
        let call = self.agents.get(agent).and_then(|agent| self.calls.get(&agent.call?));
        let Some(call) = call.filter(|call| call.leg.is_silent()) else { return };
        match self.left_ms(self.told_us(call.id), FIRST_PACKET_MS) {
            0 => self.doubt(agent, is_confirmed),
            left_ms => self.arm(Timer::Silent(agent.clone()), left_ms),
        }
    }

    /// An agent's phone has not been heard for as long as it may be: it is given up, unless it answers by SIP, or the engine has
    /// heard it meanwhile.
    pub(super) fn doubt(&mut self, agent: &AgentId, is_confirmed: bool) {
        let Some(call) = self.agents.get(agent).and_then(|agent| agent.call) else { return };
        match self.ask_phone(call, BELIEVED_MS) {
            Some(left_ms) => self.arm(Timer::Silent(agent.clone()), left_ms),
            None if is_confirmed => self.lose_leg(agent, "lost"),
            None => self.look_at_silence(call),
        }
    }

    /// Nothing has been heard of a customer's leg for long: they are given up when that has lasted for as long as it may, and the
    /// engine has not heard them meanwhile.
    pub(super) fn on_unheard(&mut self, id: CallId, is_confirmed: bool) {
        let told_us = self.told_us(id);
        let Some(call) = self.calls.get(&id) else { return };
        let Role::Customer(interaction) = call.role else { return };
        let patience_ms = u64::from(self.config.customer_silent_after_ms).max(FIRST_PACKET_MS);
        match self.left_ms(call.answered_us.max(told_us), patience_ms) {
            0 if is_confirmed => self.give_up(interaction, Outcome::Talked),
            0 => self.look_at_silence(id),
            left_ms => self.arm(Timer::Unheard(id), left_ms),
        }
    }

    /// Asks the engine whether it still hears nothing of a peer.
    fn look_at_silence(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let leg = call.leg.name.clone();
        match self.engine_of(id) {
            Some(engine) => {
                self.ask_about(engine, Pending::Silence { call: id }, leg);
            }
            None => self.look_at_silence_later(id),
        }
    }

    /// The engine did not say whether it hears a peer; without it nothing can be done for anybody either.
    fn look_at_silence_later(&mut self, id: CallId) {
        match self.calls.get(&id).map(|call| call.role.clone()) {
            Some(Role::Agent(agent)) => self.arm(Timer::Silent(agent), LOOK_AGAIN_MS),
            Some(Role::Customer(_)) => self.arm(Timer::Unheard(id), LOOK_AGAIN_MS),
            Some(Role::Orphan) | None => {}
        }
    }

    /// What the engine says of a peer that is about to be given up.
    pub(super) fn on_silence_looked_at(
        &mut self,
        id: CallId,
        engine: EngineId,
        info: Result<LegInfo, Error>,
    ) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.state != State::Up || call.engine != Some(engine) || !call.leg.is_silent() {
            return;
        }
        match info {
            Ok(info) if !call.leg.on_silence_looked_at(&info) => self.on_alive(id),
            Ok(_) => match call.role.clone() {
                Role::Agent(agent) => self.on_silence_over(&agent, true),
                Role::Customer(_) => self.on_unheard(id, true),
                Role::Orphan => {}
            },
            Err(error) if error.code == ErrorCode::LegNotFound => self.reopen_leg(id),
            Err(_) => self.look_at_silence_later(id),
        }
    }

    /// For how many milliseconds more a phone that is not heard may be there: it answered within the last `believed_ms`, or
    /// is asked and may answer yet. None = it is taken for dead.
    pub(super) fn ask_phone(&mut self, id: CallId, believed_ms: u64) -> Option<u64> {
        let now_us = self.now.mono_us;
        let passed_ms = |since_us: u64| now_us.saturating_sub(since_us) / 1_000;
        let left_ms = |of_ms: u64, since_us: u64| of_ms.checked_sub(passed_ms(since_us)).filter(|ms| *ms > 0);
        let timeout_ms = u64::from(self.config.agents.media_timeout_s) * 1_000;
        let call = self.calls.get_mut(&id)?;
        // Of one that was never heard where its leg is, it is not known that its packets find the way there.
        if call.state != State::Up || call.deaf || !call.leg.was_heard() {
            return None;
        }
        let until_timeout_ms = match call.probe.silent_us.filter(|_| timeout_ms > 0) {
            Some(since_us) => left_ms(timeout_ms, since_us)?,
            None => u64::MAX,
        };
        let believed = call.probe.answered_us.and_then(|at_us| left_ms(believed_ms, at_us));
        let may_be_there_ms = match (believed, call.probe.asked_us) {
            (Some(left), _) => left,
            (None, Some(asked_us)) => left_ms(ANSWER_MS, asked_us)?,
            (None, None) => {
                call.probe.asked_us = Some(now_us);
                self.push(Output::Sip { call: id, command: SipCommand::Probe });
                ANSWER_MS
            }
        };
        Some(may_be_there_ms.min(until_timeout_ms))
    }

    /// Whether a phone has answered by SIP within so many milliseconds.
    pub(super) fn answered_by_sip(&self, id: CallId, within_ms: u64) -> bool {
        let probe = self.calls.get(&id).filter(|call| call.leg.was_heard()).map(|call| call.probe);
        let answered_us = probe.and_then(|probe| probe.answered_us);
        answered_us.is_some_and(|at_us| self.now.mono_us.saturating_sub(at_us) <= within_ms * 1_000)
    }
}

/// How long to wait before an engine is asked again that did not say whether it hears a phone.
const LOOK_AGAIN_MS: u64 = 100;
/// How long a phone may take to answer: time for three transmissions (RFC 3261 section 17.1.2.2).
const ANSWER_MS: u64 = 3_000;
/// For how long its answer counts, as long as no customer waits for it: then it is asked again.
const BELIEVED_MS: u64 = 5_000;
