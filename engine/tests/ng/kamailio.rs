//! Debian's Kamailio, unmodified, routes a call to SIPp; the audio passes the engine.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use offhook_ng::{Dict, Value};
use offhook_proto::uninterrupted;

use crate::client::{NgClient, audio_of, command, local_of, sdp_at};
use crate::installed;
use crate::recording::{await_both_voices, both_talk};
use crate::secure::SecurePhone;
use crate::support::{Engine, PATIENCE, Phone, number, spoken};

/// A process that ends with the test, and the log that is shown when it fails.
struct Peer(Child, PathBuf);

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(&self.1).unwrap_or_default());
        }
        // Kamailio's main process takes its children along on SIGTERM.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_call_through_kamailio_has_audio_both_ways_through_hold_and_resume_until_the_bye() {
    if !(installed("kamailio", "-v") && installed("sipp", "-v")) {
        return;
    }
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut caller, mut callee) = (Phone::new(), Phone::new());
    let (proxy, agent) = addresses(77);
    let scratch = tempfile::tempdir().expect("a directory");
    let _proxy = start_kamailio(&[&engine], "replace-origin", proxy, agent, scratch.path());
    let _sipp = start_sipp(agent, callee.address().port(), scratch.path());
    let mut line = Line::to(proxy);
    line.until_the_proxy_answers();

    // The call is answered, and what each side says is what the other hears.
    let answered = line.invite(1, &sdp_at(caller.address(), ""));
    let here = audio_of(&body(&answered));
    let query = ng.ask(&command("query", CALL_ID));
    let there = local_of(&query, "callee1");
    assert_eq!(local_of(&query, "caller"), here, "the caller was told its own end");
    converse(&mut caller, here, &callee);
    converse(&mut callee, there, &caller);

    // A key that the caller presses arrives, and the proxy's script plays to the caller.
    press(&mut caller, here, &callee);
    line.request("INFO", 2, "");
    until(|| caller.hear().payload.iter().all(|byte| *byte != 0x55), "the caller hears no prompt");

    // The caller holds from another port: it is heard from there, and hears there.
    let mut elsewhere = Phone::new();
    let held = line.invite(3, &sdp_at(elsewhere.address(), "a=sendonly\r\n"));
    assert!(body(&held).contains("a=recvonly"), "{held}");
    assert_eq!(audio_of(&body(&held)), here, "the engine's end has not moved");
    converse(&mut elsewhere, here, &callee);
    converse(&mut callee, there, &elsewhere);

    // It comes back to the call, where it was.
    let resumed = line.invite(4, &sdp_at(caller.address(), "a=sendrecv\r\n"));
    assert!(body(&resumed).contains("a=sendrecv"), "{resumed}");
    assert_eq!(audio_of(&body(&resumed)), here, "the engine's end has not moved");
    converse(&mut caller, here, &callee);
    converse(&mut callee, there, &caller);

    // Hanging up ends the legs.
    line.request("BYE", 5, "");
    assert_eq!(ng.refused(&command("query", CALL_ID)), "Unknown call-id");
    let statistics = offhook_proto::Command::Statistics;
    assert_eq!(engine.client().ask::<offhook_proto::EngineInfo>(statistics).legs, 0);
}

#[test]
fn a_full_engine_is_passed_over_for_the_next_one() {
    if !(installed("kamailio", "-v") && installed("sipp", "-v")) {
        return;
    }
    // A call has two legs.
    let full = Engine::start_with(&["--max-legs", "1", "--ports", "20000-25999"]);
    let free = Engine::start_with(&["--ports", "26000-31999"]);
    // The proxy chooses by call-id, always alike: one of the two orders has it ask the full engine first.
    for (engines, test) in [([&full, &free], 78), ([&free, &full], 79)] {
        let (mut caller, mut callee) = (Phone::new(), Phone::new());
        let (proxy, agent) = addresses(test);
        let scratch = tempfile::tempdir().expect("a directory");
        let _proxy = start_kamailio(&engines, "replace-origin", proxy, agent, scratch.path());
        let _sipp = start_sipp(agent, callee.address().port(), scratch.path());
        let mut line = Line::to(proxy);
        line.until_the_proxy_answers();
        let here = audio_of(&body(&line.invite(1, &sdp_at(caller.address(), ""))));
        let there = local_of(&NgClient::to(free.control).ask(&command("query", CALL_ID)), "callee1");
        converse(&mut caller, here, &callee);
        converse(&mut callee, there, &caller);
        line.request("BYE", 4, "");
    }
    let statistics = NgClient::to(full.control).ask(&Dict::default().with("command", "statistics"));
    let inside = |dict: &Dict, key: &str| match dict.find(key) {
        Some(Value::Dict(inner)) => inner.clone(),
        other => panic!("{key}: {other:?}"),
    };
    let totals = inside(&inside(&statistics, "statistics"), "totalstatistics");
    let rejected = totals.find("rejectedsessions").and_then(Value::int);
    assert!(rejected.is_some_and(|rejected| rejected >= 1), "{statistics:?}");
}

#[test]
fn a_caller_with_srtp_talks_with_a_plain_phone_behind_kamailio() {
    if !(installed("kamailio", "-v") && installed("sipp", "-v")) {
        return;
    }
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut caller, mut callee) = (SecurePhone::new(5), Phone::new());
    let (proxy, agent) = addresses(80);
    let scratch = tempfile::tempdir().expect("a directory");
    let _proxy = start_kamailio(&[&engine], "replace-origin RTP/AVP", proxy, agent, scratch.path());
    let _sipp = start_sipp(agent, callee.address().port(), scratch.path());
    let mut line = Line::to(proxy);
    line.until_the_proxy_answers();
    let answered = body(&line.invite(1, &caller.offer()));
    let here = audio_of(&answered);
    caller.accept(&answered);
    let there = local_of(&ng.ask(&command("query", CALL_ID)), "callee1");
    for number in 0..20 {
        caller.say(here, number);
        assert_eq!(callee.hear().payload, spoken(caller.phone.next.ssrc, number));
        callee.say(there, number);
        assert_eq!(caller.hear().payload, spoken(callee.next.ssrc, number));
    }
    line.request("BYE", 4, "");
}

/// What a callee says before it answers is heard, and the call is recorded from then on, as the proxy's script asks.
#[test]
fn early_media_is_heard_before_the_answer_and_the_proxy_has_the_call_recorded() {
    if !installed("kamailio", "-v") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a directory");
    let engine = Engine::start_with(&["--recordings", scratch.path().to_str().expect("UTF-8")]);
    let ng = NgClient::to(engine.control);
    let (mut caller, mut callee) = (Phone::new(), Phone::new());
    let (proxy, agent) = addresses(81);
    let far = Callee(UdpSocket::bind(agent).expect("its port"));
    let _proxy = start_kamailio(&[&engine], "replace-origin record-call=on", proxy, agent, scratch.path());
    let mut line = Line::to(proxy);
    line.until_the_proxy_answers();

    line.send("INVITE", 1, &sdp_at(caller.address(), ""));
    let (invited, from) = far.hear("INVITE");
    far.reply(&invited, from, "183 Session Progress", &sdp_at(callee.address(), ""));
    let progress = line.hear("183");
    let here = audio_of(&body(&progress));
    let there = local_of(&ng.ask(&command("query", CALL_ID)), "callee");
    converse(&mut callee, there, &caller);

    far.reply(&invited, from, "200 OK", &sdp_at(callee.address(), ""));
    let answered = line.hear("200");
    assert_eq!(audio_of(&body(&answered)), here, "where early media came from");
    line.learn(&answered, true);
    line.send("ACK", 1, "");
    converse(&mut caller, here, &callee);
    converse(&mut callee, there, &caller);
    both_talk((&mut caller, here), (&mut callee, there));
    line.send("BYE", 2, "");
    let (bye, from) = far.hear("BYE");
    far.reply(&bye, from, "200 OK", "");

    // The recording is complete when the legs have gone.
    until(|| ng.ask(&command("query", CALL_ID)).text("result") == Some("error"), "the call goes on");
    await_both_voices(&scratch.path().join("ng"));
}

/// A callee whose answers the test chooses.
struct Callee(UdpSocket);

impl Callee {
    /// The next request of a method, and who sent it.
    fn hear(&self, method: &str) -> (String, SocketAddr) {
        self.0.set_read_timeout(Some(PATIENCE)).expect("set");
        let mut buffer = [0; 8_192];
        loop {
            let (length, from) = uninterrupted(|| self.0.recv_from(&mut buffer)).expect("a request");
            let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if request.starts_with(method) {
                return (request, from);
            }
        }
    }

    fn reply(&self, request: &str, to: SocketAddr, status: &str, sdp: &str) {
        let copied = ["Via: ", "Record-Route: ", "From: ", "Call-ID: ", "CSeq: "];
        let lines = request.lines().take_while(|line| !line.is_empty());
        let copied = lines.clone().filter(|line| copied.iter().any(|name| line.starts_with(name)));
        let copied: String = copied.map(|line| format!("{line}\r\n")).collect();
        let receiver = lines.clone().find(|line| line.starts_with("To: ")).expect("To");
        let tag = if receiver.contains(";tag=") { "" } else { ";tag=callee" };
        let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let contact = self.0.local_addr().expect("bound");
        let reply = format!(
            "SIP/2.0 {status}\r\n{copied}{receiver}{tag}\r\nContact: <sip:{contact}>\r\n{kind}\
             Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        self.0.send_to(reply.as_bytes(), to).expect("sent");
    }
}

/// Talks until the other side hears what is being said.
fn converse(from: &mut Phone, to: SocketAddr, hearer: &Phone) {
    let began = Instant::now();
    for said in 1.. {
        from.say(to, said);
        if let Some(packet) = hearer.hear_within(Duration::from_millis(20))
            && packet.payload.len() == 160
            && packet.payload[..4] == from.next.ssrc.to_be_bytes()
        {
            assert!((1..=said).contains(&number(&packet)), "never said: {}", number(&packet));
            return;
        }
        assert!(began.elapsed() < PATIENCE, "nothing of {to} is heard");
    }
}

/// Presses 5 (RFC 4733 section 2.3) until the other side has it.
fn press(from: &mut Phone, to: SocketAddr, hearer: &Phone) {
    from.next.payload_type = 101;
    until(
        || {
            from.send(to, &[5, 10, 0x03, 0x20]);
            let heard = hearer.hear_within(Duration::from_millis(20));
            heard.is_some_and(|packet| packet.payload_type == 101 && packet.payload[0] == 5)
        },
        "the key is not heard",
    );
    from.next.payload_type = 0;
}

fn until(mut holds: impl FnMut() -> bool, otherwise: &str) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{otherwise}");
    }
}

/// The flags of its offers come with the first INVITE.
fn start_kamailio(
    engines: &[&Engine],
    flags: &str,
    proxy: SocketAddr,
    callee: SocketAddr,
    run: &Path,
) -> Peer {
    let engines: Vec<String> = engines.iter().map(|engine| format!("udp:{}", engine.control)).collect();
    let engines = engines.join(" ");
    let log = run.join("kamailio.log");
    let child = Command::new("kamailio")
        .args(["-DD", "-E", "-f", &peers("kamailio.cfg"), "-l", &format!("udp:{proxy}")])
        .args(["-A", &format!("ENGINE=\"{engines}\""), "-A", &format!("TARGET=\"sip:{callee}\"")])
        .args(["-A", "PLAY=\"file=connected.wav\"", "-A", &format!("FLAGS=\"{flags}\"")])
        .arg("-Y")
        .arg(run)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).expect("a log"))
        .spawn();
    Peer(child.expect("kamailio starts"), log)
}

fn start_sipp(at: SocketAddr, audio: u16, run: &Path) -> Peer {
    let log = run.join("sipp-errors.log");
    let child = Command::new("sipp")
        .args([
            "-sf",
            &peers("callee.xml"),
            "-i",
            &at.ip().to_string(),
            "-p",
            &at.port().to_string(),
            "-m",
            "1",
            "-nostdin",
        ])
        .args(["-key", "audio", &audio.to_string(), "-trace_err", "-error_file", "sipp-errors.log"])
        .current_dir(run)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Peer(child.expect("sipp starts"), log)
}

fn headers<'a>(message: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    message.lines().filter_map(move |line| line.strip_prefix(name))
}

fn peers(name: &str) -> String {
    format!("{}/../tests/peers/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A free port of an address that only this test uses, so that nobody takes it meanwhile.
fn free(address: Ipv4Addr) -> SocketAddr {
    UdpSocket::bind((address, 0)).and_then(|socket| socket.local_addr()).expect("a free port")
}

/// Of the proxy and of the callee, for one test.
fn addresses(test: u8) -> (SocketAddr, SocketAddr) {
    (free(Ipv4Addr::new(127, 0, test, 1)), free(Ipv4Addr::new(127, 0, test, 2)))
}

fn body(message: &str) -> String {
    message.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).expect("a body")
}

const CALL_ID: &str = "through-the-engine@127.0.0.1";

/// A caller's telephone line: just enough SIP for one call.
struct Line {
    socket: UdpSocket,
    local: SocketAddr,
    /// `To`, remote target and route set of the dialogue, once there is one.
    to: String,
    target: String,
    routes: String,
}

impl Line {
    fn to(proxy: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.connect(proxy).expect("connected");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
        let local = socket.local_addr().expect("bound");
        let to = "<sip:callee@example.invalid>".to_owned();
        let target = "sip:callee@example.invalid".to_owned();
        Self { socket, local, to, target, routes: String::new() }
    }

    fn until_the_proxy_answers(&mut self) {
        self.request("OPTIONS", 900, "");
    }

    fn send(&self, method: &str, cseq: u32, sdp: &str) {
        self.socket.send(self.message(method, cseq, sdp).as_bytes()).expect("sent");
    }

    /// The next reply with a code.
    fn hear(&self, code: &str) -> String {
        let (began, mut buffer) = (Instant::now(), [0; 8_192]);
        while began.elapsed() < PATIENCE {
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            let reply = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if reply.split(' ').nth(1) == Some(code) {
                return reply;
            }
        }
        panic!("no {code}")
    }

    /// Calls, or changes the call: the 200 with its description. Sends the ACK.
    fn invite(&mut self, cseq: u32, sdp: &str) -> String {
        let answered = self.request("INVITE", cseq, sdp);
        self.learn(&answered, cseq == 1);
        self.send("ACK", cseq, "");
        answered
    }

    /// Takes what the dialogue's next requests need from an answer.
    fn learn(&mut self, answered: &str, first: bool) {
        let header = |name| headers(answered, name);
        self.to = header("To: ").next().expect("To").to_owned();
        let contact = header("Contact: <").next().expect("Contact");
        self.target = contact.split('>').next().expect("a target").to_owned();
        if first {
            self.routes = header("Record-Route: ").map(|route| format!("Route: {route}\r\n")).collect();
        }
    }

    /// Sends a request until it has a final reply, which must be a 200.
    fn request(&mut self, method: &str, cseq: u32, sdp: &str) -> String {
        let message = self.message(method, cseq, sdp);
        let began = Instant::now();
        let (mut provisional, mut buffer) = (false, [0; 8_192]);
        while began.elapsed() < PATIENCE {
            if !provisional {
                let _ = self.socket.send(message.as_bytes());
            }
            while let Ok(length) = uninterrupted(|| self.socket.recv(&mut buffer)) {
                let reply = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if !reply.contains(&format!("CSeq: {cseq} {method}")) {
                    continue;
                }
                match reply.split(' ').nth(1) {
                    Some("200") => return reply,
                    Some(code) if code.starts_with('1') => provisional = true,
                    Some(_) | None => panic!("{method} is refused: {reply}"),
                }
            }
        }
        panic!("no reply to {method}")
    }

    fn message(&self, method: &str, cseq: u32, sdp: &str) -> String {
        let Self { local, to, target, routes, .. } = self;
        let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-{method}-{cseq}\r\n{routes}\
             Max-Forwards: 70\r\nFrom: <sip:caller@example.invalid>;tag=caller\r\nTo: {to}\r\nCall-ID: {CALL_ID}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:{local}>\r\n{kind}Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        )
    }
}
