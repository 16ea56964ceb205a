//! `offhook-engine ctl`: drives a running engine by hand.

mod args;
mod detect_args;
mod leg_args;
mod print;
mod raw;
mod record_args;
mod secure_args;

use std::fmt;
use std::io::{self, ErrorKind, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use offhook_proto::auth::Key;
use offhook_proto::{BlockingClient, ClientEvent, Config, Error, ErrorCode, Reply};

pub(crate) use self::args::CtlArgs;
use self::args::Verb;
use crate::key;

/// Does what was typed. The exit code is 0 when the engine did it.
pub(crate) fn main(args: CtlArgs) -> ExitCode {
    match execute(args) {
        Ok(code) => code,
        // Whoever read this has read enough, as `head` does.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(args: CtlArgs) -> anyhow::Result<ExitCode> {
    let key = args.key_file.as_deref().map(key::read).transpose()?;
    match args.verb {
        Verb::Raw { dictionary } => {
            let reply = raw::exchange(args.control, key, &dictionary)?;
            say(&reply)?;
            if raw::is_refusal(&reply) {
                return Ok(ExitCode::FAILURE);
            }
        }
        Verb::Events { controller, count } => print_events(args.control, key, controller, count, args.json)?,
        verb => {
            let command = verb.command().context("a verb of one request")?;
            let mut client = BlockingClient::connect(args.control, key)?;
            let reply = client.call(command.clone()).map_err(|error| unheard(error, args.control))?;
            match (args.json, reply) {
                (true, Reply::Ok(body)) => say(serde_json::to_string_pretty(&body)?)?,
                (_, reply) => say(print::reply(&command, reply)?)?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A line on standard output, which may be a pipe that is closed at any time.
fn say(line: impl fmt::Display) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// What to look at when nobody answers.
fn unheard(error: Error, control: SocketAddr) -> anyhow::Error {
    match error.code {
        ErrorCode::Timeout => {
            anyhow!("{error}: is an engine running at {control} (--control), with this key?")
        }
        _ => error.into(),
    }
}

fn print_events(
    control: SocketAddr,
    key: Option<Key>,
    controller: String,
    count: Option<u64>,
    json: bool,
) -> anyhow::Result<()> {
    let config = Config { controller: Some(controller), lease_ms: Some(0), ..Config::default() };
    let mut client = BlockingClient::connect_with(control, key, config)?;
    let mut left = count.unwrap_or(u64::MAX);
    while left > 0 {
        match client.next_event(POLL)? {
            None => {}
            Some(ClientEvent::Event(event)) => {
                left -= 1;
                if json {
                    say(serde_json::to_string(&event)?)?;
                } else {
                    say(print::event(&event))?;
                }
            }
            Some(ClientEvent::SubscribeRefused(error)) => return Err(error.into()),
            Some(ClientEvent::EngineUp { instance }) => eprintln!("subscribed to {instance}"),
            Some(ClientEvent::EngineRestarted { .. }) => {
                eprintln!("the engine has restarted: all legs are gone");
            }
            Some(ClientEvent::EngineSilent) => eprintln!("the engine does not answer"),
            Some(ClientEvent::EngineBack) => eprintln!("the engine answers again"),
            Some(ClientEvent::EventsMissed) => eprintln!("some events were missed"),
            Some(ClientEvent::Reply { .. }) => {}
        }
    }
    Ok(())
}

const POLL: Duration = Duration::from_secs(3_600);
