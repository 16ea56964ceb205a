//! The E-model: how a conversation over a line is rated, on the scale of what its codec carries: the telephone band (ITU-T G.107
//! 06/2015) or 50 to 7,000 Hz (G.107.1 06/2019 with corrigendum 1).
//!
//! All but codec, loss and delay have their default values (G.107 table 3, G.107.1 clause 7.7), so that the rating starts from 93.2
//! or 129; echo is taken to be cancelled, so that delay counts as such alone.

use offhook_proto::{Codec, QualityScale};

/// What the model knows of a codec and its decoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Equipment {
    /// Scale of its ratings and opinions.
    pub(crate) scale: QualityScale,
    /// Impairment without loss (Ie, Ie,WB), in points of R.
    impairment: f64,
    /// Robustness against random loss (Bpl, Bpl,WB), in percent.
    loss_robustness: f64,
}

/// G.711 whose receiver conceals losses (G.113 appendix I, tables I.1 and I.3); linear samples lose no more.
const TELEPHONE: Equipment =
    Equipment { scale: QualityScale::Narrowband, impairment: 0.0, loss_robustness: 25.1 };

/// At 64 kbit/s: G.113 appendix IV, table IV.1. It has no robustness for it; with this one, 5 % of loss cost a third more of the
/// opinion than with G.711, as ViSQOL marks what our decoders make of it (SPECIFICATION.md, Audio).
const G722: Equipment = Equipment { scale: QualityScale::Wideband, impairment: 13.0, loss_robustness: 13.0 };

/// The reference of the wideband scale, and the robustness of [`G722`], for want of a better one.
const LINEAR: Equipment = Equipment { scale: QualityScale::Wideband, impairment: 0.0, loss_robustness: 13.0 };

/// G.113 knows no Opus. Al-Ahmadi and others (ACM TOMM 17, 2021, doi 10.1145/3458751) found Ie,FB of 18.5 at 28 kbit/s falling to
/// 10.7 at 40, and robustness from 10.6 to 9.8 against random loss; on the wideband scale, which begins 19 points further down
/// (G.113 appendix V), nothing is left of that impairment. A phone that sends less than 25 kbit/s is rated too well.
const OPUS: Equipment = Equipment { scale: QualityScale::Wideband, impairment: 0.0, loss_robustness: 10.0 };

/// Delay that nobody notices, in milliseconds (G.107 table 3, the default class).
const UNNOTICED_MS: f64 = 100.0;

impl Equipment {
    /// What is known of a codec.
    pub(crate) fn of(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu | Codec::Pcma => TELEPHONE,
            Codec::L16 { rate_hz } if rate_hz < 16_000 => TELEPHONE,
            Codec::L16 { .. } => LINEAR,
            Codec::G722 => G722,
            Codec::Opus => OPUS,
        }
    }

    /// The transmission rating R, 0 to 93.2 or 129, of a line that loses this share of its packets, 0 to 1, and takes `delay_ms`
    /// from mouth to ear.
    pub(crate) fn r_factor(self, lost: f64, delay_ms: f64) -> f64 {
        let percent = 100.0 * lost.clamp(0.0, 1.0);
        // G.107 clause 7.5 and G.107.1 clause 7.5, with random loss: the 95 is the same on both scales.
        let equipment =
            self.impairment + (95.0 - self.impairment) * percent / (percent + self.loss_robustness);
        let (base, stretch) = self.base_and_stretch();
        (base - stretch * delay_impairment(delay_ms) - equipment).max(0.0)
    }

    /// The mean opinion of a conversation, 1 to 4.5, of a rating (G.107 annex B, G.107.1 annex A): MOS-CQE of a narrowband or of a
    /// wideband context (P.800.1).
    pub(crate) fn mos(self, r: f64) -> f64 {
        let (_, stretch) = self.base_and_stretch();
        match r / stretch {
            r if r <= 0.0 => 1.0,
            r if r >= 100.0 => 4.5,
            r => (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0),
        }
    }

    /// Rating without codec, loss and delay, and how much longer the scale is than one of 100.
    fn base_and_stretch(self) -> (f64, f64) {
        match self.scale {
            QualityScale::Narrowband => (93.2, 1.0),
            QualityScale::Wideband => (129.0, 1.29),
        }
    }
}

/// What absolute delay takes away, without echo (G.107 clause 7.4, Idd), on a scale of 100.
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

    const ALL: [Equipment; 4] = [TELEPHONE, G722, LINEAR, OPUS];

    fn near(value: f64, expected: f64, by: f64) {
        assert!((value - expected).abs() <= by, "{value} is not {expected}");
    }

    #[test]
    fn ratings_have_the_opinions_of_g_107_annex_b() {
        // Table B.1, and clause 7.7 for the default line.
        for (r, opinion) in
            [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58), (93.2, 4.41)]
        {
            near(TELEPHONE.mos(r), opinion, 0.01);
            // G.107.1 annex A: the same of a rating that is 1.29 times as high.
            near(G722.mos(1.29 * r), opinion, 0.01);
        }
        let ends = |of: Equipment| (of.mos(-5.0), of.mos(0.0), of.mos(160.0));
        assert_eq!((ends(TELEPHONE), ends(OPUS)), ((1.0, 1.0, 4.5), (1.0, 1.0, 4.5)));
    }

    #[test]
    fn impairments_have_the_opinions_of_g_107_1() {
        // R = 129 − Ie,WB, for values of G.113 table IV.1: G.722 and AMR-WB at 12.65, 23.05, 23.85 and 6.6 kbit/s.
        for (impairment, opinion) in
            [(13.0, 4.3371), (1.0, 4.4940), (8.0, 4.4206), (41.0, 3.5123), (56.0, 2.9220)]
        {
            let codec = Equipment { impairment, ..G722 };
            near(codec.mos(codec.r_factor(0.0, 0.0)), opinion, 5e-4);
        }
        // AMR-WB at 12.65 kbit/s, heard with both ears, that loses 2 %: tables IV.3 and IV.4.
        let codec = Equipment { impairment: 20.0, loss_robustness: 4.3, ..G722 };
        near(codec.r_factor(0.02, 50.0), 129.0 - 43.8095, 1e-3);
        near(codec.mos(codec.r_factor(0.02, 50.0)), 3.4062, 5e-4);
    }

    #[test]
    fn delay_counts_from_100_ms_on() {
        assert_eq!(delay_impairment(100.0), 0.0);
        // X = 1: 25 · (2^(1/6) − 3 · (1 + 3^−6)^(1/6) + 2).
        near(delay_impairment(200.0), 3.04, 0.01);
        // X = 2.
        near(delay_impairment(400.0), 24.1, 0.1);
        near(TELEPHONE.r_factor(0.0, 0.0), 93.2, 1e-9);
        // Points of a longer scale weigh less.
        near(OPUS.r_factor(0.0, 200.0), 129.0 - 3.927, 1e-3);
    }

    #[test]
    fn loss_counts_as_in_g_113_appendix_i() {
        // 95 · 1 / (1 + 25.1) and 95 · 5 / (5 + 25.1).
        near(TELEPHONE.r_factor(0.01, 50.0), 93.2 - 3.64, 0.01);
        near(TELEPHONE.r_factor(0.05, 50.0), 93.2 - 15.78, 0.01);
        near(TELEPHONE.mos(TELEPHONE.r_factor(0.05, 50.0)), 3.93, 0.01);
        assert_eq!(TELEPHONE.r_factor(1.0, 2_000.0), 0.0);
    }

    #[test]
    fn a_wide_band_without_fault_is_rated_above_the_telephone_and_g_722_between() {
        let opinion = |codec| {
            let of = Equipment::of(codec);
            of.mos(of.r_factor(0.0, 50.0))
        };
        near(opinion(Codec::Opus), 4.5, 1e-9);
        near(opinion(Codec::L16 { rate_hz: 16_000 }), 4.5, 1e-9);
        near(opinion(Codec::L16 { rate_hz: 8_000 }), 4.41, 0.01);
        near(opinion(Codec::Pcma), 4.41, 0.01);
        near(opinion(Codec::G722), 4.34, 0.01);
        // On one scale, that of G.107.1, the telephone's 93.2 are 35.8 points short of 129, and G.722's codec takes 13.
        assert!(Equipment::of(Codec::G722).r_factor(0.0, 50.0) > TELEPHONE.r_factor(0.0, 50.0));
    }

    #[test]
    fn worse_is_never_rated_better() {
        for of in ALL {
            let mut before = 5.0;
            for step in 0..200 {
                let now = of.mos(of.r_factor(f64::from(step) / 200.0, f64::from(step) * 4.0));
                assert!((1.0..=before).contains(&now), "{of:?}, step {step}: {now}");
                before = now;
            }
        }
    }
}
