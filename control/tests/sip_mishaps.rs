//! Exchanges that cross, repeat, get lost or come at a bad moment.
#![allow(missing_docs)]

mod support;

use offhook_control::sip::{SipConfig, TrunkConfig};
use offhook_control_core::CallId;
use offhook_control_core::sip::{SipCommand, SipEvent, Target};
use support::caller::{Caller, answer, ends, port};
use support::peer::{Heard, Peer};
use support::{Port, config, free_port, local_media};

#[tokio::test]
async fn an_answer_whose_ack_is_lost_is_sent_again_and_the_call_stands_when_one_comes() {
    let mut port = port().await;
    let caller = Caller::of(&port).await;
    let (call, ok) = caller.through(&mut port, "").await;
    for _ in 0..2 {
        assert_eq!(caller.peer.hear("SIP/2.0 200").await.text, ok.text, "the same again");
    }
    caller.send("ACK", 1, ok.header("To"), "", "").await;
    caller.send("OPTIONS", 2, ok.header("To"), "", "").await;
    assert!(caller.response("2 OPTIONS").await.is("SIP/2.0 200"));
    caller.send("BYE", 3, ok.header("To"), "", "").await;
    assert!(caller.response("3 BYE").await.is("SIP/2.0 200"));
    ends(&mut port, call, true).await;
}

#[tokio::test]
async fn an_answer_that_comes_again_is_acknowledged_again() {
    let (peer, mut port) = (Peer::new().await, port().await);
    let call = port.dial(Target::Uri(format!("sip:bob@{}", peer.address())));
    let invite = peer.hear("INVITE").await;
    for _ in 0..3 {
        peer.answer(&invite, "t").await;
        let ack = peer.hear("ACK").await;
        assert!(ack.header("To").contains("tag=t"));
    }
    port.hang_up(call);
    let events = port.until_over(call).await;
    let answers = events.iter().filter(|event| matches!(event, SipEvent::Answered { .. })).count();
    assert_eq!(answers, 1, "{events:?}");
}

#[tokio::test]
async fn a_re_invite_waits_until_the_answer_has_been_acknowledged() {
    let mut port = port().await;
    let caller = Caller::of(&port).await;
    let (call, ok) = caller.through(&mut port, "").await;
    caller.invite(2, ok.header("To"), "").await;
    assert!(caller.response("2 INVITE").await.is("SIP/2.0 491"));
    caller.send("ACK", 2, ok.header("To"), "", "").await;
    caller.send("ACK", 1, ok.header("To"), "", "").await;
    caller.invite(3, ok.header("To"), "").await;
    assert!(caller.response("3 INVITE").await.is("SIP/2.0 200"));
    caller.send("ACK", 3, ok.header("To"), "", "").await;
    // What was overtaken is not obeyed any more (RFC 3261 section 12.2.2).
    caller.send("BYE", 2, ok.header("To"), "", "").await;
    assert!(caller.response("2 BYE").await.is("SIP/2.0 500"));
    port.hang_up(call);
    caller.peer.hear("BYE").await;
    ends(&mut port, call, false).await;
}

#[tokio::test]
async fn a_re_invite_before_the_answer_gets_491_and_the_call_is_answered_all_the_same() {
    let mut port = port().await;
    let caller = Caller::of(&port).await;
    caller.invite(1, "", "").await;
    let (call, _) = port.incoming().await;
    port.port.command(call, SipCommand::Ring { early: None });
    let ringing = caller.peer.hear("SIP/2.0 180").await;
    caller.invite(2, ringing.header("To"), "").await;
    assert!(caller.response("2 INVITE").await.is("SIP/2.0 491"));
    caller.send("ACK", 2, ringing.header("To"), "", "").await;
    answer(&port, call);
    assert!(caller.response("1 INVITE").await.is("SIP/2.0 200"));
    caller.send("ACK", 1, ringing.header("To"), "", "").await;
    port.answered(call).await;
    port.hang_up(call);
    ends(&mut port, call, false).await;
}

#[tokio::test]
async fn a_re_invite_that_crosses_our_bye_gets_481() {
    let mut port = port().await;
    let caller = Caller::of(&port).await;
    let (call, ok) = caller.through(&mut port, "").await;
    caller.send("ACK", 1, ok.header("To"), "", "").await;
    port.answered(call).await;
    port.hang_up(call);
    caller.peer.hear("BYE").await;
    caller.invite(2, ok.header("To"), "").await;
    assert!(caller.response("2 INVITE").await.is("SIP/2.0 481"));
    ends(&mut port, call, false).await;
}

#[tokio::test]
async fn a_cancel_that_crosses_our_answer_changes_nothing() {
    let mut port = port().await;
    let caller = Caller::of(&port).await;
    let (call, ok) = caller.through(&mut port, "").await;
    caller.send("CANCEL", 1, "", "", "").await;
    assert!(caller.response("1 CANCEL").await.is("SIP/2.0 200"));
    caller.send("ACK", 1, ok.header("To"), "", "").await;
    port.answered(call).await;
    caller.send("BYE", 2, ok.header("To"), "", "").await;
    assert!(caller.response("2 BYE").await.is("SIP/2.0 200"));
    ends(&mut port, call, true).await;
}

#[tokio::test]
async fn of_two_early_dialogs_the_one_that_answers_is_the_call() {
    let (peer, mut port) = (Peer::new().await, port().await);
    let call = port.dial(Target::Uri(format!("sip:bob@{}", peer.address())));
    let invite = peer.hear("INVITE").await;
    let contact = format!("Contact: <sip:bob@{}>\r\nContent-Type: application/sdp\r\n", peer.address());
    let early = peer.sdp().replace("40000", "40020");
    peer.respond(&invite, "183 Session Progress", "one", &contact, &early).await;
    port.until(
        call,
        |event| matches!(event, SipEvent::EarlyMedia(media) if media.remote.rtp.port() == 40_020),
    )
    .await;
    peer.respond(&invite, "180 Ringing", "two", "", "").await;
    peer.answer(&invite, "two").await;
    let answered = port.answered(call).await;
    assert!(
        matches!(&answered, SipEvent::Answered { remote, .. } if remote.remote.rtp.port() == 40_000),
        "{answered:?}"
    );
    // The branch that rang in vain has no say.
    peer.request(&invite, "one", "BYE", 1, "", "").await;
    assert!(peer.hear("SIP/2.0 481").await.header("CSeq").contains("BYE"));
    port.hang_up(call);
    assert!(peer.hear("BYE").await.header("To").contains("tag=two"));
    ends(&mut port, call, false).await;
}

/// A called peer's 200 with a session timer of its choice.
async fn timed(port: &Port, session: &str) -> (Peer, CallId, Heard) {
    let peer = Peer::new().await;
    let call = port.dial(Target::Uri(format!("sip:bob@{}", peer.address())));
    let invite = peer.hear("INVITE").await;
    let more = format!(
        "Contact: <sip:bob@{}>\r\nContent-Type: application/sdp\r\nRequire: timer\r\nSession-Expires: {session}\r\n",
        peer.address()
    );
    peer.respond(&invite, "200 OK", "t", &more, &peer.sdp()).await;
    (peer, call, invite)
}

#[tokio::test]
async fn a_peer_without_update_is_refreshed_by_re_invite_with_the_same_sdp() {
    let mut port = port().await;
    let (peer, call, invite) = timed(&port, "2;refresher=uac").await;
    port.answered(call).await;
    let mut seen = String::new();
    for _ in 0..2 {
        let refresh = loop {
            let heard = peer.hear("INVITE").await;
            if heard.header("To").contains("tag=t") && heard.header("CSeq") != seen {
                break heard;
            }
        };
        refresh.header("CSeq").clone_into(&mut seen);
        assert_eq!(refresh.header("Session-Expires"), "2;refresher=uac");
        let origin =
            |heard: &Heard| heard.text.lines().find(|line| line.starts_with("o=")).map(str::to_owned);
        assert_eq!(origin(&refresh), origin(&invite), "nothing has changed (RFC 3264 section 8)");
        let more = format!(
            "Contact: <sip:bob@{}>\r\nContent-Type: application/sdp\r\nRequire: timer\r\nSession-Expires: 2;refresher=uac\r\n",
            peer.address()
        );
        peer.respond(&refresh, "200 OK", "t", &more, &peer.sdp()).await;
    }
    port.hang_up(call);
    let events = port.until_over(call).await;
    assert!(!events.iter().any(|event| matches!(event, SipEvent::Updated(_))), "{events:?}");
}

#[tokio::test]
async fn a_called_peer_that_promised_to_refresh_and_does_not_is_hung_up_on() {
    let mut port = port().await;
    let (peer, call, _) = timed(&port, "2;refresher=uas").await;
    port.answered(call).await;
    assert!(peer.hear("BYE").await.header("Reason").contains("session expired"));
    ends(&mut port, call, true).await;
}

#[tokio::test]
async fn we_refresh_the_session_of_a_caller_who_leaves_it_to_us() {
    let mut port = port().await;
    let caller = Caller::of(&port).await;
    let timer = "Supported: timer\r\nAllow: INVITE, UPDATE\r\nSession-Expires: 2;refresher=uas\r\n";
    let (call, ok) = caller.through(&mut port, timer).await;
    assert_eq!(ok.header("Session-Expires"), "2;refresher=uas");
    caller.send("ACK", 1, ok.header("To"), "", "").await;
    let refresh = caller.peer.hear("UPDATE").await;
    assert_eq!(refresh.header("Session-Expires"), "2;refresher=uac");
    let more = "Require: timer\r\nSession-Expires: 2;refresher=uac\r\n";
    caller.peer.respond(&refresh, "200 OK", "", more, "").await;
    // Nobody answers the next one: the caller is gone.
    loop {
        let next = caller.peer.hear("UPDATE").await;
        if next.header("CSeq") != refresh.header("CSeq") {
            break;
        }
    }
    ends(&mut port, call, true).await;
    assert!(!caller.peer.hear("BYE").await.header("Reason").is_empty());
}

#[tokio::test]
async fn a_caller_who_demands_reliable_ringing_acknowledges_it_before_the_answer() {
    let mut port = port().await;
    let caller = Caller::of(&port).await;
    caller.invite(1, "", "Require: 100rel\r\n").await;
    let (call, _) = port.incoming().await;
    port.port.command(call, SipCommand::Ring { early: Some(local_media()) });
    let progress = caller.peer.hear("SIP/2.0 183").await;
    assert_eq!((progress.header("Require"), progress.header("RSeq")), ("100rel", "1"));
    assert_eq!(caller.peer.hear("SIP/2.0 183").await.text, progress.text, "again until it is acknowledged");
    answer(&port, call);
    caller.send("PRACK", 2, progress.header("To"), "RAck: 9 1 INVITE\r\n", "").await;
    assert!(caller.response("2 PRACK").await.is("SIP/2.0 481"), "that was not sent");
    // Until here the answer has waited: what comes for the INVITE is the 183 again.
    assert!(caller.response("1 INVITE").await.is("SIP/2.0 183"));
    caller.send("PRACK", 3, progress.header("To"), "RAck: 1 1 INVITE\r\n", "").await;
    assert!(caller.response("3 PRACK").await.is("SIP/2.0 200"));
    let ok = caller.peer.hear("SIP/2.0 200").await;
    assert_eq!(ok.header("CSeq"), "1 INVITE");
    caller.send("ACK", 1, ok.header("To"), "", "").await;
    port.answered(call).await;
    caller.send("BYE", 4, ok.header("To"), "", "").await;
    ends(&mut port, call, true).await;
}

#[tokio::test]
async fn a_caller_who_never_acknowledges_reliable_ringing_is_refused() {
    let trunk = Some(TrunkConfig::new("127.0.0.1", free_port()));
    let mut port = Port::start(SipConfig { t1_ms: 10, trunk, ..config() }).await;
    let caller = Caller::of(&port).await;
    caller.invite(1, "", "Require: 100rel\r\n").await;
    let (call, _) = port.incoming().await;
    port.port.command(call, SipCommand::Ring { early: None });
    let refusal = caller.peer.hear("SIP/2.0 5").await;
    assert!(refusal.is("SIP/2.0 504"), "{}", refusal.text);
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Failed { status: 504, .. })), "{events:?}");
}

#[tokio::test]
async fn a_peer_that_demands_reliable_ringing_is_called_again_with_it() {
    let (peer, mut port) = (Peer::new().await, port().await);
    let call = port.dial(Target::Uri(format!("sip:bob@{}", peer.address())));
    let plain = peer.hear("INVITE").await;
    peer.respond(&plain, "421 Extension Required", "t", "Require: 100rel\r\n", "").await;
    let invite = loop {
        let heard = peer.hear("INVITE").await;
        if heard.header("Via") != plain.header("Via") {
            break heard;
        }
    };
    assert!(invite.text.contains("Supported: 100rel"), "{}", invite.text);
    let reliable = format!("Contact: <sip:bob@{}>\r\nRequire: 100rel\r\nRSeq: 5\r\n", peer.address());
    peer.respond(&invite, "180 Ringing", "u", &reliable, "").await;
    let prack = peer.hear("PRACK").await;
    let cseq =
        |heard: &Heard| heard.header("CSeq").split(' ').next().and_then(|text| text.parse::<u32>().ok());
    assert_eq!(prack.header("RAck"), format!("5 {} INVITE", cseq(&invite).unwrap_or_default()));
    peer.respond(&prack, "200 OK", "u", "", "").await;
    peer.answer(&invite, "u").await;
    port.answered(call).await;
    port.hang_up(call);
    let bye = peer.hear("BYE").await;
    assert!(cseq(&bye) > cseq(&prack), "numbers only rise");
    peer.respond(&bye, "200 OK", "u", "", "").await;
    ends(&mut port, call, false).await;
}

/// A call of ours that the peer has answered and we have acknowledged, and an offer of ours, of another address, in it.
async fn moved(port: &mut Port, peer: &Peer) -> (CallId, Heard, Heard) {
    let (call, invite) = port.answered_by(peer).await;
    port.answered(call).await;
    peer.hear("ACK").await;
    let mut local = local_media();
    local.rtp.set_port(31_000);
    port.port.command(call, SipCommand::ReOffer { local });
    let offer = peer.hear("INVITE").await;
    assert!(offer.text.contains("m=audio 31000"), "{}", offer.text);
    (call, invite, offer)
}

async fn follows(port: &mut Port, call: CallId) {
    port.until(call, |event| matches!(event, SipEvent::Snapshot { data } if data.contains("31000"))).await;
}

#[tokio::test]
async fn by_09_a_phone_that_refuses_for_the_moment_is_told_again_where_its_leg_is() {
    let mut port = port().await;
    let peer = Peer::new().await;
    let (call, _, offer) = moved(&mut port, &peer).await;
    peer.respond(&offer, "500 Server Internal Error", "t", "Retry-After: 0\r\n", "").await;
    let again = peer.hear("INVITE").await;
    peer.respond(&again, "503 Service Unavailable", "t", "", "").await;
    let third = peer.hear("INVITE").await;
    assert!(third.text.contains("m=audio 31000"), "{}", third.text);
    peer.answer(&third, "t").await;
    follows(&mut port, call).await;
    port.hang_up(call);
    ends(&mut port, call, false).await;
}

#[tokio::test]
async fn by_09_a_phone_that_offers_before_it_is_told_again_learns_it_from_our_answer() {
    let mut port = port().await;
    let peer = Peer::new().await;
    let (call, invite, offer) = moved(&mut port, &peer).await;
    peer.respond(&offer, "500 Server Internal Error", "t", "Retry-After: 30\r\n", "").await;
    peer.hear("ACK").await;
    peer.request(&invite, "t", "INVITE", 7, "Content-Type: application/sdp\r\n", &peer.sdp()).await;
    let answer = peer.hear("SIP/2.0 200").await;
    assert!(answer.text.contains("m=audio 31000"), "{}", answer.text);
    follows(&mut port, call).await;
    peer.request(&invite, "t", "ACK", 7, "", "").await;
    port.hang_up(call);
    ends(&mut port, call, false).await;
}

#[tokio::test]
async fn by_09_a_phone_is_not_told_again_what_has_changed_since() {
    let mut port = port().await;
    let peer = Peer::new().await;
    let (call, _, offer) = moved(&mut port, &peer).await;
    peer.respond(&offer, "503 Service Unavailable", "t", "Retry-After: 1\r\n", "").await;
    peer.hear("ACK").await;
    port.port.command(call, SipCommand::ReOffer { local: local_media() });
    let newer = peer.hear("INVITE").await;
    assert!(newer.text.contains("m=audio 30000"), "{}", newer.text);
    peer.answer(&newer, "t").await;
    peer.hear("ACK").await;
    // The next offer that is heard is the next that is made.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let mut local = local_media();
    local.rtp.set_port(32_000);
    port.port.command(call, SipCommand::ReOffer { local });
    let next = peer.hear("INVITE").await;
    assert!(next.text.contains("m=audio 32000"), "{}", next.text);
    peer.answer(&next, "t").await;
    port.hang_up(call);
    ends(&mut port, call, false).await;
}

#[tokio::test]
async fn a_peer_that_is_heard_is_there_whatever_the_network_says() {
    let mut port = Port::start(SipConfig { t1_ms: 5_000, ..config() }).await;
    let address = Peer::new().await.address();
    let call = port.dial(Target::Uri(format!("sip:bob@{address}")));
    // The first INVITE finds nobody. The next goes out after T1.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let peer = Peer::at(address).await;
    let invite = peer.hear("INVITE").await;
    peer.answer(&invite, "t").await;
    port.answered(call).await;
    port.hang_up(call);
    ends(&mut port, call, false).await;
}
