//! Keys of a telephone, pressed and heard as telephone-events (RFC 4733 section 2).

use std::collections::VecDeque;

use super::Role;
use super::rtp::Header;

/// Keys by their event codes (RFC 4733 section 3.2).
const EVENTS: &str = "0123456789*#ABCD";
/// Packets while a key is held, 100 ms; the last of them says that it has ended.
const HELD_PACKETS: u16 = 5;
/// How often the end is said again, in case that it gets lost (section 2.5.1.4).
const REPEATS: u16 = 2;
/// Packets of audio between two keys.
const PAUSE_PACKETS: u8 = 5;
const VOLUME: u8 = 10;
const END: u8 = 0x80;
const PTIME_TS: u16 = super::PTIME_TS as u16;
/// Most keys of a conversation that are remembered.
const MAX_REMEMBERED: usize = 64;

/// What one press takes, with the pause after it.
pub(crate) const KEY_MS: u64 = (HELD_PACKETS + REPEATS + PAUSE_PACKETS as u16) as u64 * 20;

/// Whether text is a key.
pub(crate) fn is_key(key: char) -> bool {
    EVENTS.contains(key)
}

/// Presses keys one after the other, in place of audio.
#[derive(Debug, Default)]
pub(crate) struct Keypad {
    waiting: VecDeque<u8>,
    held: Option<Held>,
    pause_packets: u8,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    event: u8,
    /// Timestamp of its first packet, which all of them bear.
    began_ts: u32,
    packets: u16,
}

/// A packet of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct KeyPacket {
    pub(crate) timestamp: u32,
    /// The first of its key.
    pub(crate) marker: bool,
    pub(crate) key: char,
    pub(crate) payload: [u8; 4],
}

impl Keypad {
    /// Keys to be pressed after those that are; what is no key is left out.
    pub(crate) fn press(&mut self, keys: &str) {
        self.waiting.extend(keys.chars().filter_map(|key| EVENTS.find(key)).map(|event| event as u8));
    }

    /// The call is over: nothing is pressed any more.
    pub(crate) fn let_go(&mut self) {
        *self = Self::default();
    }

    /// What goes out in place of the audio at `timestamp`; none while no key is pressed.
    pub(crate) fn next(&mut self, timestamp: u32) -> Option<KeyPacket> {
        if self.held.is_none() && self.pause_packets > 0 {
            self.pause_packets -= 1;
            return None;
        }
        let mut held = match self.held.take() {
            Some(held) => held,
            None => Held { event: self.waiting.pop_front()?, began_ts: timestamp, packets: 0 },
        };
        held.packets += 1;
        let end = if held.packets >= HELD_PACKETS { END } else { 0 };
        let [high, low] = (held.packets.min(HELD_PACKETS) * PTIME_TS).to_be_bytes();
        let packet = KeyPacket {
            timestamp: held.began_ts,
            marker: held.packets == 1,
            key: key_of(held.event)?,
            payload: [held.event, end | VOLUME, high, low],
        };
        if held.packets < HELD_PACKETS + REPEATS {
            self.held = Some(held);
        } else {
            self.pause_packets = PAUSE_PACKETS;
        }
        Some(packet)
    }
}

/// Hears keys, each once, by the timestamp that all packets of a key bear.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyEar {
    last: Option<(u32, u32)>,
}

impl KeyEar {
    /// Takes the next telephone-event; a key when it is another one than before.
    pub(crate) fn hear(&mut self, header: &Header, payload: &[u8]) -> Option<char> {
        let [event, _, _, _] = *payload.first_chunk()?;
        let later = |(ssrc, timestamp): (u32, u32)| {
            header.ssrc != ssrc || header.timestamp.wrapping_sub(timestamp).cast_signed() > 0
        };
        if !self.last.is_none_or(later) {
            return None;
        }
        self.last = Some((header.ssrc, header.timestamp));
        key_of(event)
    }
}

/// Keys of one conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    by_agent: OneWay,
    by_customer: OneWay,
    /// Pressed by the customer before it was joined to an agent, for a menu; and the last of them.
    pub(crate) alone: u64,
    last_alone: Option<char>,
    /// Whose end the agent heard, being joined before the key was over.
    pub(crate) ends: u64,
}

/// From one to the other.
#[derive(Clone, Debug, Default)]
struct OneWay {
    pressed: String,
    heard: String,
}

impl Keys {
    /// One side has begun to press a key.
    pub(crate) fn press(&mut self, by: Role, key: char) {
        remember(&mut self.of(by).pressed, key);
    }

    /// The customer has begun to press a key with nobody there but a menu.
    pub(crate) fn press_alone(&mut self, key: char) {
        self.alone += 1;
        self.last_alone = Some(key);
    }

    /// The other side of `by` has heard a key.
    pub(crate) fn hear(&mut self, by: Role, key: char) {
        if by == Role::Customer && self.by_customer.pressed.is_empty() && self.last_alone == Some(key) {
            self.last_alone = None;
            self.ends += 1;
            return;
        }
        remember(&mut self.of(by).heard, key);
    }

    /// Keys pressed, and keys heard.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let ways = [&self.by_agent, &self.by_customer];
        let (pressed, heard) = (ways.map(|way| way.pressed.len()), ways.map(|way| way.heard.len()));
        (pressed.iter().sum::<usize>() as u64, heard.iter().sum::<usize>() as u64)
    }

    /// Whether each side heard what the other pressed, each key once and in order.
    pub(crate) fn agree(&self) -> bool {
        [&self.by_agent, &self.by_customer].iter().all(|way| way.pressed == way.heard)
    }

    fn of(&mut self, by: Role) -> &mut OneWay {
        match by {
            Role::Agent => &mut self.by_agent,
            Role::Customer => &mut self.by_customer,
        }
    }
}

fn remember(keys: &mut String, key: char) {
    if keys.len() < MAX_REMEMBERED {
        keys.push(key);
    }
}

fn key_of(event: u8) -> Option<char> {
    EVENTS.chars().nth(usize::from(event))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(keypad: &mut Keypad, slots: u32) -> Vec<Option<KeyPacket>> {
        (0..slots).map(|slot| keypad.next(1_000 + slot * 160)).collect()
    }

    fn header(timestamp: u32) -> Header {
        Header { marker: false, payload_type: 101, sequence: 0, timestamp, ssrc: 1 }
    }

    #[test]
    fn a_key_bears_its_start_grows_and_says_three_times_that_it_has_ended() {
        let mut keypad = Keypad::default();
        keypad.press("#");
        let sent: Vec<_> = packets(&mut keypad, 9).into_iter().flatten().collect();
        assert_eq!(sent.len(), 7);
        assert!(sent.iter().all(|packet| packet.timestamp == 1_000 && packet.key == '#'));
        assert_eq!(sent.iter().filter(|packet| packet.marker).count(), 1);
        assert!(sent[0].marker);
        let told: Vec<_> = sent.iter().map(|packet| packet.payload).collect();
        assert_eq!(told[0], [11, 10, 0, 160]);
        assert_eq!(told[3], [11, 10, 2, 128]);
        assert_eq!(told[4..], [[11, 0x8a, 3, 32]; 3]);
    }

    #[test]
    fn keys_come_one_after_the_other_with_audio_between_them() {
        let mut keypad = Keypad::default();
        keypad.press("1x2");
        let sent = packets(&mut keypad, 30);
        let keys: String = sent.iter().map(|packet| packet.map_or('.', |packet| packet.key)).collect();
        assert_eq!(keys, "1111111.....2222222...........");
        keypad.press("34");
        packets(&mut keypad, 2);
        keypad.let_go();
        assert_eq!(packets(&mut keypad, 20), [None; 20]);
    }

    #[test]
    fn a_key_is_heard_once_whatever_is_lost_of_it_or_comes_late() {
        let mut ear = KeyEar::default();
        let heard: String = [(0, 5), (0, 5), (1_600, 5), (1_600, 5), (0, 5), (3_200, 11)]
            .into_iter()
            .filter_map(|(timestamp, event)| ear.hear(&header(timestamp), &[event, 0x8a, 0, 160]))
            .collect();
        assert_eq!(heard, "55#");
        assert_eq!(ear.hear(&header(9_999), &[5, 0]), None, "too short");
        assert_eq!(ear.hear(&header(9_999), &[16, 0, 0, 0]), None, "no key");
    }

    #[test]
    fn a_conversation_agrees_when_each_heard_the_other_and_nothing_else() {
        let mut keys = Keys::default();
        keys.press(Role::Agent, '1');
        assert!(!keys.agree());
        keys.hear(Role::Agent, '1');
        assert!(keys.agree());
        keys.hear(Role::Customer, '1');
        assert!(!keys.agree(), "nobody pressed it");
        assert_eq!(keys.counts(), (1, 2));
    }

    #[test]
    fn the_end_of_a_menu_s_key_may_be_heard_by_the_agent_once() {
        let mut keys = Keys::default();
        keys.press_alone('1');
        keys.hear(Role::Customer, '1');
        assert!(keys.agree());
        assert_eq!((keys.alone, keys.ends), (1, 1));
        keys.hear(Role::Customer, '1');
        assert!(!keys.agree());
    }
}
