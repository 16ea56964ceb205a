//! Ringing, busy and reorder by the rhythm of their bursts (ITU-T E.180 Supplement 2).

use super::ToneConfig;
use super::tone::Tone;
use std::ops::RangeInclusive;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cadence {
    Ringback,
    Busy,
    Reorder,
}

/// Follows the bursts of call progress tones.
#[derive(Clone, Debug, Default)]
pub(super) struct CadenceTracker {
    /// The last bursts, newest first.
    bursts: [Option<Burst>; 3],
    /// What was reported for the bursts so far.
    reported: Option<Cadence>,
}

#[derive(Clone, Copy, Debug)]
struct Burst {
    on_ms: u32,
    /// The pause before it; zero if there was none to be measured.
    off_before_ms: u32,
    end_ms: u32,
}

impl CadenceTracker {
    /// Takes a burst that ended at `end_ms`.
    pub(super) fn on_burst(&mut self, tone: &Tone, end_ms: u32, config: &ToneConfig) -> Option<Cadence> {
        let off_before_ms = self.bursts[0].map_or(0, |b| tone.begun_ms.saturating_sub(b.end_ms));
        if off_before_ms > FORGET_MS {
            *self = Self::default();
        }
        self.bursts.rotate_right(1);
        self.bursts[0] = Some(Burst { on_ms: tone.duration_ms, off_before_ms, end_ms });
        let [Some(newest), Some(middle), oldest] = self.bursts else { return None };
        let (on, off, on_before) = (newest.on_ms, newest.off_before_ms, middle.on_ms);
        let even = alike(on, on_before) && alike(on, off);
        // Two short bursts may be anything that begins like that.
        let three = oldest.is_some_and(|o| alike(o.on_ms, on) && alike(middle.off_before_ms, off));
        if even && (three || on > SHORT_MS) {
            if config.busy_ms.contains(&on) && config.busy_ms.contains(&off) {
                return self.report(Cadence::Busy);
            }
            if config.reorder_ms.contains(&on) {
                return self.report(Cadence::Reorder);
            }
        }
        // The British congestion tone limps: 400 on, 350 off, 225 on, 525 off.
        let limps = alike(on_before, 400) && alike(off, 350) && alike(on, 225);
        if limps { self.report(Cadence::Reorder) } else { None }
    }

    /// Whether the next burst of a ringing tone may still come, so long after the last.
    pub(super) fn rings(&self, pause_ms: u32) -> bool {
        self.bursts[0].is_some() && pause_ms <= FORGET_MS
    }

    /// Hears of the silence since the last burst. After `voice`, a single one may be a machine's beep; two are not.
    pub(super) fn on_pause(&mut self, pause_ms: u32, voice: bool, config: &ToneConfig) -> Option<Cadence> {
        let newest = self.bursts[0]?;
        let single = config.ringback_ms.contains(&newest.on_ms)
            && pause_ms >= config.ringback_pause_ms
            && (!voice || self.bursts[1].is_some_and(|b| alike(b.on_ms, newest.on_ms)));
        let double = DOUBLE_RING_MS.contains(&newest.on_ms)
            && DOUBLE_RING_GAP_MS.contains(&newest.off_before_ms)
            && pause_ms >= DOUBLE_RING_PAUSE_MS;
        if single || double { self.report(Cadence::Ringback) } else { None }
    }

    fn report(&mut self, cadence: Cadence) -> Option<Cadence> {
        (self.reported.replace(cadence) != Some(cadence)).then_some(cadence)
    }
}

fn alike(a_ms: u32, b_ms: u32) -> bool {
    a_ms.abs_diff(b_ms) <= 70
}

/// From here on two bursts tell; shorter ones need a third.
const SHORT_MS: u32 = 309;
/// The double ring of the British plan: 400 on, 200 off, 400 on, 2000 off.
const DOUBLE_RING_MS: RangeInclusive<u32> = 320..=480;
const DOUBLE_RING_GAP_MS: RangeInclusive<u32> = 130..=270;
const DOUBLE_RING_PAUSE_MS: u32 = 700;
/// Longer than the pause of any ringing tone.
const FORGET_MS: u32 = 6500;
