//! The `ng` family beside the native one: requests of SIP proxies on the control socket and, when wanted, on TCP.
//!
//! What the family asks of the engine goes to the director as if a controller had sent it from an address that nobody has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use offhook_engine_core::{Director, Time};
use offhook_ng::{Config, Ng, Output, Peer, speaks_ng};
use offhook_proto::{Reply, Request, frame};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::ng_stream::{self, FromStream};

/// Where the replies to the family's own commands go.
const SELF: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
/// Frames of streams that wait for the control thread.
const FRAMES: usize = 256;
/// Replies that wait for one stream's reader: one that never reads is cut off.
pub(crate) const REPLIES: usize = 256;

/// The family with its streams.
pub(crate) struct NgShell {
    core: Ng,
    listener: Option<TcpListener>,
    next_stream: u64,
    streams: HashMap<u64, mpsc::Sender<Vec<u8>>>,
    from_streams: mpsc::Receiver<FromStream>,
    to_control: mpsc::Sender<FromStream>,
}

impl NgShell {
    pub(crate) fn new(config: Config, listener: Option<TcpListener>) -> Self {
        let (to_control, from_streams) = mpsc::channel(FRAMES);
        let (next_stream, streams) = (0, HashMap::new());
        Self { core: Ng::new(config), listener, next_stream, streams, from_streams, to_control }
    }

    /// Takes a datagram when it is of this family. False: it is a native one.
    pub(crate) fn take(&mut self, now: Time, source: SocketAddr, datagram: &[u8]) -> bool {
        let ours = frame::split(datagram).is_ok_and(|(_, dictionary)| speaks_ng(dictionary));
        if ours {
            self.core.handle_datagram(since_start(now), Peer::Udp(source), datagram);
        }
        ours
    }

    /// Takes what the director sends when it answers this family. False: it is for somebody else.
    pub(crate) fn take_reply(&mut self, now: Time, to: SocketAddr, datagram: &[u8]) -> bool {
        if to != SELF {
            return false;
        }
        if let Ok((cookie, body)) = frame::split(datagram)
            && let (Ok(step), Ok(reply)) = (cookie.parse(), serde_json::from_slice::<Reply>(body))
        {
            self.core.handle_reply(since_start(now), step, reply);
        }
        true
    }

    /// Hands the family's commands to the director. The next reply to be sent as a datagram.
    pub(crate) fn act(&mut self, now: Time, director: &mut Director) -> Option<(SocketAddr, Vec<u8>)> {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Ask { step, command } => {
                    let request = Request { controller: None, command };
                    director.handle_datagram(now, SELF, &frame::join(&step.to_string(), &request));
                }
                Output::Send { to: Peer::Udp(to), datagram } => return Some((to, datagram)),
                Output::Send { to: Peer::Stream(stream), datagram } => {
                    // One that does not read its replies is cut off.
                    if self.streams.get(&stream).is_some_and(|replies| replies.try_send(datagram).is_err()) {
                        self.streams.remove(&stream);
                    }
                }
            }
        }
        None
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.core.poll_timeout().map(|due| Time(due.as_micros() as u64 + 1))
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.core.handle_timeout(since_start(now));
    }

    /// The next thing that a stream does: a new one, a request, or its end. Never without a listener.
    pub(crate) async fn next_from_stream(&mut self) -> StreamInput {
        let Some(listener) = &self.listener else { return std::future::pending().await };
        tokio::select! {
            Ok((stream, _)) = listener.accept() => StreamInput::Opened(stream),
            Some(input) = self.from_streams.recv() => StreamInput::Said(input),
        }
    }

    pub(crate) fn take_from_stream(&mut self, now: Time, input: StreamInput) {
        match input {
            StreamInput::Opened(stream) => {
                if self.streams.len() < STREAMS {
                    self.next_stream += 1;
                    let replies = ng_stream::serve(self.next_stream, stream, self.to_control.clone());
                    self.streams.insert(self.next_stream, replies);
                }
            }
            StreamInput::Said(FromStream::Frame(stream, frame)) => {
                self.core.handle_datagram(since_start(now), Peer::Stream(stream), &frame);
            }
            StreamInput::Said(FromStream::Closed(stream)) => {
                self.streams.remove(&stream);
            }
        }
    }
}

/// Something that a stream did.
pub(crate) enum StreamInput {
    Opened(tokio::net::TcpStream),
    Said(FromStream),
}

fn since_start(now: Time) -> Duration {
    Duration::from_micros(now.0)
}

/// Streams at once.
const STREAMS: usize = 64;
