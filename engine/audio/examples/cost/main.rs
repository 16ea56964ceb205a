//! Prints the CPU time that each piece of work costs per 20 ms frame of one stream, and how many streams, or
//! supervised calls, a core could carry.
//!
//! `cargo run --release -p offhook-audio --example cost`

mod supervised;

use offhook_audio::codec::{Codec, OpusConfig};
use offhook_audio::cpd::CallProgressDetector;
use offhook_audio::dtmf::{DtmfDetector, KeyFilter};
use offhook_audio::g711;
use offhook_audio::packetise::Packetiser;
use offhook_audio::plc::Concealer;
use offhook_audio::resample::Resampler;
use offhook_audio::tones::{Country, Progress, ToneSource};
use offhook_audio::transcode::{TranscodeConfig, Transcoder};
use std::hint::black_box;
use supervised::SupervisedCall;

const CODECS: [Codec; 5] =
    [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16 { rate_hz: 16_000 }];

fn main() {
    let speech = speech_16k();
    println!("{:<40} {:>10} {:>14}", "work on a 20 ms frame", "µs", "as many a core");
    parts(&speech);
    for from in CODECS {
        for to in CODECS {
            if from != to {
                report(&format!("transcode {} to {}", name(from), name(to)), transcode(from, to, &speech));
            }
        }
    }
}

fn parts(speech: &[i16]) {
    let narrow: Vec<i16> = speech.iter().copied().step_by(2).collect();
    let mut payload = [0u8; 160];
    g711::encode_ulaw(&narrow[8000..8160], &mut payload);
    report(
        "µ-law to A-law in place",
        time(|_| {
            g711::ulaw_to_alaw_in_place(black_box(&mut payload));
        }),
    );
    let mut out = [0; 160];
    let mut tone = ToneSource::new(&Country::Us.tone(Progress::Dial), 8000);
    report("two-frequency tone", time(|_| _ = tone.render(black_box(&mut out))));
    let frames: Vec<&[i16]> = narrow.chunks_exact(160).collect();
    let mut dtmf = DtmfDetector::default();
    report("DTMF detection", time(|i| dtmf.push(frames[i % frames.len()], |e| _ = black_box(e))));
    let mut filter = KeyFilter::new(8000).expect("a rate");
    report(
        "keys taken out",
        time(|i| {
            out.copy_from_slice(frames[i % frames.len()]);
            filter.process(black_box(&mut out), |e| _ = black_box(e));
        }),
    );
    let mut cpd = CallProgressDetector::default();
    report("call progress detection", time(|i| cpd.push(frames[i % frames.len()], |e| _ = black_box(e))));
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        let mut call = SupervisedCall::new(codec, speech);
        report(&format!("supervised call, all {}", name(codec)), time(|_| _ = black_box(call.tick())));
    }
    let mut concealer = Concealer::new(8000);
    report(
        "concealment of a loss, 8 kHz",
        time(|i| {
            concealer.good(&mut frames[i % frames.len()].to_vec());
            concealer.conceal(black_box(&mut out));
        }),
    );
    for (from, to) in [(8000, 16_000), (16_000, 8000), (8000, 48_000), (48_000, 8000)] {
        let mut resampler = Resampler::new(from, to).expect("a ratio");
        let input = &speech[..from as usize / 50];
        let mut out = vec![0; resampler.max_output(input.len())];
        report(
            &format!("resample {from} to {to}"),
            time(|_| _ = resampler.process(black_box(input), &mut out)),
        );
    }
}

/// Seconds per frame of a whole transcoder: jitter buffer, decoder, resampler, encoder.
fn transcode(from: Codec, to: Codec, speech: &[i16]) -> f64 {
    let mut sender = Packetiser::new(16_000, from, 20, &OpusConfig::default()).expect("a sender");
    let mut packets = Vec::new();
    let mut buffer = [0; Packetiser::MAX_PAYLOAD];
    for frame in speech.chunks(320) {
        sender.push(frame);
        while let Some(Ok(sent)) = sender.poll(&mut buffer) {
            packets.push(buffer[..sent.len].to_vec());
        }
    }
    let mut transcoder = Transcoder::new(&TranscodeConfig::new(from, to, 20)).expect("a transcoder");
    time(|i| {
        let (now_us, ts) = (i as u64 * 20_000, (i as u32).wrapping_mul(from.ptime_ts(20)));
        transcoder.on_audio(now_us, i as u16, ts, &packets[i % packets.len()]);
        let _ = black_box(transcoder.tick(now_us, &mut buffer));
    })
}

/// Seconds of CPU that this thread has used, which other programs on the machine hardly disturb.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with schedstat");
    let ns = text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).expect("nanoseconds first");
    ns as f64 / 1e9
}

/// Seconds of CPU per call, over at least a fifth of a second: the kernel counts in steps of milliseconds.
fn time(mut work: impl FnMut(usize)) -> f64 {
    let start = cpu_seconds();
    let mut calls = 0;
    loop {
        for _ in 0..1000 {
            work(calls);
            calls += 1;
        }
        let used = cpu_seconds() - start;
        if used >= 0.2 {
            return used / calls as f64;
        }
    }
}

fn report(what: &str, seconds: f64) {
    println!("{what:<40} {:>10.2} {:>14.0}", seconds * 1e6, 0.020 / seconds);
}

fn name(codec: Codec) -> String {
    match codec {
        Codec::L16 { rate_hz } => format!("L16/{rate_hz}"),
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus => codec.encoding_name().to_owned(),
    }
}

fn speech_16k() -> Vec<i16> {
    let wav: &[u8] = include_bytes!("../../testdata/speech_16k.wav");
    let reader = hound::WavReader::new(wav).expect("test data is WAV");
    reader.into_samples().map(|s| s.expect("whole samples")).collect()
}
