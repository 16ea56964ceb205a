//! That every parameter of the tones changes what is found.

use super::*;

/// A parameter, how it is changed, a call, and what is found first with the defaults and with the change.
type Case = (&'static str, fn(&mut ToneConfig), Vec<i16>, Option<CpdEvent>, Option<CpdEvent>);

/// What is found first, other than a verdict.
fn first(tones: ToneConfig, call: &[i16]) -> Option<CpdEvent> {
    let mut detector = CallProgressDetector::new(CpdConfig { tones, ..CpdConfig::default() });
    let mut found = None;
    detector.push(call, |event| {
        if !matches!(event, CpdEvent::Verdict(_)) && found.is_none() {
            // A beep is told by what it is, and only here by its being one.
            found = Some(match event {
                CpdEvent::Beep { .. } => BEEP,
                other => other,
            });
        }
    });
    found
}

const BEEP: CpdEvent = CpdEvent::Beep { frequency_hz: 0.0, duration_ms: 0 };

/// A person's word, then a tone.
fn beeped(hz: f32, ms: usize) -> Vec<i16> {
    [hello_8k(), silence(300), sine(8000, hz, -12.0, ms * 8), silence(500)].concat()
}

fn alone(hz: f32, level_dbm0: f32, ms: usize) -> Vec<i16> {
    [silence(200), sine(8000, hz, level_dbm0, ms * 8), silence(2500)].concat()
}

fn bursts(hz: f32, on_off_ms: [u32; 2]) -> Vec<i16> {
    tone(&tones::cadence([hz, 0.0], &on_off_ms), 5000)
}

fn sit_of(first_ms: u32, second_ms: u32) -> Vec<i16> {
    let sit = tones::sit([(913.8, first_ms), (1370.6, second_ms), (1776.7, 380)]);
    [silence(100), tone(&sit, 1500)].concat()
}

#[test]
fn cb_17_every_parameter_of_the_tones_changes_what_is_found() {
    use CpdEvent::{Busy, DialTone, FaxAnswer, FaxCalling, Reorder, Ringback, Sit};
    let special = |cause| Some(Sit(cause));
    let cases: Vec<Case> = vec![
        ("min_level_dbm0", |c| c.min_level_dbm0 = -25, alone(2100.0, -30.0, 3000), Some(FaxAnswer), None),
        ("min_level_dbm0", |c| c.min_level_dbm0 = -52, alone(2100.0, -48.0, 3000), None, Some(FaxAnswer)),
        ("beep_hz, above", |c| c.beep_hz = 350..=3400, beeped(3000.0, 300), None, Some(BEEP)),
        ("beep_hz, below", |c| c.beep_hz = 1200..=2600, beeped(1000.0, 300), Some(BEEP), None),
        ("beep_ms, shortest", |c| c.beep_ms = 60..=5000, beeped(1000.0, 80), None, Some(BEEP)),
        ("beep_ms, longest", |c| c.beep_ms = 100..=500, beeped(1000.0, 900), Some(BEEP), None),
        ("fax", |c| c.fax = false, alone(2100.0, -12.0, 3000), Some(FaxAnswer), Some(BEEP)),
        (
            "fax_answer_min_ms",
            |c| c.fax_answer_min_ms = 300,
            alone(2100.0, -12.0, 500),
            None,
            Some(FaxAnswer),
        ),
        (
            "fax_calling_ms",
            |c| c.fax_calling_ms = 250..=600,
            alone(1100.0, -12.0, 300),
            Some(BEEP),
            Some(FaxCalling),
        ),
        ("sit", |c| c.sit = false, sit_of(274, 274), special(SitCause::Intercept), None),
        (
            "sit_part_ms",
            |c| c.sit_part_ms = 150..=440,
            sit_of(180, 180),
            Some(BEEP),
            special(SitCause::Intercept),
        ),
        (
            "sit_long_ms",
            |c| c.sit_long_ms = 250,
            sit_of(274, 274),
            special(SitCause::Intercept),
            special(SitCause::NoCircuitInter),
        ),
        ("dial_min_ms", |c| c.dial_min_ms = 1500, alone(425.0, -12.0, 2000), Some(Ringback), Some(DialTone)),
        (
            "busy_ms and reorder_ms of Spain",
            |c| (c.busy_ms, c.reorder_ms) = (150..=309, 310..=600),
            bursts(425.0, [200, 200]),
            Some(Reorder),
            Some(Busy),
        ),
        (
            "busy_ms and reorder_ms of Australia",
            |c| (c.busy_ms, c.reorder_ms) = (150..=309, 310..=600),
            bursts(425.0, [375, 375]),
            Some(Busy),
            Some(Reorder),
        ),
        ("ringback_ms", |c| c.ringback_ms = 700..=2900, bursts(425.0, [2600, 1500]), None, Some(Ringback)),
        (
            "ringback_pause_ms",
            |c| c.ringback_pause_ms = 500,
            bursts(425.0, [1000, 700]),
            None,
            Some(Ringback),
        ),
    ];
    for (name, change, call, before, after) in cases {
        let mut changed = ToneConfig::default();
        change(&mut changed);
        assert_eq!(first(ToneConfig::default(), &call), before, "{name}, by default");
        assert_eq!(first(changed, &call), after, "{name}, changed");
    }
}
