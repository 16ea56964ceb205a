//! Renders a tone.

use super::{MAX_FREQUENCIES, Segment, Tone};
use crate::level::sine_amplitude;
use crate::sample::rounded;

/// Renders a [`Tone`], frame after frame, with unbroken phase.
#[derive(Clone, Debug)]
pub struct ToneSource {
    tone: Tone,
    rate_hz: u32,
    segment: usize,
    /// Samples already rendered of the segment.
    position: u64,
    oscillators: [Oscillator; MAX_FREQUENCIES],
    /// Samples of each edge's fade.
    fade: u32,
    gain: f32,
    /// Set by [`ToneSource::stop`]: samples of the final fade that are left.
    stopping: Option<u32>,
}

impl ToneSource {
    /// A source at the tone's beginning, for a sample rate in Hz.
    #[must_use]
    pub fn new(tone: &Tone, rate_hz: u32) -> Self {
        let mut source = Self {
            tone: *tone,
            rate_hz,
            segment: 0,
            position: 0,
            oscillators: [Oscillator::default(); MAX_FREQUENCIES],
            fade: rate_hz * FADE_MS / 1000,
            gain: 0.0,
            stopping: None,
        };
        source.enter_segment(0);
        source
    }

    /// Whether the tone has ended; an endless tone never does.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.segment >= self.tone.segments().len() || self.stopping == Some(0)
    }

    /// Renders the next samples and returns how many are the tone's; the rest of `out` is silence.
    pub fn render(&mut self, out: &mut [i16]) -> usize {
        let mut written = 0;
        while written < out.len() && !self.is_finished() {
            let left = self.left_in_segment();
            let n = left.min((out.len() - written) as u64) as usize;
            self.render_segment(&mut out[written..written + n]);
            written += n;
            if n as u64 == left {
                self.next_segment();
            }
        }
        out[written..].fill(0);
        written
    }

    /// Ends the tone within a few ms, with a fade.
    pub fn stop(&mut self) {
        if self.stopping.is_none() {
            self.stopping = Some(self.fade);
        }
    }

    fn current(&self) -> &Segment {
        &self.tone.segments()[self.segment]
    }

    fn segment_len(&self) -> u64 {
        match self.current().duration_ms {
            Segment::FOREVER_MS => u64::MAX,
            ms => u64::from(ms) * u64::from(self.rate_hz) / 1000,
        }
    }

    fn left_in_segment(&self) -> u64 {
        let left = self.segment_len() - self.position;
        self.stopping.map_or(left, |stop| left.min(u64::from(stop)))
    }

    fn next_segment(&mut self) {
        if self.stopping == Some(0) {
            return;
        }
        let count = self.tone.segments().len();
        let next = self.segment + 1;
        // A repeated cadence of no length at all would never end.
        let sounds = self.tone.segments().iter().any(|s| s.duration_ms > 0);
        self.enter_segment(if next == count && self.tone.repeats() && sounds { 0 } else { next });
    }

    fn enter_segment(&mut self, index: usize) {
        self.segment = index;
        self.position = 0;
        let Some(&segment) = self.tone.segments().get(index) else { return };
        self.gain = sine_amplitude(segment.level_dbm0);
        for (oscillator, hz) in self.oscillators.iter_mut().zip(segment.frequencies_hz) {
            oscillator.tune(hz, self.rate_hz);
        }
    }

    fn render_segment(&mut self, out: &mut [i16]) {
        let len = self.segment_len();
        let silent = self.current().frequencies_hz[0] == 0.0;
        for sample in &mut *out {
            let stop = self.stopping.map_or(u64::MAX, u64::from);
            let edge = self.position.min(len - self.position).min(stop);
            let envelope =
                if edge >= u64::from(self.fade) { 1.0 } else { fade(edge as f32 / self.fade as f32) };
            let sum: f32 = self.oscillators.iter_mut().map(Oscillator::step).sum();
            *sample = if silent { 0 } else { rounded(sum * self.gain * envelope) };
            self.position += 1;
            self.stopping = self.stopping.map(|left| left.saturating_sub(1));
        }
        for oscillator in &mut self.oscillators {
            oscillator.normalise();
        }
    }
}

/// A rotating unit vector.
#[derive(Clone, Copy, Debug, Default)]
struct Oscillator {
    hz: f32,
    cos: f32,
    sin: f32,
    turn_cos: f32,
    turn_sin: f32,
}

impl Oscillator {
    /// Sets the frequency; one that stays the same keeps its phase.
    fn tune(&mut self, hz: f32, rate_hz: u32) {
        if hz == 0.0 {
            *self = Self::default();
        } else if hz != self.hz {
            let turn = std::f64::consts::TAU * f64::from(hz) / f64::from(rate_hz);
            *self = Self { hz, cos: 1.0, sin: 0.0, turn_cos: turn.cos() as f32, turn_sin: turn.sin() as f32 };
        }
    }

    fn step(&mut self) -> f32 {
        let out = self.sin;
        let cos = self.cos * self.turn_cos - self.sin * self.turn_sin;
        self.sin = self.sin * self.turn_cos + self.cos * self.turn_sin;
        self.cos = cos;
        out
    }

    /// Takes away the rounding errors of a frame, before the amplitude drifts.
    fn normalise(&mut self) {
        let norm = self.cos.hypot(self.sin);
        if norm > 0.0 {
            self.cos /= norm;
            self.sin /= norm;
        }
    }
}

/// Half a raised cosine, 0 at 0 and 1 at 1.
fn fade(x: f32) -> f32 {
    0.5 - 0.5 * (std::f32::consts::PI * x).cos()
}

const FADE_MS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::dbm0;
    use crate::testing::{largest_click, power_at};
    use crate::tones::{Country, Progress, beep, dtmf};

    fn render(tone: &Tone, rate_hz: u32, ms: u32, frame: usize) -> Vec<i16> {
        let mut source = ToneSource::new(tone, rate_hz);
        let mut out = vec![0; (rate_hz * ms / 1000) as usize];
        for chunk in out.chunks_mut(frame) {
            source.render(chunk);
        }
        out
    }

    #[test]
    fn frames_of_any_size_join_into_the_same_samples() {
        let tone = Country::Us.tone(Progress::Busy);
        let whole = render(&tone, 8000, 3000, 24_000);
        for frame in [80, 160, 480, 7] {
            let framed = render(&tone, 8000, 3000, frame);
            let off = whole.iter().zip(&framed).map(|(a, b)| (a - b).abs()).max();
            assert!(off <= Some(2), "{frame}: {off:?}");
        }
    }

    #[test]
    fn the_cadence_is_kept_at_every_rate() {
        for rate in [8000, 16_000, 48_000] {
            let samples = render(&Country::De.tone(Progress::Ringback), rate, 6000, rate as usize / 50);
            let ms =
                |from: u32, to: u32| &samples[(rate / 1000 * from) as usize..(rate / 1000 * to) as usize];
            assert!((dbm0(ms(10, 990)) + 13.0).abs() < 0.2, "{rate}: {}", dbm0(ms(10, 990)));
            assert_eq!(dbm0(ms(1000, 5000)), crate::level::FLOOR_DBM0, "{rate}");
            assert!(dbm0(ms(5010, 5990)) > -13.2, "{rate}");
        }
    }

    #[test]
    fn both_frequencies_sound_at_their_level() {
        let samples = render(&Country::Us.tone(Progress::Dial), 8000, 1000, 160);
        for hz in [350.0, 440.0] {
            let level = crate::level::power_to_dbm0(power_at(&samples[800..], hz, 8000));
            assert!((level + 13.0).abs() < 0.3, "{hz}: {level}");
        }
    }

    #[test]
    fn edges_do_not_click() {
        // A steady 425 Hz tone bends by at most amplitude·ω² per sample; an abrupt edge bends by far more.
        let steady = render(&Country::De.tone(Progress::Dial), 8000, 1000, 160);
        let cadenced = render(&Country::De.tone(Progress::Congestion), 8000, 2000, 160);
        assert!(
            largest_click(&cadenced) < 1.5 * largest_click(&steady[100..]),
            "{}",
            largest_click(&cadenced)
        );
    }

    #[test]
    fn a_stopped_tone_fades_and_is_finished() {
        let mut source = ToneSource::new(&Country::De.tone(Progress::Dial), 8000);
        let mut out = [0; 320];
        source.render(&mut out[..160]);
        source.stop();
        assert_eq!(source.render(&mut out[160..]), 24);
        assert!(source.is_finished());
        assert!(largest_click(&out[100..]) < 600.0, "{}", largest_click(&out[100..]));
        assert_eq!(source.render(&mut out), 0);
    }

    #[test]
    fn a_finite_tone_ends_with_silence_after_it() {
        let mut source = ToneSource::new(&beep(), 8000);
        let mut out = [1; 8000];
        assert_eq!(source.render(&mut out), 1600);
        assert!(source.is_finished());
        assert!(out[1600..].iter().all(|&s| s == 0));
    }

    #[test]
    fn a_cadence_of_no_length_ends() {
        let tone = Tone::new(&[Segment::silence(0)], true);
        assert_eq!(ToneSource::new(&tone, 8000).render(&mut [0; 160]), 0);
        let none = Tone::new(&[], true);
        assert_eq!(ToneSource::new(&none, 8000).render(&mut [0; 160]), 0);
    }

    #[test]
    fn a_key_sounds_for_its_time() {
        let tone = dtmf('5', 60, 40, -7.0).expect("a key");
        assert_eq!(ToneSource::new(&tone, 8000).render(&mut [0; 2000]), 800);
    }
}
