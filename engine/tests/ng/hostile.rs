//! Proxies that say what they should not: each is answered, and nothing of it is left behind.

use std::time::Instant;

use offhook_ng::Dict;
use offhook_proto::{Command, EngineInfo, frame};
use serde_json::{Value as Json, json};

use crate::calls::{joined, reaches};
use crate::client::{NgClient, command, offer, sdp_at};
use crate::mangled::mangled;
use crate::support::{Engine, PATIENCE, Phone};

/// A request of each kind, about one call, with most of what it may have.
fn requests(a: &Phone, b: &Phone) -> Vec<Json> {
    let (sdp_a, sdp_b) = (sdp_at(a.address(), ""), sdp_at(b.address(), ""));
    let of_call = |command: &str, more: Json| {
        let mut request = json!({"command": command, "call-id": "h", "from-tag": "a"});
        request.as_object_mut().expect("an object").extend(more.as_object().expect("another").clone());
        request
    };
    let described = |sdp: &str, more: Json| {
        let mut described = json!({
            "sdp": sdp, "flags": ["trust-address", "symmetric"], "replace": ["origin"], "ICE": "remove",
            "rtcp-mux": ["demux"], "transport-protocol": "RTP/AVP", "codec": {"transcode": ["PCMA"], "strip": ["G729"]},
            "received-from": ["IP4", "127.0.0.1"], "ptime": 20, "label": "one", "via-branch": "v", "SDES": ["off"],
            "media-address": "127.0.0.1", "address-family": "IP4", "record-call": "no", "endpoint-learning": "delayed",
            "delete-delay": 0, "TOS": 184,
        });
        described.as_object_mut().expect("an object").extend(more.as_object().expect("another").clone());
        described
    };
    let party = json!({"to-tag": "b", "label": "one", "address": "127.0.0.1"});
    vec![
        of_call("offer", described(&sdp_a, json!({}))),
        of_call("answer", described(&sdp_b, json!({"from-tag": "b", "to-tag": "a"}))),
        of_call("query", json!({"to-tag": "b"})),
        json!({"command": "list", "limit": 3}),
        of_call(
            "play media",
            json!({"file": "beep.wav", "repeat-times": 1, "repeat-duration": 10, "start-pos": 5}),
        ),
        of_call("stop media", json!({})),
        of_call("play DTMF", json!({"code": "5", "duration": 100, "pause": 100, "volume": -8})),
        of_call("block media", party.clone()),
        of_call("unblock media", json!({"all": "flows"})),
        of_call("silence media", party.clone()),
        of_call("unsilence media", party),
        of_call("block DTMF", json!({"DTMF-security": "drop", "trigger": "1"})),
        of_call("unblock DTMF", json!({})),
        of_call("start recording", json!({"recording-file": "x.wav", "recording-dir": "d"})),
        of_call("pause recording", json!({})),
        of_call("stop recording", json!({"flags": ["pause"]})),
        of_call("publish", described(&sdp_a, json!({"call-id": "p"}))),
        of_call("subscribe request", json!({"from-tags": ["a", "b"], "to-tag": "s", "flags": ["all"]})),
        of_call("subscribe answer", json!({"to-tag": "s", "sdp": sdp_b})),
        of_call("unsubscribe", json!({"to-tag": "s"})),
        of_call("connect", json!({"to-tag": "b", "to-call-id": "h"})),
        json!({"command": "create", "call-id": "c", "codec": {"offer": ["PCMU"]}, "ptime": 20}),
        json!({"command": "create answer", "call-id": "c", "from-tag": "x", "sdp": sdp_a}),
        json!({"command": "transform", "call-id": "t", "transform": [{"input": [{"codec": "PCMU"}], "output": [{"codec": "PCMA"}],
            "destination": {"address": "127.0.0.1", "port": 40_000, "family": "IP4"}}]}),
        of_call("mesh", json!({"from-tags": ["a", "b"]})),
        of_call("delete", json!({"to-tag": "b", "via-branch": "v", "delete-delay": 0, "flags": ["fatal"]})),
    ]
}

/// What a dictionary in JSON is answered with.
fn asked(ng: &NgClient, cookie: &str, dictionary: &str) -> Json {
    ng.0.send(format!("{cookie} {dictionary}").as_bytes()).expect("sent");
    let mut buffer = vec![0; 65_536];
    loop {
        let length = ng.0.recv(&mut buffer).unwrap_or_else(|error| panic!("{dictionary:.300}: {error}"));
        let (answered, body) = frame::split(&buffer[..length]).expect("a cookie");
        if answered != cookie {
            continue;
        }
        let reply: Json = serde_json::from_slice(body).expect("JSON");
        let refused = reply["result"] == "error";
        let is_clear = reply["error-reason"]
            .as_str()
            .is_some_and(|reason| (5..2_000).contains(&reason.len()) && !reason.contains(char::is_control));
        assert!(reply["result"].is_string() && refused == is_clear, "{dictionary:.300}: {reply}");
        return reply;
    }
}

/// Deletes every call, and waits until the engine has as many ports as in the beginning.
fn nothing_is_left(engine: &Engine, ng: &NgClient, before: &EngineInfo) {
    let began = Instant::now();
    loop {
        let listed = ng.ask(&Dict::default().with("command", "list"));
        for call_id in listed.texts("calls") {
            ng.ask(&command("delete", call_id).with("delete-delay", 0_u64));
        }
        let now: EngineInfo = engine.client().ask(Command::Statistics);
        if listed.texts("calls").is_empty() && (now.legs, now.ports_free) == (before.legs, before.ports_free)
        {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "left behind: {now:?}");
    }
}

#[test]
fn every_field_of_every_request_may_be_of_another_kind_and_nothing_is_left_behind() {
    let engine = Engine::start_with(&["--max-legs", "4000"]);
    let ng = NgClient::to(engine.control);
    let before: EngineInfo = engine.client().ask(Command::Statistics);
    let (mut a, mut b) = (Phone::new(), Phone::new());
    let whole = requests(&a, &b);
    let mut count = 0;
    let mut memory_kib = Vec::new();
    for _ in 0..3 {
        for request in &whole {
            // The call is there, whatever became of it.
            for first in &whole[..2] {
                count += 1;
                asked(&ng, &format!("b{count}"), &first.to_string());
            }
            for (text, _) in mangled(request) {
                count += 1;
                asked(&ng, &format!("m{count}"), &text);
            }
        }
        nothing_is_left(&engine, &ng, &before);
        memory_kib.push(engine.resident_kib());
    }
    assert!(count > 5_000);
    assert!(memory_kib[2] < memory_kib[0] + 64 * 1_024, "{memory_kib:?}");
    let (at_a, at_b) = joined(&ng, "after", &a, &b);
    reaches(&mut a, at_a, &b);
    reaches(&mut b, at_b, &a);
}

#[test]
fn a_description_that_is_mutilated_is_refused_or_read_and_nothing_is_left_behind() {
    let engine = Engine::start_with(&["--max-legs", "4000"]);
    let ng = NgClient::to(engine.control);
    let before: EngineInfo = engine.client().ask(Command::Statistics);
    let sdp = sdp_at(Phone::new().address(), "a=rtcp:40001\r\na=ptime:20\r\na=sendrecv\r\n");
    let lines: Vec<&str> = sdp.split_inclusive("\r\n").collect();
    let mut made: Vec<String> = (0..sdp.len()).map(|end| sdp[..end].to_owned()).collect();
    for at in 0..lines.len() {
        let with = |line: &str| [&lines[..at], &[line], &lines[at + 1..]].concat().concat();
        let own = lines[at];
        made.extend([with(""), with(&own.repeat(2)), with(&own.repeat(100)), with("m=audio 0 RTP/AVP\r\n")]);
        for (from, to) in
            [("127.0.0.1", "::1"), ("127.0.0.1", "224.0.0.1"), ("127.0.0.1", "host.invalid"), ("IP4", "IP9")]
        {
            made.push(with(&own.replace(from, to)));
        }
        let digits = |text: &str| own.replace(|letter: char| letter.is_ascii_digit(), text);
        made.extend(["9", "-", "", "99999", "\0", "\u{e9}"].map(|text| with(&digits(text))));
    }
    for (number, sdp) in made.iter().enumerate() {
        let call_id = format!("s{number}");
        let offered = ng.ask(&offer(&call_id, "a", sdp));
        assert!(offered.text("result") == Some("ok") || offered.text("error-reason").is_some(), "{sdp}");
        ng.ask(&command("delete", &call_id).with("delete-delay", 0_u64));
    }
    nothing_is_left(&engine, &ng, &before);
}
