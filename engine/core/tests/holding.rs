//! The first word after an answer, which comes before the request that lets it through (BY-01).

mod support;

use offhook_engine_core::{DropReason, LegId, LegSetup, OpId, Verdict, WorkerCommand};
use offhook_proto::{Codec, EventBody, LatchMode, LegUpdate, Media, Remote};
use support::{Rig, Sent, Talker, address, phone, rtp, setup};

/// An agent on leg 1, in talk with nobody, and a customer's leg 2 that was just created.
fn ringing(customer: LegSetup) -> Rig {
    let mut rig = Rig::with_legs(1);
    rig.create(customer);
    rig.pass_ms(1_000);
    rig.actions.clear();
    rig
}

fn signalled(rig: &mut Rig, leg: u64, remote: &str) {
    let remote = Some(Remote { rtp: address(remote), rtcp: None });
    let change = Box::new(LegUpdate { leg: format!("leg-{leg}"), remote, ..LegUpdate::default() });
    rig.done(|op| WorkerCommand::Update { op, leg: LegId(leg), change });
}

/// First byte of each payload.
fn words(heard: &[Sent]) -> Vec<u8> {
    heard.iter().map(|sent| sent.bytes[12]).collect()
}

#[test]
fn by_01_no_packet_between_the_answer_and_the_splice_is_lost() {
    let mut rig = ringing(setup(2));
    let mut customer = Talker::new(2);
    for word in 0..50 {
        assert!(customer.talk(&mut rig, word).is_err(), "early media goes nowhere");
        rig.pass_ms(20);
    }
    let answered = rig.now;
    for word in 100..103 {
        assert_eq!(customer.talk(&mut rig, word), Err(Verdict::Drop(DropReason::NotSpliced)));
        rig.pass_ms(20);
    }
    rig.splice_since(1, 2, answered);
    assert!(customer.talk(&mut rig, 103).is_ok());
    let heard = rig.take_heard(1);
    assert_eq!(words(&heard), [100, 101, 102, 103], "in order, and nothing from before the answer");
    for pair in heard.windows(2) {
        assert_eq!(pair[1].header().sequence, pair[0].header().sequence.wrapping_add(1));
        assert_eq!(pair[1].header().timestamp, pair[0].header().timestamp.wrapping_add(160));
    }
    let audio = rig.events.iter().find_map(|event| match event {
        EventBody::SpliceAudio(audio) => Some((audio.after_us, audio.dropped_packets)),
        _ => None,
    });
    assert_eq!(audio, Some((60_000, 0)));
    let counters = rig.info(2).counters;
    assert_eq!((counters.drops.not_spliced, counters.packets_forwarded), (50, 4));
}

#[test]
fn by_01_packets_as_long_as_they_can_be_are_not_lost_either() {
    let linear = Media { codec: Codec::L16 { rate_hz: 32_000 }, payload_type: 97, ..Media::default() };
    let mut rig = Rig::new();
    for leg in [1, 2] {
        rig.create(LegSetup { media: linear.clone(), ..setup(leg) });
    }
    rig.latch(1);
    let answered = rig.now;
    for word in 0..7 {
        let packet = rtp(97, word, u32::from(word) * 640, 77, &[word as u8; 1_280]);
        assert_eq!(rig.receive(2, &packet).err(), Some(Verdict::Drop(DropReason::NotSpliced)));
        rig.pass_ms(20);
    }
    rig.splice_since(1, 2, answered);
    rig.drain();
    let heard = rig.take_heard(1);
    assert_eq!(words(&heard), [0, 1, 2, 3, 4, 5, 6]);
    assert!(heard.iter().all(|sent| sent.bytes.len() == 12 + 1_280));
}

#[test]
fn by_01_no_packet_that_came_before_its_sender_was_signalled_is_lost() {
    for mode in [LatchMode::Signalled, LatchMode::Strict, LatchMode::Any] {
        let mut rig = ringing(LegSetup { remote: None, latch: mode, ..setup(2) });
        let mut customer = Talker::new(2);
        let answered = rig.now;
        for word in 1..4 {
            assert_eq!(customer.talk(&mut rig, word), Err(Verdict::Drop(DropReason::Stranger)), "{mode:?}");
            let _ = rig.receive_from(2, address("203.0.113.66:4000"), &rtp(0, 9, 9, 66, &[66; 160]));
            rig.pass_ms(1);
        }
        signalled(&mut rig, 2, &phone(2).to_string());
        assert!(rig.sent.is_empty());
        rig.splice_since(1, 2, answered);
        assert!(customer.talk(&mut rig, 4).is_ok());
        assert_eq!(words(&rig.take_heard(1)), [1, 2, 3, 4], "{mode:?}");
        assert_eq!(rig.info(2).counters.drops.stranger, 3, "the stranger's");
    }
}

#[test]
fn by_01_the_order_of_signalling_and_splicing_does_not_matter() {
    let mut rig = ringing(LegSetup { remote: None, ..setup(2) });
    let mut customer = Talker::new(2);
    let answered = rig.now;
    for word in 1..3 {
        let _ = customer.talk(&mut rig, word);
        rig.pass_ms(5);
    }
    rig.splice_since(1, 2, answered);
    let _ = customer.talk(&mut rig, 3);
    signalled(&mut rig, 2, &phone(2).to_string());
    assert!(customer.talk(&mut rig, 4).is_ok());
    assert_eq!(words(&rig.take_heard(1)), [1, 2, 3, 4]);
}

#[test]
fn by_01_packets_that_a_latch_needed_to_learn_are_not_lost_either() {
    let mut rig = ringing(setup(2));
    rig.splice_since(1, 2, rig.now);
    let mut customer = Talker::new(2);
    for word in 1..5 {
        let packet = customer.packet(word);
        let _ = rig.receive_from(2, address("10.0.0.3:4002"), &packet);
    }
    assert_eq!(words(&rig.take_heard(1)), [1, 2, 3, 4], "another port of its address needs two packets");
    assert_eq!(rig.info(2).counters.drops.stranger, 0);
}

#[test]
fn by_01_a_packet_too_long_to_be_held_is_dropped_and_those_around_it_are_not() {
    let mut rig = ringing(setup(2));
    rig.splice_since(1, 2, rig.now);
    let mut customer = Talker::new(2);
    let elsewhere = address("10.0.0.3:4002");
    let packets = [customer.packet(1), [customer.packet(2), vec![2; 1_600]].concat(), customer.packet(3)];
    for packet in &packets {
        let _ = rig.receive_from(2, elsewhere, packet);
    }
    assert_eq!(words(&rig.take_heard(1)), [1, 3], "the second is the one that the latch learns with");
    assert_eq!(rig.info(2).counters.drops.stranger, 1);
}

#[test]
fn by_01_the_agents_first_word_waits_for_its_gate() {
    let mut rig = ringing(setup(2));
    rig.gates(1, 2, true, false);
    let (mut agent, mut customer) = (Talker::new(1), Talker::new(2));
    for word in 0..10 {
        assert!(customer.talk(&mut rig, word).is_ok(), "ringing is heard");
        assert!(agent.talk(&mut rig, word).is_err());
        rig.pass_ms(20);
    }
    let answered = rig.now;
    let _ = agent.talk(&mut rig, 100);
    rig.pass_ms(3);
    rig.splice_since(1, 2, answered);
    assert_eq!(words(&rig.take_heard(2)), [100], "and nothing that was said while it rang");
    assert_eq!(rig.take_heard(1).len(), 10, "nothing is heard twice");
    assert_eq!(rig.info(1).counters.drops.gate_closed, 10);
}

#[test]
fn a_packet_that_came_just_before_the_controller_saw_the_answer_counts_as_after_it() {
    let mut rig = ringing(setup(2));
    let mut customer = Talker::new(2);
    for word in 0..10 {
        let _ = customer.talk(&mut rig, word);
        rig.pass_ms(if word == 9 { 9 } else { 20 });
    }
    rig.splice_since(1, 2, rig.now);
    assert_eq!(words(&rig.take_heard(1)), [9]);
}

#[test]
fn without_a_named_moment_nothing_of_before_is_heard() {
    let mut rig = ringing(setup(2));
    for word in 0..10 {
        let _ = Talker::new(2).talk(&mut rig, word);
    }
    rig.splice(1, 2);
    assert!(rig.take_heard(1).is_empty());
    assert_eq!(rig.info(2).counters.drops.not_spliced, 10);
}

#[test]
fn no_more_than_the_last_160_ms_are_sent_on_however_long_the_controller_took() {
    let mut rig = ringing(setup(2));
    let mut customer = Talker::new(2);
    let answered = rig.now;
    for word in 0..100 {
        let _ = customer.talk(&mut rig, word);
        rig.pass_ms(20);
    }
    rig.splice_since(1, 2, answered);
    assert_eq!(words(&rig.take_heard(1)), (92..100).collect::<Vec<_>>());
    let customer = rig.info(2).counters;
    assert_eq!((customer.drops.not_spliced, customer.packets_forwarded), (92, 8));
}

#[test]
fn by_06_what_a_parked_or_once_spliced_leg_says_is_never_kept() {
    let mut rig = Rig::with_legs(3);
    rig.splice(1, 2);
    rig.unsplice(1);
    rig.done(|op| WorkerCommand::Park { op, leg: LegId(3), keep_one_in: 1 });
    let before = rig.now;
    for word in 0..10 {
        let _ = Talker::new(1).talk(&mut rig, word);
        let _ = Talker::new(3).talk(&mut rig, word);
    }
    rig.splice_since(1, 3, before);
    assert!(rig.take_heard(1).is_empty() && rig.take_heard(3).is_empty());
}

#[test]
fn what_is_held_moves_with_its_leg_to_another_worker() {
    let (mut left, mut right) = (Rig::with_legs(1), Rig::numbered(1));
    right.create(setup(2));
    let mut customer = Talker::new(2);
    let answered = right.now;
    let _ = customer.talk(&mut right, 7);
    let detach = WorkerCommand::Detach { op: OpId(900), leg: LegId(2), replace: false };
    right.worker.handle_command(right.now, detach);
    // Taken from the socket before its receive could be ended.
    let leaving = right.ix(2);
    let _ = right.worker.handle_rtp(right.now, leaving, phone(2), &mut customer.packet(8));
    right.drain();
    let Some(offhook_engine_core::Disarmed::Moved(offhook_engine_core::WorkerReport::Detached {
        leg, ..
    })) = right.disarmed.pop()
    else {
        panic!("it moves");
    };
    left.tell(WorkerCommand::Adopt { leg });
    left.splice_since(1, 2, answered);
    assert!(customer.talk(&mut left, 9).is_ok());
    assert_eq!(words(&left.take_heard(1)), [7, 8, 9]);
}

#[test]
fn a_leg_that_is_deleted_counts_what_was_held_as_dropped() {
    let mut rig = ringing(setup(2));
    let _ = Talker::new(2).talk(&mut rig, 7);
    rig.tell(WorkerCommand::Delete { op: OpId(900), leg: LegId(2) });
    assert_eq!(rig.worker.info().drops.not_spliced, 1);
}

/// A customer whom the agent may hear from the first ringing on, and whose own ear opens with the answer.
fn heard_ringing(customer: LegSetup) -> Rig {
    let mut rig = ringing(customer);
    rig.gates(1, 2, true, false);
    rig.pass_ms(500);
    rig
}

fn audio_after_us(rig: &Rig, to: &str) -> Vec<u64> {
    let told = rig.events.iter().filter_map(|event| match event {
        EventBody::SpliceAudio(audio) if audio.to == to => Some(audio.after_us),
        _ => None,
    });
    told.collect()
}

#[test]
fn by_01_the_first_word_to_a_gate_that_was_open_for_ringing_is_not_lost() {
    let mut rig = heard_ringing(LegSetup { remote: None, ..setup(2) });
    let mut customer = Talker::new(2);
    let answered = rig.now;
    assert_eq!(customer.talk(&mut rig, 1), Err(Verdict::Drop(DropReason::Stranger)));
    rig.pass_ms(1);
    signalled(&mut rig, 2, &phone(2).to_string());
    rig.pass_ms(1);
    rig.splice_since(1, 2, answered);
    rig.drain();
    assert_eq!(words(&rig.take_heard(1)), [1]);
    let measured = [501_000, 1_000];
    assert_eq!(audio_after_us(&rig, "leg-1"), measured, "from the gate's opening, then from the answer");
    rig.splice_since(1, 2, answered + 1_000);
    assert!(customer.talk(&mut rig, 2).is_ok());
    assert_eq!(audio_after_us(&rig, "leg-1"), measured, "a request that is repeated measures nothing again");
}

#[test]
fn by_01_the_first_word_under_a_ringback_is_heard_when_that_stops_and_early_media_is_not() {
    let mut rig = heard_ringing(setup(2));
    let mut customer = Talker::new(2);
    rig.play(1, "ringback", vec![support::prompt(Codec::Pcmu, vec![200; 16_000])], 0);
    for word in 1..20 {
        assert_eq!(customer.talk(&mut rig, word), Err(Verdict::Drop(DropReason::Covered)));
        rig.pass_ms(20);
    }
    let answered = rig.now;
    assert_eq!(customer.talk(&mut rig, 100), Err(Verdict::Drop(DropReason::Covered)));
    rig.pass_ms(1);
    rig.splice_since(1, 2, answered);
    rig.done(|op| WorkerCommand::PlayStop { op, leg: LegId(1), play: None });
    rig.pass_ms(19);
    assert!(customer.talk(&mut rig, 101).is_ok());
    let heard: Vec<u8> = words(&rig.take_heard(1)).into_iter().filter(|word| *word != 200).collect();
    assert_eq!(heard, [100, 101]);
    assert_eq!(rig.info(2).counters.drops.covered, 19);
}
