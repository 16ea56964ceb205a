//! The example datagrams of PROTOCOL.md against the types.

use std::collections::BTreeMap;
use std::path::Path;

use offhook_proto::auth::{Key, sign, verify};
use offhook_proto::{
    Command, EngineInfo, Error, Event, EventBody, LegCreated, LegInfo, LegList, PlayStarted, PlayStopped,
    Reply, Request, Subscribed, frame,
};
use serde_json::Value;

const PROTOCOL: &str = include_str!("../PROTOCOL.md");

/// Contents by file name without `.txt`, without the last line feed.
fn golden() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    std::fs::read_dir(folder)
        .expect("golden/ is there")
        .map(|entry| {
            let path = entry.expect("golden/ can be listed").path();
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a golden file is text");
            (name, text.strip_suffix('\n').expect("a golden file ends its line").to_owned())
        })
        .collect()
}

fn of_kind(kind: &str) -> impl Iterator<Item = (String, String)> {
    let kind = format!(".{kind}");
    golden().into_iter().filter_map(move |(name, text)| Some((name.strip_suffix(&kind)?.to_owned(), text)))
}

fn split(text: &str) -> (&str, &[u8]) {
    frame::split(text.as_bytes()).expect("a golden datagram has a cookie")
}

/// The reply as the type that PROTOCOL.md gives for the command, and back.
fn through_its_type(command: &str, reply: Reply) -> Reply {
    fn through<T: serde::de::DeserializeOwned + serde::Serialize>(reply: Reply) -> Reply {
        Reply::ok(&reply.parse::<T>().expect("the reply has its type's shape"))
    }
    match command {
        "ping" => Reply::pong(&reply.parse::<EngineInfo>().expect("the reply has its type's shape")),
        "statistics" => through::<EngineInfo>(reply),
        "leg.create" => through::<LegCreated>(reply),
        "leg.update" | "leg.query" | "leg.delete" => through::<LegInfo>(reply),
        "leg.list" => through::<LegList>(reply),
        "play" => through::<PlayStarted>(reply),
        "play.stop" => through::<PlayStopped>(reply),
        "subscribe" => through::<Subscribed>(reply),
        _ => reply,
    }
}

#[test]
fn every_golden_request_survives_parsing_and_writing_byte_for_byte() {
    for (name, text) in of_kind("request") {
        let (cookie, dictionary) = split(&text);
        let request = Request::parse(dictionary).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(String::from_utf8(frame::join(cookie, &request)).expect("JSON is UTF-8"), text, "{name}");
        let derived: Request = serde_json::from_slice(dictionary).expect("serde reads it too");
        assert_eq!(derived, request, "{name}");
    }
}

#[test]
fn every_golden_reply_survives_its_type() {
    for (name, text) in of_kind("reply") {
        let (cookie, dictionary) = split(&text);
        let reply: Reply =
            serde_json::from_slice(dictionary).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = frame::join(cookie, &through_its_type(&name, reply));
        let (again_cookie, again) = frame::split(&again).expect("it has a cookie");
        let (again, wanted): (Value, Value) = (
            serde_json::from_slice(again).expect("it is JSON"),
            serde_json::from_slice(dictionary).expect("it is JSON"),
        );
        assert_eq!((again_cookie, again), (cookie, wanted), "{name}");
    }
}

#[test]
fn every_golden_event_survives_parsing_and_writing_byte_for_byte() {
    for (name, text) in of_kind("event") {
        let (cookie, dictionary) = split(&text);
        assert_eq!(cookie, "event");
        let event: Event =
            serde_json::from_slice(dictionary).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(String::from_utf8(frame::join(cookie, &event)).expect("JSON is UTF-8"), text);
    }
}

#[test]
fn every_golden_reply_answers_the_cookie_of_its_request() {
    let replies: BTreeMap<_, _> = of_kind("reply").collect();
    for (name, request) in of_kind("request") {
        assert_eq!(split(&request).0, split(&replies[&name]).0, "{name}");
    }
}

#[test]
fn every_command_has_a_golden_request_and_reply() {
    let requests: BTreeMap<_, _> = of_kind("request").collect();
    let replies: BTreeMap<_, _> = of_kind("reply").collect();
    for name in commands() {
        assert!(requests.contains_key(&name), "no golden request for {name}");
        assert!(replies.contains_key(&name), "no golden reply for {name}");
    }
    assert_eq!(requests.len(), commands().len());
}

#[test]
fn every_event_has_a_golden_datagram() {
    let names: Vec<String> = of_kind("event").map(|(name, _)| name).collect();
    for (name, text) in of_kind("event") {
        let event: Event = serde_json::from_slice(split(&text).1).expect("it is an event");
        assert_eq!(event_name(&event.body), name);
    }
    assert_eq!(names.len(), EVENTS, "event_name lists them");
}

#[test]
fn the_document_shows_every_golden_datagram() {
    for (name, text) in golden() {
        assert!(PROTOCOL.contains(&format!("\n{text}\n")), "PROTOCOL.md does not show {name}: {text}");
    }
}

#[test]
fn the_document_shows_no_datagram_that_is_not_golden() {
    let golden: Vec<String> = golden().into_values().collect();
    for line in
        PROTOCOL.lines().filter(|line| line.starts_with("8d1f5c02a7b3e946-") || line.starts_with("event {"))
    {
        assert!(
            golden.iter().any(|text| text == line) || line == signed(),
            "PROTOCOL.md shows another datagram: {line}"
        );
    }
}

#[test]
fn the_document_names_every_command_event_and_error() {
    for name in commands() {
        assert!(PROTOCOL.contains(&format!("### `{name}`")), "PROTOCOL.md has no section on {name}");
    }
    for (name, _) in of_kind("event") {
        assert!(PROTOCOL.contains(&format!("### `{name}`")), "PROTOCOL.md has no section on {name}");
    }
    for code in error_codes() {
        assert!(PROTOCOL.contains(&format!("| `{code}` |")), "PROTOCOL.md does not explain {code}");
    }
}

#[test]
fn the_documents_signed_example_is_right() {
    assert!(PROTOCOL.contains(&signed()));
    let key = Key::new(KEY).expect("the key is long enough");
    let (cookie, dictionary) = verify(&key, NOW_UNIX_MS, 0, signed().as_bytes())
        .map_err(|e| e.to_string())
        .map(|(c, d)| (c.to_owned(), d.to_vec()))
        .expect("it is signed");
    assert_eq!((cookie.as_str(), dictionary.as_slice()), split(&golden()["ping.request"]));
}

const KEY: &[u8] = b"correct horse battery staple";
const NOW_UNIX_MS: u64 = 1_790_000_000_000;

fn signed() -> String {
    let ping = golden()["ping.request"].clone();
    let (cookie, dictionary) = split(&ping);
    let key = Key::new(KEY).expect("the key is long enough");
    String::from_utf8(sign(&key, NOW_UNIX_MS, cookie, dictionary)).expect("JSON is UTF-8")
}

/// The parser's own list, as it tells it to whoever asks for a command that is like none of them.
fn commands() -> Vec<String> {
    let error = Request::parse(br#"{"command":"?????????????????"}"#).expect_err("there is no such command");
    let list = error.reason.split("the commands are ").nth(1).expect("it lists the commands");
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_parser_knows_every_command_that_can_be_written() {
    for name in commands() {
        let request = &golden()[&format!("{name}.request")];
        let request = Request::parse(split(request).1).expect("it is a request");
        assert_eq!(command_name(&request.command), name);
    }
}

/// No wildcard: a new command fails to compile here until it is listed.
fn command_name(command: &Command) -> &'static str {
    match command {
        Command::Ping => "ping",
        Command::LegCreate(_) => "leg.create",
        Command::LegUpdate(_) => "leg.update",
        Command::LegDelete(_) => "leg.delete",
        Command::LegList(_) => "leg.list",
        Command::LegQuery(_) => "leg.query",
        Command::LegPark(_) => "leg.park",
        Command::LegUnpark(_) => "leg.unpark",
        Command::Splice(_) => "splice",
        Command::Unsplice(_) => "unsplice",
        Command::Supervise(_) => "supervise",
        Command::SuperviseStop(_) => "supervise.stop",
        Command::Listen(_) => "listen",
        Command::ListenStop(_) => "listen.stop",
        Command::Play(_) => "play",
        Command::PlayStop(_) => "play.stop",
        Command::RecordStart(_) => "record.start",
        Command::RecordPause(_) => "record.pause",
        Command::RecordResume(_) => "record.resume",
        Command::RecordStop(_) => "record.stop",
        Command::DetectStart(_) => "detect.start",
        Command::DetectStop(_) => "detect.stop",
        Command::Statistics => "statistics",
        Command::Subscribe(_) => "subscribe",
        Command::Unsubscribe => "unsubscribe",
        Command::EventAck(_) => "event.ack",
    }
}

/// No wildcard: a new event fails to compile here until it is listed, and counted in [`EVENTS`].
fn event_name(body: &EventBody) -> &'static str {
    match body {
        EventBody::LegLatched { .. } => "leg.latched",
        EventBody::LegSilent { .. } => "leg.silent",
        EventBody::LegAlive { .. } => "leg.alive",
        EventBody::LegOneWay { .. } => "leg.one_way",
        EventBody::LegTwoWay { .. } => "leg.two_way",
        EventBody::LegQuality { .. } => "leg.quality",
        EventBody::LegBye { .. } => "leg.bye",
        EventBody::LegReleased { .. } => "leg.released",
        EventBody::Dtmf { .. } => "dtmf",
        EventBody::Detected(_) => "detected",
        EventBody::SpliceAudio(_) => "splice.audio",
        EventBody::PlayEnded { .. } => "play.ended",
        EventBody::SuperviseEnded { .. } => "supervise.ended",
        EventBody::RecordEnded { .. } => "record.ended",
        EventBody::LeaseExpired { .. } => "lease.expired",
        EventBody::EventsLost { .. } => "events.lost",
    }
}

const EVENTS: usize = 16;

/// As serde lists them to whoever sends another one.
fn error_codes() -> Vec<String> {
    let error =
        serde_json::from_str::<Error>(r#"{"error":"?","error-reason":""}"#).expect_err("no such code");
    let error = error.to_string();
    let list = error.split("expected one of ").nth(1).expect("serde lists the codes");
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
