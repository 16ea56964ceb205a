//! SRTP and rtcp-mux over real sockets.

use std::net::SocketAddr;

use offhook_proto::{Command, LegCreate, LegPark, Srtp, SrtpKey, SrtpKeys, SrtpSuite, uninterrupted};
use offhook_srtp::{OVERHEAD_BYTES, Protector, Unprotector};

use crate::support::{Engine, PATIENCE, Packet, Phone, leg_towards, number, spoken};

fn key(suite: SrtpSuite, seed: u8) -> SrtpKey {
    SrtpKey::new(suite, vec![seed; suite.key_bytes() + suite.salt_bytes()])
}

fn secure_leg(leg: &str, phone: &Phone, suite: SrtpSuite) -> LegCreate {
    let keys = SrtpKeys { receive: Some(key(suite, 1)), send: Some(key(suite, 2)) };
    LegCreate { srtp: Srtp::from(keys), rtcp_mux: true, ..leg_towards(leg, phone) }
}

/// The other end of [`secure_leg`].
struct SecurePhone {
    phone: Phone,
    protector: Protector,
    unprotector: Unprotector,
}

impl SecurePhone {
    fn new(suite: SrtpSuite) -> Self {
        Self {
            phone: Phone::new(),
            protector: Protector::new(&key(suite, 1)),
            unprotector: Unprotector::new(&key(suite, 2)),
        }
    }

    fn say(&mut self, to: SocketAddr, number: u32) -> Vec<u8> {
        let payload = spoken(self.phone.next.ssrc, number).to_vec();
        let plain = Packet { payload, ..self.phone.next.clone() }.write();
        let mut buffer = [&plain[..], &[0; OVERHEAD_BYTES]].concat();
        let len = self.protector.rtp(&mut buffer, plain.len()).expect("there is room");
        buffer.truncate(len);
        self.phone.rtp.send_to(&buffer, to).expect("sent");
        self.phone.next.sequence = self.phone.next.sequence.wrapping_add(1);
        self.phone.next.timestamp = self.phone.next.timestamp.wrapping_add(160);
        buffer
    }

    /// The next datagram on the RTP port, decrypted, and whether it was RTCP.
    fn hear(&mut self) -> (bool, Vec<u8>) {
        self.phone.rtp.set_read_timeout(Some(PATIENCE)).expect("set");
        let mut buffer = [0; 2_048];
        let len = uninterrupted(|| self.phone.rtp.recv(&mut buffer)).expect("a packet");
        let rtcp = (200..=204).contains(&buffer[1]);
        let opened = if rtcp {
            self.unprotector.rtcp(&mut buffer[..len])
        } else {
            self.unprotector.rtp(&mut buffer[..len])
        };
        (rtcp, buffer[..opened.expect("it is authentic")].to_vec())
    }
}

#[test]
fn a_phone_with_srtp_talks_with_one_without_in_every_suite() {
    let engine = Engine::start();
    let mut client = engine.client();
    for suite in SrtpSuite::ALL {
        let (mut ann, mut bob) = (SecurePhone::new(suite), Phone::new());
        let (a, b) = (format!("a-{suite}"), format!("b-{suite}"));
        let ann_leg = client.create_with(secure_leg(&a, &ann.phone, suite));
        let bob_leg = client.create(&b, &bob);
        client.splice(&a, &b);
        for n in 0..50 {
            let sent = ann.say(ann_leg.rtp, n);
            let heard = bob.hear();
            assert_eq!(heard.payload, spoken(ann.phone.next.ssrc, n), "{suite}");
            // The same again is no second word.
            ann.phone.rtp.send_to(&sent, ann_leg.rtp).expect("sent");
            bob.say(bob_leg.rtp, n);
            let heard = loop {
                let (rtcp, heard) = ann.hear();
                if !rtcp {
                    break heard;
                }
            };
            assert_eq!(number(&Packet::parse(&heard)), n, "{suite}");
        }
        let info = client.await_leg(&a, |leg| leg.counters.drops.replayed == 50);
        assert_eq!(info.counters.packets_forwarded, 50);
        assert_eq!(info.latched, Some(ann.phone.address()));
        let shown = serde_json::to_string(&info).expect("it can be written");
        assert!(shown.contains(suite.name()) && !shown.contains(&key(suite, 1).inline()), "{shown}");
    }
}

#[test]
fn by_09_a_phone_with_srtp_that_has_rolled_over_is_heard_when_its_leg_is_made_on_another_engine() {
    for suite in SrtpSuite::ALL {
        let (mut ann, mut bob) = (SecurePhone::new(suite), Phone::new());
        let first = Engine::start();
        let mut client = first.client();
        let leg = client.create_with(secure_leg("a", &ann.phone, suite));
        for n in 0..12 {
            ann.say(leg.rtp, n);
            ann.phone.next.sequence = ann.phone.next.sequence.wrapping_add(0x3FFF);
        }
        client
            .await_leg("a", |leg| leg.counters.packets_received == 12 && leg.counters.drops.auth_failed == 0);
        first.signal("KILL");
        let _ = first.wait();
        let second = Engine::start();
        let mut client = second.client();
        let ann_leg = client.create_with(secure_leg("a", &ann.phone, suite));
        let bob_leg = client.create("b", &bob);
        client.splice("a", "b");
        for n in 0..50 {
            ann.say(ann_leg.rtp, n);
            assert_eq!(number(&bob.hear()), n, "{suite}");
        }
        let srtp = client.query("a").srtp.expect("it is secure");
        assert_eq!(srtp.rollover_searches, 1, "{suite}");
        bob.say(bob_leg.rtp, 7);
        let heard = loop {
            let (rtcp, heard) = ann.hear();
            if !rtcp {
                break heard;
            }
        };
        assert_eq!(number(&Packet::parse(&heard)), 7, "{suite}: and hears a stream that is new to it");
    }
}

#[test]
fn reports_of_a_parked_leg_come_and_go_over_its_rtp_port() {
    let engine = Engine::start();
    let mut client = engine.subscriber("north", 0);
    let suite = SrtpSuite::AesCm128HmacSha1_80;
    let mut ann = SecurePhone::new(suite);
    let leg = client.create_with(secure_leg("a", &ann.phone, suite));
    ann.say(leg.rtp, 1);
    client.await_leg("a", |leg| leg.latched.is_some());
    client.done(Command::LegPark(LegPark { leg: "a".into(), keep_one_in: Some(1_024) }));
    let report = loop {
        let (rtcp, bytes) = ann.hear();
        if rtcp {
            break bytes;
        }
    };
    assert_eq!(report[4..8], leg.ssrc.to_be_bytes());
    // A goodbye passes the park filter.
    let plain = [&[0x81, 203, 0, 1][..], &ann.phone.next.ssrc.to_be_bytes()].concat();
    let mut buffer = [&plain[..], &[0; OVERHEAD_BYTES]].concat();
    let len = ann.protector.rtcp(&mut buffer, plain.len()).expect("there is room");
    ann.phone.rtp.send_to(&buffer[..len], leg.rtp).expect("sent");
    let gone = client.await_event(|event| match event {
        offhook_proto::EventBody::LegBye { leg } => Some(leg),
        _ => None,
    });
    assert_eq!(gone, "a");
}

#[test]
fn no_key_is_ever_logged() {
    let engine = Engine::start_with(&["--log", "trace"]);
    let mut client = engine.client();
    let suite = SrtpSuite::AeadAes128Gcm;
    let ann = SecurePhone::new(suite);
    client.create_with(secure_leg("a", &ann.phone, suite));
    let wrong = format!(r#"{{"suite":"{suite}","key":"{}"}}"#, &key(suite, 1).inline()[..20]);
    let raw = format!(r#"{{"command":"leg.update","leg":"a","srtp":{{"send":{wrong}}}}}"#);
    let request: serde_json::Value = serde_json::from_str(&raw).expect("it is JSON");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.send_to(format!("c1 {request}").as_bytes(), engine.control).expect("sent");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut reply = [0; 2_048];
    let len = uninterrupted(|| socket.recv(&mut reply)).expect("a reply");
    let reply = String::from_utf8_lossy(&reply[..len]).into_owned();
    assert!(reply.contains("srtp.send.key: must be 16 bytes of key and 12 of salt"), "{reply}");
    engine.signal("TERM");
    let (_, log) = engine.wait();
    for text in [&reply, &log] {
        assert!(
            !text.contains(&key(suite, 1).inline()[..12]) && !text.contains(&key(suite, 2).inline()[..12])
        );
    }
}
