//! Phones: samples to packets, and packets to what an ear gets. They know nothing of the engine.

use offhook_audio::codec::{Decoder, OpusConfig};
use offhook_audio::packetise::Packetiser;
use offhook_proto::Codec;

use crate::support::speaker::audio_codec;

/// A phone, by its encoding.
pub(crate) struct Phone {
    pub(crate) name: &'static str,
    pub(crate) codec: Codec,
    /// Of its microphone or its earpiece.
    pub(crate) rate_hz: u32,
}

/// Phones that speak: Opus at three of its rates.
pub(crate) const SPEAKERS: [Phone; 7] = [
    Phone { name: "pcmu", codec: Codec::Pcmu, rate_hz: 8_000 },
    Phone { name: "pcma", codec: Codec::Pcma, rate_hz: 8_000 },
    Phone { name: "l16", codec: Codec::L16 { rate_hz: 8_000 }, rate_hz: 8_000 },
    Phone { name: "g722", codec: Codec::G722, rate_hz: 16_000 },
    Phone { name: "opus8", codec: Codec::Opus, rate_hz: 8_000 },
    Phone { name: "opus16", codec: Codec::Opus, rate_hz: 16_000 },
    Phone { name: "opus48", codec: Codec::Opus, rate_hz: 48_000 },
];

/// Phones that hear: the judge takes no more than 16 kHz.
pub(crate) const HEARERS: [Phone; 5] = [
    Phone { name: "pcmu", codec: Codec::Pcmu, rate_hz: 8_000 },
    Phone { name: "pcma", codec: Codec::Pcma, rate_hz: 8_000 },
    Phone { name: "l16", codec: Codec::L16 { rate_hz: 8_000 }, rate_hz: 8_000 },
    Phone { name: "g722", codec: Codec::G722, rate_hz: 16_000 },
    Phone { name: "opus", codec: Codec::Opus, rate_hz: 16_000 },
];

/// Samples at a rate.
pub(crate) struct Sound {
    pub(crate) rate_hz: u32,
    pub(crate) samples: Vec<i16>,
}

/// One RTP packet of audio, and when it is there.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) at_ms: u64,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) payload: Vec<u8>,
}

/// What an ear gets in place of a packet that is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    Concealed,
    Silent,
}

/// What a phone sends, in packets of 20 ms. Each is there when its first sample is spoken, so that no delay has the packet time of
/// the phone in it.
pub(crate) fn say(codec: Codec, sound: &Sound) -> Vec<Packet> {
    let mut packetiser = Packetiser::new(sound.rate_hz, audio_codec(codec), PTIME_MS, &OpusConfig::default())
        .expect("it encodes");
    let (mut packets, mut timestamp) = (Vec::new(), 0);
    let mut buffer = [0; Packetiser::MAX_PAYLOAD];
    for part in sound.samples.chunks(sound.rate_hz as usize / 100) {
        packetiser.push(part);
        while let Some(made) = packetiser.poll(&mut buffer) {
            let made = made.expect("it encodes");
            let nth = packets.len() as u32;
            packets.push(Packet {
                at_ms: u64::from(nth * PTIME_MS),
                sequence: nth as u16,
                timestamp,
                payload: buffer[..made.len].to_vec(),
            });
            timestamp += made.duration_ts;
        }
    }
    packets
}

/// What an ear gets without a jitter buffer: samples begin when the first packet comes, and go by timestamps.
pub(crate) fn hear(codec: Codec, wanted_hz: u32, packets: &[Packet], loss: Loss) -> Sound {
    let codec = audio_codec(codec);
    let mut decoder = Decoder::new(codec, wanted_hz).expect("it decodes");
    let rate_hz = decoder.rate_hz();
    let in_samples =
        |ts: u32| (u64::from(ts) * u64::from(rate_hz) / u64::from(codec.clock_rate_hz())) as usize;
    let (mut samples, mut decoded) = (Vec::<i16>::new(), [0; 5_760]);
    let mut before: Option<&Packet> = None;
    for packet in packets {
        let first = &packets[0];
        let began = (first.at_ms * u64::from(rate_hz) / 1_000) as usize;
        let end = samples.len();
        samples.resize(end.max(began + in_samples(packet.timestamp.wrapping_sub(first.timestamp))), 0);
        let is_next = before.is_none_or(|before| packet.sequence == before.sequence.wrapping_add(1));
        if !is_next && loss == Loss::Concealed {
            conceal(&mut decoder, &mut samples[end..], &packet.payload);
        }
        let count = decoder.decode(&packet.payload, &mut decoded).expect("it decodes");
        samples.extend_from_slice(&decoded[..count]);
        before = Some(packet);
    }
    Sound { rate_hz, samples }
}

fn conceal(decoder: &mut Decoder, gap: &mut [i16], next: &[u8]) {
    let frame = decoder.rate_hz() as usize * PTIME_MS as usize / 1_000;
    let mut frames = gap.chunks_mut(frame).peekable();
    while let Some(lost) = frames.next() {
        if frames.peek().is_some() {
            decoder.conceal(lost);
        } else {
            decoder.recover(next, lost);
        }
    }
}

const PTIME_MS: u32 = 20;
