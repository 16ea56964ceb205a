//! A peer that says in a call what it should not: it gets the answer that is due, and the call goes on where it can.
#![allow(missing_docs)]

mod support;

use offhook_control_core::CallId;
use offhook_control_core::sip::{Direction, SipCommand, SipEvent, Target};
use support::caller::{Caller, answer, ends, port};
use support::peer::{Heard, Peer};
use support::{Port, local_media};

const SDP: &str = "Content-Type: application/sdp\r\n";

/// A call that is up.
struct Up {
    port: Port,
    caller: Caller,
    call: CallId,
    /// To, with our tag.
    to: String,
    /// CSeq number of the caller's last request.
    cseq: u32,
}

impl Up {
    async fn new() -> Self {
        let mut port = port().await;
        let caller = Caller::of(&port).await;
        let (call, ok) = caller.through(&mut port, "").await;
        caller.send("ACK", 1, ok.header("To"), "", "").await;
        port.answered(call).await;
        Self { port, caller, call, to: ok.header("To").to_owned(), cseq: 1 }
    }

    async fn asks(&mut self, method: &str, more: &str, body: &str) {
        self.cseq += 1;
        self.caller.send(method, self.cseq, &self.to, more, body).await;
    }

    /// What the next request of the caller gets.
    async fn gets(&mut self, method: &str, more: &str, body: &str) -> Heard {
        self.asks(method, more, body).await;
        self.caller.response(&format!("{} {method}", self.cseq)).await
    }

    async fn acknowledges(&self, body: &str) {
        self.caller.send("ACK", self.cseq, &self.to, SDP, body).await;
    }

    async fn stands(&mut self) {
        assert!(self.gets("OPTIONS", "", "").await.is("SIP/2.0 200"));
        assert_eq!(self.port.port.counts().calls, 1);
    }

    /// The caller hangs up, and then again and again.
    async fn hangs_up(mut self) -> Vec<SipEvent> {
        let bye = self.gets("BYE", "", "").await;
        assert!(bye.is("SIP/2.0 200"), "{}", bye.text);
        let events = self.port.until_over(self.call).await;
        assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: true, .. })), "{events:?}");
        self.caller.send("BYE", self.cseq, &self.to, "", "").await;
        assert_eq!(self.caller.response(&format!("{} BYE", self.cseq)).await.text, bye.text);
        for method in ["BYE", "INVITE", "INFO", "REFER"] {
            assert!(self.gets(method, "", "").await.is("SIP/2.0 481"), "{method}");
        }
        self.port.idle().await;
        events
    }
}

#[tokio::test]
async fn whatever_is_asked_in_a_call_gets_its_status_and_the_call_goes_on() {
    let mut up = Up::new().await;
    let sdp = up.caller.peer.sdp();
    let but = |from: &str, to: &str| sdp.replace(from, to);
    let session = |value: &str| format!("{SDP}Session-Expires: {value}\r\n");
    let page = "Content-Type: text/html\r\n";
    let keys = "Content-Type: application/dtmf-relay\r\n";
    let cases = [
        ("INVITE", SDP.to_owned(), "garbage".to_owned(), "488"),
        ("INVITE", SDP.to_owned(), "v=0\r\n".repeat(1_400), "488"),
        ("INVITE", SDP.to_owned(), but("audio 40000", "audio 0"), "488"),
        ("INVITE", SDP.to_owned(), but("audio 40000", "audio 99999"), "488"),
        ("INVITE", SDP.to_owned(), but("m=audio 40000 RTP/AVP 0 101", "m=image 40000 udptl t38"), "488"),
        ("INVITE", SDP.to_owned(), but("AVP 0 101", "AVP 18 4 101"), "488"),
        ("INVITE", SDP.to_owned(), but("c=IN IP4 127.0.0.1", "c=IN IP6 ::1"), "488"),
        ("INVITE", SDP.to_owned(), but("c=IN IP4 127.0.0.1", "c=IN IP4 224.0.0.1"), "488"),
        ("INVITE", SDP.to_owned(), but("c=IN IP4 127.0.0.1", "c=IN IP4 nowhere.invalid"), "488"),
        ("INVITE", page.to_owned(), "<a>".to_owned(), "415"),
        ("INVITE", format!("{SDP}Content-Encoding: gzip\r\n"), sdp.clone(), "415"),
        ("INVITE", session("0"), sdp.clone(), "422"),
        ("INVITE", format!("{SDP}Require: telepathy\r\n"), sdp.clone(), "420"),
        ("INVITE", SDP.to_owned(), "x".repeat(9_000), "513"),
        ("UPDATE", SDP.to_owned(), "garbage".to_owned(), "488"),
        ("UPDATE", session("0"), String::new(), "422"),
        ("UPDATE", String::new(), String::new(), "200"),
        ("REFER", String::new(), String::new(), "603"),
        ("REFER", "Refer-To: <<nonsense>>;;;=\r\n".to_owned(), String::new(), "603"),
        ("INFO", String::new(), String::new(), "200"),
        ("INFO", keys.to_owned(), "Signal=5\r\nDuration=160\r\n".to_owned(), "415"),
        (
            "INFO",
            format!("{keys}Content-Disposition: render;handling=optional\r\n"),
            "\0\u{1}".to_owned(),
            "200",
        ),
        ("INFO", "Info-Package: nonsense\r\n".to_owned(), "x".repeat(7_000), "469"),
        ("NOTIFY", "Event: refer\r\nSubscription-State: active\r\n".to_owned(), String::new(), "481"),
        ("PRACK", "RAck: 1 1 INVITE\r\n".to_owned(), String::new(), "481"),
        ("MESSAGE", "Content-Type: text/plain\r\n".to_owned(), "hello".to_owned(), "405"),
        ("SUBSCRIBE", "Event: presence\r\n".to_owned(), String::new(), "405"),
        ("REGISTER", String::new(), String::new(), "405"),
        ("FOO", String::new(), String::new(), "501"),
    ];
    for (method, more, body, status) in cases {
        let answer = up.gets(method, &more, &body).await;
        assert!(answer.is(&format!("SIP/2.0 {status} ")), "{method} {more}{body}{}", answer.text);
        assert_eq!(answer.header("Warning").is_empty(), status != "488", "{}", answer.text);
        // By another branch than that of a refusal.
        up.acknowledges("").await;
        up.stands().await;
    }
    let events = up.hangs_up().await;
    assert!(!events.iter().any(|event| matches!(event, SipEvent::Updated(_))), "{events:?}");
}

#[tokio::test]
async fn a_hold_by_an_address_of_zeros_is_answered_and_told() {
    let mut up = Up::new().await;
    let zeros = up.caller.peer.sdp().replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0");
    let answer = up.gets("INVITE", SDP, &zeros).await;
    assert!(answer.is("SIP/2.0 200") && answer.text.contains("a=recvonly"), "{}", answer.text);
    up.acknowledges("").await;
    let told = up.port.until(up.call, |event| matches!(event, SipEvent::Updated(_))).await;
    assert!(matches!(told, SipEvent::Updated(remote) if remote.direction == Direction::SendOnly));
    up.stands().await;
    up.hangs_up().await;
}

#[tokio::test]
async fn numbers_that_go_back_are_refused_and_obeyed_by_nobody() {
    let mut up = Up::new().await;
    let sdp = up.caller.peer.sdp();
    up.cseq = 9;
    up.stands().await;
    for method in ["BYE", "INVITE", "UPDATE", "INFO", "REFER", "OPTIONS"] {
        for cseq in [2, 9] {
            up.caller.send(method, cseq, &up.to, SDP, &sdp).await;
            let answer = up.caller.response(&format!("{cseq} {method}")).await;
            assert!(answer.is("SIP/2.0 500"), "{method} {}", answer.text);
        }
    }
    up.stands().await;
    up.hangs_up().await;
}

#[tokio::test]
async fn another_callers_tag_is_another_dialog() {
    let mut up = Up::new().await;
    for method in ["BYE", "INVITE", "INFO"] {
        up.cseq += 1;
        let message = up.caller.message(method, up.cseq, &up.to, "", "").replace(";tag=f", ";tag=g");
        up.caller.peer.send(up.caller.to, &message).await;
        assert!(up.caller.response(&format!("{} {method}", up.cseq)).await.is("SIP/2.0 481"), "{method}");
    }
    up.stands().await;
    up.hangs_up().await;
}

#[tokio::test]
async fn requests_that_cross_each_get_an_answer() {
    let mut up = Up::new().await;
    let sdp = up.caller.peer.sdp();
    up.asks("INVITE", SDP, &sdp).await;
    let invite = up.cseq;
    for (method, body) in [("UPDATE", sdp.as_str()), ("UPDATE", ""), ("INVITE", ""), ("INFO", "")] {
        up.asks(method, SDP, body).await;
    }
    up.caller.send("CANCEL", invite, "", "", "").await;
    up.asks("BYE", "", "").await;
    let asked = [
        (format!("{invite} INVITE"), "200"),
        (format!("{} UPDATE", invite + 1), "491"),
        (format!("{} UPDATE", invite + 2), "200"),
        (format!("{} INVITE", invite + 3), "491"),
        (format!("{} INFO", invite + 4), "200"),
        (format!("{invite} CANCEL"), "200"),
        (format!("{} BYE", invite + 5), "200"),
    ];
    let mut open: Vec<_> = asked.iter().collect();
    while !open.is_empty() {
        let heard = up.caller.peer.hear("SIP/2.0").await;
        open.retain(|(cseq, status)| {
            let is_this = heard.header("CSeq") == cseq && !heard.is("SIP/2.0 100");
            assert!(!is_this || heard.is(&format!("SIP/2.0 {status}")), "{}", heard.text);
            !is_this
        });
    }
    ends(&mut up.port, up.call, true).await;
}

#[tokio::test]
async fn acknowledgements_of_nothing_and_late_cancels_change_nothing() {
    let mut up = Up::new().await;
    let sdp = up.caller.peer.sdp();
    assert!(up.gets("INVITE", SDP, &sdp).await.is("SIP/2.0 200"));
    for cseq in [1, 77] {
        up.caller.send("ACK", cseq, &up.to, SDP, "garbage").await;
    }
    let stray = up.caller.message("ACK", up.cseq, &up.to, "", "").replace("tag=f", "tag=g");
    up.caller.peer.send(up.caller.to, &stray).await;
    up.caller.send("CANCEL", up.cseq, "", "", "").await;
    assert!(up.caller.response(&format!("{} CANCEL", up.cseq)).await.is("SIP/2.0 200"));
    up.caller.send("CANCEL", 77, "", "", "").await;
    assert!(up.caller.response("77 CANCEL").await.is("SIP/2.0 481"));
    assert!(
        up.caller.response(&format!("{} INVITE", up.cseq)).await.is("SIP/2.0 200"),
        "not acknowledged yet"
    );
    up.acknowledges("").await;
    up.stands().await;
    assert!(up.gets("INVITE", SDP, &sdp).await.is("SIP/2.0 200"), "the one before is over");
    up.acknowledges("").await;
    up.hangs_up().await;
}

#[tokio::test]
async fn an_offer_of_ours_that_is_answered_by_garbage_ends_the_call() {
    let mut up = Up::new().await;
    let offer = up.gets("INVITE", "", "").await;
    assert!(offer.text.contains("m=audio 30000"), "{}", offer.text);
    up.acknowledges("garbage").await;
    let bye = up.caller.peer.hear("BYE").await;
    up.caller.peer.respond(&bye, "200 OK", "", "", "").await;
    ends(&mut up.port, up.call, false).await;
}

#[tokio::test]
async fn a_contact_to_which_no_request_can_be_sent_is_not_followed() {
    let mut up = Up::new().await;
    let sdp = up.caller.peer.sdp();
    for contact in ["*", "<mailto:c@example.com>", "<>", "c", "<sip:>", "<sip:c@[::1>"] {
        up.cseq += 1;
        let message = up.caller.message("INVITE", up.cseq, &up.to, SDP, &sdp);
        let ours = format!("<sip:c@{}>", up.caller.peer.address());
        up.caller.peer.send(up.caller.to, &message.replace(&ours, contact)).await;
        assert!(up.caller.response(&format!("{} INVITE", up.cseq)).await.is("SIP/2.0 200"), "{contact}");
        up.acknowledges("").await;
        up.stands().await;
    }
    up.port.hang_up(up.call);
    let bye = up.caller.peer.hear("BYE").await;
    up.caller.peer.respond(&bye, "200 OK", "", "", "").await;
    ends(&mut up.port, up.call, false).await;
}

#[tokio::test]
async fn a_flood_in_a_call_is_answered_whole_and_the_call_can_be_ended() {
    let mut up = Up::new().await;
    let first = up.cseq + 1;
    for _ in 0..200 {
        up.asks("INFO", "", "").await;
    }
    let mut left: std::collections::BTreeSet<_> =
        (first..=up.cseq).map(|cseq| format!("{cseq} INFO")).collect();
    while !left.is_empty() {
        let heard = up.caller.peer.hear("SIP/2.0").await;
        assert!(
            ["200", "500", "503"].iter().any(|status| heard.is(&format!("SIP/2.0 {status}"))),
            "{}",
            heard.text
        );
        left.remove(heard.header("CSeq"));
    }
    up.stands().await;
    up.hangs_up().await;
}

#[tokio::test]
async fn answers_of_nonsense_to_a_call_of_ours_end_it() {
    let peer = Peer::new().await;
    let contact = format!("Contact: <sip:bob@{}>\r\n", peer.address());
    for (headers, body) in [
        (format!("{contact}{SDP}"), "garbage".to_owned()),
        (contact.clone(), String::new()),
        (format!("{contact}{SDP}"), peer.sdp().replace("IP4 127.0.0.1", "IP6 ::1")),
        (format!("{contact}{SDP}"), peer.sdp().replace("audio 40000", "audio 0")),
    ] {
        let mut port = port().await;
        let call = port.dial(Target::Uri(format!("sip:bob@{}", peer.address())));
        let invite = peer.hear("INVITE").await;
        peer.respond(&invite, "200 OK", "t", &headers, &body).await;
        let events = port.until_over(call).await;
        assert!(matches!(events.last(), Some(SipEvent::Failed { .. })), "{headers}{body}{events:?}");
        let bye = peer.hear("BYE").await;
        peer.respond(&bye, "200 OK", "t", "", "").await;
        port.idle().await;
    }
}

#[tokio::test]
async fn who_answers_without_a_contact_is_hung_up_on_where_it_was_called() {
    let peer = Peer::new().await;
    for contact in ["", "Contact: *\r\n", "Contact: <tel:+31>\r\n", "Contact: <sip:bob@[::1>\r\n"] {
        let mut port = port().await;
        let call = port.dial(Target::Uri(format!("sip:bob@{}", peer.address())));
        let invite = peer.hear("INVITE").await;
        peer.respond(&invite, "200 OK", "t", &format!("{contact}{SDP}"), &peer.sdp()).await;
        port.answered(call).await;
        port.hang_up(call);
        let bye = peer.hear("BYE").await;
        peer.respond(&bye, "200 OK", "t", "", "").await;
        ends(&mut port, call, false).await;
    }
}

#[tokio::test]
async fn an_answer_of_nonsense_to_an_offer_in_a_call_ends_it() {
    let mut port = port().await;
    let peer = Peer::new().await;
    let (call, _) = port.answered_by(&peer).await;
    port.answered(call).await;
    peer.hear("ACK").await;
    port.port.command(call, SipCommand::ReOffer { local: local_media() });
    let offer = peer.hear("INVITE").await;
    let contact = format!("Contact: <sip:bob@{}>\r\n{SDP}", peer.address());
    peer.respond(&offer, "200 OK", "t", &contact, "garbage").await;
    let bye = peer.hear("BYE").await;
    peer.respond(&bye, "200 OK", "t", "", "").await;
    ends(&mut port, call, false).await;
}

#[tokio::test]
async fn a_call_that_is_offered_what_nobody_can_hear_is_refused() {
    let mut port = port().await;
    let caller = Caller::of(&port).await;
    let sdp = caller.peer.sdp();
    for (cseq, body) in ["garbage".to_owned(), sdp.replace("c=IN IP4 127.0.0.1", "c=IN IP4 255.255.255.255")]
        .iter()
        .enumerate()
    {
        let cseq = u32::try_from(cseq).expect("two") + 1;
        caller.send("INVITE", cseq, "", SDP, body).await;
        assert!(caller.response(&format!("{cseq} INVITE")).await.is("SIP/2.0 488"), "{body}");
    }
    // The engine that takes the call is not chosen yet when the caller is heard.
    let other = sdp.replace("c=IN IP4 127.0.0.1", "c=IN IP6 ::1");
    caller.send("INVITE", 5, "", SDP, &other).await;
    let (call, _) = port.incoming().await;
    answer(&port, call);
    assert!(caller.response("5 INVITE").await.header("Warning").starts_with("300 "));
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Failed { status: 488, .. })), "{events:?}");
    port.idle().await;
}

#[tokio::test]
async fn a_caller_to_whom_no_request_can_be_sent_is_refused() {
    let port = port().await;
    let caller = Caller::of(&port).await;
    let ours = format!("Contact: <sip:c@{}>\r\n", caller.peer.address());
    for (cseq, contact) in (1..).zip(["", "Contact: *\r\n", "Contact: <tel:+31>\r\n", "Contact: <sip:>\r\n"])
    {
        let message = caller.message("INVITE", cseq, "", SDP, &caller.peer.sdp());
        caller.peer.send(caller.to, &message.replace(&ours, contact)).await;
        assert!(caller.response(&format!("{cseq} INVITE")).await.is("SIP/2.0 400"), "{contact}");
    }
    assert_eq!(port.port.counts().calls, 0);
}

#[tokio::test]
async fn an_invite_that_comes_by_two_ways_is_one_call() {
    let mut port = port().await;
    let caller = Caller::of(&port).await;
    caller.invite(1, "", "").await;
    let (call, _) = port.incoming().await;
    let other = caller
        .message("INVITE", 1, "", SDP, &caller.peer.sdp())
        .replace("branch=z9hG4bK", "branch=z9hG4bKother");
    for _ in 0..2 {
        caller.peer.send(caller.to, &other).await;
        assert!(caller.response("1 INVITE").await.is("SIP/2.0 482"));
    }
    assert_eq!(port.port.counts().calls, 1);
    answer(&port, call);
    let ok = caller.peer.hear("SIP/2.0 200").await;
    caller.send("ACK", 1, ok.header("To"), "", "").await;
    port.answered(call).await;
    caller.send("BYE", 2, ok.header("To"), "", "").await;
    assert!(caller.response("2 BYE").await.is("SIP/2.0 200"));
    ends(&mut port, call, true).await;
    // The next of the same caller is another.
    caller.invite(3, "", "").await;
    let (next, _) = port.incoming().await;
    port.port.command(next, SipCommand::Reject { status: 486, reason: "test".to_owned() });
    assert!(caller.response("3 INVITE").await.is("SIP/2.0 486"));
    port.idle().await;
}
