//! One sending thread: every packet at its moment.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::packet::{self, Mark, PACKET_BYTES};
use super::phones::Phones;
use crate::clock::unix_ns;

/// One phone's stream.
#[derive(Debug)]
pub(super) struct Flow {
    index: u32,
    to: SocketAddr,
    /// Fraction of the period at which its packets are due.
    pub(super) phase: u32,
    number: u32,
    /// When the last packet was sent; 0 before the first.
    sent_ns: u64,
}

impl Flow {
    pub(super) fn new(index: u32, to: SocketAddr, phase: u32) -> Self {
        Self { index, to, phase, number: 0, sent_ns: 0 }
    }
}

/// A sending thread's everything.
pub(super) struct Sender<'a> {
    pub(super) phones: &'a Phones,
    pub(super) run: u32,
    pub(super) period: Duration,
    pub(super) stop: &'a AtomicBool,
    /// The receiver is on the same processor.
    pub(super) shared: bool,
}

/// What a sender did.
pub(super) struct Sent {
    pub(super) due: u64,
    pub(super) sent: u64,
    pub(super) late: u64,
    pub(super) flows: Vec<Flow>,
}

impl Sender<'_> {
    /// Sends until it is told to stop, at the end of a period or within one.
    pub(super) fn run(&self, mut flows: Vec<Flow>) -> Sent {
        let (mut sent, mut late) = (0, 0);
        let mut packet = [0xd5; PACKET_BYTES];
        let period_ns = self.period.as_nanos() as u64;
        let started = unix_ns();
        let mut cycle = started + START_AFTER_NS;
        'sending: while !flows.is_empty() {
            for flow in &mut flows {
                let due = cycle + ((u128::from(flow.phase) * u128::from(period_ns)) >> 32) as u64;
                let Some(now) = self.wait_until(due) else { break 'sending };
                late += u64::from(now - due > LATE_NS);
                packet::write(
                    &mut packet,
                    Mark {
                        run: self.run,
                        flow: flow.index,
                        number: flow.number,
                        sent_ns: now,
                        previous_ns: flow.sent_ns,
                    },
                );
                flow.sent_ns = now;
                flow.number = flow.number.wrapping_add(1);
                sent += u64::from(self.phones.of_flow(flow.index).send_to(&packet, flow.to).is_ok());
            }
            cycle += period_ns;
        }
        let elapsed_ns = unix_ns().saturating_sub(started + START_AFTER_NS);
        let due = (elapsed_ns as f64 / period_ns as f64 * flows.len() as f64) as u64;
        Sent { due, sent, late, flows }
    }

    /// The time, once it is due; nothing when the run is over.
    fn wait_until(&self, due: u64) -> Option<u64> {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            let now = unix_ns();
            if now >= due {
                return Some(now);
            }
            if self.shared {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

/// Time for the receiver to begin.
const START_AFTER_NS: u64 = 5_000_000;
const LATE_NS: u64 = 1_000_000;
