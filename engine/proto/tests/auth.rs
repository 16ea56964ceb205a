//! Signatures.

use offhook_proto::ErrorCode;
use offhook_proto::auth::{Envelope, Key, sign, verify};
use proptest::prelude::*;

const NOW: u64 = 1_790_000_000_000;
const WINDOW: u64 = 10_000;

fn key(secret: &str) -> Key {
    Key::new(secret.as_bytes()).expect("it is long enough")
}

fn ours() -> Key {
    key("correct horse battery staple")
}

#[test]
fn a_signed_datagram_opens_with_the_same_key_within_the_window_either_way() {
    let signed = sign(&ours(), NOW, "c1", b"{}");
    for now in [NOW - WINDOW, NOW, NOW + WINDOW] {
        assert_eq!(verify(&ours(), now, WINDOW, &signed), Ok(("c1", b"{}".as_slice())));
    }
    for now in [NOW - WINDOW - 1, NOW + WINDOW + 1] {
        let error = verify(&ours(), now, WINDOW, &signed).expect_err("out of the window");
        assert_eq!(error.code, ErrorCode::Unauthorized);
        assert!(error.reason.contains("10001 ms"), "{error}");
    }
}

#[test]
fn another_key_does_not_open_it() {
    let signed = sign(&key("another secret of mine"), NOW, "c1", b"{}");
    assert_eq!(verify(&ours(), NOW, WINDOW, &signed).expect_err("wrong key").code, ErrorCode::Unauthorized);
}

#[test]
fn a_datagram_without_signature_is_unauthorized_and_one_without_cookie_a_bad_request() {
    assert_eq!(verify(&ours(), NOW, WINDOW, b"c1 {}").expect_err("plain").code, ErrorCode::Unauthorized);
    assert_eq!(verify(&ours(), NOW, WINDOW, b"").expect_err("empty").code, ErrorCode::BadRequest);
}

#[test]
fn a_key_is_trimmed_has_sixteen_bytes_and_is_never_printed() {
    assert_eq!(Key::new(b" 0123456789abcdef\n"), Key::new(b"0123456789abcdef"));
    let error = Key::new(b"0123456789abcde\n\n\n").expect_err("too short");
    assert_eq!(error.reason, "key: must be 16 bytes or more, not 15");
    assert_eq!(format!("{:?}", ours()), "Key(..)");
}

#[test]
fn an_envelope_refuses_a_replay_but_not_a_retransmission() {
    let (client, mut engine) = (Envelope::client(Some(ours())), Envelope::engine(Some(ours()), NOW - 1_000));
    let request = b"c1 {\"command\":\"ping\"}".to_vec();
    let first = client.seal(NOW, request.clone());
    assert_eq!(engine.open(NOW, &first).as_deref(), Ok(request.as_slice()));
    assert_eq!(engine.open(NOW + 1, &first).expect_err("a replay").code, ErrorCode::Unauthorized);
    let again = client.seal(NOW + 100, request.clone());
    assert_eq!(engine.open(NOW + 100, &again).as_deref(), Ok(request.as_slice()));
}

#[test]
fn an_engine_refuses_what_was_signed_before_it_started() {
    let client = Envelope::client(Some(ours()));
    let captured = client.seal(NOW - 1, b"c1 {}".to_vec());
    assert!(Envelope::engine(Some(ours()), NOW).open(NOW, &captured).is_err());
}

#[test]
fn without_a_key_datagrams_pass_as_they_are_and_signed_ones_are_refused() {
    let mut plain = Envelope::client(None);
    assert!(!plain.is_signed());
    assert_eq!(plain.seal(NOW, b"c1 {}".to_vec()), b"c1 {}");
    assert_eq!(plain.open(NOW, b"c1 {}").as_deref(), Ok(b"c1 {}".as_slice()));
    let signed = sign(&ours(), NOW, "c1", b"{}");
    assert!(plain.open(NOW, &signed).expect_err("no key").reason.contains("no key"));
}

#[test]
fn the_time_must_stand_as_it_was_signed() {
    let signed = String::from_utf8(sign(&ours(), NOW, "c1", b"{}")).expect("it is text");
    for other in ["@01790000000000.", "@+1790000000000.", "@1790000000000 ", "@."] {
        let changed = signed.replace("@1790000000000.", other);
        assert!(verify(&ours(), NOW, WINDOW, changed.as_bytes()).is_err(), "{changed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_changed_bit_anywhere_is_refused(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut signed = sign(&ours(), NOW, "c1", b"{\"command\":\"ping\"}");
        let at = at.index(signed.len());
        signed[at] ^= 1 << bit;
        prop_assert!(verify(&ours(), NOW, WINDOW, &signed).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = verify(&ours(), NOW, WINDOW, &[b"c1 @1790000000000.".as_slice(), &bytes].concat());
        let _ = verify(&ours(), NOW, WINDOW, &bytes);
    }
}
