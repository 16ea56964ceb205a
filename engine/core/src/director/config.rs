//! What the director needs to know at start, and what its shell has to do.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use offhook_proto::RecordMode;

use crate::{LegId, OpId, PromptForm, PromptId, RecordId, WorkerCommand};

/// What the director needs to know at start.
#[derive(Clone, Debug)]
pub struct DirectorConfig {
    /// Random name of this run of the engine.
    pub instance: String,
    /// Version of the software.
    pub version: String,
    /// Media addresses; the first, of the IP version of their peers, is where legs go that name none.
    pub addresses: Vec<IpAddr>,
    /// What peers are told in place of a media address, where this host is behind a NAT that keeps ports.
    pub advertised: HashMap<IpAddr, IpAddr>,
    /// Ports of the legs, for each address.
    pub ports: PortRange,
    /// How many workers there are, at least one.
    pub workers: u16,
    /// Legs in the engine at most.
    pub max_legs: usize,
    /// Legs on one worker at most.
    pub max_legs_per_worker: usize,
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
    /// Bind a leg's sockets, keep them by `leg`, and answer with [`crate::Director::handle_bound`].
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
    /// Make a recording's file and answer with [`crate::Director::handle_recording`].
    OpenRecording {
        /// Operation to answer.
        op: OpId,
        /// The recording.
        record: RecordId,
        /// Its leg.
        leg: String,
        /// Name relative to the recording directory, as the controller gave it.
        file: String,
        /// What goes into it.
        mode: RecordMode,
        /// Samples a second.
        rate_hz: u32,
    },
    /// Complete a recording's file to which nothing will be added: its leg has gone meanwhile.
    CloseRecording {
        /// The recording.
        record: RecordId,
    },
    /// Load a WAV file and answer with [`crate::Director::handle_prompt`].
    LoadPrompt {
        /// What to answer to.
        prompt: PromptId,
        /// Name relative to the prompt directory, as the controller gave it.
        file: String,
        /// What it is to be encoded as.
        form: PromptForm,
    },
}
