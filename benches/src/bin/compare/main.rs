//! Compares the engine with rtpengine and with two bare programs, side by side on one processor.
//!
//! Every system is started afresh on the same pinned processor, its calls are set up through its own control socket, and one
//! generator on other processors drives it; the systems take turns, so that whatever else the machine does hits all alike.

mod cli;
mod clock;
mod control;
mod floor;
mod generator;
mod loopback;
mod machine;
mod measure;
mod park;
mod players;
mod process;
mod processor;
mod report;
mod scale;
mod set_ups;
mod side_by_side;
mod splices;
mod systems;
mod trial;
mod units;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Question};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.question {
        Some(Question::Floor(args)) => floor::run(args),
        Some(Question::Park(args)) => park::run(&cli.bench, args),
        Some(Question::Splices(args)) => splices::run(&cli.bench, args),
        Some(Question::Scale(args)) => scale::run(&cli.bench, args),
        Some(Question::SetUps(args)) => set_ups::run(&cli.bench, args),
        Some(Question::Players(args)) => players::run(&cli.bench, args),
        Some(Question::Restart(args)) => set_ups::restart::run(&cli.bench, args),
        Some(Question::Readme(args)) => report::readme::write(&cli.bench, args),
        None => side_by_side::run(&cli.bench, &cli.side_by_side),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error:#}");
            ExitCode::FAILURE
        }
    }
}
