//! One worker thread: a processor, a ring, and the legs that live there.

mod kernel;
mod pace;
mod ports;
mod sockets;
mod steer;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crossbeam::channel::TryRecvError;
use offhook_engine_core::limits::SRTP_OVERHEAD_BYTES;
use offhook_engine_core::{
    LegId, LegIx, RecordId, Socket, Time, Verdict, Worker, WorkerConfig, WorkerOutput, WorkerReport,
};
use offhook_proto::WorkerInfo;
use offhook_uring::clock::{pin_to_cpu, thread_cpu_ns};
use offhook_uring::{Buffer, Completion, Datagram, Ring, RingConfig, SetupError, Waker};
use tracing::{info, warn};

use self::kernel::KernelLease;
use self::pace::Pace;
use self::ports::{Ports, parse_token, token};
use self::steer::{STEERED, Steered};
use crate::clock::Clock;
use crate::link::{ControlLink, ToWorker};
use crate::record::Recorder;
use crate::sockets::LegSockets;
use crate::speed;

pub(crate) use self::kernel::KernelRules;
pub(crate) use self::steer::{RECEIVE_BYTES, SEND_BYTES, SteerSetup};

/// What a worker thread is started with.
pub(crate) struct WorkerSetup {
    pub(crate) cpu: Option<u32>,
    pub(crate) clock: Clock,
    pub(crate) ring: RingConfig,
    pub(crate) core: WorkerConfig,
    pub(crate) recorder: Recorder,
    /// Longest time that a round waits for more packets once it could have begun.
    pub(crate) min_wait: Duration,
    /// Present when ports are steered.
    pub(crate) steer: Option<SteerSetup>,
    /// Present when the kernel forwards.
    pub(crate) kernel: Option<KernelRules>,
}

/// A worker thread's everything.
pub(crate) struct WorkerThread {
    cpu: Option<u32>,
    clock: Clock,
    pace: Pace,
    ring: Ring,
    core: Worker,
    control: ControlLink,
    recorder: Recorder,
    steered: Option<Steered>,
    kernel: Option<KernelLease>,
    /// Ends of recordings that the recorder had no room for.
    endings: Vec<(RecordId, Time, bool)>,
    /// By leg.
    ports: Vec<Option<Ports>>,
    /// Sockets that came with a command which has not claimed them yet.
    arriving: Option<(LegId, LegSockets)>,
    /// Tokens of receives to be armed again.
    rearm: Vec<u32>,
    /// Legs on their way out: their receives have ended for good, or could not be cancelled yet.
    leaving: Vec<LegIx>,
    /// A buffer for the next packet of our own making.
    spare: Option<Buffer>,
    last_expiry: Time,
    wakeups: u64,
    buffers_exhausted: u64,
}

impl WorkerThread {
    /// Sets the ring up, for the calling thread, and returns what wakes it.
    ///
    /// # Errors
    /// This machine lacks something that the ring needs; the text says what to do.
    pub(crate) fn new(setup: WorkerSetup, control: ControlLink) -> Result<(Self, Waker), SetupError> {
        let cpu = setup.cpu.filter(|&cpu| match pin_to_cpu(cpu as usize) {
            Ok(()) => true,
            Err(error) => {
                warn!(worker = control.worker, cpu, %error, "cannot pin the thread");
                false
            }
        });
        let mut ring = Ring::new(&setup.ring)?;
        if control.worker == 0 {
            for speed::Part { is_there, text } in speed::parts(&ring) {
                if is_there { info!("{text}") } else { warn!("{text}") }
            }
        }
        let waker = ring.waker();
        let steered = setup.steer.map(|steer| Steered::new(&mut ring, control.worker, steer)).transpose()?;
        let kernel = setup.kernel.as_ref().map(KernelRules::lease);
        let core = Worker::new(setup.core);
        let core = match setup.kernel {
            Some(rules) => {
                let patience = rules.patience();
                core.with_patient_kernel(Box::new(rules), patience)
            }
            None => core,
        };
        let mut thread = Self {
            cpu,
            clock: setup.clock,
            pace: Pace::new(setup.min_wait),
            ring,
            core,
            control,
            recorder: setup.recorder,
            steered,
            kernel,
            endings: Vec::new(),
            ports: Vec::new(),
            arriving: None,
            rearm: Vec::new(),
            leaving: Vec::new(),
            spare: None,
            last_expiry: Time(0),
            wakeups: 0,
            buffers_exhausted: 0,
        };
        thread.arm_steered();
        Ok((thread, waker))
    }

    /// Carries packets until control hangs up.
    ///
    /// # Errors
    /// The kernel refuses to go on with the ring.
    pub(crate) fn run(mut self) -> io::Result<()> {
        loop {
            let now = self.clock.now();
            if let Some(kernel) = &mut self.kernel {
                kernel.renew(now, self.clock);
            }
            let listening = self.control.flush();
            if listening && !self.take_commands(now) {
                break;
            }
            self.expire(now);
            self.retry();
            self.go_on_steering(now);
            self.control.flush();
            self.wait(now, listening)?;
            self.take_completions();
        }
        self.ring.submit()?;
        self.log_figures();
        Ok(())
    }

    /// Executes waiting commands. False when control has hung up.
    fn take_commands(&mut self, now: Time) -> bool {
        for _ in 0..COMMANDS_PER_ROUND {
            // When no buffer was free, what the last command brought is still to be claimed.
            if self.core.has_outputs() {
                break;
            }
            match self.control.commands.try_recv() {
                Ok(ToWorker { command, sockets }) => {
                    self.pace.on_command(now);
                    self.arriving = command.carries_sockets_of().zip(sockets);
                    self.core.handle_command(now, command);
                    self.act();
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    fn expire(&mut self, now: Time) {
        if self.core.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.last_expiry = now;
            self.core.handle_timeout(now);
            self.act();
        }
    }

    /// Goes on with what had to wait for buffers or for room in the ring.
    fn retry(&mut self) {
        if !self.rearm.is_empty() {
            // Buffers of packets that were sent come back with the submission.
            if let Err(error) = self.ring.submit() {
                warn!(worker = self.control.worker, %error, "the ring accepts nothing");
            }
            for token in std::mem::take(&mut self.rearm) {
                self.arm(token);
            }
        }
        let recorder = &self.recorder;
        self.endings.retain(|&(record, at, leg_ends)| !recorder.end(record, at, leg_ends));
        for leg in std::mem::take(&mut self.leaving) {
            self.leave(leg);
        }
        if self.core.has_outputs() {
            self.act();
        }
    }

    fn wait(&mut self, now: Time, listening: bool) -> io::Result<()> {
        let timer = self
            .core
            .poll_timeout()
            .map(|deadline| self.clock.until(deadline.max(self.last_expiry + TIMER_GRAIN_US)));
        // Without any time-out the kernel would end a gathering wait with nothing gathered.
        let longest = self.longest_wait(listening);
        let timeout = timer.map_or(longest, |timer| timer.min(longest));
        let gather = self.pace.gather(now, self.core.has_splices());
        let batch = gather.map_or(1, |gather| gather.batch);
        self.ring.submit_and_wait(batch, Some(timeout), gather.map(|gather| gather.longest))?;
        self.wakeups += 1;
        Ok(())
    }

    /// How long nothing but the kernel, a command or a timer need wake it.
    fn longest_wait(&self, listening: bool) -> Duration {
        let unfinished = !listening
            || !self.rearm.is_empty()
            || !self.leaving.is_empty()
            || !self.endings.is_empty()
            || self.core.has_outputs()
            || self.steered.as_ref().is_some_and(Steered::is_unfinished)
            || !self.control.commands.is_empty();
        let rest = self.kernel.as_ref().and_then(KernelLease::sleep).unwrap_or(LONGEST_WAIT);
        if unfinished { RETRY_AFTER } else { rest }
    }

    fn take_completions(&mut self) {
        let now = self.clock.now();
        let mut completions = 0;
        while let Some(completion) = self.ring.next_completion() {
            completions += 1;
            match completion {
                Completion::Datagram(datagram) => self.take_datagram(now, datagram),
                Completion::ReceiveEnded { token, reason } => self.on_receive_ended(token, reason),
                Completion::SendFailed { token, .. } => self.core.handle_send_failed(parse_token(token).0),
                Completion::Woken => {}
            }
        }
        self.pace.count(now, completions);
    }

    fn take_datagram(&mut self, now: Time, datagram: Datagram) {
        let (leg, socket) = if datagram.token == STEERED {
            let Some(leg) = self.leg_of_steered(&datagram) else { return };
            (leg, Socket::Rtp)
        } else {
            parse_token(datagram.token)
        };
        let Datagram { source, truncated, mut buffer, .. } = datagram;
        if truncated {
            self.core.handle_truncated(leg, socket);
            return;
        }
        match socket {
            Socket::Rtp => {
                let verdict = self.core.handle_rtp(now, leg, source, &mut buffer);
                self.pace.on_verdict(now, verdict);
                if let Some(tap) = self.core.take_tap() {
                    self.recorder.add(&tap, &buffer);
                }
                if let Verdict::Forward { to, len, address } = verdict {
                    self.send(to, Socket::Rtp, buffer, len, address);
                }
            }
            Socket::Rtcp => self.core.handle_rtcp(now, leg, source, &buffer),
        }
        self.act();
    }

    /// Does what the core asks for, as long as there are buffers.
    fn act(&mut self) {
        loop {
            let Some(mut buffer) = self.spare.take().or_else(|| self.ring.buffer()) else { return };
            buffer.resize(PACKET_BYTES).expect("send buffers hold the largest packet");
            let Some(output) = self.core.poll_output(&mut buffer) else {
                self.spare = Some(buffer);
                // A leg that was refused has left its sockets here: they close.
                self.arriving = None;
                return;
            };
            if let Some(tap) = self.core.take_tap() {
                self.recorder.add(&tap, &buffer);
            }
            match output {
                WorkerOutput::Transmit { leg, socket, len, address } => {
                    self.send(leg, socket, buffer, len, address);
                    continue;
                }
                WorkerOutput::Arm { leg, id } => self.enter(leg, id),
                WorkerOutput::Disarm { leg } => self.disarm(leg),
                WorkerOutput::Connect { leg, socket, address } => self.connect(leg, socket, address),
                WorkerOutput::Disconnect { leg, socket } => self.disconnect(leg, socket),
                WorkerOutput::Park { leg, keep_one_in, telephone_event, rtcp_mux } => {
                    self.park(leg, keep_one_in, telephone_event, rtcp_mux);
                }
                WorkerOutput::Unpark { leg } => self.unpark(leg),
                WorkerOutput::Heard => {}
                WorkerOutput::RecordEnd { record, at, leg_ends } => self.endings.push((record, at, leg_ends)),
                WorkerOutput::Report(report) => self.report(report),
            }
            self.spare = Some(buffer);
        }
    }

    fn send(
        &mut self,
        leg: LegIx,
        socket: Socket,
        mut buffer: Buffer,
        mut len: usize,
        address: Option<SocketAddr>,
    ) {
        if self.core.is_secure(leg) {
            let room = (len + SRTP_OVERHEAD_BYTES).min(buffer.capacity());
            buffer.resize(room).expect("it is the capacity at most");
            let Some(sealed) = self.core.seal(leg, socket, &mut buffer, len) else { return };
            len = sealed;
        }
        if buffer.resize(len).is_err() || !self.queue(leg, socket, buffer, address) {
            self.core.handle_send_failed(leg);
        }
    }

    /// Queues a packet on its way out. Whether that was done.
    fn queue(&mut self, leg: LegIx, socket: Socket, buffer: Buffer, address: Option<SocketAddr>) -> bool {
        let buffer = match socket {
            Socket::Rtp if self.steered.is_some() => match self.send_steered(leg, buffer, address) {
                Ok(sent) => return sent,
                Err(buffer) => buffer,
            },
            Socket::Rtp | Socket::Rtcp => buffer,
        };
        let Some(slot) = self.slot(leg, socket) else { return false };
        match address {
            Some(address) => self.ring.send_to(slot, token(leg, socket), buffer, address).is_ok(),
            None => self.ring.send(slot, token(leg, socket), buffer).is_ok(),
        }
    }

    fn report(&mut self, report: WorkerReport) {
        let report = match report {
            WorkerReport::Info { op, mut info } => {
                self.complete(&mut info);
                WorkerReport::Info { op, info }
            }
            other => other,
        };
        self.control.send(report, None);
    }

    /// Adds what only the thread knows.
    fn complete(&self, info: &mut WorkerInfo) {
        info.cpu = self.cpu;
        info.cpu_us = thread_cpu_ns() / 1_000;
        info.wakeups = self.wakeups;
        info.buffers_exhausted = self.buffers_exhausted;
        if let Some(kernel) = &self.kernel {
            info.kernel_rules = kernel.figures().rules();
            info.kernel_packets = kernel.figures().packets();
        }
    }

    fn log_figures(&self) {
        let mut figures = self.core.info();
        self.complete(&mut figures);
        info!(figures = %serde_json::to_string(&figures).unwrap_or_default(), "worker stopped");
    }
}

/// Longest packet that is made here.
pub(crate) const PACKET_BYTES: usize = offhook_engine_core::limits::PACKET_BYTES;

const COMMANDS_PER_ROUND: usize = 256;
/// Timers that are due within so many microseconds share a wake-up.
const TIMER_GRAIN_US: u64 = 1_000;
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
const RETRY_AFTER: Duration = Duration::from_millis(1);
