//! A client that blocks: for command lines and tests.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::auth::{Envelope, Key};
use crate::clock::{self, Clock};
use crate::limits::{CLIENT_EVENTS_HELD, REPLY_BYTES};
use crate::trouble::Trouble;
use crate::{Client, ClientEvent, Command, Config, Error, ErrorCode, Reply, RequestId};

/// One controller over a socket of its own. It works only inside its methods: between them nothing is sent.
#[derive(Debug)]
pub struct BlockingClient {
    socket: UdpSocket,
    envelope: Envelope,
    clock: Clock,
    client: Client,
    events: VecDeque<ClientEvent>,
    trouble: Trouble,
    /// Where datagrams are received.
    buffer: Vec<u8>,
}

impl BlockingClient {
    /// A client without name, subscription or pings.
    ///
    /// # Errors
    /// When no socket can be opened towards `engine`.
    pub fn connect(engine: SocketAddr, key: Option<Key>) -> io::Result<Self> {
        Self::connect_with(engine, key, Config::one_shot())
    }

    /// A client as configured; with a lease, it subscribes.
    ///
    /// # Errors
    /// When no socket can be opened towards `engine`, or a value of `config` is out of its range.
    pub fn connect_with(engine: SocketAddr, key: Option<Key>, config: Config) -> io::Result<Self> {
        let any: SocketAddr = match engine {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(engine)?;
        let clock = Clock::new();
        let client = Client::new(clock.now_us(), clock::seed(), config)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Self {
            socket,
            envelope: Envelope::client(key),
            clock,
            client,
            events: VecDeque::new(),
            trouble: Trouble::default(),
            buffer: vec![0; REPLY_BYTES],
        })
    }

    /// Sends a command and waits for its answer. Events that come meanwhile are kept for
    /// [`next_event`](Self::next_event).
    ///
    /// # Errors
    /// The engine's refusal, or `timeout`, `bad_value`, `busy`, `system`.
    pub fn call(&mut self, command: Command) -> Result<Reply, Error> {
        self.trouble = Trouble::default();
        let id = self.client.request(self.clock.now_us(), command)?;
        loop {
            self.client.hold_events(self.events.len() >= CLIENT_EVENTS_HELD);
            self.work();
            if let Some(result) = self.drain(Some(id)) {
                return result.map_err(|error| self.trouble.explain(error));
            }
            self.wait(u64::MAX).map_err(|error| Error::new(ErrorCode::System, error.to_string()))?;
        }
    }

    /// The next event or piece of news; `None` when there is none within `timeout`.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn next_event(&mut self, timeout: Duration) -> io::Result<Option<ClientEvent>> {
        let end_us =
            self.clock.now_us().saturating_add(u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX));
        loop {
            self.client.hold_events(false);
            self.work();
            self.drain(None);
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if self.clock.now_us() >= end_us {
                return Ok(None);
            }
            self.wait(end_us)?;
        }
    }

    /// Address of this client's socket.
    ///
    /// # Errors
    /// When the socket cannot say.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Does what is due and sends what there is to send.
    fn work(&mut self) {
        self.client.handle_timeout(self.clock.now_us());
        while let Some(datagram) = self.client.poll_transmit() {
            let sealed = self.envelope.seal(clock::unix_ms(), datagram);
            if let Err(error) = self.socket.send(&sealed) {
                self.trouble.on_error(&error);
            }
        }
    }

    /// Waits for one datagram, for the next thing that is due, or for `end_us`.
    fn wait(&mut self, end_us: u64) -> io::Result<()> {
        let wake_us = self.client.poll_timeout().map_or(end_us, |due_us| due_us.min(end_us));
        let pause = self.clock.until(wake_us).clamp(SHORTEST, LONGEST);
        self.socket.set_read_timeout(Some(pause))?;
        match self.socket.recv(&mut self.buffer) {
            Ok(bytes) => match self.envelope.open(clock::unix_ms(), &self.buffer[..bytes]) {
                Ok(datagram) => self.client.handle_datagram(self.clock.now_us(), &datagram),
                Err(error) => self.trouble.on_unopened(&self.buffer[..bytes], &error),
            },
            Err(error) if is_timeout(&error) => {}
            // The engine may be about to start: its absence is no failure of our socket.
            Err(error) if is_absence(&error) => self.trouble.on_error(&error),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn drain(&mut self, wanted: Option<RequestId>) -> Option<Result<Reply, Error>> {
        let mut found = None;
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Reply { id, result } if Some(id) == wanted => found = Some(result),
                ClientEvent::Reply { .. } => {}
                ClientEvent::Event(_)
                | ClientEvent::EventsMissed
                | ClientEvent::SubscribeRefused(_)
                | ClientEvent::EngineUp { .. }
                | ClientEvent::EngineRestarted { .. }
                | ClientEvent::EngineSilent
                | ClientEvent::EngineBack => self.events.push_back(event),
            }
        }
        found
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable
    )
}

/// A read timeout of zero would mean for ever.
const SHORTEST: Duration = Duration::from_micros(100);
const LONGEST: Duration = Duration::from_secs(3_600);
