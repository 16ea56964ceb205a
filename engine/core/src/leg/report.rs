//! A leg's RTCP: what we report of its stream, and what its peer reports of ours (RFC 3550 section 6.4).

use offhook_proto::{RtcpReport, VoipMetrics};

use super::receive::Receive;
use super::stream::Stream;
use crate::Time;
use crate::rtcp::{Block, Report, SenderInfo};

/// Mean time between two reports of a leg, in microseconds (RFC 3550 section 6.2).
const INTERVAL_US: u64 = 5_000_000;
/// The same of a parked leg, which has next to no bandwidth to share (RFC 3550 section 6.2 makes the interval above the least).
pub(crate) const PARKED_INTERVAL_US: u64 = 10_000_000;

/// The state of one leg's reports.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    cname: [u8; 16],
    /// Packets of ours that had been sent by the last report.
    sent_by_last: u64,
    /// Middle of the NTP timestamp of the peer's last sender report, and when it came.
    last_sr: Option<(u32, Time)>,
    peer: Option<RtcpReport>,
    /// Whether the peer has said anything of any stream: some never do, whatever they hear.
    tells: bool,
    voip: Option<Box<VoipMetrics>>,
    /// Source whose goodbye was told.
    gone: Option<u32>,
}

impl Reports {
    /// No report so far. `random` makes the CNAME, which tells nothing of the leg (RFC 7022 section 4.2).
    pub(crate) fn new(random: u64) -> Self {
        let cname = std::array::from_fn(|at| b"0123456789abcdef"[(random >> (4 * at)) as usize & 0xF]);
        Self { cname, sent_by_last: 0, last_sr: None, peer: None, tells: false, voip: None, gone: None }
    }

    /// The peer's last report.
    pub(crate) fn peer(&self) -> Option<RtcpReport> {
        match (self.peer, self.voip.as_deref()) {
            (None, None) => None,
            (peer, voip) => Some(RtcpReport { voip: voip.copied(), ..peer.unwrap_or_default() }),
        }
    }

    /// Takes note of what the peer measured of our stream itself (RFC 3611 section 4.7).
    pub(crate) fn on_voip(&mut self, metrics: VoipMetrics) {
        self.voip = Some(Box::new(metrics));
    }

    /// When the next report is due: half to one and a half times the interval from now (RFC 3550 section 6.3.1), at a
    /// shared tick.
    pub(crate) fn next(now: Time, parked: bool, random: u64) -> Time {
        let interval_us = if parked { PARKED_INTERVAL_US } else { INTERVAL_US };
        (now + interval_us / 2 + random % interval_us).at_shared_tick()
    }

    /// Takes note of the peer's sender report.
    pub(crate) fn on_sender(&mut self, now: Time, ntp_middle: u32) {
        self.last_sr = Some((ntp_middle, now));
    }

    /// Takes note that a source has left. Returns whether that is news.
    pub(crate) fn on_goodbye(&mut self, ssrc: u32) -> bool {
        self.gone.replace(ssrc) != Some(ssrc)
    }

    /// Takes note that the peer's reports tell of what it hears.
    pub(crate) fn on_any_block(&mut self) {
        self.tells = true;
    }

    /// Whether a report of the peer that does not tell of our stream means that it does not hear it.
    pub(crate) fn tells(&self) -> bool {
        self.tells
    }

    /// Takes note of a report about our stream. `ntp` is the time now.
    pub(crate) fn on_block(&mut self, ntp: u64, block: &Block, clock_rate: u32) {
        let round_trip = (block.last_sr != 0).then(|| {
            let middle = (ntp >> 16) as u32;
            let trip = middle.wrapping_sub(block.last_sr).wrapping_sub(block.since_last_sr) as i32;
            // Below zero only by the peer's rounding; above ten seconds the numbers are not ours.
            trip.max(0)
        });
        self.on_any_block();
        let kept = self.peer.and_then(|report| report.round_trip_ms);
        self.peer = Some(RtcpReport {
            fraction_lost: f32::from(block.fraction_lost) / 256.0,
            packets_lost: block.packets_lost,
            voip: None,
            jitter_ms: block.jitter_ts as f32 * 1_000.0 / clock_rate as f32,
            round_trip_ms: round_trip
                .filter(|&trip| trip < 10 << 16)
                .map(|trip| trip as f32 * 1_000.0 / 65_536.0)
                .or(kept),
        });
    }

    /// Our report as of now. `ntp` is the time now as an NTP timestamp.
    pub(crate) fn report(
        &mut self,
        now: Time,
        ntp: u64,
        stream: &Stream,
        receive: &mut Receive,
        clock_rate: u32,
        goodbye: bool,
    ) -> Report<'_> {
        let (packets, payload_bytes) = stream.sent();
        let sender = (packets > self.sent_by_last).then(|| SenderInfo {
            ntp,
            timestamp: stream.timestamp_at(now, clock_rate),
            packets: packets as u32,
            payload_bytes: payload_bytes as u32,
        });
        self.sent_by_last = packets;
        let block = receive.ssrc().map(|of| Block {
            of,
            fraction_lost: receive.fraction_lost(),
            packets_lost: receive.totals().lost().clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest: receive.highest(),
            jitter_ts: receive.jitter_ts(),
            last_sr: self.last_sr.map_or(0, |(middle, _)| middle),
            since_last_sr: self.last_sr.map_or(0, |(_, at)| (now.since(at) * 65_536 / 1_000_000) as u32),
        });
        Report { ssrc: stream.ssrc(), cname: &self.cname, sender, block, goodbye }
    }
}

/// A moment as a 64-bit NTP timestamp, seconds since 1900 in the upper half (RFC 3550 section 4).
pub(crate) fn ntp_of(unix_us: u64) -> u64 {
    const UNIX_EPOCH_S: u64 = 2_208_988_800;
    let (seconds, us) = (unix_us / 1_000_000, unix_us % 1_000_000);
    (seconds.wrapping_add(UNIX_EPOCH_S) << 32) | ((us << 32) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_is_the_time_that_the_peer_did_not_hold_the_report() {
        // RFC 3550 figure 2: A = xb710:8000, LSR = xb705:2000, DLSR = x0005:4000, round trip x0006:2000 = 6.125 s.
        let mut reports = Reports::new(1);
        let block = Block { last_sr: 0xB705_2000, since_last_sr: 0x0005_4000, ..Block::default() };
        reports.on_block(0xB710_8000_u64 << 16, &block, 8_000);
        assert_eq!(reports.peer().and_then(|report| report.round_trip_ms), Some(6_125.0));
    }

    #[test]
    fn ntp_counts_from_1900() {
        assert_eq!(ntp_of(0), 2_208_988_800 << 32);
        assert_eq!(ntp_of(500_000) as u32, 1 << 31);
    }

    #[test]
    fn a_leg_that_sent_nothing_makes_no_sender_report() {
        let (stream, mut receive) = (Stream::new(9, 0, 0), Receive::default());
        let mut reports = Reports::new(1);
        let report = reports.report(Time(0), 0, &stream, &mut receive, 8_000, false);
        assert!(report.sender.is_none() && report.block.is_none());
    }

    #[test]
    fn reports_are_spread_between_half_and_one_and_a_half_intervals() {
        for random in 0..1_000_u64 {
            let next = |parked| Reports::next(Time(0), parked, random.wrapping_mul(0x9E37_79B9_7F4A_7C15)).0;
            assert!((2_500_000..=7_500_000).contains(&next(false)));
            assert!((5_000_000..=15_000_000).contains(&next(true)));
        }
    }
}
