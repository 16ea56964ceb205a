//! The bare programs, as children like the others.

use std::env;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::{FIRST_PORT, MEDIA_ADDRESS, SetUp, System, free_address, start_answering};
use crate::cli::Floor;
use crate::control::ControlSocket;
use crate::generator::Phones;
use crate::machine::Cpus;
use crate::process::Process;

/// A running floor. Its calls are known at its start.
pub(super) struct FloorSystem {
    floor: Floor,
    process: Process,
    control: ControlSocket,
}

impl FloorSystem {
    pub(super) fn start(floor: Floor, cpus: &Cpus, phones: &Phones, calls: u32) -> Result<Self> {
        let address = free_address()?;
        let list = |addresses: &[SocketAddr]| {
            addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",")
        };
        let name = floor.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let arguments = [
            "floor".to_owned(),
            name,
            format!("--control={address}"),
            format!("--calls={calls}"),
            format!("--near={}", list(phones.near())),
            format!("--far={}", list(phones.far())),
        ];
        let own = env::current_exe().context("where is this program?")?;
        let (process, control) = start_answering(cpus, &own, &arguments, address, b"count")?;
        Ok(Self { floor, process, control })
    }
}

impl System for FloorSystem {
    fn set_up(&mut self, calls: &[[SocketAddr; 2]]) -> Result<SetUp> {
        let address = |port: u16| SocketAddr::from((MEDIA_ADDRESS, port));
        let ports = (0..calls.len() as u16).map(|call| match self.floor {
            Floor::Epoll => [address(FIRST_PORT + 2 * call), address(FIRST_PORT + 2 * call + 1)],
            Floor::Recvmmsg | Floor::Raw => [address(FIRST_PORT); 2],
        });
        Ok(SetUp { ports: ports.collect(), requests: 0, elapsed: Duration::ZERO })
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn taken(&mut self) -> Result<u64> {
        let reply = self.control.call(b"count")?;
        String::from_utf8_lossy(&reply).parse().context("not a count")
    }
}
