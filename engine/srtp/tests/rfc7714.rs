//! The packets of RFC 7714, sections 16.1.1, 16.2.1, 17.1 and 17.2, which begin at session keys.
//!
//! The library below takes master keys only. Its provider of cryptography makes the blocks that session keys are cut from: the one
//! here gives those of the RFC instead, and leaves the rest to the provider that is used otherwise.

use rtc_srtp::context::Context;
use rtc_srtp::crypto::providers::RingCrypto;
use rtc_srtp::crypto::{
    AeadAlgorithm, AeadCipher, BlockCipherAlgorithm, CryptoAlgorithm, CryptoError, RTCCrypto,
};
use rtc_srtp::protection_profile::ProtectionProfile;

struct Vector {
    profile: ProtectionProfile,
    key_bytes: usize,
    srtp: &'static str,
    srtcp: &'static str,
}

/// The session key of AEAD 256; that of AEAD 128 is its first half.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// The session salt.
const SALT: &str = "517569642070726f2071756f";

const RTP: &str =
    "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";
const RTCP: &str = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
/// The index of the SRTCP packets.
const SRTCP_INDEX: usize = 0x5D4;

const VECTORS: [Vector; 2] = [
    Vector {
        profile: ProtectionProfile::AeadAes128Gcm,
        key_bytes: 16,
        srtp: "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
        srtcp: "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
    },
    Vector {
        profile: ProtectionProfile::AeadAes256Gcm,
        key_bytes: 32,
        srtp: "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
        srtcp: "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
    },
];

/// Gives the session keys of the RFC for whatever is derived from a master key and salt of zeros.
struct SessionKeys;

impl RTCCrypto for SessionKeys {
    fn supports(&self, algorithm: CryptoAlgorithm) -> bool {
        RingCrypto.supports(algorithm)
    }

    /// The block holds a label in its eighth byte, and its number in the last (RFC 3711 section 4.3.3).
    fn block_encrypt(&self, _: BlockCipherAlgorithm, _: &[u8], block: &mut [u8]) -> Result<(), CryptoError> {
        let (label, at) = (block[7], 16 * usize::from(block[15]));
        let made = match label {
            0 | 3 => bytes(KEY),
            2 | 5 => [bytes(SALT), vec![0; 4]].concat(),
            label => panic!("GCM has no key of label {label}"),
        };
        block.copy_from_slice(&made[at..at + 16]);
        Ok(())
    }

    fn new_aead(&self, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Box<dyn AeadCipher>, CryptoError> {
        RingCrypto.new_aead(algorithm, key)
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn context(vector: &Vector) -> Context {
    let master_key = vec![0; vector.key_bytes];
    Context::new(&master_key, &[0; 12], vector.profile, None, None, &SessionKeys)
        .expect("keys of their length")
}

#[test]
fn rtp_is_protected_as_in_sections_16_1_1_and_16_2_1() {
    for vector in &VECTORS {
        let made = context(vector).encrypt_rtp(&bytes(RTP)).expect("it is RTP");
        assert_eq!(made[..], bytes(vector.srtp), "{:?}", vector.profile);
        let opened = context(vector).decrypt_rtp(&made).expect("it is authentic");
        assert_eq!(opened[..], bytes(RTP), "{:?}", vector.profile);
    }
}

#[test]
fn rtcp_is_protected_as_in_sections_17_1_and_17_2() {
    for vector in &VECTORS {
        let mut sender = context(vector);
        let mut made = Vec::new();
        for _ in 0..SRTCP_INDEX {
            made = sender.encrypt_rtcp(&bytes(RTCP)).expect("it is RTCP").to_vec();
        }
        assert_eq!(made, bytes(vector.srtcp), "{:?}", vector.profile);
        let opened = context(vector).decrypt_rtcp(&made).expect("it is authentic");
        assert_eq!(opened[..], bytes(RTCP), "{:?}", vector.profile);
    }
}
