//! What is heard around splices, unsplices and prompts, by a tone that goes on: what was said, whole, and nothing else.

mod support;

use offhook_engine_core::{EncodedPrompt, LegId, LegSetup, Segment, Time, WorkerCommand};
use offhook_proto::{Codec, Idle, SuperviseMode};
use support::clicks::{ClickDetector, Fault, TONE_HZ};
use support::line::{PER_MS, line};
use support::speaker::{CODECS, Hum, media};
use support::{Rig, setup};

const HEARER: u64 = 1;
const ONE: u64 = 2;
const OTHER: u64 = 3;
const LEVEL_DBM0: f64 = -12.0;
/// The tone's largest sample.
const PEAK: f64 = 5_733.0;

/// A leg that hears, and is sent silence when it hears nobody, and two phones that hum all the time, out of step with each other.
struct Call {
    rig: Rig,
    hums: [Hum; 2],
    to: Codec,
    began: Time,
}

impl Call {
    fn new(from: Codec, to: Codec) -> Self {
        let mut rig = Rig::new();
        for (leg, codec) in [(HEARER, to), (ONE, from), (OTHER, from)] {
            rig.create(LegSetup { media: media(codec), idle: Idle::Silence, ..setup(leg) });
            rig.latch(leg);
        }
        let mut hums = [ONE, OTHER].map(|leg| Hum::new(leg, media(from), TONE_HZ, LEVEL_DBM0));
        hums[1].hum(&mut rig, 30);
        rig.take_heard(HEARER);
        let began = rig.now;
        let mut call = Self { rig, hums, to, began };
        call.hum(200);
        call
    }

    /// Everybody hums on for a while.
    fn hum(&mut self, ms: usize) {
        for _ in 0..ms / 10 {
            for hum in &mut self.hums {
                hum.hum_10_ms(&mut self.rig);
            }
            self.rig.pass_ms(10);
        }
    }

    fn now_ms(&self) -> usize {
        (self.rig.now.since(self.began) / 1_000) as usize
    }

    /// All that was heard since the beginning.
    fn heard(&mut self) -> Heard {
        Heard(line(&self.rig.take_heard(HEARER), self.to, self.began))
    }
}

/// What a phone gave, at 8 kHz.
struct Heard(Vec<i16>);

impl Heard {
    fn part(&self, from_ms: usize, to_ms: usize) -> &[i16] {
        &self.0[from_ms * PER_MS..to_ms * PER_MS]
    }

    /// Where it is broken, by what the encodings leave of the tone in a stretch that is whole.
    fn faults(&self, steady_from_ms: usize, steady_to_ms: usize) -> Vec<Fault> {
        ClickDetector::of(self.part(steady_from_ms, steady_to_ms)).faults(&self.0)
    }

    /// Its largest sample, as a multiple of the tone's.
    fn loudest(&self, from_ms: usize, to_ms: usize) -> f64 {
        let peak = self.part(from_ms, to_ms).iter().map(|sample| sample.unsigned_abs()).max();
        f64::from(peak.expect("samples")) / PEAK
    }

    /// When the tone begins in a stretch.
    fn begins_ms(&self, from_ms: usize, to_ms: usize) -> usize {
        let loud = |sample: &i16| f64::from(sample.unsigned_abs()) > PEAK / 4.0;
        from_ms + self.part(from_ms, to_ms).iter().position(loud).expect("it is heard") / PER_MS
    }
}

/// Checks that there are faults near these moments only, from just before to so much after.
fn assert_only_at(faults: &[Fault], moments_ms: &[usize], after_ms: usize, case: &str) {
    let inherent = |fault: &Fault| {
        moments_ms.iter().any(|at| (at.saturating_sub(BEFORE_MS)..=at + after_ms).contains(&fault.from_ms))
    };
    let others: Vec<_> = faults.iter().filter(|fault| !inherent(fault)).collect();
    assert!(others.is_empty(), "{case}: {others:?} besides {moments_ms:?}");
}

fn every_way() -> impl Iterator<Item = (Codec, Codec)> {
    CODECS.into_iter().flat_map(|from| CODECS.map(|to| (from, to)))
}

/// Whether what a packet gives depends on those before it.
fn predicts(codec: Codec) -> bool {
    matches!(codec, Codec::G722 | Codec::Opus)
}

/// The end of a packet that was sent before, in what is heard.
const BEFORE_MS: usize = 5;
/// A cut is heard within a packet time, and what filters and predictors make of it.
const CUT_MS: usize = 30;
/// How much louder than it is a tone may come out of an encoding.
const OVERSHOOT: f64 = 1.25;

#[test]
fn the_detector_reports_a_click_a_dropout_a_cut_and_a_repetition_in_every_encoding() {
    for codec in CODECS {
        let mut call = Call::new(codec, codec);
        call.rig.splice(HEARER, ONE);
        call.hum(2_000);
        let heard = call.heard();
        let whole = heard.part(400, 2_000);
        let detector = ClickDetector::of(&whole[..300 * PER_MS]);
        assert_eq!(detector.faults(whole), [], "{codec}: nothing is planted");
        for at in (4_000..8_000).step_by(97) {
            let planted = |what: &str, change: fn(&mut Vec<i16>, usize)| {
                let mut line = whole.to_vec();
                change(&mut line, at);
                let faults = detector.faults(&line);
                let near = |fault: &Fault| (fault.from_ms..=fault.to_ms + 4).contains(&(at / PER_MS + 2));
                assert!(faults.iter().any(near), "{codec}: {what} at {} ms: {faults:?}", at / PER_MS);
            };
            planted("a sample off by a quarter of the peak", |line, at| line[at] += (PEAK / 4.0) as i16);
            planted("20 ms of nothing", |line, at| line[at..at + 160].fill(0));
            planted("5 ms of nothing", |line, at| line[at..at + 40].fill(0));
            planted("97 samples left out", |line, at| drop(line.drain(at..at + 97)));
            planted("a packet left out", |line, at| drop(line.drain(at..at + 160)));
            planted("a packet repeated", |line, at| {
                let packet = line[at - 160..at].to_vec();
                drop(line.splice(at..at, packet));
            });
        }
    }
}

#[test]
fn what_one_phone_says_is_heard_whole_from_its_first_packet_to_its_last() {
    for (from, to) in every_way() {
        let mut call = Call::new(from, to);
        call.rig.splice(HEARER, ONE);
        let spliced = call.now_ms();
        call.hum(600);
        // None of this is about what the hearer hears of the one.
        call.rig.splice(HEARER, ONE);
        call.hum(100);
        call.rig.gates(HEARER, ONE, true, false);
        call.hum(100);
        call.rig.gates(HEARER, ONE, true, true);
        call.hum(100);
        let leg = LegId(OTHER);
        call.rig.done(|op| WorkerCommand::Listen { op, leg, of: LegId(ONE) });
        call.hum(200);
        let (of, mode) = (LegId(HEARER), SuperviseMode::Listen);
        call.rig.done(|op| WorkerCommand::Supervise { op, leg, of, with: None, mode });
        call.hum(200);
        call.rig.done(|op| WorkerCommand::SuperviseStop { op, leg });
        call.hum(200);
        call.rig.unsplice(HEARER);
        let parted = call.now_ms();
        call.hum(300);
        let (heard, case) = (call.heard(), format!("{from} to {to}"));
        let faults = heard.faults(spliced + 200, spliced + 500);
        let begins = heard.begins_ms(spliced, parted);
        // A decoder that predicts has to find into a stream in the middle of it.
        let latest_ms = if predicts(from) { 120 } else { 80 };
        assert!(begins <= spliced + latest_ms, "{case}: it begins {} ms late", begins - spliced);
        assert_only_at(&faults, &[begins, parted], CUT_MS, &case);
        let loudest = heard.loudest(0, parted + 200);
        assert!(loudest < OVERSHOOT, "{case}: {loudest} times as loud");
        assert!(heard.loudest(0, spliced) < 0.01, "{case}: silence before");
        assert!(heard.loudest(parted + 100, parted + 200) < 0.01, "{case}: and after");
    }
}

#[test]
fn where_another_phone_is_heard_instead_there_is_one_cut_and_each_is_whole() {
    for (from, to) in every_way() {
        let (mut call, mut changes) = (Call::new(from, to), Vec::new());
        for nth in 0..6 {
            call.rig.splice(HEARER, if nth % 2 == 0 { ONE } else { OTHER });
            changes.push(call.now_ms());
            call.hum(410);
        }
        let end = call.now_ms();
        let (heard, case) = (call.heard(), format!("{from} to {to}"));
        let faults = heard.faults(changes[0] + 200, changes[0] + 400);
        let begins: Vec<_> = changes.iter().map(|at| heard.begins_ms(*at, at + 200)).collect();
        // Decoders that predict go on from the one's stream with the other's, or begin in the middle of it.
        let (settled_ms, most) =
            if predicts(from) || predicts(to) { (160, 3.1) } else { (CUT_MS, OVERSHOOT) };
        // The other's first packet comes after the whole of the one's last: ten milliseconds later each time.
        let after_ms = settled_ms + 10 * changes.len();
        assert_only_at(&faults, &[&changes[..], &begins].concat(), after_ms, &case);
        let loudest = heard.loudest(0, end);
        assert!(loudest < most, "{case}: {loudest} times as loud");
    }
}

#[test]
fn what_is_made_for_a_g722_phone_goes_on_from_whatever_it_heard_before() {
    for from in CODECS.into_iter().filter(|codec| !predicts(*codec)) {
        let to = Codec::G722;
        let mut call = Call::new(from, to);
        for round in 0..3 {
            call.rig.splice(HEARER, if round % 2 == 0 { ONE } else { OTHER });
            call.hum(310);
            let prompt = EncodedPrompt::encode(to, &prompt_tone(to)).expect("it is encoded");
            call.rig.play(HEARER, "p", vec![Segment::Audio(prompt.into())], 1);
            call.hum(70 + 130 * round);
            call.rig.done(|op| WorkerCommand::PlayStop { op, leg: LegId(HEARER), play: None });
            call.hum(310);
            call.rig.unsplice(HEARER);
            call.hum(40 + 60 * round);
        }
        let end = call.now_ms();
        let loudest = call.heard().loudest(0, end);
        assert!(loudest < 1.5, "{from}: {loudest} times as loud");
    }
}

#[test]
fn what_was_said_since_an_answer_is_heard_whole_though_it_comes_late() {
    for (from, to) in every_way() {
        let mut call = Call::new(from, to);
        let answered = call.rig.now;
        call.hum(120);
        call.rig.splice_since(HEARER, ONE, answered);
        let spliced = call.now_ms();
        call.hum(1_200);
        let (heard, case) = (call.heard(), format!("{from} to {to}"));
        let faults = heard.faults(spliced + 800, spliced + 1_100);
        let begins = heard.begins_ms(spliced, spliced + 200);
        assert_only_at(&faults, &[begins], CUT_MS, &case);
        let loudest = heard.loudest(0, spliced + 1_200);
        assert!(loudest < OVERSHOOT, "{case}: {loudest} times as loud");
    }
}

#[test]
fn prompts_begin_and_end_without_a_step() {
    for (from, to) in every_way() {
        let mut call = Call::new(from, to);
        call.rig.splice(HEARER, ONE);
        call.hum(300);
        call.hums[0].hush();
        call.hum(400);
        // In a conversation with somebody who is silent, and alone.
        let mut plays = Vec::new();
        for _ in 0..2 {
            let prompt = EncodedPrompt::encode(to, &prompt_tone(to)).expect("it is encoded");
            call.rig.play(HEARER, "p", vec![Segment::Audio(prompt.into())], 1);
            plays.push(call.now_ms());
            call.hum(1_000);
            if plays.len() == 1 {
                call.rig.unsplice(HEARER);
                call.hum(300);
            }
        }
        let (heard, case) = (call.heard(), format!("{to}, where the other sends {from}"));
        let faults = heard.faults(plays[0] + 200, plays[0] + 400);
        let from_ms = plays[0] - 200;
        let heard_then: Vec<_> = faults.into_iter().filter(|fault| fault.from_ms >= from_ms).collect();
        assert_eq!(heard_then, [], "{case}");
        let most = if to == Codec::G722 { 2.5 } else { OVERSHOOT };
        for at in plays {
            let begins = heard.begins_ms(at, at + 100);
            assert!(begins <= at + 50, "{case}: it begins {} ms late", begins - at);
            let loudest = heard.loudest(at - 100, at + 900);
            assert!(loudest < most, "{case}: {loudest} times as loud");
            assert!(heard.loudest(at + 720, at + 900) < 0.01, "{case}: silence after it");
        }
    }
}

#[test]
fn what_is_played_round_and_round_has_no_seam() {
    for to in CODECS {
        for endless in [false, true] {
            let mut call = Call::new(Codec::Pcmu, to);
            let rate_hz = EncodedPrompt::rate_hz(to) as usize;
            let turn = std::f64::consts::TAU * TONE_HZ / rate_hz as f64;
            // A second of the tone joins its own beginning.
            let tone: Vec<i16> = (0..rate_hz).map(|at| (PEAK * (turn * at as f64).sin()) as i16).collect();
            let prompt = EncodedPrompt::encode(to, &tone).expect("it is encoded");
            let prompt = if endless { prompt.endless() } else { prompt };
            call.rig.play(HEARER, "p", vec![Segment::Audio(prompt.into())], 0);
            let began = call.now_ms();
            call.hum(4_300);
            let (heard, case) =
                (call.heard(), format!("{to}, {}", if endless { "a tone" } else { "a prompt" }));
            let faults = heard.faults(began + 500, began + 800);
            let begins = heard.begins_ms(began, began + 100);
            assert_only_at(&faults, &[begins], 160, &case);
            let loudest = heard.loudest(began + 300, began + 4_200);
            assert!(loudest < OVERSHOOT, "{case}: {loudest} times as loud");
        }
    }
}

/// 610 ms of the tone, which comes and goes in 20 ms, as prompts of an encoding are made from.
fn prompt_tone(codec: Codec) -> Vec<i16> {
    let rate_hz = EncodedPrompt::rate_hz(codec) as usize;
    let (len, edge) = (rate_hz * 61 / 100, rate_hz / 50);
    let turn = std::f64::consts::TAU * TONE_HZ / rate_hz as f64;
    let sample = |at: usize| {
        let into = at.min(len - 1 - at).min(edge) as f64 / edge as f64;
        let gain = 0.5 - 0.5 * (std::f64::consts::PI * into).cos();
        (PEAK * gain * (turn * at as f64).sin()) as i16
    };
    (0..len).map(sample).collect()
}
