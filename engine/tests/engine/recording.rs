//! Recordings: what is in the file.

use std::path::Path;
use std::time::Instant;

use offhook_audio::g711;
use offhook_proto::{
    Codec, Command, EngineInfo, ErrorCode, EventBody, Idle, LegCreate, LegDelete, Media, RecordEnd,
    RecordMode, RecordStart, Recorded,
};

use crate::support::{Client, Engine, Phone, leg_towards, number};

fn start(leg: &str, file: &str, mode: RecordMode) -> Command {
    Command::RecordStart(RecordStart { leg: leg.into(), file: file.into(), mode, rate_hz: None })
}

fn recorded(leg: &str) -> Recorded {
    Recorded { leg: leg.into() }
}

/// A word: 20 ms of one level.
fn word(level: i16) -> [u8; 160] {
    [g711::linear_to_ulaw(level); 160]
}

/// Channels, and all samples.
fn read(path: &Path) -> (u16, Vec<i16>) {
    let reader = hound::WavReader::open(path).expect("it can be played");
    assert_eq!(reader.spec().sample_rate, 8_000);
    (reader.spec().channels, reader.into_samples().map(|sample| sample.expect("a sample")).collect())
}

/// How many samples of a channel are of a level as µ-law tells it.
fn count(samples: &[i16], level: i16) -> usize {
    let level = g711::ulaw_to_linear(g711::linear_to_ulaw(level));
    samples.iter().filter(|sample| **sample == level).count()
}

fn ended(client: &mut Client) -> (String, RecordEnd, u64) {
    client.await_event(|event| match event {
        EventBody::RecordEnded { file, end, duration_ms, .. } => Some((file, end, duration_ms)),
        _ => None,
    })
}

fn engine(directory: &Path) -> Engine {
    Engine::start_with(&["--recordings", directory.to_str().expect("UTF-8")])
}

#[test]
fn by_06_only_what_is_said_to_somebody_is_recorded() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = engine(directory.path());
    let mut client = engine.subscriber("test", 0);
    let (mut agent, mut customer) = (Phone::new(), Phone::new());
    let (a, c) = (client.create("agent", &agent), client.create("customer", &customer));
    client.done(start("agent", "day/agent.wav", RecordMode::Stereo));
    for _ in 0..10 {
        agent.send(a.rtp, &word(9_000));
    }
    client.await_leg("agent", |leg| leg.counters.packets_received == 10);
    client.splice("agent", "customer");
    for _ in 0..10 {
        agent.send(a.rtp, &word(5_000));
        customer.hear();
        customer.send(c.rtp, &word(3_000));
        agent.hear();
    }
    client.done(Command::RecordPause(recorded("agent")));
    agent.send(a.rtp, &word(7_000));
    customer.hear();
    client.done(Command::RecordResume(recorded("agent")));
    client.unsplice("agent");
    for _ in 0..10 {
        agent.send(a.rtp, &word(9_000));
    }
    client.await_leg("agent", |leg| leg.counters.packets_received == 31);
    client.done(Command::RecordStop(recorded("agent")));
    let (file, end, duration_ms) = ended(&mut client);
    assert_eq!((file.as_str(), end), ("day/agent.wav", RecordEnd::Stopped));
    let (channels, samples) = read(&directory.path().join(file));
    assert_eq!((channels, samples.len() as u64 / 16), (2, duration_ms));
    let left: Vec<i16> = samples.iter().copied().step_by(2).collect();
    let right: Vec<i16> = samples.iter().copied().skip(1).step_by(2).collect();
    assert_eq!(count(&samples, 9_000), 0, "the idle microphone");
    assert_eq!(count(&samples, 7_000), 0, "what was said during the pause");
    assert!(count(&left, 5_000) >= 1_600 && count(&left, 3_000) == 0, "the agent is on the left");
    assert!(count(&right, 3_000) >= 1_600 && count(&right, 5_000) == 0, "the customer is on the right");
}

#[test]
fn a_wide_leg_is_recorded_wide_and_any_leg_at_the_rate_that_is_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = engine(directory.path());
    let mut client = engine.subscriber("test", 0);
    let media = Media { codec: Codec::L16 { rate_hz: 16_000 }, payload_type: 97, ..Media::default() };
    let word = [5_000_i16; 320].map(i16::to_be_bytes).concat();
    let mut phones = [Phone::new(), Phone::new()];
    let legs = ["agent", "customer"].map(|name| {
        let phone = &mut phones[usize::from(name == "customer")];
        (phone.next.payload_type, phone.step) = (97, 320);
        client.create_with(LegCreate { media: media.clone(), idle: Idle::None, ..leg_towards(name, phone) })
    });
    client.splice("agent", "customer");
    client.done(start("agent", "usual.wav", RecordMode::Leg));
    let asked = RecordStart {
        leg: "customer".into(),
        file: "asked.wav".into(),
        mode: RecordMode::Mixed,
        rate_hz: Some(48_000),
    };
    client.done(Command::RecordStart(asked.clone()));
    let impossible = RecordStart { file: "no.wav".into(), rate_hz: Some(44_100), ..asked };
    assert_eq!(client.refused(Command::RecordStart(impossible)).code, ErrorCode::BadValue);
    for _ in 0..20 {
        phones[0].send(legs[0].rtp, &word);
        phones[1].hear();
    }
    for (leg, file, rate_hz) in [("agent", "usual.wav", 16_000), ("customer", "asked.wav", 48_000)] {
        client.done(Command::RecordStop(recorded(leg)));
        let (_, _, duration_ms) = ended(&mut client);
        let reader = hound::WavReader::open(directory.path().join(file)).expect("it can be played");
        assert_eq!(reader.spec().sample_rate, rate_hz);
        let samples: Vec<i16> = reader.into_samples().map(|sample| sample.expect("a sample")).collect();
        assert_eq!(samples.len() as u64 * 1_000 / u64::from(rate_hz), duration_ms);
        let loud = samples.iter().filter(|sample| sample.abs_diff(5_000) < 50).count();
        // All of it, but for the filter's edges.
        assert!(loud >= rate_hz as usize * 390 / 1_000, "{file}: {loud} at {rate_hz} Hz");
    }
}

#[test]
fn a_file_is_as_wide_as_its_legs_codec() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = engine(directory.path());
    let mut client = engine.subscriber("test", 0);
    let phone = Phone::new();
    for (codec, payload_type, rate_hz) in [
        (Codec::Pcma, 8, 8_000),
        (Codec::G722, 9, 16_000),
        (Codec::Opus, 111, 16_000),
        (Codec::L16 { rate_hz: 8_000 }, 97, 8_000),
        (Codec::L16 { rate_hz: 48_000 }, 97, 16_000),
    ] {
        let name = codec.to_string().replace('/', "-");
        let media = Media { codec, payload_type, ..Media::default() };
        client.create_with(LegCreate { media, ..leg_towards(&name, &phone) });
        client.done(start(&name, &name, RecordMode::Mixed));
        client.done(Command::RecordStop(recorded(&name)));
        ended(&mut client);
        let reader = hound::WavReader::open(directory.path().join(&name)).expect("it can be played");
        assert_eq!(reader.spec().sample_rate, rate_hz, "{name}");
    }
}

#[test]
fn a_killed_engine_leaves_a_file_that_can_be_played() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = engine(directory.path());
    let mut client = engine.client();
    let (mut ann, bob) = (Phone::new(), Phone::new());
    let a = client.create("ann", &ann);
    client.create("bob", &bob);
    client.splice("ann", "bob");
    client.done(start("ann", "a.wav", RecordMode::Mixed));
    let path = directory.path().join("a.wav");
    let began = Instant::now();
    let mut seen = Vec::new();
    while count(&seen, 5_000) <= 4_000 {
        ann.send(a.rtp, &word(5_000));
        bob.hear();
        std::thread::sleep(std::time::Duration::from_millis(20));
        if std::fs::metadata(&path).expect("made").len() > 2 * seen.len() as u64 + 30_000 {
            seen = read(&path).1;
        }
        assert!(began.elapsed() < crate::support::PATIENCE, "nothing is written");
    }
    engine.signal("KILL");
    let _ = engine.wait();
    let (channels, samples) = read(&path);
    assert_eq!(channels, 1);
    assert!(samples.starts_with(&seen), "what could be played before is still there");
}

#[test]
fn a_disk_without_room_ends_the_recording_with_an_event_and_a_figure_and_the_call_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let arguments = ["--recordings", directory.path().to_str().expect("UTF-8")];
    // No file is longer than 48 KiB, a second and a half of two channels.
    let engine = Engine::start_limited("ulimit -f 96", &arguments);
    let mut client = engine.subscriber("test", 0);
    let (mut ann, bob) = (Phone::new(), Phone::new());
    let a = client.create("ann", &ann);
    client.create("bob", &bob);
    client.splice("ann", "bob");
    let began = Instant::now();
    client.done(start("ann", "a.wav", RecordMode::Stereo));
    let (file, end, duration_ms) = ended(&mut client);
    assert_eq!((file.as_str(), end), ("a.wav", RecordEnd::Failed));
    assert!((1_000..=began.elapsed().as_millis() as u64).contains(&duration_ms), "{duration_ms}");
    let figures: EngineInfo = client.ask(Command::Statistics);
    assert_eq!((figures.recordings, figures.recordings_failed), (0, 1));
    for n in 0..20 {
        ann.say(a.rtp, n);
        assert_eq!(number(&bob.hear()), n);
    }
    assert!(read(&directory.path().join(file)).1.len() >= 16_000, "the first second can be played");
}

#[test]
fn a_recording_ends_with_its_leg_and_bad_names_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = engine(directory.path());
    let mut client = engine.subscriber("test", 0);
    let phone = Phone::new();
    client.create("a", &phone);
    assert_eq!(client.refused(start("a", "../a.wav", RecordMode::Leg)).code, ErrorCode::BadValue);
    assert_eq!(client.refused(start("b", "b.wav", RecordMode::Leg)).code, ErrorCode::LegNotFound);
    client.done(start("a", "a.wav", RecordMode::Leg));
    assert_eq!(client.refused(start("a", "a.wav", RecordMode::Leg)).code, ErrorCode::System);
    client.done(start("a", "b.wav", RecordMode::Leg));
    assert_eq!(ended(&mut client).1, RecordEnd::Stopped, "another takes its place");
    let figures: EngineInfo = client.ask(Command::Statistics);
    assert_eq!((figures.recordings, figures.recordings_failed, figures.record_frames_lost), (1, 0, 0));
    client.done(Command::LegDelete(LegDelete { leg: "a".into() }));
    let (file, end, _) = ended(&mut client);
    assert_eq!((file.as_str(), end), ("b.wav", RecordEnd::LegDeleted));
    let without = Engine::start();
    let mut client = without.client();
    client.create("a", &phone);
    let error = client.refused(start("a", "a.wav", RecordMode::Leg));
    assert!(error.reason.contains("--recordings"), "{error}");
}
