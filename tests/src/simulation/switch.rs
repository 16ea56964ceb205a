//! The real engine core, a director and its workers, over sockets that are entries of a table.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use offhook_control_core::EngineId;
use offhook_engine_core::{
    Answer, BindError, Director, DirectorConfig, DirectorOutput, Disarmed, EncodedPrompt, LegId, LegIx, OpId,
    PortRange, Socket, Time, Verdict, Worker, WorkerCommand, WorkerConfig, WorkerOutput, WorkerReport,
};
use offhook_proto::{EventBody, LegInfo};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::engines::address_of;

/// One life of an engine.
#[derive(Debug)]
pub(super) struct Switch {
    director: Director,
    workers: Vec<Worker>,
    started_us: u64,
    rng: ChaCha8Rng,
    /// Open RTP sockets by their address.
    sockets: BTreeMap<SocketAddr, Open>,
    /// Where a leg of a worker receives.
    places: BTreeMap<(u16, LegIx), SocketAddr>,
    /// Sockets on their way to a worker.
    travelling: BTreeMap<LegId, SocketAddr>,
    /// Legs may have changed since they were last looked at.
    changed: bool,
    out: Out,
    buffer: Vec<u8>,
}

/// An RTP socket, with what the kernel does for it.
#[derive(Clone, Copy, Debug)]
struct Open {
    id: LegId,
    worker: u16,
    leg: LegIx,
    connected: Option<SocketAddr>,
    /// One packet in so many passes, and this payload type.
    filter: Option<(u16, Option<u8>)>,
}

/// What leaves an engine.
#[derive(Debug, Default)]
pub(super) struct Out {
    /// Datagrams of the control protocol.
    pub(super) datagrams: Vec<(SocketAddr, Vec<u8>)>,
    /// RTP: from where, whereto, what.
    pub(super) voices: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
}

impl Switch {
    pub(super) fn new(now_us: u64, engine: EngineId, instance: u64, mut rng: ChaCha8Rng) -> Self {
        let config = DirectorConfig {
            instance: format!("engine-{engine}-{instance}"),
            version: "0".into(),
            addresses: vec![address_of(engine)],
            advertised: HashMap::new(),
            ports: PortRange { first: 20_000, last: 20_127 },
            workers: WORKERS,
            max_legs: 64,
            max_legs_per_worker: 64,
            seed: rng.random(),
        };
        let worker = |worker: u16| {
            let (unix_us_at_start, seed) = (now_us, u64::from(worker));
            Worker::new(WorkerConfig { worker, unix_us_at_start, seed, max_legs: 64 })
        };
        Self {
            director: Director::new(Time(0), config),
            workers: (0..WORKERS).map(worker).collect(),
            started_us: now_us,
            rng,
            sockets: BTreeMap::new(),
            places: BTreeMap::new(),
            travelling: BTreeMap::new(),
            changed: false,
            out: Out::default(),
            buffer: vec![0; 1_500],
        }
    }

    /// A request of a controller.
    pub(super) fn on_datagram(&mut self, now_us: u64, source: SocketAddr, datagram: &[u8]) {
        let now = self.time(now_us);
        self.director.handle_datagram(now, source, datagram);
        self.run(now);
    }

    /// A packet to one of its RTP sockets; true when the kernel lets it through.
    pub(super) fn on_packet(
        &mut self,
        now_us: u64,
        to: SocketAddr,
        source: SocketAddr,
        packet: &mut [u8],
    ) -> bool {
        let now = self.time(now_us);
        let Some(open) = self.sockets.get(&to).copied() else { return false };
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let payload_type = packet[1] % 128;
        let passes = open
            .filter
            .is_none_or(|(one_in, always)| sequence.is_multiple_of(one_in) || always == Some(payload_type));
        if !passes || open.connected.is_some_and(|peer| peer != source) {
            return false;
        }
        let worker = &mut self.workers[usize::from(open.worker)];
        if let Verdict::Forward { to, len, address } = worker.handle_rtp(now, open.leg, source, packet)
            && let Some(address) = address.or(worker.peer(to))
            && let Some(from) = self.places.get(&(open.worker, to))
        {
            self.out.voices.push((*from, address, packet[..len].to_vec()));
        }
        self.run(now);
        true
    }

    pub(super) fn on_time(&mut self, now_us: u64) {
        let now = self.time(now_us);
        self.director.handle_timeout(now);
        for worker in &mut self.workers {
            worker.handle_timeout(now);
        }
        self.run(now);
    }

    /// When [`Switch::on_time`] is due.
    pub(super) fn due_us(&self) -> Option<u64> {
        let workers = self.workers.iter().map(Worker::poll_timeout);
        let due = workers.chain([self.director.poll_timeout()]).flatten().min()?;
        Some(due.0.saturating_add(self.started_us))
    }

    pub(super) fn take_out(&mut self) -> Out {
        std::mem::take(&mut self.out)
    }

    /// All legs as they are now, if any of them may have changed.
    pub(super) fn take_legs(&mut self, now_us: u64) -> Option<Vec<LegInfo>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let now = self.time(now_us);
        let mut infos = Vec::new();
        for Open { id, worker, .. } in self.sockets.values() {
            let worker = &mut self.workers[usize::from(*worker)];
            worker.handle_command(now, WorkerCommand::Query { op: LOOK, leg: *id });
            // Nothing else waits: outputs are drained after every input.
            if let Some(WorkerOutput::Report(WorkerReport::Done { result: Ok(Answer::Leg(info)), .. })) =
                worker.poll_output(&mut self.buffer)
            {
                infos.push(*info);
            }
        }
        Some(infos)
    }

    fn time(&self, now_us: u64) -> Time {
        Time(now_us - self.started_us)
    }

    /// Lets director and workers talk until they have come to rest.
    fn run(&mut self, now: Time) {
        for worker in 0..WORKERS {
            self.drain(now, worker);
        }
        while let Some(output) = self.director.poll_output() {
            match output {
                DirectorOutput::Send { to, datagram } => self.out.datagrams.push((to, datagram)),
                DirectorOutput::ToWorker { worker, command } => {
                    self.changed = true;
                    if let WorkerCommand::Create { setup, .. } = &command {
                        self.travelling.insert(setup.id, setup.rtp);
                    }
                    self.workers[usize::from(worker)].handle_command(now, command);
                    self.drain(now, worker);
                }
                DirectorOutput::Bind { op, .. } => {
                    let taken = self.rng.random_range(0..100_u32) < 5;
                    let result = if taken { Err(BindError::InUse) } else { Ok(()) };
                    self.director.handle_bound(now, op, result);
                }
                DirectorOutput::OpenRecording { op, .. } => {
                    self.director.handle_recording(now, op, Ok(()));
                }
                DirectorOutput::CloseRecording { .. } => {}
                DirectorOutput::LoadPrompt { prompt, form, .. } => {
                    let length_ms = self.rng.random_range(300..2_500_u16);
                    let payload = vec![SILENCE; usize::from(length_ms * BYTES_PER_MS)];
                    let loaded = Arc::new(EncodedPrompt::new(form.codec, payload));
                    self.director.handle_prompt(now, prompt, Ok(loaded));
                }
            }
        }
    }

    fn drain(&mut self, now: Time, worker: u16) {
        while let Some(output) = self.workers[usize::from(worker)].poll_output(&mut self.buffer) {
            match output {
                WorkerOutput::Transmit { leg, socket: Socket::Rtp, len, address } => {
                    let to = address.or(self.workers[usize::from(worker)].peer(leg));
                    if let (Some(to), Some(from)) = (to, self.places.get(&(worker, leg))) {
                        self.out.voices.push((*from, to, self.buffer[..len].to_vec()));
                    }
                }
                WorkerOutput::Transmit { socket: Socket::Rtcp, .. } => {}
                WorkerOutput::Arm { leg, id } => {
                    let rtp = self.travelling.remove(&id).expect("its sockets came with it");
                    self.places.insert((worker, leg), rtp);
                    self.sockets.insert(rtp, Open { id, worker, leg, connected: None, filter: None });
                }
                WorkerOutput::Disarm { leg } => self.disarm(now, worker, leg),
                WorkerOutput::Connect { leg, socket: Socket::Rtp, address } => {
                    self.change(worker, leg, |open| open.connected = Some(address));
                }
                WorkerOutput::Disconnect { leg, socket: Socket::Rtp } => {
                    self.change(worker, leg, |open| open.connected = None);
                }
                WorkerOutput::Connect { socket: Socket::Rtcp, .. }
                | WorkerOutput::Disconnect { socket: Socket::Rtcp, .. } => {}
                WorkerOutput::Park { leg, keep_one_in, telephone_event, .. } => {
                    self.change(worker, leg, |open| open.filter = Some((keep_one_in, telephone_event)));
                }
                WorkerOutput::Unpark { leg } => self.change(worker, leg, |open| open.filter = None),
                WorkerOutput::Heard | WorkerOutput::RecordEnd { .. } => {}
                WorkerOutput::Report(report) => {
                    self.changed |= matches!(report, WorkerReport::Event(EventBody::PlayEnded { .. }));
                    self.director.handle_report(now, report);
                }
            }
        }
    }

    fn change(&mut self, worker: u16, leg: LegIx, change: impl FnOnce(&mut Open)) {
        let place = self.places.get(&(worker, leg));
        if let Some(open) = place.and_then(|rtp| self.sockets.get_mut(rtp)) {
            change(open);
        }
    }

    fn disarm(&mut self, now: Time, worker: u16, leg: LegIx) {
        self.changed = true;
        let rtp = self.places.remove(&(worker, leg)).expect("the leg was armed");
        self.sockets.remove(&rtp);
        let left = self.workers[usize::from(worker)].handle_disarmed(now, leg).expect("it was leaving");
        let (Disarmed::Moved(report) | Disarmed::Closed(report)) = left;
        if let WorkerReport::Detached { leg, .. } = &report {
            self.travelling.insert(leg.id(), rtp);
        }
        self.director.handle_report(now, report);
    }
}

/// Two, so that legs that are joined have to move.
const WORKERS: u16 = 2;
/// What the world asks of a worker by itself.
const LOOK: OpId = OpId(u64::MAX);
const BYTES_PER_MS: u16 = 8;
/// Nothing in PCMU.
pub(super) const SILENCE: u8 = 0xFF;
