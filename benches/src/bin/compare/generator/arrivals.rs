//! What has come to a socket, in large batches, with the kernel's word for when.

use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, recvmmsg};
use nix::sys::time::TimeSpec;

use crate::clock::unix_ns;

/// Room for a batch of datagrams.
pub(crate) struct Arrivals {
    headers: MultiHeaders<()>,
    batch: Box<[[u8; RECEIVE_BYTES]; BATCH]>,
}

impl Arrivals {
    pub(crate) fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(nix::libc::timespec))),
            batch: Box::new([[0; RECEIVE_BYTES]; BATCH]),
        }
    }

    /// Takes what waits in a socket of [`Phones`](super::Phones), up to some batches of it: `each` has a datagram (the first 256 bytes)
    /// and when it arrived, in nanoseconds since 1970. Returns how many there were.
    ///
    /// # Errors
    /// The socket cannot be read.
    pub(crate) fn take(&mut self, socket: &UdpSocket, mut each: impl FnMut(&[u8], u64)) -> Result<usize> {
        let mut taken = 0;
        for _ in 0..BATCHES_PER_VISIT {
            let count = self.take_batch(socket, &mut each)?;
            taken += count;
            if count < BATCH {
                break;
            }
        }
        Ok(taken)
    }

    fn take_batch(&mut self, socket: &UdpSocket, each: &mut impl FnMut(&[u8], u64)) -> Result<usize> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.batch.iter_mut().map(|packet| [IoSliceMut::new(packet)]).collect();
        let (fd, now) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let messages = match recvmmsg(fd, &mut self.headers, slices.iter_mut(), now, None) {
            Ok(messages) => messages,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            Err(error) => return Err(error).context("the generator cannot receive"),
        };
        let mut count = 0;
        for message in messages {
            count += 1;
            let arrival = message.cmsgs().into_iter().flatten().find_map(|part| match part {
                ControlMessageOwned::ScmTimestampns(at) => Some(nanoseconds(at)),
                _ => None,
            });
            if let Some(data) = message.iovs().next() {
                each(&data[..message.bytes.min(data.len())], arrival.unwrap_or_else(unix_ns));
            }
        }
        Ok(count)
    }
}

fn nanoseconds(time: TimeSpec) -> u64 {
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

/// Messages of one system call.
const BATCH: usize = 64;
/// System calls on one socket before the next has its turn.
const BATCHES_PER_VISIT: usize = 16;
const RECEIVE_BYTES: usize = 256;
