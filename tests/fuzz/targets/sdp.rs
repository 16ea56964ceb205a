//! Session descriptions that a proxy hands over, offer and answer, rewritten for the other side: what comes out can be read again.
//! The first byte chooses what the proxy asks for besides; offer and answer follow, parted by a zero.
#![no_main]
#![allow(dead_code, reason = "the engine of the family's own tests is used in part")]

#[path = "../../../engine/ng/tests/family/world.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use offhook_ng::sdp::Sdp;
use offhook_ng::{Dict, Value};
use world::{World, command};

/// What the proxy may ask for instead.
const PROTOCOLS: [&str; 4] = ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"];

fuzz_target!(|data: &[u8]| {
    let [choice, descriptions @ ..] = data else { return };
    let mut descriptions = descriptions.splitn(2, |byte| *byte == 0);
    let mut world = World::new();
    let offer = descriptions.next().unwrap_or_default();
    let mut request = of("offer", offer).with("from-tag", "a");
    if choice & 4 != 0 {
        request.put("transport-protocol", PROTOCOLS[usize::from(choice % 4)]);
    }
    if choice & 8 != 0 {
        request.put("replace", vec![Value::from("origin")]);
    }
    if choice & 16 != 0 {
        request.put("ptime", 30_u64);
    }
    if choice & 32 != 0 {
        request
            .put("codec", Dict::default().with("transcode", vec![Value::from("opus"), Value::from("PCMA")]));
    }
    rewritten(&world.ask(&request));
    let answer = descriptions.next().unwrap_or(offer);
    rewritten(&world.ask(&of("answer", answer).with("from-tag", "a").with("to-tag", "b")));
});

fn of(name: &str, description: &[u8]) -> Dict {
    command(name).with("sdp", description.to_vec())
}

fn rewritten(reply: &Dict) {
    if let Some(description) = reply.bytes("sdp") {
        assert!(Sdp::parse(description).is_ok(), "{}", String::from_utf8_lossy(description));
    }
}
