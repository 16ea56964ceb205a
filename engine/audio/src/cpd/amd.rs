//! Person or machine, by the length of the greeting: people say a word or two and wait, machines go on.
//!
//! The parameters and their defaults are those of Asterisk's AMD, so that settings can be carried over. Four
//! things differ: tones are neither words nor silence, nor is a loss within a word; the silence threshold rises above
//! background noise and falls on a faint line; noise that begins is no word; and words are only counted once there is a
//! second of voice.

use super::background::Background;
use super::tone::MAX_LOSS_MS;

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
    /// First half of a frame.
    half: Option<Hop>,
    total_ms: u32,
    silence_ms: u32,
    /// Sum of the magnitudes of this silence's frames.
    silence_sum: f32,
    /// All voice so far.
    voice_ms: u32,
    /// Voice since the last silence between words.
    word_ms: u32,
    /// Largest mean absolute sample of it.
    word_peak: f32,
    in_word: bool,
    words: u32,
    background: Background,
    /// Whether the last frame that was heard was voice, and how long nothing has been known since.
    was_voice: bool,
    unknown_ms: u32,
}

/// 10 ms of what is heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hop {
    /// Mean absolute sample.
    pub(super) magnitude: u16,
    /// Share of the strongest peak in the power; `None` if it cannot be told.
    pub(super) pitch: Option<f32>,
    /// A tone sounds.
    pub(super) tone: bool,
    /// It stands in for lost audio.
    pub(super) concealed: bool,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sound {
    Voice,
    Silence,
    /// Neither: a tone, or a loss within voice.
    Neither,
}

impl Amd {
    pub(super) fn new(config: AmdConfig) -> Self {
        Self {
            config,
            verdict: None,
            cancelled: false,
            half: None,
            total_ms: 0,
            silence_ms: 0,
            silence_sum: 0.0,
            voice_ms: 0,
            word_ms: 0,
            word_peak: 0.0,
            in_word: false,
            words: 0,
            background: Background::new(config.silence_threshold),
            was_voice: false,
            unknown_ms: 0,
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

    /// What was taken for a tone was `ms` of voice.
    pub(super) fn give_back(&mut self, ms: u32) {
        self.begin_silence();
        self.was_voice = true;
        self.add_voice(ms);
    }

    /// A tone has ended: who waits, waits from now on.
    pub(super) fn on_tone_end(&mut self) {
        self.begin_silence();
        self.end_word();
    }

    /// Settles the verdict from outside.
    pub(super) fn decide(&mut self, verdict: AmdVerdict) -> AmdVerdict {
        *self.verdict.get_or_insert(verdict)
    }

    /// Takes 10 ms; the verdict when it falls. While it still `rings`, time that passes without a word does not count.
    pub(super) fn on_hop(&mut self, hop: Hop, rings: bool) -> Option<AmdVerdict> {
        let Some(before) = self.half.take() else {
            self.half = Some(hop);
            return None;
        };
        let sound = self.sound_of(before, hop);
        self.count(sound);
        if rings && self.words == 0 {
            self.silence_ms = 0;
            self.total_ms = 0;
        }
        if self.verdict.is_some() || self.cancelled {
            return None;
        }
        self.verdict = self.judged(sound == Sound::Voice);
        self.verdict
    }

    fn sound_of(&mut self, before: Hop, hop: Hop) -> Sound {
        if hop.tone {
            return Sound::Neither;
        }
        if before.concealed || hop.concealed {
            self.unknown_ms += FRAME_MS;
            let goes_on = self.was_voice && self.unknown_ms <= MAX_LOSS_MS;
            return if goes_on { Sound::Neither } else { Sound::Silence };
        }
        self.unknown_ms = 0;
        let magnitude = f32::from(before.magnitude.midpoint(hop.magnitude));
        self.was_voice = self.background.is_exceeded(magnitude, hop.pitch, self.was_voice, self.words > 0);
        if self.was_voice {
            self.word_peak = self.word_peak.max(magnitude);
            Sound::Voice
        } else {
            self.silence_sum += magnitude;
            Sound::Silence
        }
    }

    fn count(&mut self, sound: Sound) {
        self.total_ms += FRAME_MS;
        match sound {
            Sound::Voice => {
                self.begin_silence();
                self.add_voice(FRAME_MS);
            }
            Sound::Silence => {
                self.silence_ms += FRAME_MS;
                if self.silence_ms >= self.config.between_words_silence_ms {
                    self.end_word();
                }
            }
            Sound::Neither => {}
        }
    }

    fn add_voice(&mut self, ms: u32) {
        self.voice_ms += ms;
        self.word_ms += ms;
        if self.word_ms >= self.config.min_word_length_ms && !self.in_word {
            self.in_word = true;
            self.words += 1;
        }
    }

    fn begin_silence(&mut self) {
        self.silence_ms = 0;
        self.silence_sum = 0.0;
    }

    /// Noise that began is as loud after it has become known for the background; that was no word.
    fn end_word(&mut self) {
        let frames = (self.silence_ms / FRAME_MS).max(1) as f32;
        if self.word_ms > 0 && self.word_peak < NOISE_PEAK * self.silence_sum / frames {
            self.voice_ms = self.voice_ms.saturating_sub(self.word_ms);
            self.words -= u32::from(self.in_word);
        }
        self.in_word = false;
        self.word_ms = 0;
        self.word_peak = 0.0;
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
/// The loudest of many frames of noise is at most this many times their mean: 4 dB.
const NOISE_PEAK: f32 = 1.6;
