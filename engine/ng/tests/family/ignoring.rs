//! What is ignored of a request is refused or named.

use offhook_ng::{Dict, Value};

use crate::world::{World, answer_to, command, joined, offer};

fn flags(words: &[&str]) -> Vec<Value> {
    words.iter().map(|word| Value::from(*word)).collect()
}

#[test]
fn what_nothing_is_made_of_is_named_and_the_rest_is_done() {
    let mut world = World::new();
    let plain = world.ask(&offer().with("flags", flags(&["trust-address", "codec-strip-G729"])));
    assert_eq!((plain.text("result"), plain.find("warning")), (Some("ok"), None));
    let moh = Dict::default().with("file", "x.wav");
    let request = offer().with("moh", moh).with("TOS", 184_u64);
    let reply = world.ask(&request.with("flags", flags(&["loop protests", "symmetric", "single codek"])));
    assert_eq!(reply.text("warning"), Some("Ignored: moh, TOS, loopprotests, singlecodek"));
    assert!(reply.text("result") == Some("ok") && reply.text("sdp").is_some(), "{reply:?}");
    let request =
        offer().with("replace", flags(&["origin", "username"])).with("SDES", flags(&["no-x", "pad"]));
    let codec = Dict::default().with("strip", flags(&["G729"])).with("set", flags(&["opus/48000/1/16000"]));
    let reply =
        world.ask(&request.with("codec", codec).with("flags", flags(&["codec-set-opus/48000/1/16000"])));
    let named = "Ignored: codec-set-opus/48000/1/16000, replace=username, SDES=pad, codec-set";
    assert_eq!(reply.text("warning"), Some(named));
    let unknown = world.ask(&command("delete").with("call-id", "none").with("metadata", "x"));
    assert_eq!(unknown.find("error-reason"), None, "its own warning comes first: {unknown:?}");
}

#[test]
fn what_would_go_wrong_is_refused_by_name_and_changes_nothing() {
    let mut world = joined("");
    let blocks = |mode: &str| command("block DTMF").with("DTMF-security", mode);
    for (request, reason) in [
        (blocks("tone"), "DTMF-security=tone is not supported"),
        (blocks("random"), "DTMF-security=random is not supported"),
        (command("block DTMF").with("trigger", "112"), "trigger is not supported"),
        (command("block DTMF").with("delay-buffer", 100_u64), "delay-buffer is not supported"),
        (offer().with("DTMF-delay", 500_u64), "DTMF-delay is not supported"),
        (offer().with("T.38", flags(&["force"])), "T.38 is not supported"),
        (offer().with("media echo", "both"), "media-echo=both is not supported"),
        (
            command("stop recording").with("flags", flags(&["discard recording"])),
            "discard-recording is not supported",
        ),
        (command("start recording").with("recording-pattern", "%c"), "recording-pattern is not supported"),
    ] {
        world.told.clear();
        assert_eq!(world.refused(&request), reason);
        assert!(world.told.is_empty() && world.recorded.is_empty(), "{reason}: {:?}", world.told);
    }
    for harmless in [
        blocks("drop"),
        blocks("silence"),
        offer().with("DTMF-delay", 0_u64),
        offer().with("T.38", flags(&["stop"])),
    ] {
        assert_eq!(world.ask(&harmless).text("result"), Some("ok"), "{harmless:?}");
    }
}

#[test]
fn media_is_dropped_from_the_message_on_that_says_so() {
    let heard = |world: &mut World, request: &Dict| {
        let told = world.told_by(request);
        crate::muting::splices(&told).pop().map(|(.., a_hears, b_hears)| (a_hears, b_hears))
    };
    for (start, stop) in [("drop traffic", "stop"), ("media echo", "off")] {
        let mut world = World::new();
        let word = if start == "drop traffic" { "start" } else { "blackhole" };
        assert_eq!(heard(&mut world, &offer()), None);
        assert_eq!(heard(&mut world, &answer_to("b").with(start, word)), Some((false, false)));
        let stop = offer().with("to-tag", "b").with("drop traffic", stop);
        assert_eq!(heard(&mut world, &stop), Some((true, true)));
        assert_eq!(heard(&mut world, &offer().with("to-tag", "b").with(start, word)), Some((false, false)));
        assert_eq!(heard(&mut world, &answer_to("b").with("drop traffic", "stop")), Some((true, true)));
    }
}
