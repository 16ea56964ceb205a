//! How well a leg's peer is heard: its loss, jitter and delay, as an opinion.

use offhook_proto::{Codec, Quality as Opinion};

use super::emodel::Equipment;
use super::receive::Totals;
use crate::Time;

/// What is remembered of a leg's reception to rate it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quality {
    /// Totals when the present call began.
    call: Totals,
    /// The last two moments that were looked at, and the totals then.
    marks: [(Time, Totals); 2],
    jitter_sum_ms: f64,
    jitter_samples: u32,
    /// Whether it was told that the leg is heard badly.
    poor: bool,
}

/// What is known of a line now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) totals: Totals,
    pub(crate) jitter_ms: f64,
    pub(crate) round_trip_ms: Option<f32>,
    pub(crate) ptime_ms: u8,
    pub(crate) codec: Codec,
}

/// Opinion below which many are dissatisfied (R = 70 of 100, G.109).
const POOR: f32 = 3.6;

impl Quality {
    /// A call begins.
    pub(crate) fn begin_call(&mut self, now: Time, totals: Totals) {
        *self = Self { call: totals, marks: [(now, totals); 2], poor: self.poor, ..Self::default() };
    }

    /// Takes a look, every few seconds. Returns the opinion when it has just become poor, or good again.
    pub(crate) fn look(&mut self, now: Time, line: &Line) -> Option<Opinion> {
        if line.totals.received > self.marks[1].1.received {
            self.jitter_sum_ms += line.jitter_ms;
            self.jitter_samples += 1;
        }
        let opinion = self.opinion(line);
        self.marks = [self.marks[1], (now, line.totals)];
        let poor = opinion?.recent_mos.map_or(self.poor, |recent| recent < POOR);
        (std::mem::replace(&mut self.poor, poor) != poor).then_some(opinion).flatten()
    }

    /// The opinion as of now; none when nothing was received in this call.
    pub(crate) fn opinion(&self, line: &Line) -> Option<Opinion> {
        let lost = lost_since(&self.call, &line.totals)?;
        let mean_jitter_ms = if self.jitter_samples > 0 {
            self.jitter_sum_ms / f64::from(self.jitter_samples)
        } else {
            line.jitter_ms
        };
        let equipment = Equipment::of(line.codec);
        let r = equipment.r_factor(lost, delay_ms(line, mean_jitter_ms));
        let recent = lost_since(&self.marks[0].1, &line.totals)
            .map(|lost| equipment.r_factor(lost, delay_ms(line, line.jitter_ms)));
        Some(Opinion {
            mos: equipment.mos(r) as f32,
            r_factor: r as f32,
            recent_mos: recent.map(|r| equipment.mos(r) as f32),
            scale: equipment.scale,
        })
    }
}

/// Share of the packets that was lost since a moment; none when none came.
fn lost_since(before: &Totals, now: &Totals) -> Option<f64> {
    let received = now.received.saturating_sub(before.received);
    if received == 0 {
        return None;
    }
    let filtered = now.filtered.saturating_sub(before.filtered);
    let expected = now.expected.saturating_sub(before.expected).saturating_sub(filtered);
    let lost = expected.saturating_sub(received);
    Some(lost as f64 / expected.max(received) as f64)
}

/// From mouth to ear: half the round trip, a packet that is filled and one that is played, and a jitter buffer of twice the
/// jitter.
fn delay_ms(line: &Line, jitter_ms: f64) -> f64 {
    let one_way_ms = f64::from(line.round_trip_ms.unwrap_or(0.0)) / 2.0;
    one_way_ms + 2.0 * f64::from(line.ptime_ms) + 2.0 * jitter_ms
}

#[cfg(test)]
mod tests {
    use offhook_proto::QualityScale;

    use super::*;

    fn line(expected: u64, received: u64) -> Line {
        let totals = Totals { expected, received, filtered: 0 };
        Line { totals, jitter_ms: 1.0, round_trip_ms: None, ptime_ms: 20, codec: Codec::Pcmu }
    }

    #[test]
    fn a_call_is_rated_from_its_beginning_and_the_last_seconds_by_themselves() {
        let mut quality = Quality::default();
        assert_eq!(quality.opinion(&line(0, 0)), None, "nobody was heard");
        quality.begin_call(Time(0), line(9_000, 500).totals);
        assert_eq!(quality.opinion(&line(9_000, 500)), None, "what was before is another call");
        let good = quality.opinion(&line(9_250, 750)).expect("it was heard");
        assert!((good.mos - 4.41).abs() < 0.01, "{good:?}");
        assert_eq!(quality.look(Time::from_ms(5_000), &line(9_250, 750)), None);
        assert_eq!(quality.look(Time::from_ms(10_000), &line(9_500, 1_000)), None);
        // A fifth is lost in the next five seconds.
        let told = quality.look(Time::from_ms(15_000), &line(9_750, 1_200)).expect("it has become poor");
        assert!(told.recent_mos.is_some_and(|recent| recent < 3.6) && told.mos > 3.6, "{told:?}");
        assert_eq!(quality.look(Time::from_ms(20_000), &line(10_000, 1_400)), None, "told once");
        assert_eq!(quality.look(Time::from_ms(25_000), &line(10_250, 1_650)), None);
        let told = quality.look(Time::from_ms(30_000), &line(10_500, 1_900)).expect("it is good again");
        assert!(told.recent_mos.is_some_and(|recent| recent > 4.4), "{told:?}");
    }

    #[test]
    fn a_long_way_is_rated_lower() {
        let quality = Quality::default();
        let near = quality.opinion(&line(100, 100)).expect("heard").r_factor;
        let far = Line { round_trip_ms: Some(320.0), ..line(100, 100) };
        // 160 + 40 + 2 ms: G.107 takes 3.1 off.
        assert!((near - quality.opinion(&far).expect("heard").r_factor - 3.2).abs() < 0.2);
    }

    #[test]
    fn a_wide_band_has_a_scale_of_its_own() {
        let opinion = |codec| {
            let line = Line { codec, ..line(1_000, 990) };
            Quality::default().opinion(&line).map(|opinion| (opinion.scale, opinion.r_factor.round()))
        };
        assert_eq!(opinion(Codec::Pcma), Some((QualityScale::Narrowband, 90.0)));
        assert_eq!(opinion(Codec::G722), Some((QualityScale::Wideband, 110.0)));
        assert_eq!(opinion(Codec::Opus), Some((QualityScale::Wideband, 120.0)));
    }

    #[test]
    fn what_the_park_filter_kept_is_not_lost() {
        let totals = Totals { expected: 3_200, received: 100, filtered: 3_100 };
        let parked = Line { totals, ..line(0, 0) };
        assert!(Quality::default().opinion(&parked).expect("heard").mos > 4.4);
    }
}
