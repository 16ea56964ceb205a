//! The Goertzel recurrence over a bank of frequencies, in lanes that the compiler can vectorise.

use std::f32::consts::TAU;

/// Complex amplitudes at `N` frequencies over a block of samples.
#[derive(Clone, Debug)]
pub struct GoertzelBank<const N: usize> {
    turn: [f32; N],
    coefficient: [f32; N],
    s1: [f32; N],
    s2: [f32; N],
}

/// A complex number, as the bank gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Complex {
    /// Real part.
    pub re: f32,
    /// Imaginary part.
    pub im: f32,
}

impl<const N: usize> GoertzelBank<N> {
    /// A bank for frequencies in Hz at a sample rate in Hz.
    #[must_use]
    pub fn new(frequencies_hz: [f32; N], rate_hz: f32) -> Self {
        let turn = frequencies_hz.map(|hz| TAU * hz / rate_hz);
        Self { turn, coefficient: turn.map(|w| 2.0 * w.cos()), s1: [0.0; N], s2: [0.0; N] }
    }

    /// Takes one sample.
    #[inline]
    pub fn push(&mut self, sample: f32) {
        for i in 0..N {
            let s0 = sample + self.coefficient[i] * self.s1[i] - self.s2[i];
            self.s2[i] = self.s1[i];
            self.s1[i] = s0;
        }
    }

    /// Amplitudes since the last call, the phase counted from the newest sample; starts the next block.
    ///
    /// A sine of peak amplitude `a` over `n` samples gives a magnitude of about `a·n/2`.
    pub fn finish(&mut self) -> [Complex; N] {
        let mut out = [Complex::default(); N];
        for (i, out) in out.iter_mut().enumerate() {
            let (sin, cos) = self.turn[i].sin_cos();
            *out = Complex { re: self.s1[i] - self.s2[i] * cos, im: self.s2[i] * sin };
        }
        self.s1 = [0.0; N];
        self.s2 = [0.0; N];
        out
    }
}

impl Complex {
    /// Squared magnitude.
    #[must_use]
    pub fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    /// Angle in radians.
    #[must_use]
    pub fn angle(self) -> f32 {
        self.im.atan2(self.re)
    }

    /// This number turned by an angle in radians.
    #[must_use]
    pub fn turned(self, angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self { re: self.re * cos - self.im * sin, im: self.re * sin + self.im * cos }
    }
}

impl std::ops::Add for Complex {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sine;

    #[test]
    fn a_bank_measures_its_frequencies_and_ignores_others() {
        let mut bank = GoertzelBank::new([1000.0, 1500.0], 8000.0);
        for sample in sine(8000, 1000.0, -10.0, 800) {
            bank.push(sample.into());
        }
        let [at, off] = bank.finish();
        let expected = crate::level::sine_amplitude(-10.0) * 400.0;
        assert!((at.power().sqrt() / expected - 1.0).abs() < 0.01);
        assert!(off.power() < at.power() / 1e4);
    }

    #[test]
    fn the_phase_advances_with_the_true_frequency() {
        let mut bank = GoertzelBank::new([1000.0], 8000.0);
        let samples = sine(8000, 1010.0, -10.0, 160);
        let angles: Vec<f32> = samples
            .chunks(80)
            .map(|block| {
                block.iter().for_each(|&s| bank.push(s.into()));
                bank.finish()[0].angle()
            })
            .collect();
        // 10 Hz over 10 ms is a tenth of a turn more than the nominal whole number of turns.
        let advance = (angles[1] - angles[0]).rem_euclid(TAU) / TAU;
        assert!((advance - 0.1).abs() < 0.02, "{advance}");
    }
}
