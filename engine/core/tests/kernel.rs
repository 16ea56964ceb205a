//! Directions that the kernel forwards: which are handed over, and when they are taken back.

mod support;

use offhook_engine_core::kernel::Patience;
use offhook_engine_core::{
    Disarmed, DropReason, Extent, LegId, LegSetup, OpId, RecordChange, RecordId, Time, Verdict,
    WorkerCommand, WorkerReport,
};
use offhook_proto::{
    AmdParameters, Codec, DetectStart, DetectWhat, DtmfMode, EventBody, LatchMode, Media, SuperviseMode,
    ToneParameters,
};
use support::handed_over::{begin, call, in_kernel, join, rig, rig_of, talk};
use support::kernel::{EAGER, KernelModel};
use support::secure::{SUITE, keys};
use support::speaker::media;
use support::{Rig, Talker, address, assert_one_stream, phone, prompt, rtp, setup};

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
    let detect = || DetectStart {
        leg: String::new(),
        what: vec![DetectWhat::Tones],
        amd: AmdParameters::default(),
        tones: ToneParameters::default(),
    };
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
            extent: Extent::times(1),
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
        let start = DetectStart {
            leg: String::new(),
            what,
            amd: AmdParameters::default(),
            tones: ToneParameters::default(),
        };
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
