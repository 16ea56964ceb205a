//! The receiving thread: it looks now and then, since the kernel notes the moment of arrival.

use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, recvmmsg};
use nix::sys::time::TimeSpec;

use super::packet::{self, PACKET_BYTES};
use super::phones::{Phones, destination_of};
use super::{Tally, Watch};
use crate::clock::unix_ns;

/// The receiving thread's everything.
pub(super) struct Receiver<'a> {
    pub(super) phones: &'a Phones,
    pub(super) run: u32,
    pub(super) watch: &'a Watch,
    pub(super) stop: &'a AtomicBool,
}

type Batch = [[u8; RECEIVE_BYTES]; BATCH];

impl Receiver<'_> {
    /// Receives until the senders have stopped and nothing has come for a while.
    pub(super) fn run(&self) -> Result<Tally> {
        let mut tally = Tally {
            due: 0,
            sent: 0,
            sent_late: 0,
            received: 0,
            misrouted: 0,
            overflowed: 0,
            delay_ns: Histogram::new_with_bounds(1, LONGEST_DELAY_NS, 3).context("histogram")?,
        };
        let mut headers = MultiHeaders::<()>::preallocate(BATCH, Some(nix::cmsg_space!(nix::libc::timespec)));
        let mut batch = Box::new([[0; RECEIVE_BYTES]; BATCH]);
        let (mut last, mut stopped_at) = (Instant::now(), None);
        loop {
            let mut taken = 0;
            for (at, socket) in self.phones.sockets().iter().enumerate() {
                for _ in 0..BATCHES_PER_VISIT {
                    let count = self.take(at, socket, &mut headers, &mut batch, &mut tally)?;
                    taken += count;
                    if count < BATCH {
                        break;
                    }
                }
            }
            let now = Instant::now();
            if taken > 0 {
                last = now;
            }
            if self.stop.load(Ordering::Acquire) {
                let stopped_at = *stopped_at.get_or_insert(now);
                if now - last.max(stopped_at) > QUIET || now - stopped_at > LONGEST_TAIL {
                    return Ok(tally);
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn take(
        &self,
        at: usize,
        socket: &UdpSocket,
        headers: &mut MultiHeaders<()>,
        batch: &mut Batch,
        tally: &mut Tally,
    ) -> Result<usize> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            batch.iter_mut().map(|packet| [IoSliceMut::new(packet)]).collect();
        let messages =
            match recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
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
            let Some(data) = message.iovs().next().filter(|_| message.bytes == PACKET_BYTES) else {
                continue;
            };
            self.note(at, &data[..PACKET_BYTES], arrival.unwrap_or_else(unix_ns), tally);
        }
        Ok(count)
    }

    fn note(&self, at: usize, data: &[u8], arrived_ns: u64, tally: &mut Tally) {
        let Some(mark) = packet::read(data).filter(|mark| mark.run == self.run) else { return };
        if destination_of(mark.flow) != at {
            tally.misrouted += 1;
            return;
        }
        tally.received += 1;
        tally.delay_ns.saturating_record(arrived_ns.saturating_sub(mark.sent_ns).max(1));
        self.watch.note(mark.flow, mark.sent_ns, arrived_ns);
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
const LOOK_EVERY: Duration = Duration::from_micros(200);
/// Silence after which the rest counts as lost.
const QUIET: Duration = Duration::from_millis(150);
const LONGEST_TAIL: Duration = Duration::from_secs(3);
const LONGEST_DELAY_NS: u64 = 10_000_000_000;
