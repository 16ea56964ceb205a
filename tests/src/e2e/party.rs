//! Somebody with ears and a mouth: an RTP endpoint of the test's own whose every frame says who speaks.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::PATIENCE;

/// A packet as it was heard.
#[derive(Clone, Debug)]
pub struct Packet {
    /// RTP payload type.
    pub payload_type: u8,
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP synchronisation source.
    pub ssrc: u32,
    /// What was said.
    pub payload: Vec<u8>,
}

impl Packet {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, payload) = bytes.split_at_checked(HEADER)?;
        if header[0] != 0x80 {
            return None;
        }
        let word =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        Some(Self {
            payload_type: header[1] & 0x7f,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: word(4),
            ssrc: word(8),
            payload: payload.to_vec(),
        })
    }

    /// Who said it, when it is a party's frame.
    pub fn speaker(&self) -> Option<&str> {
        let name = self.payload.strip_prefix(MARK)?.get(..NAME)?;
        std::str::from_utf8(name).ok().map(str::trim_end)
    }
}

/// An RTP endpoint with a name of at most 12 letters. It talks to wherever the signalling says; SIPp's log is read for that.
#[derive(Debug)]
pub struct Party {
    name: String,
    address: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Kept so that nobody else is heard on it.
    _rtcp: UdpSocket,
}

/// What others may tell a party.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    remote: Mutex<Option<SocketAddr>>,
    /// µ-law that the next calls begin with, and what is left of it in this one.
    beginnings: Mutex<VecDeque<Vec<u8>>>,
    saying: Mutex<VecDeque<u8>>,
    heard: Mutex<Vec<Packet>>,
    keys: Mutex<VecDeque<u8>>,
    talks: AtomicBool,
    /// The latest that a frame was sent after its time.
    latest_us: AtomicU64,
    over: AtomicBool,
}

impl Shared {
    /// Talk to there from now on.
    pub(crate) fn talk_to(&self, remote: SocketAddr) {
        let before = self.remote.lock().unwrap_or_else(PoisonError::into_inner).replace(remote);
        if before != Some(remote) {
            let next = self.beginnings.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            *self.saying.lock().unwrap_or_else(PoisonError::into_inner) = next.unwrap_or_default().into();
        }
    }
}

impl Party {
    /// Opens a pair of ports and listens; it talks as soon as a call has been agreed on.
    ///
    /// # Panics
    /// When no ports are free.
    pub fn new(host: IpAddr, name: &str) -> Self {
        assert!(name.len() <= NAME, "{name} is too long");
        let (socket, rtcp) = pair(host);
        let address = socket.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared { talks: AtomicBool::new(true), ..Shared::default() });
        let (state, speaker) = (Arc::clone(&shared), name.to_owned());
        let thread = Some(std::thread::spawn(move || live(&socket, &speaker, &state)));
        Self { name: name.to_owned(), address, shared, thread, _rtcp: rtcp }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its RTP port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its next call begins with this sound, µ-law, before it says who it is; the call after that with the next one.
    pub fn begins_with(&self, sound: Vec<u8>) {
        self.shared.beginnings.lock().unwrap_or_else(PoisonError::into_inner).push_back(sound);
    }

    /// Says nothing any more: not even silence.
    pub fn fall_silent(&self) {
        self.shared.talks.store(false, Ordering::Relaxed);
    }

    /// Presses a key of a telephone (RFC 4733): one of `0` to `9`, `*` and `#`.
    ///
    /// # Panics
    /// When there is no such key.
    pub fn press(&self, key: char) {
        let event = "0123456789*#".find(key).and_then(|event| u8::try_from(event).ok()).expect("a key");
        self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
    }

    /// The latest that it sent a frame after its time, which is a pause in what it says.
    pub fn latest(&self) -> Duration {
        Duration::from_micros(self.shared.latest_us.load(Ordering::Relaxed))
    }

    /// Talks again.
    pub fn talk(&self) {
        self.shared.talks.store(true, Ordering::Relaxed);
    }

    /// Everything heard so far.
    pub fn heard(&self) -> Vec<Packet> {
        self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what was heard.
    pub fn forget(&self) {
        self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// All PCMU heard so far, joined.
    pub fn sound(&self) -> Vec<u8> {
        let heard = self.heard();
        heard
            .iter()
            .filter(|packet| packet.payload_type == 0)
            .flat_map(|packet| packet.payload.clone())
            .collect()
    }

    /// How many frames were heard of each speaker.
    pub fn speakers(&self) -> BTreeMap<String, usize> {
        let mut speakers = BTreeMap::new();
        for packet in self.heard() {
            if let Some(speaker) = packet.speaker() {
                *speakers.entry(speaker.to_owned()).or_default() += 1;
            }
        }
        speakers
    }

    /// Waits until it hears somebody: half a second of them from now on.
    pub fn hears(&self, other: &Self) {
        let count = || self.speakers().get(&other.name).copied().unwrap_or_default();
        let before = count();
        let started = Instant::now();
        while count() < before + 25 {
            assert!(
                started.elapsed() < PATIENCE,
                "{} does not hear {}, but {}",
                self.name,
                other.name,
                self.hearing()
            );
            std::thread::sleep(PTIME);
        }
    }

    /// What it hears now, for people.
    fn hearing(&self) -> String {
        let heard = self.heard();
        let last = heard.iter().rev().take(5).map(|packet| {
            let start = &packet.payload[..packet.payload.len().min(20)];
            format!("{} {:?} {start:02x?}", packet.payload_type, packet.speaker())
        });
        format!(
            "{} packets of {:?}, at last {}",
            heard.len(),
            self.speakers(),
            last.collect::<Vec<_>>().join("; ")
        )
    }

    /// Waits until two hear each other.
    pub fn talks_with(&self, other: &Self) {
        self.hears(other);
        other.hears(self);
    }

    /// Demands that nobody but `others` was heard.
    ///
    /// # Panics
    /// When somebody else was.
    pub fn heard_only(&self, others: &[&Self]) {
        for (speaker, frames) in self.speakers() {
            assert!(
                others.iter().any(|other| other.name == speaker),
                "{} heard {frames} frames of {speaker}",
                self.name
            );
        }
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn live(socket: &UdpSocket, name: &str, shared: &Shared) {
    let mut sequence = 0_u16;
    // The key that is pressed, the sequence number with which it began, and packets sent of it.
    let mut key: Option<(u8, u16, u16)> = None;
    let mut next = Instant::now();
    let mut buffer = [0; 2_048];
    while !shared.over.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now >= next {
            let remote = *shared.remote.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(remote), true) = (remote, shared.talks.load(Ordering::Relaxed)) {
                let mut keys = shared.keys.lock().unwrap_or_else(PoisonError::into_inner);
                let packet = if let Some(event) = key.map(|(event, ..)| event).or_else(|| keys.pop_front()) {
                    let (_, at, packets) = key.get_or_insert((event, sequence, 0));
                    *packets += 1;
                    let packet = key_packet(name, sequence, *at, event, *packets);
                    if *packets == KEY_PACKETS {
                        key = None;
                    }
                    packet
                } else {
                    speech(name, sequence, shared)
                };
                // Refused while nobody is there: the next frame may find somebody.
                let _ = socket.send_to(&packet, remote);
                sequence = sequence.wrapping_add(1);
                shared.latest_us.fetch_max((now - next).as_micros() as u64, Ordering::Relaxed);
            }
            // After a stall frames are skipped, not sent in a burst.
            next = (next + PTIME).max(now);
            continue;
        }
        let _ = socket.set_read_timeout(Some(next - now));
        match socket.recv(&mut buffer) {
            Ok(length) => {
                if let Some(packet) = Packet::parse(&buffer[..length]) {
                    shared.heard.lock().unwrap_or_else(PoisonError::into_inner).push(packet);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => {}
        }
    }
}

/// A frame of PCMU that says who speaks, and which frame it is.
fn frame(name: &str, sequence: u16) -> Vec<u8> {
    let mut bytes = vec![0x80, 0];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend((u32::from(sequence) * 160).to_be_bytes());
    bytes.extend(*name.as_bytes().first_chunk::<4>().unwrap_or(b"none"));
    bytes.extend(MARK);
    bytes.extend(format!("{name:NAME$}").bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.resize(HEADER + 160, 0x55);
    bytes
}

/// The next frame: what is being said, or else who speaks.
fn speech(name: &str, sequence: u16, shared: &Shared) -> Vec<u8> {
    let mut packet = frame(name, sequence);
    let mut saying = shared.saying.lock().unwrap_or_else(PoisonError::into_inner);
    if saying.len() >= packet.len() - HEADER {
        packet[HEADER..].iter_mut().zip(saying.drain(..160)).for_each(|(byte, said)| *byte = said);
    }
    packet
}

/// A packet of a telephone-event (RFC 4733 section 2.3): the last three say that it has ended.
fn key_packet(name: &str, sequence: u16, began: u16, event: u8, packets: u16) -> Vec<u8> {
    let held = packets.min(KEY_PACKETS - 2);
    let end = if packets > KEY_PACKETS - 3 { 0x80 } else { 0 };
    let marker = if packets == 1 { 0x80 } else { 0 };
    let mut bytes = vec![0x80, marker | TELEPHONE_EVENT];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend((u32::from(began) * 160).to_be_bytes());
    bytes.extend(*name.as_bytes().first_chunk::<4>().unwrap_or(b"none"));
    bytes.extend([event, end | 10]);
    bytes.extend((held * 160).to_be_bytes());
    bytes
}

/// An even port and the next one.
fn pair(host: IpAddr) -> (UdpSocket, UdpSocket) {
    for _ in 0..1_000 {
        let Ok(rtp) = UdpSocket::bind((host, 0)) else { continue };
        let port = rtp.local_addr().map_or(1, |address| address.port());
        if port % 2 == 0
            && let Ok(rtcp) = UdpSocket::bind((host, port + 1))
        {
            return (rtp, rtcp);
        }
    }
    panic!("no pair of ports is free on {host}");
}

/// Of one key: so many packets of 20 ms.
const KEY_PACKETS: u16 = 8;
const TELEPHONE_EVENT: u8 = 101;
const MARK: &[u8] = b"OFFHOOK ";
const NAME: usize = 12;
const HEADER: usize = 12;
const PTIME: Duration = Duration::from_millis(20);
