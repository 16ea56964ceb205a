//! Packet times that are asked for are those of the packets, not only of the descriptions.

use std::time::{Duration, Instant};

use crate::client::{NgClient, answer, audio_of, offer, sdp_at};
use crate::support::{Engine, PATIENCE, Phone};

/// Talks until a hearer has been sent so many packets, and says how long their payloads are.
fn lengths(
    from: &mut Phone,
    to: std::net::SocketAddr,
    hearer: &Phone,
    payload: &[u8],
    packets: usize,
) -> Vec<usize> {
    let began = Instant::now();
    let mut heard = Vec::new();
    while heard.len() < packets {
        from.send(to, payload);
        heard.extend(hearer.hear_within(Duration::from_millis(20)).map(|packet| packet.payload.len()));
        assert!(began.elapsed() < PATIENCE, "{heard:?}");
    }
    heard
}

#[test]
fn a_packet_time_that_is_asked_for_is_that_of_the_packets_towards_either_side() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut a, mut b) = (Phone::new(), Phone::new());
    let request =
        offer("c", "a", &sdp_at(a.address(), "")).with("ptime", 30_u64).with("ptime-reverse", 40_u64);
    let offered = ng.sdp(&request);
    assert!(offered.contains("a=ptime:30\r\n"), "{offered}");
    let answered = ng.sdp(&answer("c", "a", "b", &sdp_at(b.address(), "a=ptime:20\r\n")));
    assert!(answered.contains("a=ptime:40\r\n"), "{answered}");
    assert_eq!(lengths(&mut a, audio_of(&answered), &b, &[0x55; 160], 10), [240; 10]);
    assert_eq!(lengths(&mut b, audio_of(&offered), &a, &[0x55; 160], 10), [320; 10]);
}

#[test]
fn longer_packets_than_a_side_takes_do_not_reach_it() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut a, mut b) = (Phone::new(), Phone::new());
    let offered = ng.sdp(&offer("c", "a", &sdp_at(a.address(), "a=maxptime:20\r\n")));
    let answered = ng.sdp(&answer("c", "a", "b", &sdp_at(b.address(), "")));
    assert_eq!(lengths(&mut b, audio_of(&offered), &a, &[0x55; 480], 10), [160; 10]);
    assert_eq!(
        lengths(&mut a, audio_of(&answered), &b, &[0x55; 480], 10),
        [480; 10],
        "the other side takes all"
    );
}
