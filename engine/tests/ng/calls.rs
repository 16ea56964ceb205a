//! Calls made of dictionaries written by hand: media, tags, forks, blocking, playing, limits.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use offhook_ng::{Dict, Value};
use offhook_proto::uninterrupted;
use serde_json::{Value as Json, json};

use crate::client::{NgClient, answer, audio_of, command, offer, sdp_at};
use crate::support::{Engine, PATIENCE, Phone, own_address};

/// A call of two phones; where each sends to.
pub(crate) fn joined(ng: &NgClient, call_id: &str, a: &Phone, b: &Phone) -> (SocketAddr, SocketAddr) {
    let to_b = ng.sdp(&offer(call_id, "a", &sdp_at(a.address(), "")));
    let to_a = ng.sdp(&answer(call_id, "a", "b", &sdp_at(b.address(), "")));
    (audio_of(&to_a), audio_of(&to_b))
}

/// Talks until `hearer` hears it.
pub(crate) fn reaches(from: &mut Phone, to: SocketAddr, hearer: &Phone) {
    let began = Instant::now();
    loop {
        from.say(to, 1);
        let heard = hearer.hear_within(Duration::from_millis(20));
        if heard.is_some_and(|packet| packet.payload.starts_with(&from.next.ssrc.to_be_bytes())) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{to} is not heard");
    }
}

#[test]
fn two_phones_hear_each_other_and_either_side_can_change_the_call() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut a, mut b) = (Phone::new(), Phone::new());
    let (at_a, at_b) = joined(&ng, "c", &a, &b);
    reaches(&mut a, at_a, &b);
    reaches(&mut b, at_b, &a);
    // The called side moves: it offers, the calling side answers.
    let mut moved = Phone::new();
    let offered = ng.sdp(&offer("c", "b", &sdp_at(moved.address(), "")).with("to-tag", "a"));
    assert_eq!(audio_of(&offered), at_a, "the other side's end stays where it is");
    reaches(&mut b, at_b, &a);
    let answered = ng.sdp(&answer("c", "b", "a", &sdp_at(a.address(), "")));
    assert_eq!(audio_of(&answered), at_b);
    reaches(&mut moved, at_b, &a);
    reaches(&mut a, at_a, &moved);
}

#[test]
fn before_the_answer_nobody_is_heard() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (a, mut b) = (Phone::new(), Phone::new());
    let at_b = audio_of(&ng.sdp(&offer("c", "a", &sdp_at(a.address(), ""))));
    for number in 0..60 {
        b.say(at_b, number);
    }
    let at_a = audio_of(&ng.sdp(&answer("c", "a", "b", &sdp_at(b.address(), ""))));
    reaches(&mut b, at_b, &a);
    assert_ne!(at_a, at_b);
}

#[test]
fn the_branches_of_a_fork_have_ends_of_their_own_and_one_can_be_deleted() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (a, mut b) = (Phone::new(), Phone::new());
    let branch = |name: &str| offer("c", "a", &sdp_at(a.address(), "")).with("via-branch", name);
    let one = audio_of(&ng.sdp(&branch("one")));
    let two = audio_of(&ng.sdp(&branch("two")));
    assert_ne!(one, two);
    assert_eq!(audio_of(&ng.sdp(&branch("one"))), one, "an offer that comes again has the same end");
    ng.sdp(&answer("c", "a", "b2", &sdp_at(b.address(), "")).with("via-branch", "two"));
    let deleted =
        command("delete", "c").with("from-tag", "a").with("via-branch", "one").with("delete-delay", 0_u64);
    assert_eq!(ng.ask(&deleted).text("result"), Some("ok"));
    reaches(&mut b, two, &a);
    let wrong = command("delete", "c").with("from-tag", "a").with("to-tag", "stranger");
    assert!(ng.ask(&wrong).text("warning").is_some());
    let right = command("delete", "c").with("from-tag", "b2").with("to-tag", "a").with("delete-delay", 0_u64);
    assert_eq!(ng.ask(&right).text("warning"), None, "either side hangs up");
    assert_eq!(ng.refused(&command("query", "c")), "Unknown call-id");
}

#[test]
fn early_media_of_one_phone_gives_way_to_the_phone_that_answers() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut a, mut ringing, mut picked_up) = (Phone::new(), Phone::new(), Phone::new());
    let at_b = audio_of(&ng.sdp(&offer("c", "a", &sdp_at(a.address(), ""))));
    let early = ng.sdp(&answer("c", "a", "b1", &sdp_at(ringing.address(), "")));
    reaches(&mut ringing, at_b, &a);
    let answered = ng.sdp(&answer("c", "a", "b2", &sdp_at(picked_up.address(), "")));
    assert_eq!(audio_of(&early), audio_of(&answered));
    reaches(&mut picked_up, at_b, &a);
    reaches(&mut a, audio_of(&answered), &picked_up);
}

#[test]
fn a_strict_source_lets_nobody_else_in_and_without_it_a_phone_behind_nat_is_learnt() {
    let engine = Engine::start_with(&["--media-address", "127.0.0.1"]);
    let ng = NgClient::to(engine.control);
    let elsewhere = || Phone::on([127, 9, 9, 9].into());
    for (flag, is_heard) in [("strict source", false), ("symmetric", true)] {
        let (a, b, mut stranger) = (Phone::new(), Phone::new(), elsewhere());
        let flags = vec![Value::from(flag)];
        let offered = ng.sdp(&offer(flag, "a", &sdp_at(a.address(), "")));
        ng.sdp(&answer(flag, "a", "b", &sdp_at(b.address(), "")).with("flags", flags));
        for number in 0..20 {
            stranger.say(audio_of(&offered), number);
        }
        if is_heard {
            reaches(&mut stranger, audio_of(&offered), &a);
        } else {
            let mut b = b;
            reaches(&mut b, audio_of(&offered), &a);
            assert_eq!(
                a.heard()
                    .iter()
                    .filter(|packet| packet.payload.starts_with(&stranger.next.ssrc.to_be_bytes()))
                    .count(),
                0
            );
        }
    }
}

#[test]
fn a_delayed_deletion_is_undone_by_the_next_message() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut a, b) = (Phone::new(), Phone::new());
    // On a slow machine the call may be gone before it is spoken in: then there is more time.
    let (delay_s, at_a) = [1_u64, 4, 16]
        .into_iter()
        .find_map(|delay_s| {
            let call = format!("c{delay_s}");
            let (at_a, _) = joined(&ng, &call, &a, &b);
            ng.ask(&command("delete", &call).with("delete-delay", delay_s));
            a.say(at_a, 1);
            b.hear_within(Duration::from_secs(delay_s))?;
            let answered = ng.ask(&answer(&call, "a", "b", &sdp_at(b.address(), "")));
            (answered.text("result") == Some("ok")).then_some((delay_s, at_a))
        })
        .expect("there was time to speak");
    ng.ask(&command("delete", "gone"));
    joined(&ng, "other", &Phone::new(), &Phone::new());
    ng.ask(&command("delete", "other").with("delete-delay", delay_s));
    let began = Instant::now();
    while ng.ask(&command("query", "other")).text("result") == Some("ok") {
        assert!(began.elapsed() < PATIENCE, "the other call is never deleted");
    }
    reaches(&mut a, at_a, &b);
}

/// Two phones in a call that hear each other.
struct Talk {
    ng: NgClient,
    a: Phone,
    b: Phone,
    at_a: SocketAddr,
    at_b: SocketAddr,
    _engine: Engine,
}

impl Talk {
    fn begin() -> Self {
        let engine = Engine::start();
        let ng = NgClient::to(engine.control);
        let (mut a, mut b) = (Phone::new(), Phone::new());
        let (at_a, at_b) = joined(&ng, "c", &a, &b);
        reaches(&mut a, at_a, &b);
        reaches(&mut b, at_b, &a);
        Self { ng, a, b, at_a, at_b, _engine: engine }
    }

    /// Asks for something about the first party; what it has said so far has been heard.
    fn ask_about_a(&mut self, request: &str) {
        let reply = self.ng.ask(&command(request, "c").with("from-tag", "a"));
        assert_eq!(reply.text("result"), Some("ok"), "{request}");
        self.b.heard();
    }
}

#[test]
fn blocked_media_is_not_heard_until_it_is_unblocked() {
    let mut talk = Talk::begin();
    talk.ask_about_a("block media");
    for number in 0..20 {
        talk.a.say(talk.at_a, number);
    }
    reaches(&mut talk.b, talk.at_b, &talk.a);
    assert_eq!(talk.b.heard(), [], "the other direction was heard, so this one would have been");
    talk.ask_about_a("unblock media");
    reaches(&mut talk.a, talk.at_a, &talk.b);
}

#[test]
fn a_silenced_party_is_heard_as_silence_until_it_is_unsilenced() {
    let mut talk = Talk::begin();
    talk.ask_about_a("silence media");
    let mut before = talk.b.hear();
    for number in 0..20 {
        talk.a.say(talk.at_a, number);
        let heard = talk.b.hear();
        assert_eq!(heard.payload, [0xFF; 160], "silence by the law of mu");
        assert_eq!(heard.sequence, before.sequence.wrapping_add(1), "one stream");
        before = heard;
    }
    reaches(&mut talk.b, talk.at_b, &talk.a);
    talk.ask_about_a("unsilence media");
    reaches(&mut talk.a, talk.at_a, &talk.b);
}

#[test]
fn a_party_is_played_to() {
    let prompts = concat!(env!("CARGO_MANIFEST_DIR"), "/prompts");
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (a, b) = (Phone::new(), Phone::new());
    joined(&ng, "c", &a, &b);
    let file = std::fs::read_dir(prompts)
        .expect("the prompts that are shipped")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| name.ends_with(".wav"))
        .expect("one of them");
    let play = |file: &str| ng.ask(&command("play media", "c").with("from-tag", "b").with("file", file));
    let started = play(&format!("{prompts}/{file}"));
    assert_eq!(started.text("result"), Some("ok"), "{started:?}");
    assert!(started.find("duration").and_then(Value::int).is_some_and(|ms| ms > 0), "{started:?}");
    b.hear();
    let stop = || ng.ask(&command("stop media", "c").with("from-tag", "b"));
    let position = |reply: &Dict| reply.find("last-frame-pos").and_then(Value::int);
    let stopped = stop();
    assert_eq!(stopped.text("result"), Some("ok"));
    assert!(position(&stopped).is_some_and(|frames| frames > 0), "{stopped:?}");
    assert_eq!(stop().text("error-reason"), Some("Not currently playing media"));
    assert_eq!(
        play("no-such-file.wav").text("error-reason"),
        Some("Failed to start media playback from file")
    );
}

#[test]
fn keys_are_heard_by_the_other_side_as_long_and_as_loud_as_a_request_says() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut a, b) = (Phone::new(), Phone::new());
    let (at_a, _) = joined(&ng, "c", &a, &b);
    reaches(&mut a, at_a, &b);
    let keys = command("play DTMF", "c").with("from-tag", "a").with("code", 11_u64);
    let keys = keys.with("duration", 400_u64).with("volume", 20_u64);
    assert_eq!(ng.ask(&keys).text("result"), Some("ok"));
    let event = loop {
        let packet = b.hear();
        if packet.payload_type == 101 && packet.payload[1] >> 7 == 1 {
            break packet.payload;
        }
    };
    assert_eq!(event[..2], [11, 0x80 | 20]);
    assert_eq!(u16::from_be_bytes([event[2], event[3]]), 400 * 8);
}

#[test]
fn parties_of_two_calls_are_connected() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut a, b, c, mut d) = (Phone::new(), Phone::new(), Phone::new(), Phone::new());
    let (at_a, _) = joined(&ng, "one", &a, &b);
    let (_, at_d) = joined(&ng, "two", &c, &d);
    let connect =
        command("connect", "one").with("from-tag", "a").with("to-call-id", "two").with("to-tag", "b");
    assert_eq!(ng.ask(&connect).text("result"), Some("ok"));
    reaches(&mut a, at_a, &d);
    reaches(&mut d, at_d, &a);
}

#[test]
fn a_full_engine_says_so_in_the_words_that_proxies_match() {
    let engine = Engine::start_with(&["--max-legs", "2"]);
    let ng = NgClient::to(engine.control);
    let phone = Phone::new();
    let offer = |call_id: &str| offer(call_id, "a", &sdp_at(phone.address(), ""));
    ng.sdp(&offer("one"));
    assert_eq!(ng.refused(&offer("two")), "Parallel session limit reached");
    let modern = ng.ask(&offer("three").with("supports", vec![Value::from("load limit")]));
    assert_eq!(modern.text("result"), Some("load limit"));
    assert_eq!(modern.text("message"), Some("Parallel session limit reached"));
    ng.ask(&command("delete", "one").with("delete-delay", 0_u64));
    ng.sdp(&offer("four"));
    let calls = ng.ask(&Dict::default().with("command", "list"));
    assert_eq!(calls.texts("calls"), ["four"], "what was refused has left nothing");
}

#[test]
fn an_engine_without_ports_says_so_in_the_words_that_proxies_match() {
    let address = own_address().to_string();
    let engine = Engine::start_with(&["--media-address", &address, "--ports", "26000-26003"]);
    let ng = NgClient::to(engine.control);
    ng.sdp(&offer("one", "a", &sdp_at(Phone::new().address(), "")));
    assert_eq!(ng.refused(&offer("two", "a", &sdp_at(Phone::new().address(), ""))), "Ran out of ports");
    drop(engine);
}

#[test]
fn what_the_engine_cannot_carry_is_refused_by_name() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let sdp = sdp_at(Phone::new().address(), "");
    let refused = |request: Dict| ng.refused(&request);
    assert!(refused(offer("c", "a", &sdp.replace("AVP", "SAVP"))).contains("RTP/SAVP"));
    assert!(refused(offer("c", "a", &sdp).with("ICE", "force")).contains("ICE"));
    assert!(refused(offer("c", "a", &sdp.replace("0 101", "18"))).contains("codec"));
    assert!(refused(command("start forwarding", "c")).contains("start forwarding"));
    assert_eq!(ng.ask(&Dict::default().with("command", "list")).texts("calls"), [""; 0]);
    let video = format!("{sdp}m=video 5000 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n");
    let rewritten = ng.sdp(&offer("c", "a", &video));
    assert!(rewritten.ends_with("m=video 0 RTP/AVP 97\r\n"), "{rewritten}");
}

#[test]
fn json_is_answered_in_json_and_a_cookie_that_comes_again_with_the_stored_reply() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let sdp = sdp_at(Phone::new().address(), "");
    let request = json!({"command": "offer", "call-id": "c", "from-tag": "a", "sdp": sdp}).to_string();
    let mut buffer = [0; 16_384];
    let mut ask = |datagram: String| {
        ng.0.send(datagram.as_bytes()).expect("sent");
        let length = uninterrupted(|| ng.0.recv(&mut buffer)).expect("a reply");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let first = ask(format!("again {request}"));
    let reply: Json = serde_json::from_str(first.strip_prefix("again ").expect("the cookie")).expect("JSON");
    assert_eq!(reply["result"], "ok");
    assert_eq!(ask(format!("again {request}")), first);
    assert_eq!(ask("b1 d7:command4:pinge".into()), "b1 d6:result4:ponge");
    assert!(ask("b2 d3:foo".into()).contains("Could not decode bencode dictionary"));
    // The same socket speaks the engine's own protocol.
    assert!(ask(r#"n1 {"command": "leg.list"}"#.into()).contains(r#""total":2"#));
}

#[test]
fn requests_come_over_tcp_too_and_large_ones_with_them() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("a free port").port();
    let engine = Engine::start_with(&["--ng-tcp", &format!("127.0.0.1:{port}")]);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let long: String = (0..1_500).map(|n| format!("a=x-line:{n:020}\r\n")).collect();
    let sdp = sdp_at(Phone::new().address(), &long);
    let request = json!({"command": "offer", "call-id": "c", "from-tag": "a", "sdp": sdp}).to_string();
    let frames = format!("t1 {request}t2 d7:command4:pinge");
    for part in frames.as_bytes().chunks(1_000) {
        stream.write_all(part).expect("sent");
    }
    let (mut read, mut buffer) = (String::new(), [0; 4_096]);
    let whole = |read: &str| {
        ["t2 d6:result4:ponge", "a=x-line:00000000000000001499"].iter().all(|it| read.contains(it))
    };
    while !whole(&read) {
        let length = uninterrupted(|| stream.read(&mut buffer)).expect("a reply");
        assert!(length > 0, "closed: {read}");
        read.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    stream.write_all(b"nonsense that is no request\n").expect("sent");
    assert_eq!(
        uninterrupted(|| stream.read(&mut buffer)).ok(),
        Some(0),
        "a stream that cannot be understood is closed"
    );
    let mut brief = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    brief.write_all(b"t3 d7:command4:pinge").expect("sent");
    brief.shutdown(std::net::Shutdown::Write).expect("shut");
    let mut read = String::new();
    brief.read_to_string(&mut read).expect("a reply, and the end");
    assert_eq!(read, "t3 d6:result4:ponge", "who asks no more is still answered");
    drop(engine);
}
