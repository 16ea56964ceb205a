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

fn plain() -> Secrets {
    Secrets::new(Security::Off)
}

fn crlf(text: &str) -> Vec<u8> {
    text.trim().lines().map(|line| format!("{}\r\n", line.trim())).collect::<String>().into_bytes()
}

#[test]
fn an_offer_lists_every_encoding_once_in_order() {
    let text = offer(&local(), &plain(), Direction::SendRecv);
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
            a=rtcp-mux
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
    let offer = Description::parse(&crlf(RFC_3264_OFFER), Security::Off).expect("an offer");
    let (text, remote) = answer(&offer, &local(), &plain()).expect("an answer");
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
    let offer = Description::parse(&crlf(text), Security::Off).expect("an offer");
    let (text, remote) = answer(&offer, &local(), &plain()).expect("an answer");
    assert_eq!((remote.media.codec, remote.media.payload_type), (Codec::Pcma, 8));
    assert_eq!((remote.media.telephone_event, remote.media.comfort_noise), (Some(96), None));
    assert_eq!(remote.media.ptime_ms, 30);
    assert!(text.contains("m=audio 30000 RTP/AVP 8 96\r\n"), "{text}");
}

#[test]
fn the_longest_packet_that_a_phone_takes_counts_without_a_packet_time_too() {
    let agreed = |lines: &str| {
        let text = format!(
            "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 10.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 8\n{lines}"
        );
        let offer = Description::parse(&crlf(&text), Security::Off).expect("an offer");
        let media = answer(&offer, &local(), &plain()).expect("an answer").1.media;
        (media.ptime_ms, media.max_ptime_ms)
    };
    assert_eq!(agreed("a=maxptime:10"), (10, Some(10)));
    assert_eq!(agreed("a=ptime:60\na=maxptime:40"), (40, Some(40)));
    assert_eq!(agreed("a=ptime:40\na=maxptime:150"), (40, None));
}

#[test]
fn the_answers_first_encoding_counts() {
    let text = "v=0
        o=- 1 1 IN IP4 10.0.0.1
        s=-
        t=0 0
        m=audio 4000 RTP/AVP 8 0
        c=IN IP6 2001:db8::7
        a=rtcp:4011 IN IP6 2001:db8::8
        a=inactive";
    let ours = LocalMedia { rtp: "[2001:db8::1]:30000".parse().expect("an address"), ..local() };
    let remote = accept(&crlf(text), &ours, &plain()).expect("an answer");
    assert_eq!(remote.media.codec, Codec::Pcma);
    assert_eq!(remote.remote.rtp, "[2001:db8::7]:4000".parse().expect("an address"));
    assert_eq!(remote.remote.rtcp, Some("[2001:db8::8]:4011".parse().expect("an address")));
    assert_eq!(remote.direction, Direction::Inactive);
}

#[test]
fn a_connection_to_zeros_is_a_hold() {
    let text = String::from_utf8(crlf(RFC_3264_OFFER)).expect("text").replace("192.0.2.9", "0.0.0.0");
    let offer = Description::parse(text.as_bytes(), Security::Off).expect("an offer");
    let (text, remote) = answer(&offer, &local(), &plain()).expect("an answer");
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
    let offer = Description::parse(&crlf(text), Security::Off).expect("an offer");
    let (text, _) = answer(&offer, &local(), &plain()).expect("an answer");
    assert!(text.contains("m=image 0 udptl t38\r\nm=audio 30000"), "{text}");
}

#[test]
fn what_cannot_be_used_says_why() {
    let parse =
        |text: &str| Description::parse(&crlf(text), Security::Off).map(|_| ()).expect_err("an error");
    assert!(matches!(parse("hello"), SdpError::Malformed(_)));
    assert!(matches!(Description::parse(&[0xff, 0xfe], Security::Off), Err(SdpError::Malformed(_))));
    assert!(matches!(
        Description::parse(&vec![b'v'; SDP_BYTES + 1], Security::Off),
        Err(SdpError::Malformed(_))
    ));
    let head = "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nt=0 0\n";
    assert_eq!(parse(head), SdpError::NoAudio);
    assert_eq!(parse(&format!("{head}c=IN IP4 10.0.0.1\nm=audio 0 RTP/AVP 0")), SdpError::NoAudio);
    assert_eq!(parse(&format!("{head}c=IN IP4 10.0.0.1\nm=audio 4000 RTP/SAVP 0")), SdpError::NoAudio);
    assert_eq!(parse(&format!("{head}m=audio 4000 RTP/AVP 0")), SdpError::NoAddress);
    assert_eq!(parse(&format!("{head}c=IN IP4 example.com\nm=audio 4000 RTP/AVP 0")), SdpError::NoAddress);
    for stream in ["m=audio 4ma", "m=audio", "m=video", "m=audio 4000"] {
        let text = format!("{head}c=IN IP4 10.0.0.1\n{stream}\nm=audio 4000 RTP/AVP 0");
        assert!(matches!(parse(&text), SdpError::Malformed(_)), "{stream}");
    }
    let offer = Description::parse(
        &crlf(&format!("{head}c=IN IP4 10.0.0.1\nm=audio 4000 RTP/AVP 18")),
        Security::Off,
    )
    .expect("read");
    assert_eq!(answer(&offer, &local(), &plain()).expect_err("an error"), SdpError::NoCommonCodec);
    for nobody in ["224.0.0.1", "255.255.255.255"] {
        let text = format!("{head}c=IN IP4 {nobody}\nm=audio 4000 RTP/AVP 0");
        assert_eq!(parse(&text), SdpError::NoAddress, "{nobody}");
    }
    let text = crlf(&format!("{head}c=IN IP6 2001:db8::1\nm=audio 4000 RTP/AVP 0"));
    let offer = Description::parse(&text, Security::Off).expect("read");
    assert_eq!(answer(&offer, &local(), &plain()).expect_err("an error"), SdpError::OtherVersion);
    assert_eq!(accept(&text, &local(), &plain()).expect_err("an error"), SdpError::OtherVersion);
}

#[test]
fn what_the_engine_would_not_take_is_as_if_it_were_not_there() {
    let read = |lines: &str| {
        let text = format!("v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 10.0.0.1\nt=0 0\n{lines}");
        let offer = Description::parse(&crlf(&text), Security::Off).expect("an offer");
        answer(&offer, &local(), &plain()).map(|(_, remote)| remote)
    };
    for rtcp in ["0", "4001 IN IP6 2001:db8::1", "4001 IN IP4 224.0.0.1", "4001 IN IP4 0.0.0.0"] {
        let remote = read(&format!("m=audio 4000 RTP/AVP 0\na=rtcp:{rtcp}")).expect("an answer");
        assert_eq!(remote.remote.rtcp, None, "{rtcp}");
    }
    let event = |pt: u8| {
        let lines = format!("m=audio 4000 RTP/AVP 0 {pt}\na=rtpmap:{pt} telephone-event/8000");
        read(&lines).expect("an answer").media.telephone_event
    };
    assert_eq!([101, 20, 8].map(event), [Some(101), None, None]);
    // PCMU under the number of another encoding, and then PCMA.
    let pcma = read("m=audio 4000 RTP/AVP 20 8\na=rtpmap:20 PCMU/8000").expect("an answer");
    assert_eq!(pcma.media.codec, Codec::Pcma);
    assert_eq!(read("m=audio 4000 RTP/AVP 20\na=rtpmap:20 PCMU/8000"), Err(SdpError::NoCommonCodec));
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
        if let Ok(offer) = Description::parse(&bytes, Security::Off) {
            let _ = answer(&offer, &local(), &plain());
        }
    }
}

const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

fn audio_offer(proto: &str, lines: &str) -> Vec<u8> {
    let head = "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 10.0.0.1\nt=0 0";
    crlf(&format!("{head}\nm=audio 4000 {proto} 0\n{lines}"))
}

#[test]
fn every_policy_takes_and_refuses_what_it_says() {
    let crypto = format!("a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31");
    let offers = [
        ("RTP/AVP", ""),
        ("RTP/AVP", &*crypto),
        ("RTP/SAVP", &*crypto),
        ("RTP/SAVPF", &*crypto),
        ("RTP/SAVP", ""),
    ];
    for (security, expected) in [
        (Security::Off, [Some(false), Some(false), None, None, None]),
        (Security::Optional, [Some(false), Some(true), Some(true), Some(true), None]),
        (Security::Required, [None, Some(true), Some(true), Some(true), None]),
    ] {
        let secrets = Secrets::new(security);
        for ((proto, lines), expected) in offers.iter().zip(expected) {
            let answered = Description::parse(&audio_offer(proto, lines), security)
                .and_then(|offer| answer(&offer, &local(), &secrets));
            let secure = answered.as_ref().ok().map(|(_, remote)| !remote.srtp.is_off());
            assert_eq!(secure, expected, "{security:?} {proto} {lines}");
            if let Ok((text, _)) = answered {
                assert!(text.contains(&format!("m=audio 30000 {proto} 0\r\n")), "{text}");
                let line = "a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:";
                assert_eq!(text.contains(line), secure == Some(true), "{text}");
            }
        }
    }
}

#[test]
fn an_offer_and_its_answer_agree_on_each_others_keys() {
    for (security, proto) in [(Security::Optional, "RTP/AVP"), (Security::Required, "RTP/SAVP")] {
        let (ours, theirs) = (Secrets::new(security), Secrets::new(Security::Optional));
        let text = offer(&local(), &ours, Direction::SendRecv);
        assert!(text.contains(&format!("m=audio 30000 {proto} 0 8")), "{text}");
        assert_eq!(text.matches("a=crypto:").count(), 3);
        assert_eq!(text, offer(&local(), &ours, Direction::SendRecv), "a call keeps its keys");
        let read = Description::parse(text.as_bytes(), Security::Optional).expect("an offer");
        let (text, at_the_peer) = answer(&read, &local(), &theirs).expect("an answer");
        let here = accept(text.as_bytes(), &local(), &ours).expect("an answer");
        let (Srtp::On(at_the_peer), Srtp::On(here)) = (at_the_peer.srtp, here.srtp) else { panic!("{text}") };
        assert_eq!((&here.receive, &here.send), (&at_the_peer.send, &at_the_peer.receive));
        assert_ne!(here.receive, here.send);
    }
}

#[test]
fn an_answer_may_decline_encryption_only_where_it_is_optional() {
    let plain_answer = audio_offer("RTP/AVP", "");
    let accepted = |security| accept(&plain_answer, &local(), &Secrets::new(security));
    assert!(accepted(Security::Optional).expect("an answer").srtp.is_off());
    assert_eq!(accepted(Security::Required).expect_err("not encrypted"), SdpError::NotSecure);
    let other_tag = audio_offer("RTP/AVP", &format!("a=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"));
    let error = accept(&other_tag, &local(), &Secrets::new(Security::Optional)).expect_err("no such line");
    assert_eq!(error, SdpError::NotSecure);
}

#[test]
fn an_encrypted_stream_is_taken_before_a_plain_one() {
    let both = crlf(&format!(
        "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 10.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 0\nm=audio 4002 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:{KEY}"
    ));
    for (security, port) in [(Security::Off, 4_000), (Security::Optional, 4_002), (Security::Required, 4_002)]
    {
        let offer = Description::parse(&both, security).expect("an offer");
        let (_, remote) = answer(&offer, &local(), &Secrets::new(security)).expect("an answer");
        assert_eq!(remote.remote.rtp.port(), port, "{security:?}");
    }
}

#[test]
fn opus_and_its_keys_are_taken_at_their_own_clock() {
    let opus = Media {
        codec: Codec::Opus,
        payload_type: 107,
        telephone_event: Some(102),
        comfort_noise: None,
        ..Media::default()
    };
    let local = LocalMedia { media: vec![opus, Media::default()], ..local() };
    let ours = offer(&local, &plain(), Direction::SendRecv);
    for line in [
        "m=audio 30000 RTP/AVP 107 0 13 102 101",
        "a=rtpmap:107 opus/48000/2",
        "a=fmtp:107 useinbandfec=1",
        "a=rtpmap:102 telephone-event/48000",
        "a=rtpmap:101 telephone-event/8000",
    ] {
        assert!(ours.contains(&format!("{line}\r\n")), "{line}: {ours}");
    }
    let lines = "a=rtpmap:96 opus/48000/2\na=fmtp:97 usedtx=0\na=fmtp:96 usedtx=1; maxplaybackrate=16000\na=rtpmap:97 telephone-event/8000\na=rtpmap:98 telephone-event/48000\na=fmtp:x\na=fmtp:";
    let theirs =
        String::from_utf8(audio_offer("RTP/AVP", lines)).expect("text").replace("AVP 0", "AVP 96 0 97 98");
    let offer = Description::parse(theirs.as_bytes(), Security::Off).expect("an offer");
    let (text, remote) = answer(&offer, &local, &plain()).expect("an answer");
    assert_eq!((remote.media.codec, remote.media.payload_type), (Codec::Opus, 96));
    assert_eq!((remote.media.telephone_event, remote.media.comfort_noise), (Some(98), None));
    let asked = Opus { dtx: true, max_rate_hz: 16_000, ..Opus::UNASKED };
    assert_eq!(remote.media.opus, asked, "what the peer asks for");
    assert!(
        text.contains("m=audio 30000 RTP/AVP 96 98\r\n")
            && text.contains("a=fmtp:96 useinbandfec=1\r\n")
            && text.contains("a=rtpmap:98 telephone-event/48000"),
        "{text}"
    );
    assert_eq!(remote.media.telephone_event_rate_hz, None);
    let slower = theirs.replace("AVP 96 0 97 98", "AVP 96 0 97");
    let offer = Description::parse(slower.as_bytes(), Security::Off).expect("an offer");
    let (text, remote) = answer(&offer, &local, &plain()).expect("an answer");
    assert_eq!((remote.media.telephone_event, remote.media.telephone_event_rate_hz), (Some(97), Some(8_000)));
    assert!(text.contains("a=rtpmap:97 telephone-event/8000\r\n"), "{text}");
}

#[test]
fn linear_samples_are_taken_at_the_rate_and_in_the_one_channel_that_we_have() {
    let linear = |rate_hz, payload_type| Media {
        codec: Codec::L16 { rate_hz },
        payload_type,
        comfort_noise: None,
        ..Media::default()
    };
    let local =
        LocalMedia { media: vec![linear(16_000, 97), linear(44_100, 11), Media::default()], ..local() };
    let ours = offer(&local, &plain(), Direction::SendRecv);
    assert!(
        ours.contains("a=rtpmap:97 L16/16000\r\n") && ours.contains("a=rtpmap:11 L16/44100\r\n"),
        "{ours}"
    );
    let taken = |formats: &str, lines: &str| {
        let theirs = String::from_utf8(audio_offer("RTP/AVP", lines)).expect("text");
        let theirs = theirs.replace("AVP 0", &format!("AVP {formats}"));
        let offer = Description::parse(theirs.as_bytes(), Security::Off).expect("an offer");
        answer(&offer, &local, &plain()).map(|(_, remote)| (remote.media.codec, remote.media.payload_type))
    };
    let wide = Ok((Codec::L16 { rate_hz: 16_000 }, 112));
    assert_eq!(taken("0 112", "a=rtpmap:112 L16/16000"), wide);
    assert_eq!(taken("0 112", "a=rtpmap:112 l16/16000/1"), wide);
    assert_eq!(taken("112 0", "a=rtpmap:112 L16/16000/2"), Ok((Codec::Pcmu, 0)));
    assert_eq!(taken("112 0", "a=rtpmap:112 L16/24000"), Ok((Codec::Pcmu, 0)));
    assert_eq!(taken("11", ""), Ok((Codec::L16 { rate_hz: 44_100 }, 11)));
    assert_eq!(taken("10", ""), Err(SdpError::NoCommonCodec));
}

#[test]
fn rtcp_goes_over_the_rtp_port_where_the_offer_says_so() {
    for (lines, mux) in [("a=rtcp-mux", true), ("", false)] {
        let offer = Description::parse(&audio_offer("RTP/AVP", lines), Security::Off).expect("an offer");
        let (text, remote) = answer(&offer, &local(), &plain()).expect("an answer");
        assert_eq!((remote.rtcp_mux, text.contains("a=rtcp-mux")), (mux, mux), "{text}");
    }
    // Payload types that look like RTCP with the marker bit do not go with it.
    let text = String::from_utf8(audio_offer("RTP/AVP", "a=rtpmap:80 PCMU/8000\na=rtcp-mux")).expect("text");
    let offer =
        Description::parse(text.replace("AVP 0", "AVP 80").as_bytes(), Security::Off).expect("an offer");
    assert!(!answer(&offer, &local(), &plain()).expect("an answer").1.rtcp_mux);
}
