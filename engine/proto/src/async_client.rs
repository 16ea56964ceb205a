//! A client over tokio: a handle for many tasks, and one task that drives.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use crate::auth::{Envelope, Key};
use crate::clock::{self, Clock};
use crate::limits::{CLIENT_EVENTS_HELD, CLIENT_IN_FLIGHT, REPLY_BYTES};
use crate::trouble::Trouble;
use crate::{Client, ClientEvent, Command, Config, Error, ErrorCode, Reply, RequestId};

/// A handle to the task that talks to one engine. When the last handle is gone, the task ends, and its subscription is left
/// to its lease.
#[derive(Clone, Debug)]
pub struct AsyncClient {
    calls: mpsc::Sender<Call>,
}

#[derive(Debug)]
struct Call {
    command: Command,
    answer: oneshot::Sender<Result<Reply, Error>>,
}

impl AsyncClient {
    /// Opens a socket towards `engine` and spawns the task that drives. The receiver gets everything but replies: events
    /// and news of the engine. It may be dropped by whoever does not want them; when it is not read for long, events are
    /// left unacknowledged, and the engine keeps or loses them as its limits have it.
    ///
    /// # Errors
    /// When no socket can be opened towards `engine`, or a value of `config` is out of its range.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    pub async fn connect(
        engine: SocketAddr,
        key: Option<Key>,
        config: Config,
    ) -> io::Result<(Self, mpsc::Receiver<ClientEvent>)> {
        let any: SocketAddr = match engine {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(engine).await?;
        let clock = Clock::new();
        let client = Client::new(clock.now_us(), clock::seed(), config)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let (calls, inbox) = mpsc::channel(CLIENT_IN_FLIGHT);
        let (events, receiver) = mpsc::channel(CLIENT_EVENTS_HELD + NEWS);
        let answers = BTreeMap::new();
        let driver = Driver {
            socket,
            envelope: Envelope::client(key),
            clock,
            client,
            answers,
            events: Some(events),
            trouble: Trouble::default(),
        };

        tokio::spawn(driver.run(inbox));
        Ok((Self { calls }, receiver))
    }

    /// Sends a command and waits for its answer. Dropping the future does not take the command back.
    ///
    /// # Errors
    /// The engine's refusal, or `timeout`, `bad_value`, `busy`, `system`.
    pub async fn call(&self, command: Command) -> Result<Reply, Error> {
        let gone = || Error::new(ErrorCode::System, "the task that talks to the engine has ended");
        let (answer, result) = oneshot::channel();
        self.calls.send(Call { command, answer }).await.map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

struct Driver {
    socket: UdpSocket,
    envelope: Envelope,
    clock: Clock,
    client: Client,
    answers: BTreeMap<RequestId, oneshot::Sender<Result<Reply, Error>>>,
    events: Option<mpsc::Sender<ClientEvent>>,
    trouble: Trouble,
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::Receiver<Call>) {
        let mut buffer = vec![0; REPLY_BYTES];
        loop {
            self.client.handle_timeout(self.clock.now_us());
            self.flush().await;
            let wake_us = self.client.poll_timeout();
            let pause = self.clock.until(wake_us.unwrap_or(u64::MAX));
            tokio::select! {
                call = inbox.recv() => match call {
                    Some(call) => self.on_call(call),
                    None => return,
                },
                received = self.socket.recv(&mut buffer) => {
                    // What the kernel reports here (nobody listens yet) is what retransmission is for.
                    match received {
                        Ok(bytes) => self.on_datagram(&buffer[..bytes]),
                        Err(error) => self.trouble.on_error(&error),
                    }
                }
                () = tokio::time::sleep(pause), if wake_us.is_some() => {}
            }
        }
    }

    fn on_call(&mut self, call: Call) {
        match self.client.request(self.clock.now_us(), call.command) {
            Ok(id) => {
                self.answers.insert(id, call.answer);
            }
            // Nobody waits any more when this fails.
            Err(error) => drop(call.answer.send(Err(error))),
        }
    }

    fn on_datagram(&mut self, datagram: &[u8]) {
        let room = self.events.as_ref().map_or(usize::MAX, mpsc::Sender::capacity);
        self.client.hold_events(room < NEWS);
        match self.envelope.open(clock::unix_ms(), datagram) {
            Ok(datagram) => {
                self.trouble = Trouble::default();
                self.client.handle_datagram(self.clock.now_us(), &datagram);
            }
            Err(error) => self.trouble.on_unopened(datagram, &error),
        }
    }

    async fn flush(&mut self) {
        while let Some(event) = self.client.poll_event() {
            if let ClientEvent::Reply { id, result } = event {
                if let Some(answer) = self.answers.remove(&id) {
                    drop(answer.send(result.map_err(|error| self.trouble.explain(error))));
                }
                continue;
            }
            // Events are held back long before the channel is full; only a reader who has been away for hours of an
            // engine's comings and goings loses it, and sees it closed.
            if self.events.as_ref().is_some_and(|events| events.try_send(event).is_err()) {
                self.events = None;
            }
        }
        while let Some(datagram) = self.client.poll_transmit() {
            let sealed = self.envelope.seal(clock::unix_ms(), datagram);
            // A datagram that could not be sent is sent again like one that was lost.
            drop(self.socket.send(&sealed).await);
        }
    }
}

/// Places kept for news of the engine, and for the events that one datagram can set free.
const NEWS: usize = 1_024;
