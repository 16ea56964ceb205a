//! Concealment of lost audio by repeating the last pitch cycles (after ITU-T G.711 Appendix I).
//!
//! The appendix delays all audio by 3.75 ms to blend into the first repeated cycle; here the step at that point is
//! measured and faded out instead, which costs no delay.

use crate::dot::dot;

/// Hides losses in a stream of samples: show it every good frame, ask it for what is missing.
#[derive(Clone, Debug)]
pub struct Concealer {
    samples_per_ms: usize,
    /// The newest good samples, oldest first.
    history: Box<[f32]>,
    /// Samples concealed since the last good frame.
    lost: usize,
    pitch: usize,
    /// Where the next synthetic sample is in the repeated cycles.
    position: usize,
    /// Difference between the end of the good audio and what the first cycle expected there.
    step: f32,
}

impl Concealer {
    /// A concealer for a sample rate in Hz.
    #[must_use]
    pub fn new(rate_hz: u32) -> Self {
        let samples_per_ms = (rate_hz / 1000).max(1) as usize;
        Self {
            samples_per_ms,
            history: vec![0.0; HISTORY_MS * samples_per_ms].into(),
            lost: 0,
            pitch: 0,
            position: 0,
            step: 0.0,
        }
    }

    /// Takes the next good samples; the first ones after a loss are blended with the synthetic audio.
    pub fn good(&mut self, samples: &mut [i16]) {
        if self.lost > 0 {
            self.blend(samples);
            self.lost = 0;
        }
        self.remember(samples);
    }

    /// Fills `out` with what probably was there; it has faded to silence after 60 ms.
    pub fn conceal(&mut self, out: &mut [i16]) {
        if self.lost == 0 {
            self.start();
        }
        for sample in out {
            *sample = self.synthetic() as i16;
        }
    }

    fn start(&mut self) {
        self.pitch = self.estimated_pitch();
        self.position = 0;
        let end = self.history.len();
        self.step = self.history[end - 1] - self.history[end - 1 - self.pitch];
    }

    /// The lag in samples at which the newest audio is most like itself.
    fn estimated_pitch(&self) -> usize {
        let window = WINDOW_MS * self.samples_per_ms;
        let end = self.history.len();
        let newest = &self.history[end - window..];
        let mut best = (MIN_PITCH_MS * self.samples_per_ms, f32::MIN);
        for lag in MIN_PITCH_MS * self.samples_per_ms..=MAX_PITCH_MS * self.samples_per_ms {
            let older = &self.history[end - window - lag..end - lag];
            let likeness = dot(newest, older) / (1.0 + dot(older, older)).sqrt();
            if likeness > best.1 {
                best = (lag, likeness);
            }
        }
        best.0
    }

    fn synthetic(&mut self) -> f32 {
        let cycles = (1 + self.lost / (10 * self.samples_per_ms)).min(MAX_CYCLES);
        let length = cycles * self.pitch;
        self.position %= length;
        let quarter = self.pitch / 4;
        let start = self.history.len() - length;
        let mut value = self.history[start + self.position];
        let to_end = length - self.position;
        if to_end <= quarter {
            // The last quarter cycle blends into the one before the first, so that the wrap is smooth.
            let weight = to_end as f32 / (quarter + 1) as f32;
            value = value * weight + self.history[start - to_end] * (1.0 - weight);
        }
        if self.lost < quarter {
            value += self.step * (1.0 - (self.lost + 1) as f32 / (quarter + 1) as f32);
        }
        let gain = self.gain();
        self.position += 1;
        self.lost += 1;
        value * gain
    }

    /// 1 for 10 ms, then a fifth less every 10 ms.
    fn gain(&self) -> f32 {
        let ms = self.lost as f32 / self.samples_per_ms as f32;
        (1.0 - (ms - 10.0) / 50.0).clamp(0.0, 1.0)
    }

    fn blend(&mut self, samples: &mut [i16]) {
        let lost_ms = self.lost / self.samples_per_ms;
        let overlap = (self.pitch / 4 + 4 * (lost_ms / 10) * self.samples_per_ms)
            .min(MAX_BLEND_MS * self.samples_per_ms)
            .min(samples.len());
        for (i, sample) in samples[..overlap].iter_mut().enumerate() {
            let weight = (i + 1) as f32 / (overlap + 1) as f32;
            *sample = (f32::from(*sample) * weight + self.synthetic() * (1.0 - weight)) as i16;
        }
    }

    fn remember(&mut self, samples: &[i16]) {
        let keep = self.history.len();
        let samples = &samples[samples.len().saturating_sub(keep)..];
        self.history.copy_within(samples.len().., 0);
        for (kept, &sample) in self.history[keep - samples.len()..].iter_mut().zip(samples) {
            *kept = sample.into();
        }
    }
}

const MIN_PITCH_MS: usize = 5;
const MAX_PITCH_MS: usize = 15;
const WINDOW_MS: usize = 20;
const MAX_CYCLES: usize = 3;
const MAX_BLEND_MS: usize = 10;
/// Three of the longest cycles and a quarter of one before them.
const HISTORY_MS: usize = MAX_CYCLES * MAX_PITCH_MS + MAX_PITCH_MS / 4 + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::dbm0;
    use crate::testing::{add, largest_click, sine, speech_8k};

    /// The signal in 20 ms frames, every `n`th of them lost and concealed.
    fn with_losses(signal: &[i16], rate_hz: u32, n: usize) -> Vec<i16> {
        let mut concealer = Concealer::new(rate_hz);
        let mut out = signal.to_vec();
        for (i, frame) in out.chunks_mut(rate_hz as usize / 50).enumerate() {
            if i % n == n - 1 {
                concealer.conceal(frame);
            } else {
                concealer.good(frame);
            }
        }
        out
    }

    /// Signal to error ratio in dB.
    fn snr(signal: &[i16], got: &[i16]) -> f32 {
        let error: Vec<i16> = signal.iter().zip(got).map(|(a, b)| a.saturating_sub(*b)).collect();
        dbm0(signal) - dbm0(&error)
    }

    #[test]
    fn a_lost_frame_of_a_voiced_sound_is_hardly_heard() {
        for rate in [8000, 16_000] {
            // A 125 Hz voice: harmonics that fall by 6 dB.
            let voice = (1..6).fold(vec![0; rate as usize], |sum, k| {
                add(&sum, &sine(rate, 125.0 * k as f32, -15.0 - 6.0 * k as f32, rate as usize))
            });
            let concealed = with_losses(&voice, rate, 10);
            assert!(snr(&voice, &concealed) > 20.0, "{rate}: {}", snr(&voice, &concealed));
        }
    }

    #[test]
    fn lost_frames_of_speech_keep_their_loudness() {
        let speech = speech_8k();
        let concealed = with_losses(&speech, 8000, 10);
        let lost = |signal: &[i16]| signal.chunks(160).skip(9).step_by(10).map(dbm0).collect::<Vec<_>>();
        let off: Vec<f32> = lost(&speech)
            .iter()
            .zip(lost(&concealed))
            .filter(|(was, _)| **was > -30.0)
            .map(|(was, is)| (was - is).abs())
            .collect();
        assert!(off.len() > 5);
        let mean = off.iter().sum::<f32>() / off.len() as f32;
        // Speech itself changes by about as much from one frame to the next.
        assert!(mean < 4.5, "{mean} dB off: {off:?}");
        assert!((dbm0(&concealed) - dbm0(&speech)).abs() < 0.5);
    }

    #[test]
    fn the_edges_of_a_loss_do_not_click() {
        let tone = sine(8000, 310.0, -10.0, 8000);
        let concealed = with_losses(&tone, 8000, 7);
        assert!(largest_click(&concealed) < 2.0 * largest_click(&tone), "{}", largest_click(&concealed));
    }

    #[test]
    fn a_long_loss_fades_to_silence() {
        let mut concealer = Concealer::new(8000);
        concealer.good(&mut sine(8000, 200.0, -10.0, 800));
        let mut out = [0; 800];
        concealer.conceal(&mut out);
        assert!(dbm0(&out[..80]) > -12.0);
        assert!(out[480..].iter().all(|&s| s == 0));
    }

    #[test]
    fn a_loss_before_any_audio_is_silence() {
        let mut out = [1; 160];
        Concealer::new(8000).conceal(&mut out);
        assert!(out.iter().all(|&s| s == 0));
    }
}
