//! Tones: what they are, and the source that renders them.
//!
//! The national plans are data behind [`Country::tone`]; anything else can be made from [`Tone::new`]. A [`ToneSource`] renders a
//! tone at any rate, keeps its phase from frame to frame, and fades each edge so that nothing clicks.

mod dtmf;
mod plan;
mod source;

pub use dtmf::{COLUMNS_HZ, KEYS, ROWS_HZ, dtmf, dtmf_frequencies};
pub use plan::{Country, Progress, beep, cadence, cng, sit, voicemail_beep};
pub use source::ToneSource;

/// Most frequencies that sound at once in a segment.
pub const MAX_FREQUENCIES: usize = 2;
/// Most segments of a tone's cadence.
pub const MAX_SEGMENTS: usize = 8;

/// A tone: segments in order, then silence or the segments again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tone {
    segments: [Segment; MAX_SEGMENTS],
    len: usize,
    repeat: bool,
}

/// A stretch of a tone's cadence: frequencies that sound together, or silence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// Frequencies in Hz; zero means none.
    pub frequencies_hz: [f32; MAX_FREQUENCIES],
    /// Level of each frequency, in dBm0.
    pub level_dbm0: f32,
    /// Length; [`Segment::FOREVER_MS`] never ends.
    pub duration_ms: u32,
}

impl Segment {
    /// Length of a segment that never ends.
    pub const FOREVER_MS: u32 = u32::MAX;

    /// One frequency.
    #[must_use]
    pub const fn single(hz: f32, level_dbm0: f32, duration_ms: u32) -> Self {
        Self { frequencies_hz: [hz, 0.0], level_dbm0, duration_ms }
    }

    /// Two frequencies, each at `level_dbm0`.
    #[must_use]
    pub const fn dual(hz: [f32; 2], level_dbm0: f32, duration_ms: u32) -> Self {
        Self { frequencies_hz: hz, level_dbm0, duration_ms }
    }

    /// Silence.
    #[must_use]
    pub const fn silence(duration_ms: u32) -> Self {
        Self { frequencies_hz: [0.0; MAX_FREQUENCIES], level_dbm0: 0.0, duration_ms }
    }
}

impl Tone {
    /// A tone of at most [`MAX_SEGMENTS`] segments (more are cut off); `repeat` plays them for ever.
    #[must_use]
    pub const fn new(segments: &[Segment], repeat: bool) -> Self {
        let mut tone = Self { segments: [Segment::silence(0); MAX_SEGMENTS], len: 0, repeat };
        while tone.len < segments.len() && tone.len < MAX_SEGMENTS {
            tone.segments[tone.len] = segments[tone.len];
            tone.len += 1;
        }
        tone
    }

    /// The cadence.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments[..self.len]
    }

    /// Whether the cadence starts again at its end.
    #[must_use]
    pub const fn repeats(&self) -> bool {
        self.repeat
    }
}
