//! RTP packets (RFC 3550 section 5.1), read and rewritten in place.

/// Bytes of the fixed header.
pub(crate) const HEADER_BYTES: usize = 12;

/// Says in the first byte that padding follows the payload.
const PADDED: u8 = 0x20;

/// What a packet's header says, and where its payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    /// Where the payload starts: after contributing sources and extension.
    pub(crate) payload_at: usize,
    /// Bytes of payload, without padding.
    pub(crate) payload_len: usize,
}

/// What a packet on its way out is stamped with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

impl Header {
    /// The header of a packet; none when it is too short, of another version, or its lengths do not add up.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let (fixed, _) = packet.split_first_chunk::<HEADER_BYTES>()?;
        if fixed[0] >> 6 != 2 {
            return None;
        }
        let mut payload_at = HEADER_BYTES + 4 * usize::from(fixed[0] & 0x0F);
        if fixed[0] & 0x10 != 0 {
            let extension = packet.get(payload_at..payload_at + 4)?;
            payload_at += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
        }
        let mut payload_len = packet.len().checked_sub(payload_at)?;
        if fixed[0] & PADDED != 0 {
            let padding = usize::from(*packet.last()?);
            if padding == 0 {
                return None;
            }
            payload_len = payload_len.checked_sub(padding)?;
        }
        Some(Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7F,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            payload_at,
            payload_len,
        })
    }
}

impl Stamp {
    /// Rewrites the fixed header of a packet that [`Header::parse`] took; its first byte stays as it is.
    pub(crate) fn rewrite(&self, packet: &mut [u8]) {
        packet[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7F;
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }

    /// Writes a plain header of [`HEADER_BYTES`] in front of a payload.
    pub(crate) fn write(&self, packet: &mut [u8]) {
        packet[0] = 0x80;
        self.rewrite(packet);
    }
}

/// Tells in a packet whose end is cut off that nothing follows its payload.
pub(crate) fn forget_padding(packet: &mut [u8]) {
    packet[0] &= !PADDED;
}

/// Whether a packet on a media port is RTCP by its second byte (RFC 5761 section 4).
pub(crate) fn is_rtcp(packet: &[u8]) -> bool {
    packet.len() >= 2 && packet[0] >> 6 == 2 && (192..=223).contains(&packet[1])
}

/// Whether packets of a payload type look like RTCP when they bear a marker.
pub(crate) fn may_be_rtcp(payload_type: u8) -> bool {
    is_rtcp(&[0x80, payload_type | 0x80])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_with_sources_extension_and_padding_is_measured() {
        let mut packet = vec![0xB1, 0x80, 0x12, 0x34, 0, 0, 0, 160, 1, 2, 3, 4];
        packet.extend([9; 4]);
        packet.extend([0xBE, 0xDE, 0, 1, 7, 7, 7, 7]);
        packet.extend([0x55; 10]);
        packet.extend([0, 0, 3]);
        let header = Header::parse(&packet).expect("it is well formed");
        assert_eq!(
            header,
            Header {
                marker: true,
                payload_type: 0,
                sequence: 0x1234,
                timestamp: 160,
                ssrc: 0x0102_0304,
                payload_at: 24,
                payload_len: 10,
            }
        );
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        let plain = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        assert!(Header::parse(&plain).is_some());
        assert!(Header::parse(&plain[..11]).is_none());
        let with_first = |byte| [&[byte], &plain[1..]].concat();
        assert!(Header::parse(&with_first(0x00)).is_none(), "version 0");
        assert!(Header::parse(&with_first(0x81)).is_none(), "a source that is not there");
        assert!(Header::parse(&with_first(0x90)).is_none(), "an extension that is not there");
        let padded = |count| [with_first(0xA0), vec![0, count]].concat();
        assert!(Header::parse(&padded(2)).is_some());
        assert!(Header::parse(&padded(3)).is_none(), "more padding than payload");
        assert!(Header::parse(&padded(0)).is_none(), "padding counts itself");
    }

    proptest! {
        #[test]
        fn whatever_parses_lies_inside_the_packet(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(header) = Header::parse(&packet) {
                prop_assert!(header.payload_at + header.payload_len <= packet.len());
            }
        }
    }
}
