//! Descriptions as rtpengine writes them: the same corpus goes through Debian's rtpengine and through the engine.

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use offhook_ng::{Dict, Value};
use offhook_proto::frame;

use crate::client::{NgClient, answer, offer};
use crate::installed;
use crate::support::{Engine, PATIENCE};

struct Rtpengine(Child, NgClient);

impl Drop for Rtpengine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Rtpengine {
    fn start() -> Self {
        let address =
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let child = Command::new("rtpengine")
            .args([
                "--config-file=none",
                "--table=-1",
                "--foreground",
                "--log-stderr",
                "--log-level=1",
                "--num-threads=1",
            ])
            .args(["--interface=127.0.0.1", "--port-min=32000", "--port-max=32399"])
            .arg(format!("--listen-ng={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("rtpengine starts");
        let client = NgClient::to(address);
        client.0.set_read_timeout(Some(Duration::from_millis(200))).expect("set");
        let (began, mut buffer) = (Instant::now(), [0; 1_024]);
        loop {
            let _ = client.0.send(b"hello d7:command4:pinge");
            if client.0.recv(&mut buffer).is_ok_and(|length| frame::split(&buffer[..length]).is_ok()) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "rtpengine does not start");
        }
        client.0.set_read_timeout(Some(PATIENCE)).expect("set");
        Self(child, client)
    }
}

const SESSION: &str = "v=0\no=alice 12 34 IN IP4 192.0.2.7\ns=A call\nc=IN IP4 127.0.0.5\nt=0 0\n";
const AUDIO: &str = "m=audio 4000 RTP/AVP 0 101\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\n";

/// Offers, what else is asked, and the answers to them.
fn corpus() -> Vec<(String, Dict, Option<String>)> {
    let plain = Dict::default;
    let list = |words: &[&str]| words.iter().map(|word| Value::from(*word)).collect::<Vec<_>>();
    let answered = |media: &str| Some(format!("{}{media}", SESSION.replace("127.0.0.5", "127.0.0.6")));
    let agreed =
        || answered("m=audio 5000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n");
    let offered = |media: &str| format!("{SESSION}{media}");
    vec![
        (offered(AUDIO), plain(), agreed()),
        (
            offered(
                "a=tool:foo\nm=audio 4000 RTP/AVP 0 8 9 101 96 13\nb=AS:64\na=rtpmap:0 PCMU/8000\n\
                 a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=rtpmap:96 opus/48000/2\n\
                 a=fmtp:96 useinbandfec=1\na=ptime:20\na=xunknown:yes\na=sendrecv\na=rtcp:4001\na=ssrc:1234 cname:abc\n",
            ),
            plain(),
            answered("m=audio 5000 RTP/AVP 8 101\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\n"),
        ),
        (
            offered(&format!("{AUDIO}a=sendonly\n")),
            plain(),
            answered("m=audio 5000 RTP/AVP 0\na=recvonly\na=maxptime:40\n"),
        ),
        (offered(&format!("{AUDIO}a=inactive\na=maxptime:40\n")), plain(), answered("m=audio 5000 RTP/AVP 0\na=inactive\n")),
        (offered(&format!("{AUDIO}m=audio 4020 RTP/AVP 8\nc=IN IP4 127.0.0.7\n")), plain(), answered("m=audio 5000 RTP/AVP 0\nm=audio 5010 RTP/AVP 8\n")),
        (offered(&format!("{AUDIO}m=audio 0 RTP/AVP 8\na=rtpmap:8 PCMA/8000\na=sendrecv\n")), plain(), None),
        (
            format!("{}m=audio 4000 RTP/AVP 0\nc=IN IP4 127.0.0.5\na=ptime:30\nb=AS:80\n", SESSION.replace("c=IN IP4 127.0.0.5\n", "")),
            plain(),
            agreed(),
        ),
        (offered(AUDIO), plain().with("replace", list(&["origin", "session-connection"])), agreed()),
        (offered("a=group:BUNDLE x\na=sendonly\nm=audio 4000 RTP/AVP 0\na=foo\na=mid:x\na=rtcp-rsize\na=extmap:1 y\n"), plain(), None),
        (
            offered(&format!("{AUDIO}a=ice-ufrag:abcd\na=ice-pwd:0123456789abcdef0123456789\na=candidate:1 1 UDP 2130706431 127.0.0.5 4000 typ host\n")),
            plain().with("ICE", "remove"),
            // It would speak ICE with the offering side, which the engine does not.
            None,
        ),
        (
            offered(&AUDIO.replace("AVP", "AVPF").replace("a=rtpmap:101", "a=rtcp-fb:0 nack\na=rtcp-fb:* nack\na=rtpmap:101")),
            plain().with("transport-protocol", "RTP/AVP"),
            agreed(),
        ),
        (offered("m=audio 4000 RTP/AVP 8 0 9 101\na=rtpmap:101 telephone-event/8000\n"), plain().with("codec", plain().with("strip", list(&["PCMU", "G722"]))), None),
        (offered("m=audio 4000 RTP/AVP 8 0 101\na=rtpmap:101 telephone-event/8000\n"), plain().with("codec", plain().with("strip", list(&["all"])).with("offer", list(&["PCMA"]))), None),
        (offered(&format!("{AUDIO}\n")), plain(), answered("m=audio 5000 RTP/AVP 0\n\n")),
        (
            offered(&format!("m=audio 0 RTP/AVP 8\nb=AS:1\na=x\na=fmtp:8 y\na=ptime:20\na=rtcp:9\n{AUDIO}")),
            plain(),
            answered("m=audio 0 RTP/AVP 8\na=y\nm=audio 5000 RTP/AVP 0\n"),
        ),
        (
            offered(&format!(
                "{AUDIO}a=msid:s t\na=ssrc-group:FID 1 2\na=rid:1 send\na=fmtp:99 x=y\na=rtpmap:99 foo/8000\na=rtcp:4009 IN IP4 127.0.0.5\n"
            )),
            plain(),
            agreed(),
        ),
        (offered(&AUDIO.replace("PCMU/8000", "pcmu/8000/1")), plain(), None),
        (offered(AUDIO), plain().with("flags", list(&["no rtcp attribute"])), None),
        (offered(AUDIO), plain().with("flags", list(&["full-rtcp-attribute"])), None),
        (offered(AUDIO), plain().with("flags", list(&["original sendrecv"])), None),
        (offered(AUDIO), plain().with("ptime", 30_u64), None),
        (offered(AUDIO), plain().with("ptime", 30_u64).with("ptime-reverse", 40_u64), agreed()),
        (offered("m=message 6000 TCP/MSRP *\na=path:x\nm=audio 4000 RTP/AVP 0\n"), plain(), None),
        (SESSION.replace("c=IN IP4 127.0.0.5", "c=IN IP4 0.0.0.0") + AUDIO, plain(), None),
        (
            "v=0\no=alice 1 1 IN IP4 127.0.0.5\ns=A call\ni=info\nu=uri\ne=x\np=1\nc=IN IP4 127.0.0.5\nb=AS:100\nt=0 0\nr=x\nz=y\n\
             k=clear\na=x\nm=audio 4000 RTP/AVP 0\ni=media\nb=AS:7\nk=foo\na=y\na=fmtp:0 z1\na=fmtp:0 z2\n"
                .into(),
            plain(),
            None,
        ),
    ]
}

#[test]
fn descriptions_are_rewritten_as_rtpengine_rewrites_them() {
    if !installed("rtpengine", "--version") {
        return;
    }
    let (engine, theirs) = (Engine::start(), Rtpengine::start());
    let ours = NgClient::to(engine.control);
    for (index, (offered, wishes, answered)) in corpus().into_iter().enumerate() {
        let call_id = format!("corpus-{index}");
        let with_wishes = |mut request: Dict| {
            request.0.extend(wishes.0.iter().cloned());
            request
        };
        let crlf = |text: &str| text.replace('\n', "\r\n");
        let request = with_wishes(offer(&call_id, "a", &crlf(&offered)));
        assert_eq!(
            without_ports(&ours.sdp(&request)),
            without_ports(&theirs.1.sdp(&request)),
            "offer {index}:\n{offered}"
        );
        let Some(answered) = answered else { continue };
        let request = answer(&call_id, "a", "b", &crlf(&answered));
        let (here, there) = (ours.sdp(&request), theirs.1.sdp(&request));
        assert_eq!(without_ports(&here), without_ports(&there), "answer {index}:\n{answered}");
    }
}

#[test]
fn refusals_are_worded_as_rtpengine_words_them() {
    if !installed("rtpengine", "--version") {
        return;
    }
    let (engine, theirs) = (Engine::start(), Rtpengine::start());
    let ours = NgClient::to(engine.control);
    let sdp = format!("{SESSION}{AUDIO}").replace('\n', "\r\n");
    for client in [&ours, &theirs.1] {
        client.sdp(&offer("known", "a", &sdp));
    }
    let command = |name: &str| Dict::default().with("command", name);
    let requests = [
        Dict::default().with("call-id", "x"),
        command("bogus"),
        command("offer").with("sdp", "v=0\r\n"),
        command("offer").with("call-id", "x"),
        command("offer").with("call-id", "x").with("sdp", sdp.as_str()),
        offer("x", "a", "garbage"),
        offer("x", "a", SESSION),
        answer("unknown", "a", "b", &sdp),
        command("answer").with("call-id", "known").with("from-tag", "a").with("sdp", sdp.as_str()),
        command("query").with("call-id", "unknown"),
        command("query"),
        command("delete").with("call-id", "unknown"),
        command("delete").with("call-id", "unknown").with("flags", vec![Value::from("fatal")]),
        command("delete").with("call-id", "known").with("from-tag", "nobody"),
        command("play media").with("call-id", "known").with("file", "x"),
        command("play media").with("call-id", "unknown").with("file", "x"),
        command("play media").with("call-id", "known").with("from-tag", "a"),
        command("play media").with("call-id", "known").with("from-tag", "a").with("file", "no-such-file.wav"),
        command("block media").with("call-id", "known").with("from-tag", "nobody"),
        command("play DTMF").with("call-id", "known").with("from-tag", "a").with("code", "x"),
        command("stop media").with("call-id", "known"),
    ];
    for request in requests {
        let said = |client: &NgClient| {
            let reply = client.ask(&request);
            ["result", "error-reason", "warning"].map(|key| reply.text(key).map(str::to_owned))
        };
        assert_eq!(said(&ours), said(&theirs.1), "{request:?}");
    }
}

/// A description with every port of an engine's turned into `PORT`; other ports stay. rtpengine ends a line that it adds to
/// what passes it by in a bare LF, so ends of lines do not count.
fn without_ports(sdp: &str) -> String {
    let engine_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port >= 20_000);
    let mut shown = String::new();
    for line in sdp.replace('\r', "").split_inclusive('\n') {
        let words = line.split_inclusive([' ', ':', '\n']).map(|word| {
            let end = word.len() - word.trim_end_matches([' ', ':', '\n']).len();
            let (text, end) = word.split_at(word.len() - end);
            if engine_port(text) && !line.starts_with("o=") { format!("PORT{end}") } else { word.to_owned() }
        });
        shown.extend(words);
    }
    shown
}
