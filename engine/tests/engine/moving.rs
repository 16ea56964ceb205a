//! Legs that move between workers, and legs that are parked: nothing is lost on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use offhook_proto::{Command, EventBody, Idle, LegCreate, LegPark, LegState, LegUnpark};

use crate::support::{Engine, Phone, assert_one_stream, leg_towards, number};

/// A leg's move to another worker while its phone keeps talking.
#[test]
fn a_leg_moves_between_workers_under_traffic_without_losing_a_packet() {
    const MOVES: u32 = 40;
    // Unheard words at most: with twice as many a socket's queue is not full, however late its reader is.
    const AHEAD: u32 = 100;
    let engine = Engine::start();
    let mut client = engine.client();
    let (left, right, mut mover) = (Phone::new(), Phone::new(), Phone::new());
    let on = |worker, leg, phone: &Phone| LegCreate {
        worker: Some(worker),
        idle: Idle::None,
        ..leg_towards(leg, phone)
    };
    client.create_with(on(0, "left", &left));
    client.create_with(on(1, "right", &right));
    let moving = client.create_with(on(0, "mover", &mover));

    let (spoken, silent) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let may_speak = Arc::new(AtomicU32::new(AHEAD));
    let speaker = {
        let (spoken, silent) = (Arc::clone(&spoken), Arc::clone(&silent));
        let may_speak = Arc::clone(&may_speak);
        thread::spawn(move || {
            while !silent.load(Ordering::Relaxed) {
                let next = spoken.load(Ordering::Relaxed);
                if next < may_speak.load(Ordering::Relaxed) {
                    mover.say(moving.rtp, next);
                    spoken.store(next + 1, Ordering::Release);
                }
                thread::sleep(Duration::from_micros(200));
            }
        })
    };
    for round in 0..MOVES {
        let (partner, phone) = if round % 2 == 0 { ("right", &right) } else { ("left", &left) };
        client.splice(partner, "mover");
        // Whatever is said from here on must be heard, one after another.
        let joined = spoken.load(Ordering::Acquire);
        may_speak.fetch_max(joined + AHEAD, Ordering::Relaxed);
        let mut heard = number(&phone.hear());
        assert!(heard <= joined, "round {round}: the first word heard is {heard}, after {joined}");
        while heard < joined + 50 {
            let next = number(&phone.hear());
            assert_eq!(next, heard + 1, "round {round}");
            heard = next;
            may_speak.fetch_max(heard + AHEAD, Ordering::Relaxed);
        }
        assert_eq!(client.query("mover").worker, u16::from(partner == "right"));
        client.unsplice("mover");
        phone.heard();
    }
    silent.store(true, Ordering::Relaxed);
    speaker.join().expect("it spoke");
    let total = u64::from(spoken.load(Ordering::Relaxed));
    let info = client.await_leg("mover", |leg| leg.counters.packets_received == total);
    assert_eq!(info.counters.packets_lost, 0);
}

#[test]
fn what_a_moved_leg_hears_stays_one_stream() {
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut left, mut right, mover) = (Phone::new(), Phone::new(), Phone::new());
    let on = |worker, leg, phone: &Phone| LegCreate {
        worker: Some(worker),
        idle: Idle::None,
        ..leg_towards(leg, phone)
    };
    let l = client.create_with(on(0, "left", &left));
    let r = client.create_with(on(1, "right", &right));
    client.create_with(on(0, "mover", &mover));
    let mut heard = Vec::new();
    for round in 0..20 {
        let (partner, phone, leg) =
            if round % 2 == 0 { ("right", &mut right, &r) } else { ("left", &mut left, &l) };
        client.splice(partner, "mover");
        for n in 0..10 {
            phone.say(leg.rtp, round * 10 + n);
            heard.push(mover.hear());
        }
        client.unsplice("mover");
    }
    assert_one_stream(&heard);
    assert_eq!(heard.iter().map(number).collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
    assert_eq!(heard.iter().filter(|packet| packet.marker).count(), 20, "each splice begins a talkspurt");
}

#[test]
fn a_parked_leg_still_reports_keys_and_life_and_the_rest_ends_in_the_kernel() {
    let engine = Engine::start();
    let mut client = engine.subscriber("test", 0);
    let mut phone = Phone::new();
    let leg = client.create("a", &phone);
    client.done(Command::LegPark(LegPark { leg: "a".into(), keep_one_in: Some(16) }));
    assert_eq!(client.query("a").state, LegState::Parked);
    phone.next.sequence = 1;
    for n in 0..160 {
        phone.say(leg.rtp, n);
    }
    // RFC 4733: key 5 at its end, three times.
    phone.next.payload_type = 101;
    for _ in 0..3 {
        phone.send(leg.rtp, &[5, 0x8a, 0x03, 0x20]);
    }
    let (key, held_ms) = client.await_event(|event| match event {
        EventBody::Dtmf { digit, duration_ms, .. } => Some((digit, duration_ms)),
        _ => None,
    });
    assert_eq!((key, held_ms), ('5', 100));
    let counters = client.query("a").counters;
    assert_eq!(counters.packets_received, 10 + 3, "one in sixteen, and the key");
    assert_eq!(
        (counters.packets_filtered, counters.packets_lost),
        (135, 0),
        "known from the first packet on, which is number 16"
    );
}

#[test]
fn after_the_reply_to_unpark_no_packet_is_lost() {
    let engine = Engine::start();
    let mut client = engine.client();
    let mut phone = Phone::new();
    let leg = client.create_with(LegCreate { park: true, idle: Idle::None, ..leg_towards("a", &phone) });
    let mut open = 0;
    for round in 0..20 {
        for n in 0..20 {
            phone.say(leg.rtp, n);
        }
        client.done(Command::LegUnpark(LegUnpark { leg: "a".into() }));
        let before = client.query("a").counters.packets_received;
        for n in 0..20 {
            phone.say(leg.rtp, n);
        }
        open += 20;
        client.await_leg("a", |leg| leg.counters.packets_received == before + 20);
        client.done(Command::LegPark(LegPark { leg: "a".into(), keep_one_in: None }));
        assert_eq!(client.query("a").counters.packets_lost, 0, "round {round}, {open} sent while open");
    }
}

#[test]
fn a_splice_unparks_both_legs_and_each_hears_the_first_word() {
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut agent, mut customer) = (Phone::new(), Phone::new());
    let parked = |leg, phone: &Phone| LegCreate { park: true, idle: Idle::None, ..leg_towards(leg, phone) };
    let a = client.create_with(parked("agent", &agent));
    let c = client.create_with(parked("customer", &customer));
    for round in 0..10 {
        client.splice("agent", "customer");
        customer.say(c.rtp, round);
        assert_eq!(number(&agent.hear()), round);
        agent.say(a.rtp, round);
        assert_eq!(number(&customer.hear()), round);
        client.done(Command::Unsplice(offhook_proto::Unsplice {
            leg: "agent".into(),
            park: vec!["agent".into(), "customer".into()],
        }));
    }
}
