//! An agent's leg is proved alive before a customer is dialled or joined (BY-02).

use offhook_proto::{Error, ErrorCode, LegInfo};

use crate::core::Core;
use crate::interaction::{Event, Stage, Way};
use crate::limits::PROOF_AGE_MS;
use crate::mutation::Mutation;
use crate::timer::Timer;
use crate::{CallId, RequestId};

impl Core {
    /// Asks the engine whether the agent's leg lives (BY-02).
    pub(super) fn prove(&mut self, id: u64) {
        if self.mutated(Mutation::DialWithoutProof) {
            self.on_proved(id);
            return;
        }
        let Some(leg) = self.agent_leg_of(id) else {
            self.step_back(id, 1_000);
            return;
        };
        let engine = self.agent_call_of(id).and_then(|call| self.engine_of(call));
        let Some(engine) = engine else {
            self.step_back(id, 1_000);
            return;
        };
        // A leg that is being opened elsewhere has nothing to prove yet.
        if !self.is_agent_leg_open(id) {
            self.arm(Timer::Proof(id), PROOF_STEP_MS);
            return;
        }
        let request = self.ask_proof(engine, id, leg);
        let now_us = self.now.mono_us;
        if let Some(interaction) = self.interactions.get_mut(&id) {
            interaction.proof = Some(request);
            interaction.proof_sent_us = now_us;
            interaction.proof_tries += 1;
        }
    }

    fn is_agent_leg_open(&self, id: u64) -> bool {
        let call = self.agent_call_of(id).and_then(|call| self.calls.get(&call));
        call.is_some_and(|call| call.leg.open.is_some())
    }

    /// The engine's answer: only a packet within the last second proves the leg, or the phone's own word by SIP.
    pub(crate) fn on_proof(&mut self, id: u64, request: RequestId, info: Result<LegInfo, Error>) {
        let now_us = self.now.mono_us;
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        if interaction.proof != Some(request) || interaction.stage != Stage::Proving {
            return;
        }
        interaction.proof = None;
        let (tries, agent) = (interaction.proof_tries, interaction.agent.clone());
        let way_ms = now_us.saturating_sub(interaction.proof_sent_us) / 1_000;
        let call = self.agent_call_of(id);
        let believed = self.mutation == Some(Mutation::BelieveStaleProof);
        match info {
            Ok(info) => {
                let age_ms = info.last_packet_ms.unwrap_or(u64::MAX);
                let heard = age_ms.saturating_add(way_ms) <= PROOF_AGE_MS;
                self.note_heard(call, &info, heard);
                let answered = call.is_some_and(|call| self.answered_by_sip(call, PROOF_AGE_MS));
                let proved = heard || answered || believed;
                if proved && self.may_still_be_joined(id) {
                    self.arm(Timer::Proof(id), PROOF_STEP_MS);
                } else if proved {
                    self.on_proved(id);
                } else if age_ms <= PROOF_AGE_MS && tries < PROOF_TRIES {
                    self.prove(id);
                } else if age_ms <= PROOF_AGE_MS {
                    self.step_back(id, 1_000);
                } else if self.may_still_answer(call) || self.may_still_speak(id, info.last_packet_ms, way_ms)
                {
                    self.arm(Timer::Proof(id), PROOF_STEP_MS);
                } else if let Some(agent) = agent {
                    self.lose_leg(&agent, "lost");
                }
            }
            Err(error) if error.code == ErrorCode::LegNotFound => {
                if let Some(call) = self.agent_call_of(id) {
                    self.reopen_leg(call);
                }
                self.step_back(id, 1_000);
            }
            Err(_) if tries < PROOF_TRIES => self.prove(id),
            Err(_) => self.step_back(id, 1_000),
        }
    }

    /// A packet of a phone that was just picked up, or of one whose last kept packet was lost on the way, may have come.
    pub(crate) fn on_proof_due(&mut self, id: u64) {
        if let Some(interaction) = self.interactions.get_mut(&id)
            && interaction.stage == Stage::Proving
            && interaction.proof.is_none()
        {
            interaction.proof_tries = 0;
            self.prove(id);
        }
    }

    /// Takes note of what the engine has heard of an agent's phone, or heard within the last second.
    fn note_heard(&mut self, call: Option<CallId>, info: &LegInfo, lately: bool) {
        let Some(call) = call.and_then(|call| self.calls.get_mut(&call)) else { return };
        if info.last_packet_ms.is_some() {
            call.leg.on_heard();
        }
        if lately {
            call.probe.asked_us = None;
        }
    }

    /// Whether a phone without a recent packet may say by SIP that it is there: it is asked, once for each silence.
    fn may_still_answer(&mut self, call: Option<CallId>) -> bool {
        call.is_some_and(|call| self.ask_phone(call, PROOF_AGE_MS).is_some())
    }

    /// Whether a leg without a recent packet may be alive all the same: it was parked until now and one of the few packets
    /// that were let through got lost, or its phone was picked up so recently that the first is still on the way. `way_ms`: how
    /// old what the engine says of it may be.
    fn may_still_speak(&self, id: u64, last_packet_ms: Option<u64>, way_ms: u64) -> bool {
        if let Some(age_ms) = last_packet_ms {
            // A phone that leaves its silence out may be heard by its RTCP only, every 5 s: who expects such says so there.
            return age_ms < FIRST_PACKET_MS.max(u64::from(self.config.agents.silent_after_ms));
        }
        let call = self.agent_call_of(id).and_then(|call| self.calls.get(&call));
        // A leg that was opened again elsewhere waits for its phone to follow.
        let since_us = call.and_then(|call| call.answered_us.max(self.told_us(call.id)));
        self.left_ms(since_us, FIRST_PACKET_MS + way_ms) > 0
    }

    /// Whether somebody is to be dialled for an agent of whom the engine has not confirmed that nobody else hears them: the
    /// customer whom they passed on may (PV-07).
    fn may_still_be_joined(&self, id: u64) -> bool {
        let outbound = self.interactions.get(&id).is_some_and(|found| found.way == Way::Outbound);
        let call = self.agent_call_of(id).and_then(|call| self.calls.get(&call));
        outbound && call.is_some_and(|call| !call.leg.is_linked())
    }

    fn on_proved(&mut self, id: u64) {
        // What was lawful when the agent took it may not be any more.
        if self.refuses_dial(id) {
            return;
        }
        match self.step(id, Event::Proved) {
            Some(Stage::Dialling) => self.dial_customer(id),
            Some(Stage::Joining) => self.join(id),
            _ => {}
        }
    }
}

/// Proofs asked for before the agent is passed over.
const PROOF_TRIES: u32 = 3;
/// How long a phone may take to its next packet, or to its first after it was picked up, before it counts as dead.
pub(crate) const FIRST_PACKET_MS: u64 = 3_000;
/// How long to wait before such a leg is asked for again.
const PROOF_STEP_MS: u64 = 100;
