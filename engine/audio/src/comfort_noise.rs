//! Comfort noise (RFC 3389): its payload, and a generator.

/// Highest order of the noise's spectrum that is read.
pub const MAX_ORDER: usize = 10;

/// What a comfort noise payload describes: a level and a spectrum (RFC 3389 §3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseShape {
    /// Level in dB below overload (dBov with the sign dropped), 0–127.
    pub level: u8,
    /// Reflection coefficients of the spectrum; zero beyond the payload's order.
    pub reflection: [f32; MAX_ORDER],
}

impl NoiseShape {
    /// White noise of that level, in dB below overload.
    #[must_use]
    pub const fn white(level: u8) -> Self {
        Self { level, reflection: [0.0; MAX_ORDER] }
    }

    /// Reads a payload; `None` if it is empty. Coefficients beyond [`MAX_ORDER`] are left out.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (&level, coefficients) = payload.split_first()?;
        let mut shape = Self::white(level & 0x7F);
        for (k, &index) in shape.reflection.iter_mut().zip(coefficients) {
            // Byte 127 is zero and the steps are 1/127 (RFC 3389 §3.2, which rounds them to 258/32768).
            *k = ((f32::from(index) - 127.0) / 127.0).clamp(-MAX_REFLECTION, MAX_REFLECTION);
        }
        Some(shape)
    }
}

/// Makes the noise that a [`NoiseShape`] describes.
#[derive(Clone, Debug)]
pub struct NoiseSource {
    random: u32,
    reflection: [f32; MAX_ORDER],
    delay: [f32; MAX_ORDER + 1],
    gain: f32,
    target_gain: f32,
}

impl NoiseSource {
    /// A silent source; any seed will do, sources with different seeds sound independent.
    #[must_use]
    pub const fn new(seed: u32) -> Self {
        Self {
            random: seed | 1,
            reflection: [0.0; MAX_ORDER],
            delay: [0.0; MAX_ORDER + 1],
            gain: 0.0,
            target_gain: 0.0,
        }
    }

    /// Changes what is made; the level glides there within a few ms.
    pub fn shape(&mut self, shape: &NoiseShape) {
        self.reflection = shape.reflection;
        // The filter raises the power of what drives it by 1 / Π(1 - k²).
        let loss: f32 = shape.reflection.iter().map(|k| 1.0 - k * k).product();
        let rms = 32_768.0 * 10f32.powf(-f32::from(shape.level) / 20.0);
        // A uniform number in -1..1 has an RMS of 1/√3.
        self.target_gain = rms * (3.0 * loss).sqrt();
    }

    /// Fills `out` with noise.
    pub fn render(&mut self, out: &mut [i16]) {
        for sample in out {
            self.gain += (self.target_gain - self.gain) * GLIDE;
            let driven = self.uniform() * self.gain;
            *sample = self.filtered(driven) as i16;
        }
    }

    /// One step of the all-pole lattice.
    fn filtered(&mut self, input: f32) -> f32 {
        let mut forward = input;
        for i in (0..MAX_ORDER).rev() {
            forward -= self.reflection[i] * self.delay[i];
            self.delay[i + 1] = self.delay[i] + self.reflection[i] * forward;
        }
        self.delay[0] = forward;
        forward
    }

    fn uniform(&mut self) -> f32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random as i32 as f32 / (1u32 << 31) as f32
    }
}

/// Keeps the lattice stable whatever a payload says.
const MAX_REFLECTION: f32 = 0.98;
const GLIDE: f32 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level;
    use crate::testing::{noise, power_at};

    /// Noise with most of its power at low frequencies.
    fn brown(level_dbm0: f32, len: usize) -> Vec<i16> {
        let mut last = 0.0;
        noise(5, level_dbm0, len)
            .iter()
            .map(|&s| {
                last = 0.8 * last + 0.6 * f32::from(s);
                last as i16
            })
            .collect()
    }

    /// Level and spectrum of background noise: what another end would describe it by.
    fn shape_of(samples: &[i16]) -> NoiseShape {
        NoiseShape {
            reflection: reflection_of(samples),
            ..NoiseShape::white(-level::dbov(samples).round() as u8)
        }
    }

    /// The payload of a shape (RFC 3389 §3.2).
    fn payload(shape: &NoiseShape) -> [u8; MAX_ORDER + 1] {
        let coefficient = |k: f32| (127.0 + k * 127.0).round() as u8;
        std::array::from_fn(|at| at.checked_sub(1).map_or(shape.level, |k| coefficient(shape.reflection[k])))
    }

    /// Reflection coefficients by Levinson and Durbin, of the autocorrelation.
    fn reflection_of(samples: &[i16]) -> [f32; MAX_ORDER] {
        let mut reflection = [0.0; MAX_ORDER];
        let lag = |k: usize| -> f64 {
            samples
                .iter()
                .zip(samples.get(k..).unwrap_or(&[]))
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum()
        };
        // A little white noise keeps the recursion well conditioned.
        let mut error = lag(0) * 1.0001;
        if error <= 0.0 {
            return reflection;
        }
        let correlation: [f64; MAX_ORDER + 1] = std::array::from_fn(lag);
        let mut predictor = [0.0f64; MAX_ORDER + 1];
        for i in 1..=MAX_ORDER {
            let sum: f64 = (1..i).map(|j| predictor[j] * correlation[i - j]).sum();
            let k = -(correlation[i] + sum) / error;
            let before = predictor;
            for j in 1..i {
                predictor[j] += k * before[i - j];
            }
            predictor[i] = k;
            error *= 1.0 - k * k;
            reflection[i - 1] = (k as f32).clamp(-MAX_REFLECTION, MAX_REFLECTION);
        }
        reflection
    }

    fn band_power(samples: &[i16], from_hz: u32, to_hz: u32) -> f32 {
        (from_hz..to_hz).step_by(20).map(|hz| power_at(samples, hz as f32, 8000)).sum()
    }

    #[test]
    fn a_payload_is_read() {
        let shape = NoiseShape::parse(&[60, 127, 254, 0, 190]).expect("a payload");
        assert_eq!(shape.level, 60);
        assert_eq!(shape.reflection[0], 0.0);
        assert_eq!(shape.reflection[1], MAX_REFLECTION);
        assert_eq!(shape.reflection[2], -MAX_REFLECTION);
        assert!((shape.reflection[3] - 63.0 / 127.0).abs() < 1e-6);
        assert_eq!(NoiseShape::parse(&[]), None);
    }

    #[test]
    fn the_noise_has_the_level_of_its_shape() {
        for level in [30, 50, 65] {
            let mut source = NoiseSource::new(1);
            source.shape(&NoiseShape::white(level));
            let mut out = [0; 8000];
            source.render(&mut out);
            let made = level::dbov(&out[800..]);
            assert!((made + f32::from(level)).abs() < 1.0, "{level}: {made}");
        }
    }

    #[test]
    fn noise_analysed_and_made_again_sounds_alike() {
        let original = brown(-40.0, 8000);
        let mut source = NoiseSource::new(9);
        source.shape(&NoiseShape::parse(&payload(&shape_of(&original))).expect("a payload"));
        let mut made = vec![0; 16_000];
        source.render(&mut made);
        let made = &made[8000..];
        assert!((level::dbm0(&original) - level::dbm0(made)).abs() < 1.5);
        let tilt = |s: &[i16]| 10.0 * (band_power(s, 100, 1000) / band_power(s, 3000, 3900)).log10();
        assert!((tilt(&original) - tilt(made)).abs() < 3.0, "{} {}", tilt(&original), tilt(made));
    }

    #[test]
    fn any_payload_makes_bounded_noise() {
        for fill in [0, 64, 255] {
            let mut source = NoiseSource::new(3);
            source.shape(&NoiseShape::parse(&[fill; 20]).expect("a payload"));
            let mut out = [0; 16_000];
            source.render(&mut out);
            assert!(out.iter().all(|&s| s > i16::MIN));
        }
    }
}
