//! The engine's shell: threads, sockets, files and the command line around the pure core.
//!
//! One worker thread per processor carries packets ([`worker`]); one control thread answers requests and reads prompt files
//! ([`control`]). Messages between them keep their order; a leg's sockets travel with the message that moves the leg.

mod args;
mod check;
mod clock;
mod control;
mod ctl;
mod files;
mod kernel;
mod key;
mod link;
mod metrics;
mod ng;
mod ng_stream;
mod prompt;
mod record;
mod run;
mod sockets;
mod speed;
mod steering;
mod worker;
mod workers;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing::{error, warn};
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, RunArgs, Subcommands};
use crate::check::Fitness;
use crate::run::{Mistake, NoRing};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Subcommands::Ctl(args)) => ctl::main(args),
        Some(Subcommands::Run(args)) => engine(&args),
        None => engine(&cli.run),
    }
}

fn engine(args: &RunArgs) -> ExitCode {
    if args.check {
        return match check::print(args, run::cpus(args).map_or(1, |cpus| cpus.len())) {
            Fitness::Fit => ExitCode::SUCCESS,
            Fitness::Unfit => ExitCode::from(FAILED),
            Fitness::NoRing => ExitCode::from(NO_RING),
        };
    }
    let filter = match EnvFilter::try_new(&args.log) {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("error: --log {:?}: {error}", args.log);
            return ExitCode::from(USAGE);
        }
    };
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
    die_with_any_thread();
    if let Err(error) = offhook_uring::limits::outlive_file_size_limit() {
        warn!(%error, "a recording that reaches a limit of file size would end the engine");
    }
    match run::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::from(match () {
                () if error.is::<NoRing>() => NO_RING,
                () if error.is::<Mistake>() => USAGE,
                () => FAILED,
            })
        }
    }
}

/// An engine with a thread missing would be deaf in one ear: better gone, since whoever drives it can rebuild its legs.
fn die_with_any_thread() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::exit(PANICKED);
    }));
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NO_RING: u8 = 3;
const PANICKED: i32 = 101;
