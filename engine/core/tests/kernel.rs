//! Directions that the kernel forwards: which are handed over, when they are taken back, and that nobody can tell.

mod support;

use offhook_engine_core::kernel::Patience;
use offhook_engine_core::{
    Disarmed, DropReason, LegId, LegSetup, OpId, RecordChange, RecordId, Time, Verdict, WorkerCommand,
    WorkerReport,
};
use offhook_proto::{
    AmdParameters, Codec, DetectStart, DetectWhat, DtmfMode, EventBody, LatchMode, LegUpdate, Media,
    SuperviseMode,
};
use support::kernel::{EAGER, KernelModel};
use support::secure::{SUITE, keys, update};
use support::speaker::media;
use support::world::Dice;
use support::{Rig, Rtp, Talker, address, assert_one_stream, phone, prompt, rtp, setup};

/// Legs 1 to `count`, latched, whose worker hands over with the usual patience.
fn rig(count: u64) -> Rig {
    rig_of((1..=count).map(setup), Patience::default())
}

fn rig_of(legs: impl IntoIterator<Item = LegSetup>, patience: Patience) -> Rig {
    let mut rig = Rig::plain(0).with_kernel(patience);
    for setup in legs {
        let leg = setup.id.0;
        rig.create(setup);
        rig.latch(leg);
    }
    rig
}

fn in_kernel(rig: &Rig, leg: u64) -> bool {
    rig.worker.is_in_kernel(rig.ix(leg))
}

/// Lets phones talk for so many packets of 20 ms.
fn talk(rig: &mut Rig, talkers: &mut [Talker], packets: u32) {
    for _ in 0..packets {
        for talker in &mut *talkers {
            let _ = talker.talk(rig, 7);
        }
        rig.pass_ms(20);
    }
}

/// Legs whose phones talk, of which the first two have just been spliced.
fn begin(count: u64) -> (Rig, [Talker; 2]) {
    join(rig(count))
}

fn join(mut rig: Rig) -> (Rig, [Talker; 2]) {
    let mut talkers = [Talker::new(1), Talker::new(2)];
    talk(&mut rig, &mut talkers, 10);
    rig.splice(1, 2);
    (rig, talkers)
}

/// Two legs whose phones have talked until the kernel forwards both.
fn call() -> (Rig, [Talker; 2]) {
    let (mut rig, mut talkers) = begin(4);
    talk(&mut rig, &mut talkers, 60);
    assert!(in_kernel(&rig, 1) && in_kernel(&rig, 2));
    (rig, talkers)
}

/// A telephone-event of a phone.
fn event(talker: &mut Talker, began: u32, end: bool) -> Vec<u8> {
    let packet = rtp(101, talker.sequence, began, talker.ssrc, &[5, u8::from(end) << 7 | 10, 0, 160]);
    talker.sequence = talker.sequence.wrapping_add(1);
    packet
}

#[test]
fn a_plain_direction_is_handed_over_when_it_has_run_for_a_second() {
    let (mut rig, mut talkers) = begin(2);
    talk(&mut rig, &mut talkers, 50);
    assert!(!in_kernel(&rig, 1) && !in_kernel(&rig, 2));
    talk(&mut rig, &mut talkers, 2);
    assert!(in_kernel(&rig, 1) && in_kernel(&rig, 2));
    rig.gates(1, 2, true, false);
    talk(&mut rig, &mut talkers, 60);
    assert!(!in_kernel(&rig, 1) && in_kernel(&rig, 2), "a closed gate stays with the worker");
}

#[test]
fn every_command_takes_back_what_it_could_change_before_it_is_executed() {
    let op = OpId(0);
    let (a, b, c, leg) = (LegId(1), LegId(2), LegId(3), LegId(1));
    let splice = |a, b| WorkerCommand::Splice {
        op,
        a,
        b,
        a_hears_b: true,
        b_hears_a: true,
        replace: true,
        since: Time::from_ms(1_000),
        replay: false,
    };
    let detect =
        || DetectStart { leg: String::new(), what: vec![DetectWhat::Tones], amd: AmdParameters::default() };
    let commands: Vec<WorkerCommand> = vec![
        splice(a, b),
        splice(a, c),
        splice(c, b),
        WorkerCommand::Unsplice { op, leg, park: vec![a, b] },
        WorkerCommand::Unsplice { op, leg: b, park: Vec::new() },
        WorkerCommand::Park { op, leg, keep_one_in: 32 },
        WorkerCommand::Unpark { op, leg },
        WorkerCommand::Update { op, leg, change: Box::default() },
        WorkerCommand::Supervise { op, leg: c, of: a, with: None, mode: SuperviseMode::Listen },
        WorkerCommand::SuperviseStop { op, leg },
        WorkerCommand::Listen { op, leg: c, of: b },
        WorkerCommand::ListenStop { op, leg },
        WorkerCommand::Play {
            op,
            leg: b,
            play: "p".into(),
            segments: vec![prompt(Codec::Pcmu, vec![1; 800])],
            times: 1,
        },
        WorkerCommand::PlayStop { op, leg, play: None },
        WorkerCommand::Record { op, leg, change: RecordChange::Start(RecordId(1)) },
        WorkerCommand::Detect { op, leg: b, start: Some(Box::new(detect())) },
        WorkerCommand::Detach { op, leg, replace: true },
        WorkerCommand::Delete { op, leg: b },
    ];
    for command in commands {
        let (mut rig, _) = call();
        let told = format!("{command:?}");
        rig.tell(command);
        let rules = rig.kernel.as_ref().map(KernelModel::rules);
        assert_eq!(rules, Some(0), "{told}");
    }
    let (mut rig, _) = call();
    rig.info(1);
    assert!(in_kernel(&rig, 1) && in_kernel(&rig, 2), "who only asks changes nothing");
}

#[test]
fn what_is_special_stays_with_the_worker() {
    let stays = |legs: [LegSetup; 2], special: &str, prepare: &dyn Fn(&mut Rig)| {
        let types = legs.each_ref().map(|leg| leg.media.payload_type);
        let mut rig = rig_of(legs, Patience::default());
        rig.create(setup(3));
        rig.splice(1, 2);
        prepare(&mut rig);
        let mut talkers =
            [1, 2].map(|leg| Talker { payload_type: types[leg as usize - 1], ..Talker::new(leg) });
        for _ in 0..300 {
            for talker in &mut talkers {
                let _ = talker.talk(&mut rig, 7);
            }
            rig.pass_ms(20);
            assert!(!in_kernel(&rig, 1), "{special}");
        }
    };
    let plain = || [setup(1), setup(2)];
    let of = |leg: u64, media: Media| LegSetup { media, ..setup(leg) };
    stays([setup(1), of(2, media(Codec::Pcma))], "another law", &|_| {});
    stays([setup(1), of(2, media(Codec::G722))], "another codec", &|_| {});
    stays([LegSetup { srtp: keys(SUITE, 1), ..setup(1) }, setup(2)], "encrypted in", &|_| {});
    stays([setup(1), LegSetup { srtp: keys(SUITE, 1), ..setup(2) }], "encrypted out", &|_| {});
    stays([LegSetup { dtmf: DtmfMode::Block, ..setup(1) }, setup(2)], "keys are taken out", &|_| {});
    let odd = || Media { payload_type: 72, ..Media::default() };
    stays([of(1, odd()), of(2, odd())], "a payload type that looks like RTCP", &|_| {});
    stays(plain(), "a closed gate", &|rig| rig.gates(1, 2, true, false));
    for leg in [1, 2] {
        let leg = LegId(leg);
        stays(plain(), "recorded", &|rig| {
            rig.done(|op| WorkerCommand::Record { op, leg, change: RecordChange::Start(RecordId(1)) });
        });
    }
    stays(plain(), "listened to", &|rig| {
        rig.done(|op| WorkerCommand::Listen { op, leg: LegId(3), of: LegId(1) });
    });
    stays(plain(), "supervised", &|rig| {
        rig.done(|op| WorkerCommand::Supervise {
            op,
            leg: LegId(3),
            of: LegId(2),
            with: None,
            mode: SuperviseMode::Listen,
        });
    });
    stays(plain(), "covered by a prompt", &|rig| {
        rig.play(2, "music", vec![prompt(Codec::Pcmu, vec![1; 8_000])], 0);
    });
    stays(plain(), "detected on", &|rig| {
        let what = vec![DetectWhat::Tones];
        let start = DetectStart { leg: String::new(), what, amd: AmdParameters::default() };
        rig.done(|op| WorkerCommand::Detect { op, leg: LegId(1), start: Some(Box::new(start)) });
    });
}

#[test]
fn what_was_special_is_handed_over_when_it_is_over() {
    let (mut rig, mut talkers) = begin(3);
    rig.play(2, "beep", vec![prompt(Codec::Pcmu, vec![1; 16_000])], 1);
    talk(&mut rig, &mut talkers, 90);
    assert!(!in_kernel(&rig, 1) && in_kernel(&rig, 2), "only what leg 2 hears is covered");
    talk(&mut rig, &mut talkers, 120);
    assert!(in_kernel(&rig, 1), "nobody tells it of the end of a prompt");
    let part = WorkerCommand::Supervise {
        op: OpId(0),
        leg: LegId(3),
        of: LegId(1),
        with: None,
        mode: SuperviseMode::Barge,
    };
    rig.tell(part);
    talk(&mut rig, &mut talkers, 100);
    assert!(!in_kernel(&rig, 1) && !in_kernel(&rig, 2));
    rig.tell(WorkerCommand::SuperviseStop { op: OpId(0), leg: LegId(3) });
    talk(&mut rig, &mut talkers, 120);
    assert!(in_kernel(&rig, 1) && in_kernel(&rig, 2));
}

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
fn a_source_that_starts_again_is_taken_back_and_goes_on_as_one_stream() {
    let restarts: [fn(&mut Talker); 4] = [
        |talker| talker.ssrc ^= 1,
        |talker| talker.sequence = talker.sequence.wrapping_add(20_000),
        |talker| talker.sequence = talker.sequence.wrapping_sub(500),
        |talker| talker.timestamp = talker.timestamp.wrapping_add(0x4000_0000),
    ];
    for (case, restart) in restarts.into_iter().enumerate() {
        let (mut rig, mut talkers) = call();
        restart(&mut talkers[0]);
        // The first packet after a jump backwards is not believed yet.
        let _ = talkers[0].talk(&mut rig, 1);
        assert!(!in_kernel(&rig, 1) && in_kernel(&rig, 2), "restart {case}");
        talk(&mut rig, &mut talkers, 250);
        assert!(in_kernel(&rig, 1), "restart {case}");
        let heard = rig.take_heard(2);
        assert_one_stream(&heard);
        for pair in heard.windows(2) {
            let moved = pair[1].header().timestamp.wrapping_sub(pair[0].header().timestamp);
            assert!(moved <= 480, "restart {case}: {moved}");
        }
    }
}

#[test]
fn nothing_but_the_peers_own_audio_takes_anything_back() {
    let mut legs = [setup(1), setup(2)];
    legs[0].rtcp_mux = true;
    let (mut rig, mut talkers) = join(rig_of(legs, Patience::default()));
    talk(&mut rig, &mut talkers, 60);
    let audio = rtp(0, 7, 7, 9, &[1; 160]);
    for source in [phone(2), address("10.0.0.2:4002"), address("203.0.113.9:9")] {
        assert_eq!(rig.receive_from(1, source, &audio), Err(Verdict::Drop(DropReason::Stranger)));
    }
    let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
    for noise in
        [&[][..], &[0x80], &[0x40; 40], &report, &rtp(77, talkers[0].sequence, 0, talkers[0].ssrc, &[])]
    {
        let _ = rig.receive(1, noise);
        assert!(in_kernel(&rig, 1), "{noise:?}");
    }
    assert_eq!(rig.info(1).counters.drops.stranger, 3);
}

#[test]
fn a_sender_whose_packets_the_kernel_never_takes_is_tried_less_and_less_often() {
    let (mut rig, mut talkers) = (rig(2), [Talker::new(1), Talker::new(2)]);
    rig.splice(1, 2);
    let mut sent_on = 0;
    for _ in 0..9_000 {
        let mut packet = talkers[0].packet(1);
        packet[0] |= 0x10;
        packet.splice(12..12, [0xBE, 0xDE, 0, 1, 1, 2, 3, 4]);
        sent_on += u32::from(rig.receive(1, &packet).is_ok());
        rig.pass_ms(20);
    }
    let (installed, taken) = rig.kernel.as_ref().expect("it has one").figures();
    assert_eq!((sent_on, taken), (9_000, 0));
    assert!((3..=10).contains(&installed), "{installed} rules in three minutes");
    assert_one_stream(&rig.take_heard(2));
}

#[test]
fn a_rule_that_is_refused_is_not_asked_for_again_until_something_changes() {
    let (mut rig, mut talkers) = (rig(2), [Talker::new(1), Talker::new(2)]);
    rig.kernel.as_ref().expect("it has one").refuse();
    rig.splice(1, 2);
    talk(&mut rig, &mut talkers, 500);
    assert!(!in_kernel(&rig, 1) && !in_kernel(&rig, 2));
    assert_one_stream(&rig.take_heard(2));
    let before = rig.worker.poll_timeout();
    assert!(before.is_some_and(|due| due > rig.now.plus_ms(20)), "only reports are due: {before:?}");
}

#[test]
fn by_02_a_leg_that_falls_silent_in_the_kernel_is_told_in_time_and_alive_with_its_next_packet() {
    let legs = [1, 2].map(|leg| LegSetup { silent_after_ms: 500, ..setup(leg) });
    let (mut rig, mut talkers) = join(rig_of(legs, Patience::default()));
    talk(&mut rig, &mut talkers, 3_000);
    let silent = |rig: &Rig| rig.events.iter().any(|event| matches!(event, EventBody::LegSilent { .. }));
    assert!(!silent(&rig), "what goes by the kernel is life");
    let last = rig.now - 20_000;
    rig.events.clear();
    while !silent(&rig) {
        let _ = talkers[1].talk(&mut rig, 7);
        rig.pass_ms(20);
    }
    assert!(rig.now.since(last) <= 540_000, "it took {} µs", rig.now.since(last));
    assert_eq!(rig.info(1).last_packet_ms, Some(rig.now.since(last) / 1_000));
    assert!(in_kernel(&rig, 2), "the other one still talks");
    rig.events.clear();
    let _ = talkers[0].talk(&mut rig, 7);
    assert_eq!(rig.events, [EventBody::LegAlive { leg: "leg-1".into() }]);
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

#[test]
fn a_leg_that_moves_to_another_worker_takes_along_what_the_kernel_did_for_it() {
    let (mut rig, mut talkers) = call();
    talk(&mut rig, &mut talkers, 20);
    rig.unsplice(1);
    let before = rig.info(1);
    rig.tell(WorkerCommand::Detach { op: OpId(0), leg: LegId(1), replace: false });
    let Some(Disarmed::Moved(WorkerReport::Detached { leg, .. })) = rig.disarmed.pop() else {
        panic!("it leaves")
    };
    let mut other = Rig::plain(1).with_kernel(EAGER);
    other.now = rig.now;
    other.create(LegSetup { latch: LatchMode::Signalled, ..setup(2) });
    other.latch(2);
    other.tell(WorkerCommand::Adopt { leg });
    other.splice(1, 2);
    let after = other.info(1);
    assert_eq!(before.counters.packets_sent, after.counters.packets_sent);
    assert_eq!(before.counters.packets_received, after.counters.packets_received);
    talkers[1].sequence = 9;
    talk(&mut other, &mut talkers, 20);
    assert!(in_kernel(&other, 1) && in_kernel(&other, 2), "and is handed over there");
    let heard = [rig.take_heard_by(before.ssrc), other.take_heard_by(before.ssrc)].concat();
    assert_one_stream(&heard);
}
