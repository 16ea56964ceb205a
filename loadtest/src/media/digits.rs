//! Understanding a spoken PIN: the digit recordings, found bit for bit in what a phone hears.

use std::collections::VecDeque;
use std::path::Path;

/// Bytes of a recording that are looked for; 40 ms are enough to be unmistakable.
const NEEDLE_BYTES: usize = 320;

/// The ten digit recordings, as G.711 µ-law.
#[derive(Clone, Debug)]
pub(crate) struct DigitBook {
    needles: Vec<(char, Vec<u8>)>,
}

/// What one phone has understood so far.
#[derive(Debug, Default)]
pub(crate) struct PinEar {
    recent: VecDeque<u8>,
}

impl DigitBook {
    /// Reads `0.wav` to `9.wav` from a directory: 8 kHz mono, 16-bit PCM or µ-law. Errors name the file.
    pub(crate) fn load(directory: &Path) -> Result<Self, String> {
        let needles = ('0'..='9').map(|digit| {
            let path = directory.join(format!("{digit}.wav"));
            let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let mulaw =
                read_wav(&bytes).ok_or_else(|| format!("{}: not an 8 kHz mono WAV file", path.display()))?;
            let needle = loudest(&mulaw).ok_or_else(|| format!("{}: shorter than 40 ms", path.display()))?;
            Ok((digit, needle.to_vec()))
        });
        Ok(Self { needles: needles.collect::<Result<_, String>>()? })
    }
}

impl PinEar {
    /// Takes the next payload in order; a digit when its recording has just been heard.
    pub(crate) fn hear(&mut self, book: &DigitBook, payload: &[u8]) -> Option<char> {
        self.recent.extend(payload);
        let surplus = self.recent.len().saturating_sub(NEEDLE_BYTES + payload.len());
        self.recent.drain(..surplus);
        let recent = self.recent.make_contiguous();
        let found =
            book.needles.iter().find(|(_, needle)| recent.windows(NEEDLE_BYTES).any(|w| w == needle))?.0;
        self.recent.clear();
        Some(found)
    }
}

/// The needle with the most energy, so that silence around speech is never it.
fn loudest(mulaw: &[u8]) -> Option<&[u8]> {
    let energy = |window: &[u8]| window.iter().map(|&byte| u32::from(!byte & 0x7f)).sum::<u32>();
    mulaw.chunks_exact(NEEDLE_BYTES).max_by_key(|window| energy(window))
}

/// G.711 µ-law of a WAV file's samples. `None`: not a WAV file, or another rate, channel count or encoding.
fn read_wav(bytes: &[u8]) -> Option<Vec<u8>> {
    let riff = bytes.get(..4)? == b"RIFF" && bytes.get(8..12)? == b"WAVE";
    let mut rest = bytes.get(12..).filter(|_| riff)?;
    let mut format = None;
    loop {
        let (name, length) = (rest.get(..4)?, rest.get(4..8)?);
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let body = &rest[8..rest.len().min(8_usize.saturating_add(length))];
        match name {
            b"fmt " => format = Some(read_format(body)?),
            b"data" => {
                return match format? {
                    Encoding::Mulaw => Some(body.to_vec()),
                    Encoding::Pcm => Some(
                        body.chunks_exact(2).map(|b| mulaw_of(i16::from_le_bytes([b[0], b[1]]))).collect(),
                    ),
                };
            }
            _ => {}
        }
        rest = rest.get(8_usize.checked_add(length)?.checked_add(length % 2)?..)?;
    }
}

enum Encoding {
    Pcm,
    Mulaw,
}

fn read_format(body: &[u8]) -> Option<Encoding> {
    let word = |at: usize| Some(u16::from_le_bytes([*body.get(at)?, *body.get(at + 1)?]));
    let rate = u32::from(word(4)?) | u32::from(word(6)?) << 16;
    if word(2)? != 1 || rate != 8_000 {
        return None;
    }
    match (word(0)?, word(14)?) {
        (1, 16) => Some(Encoding::Pcm),
        (7, 8) => Some(Encoding::Mulaw),
        _ => None,
    }
}

/// One sample as G.711 µ-law, as ITU-T G.191 computes it: 14 bits, negative numbers complemented rather than negated.
fn mulaw_of(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0x80, !sample) } else { (0, sample) };
    let biased = (i32::from(magnitude >> 2) + 33).min(0x1fff);
    let segment = (26 - biased.leading_zeros() as i32).clamp(0, 7);
    let step = (biased >> (segment + 1)) & 0x0f;
    !(sign | (segment << 4) as u8 | step as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(digit: u8) -> Vec<u8> {
        (0..2_000_u32).map(|i| (i.wrapping_mul(u32::from(digit) * 2 + 3) >> 3) as u8).collect()
    }

    fn wav(mulaw: &[u8]) -> Vec<u8> {
        let mut bytes =
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x07\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data".to_vec();
        bytes.extend_from_slice(&(mulaw.len() as u32).to_le_bytes());
        bytes.extend_from_slice(mulaw);
        bytes
    }

    #[test]
    fn a_spoken_pin_is_understood_whatever_the_framing() {
        let directory = std::env::temp_dir().join(format!("loadtest-digits-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        for digit in 0..10 {
            let path = directory.join(format!("{digit}.wav"));
            std::fs::write(path, wav(&recording(digit))).expect("a recording");
        }
        let book = DigitBook::load(&directory).expect("ten recordings");
        let mut spoken = vec![0xff; 777];
        for digit in [4, 0, 0, 9] {
            spoken.extend(recording(digit));
            spoken.extend([0xff; 123]);
        }
        let mut ear = PinEar::default();
        let understood: String = spoken.chunks(160).filter_map(|payload| ear.hear(&book, payload)).collect();
        assert_eq!(understood, "4009");
        std::fs::remove_dir_all(&directory).expect("our own directory");
    }

    #[test]
    fn the_encoder_meets_g711_at_its_corners() {
        let corners =
            [(0, 0xff), (-1, 0x7f), (-4, 0x7f), (-5, 0x7e), (32_767, 0x80), (-32_768, 0x00), (1_000, 0xce)];
        for (sample, code) in corners {
            assert_eq!(mulaw_of(sample), code, "{sample}");
        }
    }

    #[test]
    fn files_that_are_not_wav_are_refused_at_every_length() {
        let whole = wav(&recording(1));
        for end in 0..whole.len().min(60) {
            assert!(read_wav(&whole[..end]).is_none_or(|m| m.len() < 60));
        }
        assert_eq!(read_wav(b"ID3 not a wav file at all"), None);
    }
}
