//! RTP: one socket a leg, one thread for all.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Fault;

/// One in so many packets meets the fault.
const FAULT_EVERY: u64 = 40;
/// Payload type that both sides give keys (RFC 4733).
const TELEPHONE_EVENT: u8 = 101;

pub(crate) type LegId = usize;

struct Leg {
    socket: UdpSocket,
    remote: Option<SocketAddr>,
    peer: Option<LegId>,
    agent: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    /// Start of the key that it is being sent; none before the first of its partner.
    key_timestamp: Option<u32>,
    /// Keys pressed on it while it had no peer, and the start of the last one.
    keys: String,
    last_key: Option<[u8; 4]>,
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
        let leg = Leg {
            socket,
            remote: None,
            peer: None,
            agent,
            sequence: 7,
            timestamp: 7,
            ssrc: id as u32,
            key_timestamp: None,
            keys: String::new(),
            last_key: None,
        };
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
                leg.key_timestamp = None;
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

    /// Whether these keys were pressed on a leg.
    pub(crate) fn was_pressed(&self, leg: LegId, keys: &str) -> bool {
        self.legs.lock().expect("no panic inside").legs.get(&leg).is_some_and(|leg| leg.keys == keys)
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
                let Some((peer, agent)) = legs.legs.get(&id).map(|leg| (leg.peer, leg.agent)) else {
                    continue;
                };
                let Some(peer) = peer else {
                    legs.legs.get_mut(&id).into_iter().for_each(|leg| note_key(leg, &buffer[..bytes]));
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
                    forward(self.fault, legs.legs.get_mut(&bystander), &mut buffer[..bytes]);
                }
                forward(self.fault, legs.legs.get_mut(&peer), &mut buffer[..bytes]);
            }
        }
    }
}

/// Remembers a key of somebody who has no peer, by the timestamp that all its packets bear.
fn note_key(leg: &mut Leg, packet: &[u8]) {
    let start = packet.get(4..8).and_then(|start| start.try_into().ok());
    if packet[1] & 0x7f == TELEPHONE_EVENT && leg.last_key != start {
        leg.last_key = start;
        leg.keys.extend("0123456789*#".chars().nth(packet[12].into()));
    }
}

/// Sends on as the next packet of the leg's own stream; all packets of a key bear its start. The end of a key that began before
/// the two were joined goes nowhere.
fn forward(fault: Fault, leg: Option<&mut Leg>, packet: &mut [u8]) {
    let Some((leg, remote)) = leg.and_then(|leg| leg.remote.map(|remote| (leg, remote))) else { return };
    let (sequence, now) = (leg.sequence.wrapping_add(1), leg.timestamp.wrapping_add(160));
    let mut timestamp = now;
    if packet[1] & 0x7f == TELEPHONE_EVENT {
        if packet[1] & 0x80 != 0 || fault == Fault::RepeatKeys {
            leg.key_timestamp = Some(now);
        }
        let Some(start) = leg.key_timestamp else { return };
        timestamp = start;
    }
    (leg.sequence, leg.timestamp) = (sequence, now);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
    packet[8..12].copy_from_slice(&leg.ssrc.to_be_bytes());
    let _ = leg.socket.send_to(packet, remote);
}
