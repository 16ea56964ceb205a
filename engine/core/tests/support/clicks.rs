//! Finds where a steady tone is broken: by a click, a dropout or a cut.
//!
//! A tone goes on by a rule: each sample follows from the two before it. What does not is the residue: the noise of an encoding,
//! much the same everywhere, and far more where anything was added, left out or repeated.

use super::line::PER_MS;

/// The tone that is listened for: neither a packet of 10 ms nor one of 20 holds a whole number of its cycles, so that no packet
/// can be left out or repeated unnoticed.
pub const TONE_HZ: f64 = 430.0;

/// A stretch with more residue than the encoding leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    pub from_ms: usize,
    pub to_ms: usize,
    /// Its largest residue, as a multiple of the encoding's own.
    pub times: f64,
}

/// Knows what an encoding leaves of a tone that is whole.
#[derive(Clone, Copy, Debug)]
pub struct ClickDetector {
    /// The largest residue where nothing is wrong, or what nobody hears beside the tone.
    usual: f64,
}

impl ClickDetector {
    /// Learns from a stretch in which the tone is whole.
    ///
    /// # Panics
    /// When there is no tone in it, or so much else that a fault would not stand out.
    pub fn of(steady: &[i16]) -> Self {
        let usual = residue(steady).fold(0.0, f64::max);
        let peak = steady.iter().map(|sample| sample.unsigned_abs()).max().expect("samples");
        assert!(peak > 1_000 && usual < f64::from(peak) / 4.0, "residue {usual} in a tone of {peak}");
        Self { usual: usual.max(f64::from(peak) / 32.0) }
    }

    /// Where a line is broken. Those closer than 5 ms to each other are one.
    pub fn faults(&self, line: &[i16]) -> Vec<Fault> {
        let mut faults: Vec<Fault> = Vec::new();
        for (at, residue) in residue(line).enumerate() {
            let (ms, times) = ((at + 2) / PER_MS, residue / self.usual);
            if times < FAULT_TIMES {
                continue;
            }
            match faults.last_mut().filter(|fault| ms <= fault.to_ms + APART_MS) {
                Some(fault) => (fault.to_ms, fault.times) = (ms, fault.times.max(times)),
                None => faults.push(Fault { from_ms: ms, to_ms: ms, times }),
            }
        }
        faults
    }
}

/// What each sample from the third on is off from where the tone would have gone.
fn residue(samples: &[i16]) -> impl Iterator<Item = f64> + '_ {
    let turn = std::f64::consts::TAU * TONE_HZ / (1_000 * PER_MS) as f64;
    let follows = 2.0 * turn.cos();
    samples.windows(3).map(move |w| (f64::from(w[2]) - follows * f64::from(w[1]) + f64::from(w[0])).abs())
}

const FAULT_TIMES: f64 = 2.0;
const APART_MS: usize = 5;
