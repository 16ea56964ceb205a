//! Parties outside of offer and answer: who publishes, who subscribes, who is called by us.

use std::time::Duration;

use offhook_ng::{Dict, Value};
use offhook_proto::{Codec, Command, Idle, Keys, Play, PlaySource, Srtp};

use crate::muting::splices;
use crate::publishing::sections;
use crate::world::{SDP, World, command, joined, offer};

/// One medium of a `transform`.
pub(crate) fn transformed(input: &str, output: &str, address: &str) -> Value {
    let codec = |name: &str| Dict::default().with("codec", name);
    let pair = Dict::default().with("input", codec(input)).with("output", codec(output));
    let destination = Dict::default().with("family", "IP4").with("address", address).with("port", 4_000_u16);
    let media = Dict::default().with("id", "one").with("type", "audio").with("destination", destination);
    media.with("codec", vec![Value::from(pair)]).into()
}

/// A party that is called by us and has answered.
fn created(world: &mut World, tag: &str) {
    let reply = world.ask(&command("create").with("from-tag", tag));
    assert_eq!(reply.text("result"), Some("ok"), "{reply:?}");
    let answer = command("create answer").with("from-tag", tag).with("sdp", SDP);
    assert_eq!(world.ask(&answer).text("result"), Some("ok"));
}

fn connect(from: &str, to: &str) -> Dict {
    command("connect").with("from-tag", from).with("to-tag", to)
}

/// What is played, and to which legs.
fn plays(told: &[Command]) -> Vec<(String, PlaySource)> {
    let played = told.iter().filter_map(|command| match command {
        Command::Play(Play { leg, sources, .. }) => Some((leg.clone(), sources[0].clone())),
        _ => None,
    });
    played.collect()
}

#[test]
fn a_created_party_is_offered_pcma_and_pcmu_and_is_there_for_everything_once_it_has_answered() {
    let mut world = World::new();
    let reply = world.ask(&command("create").with("from-tag", "x").with("label", "desk"));
    let sdp = reply.text("sdp").unwrap_or_else(|| panic!("{reply:?}")).to_owned();
    assert_eq!((reply.text("call-id"), reply.text("from-tag")), (Some("c"), Some("x")));
    assert!(sections(&sdp)[0].ends_with(" RTP/AVP 8 0") && sections(&sdp).len() == 1, "{sdp}");
    assert!(sdp.contains("a=sendrecv\r\n") && sdp.contains("a=rtpmap:8 PCMA/8000\r\n"), "{sdp}");
    let again = world.ask(&command("create").with("from-tag", "x"));
    let version_apart = |sdp: &str| sdp.lines().filter(|line| !line.starts_with("o=")).collect::<String>();
    assert_eq!(version_apart(again.text("sdp").expect("a description")), version_apart(&sdp));
    assert_ne!(again.text("sdp"), Some(sdp.as_str()), "it has a version of its own");
    assert_eq!(world.legs.len(), 1);

    let answer = |sdp: &str| command("create answer").with("from-tag", "x").with("sdp", sdp);
    assert_eq!(
        world.refused(&answer(&SDP.replace("AVP 0", "AVP 9"))),
        "The answer does not accept what was offered"
    );
    let told = world.told_by(&answer(SDP));
    let [Command::LegUpdate(update)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(update.remote.map(|remote| remote.rtp), "127.0.0.5:4000".parse().ok());
    assert_eq!(update.media.as_ref().map(|media| media.codec), Some(Codec::Pcmu));

    let leg = world.legs.first().expect("one").clone();
    let named = |name: &str| command(name).with("label", "desk");
    let told = world.told_by(&named("play media").with("file", "x.wav"));
    assert_eq!(plays(&told), [(leg.clone(), PlaySource::File("x.wav".into()))]);
    assert_eq!(
        world.refused(&named("play DTMF").with("code", "1")),
        "No media to play to",
        "nobody hears it"
    );
    world.told_by(&named("start recording"));
    assert!(world.recorded[0].starts_with(&format!("start {leg} ")), "{:?}", world.recorded);
    world.told_by(&named("block DTMF"));
    assert_eq!(world.keys.len(), 1);
    let query = world.ask(&command("query"));
    assert!(matches!(query.find("tags"), Some(Value::Dict(tags)) if tags.0.len() == 1), "{query:?}");
    world.told_by(&command("delete").with("from-tag", "x").with("delete-delay", 0_u64));
    assert!(world.legs.is_empty());
    assert_eq!(world.ng.poll_timeout(), None);
}

#[test]
fn created_parties_without_names_get_some_and_a_tag_stands_for_one_party() {
    let mut world = World::new();
    let create = Dict::default().with("command", "create");
    let names = [world.ask(&create), world.ask(&create)].map(|reply| {
        assert_eq!(reply.text("result"), Some("ok"), "{reply:?}");
        (
            reply.text("call-id").expect("made up").to_owned(),
            reply.text("from-tag").expect("made up").to_owned(),
        )
    });
    assert_ne!(names[0].0, names[1].0);
    let answer = Dict::default().with("command", "create answer").with("sdp", SDP);
    let named = answer.with("call-id", names[0].0.as_str()).with("from-tag", names[0].1.as_str());
    assert_eq!(world.ask(&named).text("result"), Some("ok"));
    world.ask(&offer());
    let taken = "This from-tag is another party's";
    assert_eq!(world.refused(&command("create").with("from-tag", "a")), taken);
    world.ask(&command("publish").with("from-tag", "mic").with("sdp", SDP));
    assert_eq!(world.refused(&command("create").with("from-tag", "mic")), taken);
    let transform = command("transform").with("from-tag", "mic");
    let transform = transform.with("media", vec![transformed("PCMU", "PCMA", "127.0.0.9")]);
    assert_eq!(world.refused(&transform), taken);
    let answered = |tag: &str| command("create answer").with("from-tag", tag).with("sdp", SDP);
    for tag in ["a", "mic", "nobody"] {
        assert_eq!(world.refused(&answered(tag)), "From-tag given, but no such tag exists");
    }
}

#[test]
fn a_created_party_is_offered_what_the_request_says() {
    let mut world = World::new();
    let wished = |tag: &str, codec: Dict| command("create").with("from-tag", tag).with("codec", codec);
    let names = |names: &[&str]| names.iter().map(|name| Value::from(*name)).collect::<Vec<_>>();
    let offered = Dict::default().with("offer", names(&["opus", "PCMU", "telephone-event"]));
    let sdp = world.ask(&wished("x", offered));
    let sdp = sdp.text("sdp").expect("a description");
    assert!(
        sections(sdp)[0].ends_with(" RTP/AVP 96 0 101") && sdp.contains("a=rtpmap:96 opus/48000/2"),
        "{sdp}"
    );
    let stripped = world.ask(&wished("y", Dict::default().with("strip", names(&["PCMA"]))));
    assert!(sections(stripped.text("sdp").expect("a description"))[0].ends_with(" RTP/AVP 0"));
    let linear = Dict::default().with("offer", names(&["L16/16000", "L16/48000", "L16"]));
    let linear = world.ask(&wished("w", linear));
    let linear = linear.text("sdp").expect("a description");
    assert!(sections(linear)[0].ends_with(" RTP/AVP 98 102 97"), "{linear}");
    for map in ["a=rtpmap:98 L16/16000", "a=rtpmap:102 L16/48000", "a=rtpmap:97 L16/8000"] {
        assert!(linear.contains(&format!("{map}\r\n")), "{map}: {linear}");
    }
    let unknown = wished("z", Dict::default().with("offer", names(&["G729"])));
    assert_eq!(world.refused(&unknown), "Unsupported codec: G729");
    let nothing = wished("z", Dict::default().with("strip", names(&["all"])));
    assert_eq!(world.refused(&nothing), "No codec that this engine carries");
    let secure = command("create").with("from-tag", "s").with("transport-protocol", "RTP/SAVP");
    let secure = world.ask(&secure);
    let sdp = secure.text("sdp").expect("a description");
    assert!(
        sections(sdp)[0].contains(" RTP/SAVP ") && sdp.contains("a=crypto:1 AEAD_AES_256_GCM inline:"),
        "{sdp}"
    );
    let plain = command("create answer").with("from-tag", "s").with("sdp", SDP);
    assert_eq!(world.refused(&plain), "No key in the answer that was offered");
    let before = world.legs.len();
    world.full = true;
    assert_ne!(world.ask(&command("create").with("from-tag", "n")).text("result"), Some("ok"));
    let alone = Dict::default().with("command", "create").with("call-id", "alone");
    assert_ne!(world.ask(&alone).text("result"), Some("ok"));
    assert_eq!(world.legs.len(), before);
    let list = world.ask(&Dict::default().with("command", "list"));
    assert_eq!(list.texts("calls"), ["c"], "no call is left of it");
}

#[test]
fn a_created_party_that_says_nothing_is_given_up_as_a_call_is() {
    let mut world = World::new();
    created(&mut world, "x");
    world.silent_ms = Some(61_000);
    world.pass(Duration::from_secs(200));
    assert!(world.legs.is_empty(), "{:?}", world.legs);
    let mut ringing = World::new();
    ringing.ask(&command("create").with("from-tag", "x"));
    ringing.pass(Duration::from_secs(3_500));
    assert_eq!(ringing.legs.len(), 1, "it may still answer");
    ringing.pass(Duration::from_secs(200));
    assert!(ringing.legs.is_empty());
}

#[test]
fn keys_and_gates_follow_whom_a_party_is_connected_to() {
    let mut world = joined("");
    for tag in ["x", "y"] {
        created(&mut world, tag);
    }
    let leg =
        |world: &World, end: &str| world.legs.iter().find(|leg| leg.ends_with(end)).expect("open").clone();
    let (a, b) = (leg(&world, "-a"), leg(&world, "-b"));
    let told = world.told_by(&connect("x", "y"));
    let [(x, y, true, true)] = &splices(&told)[..] else { panic!("{told:?}") };
    let (x, y) = (x.clone(), y.clone());
    let keys = |world: &mut World, tag: &str| {
        let told = world.told_by(&command("play DTMF").with("from-tag", tag).with("code", "5"));
        plays(&told).into_iter().map(|(leg, _)| leg).collect::<Vec<_>>()
    };
    assert_eq!(keys(&mut world, "x"), [y.as_str()]);
    assert_eq!(keys(&mut world, "y"), [x.as_str()]);
    assert_eq!(keys(&mut world, "a"), [b.as_str()]);
    let told = world.told_by(&command("block media").with("from-tag", "y"));
    assert_eq!(splices(&told), [(y.clone(), x.clone(), true, false)], "x no longer hears y");
    // y leaves x for a, and stays blocked.
    let told = world.told_by(&connect("a", "y"));
    assert_eq!(splices(&told), [(a.clone(), y.clone(), false, true)]);
    assert_eq!(keys(&mut world, "a"), [y.as_str()]);
    for parted in ["x", "b"] {
        let request = command("play DTMF").with("from-tag", parted).with("code", "5");
        assert_eq!(world.refused(&request), "No media to play to", "{parted} is joined to nobody");
    }
    let told = world.told_by(&command("unblock media").with("from-tag", "y"));
    assert_eq!(splices(&told), [(y, a, true, true)]);
    assert_eq!(world.refused(&connect("x", "x")), "Trying to connect a party to itself");
}

#[test]
fn a_connection_that_is_refused_leaves_everybody_where_they_are() {
    let mut world = joined("");
    assert_eq!(world.refused(&connect("a", "nobody")), "To-tag given, but no such tag exists");
    assert_eq!(world.refused(&connect("nobody", "a")), "From-tag given, but no such tag exists");
    let told = world.told_by(&command("block media").with("from-tag", "a"));
    assert_eq!(splices(&told).len(), 1, "they are still joined: {told:?}");
}

#[test]
fn a_silenced_party_is_silence_to_whoever_hears_it_until_no_switch_holds_it() {
    let mut world = joined("");
    let told = world.told_by(&command("silence media").with("from-tag", "a"));
    let [(a, b, true, false)] = &splices(&told)[..] else { panic!("{told:?}") };
    let (a, b) = (a.clone(), b.clone());
    let meanwhile = |told: &[Command]| {
        let updates = told.iter().filter_map(|command| match command {
            Command::LegUpdate(update) => Some((update.leg.clone(), update.idle)),
            _ => None,
        });
        updates.collect::<Vec<_>>()
    };
    assert_eq!(meanwhile(&told), [(b.clone(), Some(Idle::Silence))]);
    let told = world.told_by(&command("block media").with("from-tag", "a"));
    assert_eq!(meanwhile(&told), []);
    let told = world.told_by(&command("unsilence media").with("from-tag", "a"));
    assert_eq!(meanwhile(&told), [(b.clone(), Some(Idle::None))]);
    assert_eq!(splices(&told), [(a.clone(), b.clone(), true, false)], "it is blocked yet");
    let told = world.told_by(&command("unblock media").with("from-tag", "a"));
    assert_eq!(splices(&told), [(a, b, true, true)]);
    for command in ["silence media", "unsilence media"] {
        assert_eq!(splices(&world.told_by(&self::command(command))).len(), 2, "the whole call");
    }
}

#[test]
fn two_or_three_parties_are_meshed_and_a_third_one_s_gate_is_that_of_its_part() {
    let mut world = joined("");
    created(&mut world, "x");
    let mesh = |tags: &[&str]| {
        let tags: Vec<Value> = tags.iter().map(|tag| Value::from(*tag)).collect();
        command("mesh").with("from-tags", tags)
    };
    let kinds = |told: &[Command]| {
        let kind = |command: &Command| match command {
            Command::Unsplice(_) => "unsplice".to_owned(),
            Command::Splice(_) => "splice".to_owned(),
            Command::Supervise(body) => format!("{:?}", body.mode),
            other => panic!("{other:?}"),
        };
        told.iter().map(kind).collect::<Vec<_>>()
    };
    let flags = ["from-tags-a", "from-tags-b"].map(Value::from).to_vec();
    for pair in [mesh(&["a", "b"]), command("mesh").with("flags", flags)] {
        assert_eq!(kinds(&world.told_by(&pair)), ["splice"]);
    }
    assert_eq!(kinds(&world.told_by(&mesh(&["a", "b", "x", "a"]))), ["splice", "Barge"]);
    assert_eq!(kinds(&world.told_by(&command("block media").with("from-tag", "x"))), ["Listen"]);
    assert_eq!(kinds(&world.told_by(&command("unblock media").with("from-tag", "x"))), ["Barge"]);
    assert_eq!(kinds(&world.told_by(&mesh(&["x", "b", "a"]))), ["unsplice", "splice", "Barge"]);
    let all = command("mesh").with("flags", vec![Value::from("all")]);
    assert_eq!(kinds(&world.told_by(&all)), ["unsplice", "splice", "Barge"]);
    assert_eq!(kinds(&world.told_by(&connect("a", "x"))), ["splice"]);
    assert!(world.told_by(&command("block media").with("from-tag", "b")).is_empty(), "it is with nobody");
    created(&mut world, "y");
    for few_or_many in [mesh(&[]), mesh(&["a"]), mesh(&["a", "b", "x", "y"]), all] {
        assert_eq!(world.refused(&few_or_many), "A mesh takes two or three parties");
    }
    assert_eq!(world.refused(&mesh(&["a", "nobody"])), "From-tag given, but no such tag exists");
}

#[test]
fn two_connected_parties_are_recorded_together_once() {
    let mut world = World::new();
    for tag in ["x", "y", "z"] {
        created(&mut world, tag);
    }
    world.told_by(&connect("x", "y"));
    world.told_by(&command("start recording"));
    assert_eq!(world.recorded.len(), 2, "the pair, and who is alone: {:?}", world.recorded);
    assert!(world.recorded.iter().all(|recorded| recorded.ends_with("Mixed")));
}

#[test]
fn keys_are_played_as_long_and_as_loud_as_a_request_says() {
    let mut world = joined("");
    let mut sequence = |more: Dict| {
        let mut request = command("play DTMF").with("from-tag", "a");
        request.0.extend(more.0);
        let told = world.told_by(&request);
        match plays(&told).as_slice() {
            [(_, PlaySource::Keys(keys))] => keys.clone(),
            other => panic!("{other:?}"),
        }
    };
    let keys =
        |keys: &str, on_ms, off_ms, level| Keys { keys: keys.into(), on_ms, off_ms, level_dbm0: Some(level) };
    let code = |code: &str| Dict::default().with("code", code);
    assert_eq!(sequence(code("5")), keys("5", 250, 100, -8));
    assert_eq!(sequence(code("1d#")), keys("1D#", 250, 100, -8));
    let all = code("5").with("duration", 400_u64).with("pause", "150").with("volume", 12_u64);
    assert_eq!(sequence(all), keys("5", 400, 150, -12));
    let signed = Dict::default().with("digit", "*").with("volume", "-12");
    assert_eq!(sequence(signed), keys("*", 250, 100, -12));
    let beyond = code("5").with("duration", 9_u64).with("pause", 90_000_u64).with("volume", 900_u64);
    assert_eq!(sequence(beyond), keys("5", 100, 5_000, -63));
    for (number, key) in [(0_u64, "0"), (10, "*"), (11, "#"), (15, "D")] {
        assert_eq!(sequence(Dict::default().with("code", number)), keys(key, 250, 100, -8));
    }
    let beyond = command("play DTMF").with("from-tag", "a").with("code", 16_u64);
    assert_eq!(world.refused(&beyond), "Out of range 'code' specified");
}

#[test]
fn a_transformation_says_where_it_receives_and_sends_on_in_another_encoding() {
    let mut world = World::new();
    let transform = |media: Vec<Value>| Dict::default().with("command", "transform").with("media", media);
    world.told.clear();
    let reply = world.ask(&transform(vec![transformed("PCMU", "opus", "127.0.0.9")]));
    assert_eq!(reply.text("result"), Some("ok"), "{reply:?}");
    let Some(Value::List(media)) = reply.find("media") else { panic!("{reply:?}") };
    let [Value::Dict(media)] = &media[..] else { panic!("{media:?}") };
    assert_eq!(
        (media.text("id"), media.text("family"), media.text("address")),
        (Some("one"), Some("IP4"), Some("127.0.0.1"))
    );
    assert!(media.find("port").and_then(Value::int).is_some_and(|port| port > 0));
    let [Command::LegCreate(input), Command::LegCreate(output), Command::Splice(splice)] = &world.told[..]
    else {
        panic!("{:?}", world.told)
    };
    assert_eq!((input.media.codec, output.media.codec), (Codec::Pcmu, Codec::Opus));
    assert_eq!((input.remote, output.remote.map(|remote| remote.rtp)), (None, "127.0.0.9:4000".parse().ok()));
    assert_eq!((splice.a_hears_b, splice.b_hears_a), (false, true));
    assert_eq!((&splice.a, &splice.b), (&input.leg, &output.leg));

    let none = "No pair of codecs that this engine carries";
    let address = "Failed to parse network address";
    for (media, wanted) in [
        (vec![], "media: must have 1 to 16 entries"),
        (vec![Value::from("x")], "media: must be a list of dictionaries"),
        (vec![transformed("G729", "PCMA", "127.0.0.9")], none),
        (vec![transformed("PCMA", "telephone-event", "127.0.0.9")], none),
        (vec![transformed("PCMU", "PCMA", "::1")], address),
        (vec![transformed("PCMU", "PCMA", "x")], address),
    ] {
        assert_eq!(world.refused(&transform(media)), wanted);
    }
    assert_eq!(world.refused(&Dict::default().with("command", "transform")), "No media in message");
    assert_eq!(world.legs.len(), 2, "nothing is left of these");
    world.full = true;
    assert_ne!(
        world.ask(&transform(vec![transformed("PCMU", "opus", "127.0.0.9")])).text("result"),
        Some("ok")
    );
    assert_eq!(world.legs.len(), 2);
    world.silent_ms = Some(61_000);
    world.pass(Duration::from_secs(200));
    assert!(world.legs.is_empty(), "without a packet for a minute it is given up");
    assert_eq!(world.ng.poll_timeout(), None);
}

#[test]
fn what_is_published_and_what_is_subscribed_to_may_be_encrypted() {
    let mut world = World::new();
    let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let secure = format!(
        "{}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\na=rtcp-mux\r\n",
        SDP.replace("AVP", "SAVP")
    );
    let publish = command("publish").with("from-tag", "mic").with("sdp", secure.as_str());
    world.told.clear();
    let reply = world.ask(&publish);
    let sdp = reply.text("sdp").unwrap_or_else(|| panic!("{reply:?}"));
    assert!(sections(sdp)[0].contains(" RTP/SAVP 0"), "{sdp}");
    assert!(
        sdp.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:") && sdp.contains("a=rtcp-mux\r\n"),
        "{sdp}"
    );
    let Some(Command::LegCreate(leg)) = world.told.first() else { panic!("{:?}", world.told) };
    assert!(matches!(&leg.srtp, Srtp::On(keys) if keys.send.is_some() && keys.receive.is_some()));
    assert!(leg.rtcp_mux);
    let keyless = SDP.replace("AVP", "SAVP");
    let keyless = command("publish").with("from-tag", "other").with("sdp", keyless.as_str());
    assert_eq!(world.refused(&keyless), "Unsupported transport protocol: RTP/SAVP");

    let request = |to: &str| command("subscribe request").with("from-tag", "mic").with("to-tag", to);
    let reply = world.ask(&request("ear"));
    let sdp = reply.text("sdp").expect("a description").to_owned();
    assert!(sections(&sdp)[0].contains(" RTP/SAVP 0") && sdp.contains("a=crypto:1 "), "as its source: {sdp}");
    let plain = world.ask(&request("other ear").with("transport-protocol", "RTP/AVP"));
    let plain = plain.text("sdp").expect("a description");
    assert!(sections(plain)[0].contains(" RTP/AVP 0") && !plain.contains("crypto"), "{plain}");

    let answer = |sdp: &str| command("subscribe answer").with("to-tag", "ear").with("sdp", sdp);
    assert_eq!(world.refused(&answer(SDP)), "No key in the answer that was offered");
    let only = vec![Value::from("only-AES_CM_128_HMAC_SHA1_80")];
    let reply = world.ask(&request("ear").with("SDES", only));
    let sdp = reply.text("sdp").expect("a description");
    assert_eq!(sdp.matches("a=crypto:").count(), 1, "{sdp}");
    let tag = sdp.split("a=crypto:").nth(1).and_then(|line| line.split(' ').next()).expect("its number");
    let told = world.told_by(&answer(&secure.replace("crypto:1", &format!("crypto:{tag}"))));
    let updated = told.iter().find_map(|command| match command {
        Command::LegUpdate(update) => update.srtp.clone(),
        _ => None,
    });
    assert!(matches!(updated, Some(Srtp::On(_))), "{told:?}");
}
