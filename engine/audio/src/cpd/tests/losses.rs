//! Packets that are lost, and noise that begins.

use super::*;

/// Events of a call of which these frames of 20 ms are lost, and concealed by silence.
fn found_without(call: &[i16], config: CpdConfig, lost: impl Fn(usize) -> bool) -> Vec<CpdEvent> {
    let mut detector = CallProgressDetector::new(config);
    let mut found = Vec::new();
    for (i, frame) in call.chunks(160).enumerate() {
        if lost(i) {
            detector.push_concealed(&vec![0; frame.len()], |event| found.push(event));
        } else {
            detector.push(frame, |event| found.push(event));
        }
    }
    found
}

fn without(call: &[i16], lost: impl Fn(usize) -> bool) -> Vec<CpdEvent> {
    found_without(call, CpdConfig::default(), lost)
}

#[test]
fn a_special_information_tone_is_told_whichever_60_ms_of_it_are_lost() {
    for (cause, first, second) in SITS {
        let sit = tones::sit([first, second, (1776.7, 380)]);
        let call = coded(&[silence(200), tone(&sit, 1300), silence(500)].concat());
        for at in 6..60 {
            let found = without(&call, |i| (at..at + 3).contains(&i));
            assert_eq!(found, [CpdEvent::Sit(cause)], "{cause:?}, from {} ms on", at * 20);
        }
    }
}

#[test]
fn a_tone_with_a_loss_in_it_is_one_tone() {
    let beep = [greeting_8k(), silence(300), sine(8000, 1000.0, -12.0, 6400), silence(600)].concat();
    let from = greeting_8k().len() / 160 + 30;
    let found = without(&beep, |i| (from..from + 6).contains(&i));
    let [CpdEvent::Verdict(AmdVerdict::Machine(_)), CpdEvent::Beep { duration_ms, .. }] = found[..] else {
        panic!("{found:?}")
    };
    assert!(duration_ms.abs_diff(800) <= 20, "{duration_ms}");

    let every_second = |i: usize| i % 50 > 44;
    let dial = tone(&Country::Us.tone(Progress::Dial), 7000);
    assert_eq!(without(&dial, every_second), [CpdEvent::DialTone]);
    assert_eq!(without(&tone(&tones::cng(), 8000), |i| i % 9 > 6), [CpdEvent::FaxCalling]);
}

#[test]
fn a_loss_in_a_word_makes_no_two_but_what_stays_away_is_silence() {
    let amd = AmdConfig { maximum_number_of_words: 1, ..AmdConfig::default() };
    let config = CpdConfig { amd, ..CpdConfig::default() };
    let call = [louder(&hello_8k(), 6.0), hello_8k(), silence(2000)].concat();
    let words_without =
        |lost: fn(usize) -> bool| found_without(&call, config.clone(), |i| i >= 95 || lost(i));
    assert!(is_machine(words_without(|i| i == 46).first()), "two words");
    let call = [hello_8k(), silence(2000)].concat();
    assert_eq!(found_without(&call, config, |i| i >= 46 || i % 12 > 8), [HUMAN]);
}

#[test]
fn noise_that_begins_is_no_word() {
    for level in [-45.0, -40.0, -35.0] {
        let noisy = |call: Vec<i16>| [silence(200), add(&call, &noise(7, level, call.len()))].concat();
        let fax = [silence(600), tone(&tones::cng(), 7000)].concat();
        assert_eq!(only(&noisy(fax)), [CpdEvent::FaxCalling], "{level}");
        let rings = [silence(600), tone(&Country::De.tone(Progress::Ringback), 11_000)].concat();
        assert_eq!(only(&noisy(rings)), [CpdEvent::Ringback], "{level}");
    }
}

#[test]
fn a_vowel_that_fades_is_no_tone() {
    let mut vowel = sine(8000, 410.0, -8.0, 2000);
    for (i, sample) in vowel.iter_mut().enumerate() {
        *sample = (f32::from(*sample) * (i as f32 / 400.0).min(1.0) * (1.0 - i as f32 / 2000.0)) as i16;
    }
    assert_eq!(only(&[silence(300), vowel, silence(2000)].concat()), [HUMAN]);
}

#[test]
fn who_hangs_up_after_a_word_is_followed_by_busy_and_no_more_beeps() {
    for country in [Country::Us, Country::De] {
        let busy = tone(&country.tone(Progress::Busy), 6000);
        let found = only(&coded(&[hello_8k(), silence(200), busy].concat()));
        assert_eq!(found.last(), Some(&CpdEvent::Busy), "{country:?}: {found:?}");
    }
}
