//! What is sent.

use std::fmt;

use offhook_proto::SrtpKey;
use rtc_srtp::context::Context;

use crate::{context, put_back};

/// Protects the packets of one direction. Counts rollovers by itself: give it the packets in about the order of their numbers.
pub struct Protector {
    context: Context,
}

impl Protector {
    /// One that starts with rollover counter 0.
    ///
    /// # Panics
    /// When the key has not the length of its suite.
    pub fn new(key: &SrtpKey) -> Self {
        Self { context: context(key) }
    }

    /// Protects the RTP packet in the first `len` bytes of `buffer`. Returns how long it is then: up to
    /// [`crate::OVERHEAD_BYTES`] more.
    ///
    /// None when it is no RTP packet, when the buffer has no room, or when the key is used up (2^48 packets).
    pub fn rtp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        let protected = self.context.encrypt_rtp(buffer.get(..len)?).ok()?;
        put_back(&protected, buffer)
    }

    /// Protects the compound RTCP packet in the first `len` bytes of `buffer`, as [`Protector::rtp`] does.
    pub fn rtcp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        let protected = self.context.encrypt_rtcp(buffer.get(..len)?).ok()?;
        put_back(&protected, buffer)
    }
}

/// Without the key.
impl fmt::Debug for Protector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protector")
    }
}
