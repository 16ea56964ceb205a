//! Levels of blocks of samples.

/// Level of a full-scale sine, in dBm0: the overload point of A-law (G.711 §3).
#[expect(clippy::approx_constant, reason = "G.711's overload level, not π")]
pub const FULL_SCALE_SINE_DBM0: f32 = 3.14;

/// Level reported for silence and anything below it.
pub const FLOOR_DBM0: f32 = -90.0;

/// Mean power of the samples, in squared sample units; zero for an empty slice.
#[must_use]
pub fn mean_power(samples: &[i16]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    let sum: i64 = samples.iter().map(|&s| i64::from(i32::from(s) * i32::from(s))).sum();
    sum as f32 / samples.len() as f32
}

/// Mean absolute sample, the measure that Asterisk's `silence_threshold` is compared with.
#[must_use]
pub fn mean_magnitude(samples: &[i16]) -> u16 {
    if samples.is_empty() {
        return 0;
    }
    let sum: u64 = samples.iter().map(|s| u64::from(s.unsigned_abs())).sum();
    (sum / samples.len() as u64) as u16
}

/// RMS level in dBm0, never below [`FLOOR_DBM0`].
#[must_use]
pub fn dbm0(samples: &[i16]) -> f32 {
    power_to_dbm0(mean_power(samples))
}

/// RMS level in dBov (RFC 3389 §3: 0 is the level of a full-scale square wave), never below -127.
#[must_use]
pub fn dbov(samples: &[i16]) -> f32 {
    let power = mean_power(samples);
    if power <= 0.0 { -127.0 } else { (10.0 * (power / FULL_SCALE_SQUARE_POWER).log10()).max(-127.0) }
}

/// Level in dBm0 of a mean power in squared sample units.
#[must_use]
pub fn power_to_dbm0(power: f32) -> f32 {
    if power <= 0.0 {
        return FLOOR_DBM0;
    }
    (10.0 * (power / FULL_SCALE_SINE_POWER).log10() + FULL_SCALE_SINE_DBM0).max(FLOOR_DBM0)
}

/// Mean power in squared sample units of a level in dBm0.
#[must_use]
pub fn dbm0_to_power(dbm0: f32) -> f32 {
    FULL_SCALE_SINE_POWER * 10f32.powf((dbm0 - FULL_SCALE_SINE_DBM0) / 10.0)
}

/// Peak amplitude of a sine of that level.
#[must_use]
pub fn sine_amplitude(dbm0: f32) -> f32 {
    (2.0 * dbm0_to_power(dbm0)).sqrt()
}

const FULL_SCALE_SINE_POWER: f32 = 32_768.0 * 32_768.0 / 2.0;
const FULL_SCALE_SQUARE_POWER: f32 = 32_768.0 * 32_768.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sine;

    #[test]
    fn a_sine_has_the_level_it_was_made_with() {
        for level in [0.0, -10.0, -30.0, -45.0] {
            let samples = sine(8000, 1004.0, level, 8000);
            assert!((dbm0(&samples) - level).abs() < 0.1, "{level}: {}", dbm0(&samples));
        }
    }

    #[test]
    fn the_digital_milliwatt_of_g711_is_0_dbm0() {
        // G.711 Table 5: the µ-law sequence of a 1 kHz sine at 0 dBm0.
        let sequence = [0x1E, 0x0B, 0x0B, 0x1E, 0x9E, 0x8B, 0x8B, 0x9E];
        let mut samples = [0; 8];
        crate::g711::decode_ulaw(&sequence, &mut samples);
        assert!(dbm0(&samples).abs() < 0.1, "{}", dbm0(&samples));
    }

    #[test]
    fn silence_and_nothing_are_the_floor() {
        assert_eq!(dbm0(&[0; 160]), FLOOR_DBM0);
        assert_eq!(dbm0(&[]), FLOOR_DBM0);
        assert_eq!(dbov(&[]), -127.0);
        assert_eq!(mean_magnitude(&[]), 0);
    }

    #[test]
    fn a_full_scale_square_is_0_dbov() {
        assert!(dbov(&[i16::MIN, i16::MAX]).abs() < 0.01);
        assert_eq!(mean_magnitude(&[i16::MIN, i16::MIN]), 32_768);
    }
}
