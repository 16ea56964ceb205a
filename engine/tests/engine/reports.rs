//! RTCP, both ways (RFC 3550 section 6).

use std::io::ErrorKind;

use offhook_proto::{Command, EventBody, LegDelete, uninterrupted};

use crate::support::{Engine, Phone};

/// The packets of a compound: type, count and body of each.
fn compound(bytes: &[u8]) -> Vec<(u8, u8, Vec<u8>)> {
    let mut rest = bytes;
    let mut packets = Vec::new();
    while !rest.is_empty() {
        assert_eq!(rest[0] >> 6, 2, "version 2");
        let length = 4 * (usize::from(u16::from_be_bytes([rest[2], rest[3]])) + 1);
        packets.push((rest[1], rest[0] & 31, rest[4..length].to_vec()));
        rest = &rest[length..];
    }
    packets
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn hear_report(phone: &Phone) -> Vec<(u8, u8, Vec<u8>)> {
    let mut buffer = [0; 2_048];
    let length = uninterrupted(|| phone.rtcp.recv(&mut buffer)).expect("a report");
    compound(&buffer[..length])
}

#[test]
fn reports_say_what_was_sent_and_heard_and_answer_the_peers() {
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut ann, mut bob) = (Phone::new(), Phone::new());
    let (a, b) = (client.create("a", &ann), client.create("b", &bob));
    client.splice("a", "b");
    for n in 0..10 {
        ann.say(a.rtp, n);
        bob.hear();
        bob.say(b.rtp, n);
        ann.hear();
    }
    // A gap of two, as Ann's network would make it.
    ann.next.sequence = ann.next.sequence.wrapping_add(2);
    ann.say(a.rtp, 10);
    bob.hear();

    // Ann's sender report: 1990 in NTP time is as good as any.
    let mut report = vec![0x80, 200, 0, 6];
    for word in [ann.next.ssrc, 0x1234_5678, 0x9abc_def0, ann.next.timestamp, 11, 1_760] {
        report.extend(word.to_be_bytes());
    }
    ann.rtcp.send_to(&report, a.rtcp).expect("sent");
    let said = loop {
        let packets = hear_report(&ann);
        let (kind, count, body) = packets[0].clone();
        assert_eq!(kind, 200, "a sender reports what it sends");
        assert_eq!(word(&body, 0), a.ssrc);
        assert!(packets.iter().any(|(kind, _, _)| *kind == 202), "SDES goes with it");
        if count == 1 && word(&body, 24 + 16) != 0 {
            break body;
        }
    };
    assert_eq!((word(&said, 16), word(&said, 20)), (10, 1_600), "packets and bytes sent to Ann");
    let block = &said[24..];
    assert_eq!(word(block, 0), ann.next.ssrc);
    assert_eq!(word(block, 4) & 0x00ff_ffff, 2, "packets lost");
    assert_eq!(word(block, 16), 0x5678_9abc, "the middle of her NTP timestamp (LSR)");

    // Ann's receiver report about what she hears: a quarter lost, 5 in all, jitter 160.
    let mut report = vec![0x81, 201, 0, 7];
    for word in [ann.next.ssrc, a.ssrc, 64 << 24 | 5, 0, 160, word(&said, 4) << 16 | word(&said, 8) >> 16, 0]
    {
        report.extend(word.to_be_bytes());
    }
    ann.rtcp.send_to(&report, a.rtcp).expect("sent");
    let info = client.await_leg("a", |leg| leg.rtcp_report.is_some());
    let report = info.rtcp_report.expect("awaited");
    assert_eq!((report.fraction_lost, report.packets_lost, report.jitter_ms), (0.25, 5, 20.0));
    assert!(report.round_trip_ms.is_some_and(|ms| ms >= 0.0), "{report:?}");
}

#[test]
fn a_deleted_leg_says_bye_and_closes_its_ports() {
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut ann, mut bob) = (Phone::new(), Phone::new());
    let (a, b) = (client.create("a", &ann), client.create("b", &bob));
    client.splice("a", "b");
    ann.say(a.rtp, 1);
    bob.hear();
    bob.say(b.rtp, 1);
    ann.hear();
    client.done(Command::LegDelete(LegDelete { leg: "a".into() }));
    let byes = hear_report(&ann)
        .into_iter()
        .filter(|(kind, _, body)| *kind == 203 && word(body, 0) == a.ssrc)
        .count();
    assert_eq!(byes, 1);
    // Nobody is there any more: the kernel says so by ICMP.
    ann.rtp.connect(a.rtp).expect("connected");
    let refused = loop {
        match ann.rtp.send(&[0x80; 12]).and_then(|_| uninterrupted(|| ann.rtp.recv(&mut [0; 64]))) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_peers_bye_is_told() {
    let engine = Engine::start();
    let mut client = engine.subscriber("test", 0);
    let mut ann = Phone::new();
    let a = client.create("a", &ann);
    ann.say(a.rtp, 1);
    client.await_leg("a", |leg| leg.latched.is_some());
    let mut bye = vec![0x80, 201, 0, 1];
    bye.extend(ann.next.ssrc.to_be_bytes());
    bye.extend([0x81, 203, 0, 1]);
    bye.extend(ann.next.ssrc.to_be_bytes());
    ann.rtcp.send_to(&bye, a.rtcp).expect("sent");
    let leg = client.await_event(|event| match event {
        EventBody::LegBye { leg } => Some(leg),
        _ => None,
    });
    assert_eq!(leg, "a");
}
