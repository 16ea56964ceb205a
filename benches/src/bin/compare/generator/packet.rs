//! What a packet carries: which run, which flow, which number, sent when, and when the one before it was.

/// RTP header (RFC 3550 section 5.1) and 160 bytes of payload.
pub(super) const PACKET_BYTES: usize = 172;

/// A packet as the receiver reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) run: u32,
    pub(super) flow: u32,
    pub(super) number: u32,
    pub(super) sent_ns: u64,
    /// When the flow's packet before this one was sent; 0 before the first.
    pub(super) previous_ns: u64,
}

/// Writes a PCMU packet of 20 ms around a mark.
pub(super) fn write(packet: &mut [u8; PACKET_BYTES], mark: Mark) {
    packet[0] = 0x80;
    packet[1] = if mark.number == 0 { 0x80 } else { 0 };
    packet[2..4].copy_from_slice(&first_sequence(mark.flow).wrapping_add(mark.number as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&mark.number.wrapping_mul(160).to_be_bytes());
    packet[8..12].copy_from_slice(&(SSRC_BASE | mark.flow).to_be_bytes());
    packet[12..16].copy_from_slice(&mark.run.to_be_bytes());
    packet[16..20].copy_from_slice(&mark.flow.to_be_bytes());
    packet[20..24].copy_from_slice(&mark.number.to_be_bytes());
    packet[24..32].copy_from_slice(&mark.sent_ns.to_be_bytes());
    packet[32..40].copy_from_slice(&mark.previous_ns.to_be_bytes());
}

/// Each phone starts at a sequence number of its own (RFC 3550 section 5.1), so that what a parked leg's filter passes by
/// number comes spread over time.
fn first_sequence(flow: u32) -> u16 {
    (flow as u16).wrapping_mul(0x9E37)
}

/// The mark of a packet that is one of ours by its length.
pub(super) fn read(packet: &[u8]) -> Option<Mark> {
    let packet: &[u8; PACKET_BYTES] = packet.try_into().ok()?;
    let word = |at: usize| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
    let time = |at: usize| u64::from(word(at)) << 32 | u64::from(word(at + 4));
    Some(Mark { run: word(12), flow: word(16), number: word(20), sent_ns: time(24), previous_ns: time(32) })
}

/// The flow that a packet belongs to, from its SSRC.
pub(crate) fn flow_of(packet: &[u8]) -> Option<u32> {
    let ssrc = u32::from_be_bytes(packet.get(8..12)?.try_into().ok()?);
    (ssrc & 0xffff_0000 == SSRC_BASE).then_some(ssrc & 0xffff)
}

const SSRC_BASE: u32 = 0x5eed_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let sent_ns = 1_790_000_000_123_456_789;
        let mark = Mark { run: 3, flow: 4_001, number: 70_000, sent_ns, previous_ns: sent_ns - 20_000_000 };
        let mut packet = [0xff; PACKET_BYTES];
        write(&mut packet, mark);
        assert_eq!(read(&packet), Some(mark));
        assert_eq!(read(&packet[1..]), None);
    }
}
