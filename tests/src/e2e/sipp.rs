//! SIPp as phone, customer and carrier: started with a scenario, read through its message log.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use super::Party;
use super::child::Child;
use super::party::Shared;
use super::until;

/// What SIPp plays.
#[derive(Clone, Copy, Debug)]
pub enum Scenario {
    /// One of its own.
    Stock(&'static str),
    /// One of ours, in `tests/scenarios`.
    Own(&'static str),
}

/// A message that SIPp sent or received.
#[derive(Clone, Debug)]
pub struct Message {
    /// When, as SIPp writes it: later is greater.
    pub at: String,
    /// Received, else sent.
    pub received: bool,
    /// All of it.
    pub text: String,
}

impl Message {
    /// Its first line.
    pub fn first(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// A header's value; empty when it has none.
    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.text.lines().skip(1).take_while(|line| !line.is_empty());
        let found = lines.find_map(|line| {
            let (of, value) = line.split_once(':')?;
            of.trim().eq_ignore_ascii_case(name).then_some(value)
        });
        found.map_or("", str::trim)
    }

    /// The number or user in its To.
    pub fn to_user(&self) -> &str {
        let to = self.header("To");
        to.split_once("sip:").and_then(|(_, rest)| rest.split_once('@')).map_or("", |(user, _)| user)
    }

    /// Whether all of its body is in the log.
    fn is_complete(&self) -> bool {
        let length = self.header("Content-Length").parse().unwrap_or(0);
        // The log has lost the carriage returns.
        let body = self.text.split_once("\n\n").map_or(0, |(_, body)| body.len() + body.lines().count());
        body >= length
    }

    /// Where its SDP wants audio.
    pub fn audio(&self) -> Option<SocketAddr> {
        let line = |start: &str| self.text.lines().find_map(|line| line.strip_prefix(start));
        let host = line("c=IN IP4 ")?.trim().parse::<IpAddr>().ok()?;
        let port = line("m=audio ")?.split_whitespace().next()?.parse().ok()?;
        Some(SocketAddr::new(host, port))
    }
}

/// A running SIPp; killed when dropped.
#[derive(Debug)]
pub struct Sipp {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
    /// Tells the parties where to talk to.
    watch: Option<JoinHandle<()>>,
    over: Arc<AtomicBool>,
}

impl Sipp {
    /// Starts SIPp on `address`; with `peer` it calls, else it waits for calls. Whose port it offers or answers with, that
    /// one of `parties` talks to the other side.
    ///
    /// # Panics
    /// When it cannot be started, or does not listen.
    pub fn start(
        address: SocketAddr,
        peer: Option<SocketAddr>,
        scenario: Scenario,
        parties: &[&Party],
        more: &[&str],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        fs::write(folder.path().join("voice.ul"), voice()).expect("a voice can be written");
        let mut command = Command::new("sipp");
        match scenario {
            Scenario::Stock(name) => command.args(["-sn", name]),
            Scenario::Own(name) => command.arg("-sf").arg(scenarios().join(name)),
        };
        command.args(["-i", &address.ip().to_string(), "-p", &address.port().to_string()]);
        // Bound even where a scenario sends no audio of its own.
        let media = UdpSocket::bind((address.ip(), 0)).and_then(|socket| socket.local_addr());
        command.args(["-mp", &media.expect("a free port").port().to_string()]);
        command.args(["-t", "u1", "-nostdin", "-trace_err", "-error_file"]).arg(folder.path().join("errors"));
        command.args(["-trace_msg", "-message_file"]).arg(folder.path().join("messages"));
        command.args(more).env("TERM", "dumb");
        if let Some(peer) = peer {
            command.arg(peer.to_string());
        }
        let child = Child::start(&mut command, folder.path(), folder.path().join("screen"));
        let over = Arc::new(AtomicBool::new(false));
        let watch = (!parties.is_empty()).then(|| {
            let parties = parties.iter().map(|party| (party.port(), Arc::clone(&party.shared))).collect();
            let (log, over) = (folder.path().join("messages"), Arc::clone(&over));
            std::thread::spawn(move || introduce(&log, &parties, &over))
        });
        let mut sipp = Self { child, address, folder, watch, over };
        if peer.is_none() {
            until("SIPp listens", || {
                assert!(sipp.child.ended().is_none(), "SIPp: {}", sipp.said());
                is_bound(address)
            });
        }
        sipp
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until all of its calls are over, each as its scenario has it.
    ///
    /// # Panics
    /// When one was not.
    pub fn succeeds(mut self) {
        let status = super::eventually("SIPp ends", || self.child.ended());
        assert!(status.success(), "SIPp: {status}\n{}", self.said());
    }

    /// What it complained about.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.folder.path().join("errors")).unwrap_or_default()
    }

    fn said(&self) -> String {
        format!("{}\n{}", self.errors(), self.child.last_words())
    }

    /// All messages so far.
    pub fn messages(&self) -> Vec<Message> {
        read(&self.folder.path().join("messages"))
    }

    /// The first INVITE of each call that was received, in order.
    pub fn invites(&self) -> Vec<Message> {
        let mut calls = BTreeSet::new();
        let mut messages = self.messages();
        messages.retain(|message| {
            message.received
                && message.first().starts_with("INVITE ")
                && !message.header("To").contains("tag=")
                && calls.insert(message.header("Call-ID").to_owned())
        });
        messages
    }

    /// How many requests of a method were received, each call counted once.
    pub fn received(&self, method: &str) -> usize {
        let messages = self.messages();
        let of = messages.iter().filter(|message| message.received && message.first().starts_with(method));
        of.map(|message| message.header("Call-ID")).collect::<BTreeSet<_>>().len()
    }

    /// How many calls have had more than one request of a method from the other side, repetitions not counted.
    pub fn received_twice(&self, method: &str) -> usize {
        let messages = self.messages();
        let mut calls = BTreeMap::<&str, BTreeSet<&str>>::new();
        for message in
            messages.iter().filter(|message| message.received && message.first().starts_with(method))
        {
            calls.entry(message.header("Call-ID")).or_default().insert(message.header("CSeq"));
        }
        calls.values().filter(|requests| requests.len() > 1).count()
    }

    /// Waits until so many calls have come in.
    pub fn awaits_invites(&self, count: usize) -> Vec<Message> {
        until(&format!("{count} calls come in"), || self.invites().len() >= count);
        self.invites()
    }

    /// Waits until so many calls have had a request.
    pub fn awaits(&self, method: &str, count: usize) {
        until(&format!("{count} calls have had {method}"), || self.received(method) >= count);
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
    }
}

/// Follows offers and answers: both are known when a call has audio.
fn introduce(log: &Path, parties: &BTreeMap<u16, Arc<Shared>>, over: &AtomicBool) {
    let mut length = 0;
    let mut known = 0;
    let mut calls = BTreeMap::<String, (Option<u16>, Option<SocketAddr>)>::new();
    while !over.load(Ordering::Relaxed) {
        let now = fs::metadata(log).map_or(0, |log| log.len());
        if now != length {
            length = now;
            let messages = read(log);
            // The last one may be half written.
            let whole = messages.len().saturating_sub(1).max(known);
            let fresh = messages.iter().skip(known).filter(|message| message.is_complete());
            for message in fresh {
                let Some(audio) = message.audio() else { continue };
                let call = calls.entry(message.header("Call-ID").to_owned()).or_default();
                if message.received {
                    call.1 = Some(audio);
                } else {
                    call.0 = Some(audio.port());
                }
                if let (Some(port), Some(remote)) = *call
                    && let Some(party) = parties.get(&port)
                {
                    party.talk_to(remote);
                }
            }
            known = whole;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn read(log: &Path) -> Vec<Message> {
    let log = fs::read(log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log).replace('\r', "");
    log.split(RULE).filter_map(message).collect()
}

fn message(part: &str) -> Option<Message> {
    let mut lines = part.splitn(3, '\n');
    let (at, kind, text) = (lines.next()?, lines.next()?, lines.next()?);
    let received = kind.contains("message received");
    if !received && !kind.contains("message sent") {
        return None;
    }
    Some(Message { at: at.trim().to_owned(), received, text: text.trim_start().to_owned() })
}

/// Whether a UDP socket has this address and port.
fn is_bound(address: SocketAddr) -> bool {
    let IpAddr::V4(host) = address.ip() else { return false };
    let entry = format!("{:08X}:{:04X}", u32::from_le_bytes(host.octets()), address.port());
    let table = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    table.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some(&entry))
}

/// What scenarios have to say by `rtp_stream`: a second of loud and soft, in µ-law.
fn voice() -> Vec<u8> {
    let loud = [0x80, 0x9f, 0xaf, 0x9f, 0x80, 0x1f, 0x2f, 0x1f];
    let soft = [0xd0, 0xdf, 0xef, 0xdf, 0xd0, 0x5f, 0x6f, 0x5f];
    (0..8_000)
        .map(|at: usize| if (at / 800).is_multiple_of(2) { loud[at % 8] } else { soft[at % 8] })
        .collect()
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Stands before each message of the log.
const RULE: &str = "----------------------------------------------- ";
