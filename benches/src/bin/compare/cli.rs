//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::systems::Kind;

/// The engine beside rtpengine and two bare programs: CPU per packet, capacity, delay, memory, set-ups.
#[derive(Debug, Parser)]
#[command(name = "compare", args_conflicts_with_subcommands = false)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) question: Option<Question>,
    #[command(flatten)]
    pub(crate) bench: BenchArgs,
    #[command(flatten)]
    pub(crate) side_by_side: SideBySideArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Question {
    /// What do parked legs cost, and how soon does one speak again?
    Park(ParkArgs),
    /// How many splices a second, and how soon does the first packet follow?
    Splices(SplicesArgs),
    /// What do many legs cost to create, to hold and to delete?
    Scale(ScaleArgs),
    /// What does control spend on a call, and on agents who are off hook?
    SetUps(SetUpsArgs),
    /// How soon do players begin that are asked for at once, and do they burst?
    Players(PlayersArgs),
    /// How soon is control back, with thousands of agents, after it was killed?
    Restart(RestartArgs),
    /// Puts the last comparison into a README.
    Readme(ReadmeArgs),
    /// A bare program to compare with (started by this one).
    #[command(hide = true)]
    Floor(FloorArgs),
}

/// What every question needs.
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchArgs {
    /// Processor of the system that is measured.
    #[arg(long, default_value_t = 0, global = true)]
    pub(crate) cpu: usize,
    /// Processors of the generator: the receiver's, then those of the senders, as 1,2,3; all others when absent.
    #[arg(long, value_delimiter = ',', global = true)]
    pub(crate) generator_cpus: Option<Vec<usize>>,
    /// The engine's binary.
    #[arg(long, default_value = "target/release/offhook-engine", global = true)]
    pub(crate) engine: PathBuf,
    /// More arguments of the engine, as --engine-arg=--min-wait-us=0.
    #[arg(long = "engine-arg", global = true, allow_hyphen_values = true)]
    pub(crate) engine_args: Vec<String>,
    /// rtpengine's binary.
    #[arg(long, default_value = "rtpengine", global = true)]
    pub(crate) rtpengine: PathBuf,
    /// Directory for the figures.
    #[arg(long, default_value = "benches/results", global = true)]
    pub(crate) results: PathBuf,
    /// Length of a measurement, in milliseconds.
    #[arg(long, default_value_t = 5_000, global = true, value_parser = clap::value_parser!(u64).range(200..=600_000))]
    pub(crate) span_ms: u64,
}

/// What the side-by-side comparison takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct SideBySideArgs {
    /// Numbers of calls.
    #[arg(long, value_delimiter = ',', default_value = "100,500,1000,2000", value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(crate) calls: Vec<u32>,
    /// Rounds of every system in turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) pairs: u32,
    /// Which systems take part.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Kind::USUAL)]
    pub(crate) systems: Vec<Kind>,
    /// A short try: 100 and 1,000 calls, one round, short measurements.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Leave the search for the lossless rate out.
    #[arg(long)]
    pub(crate) no_capacity: bool,
}

/// What `park` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct ParkArgs {
    /// Parked legs, each sending 50 packets a second.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(2..=20_000))]
    pub(crate) legs: u32,
    /// Legs to unpark one after the other.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) unparks: u32,
    /// The kernel passes one packet in so many of a parked leg.
    #[arg(long, default_value_t = 32)]
    pub(crate) keep_one_in: u16,
    /// Milliseconds between the comfort noise packets that a parked leg is sent, by default as control asks; 0 sends none.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) comfort_noise_ms: u32,
}

/// What `splices` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct SplicesArgs {
    /// Legs up, each sending 50 packets a second.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(4..=20_000))]
    pub(crate) legs: u32,
    /// Splices and unsplices in the burst.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(crate) operations: u32,
    /// Splices whose first packet is timed, 200 a second.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) timed: u32,
}

/// What `scale` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct ScaleArgs {
    /// Legs to create and delete.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    pub(crate) legs: u32,
}

/// What `set-ups` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct SetUpsArgs {
    /// Control's binary.
    #[arg(long, default_value = "target/release/offhook-control")]
    pub(crate) control: PathBuf,
    /// Agents off hook, each with an open dialog.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) agents: u32,
    /// Calls to set up each second.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(8..=10_000))]
    pub(crate) rate: u32,
    /// Milliseconds after which a customer hangs up.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(10..=600_000))]
    pub(crate) talk_ms: u64,
}

/// What `players` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlayersArgs {
    /// Legs, each of which is asked to play at once.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) players: u32,
    /// How often all of them are started and stopped.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: u32,
}

/// What `restart` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct RestartArgs {
    /// Control's binary.
    #[arg(long, default_value = "target/release/offhook-control")]
    pub(crate) control: PathBuf,
    /// Agents off hook, each with an open dialog.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) agents: u32,
    /// How often control is killed and started again.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) restarts: u32,
}

/// What `readme` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReadmeArgs {
    /// The README; the plot goes into the folder `benches` beside it.
    #[arg(long, default_value = "README.md")]
    pub(crate) readme: PathBuf,
}

/// What a floor takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct FloorArgs {
    pub(crate) floor: Floor,
    /// Control socket.
    #[arg(long)]
    pub(crate) control: SocketAddr,
    /// Calls to forward, on two ports each.
    #[arg(long)]
    pub(crate) calls: u32,
    /// Phones of one side; call n has number n modulo their count.
    #[arg(long, value_delimiter = ',')]
    pub(crate) near: Vec<SocketAddr>,
    /// Phones of the other.
    #[arg(long, value_delimiter = ',')]
    pub(crate) far: Vec<SocketAddr>,
}

/// A bare program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Floor {
    /// Forwards: a socket per leg, epoll, recv, send.
    Epoll,
    /// Only reads: one socket for everything, `recvmmsg`.
    Recvmmsg,
    /// Forwards: reads as above, and sends through one raw socket.
    Raw,
}
