//! From samples to what is played: encoded once, for all who hear it.

use offhook_audio::codec::{CodecError, Encoder, OpusConfig};
use offhook_proto::{Codec, Error, ErrorCode};

use super::{EncodedPrompt, PromptForm};
use crate::leg::encoding::audio_codec;
use crate::limits::PROMPT_SECONDS;

/// How much is encoded once more of a prompt's beginning, as it follows its end: until a decoder remembers nothing of that.
const LEAD_MS: usize = 320;
/// Longest Opus packet that is made (RFC 6716 section 3.2.1).
const OPUS_PACKET_BYTES: usize = 1_275;

impl EncodedPrompt {
    /// Samples a second that a prompt of an encoding is made from.
    pub const fn rate_hz(codec: Codec) -> u32 {
        match codec {
            Codec::Pcmu | Codec::Pcma => 8_000,
            Codec::L16 { rate_hz } => rate_hz,
            Codec::G722 | Codec::Opus => 16_000,
        }
    }

    /// Encodes samples of [`EncodedPrompt::rate_hz`].
    ///
    /// # Errors
    /// `bad_prompt` for more than an hour, `codec_mismatch` when the codec library refuses.
    pub fn encode(form: impl Into<PromptForm>, samples: &[i16]) -> Result<Self, Error> {
        let PromptForm { codec, packet_ms, dtx } = form.into();
        if samples.len() > Self::rate_hz(codec) as usize * PROMPT_SECONDS {
            return Err(Error::new(ErrorCode::BadPrompt, "the prompt is longer than an hour"));
        }
        let refused = |error: CodecError| Error::new(ErrorCode::CodecMismatch, error.to_string());
        let usual = OpusConfig::default();
        // The copy of a frame of 10 ms costs more sound than it saves.
        let opus = OpusConfig { dtx, fec: usual.fec && packet_ms != Some(10), ..usual };
        let mut encoder = Encoder::new(audio_codec(codec), Self::rate_hz(codec), &opus).map_err(refused)?;
        if let Some(packet_ms) = packet_ms {
            return Self::in_packets(codec, packet_ms, samples, encoder).map_err(refused);
        }
        // G.722 takes samples in pairs; of all others even the last one is played, so that what follows it comes in time.
        let samples = if codec == Codec::G722 { &samples[..samples.len() & !1] } else { samples };
        let mut run = |samples: &[i16]| {
            let mut payload = vec![0; samples.len() * 2];
            let len = encoder.encode(samples, &mut payload).map_err(refused)?;
            payload.truncate(len);
            Ok::<_, Error>(Self::new(codec, payload))
        };
        let prompt = run(samples)?;
        if codec != Codec::G722 {
            return Ok(prompt);
        }
        let lead = samples.len().min(Self::rate_hz(codec) as usize * LEAD_MS / 1_000);
        Ok(prompt.with_beginning_again(run(&samples[..lead])?))
    }

    /// Encodes packet by packet; silence fills the last one up.
    fn in_packets(
        codec: Codec,
        packet_ms: u8,
        samples: &[i16],
        mut encoder: Encoder,
    ) -> Result<Self, CodecError> {
        let frame = encoder.rate_hz() as usize * usize::from(packet_ms) / 1_000;
        let (mut padded, mut packet) = (vec![0; frame], [0; OPUS_PACKET_BYTES]);
        let mut cut = |samples: &[i16]| {
            let (mut payload, mut ends) = (Vec::new(), Vec::with_capacity(samples.len().div_ceil(frame)));
            for part in samples.chunks(frame) {
                padded[..part.len()].copy_from_slice(part);
                padded[part.len()..].fill(0);
                let len = encoder.encode(&padded, &mut packet)?;
                payload.extend_from_slice(&packet[..len]);
                ends.push(payload.len() as u32);
            }
            Ok(Self::packets(codec, packet_ms, payload, ends))
        };
        let lead = samples.len().min(LEAD_MS.div_ceil(packet_ms.into()) * frame);
        Ok(cut(samples)?.with_beginning_again(cut(&samples[..lead])?))
    }
}

#[cfg(test)]
mod tests {
    use offhook_proto::Media;

    use super::*;

    #[test]
    fn every_encoding_keeps_the_length() {
        let linear = Codec::L16_RATES_HZ.map(|rate_hz| Codec::L16 { rate_hz });
        let others = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];
        for codec in others.into_iter().chain(linear) {
            let second = vec![100; EncodedPrompt::rate_hz(codec) as usize];
            let prompt = EncodedPrompt::encode(codec, &second).expect("it is encoded");
            assert_eq!((prompt.codec(), prompt.duration_ms()), (codec, 1_000), "{codec:?}");
        }
    }

    #[test]
    fn the_silence_of_a_prompt_is_left_out_where_that_is_asked_for_and_keeps_its_time() {
        let rate_hz = EncodedPrompt::rate_hz(Codec::Opus) as usize;
        let samples: Vec<i16> = (0..5 * rate_hz)
            .map(|at| if (rate_hz..4 * rate_hz).contains(&at) { 0 } else { (at % 40) as i16 * 200 })
            .collect();
        let empty = |dtx| {
            let form = PromptForm { dtx, ..Codec::Opus.into() };
            let prompt = EncodedPrompt::encode(form, &samples).expect("it is encoded");
            assert_eq!(prompt.duration_ms(), 5_000);
            (0..250)
                .filter(|at| prompt.packet(*at, false).expect("it has 250").is_empty())
                .collect::<Vec<_>>()
        };
        let left_out = empty(true);
        assert!((100..150).contains(&left_out.len()), "{left_out:?}");
        assert!(left_out.iter().all(|at| (50..201).contains(at)), "{left_out:?}");
        assert!(empty(false).is_empty());
    }

    #[test]
    fn an_opus_prompt_is_a_list_of_packets_of_the_nearest_frame_that_is_not_longer() {
        for (ptime_ms, packet_ms) in [(10, 10), (20, 20), (30, 20), (40, 40), (50, 40), (60, 60)] {
            let media = Media { codec: Codec::Opus, ptime_ms, ..Media::default() };
            let prompt = EncodedPrompt::encode(&media, &[0; 19_200 + 1]).expect("it is encoded");
            let packets: Vec<_> = std::iter::successors(Some(0), |at| Some(at + 1))
                .map_while(|at| prompt.packet(at, false))
                .collect();
            assert_eq!(packets.len(), 1_200 / packet_ms + 1);
            let lasts = |packet: &&[u8]| audio_codec(Codec::Opus).payload_ts(packet) as usize / 48;
            assert!(packets.iter().all(|packet| lasts(packet) == packet_ms), "{ptime_ms} ms");
            assert_eq!(packets.concat(), prompt.payload());
        }
    }
}
