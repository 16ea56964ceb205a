//! DTMF beside the audio: telephone-events (RFC 4733), read and written.

mod receiver;
mod sender;

pub use receiver::{EventReceiver, KeyEvent};
pub use sender::{EventPacket, EventSender};

/// The payload of a telephone-event packet (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPayload {
    /// Event code: 0–15 are the DTMF keys.
    pub event: u8,
    /// The E bit: this packet has the event's final duration.
    pub end: bool,
    /// Power level in dBm0 with the sign dropped, 0–63.
    pub volume: u8,
    /// Time since the packet's timestamp, in timestamp units.
    pub duration_ts: u16,
}

impl EventPayload {
    /// Length of a payload on the wire.
    pub const LEN: usize = 4;

    /// Reads a payload; `None` if it is short. Bytes after the fourth are ignored.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[event, flags, high, low] = bytes.first_chunk::<4>()?;
        Some(Self {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3F,
            duration_ts: u16::from_be_bytes([high, low]),
        })
    }

    /// The payload's bytes; the reserved bit is zero.
    #[must_use]
    pub fn write(self) -> [u8; Self::LEN] {
        let [high, low] = self.duration_ts.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | self.volume.min(63), high, low]
    }
}

/// The key of an event code (RFC 4733 §3.2); `None` above 15.
#[must_use]
pub fn key_of_event(event: u8) -> Option<char> {
    Some(char::from(*b"0123456789*#ABCD".get(usize::from(event))?))
}

/// The event code of a key, letters of either case; `None` if it is no key.
#[must_use]
pub fn event_of_key(key: char) -> Option<u8> {
    let key = key.to_ascii_uppercase();
    "0123456789*#ABCD".chars().position(|k| k == key).map(|i| i as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_read_and_written_back() {
        // The third packet of the example in RFC 4733 §5: digit 9, level -7, 1200 units, end.
        let bytes = [0x09, 0x87, 0x04, 0xB0];
        let payload = EventPayload::parse(&bytes).expect("four bytes");
        assert_eq!(payload, EventPayload { event: 9, end: true, volume: 7, duration_ts: 1200 });
        assert_eq!(payload.write(), bytes);
    }

    #[test]
    fn a_short_payload_is_refused_and_a_long_one_read() {
        assert_eq!(EventPayload::parse(&[9, 7, 0]), None);
        assert!(EventPayload::parse(&[9, 7, 0, 160, 1, 2]).is_some());
    }

    #[test]
    fn keys_and_codes_are_one_to_one() {
        for event in 0..16 {
            assert_eq!(event_of_key(key_of_event(event).expect("a key")), Some(event));
        }
        assert_eq!(key_of_event(16), None);
        assert_eq!(event_of_key('e'), None);
        assert_eq!(event_of_key('a'), Some(12));
    }
}
