//! Sockets under a user agent: one of UDP, or connections of TCP.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::sip::Transport;
use crate::sip::stream::{Piece, Stream};

/// Receive buffer of a SIP socket: thousands of calls at once.
const RECEIVE_BYTES: usize = 16 * 1024 * 1024;
/// Connections at the same time, and messages that wait for one of them.
const MAX_CONNECTIONS: usize = 1_000;
const MAX_WAITING: usize = 10_000;
/// How long a connection may take to come about.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How often a thread that reads datagrams looks whether it should end.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Sends and receives messages until dropped.
#[derive(Debug)]
pub struct Wire {
    kind: Kind,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Kind {
    Udp(UdpSocket),
    Tcp(Arc<Connections>),
}

#[derive(Debug)]
struct Shared {
    local: SocketAddr,
    over: AtomicBool,
    lost: AtomicU64,
}

/// Takes a message and where it came from.
type OnMessage = Arc<dyn Fn(SocketAddr, Vec<u8>) + Send + Sync>;

impl Wire {
    /// Listens at `local`; `on_message` is called with each message and its source, on threads of the wire's own.
    ///
    /// # Errors
    /// The address is taken or not this machine's.
    pub fn open(
        local: SocketAddr,
        transport: Transport,
        on_message: impl Fn(SocketAddr, Vec<u8>) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let on_message: OnMessage = Arc::new(on_message);
        let shared =
            |local| Arc::new(Shared { local, over: AtomicBool::new(false), lost: AtomicU64::new(0) });
        match transport {
            Transport::Udp => {
                let socket = bind(local, RECEIVE_BYTES)?;
                socket.set_nonblocking(false)?;
                socket.set_read_timeout(Some(LOOK_EVERY))?;
                let shared = shared(socket.local_addr()?);
                let (receiver, state) = (socket.try_clone()?, Arc::clone(&shared));
                spawn(move || read_datagrams(&receiver, &state, &on_message))?;
                Ok(Self { kind: Kind::Udp(socket), shared })
            }
            Transport::Tcp => {
                let listener = TcpListener::bind(local)?;
                let shared = shared(listener.local_addr()?);
                let connections =
                    Connections { shared: Arc::clone(&shared), on_message, peers: Mutex::default() };
                let connections = Arc::new(connections);
                let acceptor = Arc::clone(&connections);
                spawn(move || accept(&listener, &acceptor))?;
                Ok(Self { kind: Kind::Tcp(connections), shared })
            }
        }
    }

    /// Where it listens.
    pub fn local(&self) -> SocketAddr {
        self.shared.local
    }

    /// Sends a message: over TCP on the connection with `to`, or on a new one. What cannot be sent is counted as lost.
    pub fn send(&self, to: SocketAddr, message: Vec<u8>) {
        let sent = match &self.kind {
            Kind::Udp(socket) => socket.send_to(&message, to).is_ok(),
            Kind::Tcp(connections) => connections.send(to, message),
        };
        self.shared.lost.fetch_add(u64::from(!sent), Relaxed);
    }

    /// Messages that could not be sent.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.over.store(true, Relaxed);
        if let Kind::Tcp(connections) = &self.kind {
            // Whoever writes ends without its queue, and shuts the connection, which ends whoever reads.
            connections.peers().queues.clear();
            // The acceptor looks up when somebody comes.
            drop(TcpStream::connect(self.shared.local));
        }
    }
}

/// A non-blocking UDP socket with a receive buffer of `receive_bytes`, as far as the system allows.
///
/// # Errors
/// The address is taken or not this machine's.
pub fn bind(local: SocketAddr, receive_bytes: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    // Root may have more than the limit.
    if setsockopt(&socket, sockopt::RcvBufForce, &receive_bytes).is_err() {
        socket.set_recv_buffer_size(receive_bytes)?;
    }
    socket.bind(&SockAddr::from(local))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("sip".to_owned()).spawn(work).map(drop)
}

fn read_datagrams(socket: &UdpSocket, shared: &Shared, on_message: &OnMessage) {
    let mut buffer = vec![0; 65_535];
    while !shared.over.load(Relaxed) {
        if let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
            on_message(from, buffer[..bytes].to_vec());
        }
    }
}

/// Every connection of a wire, by the other side's address.
struct Connections {
    shared: Arc<Shared>,
    on_message: OnMessage,
    peers: Mutex<Peers>,
}

#[derive(Debug, Default)]
struct Peers {
    queues: HashMap<SocketAddr, Queue>,
    serial: u64,
}

/// What waits to be written to a connection; whoever writes ends when it is dropped.
#[derive(Debug)]
struct Queue {
    serial: u64,
    messages: SyncSender<Vec<u8>>,
}

/// One connection, as its threads know it: another with the same peer has another number.
struct Connection {
    peer: SocketAddr,
    serial: u64,
    messages: Receiver<Vec<u8>>,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("peers", &self.peers).finish_non_exhaustive()
    }
}

impl Connections {
    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False: too many connections, or too much waits for this one.
    fn send(self: &Arc<Self>, to: SocketAddr, message: Vec<u8>) -> bool {
        let mut peers = self.peers();
        if let Some(queue) = peers.queues.get(&to) {
            return queue.messages.try_send(message).is_ok();
        }
        let Some(connection) = self.enter(&mut peers, to) else { return false };
        let queued = peers.queues.get(&to).is_some_and(|queue| queue.messages.try_send(message).is_ok());
        drop(peers);
        let connections = Arc::clone(self);
        let spawned = spawn(move || match connect(connections.shared.local, to) {
            Ok(stream) => connections.converse(&stream, &connection),
            Err(_) => connections.leave(&connection),
        });
        queued && spawned.is_ok()
    }

    /// Makes a queue for another connection. None: there are too many.
    fn enter(&self, peers: &mut Peers, peer: SocketAddr) -> Option<Connection> {
        if peers.queues.len() >= MAX_CONNECTIONS || self.shared.over.load(Relaxed) {
            return None;
        }
        let (sender, messages) = sync_channel(MAX_WAITING);
        peers.serial += 1;
        let serial = peers.serial;
        peers.queues.insert(peer, Queue { serial, messages: sender });
        Some(Connection { peer, serial, messages })
    }

    /// Forgets a connection that has ended; the next message opens another.
    fn leave(&self, connection: &Connection) {
        self.forget(connection.peer, connection.serial);
        self.shared.lost.fetch_add(connection.messages.try_iter().count() as u64, Relaxed);
    }

    fn forget(&self, peer: SocketAddr, serial: u64) {
        let mut peers = self.peers();
        if peers.queues.get(&peer).is_some_and(|queue| queue.serial == serial) {
            peers.queues.remove(&peer);
        }
    }

    /// Reads and writes, on a thread each, until one of them cannot.
    fn converse(self: &Arc<Self>, stream: &TcpStream, connection: &Connection) {
        let reader = stream.try_clone().and_then(|reader| {
            let (connections, peer, serial) = (Arc::clone(self), connection.peer, connection.serial);
            spawn(move || connections.read(&reader, peer, serial))
        });
        let mut writer = stream;
        let mut write = |message: Vec<u8>| writer.write_all(&message).is_ok();
        if reader.is_ok() && !connection.messages.iter().all(&mut write) {
            self.shared.lost.fetch_add(1, Relaxed);
        }
        let _ = stream.shutdown(Shutdown::Both);
        self.leave(connection);
    }

    fn read(&self, mut reader: &TcpStream, peer: SocketAddr, serial: u64) {
        let (mut stream, mut buffer) = (Stream::default(), vec![0; 65_535]);
        while let Ok(bytes @ 1..) = reader.read(&mut buffer) {
            stream.push(&buffer[..bytes]);
            loop {
                match stream.poll() {
                    Ok(Some(Piece::Message(message))) => (self.on_message)(peer, message),
                    Ok(Some(Piece::Ping)) => {
                        let pong = |queue: &Queue| queue.messages.try_send(b"\r\n".to_vec());
                        let _ = self.peers().queues.get(&peer).map(pong);
                    }
                    Ok(None) => break,
                    Err(_) => {
                        let _ = reader.shutdown(Shutdown::Both);
                        break;
                    }
                }
            }
        }
        // Without its queue whoever writes ends.
        self.forget(peer, serial);
    }
}

fn accept(listener: &TcpListener, connections: &Arc<Connections>) {
    for stream in listener.incoming() {
        if connections.shared.over.load(Relaxed) {
            return;
        }
        let Ok((stream, peer)) = stream.and_then(|stream| stream.peer_addr().map(|peer| (stream, peer)))
        else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        // Too many: closed at once.
        let Some(connection) = connections.enter(&mut connections.peers(), peer) else { continue };
        let connections = Arc::clone(connections);
        drop(spawn(move || connections.converse(&stream, &connection)));
    }
}

/// From `local`'s host, so that who knows us by it recognises us; from a port of the system's choice.
fn connect(local: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SockAddr::from(SocketAddr::new(local.ip(), 0)))?;
    socket.connect_timeout(&SockAddr::from(to), CONNECT_PATIENCE)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);
    const MESSAGE: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n";

    fn wire(transport: Transport) -> (Wire, Receiver<(SocketAddr, Vec<u8>)>) {
        let (sender, receiver) = channel();
        let on_message = move |from, message| drop(sender.send((from, message)));
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        (Wire::open(local, transport, on_message).expect("a free port"), receiver)
    }

    #[test]
    fn a_message_arrives_and_its_answer_comes_back_to_where_it_came_from() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let ((one, at_one), (other, at_other)) = (wire(transport), wire(transport));
            for _ in 0..3 {
                one.send(other.local(), MESSAGE.to_vec());
                let (from, message) = at_other.recv_timeout(PATIENCE).expect("it arrives");
                assert_eq!(message, MESSAGE);
                other.send(from, MESSAGE.to_vec());
                let (from, _) = at_one.recv_timeout(PATIENCE).expect("so does the answer");
                assert_eq!(from, other.local());
            }
            assert_eq!((one.lost(), other.lost()), (0, 0));
        }
    }

    #[test]
    fn over_tcp_a_keep_alive_is_answered_and_what_is_no_sip_ends_the_connection() {
        let (wire, _messages) = wire(Transport::Tcp);
        let mut stream = TcpStream::connect(wire.local()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(b"\r\n\r\n").expect("a keep-alive");
        let mut pong = [0; 2];
        stream.read_exact(&mut pong).expect("its answer");
        assert_eq!(&pong, b"\r\n");
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("no SIP");
        assert_eq!(stream.read(&mut pong).ok(), Some(0));
    }

    #[test]
    fn a_peer_that_has_gone_is_found_again_when_it_is_back() {
        let ((one, _), (other, at_other)) = (wire(Transport::Tcp), wire(Transport::Tcp));
        one.send(other.local(), MESSAGE.to_vec());
        at_other.recv_timeout(PATIENCE).expect("it arrives");
        let local = other.local();
        drop(other);
        // The old connection takes a moment to be noticed as dead, and the port one to be free.
        let (sender, receiver) = channel();
        let again = loop {
            let sender = sender.clone();
            if let Ok(wire) = Wire::open(local, Transport::Tcp, move |_, message| drop(sender.send(message)))
            {
                break wire;
            }
            thread::sleep(Duration::from_millis(10));
        };
        let arrived = (0..2_000).any(|_| {
            one.send(again.local(), MESSAGE.to_vec());
            receiver.recv_timeout(Duration::from_millis(10)).is_ok()
        });
        assert!(arrived);
    }
}
