//! The first packet of a flow to arrive after a moment.

use std::sync::atomic::{AtomicU64, Ordering};

use super::packet::Mark;

/// First arrivals, by flow.
pub(crate) struct Watch {
    flows: Vec<Flow>,
}

#[derive(Default)]
struct Flow {
    /// Packets sent before do not count; never while it is not watched.
    not_before_ns: AtomicU64,
    sent_ns: AtomicU64,
    previous_ns: AtomicU64,
    /// 0 until there is one.
    arrived_ns: AtomicU64,
}

/// When the first packet left and arrived, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First {
    pub(crate) sent_ns: u64,
    /// When its flow's packet before it was sent, which did not arrive or was not watched for.
    pub(crate) previous_ns: u64,
    pub(crate) arrived_ns: u64,
}

impl Watch {
    pub(super) fn new(flows: usize) -> Self {
        let flow = || Flow { not_before_ns: AtomicU64::new(u64::MAX), ..Flow::default() };
        Self { flows: (0..flows).map(|_| flow()).collect() }
    }

    /// Looks out for the first arrival from now on.
    pub(crate) fn begin(&self, flow: u32, now_ns: u64) {
        let flow = &self.flows[flow as usize];
        flow.arrived_ns.store(0, Ordering::Relaxed);
        flow.not_before_ns.store(now_ns, Ordering::Release);
    }

    /// The first arrival, once there is one.
    pub(crate) fn first(&self, flow: u32) -> Option<First> {
        let flow = &self.flows[flow as usize];
        let arrived_ns = flow.arrived_ns.load(Ordering::Acquire);
        (arrived_ns > 0).then(|| First {
            sent_ns: flow.sent_ns.load(Ordering::Relaxed),
            previous_ns: flow.previous_ns.load(Ordering::Relaxed),
            arrived_ns,
        })
    }

    pub(super) fn note(&self, mark: &Mark, arrived_ns: u64) {
        let Some(flow) = self.flows.get(mark.flow as usize) else { return };
        if arrived_ns < flow.not_before_ns.load(Ordering::Acquire) {
            return;
        }
        flow.not_before_ns.store(u64::MAX, Ordering::Relaxed);
        flow.sent_ns.store(mark.sent_ns, Ordering::Relaxed);
        flow.previous_ns.store(mark.previous_ns, Ordering::Relaxed);
        flow.arrived_ns.store(arrived_ns, Ordering::Release);
    }
}
