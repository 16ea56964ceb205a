//! Steered legs: the kernel hands a worker all their RTP through one socket, and takes what is sent through another.
//!
//! A leg's own RTP socket stays bound and armed. Its port is not steered while the leg is parked, so that its filter meets
//! the peer's packets, nor before what waits in the socket has been taken: the order of packets stays.

use std::collections::VecDeque;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use offhook_engine_core::{LegIx, Socket, Time};
use offhook_uring::socket::has_datagrams;
use offhook_uring::{Buffer, Datagram, FileSlot, Ring, SetupError, SlotError, Steering};
use tracing::warn;

use super::WorkerThread;
use super::ports::token;

/// What a worker of an engine that steers is started with.
pub(crate) struct SteerSetup {
    pub(crate) steering: Arc<Steering>,
    /// Ports are steered into this.
    pub(crate) socket: UdpSocket,
    /// Packets leave through this.
    pub(crate) raw: OwnedFd,
    /// In the headers of what leaves.
    pub(crate) traffic_class: u8,
}

/// A worker's part of the steering.
pub(crate) struct Steered {
    steering: Arc<Steering>,
    worker: u32,
    slot: FileSlot,
    raw: FileSlot,
    traffic_class: u8,
    own: SocketAddr,
    /// By port.
    legs: Box<[Option<LegIx>]>,
    /// Legs whose ports are to be steered.
    entering: Vec<LegIx>,
    /// Legs that are leaving: what was steered before may still be on its way, up to the mark of that number.
    draining: VecDeque<(u64, LegIx)>,
    last_mark: u64,
    marked_at: Time,
}

impl Steered {
    /// Registers both sockets with the worker's ring.
    ///
    /// # Errors
    /// The ring has no room, or the socket no address.
    pub(crate) fn new(ring: &mut Ring, worker: u16, setup: SteerSetup) -> Result<Self, SetupError> {
        let os = |source| SetupError::Os { what: "steering", source };
        let refused = |error: SlotError| os(std::io::Error::other(error));
        let own = setup.socket.local_addr().map_err(os)?;
        Ok(Self {
            steering: setup.steering,
            worker: u32::from(worker),
            slot: ring.register(setup.socket.into()).map_err(refused)?,
            raw: ring.register(setup.raw).map_err(refused)?,
            traffic_class: setup.traffic_class,
            own,
            legs: vec![None; 1 << 16].into_boxed_slice(),
            entering: Vec::new(),
            draining: VecDeque::new(),
            last_mark: 0,
            marked_at: Time(0),
        })
    }

    /// Whether a leg's port can be steered: other addresses, and IPv6, are not.
    pub(crate) fn takes(&self, address: SocketAddr) -> Option<SocketAddrV4> {
        match address {
            SocketAddr::V4(address) => {
                Some(address).filter(|address| *address.ip() == self.steering.address())
            }
            SocketAddr::V6(_) => None,
        }
    }

    /// Has a leg's port steered here as soon as nothing waits in its own socket.
    pub(crate) fn enter(&mut self, leg: LegIx) {
        self.entering.push(leg);
    }

    /// Stops steering a port. Packets that were steered before may still come.
    pub(crate) fn release(&self, port: u16) {
        if let Err(error) = self.steering.release(port) {
            warn!(worker = self.worker, %error, "a port cannot be given back");
        }
    }

    /// Releases a leg's port for good, and sets the mark behind its last packets.
    pub(crate) fn leave(&mut self, leg: LegIx, port: u16) {
        self.release(port);
        self.last_mark += 1;
        self.draining.push_back((self.last_mark, leg));
    }

    /// Nothing of a leg's port comes here any more.
    pub(crate) fn forget(&mut self, port: u16) {
        self.legs[usize::from(port)] = None;
    }

    /// Whether legs wait for what only time brings.
    pub(crate) fn is_unfinished(&self) -> bool {
        !self.draining.is_empty() || !self.entering.is_empty()
    }

    /// The next leg whose last steered packet lies before a mark that has come back.
    fn drained_by(&mut self, mark: u64) -> Option<LegIx> {
        self.draining.pop_front_if(|(needed, _)| *needed <= mark).map(|(_, leg)| leg)
    }
}

impl WorkerThread {
    /// Starts receiving what is steered here; later, when the ring has no room now.
    pub(super) fn arm_steered(&mut self) {
        let Some(steered) = &self.steered else { return };
        match self.ring.receive_steered(steered.slot, STEERED) {
            Ok(()) => {}
            Err(SlotError::QueueFull) => self.rearm.push(STEERED),
            Err(error) => warn!(worker = self.control.worker, %error, "steered packets cannot be received"),
        }
    }

    /// The leg that a steered datagram is for; none for one of a leg that has gone, and for a mark.
    pub(super) fn leg_of_steered(&mut self, datagram: &Datagram) -> Option<LegIx> {
        let steered = self.steered.as_mut()?;
        if datagram.source != steered.own {
            return steered.legs[usize::from(datagram.port?)];
        }
        let mark = u64::from_be_bytes(datagram.buffer[..].try_into().ok()?);
        while let Some(leg) = self.steered.as_mut().and_then(|steered| steered.drained_by(mark)) {
            let Some(ports) = self.ports.get_mut(leg.index()).and_then(Option::as_mut) else { continue };
            ports.draining = false;
            if ports.leaving && ports.are_quiet() {
                self.leaving.push(leg);
            }
        }
        None
    }

    /// Goes on with legs that enter and leave.
    pub(super) fn go_on_steering(&mut self, now: Time) {
        let Some(steered) = &mut self.steered else { return };
        for leg in std::mem::take(&mut steered.entering) {
            self.start_steering(leg);
        }
        self.send_mark(now);
    }

    /// Has a leg's port steered here, unless something waits in its own socket, which is then to be taken first.
    fn start_steering(&mut self, leg: LegIx) {
        let Some(ports) = self.ports.get(leg.index()).and_then(Option::as_ref) else { return };
        let (Some(steered), Some(address)) = (&mut self.steered, ports.steered) else { return };
        if ports.leaving || self.core.is_parked(leg) {
            return;
        }
        if self.ring.socket(ports.rtp.slot).is_ok_and(|own| has_datagrams(own).unwrap_or(false)) {
            steered.entering.push(leg);
            return;
        }
        steered.legs[usize::from(address.port())] = Some(leg);
        if let Err(error) = steered.steering.steer(address.port(), steered.worker) {
            warn!(worker = steered.worker, %error, "a port cannot be steered");
        }
    }

    /// Sends the last mark to ourselves. It queues up behind everything that was steered here before; when there is no room
    /// for it, another is sent a little later.
    fn send_mark(&mut self, now: Time) {
        let Some(steered) = self.steered.as_mut().filter(|steered| !steered.draining.is_empty()) else {
            return;
        };
        if now.since(steered.marked_at) < MARK_EVERY_US {
            return;
        }
        let Some(mut buffer) = self.ring.buffer() else { return };
        let mark = steered.last_mark.to_be_bytes();
        buffer.resize(mark.len()).expect("send buffers hold more");
        buffer.copy_from_slice(&mark);
        steered.marked_at = now;
        // One that is not sent is missed, and sent again.
        let _ = self.ring.send_to(steered.slot, STEERED, buffer, steered.own);
    }

    /// Sends a steered leg's packet, or gives the buffer back when it has to go another way.
    pub(super) fn send_steered(
        &mut self,
        leg: LegIx,
        buffer: Buffer,
        address: Option<SocketAddr>,
    ) -> Result<bool, Buffer> {
        let from = self.ports.get(leg.index()).and_then(Option::as_ref).and_then(|ports| ports.steered);
        match (from, address, &self.steered) {
            (Some(from), Some(SocketAddr::V4(to)), Some(steered)) if buffer.len() <= RAW_BYTES => {
                let token = token(leg, Socket::Rtp);
                Ok(self.ring.send_raw(steered.raw, token, buffer, from, to, steered.traffic_class).is_ok())
            }
            _ => Err(buffer),
        }
    }

    /// Whether a socket is that of a steered leg's RTP.
    pub(super) fn is_steered(&self, leg: LegIx, socket: Socket) -> bool {
        let ports = self.ports.get(leg.index()).and_then(Option::as_ref);
        socket == Socket::Rtp && ports.is_some_and(|ports| ports.steered.is_some())
    }
}

/// What the ring gives back with steered datagrams: no leg's [`token`].
pub(super) const STEERED: u32 = u32::MAX;

/// Room in the kernel for what comes while the worker is busy: some ten thousand packets.
pub(crate) const RECEIVE_BYTES: usize = 8 << 20;
/// Room in the kernel for what waits for the network.
pub(crate) const SEND_BYTES: usize = 4 << 20;
/// Longer packets may have to be fragmented, which a raw socket does not do.
const RAW_BYTES: usize = 1_200;
const MARK_EVERY_US: u64 = 1_000;
