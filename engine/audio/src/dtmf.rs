//! DTMF in the audio: a detector after ITU-T Q.24.
//!
//! Every 5 ms the eight frequencies are measured with their phase. Three such measures joined make a window that tells
//! the frequencies apart; the phase's advance from one to the next tells how far off its nominal frequency a tone is,
//! which speech gives away better than levels do.

mod filter;

pub use filter::KeyFilter;

use crate::goertzel::{Complex, GoertzelBank};
use crate::level::dbm0_to_power;
use crate::tones::{COLUMNS_HZ, KEYS, ROWS_HZ};
use std::f32::consts::{PI, TAU};

/// What a caller's keypad does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtmfEvent {
    /// A key has been down for long enough to count.
    Pressed {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        key: char,
    },
    /// The key is up.
    Released {
        /// The key of the `Pressed` before.
        key: char,
        /// How long it was down.
        duration_ms: u32,
    },
}

/// Limits of what counts as a key; the defaults accept what Q.24 says must be accepted (AT&T column of its Table A-1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DtmfConfig {
    /// Lowest level of each frequency, in dBm0.
    pub min_level_dbm0: f32,
    /// How far the column may be below the row, in dB.
    pub max_normal_twist_db: f32,
    /// How far the column may be above the row, in dB.
    pub max_reverse_twist_db: f32,
    /// Largest deviation from the nominal frequency, as a fraction.
    pub max_deviation: f32,
    /// Smallest part of all power that the two frequencies must hold.
    pub min_purity: f32,
}

impl Default for DtmfConfig {
    fn default() -> Self {
        Self {
            min_level_dbm0: -36.0,
            max_normal_twist_db: 9.0,
            max_reverse_twist_db: 5.0,
            max_deviation: 0.024,
            min_purity: 0.72,
        }
    }
}

/// Finds DTMF in samples at 8 kHz.
#[derive(Clone, Debug)]
pub struct DtmfDetector {
    config: DtmfConfig,
    bank: GoertzelBank<8>,
    energy: f32,
    filled: usize,
    /// The last three hops, newest first.
    hops: [Hop; WINDOW_HOPS],
    state: State,
}

/// One 5 ms measure.
#[derive(Clone, Copy, Debug, Default)]
struct Hop {
    amplitudes: [Complex; 8],
    /// Sum of squared samples.
    energy: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Idle,
    /// Windows that look like `key`.
    Suspect {
        key: char,
        windows: u32,
    },
    /// `key` is down for `windows`; the newest `missing` of them did not look like it.
    Down {
        key: char,
        windows: u32,
        missing: u32,
    },
}

impl Default for DtmfDetector {
    fn default() -> Self {
        Self::new(DtmfConfig::default())
    }
}

impl DtmfDetector {
    /// A detector with those limits.
    #[must_use]
    pub fn new(config: DtmfConfig) -> Self {
        Self {
            config,
            bank: GoertzelBank::new(FREQUENCIES_HZ, RATE_HZ),
            energy: 0.0,
            filled: 0,
            hops: [Hop::default(); WINDOW_HOPS],
            state: State::Idle,
        }
    }

    /// Takes samples at 8 kHz, any number; `on_event` hears of each change.
    pub fn push(&mut self, samples: &[i16], mut on_event: impl FnMut(DtmfEvent)) {
        for &sample in samples {
            let sample = f32::from(sample);
            self.bank.push(sample);
            self.energy += sample * sample;
            self.filled += 1;
            if self.filled == HOP {
                self.end_hop(&mut on_event);
            }
        }
    }

    /// Whether the newest samples look like a key, even one not yet reported: time to block the audio.
    #[must_use]
    pub fn is_suspicious(&self) -> bool {
        self.state != State::Idle
    }

    fn end_hop(&mut self, on_event: &mut impl FnMut(DtmfEvent)) {
        self.hops.rotate_right(1);
        self.hops[0] = Hop { amplitudes: self.bank.finish(), energy: self.energy };
        self.energy = 0.0;
        self.filled = 0;
        let heard = self.key_in_window();
        self.state = self.state.after(heard, on_event);
    }

    /// The key that fills the window, if it passes every limit.
    fn key_in_window(&self) -> Option<char> {
        let energy: f32 = self.hops.iter().map(|h| h.energy).sum();
        let mean = energy / WINDOW as f32;
        if mean < dbm0_to_power(self.config.min_level_dbm0) || !self.is_steady() {
            return None;
        }
        let row = self.strongest(0)?;
        let column = self.strongest(4)?;
        let min = dbm0_to_power(self.config.min_level_dbm0);
        let twist_db = 10.0 * (row.power / column.power).log10();
        let pure = row.power + column.power >= self.config.min_purity * mean;
        let balanced =
            twist_db <= self.config.max_normal_twist_db && twist_db >= -self.config.max_reverse_twist_db;
        (pure && balanced && row.power >= min && column.power >= min)
            .then(|| KEYS[row.index][column.index - 4])
    }

    /// Whether all hops hold about the same energy: a window that a tone only partly fills is not counted.
    fn is_steady(&self) -> bool {
        let (low, high) =
            self.hops.iter().fold((f32::MAX, 0.0f32), |(l, h), hop| (l.min(hop.energy), h.max(hop.energy)));
        low >= high * STEADY_RATIO
    }

    /// The strongest of four frequencies, if it stands out of its group and is near its nominal frequency.
    fn strongest(&self, first: usize) -> Option<Peak> {
        let mut best = (first, 0.0);
        let mut second = 0.0;
        for index in first..first + 4 {
            let power = self.window_amplitude(index).power();
            if power > best.1 {
                second = best.1;
                best = (index, power);
            } else if power > second {
                second = power;
            }
        }
        let (index, power) = best;
        let deviation_hz = self.deviation_hz(index);
        if deviation_hz.abs() > FREQUENCIES_HZ[index] * self.config.max_deviation
            || second > power * GROUP_RATIO
        {
            return None;
        }
        // A tone off the centre is measured low by the window's sinc; give that back.
        let x = PI * deviation_hz * WINDOW as f32 / RATE_HZ;
        let sinc = if x.abs() < 1e-3 { 1.0 } else { x.sin() / x };
        let half = WINDOW as f32 / 2.0;
        Some(Peak { index, power: power / (half * half) / 2.0 / (sinc * sinc) })
    }

    fn window_amplitude(&self, index: usize) -> Complex {
        let turn = TAU * FREQUENCIES_HZ[index] * HOP as f32 / RATE_HZ;
        let [newest, middle, oldest] = &self.hops;
        newest.amplitudes[index]
            + middle.amplitudes[index].turned(turn)
            + oldest.amplitudes[index].turned(2.0 * turn)
    }

    /// How far the tone near a nominal frequency is from it, from the phase's advance over two hops.
    fn deviation_hz(&self, index: usize) -> f32 {
        let nominal = TAU * FREQUENCIES_HZ[index] * HOP as f32 / RATE_HZ;
        let step = |new: &Hop, old: &Hop| {
            wrapped(new.amplitudes[index].angle() - old.amplitudes[index].angle() - nominal)
        };
        let mean = (step(&self.hops[0], &self.hops[1]) + step(&self.hops[1], &self.hops[2])) / 2.0;
        mean * RATE_HZ / (TAU * HOP as f32)
    }
}

impl State {
    /// The state after a window, of which `heard` is the key.
    fn after(self, heard: Option<char>, on_event: &mut impl FnMut(DtmfEvent)) -> Self {
        match (self, heard) {
            (Self::Idle, None) => Self::Idle,
            (Self::Idle, Some(key)) => Self::Suspect { key, windows: 1 },
            (Self::Suspect { key, windows }, Some(same)) if same == key => {
                if windows + 1 < PRESS_WINDOWS {
                    return Self::Suspect { key, windows: windows + 1 };
                }
                on_event(DtmfEvent::Pressed { key });
                Self::Down { key, windows: windows + 1, missing: 0 }
            }
            (Self::Suspect { .. }, Some(key)) => Self::Suspect { key, windows: 1 },
            (Self::Suspect { .. }, None) => Self::Idle,
            (Self::Down { key, windows, .. }, Some(same)) if same == key => {
                Self::Down { key, windows: windows + 1, missing: 0 }
            }
            (Self::Down { key, windows, missing }, heard) => {
                if missing + 1 < RELEASE_WINDOWS {
                    return Self::Down { key, windows: windows + 1, missing: missing + 1 };
                }
                // A window is three hops long, so a key of n hops fills n - 2 windows.
                let hops = windows - missing + WINDOW_HOPS as u32 - 1;
                on_event(DtmfEvent::Released { key, duration_ms: hops * HOP_MS });
                heard.map_or(Self::Idle, |key| Self::Suspect { key, windows: 1 })
            }
        }
    }
}

struct Peak {
    index: usize,
    /// Mean power, in squared sample units.
    power: f32,
}

/// An angle brought into -π..π.
fn wrapped(angle: f32) -> f32 {
    angle - TAU * (angle / TAU).round()
}

const RATE_HZ: f32 = 8000.0;
const HOP: usize = 40;
const HOP_MS: u32 = 5;
const WINDOW_HOPS: usize = 3;
const WINDOW: usize = HOP * WINDOW_HOPS;

/// Windows that make a key: a tone of 40 ms fills at least five, one of 23 ms at most three.
const PRESS_WINDOWS: u32 = 4;
/// Windows without the key that end it: an interruption of 10 ms spoils at most five, a pause of 40 ms at least nine.
const RELEASE_WINDOWS: u32 = 7;
/// Energy of the weakest hop against the strongest.
const STEADY_RATIO: f32 = 0.4;
/// Power of a group's second frequency against its first.
const GROUP_RATIO: f32 = 0.25;

const FREQUENCIES_HZ: [f32; 8] = {
    let mut all = [0.0; 8];
    let mut i = 0;
    while i < 4 {
        all[i] = ROWS_HZ[i];
        all[i + 4] = COLUMNS_HZ[i];
        i += 1;
    }
    all
};

#[cfg(test)]
mod tests;
