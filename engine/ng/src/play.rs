//! `play media`, `stop media` and `play DTMF`.

use offhook_proto::limits::DTMF_KEYS;
use offhook_proto::{Command, Error, Play, PlaySource, PlayStarted, PlayStop, Reply};

use crate::call::Call;
use crate::failure::Failure;
use crate::flags::Flags;
use crate::party::{Seat, Unnamed};
use crate::root::{Body, Ng, first_error};
use crate::transaction::{Plan, Then};
use crate::value::{Dict, Value};

impl Ng {
    /// Plays to a party.
    pub(crate) fn play_media(&mut self, dict: &Dict, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let file = self.prompt(dict);
        let times =
            dict.find("repeat-times").and_then(Value::int).and_then(|times| u32::try_from(times).ok());
        let (call, seats) = self.seats(flags, Unnamed::Refused)?;
        let source = PlaySource::File(file?);
        let legs: Vec<String> = seats.iter().flat_map(|seat| legs_of(call, *seat)).collect();
        if legs.is_empty() {
            return Err(Failure::error("No media to play to"));
        }
        Ok(Plan::new(plays(&legs, &[source], times.unwrap_or(1).max(1)), Then::Play))
    }

    pub(crate) fn stop_media(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let (call, seats) = self.seats(flags, Unnamed::Refused)?;
        let legs = seats.iter().flat_map(|seat| legs_of(call, *seat));
        Ok(Plan::checked(legs.map(|leg| Command::PlayStop(PlayStop { leg, play: None })).collect()))
    }

    /// Plays keys as if a party had pressed them: the other side hears them.
    pub(crate) fn play_dtmf(&mut self, dict: &Dict, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let (call, seats) = self.seats(flags, Unnamed::Refused)?;
        let code = dict.find("code").or_else(|| dict.find("digit"));
        let code = match code {
            Some(Value::Int(number)) => number.to_string(),
            Some(value) => value.text().unwrap_or_default().to_ascii_uppercase(),
            None => String::new(),
        };
        let keys = |code: &str| code.bytes().all(|key| key.is_ascii_digit() || b"*#ABCD".contains(&key));
        if code.is_empty() || code.len() > DTMF_KEYS || !keys(&code) {
            return Err(Failure::error("Out of range 'code' specified"));
        }
        let hearers = seats.iter().map(|(number, side)| (*number, 1 - side));
        let legs: Vec<String> = hearers.flat_map(|seat| legs_of(call, seat)).collect();
        let commands = plays(&legs, &[PlaySource::Dtmf(code)], 1);
        Ok(Plan::checked(commands))
    }

    pub(crate) fn finish_play(results: &[Result<Body, Error>]) -> Result<Dict, Failure> {
        if let Some(error) = first_error(results) {
            return Err(error.into());
        }
        let mut dict = Dict::default();
        let started =
            results.iter().flatten().next().cloned().map(|body| Reply::Ok(body).parse::<PlayStarted>());
        if let Some(Ok(PlayStarted { duration_ms: Some(duration_ms), .. })) = started {
            dict.put("duration", duration_ms);
        }
        Ok(dict.with("result", "ok"))
    }

    /// The name of a prompt under the engine's directory, which clients may write in full.
    fn prompt(&self, dict: &Dict) -> Result<String, Failure> {
        for unsupported in ["blob", "db-id"] {
            if dict.find(unsupported).is_some() {
                return Err(Failure::error(format!("Playing media from a {unsupported} is not supported")));
            }
        }
        let file = dict.text("file").ok_or_else(|| Failure::error("No media file specified"))?;
        let directory = self.config.prompts.as_deref();
        let relative = directory.and_then(|directory| file.strip_prefix(directory.trim_end_matches('/')));
        Ok(relative.and_then(|rest| rest.strip_prefix('/')).unwrap_or(file).to_owned())
    }
}

fn legs_of(call: &Call, (number, side): Seat) -> impl Iterator<Item = String> {
    let sections = call.find(number).into_iter().flat_map(|dialogue| dialogue.sections.iter().flatten());
    sections.map(move |section| section.ends[side].leg.clone())
}

fn plays(legs: &[String], sources: &[PlaySource], times: u32) -> Vec<Command> {
    let play =
        |leg: &String| Play { leg: leg.clone(), sources: sources.to_vec(), times, play: String::new() };
    legs.iter().map(|leg| Command::Play(play(leg))).collect()
}
