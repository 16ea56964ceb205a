//! From samples to payloads of a codec and packet time.

use crate::codec::{Codec, CodecError, Encoder, OpusConfig};
use crate::fifo::Fifo;
use crate::resample::Resampler;

/// Encodes a stream of samples of any rate into payloads of equal length.
pub struct Packetiser {
    resampler: Resampler,
    encoder: Encoder,
    pcm: Fifo<i16>,
    frame: Box<[i16]>,
    ptime_ms: u32,
    /// Samples that found no room because nobody polled.
    pub dropped_samples: u64,
}

/// A payload to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Its length; zero if there is nothing to send for this time (Opus in silence).
    pub len: usize,
    /// How far the RTP timestamp moves on after it.
    pub duration_ts: u32,
}

impl Packetiser {
    /// A packetiser from samples at `from_hz` to packets of `ptime_ms`.
    ///
    /// The packet time is shortened where it must be: to what one Opus frame holds (10, 20, 40 or 60 ms), and to what
    /// fits a datagram. [`Self::ptime_ms`] says what it is.
    ///
    /// Opus frames of 10 ms carry no copy of the one before, whatever `opus` says.
    ///
    /// # Errors
    /// `Unsupported` if the packet time is below 10 ms, or the rate cannot be converted.
    pub fn new(from_hz: u32, codec: Codec, ptime_ms: u32, opus: &OpusConfig) -> Result<Self, CodecError> {
        let ptime_ms = possible_ptime(codec, ptime_ms).ok_or(CodecError::Unsupported)?;
        // The copy of a 10 ms frame costs more sound than it saves.
        let opus = OpusConfig { fec: opus.fec && ptime_ms >= 20, ..*opus };
        let encoder = Encoder::new(codec, from_hz, &opus)?;
        let resampler = Resampler::new(from_hz, encoder.rate_hz()).ok_or(CodecError::Unsupported)?;
        let frame = encoder.rate_hz() as usize * ptime_ms as usize / 1000;
        let room = encoder.rate_hz() as usize * PENDING_MS / 1000;
        Ok(Self {
            resampler,
            encoder,
            pcm: Fifo::new(room),
            frame: vec![0; frame].into(),
            ptime_ms,
            dropped_samples: 0,
        })
    }

    /// The packet time in use.
    #[must_use]
    pub const fn ptime_ms(&self) -> u32 {
        self.ptime_ms
    }

    /// Longest payload that [`Self::poll`] writes.
    pub const MAX_PAYLOAD: usize = MAX_PAYLOAD;

    /// Tells Opus what loss in percent the receiver reports (see [`Encoder::expect_loss`]).
    pub fn expect_loss(&mut self, percent: u8) {
        self.encoder.expect_loss(percent);
    }

    /// Goes on where another encoder has stopped (see [`Encoder::go_on_with`]).
    pub fn go_on_with(&mut self, encoder: Encoder) {
        self.encoder.go_on_with(encoder);
    }

    /// The encoder as it stopped.
    #[must_use]
    pub fn into_encoder(self) -> Encoder {
        self.encoder
    }

    /// Takes samples, at most about 100 ms between polls.
    pub fn push(&mut self, samples: &[i16]) {
        for part in samples.chunks(PART) {
            let most = self.resampler.max_output(part.len());
            let space = self.pcm.space(most);
            if space.len() < most {
                let wrote = space.len();
                self.pcm.unpush(wrote);
                self.dropped_samples += part.len() as u64;
                continue;
            }
            let wrote = self.resampler.process(part, space);
            self.pcm.unpush(most - wrote);
        }
    }

    /// Encodes the next payload into `out`, of which [`Self::MAX_PAYLOAD`] bytes are enough; `None` if more samples
    /// are needed.
    ///
    /// # Errors
    /// `TooShort` if `out` is; the samples are gone then.
    pub fn poll(&mut self, out: &mut [u8]) -> Option<Result<Payload, CodecError>> {
        if !self.pcm.pop(&mut self.frame) {
            return None;
        }
        let room = out.len().min(MAX_PAYLOAD);
        let duration_ts = self.encoder.codec().ptime_ts(self.ptime_ms);
        Some(self.encoder.encode(&self.frame, &mut out[..room]).map(|len| Payload { len, duration_ts }))
    }
}

/// The longest packet time up to `ptime_ms` that the codec can have: what one Opus frame holds, and for the others what fits a
/// datagram, then in steps of 10 ms, which peers know. `None` below 10 ms.
#[must_use]
pub fn possible_ptime(codec: Codec, ptime_ms: u32) -> Option<u32> {
    if codec == Codec::Opus {
        return [60, 40, 20, 10].into_iter().find(|p| *p <= ptime_ms);
    }
    let mut ptime_ms = ptime_ms.min(MAX_PTIME_MS);
    while codec.payload_bytes(ptime_ms).is_some_and(|n| n > MAX_PAYLOAD) {
        ptime_ms = (ptime_ms - 1) / PTIME_STEP_MS * PTIME_STEP_MS;
    }
    (ptime_ms >= MIN_PTIME_MS).then_some(ptime_ms)
}

const MIN_PTIME_MS: u32 = 10;
const MAX_PTIME_MS: u32 = 60;
const PTIME_STEP_MS: u32 = 10;
const PENDING_MS: usize = 200;
/// Fits an Ethernet frame with room for SRTP and a tunnel.
const MAX_PAYLOAD: usize = 1400;
const PART: usize = 480;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Decoder;
    use crate::level::dbm0;
    use crate::testing::{speech_8k, speech_16k};

    #[test]
    fn every_codec_has_payloads_of_its_packet_time() {
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16 { rate_hz: 16_000 }] {
            for ptime_ms in [10, 20, 40, 60] {
                let mut packetiser =
                    Packetiser::new(16_000, codec, ptime_ms, &OpusConfig::default()).expect("a packetiser");
                let ptime_ms = packetiser.ptime_ms();
                let mut decoder = Decoder::new(codec, 16_000).expect("a decoder");
                let (mut payload, mut pcm) = ([0; Packetiser::MAX_PAYLOAD], [0; 960]);
                let (mut heard, mut ts) = (Vec::new(), 0);
                for frame in speech_16k().chunks(160) {
                    packetiser.push(frame);
                    while let Some(sent) = packetiser.poll(&mut payload) {
                        let sent = sent.expect("room");
                        assert_eq!(sent.duration_ts, codec.ptime_ts(ptime_ms));
                        let n = decoder.decode(&payload[..sent.len], &mut pcm).expect("decodes");
                        heard.extend_from_slice(&pcm[..n]);
                        ts += sent.duration_ts;
                    }
                }
                assert_eq!(packetiser.dropped_samples, 0);
                assert!(ts >= codec.ptime_ts(4460), "{codec:?} {ptime_ms}: {ts}");
                let original = if decoder.rate_hz() == 8000 { speech_8k() } else { speech_16k() };
                assert!((dbm0(&heard) - dbm0(&original)).abs() < 0.5, "{codec:?} {ptime_ms}");
            }
        }
    }

    #[test]
    fn packet_times_are_shortened_to_what_is_possible() {
        let ptime =
            |codec, ms| Some(Packetiser::new(8000, codec, ms, &OpusConfig::default()).ok()?.ptime_ms());
        assert_eq!(ptime(Codec::Opus, 30), Some(20));
        assert_eq!(ptime(Codec::Opus, 5), None);
        assert_eq!(ptime(Codec::Pcmu, 30), Some(30));
        assert_eq!(ptime(Codec::Pcmu, 200), Some(60));
        for (rate_hz, longest) in
            [(8_000, 60), (16_000, 40), (24_000, 20), (32_000, 20), (44_100, 10), (48_000, 10)]
        {
            assert_eq!(ptime(Codec::L16 { rate_hz }, 60), Some(longest), "{rate_hz}");
        }
        assert_eq!(ptime(Codec::Pcma, 0), None);
    }

    #[test]
    fn a_stream_that_goes_on_with_an_encoder_is_as_if_there_had_been_one_packetiser() {
        let packets = |packetiser: &mut Packetiser, samples: &[i16]| {
            let (mut payload, mut made) = ([0; Packetiser::MAX_PAYLOAD], Vec::new());
            for frame in samples.chunks(320) {
                packetiser.push(frame);
                while let Some(sent) = packetiser.poll(&mut payload) {
                    made.push(payload[..sent.expect("room").len].to_vec());
                }
            }
            made
        };
        let speech = &speech_16k()[..32_000];
        let opus = OpusConfig::default();
        for codec in [Codec::G722, Codec::Opus] {
            let new = |ptime_ms, opus| Packetiser::new(16_000, codec, ptime_ms, opus).expect("a packetiser");
            let whole = packets(&mut new(20, &opus), speech);
            let mut first = new(20, &opus);
            let mut made = packets(&mut first, &speech[..16_000]);
            let mut second = new(20, &opus);
            second.go_on_with(first.into_encoder());
            made.extend(packets(&mut second, &speech[16_000..]));
            assert!(made == whole, "{codec:?}");
        }
        let cbr = OpusConfig { cbr: true, ..opus };
        let mut other = Packetiser::new(16_000, Codec::Opus, 20, &cbr).expect("a packetiser");
        other.go_on_with(Encoder::new(Codec::Opus, 16_000, &opus).expect("an encoder"));
        let lengths: Vec<usize> = packets(&mut other, speech).iter().map(Vec::len).collect();
        assert!(lengths.windows(2).all(|pair| pair[0] == pair[1]), "what was asked for holds: {lengths:?}");
    }

    #[test]
    fn samples_that_nobody_takes_are_dropped_and_counted() {
        let mut packetiser =
            Packetiser::new(8000, Codec::Pcmu, 20, &OpusConfig::default()).expect("a packetiser");
        packetiser.push(&[0; 8000]);
        assert!(packetiser.dropped_samples >= 6400);
        assert_eq!(packetiser.poll(&mut [0; 10]), Some(Err(CodecError::TooShort)));
    }
}
