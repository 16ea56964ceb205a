//! A line: its level, its noise, its encoding and what it does to packets, heard as the engine hears it.

use crate::calls::RATE_HZ;
use crate::noise::Noise;
use crate::random::Random;
use offhook_audio::codec::{Codec, Encoder, OpusConfig};
use offhook_audio::jitter::JitterConfig;
use offhook_audio::mix::apply_gain;
use offhook_audio::playout::Playout;
use offhook_audio::resample::Resampler;

/// What happens to a call between its two ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) codec: Codec,
    pub(crate) gain_db: f32,
    pub(crate) noise: Option<(Noise, f32)>,
    pub(crate) loss: Loss,
    /// Packets come so much later, at most, than the fastest ones.
    pub(crate) jitter_ms: usize,
}

/// Which packets do not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    None,
    /// Each for itself, so many of a hundred.
    Single(usize),
    /// Three in a row on average, so many of a hundred in all.
    Burst(usize),
}

/// What is heard at the other end.
pub(crate) struct Received {
    /// At 8 kHz.
    pub(crate) samples: Vec<i16>,
    /// Whether some of each 20 ms of them stand in for lost audio.
    pub(crate) concealed: Vec<bool>,
}

impl Line {
    /// Any line.
    pub(crate) fn any(random: &mut Random) -> Self {
        let level_dbm0 = -40.0 - random.below(21) as f32;
        let noise = random.pick(&[None, Some(Noise::White), Some(Noise::Pink), Some(Noise::Babble)]);
        let some = [Loss::None, Loss::None, Loss::Single(1), Loss::Single(3), Loss::Burst(1), Loss::Burst(3)];
        Self {
            codec: random.pick(&CODECS),
            gain_db: random.below(22) as f32 - 16.0,
            noise: noise.map(|kind| (kind, level_dbm0)),
            loss: random.pick(&some),
            jitter_ms: random.pick(&[0, 0, 10, 40]),
        }
    }

    /// What is heard at the other end: encoded in packets of 20 ms, those that come through a jitter buffer, decoded.
    pub(crate) fn carry(&self, samples: &[i16], babble: &[i16], random: &mut Random) -> Received {
        let mut samples = samples.to_vec();
        apply_gain(&mut samples, self.gain_db);
        if let Some((noise, level_dbm0)) = self.noise {
            noise.add(&mut samples, level_dbm0, babble, random);
        }
        let packets = self.packets(&samples);
        let count = packets.len() as u64;
        let mut arrivals = self.arrivals(packets, random).into_iter().peekable();
        let mut playout = Playout::new(self.codec, 8000, JitterConfig::of(self.codec)).expect("a decoder");
        let step_ts = self.codec.clock_rate_hz() / PACKETS_A_SECOND;
        let mut frame = vec![0; (playout.rate_hz() / PACKETS_A_SECOND) as usize];
        let (mut heard, mut concealed) = (Vec::new(), Vec::new());
        for tick in 0..count {
            let now_us = tick * PTIME_US + PHASE_US;
            while let Some((_, number, payload)) = arrivals.next_if(|(at_us, ..)| *at_us <= now_us) {
                playout.on_audio(now_us, number as u16, number * step_ts, &payload);
            }
            playout.render(now_us, &mut frame);
            heard.extend_from_slice(&frame);
            concealed.push(playout.concealed());
        }
        Received { samples: resampled(&heard, playout.rate_hz(), 8000), concealed }
    }

    fn packets(&self, samples: &[i16]) -> Vec<Vec<u8>> {
        let expected_loss_percent = if self.loss == Loss::None { 0 } else { 5 };
        let opus = OpusConfig { expected_loss_percent, ..OpusConfig::default() };
        let mut encoder = Encoder::new(self.codec, RATE_HZ, &opus).expect("an encoder");
        let samples = resampled(samples, RATE_HZ, encoder.rate_hz());
        let frames = samples.chunks_exact((encoder.rate_hz() / PACKETS_A_SECOND) as usize);
        let encode = |frame| {
            let mut payload = vec![0; 1500];
            let len = encoder.encode(frame, &mut payload).expect("a frame that it takes");
            payload.truncate(len);
            payload
        };
        frames.map(encode).collect()
    }

    /// When each packet comes, in µs, with its number; in this order.
    fn arrivals(&self, packets: Vec<Vec<u8>>, random: &mut Random) -> Vec<(u64, u32, Vec<u8>)> {
        let mut lost = false;
        let mut arrivals = Vec::new();
        for (number, payload) in (0_u32..).zip(packets) {
            lost = match self.loss {
                Loss::None => false,
                Loss::Single(percent) => random.below(100) < percent,
                // From one of a third that end, and as many that begin as keep the share.
                Loss::Burst(_) if lost => random.below(3) > 0,
                Loss::Burst(percent) => random.below(300) < percent,
            };
            let late_us = random.below(self.jitter_ms * 1000 + 1) as u64;
            if !lost {
                arrivals.push((u64::from(number) * PTIME_US + late_us, number, payload));
            }
        }
        arrivals.sort_by_key(|(at_us, ..)| *at_us);
        arrivals
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { codec, gain_db, noise, loss, jitter_ms } = self;
        write!(f, "{codec:?} {gain_db} dB, noise {noise:?}, loss {loss:?}, jitter {jitter_ms} ms")
    }
}

/// All of a sound at another rate.
pub(crate) fn resampled(samples: &[i16], from_hz: u32, to_hz: u32) -> Vec<i16> {
    if from_hz == to_hz {
        return samples.to_vec();
    }
    let mut resampler = Resampler::new(from_hz, to_hz).expect("a ratio of small terms");
    let mut out = vec![0; resampler.max_output(samples.len())];
    let made = resampler.process(samples, &mut out);
    out.truncate(made);
    out
}

pub(crate) const CODECS: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];
const PACKETS_A_SECOND: u32 = 50;
const PTIME_US: u64 = 20_000;
/// The engine's ticks are not the sender's.
const PHASE_US: u64 = 7_000;
