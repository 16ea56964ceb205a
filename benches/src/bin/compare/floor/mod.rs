//! Bare programs: the least that a forwarder could do with sockets.

mod epoll;
mod raw;
mod recvmmsg;

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

use crate::cli::{Floor, FloorArgs};
use crate::machine::raise_nofile;

/// Runs until it is killed; answers every request with the packets taken so far.
///
/// # Errors
/// A socket fails.
pub(crate) fn run(args: &FloorArgs) -> Result<()> {
    raise_nofile(u64::from(args.calls) * 2 + 100)?;
    let taken = Arc::new(AtomicU64::new(0));
    let control = UdpSocket::bind(args.control).context("control socket")?;
    match args.floor {
        Floor::Epoll => {
            let forwarder = epoll::Forwarder::new(args)?;
            answer(control, Arc::clone(&taken));
            forwarder.run(&taken)
        }
        Floor::Recvmmsg => {
            let socket = recvmmsg::open()?;
            answer(control, Arc::clone(&taken));
            recvmmsg::run(&socket, &taken)
        }
        Floor::Raw => {
            let forwarder = raw::Forwarder::new(args)?;
            answer(control, Arc::clone(&taken));
            forwarder.run(&taken)
        }
    }
}

fn answer(control: UdpSocket, taken: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        while let Ok((len, source)) = control.recv_from(&mut buffer) {
            let space = buffer[..len].iter().position(|&byte| byte == b' ').unwrap_or(len);
            let mut reply = buffer[..space].to_vec();
            reply.extend_from_slice(format!(" {}", taken.load(Ordering::Relaxed)).as_bytes());
            let _ = control.send_to(&reply, source);
        }
    });
}

/// First port of the legs, which have the ports from there on.
const FIRST_PORT: u16 = 20_000;
