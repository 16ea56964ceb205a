//! What the director remembers of agents, requested calls, and calls that reached a customer.

use std::net::SocketAddr;

use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::media::EndpointId;
use crate::plan::{Behaviour, Kind};
use crate::sip::{CallKey, Remote};

/// An agent's telephone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Phone {
    OnHook,
    Ringing(CallKey),
    OffHook(CallKey),
}

/// How far an agent has come through its morning.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) enum Morning {
    Waiting,
    Created,
    Registered,
    LoggedIn,
    Available,
}

/// An agent: phone and console.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) auto_accept: bool,
    pub(crate) pin: bool,
    pub(crate) local: SocketAddr,
    pub(crate) phone: Phone,
    pub(crate) morning: Morning,
    /// As last told by control.
    pub(crate) status: String,
    pub(crate) connection: String,
    /// The offer that is being considered.
    pub(crate) offer: Option<String>,
    /// Changes with every status, so that a timer set for an earlier one is recognised.
    pub(crate) status_epoch: u32,
    pub(crate) pin_heard: String,
    /// When its first INVITE came, and when it was first off hook.
    pub(crate) asked_ms: Option<u64>,
    pub(crate) off_hook_ms: Option<u64>,
}

/// How a requested call came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Talked,
    EarlyHangup,
    Busy,
    NoAnswer,
    Declined,
    NotInUse,
    /// Control gave up while the customer's phone rang.
    CancelledByControl,
    /// The customer answered, waited, heard no agent, and hung up.
    NeverJoined,
    /// REST refused the request.
    RequestRefused,
    /// Control refused an inbound call.
    CallRefused,
    /// A SIP message that had to come never came.
    SipTimeout,
    /// The customer's phone never rang before the end of the run.
    NeverDialled,
    /// It was still going on when the drain time was over.
    Unfinished,
}

/// A call that the plan wants made.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) kind: Kind,
    pub(crate) number: String,
    pub(crate) behaviour: Behaviour,
    /// What control calls it.
    pub(crate) id: Option<String>,
    pub(crate) outcome: Option<Outcome>,
    /// Control died before it answered the request.
    pub(crate) unanswered: bool,
    pub(crate) attempts: u32,
}

/// One telephone call with a customer.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) order: usize,
    pub(crate) endpoint: EndpointId,
    pub(crate) call: CallKey,
    /// None: refused without opening a port.
    pub(crate) local: Option<SocketAddr>,
    pub(crate) remote: Option<Remote>,
    pub(crate) answered_ms: Option<u64>,
    /// First agent that heard it, or that it heard.
    pub(crate) agent: Option<usize>,
    /// When the agent was told to hang up.
    pub(crate) hangup_asked_ms: Option<u64>,
    pub(crate) ended_ms: Option<u64>,
}

/// A second of the run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Sample {
    pub(crate) at_s: f64,
    pub(crate) off_hook: usize,
    /// Customers whose phone rings or who have answered.
    pub(crate) customers: usize,
    pub(crate) conversations: usize,
    pub(crate) sent_per_s: f64,
    pub(crate) heard_per_s: f64,
    pub(crate) engine_cores: f64,
    pub(crate) control_cores: f64,
    pub(crate) harness_cores: f64,
    pub(crate) violations: u64,
}
