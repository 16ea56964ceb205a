//! Phones: they send 160 bytes of G.711 every 20 ms at phases of their own, and note what arrives when.
//!
//! All phones of a side share a few sockets, since a forwarder knows its legs by its own ports: the generator then costs
//! less than what it measures. Each packet carries its send time; the kernel stamps its arrival.

mod arrivals;
mod packet;
mod phones;
mod receiver;
mod sender;
mod watch;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) use self::arrivals::Arrivals;
pub(crate) use self::packet::flow_of;
pub(crate) use self::phones::Phones;
pub(crate) use self::receiver::LOOK_EVERY;
use self::receiver::Receiver;
use self::sender::{Flow, Sender};
pub(crate) use self::watch::Watch;
use crate::machine::{Cpus, pin};

/// The generator with its phones.
pub(crate) struct Generator {
    cpus: Cpus,
    phones: Phones,
    flows: Vec<Flow>,
    run: u32,
}

/// What one run of the generator saw.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Packets that were to be sent in this time.
    pub(crate) due: u64,
    pub(crate) sent: u64,
    /// Packets that left more than a millisecond late: the generator's fault.
    pub(crate) sent_late: u64,
    pub(crate) received: u64,
    /// Packets at a phone of the wrong side.
    pub(crate) misrouted: u64,
    /// Packets that the generator's own sockets had no room for.
    pub(crate) overflowed: u64,
    /// Send to arrival, in nanoseconds.
    pub(crate) delay_ns: Histogram<u64>,
}

impl Generator {
    /// A generator whose flows lead nowhere yet.
    ///
    /// # Errors
    /// No sockets.
    pub(crate) fn new(cpus: Cpus) -> Result<Self> {
        Ok(Self { cpus, phones: Phones::open()?, flows: Vec::new(), run: 0 })
    }

    pub(crate) fn phones(&self) -> &Phones {
        &self.phones
    }

    /// Where each flow goes: flow `2 * call` from the near phone of a call, `2 * call + 1` from the far one.
    pub(crate) fn aim(&mut self, to: &[[SocketAddr; 2]]) {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        self.flows = to
            .iter()
            .flatten()
            .enumerate()
            .map(|(index, &to)| Flow::new(index as u32, to, random.random::<u32>()))
            .collect();
        self.flows.sort_by_key(|flow| flow.phase);
    }

    /// Sends a packet of each flow every `period` for as long as `beside` runs on this thread.
    ///
    /// # Errors
    /// A thread cannot be pinned, or the socket table cannot be read.
    pub(crate) fn run<R>(
        &mut self,
        period: Duration,
        beside: impl FnOnce(&Watch) -> R,
    ) -> Result<(Tally, R)> {
        self.run += 1;
        let (stop, watch) = (AtomicBool::new(false), Watch::new(self.flows.len()));
        let overflowed_before = self.phones.overflowed()?;
        let senders = self.cpus.senders.len().min(self.flows.len().max(1));
        let shares = deal(std::mem::take(&mut self.flows), senders);
        let shared = self.cpus.senders == [self.cpus.receiver];
        let (outcome, sending, receiving) = thread::scope(|scope| {
            let receiver = Receiver { phones: &self.phones, run: self.run, watch: &watch, stop: &stop };
            let cpu = self.cpus.receiver;
            let receiving = scope.spawn(move || pin(cpu).map(|()| receiver.run()));
            let sending: Vec<_> = shares
                .into_iter()
                .zip(&self.cpus.senders)
                .map(|(flows, &cpu)| {
                    let sender = Sender { phones: &self.phones, run: self.run, period, stop: &stop, shared };
                    scope.spawn(move || pin(cpu).map(|()| sender.run(flows)))
                })
                .collect();
            let outcome = beside(&watch);
            stop.store(true, Ordering::Release);
            let sending: Vec<_> =
                sending.into_iter().map(|thread| thread.join().expect("a sender does not panic")).collect();
            (outcome, sending, receiving.join().expect("the receiver does not panic"))
        });
        let mut tally = receiving??;
        for sent in sending {
            let sent = sent?;
            tally.due += sent.due;
            tally.sent += sent.sent;
            tally.sent_late += sent.late;
            self.flows.extend(sent.flows);
        }
        self.flows.sort_by_key(|flow| flow.phase);
        tally.overflowed = self.phones.overflowed()? - overflowed_before;
        Ok((tally, outcome))
    }
}

impl Tally {
    /// Whether the generator itself sent or received less than it was asked for.
    pub(crate) fn is_generator_limited(&self) -> bool {
        self.sent * 100 < self.due * 98 || self.sent_late * 20 > self.sent || self.overflowed > 0
    }

    /// A quantile of the delay in microseconds.
    pub(crate) fn delay_us(&self, quantile: f64) -> f64 {
        self.delay_ns.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

/// Flows to senders in turn, each sender's in the order of their phases.
fn deal(flows: Vec<Flow>, senders: usize) -> Vec<Vec<Flow>> {
    let mut shares: Vec<Vec<Flow>> = (0..senders).map(|_| Vec::new()).collect();
    for (at, flow) in flows.into_iter().enumerate() {
        shares[at % senders].push(flow);
    }
    shares
}

const SEED: u64 = 5;
