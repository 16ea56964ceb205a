//! `play media`, `stop media` and `play DTMF`.

use offhook_proto::limits::DTMF_KEYS;
use offhook_proto::{Command, Error, Keys, Play, PlaySource, PlayStarted, PlayStop, PlayStopped, Reply};

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
        let extent = extent(dict)?;
        let (call, seats) = self.seats(flags, Unnamed::Refused)?;
        let source = PlaySource::File(file?);
        let legs: Vec<String> = seats.iter().flat_map(|seat| legs_of(call, *seat)).collect();
        if legs.is_empty() {
            return Err(Failure::error("No media to play to"));
        }
        Ok(Plan::new(plays(&legs, &Play { sources: vec![source], ..extent }), Then::Play))
    }

    pub(crate) fn stop_media(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let (call, seats) = self.seats(flags, Unnamed::Refused)?;
        let legs = seats.iter().flat_map(|seat| legs_of(call, *seat));
        Ok(Plan::new(legs.map(|leg| Command::PlayStop(PlayStop { leg, play: None })).collect(), Then::Stop))
    }

    /// Plays keys as if a party had pressed them: whoever it is joined to hears them.
    pub(crate) fn play_dtmf(&mut self, dict: &Dict, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let (call, seats) = self.seats(flags, Unnamed::Refused)?;
        let keys = keys(dict)?;
        let partners = seats.iter().flat_map(|seat| self.partners(call, *seat));
        let legs: Vec<String> = partners.filter_map(|(_, partner)| Some(partner?.leg)).collect();
        if legs.is_empty() {
            return Err(Failure::error("No media to play to"));
        }
        Ok(Plan::checked(plays(&legs, &Play::new("", vec![PlaySource::Keys(keys)]))))
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

    /// Tells where a play was stopped: of several, the first.
    pub(crate) fn finish_stop(results: &[Result<Body, Error>]) -> Result<Dict, Failure> {
        if let Some(error) = first_error(results) {
            return Err(error.into());
        }
        let stopped = results.iter().flatten().cloned().filter_map(|body| Reply::Ok(body).parse().ok());
        let position_ms = stopped.filter_map(|stopped: PlayStopped| stopped.position_ms).next();
        let position_ms = position_ms.ok_or_else(|| Failure::error("Not currently playing media"))?;
        Ok(Dict::default().with("last-frame-pos", position_ms * FRAMES_PER_MS).with("result", "ok"))
    }

    /// The name of a prompt under the engine's directory, which clients may write in full.
    fn prompt(&self, dict: &Dict) -> Result<String, Failure> {
        for unsupported in ["blob", "db-id"] {
            if dict.find(unsupported).is_some() {
                return Err(Failure::error(format!("Playing media from a {unsupported} is not supported")));
            }
        }
        let file = dict.text("file").ok_or_else(|| Failure::error("No media file specified"))?;
        Ok(below(self.config.prompts.as_deref(), file).to_owned())
    }
}

/// A path below a directory of the engine's, without that; any other as it is.
pub(crate) fn below<'a>(directory: Option<&str>, path: &'a str) -> &'a str {
    let relative = directory.and_then(|directory| path.strip_prefix(directory.trim_end_matches('/')));
    relative.and_then(|rest| rest.strip_prefix('/')).unwrap_or(path)
}

/// How much of a file is to be played, and from where on. Playing it as often as fits into a time goes before how often that is
/// otherwise: once.
fn extent(dict: &Dict) -> Result<Play, Failure> {
    let number = |key: &str, factor: i64| {
        let Some(value) = dict.find(key) else { return Ok(None) };
        let number = value.int().and_then(|number| u32::try_from(number / factor).ok());
        number.map(Some).ok_or_else(|| Failure::error(format!("Out of range '{key}' specified")))
    };
    let limit_ms = number("repeat-duration", 1)?.unwrap_or(0);
    let usual = u32::from(limit_ms == 0);
    let times = number("repeat-times", 1)?.map_or(usual, |times| times.max(1));
    let start_ms = number("start-pos", FRAMES_PER_MS as i64)?.unwrap_or(0);
    Ok(Play { times, start_ms, limit_ms, ..Play::new("", Vec::new()) })
}

/// Frames of a file's position: rtpengine counts samples of the file, which these are at the rate of telephones.
const FRAMES_PER_MS: u64 = 8;

/// The keys that a request wants, and how: rtpengine's defaults and bounds hold.
fn keys(dict: &Dict) -> Result<Keys, Failure> {
    const CODES: &str = "0123456789*#ABCD";
    let keys = match dict.find("code").or_else(|| dict.find("digit")) {
        Some(Value::Int(code)) => {
            let code = usize::try_from(*code).ok().and_then(|code| CODES.get(code..=code));
            code.unwrap_or_default().to_owned()
        }
        Some(value) => value.text().unwrap_or_default().to_ascii_uppercase(),
        None => String::new(),
    };
    if keys.is_empty() || keys.len() > DTMF_KEYS || !keys.chars().all(|key| CODES.contains(key)) {
        return Err(Failure::error("Out of range 'code' specified"));
    }
    let number = |key: &str, usual: i64| dict.find(key).and_then(Value::int).unwrap_or(usual);
    let time_ms = |key: &str, usual: i64| number(key, usual).clamp(100, 5_000) as u32;
    // A level is written with its sign or without.
    let level_dbm0 = -number("volume", 8).saturating_abs().min(63) as i8;
    let (on_ms, off_ms) = (time_ms("duration", 250), time_ms("pause", 100));
    Ok(Keys { keys, on_ms, off_ms, level_dbm0: Some(level_dbm0) })
}

fn legs_of(call: &Call, seat: Seat) -> impl Iterator<Item = String> {
    call.ends(seat).into_iter().map(|end| end.leg.clone())
}

fn plays(legs: &[String], play: &Play) -> Vec<Command> {
    legs.iter().map(|leg| Command::Play(Play { leg: leg.clone(), ..play.clone() })).collect()
}
