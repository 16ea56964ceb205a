//! What one 32 ms window of audio holds: its level, and the tones that stand out.

use super::fft::{BINS, Fft, LENGTH, hann};

/// Time between two frames.
pub(super) const HOP_MS: u32 = 10;
const HOP: usize = 80;
const BIN_HZ: f32 = 8000.0 / LENGTH as f32;

/// One frame's measures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Frame {
    /// Mean absolute sample of the newest 10 ms.
    pub(super) magnitude: u16,
    /// Whether some of the newest 10 ms stand in for lost audio.
    pub(super) concealed: bool,
    /// Whether so much of the window does that it says nothing of tones. Then there is no power and no peak.
    pub(super) blurred: bool,
    /// Mean power of the window, weighted by it, in squared sample units.
    pub(super) power: f32,
    /// The strongest tone.
    pub(super) first: Peak,
    /// The strongest tone besides it.
    pub(super) second: Peak,
    /// Share of the power from 280 to 700 Hz, where call progress tones are.
    pub(super) progress_share: f32,
}

/// A tone in the spectrum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Peak {
    pub(super) hz: f32,
    /// Share of the window's power.
    pub(super) share: f32,
}

#[derive(Clone, Debug)]
pub(super) struct SpectrumAnalyser {
    fft: Fft,
    window: [f32; LENGTH],
    samples: [f32; LENGTH],
    /// Samples of the next hop that are here.
    filled: usize,
    magnitude_sum: u32,
    /// Samples since the last that stood in for a lost one, up to a window of them.
    heard: usize,
    concealed: bool,
}

impl Default for SpectrumAnalyser {
    fn default() -> Self {
        Self {
            fft: Fft::default(),
            window: hann(),
            samples: [0.0; LENGTH],
            filled: 0,
            magnitude_sum: 0,
            heard: LENGTH,
            concealed: false,
        }
    }
}

impl SpectrumAnalyser {
    /// Takes samples, `concealed` or heard, up to the end of a hop: how many, and the frame if the hop is complete.
    pub(super) fn push(&mut self, samples: &[i16], concealed: bool) -> (usize, Option<Frame>) {
        if self.filled == 0 {
            self.samples.copy_within(HOP.., 0);
        }
        let used = samples.len().min(HOP - self.filled);
        let from = LENGTH - HOP + self.filled;
        for (slot, &sample) in self.samples[from..from + used].iter_mut().zip(samples) {
            *slot = sample.into();
            self.magnitude_sum += u32::from(sample.unsigned_abs());
        }
        self.filled += used;
        self.concealed |= concealed;
        self.heard = if concealed { 0 } else { (self.heard + used).min(LENGTH) };
        if self.filled < HOP {
            return (used, None);
        }
        self.filled = 0;
        let magnitude = (std::mem::take(&mut self.magnitude_sum) / HOP as u32) as u16;
        let concealed = std::mem::take(&mut self.concealed);
        let blurred = self.heard < LENGTH - EDGE;
        let measured = if blurred { Frame::default() } else { self.analyse() };
        (used, Some(Frame { magnitude, concealed, blurred, ..measured }))
    }

    fn analyse(&self) -> Frame {
        let mut windowed = self.samples;
        for (sample, weight) in windowed.iter_mut().zip(&self.window) {
            *sample *= weight;
        }
        let mut powers = [0.0; BINS];
        self.fft.powers(&windowed, &mut powers);
        // What is below 180 Hz is hum and rumble.
        powers[..FIRST_BIN].fill(0.0);
        let total: f32 = powers.iter().sum();
        // The window's mean square is 3/8; each real frequency is in two of the 256 bins.
        let power = total * 2.0 / (LENGTH * LENGTH) as f32 / (3.0 / 8.0);
        if total < MIN_TOTAL {
            return Frame { power, ..Frame::default() };
        }
        let progress: f32 = powers[9..=22].iter().sum();
        let first = take_peak(&mut powers, total);
        let second = take_peak(&mut powers, total);
        Frame { power, first, second, progress_share: progress / total, ..Frame::default() }
    }
}

/// Finds the strongest peak, measures it and takes it out.
fn take_peak(powers: &mut [f32; BINS], total: f32) -> Peak {
    let inner = FIRST_BIN + 2..BINS - 3;
    let Some(bin) = inner.max_by(|a, b| powers[*a].total_cmp(&powers[*b])) else { return Peak::default() };
    let lobe = &mut powers[bin - 2..=bin + 2];
    let sum: f32 = lobe.iter().sum();
    if sum <= 0.0 {
        return Peak::default();
    }
    // In the logarithm, a Hann window's main lobe is close to a parabola.
    let [a, b, c] = [lobe[1], lobe[2], lobe[3]].map(|p| p.max(f32::MIN_POSITIVE).ln());
    let bend = a - 2.0 * b + c;
    let offset = if bend < 0.0 { (0.5 * (a - c) / bend).clamp(-0.5, 0.5) } else { 0.0 };
    lobe.fill(0.0);
    Peak { hz: (bin as f32 + offset) * BIN_HZ, share: sum / total }
}

const FIRST_BIN: usize = 6;
/// So many of the oldest samples weigh next to nothing: 4 % of the power.
const EDGE: usize = 64;
/// About -60 dBm0.
const MIN_TOTAL: f32 = 2.0e5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::dbm0_to_power;
    use crate::testing::{add, sine};

    fn last_frame(samples: &[i16]) -> Frame {
        let mut analyser = SpectrumAnalyser::default();
        let mut rest = samples;
        let mut last = Frame::default();
        while !rest.is_empty() {
            let (used, frame) = analyser.push(rest, false);
            rest = &rest[used..];
            last = frame.unwrap_or(last);
        }
        last
    }

    #[test]
    fn a_tone_is_measured_within_a_few_hz_and_tenths_of_a_db() {
        for hz in [425.0, 440.0, 950.0, 985.2, 1370.6, 1428.5, 1776.7, 2100.0] {
            let frame = last_frame(&sine(8000, hz, -20.0, 800));
            assert!((frame.first.hz - hz).abs() < 3.0, "{hz}: {}", frame.first.hz);
            assert!(frame.first.share > 0.98, "{hz}: {}", frame.first.share);
            let off_db = 10.0 * (frame.power / dbm0_to_power(-20.0)).log10();
            assert!(off_db.abs() < 0.3, "{hz}: {off_db} dB");
        }
    }

    #[test]
    fn two_tones_are_told_apart() {
        let frame = last_frame(&add(&sine(8000, 480.0, -13.0, 800), &sine(8000, 620.0, -13.0, 800)));
        let mut hz = [frame.first.hz, frame.second.hz];
        hz.sort_by(f32::total_cmp);
        assert!((hz[0] - 480.0).abs() < 6.0 && (hz[1] - 620.0).abs() < 6.0, "{hz:?}");
        assert!(frame.first.share + frame.second.share > 0.95);
        assert!(frame.progress_share > 0.95);
    }

    #[test]
    fn silence_has_no_tone() {
        assert_eq!(last_frame(&[0; 800]), Frame::default());
    }
}
