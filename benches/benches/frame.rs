//! What does it cost to listen to 20 ms for keys and call progress, to take keys out, to make a tone, and to mix three?

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use offhook_audio::cpd::CallProgressDetector;
use offhook_audio::dtmf::{DtmfDetector, KeyFilter};
use offhook_audio::mix::Mixer;
use offhook_audio::tones::{Country, Progress, ToneSource};

fn frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("20 ms at 8 kHz");
    group.throughput(Throughput::Elements(1));
    let speech = speech();
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
    let (mut mixer, mut heard) = (Mixer::new(160), [0; 160]);
    group.bench_function("mix three, each hears the others", |bench| {
        bench.iter(|| {
            let three = [next(), next(), next()];
            mixer.clear();
            three.iter().for_each(|frame| mixer.add(frame));
            three.iter().for_each(|frame| mixer.all_but(frame, black_box(&mut heard)));
        });
    });
    group.finish();
}

/// Speech, taken at 8 kHz.
fn speech() -> Vec<i16> {
    let wav: &[u8] = include_bytes!("../../engine/audio/testdata/hello_8k.wav");
    let reader = hound::WavReader::new(wav).expect("test data is WAV");
    reader.into_samples().map(|sample| sample.expect("whole samples")).collect()
}

criterion_group!(benches, frame);
criterion_main!(benches);
