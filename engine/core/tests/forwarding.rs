//! What a spliced pair hears of each other.

mod support;

use offhook_audio::g711;
use offhook_engine_core::{DropReason, LegId, Verdict, WorkerCommand};
use offhook_proto::{Codec, ErrorCode, EventBody, LatchMode, LegState, LegUpdate, Media, Remote};
use proptest::prelude::*;
use support::{Rig, Rtp, Talker, address, phone, rtp, setup};

const DROPPED: fn(DropReason) -> Result<support::Sent, Verdict> = |reason| Err(Verdict::Drop(reason));

#[test]
fn both_legs_of_a_splice_hear_each_other_untouched_but_for_the_header() {
    let mut rig = Rig::with_legs(2);
    rig.splice(1, 2);
    let packet = rtp(0, 7, 160, 99, b"payload");
    let sent = rig.receive(1, &packet).expect("it is sent on");
    assert_eq!((sent.leg, sent.address), (rig.ix(2), None), "the socket is connected");
    assert_eq!(sent.bytes[12..], packet[12..]);
    assert_eq!(Rtp::parse(&sent.bytes).ssrc, 0x5500_0002);
    assert_eq!(rig.receive(2, &packet).expect("it is sent on").leg, rig.ix(1));
}

#[test]
fn sources_extension_and_padding_go_through() {
    let mut rig = Rig::with_legs(2);
    rig.splice(1, 2);
    let mut packet = rtp(0, 7, 160, 99, &[]);
    packet[0] = 0xB1;
    packet.extend([1, 1, 1, 1, 0xBE, 0xDE, 0, 1, 5, 5, 5, 5, 42, 42, 0, 2]);
    let sent = rig.receive(1, &packet).expect("it is sent on");
    assert_eq!((sent.bytes[0], &sent.bytes[12..]), (0xB1, &packet[12..]));
}

#[test]
fn payload_types_are_those_of_the_hearer() {
    let mut rig = Rig::new();
    for (leg, payload_type, event, noise) in [(1, 0, Some(101), Some(13)), (2, 96, Some(97), None)] {
        let media = Media { payload_type, telephone_event: event, comfort_noise: noise, ..Media::default() };
        rig.create(offhook_engine_core::LegSetup { media, ..setup(leg) });
    }
    rig.splice(1, 2);
    let types = [0, 101, 13, 77].map(|payload_type| {
        let sent = rig.receive(1, &rtp(payload_type, 5 + u16::from(payload_type), 0, 9, &[1, 0, 0, 0]));
        sent.map(|sent| sent.header().payload_type)
    });
    // Noise is made of the comfort noise that the hearer does not know.
    let refused = Err(Verdict::Drop(DropReason::PayloadType));
    assert_eq!(types, [Ok(96), Ok(97), Err(Verdict::Consume), refused]);
    assert_eq!(rig.info(1).counters.drops.payload_type, 1);
}

#[test]
fn what_the_hearer_did_not_negotiate_leaves_no_gap() {
    let mut rig = Rig::with_legs(2);
    rig.splice(1, 2);
    let media = Media { telephone_event: None, ..Media::default() };
    let change = Box::new(LegUpdate { leg: "leg-2".into(), media: Some(media), ..LegUpdate::default() });
    rig.done(|op| WorkerCommand::Update { op, leg: LegId(2), change });
    let mut sequences = Vec::new();
    for (sequence, payload_type) in [(1, 0), (2, 101), (3, 101), (4, 0), (5, 0)] {
        sequences.extend(
            rig.receive(1, &rtp(payload_type, sequence, u32::from(sequence) * 160, 9, &[1, 0, 0, 0]))
                .map(|sent| sent.header().sequence),
        );
    }
    assert_eq!(sequences, [65_000, 65_001, 65_002]);
}

#[test]
fn laws_are_converted_by_table_and_events_are_not() {
    let mut rig = Rig::new();
    rig.create(setup(1));
    let media = Media { codec: Codec::Pcma, payload_type: 8, ..Media::default() };
    rig.create(offhook_engine_core::LegSetup { media, ..setup(2) });
    rig.splice(1, 2);
    let all: Vec<u8> = (0..=255).chain(0..64).collect();
    for (sequence, part) in (1..).zip(all.chunks(160)) {
        let (mut to_a, mut to_u) = (part.to_vec(), part.to_vec());
        g711::ulaw_to_alaw_in_place(&mut to_a);
        g711::alaw_to_ulaw_in_place(&mut to_u);
        let sent = rig.receive(1, &rtp(0, sequence, 0, 9, part)).expect("it is sent on");
        assert_eq!((sent.header().payload_type, &sent.bytes[12..]), (8, &to_a[..]));
        let sent = rig.receive(2, &rtp(8, sequence, 0, 9, part)).expect("it is sent on");
        assert_eq!((sent.header().payload_type, &sent.bytes[12..]), (0, &to_u[..]));
    }
    let event = rig.receive(1, &rtp(101, 3, 0, 9, &[5, 10, 0, 160])).expect("it is sent on");
    assert_eq!(event.bytes[12..], [5, 10, 0, 160]);
}

#[test]
fn a_closed_gate_lets_nothing_through_and_opening_it_is_measured() {
    let mut rig = Rig::with_legs(3);
    rig.gates(1, 2, false, false);
    let mut customer = Talker::new(2);
    assert_eq!(customer.talk(&mut rig, 1), DROPPED(DropReason::GateClosed));
    rig.pass_ms(20);
    assert_eq!(customer.talk(&mut rig, 1), DROPPED(DropReason::GateClosed));
    rig.pass_ms(5);
    let since = rig.now - 10_000;
    rig.done(|op| WorkerCommand::Splice {
        op,
        a: LegId(1),
        b: LegId(2),
        a_hears_b: true,
        b_hears_a: false,
        replace: false,
        since,
        replay: false,
    });
    rig.pass_ms(15);
    assert!(customer.talk(&mut rig, 1).is_ok());
    assert!(customer.talk(&mut rig, 1).is_ok());
    let [EventBody::SpliceAudio(audio)] = &rig.events[..] else { panic!("{:?}", rig.events) };
    assert_eq!((audio.from.as_str(), audio.to.as_str()), ("leg-2", "leg-1"));
    assert_eq!((audio.after_us, audio.dropped_packets), (25_000, 1));
    assert_eq!(
        Talker::new(1).talk(&mut rig, 1),
        DROPPED(DropReason::GateClosed),
        "the other way is still shut"
    );
    let gates = [rig.info(1), rig.info(2), rig.info(3)].map(|info| (info.hears, info.heard));
    assert_eq!(gates, [(true, false), (false, true), (false, false)], "each leg tells both");
}

#[test]
fn a_third_partner_is_only_replaced_when_asked() {
    let mut rig = Rig::with_legs(3);
    rig.splice(1, 2);
    let since = rig.now;
    let refused = rig.command(|op| WorkerCommand::Splice {
        op,
        a: LegId(3),
        b: LegId(2),
        a_hears_b: true,
        b_hears_a: true,
        replace: false,
        since,
        replay: false,
    });
    assert_eq!(refused.map_err(|error| error.code), Err(ErrorCode::AlreadySpliced));
    assert!(Talker::new(1).talk(&mut rig, 1).is_ok(), "the refusal changed nothing");
    rig.splice(3, 2);
    assert_eq!(Talker::new(1).talk(&mut rig, 1), DROPPED(DropReason::NotSpliced));
    let (one, two) = (rig.info(1), rig.info(2));
    assert_eq!((one.state, one.spliced_to), (LegState::Idle, None));
    assert_eq!((two.state, two.spliced_to.as_deref(), two.hears), (LegState::Spliced, Some("leg-3"), true));
    assert_eq!(rig.worker.info().splices, 1);
}

#[test]
fn nothing_is_sent_to_a_leg_without_a_known_address() {
    let mut rig = Rig::with_legs(1);
    rig.create(offhook_engine_core::LegSetup { remote: None, ..setup(2) });
    rig.splice(1, 2);
    assert_eq!(Talker::new(1).talk(&mut rig, 1), DROPPED(DropReason::NoRemote));
}

#[test]
fn before_the_latch_packets_go_to_the_signalled_address_only() {
    let mut rig = Rig::with_legs(1);
    rig.create(setup(2));
    rig.splice(1, 2);
    let attacker = address("203.0.113.66:4000");
    for _ in 0..100 {
        assert_eq!(
            rig.receive_from(2, attacker, &rtp(0, 1, 0, 66, &[1; 160])),
            DROPPED(DropReason::Stranger)
        );
        let sent = Talker::new(1).talk(&mut rig, 1).expect("it is sent on");
        assert_eq!(sent.address, Some(phone(2)), "RTP Bleed: never to the attacker");
    }
    assert!(rig.receive(2, &rtp(0, 1, 0, 9, &[1; 160])).is_ok());
    assert_eq!(rig.actions, ["connect 1 Rtp 10.0.0.3:4000"]);
    assert_eq!(Talker::new(1).talk(&mut rig, 1).map(|sent| sent.address), Ok(None));
}

#[test]
fn rtp_inject_after_the_latch_is_dropped_even_if_the_kernel_lets_it_through() {
    let mut rig = Rig::with_legs(2);
    rig.splice(1, 2);
    for source in ["10.0.0.2:4002", "10.0.0.9:4000", "203.0.113.66:4000"] {
        for sequence in 0..100 {
            let injected = rtp(0, sequence, 0, 66, &[1; 160]);
            assert_eq!(rig.receive_from(1, address(source), &injected), DROPPED(DropReason::Stranger));
        }
    }
    assert_eq!(rig.info(1).counters.drops.stranger, 300);
    assert_eq!(rig.info(1).remote_ssrc, Some(0xFFFF_0001), "it taught nothing");
}

#[test]
fn a_strict_leg_is_connected_before_it_is_heard() {
    let mut rig = Rig::new();
    rig.create(offhook_engine_core::LegSetup { latch: LatchMode::Strict, ..setup(1) });
    assert_eq!(rig.actions, ["connect 0 Rtp 10.0.0.2:4000"]);
}

#[test]
fn a_new_remote_dissolves_the_connection_and_learns_again() {
    let mut rig = Rig::with_legs(2);
    rig.splice(1, 2);
    let remote = Some(Remote { rtp: address("10.9.9.9:5000"), rtcp: None });
    let change = Box::new(LegUpdate { leg: "leg-2".into(), remote, ..LegUpdate::default() });
    rig.done(|op| WorkerCommand::Update { op, leg: LegId(2), change });
    assert_eq!(rig.actions, ["disconnect 1 Rtp"]);
    assert_eq!(Talker::new(1).talk(&mut rig, 1).map(|sent| sent.address), Ok(remote.map(|r| r.rtp)));
    assert_eq!(Talker::new(2).talk(&mut rig, 1), DROPPED(DropReason::Stranger), "the old address");
    let packet = Talker::new(2).packet(1);
    assert!(rig.receive_from(2, address("10.9.9.9:5000"), &packet).is_ok());
}

#[test]
fn the_same_remote_again_changes_nothing() {
    let mut rig = Rig::with_legs(1);
    let remote = Some(Remote { rtp: phone(1), rtcp: None });
    let change = Box::new(LegUpdate { leg: "leg-1".into(), remote, ..LegUpdate::default() });
    rig.done(|op| WorkerCommand::Update { op, leg: LegId(1), change });
    assert!(rig.actions.is_empty());
}

#[test]
fn garbage_on_a_leg_is_counted_and_does_not_latch() {
    let mut rig = Rig::new();
    rig.create(setup(1));
    for garbage in [&[0][..], &[0x80; 11], &[0; 200], &[0xFF; 3]] {
        assert!(rig.receive(1, garbage).is_err());
    }
    assert_eq!(
        rig.receive(1, &[]),
        Err(Verdict::Drop(DropReason::Stranger)),
        "an empty datagram teaches nothing"
    );
    assert_eq!(rig.info(1).counters.drops.malformed, 4);
    assert_eq!(rig.info(1).latched, None);
}

#[test]
fn what_the_shell_could_not_do_is_counted() {
    let mut rig = Rig::with_legs(1);
    let ix = rig.ix(1);
    rig.worker.handle_truncated(ix, offhook_engine_core::Socket::Rtp);
    rig.worker.handle_send_failed(ix);
    let drops = rig.info(1).counters.drops;
    assert_eq!((drops.truncated, drops.send_failed), (1, 1));
    rig.worker.handle_connect_failed(ix, offhook_engine_core::Socket::Rtp);
    rig.create(setup(2));
    rig.splice(1, 2);
    assert_eq!(Talker::new(2).talk(&mut rig, 1).map(|sent| sent.address), Ok(Some(phone(1))));
}

proptest! {
    #[test]
    fn whatever_arrives_never_panics_and_is_never_longer_when_sent_on(
        packets in proptest::collection::vec(
            (1_u64..=2, any::<bool>(), any::<bool>(), proptest::collection::vec(any::<u8>(), 0..80)), 1..60),
    ) {
        let mut rig = Rig::with_legs(2);
        rig.splice(1, 2);
        for (leg, likely, reports, mut packet) in packets {
            if likely && packet.len() > 1 {
                packet[0] = 0x80 | packet[0] & 0x3F;
                packet[1] = [0, 101, 13, 0x80, 200, 201][usize::from(packet[1]) % 6];
            }
            rig.now = rig.now + 1_000;
            if reports {
                rig.receive_rtcp(leg, phone(leg), &packet);
            } else if let Ok(sent) = rig.receive(leg, &packet) {
                prop_assert_eq!(sent.bytes.len(), packet.len());
                prop_assert_eq!(sent.header().ssrc, 0x5500_0003 - leg as u32);
            }
        }
        rig.pass_ms(20_000);
    }
}
