//! Making a ring: which flags, what is registered, and whether this kernel can do what the datapath needs.

use crate::completion::{Completion, ReceiveEnd};
use crate::error::{SetupError, SlotError};
use crate::ring::Ring;
use crate::{FileSlot, RingConfig};
use io_uring::register::Probe;
use io_uring::{IoUring, opcode};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// A ring with the best flags that this kernel takes.
///
/// In falling order: one issuer with deferred task work (6.1: completions are made only when this thread asks for
/// them), one issuer with co-operative task work (6.0), co-operative task work alone (5.19), neither. Only the
/// speed differs. Also says whether it was the first.
pub(crate) fn build(config: &RingConfig) -> Result<(IoUring, bool), SetupError> {
    let (mut outcome, mut is_deferred) = (try_build(config, Flags::Deferred), true);
    for flags in [Flags::SingleIssuer, Flags::Cooperative, Flags::None] {
        match outcome {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                (outcome, is_deferred) = (try_build(config, flags), false);
            }
            _ => break,
        }
    }
    let ring = outcome.map_err(|error| SetupError::from_os("io_uring", error))?;
    let features = ring.params();
    let needed = [
        (features.is_feature_nodrop(), "completions that are never dropped"),
        (features.is_feature_ext_arg(), "io_uring waits with a time-out"),
        (features.is_feature_skip_cqe_on_success(), "operations that succeed silently"),
    ];
    match needed.into_iter().find(|(present, _)| !present) {
        Some((_, what)) => Err(SetupError::unsupported(what)),
        None => Ok((ring, is_deferred)),
    }
}

/// Whether rings of this kernel can hold sockets of which the process has no descriptor
/// ([`RingConfig::keep_descriptors`] is false): Linux 6.8.
pub fn holds_sockets_alone() -> bool {
    IoUring::new(8).is_ok_and(|ring| can_install(&ring))
}

pub(crate) fn can_install(ring: &IoUring) -> bool {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).is_ok() && probe.is_supported(opcode::FixedFdInstall::CODE)
}

#[derive(Clone, Copy)]
enum Flags {
    Deferred,
    SingleIssuer,
    Cooperative,
    None,
}

fn try_build(config: &RingConfig, flags: Flags) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    // One operation that the kernel refuses must not hold back those queued after it.
    builder.dontfork().setup_submit_all().setup_cqsize(config.completions);
    match flags {
        Flags::Deferred => builder.setup_single_issuer().setup_coop_taskrun().setup_defer_taskrun(),
        Flags::SingleIssuer => builder.setup_single_issuer().setup_coop_taskrun(),
        Flags::Cooperative => builder.setup_coop_taskrun(),
        Flags::None => &mut builder,
    };
    builder.build(config.submissions)
}

/// Sends one datagram to itself on loopback: the only way to learn whether multishot receive works here.
///
/// Where loopback itself does not work nothing is learnt, and nothing refused.
pub(crate) fn check_datapath(ring: &mut Ring) -> Result<(), SetupError> {
    const WHAT: &str = "the datapath's self-test";
    let os = |error| SetupError::from_os(WHAT, error);
    let Ok(socket) = UdpSocket::bind(("127.0.0.1", 0)) else { return Ok(()) };
    let address = socket.local_addr().map_err(os)?;
    let refused = |_| SetupError::unsupported("registered sockets");
    let slot = ring.register(socket.into()).map_err(refused)?;
    ring.receive(slot, 0).map_err(refused)?;
    let verdict = probe(ring, slot, address).map_err(os)?;
    stop_receiving(ring, slot).map_err(refused)?;
    ring.unregister(slot).map_err(refused)?;
    verdict.map_or(Ok(()), |what| Err(SetupError::unsupported(what)))
}

fn stop_receiving(ring: &mut Ring, slot: FileSlot) -> Result<(), SlotError> {
    for _ in 0..ATTEMPTS {
        while ring.next_completion().is_some() {}
        if ring.slots().is_idle(slot)? {
            break;
        }
        ring.cancel_receive(slot)?;
        ring.submit_and_wait(1, Some(ATTEMPT_TIMEOUT), None)?;
    }
    Ok(())
}

/// The part that is missing, if one is.
fn probe(ring: &mut Ring, slot: FileSlot, address: SocketAddr) -> io::Result<Option<&'static str>> {
    if let Some(mut buffer) = ring.buffer() {
        buffer.resize(1).map_err(io::Error::other)?;
        ring.send_to(slot, 0, buffer, address).map_err(io::Error::other)?;
    }
    for _ in 0..ATTEMPTS {
        ring.submit_and_wait(1, Some(ATTEMPT_TIMEOUT), None)?;
        while let Some(completion) = ring.next_completion() {
            match completion {
                Completion::Datagram(_) => return Ok(None),
                Completion::ReceiveEnded { reason: ReceiveEnd::Failed(libc::EINVAL), .. } => {
                    return Ok(Some("multishot receive into provided buffers"));
                }
                Completion::SendFailed { errno: libc::EINVAL, .. } => {
                    return Ok(Some("sending to an address"));
                }
                Completion::SendFailed { .. } => return Ok(None),
                Completion::ReceiveEnded { .. } | Completion::Woken => {}
            }
        }
    }
    Ok(None)
}

const ATTEMPTS: u32 = 4;
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(50);
