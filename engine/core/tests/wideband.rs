//! What is wide stays wide, and linear samples of any rate fit their datagrams.

mod support;

use std::sync::Arc;

use offhook_audio::codec::{Decoder, OpusConfig};
use offhook_audio::level::power_to_dbm0;
use offhook_audio::packetise::Packetiser;
use offhook_audio::resample::Resampler;
use offhook_engine_core::{EncodedPrompt, LegId, LegSetup, Segment, WorkerCommand};
use offhook_proto::SuperviseMode::{Barge, Listen, Whisper};
use offhook_proto::{Codec, Idle, LegUpdate, Media};
use support::speaker::{audio_codec, media};
use support::{Rig, assert_one_stream, rtp, setup};

const WIDE: [Codec; 7] = [
    Codec::G722,
    Codec::Opus,
    Codec::L16 { rate_hz: 16_000 },
    Codec::L16 { rate_hz: 24_000 },
    Codec::L16 { rate_hz: 32_000 },
    Codec::L16 { rate_hz: 44_100 },
    Codec::L16 { rate_hz: 48_000 },
];
/// Those that are mixed, and who has which.
const MIXED: [Codec; 3] = [Codec::G722, Codec::Opus, Codec::L16 { rate_hz: 16_000 }];
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
const AGENT: u64 = 1;
const CUSTOMER: u64 = 2;
const SUPERVISOR: u64 = 3;
const TONE_HZ: f64 = 5_000.0;
const RATE_HZ: u32 = 16_000;

/// Two seconds of a tone that no telephone carries, packet by packet of 20 ms as `from` sends it.
fn spoken(from: Codec) -> Vec<Vec<u8>> {
    let turn = std::f64::consts::TAU * TONE_HZ / f64::from(RATE_HZ);
    let tone: Vec<i16> = (0..2 * RATE_HZ).map(|n| (8_000.0 * (turn * f64::from(n)).sin()) as i16).collect();
    let mut phone =
        Packetiser::new(RATE_HZ, audio_codec(from), 20, &OpusConfig::default()).expect("it encodes");
    let (mut payload, mut packets) = ([0; 1_400], Vec::new());
    for part in tone.chunks(160) {
        phone.push(part);
        while let Some(made) = phone.poll(&mut payload) {
            packets.push(payload[..made.expect("it encodes").len].to_vec());
        }
    }
    packets
}

/// Level of the tone in the second half of what a phone hears, in dBm0.
fn heard_dbm0(payloads: &[Vec<u8>], codec: Codec) -> f32 {
    let mut decoder = Decoder::new(audio_codec(codec), RATE_HZ).expect("it decodes");
    let mut resampler = Resampler::new(decoder.rate_hz(), RATE_HZ).expect("it resamples");
    let mut all = Vec::new();
    for payload in payloads {
        let (mut decoded, mut made) = ([0; 5_760], [0; 5_760]);
        let count = decoder.decode(payload, &mut decoded).expect("it decodes");
        let count = resampler.process(&decoded[..count], &mut made);
        all.extend_from_slice(&made[..count]);
    }
    let last = &all[all.len() - 8_000..];
    let turn = std::f64::consts::TAU * TONE_HZ / f64::from(RATE_HZ);
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, sample) in last.iter().enumerate() {
        let angle = turn * n as f64;
        real += f64::from(*sample) * angle.cos();
        imaginary += f64::from(*sample) * angle.sin();
    }
    let amplitude = 2.0 * real.hypot(imaginary) / last.len() as f64;
    power_to_dbm0((amplitude * amplitude / 2.0) as f32)
}

/// Lets a leg's phone say two seconds of packets.
fn say(rig: &mut Rig, leg: u64, from: Codec, said: &[Vec<u8>]) {
    let step_us = 2_000_000 / said.len() as u64;
    let step_ts = (u64::from(audio_codec(from).clock_rate_hz()) * step_us / 1_000_000) as u32;
    for (number, payload) in said.iter().enumerate() {
        let packet = rtp(media(from).payload_type, number as u16, number as u32 * step_ts, 7, payload);
        let _ = rig.receive(leg, &packet);
        rig.pass_ms(step_us / 1_000);
    }
}

/// Level of the tone in what a leg's phone was sent, which is one stream.
fn hears_dbm0(rig: &mut Rig, leg: u64, codec: Codec) -> f32 {
    let heard = rig.take_heard(leg);
    assert_one_stream(&heard);
    let payloads: Vec<_> = heard.iter().map(|sent| sent.bytes[12..].to_vec()).collect();
    heard_dbm0(&payloads, codec)
}

#[test]
fn a_tone_above_the_telephone_band_passes_between_all_that_are_wide() {
    for from in WIDE {
        let said = spoken(from);
        let said_dbm0 = heard_dbm0(&said, from);
        for to in WIDE {
            let mut rig = Rig::new();
            for (leg, codec) in [(1, to), (2, from)] {
                rig.create(LegSetup { media: media(codec), ..setup(leg) });
                rig.latch(leg);
            }
            rig.splice(1, 2);
            say(&mut rig, 2, from, &said);
            let off = hears_dbm0(&mut rig, 1, to) - said_dbm0;
            assert!(off.abs() < 1.0, "{from} to {to}: {off} dB");
        }
    }
}

#[test]
fn a_supervisor_hears_both_and_both_hear_a_supervisor_as_wide_as_their_encodings_are() {
    for [agent, customer, supervisor] in ORDERS.map(|order| order.map(|at| MIXED[at])) {
        let codecs = [(AGENT, agent), (CUSTOMER, customer), (SUPERVISOR, supervisor)];
        for (mode, (voice, from)) in
            [Listen, Whisper, Barge].into_iter().flat_map(|mode| codecs.map(|leg| (mode, leg)))
        {
            let mut rig = Rig::new();
            for (leg, codec) in codecs {
                rig.create(LegSetup { media: media(codec), ..setup(leg) });
                rig.latch(leg);
            }
            rig.splice(AGENT, CUSTOMER);
            let (leg, of) = (LegId(SUPERVISOR), LegId(AGENT));
            rig.done(|op| WorkerCommand::Supervise { op, leg, of, with: None, mode });
            let said = spoken(from);
            say(&mut rig, voice, from, &said);
            for (ear, to) in codecs.into_iter().filter(|(ear, _)| *ear != voice) {
                if voice == SUPERVISOR && (mode == Listen || mode == Whisper && ear == CUSTOMER) {
                    continue;
                }
                let off = hears_dbm0(&mut rig, ear, to) - heard_dbm0(&said, from);
                assert!(off.abs() < 1.0, "{mode:?}, {voice} in {from} to {ear} in {to}: {off} dB");
            }
        }
    }
}

#[test]
fn a_listener_hears_a_copy_as_wide_as_its_encoding_is() {
    for (from, to) in MIXED.into_iter().flat_map(|from| MIXED.map(|to| (from, to))) {
        let mut rig = Rig::new();
        for (leg, codec) in [(1, to), (2, from)] {
            rig.create(LegSetup { media: media(codec), ..setup(leg) });
            rig.latch(leg);
        }
        rig.done(|op| WorkerCommand::Listen { op, leg: LegId(1), of: LegId(2) });
        let said = spoken(from);
        say(&mut rig, 2, from, &said);
        let off = hears_dbm0(&mut rig, 1, to) - heard_dbm0(&said, from);
        assert!(off.abs() < 1.0, "{from} to {to}: {off} dB");
    }
}

#[test]
fn linear_samples_go_in_network_order() {
    for rate_hz in Codec::L16_RATES_HZ {
        let prompt = EncodedPrompt::encode(Codec::L16 { rate_hz }, &[0x0102, -2]).expect("it is encoded");
        assert_eq!(prompt.payload(), [1, 2, 0xFF, 0xFE], "{rate_hz}");
    }
}

#[test]
fn silence_and_prompts_of_linear_samples_fit_a_datagram_at_every_rate() {
    for rate_hz in Codec::L16_RATES_HZ {
        for ptime_ms in [10, 20, 30, 60] {
            let media = Media { ptime_ms, ..media(Codec::L16 { rate_hz }) };
            let mut rig = Rig::new();
            rig.create(LegSetup { media, idle: Idle::Silence, ..setup(1) });
            rig.latch(1);
            rig.pass_ms(600);
            let silence = rig.take_heard(1);
            let case = format!("{rate_hz} Hz, {ptime_ms} ms");
            let len = silence[0].bytes.len() - 12;
            assert!(len <= 1_400, "{case}: {len}");
            let heard_ms = silence.len() * (len / 2) * 1_000 / rate_hz as usize;
            assert!((540..=660).contains(&heard_ms), "{case}: {heard_ms} ms");
            for pair in silence.windows(2) {
                let step = pair[1].header().timestamp.wrapping_sub(pair[0].header().timestamp);
                assert_eq!(step as usize, len / 2, "{case}");
            }
            let samples = vec![0x0505; rate_hz as usize / 2];
            let prompt = EncodedPrompt::encode(Codec::L16 { rate_hz }, &samples).expect("it is encoded");
            rig.play(1, "p", vec![Segment::Audio(prompt.into())], 1);
            rig.pass_ms(900);
            let sent = [silence, rig.take_heard(1)].concat();
            assert_one_stream(&sent);
            assert!(sent.iter().all(|sent| sent.bytes.len() == 12 + len), "{case}");
            let loud: usize =
                sent.iter().map(|sent| sent.bytes[12..].iter().filter(|byte| **byte == 5).count()).sum();
            assert_eq!(loud, samples.len() * 2, "{case}: the prompt is heard whole");
        }
    }
}

#[test]
fn prompts_and_silence_come_to_an_opus_leg_in_its_packet_time() {
    for (ptime_ms, packet_ms) in [(10, 10), (20, 20), (30, 20), (40, 40), (50, 40), (60, 60)] {
        let hearer = Media { ptime_ms, ..media(Codec::Opus) };
        let mut rig = Rig::new();
        rig.create(LegSetup { media: hearer.clone(), ..setup(1) });
        rig.latch(1);
        rig.take_heard(1);
        let samples = vec![1_000; EncodedPrompt::rate_hz(Codec::Opus) as usize * 6 / 5];
        let prompt = EncodedPrompt::encode(&hearer, &samples).expect("it is encoded");
        let segments = vec![Segment::SilenceMs(1_200), Segment::Audio(Arc::new(prompt))];
        rig.play(1, "p", segments, 1);
        rig.pass_ms(1_800);
        // What is being played keeps the packets that it was made of.
        let media = Some(Media { ptime_ms: if ptime_ms == 20 { 60 } else { 20 }, ..hearer });
        let change = Box::new(LegUpdate { leg: "leg-1".into(), media, ..LegUpdate::default() });
        rig.done(|op| WorkerCommand::Update { op, leg: LegId(1), change });
        rig.pass_ms(1_000);
        let heard = rig.take_heard(1);
        assert_one_stream(&heard);
        assert_eq!(heard.len(), 2_400 / packet_ms, "{ptime_ms} ms");
        for sent in &heard {
            assert_eq!(audio_codec(Codec::Opus).payload_ts(&sent.bytes[12..]) as usize, packet_ms * 48);
        }
        for pair in heard.windows(2) {
            let step = pair[1].header().timestamp.wrapping_sub(pair[0].header().timestamp);
            assert_eq!(step as usize, packet_ms * 48);
            let apart_us = pair[1].at.since(pair[0].at);
            assert!(apart_us.abs_diff(packet_ms as u64 * 1_000) < 2_000, "{ptime_ms} ms: {apart_us} us");
        }
    }
}
