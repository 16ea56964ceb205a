//! Phones that go on with their SRTP stream on a leg that was made anew (BY-09).

mod support;

use offhook_engine_core::limits::ROLLOVER_SEARCH_MS;
use offhook_engine_core::{DropReason, LegSetup, Verdict};
use offhook_proto::{LegUpdate, Srtp, SrtpKeys, SrtpSuite};
use offhook_srtp::ROLLOVERS;
use support::secure::{SUITE, SecurePhone, before_the_key, key, key_comes, keys, update, waits_for_the_key};
use support::{Rig, Talker, address, assert_one_stream, phone, rtp, setup};

/// Leg 1 secure, leg 2 plain, spliced, on an engine that knows nothing of either.
fn made_anew(suite: SrtpSuite) -> Rig {
    let mut rig = Rig::new();
    rig.create(LegSetup { srtp: keys(suite, 1), ..setup(1) });
    rig.create(setup(2));
    rig.latch(2);
    rig.splice(1, 2);
    rig.sent.clear();
    rig
}

fn searches(rig: &mut Rig) -> u64 {
    rig.info(1).srtp.expect("it is secure").rollover_searches
}

#[test]
fn by_09_a_phone_that_has_rolled_over_is_heard_from_its_first_packet_on_a_new_leg() {
    for suite in SrtpSuite::ALL {
        for times in [1, 3, ROLLOVERS] {
            let mut secure = SecurePhone::new(1, suite, 1);
            secure.roll_over(times);
            let mut rig = made_anew(suite);
            for byte in 0..100 {
                let sent = secure.talk(&mut rig, byte).expect("it is heard");
                assert_eq!(sent.bytes[12..], [byte; 160], "{suite} {times}");
                rig.pass_ms(20);
            }
            let info = rig.info(1);
            assert_eq!(
                (info.latched, info.counters.drops.auth_failed),
                (Some(phone(1)), 0),
                "{suite} {times}"
            );
            assert_eq!(searches(&mut rig), 1, "{suite} {times}");
            assert_one_stream(&rig.take_heard(2));
        }
    }
}

#[test]
fn by_09_what_was_found_goes_on_through_the_next_rollover_and_refuses_what_came_before() {
    let mut secure = SecurePhone::new(1, SUITE, 1);
    secure.roll_over(2);
    let old = secure.packet(9);
    secure.roll_over(1);
    let mut rig = made_anew(SUITE);
    for step in 0..70_000_u32 {
        assert!(secure.talk(&mut rig, step as u8).is_ok(), "{step}");
        rig.now = rig.now + 20_000;
        rig.sent.clear();
    }
    assert!(rig.receive(1, &old).is_err());
    assert_eq!(searches(&mut rig), 1 + 1, "once for the phone, once for what came before");
    assert!(secure.talk(&mut rig, 1).is_ok());
}

#[test]
fn forged_packets_are_searched_for_no_more_than_so_often_and_do_not_keep_the_phone_out() {
    for latch in support::LATCH_MODES {
        let mut rig = Rig::new();
        rig.create(LegSetup { srtp: keys(SUITE, 1), latch, ..setup(1) });
        for packet in 0..10_000_u32 {
            let forged = rtp(0, packet as u16, 0, packet % 1_000, &[1; 170]);
            let verdict = rig.receive(1, &forged);
            assert_eq!(verdict, Err(Verdict::Drop(DropReason::AuthFailed)), "{latch:?}");
            rig.now = rig.now + 100;
        }
        assert_eq!(searches(&mut rig), 1_000 / ROLLOVER_SEARCH_MS, "{latch:?}: in a second");
        assert_eq!(rig.info(1).latched, None, "{latch:?}");
        rig.pass_ms(ROLLOVER_SEARCH_MS);
        let mut secure = SecurePhone::new(1, SUITE, 1);
        secure.roll_over(3);
        assert_eq!(
            secure.talk(&mut rig, 7),
            Err(Verdict::Drop(DropReason::NotSpliced)),
            "{latch:?}: authentic"
        );
        assert_eq!(rig.info(1).latched, Some(phone(1)), "{latch:?}");
    }
}

#[test]
fn strangers_and_repeats_cause_no_search() {
    let mut rig = made_anew(SUITE);
    let forged = rtp(0, 7, 0, 9, &[1; 170]);
    for _ in 0..10 {
        assert!(rig.receive_from(1, address("203.0.113.9:9"), &forged).is_err());
        rig.pass_ms(1_000);
    }
    assert_eq!(searches(&mut rig), 0, "its source could never be learnt");
    let mut secure = SecurePhone::new(1, SUITE, 1);
    let packet = secure.packet(1);
    assert!(rig.receive(1, &packet).is_ok());
    for _ in 0..10 {
        rig.pass_ms(1_000);
        assert_eq!(rig.receive(1, &packet), Err(Verdict::Drop(DropReason::Replayed)));
        assert!(rig.receive_from(1, address("10.0.0.2:4002"), &forged).is_err());
    }
    assert_eq!(searches(&mut rig), 0);
}

#[test]
fn a_phone_is_heard_although_somebody_near_it_floods_its_leg() {
    let mut rig = made_anew(SUITE);
    let mut secure = SecurePhone::new(1, SUITE, 1);
    secure.roll_over(5);
    let near = address("10.0.0.200:9");
    let heard_after = (0..3_000_u32).find(|step| {
        for nth in 0..5 {
            let _ = rig.receive_from(1, near, &rtp(0, 1, 0, 5 * step + nth, &[1; 170]));
            let pause_us = (5 * step + nth).wrapping_mul(0x9E37_79B9) >> 20;
            rig.now = rig.now + u64::from(pause_us) + 1_600;
        }
        secure.talk(&mut rig, 1).is_ok()
    });
    assert!(heard_after.is_some_and(|step| step < 500), "{heard_after:?}");
}

#[test]
fn by_01_words_said_before_the_key_is_known_are_heard_of_a_stream_that_has_rolled_over_too() {
    for before in before_the_key() {
        let mut rig = waits_for_the_key(&before);
        let since = rig.now;
        let mut secure = SecurePhone::new(1, SUITE, 1);
        secure.roll_over(2);
        for byte in 1..=5 {
            assert!(secure.talk(&mut rig, byte).is_err());
        }
        assert_eq!(key_comes(&mut rig, since), [1, 2, 3, 4, 5], "{before:?}");
        assert!(secure.talk(&mut rig, 6).is_ok());
    }
}

#[test]
fn by_09_an_update_in_a_call_keeps_the_counters_of_a_key_that_stays() {
    let mut rig = made_anew(SUITE);
    let (mut secure, mut plain) = (SecurePhone::new(1, SUITE, 1), Talker::new(2));
    let mut talk = |rig: &mut Rig, secure: &mut SecurePhone, packets: u32| {
        for step in 0..packets {
            assert!(secure.talk(rig, step as u8).is_ok(), "{step}");
            let sent = plain.talk(rig, step as u8).expect("it is sent on");
            assert_eq!(secure.hears(&sent), [step as u8; 160], "{step}");
            rig.now = rig.now + 20_000;
            rig.sent.clear();
        }
    };
    // Both have rolled over once.
    talk(&mut rig, &mut secure, 70_000);
    update(&mut rig, 1, LegUpdate { srtp: Some(keys(SUITE, 1)), relatch: true, ..LegUpdate::default() });
    talk(&mut rig, &mut secure, 10);
    assert_eq!(searches(&mut rig), 0, "nothing had to be found again");
    // The peer takes a new key of ours and keeps its own.
    let srtp = SrtpKeys { receive: Some(key(SUITE, 1)), send: Some(key(SUITE, 7)) };
    update(&mut rig, 1, LegUpdate { srtp: Some(Srtp::from(srtp)), ..LegUpdate::default() });
    assert!(secure.talk(&mut rig, 1).is_ok());
    assert_eq!(searches(&mut rig), 0);
    // The peer takes a new key of its own and keeps its counter, as some do.
    let mut again = SecurePhone::new(1, SUITE, 9);
    again.roll_over(1);
    (again.talker.sequence, again.talker.timestamp) = (secure.talker.sequence, secure.talker.timestamp);
    update(&mut rig, 1, LegUpdate { srtp: Some(keys(SUITE, 9)), ..LegUpdate::default() });
    assert!(again.talk(&mut rig, 1).is_ok());
    assert_eq!(searches(&mut rig), 1);
}
