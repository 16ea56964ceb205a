//! From the bytes of a dictionary to a request that is known to be sound.

use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::limits::JSON_DEPTH;
use crate::{Command, Error, ErrorCode, Request, validate};

impl Request {
    /// The request in a dictionary (what follows the cookie), with every value checked against its range.
    ///
    /// Keys that the command does not have are refused, so that a misspelt one is noticed.
    ///
    /// # Errors
    /// `bad_request` when it is not a dictionary or not a command, or when a field is missing, unknown, given twice or of
    /// another kind; `bad_value` or `same_leg` as in [`validate::request`]. The sentence names the field and what it takes.
    pub fn parse(dictionary: &[u8]) -> Result<Self, Error> {
        let mut map = dictionary_of(dictionary)?;
        let controller = match map.remove("controller") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => return Err(bad_request("controller: expected a string")),
        };
        let name = match map.remove("command") {
            Some(Value::String(name)) => name,
            Some(_) => return Err(bad_request("command: expected a string")),
            None => return Err(bad_request("command: missing; the dictionary needs the name of a command")),
        };
        let request = Self { controller, command: command_of(&name, map)? };
        validate::request(&request)?;
        Ok(request)
    }

    /// Whether a dictionary is what an engine itself sends, a reply or an event, rather than a request gone wrong.
    ///
    /// An answer to an answer has no end: between two engines, or with one that was subscribed to itself.
    pub fn is_answer(dictionary: &[u8]) -> bool {
        dictionary_of(dictionary).is_ok_and(|map| {
            !map.contains_key("command") && (map.contains_key("result") || map.contains_key("event"))
        })
    }
}

fn command_of(name: &str, map: Map<String, Value>) -> Result<Command, Error> {
    Ok(match name {
        "ping" => bare(map, Command::Ping)?,
        "leg.create" => Command::LegCreate(body(map)?),
        "leg.update" => Command::LegUpdate(body(map)?),
        "leg.delete" => Command::LegDelete(body(map)?),
        "leg.list" => Command::LegList(body(map)?),
        "leg.query" => Command::LegQuery(body(map)?),
        "leg.park" => Command::LegPark(body(map)?),
        "leg.unpark" => Command::LegUnpark(body(map)?),
        "splice" => Command::Splice(body(map)?),
        "unsplice" => Command::Unsplice(body(map)?),
        "supervise" => Command::Supervise(body(map)?),
        "supervise.stop" => Command::SuperviseStop(body(map)?),
        "listen" => Command::Listen(body(map)?),
        "listen.stop" => Command::ListenStop(body(map)?),
        "play" => Command::Play(body(map)?),
        "play.stop" => Command::PlayStop(body(map)?),
        "record.start" => Command::RecordStart(body(map)?),
        "record.pause" => Command::RecordPause(body(map)?),
        "record.resume" => Command::RecordResume(body(map)?),
        "record.stop" => Command::RecordStop(body(map)?),
        "detect.start" => Command::DetectStart(body(map)?),
        "detect.stop" => Command::DetectStop(body(map)?),
        "statistics" => bare(map, Command::Statistics)?,
        "subscribe" => Command::Subscribe(body(map)?),
        "unsubscribe" => bare(map, Command::Unsubscribe)?,
        "event.ack" => Command::EventAck(body(map)?),
        other => return Err(unknown_command(other)),
    })
}

/// Names of all commands.
pub(crate) const COMMANDS: [&str; 26] = [
    "ping",
    "leg.create",
    "leg.update",
    "leg.delete",
    "leg.list",
    "leg.query",
    "leg.park",
    "leg.unpark",
    "splice",
    "unsplice",
    "supervise",
    "supervise.stop",
    "listen",
    "listen.stop",
    "play",
    "play.stop",
    "record.start",
    "record.pause",
    "record.resume",
    "record.stop",
    "detect.start",
    "detect.stop",
    "statistics",
    "subscribe",
    "unsubscribe",
    "event.ack",
];

fn bare(map: Map<String, Value>, command: Command) -> Result<Command, Error> {
    match map.into_iter().next() {
        None => Ok(command),
        Some((key, _)) => Err(bad_request(format!("{}: unknown; this command takes no fields", shown(&key)))),
    }
}

fn body<T: DeserializeOwned>(map: Map<String, Value>) -> Result<T, Error> {
    remote_keys(&map)?;
    // The path to a wrong field costs time, so it is looked for only once there is one.
    match T::deserialize(&map) {
        Ok(body) => Ok(body),
        Err(_) => serde_path_to_error::deserialize(Value::Object(map)).map_err(|error| field_error(&error)),
    }
}

/// `remote` is part of replies too, where strangers' keys are welcome, so its type cannot refuse them.
fn remote_keys(map: &Map<String, Value>) -> Result<(), Error> {
    let Some(Value::Object(remote)) = map.get("remote") else { return Ok(()) };
    match remote.keys().find(|key| !matches!(key.as_str(), "rtp" | "rtcp")) {
        None => Ok(()),
        Some(key) => Err(bad_request(format!("remote: unknown field {}, expected rtp or rtcp", shown(key)))),
    }
}

fn field_error(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let path = error.path().to_string();
    let sentence = in_words(&error.inner().to_string());
    let shape = ["missing field", "unknown field", "duplicate field", "invalid type", "invalid length"];
    let code = if shape.iter().any(|start| sentence.starts_with(start)) {
        ErrorCode::BadRequest
    } else {
        ErrorCode::BadValue
    };
    let sentence = if path == "." { sentence } else { format!("{path}: {sentence}") };
    Error::new(code, without_middle(on_one_line(&sentence)))
}

/// A sentence that quotes a stranger, without what would make more than one line of it in a log or on a terminal.
fn on_one_line(sentence: &str) -> String {
    sentence
        .chars()
        .map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter })
        .collect()
}

/// A sentence that quotes a stranger at length, with only its start and end.
fn without_middle(sentence: String) -> String {
    let count = sentence.chars().count();
    if count <= SENTENCE_CHARS {
        return sentence;
    }
    let start = sentence.chars().take(SENTENCE_CHARS / 2);
    start.chain(['…']).chain(sentence.chars().skip(count - SENTENCE_CHARS / 2)).collect()
}

/// Longest sentence about a field; the list of a leg's fields fits.
const SENTENCE_CHARS: usize = 300;

/// Rust's names of numbers as ranges.
fn in_words(sentence: &str) -> String {
    let ranges = [
        ("u8", "a whole number from 0 to 255"),
        ("u16", "a whole number from 0 to 65535"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("u64", "a whole number from 0"),
    ];
    for (name, range) in ranges {
        if let Some(start) = sentence.strip_suffix(&format!("expected {name}")) {
            return format!("{start}expected {range}");
        }
    }
    sentence.to_owned()
}

fn unknown_command(name: &str) -> Error {
    let mut near: Vec<&str> =
        COMMANDS.into_iter().filter(|known| name.len() <= 64 && distance(name, known) <= 3).collect();
    near.sort_by_key(|known| distance(name, known));
    let hint = if near.is_empty() {
        format!("the commands are {}", COMMANDS.join(", "))
    } else {
        format!("did you mean {}?", near.join(" or "))
    };
    bad_request(format!("command: no such command {}; {hint}", shown(name)))
}

/// Edits that turn one name into the other: insertions, deletions and replacements, and 1 for a missing family prefix
/// (`create` for `leg.create`).
fn distance(given: &str, known: &str) -> usize {
    if known.split('.').any(|part| part == given) {
        return 1;
    }
    let mut row: Vec<usize> = (0..=known.len()).collect();
    for (i, a) in given.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in known.bytes().enumerate() {
            let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(&b));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[known.len()]
}

/// What a stranger sent, quoted and cut short.
pub(crate) fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(40).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

fn bad_request(reason: impl Into<String>) -> Error {
    Error::new(ErrorCode::BadRequest, reason)
}

fn dictionary_of(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    let fail = |error: serde_json::Error| bad_request(format!("not a JSON dictionary: {error}"));
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = Node { depth_left: JSON_DEPTH }.deserialize(&mut json).map_err(fail)?;
    json.end().map_err(fail)?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(bad_request("not a JSON dictionary: expected { after the cookie")),
    }
}

/// A JSON value with no key twice in one dictionary and no nesting past a depth.
#[derive(Clone, Copy)]
struct Node {
    depth_left: usize,
}

impl Node {
    fn inside<E: de::Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left }),
            None => Err(E::custom(format_args!("nested deeper than {JSON_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(de::Error::custom(format_args!("the key {} is given twice", shown(&key))));
            }
            map.insert(key, entries.next_value_seed(inside)?);
        }
        Ok(Value::Object(map))
    }
}
