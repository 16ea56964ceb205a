//! `loadtest`: agents' phones, a carrier and the agents' console, played against Offhook.
//!
//! It proves who heard whom: every packet carries its speaker, its number and its time, and an oracle judges each arrival. It
//! shares no code with the product. Start with [`run`]; [`media`] holds the proof, [`sip`] and [`wire`] the telephony,
//! [`report`] the result.

mod cli;
mod clock;
mod crashes;
mod demo;
mod host;
mod media;
mod plan;
mod progress;
mod report;
mod rest;
mod run;
mod units;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use offhook_loadtest::{files, sip, wire};

use cli::{Cli, Command, LoadArgs, RunArgs};
use run::Setup;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run_only(args),
        Command::Demo(args) => demo::demo(&args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run_only(args: RunArgs) -> anyhow::Result<bool> {
    args.load.check()?;
    let run = run::run_id(args.load.seed);
    let RunArgs { control, token_file, sip, engine_pid, control_pid, load } = args;
    let control = rest::Server::new(&control, token_file.as_deref())?;
    let versions = BTreeMap::from([("loadtest", env!("CARGO_PKG_VERSION").to_owned())]);
    let setup = Setup { run, control, sip, engine_pid, control_pid, load: load.clone() };
    run_and_report(setup, &load, versions)
}

/// Runs, prints the summary and writes the report. True: everything held.
fn run_and_report(
    setup: Setup,
    load: &LoadArgs,
    versions: BTreeMap<&'static str, String>,
) -> anyhow::Result<bool> {
    report::prepare(&load.report_dir)?;
    let report = report::build(run::run(setup)?, versions);
    report::write(&report, &load.report_dir)?;
    // Whoever reads it may be gone; the report is there, and the verdict holds.
    let page = load.report_dir.join("report.html");
    let _ = writeln!(io::stdout(), "{}\n  {}", report::summary(&report), page.display());
    Ok(report.passed)
}
