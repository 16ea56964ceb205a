//! What does it cost to forward a packet? A bare forwarder between pairs of sockets on loopback, and its CPU time.
//!
//! `cargo run --release -p offhook-uring --example forward -- [packets/s] [pairs] [gather µs] [seconds] [connected|unconnected]`
//!
//! A generator sends evenly spaced packets of 172 bytes (G.711 of 20 ms) to the first socket of each pair in turn;
//! the forwarder changes a byte and sends them on from the pair's second socket, which is connected to the sink, or names it for each; the
//! sink counts them. Each of the three
//! has a thread, and where there are enough of them, a processor of its own.

use offhook_uring::{Completion, Ring, RingConfig, SetupError, clock, limits, socket};
use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let argument = |position: usize, default: u64| {
        std::env::args().nth(position).map_or(Ok(default), |text| text.parse())
    };
    let sink = UdpSocket::bind("127.0.0.1:0")?;
    let load = Load {
        packets_per_s: argument(1, 100_000)?.clamp(1, 1_000_000),
        pairs: argument(2, 500)?.clamp(1, 8000) as u32,
        gather: Duration::from_micros(argument(3, 0)?),
        seconds: argument(4, 5)?.clamp(1, 3600),
        to: match std::env::args().nth(5).as_deref() {
            None | Some("connected") => None,
            Some("unconnected") => Some(sink.local_addr()?),
            Some(other) => return Err(format!("{other:?} is neither connected nor unconnected").into()),
        },
    };
    limits::raise_nofile(u64::from(load.pairs) * 4 + 1000)?;
    let (stop, sunk) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let cpus = clock::allowed_cpus()?;
    let pin = |position: usize| clock::pin_to_cpu(cpus[position % cpus.len()]);
    pin(0)?;

    socket::set_receive_buffer(&sink, 16 << 20)?;
    let mut forwarder = Forwarder::new(&load, sink.local_addr()?)?;
    let phones = std::mem::take(&mut forwarder.phones);
    let waker = forwarder.ring.waker();
    thread::scope(|scope| {
        let sink = scope.spawn(|| pin(1).map_err(Into::into).and_then(|()| count(sink, &stop, &sunk)));
        let generator = scope.spawn(|| {
            let sent = pin(2).map_err(Into::into).and_then(|()| generate(&load, &phones));
            stop.store(true, Ordering::Release);
            waker.wake();
            sent
        });
        let report = forwarder.run(&load, &stop);
        let sent = generator.join().expect("the generator does not panic")?;
        sink.join().expect("the sink does not panic")?;
        report?.print(&load, sent, sunk.load(Ordering::Acquire));
        Ok(())
    })
}

struct Load {
    packets_per_s: u64,
    pairs: u32,
    gather: Duration,
    seconds: u64,
    /// Named with each packet; nothing where the sockets are connected to it.
    to: Option<SocketAddr>,
}

struct Forwarder {
    ring: Ring,
    inward: Vec<offhook_uring::FileSlot>,
    outward: Vec<offhook_uring::FileSlot>,
    phones: Vec<UdpSocket>,
}

#[derive(Default)]
struct Report {
    cpu_ns: u64,
    wall_ns: u64,
    packets: u64,
    batches: u64,
    rearmed: u64,
    failed: u64,
}

impl Forwarder {
    fn new(load: &Load, sink: SocketAddr) -> Outcome<Self> {
        let mut ring = ring(load.pairs * 2 + 8)?;
        let (mut inward, mut outward, mut phones) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..load.pairs {
            let (phone, hears, speaks) = (
                UdpSocket::bind("127.0.0.1:0")?,
                UdpSocket::bind("127.0.0.1:0")?,
                UdpSocket::bind("127.0.0.1:0")?,
            );
            phone.connect(hears.local_addr()?)?;
            hears.connect(phone.local_addr()?)?;
            if load.to.is_none() {
                speaks.connect(sink)?;
            }
            let slot = ring.register(hears.into())?;
            ring.receive(slot, pair)?;
            inward.push(slot);
            outward.push(ring.register(speaks.into())?);
            phones.push(phone);
        }
        ring.submit()?;
        Ok(Self { ring, inward, outward, phones })
    }

    fn run(&mut self, load: &Load, stop: &AtomicBool) -> Outcome<Report> {
        let mut report = Report::default();
        let (cpu, wall) = (clock::thread_cpu_ns(), clock::monotonic_ns());
        let (min_complete, min_wait) =
            if load.gather.is_zero() { (1, None) } else { (128, Some(load.gather)) };
        while !stop.load(Ordering::Acquire) {
            self.ring.submit_and_wait(min_complete, None, min_wait)?;
            report.batches += 1;
            while let Some(completion) = self.ring.next_completion() {
                match completion {
                    Completion::Datagram(mut datagram) => {
                        report.packets += 1;
                        datagram.buffer[1] ^= 0x80;
                        let onward = self.outward[datagram.token as usize];
                        match load.to {
                            None => self.ring.send(onward, datagram.token, datagram.buffer)?,
                            Some(to) => self.ring.send_to(onward, datagram.token, datagram.buffer, to)?,
                        }
                    }
                    Completion::ReceiveEnded { token, .. } => {
                        report.rearmed += 1;
                        self.ring.receive(self.inward[token as usize], token)?;
                    }
                    Completion::SendFailed { .. } => report.failed += 1,
                    Completion::Woken => {}
                }
            }
        }
        self.ring.submit()?;
        report.cpu_ns = clock::thread_cpu_ns() - cpu;
        report.wall_ns = clock::monotonic_ns() - wall;
        Ok(report)
    }
}

impl Report {
    fn print(&self, load: &Load, sent: u64, sunk: u64) {
        let per_packet = |ns: u64| ns as f64 / self.packets.max(1) as f64;
        println!(
            "{} pairs, {}connected, {} packets/s, gathering {} µs: {:.0} ns of CPU a packet ({:.0} % of a processor), \
             {:.1} packets a wake-up; sent {sent}, forwarded {}, arrived {sunk}, failed {}, armed again {}",
            load.pairs,
            if load.to.is_some() { "un" } else { "" },
            sent * 1_000_000_000 / self.wall_ns.max(1),
            load.gather.as_micros(),
            per_packet(self.cpu_ns),
            self.cpu_ns as f64 * 100.0 / self.wall_ns.max(1) as f64,
            self.packets as f64 / self.batches.max(1) as f64,
            self.packets,
            self.failed,
            self.rearmed,
        );
    }
}

/// Sends to each pair in turn, evenly spaced; returns the number sent.
fn generate(load: &Load, phones: &[UdpSocket]) -> Outcome<u64> {
    let mut packet = [0x80_u8; 172];
    let start = clock::monotonic_ns();
    let total = load.packets_per_s * load.seconds;
    for n in 0..total {
        let due = start + n * 1_000_000_000 / load.packets_per_s;
        while clock::monotonic_ns() < due {
            std::hint::spin_loop();
        }
        packet[2..4].copy_from_slice(&(n as u16).to_be_bytes());
        phones[(n % u64::from(load.pairs)) as usize].send(&packet)?;
    }
    Ok(total)
}

/// Counts what arrives, in large batches, so that the sender seldom has to wake this thread.
fn count(sink: UdpSocket, stop: &AtomicBool, sunk: &AtomicU64) -> Outcome<()> {
    let mut ring = ring(1)?;
    let slot = ring.register(sink.into())?;
    ring.receive(slot, 0)?;
    let mut quiet = 0;
    while quiet < 20 {
        ring.submit_and_wait(1024, Some(Duration::from_millis(20)), Some(Duration::from_millis(2)))?;
        quiet += u32::from(stop.load(Ordering::Acquire));
        while let Some(completion) = ring.next_completion() {
            match completion {
                Completion::Datagram(_) => {
                    sunk.fetch_add(1, Ordering::Relaxed);
                }
                Completion::ReceiveEnded { .. } => ring.receive(slot, 0)?,
                Completion::SendFailed { .. } | Completion::Woken => {}
            }
        }
    }
    Ok(())
}

fn ring(files: u32) -> Result<Ring, SetupError> {
    Ring::new(&RingConfig { files, ..RingConfig::default() })
}
