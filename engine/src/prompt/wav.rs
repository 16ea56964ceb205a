//! WAV bytes to samples: any usual rate and depth, mono or more, PCM, float and G.711.

use std::io::Cursor;

use hound::{SampleFormat, WavReader};
use offhook_audio::g711;

/// Sound of one channel.
#[derive(Debug, PartialEq)]
pub(crate) struct Sound {
    /// Samples a second.
    pub(crate) rate: u32,
    /// 16-bit linear samples.
    pub(crate) samples: Vec<i16>,
}

/// Reads a whole WAV file. Several channels are averaged into one.
///
/// # Errors
/// A sentence that says what is wrong with the file.
pub(crate) fn decode(file: &[u8]) -> Result<Sound, String> {
    let sound = match format_tag(file)? {
        tag @ (ALAW | ULAW) => decode_g711(file, tag)?,
        _ => decode_linear(file)?,
    };
    if sound.samples.is_empty() {
        return Err("the file holds no samples".into());
    }
    if sound.samples.len() as u64 > u64::from(sound.rate) * MAX_SECONDS {
        return Err(format!("the file is longer than {MAX_SECONDS} s"));
    }
    Ok(sound)
}

fn decode_linear(file: &[u8]) -> Result<Sound, String> {
    let mut reader = WavReader::new(Cursor::new(file))
        .map_err(|error| format!("not a WAV file that can be read: {error}"))?;
    let spec = reader.spec();
    check_shape(spec.sample_rate, spec.channels)?;
    let samples: Result<Vec<i16>, hound::Error> = match (spec.sample_format, spec.bits_per_sample) {
        (SampleFormat::Float, 32) => reader.samples::<f32>().map(|sample| sample.map(from_float)).collect(),
        (SampleFormat::Int, bits @ 1..=16) => {
            reader.samples::<i16>().map(|sample| sample.map(|sample| sample << (16 - bits))).collect()
        }
        (SampleFormat::Int, bits @ 17..=32) => reader
            .samples::<i32>()
            .map(|sample| sample.map(|sample| (sample >> (bits - 16)) as i16))
            .collect(),
        (format, bits) => return Err(format!("{bits} bits of {format:?} a sample are not supported")),
    };
    let samples = samples.map_err(|error| format!("the file is damaged: {error}"))?;
    Ok(Sound { rate: spec.sample_rate, samples: to_mono(samples, spec.channels) })
}

fn decode_g711(file: &[u8], tag: u16) -> Result<Sound, String> {
    let format = chunk(file, b"fmt ").ok_or("the file has no fmt chunk")?;
    let data = chunk(file, b"data").ok_or("the file has no data chunk")?;
    let (channels, rate) = (u16_at(format, 2)?, u32_at(format, 4)?);
    check_shape(rate, channels)?;
    let expand = if tag == ULAW { g711::ulaw_to_linear } else { g711::alaw_to_linear };
    Ok(Sound { rate, samples: to_mono(data.iter().map(|&code| expand(code)).collect(), channels) })
}

/// Format tag of the `fmt ` chunk; the first two bytes of the sub-format for an extensible header.
fn format_tag(file: &[u8]) -> Result<u16, String> {
    if file.len() < 12 || &file[..4] != b"RIFF" || &file[8..12] != b"WAVE" {
        return Err("not a WAV file: it does not start with RIFF and WAVE".into());
    }
    let format = chunk(file, b"fmt ").ok_or("not a WAV file that can be read: it has no fmt chunk")?;
    match u16_at(format, 0)? {
        EXTENSIBLE => u16_at(format, 24),
        tag => Ok(tag),
    }
}

/// Contents of the first chunk of a kind; cut short where the file ends early.
fn chunk<'a>(file: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    let mut rest = file.get(12..)?;
    while let (Some(id), Some(length)) = (rest.get(..4), rest.get(4..8)) {
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let body = &rest[8..];
        if id == kind {
            return Some(&body[..length.min(body.len())]);
        }
        rest = body.get(length.checked_add(length & 1)?..)?;
    }
    None
}

fn check_shape(rate: u32, channels: u16) -> Result<(), String> {
    if !RATES.contains(&rate) {
        return Err(format!(
            "a rate of {rate} Hz is not supported: use {} to {}",
            RATES.start(),
            RATES.end()
        ));
    }
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(format!("{channels} channels are not supported: use 1 to {MAX_CHANNELS}"));
    }
    Ok(())
}

fn to_mono(samples: Vec<i16>, channels: u16) -> Vec<i16> {
    if channels == 1 {
        return samples;
    }
    let average = |frame: &[i16]| {
        (frame.iter().map(|&sample| i32::from(sample)).sum::<i32>() / i32::from(channels)) as i16
    };
    samples.chunks_exact(usize::from(channels)).map(average).collect()
}

fn from_float(sample: f32) -> i16 {
    (sample * 32_768.0).clamp(-32_768.0, 32_767.0) as i16
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, String> {
    let bytes = bytes.get(at..at + 2).ok_or("the fmt chunk is too short")?;
    Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    Ok(u32::from(u16_at(bytes, at)?) | u32::from(u16_at(bytes, at + 2)?) << 16)
}

const ALAW: u16 = 6;
const ULAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;
const MAX_CHANNELS: u16 = 8;
const MAX_SECONDS: u64 = 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
        file.extend(16u32.to_le_bytes());
        for field in [tag, channels] {
            file.extend(field.to_le_bytes());
        }
        file.extend(rate.to_le_bytes());
        file.extend((rate * u32::from(channels * bits / 8)).to_le_bytes());
        file.extend((channels * bits / 8).to_le_bytes());
        file.extend(bits.to_le_bytes());
        file.extend(b"data");
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(data);
        let length = (file.len() - 8) as u32;
        file[4..8].copy_from_slice(&length.to_le_bytes());
        file
    }

    fn samples(file: &[u8]) -> Vec<i16> {
        decode(file).expect("a good file").samples
    }

    #[test]
    fn sixteen_bits_come_through_unchanged() {
        let data: Vec<u8> =
            [1i16, -2, 32_767, -32_768].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(samples(&wav(1, 1, 8_000, 16, &data)), [1, -2, 32_767, -32_768]);
    }

    #[test]
    fn other_depths_are_scaled_to_sixteen_bits() {
        assert_eq!(samples(&wav(1, 1, 8_000, 8, &[128, 255, 0])), [0, 127 << 8, -32_768]);
        assert_eq!(samples(&wav(1, 1, 8_000, 24, &[0, 0, 1, 0, 0, 0x80])), [256, -32_768]);
        assert_eq!(samples(&wav(1, 1, 8_000, 32, &[0, 0, 0, 0x40])), [0x4000]);
        let floats: Vec<u8> = [0.5f32, -2.0].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(samples(&wav(3, 1, 8_000, 32, &floats)), [16_384, -32_768]);
    }

    #[test]
    fn stereo_is_averaged() {
        let data: Vec<u8> = [100i16, 300, -10, 10].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(samples(&wav(1, 2, 8_000, 16, &data)), [200, 0]);
    }

    #[test]
    fn g711_is_expanded() {
        assert_eq!(
            samples(&wav(7, 1, 8_000, 8, &[0xff, 0x00])),
            [g711::ulaw_to_linear(0xff), g711::ulaw_to_linear(0)]
        );
        assert_eq!(
            samples(&wav(6, 1, 8_000, 8, &[0xd5, 0x2a])),
            [g711::alaw_to_linear(0xd5), g711::alaw_to_linear(0x2a)]
        );
    }

    #[test]
    fn a_file_that_is_not_a_wav_says_so() {
        for file in [
            &b""[..],
            b"RIFF",
            b"ID3 something else entirely, an MP3 perhaps",
            b"RIFF\0\0\0\0WAVEjunk\x04\0\0\0abcd",
        ] {
            let error = decode(file).expect_err("not a WAV");
            assert!(error.contains("not a WAV"), "{error}");
        }
    }

    #[test]
    fn no_samples_and_odd_shapes_are_refused() {
        assert_eq!(decode(&wav(1, 1, 8_000, 16, &[])).unwrap_err(), "the file holds no samples");
        assert!(decode(&wav(7, 1, 100, 8, &[1])).unwrap_err().contains("100 Hz"));
        assert!(decode(&wav(7, 0, 8_000, 8, &[1])).unwrap_err().contains("0 channels"));
        assert!(decode(&wav(0x55, 1, 8_000, 16, &[1, 1])).is_err());
    }

    #[test]
    fn a_file_cut_anywhere_or_with_any_byte_changed_never_panics() {
        let whole = wav(1, 2, 8_000, 16, &[7; 64]);
        for end in 0..whole.len() {
            let _ = decode(&whole[..end]);
        }
        for at in 0..44 {
            for value in [0, 1, 6, 7, 0x7f, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = decode(&changed);
            }
        }
    }
}
