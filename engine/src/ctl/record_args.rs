//! What is typed about recordings.

use clap::{Args, Subcommand};
use offhook_proto::{Command, RecordMode, RecordStart, Recorded};

use super::args::parse_word;

#[derive(Debug, Subcommand)]
pub(crate) enum RecordVerb {
    /// Records a leg into a new WAV file.
    Start(StartArgs),
    /// Leaves out what comes from now on.
    Pause { leg: String },
    /// Goes on after a pause.
    Resume { leg: String },
    /// Ends the recording; ctl events shows when its file is complete.
    Stop { leg: String },
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Name of the leg.
    leg: String,
    /// Name under the engine's recording directory; nothing is overwritten.
    file: String,
    /// What it holds: leg (what the leg says), mixed (with what it hears) or stereo (either on a side).
    #[arg(long, value_parser = parse_word::<RecordMode>, default_value = "mixed")]
    mode: RecordMode,
    /// Samples a second: 8000, 16000 or 48000; as the leg's codec needs when absent.
    #[arg(long, value_name = "HZ")]
    rate_hz: Option<u32>,
}

impl RecordVerb {
    pub(crate) fn command(self) -> Command {
        match self {
            Self::Start(StartArgs { leg, file, mode, rate_hz }) => {
                Command::RecordStart(RecordStart { leg, file, mode, rate_hz })
            }
            Self::Pause { leg } => Command::RecordPause(Recorded { leg }),
            Self::Resume { leg } => Command::RecordResume(Recorded { leg }),
            Self::Stop { leg } => Command::RecordStop(Recorded { leg }),
        }
    }
}
