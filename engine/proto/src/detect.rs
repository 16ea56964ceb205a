//! Detection: who or what speaks on a leg, as asked for and as told.

mod tones;

use serde::{Deserialize, Serialize};

pub use tones::ToneParameters;

/// Listens to what a leg receives, in place of the detection that there was. Delays nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectStart {
    /// Which leg.
    pub leg: String,
    /// What to listen for; 1 to 3, none twice.
    pub what: Vec<DetectWhat>,
    /// Parameters of `amd`.
    #[serde(default, skip_serializing_if = "AmdParameters::is_default")]
    pub amd: AmdParameters,
    /// Parameters of the tones, the beep of `amd` among them.
    #[serde(default, skip_serializing_if = "ToneParameters::is_default")]
    pub tones: ToneParameters,
}

/// Ends the detection of a leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectStop {
    /// Which leg.
    pub leg: String,
}

/// What to listen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectWhat {
    /// A person or an answering machine, and the machine's beep.
    Amd,
    /// Fax, special information tones, busy, reorder, ringback and dial tone.
    Tones,
    /// Keys in the audio.
    Dtmf,
}

/// How a person is told from a machine: the names, units and defaults of Asterisk's `amd.conf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AmdParameters {
    /// Silence before any word that makes a machine, in milliseconds.
    pub initial_silence_ms: u32,
    /// Voice in all that makes a machine, in milliseconds.
    pub greeting_ms: u32,
    /// Silence after a greeting that makes a person, in milliseconds.
    pub after_greeting_silence_ms: u32,
    /// When it is given up, in milliseconds.
    pub total_analysis_time_ms: u32,
    /// Shortest voice that is a word, in milliseconds.
    pub min_word_length_ms: u32,
    /// Longest voice that is a word, in milliseconds.
    pub maximum_word_length_ms: u32,
    /// Silence that ends a word, in milliseconds.
    pub between_words_silence_ms: u32,
    /// Most words of a person.
    pub maximum_number_of_words: u32,
    /// Mean absolute sample that is voice, 1 to 32,767.
    pub silence_threshold: u16,
}

impl Default for AmdParameters {
    fn default() -> Self {
        Self {
            initial_silence_ms: 2_500,
            greeting_ms: 1_500,
            after_greeting_silence_ms: 800,
            total_analysis_time_ms: 5_000,
            min_word_length_ms: 100,
            maximum_word_length_ms: 5_000,
            between_words_silence_ms: 50,
            maximum_number_of_words: 3,
            silence_threshold: 256,
        }
    }
}

impl AmdParameters {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Those in milliseconds, by name.
    pub(crate) fn spans_ms(&self) -> [(&'static str, u32); 7] {
        [
            ("amd.initial_silence_ms", self.initial_silence_ms),
            ("amd.greeting_ms", self.greeting_ms),
            ("amd.after_greeting_silence_ms", self.after_greeting_silence_ms),
            ("amd.total_analysis_time_ms", self.total_analysis_time_ms),
            ("amd.min_word_length_ms", self.min_word_length_ms),
            ("amd.maximum_word_length_ms", self.maximum_word_length_ms),
            ("amd.between_words_silence_ms", self.between_words_silence_ms),
        ]
    }
}

/// What a detection found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detected {
    /// Which leg.
    pub leg: String,
    /// What it is.
    pub kind: DetectedKind,
    /// Why, or which, where there is more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<DetectedCause>,
    /// Milliseconds since the detection was started.
    pub after_ms: u64,
    /// Frequency of a beep, in Hz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_hz: Option<u32>,
    /// How long a beep was, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u32>,
}

/// What speaks on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectedKind {
    /// A person.
    Person,
    /// An answering machine.
    Machine,
    /// Person or machine, it cannot be told.
    NotSure,
    /// The beep of a machine has ended: time to leave a message.
    Beep,
    /// A fax.
    Fax,
    /// A special information tone: the call failed.
    Sit,
    /// Busy.
    Busy,
    /// Reorder, or congestion.
    Reorder,
    /// The called phone still rings.
    Ringback,
    /// Dial tone: the far end has hung up.
    DialTone,
}

/// Why something was detected, or which of its kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectedCause {
    /// Silence after a short greeting.
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
    /// A fax that answers: 2100 Hz.
    FaxAnswer,
    /// A fax that calls: 1100 Hz.
    FaxCalling,
    /// The number is not in use or was changed (IC).
    Intercept,
    /// No such code or prefix (VC).
    VacantCode,
    /// Reorder within the local network (RO′).
    ReorderIntra,
    /// Reorder in a long-distance network (RO″).
    ReorderInter,
    /// No circuit within the local network (NC′).
    NoCircuitIntra,
    /// No circuit in a long-distance network (NC″).
    NoCircuitInter,
    /// Ineffective attempts of other kinds.
    IneffectiveOther,
    /// Reserved.
    Reserved,
    /// The tone of ITU-T E.180, without a cause.
    Unspecified,
}
