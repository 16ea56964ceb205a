//! Bad input on every port: each is answered clearly or counted, and everything still works afterwards.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::{Command, Output};
use std::time::Duration;

use offhook_proto::uninterrupted;
use offhook_tests::e2e::{House, Phone, Settings, binary, until};
use serde_json::{Value, json};

/// A house with an agent, in which everything is shown to work.
fn at_work() -> (House, Phone) {
    let house = House::open(&Settings::default());
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    (house, ann)
}

/// A caller is answered and spliced: the whole way through both programs.
fn still_works(house: &mut House, ann: &Phone) {
    house.is_well();
    let caller = house.party("caller");
    let call = house.caller(&caller, &["-d", "60000"]);
    caller.talks_with(&ann.party);
    caller.heard_only(&[&ann.party]);
    drop(call);
    house.rest.act("ann", "hangup");
    house.rest.await_agent("ann", "status", "available");
    assert_eq!(ann.sipp.invites().len(), 1, "the agent's leg has outlived it all");
}

fn socket(house: &House) -> UdpSocket {
    let socket = UdpSocket::bind((house.host, 0)).expect("a port");
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    socket
}

/// Bytes that are nothing in particular.
fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

const INVITE: &str = "INVITE sip:+15550100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKbad\r\n\
    From: <sip:x@127.0.0.1>;tag=1\r\nTo: <sip:+15550100@127.0.0.1>\r\nCall-ID: bad\r\nCSeq: 1 INVITE\r\n\
    Contact: <sip:x@127.0.0.1:9>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: 20\r\n\r\n\
    v=0\r\nm=audio banana\r\n";

#[test]
fn garbage_and_cut_off_sip_over_udp_and_tcp_harms_nobody() {
    let (mut house, ann) = at_work();
    let udp = socket(&house);
    let mut pieces: Vec<Vec<u8>> = (0..200).map(|seed| noise(seed, seed as usize * 7)).collect();
    pieces.extend((0..INVITE.len()).step_by(5).map(|end| INVITE.as_bytes()[..end].to_vec()));
    for (from, to) in [
        ("CSeq: 1 INVITE", "CSeq: 99999999999999999999 INVITE"),
        ("Content-Length: 20", "Content-Length: 999999999999999999999"),
        ("Content-Length: 20", "Content-Length: -1"),
        ("Max-Forwards: 70", "Max-Forwards: banana"),
        ("SIP/2.0\r\nVia", "SIP/9.9\r\nVia"),
        ("From: <sip:x@127.0.0.1>;tag=1", "From: \u{0}<><><"),
        ("INVITE sip", "BANANA sip"),
    ] {
        pieces.push(INVITE.replacen(from, to, 1).into_bytes());
    }
    for piece in &pieces {
        udp.send_to(piece, house.sip).expect("sent");
    }
    for piece in pieces.iter().step_by(10) {
        let mut tcp = TcpStream::connect(house.sip).expect("a connection");
        // Hung up on by the other side: that is an answer as well.
        let _ = tcp.write_all(piece);
    }
    still_works(&mut house, &ann);
}

#[test]
fn a_call_with_an_unreadable_offer_is_refused_with_a_status() {
    let (mut house, ann) = at_work();
    let udp = socket(&house);
    let port = udp.local_addr().expect("bound");
    let invite = INVITE.replace("127.0.0.1:9", &port.to_string());
    let mut buffer = [0; 65_536];
    let status = offhook_tests::e2e::eventually("a final answer", || {
        udp.send_to(invite.as_bytes(), house.sip).ok()?;
        loop {
            let length = uninterrupted(|| udp.recv(&mut buffer)).ok()?;
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let status: u16 = text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
            if status >= 300 {
                return Some(status);
            }
        }
    });
    assert!((400..500).contains(&status), "{status}");
    still_works(&mut house, &ann);
}

#[test]
fn truncated_and_foreign_rtp_is_counted_and_reaches_nobody() {
    let (mut house, ann) = at_work();
    let caller = house.party("caller");
    let call = house.caller(&caller, &["-d", "60000"]);
    caller.talks_with(&ann.party);
    let legs = house.legs();
    let stranger = socket(&house);
    let mallory = UdpSocket::bind((Ipv4Addr::new(127, 1, 2, 3), 0)).expect("a port");
    let before = caller.speakers();
    for leg in &legs {
        for port in ["rtp", "rtcp"] {
            let to: SocketAddr = leg[port].as_str().and_then(|at| at.parse().ok()).expect("an address");
            for seed in 0..100 {
                let mut packet = noise(seed, seed as usize % 40);
                let _ = stranger.send_to(&packet, to);
                // A whole packet, in somebody's name.
                packet = [&[0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1][..], b"OFFHOOK mallory     "].concat();
                packet.resize(172, 0);
                let _ = stranger.send_to(&packet, to);
                let _ = mallory.send_to(&packet, to);
            }
        }
    }
    caller.talks_with(&ann.party);
    caller.heard_only(&[&ann.party]);
    ann.party.heard_only(&[&caller]);
    assert!(caller.speakers()["ann"] > before["ann"]);
    drop(call);
    house.rest.act("ann", "hangup");
    house.rest.await_agent("ann", "status", "available");
    still_works(&mut house, &ann);
}

#[test]
fn bad_control_datagrams_are_answered_with_what_is_wrong_and_change_nothing() {
    let (mut house, ann) = at_work();
    let (here, elsewhere) =
        (socket(&house), UdpSocket::bind((Ipv4Addr::new(127, 1, 2, 4), 0)).expect("a port"));
    elsewhere.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let legs = house.legs().len();
    for seed in 0..200 {
        here.send_to(&noise(seed, seed as usize * 11), house.engine).expect("sent");
    }
    let deep = "[".repeat(5_000);
    let bad = [
        ("{\"command\":\"leg.delete\"}", "leg"),
        ("{\"command\":\"leg.destroy\",\"leg\":\"x\"}", "leg.destroy"),
        ("{\"command\":\"leg.create\",\"leg\":\"no good\"}", "leg"),
        ("{\"command\":\"leg.create\",\"leg\":\"x\",\"media\":{\"ptime_ms\":25}}", "ptime_ms"),
        ("{\"command\":\"play\",\"leg\":\"x\",\"banana\":1}", "banana"),
        ("{\"command\":", ""),
        (&deep, ""),
    ];
    for (at, (request, named)) in bad.iter().enumerate() {
        for from in [&here, &elsewhere] {
            let reply = ask(from, house.engine, &format!("bad{at}"), request);
            assert_eq!(reply["result"], "error", "{request:.60}: {reply}");
            assert!(reply.to_string().contains(named), "{request:.60}: {reply}");
        }
    }
    // Nobody else's legs are another controller's to end.
    let name = house.legs()[0]["leg"].as_str().unwrap_or_default().to_owned();
    let splice = json!({ "controller": "other", "command": "leg.delete", "leg": "a-nobody-1" });
    assert_eq!(ask(&elsewhere, house.engine, "other1", &splice.to_string())["result"], "error");
    assert!(!name.is_empty());
    assert_eq!(house.legs().len(), legs);
    still_works(&mut house, &ann);
}

fn ask(socket: &UdpSocket, to: SocketAddr, cookie: &str, request: &str) -> Value {
    let mut buffer = vec![0; 65_536];
    offhook_tests::e2e::eventually(&format!("an answer to {request:.60}"), || {
        socket.send_to(format!("{cookie} {request}").as_bytes(), to).ok()?;
        let length = uninterrupted(|| socket.recv(&mut buffer)).ok()?;
        let text = std::str::from_utf8(&buffer[..length]).ok()?;
        serde_json::from_str(text.strip_prefix(cookie)?).ok()
    })
}

#[test]
fn bad_http_and_json_is_refused_with_a_sentence() {
    let (mut house, ann) = at_work();
    for (method, path, body, status, named) in [
        ("GET", "/banana", json!(null), 404, "/banana"),
        ("DELETE", "/api/v1/agents", json!(null), 405, "DELETE"),
        ("GET", "/api/v1/agents/nobody", json!(null), 404, "agent"),
        ("POST", "/api/v1/agents/nobody/login", json!({}), 404, "agent"),
        ("POST", "/api/v1/agents/ann/status", json!({ "status": "asleep" }), 400, "asleep"),
        ("POST", "/api/v1/agents/ann/status", json!({ "statu": "available" }), 400, "statu"),
        ("POST", "/api/v1/agents/ann/accept", json!({}), 409, "offer"),
        ("POST", "/api/v1/agents/ann/pin", json!({ "pin": 7 }), 400, "pin"),
        ("PUT", "/api/v1/agents/b@d", json!({ "skills": [] }), 400, "id"),
        ("POST", "/api/v1/contacts", json!({ "queue": "none", "number": "+311" }), 400, "queue"),
        ("POST", "/genesys/1/service/callback/callback", json!({}), 400, "_customer_number"),
        (
            "POST",
            "/genesys/1/service/callback/callback",
            json!({ "_customer_number": "banana" }),
            400,
            "_customer_number",
        ),
        ("POST", "/genesys/1/service/callback/none", json!({ "_customer_number": "+311" }), 404, "service"),
    ] {
        let (got, answer) = house.rest.ask(method, path, &body).expect("an answer");
        assert_eq!(got, status, "{method} {path} {body}: {answer}");
        let sentence = answer["message"].as_str().unwrap_or_default();
        assert!(sentence.contains(named), "{method} {path} {body}: {answer}");
        assert!(answer["error"].is_string(), "{answer}");
    }
    for (raw, status) in [
        (b"POST /api/v1/contacts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n{\"a\":".to_vec(), "400"),
        (b"GET /api/v1/agents HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_vec(), "403"),
        (b"BANANA\r\n\r\n".to_vec(), "400"),
        (noise(1, 5_000), ""),
    ] {
        let answer = raw_http(house.http, &raw);
        assert!(answer.contains(status), "{}: {answer}", String::from_utf8_lossy(&raw[..raw.len().min(60)]));
    }
    still_works(&mut house, &ann);
}

/// What comes back on a connection for some bytes.
fn raw_http(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let _ = stream.write_all(bytes);
    let mut buffer = [0; 4_096];
    // Closed without a word, or reset: nothing came back.
    let length = uninterrupted(|| stream.read(&mut buffer)).unwrap_or_default();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn ports_in_use_end_each_program_with_a_sentence_that_names_them() {
    let (mut house, ann) = at_work();
    let second = || run(Command::new(binary("offhook-control")).args(["run", "control.toml"]), &house);
    let said = failure(&second());
    assert!(said.contains(&house.sip.to_string()) || said.contains(&house.http.to_string()), "{said}");
    // The second control must not have touched the first one's journal or sockets.
    let arguments = ["--control", &house.engine.to_string(), "--media-address", &house.host.to_string()];
    let said =
        failure(&run(Command::new(binary("offhook-engine")).args(arguments).args(["--cpus", "0"]), &house));
    assert!(said.contains(&house.engine.to_string()), "{said}");
    still_works(&mut house, &ann);
}

#[test]
fn a_configuration_with_five_mistakes_is_reported_with_all_five_and_their_lines() {
    let house = tempfile_with(
        "[sip]\nlisten = \"banana\"\n[trunk]\nport = 70000\n[agents]\nring_timeout_s = 1\n\
         [[queue]]\nname = \"sales\"\ncolour = \"red\"\n[[service]]\nname = \"callback\"\nqueue = \"sails\"\n",
    );
    let path = house.path().join("control.toml");
    let output = Command::new(binary("offhook-control")).arg("check").arg(&path).output().expect("it runs");
    let said = failure(&output);
    for (line, named) in [(2, "banana"), (4, "70000"), (6, "ring_timeout_s"), (9, "colour"), (12, "sails")] {
        let found = said.lines().find(|said| said.contains(named));
        let found = found.unwrap_or_else(|| panic!("{named} is not named:\n{said}"));
        assert!(
            found.contains(&format!(":{line}")) || found.contains(&format!("line {line}")),
            "{named}:\n{said}"
        );
    }
    assert!(said.contains("host"), "what is missing is named too:\n{said}");
}

#[test]
fn a_wav_that_is_none_is_said_so_and_the_leg_still_opens() {
    let house = House::open(&Settings { connected: "none.wav", ..Settings::default() });
    std::fs::write(house.folder().join("prompts/none.wav"), b"RIFF, but not really").expect("written");
    let ann = house.phone("ann");
    house.rest.put_agent("ann", &ann.station(), &json!({}));
    house.rest.act("ann", "login");
    house.rest.status("ann", "available");
    until("something is known", || {
        let agent = house.rest.agent("ann");
        agent["status"] == "available" || !agent["last_error"].is_null()
    });
    let agent = house.rest.agent("ann");
    assert_eq!(agent["status"], "available", "{agent}");
}

fn tempfile_with(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::write(folder.path().join("control.toml"), text).expect("written");
    folder
}

fn run(command: &mut Command, house: &House) -> Output {
    command.current_dir(house.folder()).output().expect("it runs")
}

/// What a program said that had to fail.
fn failure(output: &Output) -> String {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}
