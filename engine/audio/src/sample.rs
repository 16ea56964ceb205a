//! From real numbers to samples.

/// The nearest sample, limited to 16 bits. `f32::round` would be a call into the C library on most targets.
pub(crate) fn rounded(value: f32) -> i16 {
    (value + 0.5f32.copysign(value)) as i16
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn halves_go_away_from_zero_and_the_ends_saturate() {
        let cases = [(0.4, 0), (0.5, 1), (-0.5, -1), (-1.4, -1), (40_000.0, i16::MAX), (-40_000.0, i16::MIN)];
        for (value, sample) in cases {
            assert_eq!(rounded(value), sample);
        }
    }
}
