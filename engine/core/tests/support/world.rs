//! A director and its workers, with queues between them that a seed decides the order of.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;

use offhook_engine_core::{
    BindError, Director, DirectorConfig, DirectorOutput, Disarmed, LegId, LegIx, OpId, PortRange, Time,
    Worker, WorkerCommand, WorkerConfig, WorkerOutput, WorkerReport,
};
use offhook_proto::{Command, Event, Reply, Request, frame};

pub const CONTROLLER: &str = "127.0.0.1:5000";

/// A small generator (xorshift) for the order of things.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

pub struct World {
    pub director: Director,
    pub workers: Vec<Worker>,
    pub now: Time,
    pub replies: BTreeMap<String, Reply>,
    /// How often each cookie was answered.
    pub answered: BTreeMap<String, usize>,
    pub events: Vec<Event>,
    /// RTP ports open in this world.
    pub open: BTreeSet<SocketAddr>,
    /// Ports that somebody else has.
    pub taken: BTreeSet<u16>,
    /// Files that are asked for and not yet loaded.
    pub loads: VecDeque<(offhook_engine_core::PromptId, String)>,
    pub goodbyes: usize,
    binds: VecDeque<(OpId, SocketAddr)>,
    commands: Vec<VecDeque<WorkerCommand>>,
    reports: Vec<VecDeque<WorkerReport>>,
    disarming: Vec<VecDeque<LegIx>>,
    /// Sockets by the worker and place of the leg; the director's shell keeps those that travel.
    sockets: HashMap<(usize, LegIx), SocketAddr>,
    travelling: HashMap<LegId, SocketAddr>,
    next_cookie: u64,
    buffer: Vec<u8>,
}

impl World {
    pub fn new(workers: u16, max_legs: usize, ports: PortRange) -> Self {
        Self::with_room(workers, max_legs, max_legs, ports)
    }

    /// With a limit of legs for each worker.
    pub fn with_room(workers: u16, max_legs: usize, max_legs_per_worker: usize, ports: PortRange) -> Self {
        let config = DirectorConfig {
            instance: "test".into(),
            version: "0".into(),
            addresses: vec!["127.0.0.1".parse().expect("a literal address")],
            advertised: HashMap::new(),
            ports,
            workers,
            max_legs,
            max_legs_per_worker,
            seed: [3; 32],
        };
        let count = usize::from(workers);
        Self {
            director: Director::new(Time(0), config),
            workers: (0..workers)
                .map(|worker| {
                    let (unix_us_at_start, seed) = (0, u64::from(worker));
                    Worker::new(WorkerConfig { worker, unix_us_at_start, seed, max_legs })
                })
                .collect(),
            now: Time(0),
            replies: BTreeMap::new(),
            answered: BTreeMap::new(),
            events: Vec::new(),
            open: BTreeSet::new(),
            taken: BTreeSet::new(),
            loads: VecDeque::new(),
            goodbyes: 0,
            binds: VecDeque::new(),
            commands: (0..count).map(|_| VecDeque::new()).collect(),
            reports: (0..count).map(|_| VecDeque::new()).collect(),
            disarming: (0..count).map(|_| VecDeque::new()).collect(),
            sockets: HashMap::new(),
            travelling: HashMap::new(),
            next_cookie: 0,
            buffer: vec![0; 1_500],
        }
    }

    /// Sends a request and returns its cookie.
    pub fn ask_as(&mut self, controller: Option<&str>, command: Command) -> String {
        self.next_cookie += 1;
        let cookie = format!("c{}", self.next_cookie);
        let request = Request { controller: controller.map(str::to_owned), command };
        self.datagram(&frame::join(&cookie, &request));
        cookie
    }

    pub fn ask(&mut self, command: Command) -> String {
        self.ask_as(Some("north"), command)
    }

    pub fn datagram(&mut self, datagram: &[u8]) {
        let source = CONTROLLER.parse().expect("a literal address");
        self.director.handle_datagram(self.now, source, datagram);
        self.collect();
    }

    /// Sends a request, lets everything come to rest, and returns the reply.
    pub fn call(&mut self, command: Command) -> Reply {
        let cookie = self.ask(command);
        self.settle(&mut Dice(1));
        self.replies.get(&cookie).cloned().expect("every request is answered")
    }

    /// Lets one thing happen. Returns whether there was any.
    pub fn step(&mut self, dice: &mut Dice) -> bool {
        let workers = self.workers.len();
        let start = dice.below(3 * workers + 1);
        (0..=3 * workers).any(|offset| {
            let pick = (start + offset) % (3 * workers + 1);
            let (kind, worker) = (pick / workers, pick % workers);
            match kind {
                0 => self.run_command(worker),
                1 => self.run_report(worker),
                2 => self.run_disarm(worker),
                _ => self.run_bind(),
            }
        })
    }

    pub fn settle(&mut self, dice: &mut Dice) {
        while self.step(dice) {}
    }

    /// Lets time pass for the director alone.
    pub fn pass_ms(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        while let Some(due) = self.director.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.director.handle_timeout(self.now);
            self.collect();
            self.settle(&mut Dice(1));
        }
        self.now = end;
    }

    fn run_command(&mut self, worker: usize) -> bool {
        let Some(command) = self.commands[worker].pop_front() else { return false };
        self.workers[worker].handle_command(self.now, command);
        self.drain(worker);
        true
    }

    fn run_report(&mut self, worker: usize) -> bool {
        let Some(report) = self.reports[worker].pop_front() else { return false };
        self.director.handle_report(self.now, report);
        self.collect();
        true
    }

    fn run_disarm(&mut self, worker: usize) -> bool {
        let Some(leg) = self.disarming[worker].pop_front() else { return false };
        let sockets = self.sockets.remove(&(worker, leg)).expect("the leg was armed");
        let report = match self.workers[worker].handle_disarmed(self.now, leg).expect("it was leaving") {
            Disarmed::Moved(report) => {
                let WorkerReport::Detached { leg, .. } = &report else { panic!("{report:?}") };
                assert!(self.travelling.insert(leg.id(), sockets).is_none());
                report
            }
            Disarmed::Closed(report) => {
                assert!(self.open.remove(&sockets));
                report
            }
        };
        self.reports[worker].push_back(report);
        self.drain(worker);
        true
    }

    fn run_bind(&mut self) -> bool {
        let Some((op, rtp)) = self.binds.pop_front() else { return false };
        let result = if self.taken.contains(&rtp.port()) {
            Err(BindError::InUse)
        } else {
            assert!(self.open.insert(rtp), "{rtp} is bound twice");
            Ok(())
        };
        self.director.handle_bound(self.now, op, result);
        self.collect();
        true
    }

    fn drain(&mut self, worker: usize) {
        while let Some(output) = self.workers[worker].poll_output(&mut self.buffer) {
            match output {
                WorkerOutput::Arm { leg, id } => {
                    let sockets = self.travelling.remove(&id).expect("its sockets came with it");
                    assert!(self.sockets.insert((worker, leg), sockets).is_none());
                }
                WorkerOutput::Disarm { leg } => self.disarming[worker].push_back(leg),
                WorkerOutput::Report(report) => self.reports[worker].push_back(report),
                WorkerOutput::Transmit { .. } => self.goodbyes += 1,
                WorkerOutput::Connect { .. }
                | WorkerOutput::Disconnect { .. }
                | WorkerOutput::Park { .. }
                | WorkerOutput::Heard
                | WorkerOutput::RecordEnd { .. }
                | WorkerOutput::Unpark { .. } => {}
            }
        }
    }

    pub fn collect(&mut self) {
        while let Some(output) = self.director.poll_output() {
            match output {
                DirectorOutput::Send { datagram, .. } => {
                    let (cookie, body) = frame::split(&datagram).expect("it has a cookie");
                    if cookie == "event" {
                        self.events.push(serde_json::from_slice(body).expect("it is an event"));
                    } else {
                        let reply = serde_json::from_slice(body).expect("it is a reply");
                        *self.answered.entry(cookie.to_owned()).or_default() += 1;
                        self.replies.insert(cookie.to_owned(), reply);
                    }
                }
                DirectorOutput::ToWorker { worker, command } => {
                    if let WorkerCommand::Create { setup, .. } = &command {
                        self.travelling.insert(setup.id, setup.rtp);
                    }
                    self.commands[usize::from(worker)].push_back(command);
                }
                DirectorOutput::Bind { op, rtp, rtcp, .. } => {
                    assert_eq!((rtp.port() % 2, rtcp.port()), (0, rtp.port() + 1));
                    self.binds.push_back((op, rtp));
                }
                DirectorOutput::OpenRecording { op, .. } => {
                    self.director.handle_recording(self.now, op, Ok(()));
                }
                DirectorOutput::CloseRecording { .. } => {}
                DirectorOutput::LoadPrompt { prompt, file, .. } => self.loads.push_back((prompt, file)),
            }
        }
    }
}
