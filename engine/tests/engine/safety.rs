//! What strangers and broken peers send.

use std::net::{IpAddr, UdpSocket};

use offhook_proto::auth::Key;
use offhook_proto::{
    Command, Config, EngineInfo, ErrorCode, Idle, LatchMode, LegCreate, frame, limits, uninterrupted,
};
use serde_json::Value;

use crate::bleed::{Fate, attempt, strangers};
use crate::support::{Engine, PATIENCE, Phone, leg_towards, number, spoken};

/// RTP Inject (CVE-2025-53399): a stranger who finds the port says something into the call.
#[test]
fn once_a_leg_has_latched_nobody_else_is_heard() {
    let engine = Engine::start_with(&["--media-address", "127.0.0.1"]);
    let mut client = engine.client();
    let (mut ann, bob) = (Phone::new(), Phone::new());
    let a = client.create("a", &ann);
    client.create("b", &bob);
    client.splice("a", "b");
    ann.say(a.rtp, 0);
    bob.hear();
    client.await_leg("a", |leg| leg.latched == Some(ann.address()));
    let mut strangers = [Phone::new(), Phone::on(IpAddr::from([127, 0, 0, 66]))];
    for stranger in &mut strangers {
        stranger.next = ann.next.clone();
        for n in 100..160 {
            stranger.say(a.rtp, n);
        }
    }
    for n in 1..20 {
        ann.say(a.rtp, n);
        assert_eq!(number(&bob.hear()), n);
    }
    assert_eq!(client.query("a").latched, Some(ann.address()));
    let counters = client.query("a").counters;
    assert_eq!(counters.packets_received - counters.drops.stranger, 20);
    assert!(crate::STEERED || counters.drops.stranger == 0, "the kernel has dropped the rest");
}

/// RTP Bleed: a stranger who sends first must not be answered with the call's audio.
#[test]
fn a_stranger_who_comes_first_is_neither_heard_nor_spoken_to() {
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut ann, mut bob) = (Phone::new(), Phone::new());
    let a = client.create_with(LegCreate { idle: Idle::Silence, ..leg_towards("a", &ann) });
    let b = client.create("b", &bob);
    client.splice("a", "b");
    let mut stranger = Phone::on(IpAddr::from([127, 9, 9, 9]));
    for n in 0..200 {
        stranger.say(a.rtp, n);
    }
    client.await_leg("a", |leg| leg.counters.drops.stranger == 200);
    bob.say(b.rtp, 7);
    let heard =
        std::iter::repeat_with(|| ann.hear()).find(|packet| packet.payload == spoken(bob.next.ssrc, 7));
    assert!(heard.is_some(), "the one who was signalled is spoken to");
    assert_eq!(stranger.heard(), []);
    ann.say(a.rtp, 8);
    assert_eq!(number(&bob.hear()), 8);
    assert_eq!(client.query("a").latched, Some(ann.address()));
}

/// RTP Bleed in every mode, by strangers from anywhere, of the peer's network, and on its address.
#[test]
fn rtp_bleed_is_over_when_the_peer_speaks_in_every_mode_but_immediate() {
    let refused = (Fate::Refused, 40);
    let engine = Engine::start_with(&["--media-address", "127.0.0.1"]);
    let mut client = engine.client();
    for (mode, fates) in [
        (LatchMode::Strict, [refused; 3]),
        (LatchMode::Signalled, [refused, (Fate::Heard, 5), (Fate::Believed, 2)]),
        (LatchMode::Any, [(Fate::Believed, 8), (Fate::Believed, 5), (Fate::Believed, 2)]),
        (LatchMode::Heuristic, [(Fate::Believed, 1); 3]),
        (LatchMode::Delayed, [(Fate::Believed, 1); 3]),
        (LatchMode::Immediate, [(Fate::Learnt, 1); 3]),
    ] {
        for (n, (fate, mut stranger)) in fates.into_iter().zip(strangers()).enumerate() {
            let (mut ann, mut bob) = (Phone::new(), Phone::new());
            let [a, b] = ["a", "b"].map(|leg| format!("{leg}-{mode:?}-{n}"));
            let to_ann = LegCreate { idle: Idle::None, latch: mode, ..leg_towards(&a, &ann) };
            let at = [client.create_with(to_ann).rtp, client.create(&b, &bob).rtp];
            client.splice(&a, &b);
            attempt(&a, fate, &mut stranger, [&mut ann, &mut bob], at);
            let learnt = if fate.0 == Fate::Learnt { stranger.address() } else { ann.address() };
            assert_eq!(client.query(&a).latched, Some(learnt), "{a}");
        }
    }
}

#[test]
fn garbage_on_the_media_ports_is_counted_and_the_call_goes_on() {
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut ann, bob) = (Phone::new(), Phone::new());
    let a = client.create("a", &ann);
    client.create("b", &bob);
    client.splice("a", "b");
    ann.say(a.rtp, 0);
    bob.hear();
    let mut garbage: Vec<Vec<u8>> = vec![vec![], vec![0x80], vec![0; 11], vec![0xff; 3_000], vec![0x40; 172]];
    // Counts of CSRCs, extensions and padding that do not fit.
    garbage.extend([
        vec![0x8f; 20],
        [&[0x90, 0][..], &[0; 10], &[0, 0, 0xff, 0xff]].concat(),
        vec![0xa0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff],
    ]);
    garbage.extend((0..64_u8).map(|n| (0..n).map(|k| k.wrapping_mul(37) ^ n).collect()));
    for junk in &garbage {
        let _ = ann.rtp.send_to(junk, a.rtp);
        let _ = ann.rtcp.send_to(junk, a.rtcp);
    }
    for kind in 199..=206_u8 {
        for length in [0_u8, 1, 7, 255] {
            let _ = ann.rtcp.send_to(&[0x9f, kind, 0, length, 1, 2, 3, 4, 5, 6, 7, 8], a.rtcp);
        }
    }
    ann.say(a.rtp, 1);
    while bob.hear().payload != spoken(ann.next.ssrc, 1) {}
    let drops = client.await_leg("a", |leg| leg.counters.drops.malformed >= 5).counters.drops;
    assert!(drops.truncated >= 1, "{drops:?}");
}

#[test]
fn garbage_on_the_control_port_is_answered_where_it_has_a_cookie_and_never_more() {
    let engine = Engine::start();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(engine.control).expect("connected");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    let deep = format!("c1 {}", "[".repeat(8_000));
    let long = format!("c2 {{\"command\":\"ping\",\"controller\":\"{}\"}}", "x".repeat(16_000));
    let answered = [
        "x {",
        "x [1,2",
        "x null",
        "x {\"command\":7}",
        "x {\"command\":\"leg.destroy\"}",
        "x {\"command\":\"leg.query\"}",
        "x {\"command\":\"leg.query\",\"leg\":\"../etc\"}",
        "x \u{1F600}",
        &deep,
        &long,
    ];
    let mut buffer = [0; limits::DATAGRAM_BYTES];
    for datagram in answered {
        // Each with a cookie of its own, or it would be answered from what is stored.
        let datagram = format!("k{}{datagram}", datagram.len());
        socket.send(datagram.as_bytes()).expect("sent");
        let length = uninterrupted(|| socket.recv(&mut buffer)).expect("an answer");
        let (cookie, body) = frame::split(&buffer[..length]).expect("a cookie");
        assert!(datagram.starts_with(cookie));
        let reply: Value = serde_json::from_slice(body).expect("JSON");
        assert_eq!(reply["result"], "error", "{datagram:.60}: {reply}");
        assert!(reply["error-reason"].as_str().is_some_and(|reason| reason.len() > 10), "{reply}");
    }
    for datagram in [&b""[..], b" ", b"nothing-but-a-cookie", &[0xff; 100], &[b'a'; 300]] {
        socket.send(datagram).expect("sent");
    }
    let info: EngineInfo = engine.client().ask(Command::Ping);
    assert!(!info.instance.is_empty(), "still there");
}

#[test]
fn with_a_key_nothing_is_done_for_those_who_do_not_have_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("key");
    std::fs::write(&path, "correct horse battery staple\n").expect("written");
    let engine = Engine::start_with(&["--key-file", path.to_str().expect("UTF-8")]);
    let connect = |key: Option<&[u8]>| {
        let key = key.map(|key| Key::new(key).expect("long enough"));
        engine.connect(key, Config::one_shot())
    };
    let error = connect(Some(b"correct horse battery staple"))
        .refused(Command::LegQuery(offhook_proto::LegQuery { leg: "a".into() }));
    assert_eq!(error.code, ErrorCode::LegNotFound, "the key opens the door");

    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    socket.send_to(b"c1 {\"command\":\"leg.create\",\"leg\":\"a\"}", engine.control).expect("sent");
    let mut friend = connect(Some(b"correct horse battery staple"));
    let mut refused = 0;
    while refused == 0 {
        let info: EngineInfo = friend.ask(Command::Statistics);
        refused = info.requests_refused;
        assert_eq!(info.legs, 0);
    }
}
