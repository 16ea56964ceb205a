//! Under which rollover counter a packet was signed, when nobody has told.
//!
//! Who joins a stream that has rolled over has to be given its counter (RFC 3711 section 3.3.1), for which SDES has no place
//! (RFC 4568 section 6.4). What is found here is a hint: the library below authenticates the packet under it once more.

use offhook_proto::{SrtpKey, SrtpSuite};
use rtc_srtp::crypto::providers::RingCrypto;
use rtc_srtp::crypto::{
    AeadAlgorithm, AeadCipher, BlockCipherAlgorithm, HmacAlgorithm, Mac, RTCCrypto, constant_time_eq,
};

use crate::{ROLLOVERS, word};

/// What tells whether a key has signed an RTP packet.
pub(crate) enum Signature {
    /// The first bytes of HMAC-SHA1 over packet and counter (RFC 3711 section 4.2).
    Hmac { mac: Box<dyn Mac>, tag_bytes: usize },
    /// A cipher whose nonce holds the counter (RFC 7714 section 8.1).
    Gcm { cipher: Box<dyn AeadCipher>, salt: [u8; 12], opened: Vec<u8> },
}

/// Labels of what is derived from a master key (RFC 3711 section 4.3.2).
const ENCRYPTION: u8 = 0;
const AUTHENTICATION: u8 = 1;
const SALT: u8 = 2;

const GCM_TAG_BYTES: usize = 16;

impl Signature {
    /// That of a key which has the length of its suite.
    pub(crate) fn new(key: &SrtpKey) -> Self {
        match key.suite {
            SrtpSuite::AesCm128HmacSha1_80 | SrtpSuite::Aes256CmHmacSha1_80 => Self::hmac(key, 10),
            SrtpSuite::AesCm128HmacSha1_32 | SrtpSuite::Aes256CmHmacSha1_32 => Self::hmac(key, 4),
            SrtpSuite::AeadAes128Gcm => Self::gcm(key, AeadAlgorithm::Aes128Gcm),
            SrtpSuite::AeadAes256Gcm => Self::gcm(key, AeadAlgorithm::Aes256Gcm),
        }
    }

    fn hmac(key: &SrtpKey, tag_bytes: usize) -> Self {
        let mac = RingCrypto.new_hmac(HmacAlgorithm::Sha1, &derived::<20>(key, AUTHENTICATION));
        Self::Hmac { mac: mac.expect("the provider knows HMAC-SHA1"), tag_bytes }
    }

    fn gcm(key: &SrtpKey, algorithm: AeadAlgorithm) -> Self {
        let session_key = derived::<32>(key, ENCRYPTION);
        let cipher = RingCrypto.new_aead(algorithm, &session_key[..key.suite.key_bytes()]);
        let cipher = cipher.expect("the provider knows GCM, and the key has its length");
        Self::Gcm { cipher, salt: derived(key, SALT), opened: Vec::new() }
    }

    /// The first counter from one on that an SRTP packet, without the identifier of its key, was signed under; none when it is
    /// none of [`ROLLOVERS`].
    pub(crate) fn find(&mut self, packet: &[u8], first: u32) -> Option<u32> {
        (first..first.saturating_add(ROLLOVERS)).find(|counter| self.fits(packet, *counter))
    }

    fn fits(&mut self, packet: &[u8], counter: u32) -> bool {
        match self {
            Self::Hmac { mac, tag_bytes } => {
                let Some(at) = packet.len().checked_sub(*tag_bytes) else { return false };
                let mut tag = [0; 20];
                let signed = mac.sign(&[&packet[..at], &counter.to_be_bytes()], &mut tag);
                signed.is_ok() && constant_time_eq(&packet[at..], &tag[..*tag_bytes])
            }
            Self::Gcm { cipher, salt, opened } => {
                let Some(nonce) = nonce(packet, counter, salt) else { return false };
                let Some(header_bytes) = header_bytes(packet) else { return false };
                let Some(body) = packet.get(header_bytes..) else { return false };
                let Some((body, tag)) = body.split_last_chunk::<GCM_TAG_BYTES>() else { return false };
                opened.clear();
                opened.extend_from_slice(body);
                cipher.open_in_place(&nonce, &packet[..header_bytes], opened, tag).is_ok()
            }
        }
    }
}

/// What a master key gives for a label, without a key derivation rate (RFC 3711 section 4.3.3; RFC 6188 section 3 for keys of
/// 256 bits, RFC 7714 section 11 for salts of 96).
fn derived<const BYTES: usize>(key: &SrtpKey, label: u8) -> [u8; BYTES] {
    let (master_key, master_salt) = key.key.split_at(key.suite.key_bytes());
    let cipher = match key.suite {
        SrtpSuite::AesCm128HmacSha1_80 | SrtpSuite::AesCm128HmacSha1_32 | SrtpSuite::AeadAes128Gcm => {
            BlockCipherAlgorithm::Aes128
        }
        SrtpSuite::Aes256CmHmacSha1_80 | SrtpSuite::Aes256CmHmacSha1_32 | SrtpSuite::AeadAes256Gcm => {
            BlockCipherAlgorithm::Aes256
        }
    };
    let mut made = [0; BYTES];
    for (number, part) in (0..).zip(made.chunks_mut(16)) {
        let mut block = [0; 16];
        block[..master_salt.len()].copy_from_slice(master_salt);
        block[7] ^= label;
        block[15] = number;
        RingCrypto
            .block_encrypt(cipher, master_key, &mut block)
            .expect("the provider knows AES, and the key has its length");
        part.copy_from_slice(&block[..part.len()]);
    }
    made
}

/// RFC 7714 section 8.1: two zeros, SSRC, counter and sequence number, with the salt.
fn nonce(packet: &[u8], counter: u32, salt: &[u8; 12]) -> Option<[u8; 12]> {
    let (ssrc, sequence) = (word(packet, 8)?, word(packet, 0)? as u16);
    let number = u128::from(ssrc) << 48 | u128::from(counter) << 16 | u128::from(sequence);
    let number = number.to_be_bytes();
    Some(std::array::from_fn(|at| number[4 + at] ^ salt[at]))
}

/// Bytes of an RTP packet's header, its extension included (RFC 3550 section 5.1).
fn header_bytes(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let fixed = 12 + 4 * usize::from(first & 0x0F);
    if first & 0x10 == 0 {
        return Some(fixed);
    }
    let words = packet.get(fixed + 2..)?.first_chunk::<2>()?;
    Some(fixed + 4 + 4 * usize::from(u16::from_be_bytes(*words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_derived_as_in_rfc_3711_appendix_b_3() {
        let master = [
            0xE1, 0xF9, 0x7A, 0x0D, 0x3E, 0x01, 0x8B, 0xE0, 0xD6, 0x4F, 0xA3, 0x2C, 0x06, 0xDE, 0x41, 0x39,
            0x0E, 0xC6, 0x75, 0xAD, 0x49, 0x8A, 0xFE, 0xEB, 0xB6, 0x96, 0x0B, 0x3A, 0xAB, 0xE6,
        ];
        let key = SrtpKey::new(SrtpSuite::AesCm128HmacSha1_80, master);
        let wanted = [
            0xCE, 0xBE, 0x32, 0x1F, 0x6F, 0xF7, 0x71, 0x6B, 0x6F, 0xD4, 0xAB, 0x49, 0xAF, 0x25, 0x6A, 0x15,
            0x6D, 0x38, 0xBA, 0xA4,
        ];
        assert_eq!(derived::<20>(&key, AUTHENTICATION), wanted);
    }

    #[test]
    fn no_bytes_off_the_wire_are_read_beyond_their_end() {
        for suite in SrtpSuite::ALL {
            let key = SrtpKey::new(suite, vec![7; suite.key_bytes() + suite.salt_bytes()]);
            let mut signature = Signature::new(&key);
            for first in [0x80, 0x90, 0x8F, 0x9F] {
                for len in 0..100 {
                    let mut packet = vec![0xFF; len];
                    packet.iter_mut().take(1).for_each(|byte| *byte = first);
                    assert_eq!(signature.find(&packet, u32::MAX - 1), None);
                }
            }
        }
    }
}
