//! G.722 streams that follow each other, each from an encoder of its own.
//!
//! A G.722 decoder goes on from what it has decoded. Where its predictors are not where the new stream's encoder has them, loud
//! noise is heard until they have found together: up to full scale, for a tenth of a second. So all streams made here begin, and
//! all silence is, as if silence had been encoded for long.

use std::sync::LazyLock;

use audio_codec::Encoder as _;
use audio_codec::g722::G722Encoder;

/// An encoder that has encoded silence for as long as predictors remember.
pub(super) fn encoder() -> G722Encoder {
    after_silence().0
}

/// Fills `out` with silence: all that is made here may follow it.
pub fn silence(out: &mut [u8]) {
    static SILENCE: LazyLock<[u8; SILENCE_BYTES]> = LazyLock::new(|| after_silence().1);
    for part in out.chunks_mut(SILENCE_BYTES) {
        part.copy_from_slice(&SILENCE[..part.len()]);
    }
}

/// An encoder, and the last that it made of silence.
fn after_silence() -> (G722Encoder, [u8; SILENCE_BYTES]) {
    let (mut encoder, mut made) = (G722Encoder::default(), [0; SILENCE_BYTES]);
    for _ in 0..SETTLED_MS / SILENCE_MS {
        let len = encoder.encode_into(&[0; 2 * SILENCE_BYTES], &mut made).expect("there is room");
        assert_eq!(len, SILENCE_BYTES, "a byte holds two samples");
    }
    (encoder, made)
}

/// The predictors forget by a 256th with each byte.
const SETTLED_MS: usize = 100;
/// Divides every packet time.
const SILENCE_MS: usize = 10;
const SILENCE_BYTES: usize = 8 * SILENCE_MS;
