//! Speech through every pair of encodings: how loud, how late and how true it arrives. `--nocapture` prints it.

mod support;

use offhook_audio::level::dbm0;
use offhook_engine_core::LegSetup;
use offhook_proto::{Codec, Media};
use support::line::{PER_MS, line};
use support::speaker::{Speaker, media, prompt_samples, silence};
use support::{Rig, setup};

const ALL: [Codec; 5] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16 { rate_hz: 8_000 }];

const PAUSE_MS: usize = 3_000;

/// What a way through the engine does to speech.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// Difference in level, in dB.
    level_db: f32,
    /// From the arrival of a packet to the sending of the one that has its samples, in milliseconds.
    delay_ms: f32,
    /// Distance of the spectra in bands from 300 to 3,400 Hz, where there is speech, in dB (root of the mean square).
    distance_db: f32,
}

/// From one phone to another.
struct Way<'a> {
    from: &'a Media,
    to: &'a Media,
    /// One packet in so many is lost; 0 none.
    lose_one_in: u32,
    /// When the first phone begins to speak, and legs that were there before.
    offset_ms: u64,
    legs_before: u64,
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

impl<'a> Way<'a> {
    fn new(from: &'a Media, to: &'a Media) -> Self {
        Self { from, to, lose_one_in: 0, offset_ms: 0, legs_before: 0 }
    }

    /// What is heard of what is said, from the moment on at which that begins.
    fn carry(&self, said: &[i16]) -> Vec<i16> {
        let mut rig = Rig::new();
        for leg in 0..self.legs_before {
            rig.create(setup(100 + leg));
        }
        rig.create(LegSetup { media: self.to.clone(), ..setup(1) });
        rig.create(LegSetup { media: self.from.clone(), ..setup(2) });
        rig.latch(1);
        rig.latch(2);
        rig.splice(1, 2);
        rig.take_heard(1);
        rig.pass_ms(self.offset_ms);
        let began = rig.now;
        let mut phone = Speaker::new(2, self.from.clone());
        phone.lose_one_in = self.lose_one_in;
        phone.say(&mut rig, said);
        phone.say(&mut rig, &silence(300));
        line(&rig.take_heard(1), self.to.codec, began)
    }

    /// From the arrival of a packet to the sending of its samples, which come so much after they were said.
    fn delay_ms(&self, late: usize) -> f32 {
        late as f32 / PER_MS as f32 - (f32::from(self.from.ptime_ms) - 10.0)
    }

    fn measure(&self) -> Measured {
        let said = speech();
        let heard = self.carry(&said);
        let late = shift(&said, &heard);
        let aligned = &heard[late..];
        let spoken = PAUSE_MS * PER_MS..said.len() - 300 * PER_MS;
        Measured {
            level_db: dbm0(&aligned[spoken.clone()]) - dbm0(&said[spoken.clone()]),
            delay_ms: self.delay_ms(late),
            distance_db: distance_db(&said[spoken.clone()], &aligned[spoken]),
        }
    }
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

/// Most of two encodings' own filters, phones' resamplers to and from 8 kHz included.
const CODECS_MS: f32 = 11.0;
/// Least delay of the jitter buffer.
const BUFFER_MS: f32 = 20.0;

#[test]
fn speech_arrives_as_loud_as_true_and_in_time_in_every_pair_of_encodings() {
    println!("| from | to | level, dB | delay, ms | distance, dB | with 2 % of loss |");
    for from in ALL {
        for to in ALL {
            let (one, other) = (at(from, 20), at(to, 20));
            let [whole, lossy] =
                [0, 50].map(|lose_one_in| Way { lose_one_in, ..Way::new(&one, &other) }.measure());
            println!(
                "| {from:?} | {to:?} | {:+.2} | {:.1} | {:.2} | {:+.2} dB, {:.2} dB |",
                whole.level_db, whole.delay_ms, whole.distance_db, lossy.level_db, lossy.distance_db
            );
            let case = format!("{from:?} to {to:?}: {whole:?}, with loss {lossy:?}");
            assert!(whole.level_db.abs() < 0.5 && lossy.level_db.abs() < 0.5, "{case}");
            assert!(whole.delay_ms <= 20.0 + BUFFER_MS + 5.0, "{case}");
            assert!(whole.distance_db < 1.0 && lossy.distance_db < 2.5, "{case}");
        }
    }
}

#[test]
fn packet_times_of_10_to_60_ms_change_into_each_other_in_time_and_nothing_else_changes() {
    for (from_ms, to_ms) in [(10, 60), (60, 10), (30, 40), (50, 20)] {
        for (from, to) in ALL.into_iter().flat_map(|from| ALL.map(|to| (from, to))).filter(|(a, b)| a != b) {
            // Opus has no packets of 30 or 50 ms.
            if from == Codec::Opus && from_ms % 20 != 0 {
                continue;
            }
            let heard = Way::new(&at(from, from_ms), &at(to, to_ms)).measure();
            let case = format!("{from:?} {from_ms} ms to {to:?} {to_ms} ms: {heard:?}");
            println!("{case}");
            assert!(heard.level_db.abs() < 0.5 && heard.distance_db < 1.0, "{case}");
            let buffer_ms = BUFFER_MS.max(f32::from(from_ms));
            assert!(heard.delay_ms <= f32::from(to_ms) + buffer_ms + 5.0 + CODECS_MS, "{case}");
        }
    }
}

#[test]
fn the_delay_is_as_short_whenever_a_phone_begins_and_whatever_leg_hears_it() {
    // Speech after a second in which the jitter buffer finds its delay.
    let mut said = silence(1_000);
    said.extend(prompt_samples("1.wav"));
    let pairs = [
        (Codec::Pcmu, Codec::L16 { rate_hz: 8_000 }),
        (Codec::Pcma, Codec::Opus),
        (Codec::G722, Codec::Pcmu),
        (Codec::G722, Codec::Opus),
        (Codec::Opus, Codec::G722),
    ];
    for (from, to) in pairs.map(|(from, to)| (at(from, 20), at(to, 20))) {
        let (mut least, mut most) = (f32::MAX, f32::MIN);
        for (offset_ms, legs_before) in (0..20).flat_map(|ms| [0, 3].map(|legs| (ms, legs))) {
            let way = Way { offset_ms, legs_before, ..Way::new(&from, &to) };
            let delay_ms = way.delay_ms(shift(&said, &way.carry(&said)));
            (least, most) = (least.min(delay_ms), most.max(delay_ms));
        }
        println!("{} to {}: {least} to {most} ms", from.codec, to.codec);
        assert!(most <= 20.0 + BUFFER_MS + 5.0, "{} to {}: {most} ms", from.codec, to.codec);
    }
}

#[test]
fn the_delay_stays_within_a_packet_time_more_with_a_phone_whose_clock_is_not_ours() {
    let mut said = silence(1_000);
    said.extend(prompt_samples("1.wav"));
    let (from, to) = (at(Codec::Pcmu, 20), at(Codec::L16 { rate_hz: 8_000 }, 20));
    for (fast, seconds) in
        [false, true].into_iter().flat_map(|fast| (20..44).step_by(3).map(move |s| (fast, s)))
    {
        let mut rig = Rig::new();
        rig.create(LegSetup { media: to.clone(), ..setup(1) });
        rig.create(LegSetup { media: from.clone(), ..setup(2) });
        rig.latch(2);
        rig.splice(1, 2);
        let mut phone = Speaker::new(2, from.clone());
        // A thousandth off, so that a packet time is gone through in twenty seconds.
        let step_us = if fast { 9_990 } else { 10_010 };
        for _ in 0..seconds * 100 {
            phone.send(&mut rig, &silence(10));
            rig.now = rig.now + step_us;
            rig.pass_ms(0);
        }
        rig.take_heard(1);
        let began = rig.now;
        phone.say(&mut rig, &said);
        phone.say(&mut rig, &silence(300));
        let heard = line(&rig.take_heard(1), to.codec, began);
        let delay_ms = Way::new(&from, &to).delay_ms(shift(&said, &heard));
        println!("{fast} {seconds} s: {delay_ms} ms");
        assert!(delay_ms <= 20.0 + BUFFER_MS + 5.0, "{seconds} s, fast: {fast}: {delay_ms} ms");
    }
}
