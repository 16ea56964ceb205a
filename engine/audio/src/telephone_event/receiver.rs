//! Telephone-event packets in, one press and one release per key out.

use super::{EventPayload, key_of_event};

/// A key's press or release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEvent {
    /// The key went down at this RTP timestamp.
    Pressed {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        key: char,
        /// When, in timestamp units.
        ts: u32,
        /// Level in dBm0 with the sign dropped.
        volume: u8,
    },
    /// The key is up.
    Released {
        /// The key of the `Pressed` before.
        key: char,
        /// How long it was down.
        duration_ms: u32,
    },
}

/// Turns the packets of one stream into key presses, each reported once however many packets repeat, overtake or
/// lose it.
///
/// The caller passes its own milliseconds for the time-out of an event whose end is lost.
#[derive(Clone, Debug)]
pub struct EventReceiver {
    clock_rate_hz: u32,
    current: Option<Current>,
    /// Timestamp of the newest event that ended; nothing at or shortly before it is reported.
    ended_ts: Option<u32>,
    /// Packets that told nothing: repeats, late ones, no keys, short ones.
    pub ignored_packets: u64,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    event: u8,
    key: char,
    /// Timestamp of the segment, which is the event's unless it is longer than 65,535 units.
    segment_ts: u32,
    /// Length of earlier segments.
    before_ts: u32,
    duration_ts: u16,
    heard_at_ms: u64,
}

impl EventReceiver {
    /// An event with no packet for this long has ended: well over three packets of any usual ptime.
    pub const TIMEOUT_MS: u64 = 200;

    /// A receiver for events at a clock rate in Hz, usually 8000.
    #[must_use]
    pub fn new(clock_rate_hz: u32) -> Self {
        Self { clock_rate_hz: clock_rate_hz.max(1000), current: None, ended_ts: None, ignored_packets: 0 }
    }

    /// The key that is down.
    #[must_use]
    pub fn down(&self) -> Option<char> {
        self.current.map(|c| c.key)
    }

    /// Takes one packet: RTP timestamp, marker bit and payload.
    pub fn on_packet(
        &mut self,
        now_ms: u64,
        ts: u32,
        marker: bool,
        payload: &[u8],
        mut on_event: impl FnMut(KeyEvent),
    ) {
        let Some(payload) = EventPayload::parse(payload) else {
            self.ignored_packets += 1;
            return;
        };
        let Some(key) = key_of_event(payload.event) else {
            self.ignored_packets += 1;
            return;
        };
        if self.ended_ts.is_some_and(|ended| is_late(ts, ended)) {
            self.ignored_packets += 1;
            return;
        }
        match &mut self.current {
            Some(current) if current.event == payload.event && current.segment_ts == ts => {
                if payload.duration_ts <= current.duration_ts && !payload.end {
                    self.ignored_packets += 1;
                }
                current.duration_ts = current.duration_ts.max(payload.duration_ts);
                current.heard_at_ms = now_ms;
            }
            Some(current) if current.continues_at(ts, marker, payload.event) => {
                current.before_ts = current.before_ts.saturating_add(ts.wrapping_sub(current.segment_ts));
                current.segment_ts = ts;
                current.duration_ts = payload.duration_ts;
                current.heard_at_ms = now_ms;
            }
            Some(current) if is_late(ts, current.segment_ts) => {
                self.ignored_packets += 1;
                return;
            }
            _ => {
                self.end(&mut on_event);
                on_event(KeyEvent::Pressed { key, ts, volume: payload.volume });
                self.current = Some(Current {
                    event: payload.event,
                    key,
                    segment_ts: ts,
                    before_ts: 0,
                    duration_ts: payload.duration_ts,
                    heard_at_ms: now_ms,
                });
            }
        }
        if payload.end {
            self.end(&mut on_event);
        }
    }

    /// Ends an event whose packets have stopped coming.
    pub fn on_time(&mut self, now_ms: u64, mut on_event: impl FnMut(KeyEvent)) {
        if self.deadline_ms().is_some_and(|at| at <= now_ms) {
            self.end(&mut on_event);
        }
    }

    /// When [`Self::on_time`] has something to do, in the caller's ms.
    #[must_use]
    pub fn deadline_ms(&self) -> Option<u64> {
        self.current.map(|c| c.heard_at_ms + Self::TIMEOUT_MS)
    }

    fn end(&mut self, on_event: &mut impl FnMut(KeyEvent)) {
        let Some(current) = self.current.take() else { return };
        self.ended_ts = Some(current.segment_ts);
        let total_ts = u64::from(current.before_ts) + u64::from(current.duration_ts);
        let duration_ms = (total_ts * 1000 / u64::from(self.clock_rate_hz)) as u32;
        on_event(KeyEvent::Released { key: current.key, duration_ms });
    }
}

impl Current {
    /// Whether a packet is the next segment of this event, too long for 16 bits (RFC 4733 §2.5.1.3).
    fn continues_at(&self, ts: u32, marker: bool, event: u8) -> bool {
        let ahead = ts.wrapping_sub(self.segment_ts);
        // Senders disagree on whether a full segment is 0xFFFF units or a whole number of packets just below.
        !marker && event == self.event && (SEGMENT_MIN_TS..=SEGMENT_MAX_TS).contains(&ahead)
    }
}

/// Whether `ts` is `known` or shortly before it, around the wrap. Far before it is a stream that started anew.
fn is_late(ts: u32, known: u32) -> bool {
    known.wrapping_sub(ts) <= LATE_MAX_TS
}

const LATE_MAX_TS: u32 = 160_000;
const SEGMENT_MIN_TS: u32 = 0xE000;
const SEGMENT_MAX_TS: u32 = 0xFFFF;

#[cfg(test)]
mod tests {
    use super::*;
    use KeyEvent::{Pressed, Released};

    struct Bench {
        receiver: EventReceiver,
        events: Vec<KeyEvent>,
        now_ms: u64,
    }

    impl Bench {
        fn new() -> Self {
            Self { receiver: EventReceiver::new(8000), events: Vec::new(), now_ms: 0 }
        }

        fn packet(&mut self, ts: u32, marker: bool, event: u8, end: bool, duration_ts: u16) -> &mut Self {
            let payload = EventPayload { event, end, volume: 10, duration_ts }.write();
            self.receiver.on_packet(self.now_ms, ts, marker, &payload, |e| self.events.push(e));
            self.now_ms += 20;
            self
        }
    }

    fn five(duration_ms: u32) -> Vec<KeyEvent> {
        vec![Pressed { key: '5', ts: 1000, volume: 10 }, Released { key: '5', duration_ms }]
    }

    #[test]
    fn one_key_is_pressed_and_released_once() {
        let mut b = Bench::new();
        b.packet(1000, true, 5, false, 160).packet(1000, false, 5, false, 320);
        for _ in 0..3 {
            b.packet(1000, false, 5, true, 800);
        }
        assert_eq!(b.events, five(100));
        assert_eq!(b.receiver.ignored_packets, 2);
    }

    #[test]
    fn a_key_whose_end_packets_are_all_lost_ends_with_the_next_key() {
        let mut b = Bench::new();
        b.packet(1000, true, 5, false, 160).packet(1000, false, 5, false, 480);
        b.packet(3000, true, 5, false, 160).packet(3000, false, 5, true, 400);
        assert_eq!(b.events[..2], five(60));
        assert_eq!(
            b.events[2..],
            [Pressed { key: '5', ts: 3000, volume: 10 }, Released { key: '5', duration_ms: 50 }]
        );
    }

    #[test]
    fn a_key_whose_end_packets_are_all_lost_ends_in_time() {
        let mut b = Bench::new();
        b.packet(1000, true, 5, false, 480);
        assert_eq!(b.receiver.deadline_ms(), Some(200));
        b.receiver.on_time(199, |e| panic!("{e:?} too early"));
        b.receiver.on_time(200, |e| b.events.push(e));
        assert_eq!(b.events, five(60));
        assert_eq!(b.receiver.deadline_ms(), None);
        b.packet(1000, false, 5, true, 800);
        assert_eq!(b.events.len(), 2, "an end packet after the time-out is no second key");
    }

    #[test]
    fn a_key_of_which_only_an_end_packet_arrives_is_pressed_and_released() {
        let mut b = Bench::new();
        b.packet(1000, false, 5, true, 800);
        assert_eq!(b.events, five(100));
    }

    #[test]
    fn packets_out_of_order_change_nothing() {
        let mut b = Bench::new();
        b.packet(1000, true, 5, false, 480)
            .packet(1000, false, 5, false, 320)
            .packet(1000, false, 5, true, 800);
        b.packet(1000, false, 5, false, 640).packet(500, true, 4, false, 160);
        assert_eq!(b.events, five(100));
    }

    #[test]
    fn a_key_longer_than_65_535_units_is_one_key() {
        let mut b = Bench::new();
        b.packet(1000, true, 5, false, 0xFFFF).packet(1000 + 0xFFFF, false, 5, false, 160);
        b.packet(1000 + 0xFFFF, false, 5, true, 8000);
        assert_eq!(b.events, five((0xFFFF + 8000) / 8));
    }

    #[test]
    fn the_timestamp_wraps() {
        let mut b = Bench::new();
        b.packet(u32::MAX - 10, true, 1, true, 160).packet(2000, true, 2, true, 160);
        assert_eq!(b.events.len(), 4);
    }

    #[test]
    fn nonsense_is_counted() {
        let mut b = Bench::new();
        b.packet(1000, true, 16, false, 160).packet(1000, true, 255, true, 160);
        b.receiver.on_packet(0, 0, false, &[5], |e| panic!("{e:?}"));
        assert!(b.events.is_empty());
        assert_eq!(b.receiver.ignored_packets, 3);
    }

    #[test]
    fn a_stream_that_starts_anew_far_back_is_heard_at_once() {
        let mut b = Bench::new();
        b.packet(1_000_000, true, 5, true, 800).packet(0, true, 6, true, 800);
        assert_eq!(b.events.len(), 4);
    }
}
