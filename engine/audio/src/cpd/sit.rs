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
    long: bool,
}

impl SitTracker {
    /// Takes a tone that ended at `end_ms`; the cause if it completes the three.
    pub(super) fn on_tone(&mut self, tone: &Tone, end_ms: u32, config: &ToneConfig) -> Option<SitCause> {
        if tone.dual || !config.sit_part_ms.contains(&tone.duration_ms) {
            self.parts = [None; 2];
            return None;
        }
        let in_row = tone.begun_ms <= self.end_ms + MAX_GAP_MS;
        self.end_ms = end_ms;
        match self.parts {
            [Some(first), Some(second)] if in_row && is_near(tone.frequency_hz, 1785.0, 45.0) => {
                self.parts = [None; 2];
                Some(cause_of(first, second))
            }
            [Some(first), None] if in_row && is_near(tone.frequency_hz, 1400.0, 55.0) => {
                self.parts[1] = Some(Part::of(tone, 1370.6, 1428.5, config.sit_long_ms));
                self.parts[0] = Some(first);
                None
            }
            _ => {
                let is_first = is_near(tone.frequency_hz, 950.0, 60.0);
                self.parts = [is_first.then(|| Part::of(tone, 913.8, 985.2, config.sit_long_ms)), None];
                None
            }
        }
    }
}

impl Part {
    fn of(tone: &Tone, low_hz: f32, high_hz: f32, long_ms: u32) -> Self {
        let near = (high_hz - low_hz) / 4.0;
        let high = if tone.frequency_hz <= low_hz + near {
            Some(false)
        } else if tone.frequency_hz >= high_hz - near {
            Some(true)
        } else {
            None
        };
        Self { high, long: tone.duration_ms >= long_ms }
    }
}

/// The codes: (high, long) of the first and of the second tone.
fn cause_of(first: Part, second: Part) -> SitCause {
    let (Some(high1), Some(high2)) = (first.high, second.high) else { return SitCause::Unspecified };
    match ((high1, first.long), (high2, second.long)) {
        ((false, false), (false, false)) => SitCause::Intercept,
        ((true, true), (false, false)) => SitCause::VacantCode,
        ((false, false), (true, true)) => SitCause::ReorderIntra,
        ((true, false), (false, true)) => SitCause::ReorderInter,
        ((true, true), (true, true)) => SitCause::NoCircuitIntra,
        ((false, true), (false, true)) => SitCause::NoCircuitInter,
        ((false, true), (true, false)) => SitCause::IneffectiveOther,
        ((true, false), (true, false)) => SitCause::Reserved,
        _ => SitCause::Unspecified,
    }
}

const MAX_GAP_MS: u32 = 60;
