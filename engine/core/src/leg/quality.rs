//! How well a leg's peer is heard: its loss, jitter and delay, as an opinion.

use offhook_proto::{Codec, Quality as Opinion};

use super::emodel::Equipment;
use super::receive::Totals;
use crate::Time;

/// What is remembered of a leg's reception to rate it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quality {
    /// When the present call began, and the totals then.
    call: (Time, Totals),
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
    /// Since when audio is missing that should be there.
    pub(crate) unheard_since: Option<Time>,
}

impl Line {
    /// Packets that should have come since a moment, of a stream that is missing.
    fn missing(&self, now: Time, since: Time) -> u64 {
        let missing_us = self.unheard_since.map_or(0, |unheard| now.since(unheard.max(since)));
        missing_us / (u64::from(self.ptime_ms.max(1)) * 1_000)
    }
}

/// Opinion below which many are dissatisfied (R = 70 of 100, G.109).
const POOR: f32 = 3.6;

impl Quality {
    /// A call begins.
    pub(crate) fn begin_call(&mut self, now: Time, totals: Totals) {
        *self = Self { call: (now, totals), marks: [(now, totals); 2], poor: self.poor, ..Self::default() };
    }

    /// Takes a look, every few seconds. Returns the opinion when it has just become poor, or good again.
    pub(crate) fn look(&mut self, now: Time, line: &Line) -> Option<Opinion> {
        if line.totals.received > self.marks[1].1.received {
            self.jitter_sum_ms += line.jitter_ms;
            self.jitter_samples += 1;
        }
        let opinion = self.opinion(now, line);
        self.marks = [self.marks[1], (now, line.totals)];
        let poor = opinion?.recent_mos.map_or(self.poor, |recent| recent < POOR);
        (std::mem::replace(&mut self.poor, poor) != poor).then_some(opinion).flatten()
    }

    /// The opinion as of now; none when nothing was received in this call, nor is missing.
    pub(crate) fn opinion(&self, now: Time, line: &Line) -> Option<Opinion> {
        let lost = lost_since(&self.call, now, line)?;
        let mean_jitter_ms = if self.jitter_samples > 0 {
            self.jitter_sum_ms / f64::from(self.jitter_samples)
        } else {
            line.jitter_ms
        };
        let equipment = Equipment::of(line.codec);
        let r = equipment.r_factor(lost, delay_ms(line, mean_jitter_ms));
        let recent = lost_since(&self.marks[0], now, line)
            .map(|lost| equipment.r_factor(lost, delay_ms(line, line.jitter_ms)));
        Some(Opinion {
            mos: equipment.mos(r) as f32,
            r_factor: r as f32,
            recent_mos: recent.map(|r| equipment.mos(r) as f32),
            scale: equipment.scale,
        })
    }
}

/// Share of the packets that was lost since a moment; none when none came, and none is missing.
fn lost_since((since, before): &(Time, Totals), now: Time, line: &Line) -> Option<f64> {
    let (totals, missing) = (&line.totals, line.missing(now, *since));
    let received = totals.received.saturating_sub(before.received);
    if received == 0 && missing == 0 {
        return None;
    }
    let filtered = totals.filtered.saturating_sub(before.filtered);
    let expected = totals.expected.saturating_sub(before.expected).saturating_sub(filtered);
    let expected = expected.max(received) + missing;
    Some((expected - received) as f64 / expected as f64)
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
        Line {
            totals,
            jitter_ms: 1.0,
            round_trip_ms: None,
            ptime_ms: 20,
            codec: Codec::Pcmu,
            unheard_since: None,
        }
    }

    #[test]
    fn a_call_is_rated_from_its_beginning_and_the_last_seconds_by_themselves() {
        let mut quality = Quality::default();
        assert_eq!(quality.opinion(Time(0), &line(0, 0)), None, "nobody was heard");
        quality.begin_call(Time(0), line(9_000, 500).totals);
        assert_eq!(quality.opinion(Time(0), &line(9_000, 500)), None, "what was before is another call");
        let good = quality.opinion(Time(0), &line(9_250, 750)).expect("it was heard");
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
    fn by_02_what_should_come_and_does_not_is_lost() {
        let mut quality = Quality::default();
        quality.begin_call(Time(0), Totals::default());
        assert_eq!(quality.look(Time::from_ms(5_000), &line(250, 250)), None);
        let gone = Line { unheard_since: Some(Time::from_ms(5_000)), ..line(250, 250) };
        let told = quality.look(Time::from_ms(10_000), &gone).expect("half of it is missing");
        assert!(told.recent_mos.is_some_and(|recent| recent < 2.0), "{told:?}");
        assert_eq!(quality.look(Time::from_ms(15_000), &gone), None, "told once");
        let all = quality.opinion(Time::from_ms(20_000), &gone).expect("it was heard once");
        assert!(all.mos < told.mos && all.recent_mos.is_some_and(|recent| recent < 1.2), "{all:?}");
        assert_eq!(quality.look(Time::from_ms(25_000), &line(250, 250)), None, "no news without a word");
        quality.look(Time::from_ms(30_000), &line(500, 500));
        let again = quality.opinion(Time::from_ms(30_000), &line(500, 500)).expect("it is heard");
        assert!(again.recent_mos.is_some_and(|recent| recent > 4.4) && !quality.poor, "{again:?}");
    }

    #[test]
    fn by_02_a_call_of_which_nothing_ever_came_is_rated_once_that_is_known() {
        let mut quality = Quality::default();
        quality.begin_call(Time(0), Totals::default());
        assert_eq!(quality.look(Time::from_ms(4_000), &line(0, 0)), None);
        let gone = Line { unheard_since: Some(Time(0)), ..line(0, 0) };
        let told = quality.look(Time::from_ms(8_000), &gone).expect("all of it is missing");
        assert!(told.mos < 1.2 && told.recent_mos == Some(told.mos), "{told:?}");
    }

    #[test]
    fn a_long_way_is_rated_lower() {
        let quality = Quality::default();
        let near = quality.opinion(Time(0), &line(100, 100)).expect("heard").r_factor;
        let far = Line { round_trip_ms: Some(320.0), ..line(100, 100) };
        // 160 + 40 + 2 ms: G.107 takes 3.1 off.
        assert!((near - quality.opinion(Time(0), &far).expect("heard").r_factor - 3.2).abs() < 0.2);
    }

    #[test]
    fn a_wide_band_has_a_scale_of_its_own() {
        let opinion = |codec| {
            let line = Line { codec, ..line(1_000, 990) };
            Quality::default()
                .opinion(Time(0), &line)
                .map(|opinion| (opinion.scale, opinion.r_factor.round()))
        };
        assert_eq!(opinion(Codec::Pcma), Some((QualityScale::Narrowband, 90.0)));
        assert_eq!(opinion(Codec::G722), Some((QualityScale::Wideband, 110.0)));
        assert_eq!(opinion(Codec::Opus), Some((QualityScale::Wideband, 120.0)));
    }

    #[test]
    fn what_the_park_filter_kept_is_not_lost() {
        let totals = Totals { expected: 3_200, received: 100, filtered: 3_100 };
        let parked = Line { totals, ..line(0, 0) };
        assert!(Quality::default().opinion(Time(0), &parked).expect("heard").mos > 4.4);
    }
}
