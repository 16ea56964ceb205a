//! A phone that says any samples in any encoding, and what it may say.

use std::path::Path;

use offhook_audio::codec::{self, Decoder, OpusConfig};
use offhook_audio::level::FULL_SCALE_SINE_DBM0;
use offhook_audio::packetise::Packetiser;
use offhook_audio::tones::{self, Tone, ToneSource};
use offhook_proto::{Codec, Media};

use super::{Rig, Sent, rtp};

/// Every encoding, linear samples at an even and at an odd rate.
pub const CODECS: [Codec; 6] = [
    Codec::Pcmu,
    Codec::Pcma,
    Codec::G722,
    Codec::Opus,
    Codec::L16 { rate_hz: 16_000 },
    Codec::L16 { rate_hz: 44_100 },
];

pub fn media(codec: Codec) -> Media {
    let payload_type = match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus => 111,
        Codec::L16 { .. } => 97,
    };
    Media { codec, payload_type, ..Media::default() }
}

pub fn audio_codec(codec: Codec) -> codec::Codec {
    match codec {
        Codec::Pcmu => codec::Codec::Pcmu,
        Codec::Pcma => codec::Codec::Pcma,
        Codec::G722 => codec::Codec::G722,
        Codec::Opus => codec::Codec::Opus,
        Codec::L16 { rate_hz } => codec::Codec::L16 { rate_hz },
    }
}

/// One of the prompts that the engine ships, 8 kHz.
pub fn prompt_samples(name: &str) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prompts").join(name);
    let mut wav = hound::WavReader::open(path).expect("the prompt is there");
    assert_eq!(wav.spec().sample_rate, 8_000);
    wav.samples().collect::<Result<_, _>>().expect("it is whole")
}

/// What packets of audio sound like, at a rate if their decoder has it.
pub fn decoded(heard: &[Sent], codec: Codec, wanted_hz: u32) -> Vec<i16> {
    let mut decoder = Decoder::new(audio_codec(codec), wanted_hz).expect("it decodes");
    let mut all = Vec::new();
    for sent in heard {
        let mut samples = [0; 5_760];
        let count = decoder.decode(&sent.bytes[12..], &mut samples).expect("it decodes");
        all.extend_from_slice(&samples[..count]);
    }
    all
}

pub fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * 8]
}

/// Some milliseconds of a tone, with silence where it ends.
pub fn tone_samples(tone: &Tone, ms: usize) -> Vec<i16> {
    let mut samples = silence(ms);
    ToneSource::new(tone, 8_000).render(&mut samples);
    samples
}

/// Keys of 100 ms with pauses as long.
pub fn keys(digits: &str) -> Vec<i16> {
    digits
        .chars()
        .flat_map(|key| tone_samples(&tones::dtmf(key, 100, 100, -10.0).expect("a key"), 200))
        .collect()
}

/// A phone that says samples; with Opus and `dtx`, it sends no silence.
pub struct Speaker {
    pub leg: u64,
    pub media: Media,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    /// One packet in so many is lost; 0 none.
    pub lose_one_in: u32,
    packetiser: Packetiser,
    packets: u32,
}

impl Speaker {
    pub fn new(leg: u64, media: Media) -> Self {
        let ptime_ms = u32::from(media.ptime_ms);
        let opus = OpusConfig { dtx: media.opus.dtx, ..OpusConfig::default() };
        let packetiser =
            Packetiser::new(8_000, audio_codec(media.codec), ptime_ms, &opus).expect("it encodes");
        let (sequence, timestamp) = (65_530, u32::MAX - 500);
        Self { leg, media, ssrc: 77, sequence, timestamp, lose_one_in: 0, packetiser, packets: 0 }
    }

    pub fn say(&mut self, rig: &mut Rig, samples: &[i16]) {
        for part in samples.chunks(80) {
            self.send(rig, part);
            rig.pass_ms(10);
        }
    }

    /// Says samples of 8 kHz in no time.
    pub fn send(&mut self, rig: &mut Rig, samples: &[i16]) {
        self.packetiser.push(samples);
        let mut payload = [0; 1_400];
        while let Some(made) = self.packetiser.poll(&mut payload) {
            let made = made.expect("it encodes");
            if made.len == 0 {
                self.timestamp = self.timestamp.wrapping_add(made.duration_ts);
                continue;
            }
            let packet =
                rtp(self.media.payload_type, self.sequence, self.timestamp, self.ssrc, &payload[..made.len]);
            self.packets += 1;
            let lost = self.lose_one_in > 0 && self.packets.is_multiple_of(self.lose_one_in);
            if !lost {
                let _ = rig.receive(self.leg, &packet);
            }
            self.sequence = self.sequence.wrapping_add(1);
            self.timestamp = self.timestamp.wrapping_add(made.duration_ts);
        }
    }

    /// One telephone-event packet of a key that began at a timestamp.
    pub fn event(&mut self, rig: &mut Rig, began: u32, event: u8, end: bool, duration_ts: u16) {
        let [high, low] = duration_ts.to_be_bytes();
        let payload = [event, u8::from(end) << 7 | 10, high, low];
        let _ = rig.receive(self.leg, &rtp(101, self.sequence, began, self.ssrc, &payload));
        self.sequence = self.sequence.wrapping_add(1);
    }
}

/// A phone that hums a tone.
pub struct Hum {
    pub phone: Speaker,
    frequency_hz: f64,
    peak: f64,
    sample: u32,
}

impl Hum {
    pub fn new(leg: u64, media: Media, frequency_hz: f64, level_dbm0: f64) -> Self {
        let peak = 32_767.0 * 10_f64.powf((level_dbm0 - f64::from(FULL_SCALE_SINE_DBM0)) / 20.0);
        Self { phone: Speaker::new(leg, media), frequency_hz, peak, sample: 0 }
    }

    /// Ten milliseconds of it, in no time.
    pub fn hum_10_ms(&mut self, rig: &mut Rig) {
        let turn = std::f64::consts::TAU * self.frequency_hz / 8_000.0;
        let samples: Vec<i16> = (self.sample..self.sample + 80)
            .map(|n| (self.peak * (turn * f64::from(n)).sin()) as i16)
            .collect();
        self.sample += 80;
        self.phone.send(rig, &samples);
    }

    /// Goes on in silence.
    pub fn hush(&mut self) {
        self.peak = 0.0;
    }

    pub fn hum(&mut self, rig: &mut Rig, ms: u32) {
        for _ in 0..ms / 10 {
            self.hum_10_ms(rig);
            rig.pass_ms(10);
        }
    }
}
