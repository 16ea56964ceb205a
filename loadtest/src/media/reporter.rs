//! What an endpoint reports of what it hears, and how often (RFC 3550 sections 6.2 to 6.4, appendix A).

use super::rtcp::{self, Block, Sender};
use super::rtp::Header;

/// Time between two reports, before it is varied; half of it before the first (RFC 3550 section 6.2). Two members and their
/// few bytes never need more.
const INTERVAL_NS: f64 = 5e9;
/// Makes up for reports that come early (section 6.3.1).
const COMPENSATION: f64 = std::f64::consts::E - 1.5;
const CLOCK_HZ: u64 = 8_000;
/// Seconds between 1900 and 1970.
const NTP_OFFSET_S: u64 = 2_208_988_800;

/// Counts what one endpoint hears, and remembers what each side has reported.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reporter {
    heard: Option<Heard>,
    /// Middle of the other side's last SR, and when it came.
    last_sr: Option<(u32, u64)>,
    /// Middles of our last two SRs, and when they left: the other side may not have had the very last one.
    our_srs: [Option<(u32, u64)>; 2],
    due_ns: Option<u64>,
    /// Packets of ours at the last report.
    packets_before: u64,
    /// Reports sent.
    pub(crate) sent: u64,
    /// The last that the other side said of our stream.
    pub(crate) told: Option<Block>,
}

/// What our own stream has come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own {
    pub(crate) ssrc: u32,
    /// Of the packet that is sent now.
    pub(crate) timestamp: u32,
    pub(crate) packets: u64,
    pub(crate) octets: u64,
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

    /// Takes a compound of the other side; the round trip in nanoseconds when it answers a report of the stream `ours`
    /// (section 6.4.1, figure 2).
    pub(crate) fn hear_report(&mut self, packet: &[u8], ours: u32, now_ns: u64) -> Option<u64> {
        let mut round_trip_ns = None;
        for report in rtcp::reports(packet) {
            if let Some(sender) = report.sender {
                self.last_sr = Some((rtcp::middle(sender.ntp), now_ns));
            }
            for block in report.blocks.into_iter().filter(|block| block.ssrc == ours) {
                self.told = Some(block);
                let answered = self.our_srs.iter().flatten().find(|(middle, _)| *middle == block.last_sr);
                let held_ns = (u64::from(block.since_last_sr) * 1_000_000_000) >> 16;
                round_trip_ns = answered.map(|(_, sent_ns)| now_ns.saturating_sub(sent_ns + held_ns));
            }
        }
        round_trip_ns
    }

    /// Whether a report is to be sent now; the first call begins the wait for the first one.
    pub(crate) fn is_due(&mut self, ssrc: u32, now_ns: u64) -> bool {
        let wait_ns = interval_ns(ssrc, self.sent);
        now_ns >= *self.due_ns.get_or_insert(now_ns + wait_ns / 2)
    }

    /// Writes the report: an SR, or an RR when nothing was sent since the last one.
    pub(crate) fn write(&mut self, own: Own, now_ns: u64, realtime_ns: u64) -> Vec<u8> {
        self.sent += 1;
        self.due_ns = Some(now_ns + interval_ns(own.ssrc, self.sent));
        let (seconds, nanos) = (realtime_ns / 1_000_000_000 + NTP_OFFSET_S, realtime_ns % 1_000_000_000);
        let ntp = (seconds << 32) | ((nanos << 32) / 1_000_000_000);
        let speaks = own.packets > std::mem::replace(&mut self.packets_before, own.packets);
        let sender = speaks.then_some(Sender {
            ntp,
            timestamp: own.timestamp,
            packets: own.packets as u32,
            octets: own.octets as u32,
        });
        if speaks {
            self.our_srs = [Some((rtcp::middle(ntp), now_ns)), self.our_srs[0]];
        }
        let block = self.block(now_ns);
        rtcp::write(own.ssrc, sender, block)
    }

    /// What was heard; none before the first packet.
    fn block(&mut self, now_ns: u64) -> Option<Block> {
        let heard = self.heard.as_mut()?;
        let expected = heard.highest - heard.first + 1;
        let (packets, expected_now) = (heard.packets - heard.before.0, expected - heard.before.1);
        let lost_now = u64::from(expected_now.saturating_sub(packets));
        let fraction_lost = (lost_now * 256 / u64::from(expected_now.max(1))).min(255) as u8;
        heard.before = (heard.packets, expected);
        let (last_sr, since_last_sr) = self.last_sr.map_or((0, 0), |(middle, at_ns)| {
            (middle, (now_ns.saturating_sub(at_ns) * 65_536 / 1_000_000_000) as u32)
        });
        Some(Block {
            ssrc: heard.ssrc,
            fraction_lost,
            lost: expected.wrapping_sub(heard.packets).cast_signed(),
            highest: heard.highest,
            jitter_ts: heard.jitter / 16,
            last_sr,
            since_last_sr,
        })
    }
}

/// The wait after so many reports: half to one and a half of the interval, so that endpoints do not report in step.
fn interval_ns(ssrc: u32, sent: u64) -> u64 {
    let mixed = (u64::from(ssrc) << 32 | sent & 0xffff_ffff).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let share = ((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as f64 / 4_294_967_296.0;
    (INTERVAL_NS * (0.5 + share) / COMPENSATION) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::rtcp::Report;

    fn header(ssrc: u32, sequence: u16) -> Header {
        let timestamp = u32::from(sequence).wrapping_mul(160);
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc }
    }

    fn own(ssrc: u32, packets: u64) -> Own {
        Own { ssrc, timestamp: 16_000, packets, octets: packets * 160 }
    }

    fn read(packet: &[u8]) -> Report {
        rtcp::reports(packet).next().expect("a report")
    }

    #[test]
    fn a_report_tells_loss_and_the_highest_number_across_a_wrap() {
        let mut reporter = Reporter::default();
        for (index, sequence) in [65_534_u16, 65_535, 1, 2].into_iter().enumerate() {
            reporter.hear(&header(9, sequence), index as u64 * 20_000_000);
        }
        let report = read(&reporter.write(own(7, 3), 0, 1_500_000_000));
        let ntp = (NTP_OFFSET_S + 1) << 32 | 1 << 31;
        assert_eq!(report.sender, Some(Sender { ntp, timestamp: 16_000, packets: 3, octets: 480 }));
        let block = report.blocks[0];
        assert_eq!((block.ssrc, block.fraction_lost, block.lost), (9, 51, 1), "one of five is lost");
        assert_eq!((block.highest, block.last_sr), (65_538, 0), "nothing was heard of the other side");
        // Nothing more is lost until the next.
        reporter.hear(&header(9, 3), 80_000_000);
        let block = read(&reporter.write(own(7, 4), 0, 0)).blocks[0];
        assert_eq!((block.fraction_lost, block.lost), (0, 1));
    }

    #[test]
    fn two_who_report_to_each_other_see_the_round_trip_without_the_time_between() {
        let (mut ann, mut bob) = (Reporter::default(), Reporter::default());
        ann.hear(&header(2, 1), 0);
        bob.hear(&header(1, 1), 0);
        // Each way takes 10 ms, and bob takes half a second.
        let first = ann.write(own(1, 1), 1_000_000_000, 10_000_000_000);
        assert_eq!(bob.hear_report(&first, 2, 1_010_000_000), None, "ann had heard no report");
        let second = bob.write(own(2, 1), 1_510_000_000, 77_000_000_000);
        assert_eq!(read(&second).blocks[0].since_last_sr, 32_768);
        let round_trip_ns = ann.hear_report(&second, 1, 1_520_000_000);
        assert_eq!(round_trip_ns, Some(20_000_000));
        assert_eq!(ann.told.map(|block| block.ssrc), Some(1));
    }

    #[test]
    fn the_report_before_the_last_may_still_be_answered_and_no_earlier_one() {
        let (mut ann, mut bob) = (Reporter::default(), Reporter::default());
        bob.hear(&header(1, 1), 0);
        let reports: Vec<_> =
            (1..=3).map(|n| ann.write(own(1, n), n * 1_000_000_000, n * 1_000_000_000)).collect();
        let mut answered = |report: &[u8]| {
            bob.hear_report(report, 2, 0);
            let answer = bob.write(own(2, 1), 0, 0);
            ann.hear_report(&answer, 1, 4_000_000_000)
        };
        let times = [0, 1, 2].map(|at: usize| answered(&reports[at]));
        assert_eq!(times, [None, Some(2_000_000_000), Some(1_000_000_000)]);
    }

    #[test]
    fn who_has_sent_nothing_since_its_last_report_sends_a_receiver_report() {
        let mut reporter = Reporter::default();
        reporter.hear(&header(9, 1), 0);
        assert!(read(&reporter.write(own(7, 5), 0, 0)).sender.is_some());
        let report = read(&reporter.write(own(7, 5), 0, 0));
        assert_eq!((report.sender, report.blocks.len()), (None, 1));
    }

    #[test]
    fn reports_are_two_to_six_seconds_apart_and_the_first_comes_sooner() {
        let (mut reporter, mut now_ns) = (Reporter::default(), 0);
        let mut times_ms = vec![0];
        while times_ms.len() <= 200 {
            if reporter.is_due(7, now_ns) {
                reporter.write(own(7, 1), now_ns, 0);
                times_ms.push(now_ns / 1_000_000);
            }
            now_ns += 20_000_000;
        }
        let gaps_ms: Vec<u64> = times_ms.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!((1_020..=3_100).contains(&gaps_ms[0]), "{gaps_ms:?}");
        assert!(gaps_ms[1..].iter().all(|gap_ms| (2_040..=6_180).contains(gap_ms)), "{gaps_ms:?}");
        let mean_ms = times_ms[200] / 200;
        assert!((3_700..=4_500).contains(&mean_ms), "{mean_ms}");
    }
}
