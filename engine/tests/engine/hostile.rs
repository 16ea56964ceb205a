//! Controllers that say what they should not: each is told what is wrong, and the engine is as it was.

use std::net::SocketAddr;
use std::path::Path;

use offhook_proto::{
    Command, EngineInfo, ErrorCode, LegCreate, LegDelete, LegList, LegListRequest, LegUpdate, Remote, frame,
    limits,
};
use serde_json::Value;

use crate::mangled::mangled;
use crate::requests::Raw;
use crate::support::{Client, Engine, Phone, leg_towards, number};

/// The requests that the protocol's description shows: every command is among them.
fn requests() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/golden");
    let files =
        std::fs::read_dir(folder).expect("the folder is there").map(|file| file.expect("a file").path());
    let requests = files.filter(|path| path.to_string_lossy().ends_with(".request.txt"));
    let read = |path| {
        let text = std::fs::read(path).expect("text");
        serde_json::from_slice(frame::split(&text).expect("a cookie").1).expect("JSON")
    };
    let requests: Vec<Value> = requests.map(read).collect();
    assert!(requests.len() > 20);
    requests
}

/// Asks with a cookie of its own; what is wrong, or none.
fn asked(raw: &Raw, cookie: &str, dictionary: &str) -> Option<String> {
    let datagram = format!("{cookie} {dictionary}");
    raw.0.send(datagram.as_bytes()).expect("sent");
    loop {
        let (answered, reply) = raw.hear();
        if answered != cookie {
            continue;
        }
        if reply["result"] != "error" {
            return None;
        }
        let reason = reply["error-reason"].as_str().expect("a reason").to_owned();
        let is_clear = reply["error"].is_string() && (10..1_000).contains(&reason.len());
        assert!(is_clear && !reason.contains(char::is_control), "{datagram:.300}: {reply}");
        return Some(reason);
    }
}

/// A conversation that has to outlive everything.
fn conversation(client: &mut Client) -> (Phone, Phone, SocketAddr) {
    let (ann, bob) = (Phone::new(), Phone::new());
    let at = client.create("ann", &ann).rtp;
    client.create("bob", &bob);
    client.splice("ann", "bob");
    (ann, bob, at)
}

fn goes_on(ann: &mut Phone, bob: &Phone, at: SocketAddr) {
    let said = 1_000_000 + u32::from(ann.next.sequence);
    ann.say(at, said);
    while number(&bob.hear()) != said {}
}

#[test]
fn every_field_of_every_request_that_is_of_another_kind_is_refused_and_leaves_nothing_behind() {
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut ann, bob, at) = conversation(&mut client);
    let raw = Raw::to(&engine);
    let mut memory_kib = Vec::new();
    for round in 0..3 {
        let mut count = 0;
        for request in requests() {
            let cookie = |count: u32| format!("r{round}-{count}");
            for (text, may_be_taken) in mangled(&request) {
                count += 1;
                let refused = asked(&raw, &cookie(count), &text);
                assert!(may_be_taken || refused.is_some(), "taken: {text:.300}");
            }
            let mut more = request.clone();
            more["no such field"] = Value::from(1);
            let has_fields = more.as_object().is_some_and(|fields| fields.len() > 3);
            assert!(
                !has_fields || asked(&raw, &cookie(count + 100_000), &more.to_string()).is_some(),
                "{more}"
            );
        }
        assert!(count > 1_000);
        let left: LegList = client.ask(Command::LegList(LegListRequest::default()));
        for leg in left.legs.into_iter().filter(|leg| !["ann", "bob"].contains(&leg.as_str())) {
            // Its lease may have ended meanwhile.
            let _ = client.0.call(Command::LegDelete(LegDelete { leg }));
        }
        memory_kib.push(engine.resident_kib());
    }
    let info: EngineInfo = client.ask(Command::Statistics);
    let splices: u64 = info.workers.iter().map(|worker| worker.splices).sum();
    assert_eq!((info.legs, splices), (2, 1));
    goes_on(&mut ann, &bob, at);
    // What is kept of each request is kept for a while; nothing of it adds up.
    assert!(memory_kib[2] < memory_kib[0] + 64 * 1_024, "{memory_kib:?}");
}

#[test]
fn what_is_cut_off_nested_or_repeated_is_answered_and_nothing_larger_than_a_datagram_may_be() {
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut ann, bob, at) = conversation(&mut client);
    let raw = Raw::to(&engine);
    for (number, request) in requests().iter().enumerate() {
        let text = request.to_string();
        for end in 1..text.len() {
            assert!(asked(&raw, &format!("c{number}-{end}"), &text[..end]).is_some(), "{}", &text[..end]);
        }
    }
    let nested = |opening: &str, depth: usize| {
        format!("{{\"command\":\"play\",\"leg\":\"ann\",\"sources\":{}", opening.repeat(depth))
    };
    let twice = "{\"command\":\"leg.delete\",\"command\":\"ping\",\"leg\":\"ann\"}".to_owned();
    let zero = "{\"command\":\"leg.query\",\"leg\":\"ann\0\"}".to_owned();
    for (number, text) in
        [nested("[", 8_000), nested("{\"a\":", 3_000), nested("[{\"file\":", 1_000), twice, zero]
            .iter()
            .enumerate()
    {
        assert!(asked(&raw, &format!("d{number}"), text).is_some(), "{text:.100}");
    }
    // Of those that are too long one is answered now and then.
    for length in [limits::DATAGRAM_BYTES + 1, 65_507] {
        for _ in 0..100 {
            raw.0.send(&vec![b' '; length]).expect("sent");
            raw.0.send(format!("long {}", "x".repeat(length - 5)).as_bytes()).expect("sent");
        }
    }
    // A cookie that comes again means the same request, whatever is in it now.
    let query = "{\"command\":\"leg.query\",\"leg\":\"ann\"}";
    assert_eq!(asked(&raw, "again", query), None);
    for _ in 0..100 {
        assert_eq!(asked(&raw, "again", "{\"command\":\"leg.delete\",\"leg\":\"ann\"}"), None);
    }
    assert_eq!(asked(&raw, "other", query), None, "it is still there");
    goes_on(&mut ann, &bob, at);
    let info: EngineInfo = client.ask(Command::Statistics);
    assert!(info.requests_refused > 0 && info.requests_repeated >= 100, "{info:?}");
}

#[test]
fn a_peer_of_another_ip_version_is_refused_and_the_leg_keeps_its_own() {
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut ann, bob, at) = conversation(&mut client);
    let six = Remote { rtp: "[::1]:4000".parse().expect("an address"), rtcp: None };
    let update = LegUpdate { leg: "bob".into(), remote: Some(six), ..LegUpdate::default() };
    let error = client.refused(Command::LegUpdate(update));
    assert!(error.code == ErrorCode::BadValue && error.reason.contains("127.0.0.1"), "{error}");
    goes_on(&mut ann, &bob, at);
    let create = LegCreate { leg: "six".into(), remote: Some(six), ..LegCreate::default() };
    assert_eq!(client.refused(Command::LegCreate(create)).code, ErrorCode::BadValue);
}

#[test]
fn a_leg_that_names_no_address_gets_one_of_its_peers_ip_version() {
    let engine = Engine::start_with(&["--media-address", "127.0.0.1", "--media-address", "::1"]);
    let mut client = engine.client();
    for (leg, address) in [("four", "127.0.0.1"), ("six", "::1")] {
        let mut phone = Phone::on(address.parse().expect("an address"));
        let create = LegCreate { address: None, ..leg_towards(leg, &phone) };
        let created = client.create_with(create.clone());
        assert_eq!(created.rtp.ip(), phone.address().ip());
        assert_eq!(client.create_with(create), created, "the same again");
        phone.say(created.rtp, 1);
        client.await_leg(leg, |info| info.counters.packets_received == 1);
    }
    let own = LegCreate { leg: "own".into(), ..LegCreate::default() };
    assert_eq!(client.create_with(own).rtp.ip().to_string(), "127.0.0.1");
}
