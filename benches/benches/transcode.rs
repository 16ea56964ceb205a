//! What does a 20 ms packet cost through a whole transcoder, for each pair of codecs?

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use offhook_audio::codec::{Codec, OpusConfig};
use offhook_audio::packetise::Packetiser;
use offhook_audio::transcode::{TranscodeConfig, Transcoder};

fn transcode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transcode a packet");
    group.throughput(Throughput::Elements(1));
    let speech = speech();
    for from in CODECS {
        let packets = packets(from, &speech);
        for to in CODECS.into_iter().filter(|&to| to != from) {
            let mut transcoder =
                Transcoder::new(&TranscodeConfig::new(from, to, 20)).expect("a pair we support");
            let (mut at, mut out) = (0_u32, [0; Packetiser::MAX_PAYLOAD]);
            group.bench_function(format!("{} to {}", from.encoding_name(), to.encoding_name()), |bench| {
                bench.iter(|| {
                    let (now_us, packet) = (u64::from(at) * 20_000, &packets[at as usize % packets.len()]);
                    transcoder.on_audio(now_us, at as u16, at.wrapping_mul(from.ptime_ts(20)), packet);
                    at += 1;
                    transcoder.tick(now_us, &mut out).is_some()
                });
            });
        }
    }
    group.finish();
}

fn packets(codec: Codec, speech: &[i16]) -> Vec<Vec<u8>> {
    let mut sender = Packetiser::new(16_000, codec, 20, &OpusConfig::default()).expect("a codec we send");
    let (mut packets, mut payload) = (Vec::new(), [0; Packetiser::MAX_PAYLOAD]);
    for frame in speech.chunks(320) {
        sender.push(frame);
        while let Some(Ok(sent)) = sender.poll(&mut payload) {
            packets.push(payload[..sent.len].to_vec());
        }
    }
    packets
}

/// Speech at 16 kHz.
fn speech() -> Vec<i16> {
    let wav: &[u8] = include_bytes!("../../engine/audio/testdata/speech_16k.wav");
    let reader = hound::WavReader::new(wav).expect("test data is WAV");
    reader.into_samples().map(|sample| sample.expect("whole samples")).collect()
}

const CODECS: [Codec; 5] =
    [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16 { rate_hz: 8_000 }];

criterion_group!(benches, transcode);
criterion_main!(benches);
