//! What do parked legs and spliced calls cost an engine? Phones on loopback, and the workers' own figures.
//!
//! `offhook-engine --cpus 0 --max-legs 8000 &`
//! `cargo run --release -p offhook-engine --example cost -- [control] [parked legs] [splices] [seconds]`
//!
//! Every phone sends 20 ms of G.711 fifty times a second, evenly spread. First all legs are parked, then pairs of the rest
//! are spliced, and each phone of a pair counts what it hears.

use std::error::Error;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use offhook_proto::{
    BlockingClient, Command, EngineInfo, Idle, LegCreate, LegCreated, LegDelete, Remote, Reply, Splice,
    WorkerInfo,
};
use offhook_uring::limits::raise_nofile;

fn main() -> Result<(), Box<dyn Error>> {
    let argument =
        |position: usize, default: &str| std::env::args().nth(position).unwrap_or(default.to_owned());
    let control: SocketAddr = argument(1, "127.0.0.1:2223").parse()?;
    let parked: usize = argument(2, "2000").parse()?;
    let splices: usize = argument(3, "500").parse()?;
    let seconds: u64 = argument(4, "10").parse()?;
    raise_nofile((parked + 2 * splices) as u64 * 2 + 100)?;
    let mut client = BlockingClient::connect(control, None)?;

    let began = Instant::now();
    let mut phones = Vec::new();
    for index in 0..parked + 2 * splices {
        phones.push(Phone::call(&mut client, index, index < parked)?);
    }
    println!("{} legs created in {:?}", phones.len(), began.elapsed());

    let mut talkers = phones.split_off(parked);
    talk(&mut phones, 2);
    measure("parked", &mut client, &mut phones, seconds)?;
    let began = Instant::now();
    for pair in (0..talkers.len()).step_by(2) {
        let (a, b) = (talkers[pair].leg.leg.clone(), talkers[pair + 1].leg.leg.clone());
        client.call(Command::Splice(Splice {
            a,
            b,
            a_hears_b: true,
            b_hears_a: true,
            replace: false,
            since_us: None,
        }))?;
    }
    println!("{splices} splices in {:?}", began.elapsed());
    talk(&mut talkers, 2);
    measure("spliced", &mut client, &mut talkers, seconds)?;
    phones.append(&mut talkers);
    measure("all", &mut client, &mut phones, seconds)?;

    let began = Instant::now();
    for phone in &phones {
        client.call(Command::LegDelete(LegDelete { leg: phone.leg.leg.clone() }))?;
    }
    println!("{} legs deleted in {:?}", phones.len(), began.elapsed());
    Ok(())
}

struct Phone {
    socket: UdpSocket,
    /// Takes the engine's reports, so that they are not answered by ICMP.
    _rtcp: UdpSocket,
    leg: LegCreated,
    packet: [u8; 172],
    sequence: u16,
    timestamp: u32,
    spliced: bool,
}

impl Phone {
    fn call(client: &mut BlockingClient, index: usize, park: bool) -> Result<Self, Box<dyn Error>> {
        let (socket, rtcp) = pair()?;
        socket.set_nonblocking(true)?;
        let create = LegCreate {
            leg: format!("cost-{index}"),
            remote: Some(Remote { rtp: socket.local_addr()?, rtcp: None }),
            idle: Idle::None,
            park,
            ..LegCreate::default()
        };
        let leg: LegCreated = client.call(Command::LegCreate(create)).and_then(Reply::parse)?;
        socket.connect(leg.rtp)?;
        let mut packet = [0x55; 172];
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[8..12].copy_from_slice(&(index as u32).to_be_bytes());
        Ok(Self { socket, _rtcp: rtcp, leg, packet, sequence: 0, timestamp: 0, spliced: !park })
    }

    fn say(&mut self) {
        self.packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        self.packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
        let _ = self.socket.send(&self.packet);
    }

    /// Packets that have come since.
    fn listen(&self) -> u64 {
        let mut heard = 0;
        let mut buffer = [0; 256];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(_) => heard += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return heard,
                Err(_) => {}
            }
        }
    }
}

/// An even port and the one after it.
fn pair() -> std::io::Result<(UdpSocket, UdpSocket)> {
    loop {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let port = socket.local_addr()?.port();
        match UdpSocket::bind(("127.0.0.1", port + 1)) {
            Ok(next) if port.is_multiple_of(2) => return Ok((socket, next)),
            _ => {}
        }
    }
}

/// Lets every phone talk for so long; packets said, packets heard, and the worst lag behind the plan.
fn talk(phones: &mut [Phone], seconds: u64) -> (u64, u64, Duration) {
    let (mut said, mut heard, mut lag) = (0, 0, Duration::ZERO);
    let began = Instant::now();
    let slot = PTIME / SLOTS as u32;
    for round in 0..(seconds * 50) as u32 {
        for part in 0..SLOTS {
            let due = PTIME * round + slot * part as u32;
            match due.checked_sub(began.elapsed()) {
                Some(early) => std::thread::sleep(early),
                None => lag = lag.max(began.elapsed().saturating_sub(due)),
            }
            for phone in phones.iter_mut().skip(part).step_by(SLOTS) {
                phone.say();
                said += 1;
                if phone.spliced {
                    heard += phone.listen();
                }
            }
        }
    }
    std::thread::sleep(PTIME * 5);
    heard += phones.iter().filter(|phone| phone.spliced).map(Phone::listen).sum::<u64>();
    (said, heard, lag)
}

fn measure(
    name: &str,
    client: &mut BlockingClient,
    phones: &mut [Phone],
    seconds: u64,
) -> Result<(), Box<dyn Error>> {
    let figures = |client: &mut BlockingClient| -> Result<EngineInfo, Box<dyn Error>> {
        Ok(client.call(Command::Statistics).and_then(Reply::parse)?)
    };
    let before = figures(client)?;
    let began = Instant::now();
    let (said, heard, lag) = talk(phones, seconds);
    let took = began.elapsed().as_secs_f64();
    let after = figures(client)?;
    let sum = |pick: fn(&WorkerInfo) -> u64| {
        let total = |info: &EngineInfo| info.workers.iter().map(pick).sum::<u64>();
        total(&after) - total(&before)
    };
    let cpu_us = sum(|worker| worker.cpu_us) as f64;
    println!(
        "{name}: {} phones, {:.0} packets/s said, {heard} heard, lag {lag:?}\n  workers: {:.1} % of a processor, {:.3} µs a packet \
         said, {:.3} µs a packet forwarded, {} received, {} forwarded, {:.1} packets a wake-up, buffers ran out {} times",
        phones.len(),
        said as f64 / took,
        cpu_us / took / 1e4,
        cpu_us / said as f64,
        cpu_us / sum(|worker| worker.packets_forwarded).max(1) as f64,
        sum(|worker| worker.packets_received),
        sum(|worker| worker.packets_forwarded),
        sum(|worker| worker.packets_received) as f64 / sum(|worker| worker.wakeups).max(1) as f64,
        sum(|worker| worker.buffers_exhausted),
    );
    Ok(())
}

const PTIME: Duration = Duration::from_millis(20);
/// Moments within a packet time at which phones send.
const SLOTS: usize = 40;
