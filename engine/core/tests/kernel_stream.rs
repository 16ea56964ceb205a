//! What is heard through the kernel and back is one stream, and what is told of it is whole.

mod support;

use offhook_engine_core::kernel::Patience;
use offhook_engine_core::{DropReason, LegId, LegSetup, Verdict, WorkerCommand};
use offhook_proto::{Codec, DtmfMode, EventBody, LegUpdate, Media};
use support::handed_over::{begin, call, event, in_kernel, join, rig_of, talk};
use support::kernel::EAGER;
use support::secure::update;
use support::world::Dice;
use support::{Rtp, assert_one_stream, prompt, setup};

#[test]
fn one_stream_goes_on_through_the_kernel_and_back_and_through_other_splices() {
    let (mut rig, mut talkers) = call();
    for round in 0..50 {
        talk(&mut rig, &mut talkers, 30 + round);
        match round % 5 {
            0 => rig.splice(1, 3),
            1 => rig.play(2, "p", vec![prompt(Codec::Pcmu, vec![3; 1_600])], 1),
            2 => rig.unsplice(1),
            3 => rig.gates(1, 2, true, false),
            _ => update(&mut rig, 1, LegUpdate { silent_after_ms: Some(900), ..LegUpdate::default() }),
        }
        talk(&mut rig, &mut talkers, 3);
        rig.splice(1, 2);
    }
    for leg in [1, 2] {
        assert_one_stream(&rig.take_heard(leg));
    }
    let (installed, taken) = rig.kernel.as_ref().expect("it has one").figures();
    assert!(installed > 30 && taken > 500, "{installed} rules, {taken} packets");
}

#[test]
fn keys_among_audio_are_passed_on_and_told_and_leave_the_stream_one_and_in_the_kernel() {
    let (mut rig, mut talkers) = call();
    rig.events.clear();
    rig.take_heard(2);
    for _ in 0..20 {
        let began = talkers[0].timestamp;
        for step in 0..6 {
            let packet = event(&mut talkers[0], began, step > 3);
            rig.receive(1, &packet).expect("it is passed on");
            let _ = talkers[0].talk(&mut rig, 7);
            rig.pass_ms(20);
        }
        talk(&mut rig, &mut talkers, 30);
        assert!(in_kernel(&rig, 1), "a key that is passed on changes nothing");
    }
    let heard = rig.take_heard(2);
    assert_eq!(heard.len(), 20 * 42);
    for pair in heard.windows(2) {
        assert_eq!(pair[1].header().sequence, pair[0].header().sequence.wrapping_add(1));
    }
    let told = rig.events.iter().filter(|event| matches!(event, EventBody::Dtmf { digit: '5', .. })).count();
    assert_eq!(told, 20);
    assert_eq!(rig.kernel.as_ref().map(|kernel| kernel.figures().0), Some(2), "the first rules still stand");
}

#[test]
fn a_key_that_the_partner_does_not_take_leaves_no_gap_among_what_the_kernel_forwards() {
    let deaf = Media { telephone_event: None, ..Media::default() };
    for dtmf in [DtmfMode::Pass, DtmfMode::Convert] {
        let legs = [LegSetup { dtmf, ..setup(1) }, LegSetup { media: deaf.clone(), ..setup(2) }];
        let (mut rig, mut talkers) = join(rig_of(legs, Patience::default()));
        talk(&mut rig, &mut talkers, 60);
        assert!(in_kernel(&rig, 1));
        let began = talkers[0].timestamp;
        for step in 0..8 {
            let packet = event(&mut talkers[0], began, step > 4);
            let _ = rig.receive(1, &packet);
            rig.pass_ms(20);
        }
        assert!(!in_kernel(&rig, 1), "{dtmf:?}: the numbers have shifted");
        talk(&mut rig, &mut talkers, 300);
        assert!(in_kernel(&rig, 1), "{dtmf:?}");
        assert_one_stream(&rig.take_heard(2));
        let told = rig.events.iter().filter(|event| matches!(event, EventBody::Dtmf { .. })).count();
        assert_eq!(told, 1, "{dtmf:?}");
    }
}

#[test]
fn a_key_that_is_given_up_while_the_kernel_forwards_leaves_the_stream_one() {
    let deaf = Media { telephone_event: None, ..Media::default() };
    let legs = [LegSetup { dtmf: DtmfMode::Convert, ..setup(1) }, LegSetup { media: deaf, ..setup(2) }];
    let (mut rig, mut talkers) = join(rig_of(legs, EAGER));
    talk(&mut rig, &mut talkers, 5);
    let packet = event(&mut talkers[0], 77, false);
    let _ = rig.receive(1, &packet);
    // The tone that it has begun goes with what covers it, and nothing is special any more.
    rig.play(2, "p", vec![prompt(Codec::Pcmu, vec![1; 800])], 1);
    rig.done(|op| WorkerCommand::PlayStop { op, leg: LegId(2), play: None });
    talk(&mut rig, &mut talkers, 4);
    assert!(in_kernel(&rig, 1));
    talk(&mut rig, &mut talkers, 50);
    assert!(rig.events.iter().any(|event| matches!(event, EventBody::Dtmf { .. })), "its end was not heard");
    assert_one_stream(&rig.take_heard(2));
}

#[test]
fn a_late_packet_is_sent_on_if_there_is_a_number_for_it_and_never_otherwise() {
    let (mut rig, mut talkers) = join(rig_of([setup(1), setup(2)], EAGER));
    let early = talkers[0].packet(1);
    let from_before = talkers[0].packet(1);
    rig.splice(1, 2);
    rig.unsplice(1);
    rig.splice(1, 2);
    talk(&mut rig, &mut talkers, 4);
    assert!(in_kernel(&rig, 1));
    assert_eq!(
        rig.receive(1, &from_before),
        Err(Verdict::Drop(DropReason::Late)),
        "somebody else heard that"
    );
    assert!(!in_kernel(&rig, 1) || rig.receive(1, &early).is_err());
    let late = talkers[0].packet(2);
    talk(&mut rig, &mut talkers, 30);
    assert!(in_kernel(&rig, 1));
    update(&mut rig, 2, LegUpdate::default());
    assert!(!in_kernel(&rig, 1));
    let sent = rig.receive(1, &late).expect("its number is free");
    let last = rig.take_heard(2).into_iter().rev().nth(1).expect("others were sent").header();
    assert_eq!(last.sequence.wrapping_sub(sent.header().sequence), 30);
}

#[test]
fn packets_that_waited_in_the_socket_take_their_own_numbers_behind_those_that_went_by() {
    let (mut rig, mut talkers) = begin(2);
    talk(&mut rig, &mut talkers, 50);
    rig.take_heard(2);
    // Three wait while the worker hands over; later ones go by the kernel.
    for _ in 0..3 {
        let packet = talkers[0].packet(8);
        rig.arrive(1, &packet);
    }
    rig.pass_ms(20);
    assert!(in_kernel(&rig, 1));
    for _ in 0..2 {
        let packet = talkers[0].packet(9);
        rig.arrive(1, &packet);
    }
    rig.read_waiting();
    assert!(in_kernel(&rig, 1), "they are numbered by the rule's own shifts");
    talk(&mut rig, &mut talkers, 5);
    let heard = rig.take_heard(2);
    let first = heard.iter().map(|sent| sent.header().sequence).min_by_key(|it| it.wrapping_add(600));
    let steps = |sent: &support::Sent| sent.header().sequence.wrapping_sub(first.unwrap_or(0));
    assert_eq!(heard.iter().map(steps).collect::<Vec<_>>(), [3, 4, 0, 1, 2, 5, 6, 7, 8, 9]);
    assert_eq!(heard.iter().map(|sent| sent.bytes[12]).collect::<Vec<_>>()[..5], [9, 9, 8, 8, 8]);
    rig.unsplice(1);
    let info = rig.info(1).counters;
    assert_eq!((info.packets_lost, info.packets_received), (0, 71));
    assert_eq!(info.drops.late, 0);
}

#[test]
fn whatever_waits_in_sockets_while_rules_come_and_go_is_sent_once_under_its_own_number() {
    let (mut waited, mut taken) = (0, 0);
    for seed in 1..=300_u64 {
        let patience = if seed.is_multiple_of(2) { EAGER } else { Patience::default() };
        let (mut rig, mut talkers) = join(rig_of([setup(1), setup(2)], patience));
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let first = talkers[0].sequence;
        let packets = 400;
        for _ in 0..packets {
            for talker in &mut talkers {
                let number = talker.sequence.wrapping_sub(first);
                let mut packet = talker.packet(0);
                packet[12..14].copy_from_slice(&number.to_be_bytes());
                rig.arrive(talker.leg, &packet);
                waited += usize::from(rig.waits());
            }
            rig.pass_ms(20);
            if dice.below(4) > 0 {
                rig.read_waiting();
            }
            if dice.below(60) == 0 {
                update(&mut rig, 1 + seed % 2, LegUpdate::default());
            }
        }
        rig.read_waiting();
        let mut heard: Vec<(u16, u16)> = rig
            .take_heard(2)
            .iter()
            .map(|sent| (sent.header().sequence, u16::from_be_bytes([sent.bytes[12], sent.bytes[13]])))
            .collect();
        let shift = heard[0].0.wrapping_sub(heard[0].1);
        heard.sort_by_key(|(_, number)| *number);
        let whole: Vec<_> = (0..packets).map(|number| (shift.wrapping_add(number), number)).collect();
        assert_eq!(heard, whole, "seed {seed}");
        let counters = rig.info(1).counters;
        assert_eq!((counters.packets_lost, counters.drops.late), (0, 0), "seed {seed}");
        assert_eq!(counters.packets_forwarded, u64::from(packets), "seed {seed}");
        taken += rig.kernel.as_ref().map_or(0, |kernel| kernel.figures().1);
    }
    assert!(waited > 10_000 && taken > 50_000, "{waited} packets waited, {taken} went by the kernel");
}

#[test]
fn figures_are_whole_at_every_moment() {
    let (mut rig, mut talkers) = call();
    for _ in 0..200 {
        talk(&mut rig, &mut talkers, 1);
        let figures = rig.worker.info();
        assert_eq!(
            figures.packets_received,
            figures.packets_forwarded + 24,
            "but for those before the splice"
        );
        let (one, two) = (rig.info(1), rig.info(2));
        assert_eq!(
            one.counters.packets_received + two.counters.packets_received + 2,
            figures.packets_received
        );
        assert_eq!(one.counters.packets_sent, two.counters.packets_forwarded);
        assert_eq!(one.last_packet_ms, Some(20));
    }
    assert!(in_kernel(&rig, 1) && in_kernel(&rig, 2));
}

#[test]
fn what_is_read_of_a_rule_at_work_may_be_behind_and_nothing_comes_of_it() {
    let lagging = call();
    lagging.0.kernel.as_ref().expect("it has one").lag();
    let [one, other] = [lagging, call()].map(|(mut rig, mut talkers)| {
        for round in 0..400 {
            talk(&mut rig, &mut talkers, 1);
            let counters = rig.info(1).counters;
            assert!((-1..=0).contains(&counters.packets_lost), "{}", counters.packets_lost);
            if round % 40 == 39 {
                assert!(in_kernel(&rig, 1));
                rig.play(2, "p", vec![prompt(Codec::Pcmu, vec![1; 160])], 1);
                let counters = rig.info(1).counters;
                assert_eq!(counters.packets_lost, 0, "a recall is exact");
                talk(&mut rig, &mut talkers, 60);
            }
        }
        let heard = rig.take_heard(2);
        assert_one_stream(&heard);
        update(&mut rig, 1, LegUpdate::default());
        (heard, rig.info(1), rig.info(2), rig.events)
    });
    assert_eq!(one.0, other.0);
    assert_eq!((one.1, one.2, one.3), (other.1, other.2, other.3));
}

#[test]
fn ten_hours_in_the_kernel_are_one_stream_with_nothing_lost() {
    let (mut rig, mut talkers) = call();
    let mut last = rig.take_heard(2).pop().map(|sent| sent.header());
    for _ in 0..1_800_000_u32 {
        let sent = talkers[0].talk(&mut rig, 7).expect("it is sent on").header();
        let before: Rtp = last.replace(sent).expect("there was one");
        assert_eq!(sent.sequence, before.sequence.wrapping_add(1));
        assert_eq!(sent.timestamp, before.timestamp.wrapping_add(160));
        rig.pass_ms(20);
        rig.sent.clear();
        rig.events.clear();
    }
    assert_eq!(rig.kernel.as_ref().map(|kernel| kernel.figures().0), Some(2));
    rig.unsplice(1);
    assert_eq!(rig.info(1).counters.packets_lost, 0);
    assert_eq!(rig.info(1).counters.packets_received, 1_800_071);
}
