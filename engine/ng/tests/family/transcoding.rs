//! Codecs that are left out, added and turned into each other, by rtpengine's wishes.

use offhook_ng::{Dict, Value};
use offhook_proto::{Codec, Command, DtmfMode, LegUpdate, Media};

use crate::world::{World, command};

const SESSION: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.5\r\ns=-\r\nc=IN IP4 127.0.0.5\r\nt=0 0\r\n";
/// A browser.
const OPUS: &str = "m=audio 4000 RTP/AVP 96 97\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 usedtx=1\r\n\
                    a=rtpmap:97 telephone-event/48000\r\n";
/// A telephone.
const PCMU: &str = "m=audio 5000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";

fn offer(section: &str, flags: &[&str]) -> Dict {
    let flags: Vec<Value> = flags.iter().map(|flag| Value::from(*flag)).collect();
    command("offer").with("from-tag", "a").with("sdp", format!("{SESSION}{section}")).with("flags", flags)
}

fn answer(section: &str) -> Dict {
    let sdp = format!("{SESSION}{section}");
    command("answer").with("from-tag", "a").with("to-tag", "b").with("sdp", sdp)
}

/// The section of the description in a reply, from its formats on.
fn section(reply: &Dict) -> Vec<String> {
    let sdp = reply.text("sdp").unwrap_or_else(|| panic!("{reply:?}"));
    let lines = sdp.lines().skip_while(|line| !line.starts_with("m=audio"));
    let formats =
        |line: &str| line.split_once("RTP/AVP ").map_or(line.to_owned(), |(_, rest)| rest.to_owned());
    lines.map(formats).filter(|line| !line.starts_with("a=rtcp") && line != "a=sendrecv").collect()
}

/// What each leg is told that its packets carry.
fn told(world: &mut World, request: &Dict) -> Vec<(String, Media)> {
    let told = world.told_by(request).into_iter();
    told.filter_map(|command| match command {
        Command::LegCreate(create) => Some((create.leg, create.media)),
        Command::LegUpdate(LegUpdate { leg, media: Some(media), .. }) => Some((leg, media)),
        _ => None,
    })
    .collect()
}

fn codecs(told: &[(String, Media)]) -> Vec<(Codec, u8, Option<u8>)> {
    told.iter().map(|(_, media)| (media.codec, media.payload_type, media.telephone_event)).collect()
}

#[test]
fn a_browser_and_a_telephone_without_a_codec_in_common_are_joined() {
    let mut world = World::new();
    let offered = offer(OPUS, &["codec-mask-opus", "codec-transcode-PCMU"]);
    let opened = told(&mut world, &offered);
    assert_eq!(codecs(&opened), [(Codec::Opus, 96, Some(97)), (Codec::Pcmu, 0, Some(101))]);
    assert!(opened[0].1.opus.dtx, "as the browser asks");
    let out = section(&world.ask(&offered));
    let wanted = [
        "0 97 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:97 telephone-event/48000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
    ];
    assert_eq!(out, wanted);
    let answered = answer(PCMU);
    assert_eq!(told(&mut world, &answered), [], "both legs carry what they were opened with");
    let back = section(&world.ask(&answered));
    let wanted = [
        "96 97",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 useinbandfec=1",
        "a=rtpmap:97 telephone-event/48000",
        "a=fmtp:97 0-15",
    ];
    assert_eq!(back, wanted);
    // Once more, as on hold: nothing changes.
    assert_eq!(section(&world.ask(&offered.with("to-tag", "b")))[0], "0 97 101");
    assert_eq!(told(&mut world, &answered), []);
}

#[test]
fn nothing_is_transcoded_where_the_two_have_a_codec_in_common() {
    let both = "m=audio 4000 RTP/AVP 8 0\r\n";
    for flags in
        [&["codec-transcode-opus"][..], &["always transcode", "codec-accept-all", "codec-transcode-G722"]]
    {
        let mut world = World::new();
        assert_eq!(world.ask(&offer(both, flags)).text("result"), Some("ok"));
        let reply = world.ask(&answer("m=audio 5000 RTP/AVP 9 0 8\r\n"));
        assert_eq!(section(&reply)[0], "0 8", "{flags:?}");
        let query = told(&mut world, &offer(both, flags).with("to-tag", "b"));
        assert_eq!(query, [], "no leg is opened again");
    }
    let mut world = World::new();
    world.ask(&offer("m=audio 4000 RTP/AVP 8 0\r\n", &["codec-transcode-opus"]));
    let told = told(&mut world, &answer("m=audio 5000 RTP/AVP 96 0\r\na=rtpmap:96 opus/48000/2\r\n"));
    assert_eq!(codecs(&told), [(Codec::Pcmu, 0, None); 2], "although the other side would rather have it");
}

#[test]
fn what_was_not_offered_is_not_accepted_and_what_was_added_is() {
    let mut world = World::new();
    let pcma = "m=audio 4000 RTP/AVP 8\r\n";
    world.ask(&offer(pcma, &["codec-transcode-opus"]));
    let refused = world.refused(&answer("m=audio 5000 RTP/AVP 9\r\n"));
    assert_eq!(refused, "No codec in the answer that was offered");
    let opus = "m=audio 5000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n";
    let told = told(&mut world, &answer(opus));
    let codecs = told.iter().map(|(leg, media)| (leg.ends_with("-b"), media.codec)).collect::<Vec<_>>();
    assert_eq!(codecs, [(true, Codec::Opus)], "the other leg is as it was opened");
    assert_eq!(section(&world.ask(&answer(opus))), ["8", "a=rtpmap:8 PCMA/8000"]);
    let nothing = World::new().refused(&offer(pcma, &["codec-mask-all", "codec-transcode-G729"]));
    assert_eq!(nothing, "No codec in the offer that this engine carries");
}

#[test]
fn a_single_codec_goes_back_where_that_is_asked_for() {
    let mut world = World::new();
    world.ask(&offer("m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n", &[]));
    let answered = answer("m=audio 5000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n");
    assert_eq!(section(&world.ask(&answered))[0], "0 8 101");
    let single = answered.with("flags", vec![Value::from("single codec")]);
    assert_eq!(section(&world.ask(&single))[0], "0 101");
}

#[test]
fn keys_change_their_form_where_only_one_side_has_events() {
    let keys = |offered: &str, flags: &[&str], answered: &str| {
        let mut world = World::new();
        world.ask(&offer(offered, flags));
        assert_eq!(world.ask(&answer(answered)).text("result"), Some("ok"), "{offered}, {flags:?}");
        let blocked = ["block DTMF", "unblock DTMF"].map(|name| {
            world.ask(&command(name).with("from-tag", "b"));
            world.keys.last().map(|(_, dtmf)| *dtmf)
        });
        (world.keys.iter().map(|(_, dtmf)| *dtmf).collect::<Vec<_>>(), blocked)
    };
    let (pass, block, convert) = (DtmfMode::Pass, DtmfMode::Block, DtmfMode::Convert);
    let (transcode, plain) = (["codec-transcode-PCMU"], "m=audio 5000 RTP/AVP 0\r\n");
    let converted = (vec![convert, convert, block, convert], [Some(block), Some(convert)]);
    assert_eq!(keys(OPUS, &transcode, plain), converted, "transcoded");
    assert_eq!(keys(plain, &["codec-transcode-telephone-event"], PCMU), converted, "asked for");
    let passed = (vec![block, pass], [Some(block), Some(pass)]);
    assert_eq!(keys(OPUS, &transcode, PCMU), passed, "both have events");
    assert_eq!(keys(PCMU, &[], plain), passed, "audio goes on as it is");
}
