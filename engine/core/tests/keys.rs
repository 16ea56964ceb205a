//! Keys reach whoever hears a leg in the form that they can take, or not at all: by content, in both forms.

mod support;

use offhook_audio::codec::Decoder;
use offhook_audio::dtmf::{DtmfDetector, DtmfEvent};
use offhook_audio::level::dbm0;
use offhook_audio::telephone_event::{EventReceiver, KeyEvent};
use offhook_engine_core::{LegId, LegSetup, RecordChange, RecordId, Segment, Side, WorkerCommand};
use offhook_proto::{Codec, DtmfMode, EventBody, LegUpdate, Media, SuperviseMode};
use support::speaker::{CODECS, Speaker, audio_codec, keys, media, prompt_samples, silence};
use support::{Rig, assert_one_stream, setup};

/// Presses keys.
const PRESSER: u64 = 1;
/// Hears them.
const HEARER: u64 = 2;
const SUPERVISOR: u64 = 3;

/// What a phone was sent, in both forms.
struct Heard {
    /// Keys in the audio, with their milliseconds.
    tones: Vec<(char, u32)>,
    /// Keys of telephone-events.
    events: Vec<(char, u32)>,
    samples: Vec<i16>,
}

/// Opus, with events at the clock of the telephone network: many phones offer no others.
fn slow_events() -> Media {
    Media { telephone_event_rate_hz: Some(8_000), ..media(Codec::Opus) }
}

fn event_rate_hz(media: &Media) -> u32 {
    media.telephone_event_rate_hz.unwrap_or(audio_codec(media.codec).clock_rate_hz())
}

fn without_events(codec: Codec) -> Media {
    Media { telephone_event: None, ..media(codec) }
}

/// Two legs that hear each other; keys pressed on the first are treated so.
fn call(presser: Media, hearer: Media, dtmf: DtmfMode) -> Rig {
    let mut rig = Rig::new();
    rig.create(LegSetup { media: presser, dtmf, ..setup(PRESSER) });
    rig.create(LegSetup { media: hearer, ..setup(HEARER) });
    for leg in [PRESSER, HEARER] {
        rig.latch(leg);
    }
    rig.splice(PRESSER, HEARER);
    rig
}

fn set(rig: &mut Rig, dtmf: DtmfMode) {
    let change = Box::new(LegUpdate { dtmf: Some(dtmf), ..LegUpdate::default() });
    rig.command(|op| WorkerCommand::Update { op, leg: LegId(PRESSER), change }).expect("it can be changed");
}

fn heard(rig: &mut Rig, leg: u64, media: &Media) -> Heard {
    let sent = rig.take_heard(leg);
    assert_one_stream(&sent);
    let mut decoder = Decoder::new(audio_codec(media.codec), 8_000).expect("it decodes");
    let mut narrow = offhook_audio::resample::Resampler::new(decoder.rate_hz(), 8_000).expect("it resamples");
    let mut receiver = EventReceiver::new(event_rate_hz(media));
    let (mut events, mut samples) = (Vec::new(), Vec::new());
    let mut hear = |event| {
        if let KeyEvent::Released { key, duration_ms } = event {
            events.push((key, duration_ms));
        }
    };
    for packet in &sent {
        let (header, payload) = (packet.header(), &packet.bytes[12..]);
        if Some(header.payload_type) == media.telephone_event {
            receiver.on_packet(packet.at.as_ms(), header.timestamp, header.marker, payload, &mut hear);
        } else if header.payload_type == media.payload_type {
            let (mut decoded, mut made) = ([0; 5_760], [0; 5_760]);
            let count = decoder.decode(payload, &mut decoded).expect("it decodes");
            let count = narrow.process(&decoded[..count], &mut made);
            samples.extend_from_slice(&made[..count]);
        }
    }
    receiver.on_time(u64::MAX, &mut hear);
    Heard { tones: tones_in(&samples), events, samples }
}

/// Keys in audio, with their milliseconds.
fn tones_in(samples: &[i16]) -> Vec<(char, u32)> {
    let (mut detector, mut tones) = (DtmfDetector::default(), Vec::new());
    detector.push(&[samples, &silence(200)].concat(), |event| {
        if let DtmfEvent::Released { key, duration_ms } = event {
            tones.push((key, duration_ms));
        }
    });
    tones
}

fn names(keys: &[(char, u32)]) -> String {
    keys.iter().map(|key| key.0).collect()
}

/// Presses a key for 100 ms by telephone-events and goes on in silence for as long. `ends` packets of its end arrive.
fn press(rig: &mut Rig, phone: &mut Speaker, event: u8, ends: u32) {
    let (began, clock_rate_hz) = (phone.timestamp, audio_codec(phone.media.codec).clock_rate_hz());
    let event_rate_hz = event_rate_hz(&phone.media);
    let ts_of = |ms: u32| (event_rate_hz * ms / 1_000) as u16;
    for ms in (20..=80).step_by(20) {
        phone.event(rig, began, event, false, ts_of(ms));
        rig.pass_ms(20);
    }
    for end in 0..3 {
        if end < ends {
            phone.event(rig, began, event, true, ts_of(100));
        } else {
            phone.sequence = phone.sequence.wrapping_add(1);
        }
    }
    rig.pass_ms(20);
    phone.timestamp = phone.timestamp.wrapping_add(clock_rate_hz / 10);
    phone.say(rig, &silence(100));
}

/// A phone that has pressed some keys, with silence before and after.
fn presses(rig: &mut Rig, codec: Codec, events: &[u8], ends: u32) -> Speaker {
    let mut phone = Speaker::new(PRESSER, media(codec));
    phone.say(rig, &silence(400));
    for event in events {
        press(rig, &mut phone, *event, ends);
    }
    phone.say(rig, &silence(800));
    phone
}

/// Lets a third leg supervise the hearer.
fn supervise(rig: &mut Rig, mode: SuperviseMode) {
    rig.create(setup(SUPERVISOR));
    rig.latch(SUPERVISOR);
    let (leg, of, with) = (LegId(SUPERVISOR), LegId(HEARER), None);
    rig.done(|op| WorkerCommand::Supervise { op, leg, of, with, mode });
}

#[test]
fn a_telephone_event_is_one_tone_for_a_leg_without_events_in_every_pair_of_encodings() {
    for from in CODECS {
        for to in CODECS {
            let mut rig = call(media(from), without_events(to), DtmfMode::Convert);
            presses(&mut rig, from, &[1, 5, 11], 3);
            let heard = heard(&mut rig, HEARER, &without_events(to));
            assert_eq!(names(&heard.tones), "15#", "{from:?} to {to:?}");
            assert!(
                heard.tones.iter().all(|key| (60..=140).contains(&key.1)),
                "{from:?} to {to:?}: {:?}",
                heard.tones
            );
        }
    }
}

#[test]
fn a_key_whose_end_packets_are_lost_is_still_one_tone() {
    for ends in [0, 1] {
        let mut rig = call(media(Codec::Pcma), without_events(Codec::Pcmu), DtmfMode::Convert);
        presses(&mut rig, Codec::Pcma, &[7, 7, 3], ends);
        let heard = heard(&mut rig, HEARER, &without_events(Codec::Pcmu));
        assert_eq!(names(&heard.tones), "773", "{ends} end packets");
    }
}

#[test]
fn after_a_key_the_packets_of_the_partner_go_on_as_they_are() {
    let mut rig = call(media(Codec::Pcmu), without_events(Codec::Pcmu), DtmfMode::Convert);
    let mut phone = presses(&mut rig, Codec::Pcmu, &[9], 3);
    assert_eq!(names(&heard(&mut rig, HEARER, &without_events(Codec::Pcmu)).tones), "9");
    let speech = prompt_samples("thank_you.wav");
    phone.say(&mut rig, &speech);
    let heard = heard(&mut rig, HEARER, &without_events(Codec::Pcmu));
    let mut coded = vec![0; speech.len()];
    offhook_audio::g711::encode_ulaw(&speech, &mut coded);
    let wanted: Vec<i16> = coded.iter().map(|byte| offhook_audio::g711::ulaw_to_linear(*byte)).collect();
    let whole = heard.samples.len();
    assert_eq!(heard.samples, wanted[..whole], "bit by bit, without delay");
    assert!(wanted.len() - whole < 160);
}

#[test]
fn a_tone_is_one_telephone_event_and_no_tone_any_more_in_every_pair_of_encodings() {
    for from in CODECS {
        for to in CODECS {
            let mut rig = call(without_events(from), media(to), DtmfMode::Convert);
            let mut phone = Speaker::new(PRESSER, without_events(from));
            phone.say(&mut rig, &silence(300));
            phone.say(&mut rig, &keys("1590#D"));
            phone.say(&mut rig, &silence(500));
            let heard = heard(&mut rig, HEARER, &media(to));
            assert_eq!(names(&heard.events), "1590#D", "{from:?} to {to:?}");
            assert!(
                heard.events.iter().all(|key| (80..=140).contains(&key.1)),
                "{from:?} to {to:?}: {:?}",
                heard.events
            );
            assert_eq!(heard.tones, [], "{from:?} to {to:?}");
            assert!(dbm0(&heard.samples) < -50.0, "{from:?} to {to:?}: {} dBm0", dbm0(&heard.samples));
        }
    }
}

#[test]
fn a_key_is_as_long_as_it_was_pressed_at_whatever_clock_its_events_count() {
    let (opus, pcmu) = (media(Codec::Opus), media(Codec::Pcmu));
    let slow = slow_events();
    for (from, to) in [(&slow, &pcmu), (&pcmu, &slow), (&slow, &opus), (&opus, &slow), (&slow, &slow)] {
        let mut rig = call(from.clone(), to.clone(), DtmfMode::Pass);
        let mut phone = Speaker::new(PRESSER, from.clone());
        phone.say(&mut rig, &silence(400));
        press(&mut rig, &mut phone, 5, 3);
        phone.say(&mut rig, &silence(400));
        let told = EventBody::Dtmf { leg: "leg-1".into(), digit: '5', duration_ms: 100 };
        assert!(rig.events.contains(&told), "{from:?} to {to:?}: {:?}", rig.events);
        assert_eq!(heard(&mut rig, HEARER, to).events, [('5', 100)], "{from:?} to {to:?}");
        rig.play(HEARER, "keys", vec![Segment::Keys("7".into())], 1);
        rig.pass_ms(400);
        assert_eq!(heard(&mut rig, HEARER, to).events, [('7', 100)], "{to:?}");
    }
    let mut rig = call(without_events(Codec::Pcmu), slow.clone(), DtmfMode::Convert);
    let mut phone = Speaker::new(PRESSER, without_events(Codec::Pcmu));
    phone.say(&mut rig, &[silence(300), keys("4"), silence(400)].concat());
    let events = heard(&mut rig, HEARER, &slow).events;
    assert!(matches!(events[..], [('4', 80..=140)]), "{events:?}");
}

#[test]
fn blocked_keys_are_heard_in_neither_form_and_speech_is_in_every_pair_of_encodings() {
    let speech = prompt_samples("thank_you.wav");
    for from in CODECS {
        for to in CODECS {
            for hearer in [media(to), without_events(to)] {
                let mut rig = call(media(from), hearer.clone(), DtmfMode::Block);
                let mut phone = Speaker::new(PRESSER, media(from));
                phone.say(&mut rig, &silence(300));
                phone.say(&mut rig, &keys("4111"));
                press(&mut rig, &mut phone, 2, 3);
                phone.say(&mut rig, &silence(500));
                let secret = heard(&mut rig, HEARER, &hearer);
                assert_eq!((secret.tones.len(), secret.events.len()), (0, 0), "{from:?} to {to:?}");
                assert!(dbm0(&secret.samples) < -50.0, "{from:?} to {to:?}: {} dBm0", dbm0(&secret.samples));
                let told = EventBody::Dtmf { leg: "leg-1".into(), digit: '2', duration_ms: 100 };
                assert!(rig.events.contains(&told), "the controller still hears of it: {:?}", rig.events);
                phone.say(&mut rig, &speech);
                phone.say(&mut rig, &silence(200));
                let spoken = heard(&mut rig, HEARER, &hearer);
                let energy = |samples: &[i16]| samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
                let off = 10.0 * (energy(&spoken.samples) / energy(&speech)).log10();
                assert!(off.abs() < 0.7, "{from:?} to {to:?}: {off} dB");
            }
        }
    }
}

#[test]
fn only_the_leg_that_is_blocked_is() {
    let mut rig = call(media(Codec::Pcmu), media(Codec::Pcmu), DtmfMode::Block);
    let mut phone = Speaker::new(HEARER, media(Codec::Pcmu));
    press(&mut rig, &mut phone, 6, 3);
    phone.say(&mut rig, &keys("8"));
    let heard = heard(&mut rig, PRESSER, &media(Codec::Pcmu));
    assert_eq!((names(&heard.events), names(&heard.tones)), ("6".into(), "8".into()));
}

#[test]
fn what_becomes_of_keys_may_change_in_a_call_and_the_stream_stays_one() {
    let mut rig = call(media(Codec::Pcmu), media(Codec::Pcmu), DtmfMode::Pass);
    let mut phone = Speaker::new(PRESSER, media(Codec::Pcmu));
    let mut all = Vec::new();
    for dtmf in [DtmfMode::Pass, DtmfMode::Block, DtmfMode::Convert, DtmfMode::Block, DtmfMode::Pass] {
        set(&mut rig, dtmf);
        phone.say(&mut rig, &silence(100));
        phone.say(&mut rig, &keys("3"));
        press(&mut rig, &mut phone, 6, 3);
        phone.say(&mut rig, &silence(300));
        let sent = rig.take_heard(HEARER);
        all.extend(sent.clone());
        rig.sent.extend(sent);
        let heard = heard(&mut rig, HEARER, &media(Codec::Pcmu));
        let wanted = if dtmf == DtmfMode::Block { ("", "") } else { ("3", "6") };
        assert_eq!((names(&heard.tones).as_str(), names(&heard.events).as_str()), wanted, "{dtmf:?}");
    }
    assert_one_stream(&all);
}

#[test]
fn a_supervisor_hears_no_blocked_key_either_and_neither_does_the_mix() {
    for mode in [SuperviseMode::Listen, SuperviseMode::Whisper, SuperviseMode::Barge] {
        let mut rig = call(media(Codec::Pcmu), media(Codec::Pcma), DtmfMode::Block);
        supervise(&mut rig, mode);
        let mut phone = Speaker::new(PRESSER, media(Codec::Pcmu));
        phone.say(&mut rig, &silence(400));
        phone.say(&mut rig, &keys("4929"));
        press(&mut rig, &mut phone, 2, 3);
        phone.say(&mut rig, &silence(300));
        for (leg, media) in [(SUPERVISOR, media(Codec::Pcmu)), (HEARER, media(Codec::Pcma))] {
            let heard = heard(&mut rig, leg, &media);
            assert!(heard.samples.len() > 8_000, "{mode:?}, leg {leg} is sent something");
            assert_eq!(
                (names(&heard.tones), names(&heard.events)),
                (String::new(), String::new()),
                "{mode:?} {leg}"
            );
            assert!(dbm0(&heard.samples) < -50.0, "{mode:?}, leg {leg}: {} dBm0", dbm0(&heard.samples));
        }
    }
}

#[test]
fn a_key_is_heard_as_a_tone_beside_a_supervisor_too() {
    for mode in [SuperviseMode::Listen, SuperviseMode::Barge] {
        let mut rig = call(media(Codec::Pcmu), without_events(Codec::Pcma), DtmfMode::Convert);
        supervise(&mut rig, mode);
        presses(&mut rig, Codec::Pcmu, &[3, 3, 8], 3);
        let heard = heard(&mut rig, HEARER, &without_events(Codec::Pcma));
        assert_eq!(names(&heard.tones), "338", "{mode:?}");
    }
}

#[test]
fn a_flood_of_keys_leaves_a_leg_with_no_more_than_its_limit() {
    let mut rig = call(media(Codec::Pcmu), without_events(Codec::Pcmu), DtmfMode::Convert);
    let mut phone = Speaker::new(PRESSER, media(Codec::Pcmu));
    for nth in 0..5_000_u32 {
        phone.event(&mut rig, nth * 160, (nth % 16) as u8, true, 160);
    }
    rig.pass_ms(20_000);
    let heard = heard(&mut rig, HEARER, &without_events(Codec::Pcmu));
    let most = offhook_engine_core::limits::KEYS_WAITING;
    assert!((2..=most + 1).contains(&heard.tones.len()), "{}", heard.tones.len());
}

#[test]
fn a_recording_holds_no_blocked_key_and_what_was_heard_instead() {
    let rig = call(media(Codec::Pcmu), media(Codec::Pcma), DtmfMode::Block);
    assert_recorded_without_keys(rig);
    let mut rig = call(media(Codec::Pcmu), media(Codec::Pcma), DtmfMode::Block);
    rig.unsplice(PRESSER);
    for leg in [HEARER, SUPERVISOR] {
        if leg == SUPERVISOR {
            rig.create(setup(leg));
        }
        rig.done(|op| WorkerCommand::Listen { op, leg: LegId(leg), of: LegId(PRESSER) });
    }
    assert_recorded_without_keys(rig);
}

fn assert_recorded_without_keys(mut rig: Rig) {
    let change = RecordChange::Start(RecordId(7));
    rig.done(|op| WorkerCommand::Record { op, leg: LegId(PRESSER), change });
    let mut phone = Speaker::new(PRESSER, media(Codec::Pcmu));
    phone.say(&mut rig, &[keys("4111"), prompt_samples("thank_you.wav"), silence(200)].concat());
    let (mut samples, mut last) = (Vec::new(), None);
    for (tap, packet) in &rig.tapped {
        assert_eq!((tap.into, tap.codec), ([Some((RecordId(7), Side::Near)), None], Codec::Pcma));
        let step = last.replace(tap.timestamp).map(|last| tap.timestamp.wrapping_sub(last));
        assert!(step.is_none_or(|step| step == 160), "{step:?}");
        samples.extend(
            packet[tap.payload.clone()].iter().map(|byte| offhook_audio::g711::alaw_to_linear(*byte)),
        );
    }
    assert_eq!(tones_in(&samples), []);
    assert!(dbm0(&samples[..6_000]) < -50.0, "the keys are silence");
    assert!(dbm0(&samples[7_000..]) > -40.0, "and speech is there");
}
