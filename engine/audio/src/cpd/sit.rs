//! Special information tones, which tell why a call failed.
//!
//! Telcordia (Bellcore) codes the reason in the first two of three tones: each low or high, short (274 ms) or long
//! (380 ms); the third is always 1776.7 Hz and long. ITU-T E.180 §7 has one tone without a reason: 950, 1400 and
//! 1800 Hz of 330 ± 70 ms.

use super::tone::Tone;
use super::{ToneConfig, is_near};

/// What a special information tone says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SitCause {
    /// IC: the number is not in use, was changed, or an operator intercepts.
    Intercept,
    /// VC: no such code or prefix.
    VacantCode,
    /// RO': reorder within the local network.
    ReorderIntra,
    /// RO'': reorder in a long-distance network.
    ReorderInter,
    /// NC': no circuit within the local network.
    NoCircuitIntra,
    /// NC'': no circuit in a long-distance network.
    NoCircuitInter,
    /// #1: reserved, used for ineffective attempts of other kinds.
    IneffectiveOther,
    /// #2: reserved.
    Reserved,
    /// The tone of ITU-T E.180, or one that fits no code: the call failed, an announcement says why.
    Unspecified,
}

/// Collects three tones in a row.
#[derive(Clone, Debug, Default)]
pub(super) struct SitTracker {
    /// First and second tone heard so far.
    parts: [Option<Part>; 2],
    end_ms: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    /// `None` if it is between low and high, as E.180's is.
    high: Option<bool>,
    duration_ms: u32,
    /// Some of it was lost, and with it the exact duration.
    lost: bool,
}

impl SitTracker {
    /// Takes a tone that ended at `end_ms`; the cause if it completes the three.
    pub(super) fn on_tone(&mut self, tone: &Tone, end_ms: u32, config: &ToneConfig) -> Option<SitCause> {
        if tone.dual || !tone.lasts(&config.sit_part_ms) {
            self.parts = [None; 2];
            return None;
        }
        let in_row = tone.earliest_ms <= self.end_ms + MAX_GAP_MS;
        self.end_ms = end_ms;
        match self.parts {
            [Some(first), Some(second)] if in_row && is_near(tone.frequency_hz, 1785.0, 45.0) => {
                self.parts = [None; 2];
                Some(cause_of(first, second, config.sit_long_ms))
            }
            [Some(first), None] if in_row && is_near(tone.frequency_hz, 1400.0, 55.0) => {
                self.parts[1] = Some(Part::of(tone, 1370.6, 1428.5));
                self.parts[0] = Some(first);
                None
            }
            _ => {
                let is_first = is_near(tone.frequency_hz, 950.0, 60.0);
                self.parts = [is_first.then(|| Part::of(tone, 913.8, 985.2)), None];
                None
            }
        }
    }
}

impl Part {
    fn of(tone: &Tone, low_hz: f32, high_hz: f32) -> Self {
        let near = (high_hz - low_hz) / 4.0;
        let high = if tone.frequency_hz <= low_hz + near {
            Some(false)
        } else if tone.frequency_hz >= high_hz - near {
            Some(true)
        } else {
            None
        };
        Self { high, duration_ms: tone.duration_ms, lost: tone.lost_ms > 0 }
    }
}

/// The codes: (high, long) of the first and of the second tone. A loss may leave no code; then it is the one of these frequencies
/// whose durations are nearest.
fn cause_of(first: Part, second: Part, long_ms: u32) -> SitCause {
    let (Some(high1), Some(high2)) = (first.high, second.high) else { return SitCause::Unspecified };
    let long = [first, second].map(|part| part.duration_ms >= long_ms);
    let nearest = if high1 == high2 {
        [first.duration_ms + second.duration_ms >= 2 * long_ms; 2]
    } else {
        [first.duration_ms >= second.duration_ms, first.duration_ms < second.duration_ms]
    };
    let lost = first.lost || second.lost;
    match (high1, high2, if lost { nearest } else { long }) {
        (false, false, [false, false]) => SitCause::Intercept,
        (true, false, [true, false]) => SitCause::VacantCode,
        (false, true, [false, true]) => SitCause::ReorderIntra,
        (true, false, [false, true]) => SitCause::ReorderInter,
        (true, true, [true, true]) => SitCause::NoCircuitIntra,
        (false, false, [true, true]) => SitCause::NoCircuitInter,
        (false, true, [true, false]) => SitCause::IneffectiveOther,
        (true, true, [false, false]) => SitCause::Reserved,
        _ => SitCause::Unspecified,
    }
}

const MAX_GAP_MS: u32 = 60;
