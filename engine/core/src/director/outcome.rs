//! What workers report, and what follows from it.

use std::net::SocketAddr;

use offhook_proto::{Error, EventBody, LegCreated, LegInfo, PlayStarted, PlayStopped, Reply, WorkerInfo};

use super::Director;
use super::execute::rtcp_of;
use super::op::{Stage, Task};
use super::registry::Entry;
use crate::leg::Leg;
use crate::{Answer, LegId, OpId, Time, WorkerCommand, WorkerReport};

impl Director {
    /// Takes a worker's report. Reports of one worker come in the order in which it made them.
    pub fn handle_report(&mut self, now: Time, report: WorkerReport) {
        self.now = now;
        match report {
            WorkerReport::Done { op, result } => {
                let reply = self.on_done(op, result);
                self.finish(op, reply);
            }
            WorkerReport::Detached { op, leg } => self.on_detached(op, leg),
            WorkerReport::Closed { op, info } => {
                let reply = self.on_closed(op, &info);
                self.finish(op, Ok(reply));
            }
            WorkerReport::Info { op, info } => self.on_info(op, *info),
            WorkerReport::Event(body) => self.controllers.raise(now, &body),
            WorkerReport::SocketFailed { leg, reason } => self.on_socket_failed(leg, &reason),
        }
        self.run_ready();
    }

    fn on_done(&mut self, op: OpId, result: Result<Answer, Error>) -> Result<Reply, Error> {
        let Some(done) = self.ops.get(&op) else { return Ok(Reply::done()) };
        match (&done.task, &done.stage, result) {
            (Task::Create(_), Stage::Binding { .. }, Ok(_)) => Ok(self.on_created(op)),
            (Task::Update(body), _, Ok(Answer::Leg(info))) => {
                if let (Some(entry), Some(media)) = (self.legs.find_mut(&body.leg), &body.media) {
                    entry.media = media.clone();
                }
                Ok(self.leg(*info))
            }
            (Task::Play(body), Stage::Working { play_ms }, Ok(_)) => {
                Ok(Reply::ok(&PlayStarted { play: body.play.clone(), duration_ms: *play_ms }))
            }
            (Task::RecordStart(_), Stage::Recording(record), Err(error)) => {
                let record = *record;
                self.on_not_recording(record);
                Err(error)
            }
            (_, _, Ok(Answer::Leg(info))) => Ok(self.leg(*info)),
            (_, _, Ok(Answer::Stopped(position_ms))) => Ok(Reply::ok(&PlayStopped { position_ms })),
            (_, _, Ok(Answer::Done)) => Ok(Reply::done()),
            (_, _, Err(error)) => Err(error),
        }
    }

    fn on_created(&mut self, op: OpId) -> Reply {
        let Some(done) = self.ops.get(&op) else { return Reply::done() };
        let (Task::Create(body), Stage::Binding { leg, worker, rtp, ssrc, .. }) = (&done.task, &done.stage)
        else {
            return Reply::done();
        };
        let entry = Entry {
            id: *leg,
            name: body.leg.as_str().into(),
            owner: done.controller.clone(),
            worker: *worker,
            rtp: *rtp,
            rtcp: rtcp_of(*rtp),
            ssrc: *ssrc,
            media: body.media.clone(),
            created_as: body.clone(),
            releasing: false,
        };
        let reply = self.created(&entry);
        let name = entry.name.clone();
        self.opening -= 1;
        self.legs.insert(entry);
        if self.stopping {
            self.release(&[name], "the engine is stopping");
        }
        reply
    }

    /// A leg has left its worker to be joined on another.
    fn on_detached(&mut self, op: OpId, leg: Box<Leg>) {
        let moving = self.ops.get_mut(&op).expect("a move is waited for");
        moving.stage = Stage::Working { play_ms: None };
        let arrived = moving.arrived;
        let joined = match &moving.task {
            Task::Splice(body) => {
                let body = body.clone();
                self.adopt(leg, &body.b, &body.a);
                self.join(op, &body, arrived)
            }
            Task::Supervise(body) => {
                let body = body.clone();
                self.adopt(leg, &body.leg, &body.of);
                self.take_part(op, &body)
            }
            Task::Listen(body) => {
                let body = body.clone();
                self.adopt(leg, &body.leg, &body.of);
                self.hear(op, &body)
            }
            _ => unreachable!("only a splice, a supervision and a listening move a leg"),
        };
        if let Err(error) = joined {
            self.finish(op, Err(error));
        }
    }

    /// Gives a leg that has left its worker to that of another leg.
    fn adopt(&mut self, leg: Box<Leg>, name: &str, beside: &str) {
        let to = self.entry(beside).map(|entry| entry.worker);
        let to = to.expect("no operation takes a leg away from another");
        let entry = self.legs.find_mut(name).expect("no operation takes a leg away from another");
        let from = std::mem::replace(&mut entry.worker, to);
        self.load[usize::from(from)] -= 1;
        self.load[usize::from(to)] += 1;
        self.tell_worker(to, WorkerCommand::Adopt { leg });
    }

    fn on_closed(&mut self, op: OpId, info: &LegInfo) -> Reply {
        if let Some(entry) = self.legs.remove(&info.leg) {
            self.load[usize::from(entry.worker)] -= 1;
            self.ports.give_back(entry.rtp);
        }
        if let Some(Task::Release { leg, reason, .. }) = self.ops.get(&op).map(|op| &op.task) {
            let body = EventBody::LegReleased { leg: leg.to_string(), reason: reason.to_string() };
            self.controllers.raise(self.now, &body);
        }
        self.leg(info.clone())
    }

    /// A leg, as its peers are to know it.
    fn leg(&self, mut info: LegInfo) -> Reply {
        (info.rtp, info.rtcp) = (self.advertised(info.rtp), self.advertised(info.rtcp));
        Reply::ok(&info)
    }

    /// The same of one that was created.
    pub(super) fn created(&self, entry: &Entry) -> Reply {
        Reply::ok(&LegCreated {
            leg: entry.name.to_string(),
            rtp: self.advertised(entry.rtp),
            rtcp: self.advertised(entry.rtcp),
            worker: entry.worker,
            ssrc: entry.ssrc,
        })
    }

    /// What is told in place of an address of ours.
    fn advertised(&self, own: SocketAddr) -> SocketAddr {
        let ip = self.config.advertised.get(&own.ip()).copied().unwrap_or_else(|| own.ip());
        SocketAddr::new(ip, own.port())
    }

    fn on_info(&mut self, op: OpId, info: WorkerInfo) {
        let Some(gathered) = self.ops.get_mut(&op) else { return };
        let Stage::Gathering { workers, missing } = &mut gathered.stage else { return };
        workers.push(info);
        *missing -= 1;
        if *missing > 0 {
            return;
        }
        let mut workers = std::mem::take(workers);
        workers.sort_unstable_by_key(|info| info.worker);
        let mut engine = self.info();
        engine.workers = workers;
        self.finish(op, Ok(Reply::ok(&engine)));
    }

    fn on_socket_failed(&mut self, leg: LegId, reason: &str) {
        if let Some(name) = self.legs.name(leg).cloned() {
            self.release(&[name], reason);
        }
    }
}
