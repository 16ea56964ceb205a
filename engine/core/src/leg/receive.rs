//! What came in: sequence numbers, loss and jitter of the stream that a leg receives (RFC 3550 A.1, A.3, A.8).

mod forwarded;

use crate::Time;
use crate::limits::{MAX_DROPOUT, MAX_MISORDER};

/// Reception of one leg. A change of SSRC or a jump in sequence starts a new run; totals go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receive {
    run: Option<Run>,
    finished: Totals,
    at_last_report: Totals,
    /// Whether gaps are the park filter's doing.
    filtering: Filtering,
}

/// Whether gaps in sequence are the park filter's doing rather than the network's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Filtering {
    #[default]
    Off,
    /// One in so many packets passes, by number.
    On { keep_one_in: u16 },
    /// The filter is gone. Gaps are its doing up to a packet that it would not have passed: what it has passed may still be on its
    /// way.
    Ending { keep_one_in: u16 },
}

#[derive(Clone, Copy, Debug)]
struct Run {
    ssrc: u32,
    base: u32,
    /// Highest sequence number, with its wraps in the upper half.
    highest: u32,
    received: u64,
    filtered: u64,
    /// Sequence number after a jump: the stream has restarted when it comes.
    restart_at: Option<u16>,
    transit_ts: u32,
    jitter_16ths: u32,
    jitter_started: bool,
}

/// Sums since the leg was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) expected: u64,
    pub(crate) received: u64,
    pub(crate) filtered: u64,
}

impl Totals {
    /// Packets missing (RFC 3550 A.3). Negative with duplicates.
    pub(crate) fn lost(&self) -> i64 {
        let arrived = self.received.saturating_add(self.filtered);
        i64::try_from(self.expected).unwrap_or(i64::MAX) - i64::try_from(arrived).unwrap_or(i64::MAX)
    }
}

impl Receive {
    /// Takes one packet's number. Returns whether it belongs to the stream: false for the first packet after a jump
    /// backwards, which is only believed with the second.
    pub(crate) fn on_packet(&mut self, ssrc: u32, sequence: u16) -> bool {
        let filtering = self.filtering;
        if let Filtering::Ending { keep_one_in } = filtering
            && (keep_one_in <= 1 || !sequence.is_multiple_of(keep_one_in))
        {
            self.filtering = Filtering::Off;
        }
        match &mut self.run {
            Some(run) if run.ssrc == ssrc => {
                let ahead = sequence.wrapping_sub(run.highest as u16);
                let far = ahead >= MAX_DROPOUT && filtering == Filtering::Off;
                if ahead < 0x8000 && !far {
                    if filtering != Filtering::Off {
                        run.filtered += u64::from(ahead.saturating_sub(1));
                    }
                    run.highest = run.highest.wrapping_add(u32::from(ahead));
                } else if far && ahead <= u16::MAX - MAX_MISORDER {
                    if run.restart_at != Some(sequence) {
                        run.restart_at = Some(sequence.wrapping_add(1));
                        return false;
                    }
                    self.start(ssrc, sequence.wrapping_sub(1), 2);
                    return true;
                }
                run.received += 1;
                run.restart_at = None;
            }
            _ => self.start(ssrc, sequence, 1),
        }
        true
    }

    /// Takes one audio packet's time of arrival (RFC 3550 A.8). Telephone-events repeat a timestamp and do not count.
    pub(crate) fn on_timing(&mut self, now: Time, timestamp: u32, clock_rate: u32) {
        let Some(run) = &mut self.run else { return };
        let transit = ts_of(now, clock_rate).wrapping_sub(timestamp);
        if run.jitter_started {
            let change = (transit.wrapping_sub(run.transit_ts) as i32).unsigned_abs();
            // A jump of the sender's timestamps is no jitter.
            if change < clock_rate.saturating_mul(5) {
                run.jitter_16ths = run.jitter_16ths + change - ((run.jitter_16ths + 8) >> 4);
            }
        }
        run.jitter_started = true;
        run.transit_ts = transit;
    }

    /// Tells that the park filter was put on, which passes packets whose number `keep_one_in` divides.
    pub(crate) fn on_park(&mut self, keep_one_in: u16) {
        self.filtering = Filtering::On { keep_one_in };
    }

    /// Tells that the park filter was taken off.
    pub(crate) fn on_unpark(&mut self) {
        if let Filtering::On { keep_one_in } = self.filtering {
            self.filtering = Filtering::Ending { keep_one_in };
        }
    }

    /// SSRC last received.
    pub(crate) fn ssrc(&self) -> Option<u32> {
        self.run.map(|run| run.ssrc)
    }

    /// Highest sequence number of the present run, with its wraps in the upper half.
    pub(crate) fn highest(&self) -> u32 {
        self.run.map_or(0, |run| run.highest)
    }

    /// Smoothed change in transit time, in timestamp units (RFC 3550 A.8). Zero until the second packet.
    pub(crate) fn jitter_ts(&self) -> u32 {
        self.run.map_or(0, |run| run.jitter_16ths >> 4)
    }

    /// Sums since the leg was created.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.finished;
        if let Some(run) = &self.run {
            totals.expected += u64::from(run.highest.wrapping_sub(run.base)) + 1;
            totals.received += run.received;
            totals.filtered += run.filtered;
        }
        totals
    }

    /// Share lost since the last call, in 256ths (RFC 3550 A.3).
    pub(crate) fn fraction_lost(&mut self) -> u8 {
        let totals = self.totals();
        let before = std::mem::replace(&mut self.at_last_report, totals);
        let filtered = totals.filtered - before.filtered;
        let expected = (totals.expected - before.expected).saturating_sub(filtered);
        let lost = expected.saturating_sub(totals.received - before.received);
        lost.saturating_mul(256).checked_div(expected).map_or(0, |share| share.min(255) as u8)
    }

    fn start(&mut self, ssrc: u32, sequence: u16, received: u64) {
        self.finished = self.totals();
        let base = u32::from(sequence);
        let highest = base + (received as u32 - 1);
        self.run = Some(Run {
            ssrc,
            base,
            highest,
            received,
            filtered: 0,
            restart_at: None,
            transit_ts: 0,
            jitter_16ths: 0,
            jitter_started: false,
        });
    }
}

/// A moment in units of an RTP clock.
pub(crate) fn ts_of(time: Time, clock_rate: u32) -> u32 {
    us_to_ts(time.0, clock_rate)
}

/// Microseconds in units of an RTP clock, wrapping.
pub(crate) fn us_to_ts(us: u64, clock_rate: u32) -> u32 {
    let rate = u64::from(clock_rate);
    let seconds = us / 1_000_000;
    (seconds.wrapping_mul(rate).wrapping_add(us % 1_000_000 * rate / 1_000_000)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(sequences: impl IntoIterator<Item = u16>) -> Receive {
        let mut receive = Receive::default();
        for sequence in sequences {
            receive.on_packet(7, sequence);
        }
        receive
    }

    #[test]
    fn loss_is_counted_across_the_wrap() {
        let receive = receive((65_500..=65_535).chain(2..100));
        assert_eq!(receive.totals().lost(), 2);
        assert_eq!(receive.highest(), 0x1_0000 + 99);
    }

    #[test]
    fn reordering_is_no_loss_and_a_duplicate_is_negative() {
        assert_eq!(receive([1, 3, 2, 4]).totals().lost(), 0);
        assert_eq!(receive([1, 2, 2, 3]).totals().lost(), -1);
    }

    #[test]
    fn what_the_park_filter_kept_is_not_lost() {
        let mut receive = receive(0..100);
        receive.on_park(32);
        for sequence in (128..=60_000).step_by(32) {
            assert!(receive.on_packet(7, sequence));
        }
        receive.on_unpark();
        for sequence in 60_010..60_020 {
            receive.on_packet(7, sequence);
        }
        receive.on_packet(7, 60_025);
        let totals = receive.totals();
        assert_eq!(totals.lost(), 5, "only the gap after the unpark's");
        assert_eq!(totals.expected, 60_026);
        assert_eq!(receive.fraction_lost(), (5 * 256 / (totals.expected - totals.filtered)) as u8);
    }

    #[test]
    fn a_packet_that_passed_the_park_filter_and_is_read_after_its_end_leaves_no_loss() {
        let mut receive = receive(0..100);
        receive.on_park(32);
        receive.on_packet(7, 128);
        receive.on_unpark();
        receive.on_packet(7, 160);
        for sequence in 170..180 {
            receive.on_packet(7, sequence);
        }
        assert_eq!(receive.totals().lost(), 0);
        receive.on_packet(7, 192);
        assert_eq!(receive.totals().lost(), 12, "what is missing once the end is certain is lost");
    }

    #[test]
    fn a_restart_needs_two_packets_in_sequence_and_keeps_the_totals() {
        let mut receive = receive(5_000..5_100);
        assert!(!receive.on_packet(7, 20));
        assert_eq!(receive.totals().received, 100);
        assert!(receive.on_packet(7, 21));
        assert!(receive.on_packet(7, 22));
        assert_eq!(receive.totals(), Totals { expected: 103, received: 103, filtered: 0 });
    }

    #[test]
    fn another_ssrc_starts_a_new_run() {
        let mut receive = receive(0..10);
        assert!(receive.on_packet(8, 40_000));
        assert_eq!((receive.ssrc(), receive.totals().lost()), (Some(8), 0));
    }

    #[test]
    fn jitter_settles_at_the_mean_change_of_transit() {
        let mut receive = receive([0]);
        for packet in 0..1_000_u64 {
            let late_us = if packet % 2 == 0 { 0 } else { 4_000 };
            receive.on_timing(Time(packet * 20_000 + late_us), packet as u32 * 160, 8_000);
        }
        assert!((30..=32).contains(&receive.jitter_ts()), "{} ts = 4 ms", receive.jitter_ts());
    }
}
