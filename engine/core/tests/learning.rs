//! Whom a leg hears and is sent to while it learns its peer's source, in every mode of learning.

mod support;

use offhook_engine_core::{DropReason, LegId, LegSetup, Verdict, WorkerCommand};
use offhook_proto::{EventBody, LatchMode, LegUpdate};
use support::{Rig, Talker, address, assert_one_stream, phone, rtp, setup};

const STRANGER: &str = "203.0.113.66:666";
const NEIGHBOUR: &str = "10.0.0.66:4000";
const OTHER_PORT: &str = "10.0.0.2:4002";
const REFUSED: Result<support::Sent, Verdict> = Err(Verdict::Drop(DropReason::Stranger));

/// Leg 1, which learns in that way, joined with leg 2.
fn joined(latch: LatchMode) -> Rig {
    let mut rig = Rig::with_legs(0);
    rig.create(LegSetup { latch, ..setup(1) });
    rig.create(setup(2));
    rig.latch(2);
    rig.splice(1, 2);
    rig.pass_ms(1);
    rig.actions.clear();
    rig
}

/// A source says 20 ms for leg 1.
fn says(rig: &mut Rig, source: &str, sequence: u16, ssrc: u32, word: u8) -> Result<support::Sent, Verdict> {
    let packet = rtp(0, sequence, u32::from(sequence) * 160, ssrc, &[word; 160]);
    let said = rig.receive_from(1, address(source), &packet);
    rig.pass_ms(20);
    said
}

/// The first byte of each payload that leg 2 was sent since it was looked at last.
fn words(rig: &mut Rig) -> Vec<u8> {
    let heard = rig.take_heard(2);
    assert_one_stream(&heard);
    heard.iter().map(|sent| sent.bytes[12]).collect()
}

/// Where leg 1 is sent to; none when its socket is connected.
fn sent_to(rig: &mut Rig, talker: &mut Talker) -> Option<std::net::SocketAddr> {
    let sent = talker.talk(rig, 1).expect("it is sent on");
    rig.take_heard(1);
    sent.address
}

fn latched(rig: &Rig) -> Vec<String> {
    let source = |event: &EventBody| match event {
        EventBody::LegLatched { leg, source } if leg == "leg-1" => Some(source.to_string()),
        _ => None,
    };
    rig.events.iter().filter_map(source).collect()
}

#[test]
fn a_stranger_who_spoke_first_loses_to_the_peer_at_its_address_though_it_knows_the_stream() {
    for (mode, packets) in [(LatchMode::Heuristic, 1), (LatchMode::Delayed, 1), (LatchMode::Any, 8)] {
        let mut rig = joined(mode);
        let mut other = Talker::new(2);
        for n in 0..packets {
            let _ = says(&mut rig, STRANGER, 1_000 + n, 5, 66);
        }
        assert_eq!(words(&mut rig).last(), Some(&66), "{mode:?}: heard, as a phone behind NAT would be");
        assert_eq!(sent_to(&mut rig, &mut other), Some(address(STRANGER)), "{mode:?}");
        assert!(rig.actions.is_empty(), "{mode:?}: not learnt yet: {:?}", rig.actions);
        let _ = words(&mut rig);
        // The same SSRC, and numbers that come before those of the stranger.
        for n in 0..5 {
            assert!(says(&mut rig, "10.0.0.2:4000", 900 + n, 5, 1).is_ok(), "{mode:?}");
            assert_eq!(says(&mut rig, STRANGER, 1_100 + n, 5, 66), REFUSED, "{mode:?}");
        }
        assert_eq!(words(&mut rig), [1; 5], "{mode:?}");
        assert_eq!(rig.actions, ["connect 0 Rtp 10.0.0.2:4000"], "{mode:?}");
        assert_eq!(sent_to(&mut rig, &mut other), None, "{mode:?}: connected");
        assert_eq!(latched(&rig), [STRANGER, "10.0.0.2:4000"], "{mode:?}");
    }
}

#[test]
fn by_01_no_word_of_a_phone_that_sends_from_elsewhere_is_lost_or_late_while_it_is_learnt() {
    for (mode, source) in [
        (LatchMode::Signalled, OTHER_PORT),
        (LatchMode::Signalled, NEIGHBOUR),
        (LatchMode::Any, OTHER_PORT),
        (LatchMode::Any, NEIGHBOUR),
        (LatchMode::Any, STRANGER),
        (LatchMode::Heuristic, OTHER_PORT),
        (LatchMode::Heuristic, STRANGER),
        (LatchMode::Delayed, STRANGER),
        (LatchMode::Immediate, STRANGER),
    ] {
        let mut rig = joined(mode);
        let mut said = Vec::new();
        for n in 0..200_u8 {
            let _ = says(&mut rig, source, n.into(), 5, n);
            said.push(n);
            if n == 8 {
                assert_eq!(words(&mut rig), said, "{mode:?} {source}: all of them by the eighth");
                said.clear();
            }
        }
        assert_eq!(words(&mut rig), said, "{mode:?} {source}");
        assert_eq!(rig.actions, [format!("connect 0 Rtp {source}")], "{mode:?}: once, and for good");
        assert_eq!(latched(&rig), [source], "{mode:?}");
        assert_eq!(rig.info(1).counters.drops.stranger, 0, "{mode:?} {source}");
        assert_eq!(says(&mut rig, "10.0.0.2:4000", 0, 7, 7), REFUSED, "{mode:?}: the time is over");
    }
}

#[test]
fn rtp_bleed_by_a_neighbour_fails_while_the_signalled_address_is_asked() {
    let mut rig = joined(LatchMode::Signalled);
    let mut other = Talker::new(2);
    for n in 0..54 {
        let _ = says(&mut rig, NEIGHBOUR, n, 5, 66);
        assert_eq!(sent_to(&mut rig, &mut other), Some(phone(1)), "{n}");
    }
    assert_eq!(words(&mut rig).len(), 54, "it is heard: it may be the peer");
    let _ = says(&mut rig, NEIGHBOUR, 55, 5, 66);
    assert_eq!(sent_to(&mut rig, &mut other), Some(address(NEIGHBOUR)), "nobody has answered for a second");
    assert!(says(&mut rig, "10.0.0.2:4000", 0, 7, 1).is_ok());
    assert_eq!(says(&mut rig, NEIGHBOUR, 56, 5, 66), REFUSED);
    assert_eq!(rig.actions, ["connect 0 Rtp 10.0.0.2:4000"]);
}

#[test]
fn what_is_held_of_others_is_let_go_when_one_is_learnt() {
    let mut rig = joined(LatchMode::Signalled);
    for n in 0..5 {
        let _ = says(&mut rig, NEIGHBOUR, n, 5, 1);
    }
    assert_eq!(says(&mut rig, OTHER_PORT, 0, 9, 9), REFUSED, "it would be believed with its second");
    assert_eq!(rig.worker.info().drops.stranger, 0, "held");
    rig.pass_ms(3_000);
    let _ = says(&mut rig, NEIGHBOUR, 5, 5, 2);
    assert_eq!(rig.worker.info().drops.stranger, 1);
    assert_eq!(words(&mut rig), [1, 1, 1, 1, 1, 2]);
}

#[test]
fn new_signalling_forgets_who_was_believed() {
    let mut rig = joined(LatchMode::Heuristic);
    assert!(says(&mut rig, STRANGER, 0, 5, 66).is_ok());
    let change = LegUpdate { leg: "leg-1".into(), latch: Some(LatchMode::Signalled), ..LegUpdate::default() };
    rig.done(|op| WorkerCommand::Update { op, leg: LegId(1), change: Box::new(change) });
    assert!(rig.actions.is_empty(), "there is no connection to dissolve: {:?}", rig.actions);
    assert_eq!(says(&mut rig, STRANGER, 1, 5, 66), REFUSED);
    assert_eq!(sent_to(&mut rig, &mut Talker::new(2)), Some(phone(1)));
    assert_eq!(rig.info(1).latched, None);
}

#[test]
fn reports_of_one_that_is_believed_are_read_and_teach_nothing() {
    let mut rig = joined(LatchMode::Heuristic);
    let report = [0x80, 201, 0, 1, 0, 0, 0, 5];
    rig.receive_rtcp(1, address("203.0.113.66:667"), &report);
    assert_eq!(rig.info(1).counters.drops.stranger, 1);
    assert!(says(&mut rig, STRANGER, 0, 5, 66).is_ok());
    rig.receive_rtcp(1, address("203.0.113.66:667"), &report);
    assert_eq!(rig.info(1).counters.drops.stranger, 1);
    rig.receive_rtcp(1, address("10.0.0.2:4001"), &report);
    assert_eq!(rig.actions, ["connect 0 Rtcp 10.0.0.2:4001"], "the signalled one");
}
