//! Follows a tone from its first window to its last.

use super::spectrum::{Frame, HOP_MS};
use crate::level::dbm0_to_power;

/// A steady tone, or two at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tone {
    /// The frequency, or the middle of two.
    pub(super) frequency_hz: f32,
    /// Two frequencies, both where call progress tones are.
    pub(super) dual: bool,
    pub(super) begun_ms: u32,
    pub(super) duration_ms: u32,
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
}

#[derive(Clone, Copy, Debug)]
struct Current {
    dual_windows: u32,
    hz_sum: f32,
    windows: u32,
    begun_ms: u32,
    /// When it was heard last.
    heard_ms: u32,
    peak_power: f32,
}

impl Tone {
    /// Whether it can be dial, ringing, busy or congestion tone.
    pub(super) fn is_progress(&self) -> bool {
        self.dual || (380.0..=500.0).contains(&self.frequency_hz)
    }
}

impl ToneTracker {
    /// Hears tones of at least that level.
    pub(super) fn new(min_level_dbm0: i8) -> Self {
        let min_power = dbm0_to_power(min_level_dbm0.into());
        Self { min_power, now_ms: 0, current: None, last_end_ms: 0 }
    }

    /// The tone that sounds now, if it has for [`CONFIRM_MS`].
    pub(super) fn sounding(&self) -> Option<Tone> {
        self.current.filter(Current::is_confirmed).map(|c| c.tone())
    }

    /// When the last confirmed tone ended.
    pub(super) fn last_end_ms(&self) -> u32 {
        self.last_end_ms
    }

    pub(super) fn on_frame(&mut self, frame: &Frame) -> Option<ToneChange> {
        self.now_ms += HOP_MS;
        let heard = Heard::in_frame(frame, self.min_power);
        if let Some(current) = &mut self.current {
            if let Some(heard) = heard
                && current.is_like(&heard)
            {
                let was_confirmed = current.is_confirmed();
                current.add(&heard, self.now_ms);
                return (current.is_confirmed() && !was_confirmed).then_some(ToneChange::Began);
            }
            let patience_ms = if current.is_confirmed() { MISSING_MS } else { HOP_MS };
            let other = heard.is_some_and(|h| !current.is_like_frequency(&h));
            if self.now_ms - current.heard_ms < patience_ms && !other {
                return None;
            }
        }
        let ended = self.current.take().filter(Current::is_confirmed);
        self.current = heard.map(|h| Current::new(&h, self.now_ms));
        ended.map(|ended| {
            self.last_end_ms = ended.heard_ms;
            ToneChange::Ended(ended.tone())
        })
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
    fn in_frame(frame: &Frame, min_power: f32) -> Option<Self> {
        if frame.power < min_power {
            return None;
        }
        let (first, second) = (frame.first, frame.second);
        if first.share >= SINGLE_SHARE {
            return Some(Self { hz: first.hz, dual: false, power: frame.power });
        }
        // Two call progress frequencies: side by side, or so near that they melt into one wide peak that beats.
        let both = first.share + second.share;
        let dual = frame.progress_share >= PROGRESS_SHARE && both >= DUAL_SHARE;
        dual.then_some(Self { hz: (first.hz + second.hz) / 2.0, dual, power: frame.power })
    }
}

impl Current {
    fn new(heard: &Heard, now_ms: u32) -> Self {
        Self {
            dual_windows: heard.dual.into(),
            hz_sum: heard.hz,
            windows: 1,
            begun_ms: now_ms,
            heard_ms: now_ms,
            peak_power: heard.power,
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

    fn is_confirmed(&self) -> bool {
        self.windows * HOP_MS >= CONFIRM_MS
    }

    fn is_like_frequency(&self, heard: &Heard) -> bool {
        let progress = |hz: f32| (300.0..=680.0).contains(&hz);
        if self.dual_windows > 0 || heard.dual {
            return progress(self.mean_hz()) && progress(heard.hz);
        }
        let tolerance_hz = if self.may_beat() { 30.0 } else { (self.mean_hz() * 0.015).max(12.0) };
        (heard.hz - self.mean_hz()).abs() <= tolerance_hz
    }

    /// Half a window without the tone takes 3 dB of its power; that is where it begins and ends.
    fn is_like(&self, heard: &Heard) -> bool {
        let floor = if self.may_beat() || heard.dual { 0.2 } else { 0.45 };
        self.is_like_frequency(heard) && heard.power >= self.peak_power * floor
    }

    fn add(&mut self, heard: &Heard, now_ms: u32) {
        self.dual_windows += u32::from(heard.dual);
        self.hz_sum += heard.hz;
        self.windows += 1;
        self.heard_ms = now_ms;
        if heard.power > self.peak_power {
            // The first windows hold the tone only partly; those under half the power come before its beginning.
            if heard.power > 2.2 * self.peak_power && self.dual_windows == 0 && self.windows <= 3 {
                self.begun_ms = now_ms;
                self.hz_sum = heard.hz;
                self.windows = 1;
            }
            self.peak_power = heard.power;
        }
    }

    fn tone(&self) -> Tone {
        Tone {
            frequency_hz: self.mean_hz(),
            dual: self.is_dual(),
            begun_ms: self.begun_ms,
            duration_ms: self.heard_ms - self.begun_ms + HOP_MS,
        }
    }
}

/// A tone counts once it has lasted this long.
pub(super) const CONFIRM_MS: u32 = 60;
/// A confirmed tone survives this long a fault: a lost packet, or the phase reversals of an answering fax.
const MISSING_MS: u32 = 50;
const SINGLE_SHARE: f32 = 0.85;
const DUAL_SHARE: f32 = 0.85;
const PROGRESS_SHARE: f32 = 0.9;
