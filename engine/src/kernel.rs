//! Forwarding in the kernel as it is asked for on the command line.

use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use offhook_uring::kernel::{Forwarder, Netlink, RouteWatch};
use tracing::warn;

use crate::args::RunArgs;
use crate::clock::Clock;

/// The forwarder for so many workers and legs, at the interfaces that are up; none if it was not asked for.
///
/// # Errors
/// It cannot be had with these arguments, or by this process, or on this kernel.
pub(crate) fn start(
    args: &RunArgs,
    workers: usize,
    legs: u32,
    clock: Clock,
) -> anyhow::Result<Option<Started>> {
    if !args.kernel {
        return Ok(None);
    }
    if !args.media_addresses.iter().any(IpAddr::is_ipv4) {
        bail!("--kernel: it takes a --media-address of IPv4");
    }
    let forwarder = Forwarder::new(u32::try_from(workers)?, legs, clock.start_ns()).context(
        "--kernel: the kernel takes no program or no rules (CAP_BPF and CAP_NET_ADMIN, Linux 6.6)",
    )?;
    let interfaces =
        Netlink::new().and_then(|netlink| netlink.interfaces()).context("--kernel: the interfaces")?;
    let (mut attached, mut refused) = (Vec::new(), None);
    for interface in interfaces.into_iter().filter(|interface| interface.is_up && interface.is_ethernet) {
        match forwarder.attach(interface.number) {
            Ok(_) => attached.push(interface.name),
            Err(error) => {
                warn!(interface = interface.name, %error, "nothing is forwarded in the kernel that comes in here");
                refused = Some(error);
            }
        }
    }
    if let Some(error) = refused.filter(|_| attached.is_empty()) {
        return Err(error).context("--kernel: no interface takes the program (CAP_NET_ADMIN, Linux 6.6)");
    }
    let forwarder = Arc::new(forwarder);
    Ok(Some(Started { forwarder, interfaces: attached }))
}

/// Keeps rules on the way to where they lead, as interfaces and routes come and go, for as long as the process lives.
///
/// # Errors
/// No descriptor is free, or no thread.
pub(crate) fn follow_routes(forwarder: Arc<Forwarder>, traffic_class: u8) -> anyhow::Result<()> {
    let (watch, netlink) = (RouteWatch::new()?, Netlink::new()?);
    thread::Builder::new().name("routes".into()).spawn(move || {
        while watch.wait().inspect_err(|error| warn!(%error, "routes are followed no more")).is_ok() {
            forwarder.reroute(|from, to| netlink.route(from, to, traffic_class).ok());
            // Many changes in a row cost no more than one.
            thread::sleep(BETWEEN_CHANGES);
        }
    })?;
    Ok(())
}

const BETWEEN_CHANGES: Duration = Duration::from_millis(100);

/// What was started.
pub(crate) struct Started {
    pub(crate) forwarder: Arc<Forwarder>,
    /// By name, those whose packets it sees. Others follow when a peer is found behind them.
    pub(crate) interfaces: Vec<String>,
}
