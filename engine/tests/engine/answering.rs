//! The first words after an answer (BY-01).

use std::time::{Duration, Instant};

use offhook_proto::{Command, EventBody, Idle, LegCreate, LegUpdate, Remote, Splice};

use crate::support::{Engine, Phone, assert_one_stream, leg_towards, number};

/// Packets are held for 160 ms. A round that took longer than this says nothing, and is done again.
const IN_TIME: Duration = Duration::from_millis(100);

#[test]
fn by_01_what_a_phone_says_after_its_answer_waits_for_the_controller() {
    let engine = Engine::start();
    let mut client = engine.subscriber("test", 0);
    let agent = Phone::new();
    client.create("agent", &agent);
    for round in 0.. {
        let (mut customer, leg) = (Phone::new(), format!("customer-{round}"));
        let create = LegCreate { idle: Idle::None, remote: None, ..leg_towards(&leg, &customer) };
        // On the other worker, so that what is held has to move.
        let created = client.create_with(LegCreate { worker: Some(1), ..create });
        let answered = Instant::now();
        for n in 0..3 {
            customer.say(created.rtp, n);
        }
        client.await_leg(&leg, |leg| leg.counters.packets_received == 3);
        let remote = Some(Remote { rtp: customer.address(), rtcp: None });
        client.done(Command::LegUpdate(LegUpdate { leg: leg.clone(), remote, ..LegUpdate::default() }));
        client.done(Command::Splice(Splice {
            a: "agent".into(),
            b: leg.clone(),
            a_hears_b: true,
            b_hears_a: true,
            replace: true,
            since_us: Some(answered.elapsed().as_micros() as u64),
        }));
        if answered.elapsed() > IN_TIME {
            agent.heard();
            continue;
        }
        customer.say(created.rtp, 3);
        let heard: Vec<_> = (0..4).map(|_| agent.hear()).collect();
        assert_one_stream(&heard);
        assert_eq!(heard.iter().map(number).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let dropped = client.await_event(|event| match event {
            EventBody::SpliceAudio(audio) if audio.from == leg => Some(audio.dropped_packets),
            _ => None,
        });
        assert_eq!(dropped, 0);
        return;
    }
}
