//! Who answered: a detection runs beside the conversation, and its verdict may withdraw the call (CB-17, BY-05).
//!
//! The customer is spliced at the answer as ever. Until the verdict nothing counts as connected, so that a machine costs the
//! callback no more than the attempt; whatever else ends the wait before counts as a person.

use offhook_proto::{Command, DetectStart, DetectStop, DetectWhat, Detected, DetectedKind, PlaySource};

use crate::call::{Role, State};
use crate::config::{DetectionConfig, OnMachine, OnTone};
use crate::core::Core;
use crate::flow::engine::Pending;
use crate::interaction::{Event, Outcome, Source};
use crate::mutation::Mutation;
use crate::record::{DialResult, Fact};
use crate::timer::Timer;
use crate::{CallId, EngineId};

/// An answered customer of whom nobody knows yet whether it is a person.
#[derive(Debug)]
pub(crate) struct Listening {
    /// As it was configured at the answer.
    config: DetectionConfig,
    /// They hear each other since then, in milliseconds since 1970 UTC: connected, but for the verdict.
    spliced_ms: Option<u64>,
}

/// A machine that is left a message.
#[derive(Debug)]
pub(crate) struct Message {
    file: String,
    speaking: bool,
}

impl Core {
    /// An outbound customer has answered: listens, where anything else than a person makes a difference.
    pub(crate) fn listen(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get(&id) else { return };
        let config = match &interaction.source {
            Source::Callback(callback) => self
                .callbacks
                .get(callback)
                .and_then(|callback| self.config.service(&callback.spec.service))
                .map(|service| &service.detection),
            Source::Contact(_) => self.config.queue(&interaction.queue).map(|queue| &queue.detection),
            Source::Caller => None,
        };
        let Some(config) = config.filter(|config| config.matters()).cloned() else { return };
        let Some(call) = interaction.call else { return };
        let Some((engine, leg)) = self.listened(call) else { return };
        let what = vec![DetectWhat::Amd, DetectWhat::Tones];
        let (amd, tones) = (config.amd, config.tone_parameters);
        let command = Command::DetectStart(DetectStart { leg, what, amd, tones });
        self.arm(Timer::Verdict(call), u64::from(config.amd.total_analysis_time_ms) + VERDICT_OVERDUE_MS);
        self.listening.insert(id, Listening { config, spliced_ms: None });
        self.ask(engine, Pending::Detect { interaction: id }, command);
    }

    /// Whether it is connected but for the verdict; called when they hear each other. That is on record: nobody else may be left to know.
    pub(crate) fn awaits_verdict(&mut self, id: u64) -> bool {
        let unix_ms = self.now.unix_ms;
        let Some(listening) = self.listening.get_mut(&id) else { return false };
        let is_new = listening.spliced_ms.is_none();
        listening.spliced_ms.get_or_insert(unix_ms);
        let Some(interaction) = self.interactions.get(&id) else { return true };
        let (call, agent) = (interaction.call, interaction.agent.clone());
        if let Some(call) = call {
            self.timers.stop(&Timer::Join(call));
        }
        if let (Some(call), Some(agent), true) = (call, agent, is_new) {
            self.record(Fact::Spliced { call, agent });
        }
        true
    }

    /// Nobody waits for a verdict any more: it counts as a person.
    pub(crate) fn take_as_person(&mut self, id: u64) {
        let Some(listening) = self.stop_listening(id) else { return };
        if listening.spliced_ms.is_some() {
            self.note_connected(id, listening.spliced_ms);
        }
    }

    /// The detection was refused: there will be no verdict.
    pub(crate) fn on_verdict_overdue(&mut self, call: CallId) {
        if let Some(Role::Customer(id)) = self.calls.get(&call).map(|call| call.role.clone()) {
            self.take_as_person(id);
        }
    }

    /// The engine has found something on a leg.
    pub(crate) fn on_detected(&mut self, found: &Detected) {
        let Some(call) = self.legs.get(&found.leg).copied() else { return };
        if found.kind == DetectedKind::Beep {
            return self.speak(call);
        }
        let Some(Role::Customer(id)) = self.calls.get(&call).map(|call| call.role.clone()) else { return };
        let Some(config) = self.listening.get(&id).map(|listening| listening.config.clone()) else { return };
        match found.kind {
            DetectedKind::Person => {
                self.note_person(id);
                self.take_as_person(id);
            }
            DetectedKind::NotSure => self.take_as_person(id),
            DetectedKind::Machine => match config.machine {
                OnMachine::Connect => self.take_as_person(id),
                OnMachine::Drop => self.withdraw(id, DialResult::AnsweringMachine, false),
                OnMachine::Retry => self.withdraw(id, DialResult::AnsweringMachine, true),
                OnMachine::Message => self.leave_message(id, call, config.message),
            },
            DetectedKind::Fax => self.on_tone(id, config.fax, DialResult::Fax),
            DetectedKind::Busy => self.on_tone(id, config.tones, DialResult::Busy),
            DetectedKind::Sit | DetectedKind::Reorder | DetectedKind::DialTone => {
                self.on_tone(id, config.tones, DialResult::ErrorTone);
            }
            DetectedKind::Ringback | DetectedKind::Beep => {}
        }
    }

    fn on_tone(&mut self, id: u64, action: OnTone, result: DialResult) {
        match action {
            OnTone::Connect => self.take_as_person(id),
            OnTone::Drop => self.withdraw(id, result, false),
            OnTone::Retry => self.withdraw(id, result, true),
        }
    }

    fn note_person(&mut self, id: u64) {
        if let Some(Source::Callback(callback)) = self.interactions.get(&id).map(|found| &found.source)
            && let Some(callback) = self.callbacks.get_mut(callback)
        {
            callback.person = true;
        }
    }

    fn stop_listening(&mut self, id: u64) -> Option<Listening> {
        let listening = self.listening.remove(&id)?;
        let call = self.interactions.get(&id)?.call?;
        self.timers.stop(&Timer::Verdict(call));
        if let Some((engine, leg)) = self.listened(call) {
            self.ask(engine, Pending::Detect { interaction: id }, Command::DetectStop(DetectStop { leg }));
        }
        Some(listening)
    }

    /// The leg that a detection of a call listens to, and where it is.
    fn listened(&self, call: CallId) -> Option<(EngineId, String)> {
        let call = self.calls.get(&call)?;
        Some((call.engine?, call.leg.name.clone()))
    }

    /// Hangs up on what is no person; the agent gets the next.
    fn withdraw(&mut self, id: u64, result: DialResult, again: bool) {
        let was_spliced = self.stop_listening(id).is_some_and(|listening| listening.spliced_ms.is_some());
        let call = self.interactions.get(&id).and_then(|interaction| interaction.call);
        if let Some(call) = call.filter(|_| was_spliced) {
            self.record(Fact::NoPerson { call });
        }
        if let Some(call) = call.and_then(|call| self.calls.get_mut(&call)) {
            call.result = Some(result_name(result).to_owned());
        }
        self.give_up(id, Outcome::Detected { result, again });
    }

    /// The agent gets the next, and the machine a message after its beep.
    fn leave_message(&mut self, id: u64, call: CallId, file: String) {
        self.listening.remove(&id);
        self.timers.stop(&Timer::Verdict(call));
        self.timers.stop(&Timer::Join(call));
        if let Some(interaction) = self.interactions.get_mut(&id) {
            let result = DialResult::AnsweringMachine;
            interaction.outcome = Some(Outcome::Detected { result, again: false });
        }
        if let Some(call) = self.calls.get_mut(&call) {
            call.role = Role::Orphan;
            call.result = Some(result_name(DialResult::AnsweringMachine).to_owned());
        }
        self.messages.insert(call, Message { file, speaking: false });
        if !self.mutated(Mutation::ForgetMessage) {
            self.arm(Timer::Message(call), BEEP_WITHIN_MS);
        }
        self.release_agent(id, false);
        if self.step(id, Event::CustomerOver).is_some() {
            self.conclude(id, None);
        }
    }

    /// The beep is over, or none came.
    fn speak(&mut self, call: CallId) {
        let Some(message) = self.messages.get_mut(&call) else { return };
        if std::mem::replace(&mut message.speaking, true) {
            return;
        }
        let file = message.file.clone();
        self.arm(Timer::Message(call), MESSAGE_MS);
        self.play_to(call, vec![PlaySource::File(file)], 1);
    }

    /// A play to a call has ended, or cannot be: a message that was left is followed by hanging up.
    pub(crate) fn on_message_over(&mut self, call: CallId) {
        if self.messages.get(&call).is_some_and(|message| message.speaking) {
            self.end_message(call);
        }
    }

    pub(crate) fn on_message_due(&mut self, call: CallId) {
        match self.messages.get(&call) {
            Some(message) if !message.speaking => self.speak(call),
            Some(_) | None => self.end_message(call),
        }
    }

    /// Hangs up on a machine, if the call has not ended otherwise.
    fn end_message(&mut self, call: CallId) {
        self.timers.stop(&Timer::Message(call));
        if self.calls.get(&call).is_some_and(|call| call.state == State::Up) {
            self.hang_up(call, "message left");
        }
    }
}

fn result_name(result: DialResult) -> &'static str {
    match result {
        DialResult::AnsweringMachine => "answering_machine",
        DialResult::Fax => "fax",
        DialResult::ErrorTone => "error_tone",
        DialResult::Busy => "busy",
        DialResult::CreateCallError
        | DialResult::NoAnswer
        | DialResult::Person
        | DialResult::Connected
        | DialResult::Unknown => "hung_up",
    }
}

/// A verdict that comes later than this after the analysis must have ended does not come.
const VERDICT_OVERDUE_MS: u64 = 5_000;
/// A machine whose beep has not been heard for so long is spoken to all the same.
const BEEP_WITHIN_MS: u64 = 30_000;
/// Longest message.
const MESSAGE_MS: u64 = 120_000;
