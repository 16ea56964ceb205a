//! A socket per leg, epoll, recv, a byte of the header rewritten, send.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::FIRST_PORT;
use crate::cli::FloorArgs;
use crate::systems::MEDIA_ADDRESS;

/// Legs in pairs, each connected to its phone.
pub(super) struct Forwarder {
    legs: Vec<UdpSocket>,
    epoll: Epoll,
}

impl Forwarder {
    pub(super) fn new(args: &FloorArgs) -> Result<Self> {
        ensure!(!args.near.is_empty() && !args.far.is_empty(), "a forwarder needs phones on both sides");
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        let mut legs = Vec::new();
        for call in 0..args.calls as usize {
            let phones = [args.near[call % args.near.len()], args.far[call % args.far.len()]];
            for phone in phones {
                let leg = bind(FIRST_PORT + legs.len() as u16, phone)?;
                epoll.add(&leg, EpollEvent::new(EpollFlags::EPOLLIN, legs.len() as u64))?;
                legs.push(leg);
            }
        }
        Ok(Self { legs, epoll })
    }

    pub(super) fn run(&self, taken: &AtomicU64) -> Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS];
        let mut packet = [0; 2_048];
        loop {
            let ready = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error).context("epoll"),
            };
            for event in &events[..ready] {
                let leg = event.data() as usize;
                match self.legs[leg].recv(&mut packet) {
                    Ok(len) => {
                        packet[1] ^= 0x80;
                        let _ = self.legs[leg ^ 1].send(&packet[..len]);
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    // The peer's ICMP message: it may come back.
                    Err(_) => {}
                }
            }
        }
    }
}

fn bind(port: u16, phone: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((MEDIA_ADDRESS, port)).with_context(|| format!("port {port}"))?;
    socket.connect(phone)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

const EVENTS: usize = 256;
