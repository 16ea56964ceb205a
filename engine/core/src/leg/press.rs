//! Keys on their way to a leg in another form than they came in: as tones, or as telephone-events.

use std::collections::VecDeque;

use offhook_audio::dtmf::DtmfEvent;
use offhook_audio::telephone_event::{EventPacket, EventSender};
use offhook_audio::tones::{Segment, Tone, ToneSource, dtmf_frequencies};

use crate::Time;
use crate::limits::KEYS_WAITING;

/// Keys that the leg hears as tones, since it takes no telephone-events. They cover what it hears.
#[derive(Debug)]
pub(crate) struct KeyTones {
    rate_hz: u32,
    waiting: VecDeque<Press>,
    sounding: Option<Sounding>,
    /// RTP timestamp of the last key that went down.
    pressed: Option<u32>,
}

/// Keys that the leg is sent as telephone-events, since they were tones.
#[derive(Debug)]
pub(crate) struct KeyEvents {
    ptime_ms: u32,
    clock_rate_hz: u32,
    waiting: VecDeque<Press>,
    sending: Option<Sending>,
}

/// A packet of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPacket {
    /// When the key, or this segment of a long one, began.
    pub(crate) began: Time,
    pub(crate) marker: bool,
    pub(crate) payload: [u8; 4],
}

#[derive(Clone, Copy, Debug)]
struct Press {
    key: char,
    /// How long it was down; none while it still is.
    length_ms: Option<u32>,
}

#[derive(Debug)]
struct Sounding {
    press: Press,
    tone: ToneSource,
    /// Samples that it has sounded, and those of the pause after it that are left.
    sounded: usize,
    pause: Option<usize>,
}

#[derive(Debug)]
struct Sending {
    sender: EventSender,
    began: Time,
    down: bool,
}

impl KeyTones {
    /// No keys, at a sample rate in Hz.
    pub(crate) fn new(rate_hz: u32) -> Self {
        Self { rate_hz, waiting: VecDeque::new(), sounding: None, pressed: None }
    }

    /// A key went down at this RTP timestamp, as each of its packets tells.
    pub(crate) fn press(&mut self, key: char, timestamp: u32) {
        if self.pressed != Some(timestamp) {
            self.pressed = Some(timestamp);
            push(&mut self.waiting, Press { key, length_ms: None });
        }
    }

    /// A key is up. One of which nothing else was told is heard whole.
    pub(crate) fn release(&mut self, key: char, length_ms: u32) {
        let sounding = self.sounding.as_mut().map(|sounding| &mut sounding.press);
        match sounding.into_iter().chain(&mut self.waiting).find(|press| press.length_ms.is_none()) {
            Some(press) => press.length_ms = Some(length_ms),
            None => push(&mut self.waiting, Press { key, length_ms: Some(length_ms) }),
        }
    }

    /// Whether there is a key to be heard.
    pub(crate) fn sounds(&self) -> bool {
        self.sounding.is_some() || !self.waiting.is_empty()
    }

    /// Puts what is due of the keys in the place of samples.
    pub(crate) fn render(&mut self, mut samples: &mut [i16]) {
        while !samples.is_empty() {
            let Some(sounding) = &mut self.sounding else {
                let Some(press) = self.waiting.pop_front() else { return };
                self.sounding = Sounding::new(press, self.rate_hz);
                continue;
            };
            let count = sounding.render(samples, self.rate_hz);
            samples = &mut samples[count..];
            if sounding.pause == Some(0) {
                self.sounding = None;
            }
        }
    }
}

impl Sounding {
    fn new(press: Press, rate_hz: u32) -> Option<Self> {
        let pair = dtmf_frequencies(press.key)?;
        let tone = Tone::new(&[Segment::dual(pair, LEVEL_DBM0, Segment::FOREVER_MS)], false);
        Some(Self { press, tone: ToneSource::new(&tone, rate_hz), sounded: 0, pause: None })
    }

    /// Writes samples of the tone or of the pause after it. Returns how many.
    fn render(&mut self, out: &mut [i16], rate_hz: u32) -> usize {
        let samples = |ms: u32| (u64::from(ms) * u64::from(rate_hz) / 1_000) as usize;
        let left = match (&self.pause, self.press.length_ms) {
            (Some(pause), _) => *pause,
            (None, None) => out.len(),
            (None, Some(length_ms)) => samples(length_ms.max(TONE_MS)).saturating_sub(self.sounded),
        };
        let count = left.min(out.len());
        self.tone.render(&mut out[..count]);
        match &mut self.pause {
            Some(pause) => *pause -= count,
            None => self.sounded += count,
        }
        if self.pause.is_none() && self.press.length_ms.is_some() && count == left {
            self.tone.stop();
            self.pause = Some(samples(PAUSE_MS));
        }
        count
    }
}

impl KeyEvents {
    /// No keys, for packets of so many milliseconds and a clock rate in Hz.
    pub(crate) fn new(ptime_ms: u32, clock_rate_hz: u32) -> Self {
        Self { ptime_ms, clock_rate_hz, waiting: VecDeque::new(), sending: None }
    }

    /// Takes what was heard of a key.
    pub(crate) fn on_event(&mut self, event: DtmfEvent) {
        match event {
            DtmfEvent::Pressed { key } => push(&mut self.waiting, Press { key, length_ms: None }),
            DtmfEvent::Released { duration_ms, .. } => match &mut self.sending {
                Some(sending) if sending.down => {
                    sending.down = false;
                    sending.sender.release();
                }
                Some(_) | None => {
                    if let Some(press) = self.waiting.iter_mut().find(|press| press.length_ms.is_none()) {
                        press.length_ms = Some(duration_ms);
                    }
                }
            },
        }
    }

    /// Whether there is a key to be sent.
    pub(crate) fn sounds(&self) -> bool {
        self.sending.is_some() || !self.waiting.is_empty()
    }

    /// The packet of a tick; none when no key is to be sent.
    pub(crate) fn tick(&mut self, tick: Time) -> Option<KeyPacket> {
        loop {
            if self.sending.is_none() {
                let press = self.waiting.pop_front()?;
                let length_ms = press.length_ms.unwrap_or(u32::MAX);
                let (ptime_ms, rate) = (self.ptime_ms, self.clock_rate_hz);
                let sender = EventSender::new(press.key, LEVEL_DBM0 as i8, length_ms, 0, ptime_ms, rate);
                let down = press.length_ms.is_none();
                self.sending = sender.map(|sender| Sending { sender, began: tick, down });
            }
            let Some(sending) = &mut self.sending else { continue };
            match sending.sender.poll_packet() {
                Some(EventPacket { ts, marker, payload }) => {
                    let after_us = u64::from(ts) * 1_000_000 / u64::from(self.clock_rate_hz);
                    return Some(KeyPacket { began: sending.began + after_us, marker, payload });
                }
                None => self.sending = None,
            }
        }
    }
}

/// More keys than anybody can press before they are heard are left out.
fn push(waiting: &mut VecDeque<Press>, press: Press) {
    if waiting.len() < KEYS_WAITING {
        waiting.push_back(press);
    }
}

/// Level of each of a key's two frequencies, as a telephone makes them.
const LEVEL_DBM0: f32 = -8.0;
/// A tone and the pause after it are at least so long, as ETSI ES 201 235-2 asks of senders (65 ms).
const TONE_MS: u32 = 70;
const PAUSE_MS: u32 = 70;

#[cfg(test)]
mod tests {
    use offhook_audio::dtmf::DtmfDetector;

    use super::*;

    /// Renders frames of 20 ms at 8 kHz after each of the calls; what a detector hears.
    fn heard(steps: &[fn(&mut KeyTones)], frames: usize) -> Vec<(char, u32)> {
        let (mut tones, mut detector, mut keys) = (KeyTones::new(8_000), DtmfDetector::default(), Vec::new());
        for frame in 0..frames {
            if let Some(step) = steps.get(frame) {
                step(&mut tones);
            }
            let mut samples = [0; 160];
            tones.render(&mut samples);
            detector.push(&samples, |event| {
                if let DtmfEvent::Released { key, duration_ms } = event {
                    keys.push((key, duration_ms));
                }
            });
        }
        assert!(!tones.sounds());
        keys
    }

    fn near(keys: &[(char, u32)], wanted: &[(char, u32)]) {
        let close =
            |(one, other): (&(char, u32), &(char, u32))| one.0 == other.0 && one.1.abs_diff(other.1) <= 15;
        assert!(keys.len() == wanted.len() && keys.iter().zip(wanted).all(close), "{keys:?}");
    }

    #[test]
    fn a_key_sounds_for_as_long_as_it_is_down() {
        let mut steps: Vec<fn(&mut KeyTones)> = vec![|tones| tones.press('5', 7); 10];
        steps.push(|tones| tones.release('5', 200));
        near(&heard(&steps, 20), &[('5', 200)]);
    }

    #[test]
    fn a_short_key_sounds_for_long_enough_and_keys_in_haste_are_all_heard_apart() {
        let all: fn(&mut KeyTones) = |tones| {
            for (timestamp, key) in "11223".chars().enumerate() {
                tones.press(key, timestamp as u32);
                tones.release(key, 20);
            }
        };
        near(&heard(&[all], 60), &[('1', 70), ('1', 70), ('2', 70), ('2', 70), ('3', 70)]);
    }

    #[test]
    fn a_key_of_which_only_the_end_is_told_is_heard_whole() {
        near(&heard(&[|tones| tones.release('D', 120)], 20), &[('D', 120)]);
    }

    #[test]
    fn what_waits_is_limited() {
        let mut tones = KeyTones::new(8_000);
        for timestamp in 0..1_000 {
            tones.press('1', timestamp);
        }
        assert_eq!(tones.waiting.len(), KEYS_WAITING);
    }

    #[test]
    fn tones_become_events_that_end_three_times_one_key_after_another() {
        let mut events = KeyEvents::new(20, 8_000);
        assert!(events.tick(Time(0)).is_none());
        events.on_event(DtmfEvent::Pressed { key: '4' });
        let mut sent = Vec::new();
        for tick in 0..16_u64 {
            match tick {
                4 => events.on_event(DtmfEvent::Released { key: '4', duration_ms: 100 }),
                5 => {
                    events.on_event(DtmfEvent::Pressed { key: '5' });
                    events.on_event(DtmfEvent::Released { key: '5', duration_ms: 60 });
                }
                _ => {}
            }
            sent.extend(events.tick(Time::from_ms(tick * 20)).map(|packet| {
                let [event, flags, high, low] = packet.payload;
                let ends = flags >= 0x80;
                (packet.began, packet.marker, event, ends, u16::from_be_bytes([high, low]))
            }));
        }
        let first = |marker, ends, duration| (Time(0), marker, 4, ends, duration);
        let second = |marker, ends, duration| (Time::from_ms(140), marker, 5, ends, duration);
        let wanted = [
            first(true, false, 160),
            first(false, false, 320),
            first(false, false, 480),
            first(false, false, 640),
            first(false, true, 800),
            first(false, true, 800),
            first(false, true, 800),
            second(true, false, 160),
            second(false, false, 320),
            second(false, true, 480),
            second(false, true, 480),
            second(false, true, 480),
        ];
        assert_eq!(sent, wanted);
        assert!(!events.sounds());
    }

    #[test]
    fn a_long_key_goes_on_in_segments_with_moments_of_their_own() {
        let mut events = KeyEvents::new(20, 48_000);
        events.on_event(DtmfEvent::Pressed { key: '4' });
        let packets: Vec<_> = (0..100).filter_map(|tick| events.tick(Time::from_ms(tick * 20))).collect();
        assert_eq!(packets.len(), 100);
        assert_eq!(packets[0].began, Time(0));
        assert_eq!(packets[99].began, Time::from_ms(1_360), "68 packets of 960 units fit into 16 bits");
    }
}
