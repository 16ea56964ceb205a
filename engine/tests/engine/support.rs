//! An engine to test, controllers that drive it and phones that talk to it.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use offhook_proto::auth::Key;
use offhook_proto::{
    BlockingClient, ClientEvent, Command, Config, Error, EventBody, Idle, LegCreate, LegCreated, LegInfo,
    LegQuery, Remote, Reply, limits, uninterrupted,
};

/// How long a test waits before it calls something missing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running engine; killed when dropped.
pub(crate) struct Engine {
    child: Child,
    pub(crate) control: SocketAddr,
    /// The line with which it said that it was there.
    ready: String,
    log: Option<JoinHandle<String>>,
}

impl Engine {
    /// An engine on loopback with two workers and the prompts that are shipped.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        Self::spawn(engine(arguments))
    }

    /// The same with fewer open files.
    pub(crate) fn start_with_files(files: u32, arguments: &[&str]) -> Self {
        Self::start_limited(&format!("ulimit -n {files}"), arguments)
    }

    /// The same after some words of a shell.
    pub(crate) fn start_limited(words: &str, arguments: &[&str]) -> Self {
        let engine = engine(arguments);
        let mut limited = Process::new("sh");
        limited.args(["-c", &format!("{words}; exec \"$0\" \"$@\"")]);
        limited.arg(engine.get_program()).args(engine.get_args()).stdin(Stdio::null());
        Self::spawn(limited)
    }

    fn spawn(mut engine: Process) -> Self {
        let mut child =
            engine.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let stderr = child.stderr.take().expect("piped");
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = BufReader::new(stderr).read_to_string(&mut text);
            text
        });
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut ready).expect("a line");
        let control = told(&ready, "control=").unwrap_or_else(|| panic!("not ready: {ready:?}"));
        Self { child, control, ready, log: Some(log) }
    }

    /// An address of its ready line, as `metrics=127.0.0.1:9110`.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        told(&self.ready, &format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {:?}", self.ready))
    }

    pub(crate) fn client(&self) -> Client {
        self.connect(None, Config::one_shot())
    }

    /// One that waits for an engine that gets no processor for a while.
    pub(crate) fn connect(&self, key: Option<Key>, config: Config) -> Client {
        let config = Config { timeout_us: limits::CLIENT_TIMEOUT_US, ..config };
        Client(BlockingClient::connect_with(self.control, key, config).expect("a socket"))
    }

    /// A controller with a name that is told nothing.
    pub(crate) fn controller(&self, name: &str) -> Client {
        self.connect(None, Config { controller: Some(name.to_owned()), ..Config::one_shot() })
    }

    /// A controller that is told what happens.
    pub(crate) fn subscriber(&self, name: &str, lease_ms: u32) -> Client {
        let controller = Some(name.to_owned());
        let mut client =
            self.connect(None, Config { controller, lease_ms: Some(lease_ms), ..Config::default() });
        loop {
            match client.0.next_event(PATIENCE).expect("the socket works") {
                Some(ClientEvent::EngineUp { .. }) => return client,
                Some(_) => {}
                None => panic!("no engine to subscribe to"),
            }
        }
    }

    /// Memory that it has, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("such a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let status =
            Process::new("kill").args(["-s", name, &self.child.id().to_string()]).status().expect("kill(1)");
        assert!(status.success());
    }

    /// Waits for the end; the status and everything that was logged.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("waited for");
        let log = self.log.take().expect("waited for once").join().expect("read");
        (status, log)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn told(ready: &str, name: &str) -> Option<SocketAddr> {
    ready.split_whitespace().find_map(|word| word.strip_prefix(name))?.parse().ok()
}

/// The binary with the arguments that every test wants. The last of two that contradict each other holds.
pub(crate) fn engine(arguments: &[&str]) -> Process {
    let mut process = Process::new(env!("CARGO_BIN_EXE_offhook-engine"));
    let has = |name: &str| arguments.contains(&name);
    let cpus = offhook_uring::clock::allowed_cpus().expect("the processors of this process");
    assert!(cpus.len() >= 2, "these tests need two processors");
    let cpus = format!("{},{}", cpus[0], cpus[1]);
    for (name, value) in [
        ("--control", "127.0.0.1:0"),
        ("--cpus", &cpus),
        // Below the ports that the system gives to the phones and controllers of these tests.
        ("--ports", "20000-31999"),
        ("--max-legs", "200"),
        ("--prompts", concat!(env!("CARGO_MANIFEST_DIR"), "/prompts")),
    ] {
        if !has(name) {
            process.args([name, value]);
        }
    }
    process.args(crate::more_arguments(arguments)).args(arguments).stdin(Stdio::null());
    process
}

/// An address of 127/8 for one test: nobody else takes its ports.
pub(crate) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    // 127.0/16 is where everybody else is.
    Ipv4Addr::new(127, high.max(1), low, NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn prompt(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/prompts")).join(name)
}

/// A controller.
pub(crate) struct Client(pub(crate) BlockingClient);

impl Client {
    /// What a command is answered with.
    pub(crate) fn ask<T: serde::de::DeserializeOwned>(&mut self, command: Command) -> T {
        let shown = format!("{command:?}");
        self.0.call(command).and_then(Reply::parse).unwrap_or_else(|error| panic!("{shown}: {error}"))
    }

    /// Done, whatever the answer says.
    pub(crate) fn done(&mut self, command: Command) {
        let _: serde_json::Value = self.ask(command);
    }

    /// Why a command is refused.
    pub(crate) fn refused(&mut self, command: Command) -> Error {
        let shown = format!("{command:?}");
        match self.0.call(command) {
            Err(error) | Ok(Reply::Error(error)) => error,
            Ok(Reply::Ok(body)) => panic!("{shown} was done: {body:?}"),
        }
    }

    /// Opens a leg towards a phone that hears nothing unless it is told something.
    pub(crate) fn create(&mut self, leg: &str, phone: &Phone) -> LegCreated {
        self.create_with(LegCreate { idle: Idle::None, ..leg_towards(leg, phone) })
    }

    pub(crate) fn create_with(&mut self, create: LegCreate) -> LegCreated {
        self.ask(Command::LegCreate(create))
    }

    pub(crate) fn query(&mut self, leg: &str) -> LegInfo {
        self.ask(Command::LegQuery(LegQuery { leg: leg.to_owned() }))
    }

    pub(crate) fn splice(&mut self, a: &str, b: &str) {
        self.done(splice(a, b));
    }

    pub(crate) fn unsplice(&mut self, leg: &str) {
        self.done(Command::Unsplice(offhook_proto::Unsplice { leg: leg.to_owned(), park: Vec::new() }));
    }

    /// The first event that `pick` makes something of.
    pub(crate) fn await_event<T>(&mut self, mut pick: impl FnMut(EventBody) -> Option<T>) -> T {
        loop {
            match self.0.next_event(PATIENCE).expect("the socket works") {
                Some(ClientEvent::Event(event)) => {
                    if let Some(picked) = pick(event.body) {
                        return picked;
                    }
                }
                Some(_) => {}
                None => panic!("no such event"),
            }
        }
    }

    /// Asks again and again until a leg looks as expected.
    pub(crate) fn await_leg(&mut self, leg: &str, expected: impl Fn(&LegInfo) -> bool) -> LegInfo {
        let began = std::time::Instant::now();
        loop {
            let info = self.query(leg);
            if expected(&info) {
                return info;
            }
            assert!(began.elapsed() < PATIENCE, "never as expected: {info:?}");
            std::thread::yield_now();
        }
    }
}

pub(crate) fn leg_towards(leg: &str, phone: &Phone) -> LegCreate {
    LegCreate {
        leg: leg.to_owned(),
        address: Some(phone.address().ip()),
        remote: Some(Remote { rtp: phone.address(), rtcp: None }),
        ..LegCreate::default()
    }
}

pub(crate) fn splice(a: &str, b: &str) -> Command {
    Command::Splice(offhook_proto::Splice {
        a: a.to_owned(),
        b: b.to_owned(),
        a_hears_b: true,
        b_hears_a: true,
        replace: false,
        since_us: None,
    })
}

/// One RTP packet (RFC 3550 section 5.1) without extensions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = vec![0x80, self.payload_type | u8::from(self.marker) << 7];
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.timestamp.to_be_bytes());
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Self {
        assert!(bytes.len() >= 12 && bytes[0] == 0x80, "not plain RTP: {bytes:02x?}");
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        Self {
            payload_type: bytes[1] & 0x7f,
            marker: bytes[1] >> 7 == 1,
            sequence: u16::from_be_bytes([bytes[2], bytes[3]]),
            timestamp: word(4),
            ssrc: word(8),
            payload: bytes[12..].to_vec(),
        }
    }
}

/// A phone: two sockets and a stream of its own.
pub(crate) struct Phone {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    pub(crate) next: Packet,
    /// Timestamp units of a packet.
    pub(crate) step: u32,
}

impl Phone {
    pub(crate) fn new() -> Self {
        Self::on(Ipv4Addr::LOCALHOST.into())
    }

    pub(crate) fn on(address: IpAddr) -> Self {
        let (rtp, rtcp) = std::iter::repeat_with(next_ports)
            .find_map(|(rtp, rtcp)| {
                Some((UdpSocket::bind((address, rtp)).ok()?, UdpSocket::bind((address, rtcp)).ok()?))
            })
            .expect("some ports are free");
        for socket in [&rtp, &rtcp] {
            socket.set_read_timeout(Some(PATIENCE)).expect("set");
        }
        let ssrc = 0x5150_0000 | u32::from(rtp.local_addr().expect("bound").port());
        let next = Packet {
            payload_type: 0,
            marker: false,
            sequence: 65_500,
            timestamp: u32::MAX - 999,
            ssrc,
            payload: Vec::new(),
        };
        Self { rtp, rtcp, next, step: 160 }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.rtp.local_addr().expect("bound")
    }

    /// Sends 20 ms of audio that say `number`.
    pub(crate) fn say(&mut self, to: SocketAddr, number: u32) {
        self.send(to, &spoken(self.next.ssrc, number));
    }

    /// Sends 20 ms of audio.
    pub(crate) fn send(&mut self, to: SocketAddr, payload: &[u8]) {
        let packet = Packet { payload: payload.to_vec(), ..self.next.clone() };
        self.rtp.send_to(&packet.write(), to).expect("sent");
        self.next.sequence = self.next.sequence.wrapping_add(1);
        self.next.timestamp = self.next.timestamp.wrapping_add(self.step);
    }

    /// The next packet that arrives.
    pub(crate) fn hear(&self) -> Packet {
        self.hear_within(PATIENCE).expect("a packet")
    }

    /// The next packet, if one arrives within `limit`.
    pub(crate) fn hear_within(&self, limit: Duration) -> Option<Packet> {
        self.rtp.set_read_timeout(Some(limit)).expect("set");
        let mut buffer = [0; 2_048];
        loop {
            match uninterrupted(|| self.rtp.recv(&mut buffer)) {
                Ok(length) => return Some(Packet::parse(&buffer[..length])),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return None;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What is there already.
    pub(crate) fn heard(&self) -> Vec<Packet> {
        std::iter::from_fn(|| self.hear_within(Duration::from_millis(1))).collect()
    }
}

/// An even port and the next one, which no phone of this process has had: engines speak on to phones that are gone.
fn next_ports() -> (u16, u16) {
    const PAIRS: u32 = 14_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Other processes begin elsewhere.
    let began = std::process::id().wrapping_mul(2_654_435_761) % PAIRS;
    let pair = (began + NEXT.fetch_add(1, Ordering::Relaxed)) % PAIRS;
    let rtp = 32_768 + 2 * pair as u16;
    (rtp, rtp + 1)
}

/// 160 bytes that tell who says what.
pub(crate) fn spoken(ssrc: u32, number: u32) -> [u8; 160] {
    let mut payload = [0x55; 160];
    payload[..4].copy_from_slice(&ssrc.to_be_bytes());
    payload[4..8].copy_from_slice(&number.to_be_bytes());
    payload
}

/// The number in what [`spoken`] made.
pub(crate) fn number(packet: &Packet) -> u32 {
    u32::from_be_bytes(packet.payload[4..8].try_into().expect("spoken"))
}

/// One SSRC, no gap in sequence, and a timestamp that only advances.
pub(crate) fn assert_one_stream(packets: &[Packet]) {
    for pair in packets.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        assert_eq!(before.ssrc, after.ssrc, "another SSRC");
        assert_eq!(after.sequence, before.sequence.wrapping_add(1), "a gap in sequence");
        let advance = after.timestamp.wrapping_sub(before.timestamp);
        assert!(advance < 1 << 31, "the timestamp goes back by {}", advance.wrapping_neg());
    }
}
