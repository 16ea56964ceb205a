//! A loopback of our own, which can hand what arrives to one processor, as a network card's queue does.
//!
//! By itself the loopback lets the sender's processor do the receiver's work up to the socket. Who forwards in the kernel
//! would cost nothing then. With receive packet steering (RPS, `Documentation/networking/scaling.rst` in the kernel's sources) the
//! sender's processor only queues the packet, and the system's does everything else.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// The loopback of a network namespace that nobody else is in.
pub(crate) struct Loopback;

impl Loopback {
    /// Moves this process, which must have one thread yet, and its later children into a network namespace of their own.
    ///
    /// # Errors
    /// The process may not (CAP_SYS_ADMIN), or the kernel has no RPS.
    pub(crate) fn own() -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("a network namespace")?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("mounts of our own")?;
        // What is mounted shows the interfaces of the namespace that it was mounted in.
        mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none).context("/sys")?;
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("ip (iproute2)")?;
        if !up.success() {
            bail!("ip link set lo up: {up}");
        }
        if !Path::new(RPS).exists() {
            bail!("{RPS} is not there");
        }
        Ok(Self)
    }

    /// Has a processor handle all that arrives; without one, each sender's handles what it sends.
    ///
    /// # Errors
    /// There is no such processor.
    pub(crate) fn hand_to(&self, cpu: Option<usize>) -> Result<()> {
        fs::write(RPS, mask(cpu)).with_context(|| format!("{RPS} for processor {cpu:?}"))
    }
}

/// A set of at most one processor: hexadecimal words of 32 bits, the highest first.
fn mask(cpu: Option<usize>) -> String {
    let Some(cpu) = cpu else { return "0".into() };
    format!("{:x}{}", 1_u32 << (cpu % 32), ",00000000".repeat(cpu / 32))
}

const RPS: &str = "/sys/class/net/lo/queues/rx-0/rps_cpus";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_the_bit_of_its_processor() {
        assert_eq!(mask(None), "0");
        assert_eq!(mask(Some(0)), "1");
        assert_eq!(mask(Some(5)), "20");
        assert_eq!(mask(Some(33)), "2,00000000");
    }
}
