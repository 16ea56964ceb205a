//! Audio encodings by name.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Audio encoding of a leg, by its SDP encoding name (RFC 3551 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, 8 kHz, static payload type 0.
    Pcmu,
    /// G.711 A-law, 8 kHz, static payload type 8.
    Pcma,
    /// G.722, sampled at 16 kHz with an RTP clock of 8 kHz (RFC 3551 section 4.5.2).
    G722,
    /// Opus (RFC 7587), RTP clock 48 kHz.
    Opus,
    /// 16-bit linear PCM in network order, mono (RFC 3551 section 4.5.11): `L16` at 8 kHz, `L16/16000` and so on above.
    L16 {
        /// Samples a second, and its RTP clock: one of [`Codec::L16_RATES_HZ`].
        rate_hz: u32,
    },
}

impl Codec {
    /// The rates that linear PCM has here, in Hz.
    pub const L16_RATES_HZ: [u32; 6] = [8_000, 16_000, 24_000, 32_000, 44_100, 48_000];

    /// The encoding that is written so; none when there is no such.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "PCMU" => Some(Self::Pcmu),
            "PCMA" => Some(Self::Pcma),
            "G722" => Some(Self::G722),
            "opus" => Some(Self::Opus),
            "L16" => Some(Self::L16 { rate_hz: 8_000 }),
            _ => Self::l16(name.strip_prefix("L16/")?.parse().ok()?),
        }
    }

    /// Linear PCM of a rate in Hz; none for one that it does not have here.
    #[must_use]
    pub fn l16(rate_hz: u32) -> Option<Self> {
        Self::L16_RATES_HZ.contains(&rate_hz).then_some(Self::L16 { rate_hz })
    }

    /// Its static payload type (RFC 3551 table 4), where it has one.
    #[must_use]
    pub const fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
            Self::L16 { rate_hz: 44_100 } => Some(11),
            Self::Opus | Self::L16 { .. } => None,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pcmu => f.write_str("PCMU"),
            Self::Pcma => f.write_str("PCMA"),
            Self::G722 => f.write_str("G722"),
            Self::Opus => f.write_str("opus"),
            Self::L16 { rate_hz: 8_000 } => f.write_str("L16"),
            Self::L16 { rate_hz } => write!(f, "L16/{rate_hz}"),
        }
    }
}

impl Serialize for Codec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Codec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let takes = "PCMU, PCMA, G722, opus, L16, or L16/ with 16000, 24000, 32000, 44100 or 48000";
        Self::from_name(&name)
            .ok_or_else(|| serde::de::Error::invalid_value(serde::de::Unexpected::Str(&name), &takes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_is_read_as_it_is_written() {
        let linear = Codec::L16_RATES_HZ.map(|rate_hz| Codec::L16 { rate_hz });
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus].into_iter().chain(linear) {
            let text = serde_json::to_string(&codec).expect("it is written");
            assert_eq!(serde_json::from_str::<Codec>(&text).ok(), Some(codec), "{text}");
        }
        assert_eq!(Codec::L16 { rate_hz: 8_000 }.to_string(), "L16");
        assert_eq!(Codec::L16 { rate_hz: 48_000 }.to_string(), "L16/48000");
        assert_eq!(Codec::from_name("L16/8000"), Some(Codec::L16 { rate_hz: 8_000 }));
    }

    #[test]
    fn what_there_is_not_is_refused_by_what_there_is() {
        for name in ["", "pcmu", "L16/", "L16/8001", "L16/22050", "L16/16000/2", "L16/-1", "GSM"] {
            let text = serde_json::to_string(name).expect("it is written");
            let refused = serde_json::from_str::<Codec>(&text).expect_err(name).to_string();
            assert!(refused.contains("L16/ with 16000"), "{refused}");
        }
    }
}
