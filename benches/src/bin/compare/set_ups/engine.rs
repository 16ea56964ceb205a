//! An engine that obeys and has no media: it answers every request as the real one does, and tells of audio where gates open.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Bound;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use offhook_loadtest::wire;
use offhook_proto::{
    Codec, Command, EngineInfo, Error, ErrorCode, Event, EventBody, Idle, LatchMode, LegCounters, LegCreated,
    LegList, LegListRequest, PlayStarted, Reply, Request, SpliceAudio, Subscribed, frame, limits,
};
use serde_json::json;

use super::tally::Tally;

/// Runs on a thread of its own, for as long as the process lives; where it listens.
pub(super) fn start(tally: Arc<Tally>) -> Result<SocketAddr> {
    let socket = wire::bind(([127, 0, 0, 1], 0).into(), RECEIVE_BYTES)?;
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(RESEND))?;
    let address = socket.local_addr()?;
    thread::spawn(move || Engine::new(socket, tally).run());
    Ok(address)
}

struct Engine {
    socket: UdpSocket,
    tally: Arc<Tally>,
    legs: BTreeMap<String, u16>,
    free: VecDeque<u16>,
    subscriber: Option<SocketAddr>,
    seq: u64,
    /// Events that are not acknowledged, and when the oldest was last sent.
    events: VecDeque<(u64, Vec<u8>)>,
    sent: Instant,
}

impl Engine {
    fn new(socket: UdpSocket, tally: Arc<Tally>) -> Self {
        Self {
            socket,
            tally,
            legs: BTreeMap::new(),
            free: (1_024..u16::MAX).step_by(2).collect(),
            subscriber: None,
            seq: 0,
            events: VecDeque::new(),
            sent: Instant::now(),
        }
    }

    fn run(mut self) {
        let mut buffer = vec![0; 65_536];
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, from)) => self.take(&buffer[..length], from),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => thread::sleep(RESEND),
            }
            if !self.events.is_empty() && self.sent.elapsed() > RESEND {
                self.sent = Instant::now();
                for (_, datagram) in self.events.iter().take(RESENT_AT_ONCE) {
                    self.tell(datagram);
                }
            }
        }
    }

    fn take(&mut self, datagram: &[u8], from: SocketAddr) {
        let Ok((cookie, body)) = frame::split(datagram) else { return };
        let Ok(request) = serde_json::from_slice::<Request>(body) else { return };
        let reply = self.obey(request.command, from);
        // A reply that is lost is asked for again.
        let _ = self.socket.send_to(&frame::join(cookie, &reply), from);
    }

    fn obey(&mut self, command: Command, from: SocketAddr) -> Reply {
        match command {
            Command::Ping | Command::Statistics => {
                Reply::pong(&EngineInfo { instance: INSTANCE.into(), ..EngineInfo::default() })
            }
            Command::Subscribe(_) => {
                self.subscriber = Some(from);
                Reply::ok(&Subscribed { instance: INSTANCE.into(), seq: self.seq })
            }
            Command::EventAck(ack) => {
                while self.events.front().is_some_and(|(seq, _)| *seq <= ack.seq) {
                    self.events.pop_front();
                    self.sent = Instant::now();
                }
                Reply::done()
            }
            Command::LegCreate(create) => {
                let known = self.legs.get(&create.leg).copied();
                let Some(port) = known.or_else(|| self.free.pop_front()) else {
                    return Reply::Error(Error::new(ErrorCode::OutOfPorts, "no port is left"));
                };
                self.legs.insert(create.leg.clone(), port);
                let (rtp, rtcp) = addresses(port);
                Reply::ok(&LegCreated { leg: create.leg, rtp, rtcp, worker: 0, ssrc: u32::from(port) })
            }
            Command::LegUpdate(update) => self.about(&update.leg),
            Command::LegQuery(query) => self.about(&query.leg),
            Command::LegDelete(delete) => {
                let reply = self.about(&delete.leg);
                self.free.extend(self.legs.remove(&delete.leg));
                reply
            }
            Command::LegList(request) => Reply::ok(&self.list(request)),
            Command::Splice(splice) => {
                let ports = (self.legs.get(&splice.a).copied(), self.legs.get(&splice.b).copied());
                let (Some(a), Some(b)) = ports else { return gone() };
                if splice.a_hears_b && splice.b_hears_a && (self.tally.join(a) || self.tally.join(b)) {
                    self.audio(&splice.a, &splice.b);
                    self.audio(&splice.b, &splice.a);
                }
                Reply::done()
            }
            Command::Play(play) => Reply::ok(&PlayStarted { play: play.play, duration_ms: None }),
            _ => Reply::done(),
        }
    }

    fn about(&self, leg: &str) -> Reply {
        let Some(port) = self.legs.get(leg) else { return gone() };
        let (rtp, rtcp) = addresses(*port);
        // As the real one writes it; what it adds some day has a default.
        Reply::ok(&json!({
            "leg": leg,
            "owner": "control",
            "state": "idle",
            "worker": 0,
            "rtp": rtp,
            "rtcp": rtcp,
            "latch": LatchMode::default(),
            "idle": Idle::default(),
            "codec": Codec::Pcmu,
            "ssrc": port,
            "remote_ssrc": 1,
            "age_ms": 1_000,
            "last_packet_ms": 10,
            "counters": LegCounters::default(),
        }))
    }

    /// A page of names; all are control's.
    fn list(&self, request: LegListRequest) -> LegList {
        let after = request.after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut names = self.legs.range::<String, _>((after, Bound::Unbounded)).map(|(name, _)| name.clone());
        let limit = request.limit.unwrap_or(limits::LIST_PAGE);
        let legs = names.by_ref().take(usize::from(limit)).collect();
        LegList { legs, more: names.next().is_some(), total: self.legs.len() as u64 }
    }

    fn audio(&mut self, from: &str, to: &str) {
        self.seq += 1;
        let audio = SpliceAudio { from: from.into(), to: to.into(), after_us: 2_000, dropped_packets: 0 };
        let event =
            Event { instance: INSTANCE.into(), seq: self.seq, at_ms: 0, body: EventBody::SpliceAudio(audio) };
        let datagram = frame::join("event", &event);
        self.tell(&datagram);
        if self.events.is_empty() {
            self.sent = Instant::now();
        }
        self.events.push_back((self.seq, datagram));
    }

    fn tell(&self, datagram: &[u8]) {
        if let Some(subscriber) = self.subscriber {
            let _ = self.socket.send_to(datagram, subscriber);
        }
    }
}

fn addresses(port: u16) -> (SocketAddr, SocketAddr) {
    (([127, 0, 0, 1], port).into(), ([127, 0, 0, 1], port + 1).into())
}

fn gone() -> Reply {
    Reply::Error(Error::new(ErrorCode::LegNotFound, "no such leg"))
}

const INSTANCE: &str = "stand-in";
const RECEIVE_BYTES: usize = 16 << 20;
const RESEND: Duration = Duration::from_millis(250);
const RESENT_AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_proto::{LegCreate, LegInfo, LegQuery};

    #[test]
    fn what_it_says_of_a_leg_can_be_read() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let from = socket.local_addr().expect("an address");
        let mut engine = Engine::new(socket, Arc::default());
        let create = LegCreate { leg: "a".into(), ..LegCreate::default() };
        let created: LegCreated = engine.obey(Command::LegCreate(create), from).parse().expect("a leg");
        let query = LegQuery { leg: "a".into() };
        let info: LegInfo = engine.obey(Command::LegQuery(query), from).parse().expect("as it is read");
        assert_eq!((info.rtp, info.last_packet_ms), (created.rtp, Some(10)));
        for leg in ["b", "c"] {
            engine.obey(Command::LegCreate(LegCreate { leg: leg.into(), ..LegCreate::default() }), from);
        }
        let mut list = |after: Option<&str>| {
            let after = after.map(str::to_owned);
            let request = LegListRequest { after, owner: None, limit: Some(2) };
            engine.obey(Command::LegList(request), from).parse::<LegList>().expect("a page")
        };
        let pages = (list(None), list(Some("b")));
        assert_eq!((pages.0.legs, pages.0.more), (vec!["a".to_owned(), "b".to_owned()], true));
        assert_eq!((pages.1.legs, pages.1.more, pages.1.total), (vec!["c".to_owned()], false, 3));
    }
}
