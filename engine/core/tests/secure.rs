//! Secure legs: what is heard is what the peer has signed, and nothing of ours leaves in the clear.

mod support;

use offhook_engine_core::{DropReason, LegId, LegSetup, Socket, Verdict, WorkerCommand};
use offhook_proto::{LatchMode, LegUpdate, Srtp, SrtpKeys, SrtpSuite};
use offhook_srtp::OVERHEAD_BYTES;
use support::secure::{SUITE, SecurePhone, before_the_key, key_comes, keys, update, waits_for_the_key};
use support::{Rig, Talker, address, phone, prompt, rtp, setup};

/// Leg 1 secure, leg 2 plain, spliced.
fn secure_and_plain(suite: SrtpSuite) -> (Rig, SecurePhone, Talker) {
    let mut rig = Rig::new();
    rig.create(LegSetup { srtp: keys(suite, 1), ..setup(1) });
    rig.create(setup(2));
    rig.splice(1, 2);
    (rig, SecurePhone::new(1, suite, 1), Talker::new(2))
}

#[test]
fn a_secure_leg_and_a_plain_one_hear_each_other_in_every_suite() {
    for suite in SrtpSuite::ALL {
        let (mut rig, mut secure, mut plain) = secure_and_plain(suite);
        for byte in 0..100 {
            let sent = secure.talk(&mut rig, byte).expect("it is sent on");
            assert_eq!(sent.bytes[12..], [byte; 160], "{suite}: in the clear to the plain leg");
            let sent = plain.talk(&mut rig, byte).expect("it is sent on");
            assert_eq!(secure.hears(&sent), [byte; 160], "{suite}");
            assert!(!sent.bytes.windows(4).any(|bytes| bytes == [byte; 4]), "{suite}: not in the clear");
        }
        let info = rig.info(1).srtp.expect("it is secure");
        assert_eq!((info.receive, info.send), (Some(suite), Some(suite)));
        assert_eq!(rig.info(2).srtp, None);
    }
}

#[test]
fn two_secure_legs_have_keys_of_their_own_through_a_rollover() {
    let mut rig = Rig::new();
    rig.create(LegSetup { srtp: keys(SUITE, 1), ..setup(1) });
    rig.create(LegSetup { srtp: keys(SrtpSuite::AeadAes256Gcm, 3), ..setup(2) });
    rig.splice(1, 2);
    let mut one = SecurePhone::new(1, SUITE, 1);
    let mut other = SecurePhone::new(2, SrtpSuite::AeadAes256Gcm, 3);
    for step in 0..70_000_u32 {
        let sent = one.talk(&mut rig, step as u8).expect("it is sent on");
        assert_eq!(other.hears(&sent), [step as u8; 160], "{step}");
        rig.now = rig.now + 20_000;
        rig.sent.clear();
    }
}

#[test]
fn only_an_authentic_packet_teaches_the_latch_in_every_mode() {
    for latch in support::LATCH_MODES {
        let mut rig = Rig::new();
        rig.create(LegSetup { srtp: keys(SUITE, 1), latch, ..setup(1) });
        for sequence in 0..50 {
            let forged = rtp(0, sequence, 0, 9, &[1; 170]);
            for source in [phone(1), address("10.0.0.2:4002"), address("203.0.113.9:9")] {
                let verdict = rig.receive_from(1, source, &forged);
                assert_eq!(verdict, Err(Verdict::Drop(DropReason::AuthFailed)), "{latch:?}");
            }
        }
        let info = rig.info(1);
        assert_eq!((info.latched, info.last_packet_ms), (None, None), "{latch:?}");
        assert_eq!(info.counters.drops.auth_failed, 150);
        let _ = SecurePhone::new(1, SUITE, 1).talk(&mut rig, 7);
        assert_eq!(rig.info(1).latched, Some(phone(1)), "{latch:?}");
    }
}

#[test]
fn what_came_before_is_not_heard_twice() {
    let (mut rig, mut secure, _) = secure_and_plain(SUITE);
    let packet = secure.packet(7);
    assert!(rig.receive(1, &packet).is_ok());
    assert_eq!(rig.receive(1, &packet), Err(Verdict::Drop(DropReason::Replayed)));
    let counters = rig.info(1).counters;
    assert_eq!((counters.drops.replayed, counters.packets_forwarded), (1, 1));
    assert_eq!(rig.worker.info().drops.replayed, 1);
}

#[test]
fn prompts_and_reports_leave_a_secure_leg_encrypted() {
    let (mut rig, mut secure, _) = secure_and_plain(SUITE);
    secure.talk(&mut rig, 7).expect("it is sent on");
    rig.play(1, "greeting", vec![prompt(offhook_proto::Codec::Pcmu, vec![0x33; 1_600])], 1);
    rig.pass_ms(10_000);
    let heard = rig.take_heard(1);
    assert_eq!(heard.len(), 10);
    assert!(heard.iter().all(|sent| secure.hears(sent) == [0x33; 160]));
    let reports: Vec<_> =
        rig.sent.iter().filter(|sent| sent.socket == Socket::Rtcp && sent.leg == rig.ix(1)).collect();
    assert!(!reports.is_empty());
    for report in reports {
        let mut bytes = report.bytes.clone();
        let len = secure.unprotector.rtcp(&mut bytes).expect("it is for this phone");
        assert_eq!(len + 14, report.bytes.len());
    }
}

#[test]
fn reports_of_the_peer_count_only_when_it_has_signed_them() {
    let (mut rig, mut secure, _) = secure_and_plain(SUITE);
    secure.talk(&mut rig, 7).expect("it is sent on");
    let source = address(&format!("{}:4001", phone(1).ip()));
    let goodbye = [&[0x81, 203, 0, 1][..], &secure.talker.ssrc.to_be_bytes()].concat();
    rig.receive_rtcp(1, source, &goodbye);
    rig.receive_rtcp(1, source, &[goodbye.clone(), vec![0; 14]].concat());
    assert_eq!(rig.info(1).counters.drops.auth_failed, 2);
    assert!(!rig.events.iter().any(|event| matches!(event, offhook_proto::EventBody::LegBye { .. })));
    let mut buffer = [&goodbye[..], &[0; OVERHEAD_BYTES]].concat();
    let len = secure.protector.rtcp(&mut buffer, goodbye.len()).expect("there is room");
    rig.receive_rtcp(1, source, &buffer[..len]);
    assert!(rig.events.iter().any(|event| matches!(event, offhook_proto::EventBody::LegBye { .. })));
}

#[test]
fn by_01_words_said_before_the_key_is_known_are_sent_on_when_it_comes() {
    // A leg that was opened as secure, and one of which it was not known: the answer brings remote and key.
    for before in before_the_key() {
        let mut rig = waits_for_the_key(&before);
        let since = rig.now;
        let mut secure = SecurePhone::new(1, SUITE, 1);
        for byte in 1..=5 {
            assert!(secure.talk(&mut rig, byte).is_err());
        }
        // Somebody else knocks meanwhile.
        assert!(rig.receive_from(1, phone(1), &rtp(0, 1, 1, 1, &[9; 170])).is_err());
        rig.pass_ms(5);
        assert_eq!(key_comes(&mut rig, since), [1, 2, 3, 4, 5], "{before:?}");
        assert_eq!(rig.info(1).counters.drops.auth_failed, 1);
        assert!(secure.talk(&mut rig, 6).is_ok());
    }
}

#[test]
fn without_a_key_nothing_is_sent_and_nothing_is_learnt() {
    let mut rig = Rig::new();
    rig.create(LegSetup { srtp: Srtp::from(SrtpKeys::default()), latch: LatchMode::Any, ..setup(1) });
    rig.create(setup(2));
    rig.splice(1, 2);
    for _ in 0..10 {
        assert_eq!(Talker::new(2).talk(&mut rig, 7), Err(Verdict::Consume), "not sent");
        assert!(Talker::new(1).talk(&mut rig, 7).is_err());
    }
    assert_eq!(rig.info(1).latched, None);
    assert!(rig.take_heard(1).is_empty());
    assert!(rig.info(1).counters.drops.no_key >= 10);
}

#[test]
fn an_update_with_the_same_key_goes_on_and_another_key_begins_anew() {
    let (mut rig, mut secure, mut plain) = secure_and_plain(SUITE);
    for byte in 0..10 {
        assert!(secure.talk(&mut rig, byte).is_ok());
        let sent = plain.talk(&mut rig, byte).expect("it is sent on");
        assert_eq!(secure.hears(&sent), [byte; 160]);
    }
    let old = secure.packet(1);
    assert!(rig.receive(1, &old).is_ok());
    update(&mut rig, 1, LegUpdate { srtp: Some(keys(SUITE, 1)), ..LegUpdate::default() });
    assert_eq!(rig.receive(1, &old), Err(Verdict::Drop(DropReason::Replayed)), "the window is still there");
    assert!(secure.talk(&mut rig, 11).is_ok());
    update(&mut rig, 1, LegUpdate { srtp: Some(keys(SUITE, 5)), ..LegUpdate::default() });
    assert_eq!(secure.talk(&mut rig, 12), Err(Verdict::Drop(DropReason::AuthFailed)));
    let mut again = SecurePhone::new(1, SUITE, 5);
    assert!(again.talk(&mut rig, 13).is_ok());
    let sent = plain.talk(&mut rig, 14).expect("it is sent on");
    assert_eq!(again.hears(&sent), [14; 160]);
    update(&mut rig, 1, LegUpdate { srtp: Some(Srtp::Off), ..LegUpdate::default() });
    assert_eq!(plain.talk(&mut rig, 15).expect("it is sent on").bytes[12..], [15; 160], "plain again");
}

#[test]
fn a_number_that_comes_twice_is_sent_once_under_one_key() {
    let (mut rig, mut secure, mut plain) = secure_and_plain(SUITE);
    let (packet, other) = (plain.packet(1), [8; 160]);
    let sent = rig.receive(plain.leg, &packet).expect("it is sent on");
    assert_eq!(secure.hears(&sent), [1; 160]);
    let again = [&packet[..12], &other].concat();
    assert_eq!(rig.receive(plain.leg, &again), Err(Verdict::Consume), "not sent");
    assert_eq!(rig.info(1).counters.drops.late, 1);
    let sent = plain.talk(&mut rig, 2).expect("it is sent on");
    assert_eq!(secure.hears(&sent), [2; 160]);
}

#[test]
fn a_leg_that_turns_secure_forgets_whom_it_learnt_in_the_clear() {
    let mut rig = Rig::new();
    rig.create(LegSetup { latch: LatchMode::Any, remote: None, ..setup(1) });
    let stranger = address("203.0.113.9:9");
    for sequence in 0..10 {
        let _ = rig.receive_from(1, stranger, &rtp(0, sequence, 0, 9, &[0; 160]));
    }
    assert_eq!(rig.info(1).latched, Some(stranger));
    rig.pass_ms(3_000);
    let _ = rig.receive_from(1, stranger, &rtp(0, 10, 0, 9, &[0; 160]));
    assert!(rig.actions.iter().any(|action| action.contains("203.0.113.9:9")), "for good: {:?}", rig.actions);
    let remote = setup(1).remote;
    update(&mut rig, 1, LegUpdate { srtp: Some(keys(SUITE, 1)), remote, ..LegUpdate::default() });
    assert_eq!(rig.info(1).latched, None);
    let _ = SecurePhone::new(1, SUITE, 1).talk(&mut rig, 7);
    assert_eq!(rig.info(1).latched, Some(phone(1)));
}

#[test]
fn keys_move_with_the_leg_to_another_worker() {
    let (mut rig, mut secure, _) = secure_and_plain(SUITE);
    let first = secure.packet(1);
    assert!(rig.receive(1, &first).is_ok());
    rig.unsplice(1);
    rig.tell(WorkerCommand::Detach { op: offhook_engine_core::OpId(900), leg: LegId(1), replace: false });
    let Some(offhook_engine_core::Disarmed::Moved(offhook_engine_core::WorkerReport::Detached {
        leg, ..
    })) = rig.disarmed.pop()
    else {
        panic!("it has left")
    };
    let mut there = Rig::numbered(1);
    there.tell(WorkerCommand::Adopt { leg });
    assert_eq!(there.receive(1, &first), Err(Verdict::Drop(DropReason::Replayed)));
    assert_eq!(secure.talk(&mut there, 2), Err(Verdict::Drop(DropReason::NotSpliced)), "authentic");
}

#[test]
fn reports_go_over_the_rtp_port_where_that_was_negotiated() {
    for srtp in [Srtp::Off, keys(SUITE, 1)] {
        let mut rig = Rig::new();
        rig.create(LegSetup { rtcp_mux: true, srtp: srtp.clone(), park: true, ..setup(1) });
        assert!(rig.actions.iter().any(|action| action == "park 0 32 Some(101) rtcp"), "{:?}", rig.actions);
        let mut secure = SecurePhone::new(1, SUITE, 1);
        let packet = if srtp.is_off() { secure.talker.packet(1) } else { secure.packet(1) };
        let _ = rig.receive(1, &packet);
        rig.pass_ms(16_000);
        let report = rig.sent.iter().find(|sent| sent.socket == Socket::Rtp && sent.bytes[1] == 201);
        let report = report.expect("a report went out on the RTP port").clone();
        assert!(rig.sent.iter().all(|sent| sent.socket == Socket::Rtp));
        let mut bytes = report.bytes;
        if !srtp.is_off() {
            secure.unprotector.rtcp(&mut bytes).expect("it is for this phone");
        }
        // The peer's goodbye comes the same way.
        let goodbye = [&[0x81, 203, 0, 1][..], &secure.talker.ssrc.to_be_bytes()].concat();
        let mut buffer = [&goodbye[..], &[0; OVERHEAD_BYTES]].concat();
        let mut len = goodbye.len();
        if !srtp.is_off() {
            len = secure.protector.rtcp(&mut buffer, len).expect("there is room");
        }
        assert_eq!(rig.receive(1, &buffer[..len]), Err(Verdict::Consume));
        assert!(rig.events.iter().any(|event| matches!(event, offhook_proto::EventBody::LegBye { .. })));
        update(&mut rig, 1, LegUpdate { rtcp_mux: Some(false), ..LegUpdate::default() });
        assert_eq!(rig.actions.last().map(String::as_str), Some("park 0 32 Some(101)"));
    }
}
