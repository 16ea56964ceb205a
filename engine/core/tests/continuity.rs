//! One stream per leg, for ever.

mod support;

use offhook_engine_core::{DropReason, LegId, LegSetup, Segment, Time, Verdict, WorkerCommand};
use offhook_proto::{Codec, EventBody, Idle, Media, PlayEnd};
use support::{Rig, Sent, Talker, prompt, setup};

/// Checks that what a phone was sent is one stream: SSRC, sequence without a gap, timestamps that never run back and keep up
/// with the clock.
fn assert_unbroken(heard: &[Sent]) {
    let first = heard[0].header();
    for pair in heard.windows(2) {
        let (before, after) = (pair[0].header(), pair[1].header());
        let at = pair[1].at;
        assert_eq!(after.ssrc, first.ssrc);
        assert_eq!(after.sequence, before.sequence.wrapping_add(1), "at {at:?}");
        let moved = after.timestamp.wrapping_sub(before.timestamp);
        assert!(moved < 0x8000_0000, "timestamps ran back by {} at {at:?}", moved.wrapping_neg());
        let elapsed = (pair[1].at.since(pair[0].at) / 125) as u32;
        // A key's packets repeat the timestamp of its beginning, so it only moves on with the next one.
        let key = before.payload_type == 101;
        assert!(key || moved <= elapsed + 200, "{moved} in {elapsed} at {at:?}");
    }
    let last = heard[heard.len() - 1].header();
    let moved = last.timestamp.wrapping_sub(first.timestamp);
    let elapsed = heard[heard.len() - 1].at.since(heard[0].at) / 125;
    assert!(u64::from(moved) + 480 >= elapsed, "{moved} after {elapsed}");
}

#[test]
fn ten_thousand_splices_on_one_leg_are_one_stream() {
    let mut rig = Rig::with_legs(21);
    let mut talkers: Vec<Talker> = (2..=21).map(Talker::new).collect();
    let mut heard = Vec::new();
    for round in 0..10_000_usize {
        let talker = &mut talkers[round % 20];
        rig.splice(1, talker.leg);
        for packet in 0..3 {
            talker.talk(&mut rig, packet).expect("it is sent on");
            rig.pass_ms(20);
        }
        if round % 3 == 0 {
            rig.unsplice(1);
        }
        let now_heard = rig.take_heard(1);
        assert_eq!(now_heard.len(), 3);
        assert!(now_heard[0].header().marker, "each splice begins a talkspurt");
        assert!(!now_heard[1].header().marker);
        heard.extend(now_heard);
    }
    assert_unbroken(&heard);
    assert_eq!(heard[0].header().sequence, 65_000);
}

#[test]
fn tone_splice_prompt_idle_and_keys_are_one_stream() {
    let mut rig = Rig::new();
    for leg in 1..=2 {
        rig.create(LegSetup { idle: Idle::Silence, ..setup(leg) });
        rig.latch(leg);
    }
    let mut talker = Talker::new(2);
    let mut talk = |rig: &mut Rig, packets| {
        for _ in 0..packets {
            let _ = talker.talk(rig, 7);
            rig.pass_ms(20);
        }
    };
    rig.pass_ms(500);
    rig.play(1, "tone", vec![prompt(Codec::Pcmu, vec![1; 16_000])], 0);
    talk(&mut rig, 30);
    rig.splice(1, 2);
    talk(&mut rig, 30);
    rig.play(1, "prompt", vec![prompt(Codec::Pcmu, vec![2; 800]), Segment::Keys("1".into())], 1);
    talk(&mut rig, 60);
    rig.unsplice(1);
    rig.pass_ms(333);
    rig.splice(2, 1);
    talk(&mut rig, 30);
    assert_unbroken(&rig.take_heard(1));
}

#[test]
fn a_prompt_covers_the_partner_and_the_partner_comes_back_by_itself() {
    let mut rig = Rig::with_legs(2);
    rig.splice(1, 2);
    let mut talker = Talker::new(2);
    assert!(talker.talk(&mut rig, 9).is_ok());
    rig.play(1, "beep", vec![prompt(Codec::Pcmu, vec![5; 320])], 1);
    let mut covered = 0;
    while rig.events.iter().all(|event| !matches!(event, EventBody::PlayEnded { .. })) {
        rig.pass_ms(20);
        covered += u64::from(talker.talk(&mut rig, 9) == Err(Verdict::Drop(DropReason::Covered)));
    }
    assert!(talker.talk(&mut rig, 9).expect("it is back").header().marker || rig.sent.len() > 4);
    assert_eq!(rig.info(2).counters.drops.covered, covered);
    assert!(covered >= 2);
    let heard = rig.take_heard(1);
    let bytes: Vec<u8> = heard.iter().map(|sent| sent.bytes[12]).collect();
    assert!(bytes.starts_with(&[9, 5, 5, 9]), "{bytes:?}");
    assert_unbroken(&heard);
}

#[test]
fn each_end_of_a_play_is_told_once() {
    let mut rig = Rig::with_legs(1);
    let play = |rig: &mut Rig, name| rig.play(1, name, vec![prompt(Codec::Pcmu, vec![5; 320])], 1);
    play(&mut rig, "a");
    rig.pass_ms(100);
    play(&mut rig, "b");
    play(&mut rig, "c");
    rig.done(|op| WorkerCommand::PlayStop { op, leg: LegId(1), play: Some("b".into()) });
    rig.done(|op| WorkerCommand::PlayStop { op, leg: LegId(1), play: None });
    play(&mut rig, "d");
    rig.tell(WorkerCommand::Delete { op: offhook_engine_core::OpId(900), leg: LegId(1) });
    let ends: Vec<_> = rig
        .events
        .iter()
        .map(|event| match event {
            EventBody::PlayEnded { play, end, .. } => (play.as_str(), *end),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        ends,
        [
            ("a", PlayEnd::Finished),
            ("b", PlayEnd::Replaced),
            ("c", PlayEnd::Stopped),
            ("d", PlayEnd::LegDeleted)
        ]
    );
    assert_eq!(rig.worker.info().plays, 0);
}

#[test]
fn a_play_arrives_bit_by_bit_in_packets_of_the_legs_own_length() {
    for ptime_ms in [10, 20, 30, 40, 60] {
        let mut rig = Rig::new();
        let media = Media { ptime_ms, ..Media::default() };
        rig.create(LegSetup { media, ..setup(1) });
        rig.latch(1);
        let audio: Vec<u8> = (0..9_600_u32).map(|at| ((at * 31) >> 3) as u8).collect();
        rig.play(1, "p", vec![prompt(Codec::Pcmu, audio.clone())], 1);
        rig.pass_ms(2_000);
        let heard = rig.take_heard(1);
        assert!(heard.iter().all(|sent| sent.bytes.len() == 12 + 8 * usize::from(ptime_ms)));
        let all: Vec<u8> = heard.iter().flat_map(|sent| &sent.bytes[12..]).copied().collect();
        assert_eq!(all, audio, "ptime {ptime_ms}");
        let step = u32::from(ptime_ms) * 8;
        let even =
            heard.windows(2).all(|p| p[1].header().timestamp.wrapping_sub(p[0].header().timestamp) == step);
        assert!(even, "timestamps go by {step}");
        assert_unbroken(&heard);
    }
}

#[test]
fn a_thousand_plays_start_within_a_packet_time_and_do_not_burst() {
    let mut rig = Rig::with_legs(1_000);
    rig.pass_ms(1_003);
    rig.sent.clear();
    for leg in 1..=1_000 {
        rig.play(leg, "p", vec![prompt(Codec::Pcmu, vec![5; 80_000])], 1);
    }
    let start = rig.now;
    rig.pass_ms(20);
    assert!(rig.sent.len() >= 980, "everyone has started, but for those at the edge");
    let mut per_ms = [0; 21];
    for sent in &rig.sent {
        per_ms[(sent.at.since(start) / 1_000) as usize] += 1;
    }
    assert!(per_ms.iter().all(|packets| *packets <= 75), "{per_ms:?}");
}

#[test]
fn a_worker_that_was_held_up_does_not_catch_up_in_a_burst() {
    let mut rig = Rig::with_legs(1);
    rig.play(1, "p", vec![prompt(Codec::Pcmu, (0..=255).cycle().take(16_000).collect())], 1);
    rig.pass_ms(100);
    let before = rig.take_heard(1);
    rig.now = rig.now + 500_000;
    rig.worker.handle_timeout(rig.now);
    rig.drain();
    assert_eq!(rig.sent.len(), 1);
    rig.pass_ms(100);
    let after = rig.take_heard(1);
    assert!(after.len() <= 6);
    let all: Vec<u8> = before.iter().chain(&after).flat_map(|sent| &sent.bytes[12..]).copied().collect();
    assert!(all.iter().enumerate().all(|(at, &byte)| usize::from(byte) == at % 256), "nothing was skipped");
}

#[test]
fn keys_are_sent_as_events_of_one_timestamp_each() {
    let mut rig = Rig::with_legs(1);
    rig.play(1, "k", vec![Segment::Keys("12".into()), Segment::SilenceMs(100)], 1);
    rig.pass_ms(1_000);
    let heard = rig.take_heard(1);
    assert_eq!(heard.len(), 19);
    for (key, packets) in heard[..14].chunks(7).enumerate() {
        let first = packets[0].header();
        assert_eq!((packets[0].bytes[12] as usize, first.payload_type, first.marker), (key + 1, 101, true));
        assert!(packets.iter().all(|sent| sent.header().timestamp == first.timestamp));
        assert!(packets[1..].iter().all(|sent| !sent.header().marker));
        let ends = packets.iter().filter(|sent| sent.bytes[13] & 0x80 != 0).count();
        assert_eq!(ends, 3);
    }
    let gap = heard[7].header().timestamp.wrapping_sub(heard[0].header().timestamp);
    assert_eq!(gap, 1_600, "the second key begins 200 ms after the first");
    assert_unbroken(&heard);
}

#[test]
fn idle_sending_is_what_was_asked_for() {
    let idle = |idle, comfort_noise| {
        let mut rig = Rig::new();
        let media = Media { comfort_noise, ..Media::default() };
        rig.create(LegSetup { idle, media, ..setup(1) });
        rig.latch(1);
        rig.pass_ms(3_050);
        rig.take_heard(1)
    };
    assert!(idle(Idle::None, Some(13)).is_empty());
    let silence = idle(Idle::Silence, Some(13));
    assert!((151..=153).contains(&silence.len()));
    assert!(silence.iter().all(|sent| sent.bytes[12..] == [0xFF; 160]));
    assert_unbroken(&silence);
    let noise = idle(Idle::ComfortNoise { interval_ms: 1_000 }, Some(13));
    let shape = |sent: &Sent| (sent.header().payload_type, sent.header().marker, sent.bytes.len());
    assert_eq!(noise.iter().map(shape).collect::<Vec<_>>(), [(13, false, 13); 3]);
    assert_unbroken(&noise);
    let instead = idle(Idle::ComfortNoise { interval_ms: 1_000 }, None);
    assert_eq!(instead.iter().map(|sent| sent.bytes.len()).collect::<Vec<_>>(), [172; 3]);
    let keepalive = idle(Idle::Keepalive { interval_ms: 1_000 }, Some(13));
    assert_eq!(keepalive.iter().map(|sent| sent.bytes.len()).collect::<Vec<_>>(), [0; 3]);
}

#[test]
fn idle_sending_stops_while_somebody_is_heard() {
    let mut rig = Rig::new();
    for leg in 1..=2 {
        rig.create(LegSetup { idle: Idle::Silence, ..setup(leg) });
        rig.latch(leg);
    }
    rig.pass_ms(100);
    assert!((4..=5).contains(&rig.take_heard(1).len()));
    rig.gates(1, 2, true, false);
    rig.sent.clear();
    rig.pass_ms(100);
    assert!(rig.take_heard(1).is_empty());
    assert!((4..=5).contains(&rig.take_heard(2).len()), "a leg whose gate is shut hears nobody");
    rig.unsplice(2);
    rig.pass_ms(100);
    assert!((4..=5).contains(&rig.take_heard(1).len()));
}

#[test]
fn nothing_is_sent_to_nobody_but_plays_go_on() {
    let mut rig = Rig::new();
    rig.create(LegSetup { remote: None, idle: Idle::Silence, ..setup(1) });
    rig.play(1, "p", vec![prompt(Codec::Pcmu, vec![5; 800])], 1);
    rig.pass_ms(10_000);
    assert!(rig.sent.is_empty());
    assert!(matches!(rig.events[..], [EventBody::PlayEnded { end: PlayEnd::Finished, .. }]));
    assert!(rig.now > Time(0));
}

#[test]
fn a_tick_that_comes_too_late_leaves_a_hole_that_begins_a_talkspurt() {
    let mut rig = Rig::with_legs(1);
    rig.play(1, "tone", vec![prompt(Codec::Pcmu, vec![5; 16_000])], 1);
    rig.pass_ms(100);
    rig.now = rig.now + 90_000;
    rig.drain();
    rig.pass_ms(100);
    let heard = rig.take_heard(1);
    assert_unbroken(&heard);
    for pair in heard.windows(2) {
        let (before, after) = (pair[0].header(), pair[1].header());
        let hole = after.timestamp.wrapping_sub(before.timestamp) != 160;
        assert_eq!(after.marker, hole, "the marker stands where the hole ends, and nowhere else");
    }
    assert!(heard.iter().skip(1).any(|sent| sent.header().marker), "there was a hole");
}
