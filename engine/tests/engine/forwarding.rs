//! Two legs, spliced.

use std::net::{IpAddr, Ipv6Addr};

use offhook_proto::{
    AudioDirection, Codec, Command, EngineInfo, EventBody, Idle, LegCreate, LegState, Media, Splice,
};

use crate::support::{Engine, Packet, Phone, assert_one_stream, leg_towards, number, splice, spoken};

#[test]
fn each_phone_hears_every_byte_of_the_other_in_one_stream() {
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut ann, mut bob) = (Phone::new(), Phone::new());
    let (a, b) = (client.create("a", &ann), client.create("b", &bob));
    client.splice("a", "b");
    let (mut by_ann, mut by_bob) = (Vec::new(), Vec::new());
    for n in 0..100 {
        ann.say(a.rtp, n);
        by_bob.push(bob.hear());
        bob.say(b.rtp, n);
        by_ann.push(ann.hear());
    }
    for (heard, leg, speaker) in [(&by_bob, &b, &ann), (&by_ann, &a, &bob)] {
        assert_one_stream(heard);
        assert_eq!(heard[0].ssrc, leg.ssrc);
        assert!(heard[0].marker, "a talkspurt begins with the marker");
        for (n, packet) in heard.iter().enumerate() {
            assert_eq!(packet.payload, spoken(speaker.next.ssrc, n as u32));
        }
        for pair in heard.windows(2) {
            assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 160);
        }
    }
    let info = client.query("a");
    assert_eq!((info.state, info.spliced_to.as_deref()), (LegState::Spliced, Some("b")));
    assert_eq!((info.latched, info.remote_ssrc), (Some(ann.address()), Some(ann.next.ssrc)));
    let counters = info.counters;
    assert_eq!((counters.packets_received, counters.packets_forwarded, counters.packets_lost), (100, 100, 0));
    assert_eq!((counters.packets_sent, counters.bytes_sent), (100, 16_000));
}

#[test]
fn ipv6_legs_are_spliced_like_any() {
    let engine = Engine::start_with(&["--media-address", "127.0.0.1", "--media-address", "::1"]);
    let mut client = engine.client();
    let (mut six, four) = (Phone::on(IpAddr::V6(Ipv6Addr::LOCALHOST)), Phone::new());
    let a = client.create("six", &six);
    client.create("four", &four);
    assert!(a.rtp.is_ipv6());
    client.splice("six", "four");
    for n in 0..20 {
        six.say(a.rtp, n);
        assert_eq!(number(&four.hear()), n);
    }
}

#[test]
fn a_closed_gate_lets_one_side_listen_and_not_speak() {
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut agent, mut customer) = (Phone::new(), Phone::new());
    let (a, c) = (client.create("agent", &agent), client.create("customer", &customer));
    let gates = |b_hears_a| {
        Command::Splice(Splice {
            a: "agent".into(),
            b: "customer".into(),
            a_hears_b: true,
            b_hears_a,
            replace: false,
            since_us: None,
        })
    };
    client.done(gates(false));
    customer.say(c.rtp, 1);
    assert_eq!(number(&agent.hear()), 1);
    agent.say(a.rtp, 2);
    client.await_leg("agent", |leg| leg.counters.drops.gate_closed == 1);
    client.done(gates(true));
    agent.say(a.rtp, 3);
    assert_eq!(number(&customer.hear()), 3);
}

#[test]
fn mu_law_and_a_law_are_converted_both_ways() {
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut ann, mut bob) = (Phone::new(), Phone::new());
    bob.next.payload_type = 8;
    let a = client.create("a", &ann);
    let media = Media { codec: Codec::Pcma, payload_type: 8, ..Media::default() };
    let b = client.create_with(LegCreate { media, idle: Idle::None, ..leg_towards("b", &bob) });
    client.splice("a", "b");
    ann.send(a.rtp, &[0xff; 160]);
    let Packet { payload_type, payload, .. } = bob.hear();
    assert_eq!((payload_type, payload), (8, vec![0xd5; 160]));
    bob.send(b.rtp, &[0xd5; 160]);
    let Packet { payload_type, payload, .. } = ann.hear();
    // The quietest A-law value is above zero, and so is its neighbour in µ-law (G.711 table 4).
    assert_eq!((payload_type, payload), (0, vec![0xfe; 160]));
}

#[test]
fn an_unspliced_microphone_goes_nowhere() {
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut ann, bob) = (Phone::new(), Phone::new());
    let a = client.create("a", &ann);
    client.create("b", &bob);
    client.splice("a", "b");
    ann.say(a.rtp, 1);
    let before = bob.hear();
    client.unsplice("b");
    for n in 2..12 {
        ann.say(a.rtp, n);
    }
    client.await_leg("a", |leg| leg.counters.drops.not_spliced == 10);
    client.splice("a", "b");
    ann.say(a.rtp, 12);
    let after = bob.hear();
    assert_eq!(number(&after), 12, "what was said in between is gone");
    assert_one_stream(&[before, after]);
}

#[test]
fn a_leg_that_is_joined_to_another_is_not_taken_away_by_accident() {
    let engine = Engine::start();
    let mut client = engine.client();
    let phones = [Phone::new(), Phone::new(), Phone::new()];
    for (leg, phone) in ["a", "b", "c"].iter().zip(&phones) {
        client.create(leg, phone);
    }
    client.splice("a", "b");
    let error = client.refused(splice("c", "b"));
    assert_eq!(error.code, offhook_proto::ErrorCode::AlreadySpliced);
    assert_eq!(client.query("a").spliced_to.as_deref(), Some("b"));
    let same = client.refused(splice("c", "c"));
    assert_eq!(same.code, offhook_proto::ErrorCode::SameLeg);
}

#[test]
fn the_time_to_first_audio_is_told_for_each_direction() {
    let engine = Engine::start();
    let mut client = engine.subscriber("test", 0);
    let (mut agent, mut customer) = (Phone::new(), Phone::new());
    let (a, c) = (client.create("agent", &agent), client.create("customer", &customer));
    // The customer answered when the engine had just started, which is as far back as it knows.
    let up: EngineInfo = client.ask(Command::Ping);
    let before_us = up.uptime_ms * 1_000;
    client.done(Command::Splice(Splice {
        a: "agent".into(),
        b: "customer".into(),
        a_hears_b: true,
        b_hears_a: true,
        replace: false,
        since_us: Some(before_us),
    }));
    for (phone, leg, from, to) in
        [(&mut customer, &c, "customer", "agent"), (&mut agent, &a, "agent", "customer")]
    {
        phone.say(leg.rtp, 1);
        let audio = client.await_event(|event| match event {
            EventBody::SpliceAudio(audio) => Some(audio),
            _ => None,
        });
        assert_eq!((audio.from.as_str(), audio.to.as_str(), audio.dropped_packets), (from, to, 0));
        assert!(audio.after_us >= before_us, "{audio:?}");
    }
}

#[test]
fn a_silent_phone_is_noticed_and_so_is_its_return() {
    let engine = Engine::start();
    let mut client = engine.subscriber("test", 0);
    let mut phone = Phone::new();
    let create = LegCreate { silent_after_ms: 100, idle: Idle::None, ..leg_towards("a", &phone) };
    let leg = client.create_with(create);
    phone.say(leg.rtp, 1);
    let silent_ms = client.await_event(|event| match event {
        EventBody::LegSilent { silent_ms, .. } => Some(silent_ms),
        _ => None,
    });
    assert!(silent_ms >= 100);
    phone.say(leg.rtp, 2);
    client.await_event(|event| matches!(event, EventBody::LegAlive { .. }).then_some(()));
}

#[test]
fn by_02_a_phone_of_which_only_reports_come_is_told_as_one_way_until_it_speaks_again() {
    let engine = Engine::start();
    let mut client = engine.subscriber("test", 0);
    let (mut ann, mut bob) = (Phone::new(), Phone::new());
    let create = |leg, phone: &Phone| LegCreate { one_way_after_ms: Some(1_000), ..leg_towards(leg, phone) };
    let (a, b) = (client.create_with(create("a", &ann)), client.create_with(create("b", &bob)));
    client.splice("a", "b");
    ann.say(a.rtp, 1);
    bob.hear();
    bob.say(b.rtp, 1);
    ann.hear();
    // Ann's receiver report, about nobody.
    let [b0, b1, b2, b3] = ann.next.ssrc.to_be_bytes();
    ann.rtcp.send_to(&[0x80, 201, 0, 1, b0, b1, b2, b3], a.rtcp).expect("sent");
    let unheard_ms = client.await_event(|event| match event {
        EventBody::LegOneWay { leg, direction: AudioDirection::FromPeer, unheard_ms } if leg == "a" => {
            Some(unheard_ms)
        }
        _ => None,
    });
    assert!(unheard_ms >= 1_000, "{unheard_ms}");
    ann.say(a.rtp, 2);
    client.await_event(|event| match event {
        EventBody::LegTwoWay { leg, direction: AudioDirection::FromPeer } if leg == "a" => Some(()),
        _ => None,
    });
}
