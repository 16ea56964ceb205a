//! The engine, over its own protocol.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use offhook_proto::{
    Command, EngineInfo, LegCreate, LegCreated, LegDelete, LegPark, Remote, Reply, Request, Splice, Unsplice,
};

use super::{FIRST_PORT, LAST_PORT, MEDIA_ADDRESS, SetUp, System, WINDOW, free_address, start_answering};
use crate::cli::BenchArgs;
use crate::control::{ControlSocket, Exchanged};
use crate::machine::Cpus;
use crate::process::Process;

/// A running engine.
pub(crate) struct Offhook {
    process: Process,
    control: ControlSocket,
    /// Its calls are the kernel's to forward, after a while.
    in_kernel: bool,
}

impl Offhook {
    /// # Errors
    /// It does not start.
    pub(crate) fn start(args: &BenchArgs, cpus: &Cpus) -> Result<Self> {
        Self::start_with_ports(args, cpus, FIRST_PORT, LAST_PORT)
    }

    /// With one more option.
    ///
    /// # Errors
    /// It does not start, for instance because it may not do what the option asks for.
    pub(crate) fn start_with(args: &BenchArgs, cpus: &Cpus, option: &str) -> Result<Self> {
        let mut args = args.clone();
        args.engine_args.push(option.to_owned());
        let in_kernel = option == "--kernel";
        Ok(Self { in_kernel, ..Self::start(&args, cpus)? })
    }

    /// # Errors
    /// It does not start.
    pub(crate) fn start_with_ports(args: &BenchArgs, cpus: &Cpus, first: u16, last: u16) -> Result<Self> {
        let address = free_address()?;
        let mut arguments = vec![
            format!("--control={address}"),
            format!("--media-address={MEDIA_ADDRESS}"),
            format!("--ports={first}-{last}"),
            format!("--cpus={}", cpus.list()),
            "--log=warn".to_owned(),
        ];
        arguments.extend(args.engine_args.iter().cloned());
        let ping = dictionary(Command::Ping);
        let (process, control) = start_answering(cpus, &args.engine, &arguments, address, &ping)
            .context("the engine (cargo build --release -p offhook-engine)")?;
        Ok(Self { process, control, in_kernel: false })
    }

    /// One command that must succeed.
    ///
    /// # Errors
    /// Refused, or no answer.
    pub(crate) fn call(&mut self, command: Command) -> Result<Reply> {
        let reply = self.control.call(&dictionary(command))?;
        accept(&reply)
    }

    /// Commands that must all succeed, some under way at once.
    ///
    /// # Errors
    /// One was refused, or not answered.
    pub(crate) fn call_all(
        &mut self,
        commands: impl IntoIterator<Item = Command>,
        window: usize,
    ) -> Result<(Vec<Reply>, Exchanged)> {
        let dictionaries: Vec<Vec<u8>> = commands.into_iter().map(dictionary).collect();
        let exchanged = self.control.call_all(&dictionaries, window)?;
        let replies = exchanged.replies.iter().map(|reply| accept(reply)).collect::<Result<_>>()?;
        Ok((replies, exchanged))
    }

    /// Creates legs, and says where each receives.
    ///
    /// # Errors
    /// One was refused, or not answered.
    pub(crate) fn create(
        &mut self,
        legs: impl IntoIterator<Item = LegCreate>,
        window: usize,
    ) -> Result<(Vec<SocketAddr>, Exchanged)> {
        let (replies, exchanged) = self.call_all(legs.into_iter().map(Command::LegCreate), window)?;
        let port = |reply: Reply| reply.parse::<LegCreated>().map(|leg| leg.rtp);
        let ports = replies.into_iter().map(port).collect::<Result<_, _>>().context("leg.create")?;
        Ok((ports, exchanged))
    }
}

impl System for Offhook {
    fn set_up(&mut self, calls: &[[SocketAddr; 2]]) -> Result<SetUp> {
        let legs = calls.iter().flatten().enumerate().map(|(n, &remote)| leg(n as u32, remote));
        let (ports, created) = self.create(legs, WINDOW)?;
        let splices = (0..calls.len() as u32).map(|call| splice(2 * call, 2 * call + 1));
        let (_, spliced) = self.call_all(splices, WINDOW)?;
        Ok(SetUp {
            ports: ports.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect(),
            requests: 3 * calls.len() as u64,
            elapsed: created.elapsed + spliced.elapsed,
        })
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn is_settled(&mut self, calls: u32) -> Result<bool> {
        if !self.in_kernel {
            return Ok(true);
        }
        let statistics: EngineInfo = self.call(Command::Statistics)?.parse().context("statistics")?;
        let rules: u64 = statistics.workers.iter().map(|worker| worker.kernel_rules).sum();
        Ok(rules == 2 * u64::from(calls))
    }
}

/// A leg by number, with a phone.
pub(crate) fn leg(number: u32, remote: SocketAddr) -> LegCreate {
    LegCreate { leg: name(number), remote: Some(Remote { rtp: remote, rtcp: None }), ..LegCreate::default() }
}

/// Joins two legs by number.
pub(crate) fn splice(a: u32, b: u32) -> Command {
    Command::Splice(Splice {
        a: name(a),
        b: name(b),
        a_hears_b: true,
        b_hears_a: true,
        replace: false,
        since_us: None,
    })
}

/// Parts a leg from its partner, and parks some.
pub(crate) fn unsplice(leg: u32, park: &[u32]) -> Command {
    Command::Unsplice(Unsplice { leg: name(leg), park: park.iter().map(|&leg| name(leg)).collect() })
}

/// Parks a leg.
pub(crate) fn park(leg: u32, keep_one_in: u16) -> Command {
    Command::LegPark(LegPark { leg: name(leg), keep_one_in: Some(keep_one_in) })
}

/// Closes a leg.
pub(crate) fn delete(leg: u32) -> Command {
    Command::LegDelete(LegDelete { leg: name(leg) })
}

/// A leg's name.
pub(crate) fn name(number: u32) -> String {
    format!("leg-{number}")
}

fn dictionary(command: Command) -> Vec<u8> {
    serde_json::to_vec(&Request { controller: None, command }).expect("requests serialise into memory")
}

fn accept(reply: &[u8]) -> Result<Reply> {
    let reply: Reply = serde_json::from_slice(reply).context("not a reply")?;
    match reply {
        Reply::Ok(_) => Ok(reply),
        Reply::Error(error) => bail!("the engine refuses: {error}"),
    }
}
