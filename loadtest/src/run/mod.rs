//! One run, from the first agent's registration to the last one's log-out.

mod agents;
mod customers;
pub(crate) mod director;
pub(crate) mod stages;
pub(crate) mod state;
mod timers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};

use anyhow::Context as _;

use crate::cli::LoadArgs;
use crate::clock;
use crate::media::digits::DigitBook;
use crate::media::ledger::Ledger;
use crate::media::pump::Pump;
use crate::media::sockets::{self, PortPool};
use crate::progress::Progress;
use crate::rest::pool::Pool;
use crate::rest::{Server, events};
use crate::sip::Transport;
use crate::wire::Wire;
use director::{Director, Input, Line, Parts};

/// Requests to control at the same time.
const REST_THREADS: usize = 8;
/// Descriptors that are not media sockets.
const OTHER_FILES: u64 = 200;
/// Sockets that customers of recent calls hold, beyond those in conversations.
const RESTING_CALLS: u64 = 500;

/// Against what to run, and how.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Marks every packet of this run.
    pub(crate) run: u64,
    pub(crate) control: Server,
    pub(crate) sip: SocketAddr,
    pub(crate) engine_pid: Option<u32>,
    pub(crate) control_pid: Option<u32>,
    pub(crate) load: LoadArgs,
}

/// What a run leaves behind.
pub(crate) struct Finished {
    pub(crate) director: Box<Director>,
    pub(crate) ledger: Ledger,
}

/// Runs. Errors: a control that is not there or lets nobody in, ports in use, too few descriptors, unreadable prompts; never a peer
/// that misbehaves later.
pub(crate) fn run(setup: Setup) -> anyhow::Result<Finished> {
    setup.control.ask()?;
    let load = setup.load.clone();
    let expected_calls = (load.callbacks.0 + load.previews.0 + load.inbound.0) * 60.0;
    let endpoints = load.agents as u64 + load.concurrent as u64 + expected_calls as u64 + RESTING_CALLS;
    sockets::raise_file_limit(endpoints * 2 + OTHER_FILES)?;
    let book = load.prompts.as_deref().map(DigitBook::load).transpose().map_err(anyhow::Error::msg)?;
    let (sender, inputs) = channel();
    let phones_wire = open(Line::Phones, load.phones_listen, load.phones_transport, &sender)
        .with_context(|| format!("cannot listen on {} (--phones-listen)", load.phones_listen))?;
    let trunk_wire = open(Line::Trunk, load.trunk_listen, load.trunk_transport, &sender)
        .with_context(|| format!("cannot listen on {} (--trunk-listen)", load.trunk_listen))?;
    let stop = Arc::new(AtomicBool::new(false));
    let notes = sender.clone();
    let pump = Pump::start(setup.run, load.tail_packets, book, !load.no_rtcp, move |note| {
        drop(notes.send(Input::Note(note)));
    })?;
    let replies = sender.clone();
    let rest = Pool::start(&setup.control, REST_THREADS, move |reply| drop(replies.send(Input::Rest(reply))));
    let feed = sender.clone();
    events::follow(setup.control.clone(), stop.clone(), move |news| drop(feed.send(Input::Feed(news))));
    let ports = PortPool::new(load.media_ip, load.rtp_ports);
    let progress = Progress::new();
    let mut director =
        Box::new(Director::new(Parts { setup, phones_wire, trunk_wire, rest, pump, ports, progress }));
    director.hire().context("cannot open the agents' RTP ports")?;
    director.run(&inputs);
    stop.store(true, Relaxed);
    director.progress.end();
    let ledger = director.pump.finish()?;
    Ok(Finished { director, ledger })
}

/// A number that no other run has.
pub(crate) fn run_id(seed: u64) -> u64 {
    clock::realtime_ns() ^ seed.rotate_left(48) ^ u64::from(std::process::id()) << 20
}

fn open(
    line: Line,
    local: SocketAddr,
    transport: Transport,
    inputs: &Sender<Input>,
) -> std::io::Result<Wire> {
    let inputs = inputs.clone();
    Wire::open(local, transport, move |from, message| drop(inputs.send(Input::Sip(line, from, message))))
}
