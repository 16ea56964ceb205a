mod losses;
mod parameters;

use super::*;
use crate::g711;
use crate::testing::{add, greeting_8k, hello_8k, noise, sine};
use crate::tones::{self, Country, Progress, ToneSource};

/// Events with the time of each in ms.
fn events(samples: &[i16]) -> Vec<(u32, CpdEvent)> {
    let mut detector = CallProgressDetector::default();
    let mut events = Vec::new();
    for (i, frame) in samples.chunks(160).enumerate() {
        detector.push(frame, |e| events.push((i as u32 * 20 + 20, e)));
    }
    events
}

fn only(samples: &[i16]) -> Vec<CpdEvent> {
    events(samples).into_iter().map(|(_, e)| e).collect()
}

fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * 8]
}

fn tone(tone: &tones::Tone, ms: usize) -> Vec<i16> {
    let mut out = silence(ms);
    ToneSource::new(tone, 8000).render(&mut out);
    out
}

fn coded(samples: &[i16]) -> Vec<i16> {
    samples.iter().map(|s| g711::ulaw_to_linear(g711::linear_to_ulaw(*s))).collect()
}

fn louder(samples: &[i16], db: f32) -> Vec<i16> {
    let mut samples = samples.to_vec();
    crate::mix::apply_gain(&mut samples, db);
    samples
}

const HUMAN: CpdEvent = CpdEvent::Verdict(AmdVerdict::Human(AmdCause::ShortGreeting));

fn is_machine(event: Option<&CpdEvent>) -> bool {
    matches!(event, Some(CpdEvent::Verdict(AmdVerdict::Machine(_))))
}

#[test]
fn a_person_who_says_hello_and_waits_is_a_person() {
    for lead_ms in [0, 300, 1200] {
        for gain_db in [-15.0, 0.0, 6.0] {
            let call = [silence(lead_ms), louder(&hello_8k(), gain_db), silence(3000)].concat();
            let found = events(&coded(&call));
            assert_eq!(found.iter().map(|(_, e)| *e).collect::<Vec<_>>(), [HUMAN], "{lead_ms} {gain_db}");
            assert!(found[0].0 <= lead_ms as u32 + 910 + 850, "{found:?}");
        }
    }
}

#[test]
fn a_person_is_known_in_steady_noise() {
    for level in [-50.0, -40.0, -35.0] {
        let call = [silence(500), hello_8k(), silence(4000)].concat();
        let noisy = add(&call, &noise(5, level, call.len()));
        assert_eq!(only(&noisy)[..1], [HUMAN], "{level}");
    }
}

#[test]
fn a_greeting_that_goes_on_is_a_machine_and_its_beep_is_found() {
    let beep = Tone1k.samples();
    let call = [silence(400), greeting_8k(), silence(300), beep, silence(2000)].concat();
    for gain_db in [-12.0, 0.0] {
        let found = events(&coded(&louder(&call, gain_db)));
        assert!(is_machine(found.first().map(|(_, e)| e)), "{found:?}");
        assert!(found[0].0 < 3000, "{found:?}");
        let [_, (at_ms, CpdEvent::Beep { frequency_hz, duration_ms })] = found[..] else {
            panic!("{found:?}")
        };
        assert!((frequency_hz - 1000.0).abs() < 10.0, "{frequency_hz}");
        assert!(duration_ms.abs_diff(400) <= 20, "{duration_ms}");
        let end_ms = 400 + greeting_8k().len() as u32 / 8 + 300 + 400;
        assert!(at_ms - end_ms <= 200, "{} ms after the beep", at_ms - end_ms);
    }
}

struct Tone1k;

impl Tone1k {
    fn samples(&self) -> Vec<i16> {
        sine(8000, 1000.0, -12.0, 3200)
    }
}

#[test]
fn beeps_of_many_frequencies_and_lengths_are_found() {
    for hz in [440.0, 600.0, 850.0, 1000.0, 1400.0, 1800.0, 2400.0] {
        for ms in [150, 250, 500, 1000] {
            let call = [greeting_8k(), silence(200), sine(8000, hz, -14.0, ms * 8), silence(500)].concat();
            let found = only(&coded(&call));
            let Some(CpdEvent::Beep { frequency_hz, .. }) = found.last() else {
                panic!("{hz} {ms}: {found:?}")
            };
            assert!((frequency_hz - hz).abs() < 10.0, "{hz}: {frequency_hz}");
        }
    }
}

#[test]
fn silence_is_a_machine_after_its_time() {
    let found = events(&silence(4000));
    assert_eq!(found, [(2500, CpdEvent::Verdict(AmdVerdict::Machine(AmdCause::InitialSilence)))]);
}

#[test]
fn an_answering_fax_is_found_also_with_phase_reversals() {
    let mut ced = sine(8000, 2100.0, -12.0, 24_000);
    assert_eq!(only(&[silence(500), ced.clone(), silence(500)].concat()), [CpdEvent::FaxAnswer]);
    for (i, sample) in ced.iter_mut().enumerate() {
        if i / 3600 % 2 == 1 {
            *sample = -*sample;
        }
    }
    assert_eq!(only(&[silence(500), ced, silence(500)].concat()), [CpdEvent::FaxAnswer]);
}

#[test]
fn a_calling_fax_is_found() {
    assert_eq!(only(&[silence(200), tone(&tones::cng(), 8000)].concat()), [CpdEvent::FaxCalling]);
}

#[test]
fn every_special_information_tone_is_told_by_its_cause() {
    for (cause, first, second) in SITS {
        for lead_ms in [100, 105, 113] {
            let sit = tones::sit([first, second, (1776.7, 380)]);
            let call = [silence(lead_ms), tone(&sit, 1500), greeting_8k()].concat();
            let found = only(&coded(&call));
            assert_eq!(found.first(), Some(&CpdEvent::Sit(cause)), "{cause:?}, lead {lead_ms}: {found:?}");
        }
    }
    for gap_ms in [0, 15, 30] {
        let part = |hz| [sine(8000, hz, -18.0, 330 * 8), silence(gap_ms)].concat();
        let call = [silence(100), part(950.0), part(1400.0), part(1800.0), silence(1000)].concat();
        assert_eq!(only(&call), [CpdEvent::Sit(SitCause::Unspecified)], "gap {gap_ms}");
    }
}

/// Frequency in Hz and length in ms.
type Part = (f32, u32);
/// Bellcore's codes, by their first and second part.
const SITS: [(SitCause, Part, Part); 8] = [
    (SitCause::Intercept, (LOW[0], 274), (LOW[1], 274)),
    (SitCause::VacantCode, (HIGH[0], 380), (LOW[1], 274)),
    (SitCause::ReorderIntra, (LOW[0], 274), (HIGH[1], 380)),
    (SitCause::ReorderInter, (HIGH[0], 274), (LOW[1], 380)),
    (SitCause::NoCircuitIntra, (HIGH[0], 380), (HIGH[1], 380)),
    (SitCause::NoCircuitInter, (LOW[0], 380), (LOW[1], 380)),
    (SitCause::IneffectiveOther, (LOW[0], 380), (HIGH[1], 274)),
    (SitCause::Reserved, (HIGH[0], 274), (HIGH[1], 274)),
];
const LOW: [f32; 2] = [913.8, 1370.6];
const HIGH: [f32; 2] = [985.2, 1428.5];

#[test]
fn busy_reorder_and_ringback_of_every_country_are_told() {
    let country = |c: Country, p| only(&coded(&tone(&c.tone(p), 7000)));
    for c in [Country::Us, Country::Uk, Country::De, Country::Nl, Country::Fr, Country::It, Country::Ch] {
        assert_eq!(country(c, Progress::Busy).first(), Some(&CpdEvent::Busy), "{c:?}");
        assert_eq!(country(c, Progress::Congestion).first(), Some(&CpdEvent::Reorder), "{c:?}");
    }
    for c in Country::ALL {
        assert_eq!(country(c, Progress::Ringback).first(), Some(&CpdEvent::Ringback), "{c:?}");
    }
    for c in [Country::Us, Country::Uk, Country::De, Country::Nl, Country::Fr] {
        assert_eq!(country(c, Progress::Dial), [CpdEvent::DialTone], "{c:?}");
    }
}

#[test]
fn somebody_who_answers_after_ringing_is_a_person() {
    let ringing = tone(&Country::De.tone(Progress::Ringback), 4000);
    let call = [ringing, hello_8k(), silence(2000)].concat();
    assert_eq!(only(&call), [CpdEvent::Ringback, HUMAN]);
}

#[test]
fn speech_is_no_tone() {
    for gain_db in [-20.0, 0.0, 6.0] {
        let talk = [greeting_8k(), crate::testing::speech_8k(), hello_8k()].concat();
        let found = only(&coded(&louder(&talk, gain_db)));
        assert_eq!(found.len(), 1, "{gain_db}: {found:?}");
        assert!(is_machine(found.first()), "{found:?}");
    }
}

#[test]
fn noise_alone_is_no_event_but_a_verdict() {
    let found = only(&noise(9, -35.0, 64_000));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(matches!(found[0], CpdEvent::Verdict(_)));
}

#[test]
fn frames_of_any_length_give_the_same_events() {
    let call = [greeting_8k(), sine(8000, 1000.0, -12.0, 3200), silence(500)].concat();
    let whole = only(&call);
    for frame in [1, 33, 80, 240, 480] {
        let mut detector = CallProgressDetector::default();
        let mut found = Vec::new();
        call.chunks(frame).for_each(|f| detector.push(f, |e| found.push(e)));
        assert_eq!(found, whole, "{frame}");
    }
}

#[test]
fn cb_17_a_human_is_told_from_a_machine_a_fax_and_network_tones() {
    let after = |samples: Vec<i16>| only(&coded(&[silence(400), samples, silence(3000)].concat()))[0];
    assert_eq!(after(hello_8k()), HUMAN);
    assert!(is_machine(Some(&after(greeting_8k()))));
    assert_eq!(after(sine(8000, 2100.0, -12.0, 24_000)), CpdEvent::FaxAnswer);
    assert_eq!(after(tone(&tones::cng(), 4000)), CpdEvent::FaxCalling);
    assert_eq!(after(tone(&Country::Us.tone(Progress::Busy), 4000)), CpdEvent::Busy);
    assert_eq!(after(tone(&Country::Us.tone(Progress::Congestion), 4000)), CpdEvent::Reorder);
    assert_eq!(after(tone(&Country::Us.tone(Progress::Ringback), 4000)), CpdEvent::Ringback);
    let sit = Country::Us.tone(Progress::SpecialInformation);
    assert_eq!(after(tone(&sit, 1200)), CpdEvent::Sit(SitCause::Intercept));
}
