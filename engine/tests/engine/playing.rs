//! Prompts, tones and keys.

use std::fs;

use offhook_audio::g711;
use offhook_proto::{
    Command, ErrorCode, EventBody, Idle, LegCreate, Play, PlayEnd, PlaySource, PlayStarted, PlayStop,
    PlayStopped, ToneName,
};

use crate::support::{Client, Engine, Packet, Phone, assert_one_stream, leg_towards, prompt};

fn play(leg: &str, name: &str, sources: Vec<PlaySource>) -> Command {
    Command::Play(Play { play: name.into(), ..Play::new(leg, sources) })
}

fn file(name: &str) -> PlaySource {
    PlaySource::File(name.into())
}

fn ringback() -> PlaySource {
    PlaySource::Tone { name: ToneName::Ringback, country: None }
}

/// A prompt as a phone must hear it in µ-law, read by other means than the engine's.
fn as_heard(name: &str) -> Vec<u8> {
    let samples = hound::WavReader::open(prompt(name)).expect("a WAV").into_samples::<i16>();
    samples.map(|sample| g711::linear_to_ulaw(sample.expect("a sample"))).collect()
}

fn audio(packets: &[Packet]) -> Vec<u8> {
    packets.iter().flat_map(|packet| packet.payload.clone()).collect()
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

fn await_end(client: &mut Client, name: &str) -> PlayEnd {
    client.await_event(|event| match event {
        EventBody::PlayEnded { play, end, .. } if play == name => Some(end),
        _ => None,
    })
}

#[test]
fn tone_talk_prompts_and_silence_reach_the_phone_as_one_stream_with_every_byte() {
    let engine = Engine::start();
    let mut client = engine.subscriber("test", 0);
    let (ann, mut bob) = (Phone::new(), Phone::new());
    client.create_with(LegCreate { idle: Idle::Silence, ..leg_towards("a", &ann) });
    let b = client.create("b", &bob);
    let mut heard = Vec::new();

    client.done(play("a", "ring", vec![ringback()]));
    heard.extend((0..20).map(|_| ann.hear()));
    client.splice("a", "b");
    client.done(Command::PlayStop(PlayStop { leg: "a".into(), play: Some("ring".into()) }));
    assert_eq!(await_end(&mut client, "ring"), PlayEnd::Stopped);
    heard.extend(ann.heard());
    bob.say(b.rtp, 77);
    let word = ann.hear();
    heard.push(word.clone());
    assert!(word.marker, "another talkspurt");

    let started: PlayStarted = client.ask(play(
        "a",
        "pin",
        vec![file("pin_intro.wav"), file("3.wav"), PlaySource::SilenceMs(100), file("7.wav")],
    ));
    let expected =
        [as_heard("pin_intro.wav"), as_heard("3.wav"), vec![0xff; 800], as_heard("7.wav")].concat();
    assert!(started.duration_ms.is_some_and(|ms| ms.abs_diff(expected.len() as u64 / 8) <= 3), "{started:?}");
    let began = heard.len();
    let packets = expected.len().div_ceil(160);
    heard.extend((0..packets).map(|_| ann.hear()));
    assert_eq!(await_end(&mut client, "pin"), PlayEnd::Finished);

    client.unsplice("a");
    heard.extend((0..10).map(|_| ann.hear()));

    assert_one_stream(&heard);
    assert!(contains(&audio(&heard[began..]), &expected), "every byte of the prompts, in order");
    assert!(
        heard.last().is_some_and(|packet| packet.payload.iter().all(|&byte| byte == 0xff)),
        "silence in the end"
    );
}

#[test]
fn numbers_are_spoken_by_their_recordings() {
    let engine = Engine::start();
    let mut client = engine.subscriber("test", 0);
    let ann = Phone::new();
    client.create_with(LegCreate { idle: Idle::Silence, ..leg_towards("a", &ann) });
    for (value, words) in [
        (0, &["0"][..]),
        (13, &["13"]),
        (42, &["40", "2"]),
        (100, &["1", "hundred"]),
        (12_034, &["12", "thousand", "30", "4"]),
        (5_000_000, &["5", "million"]),
    ] {
        let sources = vec![file("position.wav"), PlaySource::Number { value, folder: String::new() }];
        client.done(play("a", "number", sources));
        assert_eq!(await_end(&mut client, "number"), PlayEnd::Finished);
        let words = words.iter().map(|word| format!("{word}.wav"));
        let expected: Vec<u8> =
            ["position.wav".to_owned()].into_iter().chain(words).flat_map(|name| as_heard(&name)).collect();
        // Silence comes before it and after.
        let mut heard = ann.heard();
        heard.extend((0..50).map(|_| ann.hear()));
        assert!(contains(&audio(&heard), &expected), "{value}");
    }
    let folder = "../".to_owned();
    let outside = play("a", "number", vec![PlaySource::Number { value: 1, folder }]);
    assert_eq!(client.refused(outside).code, ErrorCode::BadValue);
}

#[test]
fn a_prompt_covers_the_talk_only_while_it_plays() {
    let engine = Engine::start();
    let mut client = engine.subscriber("test", 0);
    let (ann, mut bob) = (Phone::new(), Phone::new());
    client.create("a", &ann);
    let b = client.create("b", &bob);
    client.splice("a", "b");
    client.done(Command::Play(Play {
        times: 0,
        play: "beep".into(),
        ..Play::new("a", vec![file("beep.wav")])
    }));
    bob.say(b.rtp, 1);
    client.await_leg("b", |leg| leg.counters.drops.covered == 1);
    let mut heard: Vec<Packet> = (0..20).map(|_| ann.hear()).collect();
    client.done(Command::PlayStop(PlayStop { leg: "a".into(), play: Some("beep".into()) }));
    assert_eq!(await_end(&mut client, "beep"), PlayEnd::Stopped);
    heard.extend(ann.heard());
    bob.say(b.rtp, 2);
    heard.push(ann.hear());
    assert_one_stream(&heard);
    assert!(contains(&audio(&heard), &as_heard("beep.wav")));
    assert_eq!(crate::support::number(heard.last().expect("one")), 2);
}

#[test]
fn a_loop_goes_on_until_it_is_stopped_and_another_play_takes_its_place() {
    let engine = Engine::start();
    let mut client = engine.subscriber("test", 0);
    let ann = Phone::new();
    client.create("a", &ann);
    client.done(Command::Play(Play {
        times: 0,
        play: "loop".into(),
        ..Play::new("a", vec![file("beep.wav")])
    }));
    let beep = as_heard("beep.wav");
    let heard: Vec<Packet> = (0..35).map(|_| ann.hear()).collect();
    assert!(contains(&audio(&heard), &[&beep[..], &beep, &beep].concat()));
    assert_eq!(client.query("a").playing.as_deref(), Some("loop"));
    client.done(play("a", "next", vec![file("1.wav")]));
    assert_eq!(await_end(&mut client, "loop"), PlayEnd::Replaced);
    assert_eq!(await_end(&mut client, "next"), PlayEnd::Finished);
    assert_eq!(client.query("a").playing, None);
}

#[test]
fn music_goes_on_where_it_was_stopped_and_ends_when_it_was_told_to() {
    let engine = Engine::start();
    let mut client = engine.subscriber("test", 0);
    let ann = Phone::new();
    client.create("a", &ann);
    let beep = as_heard("beep.wav");
    let music = Play { times: 0, play: "music".into(), ..Play::new("a", vec![file("beep.wav")]) };
    let stop = || Command::PlayStop(PlayStop { leg: "a".into(), play: None });
    client.done(Command::Play(music.clone()));
    let mut heard: Vec<Packet> = (0..13).map(|_| ann.hear()).collect();
    let PlayStopped { position_ms } = client.ask(stop());
    heard.extend(ann.heard());
    // What was on its way when it was stopped has been heard by now.
    client.query("a");
    heard.extend(ann.heard());
    let position_ms = position_ms.expect("it played");
    assert_eq!(audio(&heard).len() % beep.len(), position_ms as usize * 8);
    let again = Play { start_ms: position_ms as u32, limit_ms: 500, ..music };
    client.done(Command::Play(again));
    assert_eq!(await_end(&mut client, "music"), PlayEnd::Stopped);
    heard.extend((0..25).map(|_| ann.hear()));
    assert_eq!(await_end(&mut client, "music"), PlayEnd::Finished);
    let round: Vec<u8> = beep.iter().copied().cycle().take(heard.len() * 160).collect();
    assert_eq!(audio(&heard), round);
    assert_eq!(client.ask::<PlayStopped>(stop()).position_ms, None, "nothing plays");
}

#[test]
fn a_changed_prompt_is_heard_from_the_next_play_on_and_never_by_who_listens_already() {
    let directory = tempfile::tempdir().expect("a directory");
    let (file_at, change) = (directory.path().join("news.wav"), |from: &str| {
        let fresh = directory.path().join("fresh.wav");
        fs::copy(prompt(from), &fresh).expect("copied");
        fs::rename(&fresh, directory.path().join("news.wav")).expect("renamed");
    });
    change("1.wav");
    let engine = Engine::start_with(&["--prompts", directory.path().to_str().expect("UTF-8")]);
    let mut client = engine.subscriber("test", 0);
    let (ann, bob) = (Phone::new(), Phone::new());
    client.create("a", &ann);
    client.create("b", &bob);
    let (old, new) = (as_heard("1.wav"), as_heard("2.wav"));
    client.done(Command::Play(Play {
        times: 3,
        play: "old".into(),
        ..Play::new("a", vec![file("news.wav")])
    }));
    let mut heard = vec![ann.hear()];
    change("2.wav");
    client.done(play("b", "new", vec![file("news.wav")]));
    assert_eq!(await_end(&mut client, "new"), PlayEnd::Finished);
    assert!(contains(&audio(&bob.heard()), &new));
    assert_eq!(await_end(&mut client, "old"), PlayEnd::Finished);
    heard.extend(ann.heard());
    let heard = audio(&heard);
    assert_eq!(heard.windows(old.len()).filter(|window| *window == old).count(), 3, "the same to its end");
    fs::remove_file(&file_at).expect("removed");
    assert_eq!(client.refused(play("a", "gone", vec![file("news.wav")])).code, ErrorCode::BadPrompt);
}

#[test]
fn keys_are_played_as_telephone_events_and_heard_as_keys() {
    let engine = Engine::start();
    let mut client = engine.subscriber("test", 0);
    let (ann, mut bob) = (Phone::new(), Phone::new());
    client.create("a", &ann);
    let b = client.create("b", &bob);
    client.done(play("a", "keys", vec![PlaySource::Dtmf("4#".into())]));
    assert_eq!(await_end(&mut client, "keys"), PlayEnd::Finished);
    let events: Vec<u8> = ann
        .heard()
        .iter()
        .filter(|packet| packet.payload_type == 101 && packet.marker)
        .map(|packet| packet.payload[0])
        .collect();
    assert_eq!(events, [4, 11]);

    client.splice("a", "b");
    bob.next.payload_type = 101;
    bob.next.marker = true;
    for (flags, duration) in [(0x0a, 160_u16), (0x0a, 320), (0x8a, 480), (0x8a, 480), (0x8a, 480)] {
        let length = duration.to_be_bytes();
        let timestamp = bob.next.timestamp;
        bob.send(b.rtp, &[9, flags, length[0], length[1]]);
        bob.next.timestamp = timestamp;
        bob.next.marker = false;
    }
    let passed: Vec<Packet> = (0..5).map(|_| ann.hear()).collect();
    assert!(passed.iter().all(|packet| packet.payload_type == 101 && packet.payload[0] == 9));
    assert!(
        passed.windows(2).all(|pair| pair[0].timestamp == pair[1].timestamp),
        "an event keeps its timestamp"
    );
    assert_eq!(
        passed.iter().map(|packet| packet.marker).collect::<Vec<_>>(),
        [true, false, false, false, false]
    );
    let mut keys = Vec::new();
    client.done(play("b", "after", vec![PlaySource::SilenceMs(20)]));
    client.await_event(|event| match event {
        EventBody::Dtmf { leg, digit, duration_ms } => {
            keys.push((leg, digit, duration_ms));
            None
        }
        EventBody::PlayEnded { play, .. } if play == "after" => Some(()),
        _ => None,
    });
    assert_eq!(keys, [("b".to_owned(), '9', 60)]);
}

#[test]
fn what_cannot_be_played_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("text.wav"), "this is not a WAV file").expect("written");
    let mut cut = fs::read(prompt("1.wav")).expect("read");
    cut.truncate(30);
    fs::write(directory.path().join("cut.wav"), cut).expect("written");
    fs::copy(prompt("beep.wav"), directory.path().join("good.wav")).expect("copied");
    let engine = Engine::start_with(&["--prompts", directory.path().to_str().expect("UTF-8")]);
    let mut client = engine.client();
    let ann = Phone::new();
    client.create("a", &ann);
    for (name, code, reason) in [
        ("text.wav", ErrorCode::BadPrompt, "not a WAV"),
        ("cut.wav", ErrorCode::BadPrompt, "not a WAV"),
        ("none.wav", ErrorCode::BadPrompt, "No such file"),
        ("../../etc/passwd", ErrorCode::BadValue, "file"),
        ("/etc/passwd", ErrorCode::BadValue, "file"),
    ] {
        let error = client.refused(play("a", "x", vec![file("good.wav"), file(name)]));
        assert_eq!(error.code, code, "{name}: {error}");
        assert!(error.reason.contains(reason), "{name}: {error}");
    }
    assert_eq!(client.query("a").playing, None, "a list is played whole or not at all");
    client.done(play("a", "x", vec![file("good.wav")]));
    ann.hear();
}
