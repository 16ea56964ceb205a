//! Steering as it is asked for on the command line.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use offhook_uring::{Steering, raw};

use crate::args::RunArgs;
use crate::worker::{RECEIVE_BYTES, SEND_BYTES, SteerSetup};

/// The steering for so many workers; none if it was not asked for.
///
/// # Errors
/// It cannot be had with these arguments, or by this process.
pub(crate) fn start(args: &RunArgs, workers: usize) -> anyhow::Result<Option<Arc<Steering>>> {
    if !args.steer {
        return Ok(None);
    }
    let [IpAddr::V4(address)] = args.media_addresses[..] else {
        bail!("--steer needs exactly one --media-address, of IPv4");
    };
    let steering = Steering::new(address, u32::try_from(workers)?)
        .context(
            "--steer: the kernel takes no steering (it takes CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW, in a container too, and Linux \
             5.9 with CONFIG_BPF_SYSCALL); without --steer the engine needs none of this",
        )?;
    Ok(Some(Arc::new(steering)))
}

/// One worker's part.
///
/// # Errors
/// A socket cannot be had.
pub(crate) fn open(steering: &Arc<Steering>, worker: usize, traffic_class: u8) -> anyhow::Result<SteerSetup> {
    let socket =
        steering.open(u32::try_from(worker)?, RECEIVE_BYTES).context("--steer: a worker's socket")?;
    let raw = raw::open(steering.address(), SEND_BYTES, traffic_class)
        .context("--steer: a raw socket (needs CAP_NET_RAW); without --steer the engine needs none")?;
    Ok(SteerSetup { steering: Arc::clone(steering), socket, raw, traffic_class })
}
