//! What the receiver of an Opus stream asks its sender for (RFC 7587 section 6.1).

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// How the peer of a leg wants Opus to be made for it. A prompt and a packet that goes on as it came are as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Opus {
    /// While it reports losses, each packet carries a copy of the one before (`useinbandfec`).
    pub fec: bool,
    /// Silence is not sent (`usedtx`).
    pub dtx: bool,
    /// All packets are of one length (`cbr`).
    pub cbr: bool,
    /// Highest sample rate that it plays, 8,000 to 48,000 Hz (`maxplaybackrate`): no more of the sound is sent.
    pub max_rate_hz: u32,
    /// Most bits per second, 6,000 to 510,000 (`maxaveragebitrate`).
    pub max_bitrate: u32,
}

/// What a peer has asked for of whom nothing is known: anything goes, and copies do it no harm.
impl Default for Opus {
    fn default() -> Self {
        Self { fec: true, ..Self::UNASKED }
    }
}

impl Opus {
    /// Values of [`Self::max_rate_hz`].
    pub const RATE_HZ: RangeInclusive<u32> = 8_000..=48_000;
    /// Values of [`Self::max_bitrate`].
    pub const BITRATE: RangeInclusive<u32> = 6_000..=510_000;

    /// The defaults of RFC 7587, for a description that says nothing.
    pub const UNASKED: Self =
        Self { fec: false, dtx: false, cbr: false, max_rate_hz: 48_000, max_bitrate: 510_000 };

    /// Reads the parameters of an `a=fmtp` line, after its payload type. What makes no sense is left out, and numbers beyond their
    /// range count as its end.
    #[must_use]
    pub fn from_fmtp(parameters: &str) -> Self {
        let mut asked = Self::UNASKED;
        for (name, value) in parameters.split(';').filter_map(|parameter| parameter.split_once('=')) {
            let value = value.trim();
            let number = |range: RangeInclusive<u32>| {
                value
                    .parse::<u64>()
                    .ok()
                    .map(|n| n.clamp((*range.start()).into(), (*range.end()).into()) as u32)
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "useinbandfec" => asked.fec = value == "1",
                "usedtx" => asked.dtx = value == "1",
                "cbr" => asked.cbr = value == "1",
                "maxplaybackrate" => asked.max_rate_hz = number(Self::RATE_HZ).unwrap_or(asked.max_rate_hz),
                "maxaveragebitrate" => asked.max_bitrate = number(Self::BITRATE).unwrap_or(asked.max_bitrate),
                _ => {}
            }
        }
        asked
    }

    /// Whether it is the default, which a message leaves out.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_7587_are_read() {
        // Section 7: two of its examples.
        let first = "maxplaybackrate=16000; sprop-maxcapturerate=16000; maxaveragebitrate=20000; stereo=1; useinbandfec=1; usedtx=0";
        let expected = Opus { fec: true, max_rate_hz: 16_000, max_bitrate: 20_000, ..Opus::UNASKED };
        assert_eq!(Opus::from_fmtp(first), expected);
        assert_eq!(Opus::from_fmtp("stereo=1; sprop-stereo=1"), Opus::UNASKED);
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        for odd in
            ["", ";;", "=", "usedtx", "usedtx=yes", "maxplaybackrate=", "maxplaybackrate=-1", "CBR=2;x=y=z"]
        {
            assert_eq!(Opus::from_fmtp(odd), Opus::UNASKED, "{odd}");
        }
        let far = Opus::from_fmtp("maxplaybackrate=99999999999;maxaveragebitrate=1;USEDTX = 1 ;cbr=1");
        assert_eq!(far, Opus { dtx: true, cbr: true, max_bitrate: 6_000, ..Opus::UNASKED });
    }
}
