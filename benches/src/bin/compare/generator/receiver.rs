//! The receiving thread: it looks now and then, since the kernel notes the moment of arrival.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::packet;
use super::phones::{Phones, destination_of};
use super::{Arrivals, Tally, Watch};

/// The receiving thread's everything.
pub(super) struct Receiver<'a> {
    pub(super) phones: &'a Phones,
    pub(super) run: u32,
    pub(super) watch: &'a Watch,
    pub(super) stop: &'a AtomicBool,
}

impl Receiver<'_> {
    /// Receives until the senders have stopped and nothing has come for a while.
    pub(super) fn run(&self) -> Result<Tally> {
        let mut tally = Tally {
            due: 0,
            sent: 0,
            sent_late: 0,
            received: 0,
            misrouted: 0,
            overflowed: 0,
            delay_ns: Histogram::new_with_bounds(1, LONGEST_DELAY_NS, 3).context("histogram")?,
        };
        let mut arrivals = Arrivals::new();
        let (mut last, mut stopped_at) = (Instant::now(), None);
        loop {
            let mut taken = 0;
            for (at, socket) in self.phones.sockets().iter().enumerate() {
                taken +=
                    arrivals.take(socket, |data, arrived_ns| self.note(at, data, arrived_ns, &mut tally))?;
            }
            let now = Instant::now();
            if taken > 0 {
                last = now;
            }
            if self.stop.load(Ordering::Acquire) {
                let stopped_at = *stopped_at.get_or_insert(now);
                if now - last.max(stopped_at) > QUIET || now - stopped_at > LONGEST_TAIL {
                    return Ok(tally);
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn note(&self, at: usize, data: &[u8], arrived_ns: u64, tally: &mut Tally) {
        let Some(mark) = packet::read(data).filter(|mark| mark.run == self.run) else { return };
        if destination_of(mark.flow) != at {
            tally.misrouted += 1;
            return;
        }
        tally.received += 1;
        tally.delay_ns.saturating_record(arrived_ns.saturating_sub(mark.sent_ns).max(1));
        self.watch.note(&mark, arrived_ns);
    }
}

/// Between two looks at the sockets.
pub(crate) const LOOK_EVERY: Duration = Duration::from_micros(200);
/// Silence after which the rest counts as lost.
const QUIET: Duration = Duration::from_millis(150);
const LONGEST_TAIL: Duration = Duration::from_secs(3);
const LONGEST_DELAY_NS: u64 = 10_000_000_000;
