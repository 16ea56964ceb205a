//! Control plane of Offhook: the command line.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use offhook_control::config::Config;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Control plane of Offhook: agents, callbacks, preview dialling and queues over SIP and REST.
#[derive(Debug, Parser)]
#[command(name = "offhook-control", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Configuration file; control/example.toml explains every setting.
    config: Option<PathBuf>,
    /// What to log, as a level or as targets with levels.
    #[arg(long, value_name = "FILTER", default_value = offhook_control::sip::LOG_FILTER)]
    log: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs (the same as no subcommand).
    Run {
        /// Configuration file.
        config: PathBuf,
        /// What to log, as a level or as targets with levels.
        #[arg(long, value_name = "FILTER", default_value = offhook_control::sip::LOG_FILTER)]
        log: String,
    },
    /// Checks a configuration file and reports everything that is wrong in it.
    Check {
        /// Configuration file.
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let Cli { command, config, log } = Cli::parse();
    match (command, config) {
        (Some(Command::Check { config }), _) => check(&config),
        (Some(Command::Run { config, log }), _) => run(&config, &log),
        (None, Some(config)) => run(&config, &log),
        (None, None) => {
            eprintln!(
                "offhook-control: name a configuration file, as `offhook-control control.toml`; control/example.toml has every setting"
            );
            ExitCode::from(BAD_CONFIG)
        }
    }
}

fn check(path: &Path) -> ExitCode {
    match Config::read(path) {
        Ok(_) => {
            println!("{} is valid", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(BAD_CONFIG)
        }
    }
}

fn run(path: &Path, log: &str) -> ExitCode {
    let config = match Config::read(path) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(BAD_CONFIG);
        }
    };
    let filter = match EnvFilter::builder().parse(log) {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("offhook-control: --log: {error}");
            return ExitCode::from(BAD_CONFIG);
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    raise_file_limit();
    let outcome = tokio::runtime::Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(offhook_control::run(config, path)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("offhook-control: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Lets this process open as many files as it may: each phone that comes over TCP is one.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Exit code for a wrong configuration or command line.
const BAD_CONFIG: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_starts_and_reloads_control_with_commands_that_it_has() {
        let unit = include_str!("../../deploy/offhook-control.service");
        let run = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command line");
        let run = Cli::try_parse_from(run.split_whitespace()).expect("it is known");
        assert!(matches!(run.command, Some(Command::Run { .. })));
        let check = unit.lines().find_map(|line| line.strip_prefix("ExecReload=")).expect("a command line");
        let check = Cli::try_parse_from(check.split_whitespace()).expect("it is known");
        assert!(matches!(check.command, Some(Command::Check { .. })));
    }
}
