//! Keys as telephone-events: what is sent in each packet time of a sequence.

use offhook_proto::{Keys, Media};

use crate::leg::encoding::{event_rate, packet_ms};
use crate::leg::receive::us_to_ts;

/// One packet time of a key sequence.
pub(super) enum KeyStep {
    /// In a segment that began so long after the key.
    Held {
        first: bool,
        segment_ms: u64,
    },
    Pause,
}

/// The telephone-event of packet time `position` of a key sequence; none after the last (RFC 4733 section 2.5.1).
///
/// A key's end is sent three times, one packet time apart. One that is longer than its duration field can say goes on in a new
/// segment (section 2.5.1.3).
pub(super) fn key(keys: &Keys, position: usize, media: &Media, out: &mut [u8]) -> Option<KeyStep> {
    let ptime_ms = packet_ms(media);
    let (held, steps) = key_steps(keys, ptime_ms);
    let (at, step) = (position / steps, position % steps);
    let event = event_code(*keys.keys.as_bytes().get(at)?);
    if step > held + 1 {
        return Some(KeyStep::Pause);
    }
    let packet_ts = us_to_ts(u64::from(ptime_ms) * 1_000, event_rate(media)).max(1);
    let segment_steps = (0xFFFF / packet_ts as usize).max(1);
    let held_step = step.min(held - 1);
    let (segment, in_segment) = (held_step / segment_steps, held_step % segment_steps);
    let duration = (packet_ts * (in_segment as u32 + 1)).min(0xFFFF) as u16;
    let [high, low] = duration.to_be_bytes();
    let level = keys.level_dbm0.unwrap_or(KEY_LEVEL_DBM0).unsigned_abs().min(63);
    let end = u8::from(step + 1 >= held) << 7;
    out.get_mut(..4)?.copy_from_slice(&[event, end | level, high, low]);
    let segment_ms = segment as u64 * segment_steps as u64 * u64::from(ptime_ms);
    Some(KeyStep::Held { first: step == 0, segment_ms })
}

/// Packet times that a key is held, and that it takes with its pause: room for the end's three packets.
pub(super) fn key_steps(keys: &Keys, ptime_ms: u8) -> (usize, usize) {
    let steps = |ms: u32| ms.div_ceil(u32::from(ptime_ms)).max(1) as usize;
    let held = steps(keys.on_ms);
    (held, held + steps(keys.off_ms).max(2))
}

/// Milliseconds that a key sequence takes.
pub(crate) fn keys_ms(keys: &Keys, ptime_ms: u8) -> u64 {
    let (_, steps) = key_steps(keys, ptime_ms);
    keys.keys.len() as u64 * steps as u64 * u64::from(ptime_ms)
}

fn event_code(key: u8) -> u8 {
    match key.to_ascii_uppercase() {
        digit @ b'0'..=b'9' => digit - b'0',
        b'*' => 10,
        b'#' => 11,
        letter @ b'A'..=b'D' => letter - b'A' + 12,
        _ => 16,
    }
}

/// Usual level of a key, in dBm0.
const KEY_LEVEL_DBM0: i8 = -10;
