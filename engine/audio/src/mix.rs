//! Mixing: the sum of several sources.

use crate::sample::rounded;

/// Adds up one frame of several sources.
#[derive(Clone, Debug)]
pub struct Mixer {
    sum: Box<[i32]>,
}

impl Mixer {
    /// A mixer for frames of at most `max_samples`.
    #[must_use]
    pub fn new(max_samples: usize) -> Self {
        Self { sum: vec![0; max_samples].into() }
    }

    /// Starts a frame.
    pub fn clear(&mut self) {
        self.sum.fill(0);
    }

    /// Adds a source; samples beyond the frame are left out.
    pub fn add(&mut self, samples: &[i16]) {
        for (sum, &sample) in self.sum.iter_mut().zip(samples) {
            *sum += i32::from(sample);
        }
    }

    /// The sum of all sources, limited to 16 bits.
    pub fn all(&self, out: &mut [i16]) {
        for (out, &sum) in out.iter_mut().zip(&self.sum) {
            *out = saturated(sum);
        }
    }
}

/// Scales samples by a gain in dB, limited to 16 bits.
pub fn apply_gain(samples: &mut [i16], gain_db: f32) {
    let gain = 10f32.powf(gain_db / 20.0);
    for sample in samples {
        *sample = rounded(f32::from(*sample) * gain);
    }
}

/// Turns `after` from `before` into itself over its length.
pub(crate) fn blend(before: &[i16], after: &mut [i16]) {
    let len = after.len() as f32;
    for (at, (after, &before)) in after.iter_mut().zip(before).enumerate() {
        let share = (at as f32 + 0.5) / len;
        *after = (f32::from(before) * (1.0 - share) + f32::from(*after) * share) as i16;
    }
}

fn saturated(sum: i32) -> i16 {
    sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::dbm0;
    use crate::testing::{noise, sine, speech_8k};

    #[test]
    fn the_sum_is_exact() {
        let speech = speech_8k();
        let sources = [speech[..160].to_vec(), sine(8000, 440.0, -20.0, 160), noise(1, -30.0, 160)];
        let mut mixer = Mixer::new(160);
        mixer.clear();
        sources.iter().for_each(|s| mixer.add(s));
        let mut heard = [0; 160];
        mixer.all(&mut heard);
        for (at, heard) in heard.into_iter().enumerate() {
            assert_eq!(heard, saturated(sources.iter().map(|source| i32::from(source[at])).sum()));
        }
    }

    #[test]
    fn a_loud_sum_saturates() {
        let mut mixer = Mixer::new(2);
        mixer.add(&[30_000, -30_000]);
        mixer.add(&[20_000, -20_000]);
        let mut out = [0; 2];
        mixer.all(&mut out);
        assert_eq!(out, [i16::MAX, i16::MIN]);
    }

    #[test]
    fn gain_is_in_db() {
        let mut samples = sine(8000, 1000.0, -20.0, 800);
        apply_gain(&mut samples, 6.0);
        assert!((dbm0(&samples) + 14.0).abs() < 0.1);
        apply_gain(&mut samples, 100.0);
        assert!(samples.contains(&i16::MAX));
    }
}
