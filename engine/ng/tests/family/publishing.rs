//! Who publishes, and who subscribes.

use offhook_ng::{Dict, Value};
use offhook_proto::{Codec, Command};

use crate::world::{SDP, World, command, offer};

/// The `m=` lines of a description.
pub(crate) fn sections(sdp: &str) -> Vec<&str> {
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

#[test]
fn what_is_published_and_subscribed_to_is_in_the_codecs_that_a_request_names() {
    let mut world = World::new();
    let both = SDP.replace("AVP 0", "AVP 8 0");
    let flags = |words: &[&str]| words.iter().map(|word| Value::from(*word)).collect::<Vec<_>>();
    let publish = command("publish").with("from-tag", "mic").with("sdp", both);
    let reply = world.ask(&publish.with("flags", flags(&["codec-accept-G729", "codec-accept-PCMU"])));
    let sdp = reply.text("sdp").unwrap_or_else(|| panic!("{reply:?}"));
    assert!(sections(sdp)[0].ends_with(" RTP/AVP 0"), "{sdp}");
    let mut offered = |words: &[&str]| {
        let request = command("subscribe request").with("from-tag", "mic").with("to-tag", "ear");
        let reply = world.ask(&request.with("flags", flags(words)).with("ptime", 40_u64));
        let sdp = reply.text("sdp").unwrap_or_else(|| panic!("{reply:?}")).to_owned();
        assert!(sdp.contains("a=ptime:40\r\n"), "{sdp}");
        sections(&sdp)[0].rsplit(" RTP/AVP ").next().map(str::to_owned)
    };
    assert_eq!(offered(&[]).as_deref(), Some("0"));
    assert_eq!(offered(&["codec-transcode-PCMA"]).as_deref(), Some("0 8"));
    assert_eq!(offered(&["codec-mask-PCMU", "codec-transcode-G722"]).as_deref(), Some("9"));
    assert_eq!(offered(&["codec-strip-all"]).as_deref(), Some("0"), "nothing would be left");
    let answer =
        |to: &str| command("subscribe answer").with("to-tag", "ear").with("sdp", SDP.replace("AVP 0", to));
    offered(&["codec-mask-PCMU", "codec-transcode-PCMA"]);
    assert_eq!(world.refused(&answer("AVP 0")), "The answer does not accept what was offered");
    let told = world.told_by(&answer("AVP 8"));
    let media = told.iter().find_map(|command| match command {
        Command::LegUpdate(update) => update.media.clone(),
        _ => None,
    });
    let media = media.expect("the leg is told");
    assert_eq!((media.codec, media.ptime_ms, world.listens.len()), (Codec::Pcma, 40, 1));
}
