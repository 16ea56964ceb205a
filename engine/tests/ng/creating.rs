//! Parties that are called without another side, whom they are joined to, and what is only transformed; by content.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_audio::g711::alaw_to_linear;
use offhook_ng::{Dict, Value};
use offhook_proto::uninterrupted;

use crate::calls::reaches;
use crate::client::{NgClient, answer, audio_of, command, offer, sdp_at};
use crate::publishing::{changes, crossings, wave};
use crate::support::{Engine, PATIENCE, Phone};

/// Calls a phone; where it sends to.
fn created(ng: &NgClient, call_id: &str, tag: &str, phone: &Phone) -> SocketAddr {
    let sdp = ng.sdp(&command("create", call_id).with("from-tag", tag));
    assert!(sdp.contains(" RTP/AVP 8 0\r\n"), "{sdp}");
    let answered = command("create answer", call_id).with("from-tag", tag);
    let answered = ng.ask(&answered.with("sdp", sdp_at(phone.address(), "")));
    assert_eq!(answered.text("result"), Some("ok"), "{answered:?}");
    audio_of(&sdp)
}

fn connected(ng: &NgClient, request: Dict, from: &str, to: &str) {
    let reply = ng.ask(&request.with("from-tag", from).with("to-tag", to));
    assert_eq!(reply.text("result"), Some("ok"), "{reply:?}");
}

#[test]
fn two_created_parties_hear_each_other_once_they_are_connected_and_a_third_takes_over() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let [mut x, mut y, mut z] = [Phone::new(), Phone::new(), Phone::new()];
    let [at_x, at_y] = [created(&ng, "c", "x", &x), created(&ng, "c", "y", &y)];
    let at_z = created(&ng, "other", "z", &z);
    connected(&ng, command("connect", "c"), "x", "y");
    reaches(&mut x, at_x, &y);
    reaches(&mut y, at_y, &x);
    connected(&ng, command("connect", "c").with("to-call-id", "other"), "y", "z");
    reaches(&mut y, at_y, &z);
    reaches(&mut z, at_z, &y);
    x.heard();
    for number in 0..20 {
        y.say(at_y, number);
    }
    reaches(&mut y, at_y, &z);
    assert_eq!(x.heard(), [], "y has left");
    for call in ["c", "other"] {
        ng.ask(&command("delete", call).with("delete-delay", 0_u64));
        assert_eq!(ng.refused(&command("query", call)), "Unknown call-id");
    }
    let statistics = offhook_proto::Command::Statistics;
    assert_eq!(engine.client().ask::<offhook_proto::EngineInfo>(statistics).legs, 0);
    let statistics = ng.ask(&Dict::default().with("command", "statistics"));
    let Some(Value::Dict(statistics)) = statistics.find("statistics") else { panic!("{statistics:?}") };
    let Some(Value::Dict(totals)) = statistics.find("totalstatistics") else { panic!("{statistics:?}") };
    assert_eq!(totals.find("managedsessions"), Some(&Value::Int(2)));
}

#[test]
fn three_created_parties_that_are_meshed_all_hear_each_other() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let mut phones = [Phone::new(), Phone::new(), Phone::new()];
    let tags = ["x", "y", "z"];
    let at: Vec<SocketAddr> =
        tags.iter().zip(&phones).map(|(tag, phone)| created(&ng, "c", tag, phone)).collect();
    let all: Vec<Value> = tags.iter().map(|tag| Value::from(*tag)).collect();
    let reply = ng.ask(&command("mesh", "c").with("from-tags", all));
    assert_eq!(reply.text("result"), Some("ok"), "{reply:?}");
    for (speaker, half_period) in [(0, 4), (1, 10), (2, 5)] {
        let (mut heard, began) = ([false; 3], Instant::now());
        heard[speaker] = true;
        while heard != [true; 3] {
            phones[speaker].send(at[speaker], &wave(half_period));
            for (hearer, phone) in phones.iter().enumerate().filter(|(hearer, _)| *hearer != speaker) {
                let packet = phone.hear_within(Duration::from_millis(10));
                heard[hearer] |=
                    packet.is_some_and(|packet| crossings(&packet.payload).abs_diff(160 / half_period) <= 2);
            }
            assert!(began.elapsed() < PATIENCE, "{} is heard by {heard:?}", tags[speaker]);
        }
    }
}

#[test]
fn a_created_party_is_played_to_and_then_joined_to_a_party_of_a_call() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let [mut a, b, mut x] = [Phone::new(), Phone::new(), Phone::new()];
    ng.sdp(&offer("c", "a", &sdp_at(a.address(), "")));
    let at_a = audio_of(&ng.sdp(&answer("c", "a", "b", &sdp_at(b.address(), ""))));
    let at_x = created(&ng, "x", "x", &x);
    let played = command("play media", "x").with("from-tag", "x").with("file", "1.wav");
    assert_eq!(ng.ask(&played).text("result"), Some("ok"));
    assert_eq!(x.hear().payload_type, 0, "what it has answered");
    ng.ask(&command("stop media", "x").with("from-tag", "x"));
    connected(&ng, command("connect", "x").with("to-call-id", "c"), "x", "a");
    reaches(&mut x, at_x, &a);
    reaches(&mut a, at_a, &x);
}

#[test]
fn what_is_transformed_leaves_in_its_other_encoding_and_nothing_comes_back() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut mic, mut ear) = (Phone::new(), Phone::new());
    let codec = |name: &str| Dict::default().with("codec", name).with("clock rate", 8_000_u64);
    let pair = Dict::default().with("input", codec("PCMU")).with("output", codec("PCMA"));
    let there = ear.address();
    let destination = Dict::default().with("family", "IP4").with("address", there.ip().to_string());
    let media = Dict::default().with("id", "m1").with("type", "audio").with("codec", vec![Value::from(pair)]);
    let media = media.with("destination", destination.with("port", there.port()));
    let request = command("transform", "c").with("from-tag", "t").with("media", vec![Value::from(media)]);
    let reply = ng.ask(&request);
    let Some(Value::List(media)) = reply.find("media") else { panic!("{reply:?}") };
    let Some(Value::Dict(media)) = media.first() else { panic!("{reply:?}") };
    assert_eq!((media.text("id"), media.text("family")), (Some("m1"), Some("IP4")));
    let port = media.find("port").and_then(Value::int).and_then(|port| u16::try_from(port).ok());
    let ip = media.text("address").and_then(|address| address.parse().ok()).expect("an address");
    let here = SocketAddr::new(ip, port.expect("a port"));
    let began = Instant::now();
    loop {
        mic.send(here, &wave(10));
        let heard = ear.hear_within(Duration::from_millis(20));
        if heard.is_some_and(|packet| {
            packet.payload_type == 8 && changes(&packet.payload, alaw_to_linear).abs_diff(16) <= 2
        }) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "nothing arrives");
    }
    mic.send(here, &wave(10));
    ear.rtp.set_read_timeout(Some(PATIENCE)).expect("set");
    let (length, back) = uninterrupted(|| ear.rtp.recv_from(&mut [0; 2_048])).expect("a packet");
    assert_eq!(length, 12 + 160);
    assert_ne!(back, here, "from a port of its own");
    for number in 0..20 {
        ear.say(back, number);
    }
    mic.send(here, &wave(10));
    assert_eq!(mic.heard(), [], "it goes one way");
    assert_eq!(ng.ask(&command("delete", "c").with("delete-delay", 0_u64)).text("result"), Some("ok"));
    let statistics = offhook_proto::Command::Statistics;
    assert_eq!(engine.client().ask::<offhook_proto::EngineInfo>(statistics).legs, 0);
}
