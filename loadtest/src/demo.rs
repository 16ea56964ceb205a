//! Starts the real engine and the real control, runs against them, and stops them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{self, Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::cli::{DemoArgs, LoadArgs};
use crate::crashes::{Killer, Plan, Victim, Victims, lock};
use crate::host;
use crate::rest::Server;
use crate::run::{self, Setup};
use crate::sip::Transport;
use crate::units::{Keys, Millis, Ports};

/// How long both may take to answer /healthz.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// How long they may take to end after SIGTERM before they are killed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Addresses of the processes, all on loopback and free a moment ago.
struct Addresses {
    sip: SocketAddr,
    http: SocketAddr,
    engines: Vec<SocketAddr>,
}

/// Children that are stopped when dropped: engines first, control last.
struct Processes(Victims);

impl Drop for Processes {
    fn drop(&mut self) {
        for Victim { name, child, .. } in lock(&self.0).iter_mut() {
            stop(name, child);
        }
    }
}

fn stop(name: &str, child: &mut Child) {
    let pid = Pid::from_raw(child.id().cast_signed());
    let _ = kill(pid, Signal::SIGTERM);
    let asked = Instant::now();
    while asked.elapsed() < STOP_PATIENCE {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    eprintln!("{name} has not ended {} s after SIGTERM; killing it", STOP_PATIENCE.as_secs());
    let _ = child.kill();
    let _ = child.wait();
}

/// Runs the demonstration. True: everything held.
///
/// Errors: a binary cannot be started or does not become healthy; the end of its log is in the message.
pub(crate) fn demo(args: &DemoArgs) -> anyhow::Result<bool> {
    args.load.check()?;
    let directory = std::env::temp_dir().join(format!("offhook-demo-{}", std::process::id()));
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let outcome = demo_in(args, &directory);
    if args.keep || outcome.is_err() {
        eprintln!("logs     {}", directory.display());
    } else {
        let _ = fs::remove_dir_all(&directory);
    }
    outcome
}

fn demo_in(args: &DemoArgs, directory: &Path) -> anyhow::Result<bool> {
    let mut load = args.load.clone();
    load.phones_listen = free_or_other(load.phones_listen, load.phones_transport)?;
    load.trunk_listen = free_or_other(load.trunk_listen, load.trunk_transport)?;
    load.crashes = args.kill_control_at.is_some() || args.kill_engine_at.is_some();
    let engines = (0..args.engines).map(|_| free_udp()).collect::<anyhow::Result<_>>()?;
    let addresses = Addresses { sip: free_sip()?, http: free_tcp()?, engines };
    let prompts = args.load.prompts.clone().map(fs::canonicalize).transpose().context("--prompts")?;
    let config = directory.join("control.toml");
    fs::write(&config, control_config(&addresses, &load, prompts.is_some()))?;
    let mut victims = Vec::new();
    for index in 0..addresses.engines.len() {
        victims.push(start_engine(args, &addresses, index, prompts.as_deref(), directory)?);
    }
    let mut control = Command::new(from_anywhere(&args.control)?);
    control.arg("run").arg(&config);
    victims.push(start("control", control, directory)?);
    let (engine_pid, control_pid) = (victims[0].child.id(), victims[victims.len() - 1].child.id());
    let victims: Victims = Arc::new(Mutex::new(victims));
    let processes = Processes(Arc::clone(&victims));
    stop_on_signal(&victims, (!args.keep).then(|| directory.to_owned()))?;
    wait_until_healthy(&format!("http://{}/healthz", addresses.http), &victims, directory)?;
    eprintln!("console  http://{}/ (while it runs)", addresses.http);
    let setup = Setup {
        run: run::run_id(args.load.seed),
        control: Server::new(&format!("http://{}", addresses.http), None)?,
        sip: addresses.sip,
        engine_pid: (!load.crashes).then_some(engine_pid),
        control_pid: (!load.crashes).then_some(control_pid),
        load: load.clone(),
    };
    let versions = BTreeMap::from([
        ("engine", host::version_of(&args.engine)),
        ("control", host::version_of(&args.control)),
        ("loadtest", env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    let killer = Killer::start(&victims, plans(args, addresses.engines.len()));
    let passed = crate::run_and_report(setup, &load, versions);
    drop(killer);
    for Victim { name, child, .. } in lock(&victims).iter_mut() {
        if let Ok(Some(status)) = child.try_wait() {
            anyhow::bail!("{name} ended during the run ({status}):\n{}", log_end(name, directory));
        }
    }
    drop(processes);
    passed
}

/// Who is killed when; control is the last of the processes.
fn plans(args: &DemoArgs, control: usize) -> Vec<Plan> {
    let plan = |victim, at: Option<Millis>| at.map(|at| Plan { victim, after: Duration::from_millis(at.0) });
    plan(control, args.kill_control_at).into_iter().chain(plan(0, args.kill_engine_at)).collect()
}

fn start_engine(
    args: &DemoArgs,
    addresses: &Addresses,
    index: usize,
    prompts: Option<&Path>,
    directory: &Path,
) -> anyhow::Result<Victim> {
    let mut command = Command::new(from_anywhere(&args.engine)?);
    command.arg("--control").arg(addresses.engines[index].to_string());
    let ports = share(args.engine_ports, addresses.engines.len(), index);
    command.arg("--cpus").arg(&args.engine_cpus).arg("--ports").arg(ports);
    if let Some(prompts) = prompts {
        command.arg("--prompts").arg(prompts);
    }
    command.args(&args.engine_args);
    start("engine", command, directory)
}

/// Each engine's part of the ports, in pairs.
fn share(ports: Ports, engines: usize, index: usize) -> String {
    let each = (usize::from(ports.last - ports.first) + 1) / engines / 2 * 2;
    let first = usize::from(ports.first) + index * each;
    format!("{first}-{}", first + each.max(1) - 1)
}

/// A program as it is found from another directory: a bare name by PATH, a path from the root.
fn from_anywhere(program: &Path) -> anyhow::Result<PathBuf> {
    if program.components().count() == 1 {
        return Ok(program.to_owned());
    }
    path::absolute(program).with_context(|| format!("cannot find {}", program.display()))
}

fn start(name: &'static str, mut command: Command, directory: &Path) -> anyhow::Result<Victim> {
    let log = File::options().create(true).append(true).open(log_path(name, directory))?;
    let streams = (Stdio::from(log.try_clone()?), Stdio::from(log));
    command.current_dir(directory).stdin(Stdio::null()).stdout(streams.0).stderr(streams.1);
    let child = command
        .spawn()
        .with_context(|| format!("cannot start {name}: {}", command.get_program().display()))?;
    Ok(Victim { name, child, command })
}

fn wait_until_healthy(url: &str, victims: &Victims, directory: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(1))).build();
    let agent = ureq::Agent::new_with_config(config);
    while started.elapsed() < START_PATIENCE {
        for Victim { name, child, .. } in lock(victims).iter_mut() {
            if let Some(status) = child.try_wait()? {
                anyhow::bail!("{name} ended at its start ({status}):\n{}", log_end(name, directory));
            }
        }
        let answer =
            agent.get(url).call().ok().and_then(|mut r| r.body_mut().read_json::<serde_json::Value>().ok());
        if answer.is_some_and(|health| {
            let engines = health["engines"].as_array().cloned().unwrap_or_default();
            health["status"] == "ok"
                && health["engine"] == "up"
                && engines.iter().all(|engine| engine["state"] == "up")
        }) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let names: Vec<&str> = lock(victims).iter().map(|victim| victim.name).collect();
    let logs = names.into_iter().map(|name| log_end(name, directory)).collect::<Vec<_>>().join("\n");
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
    let Addresses { sip, http, engines } = addresses;
    let heading = if engines.len() == 1 { "[engine]" } else { "[[engine]]" };
    let engine = |address: &SocketAddr| format!("{heading}\naddress = \"{address}\"\n\n");
    let engines: String = engines.iter().map(engine).collect();
    // An attempt that a crash cut short is made again.
    let attempts = if load.crashes { 5 } else { 1 };
    let (trunk, skill, queue, service) = (load.trunk_listen, &load.skill, &load.queue, &load.service);
    let flow = load.menu_keys.as_ref().map(|keys| menu_flow(load, keys, prompts)).unwrap_or_default();
    // A number leads to one or the other.
    let dnis = if flow.is_empty() { format!("\"{}\"", load.dnis) } else { String::new() };
    let (trunk_host, trunk_port, transport) = (trunk.ip(), trunk.port(), load.trunk_transport.name());
    let connected = if prompts { "connected.wav" } else { "" };
    let music = if prompts { "music.wav" } else { "" };
    format!(
        r#"[sip]
listen = "{sip}"
bindings = "bindings"

[trunk]
host = "{trunk_host}"
port = {trunk_port}
transport = "{transport}"

{engines}[journal]
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
dnis = [{dnis}]
music = "{music}"
ring_timeout_s = 15
wrap_up_s = 30

[[service]]
name = "{service}"
queue = "{queue}"
max_dial_attempts = {attempts}
dial_retry_timeout_s = 5
max_queued = 100000
max_per_300_s = 1000000
max_per_3600_s = 1000000

[compliance]
enforce = []
enforce_callbacks = []
{flow}"#
    )
}

/// An inbound flow that leads to an agent by these keys, and nowhere by others.
fn menu_flow(load: &LoadArgs, keys: &Keys, prompts: bool) -> String {
    let (Keys(keys), dnis, queue) = (keys, &load.dnis, &load.queue);
    let (digits, prompt) = (keys.len(), if prompts { "\"callback_menu.wav\"" } else { "" });
    format!(
        r#"
[[flow]]
name = "menu"
dnis = ["{dnis}"]

[[flow.step]]
caption = "Menu"
action = "menu"
prompts = [{prompt}]
digits = {digits}
timeout_s = 10
branch = {{ "{keys}" = "Agent", Default = "Nobody", OnError = "Nobody" }}

[[flow.step]]
caption = "Agent"
action = "request_agent"
queue = "{queue}"
branch = {{ OnError = "Nobody" }}

[[flow.step]]
caption = "Nobody"
action = "hang_up"
"#
    )
}

/// The address, or another port of the same host when somebody has it already.
fn free_or_other(wanted: SocketAddr, transport: Transport) -> anyhow::Result<SocketAddr> {
    let bound = |at: SocketAddr| match transport {
        Transport::Udp => UdpSocket::bind(at).and_then(|socket| socket.local_addr()),
        Transport::Tcp => TcpListener::bind(at).and_then(|listener| listener.local_addr()),
    };
    if bound(wanted).is_ok() {
        return Ok(wanted);
    }
    let other = bound(SocketAddr::new(wanted.ip(), 0))?;
    eprintln!("{wanted} is taken; using {other}");
    Ok(other)
}

/// Lets no child outlive us when we are interrupted. Called after they have been started, who would inherit the mask.
fn stop_on_signal(victims: &Victims, scratch: Option<PathBuf>) -> anyhow::Result<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block()?;
    let victims = Arc::clone(victims);
    std::thread::spawn(move || {
        if signals.wait().is_ok() {
            for victim in lock(&victims).iter() {
                let _ = kill(Pid::from_raw(victim.child.id().cast_signed()), Signal::SIGTERM);
            }
            // They may still write to it: what they do then stays behind.
            if let Some(directory) = scratch {
                let _ = fs::remove_dir_all(directory);
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
