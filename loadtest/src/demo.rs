//! Starts the real engine and the real control, runs against them, and stops them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::cli::{DemoArgs, LoadArgs};
use crate::host;
use crate::run::{self, Setup};

/// How long both may take to answer /healthz.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// How long they may take to end after SIGTERM before they are killed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Addresses of the processes, all on loopback and free a moment ago.
struct Addresses {
    sip: SocketAddr,
    http: SocketAddr,
    engine: SocketAddr,
}

/// A child that is stopped when dropped.
struct Process {
    name: &'static str,
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        let _ = kill(pid, Signal::SIGTERM);
        let asked = Instant::now();
        while asked.elapsed() < STOP_PATIENCE {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("{} has not ended {} s after SIGTERM; killing it", self.name, STOP_PATIENCE.as_secs());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the demonstration. True: everything held.
///
/// Errors: a binary cannot be started or does not become healthy; the end of its log is in the message.
pub(crate) fn demo(args: &DemoArgs) -> anyhow::Result<bool> {
    let directory = std::env::temp_dir().join(format!("offhook-demo-{}", std::process::id()));
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let outcome = demo_in(args, &directory);
    if args.keep || outcome.is_err() {
        println!("  {}", directory.display());
    } else {
        let _ = fs::remove_dir_all(&directory);
    }
    outcome
}

fn demo_in(args: &DemoArgs, directory: &Path) -> anyhow::Result<bool> {
    let mut load = args.load.clone();
    load.phones_listen = free_or_other(load.phones_listen)?;
    load.trunk_listen = free_or_other(load.trunk_listen)?;
    let addresses = Addresses { sip: free_sip()?, http: free_tcp()?, engine: free_udp()? };
    let prompts = args.load.prompts.clone().map(fs::canonicalize).transpose().context("--prompts")?;
    let config = directory.join("control.toml");
    fs::write(&config, control_config(&addresses, &load, prompts.is_some()))?;
    let engine = start_engine(args, &addresses, prompts.as_deref(), directory)?;
    let control = start("control", Command::new(&args.control).arg("run").arg(&config), directory)?;
    let (engine_pid, control_pid) = (engine.child.id(), control.child.id());
    let mut processes = [engine, control];
    stop_on_signal([engine_pid, control_pid])?;
    wait_until_healthy(&format!("http://{}/healthz", addresses.http), &mut processes, directory)?;
    let setup = Setup {
        run: run::run_id(args.load.seed),
        control: format!("http://{}", addresses.http),
        sip: addresses.sip,
        engine_pid: Some(engine_pid),
        control_pid: Some(control_pid),
        load: load.clone(),
    };
    let versions = BTreeMap::from([
        ("engine", host::version_of(&args.engine)),
        ("control", host::version_of(&args.control)),
        ("loadtest", env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    let passed = crate::run_and_report(setup, &load, versions);
    for process in &mut processes {
        if let Ok(Some(status)) = process.child.try_wait() {
            anyhow::bail!(
                "{} ended during the run ({status}):\n{}",
                process.name,
                log_end(process.name, directory)
            );
        }
    }
    passed
}

fn start_engine(
    args: &DemoArgs,
    addresses: &Addresses,
    prompts: Option<&Path>,
    directory: &Path,
) -> anyhow::Result<Process> {
    let mut command = Command::new(&args.engine);
    command.arg("--control").arg(addresses.engine.to_string());
    command.arg("--cpus").arg(&args.engine_cpus).arg("--ports").arg(&args.engine_ports);
    if let Some(prompts) = prompts {
        command.arg("--prompts").arg(prompts);
    }
    start("engine", &mut command, directory)
}

fn start(name: &'static str, command: &mut Command, directory: &Path) -> anyhow::Result<Process> {
    let log = File::create(log_path(name, directory))?;
    let streams = (Stdio::from(log.try_clone()?), Stdio::from(log));
    let child =
        command.current_dir(directory).stdin(Stdio::null()).stdout(streams.0).stderr(streams.1).spawn();
    let child = child.with_context(|| format!("cannot start {}", command.get_program().display()))?;
    Ok(Process { name, child })
}

fn wait_until_healthy(url: &str, processes: &mut [Process], directory: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(1))).build();
    let agent = ureq::Agent::new_with_config(config);
    while started.elapsed() < START_PATIENCE {
        for process in &mut *processes {
            if let Some(status) = process.child.try_wait()? {
                anyhow::bail!(
                    "{} ended at its start ({status}):\n{}",
                    process.name,
                    log_end(process.name, directory)
                );
            }
        }
        let answer =
            agent.get(url).call().ok().and_then(|mut r| r.body_mut().read_json::<serde_json::Value>().ok());
        if answer.is_some_and(|health| health["status"] == "ok" && health["engine"] == "up") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let logs =
        processes.iter().map(|process| log_end(process.name, directory)).collect::<Vec<_>>().join("\n");
    anyhow::bail!("{url} was not healthy within {} s:\n{logs}", START_PATIENCE.as_secs())
}

fn log_path(name: &str, directory: &Path) -> PathBuf {
    directory.join(format!("{name}.log"))
}

fn log_end(name: &str, directory: &Path) -> String {
    let log = fs::read_to_string(log_path(name, directory)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Control's configuration for the run's trunk, queue and service.
fn control_config(addresses: &Addresses, load: &LoadArgs, prompts: bool) -> String {
    let Addresses { sip, http, engine } = addresses;
    let (trunk, skill, queue, service, dnis) =
        (load.trunk_listen, &load.skill, &load.queue, &load.service, &load.dnis);
    let (trunk_host, trunk_port) = (trunk.ip(), trunk.port());
    let connected = if prompts { "connected.wav" } else { "" };
    let music = if prompts { "music.wav" } else { "" };
    format!(
        r#"[sip]
listen = "{sip}"

[trunk]
host = "{trunk_host}"
port = {trunk_port}
transport = "udp"

[engine]
address = "{engine}"

[journal]
path = "demo.journal"

[http]
listen = "{http}"

[media]
codecs = ["PCMU"]

[prompts]
connected = "{connected}"
hold = ""

[[queue]]
name = "{queue}"
skill = "{skill}"
dnis = ["{dnis}"]
music = "{music}"
ring_timeout_s = 15
wrap_up_s = 30

[[service]]
name = "{service}"
queue = "{queue}"
max_dial_attempts = 1
max_queued = 100000
max_per_300_s = 1000000
max_per_3600_s = 1000000
"#
    )
}

/// The address, or another port of the same host when somebody has it already.
fn free_or_other(wanted: SocketAddr) -> anyhow::Result<SocketAddr> {
    if UdpSocket::bind(wanted).is_ok() {
        return Ok(wanted);
    }
    let other = UdpSocket::bind((wanted.ip(), 0)).and_then(|socket| socket.local_addr())?;
    eprintln!("{wanted} is taken; using {other}");
    Ok(other)
}

/// Lets no child outlive us when we are interrupted. Called after they have been started, who would inherit the mask.
fn stop_on_signal(pids: [u32; 2]) -> anyhow::Result<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block()?;
    std::thread::spawn(move || {
        if signals.wait().is_ok() {
            for pid in pids {
                let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
            }
            std::process::exit(130);
        }
    });
    Ok(())
}

fn free_udp() -> anyhow::Result<SocketAddr> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}

fn free_tcp() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Free for both UDP and TCP.
fn free_sip() -> anyhow::Result<SocketAddr> {
    for _ in 0..100 {
        let address = free_tcp()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!("no port of 127.0.0.1 is free for both UDP and TCP")
}
