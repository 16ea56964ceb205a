//! The engine's one director: requests in, replies and events out, workers told what to do.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use offhook_proto::{Codec, Error};

use crate::{EncodedPrompt, LegId, OpId, PromptId, Time, WorkerCommand, WorkerReport};

/// What the director needs to know at start.
#[derive(Clone, Debug)]
pub struct DirectorConfig {
    /// Random name of this run of the engine.
    pub instance: String,
    /// Version of the software.
    pub version: String,
    /// Media addresses; the first is where legs go that name none.
    pub addresses: Vec<IpAddr>,
    /// Ports of the legs, for each address.
    pub ports: PortRange,
    /// How many workers there are.
    pub workers: u16,
    /// Legs in the engine at most.
    pub max_legs: usize,
    /// Seed of SSRCs, first sequence numbers and the order of ports. Unpredictable to others.
    pub seed: [u8; 32],
}

/// UDP ports from `first` to `last`, both included. RTP takes the even ones, RTCP the odd ones above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// Lowest.
    pub first: u16,
    /// Highest.
    pub last: u16,
}

/// Why a port pair could not be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindError {
    /// Somebody else has one of the ports: another pair is tried.
    InUse,
    /// The operating system refused, in a sentence.
    System(String),
}

/// What the director's shell has to do.
#[derive(Debug)]
pub enum DirectorOutput {
    /// Send a datagram of the control protocol: `cookie SP dictionary`, to be signed where the socket has a key.
    Send {
        /// Receiver.
        to: SocketAddr,
        /// The datagram, unsigned.
        datagram: Vec<u8>,
    },
    /// Hand a command to a worker, in order. Sockets kept for [`WorkerCommand::carries_sockets_of`] go with it.
    ToWorker {
        /// Which worker, from 0.
        worker: u16,
        /// What to do.
        command: WorkerCommand,
    },
    /// Bind a leg's sockets, keep them by `leg`, and answer with [`Director::handle_bound`].
    Bind {
        /// Operation to answer.
        op: OpId,
        /// Leg to keep the sockets for.
        leg: LegId,
        /// Where it receives RTP.
        rtp: SocketAddr,
        /// Where it receives RTCP.
        rtcp: SocketAddr,
    },
    /// Load a WAV file and answer with [`Director::handle_prompt`].
    LoadPrompt {
        /// What to answer to.
        prompt: PromptId,
        /// Name relative to the prompt directory, as the controller gave it.
        file: String,
        /// Encoding wanted.
        codec: Codec,
    },
}

/// The engine's one director. Driven like [`crate::Worker`]: one input with the time, then outputs until there are none, then
/// the next deadline.
#[derive(Debug)]
pub struct Director {
    outputs: VecDeque<DirectorOutput>,
}

impl Director {
    /// A director without legs.
    pub fn new(_now: Time, _config: DirectorConfig) -> Self {
        Self { outputs: VecDeque::new() }
    }

    /// Takes one datagram, `cookie SP dictionary`, that the edge has let in.
    pub fn handle_datagram(&mut self, _now: Time, _source: SocketAddr, _datagram: &[u8]) {}

    /// Takes one request whose signature the edge has taken off.
    pub fn handle_request(&mut self, _now: Time, _source: SocketAddr, _cookie: &str, _dictionary: &[u8]) {}

    /// Counts a datagram that the edge refused.
    pub fn count_refused(&mut self) {}

    /// Takes a worker's report.
    pub fn handle_report(&mut self, _now: Time, _worker: u16, _report: WorkerReport) {}

    /// Takes the result of [`DirectorOutput::Bind`].
    pub fn handle_bound(&mut self, _now: Time, _op: OpId, _result: Result<(), BindError>) {}

    /// Takes the result of [`DirectorOutput::LoadPrompt`].
    pub fn handle_prompt(
        &mut self,
        _now: Time,
        _prompt: PromptId,
        _result: Result<Arc<EncodedPrompt>, Error>,
    ) {
    }

    /// Closes every leg, each with an RTCP BYE: the engine is about to stop. Requests are refused from now on.
    pub fn handle_shutdown(&mut self, _now: Time) {}

    /// How many legs are open. 0 after a shutdown means that every BYE has been handed over.
    pub fn legs(&self) -> usize {
        0
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Time) {}

    /// When to call [`Director::handle_timeout`]; none when nothing is planned.
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<DirectorOutput> {
        self.outputs.pop_front()
    }
}
