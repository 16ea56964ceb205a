//! Changes the packet time of a codec whose bytes stand for equal times, without decoding it.

use crate::codec::Codec;
use crate::fifo::Fifo;

/// Joins and splits payloads of one stream to another packet time.
#[derive(Clone, Debug)]
pub struct Repacketiser {
    bytes: Fifo<u8>,
    out_len: usize,
    units_per_byte: (u32, u32),
    /// Timestamp of the oldest byte.
    front_ts: u32,
    /// Payload bytes that found no room.
    pub dropped_bytes: u64,
}

impl Repacketiser {
    /// A repacketiser to `ptime_ms` (1 to 120); `None` for Opus and for times out of range.
    #[must_use]
    pub fn new(codec: Codec, ptime_ms: u32) -> Option<Self> {
        let out_len = codec.payload_bytes(ptime_ms).filter(|n| *n > 0 && ptime_ms <= MAX_PTIME_MS)?;
        let capacity = codec.payload_bytes(2 * MAX_PTIME_MS)?;
        let units_per_byte = if matches!(codec, Codec::L16 { .. }) { (1, 2) } else { (1, 1) };
        Some(Self { bytes: Fifo::new(capacity), out_len, units_per_byte, front_ts: 0, dropped_bytes: 0 })
    }

    /// Takes a payload. A jump in the timestamp drops what waits, as it would play at the wrong time.
    pub fn push(&mut self, ts: u32, payload: &[u8]) {
        if self.front_ts.wrapping_add(self.units(self.bytes.len())) != ts {
            self.dropped_bytes += self.bytes.len() as u64;
            self.bytes.clear();
            self.front_ts = ts;
        }
        self.dropped_bytes += (payload.len() - self.bytes.push(payload)) as u64;
    }

    /// The next whole payload, in `out`, as its timestamp and length; `None` if more input is needed or `out` is short.
    pub fn poll(&mut self, out: &mut [u8]) -> Option<(u32, usize)> {
        let out = out.get_mut(..self.out_len)?;
        if !self.bytes.pop(out) {
            return None;
        }
        let ts = self.front_ts;
        self.front_ts = ts.wrapping_add(self.units(self.out_len));
        Some((ts, self.out_len))
    }

    fn units(&self, bytes: usize) -> u32 {
        bytes as u32 * self.units_per_byte.0 / self.units_per_byte.1
    }
}

const MAX_PTIME_MS: u32 = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_arrives_with_the_timestamp_it_had() {
        for (from_ms, to_ms) in [(20, 30), (30, 20), (10, 60), (60, 10), (20, 20)] {
            let mut repacketiser = Repacketiser::new(Codec::Pcma, to_ms).expect("a codec of bytes");
            let stream: Vec<u8> = (0..9600).map(|i| (i * 7 % 251) as u8).collect();
            let base = u32::MAX - 1000;
            let (mut out, mut seen) = ([0; 960], 0);
            for (i, payload) in stream.chunks(8 * from_ms).enumerate() {
                repacketiser.push(base.wrapping_add((i * 8 * from_ms) as u32), payload);
                while let Some((ts, len)) = repacketiser.poll(&mut out) {
                    assert_eq!(ts, base.wrapping_add(seen as u32), "{from_ms} to {to_ms}");
                    assert_eq!(out[..len], stream[seen..seen + len]);
                    seen += len;
                }
            }
            assert!(stream.len() - seen < 8 * to_ms as usize);
            assert_eq!(repacketiser.dropped_bytes, 0);
        }
    }

    #[test]
    fn a_gap_drops_the_rest_and_goes_on_in_time() {
        let mut repacketiser = Repacketiser::new(Codec::Pcmu, 30).expect("a codec of bytes");
        let mut out = [0; 240];
        repacketiser.push(0, &[1; 160]);
        repacketiser.push(320, &[2; 160]);
        repacketiser.push(480, &[3; 160]);
        assert_eq!(repacketiser.poll(&mut out), Some((320, 240)));
        assert_eq!((out[0], out[239]), (2, 3));
        assert_eq!(repacketiser.dropped_bytes, 160);
    }

    #[test]
    fn too_much_and_too_odd_are_refused() {
        assert!(Repacketiser::new(Codec::Opus, 20).is_none());
        assert!(Repacketiser::new(Codec::Pcmu, 0).is_none());
        assert!(Repacketiser::new(Codec::Pcmu, 121).is_none());
        let mut repacketiser = Repacketiser::new(Codec::Pcmu, 20).expect("a codec of bytes");
        repacketiser.push(0, &[0; 4000]);
        assert!(repacketiser.dropped_bytes > 0);
        assert_eq!(repacketiser.poll(&mut [0; 10]), None);
    }
}
