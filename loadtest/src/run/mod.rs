//! One run, from the first agent's registration to the last one's log-out.

mod agents;
mod customers;
pub(crate) mod director;
pub(crate) mod stages;
pub(crate) mod state;
mod timers;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::LoadArgs;
use crate::clock;
use crate::media::digits::DigitBook;
use crate::media::ledger::Ledger;
use crate::media::pump::Pump;
use crate::media::sockets::{self, PortPool, SIP_RECEIVE_BYTES};
use crate::progress::Progress;
use crate::rest::events;
use crate::rest::pool::Pool;
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
    pub(crate) control: String,
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

/// Runs. Errors: ports in use, too few descriptors, unreadable prompts; never a misbehaving peer.
pub(crate) fn run(setup: Setup) -> anyhow::Result<Finished> {
    let load = setup.load.clone();
    let expected_calls = (load.callbacks.0 + load.previews.0 + load.inbound.0) * 60.0;
    let endpoints = load.agents as u64 + load.concurrent as u64 + expected_calls as u64 + RESTING_CALLS;
    sockets::raise_file_limit(endpoints * 2 + OTHER_FILES)?;
    let book = load.prompts.as_deref().map(DigitBook::load).transpose().map_err(anyhow::Error::msg)?;
    if load.pin.0 > 0.0 && book.is_none() {
        anyhow::bail!("agents with a PIN need --prompts, the directory with the engine's digit recordings");
    }
    let phones_socket = sip_socket(load.phones_listen, "--phones-listen")?;
    let trunk_socket = sip_socket(load.trunk_listen, "--trunk-listen")?;
    let (sender, inputs) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let notes = sender.clone();
    let pump =
        Pump::start(setup.run, load.tail_packets, book, move |note| drop(notes.send(Input::Note(note))))?;
    let replies = sender.clone();
    let rest = Pool::start(&setup.control, REST_THREADS, move |reply| drop(replies.send(Input::Rest(reply))));
    listen(Line::Phones, &phones_socket, &sender, &stop)?;
    listen(Line::Trunk, &trunk_socket, &sender, &stop)?;
    let feed = sender.clone();
    let url = format!("{}/api/v1/events", setup.control.trim_end_matches('/'));
    events::follow(url, stop.clone(), move |news| drop(feed.send(Input::Feed(news))));
    let ports = PortPool::new(load.media_ip, load.rtp_ports);
    let progress = Progress::new();
    let mut director =
        Box::new(Director::new(Parts { setup, phones_socket, trunk_socket, rest, pump, ports, progress }));
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

fn sip_socket(local: SocketAddr, option: &str) -> anyhow::Result<UdpSocket> {
    let socket = sockets::bind(local, SIP_RECEIVE_BYTES)
        .with_context(|| format!("cannot listen on {local} ({option})"))?;
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    Ok(socket)
}

fn listen(
    line: Line,
    socket: &UdpSocket,
    inputs: &Sender<Input>,
    stop: &Arc<AtomicBool>,
) -> std::io::Result<()> {
    let (socket, inputs, stop) = (socket.try_clone()?, inputs.clone(), stop.clone());
    std::thread::Builder::new().name("sip".to_owned()).spawn(move || {
        let mut buffer = vec![0; 65_535];
        while !stop.load(Relaxed) {
            if let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
                let _ = inputs.send(Input::Sip(line, from, buffer[..bytes].to_vec()));
            }
        }
    })?;
    Ok(())
}
