//! The E-model: how a conversation over a line is rated (ITU-T G.107 06/2015, the narrowband scale).
//!
//! All but loss and delay have their default values (G.107 table 3), so that the rating starts from 93.2; echo is taken to be
//! cancelled, so that delay counts as such alone. G.722 and Opus have no values on this scale: they are rated as G.711 whose
//! receiver conceals losses.

/// Rating without loss and delay (G.107 clause 7.7).
const BASE_R: f64 = 93.2;
/// Robustness of G.711 with concealment against random loss (G.113 appendix I, table I.3); its impairment without loss is 0.
const LOSS_ROBUSTNESS: f64 = 25.1;
/// Delay that nobody notices, in milliseconds (G.107 table 3, the default class).
const UNNOTICED_MS: f64 = 100.0;

/// The transmission rating R, 0 to 93.2, of a line that loses this share of its packets, 0 to 1, and takes `delay_ms` from mouth
/// to ear.
pub(crate) fn r_factor(lost: f64, delay_ms: f64) -> f64 {
    let percent = 100.0 * lost.clamp(0.0, 1.0);
    // G.107 clause 7.5, with random loss.
    let equipment = 95.0 * percent / (percent + LOSS_ROBUSTNESS);
    (BASE_R - delay_impairment(delay_ms) - equipment).max(0.0)
}

/// The mean opinion, 1 to 4.5, of a rating (G.107 annex B).
pub(crate) fn mos(r: f64) -> f64 {
    match r {
        r if r <= 0.0 => 1.0,
        r if r >= 100.0 => 4.5,
        r => (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0),
    }
}

/// What absolute delay takes away, without echo (G.107 clause 7.4, Idd).
fn delay_impairment(delay_ms: f64) -> f64 {
    if delay_ms <= UNNOTICED_MS {
        return 0.0;
    }
    let x = (delay_ms / UNNOTICED_MS).log2();
    let root = |base: f64| base.powf(1.0 / 6.0);
    25.0 * (root(1.0 + x.powi(6)) - 3.0 * root(1.0 + (x / 3.0).powi(6)) + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64, by: f64) {
        assert!((value - expected).abs() <= by, "{value} is not {expected}");
    }

    #[test]
    fn ratings_have_the_opinions_of_g_107_annex_b() {
        // Table B.1, and clause 7.7 for the default line.
        for (r, opinion) in
            [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58), (93.2, 4.41)]
        {
            near(mos(r), opinion, 0.01);
        }
        assert_eq!((mos(-5.0), mos(0.0), mos(120.0)), (1.0, 1.0, 4.5));
    }

    #[test]
    fn delay_counts_from_100_ms_on() {
        assert_eq!(delay_impairment(100.0), 0.0);
        // X = 1: 25 · (2^(1/6) − 3 · (1 + 3^−6)^(1/6) + 2).
        near(delay_impairment(200.0), 3.04, 0.01);
        // X = 2.
        near(delay_impairment(400.0), 24.1, 0.1);
        near(r_factor(0.0, 0.0), 93.2, 1e-9);
    }

    #[test]
    fn loss_counts_as_in_g_113_appendix_i() {
        // 95 · 1 / (1 + 25.1) and 95 · 5 / (5 + 25.1).
        near(r_factor(0.01, 50.0), 93.2 - 3.64, 0.01);
        near(r_factor(0.05, 50.0), 93.2 - 15.78, 0.01);
        near(mos(r_factor(0.05, 50.0)), 3.93, 0.01);
        assert_eq!(r_factor(1.0, 2_000.0), 0.0);
    }

    #[test]
    fn worse_is_never_rated_better() {
        let mut before = 5.0;
        for step in 0..200 {
            let now = mos(r_factor(f64::from(step) / 200.0, f64::from(step) * 4.0));
            assert!((1.0..=before).contains(&now), "step {step}: {now}");
            before = now;
        }
    }
}
