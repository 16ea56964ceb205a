//! One worker: the legs of one thread.

mod command;
mod convert;
mod detect;
mod forward;
mod hold;
mod kernel;
mod keys;
mod leave;
mod listen;
mod one_way;
mod park;
mod play;
mod record;
mod reports;
mod secure;
mod splice;
mod spread;
mod supervise;
mod timeout;
mod wheel;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use offhook_proto::{Drops, EventBody, WorkerInfo};
use slab::Slab;

use self::kernel::Kernel;
use self::spread::Spread;
use self::wheel::Wheel;
use crate::leg::recording::Tap;
use crate::leg::{Leg, count};
use crate::{DropReason, LegId, LegIx, Socket, Time, WorkerOutput, WorkerReport};

/// What a worker needs to know at start.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Index of the worker, from 0.
    pub worker: u16,
    /// Microseconds between 1970-01-01 UTC and [`Time`] 0, for the NTP timestamps of sender reports.
    pub unix_us_at_start: u64,
    /// Seed of everything that is spread at random.
    pub seed: u64,
    /// Legs that it is laid out for; more are taken too.
    pub max_legs: usize,
}

/// One worker: the legs of one thread.
///
/// Driven by its shell: give one input with the time, act on the [`crate::Verdict`] if there is one, poll outputs until there
/// are none, then wait for the next input or [`Worker::poll_timeout`].
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    /// Time of the last input.
    now: Time,
    legs: Slab<Box<Leg>>,
    by_id: HashMap<LegId, LegIx>,
    wheel: Wheel,
    /// Legs with timers that are due, to be worked off by polling.
    due: VecDeque<LegIx>,
    queue: VecDeque<Queued>,
    spread: Spread,
    totals: Totals,
    /// What is to be recorded of the packet in hand.
    tap: Option<Tap>,
    /// What forwards plain directions of splices by itself.
    kernel: Option<Kernel>,
    /// From when on a leg's silence is its phone's: what came while the worker was stopped has been read by then.
    hears_from: Time,
}

/// What waits to be polled.
#[derive(Debug)]
enum Queued {
    Output(WorkerOutput),
    /// A last report with BYE, written when it is polled.
    Goodbye(LegIx),
    /// Held packets of a leg from a number on, sent on one after another if that can be done now.
    Held {
        leg: LegIx,
        from: u64,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    splices: u64,
    plays: u64,
    received: u64,
    forwarded: u64,
    generated: u64,
    drops: Drops,
}

impl Worker {
    /// A worker without legs.
    pub fn new(config: WorkerConfig) -> Self {
        Self {
            now: Time(0),
            legs: Slab::with_capacity(config.max_legs.min(1_024)),
            by_id: HashMap::new(),
            wheel: Wheel::new(),
            due: VecDeque::new(),
            queue: VecDeque::new(),
            spread: Spread::new(config.seed),
            totals: Totals::default(),
            tap: None,
            kernel: None,
            hears_from: Time(0),
            config,
        }
    }

    /// Counts a datagram that was larger than the receive buffer.
    pub fn handle_truncated(&mut self, leg: LegIx, socket: Socket) {
        match socket {
            Socket::Rtp => self.drop_of(leg, DropReason::Truncated),
            Socket::Rtcp => {}
        }
    }

    /// Counts a packet that the kernel refused to send from `leg`.
    pub fn handle_send_failed(&mut self, leg: LegIx) {
        self.drop_of(leg, DropReason::SendFailed);
    }

    /// Takes note that a [`WorkerOutput::Connect`] failed, or was not carried out: the socket is sent from by address.
    pub fn handle_connect_failed(&mut self, leg: LegIx, socket: Socket) {
        let Some(leg) = self.legs.get_mut(leg.index()) else { return };
        match socket {
            Socket::Rtp => leg.latch.rtp_connected = false,
            Socket::Rtcp => leg.latch.rtcp_connected = false,
        }
    }

    /// Where a leg's RTP comes from, once it is learnt for good.
    pub fn peer(&self, leg: LegIx) -> Option<SocketAddr> {
        self.legs.get(leg.index())?.latch.latched()
    }

    /// Whether any of its legs are spliced.
    pub fn has_splices(&self) -> bool {
        self.totals.splices > 0
    }

    /// Whether a leg is parked.
    pub fn is_parked(&self, leg: LegIx) -> bool {
        self.legs.get(leg.index()).is_some_and(|leg| leg.parked.is_some())
    }

    /// Whether a leg is on its way to another worker.
    pub fn is_moving(&self, leg: LegIx) -> bool {
        self.legs
            .get(leg.index())
            .is_some_and(|leg| matches!(leg.leaving, Some(crate::leg::Leaving::Moves(_))))
    }

    /// Takes note that a leg's socket is broken for good: the director will delete the leg.
    pub fn handle_socket_failed(&mut self, leg: LegIx, reason: String) {
        if let Some(failed) = self.legs.get(leg.index()) {
            let leg = failed.id();
            self.report(WorkerReport::SocketFailed { leg, reason });
        }
    }

    /// Its figures. `cpu`, `cpu_us`, `wakeups` and `buffers_exhausted` are the shell's to fill in.
    pub fn info(&self) -> WorkerInfo {
        let unknown = self.unknown_packets();
        WorkerInfo {
            worker: self.config.worker,
            legs: self.legs.len() as u64,
            splices: self.totals.splices,
            plays: self.totals.plays,
            packets_received: self.totals.received + unknown,
            packets_forwarded: self.totals.forwarded + unknown,
            packets_generated: self.totals.generated,
            drops: self.totals.drops,
            ..WorkerInfo::default()
        }
    }

    fn output(&mut self, output: WorkerOutput) {
        self.queue.push_back(Queued::Output(output));
    }

    fn report(&mut self, report: WorkerReport) {
        self.output(WorkerOutput::Report(report));
    }

    fn event(&mut self, body: EventBody) {
        self.report(WorkerReport::Event(body));
    }

    fn drop_of(&mut self, leg: LegIx, reason: DropReason) {
        count(&mut self.totals.drops, reason);
        if let Some(leg) = self.legs.get_mut(leg.index()) {
            leg.count_drop(self.now, reason);
        }
    }

    /// Brings the wheel up to date with a leg's deadlines.
    fn rewind(&mut self, leg: LegIx) {
        let deadline = match self.legs.get(leg.index()) {
            Some(leg) if leg.leaving.is_none() => leg.deadlines.earliest(),
            _ => Time::NEVER,
        };
        self.wheel.set(leg.0, deadline);
    }
}
