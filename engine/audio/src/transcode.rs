//! From one codec and packet time to another.
//!
//! G.711 to G.711 needs none of this: rewrite the bytes with [`crate::g711`].

use crate::codec::{Codec, CodecError, Encoder, OpusConfig};
use crate::jitter::{JitterConfig, JitterStats};
use crate::packetise::{Packetiser, Payload};
use crate::playout::Playout;

/// Turns the packets of one stream into payloads of another, one per packet time.
pub struct Transcoder {
    playout: Playout,
    packetiser: Packetiser,
    /// One output packet time of samples.
    frame: Box<[i16]>,
}

/// The two sides of a [`Transcoder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TranscodeConfig {
    /// Codec of what is received.
    pub from: Codec,
    /// Codec of what is sent.
    pub to: Codec,
    /// Packet time of what is sent.
    pub ptime_ms: u32,
    /// How Opus is sent.
    pub opus: OpusConfig,
    /// Limits of the jitter buffer; its clock rate is set from `from`.
    pub jitter: JitterConfig,
}

impl TranscodeConfig {
    /// The usual settings.
    #[must_use]
    pub fn new(from: Codec, to: Codec, ptime_ms: u32) -> Self {
        let jitter = JitterConfig::of(from);
        Self { from, to, ptime_ms, opus: OpusConfig::default(), jitter }
    }
}

impl Transcoder {
    /// A transcoder. Opus on either side runs at the other side's rate, so that only other pairs resample.
    ///
    /// # Errors
    /// `Unsupported` if a codec, rate or packet time is not to be had.
    pub fn new(config: &TranscodeConfig) -> Result<Self, CodecError> {
        let jitter = JitterConfig { clock_rate_hz: config.from.clock_rate_hz(), ..config.jitter };
        let playout = Playout::new(config.from, config.to.sample_rate_hz(), jitter)?;
        let packetiser = Packetiser::new(playout.rate_hz(), config.to, config.ptime_ms, &config.opus)?;
        let frame = vec![0; playout.rate_hz() as usize * packetiser.ptime_ms() as usize / 1000];
        Ok(Self { playout, packetiser, frame: frame.into() })
    }

    /// The packet time of the output.
    #[must_use]
    pub const fn ptime_ms(&self) -> u32 {
        self.packetiser.ptime_ms()
    }

    /// Rate of the samples on their way from one codec to the other, in Hz.
    #[must_use]
    pub const fn rate_hz(&self) -> u32 {
        self.playout.rate_hz()
    }

    /// Counters of the jitter buffer.
    #[must_use]
    pub const fn jitter_stats(&self) -> JitterStats {
        self.playout.jitter_stats()
    }

    /// Tells Opus what loss in percent the receiver reports.
    pub fn expect_loss(&mut self, percent: u8) {
        self.packetiser.expect_loss(percent);
    }

    /// Goes on where another encoder has stopped (see [`Packetiser::go_on_with`]).
    pub fn go_on_with(&mut self, encoder: Encoder) {
        self.packetiser.go_on_with(encoder);
    }

    /// The encoder as it stopped.
    #[must_use]
    pub fn into_encoder(self) -> Encoder {
        self.packetiser.into_encoder()
    }

    /// Takes a packet that arrived at `now_us`.
    pub fn on_audio(&mut self, now_us: u64, seq: u16, ts: u32, payload: &[u8]) {
        self.playout.on_audio(now_us, seq, ts, payload);
    }

    /// Takes a comfort noise packet that arrived at `now_us`.
    pub fn on_comfort_noise(&mut self, now_us: u64, seq: u16, ts: u32, payload: &[u8]) {
        self.playout.on_comfort_noise(now_us, seq, ts, payload);
    }

    /// The payload of this tick, in `out`; call once every [`Self::ptime_ms`]. `None` if a resampler still fills.
    ///
    /// # Errors
    /// `TooShort` if `out` has less room than [`Packetiser::MAX_PAYLOAD`].
    pub fn tick(&mut self, now_us: u64, out: &mut [u8]) -> Option<Result<Payload, CodecError>> {
        self.tick_through(now_us, out, |_| {})
    }

    /// As [`Self::tick`]; `change` may change the samples, at [`Self::rate_hz`], before they are encoded.
    ///
    /// # Errors
    /// As [`Self::tick`].
    pub fn tick_through(
        &mut self,
        now_us: u64,
        out: &mut [u8],
        change: impl FnOnce(&mut [i16]),
    ) -> Option<Result<Payload, CodecError>> {
        self.playout.render(now_us, &mut self.frame);
        change(&mut self.frame);
        self.packetiser.push(&self.frame);
        self.packetiser.poll(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Decoder;
    use crate::level::dbm0;
    use crate::testing::{sine, speech_8k, speech_16k};

    const ALL: [Codec; 6] = [
        Codec::Pcmu,
        Codec::Pcma,
        Codec::G722,
        Codec::Opus,
        Codec::L16 { rate_hz: 8000 },
        Codec::L16 { rate_hz: 16_000 },
    ];

    /// Sends a signal of 16 or 8 kHz through a transcoder and gives back what its receiver decodes, at the rate that
    /// both sides have in common.
    fn through(config: &TranscodeConfig, from_ptime_ms: u32, signal: &[i16], rate_hz: u32) -> Vec<i16> {
        let mut transcoder = Transcoder::new(config).expect("a transcoder");
        let mut sender =
            Packetiser::new(rate_hz, config.from, from_ptime_ms, &OpusConfig::default()).expect("a sender");
        let mut decoder = Decoder::new(config.to, rate_hz).expect("a decoder");
        let (mut payload, mut pcm, mut heard) = ([0; 1400], [0; 2880], Vec::new());
        let (mut seq, mut ts, mut next_us) = (0, 0, 0);
        for (ms10, part) in signal.chunks(rate_hz as usize / 100).enumerate() {
            let now_us = (ms10 + 1) as u64 * 10_000;
            sender.push(part);
            while let Some(sent) = sender.poll(&mut payload) {
                let sent = sent.expect("room");
                transcoder.on_audio(now_us, seq, ts, &payload[..sent.len]);
                seq += 1;
                ts += sent.duration_ts;
            }
            while next_us <= now_us {
                if let Some(made) = transcoder.tick(now_us, &mut payload) {
                    let n = decoder.decode(&payload[..made.expect("room").len], &mut pcm).expect("decodes");
                    heard.extend_from_slice(&pcm[..n]);
                }
                next_us += u64::from(transcoder.ptime_ms()) * 1000;
            }
        }
        heard
    }

    #[test]
    fn speech_keeps_its_level_within_half_a_db_for_every_pair() {
        for from in ALL {
            for to in ALL {
                let narrow = from.sample_rate_hz().min(to.sample_rate_hz()) == 8000;
                let (signal, rate) = if narrow { (speech_8k(), 8000) } else { (speech_16k(), 16_000) };
                let heard = through(&TranscodeConfig::new(from, to, 20), 20, &signal, rate);
                let off = dbm0(&heard) - dbm0(&signal);
                assert!(off.abs() < 0.5, "{from:?} to {to:?}: {off} dB");
            }
        }
    }

    #[test]
    fn packet_times_from_10_to_60_ms_change_into_each_other() {
        let tone = sine(8000, 600.0, -12.0, 16_000);
        for from_ms in [10, 20, 30, 60] {
            for to_ms in [10, 20, 30, 60] {
                let config = TranscodeConfig::new(Codec::Pcmu, Codec::Pcma, to_ms);
                let heard = through(&config, from_ms, &tone, 8000);
                let settled = &heard[2000..];
                assert!((dbm0(settled) + 12.0).abs() < 0.3, "{from_ms} to {to_ms}: {}", dbm0(settled));
            }
        }
    }

    #[test]
    fn the_delay_is_at_most_the_packet_time_the_buffer_5_ms_and_what_filters_take() {
        for (from, to) in [(Codec::Pcmu, Codec::G722), (Codec::G722, Codec::Pcma), (Codec::Pcma, Codec::Pcmu)]
        {
            let mut signal = vec![0; 16_000];
            signal[8000..].copy_from_slice(&sine(8000, 1000.0, -10.0, 8000));
            let heard = through(&TranscodeConfig::new(from, to, 20), 20, &signal, 8000);
            let scale = if to == Codec::G722 { 16 } else { 8 };
            let onset = heard.iter().position(|s| s.abs() > 3000).expect("the tone");
            // The sender's own packet time of 20 ms comes before the transcoder.
            let delay_ms = onset as i32 / scale - 1000 - 20;
            let buffer_ms = JitterConfig::of(from).min_delay_ms as i32;
            // Its own, and those between 8 and 16 kHz on either side of it.
            let filters_ms = if [from, to].contains(&Codec::G722) { 8 } else { 0 };
            assert!(delay_ms <= 20 + buffer_ms + 5 + filters_ms, "{from:?} to {to:?}: {delay_ms} ms");
        }
    }

    #[test]
    fn a_leg_can_take_its_transcoder_to_another_worker() {
        fn is_send<T: Send>() {}
        is_send::<Transcoder>();
        is_send::<Playout>();
        is_send::<Packetiser>();
    }

    #[test]
    fn impossible_pairs_are_refused() {
        let odd = TranscodeConfig::new(Codec::L16 { rate_hz: 0 }, Codec::Pcmu, 20);
        assert!(Transcoder::new(&odd).is_err());
        assert!(Transcoder::new(&TranscodeConfig::new(Codec::Pcmu, Codec::Pcma, 5)).is_err());
    }

    #[test]
    fn a_quiet_opus_sender_is_silence_and_not_an_error() {
        let config = OpusConfig { dtx: true, ..OpusConfig::default() };
        let mut encoder = Encoder::new(Codec::Opus, 16_000, &config).expect("an encoder");
        let mut transcoder =
            Transcoder::new(&TranscodeConfig::new(Codec::Opus, Codec::Pcmu, 20)).expect("a transcoder");
        let (mut payload, mut out, mut seq) = ([0; 1000], [0; 1400], 0);
        for i in 0..200u32 {
            let n = encoder.encode(&[0; 320], &mut payload).expect("encodes");
            if n > 0 {
                transcoder.on_audio(u64::from(i) * 20_000, seq, i * 960, &payload[..n]);
                seq += 1;
            }
            let sent = transcoder.tick(u64::from(i) * 20_000, &mut out).expect("a payload").expect("room");
            assert_eq!(sent, Payload { len: 160, duration_ts: 160 });
        }
        assert!(out[..160].iter().all(|b| crate::g711::ulaw_to_linear(*b).abs() < 50));
    }
}
