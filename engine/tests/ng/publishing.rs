//! Media that is published, and parties of a call that are subscribed to: who hears whom, by content.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_audio::g711::{alaw_to_linear, linear_to_ulaw, ulaw_to_linear};
use offhook_ng::{Dict, Value};

use crate::calls::joined;
use crate::client::{NgClient, audio_of, command, sdp_at};
use crate::support::{Engine, PATIENCE, Phone};

/// 20 ms of a square wave: unlike any other's, and as loud.
pub(crate) fn wave(half_period: usize) -> Vec<u8> {
    (0..160)
        .map(|at| linear_to_ulaw(if (at / half_period).is_multiple_of(2) { 8_000 } else { -8_000 }))
        .collect()
}

/// How often a packet changes its sign.
pub(crate) fn changes(payload: &[u8], decode: fn(u8) -> i16) -> usize {
    let positive: Vec<bool> = payload.iter().map(|byte| decode(*byte) > 0).collect();
    positive.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// How often a packet of PCMU changes its sign.
pub(crate) fn crossings(payload: &[u8]) -> usize {
    changes(payload, ulaw_to_linear)
}

/// Says a wave until a phone hears it.
fn reaches(from: &mut Phone, to: SocketAddr, half_period: usize, hearer: &Phone) {
    let (said, began) = (wave(half_period), Instant::now());
    while began.elapsed() < PATIENCE {
        from.send(to, &said);
        let heard = hearer.hear_within(Duration::from_millis(20));
        let expected = 160 / half_period;
        if heard.is_some_and(|packet| crossings(&packet.payload).abs_diff(expected) <= 2) {
            return;
        }
    }
    panic!("{to} is not heard");
}

/// Subscribes a phone to what a request means; where the engine sends from.
fn subscribed(ng: &NgClient, request: &Dict, ear: &Phone) -> String {
    let reply = ng.ask(request);
    let sdp = reply.text("sdp").unwrap_or_else(|| panic!("{reply:?}"));
    assert!(sdp.contains("a=sendonly"), "{sdp}");
    let tag = reply.text("to-tag").expect("a tag").to_owned();
    let there = sdp_at(ear.address(), "a=recvonly\r\n");
    let answered = command("subscribe answer", "c").with("to-tag", tag.as_str()).with("sdp", there);
    assert_eq!(ng.ask(&answered).text("result"), Some("ok"));
    tag
}

#[test]
fn what_one_publishes_all_subscribers_hear_until_they_unsubscribe() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut mic, ears) = (Phone::new(), [Phone::new(), Phone::new()]);
    let published = sdp_at(mic.address(), "a=sendonly\r\n");
    let sdp = ng.sdp(&command("publish", "c").with("from-tag", "mic").with("sdp", published));
    assert!(sdp.contains("a=recvonly"), "{sdp}");
    let here = audio_of(&sdp);
    let request = command("subscribe request", "c").with("from-tag", "mic");
    let tags = ears.each_ref().map(|ear| subscribed(&ng, &request, ear));
    for (ear, half_period) in ears.iter().zip([4, 10]) {
        reaches(&mut mic, here, half_period, ear);
    }
    assert_eq!(
        ng.ask(&command("unsubscribe", "c").with("to-tag", tags[0].as_str())).text("result"),
        Some("ok")
    );
    ears[0].heard();
    reaches(&mut mic, here, 5, &ears[1]);
    assert_eq!(ears[0].heard(), [], "it has left");
    ng.ask(&command("delete", "c").with("delete-delay", 0_u64));
    assert_eq!(ng.refused(&command("query", "c")), "Unknown call-id");
    let statistics = offhook_proto::Command::Statistics;
    assert_eq!(engine.client().ask::<offhook_proto::EngineInfo>(statistics).legs, 0);
}

#[test]
fn a_party_of_a_call_is_heard_by_who_subscribes_to_it_and_the_other_party_is_not() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut a, mut b, ear) = (Phone::new(), Phone::new(), Phone::new());
    let (at_a, at_b) = joined(&ng, "c", &a, &b);
    subscribed(&ng, &command("subscribe request", "c").with("from-tag", "a"), &ear);
    reaches(&mut b, at_b, 4, &a);
    reaches(&mut a, at_a, 10, &ear);
    reaches(&mut a, at_a, 10, &b);
    ear.heard();
    for _ in 0..10 {
        reaches(&mut b, at_b, 4, &a);
    }
    let other = ear.heard().into_iter().filter(|packet| crossings(&packet.payload).abs_diff(40) <= 2);
    assert_eq!(other.count(), 0, "only who was subscribed to");
    assert!(ng.refused(&command("subscribe request", "c").with("from-tag", "x")).contains("no such tag"));
    assert_eq!(ng.refused(&command("cli", "c")), "cli is not supported");
}

#[test]
fn who_is_kept_from_hearing_a_party_hears_nothing_of_it_and_the_others_do() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut a, mut b, ear) = (Phone::new(), Phone::new(), Phone::new());
    let (at_a, at_b) = joined(&ng, "c", &a, &b);
    let request = command("subscribe request", "c").with("from-tag", "a").with("to-tag", "ear");
    subscribed(&ng, &request, &ear);
    reaches(&mut a, at_a, 10, &ear);
    let told = |name: &str, hearer: Option<&str>| {
        let mut request = command(name, "c").with("from-tag", "a");
        hearer.into_iter().for_each(|hearer| _ = request.put("to-tag", hearer));
        let reply = ng.ask(&request);
        assert_eq!(reply.text("result"), Some("ok"), "{request:?}: {reply:?}");
    };
    let of_a = |phone: &Phone| {
        let heard = phone.heard().into_iter();
        heard.filter(|packet| crossings(&packet.payload).abs_diff(16) <= 2).count()
    };
    told("block media", Some("ear"));
    ear.heard();
    for _ in 0..10 {
        reaches(&mut a, at_a, 10, &b);
    }
    assert_eq!(of_a(&ear), 0, "the partner hears it, the subscriber does not");
    told("block media", None);
    told("unblock media", Some("ear"));
    b.heard();
    for _ in 0..10 {
        a.send(at_a, &wave(10));
        reaches(&mut b, at_b, 4, &a);
    }
    assert_eq!((of_a(&b), of_a(&ear)), (0, 0), "nobody does");
    told("unblock media", None);
    reaches(&mut a, at_a, 10, &ear);
    reaches(&mut a, at_a, 10, &b);
}

#[test]
fn who_has_subscribed_hears_it_in_the_codec_and_packet_time_of_the_request() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut mic, ear) = (Phone::new(), Phone::new());
    let published = sdp_at(mic.address(), "a=sendonly\r\n");
    let sdp = ng.sdp(&command("publish", "c").with("from-tag", "mic").with("sdp", published));
    let wishes = vec!["codec-mask-all".into(), "codec-transcode-PCMA".into()];
    let request = command("subscribe request", "c").with("from-tag", "mic").with("ptime", 40_u64);
    let reply = ng.ask(&request.with("flags", Value::List(wishes)));
    let tag = reply.text("to-tag").unwrap_or_else(|| panic!("{reply:?}"));
    let there = sdp_at(ear.address(), "a=recvonly\r\n").replace("RTP/AVP 0", "RTP/AVP 8");
    ng.ask(&command("subscribe answer", "c").with("to-tag", tag).with("sdp", there));
    let began = Instant::now();
    let heard = loop {
        assert!(began.elapsed() < PATIENCE, "nothing is heard");
        mic.send(audio_of(&sdp), &wave(10));
        if let Some(packet) = ear.hear_within(Duration::from_millis(20))
            && changes(&packet.payload, alaw_to_linear).abs_diff(32) <= 3
        {
            break packet;
        }
    };
    assert_eq!((heard.payload_type, heard.payload.len()), (8, 320));
}
