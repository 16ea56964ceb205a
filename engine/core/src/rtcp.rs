//! RTCP packets (RFC 3550 section 6), read and written; of extended reports (RFC 3611) the VoIP metrics are read.

use offhook_proto::VoipMetrics;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const EXTENDED_REPORT: u8 = 207;
/// Block type of VoIP metrics, and its words after the first (RFC 3611 section 4.7).
const VOIP_METRICS: u8 = 7;
const VOIP_METRICS_WORDS: usize = 8;

/// Most bytes that [`write`] needs with a CNAME of 32.
#[cfg(test)]
const WRITE_BYTES: usize = 128;

/// One thing that a compound packet says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Item {
    /// The sender's clock, as the middle 32 bits of its NTP timestamp.
    Sender { ssrc: u32, ntp_middle: u32 },
    /// A receiver's report begins: of somebody who sends nothing.
    Receiver,
    /// What the sender hears of `of`.
    Block(Block),
    /// What a receiver measured of `of` itself.
    Voip { of: u32, metrics: VoipMetrics },
    /// A source has left.
    Goodbye { ssrc: u32 },
}

/// A report block (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// Source that is reported on.
    pub(crate) of: u32,
    /// Share lost since the report before, in 256ths.
    pub(crate) fraction_lost: u8,
    /// Packets lost in total, 24 bits with sign.
    pub(crate) packets_lost: i32,
    /// Highest sequence number received, with its wraps in the upper half.
    pub(crate) highest: u32,
    /// In timestamp units.
    pub(crate) jitter_ts: u32,
    /// Middle of the NTP timestamp of the last sender report received; 0 when there was none.
    pub(crate) last_sr: u32,
    /// Time since that, in 65536ths of a second.
    pub(crate) since_last_sr: u32,
}

/// What our own report says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) ssrc: u32,
    pub(crate) cname: &'a [u8],
    /// Present when anything was sent since the report before.
    pub(crate) sender: Option<SenderInfo>,
    pub(crate) block: Option<Block>,
    pub(crate) goodbye: bool,
}

/// What was sent (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct SenderInfo {
    pub(crate) ntp: u64,
    pub(crate) timestamp: u32,
    pub(crate) packets: u32,
    pub(crate) payload_bytes: u32,
}

/// Calls `on_item` for everything of note in a compound packet. Returns false when the packet is no RTCP, at the place where
/// that shows; what came before has been told.
///
/// A compound packet starts with a report (RFC 3550 section 6.1); reduced-size packets (RFC 5506) are taken too.
pub(crate) fn parse(packet: &[u8], mut on_item: impl FnMut(Item)) -> bool {
    let mut rest = packet;
    while !rest.is_empty() {
        let Some((&[first, kind, high, low], _)) = rest.split_first_chunk::<4>() else { return false };
        let len = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        if first >> 6 != 2 || !(192..=223).contains(&kind) || len > rest.len() {
            return false;
        }
        let (body, after) = (&rest[4..len], &rest[len..]);
        let count = usize::from(first & 0x1F);
        let well_formed = match kind {
            SENDER_REPORT => parse_sender(body, count, &mut on_item),
            RECEIVER_REPORT => parse_receiver(body, count, &mut on_item),
            EXTENDED_REPORT => extended(body, &mut on_item),
            GOODBYE => {
                let sources = body.len() >= 4 * count;
                body.chunks_exact(4)
                    .take(count)
                    .for_each(|ssrc| on_item(Item::Goodbye { ssrc: word(ssrc, 0) }));
                sources
            }
            _ => true,
        };
        if !well_formed {
            return false;
        }
        rest = after;
    }
    !packet.is_empty()
}

/// Writes a compound packet: report, CNAME, goodbye. Returns its bytes: at most 128 with a CNAME of 32.
///
/// # Panics
/// When `out` is too short.
pub(crate) fn write(report: &Report<'_>, out: &mut [u8]) -> usize {
    let mut writer = Writer { out, len: 0 };
    let blocks = u8::from(report.block.is_some());
    let at = writer.begin(blocks, if report.sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT });
    writer.word(report.ssrc);
    if let Some(sender) = &report.sender {
        writer.word((sender.ntp >> 32) as u32);
        writer.word(sender.ntp as u32);
        writer.word(sender.timestamp);
        writer.word(sender.packets);
        writer.word(sender.payload_bytes);
    }
    if let Some(block) = &report.block {
        writer.word(block.of);
        let lost = block.packets_lost.clamp(-0x80_0000, 0x7F_FFFF) as u32 & 0xFF_FFFF;
        writer.word(u32::from(block.fraction_lost) << 24 | lost);
        writer.word(block.highest);
        writer.word(block.jitter_ts);
        writer.word(block.last_sr);
        writer.word(block.since_last_sr);
    }
    writer.end(at);
    let at = writer.begin(1, SOURCE_DESCRIPTION);
    writer.word(report.ssrc);
    writer.bytes(&[1, report.cname.len() as u8]);
    writer.bytes(report.cname);
    writer.bytes(&[0]);
    writer.end(at);
    if report.goodbye {
        let at = writer.begin(1, GOODBYE);
        writer.word(report.ssrc);
        writer.end(at);
    }
    writer.len
}

fn parse_sender(body: &[u8], count: usize, on_item: &mut impl FnMut(Item)) -> bool {
    if body.len() < 24 + 24 * count {
        return false;
    }
    let ntp_middle = word(body, 4) << 16 | word(body, 8) >> 16;
    on_item(Item::Sender { ssrc: word(body, 0), ntp_middle });
    blocks(&body[24..], count, on_item)
}

fn parse_receiver(body: &[u8], count: usize, on_item: &mut impl FnMut(Item)) -> bool {
    if body.len() < 4 + 24 * count {
        return false;
    }
    on_item(Item::Receiver);
    blocks(&body[4..], count, on_item)
}

fn blocks(bytes: &[u8], count: usize, on_item: &mut impl FnMut(Item)) -> bool {
    for block in bytes.chunks_exact(24).take(count) {
        on_item(Item::Block(Block {
            of: word(block, 0),
            fraction_lost: block[4],
            packets_lost: (word(block, 4) << 8) as i32 >> 8,
            highest: word(block, 8),
            jitter_ts: word(block, 12),
            last_sr: word(block, 16),
            since_last_sr: word(block, 20),
        }));
    }
    true
}

/// The blocks of an extended report (RFC 3611 section 3). Of VoIP metrics that are shorter than they should be, nothing is told.
fn extended(body: &[u8], on_item: &mut impl FnMut(Item)) -> bool {
    let Some((_, mut rest)) = body.split_first_chunk::<4>() else { return false };
    while let Some((&[kind, _, high, low], after)) = rest.split_first_chunk::<4>() {
        let words = usize::from(u16::from_be_bytes([high, low]));
        let Some((block, after)) = after.split_at_checked(4 * words) else { return false };
        if kind == VOIP_METRICS && words >= VOIP_METRICS_WORDS {
            on_item(Item::Voip { of: word(block, 0), metrics: voip_metrics(block) });
        }
        rest = after;
    }
    rest.is_empty()
}

fn voip_metrics(block: &[u8]) -> VoipMetrics {
    /// Written for what was not measured.
    const UNAVAILABLE: u8 = 127;
    let share = |at: usize| f32::from(block[at]) / 256.0;
    let ms = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    let rating = |at: usize| Some(block[at]).filter(|&value| value != UNAVAILABLE);
    let opinion = |at: usize| rating(at).map(|tenths| f32::from(tenths) / 10.0);
    VoipMetrics {
        loss_rate: share(4),
        discard_rate: share(5),
        burst_density: share(6),
        gap_density: share(7),
        burst_duration_ms: ms(8),
        gap_duration_ms: ms(10),
        round_trip_ms: ms(12),
        end_system_delay_ms: ms(14),
        r_factor: rating(20),
        mos_listening: opinion(22),
        mos_conversation: opinion(23),
        jitter_buffer_ms: ms(26),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl Writer<'_> {
    fn begin(&mut self, count: u8, kind: u8) -> usize {
        let at = self.len;
        self.bytes(&[0x80 | count, kind, 0, 0]);
        at
    }

    /// Fills up to a whole word and sets the length.
    fn end(&mut self, at: usize) {
        while !(self.len - at).is_multiple_of(4) {
            self.bytes(&[0]);
        }
        let words = ((self.len - at) / 4 - 1) as u16;
        self.out[at + 2..at + 4].copy_from_slice(&words.to_be_bytes());
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(packet: &[u8]) -> (bool, Vec<Item>) {
        let mut items = Vec::new();
        let whole = parse(packet, |item| items.push(item));
        (whole, items)
    }

    #[test]
    fn what_is_written_reads_back() {
        let block = Block {
            of: 7,
            fraction_lost: 64,
            packets_lost: -3,
            highest: 0x1_0005,
            jitter_ts: 40,
            last_sr: 0x1234_5678,
            since_last_sr: 65_536,
        };
        let sender =
            SenderInfo { ntp: 0x0102_0304_0506_0708, timestamp: 160, packets: 9, payload_bytes: 1_440 };
        let report =
            Report { ssrc: 5, cname: &[b'c'; 32], sender: Some(sender), block: Some(block), goodbye: true };
        let mut out = [0; WRITE_BYTES];
        let len = write(&report, &mut out);
        let expected = vec![
            Item::Sender { ssrc: 5, ntp_middle: 0x0304_0506 },
            Item::Block(block),
            Item::Goodbye { ssrc: 5 },
        ];
        assert_eq!(items(&out[..len]), (true, expected));
    }

    #[test]
    fn a_receiver_report_without_blocks_is_eight_bytes_and_a_name() {
        let report = Report { ssrc: 0x0A0B_0C0D, cname: b"ab", sender: None, block: None, goodbye: false };
        let mut out = [0; WRITE_BYTES];
        let len = write(&report, &mut out);
        let expected = [
            0x80, 201, 0, 1, 0x0A, 0x0B, 0x0C, 0x0D, 0x81, 202, 0, 3, 0x0A, 0x0B, 0x0C, 0x0D, 1, 2, b'a',
            b'b', 0, 0, 0, 0,
        ];
        assert_eq!(out[..len], expected);
    }

    #[test]
    fn counts_that_promise_more_than_is_there_are_refused() {
        assert!(!items(&[0x82, 203, 0, 1, 0, 0, 0, 9]).0);
        assert!(!items(&[0x81, 201, 0, 1, 0, 0, 0, 9]).0);
        assert!(!items(&[0x80, 200, 0, 1, 0, 0, 0, 9]).0);
        assert!(!items(&[0x80, 201, 0, 2, 0, 0, 0, 9]).0, "longer than the datagram");
        assert!(!items(&[]).0);
    }

    /// An extended report of source 9 with one block of VoIP metrics about source 5, field by field as RFC 3611 section 4.7
    /// draws them.
    fn voip_report() -> Vec<u8> {
        let mut packet = vec![0x80, 207, 0, 10, 0, 0, 0, 9, 7, 0, 0, 8, 0, 0, 0, 5];
        packet.extend([64, 32, 128, 16]); // loss, discard, burst density, gap density
        packet.extend([0x01, 0x2C, 0x13, 0x88]); // burst 300 ms, gap 5000 ms
        packet.extend([0x00, 0x50, 0x00, 0x3C]); // round trip 80 ms, end system 60 ms
        packet.extend([0, 127, 127, 16]); // signal, noise, echo return loss, Gmin
        packet.extend([82, 127, 41, 127]); // R, external R, MOS-LQ, MOS-CQ
        packet.extend([0xB8, 0, 0x00, 0x28, 0x00, 0x50, 0x01, 0x00]); // RX config, jitter buffer 40, 80, 256 ms
        packet
    }

    #[test]
    fn voip_metrics_are_read_field_by_field() {
        let (whole, items) = items(&voip_report());
        let metrics = VoipMetrics {
            loss_rate: 0.25,
            discard_rate: 0.125,
            burst_density: 0.5,
            gap_density: 0.0625,
            burst_duration_ms: 300,
            gap_duration_ms: 5_000,
            round_trip_ms: 80,
            end_system_delay_ms: 60,
            r_factor: Some(82),
            mos_listening: Some(4.1),
            mos_conversation: None,
            jitter_buffer_ms: 40,
        };
        assert_eq!((whole, items), (true, vec![Item::Voip { of: 5, metrics }]));
    }

    #[test]
    fn a_block_longer_than_its_report_is_refused_and_a_strange_one_passed_over() {
        let mut packet = voip_report();
        packet[11] = 9;
        assert!(!items(&packet).0);
        let mut packet = voip_report();
        packet[8] = 250;
        assert_eq!(items(&packet), (true, Vec::new()));
        packet[8] = 7;
        packet[11] = 7;
        assert!(!items(&packet).0, "the rest is no block");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            items(&packet);
        }

        #[test]
        fn garbage_after_a_likely_header_never_panics(
            kind in 200_u8..=207, count in 0_u8..32, words in 0_u8..40,
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            items(&[&[0x80 | count, kind, 0, words], &body[..]].concat());
        }
    }
}
