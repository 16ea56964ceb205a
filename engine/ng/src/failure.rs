//! Why a request fails, in rtpengine's words where clients match on them.

use offhook_proto::{Error, ErrorCode};

use crate::value::Dict;

/// Why a request fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A sentence.
    Error(String),
    /// The engine is full: a proxy tries another one.
    LoadLimit(&'static str),
}

impl Failure {
    pub(crate) fn error(reason: impl Into<String>) -> Self {
        Self::Error(reason.into())
    }

    /// The reply. A full engine is a result of its own for clients that know it, and for the others the one error that they try
    /// the next engine on.
    pub(crate) fn reply(self, supports_load_limit: bool) -> Dict {
        match self {
            Self::LoadLimit(reason) if supports_load_limit => {
                Dict::default().with("result", "load limit").with("message", reason)
            }
            Self::LoadLimit(_) => Dict::default().with("result", "error").with("error-reason", SESSION_LIMIT),
            Self::Error(reason) => Dict::default().with("result", "error").with("error-reason", reason),
        }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match error.code {
            ErrorCode::OutOfPorts => Self::error(OUT_OF_PORTS),
            ErrorCode::TooManyLegs => Self::LoadLimit(SESSION_LIMIT),
            ErrorCode::Busy => Self::LoadLimit(LOAD_LIMIT),
            ErrorCode::BadPrompt => Self::error("Failed to start media playback from file"),
            ErrorCode::BadRequest
            | ErrorCode::BadValue
            | ErrorCode::LegNotFound
            | ErrorCode::LegExists
            | ErrorCode::AlreadySpliced
            | ErrorCode::NotSpliced
            | ErrorCode::AlreadySupervised
            | ErrorCode::SameLeg
            | ErrorCode::CodecMismatch
            | ErrorCode::Unauthorized
            | ErrorCode::System
            | ErrorCode::BadReply
            | ErrorCode::Timeout => Self::error(error.reason.clone()),
        }
    }
}

/// Kamailio and OpenSIPS try another engine on these very words.
pub(crate) const OUT_OF_PORTS: &str = "Ran out of ports";
pub(crate) const SESSION_LIMIT: &str = "Parallel session limit reached";
pub(crate) const LOAD_LIMIT: &str = "Load limit exceeded";
pub(crate) const UNKNOWN_CALL: &str = "Unknown call-id";
