//! Forwarding in the kernel as it is asked for on the command line.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use offhook_uring::kernel::{Forwarder, Interface, Netlink, RouteWatch};
use tracing::{info, warn};

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
        bail!("--kernel needs a --media-address of IPv4");
    }
    let forwarder = Forwarder::new(u32::try_from(workers)?, legs, clock.start_ns()).context(
        "--kernel: the kernel takes no program or no rules (it takes CAP_BPF and CAP_NET_ADMIN, in a container too, and Linux \
         6.6 with CONFIG_BPF_SYSCALL and CONFIG_BPF_JIT); without --kernel the engine needs none of this",
    )?;
    let interfaces =
        Netlink::new().and_then(|netlink| netlink.interfaces()).context("--kernel: the interfaces")?;
    let (mut attached, mut refused) = (Vec::new(), None);
    for (interface, outcome) in forwarder.follow(&interfaces) {
        match outcome {
            Ok(()) => attached.push(interface.name.clone()),
            Err(error) => {
                warn_of(&interface.name, &error);
                refused = Some(error);
            }
        }
    }
    if let Some(error) = refused.filter(|_| attached.is_empty()) {
        return Err(error).context(
            "--kernel: no interface takes the program (it takes CAP_NET_ADMIN and Linux 6.6, where tcx began); without \
             --kernel the engine needs none of this",
        );
    }
    let forwarder = Arc::new(forwarder);
    Ok(Some(Started { forwarder, interfaces: attached }))
}

/// Keeps the program at all interfaces and rules on the way to where they lead, as interfaces, addresses and routes come and go, for as
/// long as the process lives.
///
/// # Errors
/// No descriptor is free, or no thread.
pub(crate) fn follow_network(
    forwarder: Arc<Forwarder>,
    traffic_class: u8,
    clock: Clock,
) -> anyhow::Result<()> {
    let (watch, netlink) = (RouteWatch::new()?, Netlink::new()?);
    thread::Builder::new().name("network".into()).spawn(move || {
        let mut refused = HashSet::new();
        // What has changed between the start and the watch is seen by the first look.
        loop {
            let began = clock.now();
            match netlink.interfaces() {
                Ok(interfaces) => follow_interfaces(&forwarder, &interfaces, &mut refused),
                Err(error) => warn!(%error, "interfaces cannot be looked at"),
            }
            forwarder.reroute(|from, to| netlink.route(from, to, traffic_class).ok());
            // However much changes, this takes no more than a fifth of a processor.
            let took = Duration::from_micros(clock.now().since(began));
            thread::sleep((took * 4).clamp(LEAST_REST, MOST_REST));
            if let Err(error) = watch.wait() {
                return warn!(%error, "changes of the network are no longer followed");
            }
        }
    })?;
    Ok(())
}

/// `refused`: numbers of interfaces that are known to take no program.
fn follow_interfaces(forwarder: &Forwarder, interfaces: &[Interface], refused: &mut HashSet<u32>) {
    refused.retain(|number| interfaces.iter().any(|interface| interface.number == *number));
    for (interface, outcome) in forwarder.follow(interfaces) {
        match outcome {
            Ok(()) => {
                info!(interface = interface.name, "packets that come in here may be forwarded in the kernel");
            }
            Err(error) if refused.insert(interface.number) => warn_of(&interface.name, &error),
            Err(_) => {}
        }
    }
}

fn warn_of(interface: &str, error: &io::Error) {
    warn!(interface, %error, "packets that come in here are not forwarded in the kernel");
}

const LEAST_REST: Duration = Duration::from_millis(5);
const MOST_REST: Duration = Duration::from_secs(1);

/// What was started.
pub(crate) struct Started {
    pub(crate) forwarder: Arc<Forwarder>,
    /// By name, those whose packets it sees. Others follow as they come up.
    pub(crate) interfaces: Vec<String>,
}
