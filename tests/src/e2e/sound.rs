//! Sounds that can be recognised by content: PCM in a WAV file, µ-law on the wire.

use std::fs;
use std::path::Path;

/// A sound, as the µ-law bytes that a leg hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound(pub Vec<u8>);

impl Sound {
    /// A sound like no other name's, of as many frames of 20 ms.
    pub fn new(name: &str, frames: usize) -> Self {
        // FNV-1a seeds a linear congruential generator; all that matters is that names differ.
        let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut bytes = Vec::with_capacity(frames * FRAME);
        while bytes.len() < frames * FRAME {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let byte = (state >> 56) as u8;
            // Both 0x7f and 0xff are zero; an encoder makes but one of them.
            if byte & 0x7f != 0x7f {
                bytes.push(byte);
            }
        }
        Self(bytes)
    }

    /// One of the prompts that the engine ships: speech, or the beep.
    ///
    /// # Panics
    /// When there is none of this name.
    pub fn shipped(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/prompts");
        let mut wav = hound::WavReader::open(folder.join(name)).expect("the prompt is there");
        let samples = wav.samples::<i16>().map(|sample| ulaw(sample.expect("it is whole")));
        Self(samples.collect())
    }

    /// As many milliseconds of silence.
    pub fn silence(ms: usize) -> Self {
        Self(vec![0xFF; ms * FRAME / 20])
    }

    /// Writes it as a WAV file: 8 kHz, mono, 16 bits.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) {
        let data: Vec<u8> = self.0.iter().flat_map(|byte| linear(*byte).to_le_bytes()).collect();
        let size = u32::try_from(data.len()).expect("a short sound");
        let mut wav = Vec::from(*b"RIFF");
        wav.extend((size + 36).to_le_bytes());
        wav.extend(*b"WAVEfmt ");
        wav.extend(16_u32.to_le_bytes());
        wav.extend([1, 0, 1, 0]);
        wav.extend(8_000_u32.to_le_bytes());
        wav.extend(16_000_u32.to_le_bytes());
        wav.extend([2, 0, 16, 0]);
        wav.extend(*b"data");
        wav.extend(size.to_le_bytes());
        wav.extend(data);
        fs::write(path, wav).expect("a prompt can be written");
    }

    /// Where it begins in what was heard, each time, bit by bit the same.
    pub fn found_in(&self, heard: &[u8]) -> Vec<usize> {
        let starts = heard.windows(self.0.len()).enumerate();
        starts.filter(|(_, window)| *window == self.0).map(|(at, _)| at).collect()
    }
}

/// Digits that were spoken, in order.
pub fn spoken_digits(heard: &[u8]) -> Vec<char> {
    let mut found: Vec<(usize, char)> = Vec::new();
    for digit in DIGITS {
        let sound = Sound::new(&format!("{digit}.wav"), DIGIT_FRAMES);
        found.extend(sound.found_in(heard).into_iter().map(|at| (at, digit)));
    }
    found.sort_unstable();
    found.into_iter().map(|(_, digit)| digit).collect()
}

/// Writes every prompt that control's defaults name.
pub(crate) fn write_prompts(folder: &Path) {
    fs::create_dir_all(folder).expect("a directory for prompts");
    for digit in DIGITS {
        let name = format!("{digit}.wav");
        Sound::new(&name, DIGIT_FRAMES).write(&folder.join(&name));
    }
    for name in ["pin_intro.wav", "pin_ok.wav", "wrong_pin.wav", "connected.wav", "hold.wav"] {
        Sound::new(name, PROMPT_FRAMES).write(&folder.join(name));
    }
    for name in
        ["callback_menu.wav", "callback_confirm.wav", "thank_you.wav", "access_code.wav", "wrong_code.wav"]
    {
        Sound::new(name, PROMPT_FRAMES).write(&folder.join(name));
    }
    Sound::new("long.wav", LONG_FRAMES).write(&folder.join("long.wav"));
    Sound::new("music.wav", MUSIC_FRAMES).write(&folder.join("music.wav"));
}

/// µ-law to linear (ITU-T G.711), with 16 bits.
fn linear(byte: u8) -> i16 {
    let byte = !byte;
    let (exponent, mantissa) = (u32::from(byte >> 4 & 7), i16::from(byte & 15));
    let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
    if byte & 0x80 == 0 { magnitude } else { -magnitude }
}

/// The µ-law byte that comes nearest.
fn ulaw(sample: i16) -> u8 {
    let distance = |byte: &u8| i32::from(linear(*byte)).abs_diff(i32::from(sample));
    (0..=u8::MAX).min_by_key(distance).unwrap_or(0xFF)
}

/// Everything that a PIN is made of.
pub const DIGITS: [char; 10] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];
const FRAME: usize = 160;
const DIGIT_FRAMES: usize = 10;
const PROMPT_FRAMES: usize = 25;
const MUSIC_FRAMES: usize = 50;
/// Longer than any test waits for one thing.
const LONG_FRAMES: usize = 3_000;
