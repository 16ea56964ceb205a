//! One worker: the legs of one thread.

use std::collections::VecDeque;
use std::net::SocketAddr;

use offhook_proto::WorkerInfo;
use slab::Slab;

use crate::leg::Leg;
use crate::{Disarmed, LegIx, Socket, Time, Verdict, WorkerCommand, WorkerOutput};

/// What a worker needs to know at start.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Index of the worker, from 0.
    pub worker: u16,
    /// Microseconds between 1970-01-01 UTC and [`Time`] 0, for the NTP timestamps of sender reports.
    pub unix_us_at_start: u64,
    /// Seed of everything that is spread at random.
    pub seed: u64,
    /// Legs that it can hold at once.
    pub max_legs: usize,
}

/// One worker: the legs of one thread.
///
/// Driven by its shell: give one input with the time, then poll outputs until there are none, then wait for the next input
/// or [`Worker::poll_timeout`]. A [`Verdict`] is acted on before the outputs are polled.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    legs: Slab<Box<Leg>>,
    outputs: VecDeque<WorkerOutput>,
}

impl Worker {
    /// A worker without legs.
    pub fn new(config: WorkerConfig) -> Self {
        Self { config, legs: Slab::new(), outputs: VecDeque::new() }
    }

    /// Takes one RTP packet as received by `leg` and rewrites it in place for whoever hears it.
    pub fn handle_rtp(
        &mut self,
        _now: Time,
        _leg: LegIx,
        _source: SocketAddr,
        _packet: &mut [u8],
    ) -> Verdict {
        Verdict::Consume
    }

    /// Takes one RTCP packet as received by `leg`.
    pub fn handle_rtcp(&mut self, _now: Time, _leg: LegIx, _source: SocketAddr, _packet: &[u8]) {}

    /// Counts a datagram that was larger than the receive buffer.
    pub fn handle_truncated(&mut self, _leg: LegIx, _socket: Socket) {}

    /// Counts a packet that the kernel refused to send from `leg`.
    pub fn handle_send_failed(&mut self, _leg: LegIx) {}

    /// Takes note that a [`WorkerOutput::Connect`] failed: the socket is sent from by address.
    pub fn handle_connect_failed(&mut self, _leg: LegIx, _socket: Socket) {}

    /// Takes note that a leg's socket is broken for good.
    pub fn handle_socket_failed(&mut self, _leg: LegIx, _reason: String) {}

    /// Executes one command.
    pub fn handle_command(&mut self, _now: Time, _command: WorkerCommand) {}

    /// Ends the stay of a leg after [`WorkerOutput::Disarm`]: nothing more can come from its sockets. None when the leg was not
    /// leaving.
    pub fn handle_disarmed(&mut self, _now: Time, _leg: LegIx) -> Option<Disarmed> {
        None
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Time) {}

    /// When to call [`Worker::handle_timeout`]; none when nothing is planned.
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }

    /// The next thing to do. `buffer` takes the bytes of a [`WorkerOutput::Transmit`] and must hold
    /// [`crate::limits::PACKET_BYTES`].
    pub fn poll_output(&mut self, _buffer: &mut [u8]) -> Option<WorkerOutput> {
        self.outputs.pop_front()
    }

    /// Its figures.
    pub fn info(&self) -> WorkerInfo {
        WorkerInfo { worker: self.config.worker, legs: self.legs.len() as u64, ..WorkerInfo::default() }
    }
}
