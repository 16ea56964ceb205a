//! SIP: calls in and out over UDP and TCP, the registrar of the phones, the trunk.
//!
//! [`SipPort`] takes [`SipCommand`](offhook_control_core::sip::SipCommand)s and gives back
//! [`Input`](offhook_control_core::Input)s: calls, not messages. It writes and reads SDP, answers challenges, retransmits,
//! refreshes sessions and registrations, and settles races (a 2xx after CANCEL, forked 2xx, BYE against BYE, glare).
//! It decides nothing about calls. Each call is one task with one inbox.
//!
//! Messages, transactions and the set-up of outgoing calls are the stack's (`rsipstack`); confirmed dialogs are kept here.

mod answer;
mod asking;
mod backlog;
mod cause;
mod config;
mod connections;
mod dialog;
mod digest;
mod door;
mod established;
mod flow;
mod flows;
mod incoming;
mod inspect;
mod legible;
mod limits;
mod merged;
mod negotiate;
mod outgoing;
mod phone;
mod pieces;
mod port;
mod probe;
mod registrar;
mod registration;
mod reliable;
mod request;
mod resumed;
mod route;
mod router;
mod sdp;
mod sdp_error;
mod secrets;
mod session_timer;
mod set_up;
mod shared;
mod snapshot;
mod socket;
#[doc(hidden)]
pub mod strangers;
mod taking_up;
mod tcp;
mod text;
mod trunk;
mod trunk_probe;
mod unreachable;
mod unread;
mod vital;

pub use config::{Clock, Credentials, SipConfig, TrunkConfig, TrunkCredential, TrunkTransport};
pub use digest::Algorithm;
pub use inspect::LOG_FILTER;
pub use port::{Counts, SipPort};
pub use secrets::Security;
