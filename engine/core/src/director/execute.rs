//! The beginning of each operation.

use std::net::{IpAddr, SocketAddr};

use offhook_proto::{Error, ErrorCode, LegCreate, LegUpdate, Listen, Reply, Splice, Supervise, Unsplice};
use rand_chacha::rand_core::Rng as _;

use super::op::{Op, Stage, Task};
use super::registry::Entry;
use super::{BindError, Director, DirectorOutput};
use crate::limits::{BIND_ATTEMPTS, KEEP_ONE_IN, ONE_WAY_AFTER_MS};
use crate::{LegSetup, OpId, RecordChange, Time, WorkerCommand};

/// None while it goes on.
pub(super) type Ended = Option<Result<Reply, Error>>;

impl Director {
    /// Starts an operation whose turn it is.
    pub(super) fn start(&mut self, op: OpId) -> Ended {
        // Out of the table while it is read; nothing that starts an operation looks it up.
        let mut started = self.ops.remove(&op)?;
        let result = self.start_task(op, &started);
        let ended = match result {
            Ok(Some(stage)) => {
                started.stage = stage;
                None
            }
            Ok(None) => Some(Ok(Reply::done())),
            Err(Refusal::Error(error)) => Some(Err(error)),
            Err(Refusal::Answered(reply)) => Some(Ok(reply)),
        };
        self.ops.insert(op, started);
        ended
    }

    /// The stage that it waits in; none when nothing is to be done.
    fn start_task(&mut self, op: OpId, started: &Op) -> Result<Option<Stage>, Refusal> {
        match &started.task {
            Task::Create(body) => return self.create(op, body).map(Some),
            Task::Update(body) => {
                self.check_version(body)?;
                let change = body.clone();
                self.tell_leg(&body.leg, |leg| WorkerCommand::Update { op, leg, change })?;
            }
            Task::Delete(leg) => self.tell_leg(leg, |leg| WorkerCommand::Delete { op, leg })?,
            Task::Release { leg, id, .. } => {
                // It may have been deleted meanwhile, and its name used again.
                if self.legs.find(leg).is_none_or(|entry| entry.id != *id) {
                    return Ok(None);
                }
                self.tell_leg(leg, |leg| WorkerCommand::Delete { op, leg })?;
            }
            Task::Query(leg) => self.tell_leg(leg, |leg| WorkerCommand::Query { op, leg })?,
            Task::Park(body) => {
                let keep_one_in = body.keep_one_in.unwrap_or(KEEP_ONE_IN);
                self.tell_leg(&body.leg, |leg| WorkerCommand::Park { op, leg, keep_one_in })?;
            }
            Task::Unpark(leg) => self.tell_leg(leg, |leg| WorkerCommand::Unpark { op, leg })?,
            Task::Splice(body) => return self.splice(op, body, started.arrived).map(Some),
            Task::Unsplice(body) => self.unsplice(op, body)?,
            Task::Supervise(body) => return Ok(self.supervise(op, body).map(Some)?),
            Task::SuperviseStop(leg) => self.tell_leg(leg, |leg| WorkerCommand::SuperviseStop { op, leg })?,
            Task::Listen(body) => return Ok(self.listen(op, body).map(Some)?),
            Task::ListenStop(leg) => self.tell_leg(leg, |leg| WorkerCommand::ListenStop { op, leg })?,
            Task::Play(body) => return self.play(op, body).map(Some),
            Task::PlayStop(body) => {
                let play = body.play.clone();
                self.tell_leg(&body.leg, |leg| WorkerCommand::PlayStop { op, leg, play })?;
            }
            Task::RecordStart(body) => return Ok(self.record(op, body).map(Some)?),
            Task::RecordPause { leg, paused } => {
                let change = RecordChange::Pause(*paused);
                self.tell_leg(leg, |leg| WorkerCommand::Record { op, leg, change })?;
            }
            Task::RecordStop(leg) => {
                let change = RecordChange::Stop;
                self.tell_leg(leg, |leg| WorkerCommand::Record { op, leg, change })?;
            }
            Task::DetectStart(body) => {
                let start = Some(body.clone());
                self.tell_leg(&body.leg, |leg| WorkerCommand::Detect { op, leg, start })?;
            }
            Task::DetectStop(leg) => {
                self.tell_leg(leg, |leg| WorkerCommand::Detect { op, leg, start: None })?;
            }
            Task::Statistics => {
                for worker in 0..self.config.workers {
                    self.tell_worker(worker, WorkerCommand::Info { op });
                }
                return Ok(Some(Stage::Gathering { workers: Vec::new(), missing: self.config.workers }));
            }
        }
        Ok(Some(Stage::Working { play_ms: None }))
    }

    fn create(&mut self, op: OpId, body: &LegCreate) -> Result<Stage, Refusal> {
        if let Some(entry) = self.legs.find(&body.leg) {
            return Err(if *entry.created_as == *body {
                Refusal::Answered(self.created(entry))
            } else {
                let reason = format!("leg {} exists with other parameters", body.leg);
                Refusal::Error(Error::new(ErrorCode::LegExists, reason))
            });
        }
        if self.legs() >= self.config.max_legs {
            let reason = format!("the limit of {} legs is reached", self.config.max_legs);
            return Err(Error::new(ErrorCode::TooManyLegs, reason).into());
        }
        let address = self.address_for(body)?;
        let worker = self.worker_for(body)?;
        self.room_on(worker)?;
        let rtp = self.ports.take(address).ok_or_else(|| out_of_ports(address))?;
        let leg = self.next_leg();
        self.load[usize::from(worker)] += 1;
        self.opening += 1;
        self.outputs.push_back(DirectorOutput::Bind { op, leg, rtp, rtcp: rtcp_of(rtp) });
        Ok(Stage::Binding { leg, worker, rtp, ssrc: self.random.next_u32(), attempts: 1 })
    }

    /// Takes the result of [`DirectorOutput::Bind`].
    pub fn handle_bound(&mut self, now: Time, op: OpId, result: Result<(), BindError>) {
        self.now = now;
        let Some(bound) = self.ops.get_mut(&op) else { return };
        let Stage::Binding { leg, worker, rtp, ssrc, attempts } = &mut bound.stage else { return };
        let (leg, worker, ssrc) = (*leg, *worker, *ssrc);
        let error = match result {
            Ok(()) => {
                let Task::Create(body) = &bound.task else { return };
                let setup = Box::new(LegSetup {
                    id: leg,
                    name: body.leg.as_str().into(),
                    owner: bound.controller.clone(),
                    rtp: *rtp,
                    rtcp: rtcp_of(*rtp),
                    ssrc,
                    sequence: self.random.next_u32() as u16 & 0x7FFF,
                    timestamp: self.random.next_u32(),
                    remote: body.remote,
                    media: body.media.clone(),
                    latch: body.latch,
                    idle: body.idle,
                    park: body.park,
                    silent_after_ms: body.silent_after_ms,
                    one_way_after_ms: body.one_way_after_ms.unwrap_or(ONE_WAY_AFTER_MS),
                    srtp: body.srtp.clone(),
                    rtcp_mux: body.rtcp_mux,
                    dtmf: body.dtmf,
                });
                return self.tell_worker(worker, WorkerCommand::Create { op, setup });
            }
            Err(BindError::InUse) => {
                let taken = *rtp;
                *attempts += 1;
                let next = (*attempts <= BIND_ATTEMPTS).then(|| self.ports.take(taken.ip())).flatten();
                self.ports.give_back(taken);
                match next {
                    Some(next) => {
                        *rtp = next;
                        let rtcp = rtcp_of(next);
                        return self.outputs.push_back(DirectorOutput::Bind { op, leg, rtp: next, rtcp });
                    }
                    None => out_of_ports(taken.ip()),
                }
            }
            Err(BindError::System(reason)) => {
                self.ports.give_back(*rtp);
                Error::new(ErrorCode::System, reason)
            }
        };
        self.load[usize::from(worker)] -= 1;
        self.opening -= 1;
        self.finish(op, Err(error));
        self.run_ready();
    }

    fn splice(&mut self, op: OpId, body: &Splice, arrived: Time) -> Result<Stage, Refusal> {
        let (a, b) = (self.entry(&body.a)?, self.entry(&body.b)?);
        if a.id == b.id {
            return Err(Error::new(ErrorCode::SameLeg, "a leg cannot be spliced to itself").into());
        }
        let (a_worker, b_worker, leg) = (a.worker, b.worker, b.id);
        if a_worker != b_worker {
            self.room_on(a_worker)?;
            self.tell_worker(b_worker, WorkerCommand::Detach { op, leg, replace: body.replace });
            return Ok(Stage::Detaching);
        }
        self.join(op, body, arrived)?;
        Ok(Stage::Working { play_ms: None })
    }

    /// Joins two legs that live on the same worker.
    pub(super) fn join(&mut self, op: OpId, body: &Splice, arrived: Time) -> Result<(), Error> {
        let (a, b) = (self.entry(&body.a)?, self.entry(&body.b)?);
        let (worker, a, b) = (a.worker, a.id, b.id);
        let command = WorkerCommand::Splice {
            op,
            a,
            b,
            a_hears_b: body.a_hears_b,
            b_hears_a: body.b_hears_a,
            replace: body.replace,
            since: arrived - body.since_us.unwrap_or(0),
            replay: body.since_us.is_some(),
        };
        self.tell_worker(worker, command);
        Ok(())
    }

    fn supervise(&mut self, op: OpId, body: &Supervise) -> Result<Stage, Error> {
        let (supervisor, agent) = (self.entry(&body.leg)?, self.entry(&body.of)?);
        let (from, to, leg) = (supervisor.worker, agent.worker, supervisor.id);
        if from != to {
            self.room_on(to)?;
            self.tell_worker(from, WorkerCommand::Detach { op, leg, replace: false });
            return Ok(Stage::Detaching);
        }
        self.take_part(op, body)?;
        Ok(Stage::Working { play_ms: None })
    }

    fn listen(&mut self, op: OpId, body: &Listen) -> Result<Stage, Error> {
        let (listener, heard) = (self.entry(&body.leg)?, self.entry(&body.of)?);
        let (from, to, leg) = (listener.worker, heard.worker, listener.id);
        if from != to {
            self.room_on(to)?;
            self.tell_worker(from, WorkerCommand::Detach { op, leg, replace: false });
            return Ok(Stage::Detaching);
        }
        self.hear(op, body)?;
        Ok(Stage::Working { play_ms: None })
    }

    /// Lets a leg hear another one of its worker.
    pub(super) fn hear(&mut self, op: OpId, body: &Listen) -> Result<(), Error> {
        let of = self.entry(&body.of)?.id;
        self.tell_leg(&body.leg, |leg| WorkerCommand::Listen { op, leg, of })
    }

    /// Lets a leg take part in the call of a pair on its worker.
    pub(super) fn take_part(&mut self, op: OpId, body: &Supervise) -> Result<(), Error> {
        let of = self.entry(&body.of)?.id;
        let with = body.with.as_deref().map(|with| self.entry(with).map(|entry| entry.id)).transpose()?;
        let mode = body.mode;
        self.tell_leg(&body.leg, |leg| WorkerCommand::Supervise { op, leg, of, with, mode })
    }

    fn unsplice(&mut self, op: OpId, body: &Unsplice) -> Result<(), Error> {
        let park = body.park.iter().map(|leg| self.entry(leg).map(|entry| entry.id));
        let park = park.collect::<Result<_, _>>()?;
        self.tell_leg(&body.leg, |leg| WorkerCommand::Unsplice { op, leg, park })
    }

    fn address_for(&self, body: &LegCreate) -> Result<IpAddr, Error> {
        let known = || self.config.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let of_version =
            |address: &IpAddr| body.remote.is_none_or(|remote| remote.rtp.is_ipv4() == address.is_ipv4());
        let first = self.config.addresses.iter().find(|address| of_version(address));
        let reason = match (body.address, first, &body.remote) {
            (Some(address), ..) if self.ports.has_address(address) => return Ok(address),
            (Some(address), ..) => {
                format!("address: must be one of this engine's, {}, not {address}", known())
            }
            (None, Some(first), _) => return Ok(*first),
            (None, None, Some(remote)) => format!(
                "remote.rtp: must be of an IP version that this engine has, {}, not {}",
                known(),
                remote.rtp
            ),
            (None, None, None) => {
                return Err(Error::new(ErrorCode::OutOfPorts, "the engine has no media address"));
            }
        };
        Err(Error::new(ErrorCode::BadValue, reason))
    }

    /// A leg's socket is of one IP version.
    fn check_version(&self, body: &LegUpdate) -> Result<(), Error> {
        let Some((entry, remote)) = self.legs.find(&body.leg).zip(body.remote) else { return Ok(()) };
        if entry.rtp.is_ipv4() == remote.rtp.is_ipv4() {
            return Ok(());
        }
        let reason = format!(
            "remote.rtp: must be of the same IP version as the leg's, {}, not {}",
            entry.rtp.ip(),
            remote.rtp
        );
        Err(Error::new(ErrorCode::BadValue, reason))
    }

    /// Where a new leg lives: beside another, where asked, or where there are fewest.
    fn worker_for(&self, body: &LegCreate) -> Result<u16, Error> {
        if let Some(beside) = &body.beside {
            return self.entry(beside).map(|entry| entry.worker);
        }
        match body.worker {
            Some(worker) if worker < self.config.workers => Ok(worker),
            Some(worker) => {
                let last = self.config.workers - 1;
                Err(Error::new(ErrorCode::BadValue, format!("worker: must be 0 to {last}, not {worker}")))
            }
            None => Ok((0..self.config.workers)
                .min_by_key(|worker| self.load[usize::from(*worker)])
                .expect("an engine has a worker")),
        }
    }

    /// Whether a worker takes one more leg.
    fn room_on(&self, worker: u16) -> Result<(), Error> {
        let limit = self.config.max_legs_per_worker;
        if self.load[usize::from(worker)] < limit {
            return Ok(());
        }
        let reason = format!("the limit of {limit} legs on worker {worker} is reached");
        Err(Error::new(ErrorCode::TooManyLegs, reason))
    }

    pub(super) fn entry(&self, name: &str) -> Result<&Entry, Error> {
        self.legs
            .find(name)
            .ok_or_else(|| Error::new(ErrorCode::LegNotFound, format!("there is no leg {name}")))
    }

    pub(super) fn tell_leg(
        &mut self,
        name: &str,
        command: impl FnOnce(crate::LegId) -> WorkerCommand,
    ) -> Result<(), Error> {
        let (worker, leg) = self.entry(name).map(|entry| (entry.worker, entry.id))?;
        self.tell_worker(worker, command(leg));
        Ok(())
    }

    pub(super) fn tell_worker(&mut self, worker: u16, command: WorkerCommand) {
        self.outputs.push_back(DirectorOutput::ToWorker { worker, command });
    }
}

/// Why an operation ends where it begins.
pub(super) enum Refusal {
    Error(Error),
    /// It was done before.
    Answered(Reply),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// The port above.
pub(super) fn rtcp_of(rtp: SocketAddr) -> SocketAddr {
    SocketAddr::new(rtp.ip(), rtp.port() + 1)
}

fn out_of_ports(address: IpAddr) -> Error {
    Error::new(ErrorCode::OutOfPorts, format!("no port pair is free on {address}"))
}
