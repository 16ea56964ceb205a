//! Payloads to samples, with concealment of what is lost.

use super::opus::{LibopusDecoder, OpusDecode};
use super::{Codec, CodecError};
use crate::g711;
use crate::plc::Concealer;
use audio_codec::Decoder as _;
use audio_codec::g722::G722Decoder;

/// Decodes one stream.
pub struct Decoder {
    codec: Codec,
    rate_hz: u32,
    kind: Kind,
}

enum Kind {
    Pcmu(Concealer),
    Pcma(Concealer),
    G722(Box<G722Decoder>, Concealer),
    L16(Concealer),
    /// Opus conceals by itself.
    Opus(Box<dyn OpusDecode + Send>),
}

impl Decoder {
    /// A decoder. Opus decodes at `wanted_hz` if that is 8, 12, 16, 24 or 48 kHz, else at 48 kHz; the others have one
    /// rate. [`Self::rate_hz`] says which it is.
    ///
    /// # Errors
    /// `Unsupported` if a parameter is out of range, or the Opus library refuses.
    pub fn new(codec: Codec, wanted_hz: u32) -> Result<Self, CodecError> {
        if !codec.is_possible() {
            return Err(CodecError::Unsupported);
        }
        let rate_hz =
            if codec == Codec::Opus { super::opus::rate_near(wanted_hz) } else { codec.sample_rate_hz() };
        let concealer = Concealer::new(rate_hz);
        let kind = match codec {
            Codec::Pcmu => Kind::Pcmu(concealer),
            Codec::Pcma => Kind::Pcma(concealer),
            Codec::G722 => Kind::G722(Box::default(), concealer),
            Codec::L16 { .. } => Kind::L16(concealer),
            Codec::Opus => Kind::Opus(Box::new(LibopusDecoder::new(rate_hz)?)),
        };
        Ok(Self { codec, rate_hz, kind })
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

    /// Samples that a payload becomes.
    #[must_use]
    pub fn samples_in(&self, payload: &[u8]) -> usize {
        let ts = u64::from(self.codec.payload_ts(payload));
        (ts * u64::from(self.rate_hz) / u64::from(self.codec.clock_rate_hz())) as usize
    }

    /// Decodes a payload and returns the number of samples.
    ///
    /// # Errors
    /// `TooShort` if `out` has less than [`Self::samples_in`], `Malformed` if the payload is not the codec's; in both
    /// cases nothing is decoded.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let samples = self.samples_in(payload);
        if samples == 0 {
            return Err(CodecError::Malformed);
        }
        let out = out.get_mut(..samples).ok_or(CodecError::TooShort)?;
        match &mut self.kind {
            Kind::Pcmu(concealer) => {
                g711::decode_ulaw(payload, out);
                concealer.good(out);
            }
            Kind::Pcma(concealer) => {
                g711::decode_alaw(payload, out);
                concealer.good(out);
            }
            Kind::G722(decoder, concealer) => {
                decoder.decode_into(payload, out).map_err(|_| CodecError::Malformed)?;
                concealer.good(out);
            }
            Kind::L16(concealer) => {
                for (sample, bytes) in out.iter_mut().zip(payload.as_chunks::<2>().0) {
                    *sample = i16::from_be_bytes(*bytes);
                }
                concealer.good(out);
            }
            Kind::Opus(decoder) => return decoder.decode(payload, out),
        }
        Ok(samples)
    }

    /// Fills `out` with the likely continuation, for audio that is lost.
    pub fn conceal(&mut self, out: &mut [i16]) {
        match &mut self.kind {
            Kind::Pcmu(c) | Kind::Pcma(c) | Kind::G722(_, c) | Kind::L16(c) => c.conceal(out),
            Kind::Opus(decoder) => decoder.conceal(out),
        }
    }

    /// Fills `out` with audio that was lost just before the packet `next`, from the copy that Opus may carry in it
    /// (RFC 6716 §2.1.7); other codecs, and packets without a copy, conceal.
    pub fn recover(&mut self, next: &[u8], out: &mut [i16]) {
        match &mut self.kind {
            Kind::Opus(decoder) => decoder.recover(next, out),
            Kind::Pcmu(c) | Kind::Pcma(c) | Kind::G722(_, c) | Kind::L16(c) => c.conceal(out),
        }
    }
}
