//! The SIP port: calls, not messages. The adaptor below it writes and parses SDP and handles transactions.

use std::net::SocketAddr;

use offhook_proto::{Media, Remote, Srtp};
use serde::{Deserialize, Serialize};

use crate::CallId;

/// Whom to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A phone that registered here, by its user name.
    Registered {
        /// User part of the address of record.
        aor: String,
    },
    /// A SIP URI, called directly.
    Uri(String),
    /// A telephone number through the trunk.
    Trunk {
        /// As dialled, `+` and digits.
        number: String,
    },
}

/// Our side of a call's media.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalMedia {
    /// Where the engine receives RTP.
    pub rtp: SocketAddr,
    /// Where the engine receives RTCP.
    pub rtcp: SocketAddr,
    /// Encodings offered, best first; in an answer the first one that the peer offered too is taken.
    pub media: Vec<Media>,
    /// Version in the SDP's `o=` line (RFC 4566 section 5.2); rises with each change.
    pub session_version: u64,
}

/// The peer's side of a call's media.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteMedia {
    /// Where it receives.
    pub remote: Remote,
    /// Encoding that offer and answer agreed on.
    pub media: Media,
    /// Direction, as seen by the peer.
    pub direction: Direction,
    /// Encryption that they agreed on, with the keys of both sides.
    pub srtp: Srtp,
    /// Whether both send RTCP to the RTP port.
    pub rtcp_mux: bool,
}

/// Direction attribute (RFC 3264), as the peer wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Sends and receives.
    #[default]
    SendRecv,
    /// Only sends: we are on hold.
    SendOnly,
    /// Only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// What the core asks of one call.
#[derive(Clone, Debug, PartialEq)]
pub enum SipCommand {
    /// Place the call.
    Dial {
        /// Whom.
        target: Target,
        /// Number or user shown as caller; the trunk's own when absent.
        caller_id: Option<String>,
        /// Name shown as caller.
        display: Option<String>,
        /// Our offer.
        local: LocalMedia,
        /// Tell the phone to answer by itself.
        auto_answer: bool,
        /// Milliseconds of ringing after which the adaptor cancels and reports `Failed` with status 408.
        ring_timeout_ms: u32,
        /// The call before to the same agent's phone: what was asked of it, above all to end, goes out first. That is the shell's to
        /// keep ([`crate::Output::after`]), not the adaptor's.
        after: Option<CallId>,
    },
    /// Tell the caller that it rings (180), or let it hear early media (183).
    Ring {
        /// Our side, for early media.
        early: Option<LocalMedia>,
    },
    /// Take an incoming call.
    Answer {
        /// Our answer, or our offer when the caller made none.
        local: LocalMedia,
    },
    /// Refuse an incoming call.
    Reject {
        /// SIP status, 400 to 699.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
    /// End the call: CANCEL before the answer, BYE after it. A late 200 after the CANCEL gets ACK and BYE from the adaptor;
    /// the core hears `Ended` or `Failed` once.
    HangUp {
        /// For the Reason header (RFC 3326) and the log.
        reason: String,
    },
    /// Offer other media in a running call.
    ReOffer {
        /// Our new side.
        local: LocalMedia,
    },
    /// Ask whether the peer of an answered call is there, by OPTIONS in the dialog (RFC 3261 section 11.2). Told as `Alive` when
    /// it is, as `Ended` when it knows of no such call, and not at all when it says nothing.
    Probe,
    /// Take up a dialog of an earlier run. Answered with `Restored` or `RestoreFailed`.
    Restore {
        /// As in the last `Snapshot`.
        snapshot: String,
    },
    /// Go on with an INVITE of an earlier run. Answered with `Ringing`, or with `Trying` where no ringing was heard, then as `Dial`
    /// is, or, when nobody knows what became of it, with `RestoreFailed`; or with that at once.
    Resume {
        /// As in the last `SettingUp`.
        set_up: String,
    },
}

/// What happened to one call. One of `Failed`, `Ended` and `RestoreFailed` is its last event.
#[derive(Clone, Debug, PartialEq)]
pub enum SipEvent {
    /// Somebody calls.
    Incoming {
        /// Calling number or user.
        from: String,
        /// Called number (DNIS).
        to: String,
        /// The caller's offer; none when the INVITE had no SDP.
        remote: Option<RemoteMedia>,
        /// Whether it came from the trunk.
        trunk: bool,
        /// Further headers of interest, name and value.
        headers: Vec<(String, String)>,
    },
    /// 100, or an INVITE that was taken up and has had no other response.
    Trying,
    /// 180 to 183 without media.
    Ringing,
    /// 18x with media.
    EarlyMedia(RemoteMedia),
    /// 2xx, in either direction.
    Answered {
        /// The peer's side.
        remote: RemoteMedia,
        /// When the 200 OK was received (or sent), in microseconds on the clock of [`crate::Now`].
        at_mono_us: u64,
    },
    /// The peer has answered a `Probe`: it is there.
    Alive,
    /// The peer changed its media (re-INVITE or UPDATE); the adaptor has answered.
    Updated(RemoteMedia),
    /// The call was not answered.
    Failed {
        /// SIP status, 300 to 699; 408 also for our own ring timeout, 487 after our own `HangUp`.
        status: u16,
        /// Reason phrase.
        reason: String,
        /// True when no peer answered at all: no route, refused, transaction timeout, not registered (status 480).
        network: bool,
        /// Cause of ITU-T Q.850, 1 to 127, where the answer carried one (RFC 3326).
        cause: Option<u8>,
    },
    /// The answered call ended.
    Ended {
        /// Whether the peer hung up.
        by_peer: bool,
        /// Why.
        reason: String,
    },
    /// State of an INVITE of ours, sent or sent again; what `Resume` needs, until the first `Snapshot`. Opaque to the core.
    SettingUp {
        /// At most [`crate::limits::SNAPSHOT_BYTES`].
        data: String,
    },
    /// State of a confirmed dialog, new or changed; what `Restore` needs. Opaque to the core.
    Snapshot {
        /// At most [`crate::limits::SNAPSHOT_BYTES`].
        data: String,
    },
    /// The dialog lives on.
    Restored,
    /// It does not.
    RestoreFailed {
        /// Why.
        reason: String,
    },
}
