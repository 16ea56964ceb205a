//! Keys pressed on a leg: telephone-events in, one report per key (RFC 4733 section 2.5).

use crate::Time;

/// Milliseconds without a packet of a key after which it counts as released although its end was lost.
pub(crate) const END_LOST_AFTER_MS: u64 = 200;

/// Milliseconds for which packets of a key that was reported are taken for repeats. A sender may start its timestamps anew
/// later.
const REPEATS_FOR_MS: u64 = 2_000;

const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// A key press, whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digit {
    pub(crate) key: char,
    pub(crate) duration_ms: u32,
    /// When its first packet came.
    pub(crate) began_at: Time,
}

/// The receiver of one leg's telephone-events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Digits {
    held: Option<Held>,
    /// The last key reported: its packets may come again for a while.
    reported: Option<Reported>,
}

#[derive(Clone, Copy, Debug)]
struct Reported {
    timestamp: u32,
    at: Time,
    began_at: Time,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    key: char,
    /// Timestamp of the key's first packet.
    began: u32,
    /// Timestamp of the present segment (RFC 4733 section 2.5.1.3), and the length of those before.
    segment: u32,
    segments_ts: u32,
    duration_ts: u32,
    began_at: Time,
    last: Time,
}

impl Digits {
    /// Takes a telephone-event's timestamp and payload. Returns up to one key that is known to be over with it.
    ///
    /// Payloads that are too short, and events that are no keys, are passed over.
    pub(crate) fn on_event(
        &mut self,
        now: Time,
        timestamp: u32,
        payload: &[u8],
        clock_rate: u32,
    ) -> Option<Digit> {
        let &[event, flags, high, low, ..] = payload else { return None };
        let key = *KEYS.get(usize::from(event))?;
        let (end, duration_ts) = (flags & 0x80 != 0, u32::from(u16::from_be_bytes([high, low])));
        if self.reported.is_some_and(|reported| {
            now.since(reported.at) < REPEATS_FOR_MS * 1_000 && !is_before(reported.timestamp, timestamp)
        }) {
            return None;
        }
        let mut over = None;
        match &mut self.held {
            Some(held) if held.segment == timestamp => {
                held.duration_ts = held.duration_ts.max(duration_ts);
                held.last = now;
            }
            Some(held) if is_before(timestamp, held.segment) => return None,
            Some(held)
                if held.key == key
                    && held.duration_ts == 0xFFFF
                    && timestamp.wrapping_sub(held.segment) == 0xFFFF =>
            {
                held.segments_ts = held.segments_ts.saturating_add(0xFFFF);
                (held.segment, held.duration_ts, held.last) = (timestamp, duration_ts, now);
            }
            _ => {
                over = self.release(now, clock_rate);
                let held = Held {
                    key,
                    began: timestamp,
                    segment: timestamp,
                    segments_ts: 0,
                    duration_ts,
                    began_at: now,
                    last: now,
                };
                self.held = Some(held);
            }
        }
        if end && over.is_none() {
            over = self.release(now, clock_rate);
        }
        over
    }

    /// The key that is down, and the timestamp of its first packet.
    pub(crate) fn down(&self) -> Option<(char, u32)> {
        self.held.map(|held| (held.key, held.began))
    }

    /// When the first packet of a key came, by the timestamp of any of them; none of what is no key, or was not the last.
    pub(crate) fn began_at(&self, timestamp: u32) -> Option<Time> {
        let held = self.held.filter(|held| held.segment == timestamp).map(|held| held.began_at);
        let reported = self.reported.filter(|reported| reported.timestamp == timestamp);
        held.or(reported.map(|reported| reported.began_at))
    }

    /// When a held key whose end never comes is given up.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.held.map(|held| held.last.plus_ms(END_LOST_AFTER_MS))
    }

    /// Gives up a held key whose deadline has passed.
    pub(crate) fn on_timeout(&mut self, now: Time, clock_rate: u32) -> Option<Digit> {
        if self.deadline()? > now { None } else { self.release(now, clock_rate) }
    }

    fn release(&mut self, now: Time, clock_rate: u32) -> Option<Digit> {
        let held = self.held.take()?;
        let began_at = held.began_at;
        self.reported = Some(Reported { timestamp: held.segment, at: now, began_at });
        debug_assert!(!is_before(held.segment, held.began));
        let duration_ts = u64::from(held.segments_ts) + u64::from(held.duration_ts);
        let duration_ms = duration_ts * 1_000 / u64::from(clock_rate.max(1));
        let duration_ms = u32::try_from(duration_ms).unwrap_or(u32::MAX);
        Some(Digit { key: held.key, duration_ms, began_at })
    }
}

fn is_before(timestamp: u32, other: u32) -> bool {
    (timestamp.wrapping_sub(other) as i32) < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Phone {
        digits: Digits,
        now_ms: u64,
        heard: Vec<(char, u32)>,
    }

    impl Phone {
        fn new() -> Self {
            Self { digits: Digits::default(), now_ms: 0, heard: Vec::new() }
        }

        fn send(&mut self, timestamp: u32, event: u8, end: bool, duration_ts: u16) {
            let [high, low] = duration_ts.to_be_bytes();
            let payload = [event, u8::from(end) << 7 | 10, high, low];
            self.now_ms += 20;
            let now = Time::from_ms(self.now_ms);
            self.heard.extend(
                self.digits.on_event(now, timestamp, &payload, 8_000).map(|d| (d.key, d.duration_ms)),
            );
        }

        fn wait(&mut self, ms: u64) {
            self.now_ms += ms;
            let over = self.digits.on_timeout(Time::from_ms(self.now_ms), 8_000);
            self.heard.extend(over.map(|d| (d.key, d.duration_ms)));
        }
    }

    #[test]
    fn a_key_with_three_end_packets_is_reported_once() {
        let mut phone = Phone::new();
        for step in 1..=4 {
            phone.send(1_000, 5, false, step * 160);
        }
        for _ in 0..3 {
            phone.send(1_000, 5, true, 800);
        }
        phone.wait(500);
        assert_eq!(phone.heard, [('5', 100)]);
    }

    #[test]
    fn a_key_whose_end_packets_are_all_lost_is_reported_once_by_time() {
        let mut phone = Phone::new();
        phone.send(1_000, 11, false, 160);
        phone.send(1_000, 11, false, 320);
        phone.wait(END_LOST_AFTER_MS - 1);
        assert_eq!(phone.heard, []);
        phone.wait(1);
        assert_eq!(phone.heard, [('#', 40)]);
        phone.send(1_000, 11, true, 480);
        phone.wait(500);
        assert_eq!(phone.heard.len(), 1);
    }

    #[test]
    fn the_next_key_ends_one_whose_end_was_lost() {
        let mut phone = Phone::new();
        phone.send(1_000, 1, false, 320);
        phone.send(2_600, 1, false, 160);
        phone.send(1_000, 1, true, 400);
        phone.send(2_600, 1, true, 480);
        assert_eq!(phone.heard, [('1', 40), ('1', 60)]);
    }

    #[test]
    fn only_an_end_packet_that_arrives_is_enough() {
        let mut phone = Phone::new();
        phone.send(1_000, 15, true, 800);
        assert_eq!(phone.heard, [('D', 100)]);
    }

    #[test]
    fn a_long_key_in_segments_is_one_key() {
        let mut phone = Phone::new();
        phone.send(0, 7, false, 0xFFFF);
        phone.send(0xFFFF, 7, false, 800);
        phone.send(0xFFFF, 7, true, 1_600);
        assert_eq!(phone.heard, [('7', (0xFFFF + 1_600) / 8)]);
    }

    #[test]
    fn a_key_began_with_its_first_packet_also_when_it_is_over_or_long() {
        let mut phone = Phone::new();
        phone.send(1_000, 5, false, 160);
        phone.send(1_000, 5, true, 320);
        phone.send(1_000, 5, true, 320);
        phone.send(4_000, 6, false, 0xFFFF);
        phone.send(4_000 + 0xFFFF, 6, false, 160);
        let began = |timestamp| phone.digits.began_at(timestamp).map(Time::as_ms);
        assert_eq!([began(1_000), began(4_000 + 0xFFFF), began(9)], [Some(20), Some(80), None]);
    }

    #[test]
    fn flash_and_short_payloads_are_passed_over() {
        let mut phone = Phone::new();
        phone.send(1_000, 16, true, 800);
        assert_eq!(phone.digits.on_event(Time(0), 5, &[1, 0x80, 0], 8_000), None);
        phone.wait(1_000);
        assert_eq!(phone.heard, []);
    }
}
