//! Calls that come in, with SIPp as carrier and as stranger.
#![allow(missing_docs)]

mod support;

use offhook_control::sip::{SipConfig, TrunkConfig};
use offhook_control_core::CallId;
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_proto::Codec;
use support::peer::Peer;
use support::{Port, Sipp, config, free_port, local_media};

/// A port whose trunk is anybody on 127.0.0.1.
async fn port() -> Port {
    Port::with_trunk(TrunkConfig::new("127.0.0.1", free_port())).await
}

fn answer(port: &Port, call: CallId) {
    port.port.command(call, SipCommand::Answer { local: local_media() });
}

#[tokio::test]
async fn a_call_of_the_trunk_rings_is_answered_and_ends_with_the_callers_bye() {
    let mut port = port().await;
    let sipp = Sipp::client("uac_call.xml", port.address()).await;
    let (call, event) = port.incoming().await;
    assert!(call.is_incoming());
    let SipEvent::Incoming { from, to, remote, trunk, headers } = event else { unreachable!() };
    assert_eq!((from.as_str(), to.as_str(), trunk), ("+31655512345", "service", true));
    let remote = remote.expect("an offer");
    assert_eq!(remote.media.codec, Codec::Pcmu, "our first choice among the caller's");
    assert!(headers.iter().any(|(name, _)| name == "Call-ID"), "{headers:?}");
    port.port.command(call, SipCommand::Ring { early: None });
    answer(&port, call);
    port.answered(call).await;
    port.until(call, |event| matches!(event, SipEvent::Snapshot { .. })).await;
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: true, .. })), "{events:?}");
    port.idle().await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn early_media_and_then_our_own_bye() {
    let mut port = port().await;
    let sipp = Sipp::client("uac_call_peer_ends.xml", port.address()).await;
    let (call, _) = port.incoming().await;
    port.port.command(call, SipCommand::Ring { early: Some(local_media()) });
    answer(&port, call);
    port.answered(call).await;
    port.hang_up(call);
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: false, .. })), "{events:?}");
    port.idle().await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn streams_that_we_do_not_take_are_answered_with_port_0() {
    let mut port = port().await;
    let sipp = Sipp::client("uac_video.xml", port.address()).await;
    let (call, _) = port.incoming().await;
    answer(&port, call);
    port.until_over(call).await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn a_caller_without_sdp_gets_our_offer_and_answers_in_the_ack() {
    let mut port = port().await;
    let sipp = Sipp::client("uac_no_sdp.xml", port.address()).await;
    let (call, event) = port.incoming().await;
    assert!(matches!(event, SipEvent::Incoming { remote: None, .. }));
    answer(&port, call);
    let SipEvent::Answered { remote, .. } = port.answered(call).await else { unreachable!() };
    assert_eq!(remote.media.codec, Codec::Pcmu);
    port.hang_up(call);
    port.until_over(call).await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn a_rejected_call_gets_our_status() {
    let mut port = port().await;
    let sipp = Sipp::client("uac_rejected.xml", port.address()).await;
    let (call, _) = port.incoming().await;
    port.port.command(call, SipCommand::Reject { status: 486, reason: "nobody there".to_owned() });
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Failed { status: 486, .. })), "{events:?}");
    port.idle().await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn a_caller_who_cancels_gets_487() {
    let mut port = port().await;
    let sipp = Sipp::client("uac_cancel.xml", port.address()).await;
    let (call, _) = port.incoming().await;
    port.port.command(call, SipCommand::Ring { early: None });
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Failed { status: 487, .. })), "{events:?}");
    port.idle().await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn calls_from_elsewhere_than_the_trunk_are_forbidden() {
    let mut trunk = TrunkConfig::new("127.0.0.2", 5060);
    trunk.sources = vec!["127.0.0.3".parse().expect("an address")];
    let port = Port::with_trunk(trunk).await;
    Sipp::client("uac_forbidden.xml", port.address()).await.succeeds().await;
    assert_eq!(port.port.counts().calls, 0);
}

#[tokio::test]
async fn garbage_for_a_session_description_is_488() {
    let port = port().await;
    Sipp::client("uac_garbage_sdp.xml", port.address()).await.succeeds().await;
    assert_eq!(port.port.counts().calls, 0);
}

#[tokio::test]
async fn an_extension_that_we_do_not_know_is_420_and_too_short_a_session_422() {
    let port = port().await;
    Sipp::client("uac_required.xml", port.address()).await.succeeds().await;
    Sipp::client("uac_too_brief.xml", port.address()).await.succeeds().await;
}

#[tokio::test]
async fn the_callers_session_timer_is_agreed_and_its_refresh_answered() {
    let mut port = port().await;
    let sipp = Sipp::client("uac_timer.xml", port.address()).await;
    let (call, _) = port.incoming().await;
    answer(&port, call);
    port.until_over(call).await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn a_2xx_that_is_never_acknowledged_ends_with_our_bye() {
    let trunk = Some(TrunkConfig::new("127.0.0.1", free_port()));
    let mut port = Port::start(SipConfig { t1_ms: 20, trunk, ..config() }).await;
    let sipp = Sipp::client("uac_no_ack.xml", port.address()).await;
    let (call, _) = port.incoming().await;
    answer(&port, call);
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: true, .. })), "{events:?}");
    sipp.succeeds().await;
}

/// The stack answers a peer's re-INVITE while ours is on its way.
#[tokio::test]
async fn a_re_invite_that_meets_ours_gets_491() {
    let mut port = port().await;
    let sipp = Sipp::client("uac_glare.xml", port.address()).await;
    let (call, _) = port.incoming().await;
    answer(&port, call);
    port.until(call, |event| matches!(event, SipEvent::Snapshot { .. })).await;
    port.port.command(call, SipCommand::ReOffer { local: local_media() });
    sipp.succeeds().await;
}

#[tokio::test]
async fn options_tells_what_we_take() {
    let port = port().await;
    Sipp::client("uac_options.xml", port.address()).await.succeeds().await;
}

#[tokio::test]
async fn a_session_that_the_caller_does_not_refresh_is_ended() {
    let trunk = Some(TrunkConfig::new("127.0.0.1", free_port()));
    let mut port = Port::start(SipConfig { min_session_s: 1, trunk, ..config() }).await;
    let peer = Peer::new().await;
    let invite = invite(&peer, &port, "Supported: timer\r\nSession-Expires: 2;refresher=uac\r\n");
    peer.send(port.address(), &invite).await;
    let (call, _) = port.incoming().await;
    answer(&port, call);
    let ok = peer.hear("SIP/2.0 200").await;
    peer.send(port.address(), &ack(&peer, &port, &ok.headers["to"])).await;
    assert!(peer.hear("BYE").await.header("Reason").contains("session expired"));
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: true, .. })), "{events:?}");
}

#[tokio::test]
async fn above_the_limit_of_transactions_new_calls_get_503_with_retry_after() {
    let trunk = Some(TrunkConfig::new("127.0.0.1", free_port()));
    let mut port = Port::start(SipConfig { max_transactions: 1, trunk, ..config() }).await;
    let (first, second) = (Peer::new().await, Peer::new().await);
    first.send(port.address(), &invite(&first, &port, "")).await;
    let (call, _) = port.incoming().await;
    second.send(port.address(), &invite(&second, &port, "")).await;
    let refusal = second.hear("SIP/2.0 503").await;
    assert!(!refusal.header("Retry-After").is_empty());
    port.port.command(call, SipCommand::Reject { status: 486, reason: String::new() });
    first.hear("SIP/2.0 486").await;
}

#[tokio::test]
async fn a_flood_of_what_opens_nothing_is_answered_and_costs_no_memory() {
    let port = port().await;
    let stranger = Peer::new().await;
    let options = |number: u32, tag: &str, method: &str| {
        let to = format!("To: <sip:agent1@offhook.test>{tag}");
        format!(
            "{method} sip:agent1@offhook.test SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{method}{number}\r\n\
             From: <sip:agent1@offhook.test>;tag=1\r\n{to}\r\nCall-ID: {method}{number}\r\nCSeq: 1 {method}\r\n\
             Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            stranger.address(),
        )
    };
    for number in 0..50 {
        for (method, tag, status) in [
            ("OPTIONS", "", "200"),
            ("REGISTER", "", "401"),
            ("BYE", ";tag=nobody", "481"),
            ("INFO", "", "481"),
            ("MESSAGE", "", "405"),
        ] {
            stranger.send(port.address(), &options(number, tag, method)).await;
            let heard = stranger.hear(&format!("SIP/2.0 {status}")).await;
            assert_eq!(heard.header("Call-ID"), format!("{method}{number}"));
            assert!(heard.header("To").contains("tag="));
        }
    }
    let counts = port.port.counts();
    assert_eq!((counts.transactions, counts.finished_transactions), (0, 0));
}

#[tokio::test]
async fn a_call_with_a_full_inbox_is_hung_up_all_the_same() {
    let mut port = port().await;
    let caller = Peer::new().await;
    caller.send(port.address(), &invite(&caller, &port, "")).await;
    let (call, _) = port.incoming().await;
    for _ in 0..100 {
        port.port.command(call, SipCommand::Ring { early: None });
    }
    port.hang_up(call);
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Failed { status: 487, .. })), "{events:?}");
}

#[tokio::test]
async fn truncated_and_mutated_messages_change_nothing() {
    let mut port = port().await;
    let peer = Peer::new().await;
    let good = invite(&peer, &port, "");
    for length in 0..good.len() {
        peer.send_bytes(port.address(), &good.as_bytes()[..length]).await;
    }
    let mut state = 1_u32;
    for _ in 0..4_000 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..4 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = state as usize % bytes.len();
            bytes[at] = state.to_be_bytes()[0];
        }
        peer.send_bytes(port.address(), &bytes).await;
        if state.is_multiple_of(64) {
            while let Ok(offhook_control_core::Input::Sip { call, event }) = port.inputs.try_recv() {
                if matches!(event, SipEvent::Incoming { .. }) {
                    port.hang_up(call);
                }
            }
        }
    }
    let probe = Peer::new().await;
    let options = invite(&probe, &port, "").replace("INVITE", "OPTIONS");
    probe.send(port.address(), &options).await;
    probe.hear("SIP/2.0 200").await;
}

#[tokio::test]
async fn an_invite_that_wants_to_replace_a_call_gets_481() {
    let trunk = TrunkConfig::new("127.0.0.1", 5060);
    let port = Port::with_trunk(trunk).await;
    let peer = Peer::new().await;
    let replaces = "Replaces: 1@somewhere;to-tag=a;from-tag=b\r\n";
    peer.send(port.address(), &invite(&peer, &port, replaces)).await;
    assert!(peer.hear("SIP/2.0 4").await.is("SIP/2.0 481"));
    assert_eq!(port.port.counts().calls, 0);
}

fn invite(peer: &Peer, port: &Port, more: &str) -> String {
    let (us, to, sdp) = (peer.address(), port.address(), peer.sdp());
    format!(
        "INVITE sip:100@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{0}\r\nFrom: <sip:+316@{us}>;tag=f{0}\r\n\
         To: <sip:100@{to}>\r\nCall-ID: c{0}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:c@{us}>\r\n{more}\
         Content-Type: application/sdp\r\nContent-Length: {1}\r\n\r\n{sdp}",
        us.port(),
        sdp.len(),
    )
}

fn ack(peer: &Peer, port: &Port, to: &str) -> String {
    let (us, at) = (peer.address(), port.address());
    format!(
        "ACK sip:offhook@{at} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKack{0}\r\nFrom: <sip:+316@{us}>;tag=f{0}\r\n\
         To: {to}\r\nCall-ID: c{0}\r\nCSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        us.port(),
    )
}
