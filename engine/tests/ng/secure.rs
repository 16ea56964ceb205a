//! SRTP and rtcp-mux, as a proxy asks for them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_ng::{Dict, Value};
use offhook_proto::{Crypto, SdesKeys, Srtp, SrtpSuite, uninterrupted};
use offhook_srtp::{OVERHEAD_BYTES, Protector, Unprotector};

use crate::client::{NgClient, answer, audio_of, command, offer, sdp_at};
use crate::publishing::{crossings, wave};
use crate::support::{Engine, PATIENCE, Packet, Phone, spoken};

/// A phone with SRTP and keys of its own.
pub(crate) struct SecurePhone {
    pub(crate) phone: Phone,
    keys: SdesKeys,
    contexts: Option<(Unprotector, Protector)>,
}

impl SecurePhone {
    pub(crate) fn new(seed: u8) -> Self {
        let mut byte = seed;
        let keys = SdesKeys::new(|key| {
            key.fill_with(|| {
                byte = byte.wrapping_mul(17).wrapping_add(3);
                byte
            });
        });
        Self { phone: Phone::new(), keys, contexts: None }
    }

    /// A description with these keys.
    fn sdp(&self, crypto: &[Crypto], more: &str) -> String {
        let lines: String = crypto.iter().map(|line| format!("a=crypto:{line}\r\n")).collect();
        sdp_at(self.phone.address(), &format!("{lines}{more}")).replace("RTP/AVP", "RTP/SAVP")
    }

    /// Its offer.
    pub(crate) fn offer(&self) -> String {
        self.sdp(&self.keys.offer(), "")
    }

    /// Takes the answer to its offer.
    pub(crate) fn accept(&mut self, answer: &str) {
        let agreed = self.keys.accept(&crypto_of(answer));
        self.agree(agreed);
    }

    fn agree(&mut self, srtp: Option<Srtp>) {
        let Some(Srtp::On(keys)) = srtp else { panic!("nothing is agreed") };
        let (receive, send) = (keys.receive.expect("a key"), keys.send.expect("a key"));
        self.contexts = Some((Unprotector::new(&receive), Protector::new(&send)));
    }

    pub(crate) fn say(&mut self, to: SocketAddr, number: u32) {
        self.send(to, &spoken(self.phone.next.ssrc, number));
    }

    fn send(&mut self, to: SocketAddr, payload: &[u8]) {
        let payload = payload.to_vec();
        let plain = Packet { payload, ..self.phone.next.clone() }.write();
        let mut buffer = [&plain[..], &[0; OVERHEAD_BYTES]].concat();
        let (_, protector) = self.contexts.as_mut().expect("agreed");
        let len = protector.rtp(&mut buffer, plain.len()).expect("there is room");
        self.phone.rtp.send_to(&buffer[..len], to).expect("sent");
        self.phone.next.sequence = self.phone.next.sequence.wrapping_add(1);
        self.phone.next.timestamp = self.phone.next.timestamp.wrapping_add(160);
    }

    pub(crate) fn hear(&mut self) -> Packet {
        self.hear_within(PATIENCE).expect("a packet")
    }

    fn hear_within(&mut self, limit: Duration) -> Option<Packet> {
        self.phone.rtp.set_read_timeout(Some(limit)).expect("set");
        let mut buffer = [0; 2_048];
        let len = uninterrupted(|| self.phone.rtp.recv(&mut buffer)).ok()?;
        let (unprotector, _) = self.contexts.as_mut().expect("agreed");
        let len = unprotector.rtp(&mut buffer[..len]).expect("it is authentic");
        Some(Packet::parse(&buffer[..len]))
    }
}

fn crypto_of(sdp: &str) -> Vec<Crypto> {
    sdp.lines().filter_map(|line| Crypto::parse(line.strip_prefix("a=crypto:")?)).collect()
}

fn protocol(name: &str) -> Dict {
    Dict::default().with("transport-protocol", name)
}

fn with(request: Dict, more: &Dict) -> Dict {
    ["transport-protocol", "rtcp-mux", "SDES"].into_iter().fold(request, |request, key| {
        match more.find(key) {
            Some(value) => request.with(key, value.clone()),
            None => request,
        }
    })
}

#[test]
fn an_encrypted_side_and_a_plain_one_hear_each_other() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut a, mut b) = (SecurePhone::new(1), Phone::new());
    let offered = with(offer("c", "a", &a.offer()), &protocol("RTP/AVP"));
    let to_b = ng.sdp(&offered);
    assert!(to_b.contains(" RTP/AVP 0") && !to_b.contains("crypto"), "{to_b}");
    let to_a = ng.sdp(&answer("c", "a", "b", &sdp_at(b.address(), "")));
    assert!(to_a.contains(" RTP/SAVP 0"), "{to_a}");
    a.accept(&to_a);
    for number in 0..20 {
        a.say(audio_of(&to_a), number);
        assert_eq!(b.hear().payload, spoken(a.phone.next.ssrc, number));
        b.say(audio_of(&to_b), number);
        assert_eq!(a.hear().payload, spoken(b.next.ssrc, number));
    }
}

#[test]
fn two_encrypted_sides_have_keys_of_their_own_and_keep_them_through_a_hold() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut a, mut b) = (SecurePhone::new(1), SecurePhone::new(9));
    let only = Dict::default().with("SDES", vec![Value::from("only-AES_CM_128_HMAC_SHA1_80")]);
    let to_b = ng.sdp(&with(offer("c", "a", &a.offer()), &only));
    let offered = crypto_of(&to_b);
    assert_eq!(offered.len(), 1, "{to_b}");
    assert_eq!(offered[0].key.suite, SrtpSuite::AesCm128HmacSha1_80);
    let (line, agreed) = b.keys.answer(&offered).expect("a suite that it knows");
    b.agree(Some(agreed));
    let to_a = ng.sdp(&answer("c", "a", "b", &b.sdp(std::slice::from_ref(&line), "")));
    a.accept(&to_a);
    for number in 0..20 {
        if number == 10 {
            let again =
                ng.sdp(&offer("c", "a", &a.sdp(&a.keys.offer(), "a=sendonly\r\n")).with("to-tag", "b"));
            assert!(crypto_of(&again).contains(&offered[0]), "the same key: {again}");
            let back = ng.sdp(&answer("c", "a", "b", &b.sdp(std::slice::from_ref(&line), "a=recvonly\r\n")));
            assert_eq!(crypto_of(&back), crypto_of(&to_a));
        }
        a.say(audio_of(&to_a), number);
        assert_eq!(b.hear().payload, spoken(a.phone.next.ssrc, number));
        b.say(audio_of(&to_b), number);
        assert_eq!(a.hear().payload, spoken(b.phone.next.ssrc, number));
    }
}

#[test]
fn a_plain_side_is_joined_to_one_that_demands_encryption() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    for wanted in ["RTP/SAVP", "RTP/SAVPF"] {
        let (mut a, mut b) = (Phone::new(), SecurePhone::new(9));
        let plain = sdp_at(a.address(), "");
        let answered = |sdp: String| sdp.replace("RTP/SAVP", wanted);
        let call = |name: &str| format!("{name} {wanted}");
        ng.sdp(&with(offer(&call("c"), "a", &plain), &protocol(wanted)));
        let without_key = ng.sdp(&answer(&call("c"), "a", "b", &answered(b.sdp(&[], ""))));
        assert!(without_key.contains("m=audio 0 "), "{without_key}");
        let to_b = ng.sdp(&with(offer(&call("d"), "a", &plain), &protocol(wanted)));
        assert!(to_b.contains(&format!(" {wanted} 0")), "{to_b}");
        let (line, agreed) = b.keys.answer(&crypto_of(&to_b)).expect("a suite that it knows");
        b.agree(Some(agreed));
        let to_a = ng.sdp(&answer(&call("d"), "a", "b", &answered(b.sdp(&[line], ""))));
        assert!(to_a.contains(" RTP/AVP 0") && !to_a.contains("crypto"), "{to_a}");
        for number in 0..20 {
            b.say(audio_of(&to_b), number);
            assert_eq!(a.hear().payload, spoken(b.phone.next.ssrc, number));
            a.say(audio_of(&to_a), number);
            assert_eq!(b.hear().payload, spoken(a.next.ssrc, number));
        }
    }
}

#[test]
fn what_is_published_encrypted_is_heard_encrypted_with_other_keys_and_plain_where_that_is_asked_for() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut mic, mut ear, plain_ear) = (SecurePhone::new(1), SecurePhone::new(9), Phone::new());
    let published = command("publish", "c").with("from-tag", "mic").with("sdp", mic.offer());
    let answered = ng.sdp(&published);
    assert!(answered.contains(" RTP/SAVP 0"), "{answered}");
    mic.accept(&answered);
    let request = |to: &str| command("subscribe request", "c").with("from-tag", "mic").with("to-tag", to);
    let confirm = |to: &str, sdp: &str| {
        let reply = ng.ask(&command("subscribe answer", "c").with("to-tag", to).with("sdp", sdp));
        assert_eq!(reply.text("result"), Some("ok"), "{reply:?}");
    };
    let offered = ng.sdp(&request("ear"));
    assert!(offered.contains(" RTP/SAVP 0"), "{offered}");
    let (line, agreed) = ear.keys.answer(&crypto_of(&offered)).expect("a suite that it knows");
    ear.agree(Some(agreed));
    confirm("ear", &ear.sdp(&[line], "a=recvonly\r\n"));
    let offered = ng.sdp(&with(request("plain ear"), &protocol("RTP/AVP")));
    assert!(offered.contains(" RTP/AVP 0") && !offered.contains("crypto"), "{offered}");
    confirm("plain ear", &sdp_at(plain_ear.address(), "a=recvonly\r\n"));

    let (here, began) = (audio_of(&answered), Instant::now());
    let is_wave = |packet: Packet| crossings(&packet.payload).abs_diff(16) <= 2;
    let mut heard = [false; 2];
    while heard != [true; 2] {
        mic.send(here, &wave(10));
        let limit = Duration::from_millis(20);
        heard[0] |= ear.hear_within(limit).is_some_and(is_wave);
        heard[1] |= plain_ear.hear_within(limit).is_some_and(is_wave);
        assert!(began.elapsed() < PATIENCE, "heard by the encrypted and by the plain one: {heard:?}");
    }
}

#[test]
fn rtcp_mux_is_passed_on_or_settled_here_as_the_flags_say() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (a, b) = (Phone::new(), Phone::new());
    const MUX: &str = "a=rtcp-mux\r\n";
    // Flag, what A offers, what B answers; whether B is offered it and A gets it back.
    let cases = [
        ("", MUX, MUX, true, true),
        ("", MUX, "", true, false),
        ("", "", "", false, false),
        ("offer", "", MUX, true, false),
        ("demux", MUX, "", false, true),
        ("accept", MUX, "", true, true),
        ("reject", MUX, "", false, false),
    ];
    for (number, (flag, offered, answered, to_b, to_a)) in cases.into_iter().enumerate() {
        let call = format!("c{number}");
        let more = if flag.is_empty() {
            Dict::default()
        } else {
            Dict::default().with("rtcp-mux", vec![Value::from(flag)])
        };
        let sdp = ng.sdp(&with(offer(&call, "a", &sdp_at(a.address(), offered)), &more));
        assert_eq!(sdp.contains(MUX), to_b, "{flag}: {sdp}");
        let sdp = ng.sdp(&answer(&call, "a", "b", &sdp_at(b.address(), answered)));
        assert_eq!(sdp.contains(MUX), to_a, "{flag}: {sdp}");
        let rtcp = format!("a=rtcp:{}\r\n", audio_of(&sdp).port());
        assert_eq!(sdp.contains(&rtcp), to_a, "{flag}: {sdp}");
    }
}
