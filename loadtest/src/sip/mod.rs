//! SIP of the harness's own: enough of RFC 3261 to be a phone or a carrier, and nothing shared with the product under test.
//!
//! [`UserAgent`] is driven: hand it messages and the time, then drain what it wants sent and what happened. It owns no
//! socket and reads no clock; [`crate::wire`] carries its messages, over UDP or TCP.

mod call;
mod digest;
mod message;
mod requests;
mod sdp;
pub(crate) mod stream;
mod transactions;
mod user_agent;

pub use sdp::{Remote, describe};
pub use user_agent::UserAgent;

/// Names one call of one user agent.
pub type CallKey = u64;

/// What carries SIP: datagrams, or one connection for everything between two addresses, as SIPp's `-t u1` and `-t t1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// Datagrams; what is lost is sent again.
    #[default]
    Udp,
    /// Connections, which lose nothing (RFC 3261 section 18).
    Tcp,
}

impl Transport {
    /// As configurations and URIs write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// What happened, for the owner of a [`UserAgent`].
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The registrar accepted the binding.
    Registered {
        /// Who.
        user: String,
    },
    /// The registrar refused; 408 when it never answered.
    RegisterFailed {
        /// Who.
        user: String,
        /// Its final response.
        code: u16,
    },
    /// A call is waiting to be rung, answered or rejected.
    Incoming {
        /// Its name from here on.
        call: CallKey,
        /// Whom it is for.
        to_user: String,
        /// Who calls.
        from_user: String,
        /// Where they want their audio; none when there is nothing usable.
        offer: Option<Remote>,
    },
    /// Our call has a provisional response.
    Progress {
        /// Which.
        call: CallKey,
        /// 100 to 199.
        code: u16,
    },
    /// Our call was answered.
    Answered {
        /// Which.
        call: CallKey,
        /// Where they want their audio; none when there is nothing usable.
        remote: Option<Remote>,
    },
    /// The caller has acknowledged our answer.
    Confirmed {
        /// Which.
        call: CallKey,
    },
    /// The other side has moved or changed its media; already answered.
    Reoffered {
        /// Which.
        call: CallKey,
        /// Where they want their audio now; none when there is nothing usable.
        remote: Option<Remote>,
    },
    /// The call is over and its key is dead.
    Ended {
        /// Which.
        call: CallKey,
        /// Why.
        cause: Cause,
    },
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause {
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
pub struct SipCounters {
    /// Messages sent, repeated ones among them.
    pub sent: u64,
    /// Messages received, repeated ones among them.
    pub received: u64,
    /// Messages sent again because no answer came.
    pub retransmissions_sent: u64,
    /// Messages that had come before.
    pub retransmissions_received: u64,
    /// What was no SIP message.
    pub unreadable: u64,
    /// Messages that fit no call or transaction.
    pub unexpected: u64,
    /// Transactions that nobody answered.
    pub timeouts: u64,
}
