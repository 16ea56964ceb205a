//! Calls: how long they live, what is refused, who sends a proxy to its next engine.

use std::time::Duration;

use offhook_ng::{Dict, Value};
use offhook_proto::{Command, DtmfMode};

use crate::world::{SDP, World, answer, command, joined, offer};

#[test]
fn an_answered_call_without_media_is_given_up_after_a_minute() {
    let mut world = joined("");
    world.silent_ms = Some(59_000);
    world.pass(Duration::from_secs(300));
    assert_eq!(world.legs.len(), 2, "it is heard now and then");
    world.silent_ms = Some(61_000);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.legs.len(), 0);
    assert_eq!(world.ask(&command("query")).text("error-reason"), Some("Unknown call-id"));
    assert_eq!(world.ng.poll_timeout(), None, "nothing is left to look at");
}

#[test]
fn a_call_on_hold_and_one_that_still_rings_are_kept_for_an_hour() {
    let mut ringing = World::new();
    ringing.ask(&offer());
    for world in [&mut joined("a=recvonly\r\n"), &mut ringing] {
        world.pass(Duration::from_secs(3_500));
        assert_eq!(world.legs.len(), 2);
        world.pass(Duration::from_secs(200));
        assert_eq!(world.legs.len(), 0);
    }
}

#[test]
fn a_call_that_is_deleted_while_it_is_offered_leaves_no_leg() {
    let mut world = World::new();
    let offered = world.send(&offer());
    let deleted = world.send(&command("delete").with("delete-delay", 0_u64));
    world.settle();
    assert_eq!(world.replies[&offered][0].text("error-reason"), Some("Unknown call-id"));
    assert_eq!(world.replies[&deleted][0].text("result"), Some("ok"));
    assert!(world.legs.is_empty(), "{:?}", world.legs);
}

#[test]
fn an_offer_that_the_engine_refuses_leaves_no_call() {
    let mut world = World::new();
    world.full = true;
    assert_eq!(world.ask(&offer()).text("error-reason"), Some("Parallel session limit reached"));
    assert_eq!(world.ask(&command("query")).text("error-reason"), Some("Unknown call-id"));
    world.full = false;
    assert_eq!(world.ask(&offer()).text("result"), Some("ok"));
}

#[test]
fn an_offer_sent_twice_at_once_to_a_full_engine_sends_the_proxy_to_its_next_one_both_times() {
    let mut world = World::new();
    world.full = true;
    let both = [world.send(&offer()), world.send(&offer())];
    world.settle();
    for cookie in &both {
        let reason = world.replies[cookie][0].text("error-reason");
        assert_eq!(reason, Some("Parallel session limit reached"), "the one that every proxy knows");
    }
    let modern = || offer().with("supports", vec![Value::from("load limit")]);
    let both = [world.send(&modern()), world.send(&modern())];
    world.settle();
    for (cookie, wanted) in both.iter().zip(["Parallel session limit reached", "Load limit exceeded"]) {
        let reply = &world.replies[cookie][0];
        assert_eq!((reply.text("result"), reply.text("message")), (Some("load limit"), Some(wanted)));
    }
    assert_eq!(world.ask(&command("query")).text("error-reason"), Some("Unknown call-id"));
}

#[test]
fn an_answer_that_refuses_a_section_closes_its_legs_and_an_offer_opens_them_again() {
    let mut world = World::new();
    world.ask(&offer());
    let refused = command("answer").with("from-tag", "a").with("to-tag", "b");
    let reply = world.ask(&refused.with("sdp", SDP.replace("4000", "0")));
    assert!(reply.text("sdp").is_some_and(|sdp| sdp.contains("m=audio 0 ")), "{reply:?}");
    assert!(world.legs.is_empty());
    assert_eq!(world.ask(&offer().with("to-tag", "b")).text("result"), Some("ok"));
    assert_eq!(world.legs.len(), 2);
}

#[test]
fn an_offer_that_is_refused_for_what_it_asks_leaves_no_call() {
    let mut world = World::new();
    let asymmetric = ("flags", Value::from(vec![Value::from("asymmetric")]));
    let echo = ("media echo", Value::from("both"));
    for (key, wish) in [asymmetric, echo, ("ICE", Value::from("force")), ("T.38", Value::from("force"))] {
        world.refused(&offer().with(key, wish));
        assert_eq!(world.ask(&command("query")).text("error-reason"), Some("Unknown call-id"), "{key}");
    }
    assert_eq!(world.ng.poll_timeout(), None);
}

#[test]
fn an_answer_that_cannot_be_accepted_changes_nothing_and_loses_no_leg() {
    let mut world = World::new();
    let two = format!("{SDP}m=audio 4002 RTP/AVP 0\r\n");
    world.ask(&command("offer").with("from-tag", "a").with("sdp", two.as_str()));
    assert_eq!(world.legs.len(), 4);
    let answered = |sdp: String| command("answer").with("from-tag", "a").with("to-tag", "b").with("sdp", sdp);
    let refused =
        world.refused(&answered(two.replace("4000", "0").replace("4002 RTP/AVP 0", "4002 RTP/AVP 8")));
    assert_eq!(refused, "No codec in the answer that was offered");
    assert_eq!(world.legs.len(), 4);
    assert_eq!(world.ask(&answered(two.clone())).text("result"), Some("ok"));
    assert_eq!(world.legs.len(), 4);
    world.ask(&command("delete").with("delete-delay", 0_u64));
    assert!(world.legs.is_empty(), "{:?}", world.legs);
}

#[test]
fn what_the_engine_has_refused_of_an_answer_it_is_told_again_by_the_next_one() {
    let answered = || command("answer").with("from-tag", "a").with("to-tag", "b").with("sdp", SDP);
    let mut world = World::new();
    world.ask(&offer());
    world.no_updates = true;
    assert_eq!(world.refused(&answered()), "remote.rtp");
    world.no_updates = false;
    let told = world.told_by(&answered());
    let remotes = told.iter().filter(|command| match command {
        Command::LegUpdate(update) => update.remote.is_some() && update.latch.is_some(),
        _ => false,
    });
    assert_eq!(remotes.count(), 2, "{told:?}");
    assert!(told.iter().any(|command| matches!(command, Command::Splice(_))), "{told:?}");
    assert!(world.told_by(&answered()).is_empty(), "and once is enough");
    world.ask(&command("create").with("from-tag", "x"));
    let answered = || command("create answer").with("from-tag", "x").with("sdp", SDP);
    world.no_updates = true;
    assert_eq!(world.refused(&answered()), "remote.rtp");
    world.no_updates = false;
    let told = world.told_by(&answered());
    let [Command::LegUpdate(update)] = &told[..] else { panic!("{told:?}") };
    assert!(update.remote.is_some() && update.media.is_some());
}

#[test]
fn a_packet_time_that_is_asked_for_goes_before_what_a_side_wants() {
    let mut world = World::new();
    let wished = offer().with("ptime", 40_u64).with("ptime-reverse", 30_u64);
    world.ask(&wished);
    let answered = answer("a=ptime:10\r\na=maxptime:50\r\n");
    let media = |told: Vec<Command>| {
        let media = told.into_iter().filter_map(|command| match command {
            Command::LegUpdate(update) => update.media,
            _ => None,
        });
        media.map(|media| (media.ptime_ms, media.max_ptime_ms, media.repacketise)).collect::<Vec<_>>()
    };
    // Of no account in an answer.
    let told = world.told_by(&answered.with("ptime", 60_u64));
    assert_eq!(media(told), [(30, None, true), (40, Some(50), true)]);
    world.ask(&offer().with("to-tag", "b"));
    assert_eq!(media(world.told_by(&answer(""))), [(20, None, false); 2], "an offer asks for itself");
}

#[test]
fn a_deletion_that_is_asked_for_again_is_due_when_the_last_one_says_and_a_message_undoes_it() {
    let mut world = joined("");
    world.silent_ms = Some(0);
    let delete = |delay_s: u64| command("delete").with("delete-delay", delay_s);
    world.ask(&delete(3_000));
    world.ask(&delete(30));
    world.pass(Duration::from_secs(29));
    assert_eq!(world.legs.len(), 2);
    world.ask(&offer().with("to-tag", "b"));
    world.pass(Duration::from_secs(100));
    assert_eq!(world.legs.len(), 2, "it was undone");
    world.ask(&delete(30));
    world.pass(Duration::from_secs(31));
    assert!(world.legs.is_empty());
    assert_eq!(world.ng.poll_timeout(), None, "no timer is left");
}

#[test]
fn an_answer_is_not_answered() {
    let mut world = World::new();
    for result in ["ok", "pong", "error"] {
        world.send(&Dict::default().with("result", result).with("error-reason", "Unknown call-id"));
    }
    assert!(world.replies.is_empty());
    assert_eq!(world.ng.answers_dropped(), 3);
}

#[test]
fn keys_are_blocked_for_one_party_or_for_all() {
    let mut world = World::new();
    world.ask(&offer().with("from-label", "caller"));
    world.ask(&command("answer").with("from-tag", "a").with("to-tag", "b").with("sdp", SDP));
    let mut told = |request: Dict| {
        assert_eq!(world.ask(&request).text("result"), Some("ok"));
        let mut told: Vec<(String, DtmfMode)> = world.keys.drain(..).collect();
        told.iter_mut().for_each(|(leg, _)| drop(leg.drain(..leg.len() - 1)));
        told
    };
    let (a, b) = ("a".to_owned(), "b".to_owned());
    assert_eq!(told(command("block DTMF").with("from-tag", "b")), [(b.clone(), DtmfMode::Block)]);
    assert_eq!(told(command("block DTMF")), [(a.clone(), DtmfMode::Block), (b.clone(), DtmfMode::Block)]);
    assert_eq!(told(command("unblock DTMF").with("label", "caller")), [(a, DtmfMode::Pass)]);
}
