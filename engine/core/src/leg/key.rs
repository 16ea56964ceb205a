//! A key that the partner holds while its audio is made anew here.

use crate::Time;

/// A key that the partner holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// Timestamp of its packets as they come.
    timestamp: u32,
    began: Time,
    /// Audio waits for its end, or until it must have been lost.
    until: Time,
}

/// A packet of a key comes at least this often.
const KEY_PACKETS_WITHIN_US: u64 = 100_000;

impl Key {
    /// Takes a telephone-event's timestamp and payload, in which it converts the duration from one clock rate to the other.
    /// Returns when its key began.
    pub(crate) fn on_event(
        held: &mut Option<Self>,
        now: Time,
        timestamp: u32,
        payload: &mut [u8; 4],
        clock_rates: (u32, u32),
    ) -> Time {
        let began = match held {
            Some(key) if key.timestamp == timestamp => key.began,
            _ => now,
        };
        let end = payload[1] & 0x80 != 0;
        let until = if end { now } else { now + KEY_PACKETS_WITHIN_US };
        *held = Some(Self { timestamp, began, until });
        convert_duration(payload, clock_rates);
        began
    }

    /// Whether it is held at a moment.
    pub(crate) fn is_held(self, at: Time) -> bool {
        self.until > at
    }
}

/// Converts the duration in a telephone-event's payload from one clock rate to another; nothing in one that is too short for it.
pub(crate) fn convert_duration(payload: &mut [u8], (from, to): (u32, u32)) {
    let Some([_, _, high, low]) = payload.first_chunk_mut::<4>().filter(|_| from != to) else { return };
    let duration = u64::from(u16::from_be_bytes([*high, *low])) * u64::from(to) / u64::from(from.max(1));
    [*high, *low] = (duration.min(0xFFFF) as u16).to_be_bytes();
}
