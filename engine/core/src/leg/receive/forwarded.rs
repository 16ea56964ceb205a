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
