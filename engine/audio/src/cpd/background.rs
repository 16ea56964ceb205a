//! What is voice and what is only the background of the line.

/// Follows the background's level. Magnitudes are mean absolute samples of 20 ms; pitch is the share that a window's strongest peak
/// has in its power, which is large in voiced sounds.
#[derive(Clone, Debug)]
pub(super) struct Background {
    /// What is voice on a line of usual loudness, however quiet.
    usual_threshold: f32,
    /// The level, evened out over a few frames, once there is one.
    level: Option<f32>,
    /// The lowest level of late.
    floor: f32,
    /// The loudest frame so far.
    peak: f32,
    /// The pitch, evened out.
    pitch: f32,
}

impl Background {
    pub(super) fn new(silence_threshold: u16) -> Self {
        let usual_threshold = f32::from(silence_threshold);
        let floor = usual_threshold / ABOVE_FLOOR;
        Self { usual_threshold, level: None, floor, peak: 0.0, pitch: VOICED }
    }

    /// Whether this frame is louder than the background. What goes on may be fainter than what begins; until a word
    /// has `spoken`, it is not known how loud voice is.
    pub(super) fn is_exceeded(
        &mut self,
        magnitude: f32,
        pitch: Option<f32>,
        goes_on: bool,
        spoken: bool,
    ) -> bool {
        let level = self.level.map_or(magnitude, |level| level + (magnitude - level) * PER_FRAME);
        self.level = Some(level);
        if let Some(pitch) = pitch {
            let per_frame = if pitch > self.pitch { PITCH_RISE } else { PITCH_FALL };
            self.pitch += (pitch - self.pitch) * per_frame;
        }
        let rise = if self.pitch < VOICED { NOISE_RISE } else { RISE };
        self.floor = (self.floor * rise).min(level).max(MIN_FLOOR);
        self.peak = self.peak.max(magnitude);
        let loudest = if spoken { self.peak } else { USUAL_PEAK };
        // Half way, in dB, between the background and the loudest voice.
        let between = (self.floor * loudest).sqrt().max(MIN_THRESHOLD).min(self.usual_threshold);
        let threshold = (self.floor * ABOVE_FLOOR).min(MAX_THRESHOLD).max(between);
        magnitude >= if goes_on { threshold * GOES_ON } else { threshold }
    }
}

/// Voice begins at this many times the background: 7 dB.
const ABOVE_FLOOR: f32 = 2.2;
/// It goes on at 3 dB less.
const GOES_ON: f32 = 0.6;
/// Doubles in 350 ms without a dip, which speech always has.
const RISE: f32 = 1.04;
/// Doubles in 100 ms of noise.
const NOISE_RISE: f32 = 1.15;
/// Noise stays below, pink noise too; voice without a voiced sound does not last.
const VOICED: f32 = 0.3;
const PITCH_RISE: f32 = 0.3;
const PITCH_FALL: f32 = 0.12;
/// Evens out over two frames: single ones of a murmur are often far below its level.
const PER_FRAME: f32 = 0.5;
/// A line is never so quiet that a murmur on it is loud.
const MIN_FLOOR: f32 = 7.0;
/// Of voice, until some is heard.
const USUAL_PEAK: f32 = 1500.0;
/// Anything below is silence, on the faintest line: about -47 dBm0.
const MIN_THRESHOLD: f32 = 100.0;
/// Loud voice is voice in any noise.
const MAX_THRESHOLD: f32 = 1500.0;
