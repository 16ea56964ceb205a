//! A small corpus that is the same in every run, so that a detector which has become worse is seen: recorded voices, every tone, every
//! encoding, losses, jitter and noise. The example `cpd_corpus` makes the large one, which the figures are about.

#[path = "../examples/cpd_corpus/calls.rs"]
mod calls;
#[path = "../examples/cpd_corpus/line.rs"]
#[allow(dead_code, reason = "the large corpus picks its lines")]
mod line;
#[path = "../examples/cpd_corpus/noise.rs"]
mod noise;
#[path = "../examples/cpd_corpus/random.rs"]
mod random;
#[path = "../examples/cpd_corpus/score.rs"]
#[allow(dead_code, reason = "the large corpus counts the keys too")]
mod score;

use std::path::Path;

use calls::{Call, Label, RATE_HZ};
use line::{CODECS, Line, Loss, resampled};
use noise::Noise;
use random::Random;
use score::Score;

/// A recorded voice, from its first sound to its last.
fn voice(file: &str) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let mut wav = hound::WavReader::open(path).expect("the recording is there");
    let rate_hz = wav.spec().sample_rate;
    let samples: Vec<i16> = wav.samples().collect::<Result<_, _>>().expect("it is whole");
    let from = samples.iter().position(|s| s.abs() > 100).expect("it is heard");
    let to = samples.iter().rposition(|s| s.abs() > 100).expect("it is heard");
    resampled(&samples[from..to], rate_hz, RATE_HZ)
}

/// Every encoding with every manner of loss, jitter and noise, again and again.
struct Lines {
    next: usize,
    babble: Vec<i16>,
    random: Random,
}

impl Lines {
    fn new() -> Self {
        let mut random = Random::new(0x5EED_0002);
        let behind = ["../prompts/please_wait.wav", "../prompts/pin_ok.wav", "testdata/speech_16k.wav"];
        let babble = noise::babble(&behind.map(voice), &mut random);
        Self { next: 0, babble, random }
    }

    /// Sends the call over one line of each encoding and scores it.
    fn score(&mut self, score: &mut Score, call: &Call) {
        for codec in CODECS {
            let (noise, loss, jitter_ms) = MANNERS[self.next % MANNERS.len()];
            let gain_db = GAINS_DB[self.next % GAINS_DB.len()];
            self.next += 1;
            let line = Line { codec, gain_db, noise, loss, jitter_ms };
            let heard = line.carry(&call.samples, &self.babble, &mut self.random);
            if let Some(fault) = score.add(call.label, call.beep_end_ms, &heard) {
                println!("{fault} {}; {line}", call.about);
            }
        }
    }
}

fn at_least(score: &Score, what: &str, least: usize, of: impl Fn(Label) -> bool) {
    let (right, all) = score.right(of);
    assert!(
        right >= least,
        "{what}: {right} of {all} are heard as what they are, not {least}\n{}",
        score.table()
    );
}

#[test]
fn cb_17_persons_are_told_from_machines_over_every_kind_of_line() {
    let (mut lines, mut score) = (Lines::new(), Score::default());
    for file in PERSONS {
        let call = calls::person(&voice(file), file, &mut lines.random);
        lines.score(&mut score, &call);
    }
    for file in MACHINES {
        let call = calls::machine(&voice(file), file, &mut lines.random);
        lines.score(&mut score, &call);
    }
    at_least(&score, "persons", 35, |label| label == Label::Person);
    at_least(&score, "machines", 24, |label| label == Label::Machine);
    let (found, beeps, false_ones) = score.beeps();
    assert!(found == beeps && false_ones == 0, "{found} of {beeps} beeps, {false_ones} where there was none");
}

#[test]
fn cb_17_fax_and_network_tones_are_told_over_every_kind_of_line() {
    let (mut lines, mut score) = (Lines::new(), Score::default());
    for country in 0..5 {
        for call in calls::toned(country, &mut lines.random) {
            lines.score(&mut score, &call);
        }
    }
    at_least(&score, "faxes", 40, |label| matches!(label, Label::FaxAnswer | Label::FaxCalling));
    at_least(&score, "special information tones", 178, |label| matches!(label, Label::Sit(_)));
    at_least(&score, "busy and reorder", 40, |label| matches!(label, Label::Busy | Label::Reorder));
    at_least(&score, "ringback", 20, |label| label == Label::Ringback);
    at_least(&score, "dial tone", 20, |label| label == Label::DialTone);
}

const PERSONS: [&str; 9] = [
    "testdata/hello_8k.wav",
    "../prompts/pin_intro.wav",
    "../prompts/connected.wav",
    "../prompts/1.wav",
    "../prompts/2.wav",
    "../prompts/4.wav",
    "../prompts/6.wav",
    "../prompts/7.wav",
    "../prompts/9.wav",
];
const MACHINES: [&str; 6] = [
    "testdata/greeting_8k.wav",
    "../prompts/access_code.wav",
    "../prompts/callback_confirm.wav",
    "../prompts/callback_menu.wav",
    "../prompts/wrong_code.wav",
    "../prompts/wrong_pin.wav",
];
/// Noise and its level in dBm0, losses in percent, jitter in ms.
type Manner = (Option<(Noise, f32)>, Loss, usize);
/// Seven, so that each meets every encoding.
const MANNERS: [Manner; 7] = [
    (None, Loss::None, 0),
    (None, Loss::Single(3), 10),
    (Some((Noise::White, -48.0)), Loss::None, 40),
    (Some((Noise::Pink, -48.0)), Loss::Burst(3), 0),
    (Some((Noise::Babble, -50.0)), Loss::None, 10),
    (Some((Noise::Babble, -55.0)), Loss::Single(1), 0),
    (Some((Noise::Pink, -55.0)), Loss::Burst(1), 40),
];
const GAINS_DB: [f32; 5] = [0.0, -12.0, 4.0, -6.0, -16.0];
