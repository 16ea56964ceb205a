//! Speech through the engine core, from every encoding to every other, as WAV files for a judge: `make quality` runs it.
//!
//! `cargo run -p offhook-engine-core --example speech -- DIRECTORY...`: each directory has what one voice says, as
//! `said.8000.wav`, `said.16000.wav` and `said.48000.wav` (16 bits, mono). What is heard of it is put beside these, as
//! `FROM.TO.WAY.wav`, from the moment on at which the voice begins to speak into a packet. The ways:
//!
//! - `engine`: two phones and the engine between them; `engine-loss3` and `engine-jitter60` with a line that loses 3 % of
//!   what the first phone sends, or delays it by up to 60 ms;
//! - `codecs`: the same two encodings, one after the other, with no engine; `gaps-loss3` where losses are silence.

mod line;
mod phone;
#[path = "../../tests/support/mod.rs"]
mod support;
mod way;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use line::Line;
use phone::{HEARERS, Loss, Phone, SPEAKERS, Sound};

fn main() -> ExitCode {
    let voices: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if voices.is_empty() {
        eprintln!("speech: say in which directories voices are");
        return ExitCode::FAILURE;
    }
    for (nth, voice) in voices.iter().enumerate() {
        if let Err(error) = send_everywhere(voice, nth as u64 + 1) {
            eprintln!("speech: {}: {error}", voice.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// One voice from every encoding to every other.
fn send_everywhere(voice: &Path, seed: u64) -> hound::Result<()> {
    for from in &SPEAKERS {
        let said =
            phone::say(from.codec, &read(&voice.join(format!("said.{}.wav", from.rate_hz)), from.rate_hz)?);
        for to in &HEARERS {
            let write = |way: &str, sound: &Sound| {
                write(&voice.join(format!("{}.{}.{way}.wav", from.name, to.name)), sound)
            };
            let engine = |line: Line| way::engine(from, to, &line.carry(&said, seed));
            write("codecs", &way::codecs(from, to, &said, Loss::Concealed))?;
            write("engine", &engine(Line::default()))?;
            for lose_percent in LOSSES_PERCENT {
                let line = Line { lose_percent, jitter_ms: 0 };
                write(&format!("engine-loss{lose_percent}"), &engine(line))?;
                if is_plain(from, to) {
                    let gaps = way::codecs(from, to, &line.carry(&said, seed), Loss::Silent);
                    write(&format!("gaps-loss{lose_percent}"), &gaps)?;
                }
            }
            for jitter_ms in JITTERS_MS.into_iter().filter(|_| is_plain(from, to)) {
                write(&format!("engine-jitter{jitter_ms}"), &engine(Line { lose_percent: 0, jitter_ms }))?;
            }
        }
    }
    Ok(())
}

const LOSSES_PERCENT: [usize; 3] = [1, 3, 5];
const JITTERS_MS: [usize; 2] = [20, 60];

/// Whether the way is converted, into an encoding that takes nothing more away: what is heard is the speaker's side alone.
fn is_plain(from: &Phone, to: &Phone) -> bool {
    to.name == if from.name == "l16" { "pcmu" } else { "l16" }
}

fn read(path: &Path, rate_hz: u32) -> hound::Result<Sound> {
    let mut wav = WavReader::open(path)?;
    if wav.spec() != spec(rate_hz) {
        return Err(hound::Error::FormatError("not mono, 16 bits, at the rate that its name says"));
    }
    Ok(Sound { rate_hz, samples: wav.samples().collect::<hound::Result<_>>()? })
}

fn write(path: &Path, sound: &Sound) -> hound::Result<()> {
    let mut wav = WavWriter::create(path, spec(sound.rate_hz))?;
    for sample in &sound.samples {
        wav.write_sample(*sample)?;
    }
    wav.finalize()
}

fn spec(sample_rate: u32) -> WavSpec {
    WavSpec { channels: 1, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int }
}
