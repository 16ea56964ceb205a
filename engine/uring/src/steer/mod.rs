//! Steering: the datagrams of many ports, handed by the kernel to one socket per worker.
//!
//! A socket of its own for each port costs the kernel a few cold cache lines with every datagram, and a receive attempt that
//! finds nothing. A program of the kind `sk_lookup` (`Documentation/bpf/prog_sk_lookup.rst` in the kernel's sources) looks the
//! port up and chooses a worker's socket instead. The port's own socket stays bound, which keeps the port reserved. A
//! *connected* socket comes before the program: whoever connects it takes its port out of the steering, packet by packet.

mod program;

use crate::bpf::{self, MapKind, MapShape, ProgramKind};
use crate::sys;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The steering of one address's ports, for as long as this value lives. Shared by all workers.
#[derive(Debug)]
pub struct Steering {
    address: Ipv4Addr,
    ports: OwnedFd,
    sockets: OwnedFd,
    /// Closing it takes the program out.
    _link: OwnedFd,
}

impl Steering {
    /// Steers nothing yet.
    ///
    /// # Errors
    /// The process may not (CAP_BPF and CAP_NET_ADMIN), or the kernel cannot (Linux 5.9, CONFIG_BPF_SYSCALL).
    pub fn new(address: Ipv4Addr, workers: u32) -> io::Result<Self> {
        let map = |kind, value_bytes: usize, entries, name| {
            let value_bytes = value_bytes as u32;
            bpf::create_map(&MapShape { kind, key_bytes: 4, value_bytes, entries, flags: 0, name })
        };
        let ports = map(MapKind::Array, size_of::<Worker>(), PORTS, "offhook_steer")?;
        let sockets = map(MapKind::Sockets, size_of::<u64>(), workers, "offhook_workers")?;
        let program = program::lookup(address, &ports, &sockets);
        let program = bpf::load(ProgramKind::SocketLookup, "offhook_steer", &program)?;
        let namespace = File::open("/proc/self/ns/net")?;
        let link = bpf::attach(&program, ProgramKind::SocketLookup, namespace.as_raw_fd() as u32)?;
        Ok(Self { address, ports, sockets, _link: link })
    }

    /// Opens the socket that a worker's ports are steered into. Each of its datagrams says which port it was sent to; see
    /// [`Ring::receive_steered`](crate::Ring::receive_steered).
    ///
    /// # Errors
    /// `worker` is not below the number given at the start, or a system call failed.
    pub fn open(&self, worker: u32, receive_bytes: usize) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(SocketAddrV4::new(self.address, 0))?;
        socket.set_nonblocking(true)?;
        sys::set_option(socket.as_fd(), libc::SOL_IP, libc::IP_RECVORIGDSTADDR, 1)?;
        crate::socket::set_receive_buffer(&socket, receive_bytes)?;
        bpf::update(&self.sockets, &worker.to_ne_bytes(), &bpf::descriptor(&socket).to_ne_bytes())?;
        Ok(socket)
    }

    /// Steers a port to a worker, away from another if there was one. Takes effect with the next datagram, unless the port's
    /// own socket is connected.
    ///
    /// # Errors
    /// A system call failed.
    pub fn steer(&self, port: u16, worker: u32) -> io::Result<()> {
        bpf::update(&self.ports, &u32::from(port).to_ne_bytes(), &(worker + 1).to_ne_bytes())
    }

    /// Gives a port back to its own socket. What was steered before may still wait in the worker's.
    ///
    /// # Errors
    /// A system call failed.
    pub fn release(&self, port: u16) -> io::Result<()> {
        bpf::update(&self.ports, &u32::from(port).to_ne_bytes(), &NOBODY.to_ne_bytes())
    }

    /// The address whose ports it steers.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }
}

/// What the map of ports holds: a worker's number plus one.
type Worker = u32;

const NOBODY: Worker = 0;
const PORTS: u32 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    /// None where this process may not: then there is nothing to test.
    fn steering(last: u8) -> Option<Steering> {
        match Steering::new(Ipv4Addr::new(127, 0, 77, last), 2) {
            Ok(steering) => Some(steering),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                eprintln!("not tested: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn heard(socket: &UdpSocket) -> Option<Vec<u8>> {
        let mut bytes = [0; 64];
        socket.set_nonblocking(true).unwrap();
        match socket.recv(&mut bytes) {
            Ok(len) => Some(bytes[..len].to_vec()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                None
            }
        }
    }

    #[test]
    fn a_port_is_steered_to_its_worker_until_it_is_released() {
        let Some(steering) = steering(1) else { return };
        let workers = [0, 1].map(|worker| steering.open(worker, 1 << 16).unwrap());
        let own = UdpSocket::bind((steering.address(), 0)).unwrap();
        let other = UdpSocket::bind((steering.address(), 0)).unwrap();
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = own.local_addr().unwrap().port();
        for worker in [0, 1, 0] {
            steering.steer(port, worker as u32).unwrap();
            phone.send_to(b"steered", own.local_addr().unwrap()).unwrap();
            assert_eq!(heard(&workers[worker]).as_deref(), Some(&b"steered"[..]));
            assert_eq!((heard(&workers[1 - worker]), heard(&own)), (None, None));
        }
        phone.send_to(b"not mine", other.local_addr().unwrap()).unwrap();
        assert_eq!(heard(&other).as_deref(), Some(&b"not mine"[..]), "only what was asked for is steered");
        steering.release(port).unwrap();
        phone.send_to(b"back", own.local_addr().unwrap()).unwrap();
        assert_eq!((heard(&own).as_deref(), heard(&workers[0])), (Some(&b"back"[..]), None));
    }

    #[test]
    fn a_connected_socket_hears_its_peer_itself_and_strangers_are_steered() {
        let Some(steering) = steering(2) else { return };
        let worker = steering.open(0, 1 << 16).unwrap();
        let own = UdpSocket::bind((steering.address(), 0)).unwrap();
        let (phone, stranger) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        steering.steer(own.local_addr().unwrap().port(), 0).unwrap();
        own.connect(phone.local_addr().unwrap()).unwrap();
        phone.send_to(b"peer", own.local_addr().unwrap()).unwrap();
        stranger.send_to(b"stranger", own.local_addr().unwrap()).unwrap();
        assert_eq!(heard(&own).as_deref(), Some(&b"peer"[..]));
        assert_eq!(heard(&worker).as_deref(), Some(&b"stranger"[..]));
    }

    #[test]
    fn equal_ports_of_other_addresses_are_left_alone() {
        let Some(steering) = steering(3) else { return };
        let worker = steering.open(0, 1 << 16).unwrap();
        let neighbour = UdpSocket::bind("127.0.77.4:0").unwrap();
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        steering.steer(neighbour.local_addr().unwrap().port(), 0).unwrap();
        phone.send_to(b"elsewhere", neighbour.local_addr().unwrap()).unwrap();
        assert_eq!((heard(&neighbour).as_deref(), heard(&worker)), (Some(&b"elsewhere"[..]), None));
    }

    #[test]
    fn nothing_is_steered_any_more_when_the_steering_is_gone() {
        let Some(steering) = steering(5) else { return };
        let _worker = steering.open(0, 1 << 16).unwrap();
        let own = UdpSocket::bind((steering.address(), 0)).unwrap();
        steering.steer(own.local_addr().unwrap().port(), 0).unwrap();
        drop(steering);
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        phone.send_to(b"own", own.local_addr().unwrap()).unwrap();
        assert_eq!(heard(&own).as_deref(), Some(&b"own"[..]));
    }
}
