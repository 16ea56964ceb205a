//! A worker on a virtual clock, with phones that are nothing but addresses.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod asking;
pub mod clicks;
pub mod handed_over;
pub mod kernel;
pub mod line;
pub mod secure;
pub mod speaker;
pub mod world;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use kernel::{EAGER, KernelModel};
use offhook_engine_core::kernel::Patience;
use offhook_engine_core::limits::SRTP_OVERHEAD_BYTES;
use offhook_engine_core::{
    Answer, Disarmed, EncodedPrompt, Extent, LegId, LegIx, LegSetup, OpId, Segment, Socket, Tap, Time,
    Verdict, Worker, WorkerCommand, WorkerConfig, WorkerOutput, WorkerReport,
};
use offhook_proto::{Codec, DtmfMode, Error, EventBody, Idle, LatchMode, LegInfo, Media, Remote, Srtp};

/// One packet that a leg sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub at: Time,
    pub leg: LegIx,
    pub socket: Socket,
    pub bytes: Vec<u8>,
    pub address: Option<SocketAddr>,
}

impl Sent {
    pub fn header(&self) -> Rtp {
        Rtp::parse(&self.bytes)
    }
}

/// A packet's header, read independently of the code under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtp {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

impl Rtp {
    pub fn parse(bytes: &[u8]) -> Self {
        Self {
            marker: bytes[1] >= 128,
            payload_type: bytes[1] % 128,
            sequence: u16::from_be_bytes([bytes[2], bytes[3]]),
            timestamp: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            ssrc: u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]),
        }
    }
}

/// All ways to learn a peer's source.
pub const LATCH_MODES: [LatchMode; 6] = [
    LatchMode::Signalled,
    LatchMode::Any,
    LatchMode::Strict,
    LatchMode::Immediate,
    LatchMode::Delayed,
    LatchMode::Heuristic,
];

/// What was sent goes on as one stream: no jump in its numbers, and no time that runs back.
pub fn assert_one_stream(sent: &[Sent]) {
    for pair in sent.windows(2) {
        let (before, after) = (pair[0].header(), pair[1].header());
        assert_eq!(after.ssrc, before.ssrc);
        assert_eq!(after.sequence, before.sequence.wrapping_add(1));
        assert!(after.timestamp.wrapping_sub(before.timestamp) < 0x8000_0000, "timestamps ran back");
    }
}

/// A packet as a phone sends it.
pub fn rtp(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("a literal address")
}

/// Address of the phone of leg number `leg`.
pub fn phone(leg: u64) -> SocketAddr {
    address(&format!("10.0.{}.{}:4000", leg / 250, leg % 250 + 1))
}

/// One of a leg's own addresses.
fn own(leg: u64, port: u16) -> SocketAddr {
    address(&format!("127.0.{}.{}:{port}", leg / 250, leg % 250 + 1))
}

pub fn prompt(codec: Codec, payload: Vec<u8>) -> Segment {
    Segment::Audio(Arc::new(EncodedPrompt::new(codec, payload)))
}

/// A leg as most tests want it: PCMU, signalled to its phone, sent nothing when idle.
pub fn setup(leg: u64) -> LegSetup {
    LegSetup {
        id: LegId(leg),
        name: format!("leg-{leg}").into(),
        owner: None,
        rtp: own(leg, 20_000),
        rtcp: own(leg, 20_001),
        ssrc: 0x5500_0000 + leg as u32,
        sequence: 65_000,
        timestamp: u32::MAX - 10_000,
        remote: Some(Remote { rtp: phone(leg), rtcp: None }),
        media: Media::default(),
        latch: LatchMode::Signalled,
        idle: Idle::None,
        park: false,
        silent_after_ms: 0,
        one_way_after_ms: 0,
        srtp: Srtp::Off,
        rtcp_mux: false,
        dtmf: DtmfMode::Pass,
    }
}

/// A worker, and all that it put out.
pub struct Rig {
    pub worker: Worker,
    pub now: Time,
    pub sent: Vec<Sent>,
    pub events: Vec<EventBody>,
    pub reports: Vec<WorkerReport>,
    /// Everything but packets and reports, in words.
    pub actions: Vec<String>,
    pub disarmed: Vec<Disarmed>,
    /// What was recorded of the last packet that came, and of packets that were made or had been held.
    pub tap: Option<Tap>,
    pub tapped: Vec<(Tap, Vec<u8>)>,
    /// Present where the worker hands over what it can.
    pub kernel: Option<KernelModel>,
    /// Packets that wait in the legs' sockets.
    waiting: VecDeque<(u64, SocketAddr, Vec<u8>)>,
    legs: HashMap<LegId, LegIx>,
    buffer: Vec<u8>,
    next_op: u64,
}

impl Rig {
    pub fn new() -> Self {
        Self::numbered(0)
    }

    /// A rig for one of several workers. The crate of tests `in_kernel` is that of scenarios with a path in the kernel.
    pub fn numbered(worker: u16) -> Self {
        let rig = Self::plain(worker);
        if env!("CARGO_CRATE_NAME") == "in_kernel" { rig.with_kernel(EAGER) } else { rig }
    }

    /// The same rig, with a path in the kernel.
    pub fn with_kernel(self, patience: Patience) -> Self {
        let kernel = KernelModel::default();
        let worker = self.worker.with_patient_kernel(Box::new(kernel.clone()), patience);
        Self { worker, kernel: Some(kernel), ..self }
    }

    /// A rig without a path in the kernel.
    pub fn plain(worker: u16) -> Self {
        let config = WorkerConfig { worker, unix_us_at_start: 1_800_000_000_000_000, seed: 7, max_legs: 64 };
        Self {
            worker: Worker::new(config),
            now: Time(0),
            sent: Vec::new(),
            events: Vec::new(),
            reports: Vec::new(),
            actions: Vec::new(),
            disarmed: Vec::new(),
            tap: None,
            tapped: Vec::new(),
            kernel: None,
            waiting: VecDeque::new(),
            legs: HashMap::new(),
            buffer: vec![0; 1_500],
            next_op: 0,
        }
    }

    /// A rig with legs 1 to `count`, latched.
    pub fn with_legs(count: u64) -> Self {
        let mut rig = Self::new();
        for leg in 1..=count {
            rig.create(setup(leg));
            rig.latch(leg);
        }
        rig.sent.clear();
        rig.events.clear();
        rig.actions.clear();
        rig
    }

    pub fn ix(&self, leg: u64) -> LegIx {
        self.legs[&LegId(leg)]
    }

    pub fn create(&mut self, setup: LegSetup) {
        self.done(|op| WorkerCommand::Create { op, setup: Box::new(setup) });
    }

    /// Lets a leg's phone be heard once, so that it is latched. The packet goes nowhere.
    pub fn latch(&mut self, leg: u64) {
        let _ = self.receive(leg, &rtp(0, 0, 0, 0xFFFF_0000 + leg as u32, &[0; 160]));
    }

    /// A packet from a leg's own phone.
    pub fn receive(&mut self, leg: u64, packet: &[u8]) -> Result<Sent, Verdict> {
        self.receive_from(leg, phone(leg), packet)
    }

    /// A packet to a leg's RTP port; what is sent on, or the verdict.
    pub fn receive_from(&mut self, leg: u64, source: SocketAddr, packet: &[u8]) -> Result<Sent, Verdict> {
        match self.pass_by(leg, source, packet) {
            Some(sent) => Ok(sent),
            None => self.read(leg, source, packet),
        }
    }

    /// A packet to a leg's RTP port, which waits in the leg's socket unless the kernel forwards it.
    pub fn arrive(&mut self, leg: u64, packet: &[u8]) {
        if self.pass_by(leg, phone(leg), packet).is_none() {
            self.waiting.push_back((leg, phone(leg), packet.to_vec()));
        }
    }

    /// Lets the worker read what waits in the legs' sockets.
    pub fn read_waiting(&mut self) {
        while let Some((leg, source, packet)) = self.waiting.pop_front() {
            let _ = self.read(leg, source, &packet);
        }
    }

    /// Whether anything waits there.
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What the kernel makes of a packet; none when it leaves it to the socket.
    fn pass_by(&mut self, leg: u64, source: SocketAddr, packet: &[u8]) -> Option<Sent> {
        let forwarded = self.kernel.as_ref()?.take(self.now, self.ix(leg), source, packet)?;
        let hearer = (1..).find(|leg| own(*leg, 20_000) == forwarded.from).expect("it is from a leg");
        let leg = self.ix(hearer);
        assert_eq!(self.worker.peer(leg), Some(forwarded.to), "it goes to whom the worker would send it");
        self.tap = None;
        let sent = Sent { at: self.now, leg, socket: Socket::Rtp, bytes: forwarded.bytes, address: None };
        self.sent.push(sent.clone());
        Some(sent)
    }

    /// The worker is given a packet; what is sent on, or the verdict.
    fn read(&mut self, leg: u64, source: SocketAddr, packet: &[u8]) -> Result<Sent, Verdict> {
        let mut packet = packet.to_vec();
        let verdict = self.worker.handle_rtp(self.now, self.ix(leg), source, &mut packet);
        self.tap = self.worker.take_tap();
        self.drain();
        match verdict {
            Verdict::Forward { to, len, address } => {
                packet.resize(len + SRTP_OVERHEAD_BYTES, 0);
                let len = self.worker.seal(to, Socket::Rtp, &mut packet, len).ok_or(Verdict::Consume)?;
                packet.truncate(len);
                let sent = Sent { at: self.now, leg: to, socket: Socket::Rtp, bytes: packet, address };
                self.sent.push(sent.clone());
                Ok(sent)
            }
            other => Err(other),
        }
    }

    pub fn receive_rtcp(&mut self, leg: u64, source: SocketAddr, packet: &[u8]) {
        self.worker.handle_rtcp(self.now, self.ix(leg), source, packet);
        self.drain();
    }

    /// Executes a command and returns its answer.
    pub fn command(&mut self, command: impl FnOnce(OpId) -> WorkerCommand) -> Result<Option<LegInfo>, Error> {
        self.next_op += 1;
        let op = OpId(self.next_op);
        self.worker.handle_command(self.now, command(op));
        self.drain();
        let at = self
            .reports
            .iter()
            .position(|report| matches!(report, WorkerReport::Done { op: done, .. } if *done == op));
        let at = at.expect("a command is answered");
        let WorkerReport::Done { result, .. } = self.reports.remove(at) else { unreachable!() };
        result.map(|answer| match answer {
            Answer::Done | Answer::Stopped(_) => None,
            Answer::Leg(info) => Some(*info),
        })
    }

    pub fn done(&mut self, command: impl FnOnce(OpId) -> WorkerCommand) {
        self.command(command).expect("it can be done");
    }

    /// A command whose answer comes when the leg has left.
    pub fn tell(&mut self, command: WorkerCommand) {
        self.worker.handle_command(self.now, command);
        self.drain();
    }

    pub fn splice(&mut self, a: u64, b: u64) {
        self.gates(a, b, true, true);
    }

    pub fn gates(&mut self, a: u64, b: u64, a_hears_b: bool, b_hears_a: bool) {
        let since = self.now;
        let (a, b) = (LegId(a), LegId(b));
        self.done(|op| WorkerCommand::Splice {
            op,
            a,
            b,
            a_hears_b,
            b_hears_a,
            replace: true,
            since,
            replay: false,
        });
    }

    /// Opens both gates and sends on what `b` and `a` have said since a moment.
    pub fn splice_since(&mut self, a: u64, b: u64, since: Time) {
        let (a, b) = (LegId(a), LegId(b));
        self.done(|op| WorkerCommand::Splice {
            op,
            a,
            b,
            a_hears_b: true,
            b_hears_a: true,
            replace: false,
            since,
            replay: true,
        });
    }

    pub fn unsplice(&mut self, leg: u64) {
        self.done(|op| WorkerCommand::Unsplice { op, leg: LegId(leg), park: Vec::new() });
    }

    pub fn play(&mut self, leg: u64, play: &str, segments: Vec<Segment>, times: u32) {
        let (play, extent) = (play.to_owned(), Extent::times(times));
        self.done(|op| WorkerCommand::Play { op, leg: LegId(leg), play, segments, extent });
    }

    pub fn info(&mut self, leg: u64) -> LegInfo {
        let info = self.command(|op| WorkerCommand::Query { op, leg: LegId(leg) });
        info.expect("the leg is there").expect("a query is answered with the leg")
    }

    /// Lets time pass; whatever is due happens at its moment.
    pub fn pass_ms(&mut self, ms: u64) {
        let end = self.now + ms * 1_000;
        while let Some(due) = self.worker.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.worker.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.worker.poll_output(&mut self.buffer) {
            match output {
                WorkerOutput::Transmit { leg, socket, len, address } => {
                    let Some(len) = self.worker.seal(leg, socket, &mut self.buffer, len) else { continue };
                    let bytes = self.buffer[..len].to_vec();
                    self.tapped.extend(self.worker.take_tap().map(|tap| (tap, bytes.clone())));
                    self.sent.push(Sent { at: self.now, leg, socket, bytes, address });
                }
                WorkerOutput::Report(WorkerReport::Event(body)) => self.events.push(body),
                WorkerOutput::Report(report) => self.reports.push(report),
                WorkerOutput::Arm { leg, id } => {
                    self.legs.insert(id, leg);
                }
                WorkerOutput::Disarm { leg } => {
                    self.actions.push(format!("disarm {}", leg.0));
                    self.disarmed.extend(self.worker.handle_disarmed(self.now, leg));
                }
                WorkerOutput::Connect { leg, socket, address } => {
                    self.actions.push(format!("connect {} {socket:?} {address}", leg.0));
                }
                WorkerOutput::Disconnect { leg, socket } => {
                    self.actions.push(format!("disconnect {} {socket:?}", leg.0));
                }
                WorkerOutput::Park { leg, keep_one_in, telephone_event, rtcp_mux } => {
                    let with_rtcp = if rtcp_mux { " rtcp" } else { "" };
                    self.actions.push(format!("park {} {keep_one_in} {telephone_event:?}{with_rtcp}", leg.0));
                }
                WorkerOutput::Heard => {
                    let tap = self.worker.take_tap().expect("it is about what was heard");
                    self.tapped.push((tap, self.buffer.clone()));
                }
                WorkerOutput::RecordEnd { record, leg_ends, .. } => {
                    self.actions.push(format!("record end {} {leg_ends}", record.0));
                }
                WorkerOutput::Unpark { leg } => self.actions.push(format!("unpark {}", leg.0)),
            }
        }
    }

    /// RTP that was sent with an SSRC of ours, and forgets everything.
    pub fn take_heard_by(&mut self, ssrc: u32) -> Vec<Sent> {
        let rtp = |sent: &Sent| sent.socket == Socket::Rtp && sent.bytes.len() >= 12;
        self.sent.drain(..).filter(|sent| rtp(sent) && sent.header().ssrc == ssrc).collect()
    }

    /// RTP that a leg's phone was sent, and forgets it.
    pub fn take_heard(&mut self, leg: u64) -> Vec<Sent> {
        let ix = self.ix(leg);
        let (heard, rest) =
            self.sent.drain(..).partition(|sent| sent.leg == ix && sent.socket == Socket::Rtp);
        self.sent = rest;
        heard
    }
}

/// A phone that talks: its own SSRC, sequence and timestamps.
pub struct Talker {
    pub leg: u64,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload_type: u8,
}

impl Talker {
    pub fn new(leg: u64) -> Self {
        let mix = (leg as u32).wrapping_mul(0x9E37_79B9);
        Self { leg, ssrc: mix, sequence: mix as u16, timestamp: mix.rotate_left(9), payload_type: 0 }
    }

    /// The next packet of 20 ms, all of one byte.
    pub fn packet(&mut self, byte: u8) -> Vec<u8> {
        let packet = rtp(self.payload_type, self.sequence, self.timestamp, self.ssrc, &[byte; 160]);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
        packet
    }

    pub fn talk(&mut self, rig: &mut Rig, byte: u8) -> Result<Sent, Verdict> {
        let packet = self.packet(byte);
        rig.receive(self.leg, &packet)
    }
}
