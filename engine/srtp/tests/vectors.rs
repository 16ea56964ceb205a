//! Whole packets whose protected form is known from elsewhere.
//!
//! Sources: libsrtp, `test/srtp_driver.c`, functions `srtp_validate` (AES-CM 128; keys of RFC 3711 B.3), `srtp_validate_aes_256`
//! (keys of RFC 6188 section 7.2) and `srtp_validate_gcm` (AEAD 128). AES-CM with a tag of 32 bits is the one of 80 with its tag
//! cut (RFC 4568 section 6.2.1, RFC 6188 section 4; SRTCP keeps 80 bits). From a master key of AEAD 256 to a packet, and to a
//! report of AES-CM 256, no reference goes: those were computed by the RFCs with OpenSSL's AES, which gives libsrtp's packets for
//! the other keys as well. RFC 7714 begins at session keys: `rfc7714.rs`. A wrong derivation, keystream, nonce, index or tag
//! changes every byte.

use offhook_proto::{SrtpKey, SrtpSuite};
use offhook_srtp::{OVERHEAD_BYTES, Protector, Unprotector};

struct Vector {
    suite: SrtpSuite,
    key: &'static str,
    rtp: &'static str,
    rtcp: &'static str,
}

const PLAIN_RTP: &str = "800f1234decafbadcafebabeabababababababababababababababab";
const PLAIN_RTCP: &str = "81c8000bcafebabeabababababababababababababababab";

const VECTORS: [Vector; 6] = [
    Vector {
        suite: SrtpSuite::AesCm128HmacSha1_80,
        key: "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6",
        rtp: "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb",
        rtcp: "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798",
    },
    Vector {
        suite: SrtpSuite::AesCm128HmacSha1_32,
        key: "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6",
        rtp: "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc",
        rtcp: "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798",
    },
    Vector {
        suite: SrtpSuite::Aes256CmHmacSha1_80,
        key: "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b63b04803de51ee7c96423ab5b78d2",
        rtp: "800f1234decafbadcafebabef1d9de17ff251ff1aa007774b0b4b40da08d9d9a5b3a55d8873b",
        rtcp: "81c8000bcafebabeb4d0e7a917d24b9faab9d3b6127b3ba680000001e04ac0ec2846f71bd31c",
    },
    Vector {
        suite: SrtpSuite::Aes256CmHmacSha1_32,
        key: "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b63b04803de51ee7c96423ab5b78d2",
        rtp: "800f1234decafbadcafebabef1d9de17ff251ff1aa007774b0b4b40da08d9d9a",
        rtcp: "81c8000bcafebabeb4d0e7a917d24b9faab9d3b6127b3ba680000001e04ac0ec2846f71bd31c",
    },
    Vector {
        suite: SrtpSuite::AeadAes128Gcm,
        key: "000102030405060708090a0b0c0d0e0fa0a1a2a3a4a5a6a7a8a9aaab",
        rtp: "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392",
        rtcp: "81c8000bcafebabec98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123ba88ce61e80000001",
    },
    Vector {
        suite: SrtpSuite::AeadAes256Gcm,
        key: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fa0a1a2a3a4a5a6a7a8a9aaab",
        rtp: "800f1234decafbadcafebabe0af7f21e8a90bdad7a425c9c31ed4bb1d90238917e7390a2793500e1681acaea",
        rtcp: "81c8000bcafebabe8abfafa780070a90e80f9161cf4aac081ed93aaa53c15b0f3ed1a3b984167b0380000001",
    },
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

#[test]
fn every_suite_has_a_vector() {
    for suite in SrtpSuite::ALL {
        assert!(VECTORS.iter().any(|vector| vector.suite == suite), "{suite}");
    }
}

fn key(vector: &Vector) -> SrtpKey {
    SrtpKey::new(vector.suite, bytes(vector.key))
}

#[test]
fn rtp_is_protected_as_the_reference_does_it() {
    for vector in &VECTORS {
        let plain = bytes(PLAIN_RTP);
        let mut buffer = [&plain[..], &[0; OVERHEAD_BYTES]].concat();
        let len = Protector::new(&key(vector)).rtp(&mut buffer, plain.len()).expect("there is room");
        assert_eq!(buffer[..len], bytes(vector.rtp), "{}", vector.suite);
        let len = Unprotector::new(&key(vector)).rtp(&mut buffer[..len]).expect("it is authentic");
        assert_eq!(buffer[..len], plain, "{}", vector.suite);
    }
}

#[test]
fn rtcp_is_protected_as_the_reference_does_it() {
    for vector in &VECTORS {
        let plain = bytes(PLAIN_RTCP);
        let mut buffer = [&plain[..], &[0; OVERHEAD_BYTES]].concat();
        let len = Protector::new(&key(vector)).rtcp(&mut buffer, plain.len()).expect("there is room");
        assert_eq!(buffer[..len], bytes(vector.rtcp), "{}", vector.suite);
        let len = Unprotector::new(&key(vector)).rtcp(&mut buffer[..len]).expect("it is authentic");
        assert_eq!(buffer[..len], plain, "{}", vector.suite);
    }
}
