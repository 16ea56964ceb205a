//! What does it cost to listen to 20 ms for keys and call progress, to take keys out, to make a tone, and for a supervised call?

#[path = "../../engine/audio/examples/cost/supervised.rs"]
mod supervised;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use offhook_audio::codec::Codec;
use offhook_audio::cpd::CallProgressDetector;
use offhook_audio::dtmf::{DtmfDetector, KeyFilter};
use offhook_audio::tones::{Country, Progress, ToneSource};
use supervised::SupervisedCall;

fn frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("20 ms at 8 kHz");
    group.throughput(Throughput::Elements(1));
    let speech = samples(include_bytes!("../../engine/audio/testdata/hello_8k.wav"));
    let mut frames = speech.chunks_exact(160).cycle();
    let mut next = || frames.next().expect("speech goes round");
    let mut dtmf = DtmfDetector::default();
    group.bench_function("DTMF detection", |bench| {
        bench.iter(|| dtmf.push(next(), |event| _ = black_box(event)));
    });
    let mut filter = KeyFilter::new(8_000).expect("a rate that every codec has");
    let mut through = [0; 160];
    group.bench_function("keys taken out", |bench| {
        bench.iter(|| {
            through.copy_from_slice(next());
            filter.process(black_box(&mut through), |event| _ = black_box(event));
        });
    });
    let mut tone = ToneSource::new(&Country::Us.tone(Progress::Dial), 8_000);
    group.bench_function("tone of two frequencies", |bench| {
        bench.iter(|| tone.render(black_box(&mut through)));
    });
    let mut cpd = CallProgressDetector::default();
    group.bench_function("call progress detection", |bench| {
        bench.iter(|| cpd.push(next(), |event| _ = black_box(event)));
    });
    group.finish();
    let mut group = criterion.benchmark_group("20 ms of a supervised call");
    group.throughput(Throughput::Elements(1));
    let wide = samples(include_bytes!("../../engine/audio/testdata/speech_16k.wav"));
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        let mut call = SupervisedCall::new(codec, &wide);
        group.bench_function(format!("all {}", codec.encoding_name()), |bench| {
            bench.iter(|| black_box(call.tick()));
        });
    }
    group.finish();
}

fn samples(wav: &[u8]) -> Vec<i16> {
    let reader = hound::WavReader::new(wav).expect("test data is WAV");
    reader.into_samples().map(|sample| sample.expect("whole samples")).collect()
}

criterion_group!(benches, frame);
criterion_main!(benches);
