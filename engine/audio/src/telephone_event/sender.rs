//! A key press as a train of telephone-event packets.

use super::{EventPayload, event_of_key};

/// Makes the packets of one key press, one per tick of the packet time (RFC 4733 §2.5.1).
#[derive(Clone, Debug)]
pub struct EventSender {
    event: u8,
    volume: u8,
    start_ts: u32,
    /// Timestamp of the running segment.
    segment_ts: u32,
    elapsed_ts: u32,
    total_ts: u32,
    ptime_ts: u32,
    ends_left: u8,
    first: bool,
}

/// A packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// RTP timestamp, the same for all packets of a segment.
    pub ts: u32,
    /// Marker bit: on the event's first packet only.
    pub marker: bool,
    /// The payload's bytes.
    pub payload: [u8; EventPayload::LEN],
}

impl EventSender {
    /// A press of `key` for `duration_ms`, starting at `start_ts` in the stream; `ptime_ms` is the packet time and
    /// `level_dbm0` (0 to -63) the nominal level. `None` if `key` is no key. The time is rounded up to whole packets.
    #[must_use]
    pub fn new(
        key: char,
        level_dbm0: i8,
        duration_ms: u32,
        start_ts: u32,
        ptime_ms: u32,
        clock_rate_hz: u32,
    ) -> Option<Self> {
        let ptime_ts = (clock_rate_hz / 1000 * ptime_ms).clamp(1, SEGMENT_TS);
        let packets = duration_ms.div_ceil(ptime_ms.max(1)).max(1);
        Some(Self {
            event: event_of_key(key)?,
            volume: level_dbm0.unsigned_abs().min(63),
            start_ts,
            segment_ts: start_ts,
            elapsed_ts: 0,
            total_ts: packets.saturating_mul(ptime_ts),
            ptime_ts,
            ends_left: END_PACKETS,
            first: true,
        })
    }

    /// Ends the press with the next packet, for a key whose length was not known before.
    pub fn release(&mut self) {
        self.total_ts = self.total_ts.min(self.elapsed_ts + self.ptime_ts);
    }

    /// The packet of this tick; `None` when the last has been made.
    pub fn poll_packet(&mut self) -> Option<EventPacket> {
        if self.ends_left == 0 {
            return None;
        }
        if self.elapsed_ts < self.total_ts {
            self.advance();
        }
        let end = self.elapsed_ts == self.total_ts;
        self.ends_left -= u8::from(end);
        let duration_ts = self.start_ts.wrapping_add(self.elapsed_ts).wrapping_sub(self.segment_ts) as u16;
        let payload = EventPayload { event: self.event, end, volume: self.volume, duration_ts };
        let marker = std::mem::take(&mut self.first);
        Some(EventPacket { ts: self.segment_ts, marker, payload: payload.write() })
    }

    fn advance(&mut self) {
        let in_segment = self.start_ts.wrapping_add(self.elapsed_ts).wrapping_sub(self.segment_ts);
        if in_segment + self.ptime_ts > SEGMENT_TS {
            // The duration has 16 bits; a longer press goes on in a new segment (RFC 4733 §2.5.1.3).
            self.segment_ts = self.segment_ts.wrapping_add(in_segment);
        }
        self.elapsed_ts += self.ptime_ts;
    }
}

/// The final packet is sent three times (RFC 4733 §2.5.1.4).
const END_PACKETS: u8 = 3;
const SEGMENT_TS: u32 = 0xFFFF;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telephone_event::{EventReceiver, KeyEvent};

    fn packets(sender: &mut EventSender) -> Vec<EventPacket> {
        std::iter::from_fn(|| sender.poll_packet()).collect()
    }

    #[test]
    fn a_press_grows_with_one_timestamp_and_ends_three_times() {
        let mut sender = EventSender::new('#', -10, 100, 5000, 20, 8000).expect("a key");
        let sent = packets(&mut sender);
        let payloads: Vec<_> = sent.iter().map(|p| EventPayload::parse(&p.payload).expect("whole")).collect();
        assert_eq!(
            payloads.iter().map(|p| p.duration_ts).collect::<Vec<_>>(),
            [160, 320, 480, 640, 800, 800, 800]
        );
        assert_eq!(
            payloads.iter().map(|p| p.end).collect::<Vec<_>>(),
            [false, false, false, false, true, true, true]
        );
        assert!(payloads.iter().all(|p| p.event == 11 && p.volume == 10));
        assert!(sent.iter().all(|p| p.ts == 5000));
        assert_eq!(
            sent.iter().map(|p| p.marker).collect::<Vec<_>>(),
            [true, false, false, false, false, false, false]
        );
        assert_eq!(sender.total_ts, 800);
    }

    #[test]
    fn a_long_press_is_split_and_is_one_key_to_a_receiver() {
        let mut sender = EventSender::new('1', -10, 20_000, 0, 20, 8000).expect("a key");
        let mut receiver = EventReceiver::new(8000);
        let mut events = Vec::new();
        for (i, p) in packets(&mut sender).iter().enumerate() {
            receiver.on_packet(i as u64 * 20, p.ts, p.marker, &p.payload, |e| events.push(e));
        }
        assert_eq!(
            events,
            [
                KeyEvent::Pressed { key: '1', ts: 0, volume: 10 },
                KeyEvent::Released { key: '1', duration_ms: 20_000 }
            ]
        );
    }

    #[test]
    fn a_released_press_ends_with_the_next_packet() {
        let mut sender = EventSender::new('1', -10, u32::MAX, 0, 20, 8000).expect("a key");
        sender.poll_packet();
        sender.release();
        let rest = packets(&mut sender);
        assert_eq!(rest.len(), 3);
        assert_eq!(EventPayload::parse(&rest[0].payload).expect("whole").duration_ts, 320);
        assert_eq!(sender.total_ts, 320);
    }

    #[test]
    fn no_key_no_packets() {
        assert!(EventSender::new('x', -10, 100, 0, 20, 8000).is_none());
        let mut odd = EventSender::new('1', i8::MIN, 0, u32::MAX, 0, 0).expect("a key");
        assert_eq!(packets(&mut odd).len(), 3);
    }
}
