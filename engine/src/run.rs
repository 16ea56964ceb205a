//! From arguments to a running engine, and the ready line.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener};
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
use crate::record::Recorder;
use crate::sockets::bind_control;
use crate::workers::{self, Workers};

/// This machine has no usable io_uring.
#[derive(Debug, thiserror::Error)]
#[error("the engine needs io_uring")]
pub(crate) struct NoRing(#[source] pub(crate) SetupError);

/// Runs until a signal.
///
/// # Errors
/// [`NoRing`], an argument that does not fit this machine, or a thread that has ended.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<()> {
    let key = args.key_file.as_deref().map(key::read).transpose()?;
    key::check_exposure(args.control, key.is_some(), args.open)?;
    check_prompts(args.prompts.as_deref())?;
    let advertised = advertised(args)?;
    let cpus = cpus(args)?;
    let files = allow_files(args.max_legs, cpus.len());
    let max_legs = files.legs;
    let socket = bind_control(args.control)
        .with_context(|| format!("cannot bind the control socket {}", args.control))?;
    let address = socket.local_addr()?;

    let clock = Clock::start();
    let seed: [u8; 32] = random()?;
    let instance = format!("{:016x}", u64::from_ne_bytes(random()?));
    let (recorder, recorded, recording) = Recorder::start(args.recordings.clone(), clock)?;
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
    let ng_tcp = args.ng_tcp.map(|address| bind_ng(address, args.open)).transpose()?;
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
        let _ = writeln!(std::io::stdout(), "{ready}");
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

/// The listener for `ng` requests over TCP, which nobody signs.
fn bind_ng(address: SocketAddr, open: bool) -> anyhow::Result<StdTcpListener> {
    if !address.ip().is_loopback() && !open {
        bail!(
            "--ng-tcp {address} is not on loopback, and requests over TCP are not signed: give --open if that is meant"
        );
    }
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

/// Processors of the workers.
pub(crate) fn cpus(args: &RunArgs) -> anyhow::Result<Vec<u32>> {
    let allowed: Vec<u32> = allowed_cpus()?.into_iter().map(|cpu| cpu as u32).collect();
    let Some(wanted) = &args.cpus else { return Ok(allowed) };
    match wanted.0.iter().find(|cpu| !allowed.contains(cpu)) {
        Some(cpu) => bail!("--cpus: this process may not use processor {cpu}, only {allowed:?}"),
        None => Ok(wanted.0.clone()),
    }
}

/// What peers are told in place of our media addresses.
fn advertised(args: &RunArgs) -> anyhow::Result<HashMap<IpAddr, IpAddr>> {
    let mut advertised = HashMap::new();
    for &(own, told) in &args.advertised {
        if !args.media_addresses.contains(&own) {
            bail!("--advertise: {own} is not a --media-address");
        }
        if own.is_ipv4() != told.is_ipv4() {
            bail!("--advertise: {own} and {told} are not of one version of IP");
        }
        if advertised.insert(own, told).is_some() {
            bail!("--advertise: {own} is there twice");
        }
    }
    Ok(advertised)
}

fn check_prompts(directory: Option<&Path>) -> anyhow::Result<()> {
    match directory {
        Some(directory) if !directory.is_dir() => {
            bail!("--prompts: {} is not a directory", directory.display())
        }
        _ => Ok(()),
    }
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(bytes)
}
