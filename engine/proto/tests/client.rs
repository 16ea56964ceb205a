//! The client against an engine that exists only here, on one virtual clock and a network that loses, repeats and
//! reorders.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use offhook_proto::client::Counters;
use offhook_proto::{
    Client, ClientEvent, Command, Config, Error, ErrorCode, Event, EventBody, LegDelete, LegQuery, Reply,
    Request, RequestId, Subscribed, frame,
};

const MS: u64 = 1_000;
const S: u64 = 1_000_000;

fn config() -> Config {
    Config { controller: Some("north-1".to_owned()), lease_ms: Some(30_000), ..Config::default() }
}

fn one_shot() -> Client {
    Client::new(0, 1, Config::one_shot()).expect("the default is sound")
}

fn query(leg: &str) -> Command {
    Command::LegQuery(LegQuery { leg: leg.to_owned() })
}

fn sent(client: &mut Client) -> Vec<(String, Request)> {
    std::iter::from_fn(|| client.poll_transmit())
        .map(|datagram| {
            let (cookie, body) = frame::split(&datagram).expect("it has a cookie");
            (cookie.to_owned(), Request::parse(body).expect("a client writes sound requests"))
        })
        .collect()
}

fn news(client: &mut Client) -> Vec<ClientEvent> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

fn pong(client: &mut Client, now: u64, cookie: &str, instance: &str) {
    let body = serde_json::json!({"result": "pong", "instance": instance});
    client.handle_datagram(now, &frame::join(cookie, &body));
}

fn subscribed(client: &mut Client, now: u64, cookie: &str, instance: &str, seq: u64) {
    let reply = Reply::ok(&Subscribed { instance: instance.to_owned(), seq });
    client.handle_datagram(now, &frame::join(cookie, &reply));
}

fn event(instance: &str, seq: u64) -> Event {
    let body = EventBody::LegAlive { leg: format!("leg-{seq}") };
    Event { instance: instance.to_owned(), seq, at_ms: 0, body }
}

/// A client that is subscribed to run `a` from event 1 on.
fn subscriber() -> Client {
    let mut client = Client::new(0, 1, config()).expect("it is sound");
    client.handle_timeout(0);
    for (cookie, request) in sent(&mut client) {
        match request.command {
            Command::Ping => pong(&mut client, 0, &cookie, "a"),
            Command::Subscribe(_) => subscribed(&mut client, 0, &cookie, "a", 0),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(news(&mut client), [ClientEvent::EngineUp { instance: "a".to_owned() }]);
    client
}

#[test]
fn a_request_is_sent_again_with_the_same_cookie_after_growing_pauses_and_then_given_up() {
    let mut client = one_shot();
    let id = client.request(0, query("a")).expect("it is sound");
    let mut times = Vec::new();
    let mut cookies = BTreeSet::new();
    let mut now = 0;
    loop {
        for (cookie, _) in sent(&mut client) {
            times.push(now / MS);
            cookies.insert(cookie);
        }
        if let Some(ClientEvent::Reply { id: ended, result }) = client.poll_event() {
            assert_eq!(
                (ended, result.expect_err("nobody answered").code, now),
                (id, ErrorCode::Timeout, 3 * S)
            );
            break;
        }
        now = client.poll_timeout().expect("the request has a deadline");
        client.handle_timeout(now);
    }
    assert_eq!(times, [0, 100, 300, 700, 1_500, 2_300]);
    assert_eq!(cookies.len(), 1);
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn a_reply_ends_its_request_once_and_late_ones_are_counted() {
    let mut client = one_shot();
    let id = client.request(0, query("a")).expect("it is sound");
    let (cookie, _) = sent(&mut client).remove(0);
    let refusal = Error::new(ErrorCode::LegNotFound, "no leg is called a");
    for _ in 0..2 {
        client.handle_datagram(5, &frame::join(&cookie, &Reply::Error(refusal.clone())));
    }
    assert_eq!(news(&mut client), [ClientEvent::Reply { id, result: Err(refusal) }]);
    assert_eq!((client.counters().stray, client.poll_timeout()), (1, None));
}

#[test]
fn clients_with_other_seeds_use_other_cookies_and_ignore_each_others_replies() {
    let mut clients = [1, 2].map(|seed| Client::new(0, seed, Config::one_shot()).expect("it is sound"));
    let cookies = clients.each_mut().map(|client| {
        client.request(0, query("a")).expect("it is sound");
        sent(client).remove(0).0
    });
    assert_ne!(cookies[0], cookies[1]);
    clients[0].handle_datagram(1, &frame::join(&cookies[1], &Reply::done()));
    assert_eq!((clients[0].poll_event(), clients[0].counters().stray), (None, 1));
}

#[test]
fn an_unsound_request_is_refused_before_it_is_sent() {
    let mut client = one_shot();
    assert_eq!(client.request(0, query("a b")).expect_err("a space").code, ErrorCode::BadValue);
    assert_eq!(client.poll_transmit(), None);
}

#[test]
fn a_window_of_requests_is_in_flight_the_rest_wait_and_beyond_a_limit_the_client_is_busy() {
    let mut client = one_shot();
    for n in 0..65_536 {
        client.request(0, query(&format!("leg-{n}"))).expect("there is room");
    }
    assert_eq!(client.request(0, query("a")).expect_err("it is full").code, ErrorCode::Busy);
    let first = sent(&mut client);
    assert_eq!(first.len(), 1_024);
    client.handle_datagram(1, &frame::join(&first[7].0, &Reply::done()));
    let next = sent(&mut client);
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].1.command, query("leg-1024"));
    assert_eq!(client.request(1, query("a")).expect_err("the reply was not polled").code, ErrorCode::Busy);
    assert_eq!(news(&mut client).len(), 1);
    assert!(client.request(1, query("a")).is_ok());
    client.handle_timeout(4 * S);
    assert_eq!(news(&mut client).len(), 65_536);
    assert_eq!((client.poll_timeout(), client.poll_transmit()), (None, None));
}

#[test]
fn events_are_handed_over_in_order_and_once() {
    let mut client = subscriber();
    for seq in [2, 1, 1, 4, 2, 3, 5] {
        client.handle_datagram(MS, &frame::join("event", &event("a", seq)));
    }
    let seqs: Vec<u64> = news(&mut client)
        .into_iter()
        .map(|news| match news {
            ClientEvent::Event(event) => event.seq,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    assert_eq!(client.counters().events_dropped, 2);
}

#[test]
fn events_are_acknowledged_together_after_20_ms_or_at_once_after_16() {
    let mut client = subscriber();
    for seq in 1..=3 {
        client.handle_datagram(MS, &frame::join("event", &event("a", seq)));
    }
    assert_eq!(client.poll_timeout(), Some(21 * MS));
    assert_eq!(sent(&mut client), []);
    client.handle_timeout(21 * MS);
    assert_eq!(acknowledged(&mut client), [3]);
    for seq in 4..=19 {
        client.handle_datagram(22 * MS, &frame::join("event", &event("a", seq)));
    }
    assert_eq!(acknowledged(&mut client), [19]);
    client.handle_datagram(30 * MS, &frame::join("event", &event("a", 19)));
    client.handle_timeout(50 * MS);
    assert_eq!(acknowledged(&mut client), [19], "it came again, so the acknowledgement was lost");
}

fn acknowledged(client: &mut Client) -> Vec<u64> {
    sent(client)
        .into_iter()
        .map(|(_, request)| match request.command {
            Command::EventAck(ack) => ack.seq,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn an_event_of_an_unknown_kind_is_acknowledged_and_left_out() {
    let mut client = subscriber();
    let unknown = serde_json::json!({"instance": "a", "seq": 1, "at_ms": 0, "event": "leg.sang", "leg": "x"});
    client.handle_datagram(MS, &frame::join("event", &unknown));
    client.handle_datagram(MS, &frame::join("event", &event("a", 2)));
    assert_eq!(news(&mut client), [ClientEvent::Event(event("a", 2))]);
    assert_eq!(client.counters().events_unknown, 1);
}

#[test]
fn events_that_their_owner_has_no_room_for_are_left_to_be_sent_again() {
    let mut client = subscriber();
    client.hold_events(true);
    client.handle_datagram(MS, &frame::join("event", &event("a", 1)));
    client.handle_timeout(100 * MS);
    assert_eq!((news(&mut client), sent(&mut client)), (vec![], vec![]));
    client.hold_events(false);
    client.handle_datagram(200 * MS, &frame::join("event", &event("a", 1)));
    assert_eq!(news(&mut client), [ClientEvent::Event(event("a", 1))]);
}

#[test]
fn an_event_that_never_comes_is_given_up_after_ten_seconds_with_a_word() {
    let mut client = subscriber();
    client.handle_datagram(MS, &frame::join("event", &event("a", 2)));
    for second in 1..=10 {
        client.handle_timeout(MS + second * S);
    }
    let news: Vec<_> =
        news(&mut client).into_iter().filter(|news| *news != ClientEvent::EngineSilent).collect();
    assert_eq!(news, [ClientEvent::EventsMissed, ClientEvent::Event(event("a", 2))]);
}

#[test]
fn a_subscription_begins_after_what_was_raised_before_it() {
    let mut client = Client::new(0, 1, config()).expect("it is sound");
    client.handle_timeout(0);
    client.handle_datagram(1, &frame::join("event", &event("a", 41)));
    client.handle_datagram(1, &frame::join("event", &event("a", 42)));
    let (cookie, _) = sent(&mut client)
        .into_iter()
        .find(|(_, request)| matches!(request.command, Command::Subscribe(_)))
        .expect("it subscribes at once");
    subscribed(&mut client, 2, &cookie, "a", 41);
    let up = ClientEvent::EngineUp { instance: "a".to_owned() };
    assert_eq!(news(&mut client), [up, ClientEvent::Event(event("a", 42))]);
    assert_eq!(acknowledged(&mut client), [42], "which covers those before it");
}

#[test]
fn another_instance_is_reported_and_subscribed_to_from_its_start() {
    let mut client = subscriber();
    client.handle_datagram(MS, &frame::join("event", &event("a", 1)));
    assert_eq!(news(&mut client).len(), 1);
    client.handle_timeout(S);
    let ping = sent(&mut client)
        .into_iter()
        .find(|(_, request)| request.command == Command::Ping)
        .expect("an idle client pings");
    pong(&mut client, S, &ping.0, "b");
    assert_eq!(
        news(&mut client),
        [ClientEvent::EngineRestarted { old: "a".to_owned(), new: "b".to_owned() }]
    );
    let (cookie, after) = subscription(&mut client);
    assert_eq!(after, None);
    subscribed(&mut client, S, &cookie, "b", 0);
    client.handle_datagram(S, &frame::join("event", &event("a", 2)));
    client.handle_datagram(S, &frame::join("event", &event("b", 1)));
    assert_eq!(
        news(&mut client),
        [ClientEvent::Event(event("b", 1))],
        "the old run's event was long under way"
    );
    assert_eq!(client.instance(), Some("b"));
}

fn subscription(client: &mut Client) -> (String, Option<u64>) {
    sent(client)
        .into_iter()
        .find_map(|(cookie, request)| match request.command {
            Command::Subscribe(body) => Some((cookie, body.after)),
            _ => None,
        })
        .expect("it subscribes")
}

#[test]
fn silence_is_reported_once_and_its_end_renews_the_subscription_where_it_stood() {
    let mut client = subscriber();
    client.handle_datagram(MS, &frame::join("event", &event("a", 1)));
    news(&mut client);
    let mut now = 0;
    while now < 8 * S {
        now = client.poll_timeout().expect("it watches the engine");
        client.handle_timeout(now);
    }
    assert_eq!(news(&mut client), [ClientEvent::EngineSilent]);
    let pings = sent(&mut client);
    let (cookie, _) =
        pings.iter().rev().find(|(_, request)| request.command == Command::Ping).expect("it goes on pinging");
    pong(&mut client, now, cookie, "a");
    assert_eq!(news(&mut client), [ClientEvent::EngineBack]);
    let (cookie, after) = subscription(&mut client);
    assert_eq!(after, Some(1));
    subscribed(&mut client, now, &cookie, "a", 0);
    assert_eq!(news(&mut client), [ClientEvent::EventsMissed], "the engine numbers anew");
    client.handle_datagram(now, &frame::join("event", &event("a", 1)));
    assert_eq!(news(&mut client), [ClientEvent::Event(event("a", 1))]);
}

#[test]
fn a_refused_subscription_is_reported_and_tried_again() {
    let mut client = Client::new(0, 1, config()).expect("it is sound");
    client.handle_timeout(0);
    let (cookie, _) = subscription(&mut client);
    let refusal = Error::new(ErrorCode::Busy, "too many subscribers");
    client.handle_datagram(0, &frame::join(&cookie, &Reply::Error(refusal.clone())));
    assert_eq!(news(&mut client), [ClientEvent::SubscribeRefused(refusal)]);
    client.handle_timeout(S);
    assert_eq!(subscription(&mut client).1, None);
}

#[test]
fn garbage_is_counted_and_changes_nothing() {
    let mut client = subscriber();
    for garbage in
        [b"".as_slice(), b"x", b"event ", b"event {}", b"event {\"instance\":7}", b" {}", b"\xff {}"]
    {
        client.handle_datagram(MS, garbage);
    }
    assert_eq!(client.counters(), Counters { malformed: 7, ..Counters::default() });
    assert_eq!((news(&mut client), sent(&mut client)), (vec![], vec![]));
}

#[test]
fn a_reply_of_no_shape_ends_its_request_with_a_word() {
    let mut client = one_shot();
    client.request(0, query("a")).expect("it is sound");
    let (cookie, _) = sent(&mut client).remove(0);
    client.handle_datagram(1, format!("{cookie} {{\"command\":\"ping\"}}").as_bytes());
    let Some(ClientEvent::Reply { result: Err(error), .. }) = client.poll_event() else { panic!("no reply") };
    assert_eq!(error.code, ErrorCode::BadReply);
}

#[test]
fn a_configuration_out_of_range_is_refused() {
    let bad = [
        Config { timeout_us: 0, ..Config::default() },
        Config { timeout_us: 20 * S + 1, ..Config::default() },
        Config { controller: Some(String::new()), ..Config::default() },
        Config { lease_ms: Some(999), ..config() },
        Config { controller: None, ..config() },
    ];
    for config in bad {
        assert_eq!(Client::new(0, 1, config).expect_err("out of range").code, ErrorCode::BadValue);
    }
}

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
