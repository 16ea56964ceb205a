//! Reports on the wire (RFC 3550 sections 6.4 and 6.5).
//!
//! Written and read here anew: the engine's own reader and writer must not be what judges the engine.

/// Packet types (RFC 3550 section 12.1).
const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const CNAME: &[u8; 8] = b"loadtest";
const BLOCK_BYTES: usize = 24;
/// Bytes before the blocks of an SR and of an RR: who reports, and, of a sender, about itself.
const SENDER_BYTES: usize = 24;
const RECEIVER_BYTES: usize = 4;

/// What a sender says of its own stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sender {
    /// Seconds since 1900, in units of 2⁻³² s.
    pub(crate) ntp: u64,
    /// The same moment in the stream.
    pub(crate) timestamp: u32,
    pub(crate) packets: u32,
    /// Bytes of payload.
    pub(crate) octets: u32,
}

/// What a listener says of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) ssrc: u32,
    /// Since the report before, in 256ths.
    pub(crate) fraction_lost: u8,
    /// In all, 24 bits; duplicates make it negative.
    pub(crate) lost: i32,
    /// Highest sequence number, with the number of its wraps above it.
    pub(crate) highest: u32,
    pub(crate) jitter_ts: u32,
    /// Middle 32 bits of [`Sender::ntp`] as last heard, and the time since then in units of 2⁻¹⁶ s; zero when none was.
    pub(crate) last_sr: u32,
    pub(crate) since_last_sr: u32,
}

/// An SR, or an RR, which has no sender.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) sender: Option<Sender>,
    pub(crate) blocks: Vec<Block>,
}

/// The part of an NTP time that reports refer to.
pub(crate) fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// A compound of a report by `ssrc`, SR or RR, and its name.
pub(crate) fn write(ssrc: u32, sender: Option<Sender>, block: Option<Block>) -> Vec<u8> {
    let mut words = vec![ssrc];
    if let Some(Sender { ntp, timestamp, packets, octets }) = sender {
        words.extend([(ntp >> 32) as u32, ntp as u32, timestamp, packets, octets]);
    }
    if let Some(block) = block {
        let lost = block.lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff;
        words.extend([
            block.ssrc,
            u32::from(block.fraction_lost) << 24 | lost,
            block.highest,
            block.jitter_ts,
        ]);
        words.extend([block.last_sr, block.since_last_sr]);
    }
    let kind = if sender.is_some() { SR } else { RR };
    let mut packet = vec![0x80 | u8::from(block.is_some()), kind, 0, words.len() as u8];
    packet.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    packet.extend([0x81, SDES, 0, 4]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend([1, CNAME.len() as u8]);
    packet.extend(CNAME);
    packet.extend([0, 0]);
    packet
}

/// The reports of a compound, as far as it can be read.
pub(crate) fn reports(packet: &[u8]) -> impl Iterator<Item = Report> {
    let mut rest = packet;
    let mut sections = std::iter::from_fn(move || {
        let (kind, count, body, after) = section(rest)?;
        rest = after;
        Some((kind, count, body))
    });
    std::iter::from_fn(move || sections.find_map(|(kind, count, body)| report(kind, count, body)))
}

fn report(kind: u8, count: u8, body: &[u8]) -> Option<Report> {
    let (sender, start) = match kind {
        SR => (Some(sender(body)?), SENDER_BYTES),
        RR => (None, RECEIVER_BYTES),
        _ => return None,
    };
    let blocks = body.get(start..)?.chunks_exact(BLOCK_BYTES).take(usize::from(count));
    Some(Report { sender, blocks: blocks.filter_map(block).collect() })
}

fn sender(body: &[u8]) -> Option<Sender> {
    let ntp = u64::from(word(body, 1)?) << 32 | u64::from(word(body, 2)?);
    Some(Sender { ntp, timestamp: word(body, 3)?, packets: word(body, 4)?, octets: word(body, 5)? })
}

fn block(body: &[u8]) -> Option<Block> {
    let loss = word(body, 1)?;
    Some(Block {
        ssrc: word(body, 0)?,
        fraction_lost: (loss >> 24) as u8,
        lost: (loss << 8).cast_signed() >> 8,
        highest: word(body, 2)?,
        jitter_ts: word(body, 3)?,
        last_sr: word(body, 4)?,
        since_last_sr: word(body, 5)?,
    })
}

/// Kind, count, body and what follows of the next packet of a compound.
fn section(packet: &[u8]) -> Option<(u8, u8, &[u8], &[u8])> {
    let [flags, kind, high, low] = *packet.first_chunk()?;
    let bytes = usize::from(u16::from_be_bytes([high, low])) * 4;
    let rest = packet.get(4..)?;
    (flags >> 6 == 2 && rest.len() >= bytes).then(|| (kind, flags & 0x1f, &rest[..bytes], &rest[bytes..]))
}

fn word(body: &[u8], index: usize) -> Option<u32> {
    body.get(index * 4..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Block = Block {
        ssrc: 9,
        fraction_lost: 51,
        lost: -2,
        highest: 65_538,
        jitter_ts: 7,
        last_sr: 0x1234_5678,
        since_last_sr: 32_768,
    };
    const SENDER: Sender = Sender { ntp: 0x1111_2222_3333_4444, timestamp: 16_000, packets: 3, octets: 480 };

    #[test]
    fn a_sender_report_has_the_shape_of_rfc_3550_section_6_4_1_and_a_name_behind_it() {
        let packet = write(7, Some(SENDER), Some(BLOCK));
        assert_eq!(packet[..8], [0x81, 200, 0, 12, 0, 0, 0, 7]);
        assert_eq!(packet[8..16], 0x1111_2222_3333_4444_u64.to_be_bytes());
        assert_eq!(packet[32..36], [51, 0xff, 0xff, 0xfe], "fraction, then 24 bits with a sign");
        assert_eq!(packet[52..60], [0x81, 202, 0, 4, 0, 0, 0, 7]);
        assert_eq!(packet[60..72], *b"\x01\x08loadtest\0\0");
        assert_eq!(middle(SENDER.ntp), 0x2222_3333);
    }

    #[test]
    fn what_is_written_is_read_back_with_a_sender_and_without_and_with_a_block_and_without() {
        for sender in [None, Some(SENDER)] {
            for block in [None, Some(BLOCK)] {
                let read: Vec<_> = reports(&write(7, sender, block)).collect();
                assert_eq!(read, [Report { sender, blocks: block.into_iter().collect() }]);
            }
        }
    }

    #[test]
    fn a_compound_that_is_cut_off_or_rubbish_is_read_as_far_as_it_goes() {
        let packet = write(7, Some(SENDER), Some(BLOCK));
        for length in 0..packet.len() {
            assert_eq!(reports(&packet[..length]).count(), usize::from(length >= 52));
        }
        assert_eq!(reports(&[0xff; 40]).count(), 0);
        assert_eq!(reports(&[0x81, 200, 0, 1, 0, 0, 0, 7]).count(), 0, "a sender without its part");
    }
}
