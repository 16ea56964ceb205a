//! RTP Bleed and RTP Inject against every way of learning that a proxy can ask for.

use offhook_ng::{Dict, Value};

use crate::bleed::{Fate, attempt, strangers};
use crate::client::{NgClient, answer, audio_of, offer, sdp_at};
use crate::support::{Engine, Phone, number, spoken};

/// Its name, what a proxy says, and what becomes of the three strangers with so many packets.
type Way = (&'static str, Dict, [(Fate, u32); 3]);

/// What a proxy can say about learning, and what becomes of strangers who come before the peer, each with the packets that it
/// takes: one from anywhere, one of the peer's network, one on its address.
fn ways() -> [Way; 9] {
    const OFF: [(Fate, u32); 3] = [(Fate::Refused, 40); 3];
    const NEAR: [(Fate, u32); 3] = [(Fate::Refused, 40), (Fate::Heard, 5), (Fate::Believed, 2)];
    const WAITS: [(Fate, u32); 3] = [(Fate::Believed, 1); 3];
    const FIRST: [(Fate, u32); 3] = [(Fate::Learnt, 1); 3];
    let flag = |flag: &str| Dict::default().with("flags", vec![Value::from(flag)]);
    let learning = |dict: Dict, how: &str| dict.with("endpoint learning", how);
    let none = Dict::default;
    [
        ("off", learning(none(), "off"), OFF),
        ("immediate", learning(none(), "immediate"), FIRST),
        ("delayed", learning(none(), "delayed"), WAITS),
        ("heuristic", learning(none(), "heuristic"), WAITS),
        ("a flag that says heuristic", flag("endpoint-learning-heuristic"), WAITS),
        ("a flag that says immediate", flag("endpoint-learning-immediate"), FIRST),
        ("strict source", flag("strict source"), NEAR),
        ("heuristic, strict source", learning(flag("strict source"), "heuristic"), NEAR),
        ("nothing said", none(), WAITS),
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

/// RTP Bleed: a stranger sends first, and wants to be sent the call's audio.
#[test]
fn rtp_bleed_is_over_when_the_peer_speaks_in_every_way_of_learning_but_immediate() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    for (way, how, fates) in ways() {
        for (n, (fate, mut stranger)) in fates.into_iter().zip(strangers()).enumerate() {
            let call_id = format!("{way}, {n}");
            let (mut ann, mut bob) = (Phone::new(), Phone::new());
            let at = joined(&ng, &call_id, &how, &ann, &bob);
            attempt(&call_id, fate, &mut stranger, [&mut ann, &mut bob], at);
        }
    }
}

#[test]
fn a_word_for_learning_that_nobody_knows_is_refused() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let phone = Phone::new();
    let request = offer("typo", "a", &sdp_at(phone.address(), "")).with("endpoint learning", "heuristics");
    assert_eq!(ng.refused(&request), "Unknown endpoint learning: heuristics");
}

/// RTP Inject: a stranger who knows everything about the stream speaks into a call that goes on.
#[test]
fn rtp_inject_fails_in_every_way_of_learning_once_the_peer_has_spoken() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    for (call_id, how, _) in ways() {
        let (mut ann, mut bob) = (Phone::new(), Phone::new());
        let [at_a, at_b] = joined(&ng, call_id, &how, &ann, &bob);
        ann.say(at_a, 0);
        assert_eq!(number(&bob.hear()), 0);
        let mut strangers = strangers();
        for stranger in &mut strangers {
            stranger.next = ann.next.clone();
            for n in 100..200 {
                stranger.say(at_a, n);
            }
        }
        for n in 1..20 {
            ann.say(at_a, n);
            assert_eq!(number(&bob.hear()), n, "{call_id}");
        }
        bob.say(at_b, 3);
        assert_eq!(ann.hear().payload, spoken(bob.next.ssrc, 3), "{call_id}");
        for stranger in &strangers {
            assert_eq!(stranger.heard(), [], "{call_id}");
        }
    }
}
