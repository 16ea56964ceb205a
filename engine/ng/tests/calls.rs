//! The family alone, with an engine made of answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use offhook_ng::{Config, Dict, Ng, Output, Peer, Value, parse_bencode, write_bencode};
use offhook_proto::{Command, DtmfMode, Error, ErrorCode, LegCounters, LegCreated, LegInfo, Reply, frame};
use proptest::prelude::*;

/// An engine that does what it is told, for a while late.
struct World {
    ng: Ng,
    now: Duration,
    legs: BTreeSet<String>,
    /// Milliseconds since every leg's last packet.
    silent_ms: Option<u64>,
    full: bool,
    no_recorder: bool,
    /// What was asked of the recorder, in words.
    recorded: Vec<String>,
    /// Who hears a copy of whom.
    listens: Vec<(String, String)>,
    /// What was to become of whose keys.
    keys: Vec<(String, DtmfMode)>,
    asked: VecDeque<(u64, Command)>,
    replies: BTreeMap<String, Vec<Dict>>,
    next_cookie: u64,
    next_port: u16,
}

impl World {
    fn new() -> Self {
        let config = Config {
            interfaces: vec![("default".into(), "127.0.0.1".parse().expect("an address"))],
            prompts: None,
            unix_s: 1_790_000_000,
            delete_delay_s: 30,
            seed: [7; 32],
        };
        Self {
            ng: Ng::new(config),
            now: Duration::ZERO,
            legs: BTreeSet::new(),
            silent_ms: None,
            full: false,
            no_recorder: false,
            recorded: Vec::new(),
            listens: Vec::new(),
            keys: Vec::new(),
            asked: VecDeque::new(),
            replies: BTreeMap::new(),
            next_cookie: 0,
            next_port: 20_000,
        }
    }

    fn send(&mut self, request: &Dict) -> String {
        self.next_cookie += 1;
        let cookie = format!("c{}", self.next_cookie);
        let mut datagram = format!("{cookie} ").into_bytes();
        write_bencode(request, &mut datagram);
        let peer = Peer::Udp("127.0.0.1:5000".parse().expect("an address"));
        self.ng.handle_datagram(self.now, peer, &datagram);
        self.collect();
        cookie
    }

    fn ask(&mut self, request: &Dict) -> Dict {
        let cookie = self.send(request);
        self.settle();
        self.replies[&cookie][0].clone()
    }

    fn settle(&mut self) {
        while self.answer_one() {}
    }

    fn answer_one(&mut self) -> bool {
        let Some((step, command)) = self.asked.pop_front() else { return false };
        let reply = self.execute(command);
        self.ng.handle_reply(self.now, step, reply);
        self.collect();
        true
    }

    fn collect(&mut self) {
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

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.ng.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.ng.handle_timeout(self.now);
            self.collect();
            self.settle();
        }
        self.now = end;
    }

    fn execute(&mut self, command: Command) -> Reply {
        let gone = || Reply::Error(Error::new(ErrorCode::LegNotFound, "no such leg"));
        match command {
            Command::LegCreate(_) if self.full => Reply::Error(Error::new(ErrorCode::TooManyLegs, "full")),
            Command::LegCreate(body) if body.beside.as_ref().is_some_and(|leg| !self.legs.contains(leg)) => {
                gone()
            }
            Command::LegCreate(body) => {
                self.next_port = 20_000 + (self.next_port + 2) % 10_000;
                assert!(self.legs.insert(body.leg.clone()), "opened twice");
                let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
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
            _ => Reply::done(),
        }
    }

    fn record(&mut self, what: &str, leg: &str) -> Reply {
        self.recorded.push(format!("{what} {leg}"));
        Reply::done()
    }

    fn info(&self, leg: &str) -> LegInfo {
        let counters = serde_json::to_value(LegCounters::default()).expect("counters");
        let info = serde_json::json!({
            "leg": leg, "state": "idle", "hears": false, "worker": 0, "rtp": "127.0.0.1:20000", "rtcp": "127.0.0.1:20001",
            "latch": "any", "idle": {"kind": "none"}, "codec": "PCMU", "ssrc": 1, "age_ms": 0, "counters": counters,
            "last_packet_ms": self.silent_ms,
        });
        serde_json::from_value(info).expect("a leg's state")
    }
}

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.5\r\ns=-\r\nc=IN IP4 127.0.0.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

fn command(name: &str) -> Dict {
    Dict::default().with("command", name).with("call-id", "c")
}

fn offer() -> Dict {
    command("offer").with("from-tag", "a").with("sdp", SDP)
}

fn answer(more: &str) -> Dict {
    command("answer").with("from-tag", "a").with("to-tag", "b").with("sdp", format!("{SDP}{more}"))
}

fn joined(more: &str) -> World {
    let mut world = World::new();
    assert_eq!(world.ask(&offer()).text("result"), Some("ok"));
    assert_eq!(world.ask(&answer(more)).text("result"), Some("ok"));
    world
}

#[test]
fn an_answered_call_without_media_is_given_up_after_a_minute() {
    let mut world = joined("");
    world.silent_ms = Some(59_000);
    world.pass(Duration::from_secs(300));
    assert_eq!(world.legs.len(), 2, "it is heard now and then");
    world.silent_ms = Some(61_000);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.legs.len(), 0);
    assert_eq!(world.ask(&command("query")).text("error-reason"), Some("Unknown call-id"));
    assert_eq!(world.ng.poll_timeout(), None, "nothing is left to look at");
}

#[test]
fn a_call_on_hold_and_one_that_still_rings_are_kept_for_an_hour() {
    let mut ringing = World::new();
    ringing.ask(&offer());
    for world in [&mut joined("a=recvonly\r\n"), &mut ringing] {
        world.pass(Duration::from_secs(3_500));
        assert_eq!(world.legs.len(), 2);
        world.pass(Duration::from_secs(200));
        assert_eq!(world.legs.len(), 0);
    }
}

#[test]
fn a_call_that_is_deleted_while_it_is_offered_leaves_no_leg() {
    let mut world = World::new();
    let offered = world.send(&offer());
    let deleted = world.send(&command("delete").with("delete-delay", 0_u64));
    world.settle();
    assert_eq!(world.replies[&offered][0].text("error-reason"), Some("Unknown call-id"));
    assert_eq!(world.replies[&deleted][0].text("result"), Some("ok"));
    assert!(world.legs.is_empty(), "{:?}", world.legs);
}

#[test]
fn an_offer_that_the_engine_refuses_leaves_no_call() {
    let mut world = World::new();
    world.full = true;
    assert_eq!(world.ask(&offer()).text("error-reason"), Some("Parallel session limit reached"));
    assert_eq!(world.ask(&command("query")).text("error-reason"), Some("Unknown call-id"));
    world.full = false;
    assert_eq!(world.ask(&offer()).text("result"), Some("ok"));
}

#[test]
fn an_offer_sent_twice_at_once_to_a_full_engine_sends_the_proxy_to_its_next_one_both_times() {
    let mut world = World::new();
    world.full = true;
    let both = [world.send(&offer()), world.send(&offer())];
    world.settle();
    for (cookie, wanted) in both.iter().zip(["Parallel session limit reached", "Load limit exceeded"]) {
        assert_eq!(world.replies[cookie][0].text("error-reason"), Some(wanted));
    }
    assert_eq!(world.ask(&command("query")).text("error-reason"), Some("Unknown call-id"));
}

#[test]
fn an_answer_that_refuses_a_section_closes_its_legs_and_an_offer_opens_them_again() {
    let mut world = World::new();
    world.ask(&offer());
    let refused = command("answer").with("from-tag", "a").with("to-tag", "b");
    let reply = world.ask(&refused.with("sdp", SDP.replace("4000", "0")));
    assert!(reply.text("sdp").is_some_and(|sdp| sdp.contains("m=audio 0 ")), "{reply:?}");
    assert!(world.legs.is_empty());
    assert_eq!(world.ask(&offer().with("to-tag", "b")).text("result"), Some("ok"));
    assert_eq!(world.legs.len(), 2);
}

#[test]
fn an_answer_is_not_answered() {
    let mut world = World::new();
    for result in ["ok", "pong", "error"] {
        world.send(&Dict::default().with("result", result).with("error-reason", "Unknown call-id"));
    }
    assert!(world.replies.is_empty());
    assert_eq!(world.ng.answers_dropped(), 3);
}

#[test]
fn a_call_is_recorded_once_paused_resumed_and_stopped() {
    let mut world = joined("");
    let told = |world: &mut World, name: &str, more: Dict| {
        world.recorded.clear();
        let mut request = command(name);
        for key in ["from-tag"] {
            if let Some(value) = more.text(key) {
                request.put(key, value);
            }
        }
        assert_eq!(world.ask(&request).text("result"), Some("ok"), "{name}");
        world.recorded.clone()
    };
    let plain = Dict::default;
    let started = told(&mut world, "start recording", plain());
    assert!(
        started[0].starts_with("start ng-")
            && started[0].contains("-a ng/c-179000")
            && started[0].ends_with("Mixed")
    );
    assert_eq!(started.len(), 1, "{started:?}");
    assert!(told(&mut world, "start recording", plain()).is_empty(), "it runs already");
    assert_eq!(told(&mut world, "pause recording", plain()).len(), 1);
    assert!(told(&mut world, "start recording", plain())[0].starts_with("resume "));
    assert!(told(&mut world, "stop recording", plain())[0].starts_with("stop "));
    assert!(told(&mut world, "stop recording", plain()).is_empty());
    let of_one = told(&mut world, "start recording", plain().with("from-tag", "b"));
    assert!(of_one[0].contains("-b ng/c-") && of_one[0].ends_with("Leg"), "{of_one:?}");
    world.no_recorder = true;
    for _ in 0..2 {
        let refused = world.ask(&command("start recording"));
        assert_eq!(refused.text("error-reason"), Some("no directory"), "each time");
    }
}

#[test]
fn a_call_whose_offer_asks_for_it_is_recorded_from_its_answer_on() {
    let answer = || command("answer").with("from-tag", "a").with("to-tag", "b").with("sdp", SDP);
    for asked in [Dict::default().with("record call", "on"), Dict::default().with("record call", "yes")] {
        let mut world = World::new();
        let wish = asked.text("record call").expect("it is there").to_owned();
        assert_eq!(world.ask(&offer().with("record call", wish.as_str())).text("result"), Some("ok"));
        assert!(world.recorded.is_empty(), "nobody is heard yet");
        assert_eq!(world.ask(&answer()).text("result"), Some("ok"));
        assert_eq!(world.recorded.len(), 1, "{:?}", world.recorded);
        assert!(world.recorded[0].contains("-a ng/c-") && world.recorded[0].ends_with("Mixed"));
        assert_eq!(world.ask(&answer()).text("result"), Some("ok"));
        assert_eq!(world.recorded.len(), 1, "it runs already");
        assert_eq!(world.ask(&command("stop recording")).text("result"), Some("ok"));
        assert!(world.recorded[1].starts_with("stop "));
    }
    let mut world = World::new();
    world.ask(&offer().with("record call", "off"));
    world.ask(&answer());
    assert!(world.recorded.is_empty());
    let mut world = World::new();
    world.no_recorder = true;
    world.ask(&offer());
    assert_eq!(world.ask(&answer().with("record call", "on")).text("result"), Some("ok"), "the call goes on");
    let refused = world.ask(&command("start recording"));
    assert_eq!(refused.text("error-reason"), Some("no directory"), "it is not taken to run");
}

#[test]
fn keys_are_blocked_for_one_party_or_for_all() {
    let mut world = World::new();
    world.ask(&offer());
    world.ask(&command("answer").with("from-tag", "a").with("to-tag", "b").with("sdp", SDP));
    let mut told = |request: Dict| {
        assert_eq!(world.ask(&request).text("result"), Some("ok"));
        let mut told: Vec<(String, DtmfMode)> = world.keys.drain(..).collect();
        told.iter_mut().for_each(|(leg, _)| drop(leg.drain(..leg.len() - 1)));
        told
    };
    let (a, b) = ("a".to_owned(), "b".to_owned());
    assert_eq!(told(command("block DTMF").with("from-tag", "b")), [(b.clone(), DtmfMode::Block)]);
    assert_eq!(told(command("block DTMF")), [(a.clone(), DtmfMode::Block), (b.clone(), DtmfMode::Block)]);
    assert_eq!(told(command("unblock DTMF").with("from-tag", "a")), [(a, DtmfMode::Pass)]);
}

fn sections(sdp: &str) -> Vec<&str> {
    sdp.lines().filter(|line| line.starts_with("m=")).collect()
}

#[test]
fn what_is_published_is_answered_with_one_codec_and_subscribed_to_without_another_side() {
    let mut world = World::new();
    let published = "v=0\r\no=- 1 1 IN IP4 127.0.0.5\r\ns=-\r\nc=IN IP4 127.0.0.5\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP 18 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n\
                     m=video 4002 RTP/AVP 99\r\n";
    let publish = || command("publish").with("from-tag", "mic").with("sdp", published);
    let reply = world.ask(&publish());
    let sdp = reply.text("sdp").unwrap_or_else(|| panic!("{reply:?}")).to_owned();
    assert!(sections(&sdp)[0].ends_with(" RTP/AVP 8 101") && !sections(&sdp)[0].contains(" 0 RTP"), "{sdp}");
    assert_eq!(sections(&sdp)[1], "m=video 0 RTP/AVP 99");
    assert!(sdp.contains("a=recvonly\r\n") && sdp.contains("a=rtpmap:8 PCMA/8000\r\n"), "{sdp}");
    assert_eq!(world.legs.len(), 1);
    assert_eq!(world.ask(&publish()).text("result"), Some("ok"), "again, in its own place");
    assert_eq!(world.legs.len(), 1);

    let request = command("subscribe request").with("from-tag", "mic").with("to-tag", "ear");
    let reply = world.ask(&request);
    let sdp = reply.text("sdp").unwrap_or_else(|| panic!("{reply:?}")).to_owned();
    assert_eq!((reply.text("to-tag"), reply.texts("from-tags")), (Some("ear"), vec!["mic"]));
    assert!(sdp.contains("a=sendonly\r\n") && sections(&sdp).len() == 1 && sections(&sdp)[0].ends_with(" 8"));
    assert_eq!((world.legs.len(), world.listens.len()), (2, 0), "nothing before the answer");
    let answer = |sdp: &str| command("subscribe answer").with("to-tag", "ear").with("sdp", sdp);
    let refused = world.ask(&answer(SDP));
    assert_eq!(refused.text("error-reason"), Some("The answer does not accept what was offered"));
    let other = answer(SDP).with("flags", vec![Value::from("allow transcoding")]);
    assert_eq!(world.ask(&other).text("result"), Some("ok"));
    assert_eq!(world.ask(&answer(&SDP.replace("AVP 0", "AVP 8"))).text("result"), Some("ok"));
    assert_eq!(world.listens.len(), 2);
    assert!(world.listens[0].1.ends_with("-p") && world.listens[0].0.ends_with("-s"));

    let query = world.ask(&command("query"));
    assert!(matches!(query.find("tags"), Some(Value::Dict(tags)) if tags.0.len() == 2), "{query:?}");
    assert_eq!(world.ask(&command("unsubscribe").with("to-tag", "ear")).text("result"), Some("ok"));
    assert_eq!(world.legs.len(), 1);
    let again = world.ask(&command("unsubscribe").with("to-tag", "ear"));
    assert_eq!(again.text("error-reason"), Some("To-tag given, but no such tag exists"));
    world.ask(&command("delete").with("delete-delay", 0_u64));
    assert_eq!(world.legs.len(), 0);
    assert_eq!(world.ask(&command("query")).text("error-reason"), Some("Unknown call-id"));
}

#[test]
fn all_parties_of_a_call_are_subscribed_to_at_once_and_a_full_engine_leaves_nothing() {
    let mut world = World::new();
    world.ask(&offer());
    world.ask(&command("answer").with("from-tag", "a").with("to-tag", "b").with("sdp", SDP));
    let before = world.legs.len();
    let reply = world.ask(&command("subscribe request").with("flags", vec![Value::from("all")]));
    let made_up = reply.text("to-tag").expect("a tag").to_owned();
    assert_eq!(made_up.len(), 16);
    assert_eq!(reply.texts("from-tags"), ["a", "b"]);
    assert_eq!(sections(reply.text("sdp").expect("a description")).len(), 2);
    assert_eq!(world.legs.len(), before + 2);
    let one = format!("{SDP}m=audio 0 RTP/AVP 0\r\n");
    let answer = command("subscribe answer").with("to-tag", made_up.as_str()).with("sdp", one.as_str());
    assert_eq!(world.ask(&answer).text("result"), Some("ok"));
    assert_eq!((world.legs.len(), world.listens.len()), (before + 1, 1), "the refused section has ended");
    world.full = true;
    let refused = world.ask(&command("subscribe request").with("from-tag", "a").with("to-tag", "x"));
    assert_ne!(refused.text("result"), Some("ok"));
    let nobody = world.ask(&command("subscribe request").with("from-tag", "nobody"));
    assert_eq!(nobody.text("error-reason"), Some("From-tag given, but no such tag exists"));
    assert_eq!(world.legs.len(), before + 1);
    let publish = Dict::default().with("command", "publish").with("call-id", "new").with("from-tag", "m");
    assert_ne!(world.ask(&publish.with("sdp", SDP)).text("result"), Some("ok"));
    let list = world.ask(&Dict::default().with("command", "list"));
    assert_eq!(list.texts("calls"), ["c"], "no call is left of it");
}

fn any_request() -> impl Strategy<Value = Dict> {
    let names = [
        "offer",
        "answer",
        "delete",
        "query",
        "list",
        "ping",
        "play media",
        "stop media",
        "play DTMF",
        "block media",
        "unblock media",
        "publish",
        "subscribe request",
        "subscribe answer",
        "unsubscribe",
        "block DTMF",
        "connect",
        "statistics",
        "start recording",
        "pause recording",
        "stop recording",
        "publish",
        "nonsense",
    ];
    let tag = || proptest::option::of(prop_oneof![Just("a"), Just("b"), Just("x")]);
    let sdps = [
        SDP.to_owned(),
        SDP.replace("4000", "0"),
        format!("{SDP}m=audio 5000 RTP/AVP 8\r\n"),
        "v=0\r\n".into(),
    ];
    let call_ids = proptest::sample::select(vec!["c", "d"]);
    let sdp = proptest::option::of(proptest::sample::select(sdps.to_vec()));
    (proptest::sample::select(names.to_vec()), call_ids, tag(), tag(), tag(), sdp, any::<bool>()).prop_map(
        |(name, call_id, from, to, branch, sdp, at_once)| {
            let mut dict = Dict::default().with("command", name).with("call-id", call_id).with("code", "5");
            for (key, value) in [("from-tag", from), ("to-tag", to), ("via-branch", branch)] {
                if let Some(value) = value {
                    dict.put(key, value);
                }
            }
            if let Some(sdp) = sdp {
                dict.put("sdp", sdp);
            }
            if at_once {
                dict.put("delete-delay", 0_u64);
            }
            dict
        },
    )
}

proptest! {
    #[test]
    fn every_request_is_answered_once_and_no_leg_outlives_its_call(
        steps in proptest::collection::vec((any_request(), 0_usize..6, 0_u64..40), 1..40),
    ) {
        let mut world = World::new();
        for (request, answers, seconds) in &steps {
            world.send(request);
            for _ in 0..*answers {
                world.answer_one();
            }
            if *seconds > 30 {
                world.settle();
                world.pass(Duration::from_secs(*seconds));
            }
        }
        world.settle();
        prop_assert_eq!(world.replies.len(), steps.len());
        prop_assert!(world.replies.values().all(|replies| replies.len() == 1));
        for call_id in ["c", "d"] {
            world.ask(&Dict::default().with("command", "delete").with("call-id", call_id).with("delete-delay", 0_u64));
        }
        prop_assert!(world.legs.is_empty(), "{:?}", world.legs);
    }

    #[test]
    fn any_bytes_after_a_cookie_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let mut world = World::new();
        let peer = Peer::Stream(1);
        world.ng.handle_datagram(world.now, peer, &[b"c1 ", &bytes[..]].concat());
        world.collect();
        world.settle();
        prop_assert_eq!(world.replies.len(), 1);
    }
}
