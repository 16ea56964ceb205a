//! Playing to a leg: prompts, tones, silence and keys, one packet per tick.

mod key_sequence;

use std::sync::Arc;

use offhook_proto::{Codec, Media};

pub(crate) use self::key_sequence::keys_ms;
use self::key_sequence::{KeyStep, key, key_steps};
use super::continuation::MEMORY_BYTES;
use super::encoding::{bytes_in, convert, fill, in_place, packet, packet_ms, tells_silence};
use crate::prompt::Segment;
use crate::{Extent, Time};

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
    /// Whether this is not the first round.
    went_round: bool,
    /// Milliseconds that may still be played; none without a limit.
    left_ms: Option<u64>,
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

impl Player {
    /// A play to a leg of these media, whose first packet is due at `first_tick`.
    pub(crate) fn new(
        name: String,
        segments: Vec<Segment>,
        extent: Extent,
        media: &Media,
        first_tick: Time,
    ) -> Self {
        let mut player = Self {
            name,
            segments,
            rounds: extent.times,
            at: 0,
            position: 0,
            next_tick: first_tick,
            key_began: first_tick,
            sounded: false,
            went_round: false,
            left_ms: (extent.limit_ms > 0).then_some(extent.limit_ms.into()),
        };
        player.begin_at(extent.start_ms.into(), media);
        player
    }

    /// Goes so many milliseconds into the first round.
    fn begin_at(&mut self, mut ms: u64, media: &Media) {
        self.sounded = ms > 0;
        while let Some(segment) = self.segments.get(self.at) {
            let Some(over_ms) = segment.duration_ms(packet_ms(media)).filter(|length_ms| *length_ms <= ms)
            else {
                self.position = steps(segment, media, ms);
                return;
            };
            ms -= over_ms;
            self.at += 1;
        }
    }

    /// How much of the list has been sent in this round, in milliseconds.
    pub(crate) fn position_ms(&self, media: &Media) -> u64 {
        let before = self.segments.iter().take(self.at);
        let before_ms: u64 = before.filter_map(|segment| segment.duration_ms(packet_ms(media))).sum();
        before_ms
            + self.segments.get(self.at).map_or(0, |segment| milliseconds(segment, media, self.position))
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
        // A key has to be let go.
        if self.left_ms == Some(0) && !self.is_among_keys(media) {
            return Tick::End;
        }
        let lasts_ms = self.packet_ms(media);
        self.left_ms = self.left_ms.map(|left_ms| left_ms.saturating_sub(lasts_ms.into()));
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
            let (room, again) = (&mut out[filled..wanted], self.follows_itself());
            let step = match segment {
                Segment::Audio(prompt) => audio(prompt, self.position, again, media.codec, room),
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
                    prompt.packet(self.position, self.follows_itself()).map(|packet| {
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

    /// Whether keys of a sequence are still to be sent after others of it.
    fn is_among_keys(&self, media: &Media) -> bool {
        let Some(Segment::Keys(keys)) = self.segments.get(self.at) else { return false };
        let (_, of_key) = key_steps(keys, packet_ms(media));
        (1..keys.keys.len() * of_key).contains(&self.position)
    }

    fn next_round(&mut self) -> bool {
        let again = self.sounded && self.rounds != 1;
        if again {
            self.rounds = self.rounds.saturating_sub(1);
            (self.at, self.position, self.sounded, self.went_round) = (0, 0, false, true);
        }
        again
    }

    /// Whether what is played now was played just before, too.
    fn follows_itself(&self) -> bool {
        let before = match self.at.checked_sub(1) {
            Some(before) => self.segments.get(before),
            None => self.segments.last().filter(|_| self.went_round),
        };
        let (Some(Segment::Audio(before)), Some(Segment::Audio(now))) = (before, self.segments.get(self.at))
        else {
            return false;
        };
        Arc::ptr_eq(before, now)
    }
}

/// Copies audio from `position` on, and returns how much; 0 at the end, and for an encoding that the leg cannot be sent.
fn audio(prompt: &crate::EncodedPrompt, position: usize, again: bool, codec: Codec, out: &mut [u8]) -> usize {
    if !in_place(prompt.codec(), codec) {
        return 0;
    }
    let left = prompt.run(position, again);
    let count = left.len().min(out.len());
    out[..count].copy_from_slice(&left[..count]);
    convert(prompt.codec(), codec, &mut out[..count]);
    count
}

/// Steps of progress within a part in so many milliseconds, in whole samples, packets or keys.
fn steps(segment: &Segment, media: &Media, ms: u64) -> usize {
    let (bytes, packets) =
        (|codec| bytes_in(codec, ms as usize), |lasts_ms: u8| ms as usize / usize::from(lasts_ms));
    match segment {
        Segment::Audio(prompt) => {
            prompt.packet_ms().map(packets).or_else(|| bytes(prompt.codec())).unwrap_or(0)
        }
        Segment::SilenceMs(_) => bytes(media.codec).unwrap_or_else(|| packets(packet_ms(media))),
        Segment::Keys(keys) => {
            let (_, of_key) = key_steps(keys, packet_ms(media));
            packets(packet_ms(media)) / of_key * of_key
        }
    }
}

/// Milliseconds of so many steps, of an endless part within its round.
fn milliseconds(segment: &Segment, media: &Media, steps: usize) -> u64 {
    let of_bytes = |codec| bytes_in(codec, 1_000).map(|a_second| steps as u64 * 1_000 / a_second as u64);
    let of_packets = |lasts_ms: u8| steps as u64 * u64::from(lasts_ms);
    match segment {
        Segment::Audio(prompt) => {
            let ms = prompt.packet_ms().map(of_packets).or_else(|| of_bytes(prompt.codec())).unwrap_or(0);
            if prompt.is_endless() { ms % prompt.duration_ms() } else { ms }
        }
        Segment::SilenceMs(_) => of_bytes(media.codec).unwrap_or_else(|| of_packets(packet_ms(media))),
        Segment::Keys(_) => of_packets(packet_ms(media)),
    }
}

fn silence(ms: u32, position: usize, codec: Codec, out: &mut [u8]) -> usize {
    let left = bytes_in(codec, ms as usize).unwrap_or(0).saturating_sub(position);
    let count = left.min(out.len());
    fill(codec, &mut out[..count]);
    count
}

#[cfg(test)]
mod tests;
