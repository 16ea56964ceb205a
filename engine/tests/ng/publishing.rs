//! Media that is published, and parties of a call that are subscribed to: who hears whom, by content.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_audio::g711::{linear_to_ulaw, ulaw_to_linear};
use offhook_ng::Dict;

use crate::client::{NgClient, answer, audio_of, command, offer, sdp_at};
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
    let to_b = ng.sdp(&offer("c", "a", &sdp_at(a.address(), "")));
    let to_a = ng.sdp(&answer("c", "a", "b", &sdp_at(b.address(), "")));
    let (at_a, at_b) = (audio_of(&to_a), audio_of(&to_b));
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
