//! Playing to a leg: prompts, tones, silence and keys, one packet per tick.

use offhook_proto::{Codec, Keys, Media};

use super::continuation::MEMORY_BYTES;
use super::encoding::{bytes_in, convert, event_rate, fill, in_place, packet, packet_ms, tells_silence};
use super::receive::us_to_ts;
use crate::Time;
use crate::prompt::Segment;

/// Usual level of a key, in dBm0.
const KEY_LEVEL_DBM0: i8 = -10;

/// One play on one leg.
#[derive(Clone, Debug)]
pub(crate) struct Player {
    name: String,
    segments: Vec<Segment>,
    /// Rounds left, this one included; 0 = until stopped.
    rounds: u32,
    at: usize,
    /// Progress within the segment: payload bytes, milliseconds or packet times, as the segment is counted in.
    position: usize,
    next_tick: Time,
    /// When the present key began.
    key_began: Time,
    /// Whether anything was played in this round: a list of nothing ends instead of going round for ever.
    sounded: bool,
}

/// What a tick gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// A payload of audio, this many bytes.
    Audio(usize),
    /// A telephone-event's payload of 4 bytes, of a key that began then.
    Event { began: Time, first: bool },
    /// Nothing to send in this packet time.
    Pause,
    /// Silence that the hearer has asked not to be sent.
    Silence,
    /// The play is over, and nothing is to be sent.
    End,
}

/// One packet time of a key sequence.
enum KeyStep {
    /// In a segment that began so long after the key.
    Held {
        first: bool,
        segment_ms: u64,
    },
    Pause,
}

impl Player {
    /// A play whose first packet is due at `first_tick`.
    pub(crate) fn new(name: String, segments: Vec<Segment>, times: u32, first_tick: Time) -> Self {
        Self {
            name,
            segments,
            rounds: times,
            at: 0,
            position: 0,
            next_tick: first_tick,
            key_began: first_tick,
            sounded: false,
        }
    }

    /// Name that the controller gave.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name, when the play has ended.
    pub(crate) fn into_name(self) -> String {
        self.name
    }

    /// When the next packet is due.
    pub(crate) fn next_tick(&self) -> Time {
        self.next_tick
    }

    /// Plans the tick after this one. One that comes late by more than a packet time moves the rest of the play back, so that
    /// nothing is skipped and nothing bursts. Returns the moment that this tick stands for, and whether it was moved.
    pub(crate) fn advance(&mut self, now: Time, ptime_ms: u8) -> (Time, bool) {
        let ptime_us = u64::from(ptime_ms) * 1_000;
        let late_us = now.since(self.next_tick);
        let tick = self.next_tick + late_us / ptime_us * ptime_us;
        self.next_tick = tick + ptime_us;
        (tick, late_us >= ptime_us)
    }

    /// Milliseconds of the next packet: those of a prompt that was encoded in packets, also when the leg's have changed meanwhile.
    pub(crate) fn packet_ms(&self, media: &Media) -> u8 {
        let own = match self.segments.get(self.at) {
            Some(Segment::Audio(prompt)) if prompt.codec() == media.codec => prompt.packet_ms(),
            Some(Segment::Audio(_) | Segment::SilenceMs(_) | Segment::Keys(_)) | None => None,
        };
        own.unwrap_or_else(|| packet_ms(media))
    }

    /// The end of what was played, where the next encoder has to know it; no more than that has to.
    pub(crate) fn just_played(&self, codec: Codec) -> Option<&[u8]> {
        let (at, end) =
            if self.position > 0 { (self.at, self.position) } else { (self.at.checked_sub(1)?, usize::MAX) };
        let Segment::Audio(prompt) = self.segments.get(at)? else { return None };
        let payload = prompt.payload();
        if (prompt.codec(), codec) != (Codec::G722, Codec::G722) || payload.is_empty() {
            return None;
        }
        let end = if prompt.is_endless() { (end - 1) % payload.len() + 1 } else { end.min(payload.len()) };
        Some(&payload[end.saturating_sub(MEMORY_BYTES)..end])
    }

    /// Writes the next packet's payload.
    pub(crate) fn tick(&mut self, tick: Time, media: &Media, out: &mut [u8]) -> Tick {
        let Some(wanted) = bytes_in(media.codec, usize::from(packet_ms(media))) else {
            return self.tick_packet(tick, media, out);
        };
        let wanted = wanted.min(out.len());
        let mut filled = 0;
        while filled < wanted {
            let Some(segment) = self.segments.get(self.at) else {
                if self.next_round() {
                    continue;
                }
                break;
            };
            let room = &mut out[filled..wanted];
            let step = match segment {
                Segment::Audio(prompt) => audio(prompt, self.position, media.codec, room),
                Segment::SilenceMs(ms) => silence(*ms, self.position, media.codec, room),
                // A key starts on a packet of its own: what is left of this one is silence.
                Segment::Keys(_) if filled > 0 => {
                    fill(media.codec, room);
                    return Tick::Audio(wanted);
                }
                Segment::Keys(keys) => match key(keys, self.position, media, room) {
                    Some(step) => {
                        self.position += 1;
                        self.sounded = true;
                        return match step {
                            KeyStep::Held { first, segment_ms } => {
                                self.key_began = if first { tick } else { self.key_began };
                                Tick::Event { began: self.key_began.plus_ms(segment_ms), first }
                            }
                            KeyStep::Pause => Tick::Pause,
                        };
                    }
                    None => 0,
                },
            };
            if step == 0 {
                (self.at, self.position) = (self.at + 1, 0);
                continue;
            }
            self.position += step;
            filled += step;
            self.sounded = true;
        }
        if filled == 0 {
            return Tick::End;
        }
        fill(media.codec, &mut out[filled..wanted]);
        Tick::Audio(wanted)
    }

    /// Writes the next packet's payload, for an encoding whose packets are not slices of one run of bytes.
    fn tick_packet(&mut self, tick: Time, media: &Media, out: &mut [u8]) -> Tick {
        loop {
            let Some(segment) = self.segments.get(self.at) else {
                if self.next_round() {
                    continue;
                }
                return Tick::End;
            };
            let step = match segment {
                Segment::Audio(prompt) if prompt.codec() == media.codec => {
                    prompt.packet(self.position).map(|packet| {
                        let len = packet.len().min(out.len());
                        out[..len].copy_from_slice(&packet[..len]);
                        if len == 0 { Tick::Silence } else { Tick::Audio(len) }
                    })
                }
                Segment::Audio(_) => None,
                Segment::SilenceMs(ms) => {
                    let lasts = self.position * usize::from(packet_ms(media)) < *ms as usize;
                    lasts.then(|| match tells_silence(media, self.position) {
                        true => Tick::Audio(packet(media.codec, packet_ms(media), out)),
                        false => Tick::Silence,
                    })
                }
                Segment::Keys(keys) => key(keys, self.position, media, out).map(|step| match step {
                    KeyStep::Held { first, segment_ms } => {
                        self.key_began = if first { tick } else { self.key_began };
                        Tick::Event { began: self.key_began.plus_ms(segment_ms), first }
                    }
                    KeyStep::Pause => Tick::Pause,
                }),
            };
            let Some(step) = step else {
                (self.at, self.position) = (self.at + 1, 0);
                continue;
            };
            self.position += 1;
            self.sounded = true;
            return step;
        }
    }

    fn next_round(&mut self) -> bool {
        let again = self.sounded && self.rounds != 1;
        if again {
            self.rounds = self.rounds.saturating_sub(1);
            (self.at, self.position, self.sounded) = (0, 0, false);
        }
        again
    }
}

/// Copies audio from `position` on, and returns how much; 0 at the end, and for an encoding that the leg cannot be sent.
fn audio(prompt: &crate::EncodedPrompt, position: usize, codec: Codec, out: &mut [u8]) -> usize {
    let payload = prompt.payload();
    if !in_place(prompt.codec(), codec) || payload.is_empty() {
        return 0;
    }
    let position = if prompt.is_endless() { position % payload.len() } else { position };
    let left = payload.get(position..).unwrap_or_default();
    let count = left.len().min(out.len());
    out[..count].copy_from_slice(&left[..count]);
    convert(prompt.codec(), codec, &mut out[..count]);
    count
}

fn silence(ms: u32, position: usize, codec: Codec, out: &mut [u8]) -> usize {
    let left = bytes_in(codec, ms as usize).unwrap_or(0).saturating_sub(position);
    let count = left.min(out.len());
    fill(codec, &mut out[..count]);
    count
}

/// The telephone-event of packet time `position` of a key sequence; none after the last (RFC 4733 section 2.5.1).
///
/// A key's end is sent three times, one packet time apart. One that is longer than its duration field can say goes on in a new
/// segment (section 2.5.1.3).
fn key(keys: &Keys, position: usize, media: &Media, out: &mut [u8]) -> Option<KeyStep> {
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
fn key_steps(keys: &Keys, ptime_ms: u8) -> (usize, usize) {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use offhook_audio::g711::{ALAW_SILENCE, ULAW_SILENCE};

    use super::*;
    use crate::EncodedPrompt;

    fn prompt(bytes: std::ops::Range<u8>) -> Segment {
        Segment::Audio(Arc::new(EncodedPrompt::new(Codec::Pcmu, bytes.collect::<Vec<_>>())))
    }

    fn media() -> Media {
        Media { ptime_ms: 10, ..Media::default() }
    }

    /// All that a play sends, at most 100 packets.
    fn play(segments: Vec<Segment>, times: u32, media: &Media) -> Vec<Vec<u8>> {
        let mut player = Player::new("p".into(), segments, times, Time(0));
        let mut packets = Vec::new();
        while packets.len() < 100 {
            let mut out = [0; 1_000];
            let now = player.next_tick();
            let (tick, _) = player.advance(now, media.ptime_ms);
            match player.tick(tick, media, &mut out) {
                Tick::Audio(len) => packets.push(out[..len].to_vec()),
                Tick::Event { .. } => packets.push(out[..4].to_vec()),
                Tick::Pause | Tick::Silence => packets.push(Vec::new()),
                Tick::End => break,
            }
        }
        packets
    }

    #[test]
    fn parts_follow_each_other_without_a_seam_and_the_last_packet_is_filled_up() {
        let packets = play(vec![prompt(0..100), Segment::SilenceMs(1), prompt(100..120)], 1, &media());
        let all: Vec<u8> = packets.concat();
        assert_eq!(all[..100], (0..100).collect::<Vec<u8>>());
        assert_eq!(all[100..108], [ULAW_SILENCE; 8]);
        assert_eq!(all[108..128], (100..120).collect::<Vec<u8>>());
        assert_eq!(all[128..], [ULAW_SILENCE; 32]);
    }

    #[test]
    fn a_list_is_played_as_often_as_asked() {
        let all = play(vec![prompt(0..80)], 3, &media()).concat();
        assert_eq!(all, (0..80).collect::<Vec<u8>>().repeat(3));
        assert_eq!(play(vec![prompt(0..80)], 0, &media()).len(), 100, "until stopped");
    }

    #[test]
    fn an_endless_tone_goes_round_without_a_seam() {
        let tone = EncodedPrompt::new(Codec::Pcmu, (0..50).collect::<Vec<u8>>()).endless();
        let all = play(vec![Segment::Audio(Arc::new(tone))], 1, &media()).concat();
        assert!(all.iter().enumerate().all(|(at, &byte)| usize::from(byte) == at % 50));
    }

    #[test]
    fn a_list_of_nothing_ends() {
        assert_eq!(
            play(vec![Segment::SilenceMs(0), prompt(0..0), Segment::Keys("".into())], 0, &media()).len(),
            0
        );
    }

    #[test]
    fn a_prompt_is_converted_to_the_other_law_and_one_of_another_codec_is_passed_over() {
        let silent = EncodedPrompt::new(Codec::Pcmu, vec![ULAW_SILENCE; 80]);
        let a_law = Media { codec: Codec::Pcma, ..media() };
        assert_eq!(play(vec![Segment::Audio(Arc::new(silent))], 1, &a_law), [[ALAW_SILENCE; 80]]);
        assert_eq!(
            play(vec![prompt(0..80)], 1, &Media { codec: Codec::L16 { rate_hz: 8_000 }, ..media() }).len(),
            0
        );
    }

    #[test]
    fn a_key_grows_ends_three_times_and_is_followed_by_a_pause() {
        let packets = play(vec![Segment::Keys("5#".into())], 1, &Media { ptime_ms: 20, ..media() });
        let durations = |event: u8| {
            let step = |end: u8, ms: u16| [&[event, end | 10], &(ms * 8).to_be_bytes()[..]].concat();
            let growing = [20, 40, 60, 80].map(|ms| step(0, ms));
            let mut all = growing.to_vec();
            all.extend(vec![step(0x80, 100); 3]);
            all.extend(vec![Vec::new(); 3]);
            all
        };
        assert_eq!(packets, [durations(5), durations(11)].concat());
    }

    #[test]
    fn a_key_has_the_times_and_the_level_that_it_is_given() {
        let keys = Keys { on_ms: 40, off_ms: 80, level_dbm0: Some(-20), ..Keys::from("5") };
        let packets = play(vec![Segment::Keys(keys)], 1, &Media { ptime_ms: 20, ..media() });
        let step = |end: u8, ms: u16| [&[5, end | 20], &(ms * 8).to_be_bytes()[..]].concat();
        let end = step(0x80, 40);
        let wanted = [step(0, 20), end.clone(), end.clone(), end, Vec::new(), Vec::new()];
        assert_eq!(packets, wanted);
    }

    #[test]
    fn a_key_longer_than_its_duration_field_goes_on_in_a_new_segment() {
        let media = Media { codec: Codec::Opus, ptime_ms: 20, ..media() };
        let keys = Keys { on_ms: 2_000, ..Keys::from("1") };
        let mut player = Player::new("p".into(), vec![Segment::Keys(keys)], 1, Time(0));
        let mut all = Vec::new();
        loop {
            let mut out = [0; 100];
            let (tick, _) = player.advance(player.next_tick(), 20);
            let Tick::Event { began, first } = player.tick(tick, &media, &mut out) else { break };
            all.push((began, first, u16::from_be_bytes([out[2], out[3]]), out[1] >> 7 == 1));
        }
        // 68 packets of 960 are 65,280; the rest of the 100 begins anew.
        assert_eq!(all[67], (Time(0), false, 65_280, false));
        assert_eq!(all[68], (Time::from_ms(1_360), false, 960, false));
        assert_eq!(all[99], (Time::from_ms(1_360), false, 32 * 960, true));
        assert_eq!(all[102..], [], "the end comes three times");
        assert_eq!(all.iter().filter(|(_, first, ..)| *first).count(), 1);
    }

    #[test]
    fn a_late_tick_moves_the_rest_back_without_a_burst() {
        let mut player = Player::new("p".into(), vec![prompt(0..200)], 1, Time::from_ms(100));
        assert_eq!(player.advance(Time::from_ms(105), 20), (Time::from_ms(100), false));
        assert_eq!(player.advance(Time::from_ms(190), 20), (Time::from_ms(180), true));
        assert_eq!(player.next_tick(), Time::from_ms(200));
    }
}
