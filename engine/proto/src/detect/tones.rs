//! What counts as which tone.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::limits::{DETECT_HZ, DETECT_TONE_MS};

/// Parameters of the tones that a detection finds: the beep of `amd`, and what `tones` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToneParameters {
    /// Faintest tone, in dBm0.
    pub min_level_dbm0: i8,
    /// Lowest frequency of a beep, in Hz.
    pub beep_min_hz: u32,
    /// Highest frequency of a beep, in Hz.
    pub beep_max_hz: u32,
    /// Shortest beep, in milliseconds.
    pub beep_min_ms: u32,
    /// Longest beep, in milliseconds.
    pub beep_max_ms: u32,
    /// Whether a fax is told, and ends the analysis.
    pub fax: bool,
    /// Shortest 2100 Hz that is an answering fax (CED), in milliseconds.
    pub fax_answer_min_ms: u32,
    /// Shortest burst of 1100 Hz that is a calling fax (CNG), in milliseconds.
    pub fax_calling_min_ms: u32,
    /// Longest of those, in milliseconds.
    pub fax_calling_max_ms: u32,
    /// Whether special information tones are told, and end the analysis.
    pub sit: bool,
    /// Shortest of their three parts, in milliseconds.
    pub sit_part_min_ms: u32,
    /// From when on a part is a long one, in milliseconds.
    pub sit_long_ms: u32,
    /// Longest of their three parts, in milliseconds.
    pub sit_part_max_ms: u32,
    /// Shortest dial tone, in milliseconds.
    pub dial_min_ms: u32,
    /// Shortest burst, and pause, of busy, in milliseconds.
    pub busy_min_ms: u32,
    /// Longest of those, in milliseconds.
    pub busy_max_ms: u32,
    /// Shortest burst of reorder, in milliseconds.
    pub reorder_min_ms: u32,
    /// Longest of those, in milliseconds.
    pub reorder_max_ms: u32,
    /// Shortest single ring, in milliseconds.
    pub ringback_min_ms: u32,
    /// Longest of those, in milliseconds.
    pub ringback_max_ms: u32,
    /// The pause after it that makes it one, in milliseconds.
    pub ringback_pause_ms: u32,
}

impl Default for ToneParameters {
    fn default() -> Self {
        Self {
            min_level_dbm0: -45,
            beep_min_hz: 350,
            beep_max_hz: 2_600,
            beep_min_ms: 100,
            beep_max_ms: 5_000,
            fax: true,
            fax_answer_min_ms: 700,
            fax_calling_min_ms: 400,
            fax_calling_max_ms: 600,
            sit: true,
            sit_part_min_ms: 220,
            sit_long_ms: 325,
            sit_part_max_ms: 440,
            dial_min_ms: 3_000,
            busy_min_ms: 310,
            busy_max_ms: 600,
            reorder_min_ms: 150,
            reorder_max_ms: 309,
            ringback_min_ms: 700,
            ringback_max_ms: 2_400,
            ringback_pause_ms: 1_000,
        }
    }
}

impl ToneParameters {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The frequencies and times, each with its name and what it takes.
    pub fn numbers(&mut self) -> [(&'static str, &mut u32, RangeInclusive<u32>); 18] {
        [
            ("beep_min_hz", &mut self.beep_min_hz, DETECT_HZ),
            ("beep_max_hz", &mut self.beep_max_hz, DETECT_HZ),
            ("beep_min_ms", &mut self.beep_min_ms, DETECT_TONE_MS),
            ("beep_max_ms", &mut self.beep_max_ms, DETECT_TONE_MS),
            ("fax_answer_min_ms", &mut self.fax_answer_min_ms, DETECT_TONE_MS),
            ("fax_calling_min_ms", &mut self.fax_calling_min_ms, DETECT_TONE_MS),
            ("fax_calling_max_ms", &mut self.fax_calling_max_ms, DETECT_TONE_MS),
            ("sit_part_min_ms", &mut self.sit_part_min_ms, DETECT_TONE_MS),
            ("sit_long_ms", &mut self.sit_long_ms, DETECT_TONE_MS),
            ("sit_part_max_ms", &mut self.sit_part_max_ms, DETECT_TONE_MS),
            ("dial_min_ms", &mut self.dial_min_ms, DETECT_TONE_MS),
            ("busy_min_ms", &mut self.busy_min_ms, DETECT_TONE_MS),
            ("busy_max_ms", &mut self.busy_max_ms, DETECT_TONE_MS),
            ("reorder_min_ms", &mut self.reorder_min_ms, DETECT_TONE_MS),
            ("reorder_max_ms", &mut self.reorder_max_ms, DETECT_TONE_MS),
            ("ringback_min_ms", &mut self.ringback_min_ms, DETECT_TONE_MS),
            ("ringback_max_ms", &mut self.ringback_max_ms, DETECT_TONE_MS),
            ("ringback_pause_ms", &mut self.ringback_pause_ms, DETECT_TONE_MS),
        ]
    }

    /// The first parameter that others do not allow, and what is wrong with it.
    #[must_use]
    pub fn contradiction(&self) -> Option<(&'static str, String)> {
        let ordered = [
            ("beep_min_hz", self.beep_min_hz, "beep_max_hz", self.beep_max_hz),
            ("beep_min_ms", self.beep_min_ms, "beep_max_ms", self.beep_max_ms),
            ("fax_calling_min_ms", self.fax_calling_min_ms, "fax_calling_max_ms", self.fax_calling_max_ms),
            ("sit_part_min_ms", self.sit_part_min_ms, "sit_long_ms", self.sit_long_ms),
            ("sit_long_ms", self.sit_long_ms, "sit_part_max_ms", self.sit_part_max_ms),
            ("busy_min_ms", self.busy_min_ms, "busy_max_ms", self.busy_max_ms),
            ("reorder_min_ms", self.reorder_min_ms, "reorder_max_ms", self.reorder_max_ms),
            ("ringback_min_ms", self.ringback_min_ms, "ringback_max_ms", self.ringback_max_ms),
        ];
        for (name, value, most_name, most) in ordered {
            if value > most {
                return Some((name, format!("must be at most {most_name}, {most}, not {value}")));
            }
        }
        let (busy, reorder) =
            (self.busy_min_ms..=self.busy_max_ms, self.reorder_min_ms..=self.reorder_max_ms);
        let apart = busy.end() < reorder.start() || reorder.end() < busy.start();
        let why = || {
            let (from, to) = (reorder.start(), reorder.end());
            format!("must not overlap busy, {busy:?}, as {from}..={to} does")
        };
        (!apart).then(|| ("reorder_min_ms", why()))
    }
}
