//! SIP of the harness's own: enough of RFC 3261 to be a phone or a carrier, and nothing shared with the product under test.
//!
//! [`UserAgent`] is driven: hand it datagrams and the time, then drain what it wants sent and what happened. It owns no
//! socket and reads no clock.

mod call;
mod digest;
mod message;
mod requests;
mod sdp;
mod transactions;
mod user_agent;

pub(crate) use sdp::{Remote, describe};
pub(crate) use user_agent::UserAgent;

/// Names one call of one user agent.
pub(crate) type CallKey = u64;

/// What happened, for the owner of a [`UserAgent`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// The registrar accepted the binding.
    Registered { user: String },
    /// The registrar refused; 408 when it never answered.
    RegisterFailed { user: String, code: u16 },
    /// A call for `to_user` is waiting to be rung, answered or rejected. `offer` is empty when there is no usable audio.
    Incoming { call: CallKey, to_user: String, from_user: String, offer: Option<Remote>, auto_answer: bool },
    /// Our call has a provisional response.
    Progress { call: CallKey, code: u16 },
    /// Our call was answered.
    Answered { call: CallKey, remote: Option<Remote> },
    /// The caller has acknowledged our answer.
    Confirmed { call: CallKey },
    /// The other side has moved or changed its media; already answered.
    Reoffered { call: CallKey, remote: Option<Remote> },
    /// The call is over and its key is dead.
    Ended { call: CallKey, cause: Cause },
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cause {
    /// The other side sent BYE.
    ByeReceived,
    /// Our BYE was answered.
    ByeAnswered,
    /// The caller gave up before we answered.
    Cancelled,
    /// Our call got this final response.
    Refused(u16),
    /// We refused the call.
    WeRefused,
    /// A response or an ACK never came.
    TimedOut,
}

/// What went wrong without ending anything; printed in the report.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(crate) struct SipCounters {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) retransmissions_sent: u64,
    pub(crate) retransmissions_received: u64,
    pub(crate) unreadable: u64,
    pub(crate) unexpected: u64,
    pub(crate) timeouts: u64,
}
