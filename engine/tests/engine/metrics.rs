//! The page of figures.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Output;

use crate::support::{Engine, PATIENCE, Phone, engine, number};

/// Status line and headers, and body.
fn fetch(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(stream, "{request} HTTP/1.1\r\nHost: metrics\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_ascii_lowercase(), body.to_owned())
}

/// Every sample by its name and labels.
fn samples(page: &str) -> HashMap<&str, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            (name, value.parse().unwrap_or_else(|error| panic!("{line}: {error}")))
        })
        .collect()
}

#[test]
fn the_page_has_what_the_engine_did_and_what_it_dropped() {
    let engine = Engine::start_with(&["--metrics", "127.0.0.1:0"]);
    let address = engine.address("metrics");
    let (head, body) = fetch(address, "GET /metrics");
    assert!(head.starts_with("http/1.1 200") && head.contains("application/openmetrics-text"), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    assert_eq!(samples(&body)["offhook_legs"], 0.0);

    let mut client = engine.client();
    let (mut ann, bob) = (Phone::new(), Phone::new());
    let a = client.create("a", &ann);
    client.create("b", &bob);
    ann.say(a.rtp, 1);
    client.await_leg("a", |leg| leg.counters.drops.not_spliced == 1);
    client.splice("a", "b");
    for word in 2..12 {
        ann.say(a.rtp, word);
        assert_eq!(number(&bob.hear()), word);
    }
    let (_, body) = fetch(address, "GET /metrics");
    let samples = samples(&body);
    let sum = |name: &str| -> f64 {
        samples.iter().filter(|(sample, _)| sample.starts_with(name)).map(|(_, value)| value).sum()
    };
    assert_eq!(samples["offhook_legs"], 2.0);
    assert_eq!(sum("offhook_worker_splices"), 1.0);
    assert_eq!(sum("offhook_rtp_packets_received_total"), 11.0);
    assert_eq!(sum("offhook_rtp_packets_forwarded_total"), 10.0);
    assert_eq!(sum("offhook_rtp_packets_dropped_total"), 1.0);
    assert!(body.contains("reason=\"not_spliced\"} 1.0\n"), "{body}");
    assert!(samples["offhook_control_requests_total"] >= 3.0);
}

#[test]
fn what_is_not_the_page_is_told_where_it_is_and_nonsense_hurts_nobody() {
    let engine = Engine::start_with(&["--metrics", "127.0.0.1:0"]);
    let address = engine.address("metrics");
    let (head, body) = fetch(address, "GET /");
    assert!(head.starts_with("http/1.1 404") && body.contains("/metrics"), "{head} {body}");
    assert!(fetch(address, "POST /metrics").0.starts_with("http/1.1 405"));
    for _ in 0..40 {
        let mut stream = TcpStream::connect(address).expect("somebody listens");
        let _ = stream.write_all(b"\x00\xff\r\n\r\n");
    }
    assert!(fetch(address, "GET /metrics?x=1").0.starts_with("http/1.1 200"));
}

#[test]
fn an_engine_with_a_key_shows_its_figures() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = directory.path().join("key");
    std::fs::write(&key, "a key of twenty bytes").expect("written");
    let key = key.to_str().expect("text");
    let engine =
        Engine::start_with(&["--metrics", "127.0.0.1:0", "--control", "0.0.0.0:0", "--key-file", key]);
    let (head, body) = fetch(engine.address("metrics"), "GET /metrics");
    assert!(head.starts_with("http/1.1 200") && body.contains("offhook_engine_info{"), "{head} {body}");
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let Output { status, stderr, .. } = engine(&["--metrics", &address]).output().expect("it runs");
    let text = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(1));
    assert!(text.contains("--metrics") && text.contains(&address) && text.contains("in use"), "{text}");
}
