//! Samples to payloads.

use super::opus::{LibopusEncoder, OpusEncode};
use super::{Codec, CodecError};
use crate::g711;
use audio_codec::Encoder as _;
use audio_codec::g722::G722Encoder;

/// Encodes one stream.
pub struct Encoder {
    codec: Codec,
    rate_hz: u32,
    opus: OpusConfig,
    kind: Kind,
}

enum Kind {
    Pcmu,
    Pcma,
    G722(Box<G722Encoder>),
    L16,
    Opus(Box<dyn OpusEncode + Send>),
}

/// How Opus encodes; other codecs have no settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusConfig {
    /// Bits per second, 6,000 to 510,000.
    pub bitrate: u32,
    /// Effort, 0 to 10.
    pub complexity: u8,
    /// Whether each packet carries a copy of the one before (`useinbandfec`).
    pub fec: bool,
    /// Whether silence is not sent (`usedtx`): what is below −45 dBm0 and sounds like the noise of a room or a line.
    pub dtx: bool,
    /// The loss that the copy is made for, in percent; none is made for 0. Follow the receiver's reports with
    /// [`Encoder::expect_loss`].
    pub expected_loss_percent: u8,
    /// Highest sample rate that the receiver plays, in Hz (`maxplaybackrate`): what is above its half is left out.
    pub max_rate_hz: u32,
    /// Whether all packets have one length (`cbr`).
    pub cbr: bool,
}

impl Default for OpusConfig {
    fn default() -> Self {
        // libopus dulls speech by over half a dB when it has less, or makes copies for a loss that there is not.
        Self {
            bitrate: 40_000,
            complexity: 5,
            fec: true,
            dtx: false,
            expected_loss_percent: 0,
            max_rate_hz: 48_000,
            cbr: false,
        }
    }
}

impl Encoder {
    /// An encoder. Opus takes samples at `wanted_hz` if that is 8, 12, 16, 24 or 48 kHz, else at 48 kHz; the others
    /// have one rate. [`Self::rate_hz`] says which it is.
    ///
    /// # Errors
    /// `Unsupported` if a parameter is out of range, or the Opus library refuses a setting.
    pub fn new(codec: Codec, wanted_hz: u32, opus: &OpusConfig) -> Result<Self, CodecError> {
        if !codec.is_possible() {
            return Err(CodecError::Unsupported);
        }
        let rate_hz =
            if codec == Codec::Opus { super::opus::rate_near(wanted_hz) } else { codec.sample_rate_hz() };
        let kind = match codec {
            Codec::Pcmu => Kind::Pcmu,
            Codec::Pcma => Kind::Pcma,
            Codec::G722 => Kind::G722(Box::new(super::g722::encoder())),
            Codec::L16 { .. } => Kind::L16,
            Codec::Opus => Kind::Opus(Box::new(LibopusEncoder::new(rate_hz, opus)?)),
        };
        Ok(Self { codec, rate_hz, opus: *opus, kind })
    }

    /// The codec.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Rate of the samples, in Hz.
    #[must_use]
    pub const fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Whether a decoder of its stream goes on from what it has decoded before.
    #[must_use]
    pub const fn is_remembered(&self) -> bool {
        matches!(self.kind, Kind::G722(_) | Kind::Opus(_))
    }

    /// Goes on where another one has stopped whose stream the hearer has decoded last, unless that is of another codec or rate, or made
    /// in another way: a decoder that predicts has to find into the stream of any other.
    pub fn go_on_with(&mut self, other: Self) {
        let same_codec = (other.codec, other.rate_hz) == (self.codec, self.rate_hz);
        if same_codec && (self.codec != Codec::Opus || other.opus == self.opus) {
            *self = other;
        }
    }

    /// Tells Opus what loss in percent the receiver reports, which decides whether it sends copies; the others have none.
    pub fn expect_loss(&mut self, percent: u8) {
        if let Kind::Opus(encoder) = &mut self.kind {
            encoder.expect_loss(percent.min(100));
        }
    }

    /// Encodes samples and returns the payload's length, zero if there is nothing to send (Opus in silence).
    ///
    /// Opus takes 10, 20, 40 or 60 ms at a time, G.722 an even number of samples, the others any.
    ///
    /// # Errors
    /// `TooShort` if `out` has no room, `Unsupported` if the number of samples is none that the codec takes.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        match &mut self.kind {
            Kind::Pcmu => {
                let out = out.get_mut(..samples.len()).ok_or(CodecError::TooShort)?;
                Ok(g711::encode_ulaw(samples, out))
            }
            Kind::Pcma => {
                let out = out.get_mut(..samples.len()).ok_or(CodecError::TooShort)?;
                Ok(g711::encode_alaw(samples, out))
            }
            Kind::G722(encoder) => {
                if !samples.len().is_multiple_of(2) {
                    return Err(CodecError::Unsupported);
                }
                let out = out.get_mut(..samples.len() / 2).ok_or(CodecError::TooShort)?;
                encoder.encode_into(samples, out).map_err(|_| CodecError::TooShort)
            }
            Kind::L16 => {
                let out = out.get_mut(..samples.len() * 2).ok_or(CodecError::TooShort)?;
                for (bytes, sample) in out.as_chunks_mut::<2>().0.iter_mut().zip(samples) {
                    *bytes = sample.to_be_bytes();
                }
                Ok(samples.len() * 2)
            }
            Kind::Opus(encoder) => encoder.encode(samples, out),
        }
    }
}
