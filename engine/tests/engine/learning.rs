//! A phone that sends from elsewhere than it signalled.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_proto::{Idle, LatchMode, LegCreate};

use crate::support::{Engine, PATIENCE, Phone, leg_towards, number, spoken};

/// Whom the kernel has a socket of this machine's connected to; none while it is to nobody.
fn connected(local: SocketAddr) -> Option<SocketAddr> {
    let address = |hex: &str| {
        let (ip, port) = hex.split_once(':')?;
        let ip = u32::from_str_radix(ip, 16).ok()?.to_ne_bytes();
        Some(SocketAddr::new(ip.into(), u16::from_str_radix(port, 16).ok()?))
    };
    let sockets = std::fs::read_to_string("/proc/net/udp").expect("Linux");
    let mut found = sockets.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        (address(words.next()?)? == local).then(|| address(words.next()?))?
    });
    found.next().filter(|peer| peer.port() != 0)
}

#[test]
fn a_phone_behind_nat_is_heard_and_sent_to_from_its_first_word_and_connected_to_later() {
    let engine = Engine::start_with(&["--media-address", "127.0.0.1"]);
    let mut client = engine.client();
    let (mut signalled, mut phone, mut bob) = (Phone::new(), Phone::new(), Phone::new());
    let to_phone =
        LegCreate { idle: Idle::None, latch: LatchMode::Heuristic, ..leg_towards("a", &signalled) };
    let (a, b) = (client.create_with(to_phone), client.create("b", &bob));
    client.splice("a", "b");
    phone.say(a.rtp, 0);
    assert_eq!(bob.hear().payload, spoken(phone.next.ssrc, 0));
    bob.say(b.rtp, 1);
    assert_eq!(phone.hear().payload, spoken(bob.next.ssrc, 1));
    assert_eq!((connected(a.rtp), connected(b.rtp)), (None, Some(bob.address())));

    let began = Instant::now();
    let mut said = 0;
    while connected(a.rtp) != Some(phone.address()) {
        assert!(began.elapsed() < PATIENCE, "never learnt");
        std::thread::sleep(Duration::from_millis(20));
        said += 1;
        phone.say(a.rtp, said);
        assert_eq!(number(&bob.hear()), said);
    }
    signalled.say(a.rtp, 7);
    phone.say(a.rtp, said + 1);
    assert_eq!(bob.hear().payload, spoken(phone.next.ssrc, said + 1), "the kernel drops everybody else");
    assert_eq!(client.query("a").counters.drops.stranger, 0);
    bob.say(b.rtp, 2);
    assert_eq!(phone.hear().payload, spoken(bob.next.ssrc, 2));
    assert_eq!(signalled.heard(), []);
}
