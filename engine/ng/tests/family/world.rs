//! An engine made of answers, and what is asked of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use offhook_ng::{Config, Dict, Ng, Output, Peer, parse_bencode, write_bencode};
use offhook_proto::{
    Command, DtmfMode, Error, ErrorCode, LegCounters, LegCreated, LegInfo, PlayStopped, Reply, frame,
};

/// An engine that does what it is told, for a while late.
pub(crate) struct World {
    pub(crate) ng: Ng,
    pub(crate) now: Duration,
    pub(crate) legs: BTreeSet<String>,
    /// Milliseconds since every leg's last packet.
    pub(crate) silent_ms: Option<u64>,
    /// Where a play is stopped, in milliseconds.
    pub(crate) position_ms: Option<u64>,
    pub(crate) full: bool,
    pub(crate) no_recorder: bool,
    /// Whether every change of a leg is refused.
    pub(crate) no_updates: bool,
    /// What was asked of the recorder, in words.
    pub(crate) recorded: Vec<String>,
    /// Who hears a copy of whom.
    pub(crate) listens: Vec<(String, String)>,
    /// What was to become of whose keys.
    pub(crate) keys: Vec<(String, DtmfMode)>,
    /// Everything that the engine was told.
    pub(crate) told: Vec<Command>,
    pub(crate) asked: VecDeque<(u64, Command)>,
    pub(crate) replies: BTreeMap<String, Vec<Dict>>,
    pub(crate) next_cookie: u64,
    pub(crate) next_port: u16,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_interfaces(&["127.0.0.1"])
    }

    pub(crate) fn with_interfaces(addresses: &[&str]) -> Self {
        let named = |address: &&str| ("default".into(), address.parse().expect("an address"));
        let config = Config {
            interfaces: addresses.iter().map(named).collect(),
            prompts: None,
            recordings: Some("/srv/recordings".into()),
            unix_s: 1_790_000_000,
            delete_delay_s: 30,
            seed: [7; 32],
        };
        Self {
            ng: Ng::new(config),
            now: Duration::ZERO,
            legs: BTreeSet::new(),
            silent_ms: None,
            position_ms: None,
            full: false,
            no_recorder: false,
            no_updates: false,
            recorded: Vec::new(),
            listens: Vec::new(),
            keys: Vec::new(),
            told: Vec::new(),
            asked: VecDeque::new(),
            replies: BTreeMap::new(),
            next_cookie: 0,
            next_port: 20_000,
        }
    }

    pub(crate) fn send(&mut self, request: &Dict) -> String {
        self.next_cookie += 1;
        let cookie = format!("c{}", self.next_cookie);
        let mut datagram = format!("{cookie} ").into_bytes();
        write_bencode(request, &mut datagram);
        let peer = Peer::Udp("127.0.0.1:5000".parse().expect("an address"));
        self.ng.handle_datagram(self.now, peer, &datagram);
        self.collect();
        cookie
    }

    pub(crate) fn ask(&mut self, request: &Dict) -> Dict {
        let cookie = self.send(request);
        self.settle();
        self.replies[&cookie][0].clone()
    }

    /// Why a request is refused.
    pub(crate) fn refused(&mut self, request: &Dict) -> String {
        let reply = self.ask(request);
        assert_eq!(reply.text("result"), Some("error"), "{request:?}: {reply:?}");
        reply.text("error-reason").expect("a reason").to_owned()
    }

    /// What the engine is told by a request that succeeds.
    pub(crate) fn told_by(&mut self, request: &Dict) -> Vec<Command> {
        self.told.clear();
        let reply = self.ask(request);
        assert_eq!(reply.text("result"), Some("ok"), "{request:?}: {reply:?}");
        std::mem::take(&mut self.told)
    }

    pub(crate) fn settle(&mut self) {
        while self.answer_one() {}
    }

    pub(crate) fn answer_one(&mut self) -> bool {
        let Some((step, command)) = self.asked.pop_front() else { return false };
        self.told.push(command.clone());
        let reply = self.execute(command);
        self.ng.handle_reply(self.now, step, reply);
        self.collect();
        true
    }

    pub(crate) fn collect(&mut self) {
        while let Some(output) = self.ng.poll_output() {
            match output {
                Output::Ask { step, command } => self.asked.push_back((step, command)),
                Output::Send { datagram, .. } => {
                    let (cookie, body) = frame::split(&datagram).expect("a cookie");
                    // What was asked in JSON is answered in JSON, which nothing here looks into.
                    let body = if body[0] == b'{' {
                        Dict::default()
                    } else {
                        parse_bencode(body).expect("a dictionary")
                    };
                    self.replies.entry(cookie.to_owned()).or_default().push(body);
                }
            }
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.ng.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.ng.handle_timeout(self.now);
            self.collect();
            self.settle();
        }
        self.now = end;
    }

    pub(crate) fn execute(&mut self, command: Command) -> Reply {
        let gone = || Reply::Error(Error::new(ErrorCode::LegNotFound, "no such leg"));
        match command {
            Command::LegCreate(_) if self.full => Reply::Error(Error::new(ErrorCode::TooManyLegs, "full")),
            Command::LegCreate(body) if body.beside.as_ref().is_some_and(|leg| !self.legs.contains(leg)) => {
                gone()
            }
            Command::LegCreate(body) => {
                self.next_port = 20_000 + (self.next_port + 2) % 10_000;
                assert!(self.legs.insert(body.leg.clone()), "opened twice");
                let ip = body.address.expect("the family always names one");
                let at = |port| SocketAddr::new(ip, port);
                let (rtp, rtcp) = (at(self.next_port), at(self.next_port + 1));
                Reply::ok(&LegCreated { leg: body.leg, rtp, rtcp, worker: 0, ssrc: 1 })
            }
            Command::LegDelete(body) => {
                if self.legs.remove(&body.leg) {
                    Reply::ok(&self.info(&body.leg))
                } else {
                    gone()
                }
            }
            Command::LegQuery(body) if self.legs.contains(&body.leg) => Reply::ok(&self.info(&body.leg)),
            Command::LegUpdate(_) if self.no_updates => {
                Reply::Error(Error::new(ErrorCode::BadValue, "remote.rtp"))
            }
            Command::LegUpdate(body) if self.legs.contains(&body.leg) => {
                self.keys.extend(body.dtmf.map(|dtmf| (body.leg.clone(), dtmf)));
                Reply::ok(&self.info(&body.leg))
            }
            Command::LegQuery(_) | Command::LegUpdate(_) => gone(),
            Command::Splice(body) => {
                if [&body.a, &body.b].iter().all(|leg| self.legs.contains(*leg)) {
                    Reply::done()
                } else {
                    gone()
                }
            }
            Command::RecordStart(_) if self.no_recorder => {
                Reply::Error(Error::new(ErrorCode::System, "no directory"))
            }
            Command::RecordStart(body) => {
                self.recorded.push(format!("start {} {} {:?}", body.leg, body.file, body.mode));
                Reply::done()
            }
            Command::Listen(body) => {
                if ![&body.leg, &body.of].iter().all(|leg| self.legs.contains(*leg)) {
                    return gone();
                }
                self.listens.push((body.leg, body.of));
                Reply::done()
            }
            Command::RecordPause(body) => self.record("pause", &body.leg),
            Command::RecordResume(body) => self.record("resume", &body.leg),
            Command::RecordStop(body) => self.record("stop", &body.leg),
            Command::PlayStop(_) => Reply::ok(&PlayStopped { position_ms: self.position_ms }),
            _ => Reply::done(),
        }
    }

    pub(crate) fn record(&mut self, what: &str, leg: &str) -> Reply {
        self.recorded.push(format!("{what} {leg}"));
        Reply::done()
    }

    pub(crate) fn info(&self, leg: &str) -> LegInfo {
        let counters = serde_json::to_value(LegCounters::default()).expect("counters");
        let info = serde_json::json!({
            "leg": leg, "state": "idle", "hears": false, "worker": 0, "rtp": "127.0.0.1:20000", "rtcp": "127.0.0.1:20001",
            "latch": "any", "idle": {"kind": "none"}, "codec": "PCMU", "ssrc": 1, "age_ms": 0, "counters": counters,
            "last_packet_ms": self.silent_ms,
        });
        serde_json::from_value(info).expect("a leg's state")
    }
}

pub(crate) const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.5\r\ns=-\r\nc=IN IP4 127.0.0.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

pub(crate) fn command(name: &str) -> Dict {
    Dict::default().with("command", name).with("call-id", "c")
}

pub(crate) fn offer() -> Dict {
    command("offer").with("from-tag", "a").with("sdp", SDP)
}

pub(crate) fn answer(more: &str) -> Dict {
    command("answer").with("from-tag", "a").with("to-tag", "b").with("sdp", format!("{SDP}{more}"))
}

/// Somebody's answer to that offer.
pub(crate) fn answer_to(tag: &str) -> Dict {
    command("answer").with("from-tag", "a").with("to-tag", tag).with("sdp", SDP)
}

pub(crate) fn joined(more: &str) -> World {
    let mut world = World::new();
    assert_eq!(world.ask(&offer()).text("result"), Some("ok"));
    assert_eq!(world.ask(&answer(more)).text("result"), Some("ok"));
    world
}
