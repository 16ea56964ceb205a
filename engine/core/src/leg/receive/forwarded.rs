//! A stream whose packets are counted and timed elsewhere for a while.

use super::{Filtering, Receive, Totals};
use crate::kernel::Progress;

/// Where a stream stands of which every packet comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steady {
    pub(crate) ssrc: u32,
    pub(crate) highest: u32,
    pub(crate) transit_ts: u32,
    pub(crate) jitter_16ths: u32,
}

impl Receive {
    /// Where the stream stands; none while it may just be starting again, has no timing, or a filter keeps packets back.
    pub(crate) fn steady(&self) -> Option<Steady> {
        let run = self.run.filter(|run| run.jitter_started && run.restart_at.is_none())?;
        let steady = self.filtering == Filtering::Off;
        steady.then_some(Steady {
            ssrc: run.ssrc,
            highest: run.highest,
            transit_ts: run.transit_ts,
            jitter_16ths: run.jitter_16ths,
        })
    }

    /// Takes note of packets that were counted and timed elsewhere: so many since the last time.
    pub(crate) fn on_forwarded(&mut self, progress: &Progress, packets: u64) {
        let Some(run) = &mut self.run else { return };
        run.received += packets;
        run.restart_at = None;
        run.transit_ts = progress.transit_ts;
        run.jitter_16ths = progress.jitter_16ths;
        if progress.highest.wrapping_sub(run.highest) as i32 > 0 {
            run.highest = progress.highest;
        }
    }
}

impl Totals {
    /// Whether at least so many packets came since, of which hardly any was missing: none where another stream began, say.
    pub(crate) fn is_steady_since(&self, before: &Self) -> bool {
        let (expected, received) = (self.expected - before.expected, self.received - before.received);
        let missing = expected.abs_diff(received);
        self.filtered == before.filtered && missing <= received / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;

    #[test]
    fn a_stream_that_was_counted_elsewhere_is_to_the_last_bit_as_one_that_was_counted_here() {
        let (mut here, mut elsewhere) = (Receive::default(), Receive::default());
        let arrival = |number: u16| Time(u64::from(number) * 20_000 + u64::from(number % 3) * 1_500);
        let take = |receive: &mut Receive, number: u16| {
            assert!(receive.on_packet(7, number.wrapping_add(65_500)));
            receive.on_timing(arrival(number), u32::from(number) * 160, 8_000);
        };
        for number in 0..10 {
            take(&mut here, number);
            take(&mut elsewhere, number);
        }
        let steady = elsewhere.steady().expect("it has timing");
        assert_eq!((steady.ssrc, steady.highest), (7, 65_509));
        for number in (10..100).filter(|number| number % 7 != 0) {
            take(&mut here, number);
        }
        let there = here.steady().expect("it has timing");
        let (highest, transit_ts, jitter_16ths) = (65_599, there.transit_ts, there.jitter_16ths);
        let progress = Progress { highest, transit_ts, jitter_16ths, ..Progress::default() };
        elsewhere.on_forwarded(&progress, 77);
        assert_eq!(format!("{elsewhere:?}"), format!("{here:?}"));
    }

    #[test]
    fn a_stream_that_may_be_starting_again_or_is_filtered_is_not_steady() {
        let mut receive = Receive::default();
        assert_eq!(receive.steady(), None);
        receive.on_packet(7, 100);
        assert_eq!(receive.steady(), None, "no timing");
        receive.on_timing(Time(0), 0, 8_000);
        assert!(receive.steady().is_some());
        receive.on_packet(7, 9_000);
        assert_eq!(receive.steady(), None, "it may start again there");
        receive.on_packet(7, 101);
        assert!(receive.steady().is_some());
        receive.on_park(32);
        assert_eq!(receive.steady(), None);
    }
}
