//! What else is heard on a line.

use crate::calls::RATE_HZ;
use crate::random::Random;
use offhook_audio::level::dbm0_to_power;

/// A kind of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noise {
    White,
    /// As loud in each octave.
    Pink,
    /// People who talk at once, somewhere behind.
    Babble,
}

impl Noise {
    /// Adds this noise at a level over the whole band.
    pub(crate) fn add(self, samples: &mut [i16], level_dbm0: f32, babble: &[i16], random: &mut Random) {
        let len = samples.len();
        let raw: Vec<f32> = match self {
            Self::White => (0..len).map(|_| random.sample()).collect(),
            Self::Pink => pink(len, random),
            Self::Babble => {
                let from = random.below(babble.len());
                babble.iter().cycle().skip(from).take(len).map(|s| f32::from(*s)).collect()
            }
        };
        let power = raw.iter().map(|s| s * s).sum::<f32>() / len.max(1) as f32;
        let gain = (dbm0_to_power(level_dbm0) / power.max(f32::MIN_POSITIVE)).sqrt();
        for (sample, noise) in samples.iter_mut().zip(raw) {
            *sample = (f32::from(*sample) + noise * gain).round() as i16;
        }
    }
}

/// Many voices at once: each sound, again and again from another place on, eight times over.
pub(crate) fn babble(voices: &[Vec<i16>], random: &mut Random) -> Vec<i16> {
    let mut sum = vec![0_i32; 12 * RATE_HZ as usize];
    for _ in 0..8 {
        let voice = &voices[random.below(voices.len())];
        let from = random.below(voice.len());
        for (sum, sample) in sum.iter_mut().zip(voice.iter().cycle().skip(from)) {
            *sum += i32::from(*sample) / 8;
        }
    }
    sum.into_iter().map(|s| s as i16).collect()
}

/// Sources that change every 1, 2, 4, 8… samples, added up.
fn pink(len: usize, random: &mut Random) -> Vec<f32> {
    let mut sources = [0.0_f32; 14];
    let next = |i: usize| {
        for (octave, source) in sources.iter_mut().enumerate() {
            if i.is_multiple_of(1 << octave) {
                *source = random.sample();
            }
        }
        sources.iter().sum()
    };
    (0..len).map(next).collect()
}
