//! Person or machine, by the length of the greeting: people say a word or two and wait, machines go on.
//!
//! The parameters and their defaults are those of Asterisk's AMD, so that settings can be carried over. Four
//! things differ: tones are not words, the silence threshold rises above steady background noise and falls on a faint
//! line, and words are only counted once there is a second of voice.

/// What has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmdVerdict {
    /// A person.
    Human(AmdCause),
    /// A machine.
    Machine(AmdCause),
    /// It cannot be told.
    NotSure(AmdCause),
}

/// Why the verdict was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmdCause {
    /// Silence after a short greeting: a person waits.
    ShortGreeting,
    /// Nobody said a thing.
    InitialSilence,
    /// The greeting goes on.
    LongGreeting,
    /// More words than a person's greeting has.
    TooManyWords,
    /// One sound without end.
    LongWord,
    /// A beep.
    Beep,
    /// The time for the analysis is over.
    TooLong,
}

/// Parameters, with the names, units and defaults of Asterisk's `amd.conf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmdConfig {
    /// Silence before any word that makes a machine.
    pub initial_silence_ms: u32,
    /// Voice in all that makes a machine.
    pub greeting_ms: u32,
    /// Silence after a word that makes a person.
    pub after_greeting_silence_ms: u32,
    /// When the analysis ends.
    pub total_analysis_time_ms: u32,
    /// Shortest voice that is a word.
    pub min_word_length_ms: u32,
    /// Longest voice that is a word.
    pub maximum_word_length_ms: u32,
    /// Silence that ends a word.
    pub between_words_silence_ms: u32,
    /// Most words of a person; more make a machine, once there is a second of voice.
    pub maximum_number_of_words: u32,
    /// Mean absolute sample that is voice, on a line of usual loudness.
    pub silence_threshold: u16,
}

impl Default for AmdConfig {
    fn default() -> Self {
        Self {
            initial_silence_ms: 2500,
            greeting_ms: 1500,
            after_greeting_silence_ms: 800,
            total_analysis_time_ms: 5000,
            min_word_length_ms: 100,
            maximum_word_length_ms: 5000,
            between_words_silence_ms: 50,
            maximum_number_of_words: 3,
            silence_threshold: 256,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Amd {
    config: AmdConfig,
    verdict: Option<AmdVerdict>,
    cancelled: bool,
    /// Magnitude of the first half of a frame.
    half_frame: Option<u16>,
    total_ms: u32,
    silence_ms: u32,
    /// All voice so far.
    voice_ms: u32,
    /// Voice since the last silence between words.
    word_ms: u32,
    in_word: bool,
    words: u32,
    /// Mean absolute sample of the background.
    floor: f32,
    /// Largest mean absolute sample so far.
    peak: f32,
}

impl Amd {
    pub(super) fn new(config: AmdConfig) -> Self {
        Self {
            config,
            verdict: None,
            cancelled: false,
            half_frame: None,
            total_ms: 0,
            silence_ms: 0,
            voice_ms: 0,
            word_ms: 0,
            in_word: false,
            words: 0,
            floor: f32::from(config.silence_threshold) / ABOVE_FLOOR,
            peak: 0.0,
        }
    }

    pub(super) const fn verdict(&self) -> Option<AmdVerdict> {
        self.verdict
    }

    /// Whether a word has been heard.
    pub(super) const fn voice_heard(&self) -> bool {
        self.words > 0
    }

    /// Gives no verdict any more: a tone has told.
    pub(super) fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// Forgets what sounded for the last `ms`, which was the beginning of a tone, and with it a word that was hardly
    /// longer.
    pub(super) fn take_back(&mut self, ms: u32) {
        let all = self.word_ms <= ms + TONE_ONSET_MS;
        let forgotten = if all { self.word_ms } else { ms };
        self.voice_ms = self.voice_ms.saturating_sub(forgotten);
        self.word_ms -= forgotten;
        if all && self.in_word {
            self.in_word = false;
            self.words -= 1;
        }
    }

    /// Settles the verdict from outside.
    pub(super) fn decide(&mut self, verdict: AmdVerdict) -> AmdVerdict {
        *self.verdict.get_or_insert(verdict)
    }

    /// Takes 10 ms of this mean magnitude; the verdict when it falls. While it still `rings`, time that passes without
    /// a word does not count.
    pub(super) fn on_hop(&mut self, magnitude: u16, is_tone: bool, rings: bool) -> Option<AmdVerdict> {
        let Some(before) = self.half_frame.take() else {
            self.half_frame = Some(magnitude);
            return None;
        };
        self.on_frame(before.midpoint(magnitude), is_tone, rings)
    }

    fn on_frame(&mut self, magnitude: u16, is_tone: bool, rings: bool) -> Option<AmdVerdict> {
        let is_voice = !is_tone && self.is_voice(magnitude);
        self.count(is_voice);
        if rings && self.words == 0 {
            self.silence_ms = 0;
            self.total_ms = 0;
        }
        if self.verdict.is_some() || self.cancelled {
            return None;
        }
        self.verdict = self.judged(is_voice);
        self.verdict
    }

    fn is_voice(&mut self, magnitude: u16) -> bool {
        let magnitude = f32::from(magnitude);
        self.floor = if magnitude < self.floor { magnitude.max(1.0) } else { self.floor * FLOOR_RISE };
        self.peak = self.peak.max(magnitude);
        let usual = f32::from(self.config.silence_threshold);
        let faint = (self.peak * BELOW_PEAK).max(MIN_THRESHOLD).min(usual);
        magnitude >= (self.floor * ABOVE_FLOOR).min(MAX_THRESHOLD).max(faint)
    }

    fn count(&mut self, is_voice: bool) {
        self.total_ms += FRAME_MS;
        if is_voice {
            self.silence_ms = 0;
            self.voice_ms += FRAME_MS;
            self.word_ms += FRAME_MS;
            if self.word_ms >= self.config.min_word_length_ms && !self.in_word {
                self.in_word = true;
                self.words += 1;
            }
            return;
        }
        self.silence_ms += FRAME_MS;
        if self.silence_ms >= self.config.between_words_silence_ms {
            self.in_word = false;
            self.word_ms = 0;
        }
    }

    fn judged(&self, is_voice: bool) -> Option<AmdVerdict> {
        let c = &self.config;
        let greeted = self.voice_ms >= c.min_word_length_ms;
        if is_voice && self.word_ms >= c.maximum_word_length_ms {
            return Some(AmdVerdict::Machine(AmdCause::LongWord));
        }
        if self.words > c.maximum_number_of_words && self.voice_ms >= WORDS_VOICE_MS {
            return Some(AmdVerdict::Machine(AmdCause::TooManyWords));
        }
        if greeted && self.voice_ms >= c.greeting_ms {
            return Some(AmdVerdict::Machine(AmdCause::LongGreeting));
        }
        if !greeted && self.silence_ms >= c.initial_silence_ms {
            return Some(AmdVerdict::Machine(AmdCause::InitialSilence));
        }
        if greeted && self.silence_ms >= c.after_greeting_silence_ms {
            return Some(AmdVerdict::Human(AmdCause::ShortGreeting));
        }
        (self.total_ms >= c.total_analysis_time_ms).then_some(AmdVerdict::NotSure(AmdCause::TooLong))
    }
}

/// Asterisk's usual frame, on which its defaults depend: shorter ones find more silences inside words.
const FRAME_MS: u32 = 2 * super::spectrum::HOP_MS;
/// How much longer than usual a tone may take to be known for one, after a lost packet.
const TONE_ONSET_MS: u32 = 120;
/// Stops within words make many of a few; their number counts only from so much voice on.
const WORDS_VOICE_MS: u32 = 1000;
/// Voice is this many times the background: 7 dB.
const ABOVE_FLOOR: f32 = 2.2;
/// Doubles in 350 ms without a dip, which speech always has.
const FLOOR_RISE: f32 = 1.04;
/// A faint line's voice is this far below its loudest: 18 dB.
const BELOW_PEAK: f32 = 0.125;
/// Anything below is silence, on the faintest line: about -47 dBm0.
const MIN_THRESHOLD: f32 = 100.0;
/// Loud voice is voice in any noise.
const MAX_THRESHOLD: f32 = 1500.0;
