//! One socket for all legs, read in large batches; nothing is sent.

use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, setsockopt, sockopt};

use super::FIRST_PORT;
use crate::systems::MEDIA_ADDRESS;

pub(super) fn open() -> Result<UdpSocket> {
    let socket = UdpSocket::bind((MEDIA_ADDRESS, FIRST_PORT)).context("the reader's port")?;
    if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES)?;
    }
    Ok(socket)
}

pub(super) fn run(socket: &UdpSocket, taken: &AtomicU64) -> Result<()> {
    let mut packets = vec![[0; 256]; BATCH];
    let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
    loop {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            packets.iter_mut().map(|packet| [IoSliceMut::new(packet)]).collect();
        match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
            Ok(messages) => {
                taken.fetch_add(messages.count() as u64, Ordering::Relaxed);
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("the reader cannot receive"),
        }
    }
}

const BATCH: usize = 64;
const RECEIVE_BUFFER_BYTES: usize = 32 << 20;
