//! The engine's one director: requests in, replies and events out, workers told what to do.

mod config;
mod controllers;
mod execute;
mod lease;
mod op;
mod outcome;
mod play;
mod ports;
mod record;
mod registry;
mod replies;
mod spoken;
mod subscriber;
mod turns;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

pub use config::{BindError, DirectorConfig, DirectorOutput, PortRange};
use offhook_proto::{EngineInfo, Error, ErrorCode, Reply, Request, frame};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use self::controllers::Controllers;
use self::lease::Doomed;
use self::op::{AtOnce, Op, Sorted, Stage, Task};
use self::ports::Ports;
use self::registry::Registry;
use self::replies::{Asker, Replies, Sighting};
use self::turns::Turns;
use crate::limits::OPERATIONS;
use crate::prompt::Tones;
use crate::{LegId, OpId, PromptId, Time};

/// The engine's one director. Driven like [`crate::Worker`]: one input with the time, then outputs until there are none, then
/// the next deadline.
#[derive(Debug)]
pub struct Director {
    config: DirectorConfig,
    started: Time,
    /// Time of the last input.
    now: Time,
    random: ChaCha8Rng,
    legs: Registry,
    ports: Ports,
    /// Legs of each worker, those that are being opened included.
    load: Vec<usize>,
    /// Legs that are being opened.
    opening: usize,
    controllers: Controllers,
    replies: Replies,
    ops: HashMap<OpId, Op>,
    turns: Turns,
    /// Operations whose turn it is.
    ready: VecDeque<OpId>,
    loading: HashMap<PromptId, OpId>,
    tones: Tones,
    next_op: u64,
    next_leg: u64,
    next_prompt: u64,
    next_record: u64,
    recordings: u64,
    recordings_failed: u64,
    record_frames_lost: u64,
    stopping: bool,
    /// Legs that are to be closed, and how many are being closed.
    doomed: VecDeque<Doomed>,
    releasing: usize,
    requests: u64,
    repeated: u64,
    refused: u64,
    outputs: VecDeque<DirectorOutput>,
}

impl Director {
    /// A director without legs.
    ///
    /// # Panics
    /// When there is no worker.
    pub fn new(now: Time, config: DirectorConfig) -> Self {
        assert!(config.workers > 0, "an engine has a worker");
        let mut random = ChaCha8Rng::from_seed(config.seed);
        Self {
            started: now,
            now,
            legs: Registry::default(),
            ports: Ports::new(&config.addresses, config.ports, &mut random),
            load: vec![0; usize::from(config.workers)],
            opening: 0,
            controllers: Controllers::new(config.instance.clone()),
            replies: Replies::default(),
            ops: HashMap::new(),
            turns: Turns::default(),
            ready: VecDeque::new(),
            loading: HashMap::new(),
            tones: Tones::default(),
            next_op: 0,
            next_leg: 0,
            next_prompt: 0,
            next_record: 0,
            recordings: 0,
            recordings_failed: 0,
            record_frames_lost: 0,
            stopping: false,
            doomed: VecDeque::new(),
            releasing: 0,
            requests: 0,
            repeated: 0,
            refused: 0,
            outputs: VecDeque::new(),
            random,
            config,
        }
    }

    /// Takes one datagram, `cookie SP dictionary`, that the edge has let in. One without a cookie is counted.
    pub fn handle_datagram(&mut self, now: Time, source: SocketAddr, datagram: &[u8]) {
        match frame::split(datagram) {
            Ok((cookie, dictionary)) => self.handle_request(now, source, cookie, dictionary),
            Err(_) => self.count_refused(),
        }
    }

    /// Takes one request whose signature the edge has taken off.
    pub fn handle_request(&mut self, now: Time, source: SocketAddr, cookie: &str, dictionary: &[u8]) {
        self.now = now;
        let asker = Asker { source, cookie: cookie.into() };
        let request = Request::parse(dictionary);
        if request.is_err() && Request::is_answer(dictionary) {
            return self.count_refused();
        }
        if let Ok(Request { controller: Some(controller), .. }) = &request {
            self.controllers.on_heard(now, controller);
        }
        match self.replies.see(now, &asker) {
            Sighting::Answered(datagram) => {
                self.repeated += 1;
                self.outputs.push_back(DirectorOutput::Send { to: source, datagram });
                return;
            }
            Sighting::UnderWay => {
                self.repeated += 1;
                return;
            }
            Sighting::New => {}
        }
        match request {
            Ok(request) => {
                self.requests += 1;
                self.execute(asker, request);
            }
            Err(error) => {
                self.refused += 1;
                self.answer(Some(asker), &Reply::Error(error));
            }
        }
        self.run_ready();
    }

    /// Counts a datagram that the edge refused.
    pub fn count_refused(&mut self) {
        self.refused += 1;
    }

    /// How many legs are open or being opened. 0 after a shutdown means that every BYE has been handed over.
    pub fn legs(&self) -> usize {
        self.legs.len() + self.opening
    }

    /// When to call [`Director::handle_timeout`]; none when nothing is planned.
    pub fn poll_timeout(&self) -> Option<Time> {
        let deadline = self.controllers.deadline();
        (deadline != Time::NEVER).then_some(deadline)
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<DirectorOutput> {
        if self.outputs.is_empty() {
            self.controllers.pump(self.now, &mut self.outputs);
        }
        self.outputs.pop_front()
    }

    fn execute(&mut self, asker: Asker, request: Request) {
        let controller = request.controller.as_deref();
        let what = match Sorted::new(request.command) {
            Sorted::Task(task) => return self.enter(Some(asker), controller.map(Arc::from), task),
            Sorted::AtOnce(what) => what,
        };
        let reply = match &what {
            AtOnce::Ping => Ok(Reply::pong(&self.info())),
            AtOnce::LegList(body) => Ok(Reply::ok(&self.legs.list(body))),
            AtOnce::Subscribe(body) => {
                let subscribed = self.controllers.subscribe(self.now, controller, asker.source, body);
                subscribed.map(|subscribed| Reply::ok(&subscribed))
            }
            AtOnce::Unsubscribe => self.controllers.unsubscribe(controller).map(|()| Reply::done()),
            AtOnce::EventAck(body) => {
                self.controllers.acknowledge(self.now, controller, body.seq).map(|()| Reply::done())
            }
        };
        self.answer(Some(asker), &reply.unwrap_or_else(Reply::Error));
    }

    /// Takes up an operation: at once, when no other is at the same legs, or after those.
    fn enter(&mut self, asker: Option<Asker>, controller: Option<Arc<str>>, task: Task) {
        let legs = task.legs();
        if asker.is_some() {
            let refusal = if self.stopping {
                Some("the engine is stopping".to_owned())
            } else if self.ops.len() >= OPERATIONS {
                Some(format!("{OPERATIONS} operations are under way already"))
            } else if !self.turns.has_room(&legs) {
                Some("too many operations wait for this leg".to_owned())
            } else {
                None
            };
            if let Some(reason) = refusal {
                return self.answer(asker, &Reply::Error(Error::new(ErrorCode::Busy, reason)));
            }
        }
        self.next_op += 1;
        let op = OpId(self.next_op);
        if self.turns.enter(op, &legs) {
            self.ready.push_back(op);
        }
        self.ops.insert(op, Op { asker, controller, arrived: self.now, task, legs, stage: Stage::Queued });
    }

    /// Starts every operation whose turn it is.
    fn run_ready(&mut self) {
        while let Some(op) = self.ready.pop_front() {
            if let Some(reply) = self.start(op) {
                self.finish(op, reply);
            }
        }
    }

    /// Ends an operation: answers, and lets the next ones at its legs.
    fn finish(&mut self, op: OpId, reply: Result<Reply, Error>) {
        let Some(ended) = self.ops.remove(&op) else { return };
        let ready = &mut self.ready;
        self.turns.leave(op, &ended.legs, |next| ready.push_back(next));
        if matches!(ended.task, Task::Release { .. }) {
            self.releasing -= 1;
            self.run_doomed();
        }
        self.answer(ended.asker, &reply.unwrap_or_else(Reply::Error));
    }

    fn answer(&mut self, asker: Option<Asker>, reply: &Reply) {
        let Some(asker) = asker else { return };
        let datagram = frame::join(&asker.cookie, reply);
        self.outputs.push_back(DirectorOutput::Send { to: asker.source, datagram: datagram.clone() });
        self.replies.keep(self.now, asker, datagram);
    }

    /// The engine's figures without the workers'.
    fn info(&self) -> EngineInfo {
        EngineInfo {
            instance: self.config.instance.clone(),
            version: self.config.version.clone(),
            uptime_ms: self.now.since(self.started) / 1_000,
            legs: self.legs.len() as u64,
            ports_free: self.ports.count(),
            requests: self.requests,
            requests_repeated: self.repeated,
            requests_refused: self.refused,
            recordings: self.recordings,
            recordings_failed: self.recordings_failed,
            record_frames_lost: self.record_frames_lost,
            workers: Vec::new(),
        }
    }

    fn next_leg(&mut self) -> LegId {
        self.next_leg += 1;
        LegId(self.next_leg)
    }
}
