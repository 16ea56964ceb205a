//! Samples at any rate to another, offline: a windowed-sinc interpolator, as long as quality needs and no faster.

use std::borrow::Cow;
use std::f64::consts::PI;

/// The same sound at another rate. A sound that has it already is returned untouched.
pub(crate) fn resample(samples: &[i16], rate: u32, wanted: u32) -> Cow<'_, [i16]> {
    if rate == wanted {
        return samples.into();
    }
    let step = f64::from(rate) / f64::from(wanted);
    // Below the lower of the two Nyquist frequencies, by the width of the filter's slope, in cycles per input sample.
    let cutoff = PASS_BAND * 0.5 * step.recip().min(1.0);
    let reach = (ZERO_CROSSINGS / (2.0 * cutoff)).ceil();
    let length = (samples.len() as f64 / step).ceil() as usize;
    (0..length).map(|index| interpolate(samples, index as f64 * step, cutoff, reach)).collect()
}

fn interpolate(samples: &[i16], at: f64, cutoff: f64, reach: f64) -> i16 {
    let first = (at - reach).ceil().max(0.0) as usize;
    let last = ((at + reach).floor() as usize).min(samples.len() - 1);
    let (mut sum, mut weights) = (0.0, 0.0);
    for (offset, &sample) in samples[first..=last].iter().enumerate() {
        let distance = (first + offset) as f64 - at;
        let weight = sinc(2.0 * cutoff * distance) * blackman(distance / reach);
        sum += weight * f64::from(sample);
        weights += weight;
    }
    // Divided by the weights that were really there, so that the level holds at both ends too.
    (sum / weights).round().clamp(-32_768.0, 32_767.0) as i16
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

fn blackman(x: f64) -> f64 {
    0.42 + 0.5 * (PI * x).cos() + 0.08 * (2.0 * PI * x).cos()
}

const PASS_BAND: f64 = 0.92;
const ZERO_CROSSINGS: f64 = 32.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn to_8_khz(samples: &[i16], rate: u32) -> Vec<i16> {
        resample(samples, rate, 8_000).into_owned()
    }

    fn sine(rate: u32, hertz: f64, seconds: f64) -> Vec<i16> {
        let length = (f64::from(rate) * seconds) as usize;
        (0..length)
            .map(|n| (10_000.0 * (2.0 * PI * hertz * n as f64 / f64::from(rate)).sin()) as i16)
            .collect()
    }

    /// Level in the middle of a sound, in decibels relative to a sine of amplitude 10,000.
    fn level_db(samples: &[i16]) -> f64 {
        let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
        let power = middle.iter().map(|&s| f64::from(s) * f64::from(s)).sum::<f64>() / middle.len() as f64;
        10.0 * (power / 5e7).max(1e-12).log10()
    }

    #[test]
    fn a_sound_at_8_khz_is_untouched() {
        assert_eq!(to_8_khz(&[1, 2, 3], 8_000), [1, 2, 3]);
    }

    #[test]
    fn speech_frequencies_keep_their_level_from_every_usual_rate() {
        for rate in [6_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000] {
            for hertz in [100.0, 1_000.0, 2_500.0] {
                let output = to_8_khz(&sine(rate, hertz, 0.5), rate);
                assert_eq!(output.len(), 4_000, "{rate}");
                let level = level_db(&output);
                assert!(level.abs() < 0.2, "{rate} Hz, a sine of {hertz} Hz: {level} dB");
            }
        }
    }

    #[test]
    fn what_8_khz_cannot_hold_is_removed_instead_of_folded_back() {
        for (rate, hertz) in [(16_000, 4_500.0), (16_000, 7_000.0), (44_100, 5_000.0), (48_000, 12_345.0)] {
            let level = level_db(&to_8_khz(&sine(rate, hertz, 0.5), rate));
            assert!(level < -60.0, "{rate} Hz, a sine of {hertz} Hz: {level} dB");
        }
    }

    #[test]
    fn a_narrow_sound_keeps_its_level_at_16_khz() {
        let output = resample(&sine(8_000, 1_000.0, 0.5), 8_000, 16_000).into_owned();
        assert_eq!(output.len(), 8_000);
        assert!(level_db(&output).abs() < 0.2);
    }

    #[test]
    fn one_sample_survives() {
        assert_eq!(to_8_khz(&[500], 48_000), [500]);
    }
}
