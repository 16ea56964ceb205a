//! Keys, RTCP, silence, parking and moves: what a leg tells.

mod support;

use offhook_engine_core::limits::{PEER_EVENTS_AT_ONCE, PEER_EVENTS_PER_S};
use offhook_engine_core::{
    Disarmed, DropReason, LegId, LegSetup, OpId, Socket, Verdict, WorkerCommand, WorkerReport,
};
use offhook_proto::{Codec, EventBody, Idle, LegState, LegUpdate, Media};
use support::{Rig, Talker, address, phone, prompt, rtp, setup};

/// A word of an RTCP packet.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn rtcp_sent(rig: &Rig) -> Vec<Vec<u8>> {
    rig.sent.iter().filter(|sent| sent.socket == Socket::Rtcp).map(|sent| sent.bytes.clone()).collect()
}

#[test]
fn keys_are_reported_once_and_passed_on() {
    let mut rig = Rig::with_legs(2);
    rig.splice(1, 2);
    let key = |end: u8, duration: u16| [&[7, end | 10][..], &duration.to_be_bytes()].concat();
    let mut passed = 0;
    for (sequence, payload) in
        [key(0, 160), key(0, 320), key(0x80, 800), key(0x80, 800), key(0x80, 800)].iter().enumerate()
    {
        passed += u32::from(rig.receive(1, &rtp(101, sequence as u16, 4_000, 9, payload)).is_ok());
        rig.pass_ms(20);
    }
    rig.pass_ms(1_000);
    assert_eq!(passed, 5);
    let keys: Vec<_> = rig.events.iter().filter(|event| matches!(event, EventBody::Dtmf { .. })).collect();
    assert_eq!(keys, [&EventBody::Dtmf { leg: "leg-1".into(), digit: '7', duration_ms: 100 }]);
}

#[test]
fn a_flood_of_keys_is_passed_on_and_told_within_limits() {
    let mut rig = Rig::with_legs(2);
    rig.splice(1, 2);
    let told = |rig: &mut Rig, keys: std::ops::Range<u16>| {
        rig.events.clear();
        for key in keys {
            // Each packet is a key of its own, and over.
            let sent = rig.receive(1, &rtp(101, key, u32::from(key) * 160, 9, &[5, 0x8a, 0, 160]));
            assert!(sent.is_ok());
            rig.drain();
        }
        rig.events.iter().filter(|event| matches!(event, EventBody::Dtmf { .. })).count() as u64
    };
    assert_eq!(told(&mut rig, 0..1_000), PEER_EVENTS_AT_ONCE);
    rig.pass_ms(1_000);
    assert_eq!(told(&mut rig, 1_000..2_000), PEER_EVENTS_PER_S);
}

#[test]
fn a_key_whose_end_is_lost_is_reported_by_the_clock_also_while_parked() {
    let mut rig = Rig::with_legs(1);
    rig.done(|op| WorkerCommand::Park { op, leg: LegId(1), keep_one_in: 32 });
    for step in 1..=10_u16 {
        let payload = [&[11, 10][..], &(step * 160).to_be_bytes()].concat();
        let verdict = rig.receive(1, &rtp(101, step, 4_000, 9, &payload));
        assert_eq!(verdict, Err(Verdict::Drop(DropReason::NotSpliced)));
        rig.pass_ms(20);
    }
    assert!(rig.events.is_empty());
    rig.pass_ms(200);
    assert_eq!(rig.events, [EventBody::Dtmf { leg: "leg-1".into(), digit: '#', duration_ms: 200 }]);
}

#[test]
fn a_parked_leg_is_counted_and_splicing_unparks_it() {
    let mut rig = Rig::with_legs(2);
    rig.done(|op| WorkerCommand::Park { op, leg: LegId(1), keep_one_in: 32 });
    rig.done(|op| WorkerCommand::Park { op, leg: LegId(1), keep_one_in: 32 });
    assert_eq!(rig.info(1).state, LegState::Parked);
    for sequence in (32..=3_200).step_by(32) {
        let packet = rtp(0, sequence, u32::from(sequence) * 160, 0xFFFF_0001, &[0; 160]);
        assert_eq!(rig.receive(1, &packet), Err(Verdict::Drop(DropReason::NotSpliced)));
    }
    rig.splice(1, 2);
    assert_eq!(rig.actions, ["park 0 32 Some(101)", "unpark 0"]);
    assert!(rig.receive(1, &rtp(0, 3_210, 3_210 * 160, 0xFFFF_0001, &[0; 160])).is_ok());
    let counters = rig.info(1).counters;
    assert_eq!((counters.packets_lost, counters.packets_filtered), (0, 3_200 - 100 + 9));
    let refused = rig.command(|op| WorkerCommand::Park { op, leg: LegId(1), keep_one_in: 32 });
    assert!(refused.is_err());
}

#[test]
fn another_event_type_changes_the_filter_of_a_parked_leg() {
    let mut rig = Rig::with_legs(1);
    rig.done(|op| WorkerCommand::Park { op, leg: LegId(1), keep_one_in: 64 });
    let media = Media { telephone_event: Some(96), ..Media::default() };
    let change = Box::new(LegUpdate { leg: "leg-1".into(), media: Some(media), ..LegUpdate::default() });
    rig.done(|op| WorkerCommand::Update { op, leg: LegId(1), change });
    assert_eq!(rig.actions, ["park 0 64 Some(101)", "park 0 64 Some(96)"]);
}

#[test]
fn unsplicing_can_park_both_in_the_same_step() {
    let mut rig = Rig::with_legs(3);
    rig.splice(1, 2);
    let strange = rig.command(|op| WorkerCommand::Unsplice { op, leg: LegId(1), park: vec![LegId(3)] });
    assert!(strange.is_err());
    assert_eq!(rig.info(1).state, LegState::Spliced, "a refusal changes nothing");
    rig.done(|op| WorkerCommand::Unsplice { op, leg: LegId(1), park: vec![LegId(1), LegId(2)] });
    assert_eq!((rig.info(1).state, rig.info(2).state), (LegState::Parked, LegState::Parked));
}

#[test]
fn a_leg_is_silent_once_and_alive_once() {
    let mut rig = Rig::new();
    rig.create(LegSetup { silent_after_ms: 500, ..setup(1) });
    rig.latch(1);
    for _ in 0..100 {
        rig.latch(1);
        rig.pass_ms(100);
    }
    let news = |rig: &mut Rig| {
        rig.events
            .drain(..)
            .filter(|event| !matches!(event, EventBody::LegLatched { .. }))
            .collect::<Vec<_>>()
    };
    assert!(news(&mut rig).is_empty());
    rig.pass_ms(5_000);
    assert_eq!(news(&mut rig), [EventBody::LegSilent { leg: "leg-1".into(), silent_ms: 500 }]);
    rig.latch(1);
    rig.pass_ms(100);
    assert_eq!(news(&mut rig), [EventBody::LegAlive { leg: "leg-1".into() }]);
    rig.pass_ms(5_000);
    assert_eq!(news(&mut rig).len(), 1, "and silent again");
}

#[test]
fn what_a_phone_said_while_the_worker_was_stopped_is_read_before_it_is_called_silent() {
    let mut rig = Rig::new();
    rig.create(LegSetup { silent_after_ms: 500, ..setup(1) });
    for _ in 0..2 {
        rig.latch(1);
        rig.events.clear();
        // Stopped: nothing is done in all this time.
        rig.now = rig.now.plus_ms(10_000);
        rig.pass_ms(200);
        assert_eq!(rig.events, []);
    }
    rig.pass_ms(500);
    let [EventBody::LegSilent { silent_ms, .. }] = rig.events[..] else { panic!("{:?}", rig.events) };
    assert!(silent_ms >= 10_000, "{silent_ms}");
}

#[test]
fn a_leg_that_never_spoke_is_silent_too() {
    let mut rig = Rig::new();
    rig.create(LegSetup { silent_after_ms: 500, ..setup(1) });
    rig.pass_ms(600);
    assert_eq!(rig.events, [EventBody::LegSilent { leg: "leg-1".into(), silent_ms: 500 }]);
}

#[test]
fn a_parked_leg_reports_half_as_often_and_soon_again_when_it_is_unparked() {
    let mut rig = Rig::with_legs(2);
    let reports_in = |rig: &mut Rig, leg, s: u64| {
        rig.sent.clear();
        rig.pass_ms(s * 1_000);
        let ix = rig.ix(leg);
        rig.sent.iter().filter(|sent| sent.leg == ix && sent.socket == Socket::Rtcp).count()
    };
    let open = reports_in(&mut rig, 1, 600);
    rig.done(|op| WorkerCommand::Park { op, leg: LegId(1), keep_one_in: 32 });
    let parked = reports_in(&mut rig, 1, 600);
    assert!((100..=140).contains(&open) && (50..=70).contains(&parked), "{open}, {parked}");
    for _ in 0..20 {
        rig.done(|op| WorkerCommand::Park { op, leg: LegId(1), keep_one_in: 32 });
        rig.pass_ms(15_000);
        rig.done(|op| WorkerCommand::Unpark { op, leg: LegId(1) });
        assert!(reports_in(&mut rig, 1, 8) >= 1);
    }
}

#[test]
fn a_parked_legs_reports_leave_with_its_idle_packets() {
    let mut rig = Rig::new();
    rig.create(LegSetup { idle: Idle::ComfortNoise { interval_ms: 10_000 }, park: true, ..setup(1) });
    // The first report was planned before.
    rig.pass_ms(20_000);
    rig.sent.clear();
    rig.pass_ms(600_000);
    let moments = |socket| rig.sent.iter().filter(move |sent| sent.socket == socket).map(|sent| sent.at);
    let idle: Vec<_> = moments(Socket::Rtp).collect();
    assert!((30..=60).contains(&moments(Socket::Rtcp).count()), "{} reports", moments(Socket::Rtcp).count());
    assert_eq!(moments(Socket::Rtcp).find(|at| !idle.contains(at)), None);
}

#[test]
fn reports_say_what_was_sent_and_received() {
    let mut rig = Rig::with_legs(2);
    rig.splice(1, 2);
    let (mut one, mut two) = (Talker::new(1), Talker::new(2));
    for packet in 0..400 {
        let lost = packet % 4 == 3;
        let next = two.packet(1);
        if !lost {
            rig.receive(2, &next).expect("it is sent on");
        }
        one.talk(&mut rig, 1).expect("it is sent on");
        rig.pass_ms(20);
    }
    let ix = rig.ix(2);
    let to_two: Vec<_> =
        rig.sent.iter().filter(|sent| sent.socket == Socket::Rtcp && sent.leg == ix).collect();
    let first = &to_two[0];
    assert_eq!(first.address, Some(address("10.0.0.3:4001")), "the port after that of RTP");
    let bytes = &first.bytes;
    assert_eq!((bytes[0], bytes[1], word(bytes, 4)), (0x81, 200, 0x5500_0002));
    let sent_by_then = first.at.0 / 20_000 + 1;
    assert_eq!(u64::from(word(bytes, 20)), sent_by_then, "packets");
    assert_eq!(u64::from(word(bytes, 24)), sent_by_then * 160, "payload bytes");
    let ntp_seconds = u64::from(word(bytes, 8));
    assert_eq!(ntp_seconds, 2_208_988_800 + 1_800_000_000 + first.at.0 / 1_000_000);
    assert_eq!(word(bytes, 28), two.ssrc);
    assert!((62..=66).contains(&bytes[32]), "a quarter is lost: {}", bytes[32]);
    assert_eq!((bytes[52], bytes[53], bytes[60], bytes[61]), (0x81, 202, 1, 16), "CNAME");
    assert!(to_two.len() <= 3, "one in five seconds");
}

#[test]
fn the_peers_report_gives_loss_jitter_and_round_trip() {
    let mut rig = Rig::with_legs(2);
    rig.splice(1, 2);
    let mut talker = Talker::new(1);
    let ix = rig.ix(2);
    let ours = loop {
        talker.talk(&mut rig, 1).expect("it is sent on");
        rig.pass_ms(20);
        if let Some(ours) = rig.sent.iter().find(|sent| sent.socket == Socket::Rtcp && sent.leg == ix) {
            break ours.clone();
        }
    };
    // The phone answers 30 ms after our report was sent, of which it held it 10.
    let last_sr = word(&ours.bytes, 8) << 16 | word(&ours.bytes, 12) >> 16;
    rig.now = ours.at + 30_000;
    let mut report = vec![0x81, 201, 0, 7];
    for word in [77, 0x5500_0002, 64 << 24 | 5, 100, 80, last_sr, 655] {
        report.extend(u32::to_be_bytes(word));
    }
    rig.receive_rtcp(2, address("10.0.0.3:4001"), &report);
    let report = rig.info(2).rtcp_report.expect("it was read");
    assert_eq!((report.fraction_lost, report.packets_lost, report.jitter_ms), (0.25, 5, 10.0));
    let round_trip = report.round_trip_ms.expect("our report was answered");
    assert!((19.9..20.1).contains(&round_trip), "{round_trip}");
    assert!(rig.actions.contains(&"connect 1 Rtcp 10.0.0.3:4001".to_owned()));
}

#[test]
fn rtcp_from_strangers_and_garbage_is_counted_and_changes_nothing() {
    let mut rig = Rig::with_legs(1);
    let bye = [0x81, 203, 0, 1, 0, 0, 0, 9];
    rig.receive_rtcp(1, address("203.0.113.66:4001"), &bye);
    rig.receive_rtcp(1, phone(1), &bye[..7]);
    rig.receive_rtcp(1, phone(1), &[]);
    assert!(rig.events.is_empty());
    let drops = rig.info(1).counters.drops;
    assert_eq!((drops.stranger, drops.malformed), (1, 1));
}

#[test]
fn a_goodbye_is_told_once_on_either_port() {
    let mut rig = Rig::with_legs(2);
    let bye = [0x80, 201, 0, 1, 0, 0, 0, 9, 0x81, 203, 0, 1, 0, 0, 0, 9];
    rig.receive_rtcp(1, address("10.0.0.2:4001"), &bye);
    rig.receive_rtcp(1, address("10.0.0.2:4001"), &bye);
    assert_eq!(rig.receive(2, &bye), Err(Verdict::Consume));
    let told = |leg: &str| EventBody::LegBye { leg: leg.into() };
    assert_eq!(rig.events, [told("leg-1"), told("leg-2")]);
}

#[test]
fn a_deleted_leg_says_goodbye_before_its_sockets_go_and_its_partner_is_free() {
    let mut rig = Rig::with_legs(2);
    rig.splice(1, 2);
    rig.tell(WorkerCommand::Delete { op: OpId(99), leg: LegId(1) });
    let last = rtcp_sent(&rig).pop().expect("a goodbye was sent");
    assert_eq!((last[last.len() - 7], word(&last, last.len() - 4)), (203, 0x5500_0001));
    let [Disarmed::Closed(WorkerReport::Closed { op: OpId(99), info })] = &rig.disarmed[..] else {
        panic!("{:?}", rig.disarmed)
    };
    assert_eq!((info.leg.as_str(), info.state), ("leg-1", LegState::Idle));
    assert_eq!(rig.info(2).state, LegState::Idle);
    assert_eq!((rig.worker.info().legs, rig.worker.info().splices), (1, 0));
    let gone = rig.command(|op| WorkerCommand::Query { op, leg: LegId(1) });
    assert!(gone.is_err());
    assert_eq!(rig.receive(1, &rtp(0, 1, 1, 1, &[])), Err(Verdict::Consume), "late packets meet nobody");
}

#[test]
fn a_leg_moves_between_workers_with_all_its_state() {
    let mut from = Rig::with_legs(2);
    let mut to = Rig::numbered(1);
    to.create(setup(3));
    to.latch(3);
    from.splice(2, 1);
    let (mut moving, mut other) = (Talker::new(1), Talker::new(2));
    for _ in 0..10 {
        moving.talk(&mut from, 1).expect("it is sent on");
        other.talk(&mut from, 1).expect("it is sent on");
    }
    from.play(1, "p", vec![prompt(Codec::Pcmu, (0..200).cycle().take(1_600).collect())], 1);
    from.pass_ms(100);
    let before = from.take_heard(1);
    let counters = from.info(1).counters;

    let refused = from.command(|op| WorkerCommand::Detach { op, leg: LegId(1), replace: false });
    assert!(refused.is_err(), "it is spliced");
    from.tell(WorkerCommand::Detach { op: OpId(99), leg: LegId(1), replace: true });
    let Some(Disarmed::Moved(WorkerReport::Detached { leg, .. })) = from.disarmed.pop() else {
        panic!("it did not leave")
    };
    to.now = from.now;
    to.tell(WorkerCommand::Adopt { leg });
    assert_eq!(to.info(1).counters, counters);
    to.pass_ms(400);
    let heard: Vec<_> = before.into_iter().chain(to.take_heard(1)).collect();
    let payload: Vec<u8> = heard.iter().skip(10).flat_map(|sent| &sent.bytes[12..]).copied().collect();
    assert_eq!(payload, (0..200).cycle().take(1_600).collect::<Vec<u8>>(), "the play went on");
    to.splice(3, 1);
    assert_eq!(moving.talk(&mut to, 1).expect("it is sent on").leg, to.ix(3));
    let sent = Talker::new(3).talk(&mut to, 1).expect("it is sent on");
    assert_eq!((sent.address, sent.header().ssrc), (None, 0x5500_0001), "still connected, still one stream");
    let sequence = heard.last().map(|sent| sent.header().sequence.wrapping_add(1));
    assert_eq!(Some(sent.header().sequence), sequence);
    assert_eq!((from.worker.info().legs, from.worker.info().plays), (1, 0));
    assert_eq!((to.worker.info().legs, to.worker.info().plays), (2, 0));
}

#[test]
fn packets_that_were_queued_while_a_leg_leaves_are_still_taken() {
    let mut rig = Rig::with_legs(1);
    let ix = rig.ix(1);
    rig.worker.handle_command(rig.now, WorkerCommand::Detach { op: OpId(99), leg: LegId(1), replace: false });
    let mut packet = rtp(0, 1, 160, 0xFFFF_0001, &[0; 160]);
    let verdict = rig.worker.handle_rtp(rig.now, ix, phone(1), &mut packet);
    assert_eq!(verdict, Verdict::Drop(DropReason::NotSpliced));
    rig.drain();
    let Some(Disarmed::Moved(WorkerReport::Detached { leg, .. })) = rig.disarmed.pop() else {
        panic!("it did not leave")
    };
    let mut to = Rig::numbered(1);
    to.tell(WorkerCommand::Adopt { leg });
    assert_eq!(to.info(1).counters.packets_received, 2);
}

#[test]
fn a_leg_that_loses_packets_is_told_as_hard_to_hear_once_and_as_good_again() {
    let mut rig = Rig::with_legs(2);
    rig.splice(1, 2);
    let mut talker = Talker::new(2);
    let mut talk = |rig: &mut Rig, seconds: u32, lose_one_in: u32| {
        for packet in 0..seconds * 50 {
            let bytes = talker.packet(7);
            if lose_one_in == 0 || packet % lose_one_in != 0 {
                let _ = rig.receive(2, &bytes);
            }
            rig.pass_ms(20);
        }
    };
    talk(&mut rig, 20, 0);
    let good = rig.info(2).quality.expect("it is heard");
    assert!(good.mos > 4.4 && good.recent_mos.is_some_and(|mos| mos > 4.4), "{good:?}");
    assert_eq!(rig.info(1).quality, None, "nobody heard it");
    talk(&mut rig, 30, 5);
    let poor = rig.info(2).quality.expect("it is heard");
    assert!(poor.recent_mos.is_some_and(|recent| recent < poor.mos), "{poor:?}");
    talk(&mut rig, 40, 0);
    let told: Vec<bool> = rig
        .events
        .iter()
        .filter_map(|event| match event {
            EventBody::LegQuality { leg, quality } if leg == "leg-2" => {
                quality.recent_mos.map(|recent| recent < 3.6)
            }
            _ => None,
        })
        .collect();
    assert_eq!(told, [true, false], "poor, then good");
    let call = rig.info(2).quality.expect("it is heard");
    assert!(call.mos < good.mos && call.recent_mos.is_some_and(|mos| mos > 4.4), "{call:?}");
}

#[test]
fn what_a_peer_measured_itself_is_shown_and_what_it_says_of_others_is_not() {
    let mut rig = Rig::with_legs(1);
    let report = |of: u32, loss: u8| {
        let mut packet = vec![0x80, 201, 0, 1, 0, 0, 0, 9, 0x80, 207, 0, 10, 0, 0, 0, 9, 7, 0, 0, 8];
        packet.extend(of.to_be_bytes());
        packet.extend([loss, 0, 0, 0, 0, 0, 0, 0, 0, 80, 0, 60, 0, 127, 127, 16, 82, 127, 41, 40]);
        packet.extend([0, 0, 0, 40, 0, 80, 1, 0]);
        packet
    };
    let ssrc = rig.info(1).ssrc;
    let peer = address("10.0.0.2:4001");
    rig.receive_rtcp(1, peer, &report(ssrc ^ 1, 128));
    assert_eq!(rig.info(1).rtcp_report, None);
    rig.receive_rtcp(1, peer, &report(ssrc, 64));
    let voip = rig.info(1).rtcp_report.and_then(|report| report.voip).expect("it was reported");
    assert_eq!((voip.loss_rate, voip.r_factor, voip.mos_listening), (0.25, Some(82), Some(4.1)));
}
