use super::*;
use crate::g711;
use crate::testing::{add, greeting_8k, noise, sine, speech_8k};
use crate::tones::{ToneSource, dtmf, dtmf_frequencies};

const ALL: &str = "1234567890*#ABCD";

/// Events of a signal pushed in frames of 20 ms, with the end flushed by silence.
fn events(samples: &[i16]) -> Vec<DtmfEvent> {
    let mut detector = DtmfDetector::default();
    let mut events = Vec::new();
    for frame in samples.chunks(160) {
        detector.push(frame, |e| events.push(e));
    }
    detector.push(&[0; 800], |e| events.push(e));
    events
}

fn keys(samples: &[i16]) -> String {
    let pressed = |e: &DtmfEvent| match *e {
        DtmfEvent::Pressed { key } => Some(key),
        DtmfEvent::Released { .. } => None,
    };
    events(samples).iter().filter_map(pressed).collect()
}

fn dial(digits: &str, on_ms: u32, off_ms: u32, level_dbm0: f32) -> Vec<i16> {
    let mut out = Vec::new();
    for key in digits.chars() {
        let tone = dtmf(key, on_ms, off_ms, level_dbm0).expect("a key");
        let mut samples = vec![0; ((on_ms + off_ms) * 8) as usize];
        ToneSource::new(&tone, 8000).render(&mut samples);
        out.extend(samples);
    }
    out
}

/// A key with each frequency scaled and at its own level, after a lead of silence.
fn pair(key: char, scale: f32, row_dbm0: f32, column_dbm0: f32, ms: usize, lead: usize) -> Vec<i16> {
    let [row, column] = dtmf_frequencies(key).expect("a key");
    let tone =
        add(&sine(8000, row * scale, row_dbm0, ms * 8), &sine(8000, column * scale, column_dbm0, ms * 8));
    [vec![0; lead], tone].concat()
}

#[test]
fn every_key_is_found_at_the_shortest_time_and_pause() {
    assert_eq!(keys(&dial(ALL, 45, 45, -10.0)), ALL);
    assert_eq!(keys(&dial("1111", 40, 40, -10.0)), "1111");
}

#[test]
fn forty_ms_are_found_and_twenty_three_are_not_at_any_alignment() {
    for lead in 0..40 {
        assert_eq!(keys(&pair('7', 1.0, -12.0, -10.0, 40, lead)), "7", "lead {lead}");
        assert_eq!(keys(&pair('7', 1.0, -12.0, -10.0, 23, lead)), "", "lead {lead}");
    }
}

#[test]
fn levels_from_0_to_minus_30_dbm0_are_found_and_minus_55_is_not() {
    for level in [-3.0, -10.0, -20.0, -30.0] {
        assert_eq!(keys(&dial(ALL, 60, 60, level)), ALL, "{level}");
    }
    assert_eq!(keys(&dial(ALL, 60, 60, -55.0)), "");
}

#[test]
fn twist_is_accepted_to_its_limit_and_refused_beyond() {
    for key in ALL.chars() {
        let found = |row, column| keys(&pair(key, 1.0, row, column, 60, 0));
        assert_eq!(found(-10.0, -18.0), key.to_string(), "8 dB of normal twist, {key}");
        assert_eq!(found(-14.0, -10.0), key.to_string(), "4 dB of reverse twist, {key}");
        assert_eq!(found(-10.0, -22.0), "", "12 dB of normal twist, {key}");
        assert_eq!(found(-18.0, -10.0), "", "8 dB of reverse twist, {key}");
    }
}

#[test]
fn frequencies_off_by_1_5_percent_are_found_and_by_3_5_percent_are_not() {
    for key in ALL.chars() {
        for scale in [0.985, 1.0, 1.015] {
            assert_eq!(keys(&pair(key, scale, -10.0, -10.0, 60, 0)), key.to_string(), "{key} × {scale}");
        }
        for scale in [0.965, 1.035] {
            assert_eq!(keys(&pair(key, scale, -10.0, -10.0, 60, 0)), "", "{key} × {scale}");
        }
    }
}

#[test]
fn keys_are_found_in_noise_15_db_below() {
    let dialled = dial(&ALL.repeat(20), 60, 60, -13.0);
    // Two tones of -13 dBm0 are -10 together.
    let noisy = add(&dialled, &noise(7, -25.0, dialled.len()));
    assert_eq!(keys(&noisy), ALL.repeat(20));
}

#[test]
fn a_key_survives_g711_and_lost_samples() {
    let mut samples = dial(ALL, 80, 60, -15.0);
    for s in &mut samples {
        *s = g711::alaw_to_linear(g711::linear_to_alaw(*s));
    }
    assert_eq!(keys(&samples), ALL);
}

#[test]
fn an_interruption_of_10_ms_does_not_make_two_keys() {
    let mut samples = pair('5', 1.0, -10.0, -10.0, 200, 0);
    samples[800..880].fill(0);
    assert_eq!(keys(&samples), "5");
}

#[test]
fn durations_are_right_within_a_hop_or_two() {
    for ms in [50, 100, 250, 1000] {
        let events = events(&dial("9", ms, 100, -10.0));
        let [DtmfEvent::Pressed { key: '9' }, DtmfEvent::Released { key: '9', duration_ms }] = events[..]
        else {
            panic!("{events:?}");
        };
        assert!(duration_ms.abs_diff(ms) <= 10, "{ms}: {duration_ms}");
    }
}

#[test]
fn a_key_that_follows_another_without_a_pause_is_both() {
    assert_eq!(keys(&dial("159D", 100, 0, -10.0)), "159D");
}

#[test]
fn speech_noise_and_call_progress_tones_press_no_key() {
    for speech in [speech_8k(), greeting_8k()] {
        for gain in [1, 2, 4] {
            let louder: Vec<i16> = speech.iter().map(|s| s.saturating_mul(gain)).collect();
            assert_eq!(keys(&louder), "", "gain {gain}");
        }
    }
    assert_eq!(keys(&noise(3, -15.0, 80_000)), "");
    assert_eq!(keys(&pair('1', 1.0, -10.0, -90.0, 500, 0)), "");
    assert_eq!(keys(&add(&sine(8000, 350.0, -13.0, 8000), &sine(8000, 440.0, -13.0, 8000))), "");
    assert_eq!(keys(&add(&sine(8000, 480.0, -13.0, 8000), &sine(8000, 620.0, -13.0, 8000))), "");
}

#[test]
fn suspicion_comes_before_the_report() {
    let mut detector = DtmfDetector::default();
    let samples = pair('3', 1.0, -10.0, -10.0, 100, 0);
    detector.push(&samples[..160], |e| panic!("{e:?} too early"));
    assert!(detector.is_suspicious());
}
