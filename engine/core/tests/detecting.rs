//! What speaks on a leg is told, beside the way to its partner.

mod support;

use offhook_audio::tones::{self, Country, Progress, Segment, Tone};
use offhook_engine_core::{Disarmed, LegId, LegSetup, WorkerCommand, WorkerReport};
use offhook_proto::{
    AmdParameters, Codec, DetectStart, DetectWhat, Detected, DetectedCause, DetectedKind, EventBody,
    LegUpdate, Media, ToneParameters,
};
use support::speaker::{CODECS, Speaker, keys, media, prompt_samples, silence, tone_samples};
use support::{Rig, setup};

const ALL: [DetectWhat; 3] = [DetectWhat::Amd, DetectWhat::Tones, DetectWhat::Dtmf];

/// An agent (1) and a customer (2) of some encoding, spliced.
fn spliced(customer: Media) -> (Rig, Speaker) {
    let mut rig = Rig::new();
    rig.create(setup(1));
    rig.create(LegSetup { media: customer.clone(), ..setup(2) });
    rig.latch(1);
    rig.latch(2);
    rig.splice(1, 2);
    rig.events.clear();
    (rig, Speaker::new(2, customer))
}

fn wanted(what: &[DetectWhat]) -> DetectStart {
    DetectStart {
        leg: "leg-2".into(),
        what: what.to_vec(),
        amd: AmdParameters::default(),
        tones: ToneParameters::default(),
    }
}

fn start(rig: &mut Rig, wanted: DetectStart) {
    rig.done(|op| WorkerCommand::Detect { op, leg: LegId(2), start: Some(Box::new(wanted)) });
}

fn found(rig: &mut Rig) -> Vec<Detected> {
    let found = rig.events.drain(..).filter_map(|event| match event {
        EventBody::Detected(found) => Some(found),
        _ => None,
    });
    found.collect()
}

fn kinds(rig: &mut Rig) -> Vec<(DetectedKind, Option<DetectedCause>)> {
    found(rig).into_iter().map(|found| (found.kind, found.cause)).collect()
}

fn pressed(rig: &mut Rig) -> String {
    let keys = rig.events.drain(..).filter_map(|event| match event {
        EventBody::Dtmf { digit, .. } => Some(digit),
        _ => None,
    });
    keys.collect()
}

#[test]
fn cb_17_a_person_is_told_within_a_second_of_the_greeting_in_every_encoding() {
    for codec in CODECS {
        let (mut rig, mut customer) = spliced(media(codec));
        start(&mut rig, wanted(&ALL));
        let greeting = prompt_samples("pin_intro.wav");
        customer.say(&mut rig, &[silence(300), greeting, silence(1_500)].concat());
        let found = found(&mut rig);
        let [person] = found.as_slice() else { panic!("{codec:?}: {found:?}") };
        assert_eq!((person.kind, person.cause), (DetectedKind::Person, Some(DetectedCause::ShortGreeting)));
        assert_eq!(person.leg, "leg-2");
        // 300 ms, the words of 665 ms, 800 ms of silence, and at most 200 ms behind.
        assert!((1_700..=2_000).contains(&person.after_ms), "{codec:?}: {person:?}");
    }
}

#[test]
fn cb_17_a_machine_is_told_and_then_its_beep_in_every_encoding() {
    for codec in CODECS {
        let (mut rig, mut customer) = spliced(media(codec));
        start(&mut rig, wanted(&ALL));
        let greeting = prompt_samples("callback_confirm.wav");
        let beep = prompt_samples("beep.wav");
        let beep_end_ms = 200 + greeting.len() as u64 / 8 + 300 + beep.len() as u64 / 8;
        customer.say(&mut rig, &[silence(200), greeting, silence(300), beep, silence(800)].concat());
        let found = found(&mut rig);
        let [machine, beep] = found.as_slice() else { panic!("{codec:?}: {found:?}") };
        assert_eq!(machine.kind, DetectedKind::Machine, "{codec:?}");
        assert!(machine.after_ms < 3_000, "{machine:?}");
        assert_eq!(beep.kind, DetectedKind::Beep, "{codec:?}");
        assert!(beep.frequency_hz.expect("it has one").abs_diff(1_000) <= 10, "{beep:?}");
        assert!(
            (beep_end_ms..beep_end_ms + 400).contains(&beep.after_ms),
            "{beep:?}, ended at {beep_end_ms}"
        );
    }
}

#[test]
fn cb_17_fax_and_network_tones_are_told_with_their_cause() {
    let steady = |hz, ms| Tone::new(&[Segment::single(hz, -12.0, ms)], false);
    let intercept = tones::sit([(913.8, 274), (1_370.6, 274), (1_776.7, 380)]);
    let cases = [
        (steady(2_100.0, 3_000), 3_500, DetectedKind::Fax, Some(DetectedCause::FaxAnswer)),
        (tones::cng(), 5_000, DetectedKind::Fax, Some(DetectedCause::FaxCalling)),
        (intercept, 1_500, DetectedKind::Sit, Some(DetectedCause::Intercept)),
        (Country::De.tone(Progress::Busy), 5_000, DetectedKind::Busy, None),
        (Country::Us.tone(Progress::Congestion), 5_000, DetectedKind::Reorder, None),
        (Country::Uk.tone(Progress::Ringback), 9_000, DetectedKind::Ringback, None),
    ];
    for (tone, ms, kind, cause) in cases {
        let (mut rig, mut customer) = spliced(media(Codec::Pcma));
        start(&mut rig, wanted(&[DetectWhat::Tones]));
        customer.say(&mut rig, &[silence(300), tone_samples(&tone, ms), silence(500)].concat());
        let kinds = kinds(&mut rig);
        assert_eq!(kinds.first(), Some(&(kind, cause)), "{kinds:?}");
        assert!(kinds.iter().all(|found| *found == kinds[0]), "{kinds:?}");
    }
}

#[test]
fn cb_17_nobody_at_all_is_told_though_not_a_packet_comes() {
    let (mut rig, _) = spliced(media(Codec::Pcmu));
    start(&mut rig, wanted(&[DetectWhat::Amd]));
    rig.pass_ms(2_400);
    assert_eq!(kinds(&mut rig), []);
    rig.pass_ms(300);
    assert_eq!(kinds(&mut rig), [(DetectedKind::Machine, Some(DetectedCause::InitialSilence))]);
}

#[test]
fn cb_17_the_parameters_are_the_callers() {
    let (mut rig, mut customer) = spliced(media(Codec::Pcmu));
    let amd = AmdParameters { greeting_ms: 10_000, maximum_number_of_words: 50, ..AmdParameters::default() };
    start(&mut rig, DetectStart { amd, ..wanted(&[DetectWhat::Amd]) });
    customer.say(&mut rig, &[prompt_samples("wrong_pin.wav"), silence(1_200)].concat());
    assert_eq!(kinds(&mut rig), [(DetectedKind::Person, Some(DetectedCause::ShortGreeting))]);
}

#[test]
fn cb_17_the_cadences_are_the_callers() {
    let spain = ToneParameters {
        busy_min_ms: 150,
        busy_max_ms: 309,
        reorder_min_ms: 310,
        reorder_max_ms: 600,
        ..ToneParameters::default()
    };
    for (tones, kind) in [(ToneParameters::default(), DetectedKind::Reorder), (spain, DetectedKind::Busy)] {
        let (mut rig, mut customer) = spliced(media(Codec::Pcma));
        start(&mut rig, DetectStart { tones, ..wanted(&[DetectWhat::Tones]) });
        customer.say(&mut rig, &tone_samples(&Country::Es.tone(Progress::Busy), 3_000));
        assert_eq!(kinds(&mut rig), [(kind, None)]);
    }
}

#[test]
fn cb_17_lost_packets_change_no_verdict() {
    let (mut rig, mut customer) = spliced(media(Codec::Pcmu));
    customer.lose_one_in = 20;
    start(&mut rig, wanted(&ALL));
    let speech =
        [prompt_samples("callback_confirm.wav"), silence(300), prompt_samples("beep.wav"), silence(800)];
    customer.say(&mut rig, &speech.concat());
    let kinds: Vec<_> = kinds(&mut rig).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [DetectedKind::Machine, DetectedKind::Beep]);
}

#[test]
fn by_05_a_detection_changes_and_delays_no_packet() {
    let heard = |detected: bool, codec| {
        let (mut rig, mut customer) = spliced(media(codec));
        if detected {
            start(&mut rig, wanted(&ALL));
        }
        customer.say(&mut rig, &[prompt_samples("thank_you.wav"), silence(400)].concat());
        rig.take_heard(1)
    };
    for codec in [Codec::Pcmu, Codec::Opus] {
        let (with, without) = (heard(true, codec), heard(false, codec));
        assert!(with.len() > 80, "{codec:?}: {}", with.len());
        assert!(with == without, "{codec:?}");
    }
}

#[test]
fn by_05_a_detection_goes_on_where_the_leg_goes() {
    let (mut rig, mut customer) = spliced(media(Codec::Pcmu));
    start(&mut rig, wanted(&[DetectWhat::Amd]));
    rig.unsplice(1);
    customer.say(&mut rig, &prompt_samples("pin_intro.wav"));
    rig.tell(WorkerCommand::Detach { op: offhook_engine_core::OpId(99), leg: LegId(2), replace: false });
    let Some(Disarmed::Moved(WorkerReport::Detached { leg, .. })) = rig.disarmed.pop() else {
        panic!("it did not leave")
    };
    let mut other = Rig::numbered(1);
    other.now = rig.now;
    other.tell(WorkerCommand::Adopt { leg });
    customer.say(&mut other, &silence(1_200));
    assert_eq!(kinds(&mut other), [(DetectedKind::Person, Some(DetectedCause::ShortGreeting))]);
}

#[test]
fn a_change_of_encoding_is_followed() {
    let (mut rig, mut customer) = spliced(media(Codec::Pcmu));
    start(&mut rig, wanted(&[DetectWhat::Dtmf]));
    customer.say(&mut rig, &keys("12"));
    let change = LegUpdate { leg: "leg-2".into(), media: Some(media(Codec::G722)), ..LegUpdate::default() };
    rig.done(|op| WorkerCommand::Update { op, leg: LegId(2), change: Box::new(change) });
    let mut customer = Speaker::new(2, media(Codec::G722));
    customer.say(&mut rig, &[silence(200), keys("34"), silence(200)].concat());
    assert_eq!(pressed(&mut rig), "1234");
}

#[test]
fn keys_in_the_audio_are_told_once_each_in_every_encoding() {
    for codec in CODECS {
        let (mut rig, mut customer) = spliced(media(codec));
        start(&mut rig, wanted(&[DetectWhat::Dtmf]));
        customer.say(&mut rig, &[silence(200), keys("1234567890*#ABCD55"), silence(300)].concat());
        assert_eq!(pressed(&mut rig), "1234567890*#ABCD55", "{codec:?}");
    }
}

#[test]
fn a_key_that_comes_both_ways_is_told_once() {
    let (mut rig, mut customer) = spliced(media(Codec::Pcmu));
    start(&mut rig, wanted(&[DetectWhat::Dtmf]));
    customer.say(&mut rig, &silence(200));
    let tone = tone_samples(&tones::dtmf('5', 100, 100, -10.0).expect("a key"), 200);
    for _ in 0..3 {
        let began = customer.timestamp;
        customer.event(&mut rig, began, 5, false, 160);
        customer.say(&mut rig, &tone[..800]);
        customer.event(&mut rig, began, 5, true, 800);
        customer.say(&mut rig, &tone[800..]);
    }
    customer.say(&mut rig, &silence(400));
    assert_eq!(pressed(&mut rig), "555");
}

#[test]
fn a_key_whose_first_event_packets_were_lost_is_told_once() {
    let (mut rig, mut customer) = spliced(media(Codec::Pcmu));
    start(&mut rig, wanted(&[DetectWhat::Dtmf]));
    customer.say(&mut rig, &[silence(200), keys("7"), silence(60)].concat());
    let began = customer.timestamp;
    customer.event(&mut rig, began, 7, true, 800);
    customer.say(&mut rig, &silence(1_000));
    let began = customer.timestamp;
    customer.event(&mut rig, began, 7, true, 800);
    customer.say(&mut rig, &silence(300));
    assert_eq!(pressed(&mut rig), "77", "the second press is one of its own");
}

#[test]
fn only_what_is_asked_for_is_told_and_nothing_after_a_stop() {
    let (mut rig, mut customer) = spliced(media(Codec::Pcmu));
    start(&mut rig, wanted(&[DetectWhat::Tones]));
    let machine =
        [prompt_samples("callback_confirm.wav"), silence(300), prompt_samples("beep.wav"), silence(500)];
    customer.say(&mut rig, &[machine.concat(), keys("9"), silence(300)].concat());
    assert_eq!((kinds(&mut rig), pressed(&mut rig)), (Vec::new(), String::new()));
    start(&mut rig, wanted(&ALL));
    rig.done(|op| WorkerCommand::Detect { op, leg: LegId(2), start: None });
    customer.say(&mut rig, &[machine.concat(), keys("9"), silence(300)].concat());
    assert_eq!((kinds(&mut rig), pressed(&mut rig)), (Vec::new(), String::new()));
}

#[test]
fn after_a_standstill_of_both_a_detection_goes_on() {
    let (mut rig, mut customer) = spliced(media(Codec::Pcmu));
    start(&mut rig, wanted(&[DetectWhat::Dtmf]));
    customer.say(&mut rig, &silence(100));
    rig.now = rig.now.plus_ms(60_000);
    rig.worker.handle_timeout(rig.now);
    rig.drain();
    customer.say(&mut rig, &[silence(500), keys("42"), silence(300)].concat());
    assert_eq!(pressed(&mut rig), "42");
}
