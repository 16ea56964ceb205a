//! What a person types after `ctl`, and the request that it means.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use offhook_proto::{
    Command, DetectStop, LegDelete, LegListRequest, LegPark, LegQuery, LegUnpark, Listen, ListenStop, Play,
    PlaySource, PlayStop, Splice, Supervise, SuperviseMode, SuperviseStop, ToneName, Unsplice,
};

use super::detect_args::DetectArgs;
use super::leg_args::{CreateArgs, UpdateArgs};
use super::record_args::RecordVerb;
use crate::args::DEFAULT_CONTROL;

#[derive(Debug, Args)]
pub(crate) struct CtlArgs {
    /// Control socket of the engine.
    #[arg(long, global = true, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_CONTROL)]
    pub(crate) control: SocketAddr,
    /// File with the shared key, when the engine has one.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Print replies and events as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Asks whether the engine is there.
    Ping,
    /// Opens a leg and prints its ports.
    Create(CreateArgs),
    /// Changes a leg.
    Update(UpdateArgs),
    /// Closes a leg.
    Delete { leg: String },
    /// Names of the legs.
    List {
        /// Only names that sort after this one.
        #[arg(long)]
        after: Option<String>,
        /// Only legs of this controller.
        #[arg(long)]
        owner: Option<String>,
    },
    /// One leg with its counters.
    Query { leg: String },
    /// Joins two legs.
    Splice(SpliceArgs),
    /// Parts a leg from its partner.
    Unsplice {
        /// Name of the leg.
        leg: String,
        /// Park this leg once parted; may be given twice.
        #[arg(long, value_name = "LEG")]
        park: Vec<String>,
    },
    /// Lets a third leg take part in the call of a pair, or changes how.
    Supervise {
        /// The supervisor's leg.
        leg: String,
        /// The agent's leg.
        of: String,
        /// Who hears the supervisor: listen (nobody), whisper (the agent) or barge (both).
        #[arg(long, value_parser = parse_word::<SuperviseMode>, default_value = "listen")]
        mode: SuperviseMode,
        /// Only while the agent is spliced to this leg.
        #[arg(long, value_name = "LEG")]
        with: Option<String>,
    },
    /// Ends what a leg supervises.
    Unsupervise { leg: String },
    /// Lets a leg hear a copy of what another one says.
    Listen {
        /// The leg that hears it.
        leg: String,
        /// The leg that is heard.
        of: String,
    },
    /// Ends what a leg listens to.
    Unlisten { leg: String },
    /// Stops most of a leg's packets in the kernel.
    Park {
        /// Name of the leg.
        leg: String,
        /// Pass one packet in so many: a power of two up to 1024.
        #[arg(long, value_name = "N")]
        keep_one_in: Option<u16>,
    },
    /// Lets a leg's packets through again.
    Unpark { leg: String },
    /// Plays to a leg, in place of what it hears.
    Play(PlayArgs),
    /// Stops playing.
    Stop {
        /// Name of the leg.
        leg: String,
        /// Only the play of this name.
        #[arg(long, value_name = "NAME")]
        play: Option<String>,
    },
    /// Records what is said on a leg.
    #[command(subcommand)]
    Record(RecordVerb),
    /// Listens to a leg for a person, a machine, tones or keys; ctl events shows what is found.
    Detect(DetectArgs),
    /// Ends a leg's detection.
    DetectStop { leg: String },
    /// Figures of the engine and of each worker.
    Stats,
    /// Prints events as they come, until interrupted.
    Events {
        /// Name to subscribe under.
        #[arg(long, default_value = "ctl")]
        controller: String,
        /// End after so many events.
        #[arg(long, value_name = "N")]
        count: Option<u64>,
    },
    /// Sends a JSON dictionary as it is and prints the reply.
    Raw { dictionary: String },
}

#[derive(Debug, Args)]
pub(crate) struct SpliceArgs {
    /// Name of the first leg.
    a: String,
    /// Name of the second leg.
    b: String,
    /// The first leg does not hear the second.
    #[arg(long)]
    a_deaf: bool,
    /// The second leg does not hear the first.
    #[arg(long)]
    b_deaf: bool,
    /// Part either leg from its partner first.
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlayArgs {
    /// Name of the leg.
    leg: String,
    #[arg(
        required = true,
        help = "FILE.wav, tone:NAME[:COUNTRY], dtmf:DIGITS or silence:MS, one after another",
        value_parser = parse_source
    )]
    sources: Vec<PlaySource>,
    /// How often to play the whole list; 0 = until stopped.
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// Where in the list to begin, in milliseconds.
    #[arg(long = "from", value_name = "MS", default_value_t = 0)]
    start_ms: u32,
    /// End after so many milliseconds; 0 = never.
    #[arg(long = "for", value_name = "MS", default_value_t = 0)]
    limit_ms: u32,
    /// Name for the play.ended event.
    #[arg(long, default_value = "")]
    name: String,
}

impl Verb {
    /// The request; `None` for the verbs that are more than one request.
    pub(crate) fn command(self) -> Option<Command> {
        Some(match self {
            Self::Ping => Command::Ping,
            Self::Create(args) => Command::LegCreate(args.command()),
            Self::Update(args) => Command::LegUpdate(args.command()),
            Self::Delete { leg } => Command::LegDelete(LegDelete { leg }),
            Self::Query { leg } => Command::LegQuery(LegQuery { leg }),
            Self::List { after, owner } => Command::LegList(LegListRequest { after, owner, limit: None }),
            Self::Splice(SpliceArgs { a, b, a_deaf, b_deaf, replace }) => Command::Splice(Splice {
                a,
                b,
                a_hears_b: !a_deaf,
                b_hears_a: !b_deaf,
                replace,
                since_us: None,
            }),
            Self::Unsplice { leg, park } => Command::Unsplice(Unsplice { leg, park }),
            Self::Supervise { leg, of, mode, with } => Command::Supervise(Supervise { leg, of, with, mode }),
            Self::Unsupervise { leg } => Command::SuperviseStop(SuperviseStop { leg }),
            Self::Listen { leg, of } => Command::Listen(Listen { leg, of }),
            Self::Unlisten { leg } => Command::ListenStop(ListenStop { leg }),
            Self::Park { leg, keep_one_in } => Command::LegPark(LegPark { leg, keep_one_in }),
            Self::Unpark { leg } => Command::LegUnpark(LegUnpark { leg }),
            Self::Play(PlayArgs { leg, sources, times, start_ms, limit_ms, name }) => {
                Command::Play(Play { leg, sources, times, start_ms, limit_ms, play: name })
            }
            Self::Stop { leg, play } => Command::PlayStop(PlayStop { leg, play }),
            Self::Record(verb) => verb.command(),
            Self::Detect(args) => Command::DetectStart(args.command()),
            Self::DetectStop { leg } => Command::DetectStop(DetectStop { leg }),
            Self::Stats => Command::Statistics,
            Self::Events { .. } | Self::Raw { .. } => return None,
        })
    }
}

/// A value that the protocol writes as one word.
pub(super) fn parse_word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| error.to_string())
}

fn parse_source(text: &str) -> Result<PlaySource, String> {
    match text.split_once(':') {
        Some(("tone", tone)) => {
            let (name, country) =
                tone.split_once(':').map_or((tone, None), |(name, country)| (name, Some(country.to_owned())));
            Ok(PlaySource::Tone { name: parse_word::<ToneName>(name)?, country })
        }
        Some(("dtmf", digits)) => Ok(PlaySource::Dtmf(digits.to_owned())),
        Some(("number", number)) => number
            .parse()
            .map(|value| PlaySource::Number { value, folder: String::new() })
            .map_err(|_| format!("{number:?} is not a number to speak")),
        Some(("silence", length)) => length
            .parse()
            .map(PlaySource::SilenceMs)
            .map_err(|_| format!("{length:?} is not a number of milliseconds")),
        _ => Ok(PlaySource::File(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use offhook_proto::{Codec, DtmfMode, Idle, LatchMode, LegCreate, LegUpdate};

    use super::*;
    use crate::args::{Cli, Subcommands};

    fn command(line: &str) -> Command {
        let words = ["offhook-engine", "ctl"].into_iter().chain(line.split(' '));
        let Some(Subcommands::Ctl(ctl)) = Cli::try_parse_from(words).expect("a good line").command else {
            panic!("not ctl")
        };
        ctl.verb.command().expect("one request")
    }

    #[test]
    fn a_leg_is_created_with_the_defaults_of_the_protocol() {
        assert_eq!(
            command("create a1"),
            Command::LegCreate(LegCreate { leg: "a1".into(), ..LegCreate::default() })
        );
    }

    /// `Subscribe`, `Unsubscribe` and `EventAck` are what `ctl events` does by itself.
    #[test]
    fn every_command_of_the_protocol_can_be_typed() {
        let lines = [
            ("ping", "ping"),
            ("create a1", "leg.create"),
            ("update a1", "leg.update"),
            ("delete a1", "leg.delete"),
            ("list", "leg.list"),
            ("query a1", "leg.query"),
            ("park a1", "leg.park"),
            ("unpark a1", "leg.unpark"),
            ("splice a1 b1", "splice"),
            ("unsplice a1", "unsplice"),
            ("supervise c1 a1", "supervise"),
            ("unsupervise c1", "supervise.stop"),
            ("listen c1 a1", "listen"),
            ("unlisten c1", "listen.stop"),
            ("play a1 beep.wav", "play"),
            ("stop a1", "play.stop"),
            ("record start a1 a1.wav --mode stereo", "record.start"),
            ("record pause a1", "record.pause"),
            ("record resume a1", "record.resume"),
            ("record stop a1", "record.stop"),
            ("detect a1 amd", "detect.start"),
            ("detect-stop a1", "detect.stop"),
            ("stats", "statistics"),
        ];
        let mut typed: Vec<String> = ["subscribe", "unsubscribe", "event.ack"].map(str::to_owned).into();
        for (line, name) in lines {
            let written = serde_json::to_value(command(line)).expect("a command");
            assert_eq!(written["command"], name, "{line}");
            typed.push(name.to_owned());
        }
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/golden");
        for file in std::fs::read_dir(examples).expect("an example of each command") {
            let file = file.expect("a file").file_name().into_string().expect("text");
            let Some(name) = file.strip_suffix(".request.txt") else { continue };
            assert!(typed.iter().any(|typed| typed == name), "{name} cannot be typed");
        }
    }

    #[test]
    fn a_codec_brings_its_static_payload_type() {
        let Command::LegCreate(create) =
            command("create a1 --codec PCMA --idle comfort_noise:500 --latch any")
        else {
            panic!("not leg.create")
        };
        assert_eq!((create.media.codec, create.media.payload_type), (Codec::Pcma, 8));
        assert_eq!((create.idle, create.latch), (Idle::ComfortNoise { interval_ms: 500 }, LatchMode::Any));
    }

    #[test]
    fn legs_listen_and_their_keys_are_blocked() {
        let (leg, of) = ("ear".into(), "ann".into());
        assert_eq!(command("listen ear ann"), Command::Listen(Listen { leg, of }));
        assert_eq!(command("unlisten ear"), Command::ListenStop(ListenStop { leg: "ear".into() }));
        let blocked = LegUpdate { leg: "ann".into(), dtmf: Some(DtmfMode::Block), ..LegUpdate::default() };
        assert_eq!(command("update ann --dtmf block"), Command::LegUpdate(blocked));
        let converted = LegCreate { leg: "ann".into(), dtmf: DtmfMode::Convert, ..LegCreate::default() };
        assert_eq!(command("create ann --dtmf convert"), Command::LegCreate(converted));
    }

    #[test]
    fn a_supervisor_listens_unless_told_otherwise() {
        let (leg, of, with, mode) = ("lead".into(), "ann".into(), None, SuperviseMode::Listen);
        assert_eq!(command("supervise lead ann"), Command::Supervise(Supervise { leg, of, with, mode }));
        let Command::Supervise(whisper) = command("supervise lead ann --mode whisper --with bob") else {
            panic!("not supervise")
        };
        assert_eq!((whisper.mode, whisper.with.as_deref()), (SuperviseMode::Whisper, Some("bob")));
    }

    #[test]
    fn an_update_says_only_what_was_typed() {
        assert_eq!(
            command("update a1 --relatch"),
            Command::LegUpdate(LegUpdate { leg: "a1".into(), relatch: true, ..LegUpdate::default() })
        );
    }

    #[test]
    fn sources_are_told_apart_by_their_prefix() {
        let Command::Play(play) = command("play a1 beep.wav tone:ringback:de dtmf:12# silence:40 --times 0")
        else {
            panic!("not play")
        };
        assert_eq!(
            play.sources,
            [
                PlaySource::File("beep.wav".into()),
                PlaySource::Tone { name: ToneName::Ringback, country: Some("de".into()) },
                PlaySource::Dtmf("12#".into()),
                PlaySource::SilenceMs(40),
            ]
        );
    }
}
