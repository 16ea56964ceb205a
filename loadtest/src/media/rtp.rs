//! RTP headers: a read-only view and a writer (RFC 3550 section 5.1).

/// Bytes of a header without sources or extension.
pub(crate) const HEADER_BYTES: usize = 12;
/// Payload type of G.711 µ-law (RFC 3551 section 6).
pub(crate) const PCMU: u8 = 0;
/// Payload type of comfort noise (RFC 3389).
pub(crate) const COMFORT_NOISE: u8 = 13;
/// Payload type that our descriptions give telephone-event (RFC 4733).
pub(crate) const TELEPHONE_EVENT: u8 = 101;

/// The fixed header.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Header {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

impl Header {
    /// Writes version 2 without padding, extension or sources.
    pub(crate) fn write(&self, packet: &mut [u8; HEADER_BYTES]) {
        packet[0] = 0x80;
        packet[1] = u8::from(self.marker) << 7 | self.payload_type;
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// Splits a packet into header and payload. `None`: not RTP.
pub(crate) fn parse(packet: &[u8]) -> Option<(Header, &[u8])> {
    let fixed: &[u8; HEADER_BYTES] = packet.get(..HEADER_BYTES)?.try_into().ok()?;
    let [flags, kind, s1, s0, t3, t2, t1, t0, c3, c2, c1, c0] = *fixed;
    if flags >> 6 != 2 {
        return None;
    }
    let mut start = HEADER_BYTES + usize::from(flags & 0x0f) * 4;
    if flags & 0x10 != 0 {
        let words = packet.get(start + 2..start + 4)?;
        start += 4 + usize::from(u16::from_be_bytes([words[0], words[1]])) * 4;
    }
    let padding = if flags & 0x20 != 0 { usize::from(*packet.last()?) } else { 0 };
    let payload = packet.get(start..packet.len().checked_sub(padding)?)?;
    let header = Header {
        marker: kind & 0x80 != 0,
        payload_type: kind & 0x7f,
        sequence: u16::from_be_bytes([s1, s0]),
        timestamp: u32::from_be_bytes([t3, t2, t1, t0]),
        ssrc: u32::from_be_bytes([c3, c2, c1, c0]),
    };
    Some((header, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_header_is_read_back_and_sources_extension_and_padding_are_skipped() {
        let header = Header {
            marker: true,
            payload_type: 13,
            sequence: 65_535,
            timestamp: 1 << 31,
            ssrc: 0xdead_beef,
        };
        let mut fixed = [0; HEADER_BYTES];
        header.write(&mut fixed);
        assert_eq!(parse(&fixed), Some((header, &[][..])));
        let mut packet = fixed.to_vec();
        packet[0] |= 0x31;
        packet.extend_from_slice(&[0; 4]);
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0, 0, 0, 0]);
        packet.extend_from_slice(&[1, 2, 3, 0, 2]);
        assert_eq!(parse(&packet), Some((header, &[1, 2, 3][..])));
    }

    #[test]
    fn short_wrong_and_overlong_packets_are_not_rtp() {
        assert_eq!(parse(&[0x80; 11]), None);
        assert_eq!(parse(&[0x40; 20]), None);
        assert_eq!(parse(&[0x9f; 20]), None);
        assert_eq!(parse(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200]), None);
    }
}
