//! The spectrum of 256 real samples: a radix-2 transform of 128 complex ones.

use crate::goertzel::Complex;
use std::f32::consts::{PI, TAU};

/// Length of the input.
pub(super) const LENGTH: usize = 256;
/// Frequencies of the output, 0 Hz up to half the sample rate.
pub(super) const BINS: usize = HALF + 1;
const HALF: usize = LENGTH / 2;

/// Twiddle factors, made once.
#[derive(Clone, Debug)]
pub(super) struct Fft {
    /// e^(-2πi k / 256), the even ones of which serve the complex transform.
    turns: [Complex; HALF],
}

impl Default for Fft {
    fn default() -> Self {
        let turn = |k: usize| {
            let (sin, cos) = (TAU * k as f32 / LENGTH as f32).sin_cos();
            Complex { re: cos, im: -sin }
        };
        Self { turns: std::array::from_fn(turn) }
    }
}

impl Fft {
    /// Squared magnitudes.
    pub(super) fn powers(&self, input: &[f32; LENGTH], powers: &mut [f32; BINS]) {
        let mut z = [Complex::default(); HALF];
        for (i, z) in z.iter_mut().enumerate() {
            let from = (i as u32).reverse_bits() as usize >> (u32::BITS - HALF.ilog2());
            *z = Complex { re: input[2 * from], im: input[2 * from + 1] };
        }
        self.butterflies(&mut z);
        for (k, power) in powers.iter_mut().enumerate() {
            let (a, b) = (z[k % HALF], z[(HALF - k) % HALF]);
            let even = Complex { re: (a.re + b.re) / 2.0, im: (a.im - b.im) / 2.0 };
            let odd = Complex { re: (a.im + b.im) / 2.0, im: (b.re - a.re) / 2.0 };
            let turn = if k == HALF { Complex { re: -1.0, im: 0.0 } } else { self.turns[k] };
            *power = (even + product(turn, odd)).power();
        }
    }

    fn butterflies(&self, z: &mut [Complex; HALF]) {
        let mut size = 2;
        while size <= HALF {
            let step = LENGTH / size;
            for block in z.chunks_exact_mut(size) {
                let (low, high) = block.split_at_mut(size / 2);
                for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                    let turned = product(self.turns[k * step], *b);
                    *b = Complex { re: a.re - turned.re, im: a.im - turned.im };
                    *a = *a + turned;
                }
            }
            size *= 2;
        }
    }
}

/// A window that falls to zero at both ends (Hann).
pub(super) fn hann() -> [f32; LENGTH] {
    std::array::from_fn(|i| {
        let x = PI * (i as f32 + 0.5) / LENGTH as f32;
        x.sin() * x.sin()
    })
}

fn product(a: Complex, b: Complex) -> Complex {
    Complex { re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn it_agrees_with_the_definition() {
        let input: [f32; LENGTH] = std::array::from_fn(|i| f32::from(noise(3, -10.0, LENGTH)[i]));
        let mut powers = [0.0; BINS];
        Fft::default().powers(&input, &mut powers);
        for k in [0, 1, 2, 17, 64, 127, 128] {
            let (mut re, mut im) = (0.0f64, 0.0f64);
            for (i, &x) in input.iter().enumerate() {
                let angle = std::f64::consts::TAU * (i * k) as f64 / LENGTH as f64;
                re += f64::from(x) * angle.cos();
                im -= f64::from(x) * angle.sin();
            }
            let expected = (re * re + im * im) as f32;
            assert!((powers[k] - expected).abs() < expected * 1e-3 + 10.0, "{k}: {} {expected}", powers[k]);
        }
    }
}
