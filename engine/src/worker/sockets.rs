//! What a worker does to a leg's sockets: let them in, arm, connect, park, and let them go.

use std::io::Error;
use std::net::SocketAddr;

use offhook_engine_core::{Disarmed, LegId, LegIx, Socket};
use offhook_uring::filter::{attach_filter, detach_filter, park_filter};
use offhook_uring::socket::disconnect;
use offhook_uring::{FileSlot, ReceiveEnd, SlotError};
use socket2::SockRef;
use tracing::warn;

use super::WorkerThread;
use super::ports::{Port, Ports, parse_token, token};
use super::steer::STEERED;
use crate::sockets::LegSockets;

impl WorkerThread {
    /// Registers and arms the sockets that came with the command in hand.
    pub(super) fn enter(&mut self, leg: LegIx, id: LegId) {
        let sockets = self.arriving.take_if(|(arriving, _)| *arriving == id);
        let Some((_, LegSockets { rtp, rtcp })) = sockets else {
            return self.core.handle_socket_failed(leg, "its sockets have not come with it".into());
        };
        let address = SockRef::from(&rtp).local_addr().ok().and_then(|address| address.as_socket());
        let slots = self.ring.register(rtp).and_then(|rtp| match self.ring.register(rtcp) {
            Ok(rtcp) => Ok((rtp, rtcp)),
            Err(error) => {
                let _ = self.ring.unregister(rtp);
                Err(error)
            }
        });
        let (rtp, rtcp) = match slots {
            Ok(slots) => slots,
            Err(error) => {
                return self.core.handle_socket_failed(leg, format!("it cannot be registered: {error}"));
            }
        };
        if self.ports.len() <= leg.index() {
            self.ports.resize_with(leg.index() + 1, || None);
        }
        let port = |slot| Port { slot, receiving: false };
        let steered =
            address.zip(self.steered.as_ref()).and_then(|(address, steered)| steered.takes(address));
        self.ports[leg.index()] = Some(Ports {
            id,
            rtp: port(rtp),
            rtcp: port(rtcp),
            leaving: false,
            steered,
            draining: false,
            rtp_out: None,
        });
        if let Some(steered) = &mut self.steered {
            steered.enter(leg);
        }
        self.arm(token(leg, Socket::Rtp));
        self.arm(token(leg, Socket::Rtcp));
    }

    /// Starts receiving; later, when the ring has no room now.
    pub(super) fn arm(&mut self, receive: u32) {
        if receive == STEERED {
            return self.arm_steered();
        }
        let (leg, socket) = parse_token(receive);
        let Some(ports) = self.ports.get_mut(leg.index()).and_then(Option::as_mut) else { return };
        if ports.leaving {
            return;
        }
        let port = ports.port_mut(socket);
        match self.ring.receive(port.slot, receive) {
            Ok(()) => port.receiving = true,
            Err(SlotError::QueueFull) => self.rearm.push(receive),
            Err(error) => self.core.handle_socket_failed(leg, format!("it cannot be received from: {error}")),
        }
    }

    pub(super) fn on_receive_ended(&mut self, receive: u32, reason: ReceiveEnd) {
        if reason == ReceiveEnd::NoBuffers {
            self.buffers_exhausted += 1;
        }
        if receive == STEERED {
            return self.rearm.push(STEERED);
        }
        let (leg, socket) = parse_token(receive);
        let Some(ports) = self.ports.get_mut(leg.index()).and_then(Option::as_mut) else { return };
        ports.port_mut(socket).receiving = false;
        if ports.leaving {
            if ports.are_quiet() {
                self.leaving.push(leg);
            }
            return;
        }
        match reason {
            ReceiveEnd::Failed(errno) if !is_passing(errno) => {
                let error = Error::from_raw_os_error(errno);
                self.core.handle_socket_failed(leg, format!("receiving failed: {error}"));
                self.act();
            }
            ReceiveEnd::Cancelled | ReceiveEnd::NoBuffers | ReceiveEnd::Disarmed | ReceiveEnd::Failed(_) => {
                self.rearm.push(receive);
            }
        }
    }

    /// Begins the end of a leg's stay: its receives are cancelled, and what they still report is handled.
    pub(super) fn disarm(&mut self, leg: LegIx) {
        let Some(ports) = self.ports.get_mut(leg.index()).and_then(Option::as_mut) else {
            return self.leaving.push(leg);
        };
        ports.leaving = true;
        if let Some((address, steered)) = ports.steered.zip(self.steered.as_mut()) {
            steered.leave(leg, address.port());
            ports.draining = true;
        }
        self.end_receives(leg);
    }

    /// Cancels what a leaving leg still receives, a moment later where the ring has no room for that now.
    fn end_receives(&mut self, leg: LegIx) {
        let Some(ports) = self.ports.get_mut(leg.index()).and_then(Option::as_mut) else { return };
        let mut again = false;
        for socket in [Socket::Rtp, Socket::Rtcp] {
            let port = ports.port_mut(socket);
            if !port.receiving {
                continue;
            }
            match self.ring.cancel_receive(port.slot) {
                Ok(()) => {}
                Err(SlotError::Idle | SlotError::Stale) => port.receiving = false,
                Err(SlotError::QueueFull | SlotError::Full | SlotError::Armed | SlotError::Os(_)) => {
                    again = true;
                }
            }
        }
        if again || ports.are_quiet() {
            self.leaving.push(leg);
        }
    }

    /// Ends a leg's stay once nothing more can come from its sockets, which go with the report or close.
    pub(super) fn leave(&mut self, leg: LegIx) {
        let ports = self.ports.get(leg.index()).and_then(Option::as_ref);
        if ports.is_some_and(|ports| !ports.are_quiet()) {
            return self.end_receives(leg);
        }
        let now = self.clock.now();
        let sockets = match self.ports.get_mut(leg.index()).and_then(Option::take) {
            None => None,
            Some(mut ports) => match self.take_out(leg, &mut ports) {
                Ok(sockets) => sockets,
                Err(error) if is_for_now(&error) => {
                    self.ports[leg.index()] = Some(ports);
                    return self.leaving.push(leg);
                }
                Err(error) => {
                    warn!(worker = self.control.worker, leg = ports.id.0, %error, "the sockets of a leg cannot be taken out");
                    None
                }
            },
        };
        match self.core.handle_disarmed(now, leg) {
            Some(Disarmed::Moved(report)) => self.control.send(report, sockets),
            Some(Disarmed::Closed(report)) => {
                drop(sockets);
                self.control.send(report, None);
            }
            None => {}
        }
        self.act();
    }

    /// Takes a leg's sockets out of the ring; none when they have been closed there, which is enough for a leg that ends.
    fn take_out(&mut self, leg: LegIx, ports: &mut Ports) -> Result<Option<LegSockets>, SlotError> {
        let sockets = if self.core.is_moving(leg) {
            let rtp = match ports.rtp_out.take() {
                Some(rtp) => rtp,
                None => self.ring.unregister(ports.rtp.slot)?,
            };
            match self.ring.unregister(ports.rtcp.slot) {
                Ok(rtcp) => Some(LegSockets { rtp, rtcp }),
                Err(error) => {
                    ports.rtp_out = Some(rtp);
                    return Err(error);
                }
            }
        } else {
            // The first empties the queue, so that the second cannot find it full.
            self.ring.close(ports.rtp.slot)?;
            self.ring.close(ports.rtcp.slot)?;
            None
        };
        if let Some((address, steered)) = ports.steered.zip(self.steered.as_mut()) {
            steered.forget(address.port());
        }
        Ok(sockets)
    }

    pub(super) fn connect(&mut self, leg: LegIx, socket: Socket, address: SocketAddr) {
        if self.is_steered(leg, socket) {
            // What is sent names its address.
            self.core.handle_connect_failed(leg, socket);
            if self.core.is_parked(leg) {
                self.shut_off(leg);
            }
            return;
        }
        let Some(slot) = self.slot(leg, socket) else { return };
        let connected =
            self.ring.socket(slot).is_ok_and(|fd| SockRef::from(&fd).connect(&address.into()).is_ok());
        if !connected {
            self.core.handle_connect_failed(leg, socket);
        }
    }

    pub(super) fn disconnect(&mut self, leg: LegIx, socket: Socket) {
        let Some(slot) = self.slot(leg, socket) else { return };
        // What is queued without an address leaves first.
        let submitted = self.ring.submit();
        let dissolved = submitted.and_then(|()| disconnect(self.ring.socket(slot).map_err(Error::other)?));
        if let Err(error) = dissolved {
            self.core.handle_socket_failed(leg, format!("it cannot be disconnected: {error}"));
        }
    }

    /// A leg without the filter works the same and costs more, so that a failure is only worth a line.
    pub(super) fn park(&mut self, leg: LegIx, keep_one_in: u16, telephone_event: Option<u8>, rtcp_mux: bool) {
        let Some(slot) = self.slot(leg, Socket::Rtp) else { return };
        let mut passed = Vec::from(telephone_event.as_slice());
        if rtcp_mux {
            passed.extend(RTCP_TYPES);
        }
        let program = park_filter(&passed, u32::from(keep_one_in));
        let attached =
            self.ring.socket(slot).map_err(Error::other).and_then(|fd| attach_filter(fd, &program));
        if let Err(error) = attached {
            warn!(worker = self.control.worker, %error, "the kernel refuses the park filter");
        }
        if self.is_steered(leg, Socket::Rtp) {
            self.shut_off(leg);
        }
    }

    /// Takes a parked leg out of the steering: its packets come to its own socket, where they meet the filter.
    fn shut_off(&mut self, leg: LegIx) {
        let Some(ports) = self.ports.get(leg.index()).and_then(Option::as_ref) else { return };
        if let Some((address, steered)) = ports.steered.zip(self.steered.as_ref()) {
            steered.release(address.port());
        }
        let Some(peer) = self.core.peer(leg) else { return };
        let own = self.ring.socket(ports.rtp.slot).map_err(Error::other);
        if let Err(error) = own.and_then(|fd| SockRef::from(&fd).connect(&peer.into())) {
            warn!(worker = self.control.worker, %error, "strangers to a parked leg are not dropped");
        }
    }

    pub(super) fn unpark(&mut self, leg: LegIx) {
        let Some(slot) = self.slot(leg, Socket::Rtp) else { return };
        let detached = self.ring.socket(slot).map_err(Error::other).and_then(detach_filter);
        if let Err(error) = detached {
            self.core.handle_socket_failed(leg, format!("its filter cannot be taken off: {error}"));
        }
        if self.is_steered(leg, Socket::Rtp) {
            self.disconnect(leg, Socket::Rtp);
            if let Some(steered) = &mut self.steered {
                steered.enter(leg);
            }
        }
    }

    pub(super) fn slot(&self, leg: LegIx, socket: Socket) -> Option<FileSlot> {
        self.ports.get(leg.index())?.as_ref().map(|ports| ports.port(socket).slot)
    }
}

/// Whether a socket that cannot be taken out now will be later: the ring's queue is full, or no descriptor is free.
fn is_for_now(error: &SlotError) -> bool {
    match error {
        SlotError::QueueFull => true,
        SlotError::Os(error) => NO_DESCRIPTOR.contains(&error.raw_os_error().unwrap_or(0)),
        SlotError::Full | SlotError::Stale | SlotError::Armed | SlotError::Idle => false,
    }
}

/// EMFILE and ENFILE.
const NO_DESCRIPTOR: [i32; 2] = [24, 23];

/// Whether a receive that failed so is worth arming again: the peer's or a router's ICMP message, or memory short for now.
fn is_passing(errno: i32) -> bool {
    use std::io::ErrorKind::{
        ConnectionRefused, HostUnreachable, NetworkUnreachable, OutOfMemory, PermissionDenied,
    };
    let kind = Error::from_raw_os_error(errno).kind();
    matches!(kind, ConnectionRefused | HostUnreachable | NetworkUnreachable | OutOfMemory | PermissionDenied)
        || NAMELESS_IN_STD.contains(&errno)
}

/// What the kernel makes of the other ICMP messages (RFC 1122 sections 3.2.2.1 and 3.2.2.5): host isolated (ENONET),
/// parameter problem (EPROTO), fragmentation needed (EMSGSIZE), protocol unreachable (ENOPROTOOPT) and host unknown
/// (EHOSTDOWN). Anybody on the way can send them, so none may end a leg.
const NAMELESS_IN_STD: [i32; 5] = [64, 71, 90, 92, 112];

/// What RTCP packet types 200 to 207 look like where a payload type is (RFC 5761 section 4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 72..=79;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_icmp_message_ends_a_leg_and_a_broken_socket_does() {
        let (refused, net, host, denied) = (111, 101, 113, 13);
        for errno in [refused, net, host, denied, 64, 71, 90, 92, 112] {
            assert!(is_passing(errno), "{}", Error::from_raw_os_error(errno));
        }
        let (bad_descriptor, not_a_socket, invalid, unsupported) = (9, 88, 22, 95);
        for errno in [bad_descriptor, not_a_socket, invalid, unsupported] {
            assert!(!is_passing(errno), "{}", Error::from_raw_os_error(errno));
        }
    }
}
