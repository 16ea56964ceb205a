//! The control protocol as the wire sees it: repetition, numbered events, leases, limits.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use offhook_proto::{
    Command, EngineInfo, ErrorCode, EventBody, Idle, LegCreate, LegDelete, LegInfo, LegList, LegListRequest,
    frame, uninterrupted,
};
use serde_json::{Value, json};

use crate::support::{Engine, PATIENCE, Phone, leg_towards, number, own_address, splice};

/// A controller without a library.
pub(crate) struct Raw(pub(crate) UdpSocket);

impl Raw {
    pub(crate) fn to(engine: &Engine) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.connect(engine.control).expect("connected");
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        Self(socket)
    }

    fn send(&self, datagram: &str) {
        self.0.send(datagram.as_bytes()).expect("sent");
    }

    /// Cookie and dictionary of the next datagram.
    pub(crate) fn hear(&self) -> (String, Value) {
        let mut buffer = [0; 16_384];
        let length = uninterrupted(|| self.0.recv(&mut buffer)).expect("a datagram");
        let (cookie, body) = frame::split(&buffer[..length]).expect("a cookie");
        (cookie.to_owned(), serde_json::from_slice(body).expect("JSON"))
    }

    fn ask(&self, cookie: &str, body: &Value) -> Value {
        self.send(&format!("{cookie} {body}"));
        loop {
            let (answered, reply) = self.hear();
            if answered == cookie {
                return reply;
            }
        }
    }
}

#[test]
fn a_repeated_cookie_gets_the_stored_reply_and_nothing_is_done_twice() {
    let engine = Engine::start();
    let raw = Raw::to(&engine);
    let create = json!({"command": "leg.create", "leg": "a"});
    let first = raw.ask("c1", &create);
    assert_eq!(first["result"], "ok");
    assert_eq!(raw.ask("c1", &create), first);
    let delete = json!({"command": "leg.delete", "leg": "a"});
    let deleted = raw.ask("c2", &delete);
    assert_eq!(raw.ask("c2", &delete), deleted, "the leg has gone, and the answer has not");
    assert_eq!(raw.ask("c3", &delete)["error"], "leg_not_found");
    assert_eq!(raw.ask("c1", &create), first, "an old request does not raise the dead");
    let info: EngineInfo = engine.client().ask(Command::Statistics);
    assert_eq!((info.legs, info.requests_repeated), (0, 3));
}

#[test]
fn creating_a_leg_again_answers_the_same_and_other_parameters_are_refused() {
    let engine = Engine::start();
    let mut client = engine.client();
    let phone = Phone::new();
    let first = client.create("a", &phone);
    assert_eq!(client.create("a", &phone), first);
    let other = LegCreate { silent_after_ms: 5_000, idle: Idle::None, ..leg_towards("a", &phone) };
    assert_eq!(client.refused(Command::LegCreate(other)).code, ErrorCode::LegExists);
}

#[test]
fn behind_a_nat_peers_are_told_the_address_outside_and_legs_live_at_the_one_inside() {
    let engine = Engine::start_with(&["--advertise", "127.0.0.1=203.0.113.9"]);
    let mut client = engine.client();
    let (mut ann, bob) = (Phone::new(), Phone::new());
    let outside = "203.0.113.9".parse::<IpAddr>().expect("an address");
    let created = client.create("a", &ann);
    client.create("b", &bob);
    assert_eq!((created.rtp.ip(), created.rtcp.ip()), (outside, outside));
    assert_eq!(client.create("a", &ann), created, "also when it is asked for again");
    let info = client.query("a");
    assert_eq!((info.rtp, info.rtcp), (created.rtp, created.rtcp));
    client.splice("a", "b");
    ann.say(SocketAddr::from(([127, 0, 0, 1], created.rtp.port())), 1);
    assert_eq!(number(&bob.hear()), 1);
    let deleted: LegInfo = client.ask(Command::LegDelete(LegDelete { leg: "a".into() }));
    assert_eq!(deleted.rtp, created.rtp);
}

#[test]
fn an_event_is_sent_until_it_is_acknowledged_and_numbers_have_no_gap() {
    let engine = Engine::start();
    let raw = Raw::to(&engine);
    raw.ask("s1", &json!({"command": "subscribe", "controller": "test"}));
    raw.ask("c1", &json!({"command": "leg.create", "leg": "a", "idle": {"kind": "none"}}));
    for play in ["p1", "p2"] {
        let sources = json!([{"silence_ms": 10}]);
        raw.ask(play, &json!({"command": "play", "leg": "a", "sources": sources, "play": play}));
    }
    let next = || loop {
        let (cookie, body) = raw.hear();
        if cookie == "event" {
            return body;
        }
    };
    let next_of = |seq: u64| loop {
        let event = next();
        if event["seq"] == seq {
            return event;
        }
    };
    let first = next_of(1);
    assert_eq!(next_of(1), first, "not acknowledged, so sent again");
    assert_eq!((&first["event"], &first["play"]), (&json!("play.ended"), &json!("p1")));
    assert_eq!(
        raw.ask("a1", &json!({"command": "event.ack", "controller": "test", "seq": 1}))["result"],
        "ok"
    );
    let second = next_of(2);
    assert_eq!((&second["seq"], &second["play"]), (&json!(2), &json!("p2")));
}

#[test]
fn legs_of_a_controller_that_has_gone_silent_are_reported_and_then_released() {
    let engine = Engine::start();
    let mut watcher = engine.subscriber("watcher", 0);
    let phone = Phone::new();
    // Its lease begins when it has its leg.
    engine.controller("doomed").create("left-behind", &phone);
    watcher.create("kept", &Phone::new());
    drop(engine.subscriber("doomed", 1_000));
    let (controller, legs) = watcher.await_event(|event| match event {
        EventBody::LeaseExpired { controller, legs } => Some((controller, legs)),
        _ => None,
    });
    assert_eq!((controller.as_str(), legs), ("doomed", 1));
    let leg = watcher.await_event(|event| match event {
        EventBody::LegReleased { leg, .. } => Some(leg),
        _ => None,
    });
    assert_eq!(leg, "left-behind");
    let list: LegList = watcher.ask(Command::LegList(LegListRequest::default()));
    assert_eq!(list.legs, ["kept"]);
}

#[test]
fn without_ports_a_leg_is_refused_and_the_others_live_on() {
    let (engine, phone) = engine_with_ports(20_000, 4);
    let mut client = engine.client();
    client.create("a", &phone);
    client.create("b", &phone);
    let third = LegCreate { leg: "c".into(), ..LegCreate::default() };
    assert_eq!(client.refused(Command::LegCreate(third.clone())).code, ErrorCode::OutOfPorts);
    client.splice("a", "b");
    client.done(Command::LegDelete(LegDelete { leg: "a".into() }));
    client.done(Command::LegCreate(third));
    client.splice("b", "c");
}

#[test]
fn a_port_that_somebody_else_has_is_passed_over() {
    let (engine, phone) = engine_with_ports(21_000, 18);
    let _taken = UdpSocket::bind((phone.address().ip(), 21_000)).expect("nobody else is there");
    let mut client = engine.client();
    let legs: Vec<u16> = (0..8).map(|n| client.create(&format!("l{n}"), &phone).rtp.port()).collect();
    assert!(!legs.contains(&21_000), "{legs:?}");
}

/// An engine with so many ports of an address that nobody else has, and a phone there.
fn engine_with_ports(first: u16, count: u16) -> (Engine, Phone) {
    let address = own_address().to_string();
    let ports = format!("{first}-{}", first + count - 1);
    let engine = Engine::start_with(&["--media-address", &address, "--ports", &ports]);
    (engine, Phone::on(address.parse().expect("an address")))
}

#[test]
fn the_limit_of_legs_gives_a_clear_error() {
    let engine = Engine::start_with(&["--max-legs", "2"]);
    let mut client = engine.client();
    let phones = [Phone::new(), Phone::new()];
    client.create("a", &phones[0]);
    client.create("b", &phones[1]);
    let third = LegCreate { leg: "c".into(), ..LegCreate::default() };
    assert_eq!(client.refused(Command::LegCreate(third)).code, ErrorCode::TooManyLegs);
    client.done(splice("a", "b"));
}

#[test]
fn a_leg_on_a_dead_address_is_refused_by_the_system_and_says_so() {
    let engine = Engine::start_with(&["--media-address", "127.0.0.1", "--media-address", "192.0.2.1"]);
    let mut client = engine.client();
    let create = LegCreate { leg: "a".into(), address: Some([192, 0, 2, 1].into()), ..LegCreate::default() };
    let error = client.refused(Command::LegCreate(create));
    assert_eq!(error.code, ErrorCode::System);
    assert!(error.reason.contains("192.0.2.1"), "{error}");
}
