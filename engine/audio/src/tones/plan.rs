//! National tone plans, from "Various tones used in national networks" (ITU-T E.180 Supplement 2), with the meanings
//! of E.180 and E.182. Values where the supplement gives a range are those that the network uses most.

use super::{Segment, Tone};

/// A country with a tone plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Country {
    /// United States (and Canada).
    Us,
    /// United Kingdom.
    Uk,
    /// Germany.
    De,
    /// Netherlands.
    Nl,
    /// France.
    Fr,
    /// Spain.
    Es,
    /// Italy.
    It,
    /// Switzerland.
    Ch,
    /// Sweden.
    Se,
    /// Australia.
    Au,
}

/// What a tone tells the caller (E.180 §§2–8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// The exchange is ready for digits.
    Dial,
    /// The called phone rings.
    Ringback,
    /// The called party is busy.
    Busy,
    /// The network is busy (congestion, reorder).
    Congestion,
    /// Another caller waits.
    CallWaiting,
    /// The call failed; an announcement may follow.
    SpecialInformation,
}

impl Country {
    /// Every country with a plan.
    pub const ALL: [Self; 10] =
        [Self::Us, Self::Uk, Self::De, Self::Nl, Self::Fr, Self::Es, Self::It, Self::Ch, Self::Se, Self::Au];

    /// The country of an ISO 3166 code in either case (`GB` and `UK` are one); `None` if it has no plan here.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Some(match code.to_ascii_uppercase().as_str() {
            "US" | "CA" => Self::Us,
            "UK" | "GB" => Self::Uk,
            "DE" => Self::De,
            "NL" => Self::Nl,
            "FR" => Self::Fr,
            "ES" => Self::Es,
            "IT" => Self::It,
            "CH" => Self::Ch,
            "SE" => Self::Se,
            "AU" => Self::Au,
            _ => return None,
        })
    }

    /// The tone of this country for `progress`.
    #[must_use]
    pub const fn tone(self, progress: Progress) -> Tone {
        let plan = match self {
            Self::Us => &US,
            Self::Uk => &UK,
            Self::De => &DE,
            Self::Nl => &NL,
            Self::Fr => &FR,
            Self::Es => &ES,
            Self::It => &IT,
            Self::Ch => &CH,
            Self::Se => &SE,
            Self::Au => &AU,
        };
        match progress {
            Progress::Dial => plan.dial,
            Progress::Ringback => plan.ringback,
            Progress::Busy => plan.busy,
            Progress::Congestion => plan.congestion,
            Progress::CallWaiting => plan.call_waiting,
            Progress::SpecialInformation => plan.special,
        }
    }
}

/// A 1 kHz beep of 200 ms.
#[must_use]
pub const fn beep() -> Tone {
    Tone::new(&[Segment::single(1000.0, LEVEL_DBM0, 200)], false)
}

/// The record tone of a typical voicemail: 1400 Hz (E.180 record tone) for 500 ms.
#[must_use]
pub const fn voicemail_beep() -> Tone {
    Tone::new(&[Segment::single(1400.0, LEVEL_DBM0, 500)], false)
}

/// The calling tone of a fax: 1100 Hz, 0.5 s in every 3.5 s (ITU-T T.30 §4.1).
#[must_use]
pub const fn cng() -> Tone {
    single(1100.0, &[500, 3000])
}

/// A special information tone: three segments in Hz and ms, then a second of silence.
#[must_use]
pub const fn sit(segments: [(f32, u32); 3]) -> Tone {
    let [(f1, t1), (f2, t2), (f3, t3)] = segments;
    Tone::new(
        &[
            Segment::single(f1, LEVEL_DBM0, t1),
            Segment::single(f2, LEVEL_DBM0, t2),
            Segment::single(f3, LEVEL_DBM0, t3),
            Segment::silence(1000),
        ],
        true,
    )
}

/// A repeating tone of alternating sounds and silences, in ms; a single entry sounds for ever.
#[must_use]
pub const fn cadence(hz: [f32; 2], on_off_ms: &[u32]) -> Tone {
    if on_off_ms.is_empty() {
        return Tone::new(&[], false);
    }
    let mut tone = Tone::new(&[Segment::dual(hz, LEVEL_DBM0, Segment::FOREVER_MS)], true);
    if on_off_ms.len() == 1 {
        return tone;
    }
    tone.len = 0;
    while tone.len < on_off_ms.len() && tone.len < super::MAX_SEGMENTS {
        let ms = on_off_ms[tone.len];
        let on = tone.len.is_multiple_of(2);
        tone.segments[tone.len] = if on { Segment::dual(hz, LEVEL_DBM0, ms) } else { Segment::silence(ms) };
        tone.len += 1;
    }
    tone
}

const fn single(hz: f32, on_off_ms: &[u32]) -> Tone {
    cadence([hz, 0.0], on_off_ms)
}

/// Level of each frequency, in dBm0: inside the range of E.180 §9 for every tone.
const LEVEL_DBM0: f32 = -13.0;

const ALWAYS: &[u32] = &[Segment::FOREVER_MS];

/// The European special information tone (E.180 §7).
const SIT_E180: Tone = sit([(950.0, 330), (1400.0, 330), (1800.0, 330)]);

struct Plan {
    dial: Tone,
    ringback: Tone,
    busy: Tone,
    congestion: Tone,
    call_waiting: Tone,
    special: Tone,
}

const US: Plan = Plan {
    dial: cadence([350.0, 440.0], ALWAYS),
    ringback: cadence([440.0, 480.0], &[2000, 4000]),
    busy: cadence([480.0, 620.0], &[500, 500]),
    congestion: cadence([480.0, 620.0], &[250, 250]),
    call_waiting: single(440.0, &[300, 9700]),
    special: sit([(913.8, 274), (1370.6, 274), (1776.7, 380)]),
};

const UK: Plan = Plan {
    dial: cadence([350.0, 440.0], ALWAYS),
    ringback: cadence([400.0, 450.0], &[400, 200, 400, 2000]),
    busy: single(400.0, &[375, 375]),
    congestion: single(400.0, &[400, 350, 225, 525]),
    call_waiting: single(400.0, &[100, 2900]),
    special: SIT_E180,
};

const DE: Plan = Plan {
    dial: single(425.0, ALWAYS),
    ringback: single(425.0, &[1000, 4000]),
    busy: single(425.0, &[480, 480]),
    congestion: single(425.0, &[240, 240]),
    call_waiting: single(425.0, &[200, 200, 200, 5000]),
    special: SIT_E180,
};

const NL: Plan = Plan {
    dial: single(425.0, ALWAYS),
    ringback: single(425.0, &[1000, 4000]),
    busy: single(425.0, &[500, 500]),
    congestion: single(425.0, &[250, 250]),
    call_waiting: single(425.0, &[500, 9500]),
    special: SIT_E180,
};

const FR: Plan = Plan {
    dial: single(440.0, ALWAYS),
    ringback: single(440.0, &[1500, 3500]),
    busy: single(440.0, &[500, 500]),
    congestion: single(440.0, &[250, 250]),
    call_waiting: single(440.0, &[300, 10_000]),
    special: SIT_E180,
};

const ES: Plan = Plan {
    dial: single(425.0, ALWAYS),
    ringback: single(425.0, &[1500, 3000]),
    busy: single(425.0, &[200, 200]),
    congestion: single(425.0, &[200, 200, 200, 200, 200, 600]),
    call_waiting: single(425.0, &[175, 175, 175, 3500]),
    special: SIT_E180,
};

const IT: Plan = Plan {
    dial: single(425.0, &[200, 200, 600, 1000]),
    ringback: single(425.0, &[1000, 4000]),
    busy: single(425.0, &[500, 500]),
    congestion: single(425.0, &[200, 200]),
    call_waiting: single(425.0, &[400, 100, 250, 100, 150, 14_000]),
    special: SIT_E180,
};

const CH: Plan = Plan {
    dial: single(425.0, ALWAYS),
    ringback: single(425.0, &[1000, 4000]),
    busy: single(425.0, &[500, 500]),
    congestion: single(425.0, &[200, 200]),
    call_waiting: single(425.0, &[200, 200, 200, 4000]),
    special: SIT_E180,
};

const SE: Plan = Plan {
    dial: single(425.0, ALWAYS),
    ringback: single(425.0, &[1000, 5000]),
    busy: single(425.0, &[250, 250]),
    congestion: single(425.0, &[250, 750]),
    call_waiting: single(425.0, &[200, 500, 200, 5000]),
    special: SIT_E180,
};

const AU: Plan = Plan {
    dial: cadence([425.0, 450.0], ALWAYS),
    ringback: cadence([400.0, 450.0], &[400, 200, 400, 2000]),
    busy: single(425.0, &[375, 375]),
    congestion: single(425.0, &[375, 375]),
    call_waiting: single(425.0, &[200, 200, 200, 4400]),
    special: SIT_E180,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_is_complete_and_sounds() {
        use Progress::*;
        for country in Country::ALL {
            for progress in [Dial, Ringback, Busy, Congestion, CallWaiting, SpecialInformation] {
                let tone = country.tone(progress);
                assert!(tone.repeats(), "{country:?} {progress:?}");
                assert!(tone.segments()[0].frequencies_hz[0] > 0.0, "{country:?} {progress:?}");
            }
        }
    }

    #[test]
    fn countries_are_found_by_code() {
        assert_eq!(Country::from_code("gb"), Some(Country::Uk));
        assert_eq!(Country::from_code("NL"), Some(Country::Nl));
        assert_eq!(Country::from_code("XX"), None);
    }

    #[test]
    fn british_ringback_is_two_bursts() {
        let tone = Country::Uk.tone(Progress::Ringback);
        let ms: Vec<u32> = tone.segments().iter().map(|s| s.duration_ms).collect();
        assert_eq!(ms, [400, 200, 400, 2000]);
    }
}
