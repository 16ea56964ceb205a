//! What counts as which tone.

use std::ops::RangeInclusive;

/// Parameters of the tones. Frequencies within a tone's tolerance, and the codes of special information tones, are those
/// of the recommendations and cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToneConfig {
    /// Faintest tone, in dBm0; below -55 little is told from noise.
    pub min_level_dbm0: i8,
    /// Frequencies of a machine's beep.
    pub beep_hz: RangeInclusive<u32>,
    /// Lengths of a machine's beep. No tone shorter than 60 ms is heard.
    pub beep_ms: RangeInclusive<u32>,
    /// Whether a fax is told and ends the analysis; without it its tones may be beeps.
    pub fax: bool,
    /// From when on 2100 Hz is an answering fax (CED). A beep of that frequency is none.
    pub fax_answer_min_ms: u32,
    /// Lengths of a calling fax's burst of 1100 Hz (CNG).
    pub fax_calling_ms: RangeInclusive<u32>,
    /// Whether special information tones are told and end the analysis; without it they are passed over.
    pub sit: bool,
    /// Lengths of each of a special information tone's three parts.
    pub sit_part_ms: RangeInclusive<u32>,
    /// From when on such a part is long, which tells one cause from another.
    pub sit_long_ms: u32,
    /// From when on a call progress tone is dial tone.
    pub dial_min_ms: u32,
    /// Lengths of the bursts, and of the pauses, of busy.
    pub busy_ms: RangeInclusive<u32>,
    /// Lengths of the bursts of reorder, with pauses like them. Where it overlaps `busy_ms`, it is busy.
    pub reorder_ms: RangeInclusive<u32>,
    /// Lengths of a single ring.
    pub ringback_ms: RangeInclusive<u32>,
    /// The pause after which it was one.
    pub ringback_pause_ms: u32,
}

impl Default for ToneConfig {
    fn default() -> Self {
        Self {
            min_level_dbm0: -45,
            beep_hz: 350..=2600,
            beep_ms: 100..=5000,
            fax: true,
            // A CED lasts 2.6 to 4 s; machines' beeps of this frequency are shorter than this.
            fax_answer_min_ms: 700,
            // 0.5 s with the tolerance of T.30 §4.1 and of the measurement.
            fax_calling_ms: 400..=600,
            sit: true,
            // From the shortest of E.180 to the longest of both, with the measurement's error.
            sit_part_ms: 220..=440,
            // Between 274 and 380 ms.
            sit_long_ms: 325,
            dial_min_ms: 3000,
            busy_ms: 310..=600,
            reorder_ms: 150..=309,
            ringback_ms: 700..=2400,
            ringback_pause_ms: 1000,
        }
    }
}
