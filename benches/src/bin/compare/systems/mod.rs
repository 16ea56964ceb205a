//! The systems that are compared, behind one way to start them and to set calls up.

mod bencode;
mod floor;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub(crate) mod offhook;
pub(crate) mod rtpengine;

pub(crate) use self::offhook::Offhook;
use crate::cli::BenchArgs;
use crate::control::ControlSocket;
use crate::generator::Phones;
use crate::machine::Cpus;
use crate::process::Process;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The engine of this repository.
    Offhook,
    /// The same with `--steer`.
    #[value(name = "offhook-steered")]
    #[serde(rename = "offhook-steered")]
    Steered,
    /// The same with `--kernel`.
    #[value(name = "offhook-kernel")]
    #[serde(rename = "offhook-kernel")]
    InKernel,
    /// rtpengine in user space with `--num-threads=1`.
    #[value(name = "rtpengine-1")]
    #[serde(rename = "rtpengine-1")]
    RtpengineOne,
    /// rtpengine in user space with as many threads as it takes by itself.
    #[value(name = "rtpengine")]
    #[serde(rename = "rtpengine")]
    RtpengineMany,
    /// A bare epoll forwarder.
    Epoll,
    /// A bare reader, which forwards nothing.
    Recvmmsg,
    /// The same reader with a raw socket to send through: what a privileged datapath could come to.
    Raw,
}

impl Kind {
    /// Those that take part unless asked otherwise. [`Steered`](Self::Steered) and [`InKernel`](Self::InKernel) need privileges, as
    /// root has.
    pub(crate) const USUAL: [Self; 7] = [
        Self::Offhook,
        Self::Steered,
        Self::InKernel,
        Self::RtpengineOne,
        Self::RtpengineMany,
        Self::Epoll,
        Self::Recvmmsg,
    ];

    /// Ways to run the engine of this repository.
    pub(crate) const OURS: [Self; 3] = [Self::Offhook, Self::Steered, Self::InKernel];

    /// Name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Offhook => "offhook",
            Self::Steered => "offhook, steered",
            Self::InKernel => "offhook, kernel",
            Self::RtpengineOne => "rtpengine, 1 thread",
            Self::RtpengineMany => "rtpengine",
            Self::Epoll => "bare epoll forwarder",
            Self::Recvmmsg => "bare recvmmsg reader",
            Self::Raw => "bare raw forwarder",
        }
    }

    /// Whether packets come out of it.
    pub(crate) fn forwards(self) -> bool {
        match self {
            Self::Offhook
            | Self::Steered
            | Self::InKernel
            | Self::RtpengineOne
            | Self::RtpengineMany
            | Self::Epoll
            | Self::Raw => true,
            Self::Recvmmsg => false,
        }
    }

    /// Starts it, with no call yet.
    ///
    /// # Errors
    /// It does not start; the text has the end of its log.
    pub(crate) fn start(
        self,
        args: &BenchArgs,
        cpus: &Cpus,
        phones: &Phones,
        calls: u32,
    ) -> Result<Box<dyn System>> {
        Ok(match self {
            Self::Offhook => Box::new(Offhook::start(args, cpus)?),
            Self::Steered => Box::new(Offhook::start_with(args, cpus, "--steer")?),
            Self::InKernel => Box::new(Offhook::start_with(args, cpus, "--kernel")?),
            Self::RtpengineOne => Box::new(rtpengine::Rtpengine::start(args, cpus, Some(1))?),
            Self::RtpengineMany => Box::new(rtpengine::Rtpengine::start(args, cpus, None)?),
            Self::Epoll => {
                Box::new(floor::FloorSystem::start(crate::cli::Floor::Epoll, cpus, phones, calls)?)
            }
            Self::Raw => Box::new(floor::FloorSystem::start(crate::cli::Floor::Raw, cpus, phones, calls)?),
            Self::Recvmmsg => {
                Box::new(floor::FloorSystem::start(crate::cli::Floor::Recvmmsg, cpus, phones, calls)?)
            }
        })
    }
}

/// One running system.
pub(crate) trait System {
    /// Sets calls up, one per pair of phones, with some requests under way at once.
    fn set_up(&mut self, calls: &[[SocketAddr; 2]]) -> Result<SetUp>;

    /// Its process.
    fn process(&self) -> &Process;

    /// Whether so many calls that are up and speak have come to the state in which they stay.
    fn is_settled(&mut self, _calls: u32) -> Result<bool> {
        Ok(true)
    }

    /// Packets taken so far, of a system that forwards none.
    fn taken(&mut self) -> Result<u64> {
        Ok(0)
    }
}

/// Calls that are up.
pub(crate) struct SetUp {
    /// Where the near and the far phone of each call send.
    pub(crate) ports: Vec<[SocketAddr; 2]>,
    /// Requests that it took, and how long; none where there is no protocol.
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
}

/// Requests under way at once while calls are set up.
pub(crate) const WINDOW: usize = 16;

/// A loopback port that is free now.
fn free_address() -> Result<SocketAddr> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Starts a child and waits until its control socket answers.
fn start_answering(
    cpus: &Cpus,
    program: &Path,
    arguments: &[String],
    control: SocketAddr,
    ping: &[u8],
) -> Result<(Process, ControlSocket)> {
    let mut process = Process::start(&cpus.list(), program, arguments)?;
    let mut socket = ControlSocket::connect(control)?;
    process.wait_until(|| socket.is_answered(ping))?;
    Ok((process, socket))
}

/// Address of every system's legs: not the one that everything else on a machine binds to.
pub(crate) const MEDIA_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// Ports of every system, out of the way of the ephemeral ones.
const FIRST_PORT: u16 = 20_000;
const LAST_PORT: u16 = 31_999;
