//! The ring itself: arm, send, wait, and take what came of it.

use crate::completion::{Completion, Datagram, Kind, ReceiveEnd, Tag};
use crate::control::CONTROL_LEN;
use crate::error::{SendError, SetupError, SlotError};
use crate::pool::{Buffer, HEADER_LEN, Pool, Received, TooLong};
use crate::slots::{FileSlot, Slots};
use crate::wait::GatheringWait;
use crate::{RingConfig, RingSocket, Waker, setup};
use io_uring::squeue::Flags;
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;
use std::{io, mem, ptr};

/// One thread's io_uring with its sockets and buffers. It lives and dies on the thread that made it.
pub struct Ring {
    ring: IoUring,
    slots: Slots,
    keep_descriptors: bool,
    /// Completions that lay before one which was looked for.
    early: VecDeque<cqueue::Entry>,
    received: Rc<Pool>,
    arena: Rc<Pool>,
    /// Buffers of the sends queued since the last submission; see [`Ring::release_sent`].
    sending: Vec<Buffer>,
    /// The end of a receive whose last datagram was handed out just now.
    ended: Option<Completion>,
    waker: Waker,
    /// What every multishot receive points to: room for an address, none for control data; and for a steered one with that.
    messages: Box<[libc::msghdr; 2]>,
    /// Where the kernel can gather.
    gathering: Option<GatheringWait>,
    defers: bool,
}

impl Ring {
    /// A ring of the given sizes for the calling thread.
    ///
    /// Sends one datagram to itself over loopback, to find out now what the kernel lacks.
    pub fn new(config: &RingConfig) -> Result<Self, SetupError> {
        config.validate()?;
        let (ring, defers) = setup::build(config)?;
        let (buffers, table) = ("receive and send buffers", "the table of registered sockets");
        let os = |what| move |error| SetupError::from_os(what, error);
        ring.submitter().register_files_sparse(config.files).map_err(|error| match error.raw_os_error() {
            Some(libc::EMFILE) => SetupError::Files { wanted: config.files },
            _ => SetupError::from_os(table, error),
        })?;
        let received = Pool::provided(config.receive_buffers, config.receive_len).map_err(os(buffers))?;
        let arena = Pool::arena(config.send_buffers, config.send_len).map_err(os(buffers))?;
        let (address, entries) = received.provided_ring().expect("receive buffers are provided");
        // SAFETY: the ring of entries and the buffers they name belong to `received`, which `Ring::drop` keeps
        // until no receive is armed; none of its buffers is in a program's hands while the kernel has it.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, entries, BUFFER_GROUP, 0) }
            .map_err(os("rings of provided buffers"))?;
        let mut this = Self {
            gathering: match ring.params().is_feature_min_timeout() {
                true => Some(GatheringWait::prepare().map_err(os("the signal that ends a wait"))?),
                false => None,
            },
            defers,
            ring,
            slots: Slots::new(config.files),
            keep_descriptors: config.keep_descriptors,
            early: VecDeque::new(),
            received,
            arena,
            sending: Vec::with_capacity(config.submissions as usize),
            ended: None,
            waker: Waker::new().map_err(os("the wake-up event"))?,
            messages: receive_messages(),
        };
        if !config.keep_descriptors && !setup::can_install(&this.ring) {
            return Err(SetupError::unsupported("sockets that only a ring holds (Linux 6.8)"));
        }
        setup::check_datapath(&mut this)?;
        let poll = this.waker.poll();
        // SAFETY: a poll points to no memory.
        unsafe { this.push(&poll) }.map_err(|QueueFull| SetupError::unsupported("polls"))?;
        Ok(this)
    }

    /// A handle with which other threads wake this one.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Registers a socket. The ring keeps it until [`Ring::unregister`].
    pub fn register(&mut self, socket: OwnedFd) -> Result<FileSlot, SlotError> {
        let index = self.slots.vacant()?;
        self.ring.submitter().register_files_update(index, &[socket.as_raw_fd()])?;
        self.slots.insert(self.keep_descriptors.then_some(socket))
    }

    /// Takes a socket out, for instance to hand it to another thread's ring. Sends queued on it leave first.
    ///
    /// `Armed` while its receive has not ended: cancel it and await `ReceiveEnded`.
    pub fn unregister(&mut self, slot: FileSlot) -> Result<OwnedFd, SlotError> {
        self.empty_queue_of(slot)?;
        let installed = if self.slots.descriptor(slot)?.is_none() { Some(self.install(slot)?) } else { None };
        self.take_out(slot)?.or(installed).ok_or(SlotError::Stale)
    }

    /// As [`unregister`](Self::unregister), for a socket that nobody wants any more: it closes.
    pub fn close(&mut self, slot: FileSlot) -> Result<(), SlotError> {
        self.empty_queue_of(slot)?;
        self.take_out(slot).map(drop)
    }

    /// Has the kernel take what is queued, so that nothing refers to a slot any more.
    fn empty_queue_of(&mut self, slot: FileSlot) -> Result<(), SlotError> {
        if !self.slots.is_idle(slot)? {
            return Err(SlotError::Armed);
        }
        self.submit()?;
        if self.ring.submission().is_empty() { Ok(()) } else { Err(SlotError::QueueFull) }
    }

    fn take_out(&mut self, slot: FileSlot) -> Result<Option<OwnedFd>, SlotError> {
        self.ring.submitter().register_files_update(slot.index, &[-1])?;
        self.slots.remove(slot)
    }

    /// The registered socket, for calls outside the ring such as connect.
    ///
    /// When the process keeps no descriptors, what is queued is submitted, and this is one for the time being: drop it.
    pub fn socket(&mut self, slot: FileSlot) -> Result<RingSocket<'_>, SlotError> {
        if self.slots.descriptor(slot)?.is_none() {
            return Ok(RingSocket::Installed(self.install(slot)?));
        }
        let kept = self.slots.descriptor(slot)?.ok_or(SlotError::Stale)?;
        Ok(RingSocket::Kept(kept.as_fd()))
    }

    /// A descriptor of a socket that only the kernel's table holds. Completions that come before it are kept for later.
    fn install(&mut self, slot: FileSlot) -> Result<OwnedFd, SlotError> {
        let tag = Tag { kind: Kind::Install, slot: slot.index, token: 0 };
        let entry = opcode::FixedFdInstall::new(types::Fixed(slot.index), 0).build().user_data(tag.pack());
        // SAFETY: it points to no memory.
        unsafe { self.push(&entry) }.map_err(|QueueFull| SlotError::QueueFull)?;
        self.submit()?;
        for _ in 0..INSTALL_ROUNDS {
            while let Some(entry) = self.ring.completion().next() {
                if entry.user_data() == tag.pack() {
                    return Ok(installed(&entry)?);
                }
                self.early.push_back(entry);
            }
            // The kernel had no room for its completion, or took nothing.
            self.submit_and_wait(0, None, None)?;
        }
        // Should it come yet, it is closed where it is found.
        Err(SlotError::QueueFull)
    }

    /// Starts receiving on a socket: each datagram is reported with `token`, until [`Completion::ReceiveEnded`].
    pub fn receive(&mut self, slot: FileSlot, token: u32) -> Result<(), SlotError> {
        self.arm(slot, token, Kind::Receive)
    }

    /// As [`receive`](Self::receive), of a socket that ports are steered into: each datagram says which port it was sent to.
    pub fn receive_steered(&mut self, slot: FileSlot, token: u32) -> Result<(), SlotError> {
        self.arm(slot, token, Kind::ReceiveSteered)
    }

    fn arm(&mut self, slot: FileSlot, token: u32, kind: Kind) -> Result<(), SlotError> {
        let tag = self.slots.arm(slot, kind, token)?;
        let message = &raw const self.messages[usize::from(kind == Kind::ReceiveSteered)];
        let entry = opcode::RecvMsgMulti::new(types::Fixed(slot.index), message, BUFFER_GROUP)
            .build()
            .user_data(tag.pack());
        // SAFETY: the message is boxed, lives as long as the ring and is never written; what it receives goes into
        // provided buffers.
        unsafe { self.push(&entry) }.map_err(|QueueFull| {
            self.slots.ended(slot.index);
            SlotError::QueueFull
        })
    }

    /// Stops receiving on a socket. Datagrams already taken from it are still reported, then
    /// [`Completion::ReceiveEnded`]; after that none. What arrives later waits in the socket. Cancelling again is
    /// harmless.
    pub fn cancel_receive(&mut self, slot: FileSlot) -> Result<(), SlotError> {
        let receive = self.slots.receive(slot)?;
        self.push_cancel(receive).map_err(|QueueFull| SlotError::QueueFull)
    }

    /// A buffer for a packet of our own making, empty; `None` while the program itself holds them all.
    ///
    /// When the rest wait to be sent, what is queued is submitted first.
    pub fn buffer(&mut self) -> Option<Buffer> {
        if let Some(buffer) = self.arena.take() {
            return Some(buffer);
        }
        // A refused submission leaves the buffers where they are, and `take` finds none.
        let _ = self.submit();
        self.arena.take()
    }

    /// Queues a packet on a connected socket. The buffer may come from any ring of this thread, received or made.
    ///
    /// Nothing is reported when it has left, `SendFailed` with `token` if it did not. It never waits: a socket
    /// whose send buffer is full refuses it with EAGAIN.
    pub fn send(&mut self, slot: FileSlot, token: u32, buffer: Buffer) -> Result<(), SendError> {
        self.queue_send(slot, token, buffer, (ptr::null(), 0))
    }

    /// As [`send`](Self::send), to `address`, on a socket that is not connected.
    pub fn send_to(
        &mut self,
        slot: FileSlot,
        token: u32,
        mut buffer: Buffer,
        address: SocketAddr,
    ) -> Result<(), SendError> {
        let address = buffer.write_address(address);
        self.queue_send(slot, token, buffer, address)
    }

    /// As [`send`](Self::send), through a socket of [`raw::open`](crate::raw::open), with IPv4 and UDP headers that name
    /// `from`, `to` and the traffic class.
    pub fn send_raw(
        &mut self,
        slot: FileSlot,
        token: u32,
        mut buffer: Buffer,
        from: SocketAddrV4,
        to: SocketAddrV4,
        traffic_class: u8,
    ) -> Result<(), SendError> {
        let address = buffer.write_headers(from, to, traffic_class).map_err(|TooLong| SendError::TooLong)?;
        self.queue_send(slot, token, buffer, address)
    }

    /// Hands everything queued to the kernel, without waiting for anything.
    pub fn submit(&mut self) -> io::Result<()> {
        if self.ring.submission().is_empty() {
            return Ok(());
        }
        let outcome = self.ring.submit();
        self.release_sent();
        tolerate(outcome)
    }

    /// Hands everything queued to the kernel and waits until `min_complete` completions are there, or `timeout` has
    /// passed (`None`: no limit). `min_complete` of 0 looks without waiting.
    ///
    /// With `min_wait`, one completion is enough once that time has passed: it gathers a batch, to a limit, or until the
    /// [`Waker`] is used. Where
    /// the kernel cannot do that (before 6.12), `min_wait` is ignored and the first completion ends the wait.
    ///
    /// A time-out, a signal, or a kernel short of room or memory for now is no error: look for completions, go on.
    pub fn submit_and_wait(
        &mut self,
        min_complete: u32,
        timeout: Option<Duration>,
        min_wait: Option<Duration>,
    ) -> io::Result<()> {
        let gathering = self.gathering.as_ref().zip(min_wait).filter(|_| min_complete > 1);
        let gathering = gathering.filter(|_| self.waker.begin_gathering());
        let wanted = if gathering.is_none() && min_wait.is_some() { 1 } else { min_complete.max(1) };
        // Deferred work runs only in a wait, so that a look without waiting is a wait that is over at once.
        let wait = if min_complete == 0 { Some(Duration::ZERO) } else { timeout };
        let timeout = wait.map(|wait| types::Timespec::from(wait.min(LONGEST_WAIT)));
        let outcome = match gathering {
            Some((gathering, gather)) => {
                // The kernel looks at the time-out only once the minimum has passed.
                let gather = wait.map_or(gather, |wait| gather.min(wait));
                gathering.enter(&mut self.ring, wanted, gather, timeout.as_ref())
            }
            None => {
                let mut wait = types::SubmitArgs::new();
                if let Some(timeout) = &timeout {
                    wait = wait.timespec(timeout);
                }
                self.ring.submitter().submit_with_args(wanted as usize, &wait)
            }
        };
        self.waker.end_gathering();
        self.release_sent();
        tolerate(outcome)
    }

    /// The next thing the kernel has to report; `None` when there is nothing more for now.
    pub fn next_completion(&mut self) -> Option<Completion> {
        if let Some(ended) = self.ended.take() {
            return Some(ended);
        }
        loop {
            let entry = self.early.pop_front().or_else(|| self.ring.completion().next())?;
            let completion = Tag::unpack(entry.user_data()).and_then(|tag| match tag.kind {
                Kind::Receive => self.on_receive(tag, &entry, 0),
                Kind::ReceiveSteered => self.on_receive(tag, &entry, CONTROL_LEN),
                Kind::Send => Some(Completion::SendFailed { token: tag.token, errno: -entry.result() }),
                // The receive had ended by itself, and has reported that.
                Kind::Cancel => None,
                Kind::Wake => self.on_wake(&entry),
                // Nobody waits for it any more: it closes.
                Kind::Install => installed(&entry).ok().and(None),
            });
            if completion.is_some() {
                return completion;
            }
        }
    }

    /// Whether waits gather batches (`min_wait`, Linux 6.12).
    pub fn gathers(&self) -> bool {
        self.gathering.is_some()
    }

    /// Whether completions are made only when they are asked for (deferred task work, Linux 6.1).
    pub fn defers(&self) -> bool {
        self.defers
    }

    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    fn on_receive(&mut self, tag: Tag, entry: &cqueue::Entry, control_len: usize) -> Option<Completion> {
        let ended = (!cqueue::more(entry.flags())).then(|| {
            self.slots.ended(tag.slot);
            let reason = ReceiveEnd::from_result(entry.result());
            Completion::ReceiveEnded { token: tag.token, reason }
        });
        let datagram = cqueue::buffer_select(entry.flags()).and_then(|index| {
            let written = usize::try_from(entry.result()).unwrap_or(0);
            let received = self.received.received(index, written, control_len)?;
            let source = received.source.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
            let Received { truncated, port, buffer, .. } = received;
            // A buffer that came with an error holds no datagram; dropping it here recycles it.
            let whole = written >= HEADER_LEN + control_len;
            whole.then_some(Datagram { token: tag.token, source, truncated, port, buffer })
        });
        match datagram {
            Some(datagram) => {
                self.ended = ended;
                Some(Completion::Datagram(datagram))
            }
            None => ended,
        }
    }

    fn on_wake(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        if !cqueue::more(entry.flags()) {
            let poll = self.waker.poll();
            // SAFETY: a poll points to no memory. A full queue empties itself in `push`.
            let _ = unsafe { self.push(&poll) };
        }
        self.waker.answer();
        Some(Completion::Woken)
    }

    fn queue_send(
        &mut self,
        slot: FileSlot,
        token: u32,
        buffer: Buffer,
        (address, address_len): (*const libc::sockaddr, u32),
    ) -> Result<(), SendError> {
        if !self.slots.is_taken(slot) {
            return Err(SendError::Stale);
        }
        let tag = Tag { kind: Kind::Send, slot: slot.index, token };
        let entry = opcode::Send::new(types::Fixed(slot.index), buffer.as_ptr(), buffer.len() as u32)
            .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
            .dest_addr(address)
            .dest_addr_len(address_len)
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(tag.pack());
        // SAFETY: payload and address lie in `buffer`, which is kept in `sending` until the kernel is done with
        // them; `release_sent` says when that is.
        unsafe { self.push(&entry) }.map_err(|QueueFull| SendError::QueueFull)?;
        self.sending.push(buffer);
        Ok(())
    }

    /// Recycles the buffers of sends that the kernel has taken from the queue.
    ///
    /// A send is over once io_uring_enter has consumed it, because it is issued there and then, and can neither
    /// wait nor be retried: with MSG_DONTWAIT a full socket fails it with EAGAIN at once (the kernel marks such a
    /// request "no wait" and never polls for it), no operation of ours is drained, linked or forced onto a worker
    /// thread, and a UDP send without MSG_ZEROCOPY copies its payload and address before it returns. So an empty
    /// queue means that no buffer is read any more. When the kernel stopped half-way (short of memory), the queue
    /// is not empty and all buffers are kept until it is.
    fn release_sent(&mut self) {
        if self.ring.submission().is_empty() {
            self.sending.clear();
        }
    }

    fn push_cancel(&mut self, receive: Tag) -> Result<(), QueueFull> {
        let entry = opcode::AsyncCancel::new(receive.pack())
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(Tag { kind: Kind::Cancel, ..receive }.pack());
        // SAFETY: a cancellation points to no memory.
        unsafe { self.push(&entry) }
    }

    /// Queues an operation; a full queue is submitted first.
    ///
    /// # Safety
    ///
    /// Whatever memory `entry` points to must stay as the operation needs it until the operation is over.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> Result<(), QueueFull> {
        if self.ring.submission().is_full() {
            self.submit().map_err(|_| QueueFull)?;
        }
        // SAFETY: what the caller promises.
        unsafe { self.ring.submission().push(entry) }.map_err(|_| QueueFull)
    }

    /// Ends every receive; whether that worked.
    fn quiesce(&mut self) -> bool {
        for _ in 0..QUIESCE_ROUNDS {
            let mut from = 0;
            while let Some(receive) = self.slots.next_receiving(from) {
                if self.push_cancel(receive).is_err() {
                    return false;
                }
                from = receive.slot + 1;
            }
            let wait = self.submit_and_wait(1, Some(QUIESCE_TIMEOUT), None);
            while self.next_completion().is_some() {}
            if self.slots.receiving() == 0 || wait.is_err() {
                break;
            }
        }
        self.slots.receiving() == 0
    }
}

impl Drop for Ring {
    /// Sends what is queued, ends every receive, and only then lets go of the memory.
    fn drop(&mut self) {
        let quiet = self.quiesce();
        // What the kernel may still read or write is better lost than shared.
        if !quiet {
            Box::leak(mem::replace(&mut self.messages, receive_messages()));
        }
        if !quiet || self.ring.submitter().unregister_buf_ring(BUFFER_GROUP).is_err() {
            mem::forget(Rc::clone(&self.received));
        }
        if !self.sending.is_empty() {
            mem::forget(mem::take(&mut self.sending));
        }
    }
}

/// The descriptor that an operation has made.
fn installed(entry: &cqueue::Entry) -> io::Result<OwnedFd> {
    match entry.result() {
        error if error < 0 => Err(io::Error::from_raw_os_error(-error)),
        // SAFETY: the kernel has just made this descriptor for us, says so once, and nobody else knows it.
        descriptor => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
    }
}

/// No entry is free and the kernel takes none.
struct QueueFull;

/// Outcomes of entering the ring after which the caller just goes on.
fn tolerate(outcome: io::Result<usize>) -> io::Result<()> {
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
            _ => Err(error),
        },
    }
}

fn receive_messages() -> Box<[libc::msghdr; 2]> {
    // SAFETY: msghdr consists of integers and raw pointers, for which zeroes are a value.
    let mut plain: libc::msghdr = unsafe { mem::zeroed() };
    plain.msg_namelen = crate::address::ADDRESS_LEN as libc::socklen_t;
    let mut steered = plain;
    // A multishot receive takes the length only; the data go into the provided buffer.
    steered.msg_controllen = CONTROL_LEN as _;
    Box::new([plain, steered])
}

const BUFFER_GROUP: u16 = 0;
/// What the kernel's clock can count; longer waits end early, as if a signal had come.
const LONGEST_WAIT: Duration = Duration::from_secs(1 << 31);
const INSTALL_ROUNDS: u32 = 100;
const QUIESCE_ROUNDS: u32 = 100;
const QUIESCE_TIMEOUT: Duration = Duration::from_millis(10);
