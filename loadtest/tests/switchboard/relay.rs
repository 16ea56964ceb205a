//! RTP: one socket a leg, one thread for all.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Fault;

/// One in so many packets meets the fault.
const FAULT_EVERY: u64 = 40;

pub(crate) type LegId = usize;

struct Leg {
    socket: UdpSocket,
    remote: Option<SocketAddr>,
    peer: Option<LegId>,
    agent: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
}

#[derive(Default)]
struct Legs {
    legs: HashMap<LegId, Leg>,
    next: LegId,
    carried: u64,
}

#[derive(Clone)]
pub(crate) struct Relay {
    legs: Arc<Mutex<Legs>>,
    fault: Fault,
}

impl Relay {
    pub(crate) fn start(fault: Fault, stop: Arc<AtomicBool>) -> Self {
        let relay = Self { legs: Arc::default(), fault };
        let running = relay.clone();
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                running.turn();
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        relay
    }

    pub(crate) fn open(&self, agent: bool) -> (LegId, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_nonblocking(true).expect("non-blocking");
        let local = socket.local_addr().expect("bound");
        let mut legs = self.legs.lock().expect("no panic inside");
        legs.next += 1;
        let id = legs.next;
        let leg = Leg { socket, remote: None, peer: None, agent, sequence: 7, timestamp: 7, ssrc: id as u32 };
        legs.legs.insert(id, leg);
        (id, local)
    }

    pub(crate) fn connect(&self, leg: LegId, remote: SocketAddr) {
        self.edit(leg, |leg| leg.remote = Some(remote));
    }

    pub(crate) fn splice(&self, one: LegId, other: LegId) {
        for (leg, peer) in [(one, other), (other, one)] {
            let fault = self.fault;
            self.edit(leg, |leg| {
                leg.peer = Some(peer);
                leg.ssrc += if fault == Fault::NewStream { 1_000 } else { 0 };
            });
        }
    }

    pub(crate) fn unsplice(&self, agent: LegId, customer: LegId) {
        self.edit(customer, |leg| leg.peer = None);
        if self.fault != Fault::KeepTalking {
            self.edit(agent, |leg| leg.peer = None);
            self.close(customer);
        }
    }

    pub(crate) fn close(&self, leg: LegId) {
        self.legs.lock().expect("no panic inside").legs.remove(&leg);
    }

    fn edit(&self, leg: LegId, change: impl FnOnce(&mut Leg)) {
        if let Some(leg) = self.legs.lock().expect("no panic inside").legs.get_mut(&leg) {
            change(leg);
        }
    }

    fn turn(&self) {
        let mut legs = self.legs.lock().expect("no panic inside");
        let ids: Vec<LegId> = legs.legs.keys().copied().collect();
        let mut buffer = [0; 2_048];
        for id in ids {
            while let Some(Ok((bytes, _))) = legs.legs.get(&id).map(|leg| leg.socket.recv_from(&mut buffer)) {
                let Some((Some(peer), agent)) = legs.legs.get(&id).map(|leg| (leg.peer, leg.agent)) else {
                    continue;
                };
                legs.carried += 1;
                let faulty = legs.carried.is_multiple_of(FAULT_EVERY);
                if (self.fault == Fault::Lose && faulty) || (self.fault == Fault::OneWay && agent) {
                    continue;
                }
                let bystander =
                    legs.legs.iter().find(|(other, leg)| leg.agent && **other != id && **other != peer);
                let bystander = bystander.map(|(other, _)| *other).filter(|_| faulty && !agent);
                if let Some(bystander) = bystander.filter(|_| self.fault == Fault::Misroute) {
                    forward(legs.legs.get_mut(&bystander), &mut buffer[..bytes]);
                }
                forward(legs.legs.get_mut(&peer), &mut buffer[..bytes]);
            }
        }
    }
}

/// Sends on as the next packet of the leg's own stream.
fn forward(leg: Option<&mut Leg>, packet: &mut [u8]) {
    let Some((leg, remote)) = leg.and_then(|leg| leg.remote.map(|remote| (leg, remote))) else { return };
    leg.sequence = leg.sequence.wrapping_add(1);
    leg.timestamp = leg.timestamp.wrapping_add(160);
    packet[2..4].copy_from_slice(&leg.sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&leg.timestamp.to_be_bytes());
    packet[8..12].copy_from_slice(&leg.ssrc.to_be_bytes());
    let _ = leg.socket.send_to(packet, remote);
}
