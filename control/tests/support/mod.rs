//! A port under test, and SIPp as its peer.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses its own part")]

pub mod caller;
pub mod peer;
pub mod phone;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use offhook_control::sip::{Credentials, SipConfig, SipPort, TrunkConfig};
use offhook_control_core::sip::{LocalMedia, SipCommand, SipEvent, Target};
use offhook_control_core::{CallId, Input, Now};
use offhook_proto::{Codec, Media};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// Long enough that only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(45);

pub struct Passwords;

impl Credentials for Passwords {
    fn password(&self, user: &str) -> Option<String> {
        user.starts_with("agent").then(|| format!("{user}-secret"))
    }
}

pub fn now() -> Now {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mono_us = u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX);
    Now { mono_us, unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
}

pub fn config() -> SipConfig {
    SipConfig::new(
        "127.0.0.1:0".parse().expect("an address"),
        "offhook.test",
        Arc::new(Passwords),
        Arc::new(now),
    )
}

pub fn local_media() -> LocalMedia {
    let pcma = Media { codec: Codec::Pcma, payload_type: 8, ..Media::default() };
    LocalMedia {
        rtp: "127.0.0.1:30000".parse().expect("an address"),
        rtcp: "127.0.0.1:30001".parse().expect("an address"),
        media: vec![Media::default(), pcma],
        session_version: 1,
    }
}

/// A running port and what it tells.
pub struct Port {
    pub port: SipPort,
    pub inputs: mpsc::Receiver<Input>,
    next: AtomicU64,
}

impl Port {
    pub async fn start(config: SipConfig) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(std::env::var("OFFHOOK_LOG").unwrap_or_else(|_| "off".to_owned()))
            .with_test_writer()
            .try_init();
        let (sender, inputs) = mpsc::channel(4_096);
        let port = SipPort::start(config, sender).await.expect("the port starts");
        Self { port, inputs, next: AtomicU64::new(1) }
    }

    /// With a trunk on a port of the loopback address.
    pub async fn with_trunk(trunk: TrunkConfig) -> Self {
        Self::start(SipConfig { trunk: Some(trunk), ..config() }).await
    }

    pub fn address(&self) -> SocketAddr {
        self.port.local_addr()
    }

    pub fn dial(&self, target: Target) -> CallId {
        self.dial_for(target, 30_000)
    }

    pub fn dial_for(&self, target: Target, ring_timeout_ms: u32) -> CallId {
        let call = CallId(self.next.fetch_add(1, Ordering::Relaxed));
        let dial = SipCommand::Dial {
            target,
            caller_id: Some("+31201234567".to_owned()),
            display: None,
            local: local_media(),
            auto_answer: false,
            ring_timeout_ms,
            after: None,
        };
        self.port.command(call, dial);
        call
    }

    /// A call to a peer that has answered it with the tag `t`; the answer has still to be told.
    pub async fn answered_by(&self, peer: &peer::Peer) -> (CallId, peer::Heard) {
        let call = self.dial(Target::Uri(format!("sip:bob@{}", peer.address())));
        let invite = peer.hear("INVITE").await;
        peer.answer(&invite, "t").await;
        (call, invite)
    }

    pub fn hang_up(&self, call: CallId) {
        self.port.command(call, SipCommand::HangUp { reason: "test".to_owned() });
    }

    /// The next thing told, of any call.
    pub async fn next(&mut self) -> Input {
        tokio::time::timeout(PATIENCE, self.inputs.recv())
            .await
            .expect("something happens")
            .expect("the port lives")
    }

    /// The next event of a call; other calls' are skipped.
    pub async fn event(&mut self, call: CallId) -> SipEvent {
        loop {
            if let Input::Sip { call: of, event } = self.next().await
                && of == call
            {
                return event;
            }
        }
    }

    /// Skips events of a call until one fits.
    pub async fn until(&mut self, call: CallId, fits: impl Fn(&SipEvent) -> bool) -> SipEvent {
        loop {
            let event = self.event(call).await;
            if fits(&event) {
                return event;
            }
            assert!(!is_last(&event), "the call ended first: {event:?}");
        }
    }

    pub async fn answered(&mut self, call: CallId) -> SipEvent {
        self.until(call, |event| matches!(event, SipEvent::Answered { .. })).await
    }

    /// What another run takes the call up by.
    pub async fn snapshot(&mut self, call: CallId) -> String {
        let told = self.until(call, |event| matches!(event, SipEvent::Snapshot { .. })).await;
        let SipEvent::Snapshot { data } = told else { unreachable!("it was waited for") };
        data
    }

    /// All events of a call up to its last.
    pub async fn until_over(&mut self, call: CallId) -> Vec<SipEvent> {
        let mut events = Vec::new();
        loop {
            let event = self.event(call).await;
            let last = is_last(&event);
            events.push(event);
            if last {
                return events;
            }
        }
    }

    /// The next incoming call.
    pub async fn incoming(&mut self) -> (CallId, SipEvent) {
        loop {
            if let Input::Sip { call, event: event @ SipEvent::Incoming { .. } } = self.next().await {
                return (call, event);
            }
        }
    }

    /// Waits until nothing is held.
    pub async fn idle(&mut self) {
        let started = Instant::now();
        loop {
            let counts = self.port.counts();
            if counts.calls == 0 && counts.dialogs == 0 {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "still held: {counts:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub fn is_last(event: &SipEvent) -> bool {
    matches!(event, SipEvent::Failed { .. } | SipEvent::Ended { .. } | SipEvent::RestoreFailed { .. })
}

/// A UDP port that was free a moment ago.
pub fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("its address").port()
}

pub fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(name)
}

/// SIPp, waited for or killed with the test.
pub struct Sipp {
    child: Child,
    pub port: u16,
    log: tempfile::TempDir,
}

impl Sipp {
    /// SIPp as server with one of our scenarios.
    pub async fn server(name: &str) -> Self {
        Self::run(&["-sf", &scenario(name).display().to_string()], None, "u1", 1).await
    }

    /// SIPp as client with one of our scenarios.
    pub async fn client(name: &str, to: SocketAddr) -> Self {
        Self::run(&["-sf", &scenario(name).display().to_string()], Some(to), "u1", 1).await
    }

    /// On a port of its own: another one when somebody took the first meanwhile.
    pub async fn run(args: &[&str], to: Option<SocketAddr>, transport: &str, calls: u32) -> Self {
        for _ in 0..8 {
            if let Some(sipp) = Self::try_run_at(free_port(), args, to, transport, calls).await {
                return sipp;
            }
        }
        panic!("sipp finds no port");
    }

    pub async fn run_at(
        port: u16,
        args: &[&str],
        to: Option<SocketAddr>,
        transport: &str,
        calls: u32,
    ) -> Self {
        Self::try_run_at(port, args, to, transport, calls).await.expect("the port is free")
    }

    async fn try_run_at(
        port: u16,
        args: &[&str],
        to: Option<SocketAddr>,
        transport: &str,
        calls: u32,
    ) -> Option<Self> {
        let log = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("sipp");
        command
            .args(args)
            .args(["-i", "127.0.0.1", "-p", &port.to_string(), "-mp", &free_port().to_string()])
            .args([
                "-t",
                transport,
                "-m",
                &calls.to_string(),
                "-nostdin",
                "-timeout",
                "600s",
                "-timeout_error",
            ])
            .args(["-trace_err", "-trace_msg", "-error_file"])
            .arg(log.path().join("errors"))
            .arg("-message_file")
            .arg(log.path().join("messages"))
            .env("TERM", "dumb")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(to) = to {
            command.arg(to.to_string());
        }
        let child = command.spawn().expect("sipp is installed (Debian package sip-tester)");
        let mut sipp = Self { child, port, log };
        let started = to.is_some() && transport.starts_with('t') || sipp.starts(transport).await;
        started.then_some(sipp)
    }

    /// SIPp's own sockets: the port might be somebody else's.
    fn sockets(&self) -> Vec<String> {
        let pid = self.child.id().unwrap_or_default();
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        links.map(|link| link.to_string_lossy().into_owned()).collect()
    }

    /// Waits until SIPp has bound its port, or has done with it. False when it could not.
    async fn starts(&mut self, transport: &str) -> bool {
        const FATAL: i32 = 254;
        let table = if transport.starts_with('t') { "/proc/net/tcp" } else { "/proc/net/udp" };
        let entry = format!(":{:04X}", self.port);
        let started = Instant::now();
        loop {
            let text = std::fs::read_to_string(table).unwrap_or_default();
            let bound = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
            let ours = self.sockets();
            if bound.into_iter().any(|fields| {
                fields.get(1).is_some_and(|at| at.ends_with(&entry))
                    && fields.get(9).is_some_and(|inode| ours.contains(&format!("socket:[{inode}]")))
            }) {
                return true;
            }
            if let Some(ended) = self.child.try_wait().expect("sipp runs") {
                return ended.code() != Some(FATAL);
            }
            assert!(started.elapsed() < PATIENCE, "sipp does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn uri(&self) -> Target {
        Target::Uri(format!("sip:bob@127.0.0.1:{}", self.port))
    }

    pub fn trunk(&self) -> TrunkConfig {
        TrunkConfig::new("127.0.0.1", self.port)
    }

    /// Waits for its end and demands that every call of its scenario went as written.
    pub async fn succeeds(mut self) {
        let status =
            tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("sipp ends").expect("sipp runs");
        if !status.success() {
            let read = |name: &str| std::fs::read_to_string(self.log.path().join(name)).unwrap_or_default();
            panic!("sipp: {status}\n{}\n{}", read("errors"), read("messages"));
        }
    }

    pub fn messages(&self) -> String {
        std::fs::read_to_string(self.log.path().join("messages")).unwrap_or_default()
    }
}

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
