//! A house of its own for each test: a loopback address with engine and control on it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use offhook_proto::uninterrupted;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::child::{Child, binary};
use super::sound::write_prompts;
use super::{Line, Party, Rest, Scenario, Settings, Sipp, Stalls, eventually};

/// The real engine and the real control on a loopback address that nobody else has. Killed when dropped.
#[derive(Debug)]
pub struct House {
    /// The address.
    pub host: IpAddr,
    /// Where control has SIP, over UDP and TCP.
    pub sip: SocketAddr,
    /// Where the carrier is expected.
    pub trunk: SocketAddr,
    /// Control socket of the engine, of the first where there are several.
    pub engine: SocketAddr,
    /// Where control has HTTP.
    pub http: SocketAddr,
    /// The REST interface.
    pub rest: Rest,
    engines: Vec<(SocketAddr, Option<Child>)>,
    legs: usize,
    control_process: Option<Child>,
    folder: TempDir,
}

/// An agent's phone: SIPp for the calls, a party for the audio.
#[derive(Debug)]
pub struct Phone {
    /// Signalling.
    pub sipp: Sipp,
    /// Audio.
    pub party: Party,
}

impl Phone {
    /// Its workplace setting.
    pub fn station(&self) -> Value {
        json!({ "kind": "sip", "uri": format!("sip:phone@{}", self.sipp.address()) })
    }
}

impl House {
    /// Starts both programs and waits until they are ready.
    ///
    /// # Panics
    /// When they are not, with their last words.
    pub fn open(settings: &Settings) -> Self {
        let host = own_address();
        let (sip, http) = (free(host), free(host));
        let trunk = free(host);
        let engines: Vec<SocketAddr> = (0..settings.engines).map(|_| free(host)).collect();
        let folder = tempfile::tempdir().expect("a directory");
        write_prompts(&folder.path().join("prompts"));
        let file = settings.file(sip, trunk, &engines, http);
        fs::write(folder.path().join("control.toml"), file).expect("a configuration can be written");
        let rest = Rest::new(http);
        let mut house = Self {
            host,
            sip,
            trunk,
            engine: engines[0],
            http,
            rest,
            engines: engines.into_iter().map(|address| (address, None)).collect(),
            legs: settings.legs,
            control_process: None,
            folder,
        };
        for number in 0..settings.engines {
            house.start_engine_number(number);
        }
        house.start_control();
        house.is_well();
        house
    }

    /// Starts the engine, the first where there are several.
    pub fn start_engine(&mut self) {
        self.start_engine_number(0);
    }

    /// Starts one of the engines, counted from 0.
    pub fn start_engine_number(&mut self, number: usize) {
        let address = self.engines[number].0.to_string();
        // Two ports for each leg, and twice as many to choose from.
        let first_port = 20_000 + 5 * self.legs * number;
        let (legs, ports) =
            (self.legs.to_string(), format!("{first_port}-{}", first_port + 5 * self.legs - 1));
        let mut command = Command::new(binary("offhook-engine"));
        command.args(["--control", &address, "--media-address", &self.host.to_string()]);
        command.args(["--cpus", "0", "--ports", &ports, "--max-legs", &legs, "--prompts", "prompts"]);
        self.engines[number].1 = Some(self.start(&mut command, &engine_name(number)));
    }

    /// Starts control.
    pub fn start_control(&mut self) {
        let mut command = Command::new(binary("offhook-control"));
        command.args(["run", "control.toml"]);
        self.control_process = Some(self.start(&mut command, "control"));
    }

    fn start(&self, command: &mut Command, name: &str) -> Child {
        Child::start(command, self.folder.path(), self.folder.path().join(format!("{name}.log")))
    }

    /// Kills the engine as a crash would, the first where there are several.
    pub fn kill_engine(&mut self) {
        self.kill_engine_number(0);
    }

    /// Kills one of the engines as a crash would, counted from 0.
    pub fn kill_engine_number(&mut self, number: usize) {
        self.engines[number].1 = None;
    }

    /// Ends one of the engines as an operator would, counted from 0.
    pub fn end_engine_number(&mut self, number: usize) {
        self.engines[number].1.take().expect("it runs").terminate();
    }

    /// Ends control as an operator would.
    pub fn end_control(&mut self) {
        self.control_process.take().expect("it runs").terminate();
    }

    /// Kills control as a crash would.
    pub fn kill_control(&mut self) {
        self.control_process = None;
    }

    /// Watches whether its programs, as they run now, have to wait for this machine.
    pub fn stalls(&self) -> Stalls {
        let engines = self.engines.iter().filter_map(|(_, process)| process.as_ref());
        Stalls::of(engines.chain(&self.control_process).map(Child::id).collect())
    }

    /// Waits until control answers and has its engine.
    ///
    /// # Panics
    /// When one of them has ended, or does not get ready.
    pub fn is_well(&mut self) {
        eventually("engine and control are well", || {
            let engines = self.engines.iter_mut().filter_map(|(_, process)| process.as_mut());
            for process in engines.chain(self.control_process.as_mut()) {
                let status = process.ended();
                assert!(status.is_none(), "ended ({status:?}):\n{}", process.last_words());
            }
            let (status, health) = self.rest.ask("GET", "/healthz", &Value::Null).ok()?;
            (status == 200 && health["engine"] == "up").then_some(())
        });
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Asks one of the engines something, counted from 0; its reply.
    ///
    /// # Panics
    /// When no reply comes.
    pub fn ask_engine_number(&self, number: usize, request: &Value) -> Value {
        static COOKIE: AtomicU32 = AtomicU32::new(1);
        let cookie = format!("test-{}", COOKIE.fetch_add(1, Ordering::Relaxed));
        let socket = UdpSocket::bind((self.host, 0)).expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        let mut buffer = vec![0; 65_536];
        eventually("the engine answers", || {
            socket.send_to(format!("{cookie} {request}").as_bytes(), self.engines[number].0).ok()?;
            let length = uninterrupted(|| socket.recv(&mut buffer)).ok()?;
            let text = std::str::from_utf8(&buffer[..length]).ok()?;
            serde_json::from_str(text.strip_prefix(&cookie)?).ok()
        })
    }

    /// All legs of the engine, whole.
    pub fn legs(&self) -> Vec<Value> {
        self.legs_of(0)
    }

    /// All legs of one of several engines, counted from 0.
    pub fn legs_of(&self, number: usize) -> Vec<Value> {
        let list = self.ask_engine_number(number, &json!({ "command": "leg.list" }));
        let names = list["legs"].as_array().cloned().unwrap_or_default();
        let ask =
            |name: &Value| self.ask_engine_number(number, &json!({ "command": "leg.query", "leg": name }));
        names.iter().map(ask).filter(|leg| leg["result"] == "ok").collect()
    }

    /// What control has logged.
    pub fn control_log(&self) -> String {
        fs::read_to_string(self.folder.path().join("control.log")).unwrap_or_default()
    }

    /// A free address for somebody else in this house.
    pub fn free(&self) -> SocketAddr {
        free(self.host)
    }

    /// Somebody who talks.
    pub fn party(&self, name: &str) -> Party {
        Party::new(self.host, name)
    }

    /// A phone that answers at once and stays until the other side hangs up.
    pub fn phone(&self, name: &str) -> Phone {
        self.phone_playing(name, "phone.xml", &[])
    }

    /// A phone with a scenario of its own.
    pub fn phone_playing(&self, name: &str, scenario: &'static str, more: &[&str]) -> Phone {
        let party = self.party(name);
        let sipp = self.serve(self.free(), Scenario::Own(scenario), &party, more);
        Phone { sipp, party }
    }

    /// A carrier whose customers all have the voice of `customer`.
    pub fn carrier(&self, customer: &Party, more: &[&str]) -> Sipp {
        self.serve(self.trunk, Scenario::Own("carrier.xml"), customer, more)
    }

    /// A carrier behind a line of its own that can be cut.
    pub fn carrier_behind(&self, customer: &Party) -> Sipp {
        self.serve(self.free(), Scenario::Own("carrier.xml"), customer, &[])
    }

    /// The line to such a carrier.
    pub fn line(&self, carrier: &Sipp) -> Line {
        Line::new(self.trunk, self.sip, carrier.address())
    }

    /// A caller, for one call to the queue, with a party's audio; hangs up after the default pause (-d).
    pub fn caller(&self, party: &Party, more: &[&str]) -> Sipp {
        self.caller_playing(party, "caller.xml", more)
    }

    /// The same, with a scenario of its own.
    pub fn caller_playing(&self, party: &Party, scenario: &'static str, more: &[&str]) -> Sipp {
        self.calls("+15550100", party, scenario, more)
    }

    /// A caller of a number with a scenario of its own, for one call.
    pub fn calls(&self, number: &str, party: &Party, scenario: &'static str, more: &[&str]) -> Sipp {
        let port = party.port().to_string();
        let mut arguments = vec!["-s", number, "-key", "rtp_port", &port, "-m", "1"];
        if !more.contains(&"caller") {
            arguments.extend(["-key", "caller", "+31612345678"]);
        }
        arguments.extend(more);
        Sipp::start(self.free(), Some(self.sip), Scenario::Own(scenario), &[party], &arguments)
    }

    /// Registers a phone with a password and demands an answer's status.
    pub fn register(&self, at: SocketAddr, user: &str, password: &str, status: &str) {
        let scenario = if status == "200" { "register.xml" } else { "register_refused.xml" };
        let arguments = ["-s", user, "-ap", password, "-au", user, "-m", "1"];
        Sipp::start(at, Some(self.sip), Scenario::Own(scenario), &[], &arguments).succeeds();
    }

    /// SIPp that waits for calls, with a party's audio.
    pub fn serve(&self, at: SocketAddr, scenario: Scenario, party: &Party, more: &[&str]) -> Sipp {
        let port = party.port().to_string();
        let mut arguments = vec!["-key", "rtp_port", &port];
        arguments.extend(more);
        Sipp::start(at, None, scenario, &[party], &arguments)
    }

    /// An agent with this phone, logged in and off hook.
    pub fn off_hook(&self, id: &str, phone: &Phone) {
        self.off_hook_as(id, phone, &json!({}));
    }

    /// An agent with this phone, logged in and being called.
    pub fn goes_off_hook(&self, id: &str, phone: &Phone, more: &Value) {
        self.rest.put_agent(id, &phone.station(), more);
        self.rest.act(id, "login");
        self.rest.status(id, "available");
    }

    /// An agent with this phone and settings, logged in and off hook.
    pub fn off_hook_as(&self, id: &str, phone: &Phone, more: &Value) {
        self.goes_off_hook(id, phone, more);
        self.rest.await_agent(id, "status", "available");
    }
}

impl Drop for House {
    /// A test that fails shows what the programs said.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for path in ["agents", "calls", "contacts", "statistics"] {
            if let Ok((_, answer)) = self.rest.ask("GET", &format!("/api/v1/{path}"), &Value::Null) {
                eprintln!("--- {path} ---\n{answer}");
            }
        }
        for (number, (_, process)) in self.engines.iter().enumerate() {
            let Some(process) = process else { continue };
            for leg in self.legs_of(number) {
                eprintln!("--- leg of engine {number} ---\n{leg}");
            }
            eprintln!("--- engine {number} ---\n{}", process.last_words());
        }
        if let Some(process) = &self.control_process {
            eprintln!("--- control ---\n{}", process.last_words());
        }
    }
}

/// Name of its log; the first is the one that tests read.
fn engine_name(number: usize) -> String {
    if number == 0 { "engine".to_owned() } else { format!("engine-{number}") }
}

/// An address of 127/8 by process and house, so that no two tests ever meet.
fn own_address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id();
    let [.., high, low] = process.to_be_bytes();
    // 127.0/16 is where everybody else is.
    let high = if high == 0 { 255 } else { high };
    Ipv4Addr::new(127, high, low, NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

/// Free for both UDP and TCP, and given to nobody else: neither by us nor, below what it gives away itself, by the system.
fn free(host: IpAddr) -> SocketAddr {
    const FIRST: u16 = 6_100;
    const COUNT: u16 = 3_800;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..COUNT {
        let port = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let address = SocketAddr::new(host, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of {host} is free for both UDP and TCP");
}
