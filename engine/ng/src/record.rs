//! `start recording`, `pause recording` and `stop recording`.

use offhook_proto::{Command, Error, RecordMode, RecordStart, Recorded};

use crate::call::{Call, Recording};
use crate::failure::Failure;
use crate::flags::Flags;
use crate::party::{Seat, Unnamed};
use crate::root::{Body, Encoding, Ng, first_error};
use crate::transaction::{Plan, Then, Transaction};
use crate::value::Dict;

impl Ng {
    /// Records a party alone, or a whole call with both sides mixed. After a pause it goes on.
    pub(crate) fn start_recording(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let stamp = self.config.unix_s + self.now.as_secs();
        let mut number = self.next_number;
        let (call, seats, mode) = self.recorded(flags)?;
        let name = file_name(flags.call_id()?);
        let mut commands = Vec::new();
        let mut started = Vec::new();
        for (dialogue, side) in seats {
            let sections = call.find_mut(dialogue).into_iter().flat_map(|dialogue| &mut dialogue.sections);
            for end in sections.flatten().map(|section| &mut section.ends[side]) {
                let leg = end.leg.clone();
                match end.recording.replace(Recording::Runs) {
                    None => {
                        number += 1;
                        let file = format!("ng/{name}-{stamp}-{number}.wav");
                        commands.push(Command::RecordStart(RecordStart { leg: leg.clone(), file, mode }));
                        started.push(leg);
                    }
                    Some(Recording::Paused) => commands.push(Command::RecordResume(Recorded { leg })),
                    Some(Recording::Runs) => {}
                }
            }
        }
        self.next_number = number;
        let call_id = flags.call_id()?.to_vec();
        Ok(Plan::new(commands, Then::Recording(call_id, started)))
    }

    /// Records a dialogue that is answered, as its call's signalling asked for. A recording that cannot be made ends no call.
    pub(crate) fn record_answered(&mut self, call_id: &[u8], dialogue: u64) {
        let (stamp, name) = (self.config.unix_s + self.now.as_secs(), file_name(call_id));
        let mut number = self.next_number;
        let dialogue = self.calls.get_mut(call_id).and_then(|call| call.find_mut(dialogue));
        let sections = dialogue.into_iter().flat_map(|dialogue| dialogue.sections.iter_mut().flatten());
        let (mut commands, mut started) = (Vec::new(), Vec::new());
        for end in sections.map(|section| &mut section.ends[0]).filter(|end| end.recording.is_none()) {
            end.recording = Some(Recording::Runs);
            number += 1;
            let file = format!("ng/{name}-{stamp}-{number}.wav");
            let (leg, mode) = (end.leg.clone(), RecordMode::Mixed);
            started.push(leg.clone());
            commands.push(Command::RecordStart(RecordStart { leg, file, mode }));
        }
        self.next_number = number;
        if !commands.is_empty() {
            let plan = Plan::new(commands, Then::Recording(call_id.to_vec(), started));
            self.begin(Transaction::new(None, Encoding::Bencode), Ok(plan));
        }
    }

    pub(crate) fn pause_recording(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        self.change_recording(flags, |recording| match recording.replace(Recording::Paused)? {
            Recording::Runs | Recording::Paused => Some(Command::RecordPause as fn(Recorded) -> Command),
        })
    }

    pub(crate) fn stop_recording(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        self.change_recording(flags, |recording| {
            recording.take().map(|_| Command::RecordStop as fn(Recorded) -> Command)
        })
    }

    /// Changes what is recorded of the parties that are meant; where nothing is, nothing is done.
    fn change_recording(
        &mut self,
        flags: &Flags<'_>,
        change: impl Fn(&mut Option<Recording>) -> Option<fn(Recorded) -> Command>,
    ) -> Result<Plan, Failure> {
        let (call, seats, _) = self.recorded(flags)?;
        let mut commands = Vec::new();
        for (dialogue, side) in seats {
            let sections = call.find_mut(dialogue).into_iter().flat_map(|dialogue| &mut dialogue.sections);
            for end in sections.flatten().map(|section| &mut section.ends[side]) {
                if end.recording.is_some()
                    && let Some(command) = change(&mut end.recording)
                {
                    commands.push(command(Recorded { leg: end.leg.clone() }));
                }
            }
        }
        Ok(Plan::checked(commands))
    }

    /// Whose legs are recorded, and how: one end of a call hears the other, so that it stands for both.
    fn recorded(&mut self, flags: &Flags<'_>) -> Result<(&mut Call, Vec<Seat>, RecordMode), Failure> {
        let named = !flags.has("all")
            && ["from-tag", "label", "address"].iter().any(|key| matches!(flags.name(key), Ok(Some(_))));
        let (call, mut seats) = self.seats(flags, Unnamed::Everybody)?;
        if !named {
            seats.retain(|(_, side)| *side == 0);
        }
        Ok((call, seats, if named { RecordMode::Leg } else { RecordMode::Mixed }))
    }

    /// A recording that the engine has refused is none.
    pub(crate) fn finish_recording(
        &mut self,
        call_id: &[u8],
        started: &[String],
        results: &[Result<Body, Error>],
    ) -> Result<Dict, Failure> {
        let Some(error) = first_error(results) else { return Ok(Dict::default().with("result", "ok")) };
        let dialogues = self.calls.get_mut(call_id).into_iter().flat_map(|call| &mut call.dialogues);
        let sections = dialogues.flat_map(|dialogue| dialogue.sections.iter_mut().flatten());
        for end in sections.flat_map(|section| &mut section.ends) {
            if started.contains(&end.leg) {
                end.recording = None;
            }
        }
        Err(error.into())
    }
}

/// A call-id as part of a file's name: what no directory is made of, and not too long.
fn file_name(call_id: &[u8]) -> String {
    let plain = |byte: &u8| match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => char::from(*byte),
        _ => '_',
    };
    call_id.iter().take(64).map(plain).collect()
}
