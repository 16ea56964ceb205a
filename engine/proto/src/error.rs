//! Why a request was refused.

use serde::{Deserialize, Serialize};

/// A refusal: a code to act on and a sentence to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct Error {
    /// What a program can act on.
    #[serde(rename = "error")]
    pub code: ErrorCode,
    /// What a person can read.
    #[serde(rename = "error-reason")]
    pub reason: String,
}

/// What a program can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The datagram is not a request: no cookie, no JSON, no such command, a field that is missing or of another kind.
    BadRequest,
    /// A field has a value outside its range.
    BadValue,
    /// No leg of this name.
    LegNotFound,
    /// A leg of this name exists with other parameters.
    LegExists,
    /// The leg is joined to a third one.
    AlreadySpliced,
    /// The leg is not joined to the one that the request is about, or to none.
    NotSpliced,
    /// Somebody else supervises the pair.
    AlreadySupervised,
    /// A leg cannot be joined to itself.
    SameLeg,
    /// No port pair left in the range.
    OutOfPorts,
    /// The limit of legs is reached.
    TooManyLegs,
    /// The codec library refuses to encode a prompt or tone for this leg.
    CodecMismatch,
    /// No such file under the prompt directory, or it is not a WAV that can be read.
    BadPrompt,
    /// A worker or queue is full; try again.
    Busy,
    /// The signature is missing, wrong or outside its time window.
    Unauthorized,
    /// The operating system refused.
    System,
    /// The reply has another shape than the command's.
    BadReply,
    /// No reply within the time allowed.
    Timeout,
}

impl Error {
    /// A refusal with a code and a sentence.
    pub fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    pub(crate) fn bad_reply(error: &serde_json::Error) -> Self {
        Self::new(ErrorCode::BadReply, format!("the reply has another shape than expected: {error}"))
    }
}
