//! An adaptive jitter buffer: packets in as they come, audio out as it should play.
//!
//! It is driven by its reader: whoever needs audio pulls, with the time, and learns what to play next. The playing
//! delay follows the jitter that 97 % of the packets stay below, and changes where nobody hears it: in pauses of the
//! sender, in quiet audio, or in place of a loss. Only far too long a delay is cut in the middle of speech.

mod delay;
mod store;

use crate::codec::Codec;
use delay::DelayEstimator;
use store::{Packet, Store};

/// What a packet holds, by its payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Audio that plays for this long, in timestamp units.
    Audio {
        /// From [`crate::codec::Codec::payload_ts`].
        duration_ts: u32,
    },
    /// Comfort noise until the next audio.
    ComfortNoise,
}

/// What to play next.
#[derive(Debug, PartialEq, Eq)]
pub enum Pulled<'a> {
    /// This audio.
    Audio(&'a [u8]),
    /// This audio is left out to lower the delay; what follows begins in its place. Pull again.
    Skip(&'a [u8]),
    /// The background noise described here, until something else is pulled.
    ComfortNoise(&'a [u8]),
    /// Something like what was before: audio is lost, or time must be gained.
    Conceal {
        /// For how long, in timestamp units.
        duration_ts: u32,
        /// The packet right after a loss, which may hold a copy of what is lost (Opus).
        next: Option<&'a [u8]>,
    },
    /// Nothing for as long as is needed now: the sender is silent or the buffer fills.
    Nothing,
}

/// Limits of a [`JitterBuffer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitterConfig {
    /// RTP clock rate.
    pub clock_rate_hz: u32,
    /// Delay until the jitter is known.
    pub initial_delay_ms: u32,
    /// Lowest delay.
    pub min_delay_ms: u32,
    /// Highest delay; audio older than this is dropped.
    pub max_delay_ms: u32,
    /// Longest payload kept; longer ones are counted as dropped.
    pub max_payload_bytes: usize,
}

impl JitterConfig {
    /// The usual ones for a codec, with room for 60 ms of it, or what a datagram holds.
    #[must_use]
    pub fn of(codec: Codec) -> Self {
        let usual = Self::new(codec.clock_rate_hz());
        let longest = codec.payload_bytes(60).unwrap_or(0).min(LONGEST_PAYLOAD);
        Self { max_payload_bytes: usual.max_payload_bytes.max(longest), ..usual }
    }

    /// The usual limits, for a clock rate in Hz.
    #[must_use]
    pub const fn new(clock_rate_hz: u32) -> Self {
        Self {
            clock_rate_hz,
            initial_delay_ms: 40,
            min_delay_ms: 20,
            max_delay_ms: 300,
            max_payload_bytes: 1000,
        }
    }
}

/// What happened to the packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets taken in.
    pub received: u64,
    /// Packets that came after their time.
    pub late: u64,
    /// Packets that were there already.
    pub duplicate: u64,
    /// Packets too long, or thrown away as the buffer was full.
    pub overflow: u64,
    /// Packets skipped to lower the delay.
    pub skipped: u64,
    /// Frames concealed for want of their packet.
    pub concealed: u64,
    /// Frames put in to raise the delay.
    pub stretched: u64,
    /// Times that the stream jumped and the buffer began anew.
    pub resets: u64,
}

/// The buffer of one stream.
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    config: JitterConfig,
    store: Store,
    delay: DelayEstimator,
    /// How much is pulled at once.
    step_ms: u32,
    state: State,
    /// Newest sequence number and timestamp, extended over wraps; zero point is arbitrary.
    newest: Option<(i64, i64)>,
    frame_ts: u32,
    stats: JitterStats,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing plays; the oldest packet will, when its time comes.
    Waiting,
    Playing {
        next_seq: i64,
        next_ts: i64,
        /// Frames concealed in a row.
        missing: u32,
    },
}

impl JitterBuffer {
    /// An empty buffer. A clock rate of zero counts as 8000.
    #[must_use]
    pub fn new(mut config: JitterConfig) -> Self {
        if config.clock_rate_hz == 0 {
            config.clock_rate_hz = 8000;
        }
        Self {
            store: Store::new(config.max_payload_bytes),
            delay: DelayEstimator::new(config.initial_delay_ms),
            step_ms: 0,
            state: State::Waiting,
            newest: None,
            frame_ts: config.clock_rate_hz / 50,
            stats: JitterStats::default(),
            config,
        }
    }

    /// Counters since the start.
    #[must_use]
    pub const fn stats(&self) -> JitterStats {
        self.stats
    }

    /// The delay that is aimed at now: from a packet's arrival without jitter to its playing.
    #[must_use]
    pub fn target_delay_ms(&self) -> u32 {
        self.delay.target_ms().clamp(self.config.min_delay_ms, self.config.max_delay_ms)
    }

    /// Takes a packet that arrived at `now_us`, by the caller's clock.
    pub fn insert(&mut self, now_us: u64, seq: u16, ts: u32, content: Content, payload: &[u8]) {
        self.stats.received += 1;
        if payload.len() > self.config.max_payload_bytes {
            self.stats.overflow += 1;
            return;
        }
        let (seq, ts) = self.extend(seq, ts);
        let transit_ms = (self.now_ts(now_us) - ts) * 1000 / i64::from(self.config.clock_rate_hz);
        if self.delay.excess_ms(transit_ms).is_some_and(|ms| ms > STANDSTILL_MS) {
            // The sender's clock stood still, as on hold: what it says now is not late.
            self.restart();
        }
        self.delay.on_packet(now_us / 1000, transit_ms);
        if let Content::Audio { duration_ts } = content
            && duration_ts > 0
        {
            self.frame_ts = duration_ts;
        }
        if let State::Playing { next_seq, next_ts, .. } = self.state
            && (seq < next_seq || ts < next_ts)
        {
            self.stats.late += 1;
            return;
        }
        match self.store.insert(Packet { seq, ts, content }, payload) {
            store::Inserted::New => {}
            store::Inserted::Duplicate => self.stats.duplicate += 1,
            store::Inserted::InPlaceOfOlder => self.stats.overflow += 1,
            store::Inserted::TooOld => self.stats.late += 1,
        }
    }

    /// Tells how much is pulled at once, in ms: packets that are shorter wait for each other that long, which is no surplus.
    pub fn pull_in_steps_of(&mut self, step_ms: u32) {
        self.step_ms = step_ms;
    }

    /// What to play now. `quiet` says that the audio pulled last was: then the delay may be corrected.
    pub fn pull(&mut self, now_us: u64, quiet: bool) -> Pulled<'_> {
        match self.state {
            State::Waiting => self.pull_waiting(now_us),
            State::Playing { next_seq, next_ts, missing } => {
                self.pull_playing(now_us, quiet, next_seq, next_ts, missing)
            }
        }
    }

    fn pull_waiting(&mut self, now_us: u64) -> Pulled<'_> {
        let Some(packet) = self.store.oldest() else { return Pulled::Nothing };
        match packet.content {
            Content::ComfortNoise => Pulled::ComfortNoise(self.store.take(packet.seq)),
            Content::Audio { duration_ts } => {
                if self.delay_ms_of(now_us, packet.ts) < i64::from(self.target_delay_ms()) {
                    return Pulled::Nothing;
                }
                self.play(packet, duration_ts)
            }
        }
    }

    fn pull_playing(
        &mut self,
        now_us: u64,
        quiet: bool,
        next_seq: i64,
        next_ts: i64,
        missing: u32,
    ) -> Pulled<'_> {
        let Some(packet) = self.store.oldest() else {
            return self.starve(now_us, next_seq, next_ts, missing);
        };
        let Content::Audio { duration_ts } = packet.content else {
            self.state = State::Waiting;
            return Pulled::ComfortNoise(self.store.take(packet.seq));
        };
        if packet.ts > next_ts {
            let gap = packet.ts - next_ts;
            if packet.seq == next_seq || gap > i64::from(self.frame_ts) * MAX_MISSING {
                // The sender paused, or too much is lost to conceal: play the packet when its time comes.
                self.state = State::Waiting;
                return self.pull_waiting(now_us);
            }
            return self.conceal_loss(now_us, next_seq, next_ts, packet, missing);
        }
        let delay_ms = self.delay_ms_of(now_us, packet.ts);
        let target_ms = i64::from(self.target_delay_ms());
        let frame_ms = self.frame_ms();
        if quiet && delay_ms + frame_ms <= target_ms {
            self.stats.stretched += 1;
            return Pulled::Conceal { duration_ts: self.frame_ts, next: None };
        }
        let surplus_ms = delay_ms - target_ms - frame_ms.max(i64::from(self.step_ms));
        let worth_hearing = surplus_ms > MAX_SURPLUS_MS || delay_ms > i64::from(self.config.max_delay_ms);
        if surplus_ms > 0 && (quiet || worth_hearing) {
            self.stats.skipped += 1;
            return Pulled::Skip(self.take(packet, duration_ts));
        }
        self.play(packet, duration_ts)
    }

    fn play(&mut self, packet: Packet, duration_ts: u32) -> Pulled<'_> {
        Pulled::Audio(self.take(packet, duration_ts))
    }

    fn take(&mut self, packet: Packet, duration_ts: u32) -> &[u8] {
        self.state = State::Playing {
            next_seq: packet.seq + 1,
            next_ts: packet.ts + i64::from(duration_ts),
            missing: 0,
        };
        self.store.take(packet.seq)
    }

    /// No packet at all: gain time if the delay is too short, else go on without the missing ones.
    fn starve(&mut self, now_us: u64, next_seq: i64, next_ts: i64, missing: u32) -> Pulled<'_> {
        if i64::from(missing) >= MAX_MISSING {
            self.state = State::Waiting;
            return Pulled::Nothing;
        }
        let short = self.delay_ms_of(now_us, next_ts) < i64::from(self.target_delay_ms());
        let advance = if short { 0 } else { i64::from(self.frame_ts) };
        if short {
            self.stats.stretched += 1;
        } else {
            self.stats.concealed += 1;
        }
        // The sequence number is not known to be skipped: the sender may pause.
        self.state = State::Playing { next_seq, next_ts: next_ts + advance, missing: missing + 1 };
        Pulled::Conceal { duration_ts: self.frame_ts, next: None }
    }

    /// `packet` is here, the ones before it are not.
    fn conceal_loss(
        &mut self,
        now_us: u64,
        next_seq: i64,
        next_ts: i64,
        packet: Packet,
        missing: u32,
    ) -> Pulled<'_> {
        let gap = packet.ts - next_ts;
        let duration_ts = gap.min(i64::from(self.frame_ts)) as u32;
        let last = gap <= i64::from(self.frame_ts);
        let step_ms = self.frame_ms().max(i64::from(self.step_ms));
        let too_late = self.delay_ms_of(now_us, next_ts) > i64::from(self.target_delay_ms()) + step_ms;
        let after = next_ts + i64::from(duration_ts);
        let next_seq = if last { packet.seq } else { next_seq };
        self.state = State::Playing { next_seq, next_ts: after, missing: missing + 1 };
        if too_late && !last {
            // A loss is the cheapest place to lower the delay.
            self.stats.skipped += 1;
            return self.pull(now_us, false);
        }
        self.stats.concealed += 1;
        let next = last.then(|| self.store.payload(packet.seq));
        Pulled::Conceal { duration_ts, next }
    }

    /// How long after its arrival without jitter a timestamp would play now.
    fn delay_ms_of(&self, now_us: u64, ts: i64) -> i64 {
        let transit_ms = (self.now_ts(now_us) - ts) * 1000 / i64::from(self.config.clock_rate_hz);
        transit_ms - self.delay.base_ms()
    }

    fn frame_ms(&self) -> i64 {
        i64::from(self.frame_ts) * 1000 / i64::from(self.config.clock_rate_hz)
    }

    fn now_ts(&self, now_us: u64) -> i64 {
        (u128::from(now_us) * u128::from(self.config.clock_rate_hz) / 1_000_000) as i64
    }

    /// Extends a sequence number and timestamp; a jump in either begins anew.
    fn extend(&mut self, seq: u16, ts: u32) -> (i64, i64) {
        let fresh = (i64::from(seq), i64::from(ts));
        let Some((newest_seq, newest_ts)) = self.newest else {
            self.newest = Some(fresh);
            return fresh;
        };
        let seq_step = i64::from(seq.wrapping_sub(newest_seq as u16) as i16);
        let ts_step = i64::from(ts.wrapping_sub(newest_ts as u32) as i32);
        let max_ts_step = i64::from(self.config.clock_rate_hz) * MAX_JUMP_S;
        let against = seq_step.signum() * ts_step.signum() < 0;
        if seq_step.abs() > MAX_SEQ_JUMP || (seq_step != 0 && (ts_step.abs() > max_ts_step || against)) {
            self.restart();
            self.newest = Some(fresh);
            return fresh;
        }
        let extended = (newest_seq + seq_step, newest_ts + ts_step);
        if seq_step > 0 {
            self.newest = Some(extended);
        }
        extended
    }

    fn restart(&mut self) {
        self.stats.resets += 1;
        self.store.clear();
        self.delay = DelayEstimator::new(self.target_delay_ms());
        self.state = State::Waiting;
    }
}

/// Frames concealed in a row before the stream counts as paused.
/// Bytes of the longest payload that is played: 20 ms of linear samples at 48 kHz, which come in fragments where they must.
const LONGEST_PAYLOAD: usize = 1_920;
const MAX_MISSING: i64 = 5;
/// Delay beyond the target that is cut at once, quiet or not.
const MAX_SURPLUS_MS: i64 = 60;
/// A packet this much slower than the fastest was not late on its way.
const STANDSTILL_MS: i64 = 2000;
const MAX_SEQ_JUMP: i64 = 1000;
/// A pause of the sender may be long; a jump beyond this is another stream.
const MAX_JUMP_S: i64 = 600;

#[cfg(test)]
mod tests;
