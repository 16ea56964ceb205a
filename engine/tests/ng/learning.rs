//! RTP Bleed and RTP Inject against every way of learning that a proxy can ask for.

use std::net::IpAddr;

use offhook_ng::{Dict, Value};

use crate::client::{NgClient, answer, audio_of, offer, sdp_at};
use crate::support::{Engine, Phone, number, spoken};

/// What a proxy can say about learning, and whether a stranger who comes before the peer is kept out.
fn ways() -> [(&'static str, Dict, bool); 7] {
    let strict_source = || Dict::default().with("flags", vec![Value::from("strict source")]);
    let learning = |dict: Dict, how: &str| dict.with("endpoint learning", how);
    let none = Dict::default;
    [
        ("off", learning(none(), "off"), true),
        ("immediate", learning(none(), "immediate"), false),
        ("delayed", learning(none(), "delayed"), false),
        ("heuristic", learning(none(), "heuristic"), false),
        ("strict source", strict_source(), true),
        ("heuristic, strict source", learning(strict_source(), "heuristic"), true),
        ("nothing said", none(), false),
    ]
}

/// A call of two phones, both learnt in that way; where each sends to.
fn joined(ng: &NgClient, call_id: &str, how: &Dict, a: &Phone, b: &Phone) -> [std::net::SocketAddr; 2] {
    let with = |mut request: Dict| {
        for key in ["flags", "endpoint learning"] {
            if let Some(value) = how.find(key) {
                request.put(key, value.clone());
            }
        }
        request
    };
    let to_b = ng.sdp(&with(offer(call_id, "a", &sdp_at(a.address(), ""))));
    let to_a = ng.sdp(&with(answer(call_id, "a", "b", &sdp_at(b.address(), ""))));
    [audio_of(&to_a), audio_of(&to_b)]
}

fn stranger() -> Phone {
    Phone::on(IpAddr::from([127, 9, 9, 9]))
}

/// RTP Bleed: a stranger sends first, and wants to be sent the call's audio.
#[test]
fn rtp_bleed_fails_where_learning_is_off_or_the_source_strict_and_works_before_the_latch_elsewhere() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    for (call_id, how, safe) in ways() {
        let (ann, mut bob, mut stranger) = (Phone::new(), Phone::new(), stranger());
        let [at_a, at_b] = joined(&ng, call_id, &how, &ann, &bob);
        for n in 0..40 {
            stranger.say(at_a, n);
        }
        if safe {
            bob.say(at_b, 7);
            assert_eq!(ann.hear().payload, spoken(bob.next.ssrc, 7), "{call_id}: the one who was signalled");
            assert_eq!(stranger.heard(), [], "{call_id}");
            assert_eq!(bob.heard(), [], "{call_id}: nobody heard the stranger");
        } else {
            // It is believed as a phone behind NAT would be: this is what makes these ways unsafe.
            bob.hear();
            bob.say(at_b, 7);
            assert_eq!(stranger.hear().payload, spoken(bob.next.ssrc, 7), "{call_id}");
        }
    }
}

/// RTP Inject: a stranger who knows everything about the stream speaks into a call that goes on.
#[test]
fn rtp_inject_fails_in_every_way_of_learning_once_the_peer_has_spoken() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    for (call_id, how, _) in ways() {
        let (mut ann, mut bob, mut stranger) = (Phone::new(), Phone::new(), stranger());
        let [at_a, at_b] = joined(&ng, call_id, &how, &ann, &bob);
        ann.say(at_a, 0);
        assert_eq!(number(&bob.hear()), 0);
        stranger.next = ann.next.clone();
        for n in 100..200 {
            stranger.say(at_a, n);
        }
        for n in 1..20 {
            ann.say(at_a, n);
            assert_eq!(number(&bob.hear()), n, "{call_id}");
        }
        bob.say(at_b, 3);
        assert_eq!(ann.hear().payload, spoken(bob.next.ssrc, 3), "{call_id}");
        assert_eq!(stranger.heard(), [], "{call_id}");
    }
}
