//! What is sent.

use std::fmt;

use offhook_proto::SrtpKey;
use rtc_srtp::context::Context;

use crate::mki::{Place, places};
use crate::{context, word};

/// Protects the packets of one direction. Counts rollovers by itself: give it the packets in about the order of their numbers.
///
/// It keeps a few bytes for each SSRC: they are ours, one per leg.
pub struct Protector {
    context: Context,
    /// Where RTP and RTCP carry the key's identifier.
    mki: [Option<Place>; 2],
    sent: Vec<Sent>,
}

/// Why a packet was not protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unprotected {
    /// One of its number was protected before, or one so much later that this cannot be known: two packets under one key stream
    /// would give both away, and with GCM the authentication too (RFC 3711 section 9.1, RFC 7714 section 8.4).
    Repeated,
    /// It is not what it should be, the buffer has no room, or the key is used up (2^48 packets).
    Impossible,
}

impl Protector {
    /// One that starts with rollover counter 0.
    ///
    /// # Panics
    /// When the key has not the length of its suite.
    pub fn new(key: &SrtpKey) -> Self {
        Self { context: context(key), mki: places(key), sent: Vec::new() }
    }

    /// Protects the RTP packet in the first `len` bytes of `buffer`. Returns how long it is then: up to
    /// [`crate::OVERHEAD_BYTES`] more.
    ///
    /// # Errors
    /// The packet is left as it was.
    pub fn rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Unprotected> {
        let packet = buffer.get(..len).ok_or(Unprotected::Impossible)?;
        let sequence = word(packet, 0).ok_or(Unprotected::Impossible)? as u16;
        let ssrc = word(packet, 8).ok_or(Unprotected::Impossible)?;
        let known = self.sent.iter_mut().find(|sent| sent.ssrc == ssrc);
        if known.as_ref().is_some_and(|sent| sent.has(sequence)) {
            return Err(Unprotected::Repeated);
        }
        let protected = self.context.encrypt_rtp(packet).map_err(|_| Unprotected::Impossible)?;
        let len = put_back(&protected, self.mki[0], buffer)?;
        match known {
            Some(sent) => sent.note(sequence),
            None => self.sent.push(Sent { ssrc, highest: sequence, seen: 1 }),
        }
        Ok(len)
    }

    /// Protects the compound RTCP packet in the first `len` bytes of `buffer`, as [`Protector::rtp`] does. Each has an index of
    /// its own.
    ///
    /// # Errors
    /// The packet is left as it was.
    pub fn rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Unprotected> {
        let packet = buffer.get(..len).ok_or(Unprotected::Impossible)?;
        let protected = self.context.encrypt_rtcp(packet).map_err(|_| Unprotected::Impossible)?;
        put_back(&protected, self.mki[1], buffer)
    }
}

/// Puts what the library returned where the packet lay, with the identifier of its key.
fn put_back(protected: &[u8], mki: Option<Place>, buffer: &mut [u8]) -> Result<usize, Unprotected> {
    let room = buffer.len().checked_sub(mki.map_or(0, Place::size_bytes));
    if room.is_none_or(|room| protected.len() > room) {
        return Err(Unprotected::Impossible);
    }
    let len = crate::put_back(protected, buffer).ok_or(Unprotected::Impossible)?;
    Ok(mki.map_or(len, |mki| mki.put_in(buffer, len)))
}

/// The sequence numbers of one SSRC that were protected.
#[derive(Clone, Copy, Debug)]
struct Sent {
    ssrc: u32,
    highest: u16,
    /// Bit `n`: the number `n` before the highest.
    seen: u128,
}

impl Sent {
    /// Whether a number is not certain to be new.
    fn has(&self, sequence: u16) -> bool {
        let behind = self.highest.wrapping_sub(sequence);
        behind <= 0x8000 && self.seen.checked_shr(u32::from(behind)).is_none_or(|seen| seen & 1 == 1)
    }

    /// Takes note of a number that it did not have.
    fn note(&mut self, sequence: u16) {
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead < 0x8000 {
            self.highest = sequence;
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
        } else {
            self.seen |= 1 << ahead.wrapping_neg();
        }
    }
}

/// Without the key.
impl fmt::Debug for Protector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protector")
    }
}
