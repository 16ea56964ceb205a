//! The client and an engine that exists only here, on a network that loses, repeats and reorders.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use offhook_proto::{
    Client, ClientEvent, Command, Event, LegDelete, Reply, Request, RequestId, Subscribed, frame,
};

use crate::support::{MS, S, config, event};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// As much of an engine as the contract on cookies and events needs.
struct Engine {
    run: u64,
    replies: BTreeMap<String, Vec<u8>>,
    executed: Vec<String>,
    subscribed: bool,
    events: VecDeque<Event>,
    seq: u64,
    resend_us: u64,
}

impl Engine {
    fn new(run: u64) -> Self {
        Self {
            run,
            replies: BTreeMap::new(),
            executed: Vec::new(),
            subscribed: false,
            events: VecDeque::new(),
            seq: 0,
            resend_us: 0,
        }
    }

    fn instance(&self) -> String {
        format!("run-{}", self.run)
    }

    fn handle(&mut self, datagram: &[u8]) -> Vec<u8> {
        let (cookie, body) = frame::split(datagram).expect("clients send cookies");
        if let Some(reply) = self.replies.get(cookie) {
            return reply.clone();
        }
        let reply = match Request::parse(body).expect("clients send sound requests").command {
            Command::Ping => Reply::Ok(
                [("result", "pong".into()), ("instance", self.instance().into())]
                    .map(|(key, value): (&str, serde_json::Value)| (key.to_owned(), value))
                    .into_iter()
                    .collect(),
            ),
            Command::Subscribe(_) => {
                self.subscribed = true;
                Reply::ok(&Subscribed { instance: self.instance(), seq: self.seq })
            }
            Command::EventAck(ack) => {
                self.events.retain(|event| event.seq > ack.seq);
                Reply::done()
            }
            Command::LegDelete(body) => {
                self.executed.push(body.leg);
                Reply::done()
            }
            other => panic!("the test does not send {other:?}"),
        };
        let reply = frame::join(cookie, &reply);
        self.replies.insert(cookie.to_owned(), reply.clone());
        reply
    }

    fn raise(&mut self) {
        if self.subscribed {
            self.seq += 1;
            self.events.push_back(event(&self.instance(), self.seq));
        }
    }
}

/// One history. Every call ends once; nothing is executed twice in one run; events come in order, once, without a gap.
fn history(seed: u64) {
    let mut random = Random(seed);
    let mut client = Client::new(0, seed, config()).expect("it is sound");
    let mut engine = Engine::new(0);
    let mut wire: BTreeMap<(u64, u64), (bool, Vec<u8>)> = BTreeMap::new();
    let (mut now, mut tie, mut legs) = (0, 0, 0);
    let loss_percent = random.below(40);
    let mut asked: BTreeSet<RequestId> = BTreeSet::new();
    let mut next_seq: BTreeMap<String, u64> = BTreeMap::new();
    let mut current = None;
    let mut post = |now: u64,
                    to_engine: bool,
                    datagram: Vec<u8>,
                    random: &mut Random,
                    calm: bool,
                    wire: &mut BTreeMap<_, _>| {
        let copies =
            if calm { 1 } else { u64::from(random.below(100) >= loss_percent) * (1 + random.below(10) / 9) };
        for _ in 0..copies {
            tie += 1;
            let delay = if calm { 500 } else { random.below(120 * MS) };
            wire.insert((now + delay, tie), (to_engine, datagram.clone()));
        }
    };
    let end = 60 * S;
    let restart_at = random.below(60) * S;
    let mut restarted = false;
    while now < end {
        let calm = now > 40 * S;
        if !restarted && now >= restart_at && now < 30 * S {
            restarted = true;
            check_executed(&engine, seed);
            engine = Engine::new(1);
        }
        if now < 30 * S && random.below(8) == 0 {
            legs += 1;
            let leg = format!("leg-{legs}");
            let id = client.request(now, Command::LegDelete(LegDelete { leg })).expect("there is room");
            asked.insert(id);
        }
        if now < 50 * S && random.below(6) == 0 {
            engine.raise();
        }
        if now >= engine.resend_us {
            engine.resend_us = now + 250 * MS;
            for event in engine.events.iter().take(64) {
                post(now, false, frame::join("event", event), &mut random, calm, &mut wire);
            }
        }
        while let Some(entry) = wire.first_entry().filter(|entry| entry.key().0 <= now) {
            let (to_engine, datagram) = entry.remove();
            if to_engine {
                let reply = engine.handle(&datagram);
                post(now, false, reply, &mut random, calm, &mut wire);
            } else {
                client.handle_datagram(now, &datagram);
            }
        }
        client.handle_timeout(now);
        while let Some(datagram) = client.poll_transmit() {
            post(now, true, datagram, &mut random, calm, &mut wire);
        }
        while let Some(news) = client.poll_event() {
            match news {
                ClientEvent::Reply { id, .. } => {
                    assert!(asked.remove(&id), "seed {seed}: {id:?} ended twice");
                }
                ClientEvent::Event(event) => {
                    assert_eq!(
                        Some(&event.instance),
                        current.as_ref(),
                        "seed {seed}: an event of another run"
                    );
                    let next = next_seq.entry(event.instance.clone()).or_insert(event.seq);
                    assert_eq!(event.seq, *next, "seed {seed}: events of {} out of order", event.instance);
                    *next += 1;
                }
                ClientEvent::EngineUp { instance } => {
                    assert_eq!(current.replace(instance), None, "seed {seed}");
                }
                ClientEvent::EngineRestarted { old, new } => {
                    assert_eq!(current.replace(new), Some(old), "seed {seed}: it came back from the dead");
                }
                ClientEvent::EventsMissed => panic!("seed {seed}: an event was given up"),
                ClientEvent::SubscribeRefused(error) => panic!("seed {seed}: {error}"),
                ClientEvent::EngineSilent | ClientEvent::EngineBack => {}
            }
        }
        now += 1 + random.below(20 * MS);
    }
    check_executed(&engine, seed);
    assert_eq!(asked, BTreeSet::new(), "seed {seed}: calls without an end");
    assert_eq!(engine.events, [], "seed {seed}: events without an acknowledgement");
    assert_eq!(current, Some(engine.instance()), "seed {seed}");
    if let Some(next) = next_seq.get(&engine.instance()) {
        assert_eq!(*next, engine.seq + 1, "seed {seed}: the last events did not arrive");
    }
}

fn check_executed(engine: &Engine, seed: u64) {
    let once: BTreeSet<_> = engine.executed.iter().collect();
    assert_eq!(once.len(), engine.executed.len(), "seed {seed}: executed twice in run {}", engine.run);
}

#[test]
fn on_a_network_that_loses_repeats_and_reorders_calls_end_once_and_events_come_once_in_order() {
    for seed in 0..400 {
        history(seed);
    }
}
