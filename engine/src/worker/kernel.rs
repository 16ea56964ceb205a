//! What a worker hands over to the kernel.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use offhook_engine_core::kernel::{KernelPath, Patience, Progress, Rule};
use offhook_engine_core::{LegIx, Time};
use offhook_uring::kernel::{Forwarder, Installed, LOOPBACK, Netlink, Rule as KernelRule};
use tracing::{debug, info, warn};

use crate::clock::Clock;

/// One worker's rules.
pub(crate) struct KernelRules {
    worker: u16,
    patience: Patience,
    traffic_class: u8,
    forwarder: Arc<Forwarder>,
    netlink: Netlink,
    /// By leg.
    legs: Vec<Option<Held>>,
    figures: Arc<KernelFigures>,
    warned: bool,
}

/// A rule that is in force.
struct Held {
    installed: Installed,
    /// Packets of it that are in the figures.
    counted: Cell<u64>,
}

/// What a worker's rules need to stay in force: a sign of life now and then. One that gets no processor, or is stopped, falls
/// silent as it would without the kernel, instead of joining for ever whom nobody can part.
pub(crate) struct KernelLease {
    worker: u16,
    forwarder: Arc<Forwarder>,
    figures: Arc<KernelFigures>,
    renewed: Option<Time>,
}

impl KernelLease {
    /// Renews the lease, if it is time.
    pub(crate) fn renew(&mut self, now: Time, clock: Clock) {
        if self.renewed.is_none_or(|renewed| now.since(renewed) >= RENEW_EVERY_US / 2) {
            let until_us = now.0 + LEASE_US;
            self.forwarder.renew(u32::from(self.worker), clock.start_ns() + until_us * 1_000);
            self.renewed = Some(now);
        }
    }

    /// How long the worker may sleep; none if there is nothing to renew.
    pub(crate) fn sleep(&self) -> Option<Duration> {
        (self.figures.rules() > 0).then_some(Duration::from_micros(RENEW_EVERY_US))
    }

    pub(crate) fn figures(&self) -> &KernelFigures {
        &self.figures
    }
}

const RENEW_EVERY_US: u64 = 500_000;
const LEASE_US: u64 = 2_000_000;

/// What a worker has handed over, for whoever asks.
#[derive(Debug, Default)]
pub(crate) struct KernelFigures {
    rules: AtomicU64,
    packets: AtomicU64,
}

impl KernelFigures {
    /// Rules in force.
    pub(crate) fn rules(&self) -> u64 {
        self.rules.load(Ordering::Relaxed)
    }

    /// Packets that were forwarded, as far as the core has asked.
    pub(crate) fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// `counted`: packets of the rule that are in the figures.
    fn count(&self, counted: &Cell<u64>, packets: u64) {
        self.packets.fetch_add(packets - counted.replace(packets), Ordering::Relaxed);
    }
}

impl KernelRules {
    /// `traffic_class`: of what is forwarded.
    ///
    /// # Errors
    /// No descriptor is free.
    pub(crate) fn new(
        worker: u16,
        forwarder: Arc<Forwarder>,
        patience: Patience,
        traffic_class: u8,
    ) -> io::Result<Self> {
        let (netlink, figures) = (Netlink::new()?, Arc::default());
        Ok(Self {
            worker,
            patience,
            traffic_class,
            forwarder,
            netlink,
            legs: Vec::new(),
            figures,
            warned: false,
        })
    }

    /// How long the core looks at a direction before it hands that over.
    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    /// What stays with the worker when the core has the rules.
    pub(crate) fn lease(&self) -> KernelLease {
        KernelLease {
            worker: self.worker,
            forwarder: Arc::clone(&self.forwarder),
            figures: Arc::clone(&self.figures),
            renewed: None,
        }
    }

    fn try_install(&mut self, rule: &Rule) -> io::Result<Installed> {
        let (at, source, from, to) = (v4(rule.at)?, v4(rule.source)?, v4(rule.from)?, v4(rule.to)?);
        // What comes takes the way that leads to where it comes from, most likely.
        let incoming = self.netlink.route(*at.ip(), *source.ip(), self.traffic_class)?.interface;
        let route = self.netlink.route(*from.ip(), *to.ip(), self.traffic_class)?;
        if (incoming == LOOPBACK) != (route.interface == LOOPBACK) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.attach(incoming)?;
        let installed = self.forwarder.install(&KernelRule {
            at,
            source,
            from,
            to,
            route,
            worker: u32::from(self.worker),
            traffic_class: self.traffic_class,
            ssrc: rule.ssrc,
            out_ssrc: rule.out_ssrc,
            payload_type: rule.payload_type,
            out_payload_type: rule.out_payload_type,
            sequence_shift: rule.sequence_shift,
            timestamp_shift: rule.timestamp_shift,
            clock_rate_hz: rule.clock_rate_hz,
            highest: rule.highest,
            first: rule.first,
            timestamp: rule.timestamp,
            transit_ts: rule.transit_ts,
            jitter_16ths: rule.jitter_16ths,
        })?;
        let look_up = |from, to| self.netlink.route(from, to, self.traffic_class).ok();
        self.forwarder.reroute_one(&installed, look_up);
        Ok(installed)
    }

    /// Has the program see what comes in by an interface. One that has just come up may not have been noticed yet.
    fn attach(&self, incoming: u32) -> io::Result<()> {
        if self.forwarder.sees(incoming) {
            return Ok(());
        }
        let interface = self.netlink.interface(incoming)?;
        if !interface.is_entrance {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if self.forwarder.attach(incoming)? {
            info!(interface = interface.name, "packets that come in here may be forwarded in the kernel");
        }
        Ok(())
    }

    fn held(&self, leg: LegIx) -> Option<&Held> {
        self.legs.get(leg.index())?.as_ref()
    }
}

impl KernelPath for KernelRules {
    fn install(&mut self, leg: LegIx, rule: &Rule) -> bool {
        let installed = match self.try_install(rule) {
            Ok(installed) => installed,
            Err(error) => {
                if error.kind() == io::ErrorKind::Unsupported || std::mem::replace(&mut self.warned, true) {
                    debug!(worker = self.worker, at = %rule.at, %error, "not forwarded in the kernel");
                } else {
                    warn!(worker = self.worker, at = %rule.at, %error, "not forwarded in the kernel; more such at --log debug");
                }
                return false;
            }
        };
        if self.legs.len() <= leg.index() {
            self.legs.resize_with(leg.index() + 1, || None);
        }
        self.legs[leg.index()] = Some(Held { installed, counted: Cell::new(0) });
        self.figures.rules.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn progress(&self, leg: LegIx) -> Progress {
        let Some(held) = self.held(leg) else { return Progress::default() };
        let progress = self.forwarder.progress(&held.installed);
        self.figures.count(&held.counted, progress.packets);
        told(progress)
    }

    fn withdraw(&mut self, leg: LegIx) -> Progress {
        let Some(Held { installed, counted }) = self.legs.get_mut(leg.index()).and_then(Option::take) else {
            return Progress::default();
        };
        let progress = self.forwarder.withdraw(installed);
        self.figures.count(&counted, progress.packets);
        self.figures.rules.fetch_sub(1, Ordering::Relaxed);
        told(progress)
    }
}

impl fmt::Debug for KernelRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelRules").field("worker", &self.worker).field("figures", &self.figures).finish()
    }
}

/// An address that the kernel forwards for.
fn v4(address: SocketAddr) -> io::Result<SocketAddrV4> {
    match address {
        SocketAddr::V4(address) if *address.ip() != Ipv4Addr::UNSPECIFIED => Ok(address),
        SocketAddr::V4(_) | SocketAddr::V6(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn told(progress: offhook_uring::kernel::Progress) -> Progress {
    Progress {
        packets: progress.packets,
        payload_bytes: progress.payload_bytes,
        highest: progress.highest,
        timestamp: progress.timestamp,
        at: Time(progress.at_us),
        last_payload_bytes: progress.last_payload_bytes,
        last_at: Time(progress.last_at_us),
        transit_ts: progress.transit_ts,
        jitter_16ths: progress.jitter_16ths,
    }
}
