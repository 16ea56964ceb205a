//! Signals and measures that tests share.

use crate::level::{dbm0_to_power, sine_amplitude};

/// A sine of that level.
pub(crate) fn sine(rate_hz: u32, hz: f32, level_dbm0: f32, len: usize) -> Vec<i16> {
    let turn = std::f64::consts::TAU * f64::from(hz) / f64::from(rate_hz);
    let amplitude = f64::from(sine_amplitude(level_dbm0));
    (0..len).map(|i| ((i as f64 * turn).sin() * amplitude).round() as i16).collect()
}

/// White noise of that level, the same for the same seed.
pub(crate) fn noise(seed: u32, level_dbm0: f32, len: usize) -> Vec<i16> {
    let amplitude = (3.0 * dbm0_to_power(level_dbm0)).sqrt();
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            ((state as i32 as f32 / i32::MAX as f32) * amplitude) as i16
        })
        .collect()
}

/// Sum of two signals, as long as the first.
pub(crate) fn add(a: &[i16], b: &[i16]) -> Vec<i16> {
    a.iter().enumerate().map(|(i, &s)| s.saturating_add(b.get(i).copied().unwrap_or(0))).collect()
}

/// Mean power at one frequency.
pub(crate) fn power_at(samples: &[i16], hz: f32, rate_hz: u32) -> f32 {
    let turn = std::f64::consts::TAU * f64::from(hz) / f64::from(rate_hz);
    let (mut re, mut im) = (0.0, 0.0);
    for (i, &s) in samples.iter().enumerate() {
        re += f64::from(s) * (i as f64 * turn).cos();
        im += f64::from(s) * (i as f64 * turn).sin();
    }
    let n = samples.len() as f64;
    (2.0 * (re * re + im * im) / (n * n)) as f32
}

/// Largest second difference: what a click raises and a smooth signal keeps low.
pub(crate) fn largest_click(samples: &[i16]) -> f32 {
    samples
        .windows(3)
        .map(|w| (i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2])).unsigned_abs() as f32)
        .fold(0.0, f32::max)
}

/// Speech of the test data: about 4.5 s at 16 kHz.
pub(crate) fn speech_16k() -> Vec<i16> {
    wav(include_bytes!("../testdata/speech_16k.wav"))
}

/// The same speech at 8 kHz, by a plain low-pass and decimation.
pub(crate) fn speech_8k() -> Vec<i16> {
    let speech = speech_16k();
    let kernel: Vec<f32> = (-32..=32)
        .map(|i| {
            let x = i as f32 * std::f32::consts::PI;
            let sinc = if i == 0 { 0.43 } else { (0.43 * x).sin() / x };
            sinc * (0.5 + 0.5 * (x / 33.0).cos())
        })
        .collect();
    let at = |i: isize| speech.get(i as usize).map_or(0.0, |&s| f32::from(s));
    (0..speech.len() as isize / 2)
        .map(|i| kernel.iter().enumerate().map(|(k, c)| c * at(2 * i + k as isize - 32)).sum::<f32>() as i16)
        .collect()
}

/// A spoken "Hello?" at 8 kHz, 0.9 s.
pub(crate) fn hello_8k() -> Vec<i16> {
    wav(include_bytes!("../testdata/hello_8k.wav"))
}

/// A spoken answering machine's greeting at 8 kHz, 7.3 s.
pub(crate) fn greeting_8k() -> Vec<i16> {
    wav(include_bytes!("../testdata/greeting_8k.wav"))
}

fn wav(bytes: &[u8]) -> Vec<i16> {
    let reader = hound::WavReader::new(bytes).expect("test data is WAV");
    reader.into_samples().map(|s| s.expect("whole samples")).collect()
}
