//! The thread that sends and receives every packet of the run.
//!
//! Packets leave on a wheel of 20 slots, one a millisecond; each endpoint has a slot for life, so that thousands of streams
//! are spread over the packet time. Between slots it reads whatever has arrived.

use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use nix::sys::time::TimeSpec;

use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::digits::DigitBook;
use super::ledger::{Ledger, Live};
use super::listener::{Listener, Said};
use super::party::{PACKET_BYTES, Party, Sockets};
use super::{EndpointId, PTIME_NS, Phase, Role};
use crate::clock;
use crate::sip::Remote;

const SLOTS: usize = 20;
const SLOT_NS: u64 = PTIME_NS / SLOTS as u64;
/// Beyond this the slots that were missed are left out: three packet times.
const MAX_BEHIND_SLOTS: u64 = 3 * SLOTS as u64;
const EVENTS_PER_WAIT: usize = 256;
/// Longest RTP or RTCP packet read; anything longer is cut.
const MAX_PACKET_BYTES: usize = 2_048;

/// What the media thread is told to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// An endpoint begins to exist, and to listen.
    Admit {
        id: EndpointId,
        role: Role,
        sockets: Sockets,
        understands_pin: bool,
    },
    /// It sends to this address from now on, or falls silent when it is not to be heard.
    Talk {
        id: EndpointId,
        remote: Remote,
    },
    /// Its 200 OK left at this time, and it talks.
    Answered {
        id: EndpointId,
        at_ns: u64,
        remote: Remote,
    },
    /// It presses keys, if the other side takes any.
    Press {
        id: EndpointId,
        keys: String,
    },
    /// Its call is over for certain.
    Over {
        id: EndpointId,
        at_ns: u64,
    },
    /// An agent's phone is dialled again.
    Again {
        id: EndpointId,
    },
    /// Its sockets are closed.
    Close {
        id: EndpointId,
    },
    Phase(Phase),
    /// Ends the thread.
    Stop,
}

/// What the media thread reports while it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Note {
    /// First packet of `speaker` at `listener`.
    Heard { listener: EndpointId, speaker: EndpointId },
    /// A digit of a spoken PIN.
    Digit { listener: EndpointId, digit: char },
}

/// A running media thread.
#[derive(Debug)]
pub(crate) struct Pump {
    commands: Sender<Command>,
    thread: Option<JoinHandle<Ledger>>,
    pub(crate) live: Arc<Live>,
}

impl Pump {
    /// Starts the thread; `rtcp` says whether endpoints report; `on_note` is called on the thread.
    ///
    /// Errors: the kernel refuses an epoll or timer descriptor, or a thread.
    pub(crate) fn start(
        run: u64,
        tail_packets: u64,
        book: Option<DigitBook>,
        rtcp: bool,
        on_note: impl Fn(Note) + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let live = Arc::new(Live::default());
        let listener = Listener::new(run, tail_packets, book, live.clone(), Box::new(on_note));
        let wheel = Wheel::new(run, rtcp, listener, receiver)?;
        let thread = std::thread::Builder::new().name("media".to_owned()).spawn(move || wheel.run())?;
        Ok(Self { commands: sender, thread: Some(thread), live })
    }

    /// Hands over a command; nothing happens once the thread has stopped.
    pub(crate) fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// False: the thread has panicked, and the run is worth nothing.
    pub(crate) fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Stops the thread and takes its account. Errors: the thread panicked.
    pub(crate) fn finish(&mut self) -> anyhow::Result<Ledger> {
        self.tell(Command::Stop);
        let thread =
            self.thread.take().ok_or_else(|| anyhow::anyhow!("the media thread was stopped before"))?;
        thread.join().map_err(|_| anyhow::anyhow!("the media thread has died; its account is lost"))
    }
}

struct Wheel {
    run: u64,
    rtcp: bool,
    epoll: Epoll,
    timer: TimerFd,
    commands: Receiver<Command>,
    listener: Listener,
    /// By endpoint id.
    parties: Vec<Option<Party>>,
    slots: [Vec<EndpointId>; SLOTS],
    /// The next slot to be sent, counted from the start.
    turn: u64,
    started_ns: u64,
    packet: [u8; PACKET_BYTES],
}

impl Wheel {
    fn new(run: u64, rtcp: bool, listener: Listener, commands: Receiver<Command>) -> anyhow::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
        let slot = TimeSpec::new(0, SLOT_NS as i64);
        timer.set(Expiration::IntervalDelayed(slot, slot), TimerSetTimeFlags::empty())?;
        Ok(Self {
            run,
            rtcp,
            epoll,
            timer,
            commands,
            listener,
            parties: Vec::new(),
            slots: Default::default(),
            turn: 0,
            started_ns: clock::now_ns(),
            packet: [0; PACKET_BYTES],
        })
    }

    fn run(mut self) -> Ledger {
        let mut events = [EpollEvent::empty(); EVENTS_PER_WAIT];
        let mut cmsg = nix::cmsg_space!(TimeSpec, u32);
        while !self.obey() {
            self.send_due_slots();
            self.listener.set_clocks(clock::now_ns(), clock::realtime_ns());
            // Reading once a slot wakes the thread a thousand times a second whatever arrives; the kernel's stamps tell when.
            loop {
                let ready = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
                for event in &events[..ready] {
                    self.receive(event.data(), &mut cmsg);
                }
                if ready < EVENTS_PER_WAIT || self.slot_is_due() {
                    break;
                }
            }
            let _ = self.timer.wait(); // interrupted: the clock tells what is due
        }
        self.finish()
    }

    /// Carries out what is queued. True: stop.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Stop) | Err(mpsc::TryRecvError::Disconnected) => return true,
                Ok(command) => self.carry_out(command),
                Err(mpsc::TryRecvError::Empty) => return false,
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Admit { id, role, sockets, understands_pin } => {
                self.admit(id, role, sockets, understands_pin);
            }
            Command::Talk { id, remote } => self.talk(id, remote),
            Command::Answered { id, at_ns, remote } => {
                if let Some(party) = self.party(id) {
                    party.answered_ns = Some(at_ns);
                }
                self.talk(id, remote);
            }
            Command::Over { id, at_ns } => {
                self.listener.oracle.over(id, at_ns);
                if let Some(party) = self.party(id) {
                    party.remote = None;
                    party.keypad.let_go();
                }
            }
            Command::Again { id } => {
                self.listener.oracle.again(id);
                if let Some(party) = self.party(id) {
                    party.continuity.begin_anew();
                }
            }
            Command::Close { id } => {
                if let Some(party) = self.party(id) {
                    // Closing removes both descriptors from the epoll set.
                    party.sockets = None;
                }
            }
            Command::Press { id, keys } => {
                let pressed = self.party(id).is_some_and(|party| party.press(&keys));
                self.listener.trouble.keys_not_taken += u64::from(!pressed);
            }
            Command::Phase(phase) => self.listener.phase = phase,
            Command::Stop => {}
        }
    }

    fn admit(&mut self, id: EndpointId, role: Role, sockets: Sockets, understands_pin: bool) {
        let added = self
            .epoll
            .add(&sockets.rtp, EpollEvent::new(EpollFlags::EPOLLIN, u64::from(id) << 1))
            .and_then(|()| {
                self.epoll.add(&sockets.rtcp, EpollEvent::new(EpollFlags::EPOLLIN, u64::from(id) << 1 | 1))
            });
        if added.is_err() {
            self.listener.trouble.unsent += 1;
            return;
        }
        let at = id as usize;
        if at >= self.parties.len() {
            self.parties.resize_with(at + 1, || None);
        }
        self.parties[at] = Some(Party::new(id, role, sockets, self.run));
        self.listener.admit(id, role, understands_pin);
    }

    /// A stream that begins takes the very next slot, and keeps it.
    fn talk(&mut self, id: EndpointId, remote: Remote) {
        let began = self.party(id).is_some_and(|party| party.talk(remote) && party.sent == 0);
        if began {
            // Customers begin at once; agents, who come in steps, are spread.
            let customer = self.party(id).is_some_and(|party| party.role == Role::Customer);
            let slot = if customer { self.turn } else { u64::from(id) };
            self.slots[(slot % SLOTS as u64) as usize].push(id);
        }
    }

    fn party(&mut self, id: EndpointId) -> Option<&mut Party> {
        self.parties.get_mut(id as usize)?.as_mut()
    }

    fn slot_is_due(&self) -> bool {
        clock::now_ns() >= self.started_ns + self.turn * SLOT_NS
    }

    fn send_due_slots(&mut self) {
        let due_turn = (clock::now_ns() - self.started_ns) / SLOT_NS;
        if due_turn.saturating_sub(self.turn) > MAX_BEHIND_SLOTS {
            // Sending all of it would only make the next ones later still.
            for turn in self.turn..due_turn {
                self.listener.trouble.skipped += self.slots[(turn % SLOTS as u64) as usize].len() as u64;
            }
            self.turn = due_turn;
        }
        while self.turn <= due_turn {
            let due_ns = self.started_ns + self.turn * SLOT_NS;
            self.send_slot((self.turn % SLOTS as u64) as usize, due_ns);
            self.turn += 1;
        }
    }

    fn send_slot(&mut self, slot: usize, due_ns: u64) {
        let (mut sent, mut closed, mut pressed) = (0, false, Vec::new());
        for &id in &self.slots[slot] {
            let Some(party) = self.parties.get_mut(id as usize).and_then(Option::as_mut) else { continue };
            closed |= party.sockets.is_none();
            let Some(remote) = party.remote.filter(|_| party.sockets.is_some()) else { continue };
            let now_ns = clock::now_ns();
            if party.speaks {
                let written = party.write_packet(&mut self.packet, self.run, now_ns);
                pressed.extend(written.key.map(|key| (id, party.role, key)));
                self.listener.lateness_ns.saturating_record(now_ns.saturating_sub(due_ns));
                let packet = &self.packet[..written.bytes];
                let sockets = party.sockets.as_ref().map(|sockets| sockets.rtp.send_to(packet, remote));
                match sockets {
                    Some(Ok(_)) => sent += 1,
                    _ => self.listener.trouble.unsent += 1,
                }
            } else {
                party.pass_over();
            }
            if self.rtcp && party.is_report_due(now_ns) {
                let report = party.write_report(now_ns, clock::realtime_ns());
                // RTCP is on the port above (RFC 3550 section 11).
                let above = SocketAddr::new(remote.ip(), remote.port().saturating_add(1));
                let sent = party.sockets.as_ref().map(|sockets| sockets.rtcp.send_to(&report, above));
                self.listener.trouble.unsent += u64::from(!matches!(sent, Some(Ok(_))));
            }
        }
        for (id, role, key) in pressed {
            self.listener.press_key(id, role, key, &mut self.parties);
        }
        self.listener.live.sent.fetch_add(sent, Relaxed);
        if closed {
            let parties = &self.parties;
            self.slots[slot].retain(|&id| parties[id as usize].as_ref().is_some_and(|p| p.sockets.is_some()));
        }
    }

    fn receive(&mut self, token: u64, cmsg: &mut [u8]) {
        let (at, is_rtcp) = ((token >> 1) as usize, token & 1 == 1);
        let Some(party) = self.parties.get_mut(at).and_then(Option::as_mut) else { return };
        let Some(sockets) = &party.sockets else { return };
        let mut buffer = [0; MAX_PACKET_BYTES];
        let (bytes, source, arrived_ns) = {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let fd = if is_rtcp { sockets.rtcp.as_raw_fd() } else { sockets.rtp.as_raw_fd() };
            let received =
                match recvmsg::<SockaddrStorage>(fd, &mut parts, Some(cmsg), MsgFlags::MSG_DONTWAIT) {
                    Ok(received) => received,
                    Err(Errno::EAGAIN | Errno::EINTR) => return,
                    Err(_) => {
                        self.listener.trouble.not_rtp += 1;
                        return;
                    }
                };
            let mut arrived_ns = None;
            for message in received.cmsgs().into_iter().flatten() {
                match message {
                    ControlMessageOwned::ScmTimestampns(at) => {
                        arrived_ns = Some(at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64);
                    }
                    ControlMessageOwned::RxqOvfl(dropped) => party.overflowed = dropped,
                    _ => {}
                }
            }
            (received.bytes, received.address.as_ref().and_then(socket_address), arrived_ns)
        };
        let packet = &buffer[..bytes];
        if is_rtcp {
            self.listener.hear_report(party, packet, arrived_ns);
            return;
        }
        let role = party.role;
        let id = party.id;
        match self.listener.hear_headers(party, packet, source) {
            Said::Stamp(stamp) => {
                self.listener.hear_stamp(id, role, &stamp, arrived_ns, &mut self.parties);
            }
            Said::Key(key) => self.listener.hear_key(id, role, key, &mut self.parties),
            Said::Other => {}
        }
    }

    fn finish(self) -> Ledger {
        self.listener.finish(&self.parties, clock::now_ns() - self.started_ns, clock::thread_cpu_ns())
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::from((v4.ip(), v4.port())));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port())))
}

#[cfg(test)]
#[path = "pump_tests.rs"]
mod tests;
