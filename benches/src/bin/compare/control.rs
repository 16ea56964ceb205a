//! Requests to a control socket, several under way at once: both protocols are `cookie SP dictionary`.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use offhook_loadtest::wire::bind;
use offhook_proto::uninterrupted;

use crate::clock::unix_ns;

/// A client's end of a control socket.
pub(crate) struct ControlSocket {
    socket: UdpSocket,
    next: u64,
    buffer: Vec<u8>,
}

/// Replies in the order of their requests.
pub(crate) struct Exchanged {
    pub(crate) replies: Vec<Vec<u8>>,
    /// When each request was first sent, in nanoseconds since 1970.
    pub(crate) sent_ns: Vec<u64>,
    pub(crate) elapsed: Duration,
}

impl ControlSocket {
    /// # Errors
    /// No socket.
    pub(crate) fn connect(server: SocketAddr) -> Result<Self> {
        // Replies to all that is under way at once.
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into(), RECEIVE_BYTES).context("no control socket")?;
        socket.set_nonblocking(false)?;
        socket.connect(server)?;
        Ok(Self { socket, next: 0, buffer: vec![0; 65_536] })
    }

    /// Whether one request is answered at once.
    pub(crate) fn is_answered(&mut self, dictionary: &[u8]) -> bool {
        self.exchange(&[dictionary.to_vec()], 1, 1).is_ok()
    }

    /// One request and its reply's dictionary.
    ///
    /// # Errors
    /// No answer after some seconds.
    pub(crate) fn call(&mut self, dictionary: &[u8]) -> Result<Vec<u8>> {
        let mut exchanged = self.exchange(&[dictionary.to_vec()], 1, ATTEMPTS)?;
        Ok(exchanged.replies.remove(0))
    }

    /// Many requests, `window` of them under way at once.
    ///
    /// # Errors
    /// Nothing is answered for some seconds.
    pub(crate) fn call_all(&mut self, dictionaries: &[Vec<u8>], window: usize) -> Result<Exchanged> {
        self.exchange(dictionaries, window, ATTEMPTS)
    }

    fn exchange(&mut self, dictionaries: &[Vec<u8>], window: usize, attempts: u32) -> Result<Exchanged> {
        let (first, started) = (self.next, Instant::now());
        self.next += dictionaries.len() as u64;
        let mut replies = vec![None; dictionaries.len()];
        let mut sent_ns = Vec::with_capacity(dictionaries.len());
        let mut under_way: HashMap<usize, Vec<u8>> = HashMap::new();
        let (mut sent, mut answered, mut silences) = (0, 0, 0);
        while answered < dictionaries.len() {
            while sent < dictionaries.len() && under_way.len() < window {
                let mut datagram = format!("bench-{} ", first + sent as u64).into_bytes();
                datagram.extend_from_slice(&dictionaries[sent]);
                sent_ns.push(unix_ns());
                self.send(&datagram)?;
                under_way.insert(sent, datagram);
                sent += 1;
            }
            match self.receive()? {
                Some((number, reply)) => {
                    silences = 0;
                    let Some(at) = number.checked_sub(first).map(|at| at as usize) else { continue };
                    if under_way.remove(&at).is_some() {
                        replies[at] = Some(reply);
                        answered += 1;
                    }
                }
                None => {
                    silences += 1;
                    if silences >= attempts {
                        bail!("no answer from the control socket at {}", self.socket.peer_addr()?);
                    }
                    for datagram in under_way.values() {
                        self.send(datagram)?;
                    }
                }
            }
        }
        let replies = replies.into_iter().flatten().collect();
        Ok(Exchanged { replies, sent_ns, elapsed: started.elapsed() })
    }

    fn send(&self, datagram: &[u8]) -> Result<()> {
        match self.socket.send(datagram) {
            // Nobody listens yet: as good as lost.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            other => other.map(|_| ()).context("cannot send a request"),
        }
    }

    /// The next reply's number and dictionary; nothing when none comes for a while.
    fn receive(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        self.socket.set_read_timeout(Some(PATIENCE))?;
        loop {
            match uninterrupted(|| self.socket.recv(&mut self.buffer)) {
                Ok(len) => {
                    let datagram = &self.buffer[..len];
                    let space = datagram.iter().position(|&byte| byte == b' ').unwrap_or(len);
                    let cookie = std::str::from_utf8(&datagram[..space]).unwrap_or_default();
                    let number = cookie.strip_prefix("bench-").and_then(|number| number.parse().ok());
                    if let Some(number) = number {
                        return Ok(Some((number, datagram[(space + 1).min(len)..].to_vec())));
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    std::thread::sleep(Duration::from_millis(10));
                    return Ok(None);
                }
                Err(error) => return Err(error).context("cannot receive a reply"),
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_millis(500);
const ATTEMPTS: u32 = 12;
const RECEIVE_BYTES: usize = 4 << 20;
