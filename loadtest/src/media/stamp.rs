//! The 160 bytes of G.711 that say who spoke them, when, and which of that speaker's packets they are.
//!
//! ```text
//! 0   magic (8)   8  run (8)   16 speaker (4)   20 filler (4)   24 sequence (8)   32 sent_ns (8)   40 checksum (8)   48 filler
//! ```
//! Numbers are big-endian. Any byte string is valid G.711, so an engine that forwards must deliver it unchanged.

use super::EndpointId;

/// Bytes of a stamped payload: 20 ms of G.711.
pub(crate) const PAYLOAD_BYTES: usize = 160;
const MAGIC: [u8; 8] = *b"\x93ofhk\xa7\x02\xd5";
const CHECKSUM_AT: usize = 40;

/// What a stamped payload says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stamp {
    pub(crate) run: u64,
    pub(crate) speaker: EndpointId,
    /// Counts from 0 in each endpoint's life.
    pub(crate) sequence: u64,
    /// CLOCK_MONOTONIC when it was handed to the kernel.
    pub(crate) sent_ns: u64,
}

/// What a received payload turned out to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Payload {
    Stamped(Stamp),
    /// It has the magic but not the checksum: changed on the way.
    Damaged,
    /// Tone, prompt or noise.
    Other,
}

impl Stamp {
    /// Writes the stamp over a whole payload.
    pub(crate) fn write(&self, payload: &mut [u8; PAYLOAD_BYTES]) {
        payload[..8].copy_from_slice(&MAGIC);
        payload[8..16].copy_from_slice(&self.run.to_be_bytes());
        payload[16..20].copy_from_slice(&self.speaker.to_be_bytes());
        payload[20..24].fill(0x55);
        payload[24..32].copy_from_slice(&self.sequence.to_be_bytes());
        payload[32..40].copy_from_slice(&self.sent_ns.to_be_bytes());
        payload[48..].fill(0x2a ^ self.speaker.to_le_bytes()[0]);
        let sum = checksum(payload);
        payload[CHECKSUM_AT..48].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Reads a payload of any length.
pub(crate) fn read(payload: &[u8]) -> Payload {
    if payload.len() < 8 || payload[..8] != MAGIC {
        return Payload::Other;
    }
    let Ok(whole) = <&[u8; PAYLOAD_BYTES]>::try_from(payload) else { return Payload::Damaged };
    if word(whole, CHECKSUM_AT) != checksum(whole) {
        return Payload::Damaged;
    }
    let speaker = (word(whole, 16) >> 32) as EndpointId;
    Payload::Stamped(Stamp {
        run: word(whole, 8),
        speaker,
        sequence: word(whole, 24),
        sent_ns: word(whole, 32),
    })
}

/// A 64-bit mix of everything but the checksum's own place.
fn checksum(payload: &[u8; PAYLOAD_BYTES]) -> u64 {
    (0..PAYLOAD_BYTES / 8).filter(|&i| i * 8 != CHECKSUM_AT).fold(0x9e37_79b9_7f4a_7c15, |sum: u64, i| {
        (sum.rotate_left(23) ^ word(payload, i * 8)).wrapping_mul(0xff51_afd7_ed55_8ccd)
    })
}

fn word(payload: &[u8; PAYLOAD_BYTES], at: usize) -> u64 {
    payload[at..at + 8].iter().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { run: 7, speaker: 70_000, sequence: u64::MAX - 1, sent_ns: 123_456_789_012 };

    #[test]
    fn a_stamp_comes_back_as_it_was_written() {
        let mut payload = [0; PAYLOAD_BYTES];
        STAMP.write(&mut payload);
        assert_eq!(read(&payload), Payload::Stamped(STAMP));
    }

    #[test]
    fn every_changed_bit_and_every_other_length_is_noticed() {
        let mut payload = [0; PAYLOAD_BYTES];
        STAMP.write(&mut payload);
        for bit in 0..PAYLOAD_BYTES * 8 {
            let mut changed = payload;
            changed[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 64 { Payload::Other } else { Payload::Damaged };
            assert_eq!(read(&changed), expected, "bit {bit}");
        }
        for length in 8..PAYLOAD_BYTES {
            assert_eq!(read(&payload[..length]), Payload::Damaged);
        }
        assert_eq!(read(&[]), Payload::Other);
        assert_eq!(read(&[0xff; PAYLOAD_BYTES]), Payload::Other);
    }
}
