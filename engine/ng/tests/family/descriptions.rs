//! Descriptions that are odd, hostile or long.

use offhook_ng::{Dict, Value};

use crate::world::{SDP, World, command};

const SESSION: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.5\r\ns=-\r\nc=IN IP4 127.0.0.5\r\nt=0 0\r\n";

fn offer(sdp: impl Into<Value>) -> Dict {
    command("offer").with("from-tag", "a").with("sdp", sdp)
}

fn answer(sdp: impl Into<Value>) -> Dict {
    command("answer").with("from-tag", "a").with("to-tag", "b").with("sdp", sdp)
}

/// What becomes of an offer, byte for byte.
fn rewritten(world: &mut World, sdp: impl Into<Value>) -> Vec<u8> {
    let reply = world.ask(&offer(sdp));
    reply.bytes("sdp").unwrap_or_else(|| panic!("{reply:?}")).to_vec()
}

fn lines(sdp: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(sdp).lines().map(str::to_owned).collect()
}

#[test]
fn a_description_that_has_passed_and_is_protected_passes_again_untouched() {
    let mut world = World::new();
    let protected = |sdp: &str| {
        let flags = vec![Value::from("loop protect")];
        command("offer").with("from-tag", "a").with("sdp", sdp).with("flags", flags)
    };
    let once = world.ask(&protected(SDP)).text("sdp").expect("a description").to_owned();
    let mark = once.lines().position(|line| line.starts_with("a=rtpengine:")).expect("a mark");
    assert!(once.lines().position(|line| line.starts_with("m=")).is_some_and(|media| mark + 1 == media));
    let legs = world.legs.len();
    assert_eq!(world.ask(&protected(&once)).text("sdp"), Some(once.as_str()));
    assert_eq!(world.legs.len(), legs);
    let foreign = once.replace("a=rtpengine:", "a=rtpengine:0");
    let passed = world.ask(&protected(&foreign)).text("sdp").expect("a description").to_owned();
    assert_eq!(passed.matches("a=rtpengine:").count(), 2, "another engine's is kept: {passed}");
    let plain = world.ask(&command("offer").with("from-tag", "a").with("sdp", SDP));
    assert!(plain.text("sdp").is_some_and(|sdp| !sdp.contains("a=rtpengine")), "{plain:?}");
}

#[test]
fn blank_lines_after_a_description_are_left_out() {
    let plain = rewritten(&mut World::new(), SDP);
    assert!(plain.ends_with(b"\r\n") && !plain.ends_with(b"\r\n\r\n"));
    for blank in ["\r\n", "\r\n\r\n", "\n", "\n\n"] {
        assert_eq!(rewritten(&mut World::new(), format!("{SDP}{blank}")), plain, "{blank:?}");
    }
    let mut world = World::new();
    for broken in [SDP.replace("t=0 0\r\n", "t=0 0\r\n\r\n"), "\r\n".to_owned() + SDP] {
        assert_eq!(world.refused(&offer(broken)), "Failed to parse SDP", "elsewhere they are none of SDP's");
    }
}

#[test]
fn linear_samples_of_one_channel_pass_at_the_rates_that_there_are() {
    let audio = "m=audio 4000 RTP/AVP 112 113 114 11 10 0\r\na=rtpmap:112 L16/16000\r\na=rtpmap:113 L16/48000/2\r\na=rtpmap:114 L16/22050\r\n";
    let offered = lines(&rewritten(&mut World::new(), format!("{SESSION}{audio}")));
    let section = offered.iter().find(|line| line.starts_with("m=audio")).expect("a section");
    assert!(section.ends_with(" RTP/AVP 112 11 0"), "{section}");
    for map in ["a=rtpmap:112 L16/16000", "a=rtpmap:11 L16/44100"] {
        assert!(offered.iter().any(|line| line == map), "{map}: {offered:?}");
    }
}

#[test]
fn lines_that_nobody_knows_keep_their_bytes_and_their_place() {
    let odd = [
        SESSION.as_bytes(),
        b"a=x-session \xff\xfe\r\ny=?\r\nm=audio 4000 RTP/AVP 0\r\ni=\xf0\x28\r\na=x-first:\x01\x02\r\nq=\r\na=x-last\n",
    ];
    let out = rewritten(&mut World::new(), odd.concat());
    let at =
        |wanted: &[u8]| out.windows(wanted.len()).position(|window| window == wanted).expect("it is kept");
    let places = [
        at(b"a=x-session \xff\xfe\r\n"),
        at(b"y=?\r\n"),
        at(b"m=audio "),
        at(b"i=\xf0\x28\r\n"),
        at(b"a=x-first:\x01\x02\r\n"),
        at(b"q=\r\n"),
        at(b"a=x-last\n"),
        at(b"a=rtpmap:0 PCMU/8000\r\n"),
        at(b"a=sendrecv\r\n"),
        at(b"a=rtcp:"),
    ];
    assert!(places.is_sorted(), "{places:?}: {}", String::from_utf8_lossy(&out));
}

#[test]
fn what_stands_before_any_section_holds_for_all_of_them() {
    let sdp = format!(
        "{SESSION}a=sendonly\r\na=group:BUNDLE 0 1\r\na=ice-lite\r\na=x-kept\r\nm=audio 4000 RTP/AVP 0\r\na=mid:0\r\n\
         m=audio 4002 RTP/AVP 8\r\na=mid:1\r\na=inactive\r\n"
    );
    let out = lines(&rewritten(&mut World::new(), sdp));
    let count = |wanted: &str| out.iter().filter(|line| *line == wanted).count();
    assert_eq!((count("a=sendonly"), count("a=inactive"), count("a=x-kept")), (1, 1, 1), "{out:?}");
    assert!(!out.iter().any(|line| line.starts_with("a=group") || line.starts_with("a=ice")), "{out:?}");
    assert!(
        out.iter().position(|line| line == "a=sendonly") > out.iter().position(|line| line.starts_with("m="))
    );
}

#[test]
fn bundled_sections_have_ports_of_their_own_and_refused_ones_keep_their_place() {
    let mut world = World::new();
    let sections = "m=audio 4000 RTP/AVP 0\r\na=mid:0\r\nm=audio 0 RTP/AVP 8\r\na=bundle-only\r\nm=video 4000 RTP/AVP 99\r\n\
                    m=audio 4000 RTP/AVP 8\r\na=mid:3\r\n";
    let out = lines(&rewritten(&mut world, format!("{SESSION}a=group:BUNDLE 0 3\r\n{sections}")));
    let ms: Vec<Vec<&str>> =
        out.iter().filter(|line| line.starts_with("m=")).map(|line| line.split(' ').collect()).collect();
    assert_eq!(ms.len(), 4, "{out:?}");
    assert_eq!((ms[1][1], ms[2][1]), ("0", "0"));
    assert_ne!(ms[0][1], ms[3][1], "one cannot stand for the other once they are not bundled");
    assert_eq!(world.legs.len(), 4);
    let answered =
        "m=audio 5000 RTP/AVP 0\r\nm=audio 0 RTP/AVP 8\r\nm=video 0 RTP/AVP 99\r\nm=audio 5002 RTP/AVP 8\r\n";
    let told = world.told_by(&answer(format!("{SESSION}{answered}")));
    let remotes: Vec<u16> = told
        .iter()
        .filter_map(|command| match command {
            offhook_proto::Command::LegUpdate(update) => Some(update.remote?.rtp.port()),
            _ => None,
        })
        .collect();
    assert_eq!(remotes, [4_000, 5_000, 4_000, 5_002], "each answer by the place of its line");
    let more = format!("{SESSION}{answered}m=audio 5004 RTP/AVP 0\r\n");
    assert_eq!(world.refused(&answer(more)), "The answer has more media sections than the offer");
}

#[test]
fn a_description_past_a_limit_is_refused_and_leaves_no_call() {
    let mut world = World::new();
    let sections = |count: usize| format!("{SESSION}{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(count));
    let formats = |count: usize| format!("{SESSION}m=audio 4000 RTP/AVP{}\r\n", " 0".repeat(count));
    let long = |count: usize| format!("{SDP}a={}\r\n", "x".repeat(count));
    for past in [sections(17), formats(65), long(65_536)] {
        assert_eq!(world.refused(&offer(past)), "Failed to parse SDP");
    }
    for odd in ["m=audio -1 RTP/AVP 0\r\n", "m=audio 65536 RTP/AVP 0\r\n", "m=audio\r\n", "m= \r\n", "m=\r\n"]
    {
        assert_eq!(world.refused(&offer(format!("{SESSION}{odd}"))), "Failed to parse SDP", "{odd:?}");
    }
    for nowhere in ["c=IN IP4 a.name\r\n", "c=IN\r\n", "c=\r\n", ""] {
        let sdp = SDP.replace("c=IN IP4 127.0.0.5\r\n", nowhere);
        assert_eq!(world.refused(&offer(sdp)), "Failed to parse SDP", "{nowhere:?}");
    }
    assert_eq!(world.ask(&command("query")).text("error-reason"), Some("Unknown call-id"));
    for within in [sections(16), formats(64), long(65_000)] {
        assert_eq!(World::new().ask(&offer(within)).text("result"), Some("ok"));
    }
}

#[test]
fn ipv6_is_met_by_ipv6_and_refused_where_there_is_none() {
    let sdp = SDP.replace("IP4 127.0.0.5", "IP6 2001:db8::5");
    assert_eq!(World::new().refused(&offer(sdp.as_str())), "No media address of IPv6 on this engine");
    let mut world = World::with_interfaces(&["127.0.0.1", "::1"]);
    let out = lines(&rewritten(&mut world, sdp.as_str()));
    assert!(out.contains(&"c=IN IP6 ::1".to_owned()), "{out:?}");
    assert!(out.contains(&"o=- 1 1 IN IP6 2001:db8::5".to_owned()), "{out:?}");
    let to_four = offer(sdp).with("call-id", "x").with("address-family", "IP4");
    let mut world = World::with_interfaces(&["127.0.0.1", "::1"]);
    let reply = world.ask(&to_four);
    assert!(reply.text("sdp").is_some_and(|sdp| sdp.contains("c=IN IP4 127.0.0.1\r\n")), "{reply:?}");
}
