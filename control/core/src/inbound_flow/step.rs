//! A flow as it is configured: steps with captions, and branches from one to the next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The branch that is taken when no other one fits.
pub const DEFAULT: &str = "Default";
/// The branch that is taken when a step failed; `{_ERR}` says why.
pub const ON_ERROR: &str = "OnError";
/// The branch of a menu whose caller pressed no key.
pub const TIMEOUT: &str = "Timeout";
/// The branch of an estimated wait that is longer than the threshold.
pub const LONGER: &str = "Longer";

/// One flow. Its first step is where it begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowConfig {
    /// Name.
    pub name: String,
    /// What kind of contact runs through it.
    pub media: FlowMedia,
    /// Numbers whose callers enter here.
    pub dnis: Vec<String>,
    /// Its steps.
    pub steps: Vec<StepConfig>,
}

/// What kind of contact runs through a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowMedia {
    /// Calls.
    #[default]
    Phone,
    /// Text, live: no voice, no callback.
    Chat,
    /// Text: no voice, no callback.
    Email,
}

/// One step of a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepConfig {
    /// Its name, unique in the flow.
    pub caption: String,
    /// What it does.
    pub action: Action,
    /// Where each of its results leads, by caption. A result without a branch of its own takes [`DEFAULT`]; without that
    /// one the flow ends: who is in a queue goes on waiting there, anybody else is hung up on.
    #[serde(default)]
    pub branches: BTreeMap<String, String>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Plays prompts, one after another.
    Announce {
        /// WAV files under the engine's prompt directory, and numbers to speak: `number:{Position}`.
        prompts: Vec<String>,
    },
    /// Plays music for a time.
    Music {
        /// WAV file, looped; empty = the queue's own music.
        file: String,
        /// For how long.
        seconds: u32,
    },
    /// Takes a place in a queue. The flow goes on; whenever an agent takes the caller, it ends.
    RequestAgent {
        /// Which queue; its skill is what an agent needs.
        queue: String,
        /// Higher goes first; the queue's own when absent.
        priority: Option<i32>,
    },
    /// Asks for keys. Its branches are what was pressed, and [`TIMEOUT`].
    Menu {
        /// WAV files; a key interrupts them.
        prompts: Vec<String>,
        /// Most keys, 1 to 32.
        digits: u8,
        /// A key that ends the input early and is no part of it.
        terminator: Option<char>,
        /// Seconds for each key, from the end of the prompts on.
        timeout_s: u32,
        /// Variable that keeps what was pressed.
        variable: String,
    },
    /// Compares the estimated wait with a threshold: [`LONGER`], or [`DEFAULT`].
    EstimatedWait {
        /// Seconds.
        longer_than_s: u32,
    },
    /// Ends the call and keeps its place in the queue.
    Callback(CallbackAction),
    /// Calls a number, or asks an agent, and joins them with the caller: the flow ends when they talk. When they are not
    /// reached it takes [`ON_ERROR`]; the caller has the same place in the queue as before.
    Transfer {
        /// Number to call through the trunk; empty = an agent.
        number: String,
        /// Id of the agent; empty = a number.
        agent: String,
    },
    /// Waits without a voice.
    Wait {
        /// For how long.
        seconds: u32,
    },
    /// Ends the call; after a callback action, the callback.
    HangUp,
    /// Sets a variable.
    Set {
        /// Which.
        variable: String,
        /// Its new value.
        value: String,
    },
}

/// What the callback action is given (QC-04, QC-05, QC-14).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallbackAction {
    /// Service under which the callback is kept, with its attempts and time to live.
    pub service: String,
    /// Whom to call.
    pub phone_number: String,
    /// Number shown to them; empty = the one that they dialled.
    pub caller_id: String,
    /// `CallDelaySec`: seconds between the agent's acceptance and dialling, 0 to 59. More puts agents in `refused`.
    pub call_delay_s: String,
    /// WAV that confirms the callback before the call is dropped; empty = none.
    pub prompt: String,
}

impl Default for CallbackAction {
    fn default() -> Self {
        Self {
            service: String::new(),
            phone_number: "{ANI}".into(),
            caller_id: "{DNIS}".into(),
            call_delay_s: "0".into(),
            prompt: "callback_confirm.wav".into(),
        }
    }
}

impl FlowConfig {
    /// Index of the step with a caption.
    pub(crate) fn step(&self, caption: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.caption == caption)
    }
}

impl StepConfig {
    /// Where a result leads: its own branch, else [`DEFAULT`] (QC-16).
    pub(crate) fn branch(&self, result: &str) -> Option<&str> {
        self.branches.get(result).or_else(|| self.branches.get(DEFAULT)).map(String::as_str)
    }
}

impl Action {
    /// Whether it needs a call that is there.
    pub fn is_voice(&self) -> bool {
        match self {
            Self::Announce { .. }
            | Self::Music { .. }
            | Self::Menu { .. }
            | Self::Callback(_)
            | Self::Transfer { .. } => true,
            Self::RequestAgent { .. }
            | Self::EstimatedWait { .. }
            | Self::Wait { .. }
            | Self::HangUp
            | Self::Set { .. } => false,
        }
    }

    /// Whether it ends in the moment in which it begins.
    pub(super) fn is_instant(&self) -> bool {
        match self {
            Self::RequestAgent { .. } | Self::EstimatedWait { .. } | Self::Set { .. } => true,
            Self::Announce { .. }
            | Self::Music { .. }
            | Self::Menu { .. }
            | Self::Callback(_)
            | Self::Transfer { .. }
            | Self::Wait { .. }
            | Self::HangUp => false,
        }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Announce { .. } => "announce",
            Self::Music { .. } => "music",
            Self::RequestAgent { .. } => "request_agent",
            Self::Menu { .. } => "menu",
            Self::EstimatedWait { .. } => "estimated_wait",
            Self::Callback(_) => "callback",
            Self::Transfer { .. } => "transfer",
            Self::Wait { .. } => "wait",
            Self::HangUp => "hang_up",
            Self::Set { .. } => "set",
        }
    }
}
