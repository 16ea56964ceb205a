//! Reports that phones send about what they hear (RFC 3550 section 6.4), and what comes back.

use super::rtp::Header;

/// Packets that an endpoint sends between two reports: 5 s (RFC 3550 section 6.2).
pub(crate) const PACKETS_PER_REPORT: u64 = 250;

const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const CNAME: &[u8; 8] = b"loadtest";
const BLOCK_BYTES: usize = 24;
const CLOCK_HZ: u64 = 8_000;
/// Seconds between 1900 and 1970.
const NTP_OFFSET_S: u64 = 2_208_988_800;

/// Counts what one endpoint hears (RFC 3550 appendix A).
#[derive(Clone, Debug, Default)]
pub(crate) struct Reporter {
    heard: Option<Heard>,
    /// Middle 32 bits of the last SR's time, and when it came.
    last_sr: Option<(u32, u64)>,
    /// Reports sent.
    pub(crate) sent: u64,
    /// Reports of the other side that named one of ours: each is a round trip.
    pub(crate) round_trips: u64,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    ssrc: u32,
    first: u32,
    /// Highest sequence number, with the number of its wraps above it.
    highest: u32,
    packets: u32,
    /// `packets` and the packets expected at the last report.
    before: (u32, u32),
    transit: u32,
    /// In timestamp units, times 16.
    jitter: u32,
}

impl Reporter {
    /// Takes the header of a packet that has arrived.
    pub(crate) fn hear(&mut self, header: &Header, now_ns: u64) {
        let arrival = (now_ns / (1_000_000_000 / CLOCK_HZ)) as u32;
        let transit = arrival.wrapping_sub(header.timestamp);
        let number = u32::from(header.sequence);
        let Some(heard) = self.heard.as_mut().filter(|heard| heard.ssrc == header.ssrc) else {
            self.heard = Some(Heard {
                ssrc: header.ssrc,
                first: number,
                highest: number,
                packets: 1,
                before: (0, 0),
                transit,
                jitter: 0,
            });
            return;
        };
        heard.packets += 1;
        let step = header.sequence.wrapping_sub(heard.highest as u16);
        if step < 1 << 15 {
            heard.highest += u32::from(step);
        }
        let change = transit.wrapping_sub(heard.transit).cast_signed().unsigned_abs();
        heard.transit = transit;
        heard.jitter = heard.jitter.saturating_add(change) - (heard.jitter + 8) / 16;
    }

    /// Takes a report of the other side about the stream `ours`.
    pub(crate) fn hear_report(&mut self, packet: &[u8], ours: u32, now_ns: u64) {
        let mut rest = packet;
        while let Some((kind, count, body, after)) = section(rest) {
            rest = after;
            let blocks = match kind {
                SR => {
                    if let Some(middle) = word(body, 1).zip(word(body, 2)).map(|(s, f)| s << 16 | f >> 16) {
                        self.last_sr = Some((middle, now_ns));
                    }
                    body.get(24..)
                }
                RR => body.get(4..),
                _ => None,
            };
            let blocks = blocks.unwrap_or_default().chunks_exact(BLOCK_BYTES).take(usize::from(count));
            let named = |block: &[u8]| word(block, 0) == Some(ours) && word(block, 4) != Some(0);
            self.round_trips += blocks.filter(|block| named(block)).count() as u64;
        }
    }

    /// Writes the next report, SR and SDES, of a stream that has sent so many packets of so many bytes of payload, `last` being the latest.
    pub(crate) fn write(
        &mut self,
        last: &Header,
        packets: u64,
        payload_bytes: usize,
        now_ns: u64,
        realtime_ns: u64,
    ) -> Vec<u8> {
        self.sent += 1;
        let (seconds, nanos) = (realtime_ns / 1_000_000_000 + NTP_OFFSET_S, realtime_ns % 1_000_000_000);
        let mut words = vec![
            last.ssrc,
            seconds as u32,
            ((nanos << 32) / 1_000_000_000) as u32,
            last.timestamp,
            packets as u32,
            (packets * payload_bytes as u64) as u32,
        ];
        let block = self.block(now_ns);
        words.extend(block.iter().flatten());
        let blocks = u8::from(block.is_some());
        let mut report = vec![0x80 | blocks, SR, 0, words.len() as u8];
        report.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        report.extend([0x81, SDES, 0, 4]);
        report.extend(last.ssrc.to_be_bytes());
        report.extend([1, CNAME.len() as u8]);
        report.extend(CNAME);
        report.extend([0, 0]);
        report
    }

    /// What was heard; none before the first packet.
    fn block(&mut self, now_ns: u64) -> Option<[u32; 6]> {
        let heard = self.heard.as_mut()?;
        let expected = heard.highest - heard.first + 1;
        let lost = i64::from(expected) - i64::from(heard.packets);
        let (packets, expected_now) = (heard.packets - heard.before.0, expected - heard.before.1);
        let lost_now = u64::from(expected_now.saturating_sub(packets));
        let fraction =
            if expected_now == 0 { 0 } else { (lost_now * 256 / u64::from(expected_now)).min(255) };
        heard.before = (heard.packets, expected);
        let (middle, delay) = self.last_sr.map_or((0, 0), |(middle, at_ns)| {
            (middle, (now_ns.saturating_sub(at_ns) * 65_536 / 1_000_000_000) as u32)
        });
        let lost = lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        Some([heard.ssrc, (fraction as u32) << 24 | lost, heard.highest, heard.jitter / 16, middle, delay])
    }
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

    fn header(ssrc: u32, sequence: u16) -> Header {
        let timestamp = u32::from(sequence).wrapping_mul(160);
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc }
    }

    fn parts(report: &[u8]) -> (u8, u8, Vec<u32>) {
        let (kind, count, body, after) = section(report).expect("a sender report");
        let (sdes, _, name, _) = section(after).expect("a name");
        assert_eq!((sdes, &name[6..14]), (SDES, &CNAME[..]));
        (kind, count, body.chunks_exact(4).map(|four| word(four, 0).expect("a word")).collect())
    }

    #[test]
    fn a_report_tells_loss_and_the_highest_number_across_a_wrap() {
        let mut reporter = Reporter::default();
        for (index, sequence) in [65_534_u16, 65_535, 1, 2].into_iter().enumerate() {
            reporter.hear(&header(9, sequence), index as u64 * 20_000_000);
        }
        let (kind, count, words) = parts(&reporter.write(&header(7, 100), 3, 160, 0, 1_500_000_000));
        assert_eq!((kind, count), (SR, 1));
        assert_eq!(words[..6], [7, NTP_OFFSET_S as u32 + 1, 1 << 31, 16_000, 3, 480]);
        assert_eq!(words[6..9], [9, 51 << 24 | 1, 65_538], "one of five is lost");
        assert_eq!(words[10..], [0, 0], "nothing was heard of the other side");
        // Nothing more is lost until the next.
        reporter.hear(&header(9, 3), 80_000_000);
        let (_, _, words) = parts(&reporter.write(&header(7, 101), 4, 160, 0, 0));
        assert_eq!(words[7], 1);
    }

    #[test]
    fn two_who_report_to_each_other_see_a_round_trip() {
        let (mut ann, mut bob) = (Reporter::default(), Reporter::default());
        ann.hear(&header(2, 1), 0);
        bob.hear(&header(1, 1), 0);
        let first = ann.write(&header(1, 2), 1, 160, 0, 10_000_000_000);
        bob.hear_report(&first, 2, 1_000_000_000);
        assert_eq!(bob.round_trips, 0, "ann had heard no report");
        let second = bob.write(&header(2, 2), 1, 160, 1_500_000_000, 11_000_000_000);
        let (_, _, words) = parts(&second);
        assert_eq!(words[10..], [(NTP_OFFSET_S as u32 + 10) << 16, 32_768], "half a second later");
        ann.hear_report(&second, 1, 2_000_000_000);
        assert_eq!(ann.round_trips, 1);
    }

    #[test]
    fn before_the_first_packet_there_is_no_block_and_rubbish_is_ignored() {
        let mut reporter = Reporter::default();
        let report = reporter.write(&header(7, 1), 0, 160, 0, 0);
        let (_, count, words) = parts(&report);
        assert_eq!((count, words.len()), (0, 6));
        for length in 0..report.len() {
            reporter.hear_report(&report[..length], 7, 0);
        }
        reporter.hear_report(&[0xff; 40], 7, 0);
        assert_eq!(reporter.round_trips, 0);
    }
}
