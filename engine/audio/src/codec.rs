//! Codecs: the facts about each, and objects that encode and decode.

mod decoder;
mod encoder;
pub mod g722;
mod opus;

pub use decoder::Decoder;
pub use encoder::{Encoder, OpusConfig};
pub use opus::{OpusDecode, OpusEncode};

/// An audio codec of the engine, mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    /// Opus (RFC 6716, RTP by RFC 7587).
    Opus,
    /// 16-bit linear in network order (RFC 3551 §4.5.11).
    L16 {
        /// Sample rate, which is the clock rate too: 8,000 to 48,000.
        rate_hz: u32,
    },
}

/// Why a codec could not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The rate or setting is none that the codec has.
    #[error("the codec does not support this rate or setting")]
    Unsupported,
    /// The payload is not what the codec writes.
    #[error("the payload is malformed")]
    Malformed,
    /// The output has no room for the result.
    #[error("the output is too short")]
    TooShort,
}

impl Codec {
    /// The codec of an encoding name (either case) and clock rate, as in `a=rtpmap`; `None` if the engine has none.
    #[must_use]
    pub fn from_rtpmap(name: &str, clock_rate_hz: u32) -> Option<Self> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match clock_rate_hz {
            8000 if is("PCMU") => Some(Self::Pcmu),
            8000 if is("PCMA") => Some(Self::Pcma),
            8000 if is("G722") => Some(Self::G722),
            48_000 if is("opus") => Some(Self::Opus),
            rate_hz if is("L16") && Self::L16 { rate_hz }.is_possible() => Some(Self::L16 { rate_hz }),
            _ => None,
        }
    }

    /// The codec of a static payload type (RFC 3551 Table 4); `None` if the engine has none.
    #[must_use]
    pub const fn from_static_payload_type(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            9 => Some(Self::G722),
            11 => Some(Self::L16 { rate_hz: 44_100 }),
            _ => None,
        }
    }

    /// Whether its parameters are in range.
    const fn is_possible(self) -> bool {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::Opus => true,
            Self::L16 { rate_hz } => rate_hz >= 8000 && rate_hz <= 48_000 && rate_hz.is_multiple_of(100),
        }
    }

    /// Encoding name, as in `a=rtpmap`.
    #[must_use]
    pub const fn encoding_name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
            Self::L16 { .. } => "L16",
        }
    }

    /// RTP clock rate in Hz. G.722 samples at 16 kHz but counts at 8 kHz, by an old error (RFC 3551 §4.5.2).
    #[must_use]
    pub const fn clock_rate_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8000,
            Self::Opus => 48_000,
            Self::L16 { rate_hz } => rate_hz,
        }
    }

    /// Rate in Hz of the samples that the codec carries at best.
    #[must_use]
    pub const fn sample_rate_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8000,
            Self::G722 => 16_000,
            Self::Opus => 48_000,
            Self::L16 { rate_hz } => rate_hz,
        }
    }

    /// The static payload type, or the usual dynamic one.
    #[must_use]
    pub const fn default_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 111,
            Self::L16 { rate_hz: 44_100 } => 11,
            Self::L16 { .. } => 97,
        }
    }

    /// RTP timestamp units in a packet time, rounded down.
    #[must_use]
    pub const fn ptime_ts(self, ptime_ms: u32) -> u32 {
        (self.clock_rate_hz() as u64 * ptime_ms as u64 / 1000) as u32
    }

    /// Payload bytes of a packet time; `None` for Opus, whose packets vary.
    #[must_use]
    pub const fn payload_bytes(self, ptime_ms: u32) -> Option<usize> {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => Some(8 * ptime_ms as usize),
            Self::L16 { rate_hz } => Some(2 * (rate_hz as usize * ptime_ms as usize / 1000)),
            Self::Opus => None,
        }
    }

    /// How long a payload plays, in RTP timestamp units; zero if it is malformed.
    #[must_use]
    pub fn payload_ts(self, payload: &[u8]) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => payload.len() as u32,
            Self::L16 { .. } => payload.len() as u32 / 2,
            Self::Opus => opus::payload_ts(payload),
        }
    }
}

#[cfg(test)]
mod tests;
