//! SIPp as phone, customer and carrier: started with a scenario, read through its message log.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::child::Child;
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

    /// The audio port of its SDP.
    pub fn audio_port(&self) -> Option<u16> {
        let line = self.text.lines().find_map(|line| line.strip_prefix("m=audio "))?;
        line.split_whitespace().next()?.parse().ok()
    }
}

/// A running SIPp; killed when dropped.
#[derive(Debug)]
pub struct Sipp {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Sipp {
    /// Starts SIPp on `address`; with `peer` it calls, else it waits for calls.
    ///
    /// # Panics
    /// When it cannot be started, or does not listen.
    pub fn start(address: SocketAddr, peer: Option<SocketAddr>, scenario: Scenario, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
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
        let mut sipp = Self { child, address, folder };
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
        let log = fs::read(self.folder.path().join("messages")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).replace('\r', "");
        log.split(RULE).filter_map(message).collect()
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

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Stands before each message of the log.
const RULE: &str = "----------------------------------------------- ";
