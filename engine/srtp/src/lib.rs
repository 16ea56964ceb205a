//! SRTP and SRTCP of one direction (RFC 3711, RFC 6188, RFC 7714): protects packets, and takes the protection off.
//!
//! It sits on the crate `rtc-srtp` and adds what a socket that strangers reach needs: replay protection is always on, a sender
//! (SSRC) costs memory only once a packet of its has been authenticated, SRTCP that is not encrypted is refused, no two packets
//! are sent under one key stream, packets carry the identifier of their key (MKI) where it has one, and a stream that has rolled
//! over before it was first heard is taken up.
//! It opens no socket, reads no clock, and keeps its keys to itself.
//!
//! Drive it: a [`Protector`] for what is sent, an [`Unprotector`] for what is received, one of each per leg.

mod mki;
mod protect;
mod rollover;
mod senders;
mod unprotect;

pub use protect::{Protector, Unprotected};
pub use unprotect::{Refusal, Unprotector};

use offhook_proto::{Mki, SrtpKey, SrtpSuite};
use rtc_srtp::context::Context;
use rtc_srtp::crypto::providers::RingCrypto;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;

/// Most bytes that protection adds: the tag of GCM, SRTCP's index, and a key's identifier.
pub const OVERHEAD_BYTES: usize = 20 + Mki::MAX_BYTES;

/// Packets that may come late by so many and are still taken (RFC 3711 section 3.3.2 asks for at least 64).
pub const REPLAY_WINDOW_PACKETS: usize = 128;

/// Rollover counters that are looked through for a stream that has begun elsewhere: 93 hours of packets of 20 ms, or two days of
/// 10 ms. Nobody is off hook longer than that, and to look through them in vain takes as long as some hundred packets.
pub const ROLLOVERS: u32 = 256;

/// Senders that one key may have: with it, a new SSRC beyond them is refused.
pub const MAX_SENDERS: usize = 16;

/// A context for one key.
///
/// # Panics
/// When the key has not the length of its suite: requests with such keys are refused.
fn context(key: &SrtpKey) -> Context {
    assert!(key.has_its_length(), "keys are checked where they come in");
    let (master_key, master_salt) = key.key.split_at(key.suite.key_bytes());
    let window = srtp_replay_protection(REPLAY_WINDOW_PACKETS);
    let reports_window = srtcp_replay_protection(REPLAY_WINDOW_PACKETS);
    let profile = profile(key.suite);
    Context::new(master_key, master_salt, profile, Some(window), Some(reports_window), &RingCrypto)
        .expect("the lengths are right, and the provider knows all suites")
}

fn profile(suite: SrtpSuite) -> ProtectionProfile {
    match suite {
        SrtpSuite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        SrtpSuite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        SrtpSuite::Aes256CmHmacSha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
        SrtpSuite::Aes256CmHmacSha1_32 => ProtectionProfile::Aes256CmHmacSha1_32,
        SrtpSuite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        SrtpSuite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    }
}

/// Puts what the library returned back where the packet lies. None when there is no room.
fn put_back(result: &[u8], buffer: &mut [u8]) -> Option<usize> {
    buffer.get_mut(..result.len())?.copy_from_slice(result);
    Some(result.len())
}

fn word(packet: &[u8], at: usize) -> Option<u32> {
    let bytes = packet.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}
