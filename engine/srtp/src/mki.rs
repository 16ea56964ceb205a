//! The master key identifier that packets carry where signalling names one, of which the library below knows nothing.
//!
//! It stands before the tag of HMAC-SHA1 (RFC 3711 sections 3.1 and 3.4), and at the very end with GCM (RFC 7714 sections 8.2
//! and 9.2).

use offhook_proto::{Mki, SrtpKey, SrtpSuite};

/// Where a key's packets carry its identifier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    mki: Mki,
    /// Bytes that come after it.
    after: usize,
}

/// Where RTP and RTCP under a key carry its identifier; none when it has none.
pub(crate) fn places(key: &SrtpKey) -> [Option<Place>; 2] {
    let tags = match key.suite {
        SrtpSuite::AesCm128HmacSha1_80 | SrtpSuite::Aes256CmHmacSha1_80 => [10, 10],
        SrtpSuite::AesCm128HmacSha1_32 | SrtpSuite::Aes256CmHmacSha1_32 => [4, 10],
        SrtpSuite::AeadAes128Gcm | SrtpSuite::AeadAes256Gcm => [0, 0],
    };
    tags.map(|after| key.mki.map(|mki| Place { mki, after }))
}

impl Place {
    /// Bytes that it adds to a packet.
    pub(crate) fn size_bytes(self) -> usize {
        self.mki.size_bytes()
    }

    /// Puts the identifier into the packet in the first `len` bytes of a buffer, which has room for it. Returns how long it is
    /// then.
    ///
    /// # Panics
    /// When there is no room, or the packet is shorter than what comes after.
    pub(crate) fn put_in(self, buffer: &mut [u8], len: usize) -> usize {
        let (at, size) = (len - self.after, self.size_bytes());
        buffer.copy_within(at..len, at + size);
        for (place, byte) in buffer[at..at + size].iter_mut().zip(self.mki.bytes()) {
            *place = byte;
        }
        len + size
    }

    /// Takes the identifier out of a packet. Returns how long it is then; none, and nothing is changed, when it has not this one.
    pub(crate) fn take_out(self, packet: &mut [u8]) -> Option<usize> {
        let size = self.size_bytes();
        let at = packet.len().checked_sub(self.after + size)?;
        if !packet[at..at + size].iter().copied().eq(self.mki.bytes()) {
            return None;
        }
        packet.copy_within(at + size.., at);
        Some(packet.len() - size)
    }
}
