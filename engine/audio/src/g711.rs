//! G.711: µ-law and A-law, by table (ITU-T G.711).

/// The µ-law byte of a zero sample.
pub const ULAW_SILENCE: u8 = 0xFF;
/// The A-law byte of the smallest positive sample; A-law has no zero.
pub const ALAW_SILENCE: u8 = 0xD5;

/// The 16-bit linear sample of a µ-law byte.
#[must_use]
pub fn ulaw_to_linear(byte: u8) -> i16 {
    ULAW_DECODED[usize::from(byte)]
}

/// The 16-bit linear sample of an A-law byte.
#[must_use]
pub fn alaw_to_linear(byte: u8) -> i16 {
    ALAW_DECODED[usize::from(byte)]
}

/// The µ-law byte of a 16-bit linear sample.
#[must_use]
pub fn linear_to_ulaw(sample: i16) -> u8 {
    let (sign, magnitude) = sign_magnitude(sample, 2);
    let biased = magnitude + ULAW_BIAS;
    // The biased magnitude is at most 8191 + 33; beyond segment 7 the code saturates.
    let segment = SEGMENT_OF[usize::from((biased >> 6) as u8)];
    if biased > ULAW_TOP {
        return sign ^ 0x80;
    }
    let step = (biased >> (segment + 1)) as u8 & 0x0F;
    (sign | segment << 4 | step) ^ 0xFF
}

/// The A-law byte of a 16-bit linear sample.
#[must_use]
pub fn linear_to_alaw(sample: i16) -> u8 {
    let (sign, magnitude) = sign_magnitude(sample, 3);
    let segment = SEGMENT_OF[usize::from((magnitude >> 5) as u8)];
    let step = (magnitude >> segment.max(1)) as u8 & 0x0F;
    (sign | segment << 4 | step) ^ 0xD5
}

/// Decodes µ-law into linear samples; stops at the shorter slice and returns the count.
pub fn decode_ulaw(payload: &[u8], out: &mut [i16]) -> usize {
    map(payload, out, ulaw_to_linear)
}

/// Decodes A-law into linear samples; stops at the shorter slice and returns the count.
pub fn decode_alaw(payload: &[u8], out: &mut [i16]) -> usize {
    map(payload, out, alaw_to_linear)
}

/// Encodes linear samples as µ-law; stops at the shorter slice and returns the count.
pub fn encode_ulaw(samples: &[i16], out: &mut [u8]) -> usize {
    map(samples, out, linear_to_ulaw)
}

/// Encodes linear samples as A-law; stops at the shorter slice and returns the count.
pub fn encode_alaw(samples: &[i16], out: &mut [u8]) -> usize {
    map(samples, out, linear_to_alaw)
}

/// Rewrites a µ-law payload as A-law (G.711 Table 3).
pub fn ulaw_to_alaw_in_place(payload: &mut [u8]) {
    for byte in payload {
        *byte = ULAW_TO_ALAW[usize::from(*byte)];
    }
}

/// Rewrites an A-law payload as µ-law (G.711 Table 4).
pub fn alaw_to_ulaw_in_place(payload: &mut [u8]) {
    for byte in payload {
        *byte = ALAW_TO_ULAW[usize::from(*byte)];
    }
}

fn map<A: Copy, B>(from: &[A], to: &mut [B], f: impl Fn(A) -> B) -> usize {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = f(from);
    }
    from.len().min(to.len())
}

/// Sign bit (0x80 for negative) and magnitude of a sample without its `shift` lowest bits; negative numbers are
/// complemented, not negated, so that the two halves are alike.
fn sign_magnitude(sample: i16, shift: u32) -> (u8, u16) {
    let shifted = sample >> shift;
    if shifted < 0 { (0x80, !shifted as u16) } else { (0, shifted as u16) }
}

const ULAW_BIAS: u16 = 33;
const ULAW_TOP: u16 = 8191;

/// Number of significant bits of an index: the segment of a magnitude without its lowest five (or six) bits.
static SEGMENT_OF: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 1;
    while i < 256 {
        table[i] = (usize::BITS - i.leading_zeros()) as u8;
        i += 1;
    }
    table
};

static ULAW_DECODED: [i16; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let code = !(i as u8);
        let magnitude = (((((code & 0x0F) as i16) << 1) + 33) << (code >> 4 & 7)) - 33;
        table[i] = if code & 0x80 != 0 { -magnitude * 4 } else { magnitude * 4 };
        i += 1;
    }
    table
};

static ALAW_DECODED: [i16; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let code = i as u8 ^ 0xD5;
        let segment = code >> 4 & 7;
        let step = ((code & 0x0F) as i16) << 1;
        let magnitude = if segment == 0 { step + 1 } else { (step + 33) << (segment - 1) };
        table[i] = if code & 0x80 != 0 { -magnitude * 8 } else { magnitude * 8 };
        i += 1;
    }
    table
};

static ULAW_TO_ALAW: [u8; 256] = transcode_table(0xFF, 0xD5, true);
static ALAW_TO_ULAW: [u8; 256] = transcode_table(0xD5, 0xFF, false);

/// Tables 3 and 4 of G.711, which pair the decision values so that bits 1 to 7 survive a double conversion; going
/// through linear samples would not.
const fn transcode_table(from_mask: u8, to_mask: u8, from_ulaw: bool) -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let code = i as u8 ^ from_mask;
        let level = code & 0x7F;
        let paired = if from_ulaw { alaw_level_of(level) } else { ulaw_level_of(level) };
        table[i] = (code & 0x80 | paired) ^ to_mask;
        i += 1;
    }
    table
}

/// A-law decision value number of a µ-law one (G.711 Table 3).
const fn alaw_level_of(ulaw: u8) -> u8 {
    match ulaw {
        0..16 => ulaw / 2,
        16..32 => ulaw - 8,
        32..36 => 24 + 2 * (ulaw - 32),
        36..48 => ulaw - 4,
        48 | 49 => 45 + 2 * (ulaw - 48),
        50..64 => ulaw - 2,
        64 => 63,
        65..80 => ulaw - 1,
        80.. => ulaw,
    }
}

/// µ-law decision value number of an A-law one (G.711 Table 4).
const fn ulaw_level_of(alaw: u8) -> u8 {
    match alaw {
        0..8 => 2 * alaw + 1,
        8..24 => alaw + 8,
        24..32 => 32 + (alaw - 24) / 2,
        32..45 => alaw + 4,
        45 => 48,
        46 | 47 => 49,
        48..63 => alaw + 2,
        63 => 64,
        64..79 => alaw + 1,
        79.. => alaw,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audio_codec_algorithms as judge;

    #[test]
    fn every_sample_encodes_as_the_judge_encodes_it() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(linear_to_ulaw(sample), judge::encode_ulaw(sample), "µ-law of {sample}");
            assert_eq!(linear_to_alaw(sample), judge::encode_alaw(sample), "A-law of {sample}");
        }
    }

    #[test]
    fn every_byte_decodes_as_the_judge_decodes_it() {
        for byte in 0..=u8::MAX {
            assert_eq!(ulaw_to_linear(byte), judge::decode_ulaw(byte), "µ-law {byte:#04x}");
            assert_eq!(alaw_to_linear(byte), judge::decode_alaw(byte), "A-law {byte:#04x}");
        }
    }

    #[test]
    fn every_byte_is_transcoded_by_the_tables_of_the_recommendation() {
        for byte in 0..=u8::MAX {
            let mut payload = [byte];
            ulaw_to_alaw_in_place(&mut payload);
            assert_eq!(payload[0], judge::convert_ulaw_to_alaw(byte), "µ-law {byte:#04x}");
            let mut payload = [byte];
            alaw_to_ulaw_in_place(&mut payload);
            assert_eq!(payload[0], judge::convert_alaw_to_ulaw(byte), "A-law {byte:#04x}");
        }
    }

    #[test]
    fn silence_bytes_decode_to_the_smallest_sample() {
        assert_eq!(ulaw_to_linear(ULAW_SILENCE), 0);
        assert_eq!(alaw_to_linear(ALAW_SILENCE), 8);
    }

    #[test]
    fn slices_of_different_length_stop_at_the_shorter() {
        let mut out = [0i16; 3];
        assert_eq!(decode_ulaw(&[0x80; 5], &mut out), 3);
        let mut bytes = [0u8; 5];
        assert_eq!(encode_alaw(&out, &mut bytes), 3);
    }
}
