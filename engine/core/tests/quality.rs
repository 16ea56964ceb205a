//! Speech through every pair of encodings: how loud, how late, how true, and how smooth it arrives. `--nocapture` prints it.

mod support;

use offhook_audio::codec::Decoder;
use offhook_audio::level::dbm0;
use offhook_audio::resample::Resampler;
use offhook_engine_core::LegSetup;
use offhook_proto::{Codec, Media};
use support::speaker::{Speaker, audio_codec, media, prompt_samples, silence};
use support::{Rig, Sent, setup};

const ALL: [Codec; 5] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16 { rate_hz: 8_000 }];

const PAUSE_MS: usize = 3_000;
/// Samples a millisecond, of everything that is measured here.
const PER_MS: usize = 8;

/// What a way through the engine does to speech.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// Difference in level, in dB.
    level_db: f32,
    /// From the arrival of a packet to the sending of the one that has its samples, in milliseconds.
    delay_ms: f32,
    /// Distance of the spectra in bands from 300 to 3,400 Hz, where there is speech, in dB (root of the mean square).
    distance_db: f32,
    /// Largest second difference, as a multiple of the speech's own.
    click: f32,
}

fn at(codec: Codec, ptime_ms: u8) -> Media {
    Media { ptime_ms, ..media(codec) }
}

/// A pause in which a jitter buffer finds its delay, and speech.
fn speech() -> Vec<i16> {
    let mut speech = silence(PAUSE_MS);
    speech.extend(prompt_samples("please_wait.wav"));
    speech.extend(silence(300));
    speech
}

/// Sends speech from one leg to another and measures what arrives. One packet in so many is lost; 0 none.
fn measure(from: &Media, to: &Media, lose_one_in: u32) -> Measured {
    let mut rig = Rig::new();
    rig.create(LegSetup { media: to.clone(), ..setup(1) });
    rig.create(LegSetup { media: from.clone(), ..setup(2) });
    rig.latch(1);
    rig.latch(2);
    rig.splice(1, 2);
    rig.take_heard(1);
    let (said, began) = (speech(), rig.now);
    let mut phone = Speaker::new(2, from.clone());
    phone.lose_one_in = lose_one_in;
    phone.say(&mut rig, &said);
    phone.say(&mut rig, &silence(300));
    let heard = line(&rig.take_heard(1), to.codec, began.as_ms());
    let late = shift(&said, &heard);
    let aligned = &heard[late..];
    let spoken = PAUSE_MS * PER_MS..said.len() - 300 * PER_MS;
    Measured {
        level_db: dbm0(&aligned[spoken.clone()]) - dbm0(&said[spoken.clone()]),
        delay_ms: late as f32 / PER_MS as f32 - (f32::from(from.ptime_ms) - 10.0),
        distance_db: distance_db(&said[spoken.clone()], &aligned[spoken]),
        click: roughness(&heard) / roughness(&said),
    }
}

/// What a phone hears without a jitter buffer: samples begin when the first packet comes, and go by timestamps.
fn line(sent: &[Sent], codec: Codec, began_ms: u64) -> Vec<i16> {
    let mut decoder = Decoder::new(audio_codec(codec), 8_000).expect("it decodes");
    let mut narrow = Resampler::new(decoder.rate_hz(), 8_000).expect("it resamples");
    let (mut line, mut first): (Vec<i16>, Option<(usize, u32)>) = (Vec::new(), None);
    let ts_per_sample = if codec == Codec::Opus { 6 } else { 1 };
    for packet in sent.iter().filter(|packet| packet.header().payload_type == media(codec).payload_type) {
        let (mut decoded, mut made) = ([0; 5_760], [0; 5_760]);
        let count = decoder.decode(&packet.bytes[12..], &mut decoded).expect("it decodes");
        let count = narrow.process(&decoded[..count], &mut made);
        let timestamp = packet.header().timestamp;
        let came = (packet.at.as_ms() - began_ms) as usize * PER_MS;
        let (from, since) = *first.get_or_insert((came, timestamp));
        line.resize(from + (timestamp.wrapping_sub(since) / ts_per_sample) as usize, 0);
        line.extend_from_slice(&made[..count]);
    }
    line
}

/// By how many samples `heard` is late: where the two are most alike.
fn shift(said: &[i16], heard: &[i16]) -> usize {
    let alike = |late: usize| {
        let pairs = said.iter().zip(&heard[late..]).step_by(5);
        pairs.map(|(a, b)| i64::from(*a) * i64::from(*b)).sum::<i64>()
    };
    let most = heard.len().saturating_sub(said.len()).min(200 * PER_MS);
    (0..most).max_by_key(|late| alike(*late)).expect("it is longer than what was said")
}

/// Levels of twenty bands of 156 Hz, in dB, of 32 ms. `circle` is one turn of a cosine.
fn bands(samples: &[i16], circle: &[f32; 256]) -> [f32; 20] {
    let mut bands = [0.0_f32; 20];
    for bin in 10..110 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let windowed = f32::from(*sample) * (0.5 - 0.5 * circle[n]);
            re += windowed * circle[bin * n % 256];
            im += windowed * circle[(bin * n + 64) % 256];
        }
        bands[(bin - 10) / 5] += re * re + im * im;
    }
    // What is 50 dB below speech is heard by nobody.
    bands.map(|power| 10.0 * (power + 1e7).log10())
}

fn distance_db(said: &[i16], heard: &[i16]) -> f32 {
    let circle = std::array::from_fn(|n| (std::f32::consts::TAU * n as f32 / 256.0).cos());
    let (mut sum, mut count) = (0.0, 0);
    for (one, other) in said.chunks_exact(256).zip(heard.chunks_exact(256)) {
        if dbm0(one) > -35.0 {
            let pairs = bands(one, &circle).into_iter().zip(bands(other, &circle));
            sum += pairs.map(|(one, other)| (one - other).powi(2)).sum::<f32>();
            count += 20;
        }
    }
    (sum / count as f32).sqrt()
}

/// The largest second difference: high where samples jump.
fn roughness(samples: &[i16]) -> f32 {
    let second = |w: &[i16]| (i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2])).unsigned_abs();
    samples.windows(3).map(second).max().expect("samples") as f32
}

/// Of an encoding's own filters, and of the phone's resampler in front of it.
const CODEC_MS: f32 = 11.0;
/// Least delay of the jitter buffer.
const BUFFER_MS: f32 = 20.0;

#[test]
fn speech_arrives_as_loud_as_true_and_in_time_in_every_pair_of_encodings() {
    println!("| from | to | level, dB | delay, ms | distance, dB | with 2 % of loss |");
    for from in ALL {
        for to in ALL {
            let [whole, lossy] = [0, 50].map(|lose_one_in| measure(&at(from, 20), &at(to, 20), lose_one_in));
            println!(
                "| {from:?} | {to:?} | {:+.2} | {:.1} | {:.2} | {:+.2} dB, {:.2} dB |",
                whole.level_db, whole.delay_ms, whole.distance_db, lossy.level_db, lossy.distance_db
            );
            let case = format!("{from:?} to {to:?}: {whole:?}, with loss {lossy:?}");
            assert!(whole.level_db.abs() < 0.5 && lossy.level_db.abs() < 0.5, "{case}");
            assert!(whole.delay_ms <= 20.0 + BUFFER_MS + 5.0, "{case}");
            assert!(whole.distance_db < 1.0 && lossy.distance_db < 2.5, "{case}");
            assert!(whole.click < 1.2 && lossy.click < 1.2, "{case}");
        }
    }
}

#[test]
fn packet_times_of_10_to_60_ms_change_into_each_other_in_time_and_nothing_else_changes() {
    for (from_ms, to_ms) in [(10, 60), (60, 10), (30, 40), (50, 20)] {
        for (from, to) in ALL.into_iter().flat_map(|from| ALL.map(|to| (from, to))).filter(|(a, b)| a != b) {
            // The two laws are rewritten where they lie, and Opus has no packets of 30 or 50 ms.
            let in_place = [from, to].iter().all(|codec| matches!(codec, Codec::Pcmu | Codec::Pcma));
            if in_place || from == Codec::Opus && from_ms % 20 != 0 {
                continue;
            }
            let heard = measure(&at(from, from_ms), &at(to, to_ms), 0);
            let case = format!("{from:?} {from_ms} ms to {to:?} {to_ms} ms: {heard:?}");
            println!("{case}");
            assert!(heard.level_db.abs() < 0.5 && heard.distance_db < 1.0 && heard.click < 1.2, "{case}");
            let buffer_ms = BUFFER_MS.max(f32::from(from_ms));
            assert!(heard.delay_ms <= f32::from(to_ms) + buffer_ms + 5.0 + CODEC_MS, "{case}");
        }
    }
}

#[test]
fn going_from_one_voice_to_another_clicks_in_no_encoding() {
    for to in ALL {
        let mut rig = Rig::new();
        for (leg, codec) in [(1, to), (2, Codec::Pcmu), (3, Codec::G722)] {
            rig.create(LegSetup { media: media(codec), ..setup(leg) });
            rig.latch(leg);
        }
        let speech = prompt_samples("please_wait.wav");
        let (mut one, mut other) = (Speaker::new(2, media(Codec::Pcmu)), Speaker::new(3, media(Codec::G722)));
        let began = rig.now.as_ms();
        rig.take_heard(1);
        for (nth, part) in speech.chunks(300 * PER_MS).enumerate() {
            let (leg, voice) = if nth % 2 == 0 { (2, &mut one) } else { (3, &mut other) };
            rig.splice(1, leg);
            voice.say(&mut rig, part);
        }
        let heard = line(&rig.take_heard(1), to, began);
        let click = roughness(&heard) / roughness(&speech);
        assert!(click < 1.5, "{to:?}: {click} times as rough as the speech");
        assert!((dbm0(&heard) - dbm0(&speech)).abs() < 1.5, "{to:?}: {} dBm0", dbm0(&heard));
    }
}
