//! Follows a tone from its first window to its last, also over losses.

use super::spectrum::{Frame, HOP_MS};
use crate::level::dbm0_to_power;
use std::ops::RangeInclusive;

/// A steady tone, or two at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tone {
    /// The frequency, or the middle of two.
    pub(super) frequency_hz: f32,
    /// Two frequencies, both where call progress tones are.
    pub(super) dual: bool,
    /// Whether its level stood, as that of machines' tones does and that of vowels does not.
    pub(super) steady: bool,
    /// An edge that was lost is put into the middle of the loss.
    pub(super) begun_ms: u32,
    pub(super) duration_ms: u32,
    /// Time lost around its edges, by half of which each way the duration may be wrong.
    pub(super) lost_ms: u32,
    /// When it may have begun.
    pub(super) earliest_ms: u32,
}

pub(super) enum ToneChange {
    /// A tone has sounded for [`CONFIRM_MS`].
    Began,
    /// It has ended.
    Ended(Tone),
}

#[derive(Clone, Debug)]
pub(super) struct ToneTracker {
    /// Below it there is no tone.
    min_power: f32,
    now_ms: u32,
    current: Option<Current>,
    last_end_ms: u32,
    /// How long nothing has been known for want of audio.
    blurred_ms: u32,
    /// The last loss, and when it ended.
    loss_ms: u32,
    loss_end_ms: u32,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    dual_windows: u32,
    hz_sum: f32,
    windows: u32,
    begun_ms: u32,
    lost_before_ms: u32,
    /// When it was heard last.
    heard_ms: u32,
    /// Time lost since then, and time listened.
    lost_after_ms: u32,
    missing_ms: u32,
    peak_power: f32,
    /// Of the first windows but those right after losses.
    powers: [f32; STEADY_WINDOWS],
    powers_len: usize,
}

impl Tone {
    /// Whether it can be dial, ringing, busy or congestion tone.
    pub(super) fn is_progress(&self) -> bool {
        self.dual || (380.0..=500.0).contains(&self.frequency_hz)
    }

    /// Whether it lasts so many ms, or may have, where its edges are lost.
    pub(super) fn lasts(&self, range_ms: &RangeInclusive<u32>) -> bool {
        let either_way = self.lost_ms / 2;
        self.duration_ms + either_way >= *range_ms.start()
            && self.duration_ms.saturating_sub(either_way) <= *range_ms.end()
    }
}

impl ToneTracker {
    /// Hears tones of at least that level.
    pub(super) fn new(min_level_dbm0: i8) -> Self {
        let min_power = dbm0_to_power(min_level_dbm0.into());
        Self {
            min_power,
            now_ms: 0,
            current: None,
            last_end_ms: 0,
            blurred_ms: 0,
            loss_ms: 0,
            loss_end_ms: 0,
        }
    }

    /// The tone that sounds now, if it has for [`CONFIRM_MS`].
    pub(super) fn sounding(&self) -> Option<Tone> {
        self.current.filter(Current::is_confirmed).map(|c| c.tone())
    }

    /// When the last confirmed tone was heard last, or would have been.
    pub(super) fn last_end_ms(&self) -> u32 {
        self.last_end_ms
    }

    pub(super) fn on_frame(&mut self, frame: &Frame) -> Option<ToneChange> {
        self.now_ms += HOP_MS;
        if frame.blurred {
            self.blurred_ms += HOP_MS;
            let given_up = self.blurred_ms > MAX_LOSS_MS;
            return given_up.then(|| self.end()).flatten();
        }
        if self.blurred_ms > 0 {
            self.loss_ms = std::mem::take(&mut self.blurred_ms).min(MAX_LOSS_MS);
            self.loss_end_ms = self.now_ms;
        }
        let recovers = self.loss_ms > 0 && self.now_ms - self.loss_end_ms < RECOVERY_MS;
        let heard = self.heard(frame, recovers);
        if let Some(current) = &mut self.current {
            if let Some(heard) = heard
                && current.is_like(&heard, recovers)
            {
                let was_confirmed = current.is_confirmed();
                current.add(&heard, self.now_ms, recovers);
                return (current.is_confirmed() && !was_confirmed).then_some(ToneChange::Began);
            }
            if self.loss_end_ms > current.heard_ms {
                current.lost_after_ms = self.loss_ms;
            }
            current.missing_ms += HOP_MS;
            let patience_ms = if current.is_confirmed() { MISSING_MS } else { HOP_MS };
            let other = heard.is_some_and(|h| !current.is_like_frequency(&h));
            if current.missing_ms < patience_ms && !other {
                return None;
            }
        }
        // What was heard of a tone since the loss is not lost to the next one.
        let known = self.current.is_some_and(|c| c.is_confirmed() && c.heard_ms >= self.loss_end_ms);
        let lost_ms = if recovers && !known { self.loss_ms } else { 0 };
        let ended = self.end();
        self.current = heard.map(|h| Current::new(&h, self.now_ms, lost_ms));
        ended
    }

    fn end(&mut self) -> Option<ToneChange> {
        let ended = self.current.take().filter(Current::is_confirmed)?;
        let tone = ended.tone();
        self.last_end_ms = tone.begun_ms + tone.duration_ms - HOP_MS;
        Some(ToneChange::Ended(tone))
    }

    /// What the window sounds like. A tone goes on in noise in which it would not be taken for one.
    fn heard(&self, frame: &Frame, recovers: bool) -> Option<Heard> {
        let goes_on = |heard: &Heard| {
            self.current
                .is_some_and(|c| c.dual_windows == 0 && c.is_confirmed() && c.is_like(heard, recovers))
        };
        Heard::in_frame(frame, self.min_power, SINGLE_SHARE)
            .or_else(|| Heard::in_frame(frame, self.min_power, GOES_ON_SHARE).filter(goes_on))
    }
}

/// What a window sounds like, if it is a tone.
#[derive(Clone, Copy)]
struct Heard {
    hz: f32,
    dual: bool,
    power: f32,
}

impl Heard {
    /// `single_share` of the window's power makes one frequency a tone.
    fn in_frame(frame: &Frame, min_power: f32, single_share: f32) -> Option<Self> {
        if frame.power < min_power {
            return None;
        }
        let (first, second) = (frame.first, frame.second);
        if first.share >= single_share {
            return Some(Self { hz: first.hz, dual: false, power: frame.power * first.share });
        }
        // Two call progress frequencies: side by side, or so near that they melt into one wide peak that beats.
        let both = first.share + second.share;
        let dual = frame.progress_share >= PROGRESS_SHARE && both >= DUAL_SHARE;
        dual.then_some(Self { hz: (first.hz + second.hz) / 2.0, dual, power: frame.power })
    }
}

impl Current {
    fn new(heard: &Heard, now_ms: u32, lost_before_ms: u32) -> Self {
        let mut powers = [0.0; STEADY_WINDOWS];
        powers[0] = heard.power;
        Self {
            dual_windows: heard.dual.into(),
            hz_sum: heard.hz,
            windows: 1,
            begun_ms: now_ms,
            lost_before_ms,
            heard_ms: now_ms,
            lost_after_ms: 0,
            missing_ms: 0,
            peak_power: heard.power,
            powers,
            powers_len: 1,
        }
    }

    fn mean_hz(&self) -> f32 {
        self.hz_sum / self.windows as f32
    }

    /// Two frequencies as near as those of ringing tones melt into one whose frequency and power swing.
    fn may_beat(&self) -> bool {
        self.dual_windows > 0 || (380.0..=500.0).contains(&self.mean_hz())
    }

    /// Windows at the edges may look like two frequencies; most of them decide.
    fn is_dual(&self) -> bool {
        self.dual_windows * 2 > self.windows
    }

    /// Whether most of its first windows but those at the edges are nearly as loud as the loudest. Over three windows the swings
    /// of two frequencies that beat are evened out. Vowels are as pure as a tone only where call progress tones are.
    fn is_steady(&self) -> bool {
        if !is_low(self.mean_hz()) || self.powers_len < 3 {
            return true;
        }
        let inner = &self.powers[1..self.powers_len - 1];
        let sums = || inner.windows(3).map(|three| three.iter().sum::<f32>());
        let loudest = sums().fold(0.0, f32::max);
        sums().filter(|sum| *sum >= loudest * STEADY).count() * 4 >= sums().count() * 3
    }

    fn is_confirmed(&self) -> bool {
        self.windows * HOP_MS >= CONFIRM_MS
    }

    fn is_like_frequency(&self, heard: &Heard) -> bool {
        if self.dual_windows > 0 || heard.dual {
            return is_low(self.mean_hz()) && is_low(heard.hz);
        }
        let tolerance_hz = if self.may_beat() { 30.0 } else { (self.mean_hz() * 0.015).max(12.0) };
        (heard.hz - self.mean_hz()).abs() <= tolerance_hz
    }

    /// Half a window without the tone takes 3 dB of its power; that is where it begins and ends. After a loss decoders need a while
    /// to come back to it.
    fn is_like(&self, heard: &Heard, recovers: bool) -> bool {
        let floor = if recovers {
            0.05
        } else if self.may_beat() || heard.dual {
            0.2
        } else {
            0.45
        };
        self.is_like_frequency(heard) && heard.power >= self.peak_power * floor
    }

    fn add(&mut self, heard: &Heard, now_ms: u32, recovers: bool) {
        // The first windows hold the tone only partly; those under half the power come before its beginning, unless it began before
        // a loss.
        if heard.power > 2.2 * self.peak_power && self.dual_windows == 0 && self.windows < 3 && !heard.dual {
            let begun_ms = if self.heard_ms + HOP_MS < now_ms { self.begun_ms } else { now_ms };
            *self = Self { begun_ms, ..Self::new(heard, now_ms, self.lost_before_ms) };
            return;
        }
        if !recovers && let Some(power) = self.powers.get_mut(self.powers_len) {
            *power = heard.power;
            self.powers_len += 1;
        }
        self.dual_windows += u32::from(heard.dual);
        self.hz_sum += heard.hz;
        self.windows += 1;
        self.heard_ms = now_ms;
        self.missing_ms = 0;
        self.lost_after_ms = 0;
        self.peak_power = self.peak_power.max(heard.power);
    }

    fn tone(&self) -> Tone {
        let before_ms = self.lost_before_ms / 2;
        Tone {
            frequency_hz: self.mean_hz(),
            dual: self.is_dual(),
            steady: self.is_steady(),
            begun_ms: self.begun_ms.saturating_sub(before_ms),
            duration_ms: before_ms + self.heard_ms - self.begun_ms + HOP_MS + self.lost_after_ms / 2,
            lost_ms: self.lost_before_ms + self.lost_after_ms,
            earliest_ms: self.begun_ms.saturating_sub(self.lost_before_ms),
        }
    }
}

/// Whether two frequencies with this middle can be a call progress tone.
fn is_low(hz: f32) -> bool {
    (300.0..=680.0).contains(&hz)
}

/// A tone counts once it has lasted this long.
pub(super) const CONFIRM_MS: u32 = 60;
/// A confirmed tone survives this long a fault, such as the phase reversals of an answering fax.
const MISSING_MS: u32 = 50;
/// And this long a loss.
pub(super) const MAX_LOSS_MS: u32 = 300;
/// So long after a loss, what is heard may still not be what was sent.
const RECOVERY_MS: u32 = 60;
/// Of the window's power.
const SINGLE_SHARE: f32 = 0.85;
/// Noise 3.7 dB below it.
const GOES_ON_SHARE: f32 = 0.7;
const DUAL_SHARE: f32 = 0.85;
const PROGRESS_SHARE: f32 = 0.9;
/// By so many windows it is told whether the level stands.
const STEADY_WINDOWS: usize = 32;
/// 2 dB.
const STEADY: f32 = 0.63;
