//! `start recording`, `pause recording` and `stop recording`.

use offhook_proto::{Command, Error, RecordMode, RecordStart, Recorded};

use crate::call::Call;
use crate::end::{End, Recording};
use crate::failure::Failure;
use crate::flags::{All, Flags};
use crate::party::{Seat, Unnamed};
use crate::play::below;
use crate::root::{Body, Encoding, Ng, first_error};
use crate::transaction::{Plan, Then, Transaction};
use crate::value::Dict;

impl Ng {
    /// Records a party alone, or a whole call with both sides mixed. After a pause it goes on.
    pub(crate) fn start_recording(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let (seats, mode) = self.recorded(flags)?;
        let call_id = flags.call_id()?;
        let mut files = self.files(call_id);
        files.go_where_told(self.config.recordings.as_deref(), flags)?;
        let (mut commands, mut started) = (Vec::new(), Vec::new());
        let call = self.calls.get_mut(call_id).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        for seat in seats {
            for end in call.ends_of_mut(seat) {
                match end.recording.replace(Recording::Runs) {
                    None => {
                        started.push(end.leg.clone());
                        commands.push(files.record(end, mode));
                    }
                    Some(Recording::Paused) => {
                        commands.push(Command::RecordResume(Recorded { leg: end.leg.clone() }));
                    }
                    Some(Recording::Runs) => {}
                }
            }
        }
        self.next_number = files.number;
        Ok(Plan::new(commands, Then::Recording(call_id.to_vec(), started)))
    }

    /// Records a dialogue that is answered, as its call's signalling asked for. A recording that cannot be made ends no call.
    pub(crate) fn record_answered(&mut self, call_id: &[u8], dialogue: u64) {
        let mut files = self.files(call_id);
        let Some(call) = self.calls.get_mut(call_id) else { return };
        let seat = Seat::Side(dialogue, 0);
        if call.is_unrecorded(seat) {
            return;
        }
        let (mut commands, mut started) = (Vec::new(), Vec::new());
        for end in call.ends_of_mut(seat) {
            if end.recording.is_none() {
                end.recording = Some(Recording::Runs);
                started.push(end.leg.clone());
                commands.push(files.record(end, RecordMode::Mixed));
            }
        }
        self.next_number = files.number;
        if !commands.is_empty() {
            let plan = Plan::new(commands, Then::Recording(call_id.to_vec(), started));
            self.begin(Transaction::new(None, Encoding::Bencode), Ok(plan));
        }
    }

    /// Names for the files of a call.
    fn files(&self, call_id: &[u8]) -> Files {
        let stamp = self.config.unix_s + self.now.as_secs();
        let (directory, start) = ("ng".to_owned(), format!("{}-{stamp}", file_name(call_id)));
        Files { directory, start, number: self.next_number, told: None, made: 0 }
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
        let (_, seats) = self.seats(flags, Unnamed::Everybody)?;
        let call = self.calls.get_mut(flags.call_id()?).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        let mut commands = Vec::new();
        for seat in seats {
            for end in call.ends_of_mut(seat) {
                if end.recording.is_some()
                    && let Some(command) = change(&mut end.recording)
                {
                    commands.push(command(Recorded { leg: end.leg.clone() }));
                }
            }
        }
        Ok(Plan::checked(commands))
    }

    /// Whose legs are to be recorded, and how: one end of a pair hears the other, so that it stands for both.
    fn recorded(&self, flags: &Flags<'_>) -> Result<(Vec<Seat>, RecordMode), Failure> {
        let named = flags.all() != Some(All::Parties) && flags.names_party();
        let (call, mut seats) = self.seats(flags, Unnamed::Everybody)?;
        seats.retain(|seat| !call.is_unrecorded(*seat));
        if named {
            return Ok((seats, RecordMode::Leg));
        }
        let mut heard: Vec<String> = Vec::new();
        seats.retain(|seat| match seat {
            Seat::Side(_, side) => *side == 0,
            Seat::Solo(_) => {
                let ends = self.partners(call, *seat);
                let is_heard = ends.iter().any(|(leg, _)| heard.contains(leg));
                heard.extend(ends.into_iter().filter_map(|(_, partner)| Some(partner?.leg)));
                !is_heard
            }
        });
        Ok((seats, RecordMode::Mixed))
    }

    /// A recording that the engine has refused is none.
    pub(crate) fn finish_recording(
        &mut self,
        call_id: &[u8],
        started: &[String],
        results: &[Result<Body, Error>],
    ) -> Result<Dict, Failure> {
        let Some(error) = first_error(results) else { return Ok(Dict::default().with("result", "ok")) };
        for end in self.calls.get_mut(call_id).into_iter().flat_map(Call::ends_mut) {
            if started.contains(&end.leg) {
                end.recording = None;
            }
        }
        Err(error.into())
    }
}

/// Names for a call's files, each used once.
struct Files {
    directory: String,
    start: String,
    number: u64,
    /// What the first one is to be called, by the request.
    told: Option<String>,
    made: u32,
}

impl Files {
    /// Takes the file, or else the directory, that a request names below the engine's.
    fn go_where_told(&mut self, recordings: Option<&str>, flags: &Flags<'_>) -> Result<(), Failure> {
        let told = |key: &'static str| {
            let path = below(recordings, flags.dict.text(key)?);
            let inside = !path.starts_with('/');
            let outside = || Failure::error(format!("{key} is not below the recording directory"));
            Some(inside.then(|| path.trim_end_matches('/').to_owned()).ok_or_else(outside))
        };
        let file = told("recording-file").or_else(|| told("output-destination"));
        self.told = file.transpose()?.filter(|file| !file.is_empty());
        if let Some(directory) = told("recording-dir").transpose()? {
            self.directory = directory;
        }
        Ok(())
    }

    fn record(&mut self, end: &End, mode: RecordMode) -> Command {
        self.number += 1;
        self.made += 1;
        let file = match &self.told {
            Some(told) if self.made == 1 => told.clone(),
            Some(told) => format!("{told}-{}", self.made),
            None if self.directory.is_empty() => format!("{}-{}.wav", self.start, self.number),
            None => format!("{}/{}-{}.wav", self.directory, self.start, self.number),
        };
        Command::RecordStart(RecordStart { leg: end.leg.clone(), file, mode, rate_hz: None })
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
