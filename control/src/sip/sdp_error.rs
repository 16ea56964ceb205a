//! What is wrong with a session description.

/// Why a session description cannot be used. Each means 488 to an offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SdpError {
    /// Not SDP, or too long.
    #[error("the session description cannot be read: {0}")]
    Malformed(String),
    /// No audio stream with a port, secured as configured.
    #[error("the session description has no audio stream that may be used")]
    NoAudio,
    /// An answer without a key to an offer that demanded one.
    #[error("the answer is not encrypted as it was offered")]
    NotSecure,
    /// No encoding in common.
    #[error("no audio encoding in common")]
    NoCommonCodec,
    /// No `c=` line, or a host name or the address of no single host in it.
    #[error("the session description names no IP address of one host")]
    NoAddress,
    /// We cannot send there from where we are.
    #[error("the session description is of another IP version than ours")]
    OtherVersion,
}

impl SdpError {
    /// Its code in a Warning header (RFC 3261 section 20.43).
    pub(crate) fn warning_code(&self) -> u16 {
        match self {
            Self::Malformed(_) => 399,
            Self::NoAudio => 304,
            Self::NotSecure => 302,
            Self::NoCommonCodec => 305,
            Self::NoAddress => 301,
            Self::OtherVersion => 300,
        }
    }
}
