use super::*;

fn local() -> LocalMedia {
    let pcma = Media { codec: Codec::Pcma, payload_type: 8, ..Media::default() };
    LocalMedia {
        rtp: "192.0.2.1:30000".parse().expect("an address"),
        rtcp: "192.0.2.1:30001".parse().expect("an address"),
        media: vec![Media::default(), pcma],
        session_version: 3,
    }
}

fn crlf(text: &str) -> Vec<u8> {
    text.trim().lines().map(|line| format!("{}\r\n", line.trim())).collect::<String>().into_bytes()
}

#[test]
fn an_offer_lists_every_encoding_once_in_order() {
    let text = offer(&local(), Direction::SendRecv);
    assert_eq!(
        text.as_bytes(),
        crlf(
            "v=0
            o=offhook 30001 3 IN IP4 192.0.2.1
            s=-
            c=IN IP4 192.0.2.1
            t=0 0
            m=audio 30000 RTP/AVP 0 8 13 101
            a=sendrecv
            a=rtpmap:0 PCMU/8000
            a=rtpmap:8 PCMA/8000
            a=rtpmap:13 CN/8000
            a=rtpmap:101 telephone-event/8000
            a=fmtp:101 0-15
            a=ptime:20"
        )
    );
}

/// RFC 3264 section 10.1: an audio stream and two video streams are offered; one video stream is refused.
const RFC_3264_OFFER: &str = "v=0
    o=alice 2890844526 2890844526 IN IP4 host.anywhere.com
    s=
    c=IN IP4 192.0.2.9
    t=0 0
    m=audio 49170 RTP/AVP 0
    a=rtpmap:0 PCMU/8000
    m=video 51372 RTP/AVP 31
    a=rtpmap:31 H261/90000
    m=video 53000 RTP/AVP 32
    a=rtpmap:32 MPV/90000";

#[test]
fn the_offer_of_rfc_3264_is_answered_stream_by_stream() {
    let offer = Description::parse(&crlf(RFC_3264_OFFER)).expect("an offer");
    let (text, remote) = answer(&offer, &local()).expect("an answer");
    assert_eq!(remote.remote.rtp, "192.0.2.9:49170".parse().expect("an address"));
    assert_eq!((remote.media.codec, remote.media.telephone_event), (Codec::Pcmu, None));
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(lines, ["m=audio 30000 RTP/AVP 0", "m=video 0 RTP/AVP 31", "m=video 0 RTP/AVP 32"]);
}

#[test]
fn an_answer_keeps_the_offers_payload_types() {
    let text = "v=0
        o=- 1 1 IN IP4 10.0.0.1
        s=-
        c=IN IP4 10.0.0.1
        t=0 0
        m=audio 4000 RTP/AVP 9 8 96
        a=rtpmap:96 telephone-event/8000
        a=ptime:30";
    let offer = Description::parse(&crlf(text)).expect("an offer");
    let (text, remote) = answer(&offer, &local()).expect("an answer");
    assert_eq!((remote.media.codec, remote.media.payload_type), (Codec::Pcma, 8));
    assert_eq!((remote.media.telephone_event, remote.media.comfort_noise), (Some(96), None));
    assert_eq!(remote.media.ptime_ms, 30);
    assert!(text.contains("m=audio 30000 RTP/AVP 8 96\r\n"), "{text}");
}

#[test]
fn the_answers_first_encoding_counts() {
    let text = "v=0
        o=- 1 1 IN IP4 10.0.0.1
        s=-
        t=0 0
        m=audio 4000 RTP/AVP 8 0
        c=IN IP6 2001:db8::7
        a=rtcp:4011 IN IP4 10.0.0.2
        a=inactive";
    let remote = accept(&crlf(text), &local().media).expect("an answer");
    assert_eq!(remote.media.codec, Codec::Pcma);
    assert_eq!(remote.remote.rtp, "[2001:db8::7]:4000".parse().expect("an address"));
    assert_eq!(remote.remote.rtcp, Some("10.0.0.2:4011".parse().expect("an address")));
    assert_eq!(remote.direction, Direction::Inactive);
}

#[test]
fn a_connection_to_zeros_is_a_hold() {
    let text = String::from_utf8(crlf(RFC_3264_OFFER)).expect("text").replace("192.0.2.9", "0.0.0.0");
    let offer = Description::parse(text.as_bytes()).expect("an offer");
    let (text, remote) = answer(&offer, &local()).expect("an answer");
    assert_eq!(remote.direction, Direction::SendOnly);
    assert!(text.contains("a=recvonly"), "{text}");
}

#[test]
fn lines_that_the_parser_would_choke_on_do_not_matter() {
    let text = "v=0
        o=- 1 1 IN IP4 10.0.0.1
        s=-
        c=IN IP4 10.0.0.1
        t=0 0
        m=image 5000 udptl t38
        m=audio 4000 RTP/AVP 0
        a=candidate:garbage
        a=crypto:1 WHAT
        k=clear:x
        z=";
    let offer = Description::parse(&crlf(text)).expect("an offer");
    let (text, _) = answer(&offer, &local()).expect("an answer");
    assert!(text.contains("m=image 0 udptl t38\r\nm=audio 30000"), "{text}");
}

#[test]
fn what_cannot_be_used_says_why() {
    let parse = |text: &str| Description::parse(&crlf(text)).map(|_| ()).expect_err("an error");
    assert!(matches!(parse("hello"), SdpError::Malformed(_)));
    assert!(matches!(Description::parse(&[0xff, 0xfe]), Err(SdpError::Malformed(_))));
    assert!(matches!(Description::parse(&vec![b'v'; SDP_BYTES + 1]), Err(SdpError::Malformed(_))));
    let head = "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nt=0 0\n";
    assert_eq!(parse(head), SdpError::NoAudio);
    assert_eq!(parse(&format!("{head}c=IN IP4 10.0.0.1\nm=audio 0 RTP/AVP 0")), SdpError::NoAudio);
    assert_eq!(parse(&format!("{head}c=IN IP4 10.0.0.1\nm=audio 4000 RTP/SAVP 0")), SdpError::NoAudio);
    assert_eq!(parse(&format!("{head}m=audio 4000 RTP/AVP 0")), SdpError::NoAddress);
    assert_eq!(parse(&format!("{head}c=IN IP4 example.com\nm=audio 4000 RTP/AVP 0")), SdpError::NoAddress);
    let offer = Description::parse(&crlf(&format!("{head}c=IN IP4 10.0.0.1\nm=audio 4000 RTP/AVP 18")))
        .expect("read");
    assert_eq!(answer(&offer, &local()).expect_err("an error"), SdpError::NoCommonCodec);
}

#[test]
fn mutated_descriptions_never_panic() {
    let good = crlf(RFC_3264_OFFER);
    let mut state = 7_u32;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..3 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (state >> 8) as usize % bytes.len();
            bytes[at] = (state >> 24) as u8;
        }
        if let Ok(offer) = Description::parse(&bytes) {
            let _ = answer(&offer, &local());
        }
    }
}
