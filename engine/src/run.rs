//! From arguments to a running engine, and the ready line.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener, UdpSocket};
use std::path::Path;

use anyhow::{Context, bail};
use offhook_engine_core::{Director, DirectorConfig, PortRange};
use offhook_proto::auth::Envelope;
use offhook_uring::SetupError;
use offhook_uring::clock::allowed_cpus;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::args::RunArgs;
use crate::clock::{self, Clock};
use crate::control::{self, ControlSetup};
use crate::files::Files;
use crate::key;
use crate::metrics::MetricsPage;
use crate::ng::NgShell;
use crate::prompt::PromptStore;
use crate::record::{Folder, Recorder};
use crate::sockets::bind_control;
use crate::workers::{self, Workers};

/// This machine has no usable io_uring.
#[derive(Debug, thiserror::Error)]
#[error("the engine needs io_uring")]
pub(crate) struct NoRing(#[source] pub(crate) SetupError);

/// Options that no machine can run with: to try again is no use.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Mistake(pub(crate) String);

/// Runs until a signal.
///
/// # Errors
/// [`NoRing`], a [`Mistake`], an argument that does not fit this machine, or a thread that has ended.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<()> {
    let key = args.key_file.as_deref().map(key::read).transpose()?;
    check(args)?;
    let advertised = advertised(args)?;
    let cpus = cpus(args)?;
    let files = allow_files(args.max_legs, cpus.len());
    let max_legs = files.legs;
    warn_of_strange_addresses(&args.media_addresses);
    let socket = bind_control(args.control).with_context(|| {
        format!(
            "cannot bind the control socket {}: another --control is needed, or an engine runs there already",
            args.control
        )
    })?;
    let address = socket.local_addr()?;

    let clock = Clock::start();
    let seed: [u8; 32] = random()?;
    let instance = format!("{:016x}", u64::from_ne_bytes(random()?));
    let folder = args.recordings.clone().map(|path| Folder { path, mode: args.recording_mode });
    let (recorder, recorded, recording) = Recorder::start(folder, clock)?;
    let Workers { links, threads, reports, bell } = workers::start(args, &cpus, &files, clock, &recorder)?;

    let config = DirectorConfig {
        instance: instance.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        addresses: args.media_addresses.clone(),
        advertised,
        ports: PortRange { first: *args.ports.start(), last: *args.ports.end() },
        workers: links.len() as u16,
        max_legs: max_legs as usize,
        max_legs_per_worker: files.legs_per_worker as usize,
        seed,
    };
    let ng_tcp = args.ng_tcp.map(bind_ng).transpose()?;
    let metrics = args.metrics.map(MetricsPage::bind).transpose()?;
    let metrics_key = key.clone();
    let ng_config = ng_config(args, &clock, random()?);
    let dscp = args.dscp;
    let setup = move |ng| ControlSetup {
        clock,
        director: Director::new(clock.now(), config),
        socket,
        envelope: Envelope::engine(key, clock::unix_ms()),
        prompts: PromptStore::new(args.prompts.clone()),
        ng,
        dscp,
        recorder,
        recorded,
        workers: links,
        reports,
        bell,
    };
    let mut ready =
        format!("offhook-engine ready control={address} workers={} instance={instance}", cpus.len());
    if let Some(metrics) = &metrics {
        ready += &format!(" metrics={}", metrics.address()?);
    }
    info!(control = %address, workers = cpus.len(), instance, max_legs, "ready");
    tokio_uring::start(async {
        let ng = NgShell::new(ng_config, ng_tcp.map(TcpListener::from_std).transpose()?);
        // Before the line: what was signed before this moment is refused.
        let setup = setup(ng);
        if let Some(metrics) = metrics {
            metrics.open(address, metrics_key)?;
        }
        // The line says that requests are answered from now on; who reads it may be gone.
        let _ = writeln!(io::stdout(), "{ready}");
        control::serve(setup).await
    })?;
    for thread in threads {
        let _ = thread.join();
    }
    // Everyone who could order anything has gone: it completes its files.
    let _ = recording.join();
    info!("stopped");
    Ok(())
}

/// What SIP proxies find.
fn ng_config(args: &RunArgs, clock: &Clock, seed: [u8; 32]) -> offhook_ng::Config {
    let mut interfaces = args.ng_interfaces.clone();
    if interfaces.is_empty() {
        interfaces = args.media_addresses.iter().map(|address| (address.to_string(), *address)).collect();
    }
    offhook_ng::Config {
        interfaces,
        prompts: args.prompts.as_ref().map(|directory| directory.display().to_string()),
        recordings: args.recordings.as_ref().map(|directory| directory.display().to_string()),
        unix_s: clock.unix_us_at_start() / 1_000_000,
        seed,
        delete_delay_s: args.ng_delete_delay_s,
    }
}

/// Finds what is wrong in the options before anything is taken.
///
/// # Errors
/// A [`Mistake`], or directories and processors that this process does not have.
pub(crate) fn check(args: &RunArgs) -> anyhow::Result<()> {
    key::check_exposure(args.control, args.key_file.is_some(), args.open)?;
    if let Some(address) = args.ng_tcp.filter(|address| !address.ip().is_loopback() && !args.open) {
        bail!(Mistake(format!(
            "--ng-tcp {address} is not on loopback, and requests over TCP are not signed: give --open if that is meant"
        )));
    }
    for (option, directory) in [("--prompts", &args.prompts), ("--recordings", &args.recordings)] {
        if let Some(directory) = directory.as_ref().filter(|directory| !directory.is_dir()) {
            bail!("{option}: {} is not a directory", directory.display());
        }
    }
    if let Some(directory) = &args.recordings {
        try_to_write(directory)
            .with_context(|| format!("--recordings: no file can be made in {}", directory.display()))?;
    }
    advertised(args)?;
    cpus(args)?;
    Ok(())
}

fn try_to_write(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".offhook-{}", std::process::id()));
    File::create_new(&probe)?;
    fs::remove_file(probe)
}

/// The listener for `ng` requests over TCP, which nobody signs.
fn bind_ng(address: SocketAddr) -> anyhow::Result<StdTcpListener> {
    let listener =
        StdTcpListener::bind(address).with_context(|| format!("cannot bind --ng-tcp {address}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Allows two files per leg, or finds out what can be done with fewer.
fn allow_files(max_legs: u32, workers: usize) -> Files {
    let (files, error) = Files::allow(max_legs, workers);
    match error {
        Some(error) if files.legs < max_legs => {
            warn!(%error, max_legs = files.legs, "fewer legs than asked for");
        }
        Some(_) => info!(legs_per_worker = files.legs_per_worker, "sockets are held by the rings alone"),
        None => {}
    }
    files
}

/// An address may come to this machine later, as one that two machines share; until then no leg can be made on it.
fn warn_of_strange_addresses(addresses: &[IpAddr]) {
    for address in addresses {
        if let Err(error) = UdpSocket::bind((*address, 0)) {
            warn!(%error, %address, "this --media-address is not an address of this machine: no leg can be opened on it");
        }
    }
}

/// Processors of the workers.
pub(crate) fn cpus(args: &RunArgs) -> anyhow::Result<Vec<u32>> {
    let allowed: Vec<u32> = allowed_cpus()?.into_iter().map(|cpu| cpu as u32).collect();
    let Some(wanted) = &args.cpus else { return Ok(allowed) };
    match wanted.0.iter().find(|cpu| !allowed.contains(cpu)) {
        Some(cpu) => bail!("--cpus: this process may not use processor {cpu}, only {}", listed(&allowed)),
        None => Ok(wanted.0.clone()),
    }
}

fn listed(cpus: &[u32]) -> String {
    cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// What peers are told in place of our media addresses.
fn advertised(args: &RunArgs) -> anyhow::Result<HashMap<IpAddr, IpAddr>> {
    let mut advertised = HashMap::new();
    for &(own, told) in &args.advertised {
        if !args.media_addresses.contains(&own) {
            bail!(Mistake(format!("--advertise: {own} is not a --media-address")));
        }
        if own.is_ipv4() != told.is_ipv4() {
            bail!(Mistake(format!("--advertise: {own} and {told} are not of one version of IP")));
        }
        if advertised.insert(own, told).is_some() {
            bail!(Mistake(format!("--advertise: {own} is there twice")));
        }
    }
    Ok(advertised)
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(bytes)
}
