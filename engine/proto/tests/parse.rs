//! What `Request::parse` takes, what it refuses, and how it says so.

use offhook_proto::{Command, Error, ErrorCode, Idle, Media, Request};
use proptest::prelude::*;

fn parse(dictionary: &str) -> Result<Request, Error> {
    Request::parse(dictionary.as_bytes())
}

/// Code and sentence of a refusal.
fn refusal(dictionary: &str) -> (ErrorCode, String) {
    let error = parse(dictionary).expect_err(dictionary);
    (error.code, error.reason)
}

#[track_caller]
fn refused(dictionary: &str, code: ErrorCode, words: &[&str]) {
    let (found, reason) = refusal(dictionary);
    assert_eq!(found, code, "{reason}");
    for word in words {
        assert!(reason.contains(word), "{reason:?} does not say {word:?}");
    }
}

#[test]
fn a_leg_needs_only_a_name() {
    let request = parse(r#"{"command":"leg.create","leg":"a"}"#).expect("it is sound");
    let Command::LegCreate(body) = request.command else { panic!("another command") };
    assert_eq!((body.leg.as_str(), body.media), ("a", Media::default()));
    assert_eq!(body.idle, Idle::ComfortNoise { interval_ms: 1_000 });
    assert_eq!(request.controller, None);
}

#[test]
fn null_is_the_same_as_absent_for_optional_fields() {
    let given = r#"{"controller":null,"command":"leg.create","leg":"a","remote":null,"media":{"telephone_event":null}}"#;
    let Command::LegCreate(body) = parse(given).expect("it is sound").command else {
        panic!("another command")
    };
    assert_eq!((body.remote, body.media.telephone_event), (None, None));
}

#[test]
fn what_is_not_a_dictionary_is_a_bad_request() {
    use ErrorCode::BadRequest;
    refused("", BadRequest, &["not a JSON dictionary"]);
    refused("[1]", BadRequest, &["not a JSON dictionary"]);
    refused("ping", BadRequest, &["not a JSON dictionary"]);
    refused(r#"{"command":"ping""#, BadRequest, &["not a JSON dictionary", "EOF"]);
    refused(r#"{"command":"ping"} x"#, BadRequest, &["trailing"]);
    refused("d7:command4:pinge", BadRequest, &["not a JSON dictionary"]);
    assert_eq!(Request::parse(b"{\"command\":\"\xff\"}").expect_err("not UTF-8").code, BadRequest);
}

#[test]
fn an_unknown_command_is_answered_with_its_neighbours() {
    refused(r#"{"command":"leg.creat"}"#, ErrorCode::BadRequest, &["did you mean leg.create"]);
    refused(r#"{"command":"create"}"#, ErrorCode::BadRequest, &["did you mean leg.create?"]);
    refused(r#"{"command":"Splice"}"#, ErrorCode::BadRequest, &["did you mean splice or unsplice?"]);
    refused(r#"{"command":"frobnicate"}"#, ErrorCode::BadRequest, &["the commands are ping, leg.create"]);
    refused(r#"{"leg":"a"}"#, ErrorCode::BadRequest, &["command: missing"]);
    refused(r#"{"command":7}"#, ErrorCode::BadRequest, &["command: expected a string"]);
}

#[test]
fn a_field_of_another_kind_is_named_with_what_was_expected() {
    use ErrorCode::BadRequest;
    refused(r#"{"command":"leg.query"}"#, BadRequest, &["missing field `leg`"]);
    refused(
        r#"{"command":"leg.query","leg":7}"#,
        BadRequest,
        &["leg: invalid type: integer `7`", "a string"],
    );
    refused(
        r#"{"command":"leg.create","leg":"a","media":{"ptime_ms":"20"}}"#,
        BadRequest,
        &["media.ptime_ms", "expected a whole number from 0 to 255"],
    );
    refused(r#"{"command":"play","leg":"a","sources":[{"file":7}]}"#, BadRequest, &["sources[0]", "string"]);
    refused(r#"{"command":"ping","controller":7}"#, BadRequest, &["controller: expected a string"]);
}

#[test]
fn a_value_that_its_type_cannot_hold_is_a_bad_value() {
    use ErrorCode::BadValue;
    refused(
        r#"{"command":"leg.create","leg":"a","media":{"payload_type":300}}"#,
        BadValue,
        &["media.payload_type"],
    );
    refused(
        r#"{"command":"leg.create","leg":"a","media":{"codec":"GSM"}}"#,
        BadValue,
        &["media.codec", "PCMU"],
    );
    refused(r#"{"command":"leg.create","leg":"a","remote":{"rtp":"nowhere"}}"#, BadValue, &["remote.rtp"]);
}

#[test]
fn a_key_that_the_command_does_not_have_is_refused() {
    use ErrorCode::BadRequest;
    refused(
        r#"{"command":"splice","a":"a","b":"b","a_hears_B":false}"#,
        BadRequest,
        &["a_hears_B", "a_hears_b"],
    );
    refused(r#"{"command":"ping","leg":"a"}"#, BadRequest, &["\"leg\": unknown", "no fields"]);
    refused(r#"{"command":"leg.create","leg":"a","media":{"ptime":20}}"#, BadRequest, &["media", "ptime"]);
    refused(
        r#"{"command":"leg.create","leg":"a","remote":{"rtp":"127.0.0.1:2","rtpc":"127.0.0.1:3"}}"#,
        BadRequest,
        &["remote", "rtpc"],
    );
}

#[test]
fn a_key_given_twice_is_refused_wherever_it_is() {
    let twice = "is given twice";
    refused(r#"{"command":"ping","command":"ping"}"#, ErrorCode::BadRequest, &["\"command\"", twice]);
    refused(r#"{"command":"leg.query","leg":"a","leg":"b"}"#, ErrorCode::BadRequest, &["\"leg\"", twice]);
    refused(
        r#"{"command":"leg.create","leg":"a","media":{"ptime_ms":20,"ptime_ms":20}}"#,
        ErrorCode::BadRequest,
        &["\"ptime_ms\"", twice],
    );
}

#[test]
fn nesting_is_bounded() {
    let deep = format!(r#"{{"command":"play","leg":"a","sources":{}1{}}}"#, "[".repeat(9), "]".repeat(9));
    refused(&deep, ErrorCode::BadRequest, &["nested deeper than 8"]);
    refused(&"[".repeat(16_000), ErrorCode::BadRequest, &["nested deeper than 8"]);
    refused(&"{\"a\":".repeat(3_000), ErrorCode::BadRequest, &["nested deeper than 8"]);
}

#[test]
fn what_a_stranger_sent_is_cut_short_in_the_answer() {
    let long = "x".repeat(10_000);
    assert!(refusal(&format!(r#"{{"command":"{long}"}}"#)).1.len() < 400);
    assert!(refusal(&format!(r#"{{"command":"ping","{long}":1}}"#)).1.len() < 400);
    assert!(refusal(&format!(r#"{{"command":"leg.query","leg":"{long}"}}"#)).1.len() < 400);
    assert!(refusal(&format!(r#"{{"command":"leg.query","leg":"a","{long}":1}}"#)).1.len() < 400);
    assert!(refusal(&format!(r#"{{"command":"leg.create","leg":"a","latch":"{long}"}}"#)).1.len() < 400);
}

/// A dictionary, and the words of its refusal; none where it is sound.
const RANGES: &[(&str, &[&str])] = &[
    (r#""command":"ping","controller":"a b""#, &["controller", "1 to 64 of A-Z", "\"a b\""]),
    (r#""command":"ping","controller":"""#, &["controller"]),
    (r#""command":"leg.query","leg":"A-z.0_9""#, &[]),
    (r#""command":"leg.query","leg":"é""#, &["leg: must be"]),
    (r#""command":"leg.create","leg":"a","media":{"ptime_ms":25}"#, &["media.ptime_ms", "10, 20", "25"]),
    (r#""command":"leg.create","leg":"a","media":{"ptime_ms":0}"#, &["media.ptime_ms"]),
    (r#""command":"leg.create","leg":"a","media":{"ptime_ms":60}"#, &[]),
    (r#""command":"leg.create","leg":"a","media":{"ptime_ms":70}"#, &["media.ptime_ms"]),
    (r#""command":"leg.create","leg":"a","media":{"payload_type":128}"#, &["media.payload_type", "0 to 127"]),
    (r#""command":"leg.create","leg":"a","media":{"payload_type":72}"#, &["media.payload_type", "72 to 76"]),
    (r#""command":"leg.create","leg":"a","media":{"payload_type":77}"#, &[]),
    (r#""command":"leg.create","leg":"a","media":{"telephone_event":76}"#, &["media.telephone_event"]),
    (
        r#""command":"leg.create","leg":"a","media":{"telephone_event_rate_hz":0}"#,
        &["media.telephone_event_rate_hz", "8000 to 48000"],
    ),
    (r#""command":"leg.create","leg":"a","media":{"comfort_noise":74}"#, &["media.comfort_noise"]),
    (r#""command":"leg.create","leg":"a","media":{"codec":"PCMA"}"#, &["media.payload_type", "8 or 35"]),
    (r#""command":"leg.create","leg":"a","media":{"codec":"PCMA","payload_type":8}"#, &[]),
    (r#""command":"leg.create","leg":"a","media":{"codec":"G722","payload_type":9}"#, &[]),
    (
        r#""command":"leg.create","leg":"a","media":{"codec":"opus","payload_type":9}"#,
        &["media.payload_type"],
    ),
    (r#""command":"leg.create","leg":"a","media":{"codec":"opus","payload_type":111}"#, &[]),
    (
        r#""command":"leg.create","leg":"a","media":{"payload_type":101}"#,
        &["media.telephone_event", "another"],
    ),
    (
        r#""command":"leg.create","leg":"a","media":{"comfort_noise":101}"#,
        &["media.comfort_noise", "another"],
    ),
    (r#""command":"leg.create","leg":"a","media":{"telephone_event":8}"#, &["media.telephone_event"]),
    (r#""command":"leg.create","leg":"a","remote":{"rtp":"127.0.0.1:0"}"#, &["remote.rtp", "one host"]),
    (r#""command":"leg.create","leg":"a","remote":{"rtp":"0.0.0.0:9"}"#, &["remote.rtp"]),
    (r#""command":"leg.create","leg":"a","remote":{"rtp":"[ff02::1]:9"}"#, &["remote.rtp"]),
    (r#""command":"leg.create","leg":"a","remote":{"rtp":"[::ffff:239.1.1.1]:9"}"#, &["remote.rtp"]),
    (
        r#""command":"leg.create","leg":"a","remote":{"rtp":"127.0.0.1:9","rtcp":"[::1]:9"}"#,
        &["remote.rtcp", "IP version"],
    ),
    (
        r#""command":"leg.create","leg":"a","address":"::1","remote":{"rtp":"127.0.0.1:9"}"#,
        &["remote.rtp", "IP version"],
    ),
    (r#""command":"leg.create","leg":"a","address":"::1","remote":{"rtp":"[::1]:9"}"#, &[]),
    (r#""command":"leg.create","leg":"a","address":"0.0.0.0""#, &["address"]),
    (r#""command":"leg.create","leg":"a","beside":"""#, &["beside"]),
    (
        r#""command":"leg.create","leg":"a","silent_after_ms":99"#,
        &["silent_after_ms", "0, or 100 to 3600000", "99"],
    ),
    (
        r#""command":"leg.create","leg":"a","idle":{"kind":"comfort_noise","interval_ms":19}"#,
        &["idle.interval_ms", "20 to 60000"],
    ),
    (
        r#""command":"leg.create","leg":"a","idle":{"kind":"keepalive","interval_ms":999}"#,
        &["idle.interval_ms", "1000 to 60000"],
    ),
    (r#""command":"leg.create","leg":"a","idle":{"kind":"none"}"#, &[]),
    (r#""command":"leg.update","leg":"a""#, &[]),
    (r#""command":"leg.update","leg":"a","silent_after_ms":1"#, &["silent_after_ms"]),
    (
        r#""command":"leg.create","leg":"a","one_way_after_ms":999"#,
        &["one_way_after_ms", "0, or 1000 to 3600000", "999"],
    ),
    (r#""command":"leg.create","leg":"a","one_way_after_ms":0"#, &[]),
    (r#""command":"leg.update","leg":"a","one_way_after_ms":3600001"#, &["one_way_after_ms"]),
    (r#""command":"leg.update","leg":"a","one_way_after_ms":1000"#, &[]),
    (r#""command":"leg.list","limit":0"#, &["limit", "1 to 200"]),
    (r#""command":"leg.list","limit":200"#, &[]),
    (r#""command":"leg.list","limit":201"#, &["limit", "201"]),
    (r#""command":"leg.list","after":"/""#, &["after"]),
    (r#""command":"leg.list","owner":"/""#, &["owner"]),
    (r#""command":"leg.park","leg":"a","keep_one_in":0"#, &["keep_one_in", "power of two from 1 to 1024"]),
    (r#""command":"leg.park","leg":"a","keep_one_in":1"#, &[]),
    (r#""command":"leg.park","leg":"a","keep_one_in":3"#, &["keep_one_in"]),
    (r#""command":"leg.park","leg":"a","keep_one_in":1024"#, &[]),
    (r#""command":"leg.park","leg":"a","keep_one_in":2048"#, &["keep_one_in"]),
    (r#""command":"splice","a":"a","b":"b","since_us":3600000001"#, &["since_us"]),
    (r#""command":"unsplice","leg":"a","park":["a","b","c"]"#, &["park", "at most 2", "3 names"]),
    (r#""command":"unsplice","leg":"a","park":["a","?"]"#, &["park", "\"?\""]),
    (r#""command":"play","leg":"a","sources":[]"#, &["sources", "1 to 64"]),
    (r#""command":"play","leg":"a","sources":[{"file":"en/hello world.wav"}]"#, &[]),
    (
        r#""command":"play","leg":"a","sources":[{"silence_ms":1},{"file":"../key"}]"#,
        &["sources[1].file", "without .."],
    ),
    (r#""command":"play","leg":"a","sources":[{"file":"/etc/passwd"}]"#, &["sources[0].file"]),
    (r#""command":"play","leg":"a","sources":[{"file":""}]"#, &["sources[0].file"]),
    (r#""command":"play","leg":"a","sources":[{"file":"a\u0000b"}]"#, &["sources[0].file"]),
    (r#""command":"play","leg":"a","sources":[{"dtmf":"12E"}]"#, &["sources[0].dtmf", "0-9 * # A-D"]),
    (r#""command":"play","leg":"a","sources":[{"dtmf":""}]"#, &["sources[0].dtmf"]),
    (r#""command":"play","leg":"a","sources":[{"keys":{"keys":"1"}}]"#, &[]),
    (r#""command":"play","leg":"a","sources":[{"keys":{"keys":"E"}}]"#, &["sources[0].keys.keys"]),
    (
        r#""command":"play","leg":"a","sources":[{"keys":{"keys":"1","on_ms":39}}]"#,
        &["sources[0].keys.on_ms", "40 to 5000"],
    ),
    (
        r#""command":"play","leg":"a","sources":[{"keys":{"keys":"1","off_ms":5001}}]"#,
        &["sources[0].keys.off_ms", "40 to 5000"],
    ),
    (
        r#""command":"play","leg":"a","sources":[{"keys":{"keys":"1","level_dbm0":1}}]"#,
        &["sources[0].keys.level_dbm0", "-63 to 0"],
    ),
    (
        r#""command":"play","leg":"a","sources":[{"keys":{"keys":"1234567","on_ms":5000,"off_ms":5000}}]"#,
        &["sources[0].keys", "60000 ms at most", "70000 ms"],
    ),
    (
        r#""command":"play","leg":"a","sources":[{"number":{"value":1000000000}}]"#,
        &["sources[0].number.value", "0 to 999999999"],
    ),
    (
        r#""command":"play","leg":"a","sources":[{"number":{"value":1,"folder":"../"}}]"#,
        &["sources[0].number.folder"],
    ),
    (r#""command":"play","leg":"a","sources":[{"silence_ms":0}]"#, &["sources[0].silence_ms", "1 to 600000"]),
    (
        r#""command":"play","leg":"a","sources":[{"tone":{"name":"busy","country":"UK"}}]"#,
        &["sources[0].tone.country"],
    ),
    (r#""command":"play","leg":"a","sources":[{"tone":{"name":"beep"}}],"play":"x y""#, &["play", "\"x y\""]),
    (r#""command":"play.stop","leg":"a","play":"""#, &["play"]),
    (
        r#""command":"detect.start","leg":"a","what":["amd"],"tones":{"beep_min_hz":60,"fax":false}"#,
        &["tones.beep_min_hz", "200 to 3800"],
    ),
    (
        r#""command":"detect.start","leg":"a","what":["amd"],"tones":{"min_level_dbm0":-56}"#,
        &["tones.min_level_dbm0", "-55 to 0"],
    ),
    (
        r#""command":"detect.start","leg":"a","what":["tones"],"tones":{"dial_min_ms":59}"#,
        &["tones.dial_min_ms", "60 to 60000"],
    ),
    (
        r#""command":"detect.start","leg":"a","what":["tones"],"tones":{"busy_min_ms":700}"#,
        &["tones.busy_min_ms", "at most busy_max_ms, 600", "700"],
    ),
    (
        r#""command":"detect.start","leg":"a","what":["tones"],"tones":{"sit_long_ms":500}"#,
        &["tones.sit_long_ms", "sit_part_max_ms"],
    ),
    (
        r#""command":"detect.start","leg":"a","what":["tones"],"tones":{"reorder_max_ms":310}"#,
        &["tones.reorder_min_ms", "must not overlap busy, 310..=600", "150..=310"],
    ),
    (
        r#""command":"detect.start","leg":"a","what":["tones"],"tones":{"busy_min_ms":400,"reorder_max_ms":399}"#,
        &[],
    ),
    (r#""command":"subscribe","lease_ms":999"#, &["lease_ms", "0, or 1000 to 3600000", "999"]),
    (r#""command":"subscribe","address":"127.0.0.1:0""#, &["address"]),
    (r#""command":"subscribe""#, &[]),
];

#[test]
fn every_value_has_its_range_and_the_refusal_says_which() {
    for (fields, words) in RANGES {
        let dictionary = format!("{{{fields}}}");
        if words.is_empty() {
            assert_eq!(parse(&dictionary).map(|_| ()), Ok(()), "{dictionary}");
        } else {
            refused(&dictionary, ErrorCode::BadValue, words);
        }
    }
}

#[test]
fn a_play_takes_64_sources_and_no_more() {
    let play = |n| {
        let sources = vec![r#"{"silence_ms":10}"#; n].join(",");
        parse(&format!(r#"{{"command":"play","leg":"a","sources":[{sources}]}}"#))
    };
    assert!(play(64).is_ok());
    assert_eq!(play(65).expect_err("too many").code, ErrorCode::BadValue);
}

#[test]
fn a_splice_of_a_leg_to_itself_is_refused() {
    refused(r#"{"command":"splice","a":"a","b":"a"}"#, ErrorCode::SameLeg, &["a and b"]);
}

fn golden() -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("golden/ is there")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).expect("it can be read")).collect()
}

/// One change to a datagram: a byte replaced, put in, or a run taken out, doubled or moved in from another datagram.
fn mutate(
    datagram: &mut Vec<u8>,
    (kind, at, byte, other): (u8, prop::sample::Index, u8, prop::sample::Index),
    all: &[Vec<u8>],
) {
    if datagram.is_empty() {
        return datagram.push(byte);
    }
    let at = at.index(datagram.len());
    let end = (at + 1 + usize::from(byte) % 24).min(datagram.len());
    match kind {
        0 => datagram[at] = byte,
        1 => datagram.insert(at, br#"{}[]",:0-9.e\u"#[usize::from(byte) % 14]),
        2 => drop(datagram.drain(at..end)),
        3 => {
            let run = datagram[at..end].to_vec();
            datagram.splice(at..at, run);
        }
        _ => {
            let from = &all[other.index(all.len())];
            let start = usize::from(byte) % from.len();
            datagram.splice(at..end, from[start..].iter().take(40).copied());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_datagrams_never_panic_and_what_is_taken_can_be_written_and_read_again(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec(
            (0_u8..5, any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>()),
            1..6,
        ),
    ) {
        let all = golden();
        let mut datagram = all[which.index(all.len())].clone();
        for change in changes {
            mutate(&mut datagram, change, &all);
        }
        if let Ok((cookie, dictionary)) = offhook_proto::frame::split(&datagram) {
            let _ = serde_json::from_slice::<offhook_proto::Reply>(dictionary);
            let _ = serde_json::from_slice::<offhook_proto::Event>(dictionary);
            if let Ok(request) = Request::parse(dictionary) {
                let again = offhook_proto::frame::join(cookie, &request);
                let (again_cookie, again) = offhook_proto::frame::split(&again).expect("it has a cookie");
                prop_assert_eq!(again_cookie, cookie);
                prop_assert_eq!(Request::parse(again), Ok(request));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Request::parse(&bytes);
        let _ = offhook_proto::frame::split(&bytes);
    }
}
