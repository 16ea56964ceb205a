//! The control thread: the control socket, prompt files and the director between them and the workers.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use crossbeam::channel::Receiver;
use offhook_engine_core::{
    BindError, Director, DirectorOutput, EncodedPrompt, LegId, OpId, PromptForm, PromptId, RecordId, Time,
    WorkerReport,
};
use offhook_proto::auth::Envelope;
use offhook_proto::{Dscp, Error, ErrorCode, Reply, frame, limits};
use tokio::net::UdpSocket;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tracing::{debug, info, warn};

use crate::clock::{self, Clock};
use crate::link::{FromWorker, ToWorker, WorkerGone, WorkerLink};
use crate::ng::NgShell;
use crate::prompt::PromptStore;
use crate::record::{Opening, Recorded, Recorder};
use crate::sockets::LegSockets;

/// What the control thread is started with.
pub(crate) struct ControlSetup {
    pub(crate) clock: Clock,
    pub(crate) director: Director,
    pub(crate) socket: StdUdpSocket,
    pub(crate) envelope: Envelope,
    pub(crate) prompts: PromptStore,
    pub(crate) recorder: Recorder,
    pub(crate) recorded: mpsc::UnboundedReceiver<Recorded>,
    pub(crate) ng: NgShell,
    /// Of every leg's packets.
    pub(crate) dscp: Dscp,
    pub(crate) workers: Vec<WorkerLink>,
    pub(crate) reports: Receiver<FromWorker>,
    pub(crate) bell: Arc<Notify>,
}

/// Serves until a signal, then closes every leg and lets the workers go.
///
/// # Errors
/// A worker has ended, or the runtime or the control socket cannot be set up.
pub(crate) async fn serve(setup: ControlSetup) -> anyhow::Result<()> {
    let mut recorded = setup.recorded;
    let (loaded, mut prompts_loaded) = mpsc::unbounded_channel();
    let mut control = Control {
        clock: setup.clock,
        director: setup.director,
        socket: UdpSocket::from_std(setup.socket)?,
        envelope: setup.envelope,
        prompts: Rc::new(setup.prompts),
        recorder: setup.recorder,
        closing: Vec::new(),
        ng: setup.ng,
        dscp: setup.dscp,
        loaded,
        workers: setup.workers,
        sockets: HashMap::new(),
        refused: None,
    };
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut datagram = vec![0; limits::DATAGRAM_BYTES + 1];
    let mut stop_by = None;
    loop {
        let keeps_up = control.act()?;
        if stop_by.is_some_and(|by| control.director.legs() == 0 && keeps_up || control.clock.now() >= by) {
            break;
        }
        let deadline =
            control.director.poll_timeout().into_iter().chain(control.ng.poll_timeout()).chain(stop_by).min();
        let wait = deadline.map_or(IDLE, |deadline| control.clock.until(deadline).min(IDLE));
        let wait = if keeps_up { wait } else { wait.min(RETRY_AFTER) };
        tokio::select! {
            _ = terminate.recv() => stop_by = control.stop("SIGTERM", stop_by)?,
            _ = interrupt.recv() => stop_by = control.stop("SIGINT", stop_by)?,
            () = setup.bell.notified() => control.take_reports(&setup.reports, &setup.bell)?,
            Some(news) = recorded.recv() => control.on_recorded(news),
            Some((prompt, result)) = prompts_loaded.recv() => {
                control.director.handle_prompt(control.clock.now(), prompt, result);
            }
            // A worker that is behind gets no new requests: they wait in the socket, and their senders repeat them.
            readable = control.socket.readable(), if keeps_up => {
                readable?;
                control.take_datagrams(&mut datagram)?;
            }
            input = control.ng.next_from_stream(), if keeps_up => {
                control.ng.take_from_stream(control.clock.now(), input);
            }
            () = tokio::time::sleep(wait) => {}
        }
        let now = control.clock.now();
        if control.director.poll_timeout().is_some_and(|deadline| deadline <= now) {
            control.director.handle_timeout(now);
        }
        if control.ng.poll_timeout().is_some_and(|deadline| deadline <= now) {
            control.ng.handle_timeout(now);
        }
    }
    info!(legs_left = control.director.legs(), "control stopped");
    control.workers.into_iter().for_each(WorkerLink::close);
    Ok(())
}

type Loaded = (PromptId, Result<Arc<EncodedPrompt>, Error>);

struct Control {
    clock: Clock,
    director: Director,
    socket: UdpSocket,
    envelope: Envelope,
    prompts: Rc<PromptStore>,
    recorder: Recorder,
    /// Recordings to be completed that the recorder had no room for.
    closing: Vec<(RecordId, Time)>,
    ng: NgShell,
    dscp: Dscp,
    loaded: mpsc::UnboundedSender<Loaded>,
    workers: Vec<WorkerLink>,
    /// Sockets of legs that are on no worker just now.
    sockets: HashMap<LegId, LegSockets>,
    /// When a refused datagram was last worth a line and an answer.
    refused: Option<Time>,
}

impl Control {
    /// Does what the director asks for. True when the workers have taken everything.
    fn act(&mut self) -> anyhow::Result<bool> {
        loop {
            while let Some((to, datagram)) = self.ng.act(self.clock.now(), &mut self.director) {
                self.send(to, datagram);
            }
            let Some(output) = self.director.poll_output() else { break };
            match output {
                DirectorOutput::Send { to, datagram } => {
                    if !self.ng.take_reply(self.clock.now(), to, &datagram) {
                        self.send(to, datagram);
                    }
                }
                DirectorOutput::ToWorker { worker, command } => {
                    let sockets = command.carries_sockets_of().and_then(|leg| self.sockets.remove(&leg));
                    match self.workers.get_mut(usize::from(worker)) {
                        Some(link) => link.send(ToWorker { command, sockets }),
                        None => bail!("the director speaks to worker {worker}, which is not there"),
                    }
                }
                DirectorOutput::Bind { op, leg, rtp, rtcp } => self.bind(op, leg, rtp, rtcp),
                DirectorOutput::OpenRecording { op, record, leg, file, mode, rate_hz } => {
                    let opening = Opening { op, record, leg, file, mode, rate_hz };
                    if let Err(error) = self.recorder.open(opening) {
                        self.director.handle_recording(self.clock.now(), op, Err(error));
                    }
                }
                DirectorOutput::CloseRecording { record } => self.closing.push((record, self.clock.now())),
                DirectorOutput::LoadPrompt { prompt, file, form } => self.load(prompt, file, form),
            }
        }
        let recorder = &self.recorder;
        self.closing.retain(|&(record, at)| !recorder.end(record, at, true));
        self.director.count_frames_lost(recorder.frames_lost());
        let mut keeps_up = self.closing.is_empty();
        for (worker, link) in self.workers.iter_mut().enumerate() {
            match link.flush() {
                Ok(all) => keeps_up &= all,
                Err(WorkerGone) => bail!("worker {worker} has ended"),
            }
        }
        Ok(keeps_up)
    }

    fn take_datagrams(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..DATAGRAMS_PER_ROUND {
            let (length, source) = match self.socket.try_recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // What an ICMP message says of an earlier reply.
                Err(error) => {
                    debug!(%error, "control socket");
                    continue;
                }
            };
            if length > limits::DATAGRAM_BYTES {
                let reason = format!("a datagram has {} bytes at most", limits::DATAGRAM_BYTES);
                self.refuse(source, &buffer[..length], &Error::new(ErrorCode::BadRequest, reason));
                continue;
            }
            let now = self.clock.now();
            match self.envelope.open(clock::unix_ms(), &buffer[..length]) {
                Ok(datagram) if self.ng.take(now, source, &datagram) => {}
                Ok(datagram) => self.director.handle_datagram(now, source, &datagram),
                Err(error) => self.refuse(source, &buffer[..length], &error),
            }
        }
        Ok(())
    }

    /// Counts a datagram that is not let in. Its sender is told why, but not so often that a forged source address could
    /// turn the answers against somebody.
    fn refuse(&mut self, source: SocketAddr, datagram: &[u8], error: &Error) {
        self.director.count_refused();
        let now = self.clock.now();
        if self.refused.is_some_and(|last| now.since(last) < REFUSALS_APART_US) {
            return;
        }
        self.refused = Some(now);
        warn!(%source, reason = %error, "control datagram refused");
        if let Ok((cookie, _)) = frame::split(datagram) {
            self.send(source, frame::join(cookie, &Reply::Error(error.clone())));
        }
    }

    fn take_reports(&mut self, reports: &Receiver<FromWorker>, bell: &Notify) -> anyhow::Result<()> {
        for _ in 0..REPORTS_PER_ROUND {
            let Ok(FromWorker { report, sockets }) = reports.try_recv() else { return Ok(()) };
            if let (WorkerReport::Detached { leg, .. }, Some(sockets)) = (&report, sockets) {
                self.sockets.insert(leg.id(), sockets);
            }
            self.director.handle_report(self.clock.now(), report);
            self.act()?;
        }
        bell.notify_one();
        Ok(())
    }

    fn send(&mut self, to: SocketAddr, datagram: Vec<u8>) {
        let datagram = self.envelope.seal(clock::unix_ms(), datagram);
        // What does not leave is sent again: an event by us, a reply when its request is repeated.
        if let Err(error) = self.socket.try_send_to(&datagram, to) {
            debug!(%to, %error, "control datagram not sent");
        }
    }

    fn bind(&mut self, op: OpId, leg: LegId, rtp: SocketAddr, rtcp: SocketAddr) {
        let result = match LegSockets::bind(rtp, rtcp, self.dscp) {
            Ok(sockets) => {
                self.sockets.insert(leg, sockets);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(BindError::InUse),
            Err(error) => Err(BindError::System(format!("cannot bind {rtp} and {rtcp}: {error}"))),
        };
        self.director.handle_bound(self.clock.now(), op, result);
    }

    fn load(&self, prompt: PromptId, file: String, form: PromptForm) {
        let (prompts, loaded) = (Rc::clone(&self.prompts), self.loaded.clone());
        tokio_uring::spawn(async move {
            let result = prompts.load(file, form).await;
            // Nobody listens any more only when the engine stops.
            let _ = loaded.send((prompt, result));
        });
    }

    fn on_recorded(&mut self, news: Recorded) {
        let now = self.clock.now();
        match news {
            Recorded::Opened { op, result } => self.director.handle_recording(now, op, result),
            Recorded::Ended { leg, file, end, duration_ms, reason } => {
                self.director.handle_recorded(now, leg, file, end, duration_ms, reason);
            }
        }
    }

    /// Begins the end, or ends at once when it had begun already. The moment that it ends by.
    fn stop(&mut self, name: &str, already: Option<Time>) -> anyhow::Result<Option<Time>> {
        if already.is_some() {
            bail!("{name} again: stopping at once");
        }
        let now = self.clock.now();
        info!(signal = name, legs = self.director.legs(), "stopping");
        self.director.handle_shutdown(now);
        Ok(Some(now.plus_ms(STOP_WITHIN_MS)))
    }
}

const REFUSALS_APART_US: u64 = 100_000;
const DATAGRAMS_PER_ROUND: usize = 64;
const REPORTS_PER_ROUND: usize = 1_024;
const IDLE: Duration = Duration::from_secs(3_600);
const RETRY_AFTER: Duration = Duration::from_millis(1);
const STOP_WITHIN_MS: u64 = 5_000;
