//! What goes out: one stream for as long as the leg lives.
//!
//! One SSRC, unbroken sequence numbers, and timestamps that go on by the time that has passed, through any number of splices,
//! prompts, tones and silences. Each source is anchored when it begins: its numbers are shifted to follow what was sent
//! before. Gaps inside a source stay gaps, so that the listener's reports tell the truth about the network.

mod forwarded;

use crate::leg::Payload;
use crate::leg::receive::us_to_ts;
use crate::limits::{MAX_DROPOUT, MAX_MISORDER};
use crate::rtp::Stamp;
use crate::{DropReason, Time};

/// A jump of a source's timestamps, against the time that has passed, beyond which they are anchored again.
const TIMESTAMP_JUMP_SECONDS: u32 = 5;

/// The one stream that a leg's peer hears.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    ssrc: u32,
    next_sequence: u16,
    /// Highest timestamp sent.
    last_timestamp: u32,
    clock: Option<Clock>,
    /// How far timestamps are ahead of the time that has passed, in microseconds: sources began inside what was sent last.
    ahead_us: u64,
    anchor: Option<Anchor>,
    packets: u64,
    payload_bytes: u64,
}

/// What moment a timestamp stood for: that of the last packet that says so.
#[derive(Clone, Copy, Debug)]
struct Clock {
    timestamp: u32,
    at: Time,
    /// Timestamp units that the packet lasts.
    duration_ts: u32,
}

/// Who is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The partner's stream of this SSRC.
    Partner(u32),
    /// A prompt, tone or key.
    Player,
    /// Silence made here.
    Idle,
    /// The partner in another encoding, made here.
    Conversion,
}

/// One packet on its way out, numbered by its source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbered {
    pub(crate) source: Source,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) payload: Payload,
    /// Timestamp units that it lasts.
    pub(crate) duration_ts: u32,
    /// Timestamp units a second.
    pub(crate) clock_rate: u32,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    source: Source,
    /// The source's highest sequence number so far.
    highest: u16,
    /// Sequence numbers since the anchor, or since one was left out: how far back a late packet still has a number of its own.
    reach: u16,
    sequence_shift: u16,
    timestamp_shift: u32,
    /// The source's last timestamp that stood for its own moment, and when it came.
    own_timestamp: u32,
    own_at: Time,
    /// No audio was sent since the anchor: the next one begins a talkspurt.
    marker_due: bool,
    /// Sequence number after a jump backwards: the source has restarted when it comes.
    restart_at: Option<u16>,
}

impl Stream {
    /// A stream that starts with these numbers.
    pub(crate) fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            next_sequence: sequence,
            last_timestamp: timestamp,
            clock: None,
            ahead_us: 0,
            anchor: None,
            packets: 0,
            payload_bytes: 0,
        }
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Packets and payload bytes sent.
    pub(crate) fn sent(&self) -> (u64, u64) {
        (self.packets, self.payload_bytes)
    }

    /// The timestamp that a packet sent now would bear.
    pub(crate) fn timestamp_at(&self, now: Time, clock_rate: u32) -> u32 {
        let Some(clock) = self.clock else { return self.last_timestamp };
        clock.timestamp.wrapping_add(us_to_ts(now.since(clock.at), clock_rate))
    }

    /// Ends the present source: whatever comes next follows on as a talkspurt of its own.
    pub(crate) fn break_off(&mut self) {
        self.anchor = None;
    }

    /// Leaves silence unsent: what comes next of the present source, if it is this one, begins a talkspurt.
    pub(crate) fn pause(&mut self, source: Source) {
        if let Some(anchor) = self.anchor.as_mut().filter(|anchor| anchor.source == source) {
            anchor.marker_due = true;
        }
    }

    /// Stamps a packet as the next of this stream.
    ///
    /// # Errors
    /// `Late` when it is older than what this source was anchored at.
    pub(crate) fn stamp(
        &mut self,
        now: Time,
        packet: &Numbered,
        payload_bytes: usize,
    ) -> Result<Stamp, DropReason> {
        let mut anchor = match self.anchor {
            Some(anchor) if anchor.source == packet.source => anchor,
            _ => self.anchored(now, packet),
        };
        let ahead = packet.sequence.wrapping_sub(anchor.highest);
        if ahead < MAX_DROPOUT {
            anchor.highest = packet.sequence;
            anchor.reach = anchor.reach.saturating_add(ahead);
        } else if ahead < 0x8000 {
            anchor = self.anchored(now, packet);
        } else if ahead <= u16::MAX - MAX_MISORDER {
            if anchor.restart_at != Some(packet.sequence) {
                anchor.restart_at = Some(packet.sequence.wrapping_add(1));
                self.anchor = Some(anchor);
                return Err(DropReason::Late);
            }
            anchor = self.anchored(now, packet);
        } else if ahead.wrapping_neg() > anchor.reach {
            return Err(DropReason::Late);
        }
        anchor.restart_at = None;
        let audio = packet.payload == Payload::Audio;
        if packet.payload.has_own_moment() && ahead < 0x8000 {
            self.follow_timestamps(now, packet, &mut anchor);
        }
        let marker = packet.marker || audio && anchor.marker_due;
        anchor.marker_due &= !audio;
        let stamp = Stamp {
            marker,
            payload_type: packet.payload_type,
            sequence: packet.sequence.wrapping_add(anchor.sequence_shift),
            timestamp: packet.timestamp.wrapping_add(anchor.timestamp_shift),
            ssrc: self.ssrc,
        };
        self.anchor = Some(anchor);
        self.note_sent(now, &stamp, packet, payload_bytes);
        Ok(stamp)
    }

    /// Stamps a packet made here; the sequence number of `packet` is of no account.
    pub(crate) fn stamp_made(&mut self, now: Time, mut packet: Numbered, payload_bytes: usize) -> Stamp {
        packet.sequence = match self.anchor {
            Some(anchor) if anchor.source == packet.source => anchor.highest.wrapping_add(1),
            _ => 0,
        };
        self.stamp(now, &packet, payload_bytes).expect("numbers made here never run backwards")
    }

    /// Takes note of a packet of the present source that is not sent on, so that the listener sees no gap for it.
    pub(crate) fn swallow(&mut self, source: Source, sequence: u16) {
        if let Some(anchor) = &mut self.anchor
            && anchor.source == source
            && sequence == anchor.highest.wrapping_add(1)
        {
            anchor.highest = sequence;
            anchor.reach = 0;
            anchor.sequence_shift = anchor.sequence_shift.wrapping_sub(1);
        }
    }

    fn anchored(&mut self, now: Time, packet: &Numbered) -> Anchor {
        let timestamp = self.following_timestamp(now, packet.clock_rate);
        Anchor {
            source: packet.source,
            highest: packet.sequence,
            reach: 0,
            sequence_shift: self.next_sequence.wrapping_sub(packet.sequence),
            timestamp_shift: timestamp.wrapping_sub(packet.timestamp),
            own_timestamp: packet.timestamp,
            own_at: now,
            marker_due: true,
            restart_at: None,
        }
    }

    /// The timestamp of a source that begins now: by the time that has passed, and not inside what was sent last. What it is ahead
    /// of its time for that is taken back where there is room.
    fn following_timestamp(&mut self, now: Time, clock_rate: u32) -> u32 {
        let Some(clock) = self.clock else { return self.last_timestamp };
        let elapsed = us_to_ts(now.since(clock.at), clock_rate);
        let ahead = us_to_ts(self.ahead_us, clock_rate);
        let following = clock.timestamp.wrapping_add(elapsed.saturating_sub(ahead).max(clock.duration_ts));
        let behind = following.wrapping_sub(self.last_timestamp) >= 0x8000_0000;
        let timestamp = if behind { self.last_timestamp } else { following };
        let in_time = clock.timestamp.wrapping_add(elapsed).wrapping_sub(ahead);
        let still_ahead = timestamp.wrapping_sub(in_time) as i32;
        self.ahead_us = still_ahead.max(0) as u64 * 1_000_000 / u64::from(clock_rate.max(1));
        timestamp
    }

    /// Anchors a source's timestamps again when they jump against the time that has passed.
    fn follow_timestamps(&mut self, now: Time, packet: &Numbered, anchor: &mut Anchor) {
        if is_jump(now, packet, anchor) {
            let timestamp = self.following_timestamp(now, packet.clock_rate);
            anchor.timestamp_shift = timestamp.wrapping_sub(packet.timestamp);
            anchor.marker_due = true;
        }
        anchor.own_timestamp = packet.timestamp;
        anchor.own_at = now;
    }

    fn note_sent(&mut self, now: Time, stamp: &Stamp, packet: &Numbered, payload_bytes: usize) {
        self.packets += 1;
        self.payload_bytes += payload_bytes as u64;
        if stamp.sequence.wrapping_sub(self.next_sequence) >= 0x8000 {
            return;
        }
        self.next_sequence = stamp.sequence.wrapping_add(1);
        let clock = Clock { timestamp: stamp.timestamp, at: now, duration_ts: packet.duration_ts };
        self.note_clock(clock, packet.payload.has_own_moment());
    }

    /// Takes note of the timestamp that was sent, unless a later one was, and of its moment where that is its own.
    fn note_clock(&mut self, clock: Clock, has_own_moment: bool) {
        if clock.timestamp.wrapping_sub(self.last_timestamp) >= 0x8000_0000 {
            return;
        }
        self.last_timestamp = clock.timestamp;
        if has_own_moment || self.clock.is_none() {
            self.clock = Some(clock);
        }
    }
}

/// Whether a source's timestamp jumps against the time that has passed.
fn is_jump(now: Time, packet: &Numbered, anchor: &Anchor) -> bool {
    let moved = packet.timestamp.wrapping_sub(anchor.own_timestamp) as i32;
    let elapsed = us_to_ts(now.since(anchor.own_at), packet.clock_rate) as i32;
    let jump = moved.wrapping_sub(elapsed).unsigned_abs();
    jump > packet.clock_rate.saturating_mul(TIMESTAMP_JUMP_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio(source: u32, sequence: u16, timestamp: u32) -> Numbered {
        Numbered {
            source: Source::Partner(source),
            sequence,
            timestamp,
            marker: false,
            payload_type: 0,
            payload: Payload::Audio,
            duration_ts: 160,
            clock_rate: 8_000,
        }
    }

    fn stamp(stream: &mut Stream, now_ms: u64, packet: &Numbered) -> Result<(u16, u32, bool), DropReason> {
        stream.stamp(Time::from_ms(now_ms), packet, 160).map(|s| (s.sequence, s.timestamp, s.marker))
    }

    #[test]
    fn a_source_is_shifted_once_and_then_keeps_its_own_steps() {
        let mut stream = Stream::new(1, 1_000, 50_000);
        assert_eq!(stamp(&mut stream, 0, &audio(7, 30, 900)), Ok((1_000, 50_000, true)));
        assert_eq!(stamp(&mut stream, 20, &audio(7, 31, 1_060)), Ok((1_001, 50_160, false)));
        assert_eq!(stamp(&mut stream, 60, &audio(7, 33, 1_380)), Ok((1_003, 50_480, false)), "a loss stays");
        assert_eq!(
            stamp(&mut stream, 61, &audio(7, 32, 1_220)),
            Ok((1_002, 50_320, false)),
            "and may come yet"
        );
        assert_eq!(stamp(&mut stream, 80, &audio(7, 34, 1_540)), Ok((1_004, 50_640, false)));
    }

    #[test]
    fn a_late_packet_from_before_one_that_was_left_out_takes_nobodys_number() {
        let mut stream = Stream::new(1, 1_000, 50_000);
        assert_eq!(stamp(&mut stream, 0, &audio(7, 30, 900)), Ok((1_000, 50_000, true)));
        assert_eq!(stamp(&mut stream, 40, &audio(7, 32, 1_220)), Ok((1_002, 50_320, false)));
        stream.swallow(Source::Partner(7), 33);
        assert_eq!(stamp(&mut stream, 60, &audio(7, 35, 1_700)), Ok((1_004, 50_800, false)));
        assert_eq!(stamp(&mut stream, 61, &audio(7, 31, 1_060)), Err(DropReason::Late));
        assert_eq!(stamp(&mut stream, 62, &audio(7, 34, 1_540)), Ok((1_003, 50_640, false)), "it came after");
    }

    #[test]
    fn ten_thousand_sources_in_a_row_make_one_unbroken_stream() {
        let mut stream = Stream::new(1, 65_000, u32::MAX - 5_000);
        let (mut sequence, mut timestamp) = (65_000_u16, u32::MAX - 5_000);
        let mut now_ms = 0;
        for source in 0..10_000_u32 {
            stream.break_off();
            let (first, first_ts) = (source.wrapping_mul(7_919) as u16, source.wrapping_mul(0x9E37_79B9));
            for packet in 0..3_u16 {
                let numbered = audio(
                    source % 5,
                    first.wrapping_add(packet),
                    first_ts.wrapping_add(u32::from(packet) * 160),
                );
                assert_eq!(
                    stamp(&mut stream, now_ms, &numbered),
                    Ok((sequence, timestamp, packet == 0)),
                    "source {source}, packet {packet}"
                );
                sequence = sequence.wrapping_add(1);
                timestamp = timestamp.wrapping_add(160);
                now_ms += 20;
            }
        }
    }

    #[test]
    fn timestamps_go_on_by_the_time_between_two_sources() {
        let mut stream = Stream::new(1, 0, 0);
        assert_eq!(stamp(&mut stream, 0, &audio(7, 0, 0)), Ok((0, 0, true)));
        assert_eq!(stamp(&mut stream, 1_000, &audio(8, 9, 9)), Ok((1, 8_000, true)));
        assert_eq!(stamp(&mut stream, 1_001, &audio(9, 9, 9)), Ok((2, 8_160, true)), "never inside a packet");
    }

    #[test]
    fn what_sources_were_ahead_of_their_time_is_taken_back() {
        let mut stream = Stream::new(1, 0, 0);
        let mut sent =
            |now_ms: u64, source: u32| stamp(&mut stream, now_ms, &audio(source, 9, 9)).map(|sent| sent.1);
        assert_eq!([sent(0, 1), sent(5, 2), sent(10, 3)], [Ok(0), Ok(160), Ok(320)], "30 ms ahead");
        assert_eq!(sent(45, 4), Ok(480), "half of that is left");
        assert_eq!(sent(70, 5), Ok(640), "a third");
        assert_eq!(sent(100, 6), Ok(800), "nothing: 100 ms have passed");
        // Two that take turns, 12 ms apart: without end it would be 8 ms more at each of them.
        for turn in 0..1_000_u64 {
            let (early, late) = (200 + turn * 50, 212 + turn * 50);
            assert_eq!(sent(early, 7), Ok(early as u32 * 8), "turn {turn}");
            assert_eq!(sent(late, 8), Ok(early as u32 * 8 + 160), "turn {turn}");
        }
    }

    #[test]
    fn a_packet_from_before_the_anchor_is_late() {
        let mut stream = Stream::new(1, 0, 0);
        assert!(stamp(&mut stream, 0, &audio(7, 100, 0)).is_ok());
        assert_eq!(stamp(&mut stream, 1, &audio(7, 99, 0)), Err(DropReason::Late));
        assert!(stamp(&mut stream, 20, &audio(7, 101, 160)).is_ok());
        assert!(stamp(&mut stream, 21, &audio(7, 100, 0)).is_ok(), "a duplicate is passed as it came");
    }

    #[test]
    fn a_sender_that_restarts_its_numbers_is_anchored_again() {
        let mut stream = Stream::new(1, 0, 0);
        for packet in 0..200 {
            let sent = stamp(
                &mut stream,
                u64::from(packet) * 20,
                &audio(7, 10_000 + packet, 0x8000_0000 + u32::from(packet) * 160),
            );
            assert_eq!(sent.map(|sent| sent.0), Ok(packet));
        }
        assert_eq!(stamp(&mut stream, 4_000, &audio(7, 5, 80)), Err(DropReason::Late));
        assert_eq!(stamp(&mut stream, 4_020, &audio(7, 6, 240)), Ok((200, 199 * 160 + 320, true)));
        assert_eq!(stamp(&mut stream, 4_040, &audio(7, 7, 400)), Ok((201, 199 * 160 + 480, false)));
        assert_eq!(stamp(&mut stream, 4_060, &audio(7, 20_000, 560)), Ok((202, 199 * 160 + 640, true)));
    }

    #[test]
    fn a_jump_of_timestamps_alone_is_taken_out() {
        let mut stream = Stream::new(1, 0, 0);
        assert_eq!(stamp(&mut stream, 0, &audio(7, 0, 0)), Ok((0, 0, true)));
        assert_eq!(stamp(&mut stream, 20, &audio(7, 1, 3_000_000_000)), Ok((1, 160, true)));
        assert_eq!(stamp(&mut stream, 40, &audio(7, 2, 3_000_000_160)), Ok((2, 320, false)));
    }

    #[test]
    fn a_pause_in_discontinuous_speech_is_kept() {
        let mut stream = Stream::new(1, 0, 0);
        assert_eq!(stamp(&mut stream, 0, &audio(7, 0, 0)), Ok((0, 0, true)));
        assert_eq!(stamp(&mut stream, 60_000, &audio(7, 1, 480_000)), Ok((1, 480_000, false)));
    }

    #[test]
    fn what_is_swallowed_leaves_no_gap() {
        let mut stream = Stream::new(1, 0, 0);
        assert_eq!(stamp(&mut stream, 0, &audio(7, 10, 0)), Ok((0, 0, true)));
        stream.swallow(Source::Partner(7), 11);
        stream.swallow(Source::Partner(7), 12);
        assert_eq!(stamp(&mut stream, 60, &audio(7, 13, 480)), Ok((1, 480, false)));
    }

    #[test]
    fn the_time_that_a_key_was_held_is_not_lost() {
        let mut stream = Stream::new(1, 0, 0);
        assert_eq!(stamp(&mut stream, 0, &audio(7, 0, 0)), Ok((0, 0, true)));
        for step in 1..=10_u16 {
            let event = Numbered { payload: Payload::TelephoneEvent, ..audio(7, step, 160) };
            assert_eq!(stamp(&mut stream, u64::from(step) * 20, &event), Ok((step, 160, false)));
        }
        stream.break_off();
        assert_eq!(stamp(&mut stream, 220, &audio(8, 0, 0)), Ok((11, 1_760, true)));
    }

    #[test]
    fn an_event_does_not_take_the_marker_of_the_next_talkspurt() {
        let mut stream = Stream::new(1, 0, 0);
        let event =
            Numbered { payload: Payload::TelephoneEvent, marker: true, payload_type: 101, ..audio(7, 0, 0) };
        assert_eq!(stamp(&mut stream, 0, &event), Ok((0, 0, true)));
        let event = Numbered { marker: false, sequence: 1, ..event };
        assert_eq!(stamp(&mut stream, 20, &event), Ok((1, 0, false)));
        assert_eq!(stamp(&mut stream, 40, &audio(7, 2, 320)), Ok((2, 320, true)));
    }
}
