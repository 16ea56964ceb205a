//! Calls that we place, with SIPp as phone and as carrier.
#![allow(missing_docs)]

mod support;

use std::time::{Duration, Instant};

use offhook_control::sip::{SipConfig, TrunkConfig, TrunkCredential, TrunkTransport};
use offhook_control_core::CallId;
use offhook_control_core::sip::{Direction, SipCommand, SipEvent, Target};
use offhook_proto::Codec;
use support::peer::Peer;
use support::{PATIENCE, Port, Sipp, config, free_port, local_media};

fn status(event: &SipEvent) -> Option<(u16, bool)> {
    match event {
        SipEvent::Failed { status, network, .. } => Some((*status, *network)),
        _ => None,
    }
}

async fn fails_with(name: &str) -> (u16, bool) {
    let sipp = Sipp::server(name).await;
    let mut port = Port::start(config()).await;
    let call = port.dial(sipp.uri());
    let events = port.until_over(call).await;
    port.idle().await;
    sipp.succeeds().await;
    status(events.last().expect("an event")).expect("a failure")
}

#[tokio::test]
async fn an_answered_call_rings_is_answered_and_ends_with_our_bye() {
    let sipp = Sipp::server("uas_answer.xml").await;
    let mut port = Port::start(config()).await;
    let call = port.dial(sipp.uri());
    port.until(call, |event| matches!(event, SipEvent::Ringing)).await;
    let SipEvent::Answered { remote, at_mono_us } = port.answered(call).await else { unreachable!() };
    assert_eq!(remote.media.codec, Codec::Pcmu);
    assert_eq!(remote.media.telephone_event, Some(101));
    assert_eq!(remote.direction, Direction::SendRecv);
    assert!(at_mono_us > 0 && at_mono_us <= support::now().mono_us);
    port.hang_up(call);
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: false, .. })), "{events:?}");
    port.idle().await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn busy_and_redirection_are_failures_with_their_status() {
    assert_eq!(fails_with("uas_busy.xml").await, (486, false));
    assert_eq!(fails_with("uas_redirect.xml").await, (302, false));
}

#[tokio::test]
async fn nobody_answers_within_the_ring_time_and_the_call_is_cancelled() {
    let sipp = Sipp::server("uas_no_answer.xml").await;
    let mut port = Port::start(config()).await;
    let call = port.dial_for(sipp.uri(), 300);
    let events = port.until_over(call).await;
    assert_eq!(events.last().and_then(status), Some((408, false)), "{events:?}");
    port.idle().await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn hanging_up_while_it_rings_cancels() {
    let sipp = Sipp::server("uas_no_answer.xml").await;
    let mut port = Port::start(config()).await;
    let call = port.dial(sipp.uri());
    port.until(call, |event| matches!(event, SipEvent::Ringing)).await;
    port.hang_up(call);
    let events = port.until_over(call).await;
    assert_eq!(events.last().and_then(status), Some((487, false)), "{events:?}");
    port.idle().await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn a_late_200_after_cancel_gets_ack_and_bye() {
    let sipp = Sipp::server("uas_late_200.xml").await;
    let mut port = Port::start(config()).await;
    let call = port.dial(sipp.uri());
    port.until(call, |event| matches!(event, SipEvent::Ringing)).await;
    port.hang_up(call);
    let mut events = port.until_over(call).await;
    events.retain(|event| !matches!(event, SipEvent::SettingUp { .. }));
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events.last().and_then(status), Some((487, false)));
    sipp.succeeds().await;
    port.idle().await;
}

#[tokio::test]
async fn early_media_is_told_before_the_answer() {
    let sipp = Sipp::server("uas_early_media.xml").await;
    let mut port = Port::start(config()).await;
    let call = port.dial(sipp.uri());
    port.until(call, |event| matches!(event, SipEvent::EarlyMedia(_))).await;
    port.answered(call).await;
    port.hang_up(call);
    port.until_over(call).await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn an_answer_without_sdp_stands_on_the_early_one() {
    let sipp = Sipp::server("uas_early_only.xml").await;
    let mut port = Port::start(config()).await;
    let call = port.dial(sipp.uri());
    port.answered(call).await;
    port.hang_up(call);
    port.until_over(call).await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn an_answer_in_an_encoding_that_we_did_not_offer_is_ended() {
    assert_eq!(fails_with("uas_no_codec.xml").await, (488, false));
}

#[tokio::test]
async fn the_second_of_two_forked_answers_gets_ack_and_bye() {
    let sipp = Sipp::server("uas_fork.xml").await;
    let mut port = Port::start(config()).await;
    let call = port.dial(sipp.uri());
    port.answered(call).await;
    let started = Instant::now();
    while !sipp.messages().contains("\nBYE sip:") {
        assert!(started.elapsed() < PATIENCE, "the second answer gets no BYE");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    port.hang_up(call);
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: false, .. })), "{events:?}");
    sipp.succeeds().await;
}

#[tokio::test]
async fn the_peers_hold_and_resume_are_answered_and_told() {
    let sipp = Sipp::server("uas_hold.xml").await;
    let mut port = Port::start(config()).await;
    let call = port.dial(sipp.uri());
    port.answered(call).await;
    let events = port.until_over(call).await;
    let directions: Vec<Direction> = events
        .iter()
        .filter_map(|event| match event {
            SipEvent::Updated(remote) => Some(remote.direction),
            _ => None,
        })
        .collect();
    assert_eq!(directions, [Direction::SendOnly, Direction::SendRecv]);
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: true, .. })), "{events:?}");
    port.idle().await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn update_moves_the_media_and_refer_info_options_are_answered_cleanly() {
    let sipp = Sipp::server("uas_update.xml").await;
    let mut port = Port::start(config()).await;
    let call = port.dial(sipp.uri());
    port.answered(call).await;
    let events = port.until_over(call).await;
    let moved = events
        .iter()
        .any(|event| matches!(event, SipEvent::Updated(remote) if remote.remote.rtp.port() == 40_000));
    assert!(moved, "{events:?}");
    sipp.succeeds().await;
}

#[tokio::test]
async fn a_re_invite_without_sdp_gets_our_offer_and_its_answer_in_the_ack_counts() {
    let sipp = Sipp::server("uas_delayed_reinvite.xml").await;
    let mut port = Port::start(config()).await;
    let call = port.dial(sipp.uri());
    port.answered(call).await;
    let events = port.until_over(call).await;
    let moved = events
        .iter()
        .any(|event| matches!(event, SipEvent::Updated(remote) if remote.remote.rtp.port() == 40_002));
    assert!(moved, "{events:?}");
    sipp.succeeds().await;
}

#[tokio::test]
async fn a_bye_on_the_heels_of_the_answer_is_not_lost() {
    let peer = Peer::new().await;
    let mut port = Port::start(config()).await;
    let (call, invite) = port.answered_by(&peer).await;
    peer.request(&invite, "t", "BYE", 1, "", "").await;
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: true, .. })), "{events:?}");
    assert!(peer.hear("SIP/2.0 200").await.header("CSeq").contains("BYE"));
    port.idle().await;
}

#[tokio::test]
async fn a_request_of_a_forked_branch_is_none_of_the_calls() {
    let peer = Peer::new().await;
    let mut port = Port::start(config()).await;
    let (call, invite) = port.answered_by(&peer).await;
    port.answered(call).await;
    peer.request(&invite, "other", "BYE", 1, "", "").await;
    assert!(peer.hear("SIP/2.0 481").await.header("CSeq").contains("BYE"));
    port.hang_up(call);
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: false, .. })), "{events:?}");
}

/// The stack keeps the first Contact for ever.
#[tokio::test]
async fn a_peer_that_moved_is_followed_to_its_new_contact() {
    let (old, new) = (Peer::new().await, Peer::new().await);
    let mut port = Port::start(config()).await;
    let call = port.dial(Target::Uri(format!("sip:bob@{}", old.address())));
    let invite = old.hear("INVITE").await;
    old.answer(&invite, "t").await;
    port.answered(call).await;
    let sdp = old.sdp().replace("40000", "40010");
    new.request(&invite, "t", "INVITE", 1, "Content-Type: application/sdp\r\n", &sdp).await;
    let answer = new.hear("SIP/2.0 200").await;
    assert!(answer.text.contains("m=audio 30000"), "{}", answer.text);
    new.request(&invite, "t", "ACK", 1, "", "").await;
    port.until(
        call,
        |event| matches!(event, SipEvent::Updated(remote) if remote.remote.rtp.port() == 40_010),
    )
    .await;
    port.until(call, |event| matches!(event, SipEvent::Snapshot { .. })).await;
    port.hang_up(call);
    let bye = new.hear("BYE").await;
    new.respond(&bye, "200 OK", "", "", "").await;
    port.until_over(call).await;
}

#[tokio::test]
async fn session_refresh_by_update_goes_on_and_a_481_to_it_ends_the_call() {
    let peer = Peer::new().await;
    let mut port = Port::start(SipConfig { min_session_s: 1, ..config() }).await;
    let call = port.dial(Target::Uri(format!("sip:bob@{}", peer.address())));
    let invite = peer.hear("INVITE").await;
    let more = format!(
        "Contact: <sip:bob@{}>\r\nContent-Type: application/sdp\r\nAllow: INVITE, UPDATE\r\nRequire: timer\r\n\
         Session-Expires: 2;refresher=uac\r\n",
        peer.address()
    );
    peer.respond(&invite, "200 OK", "t", &more, &peer.sdp()).await;
    port.answered(call).await;
    let refresh = peer.hear("UPDATE").await;
    assert_eq!(refresh.header("Session-Expires"), "2;refresher=uac");
    peer.respond(&refresh, "200 OK", "t", "Session-Expires: 2;refresher=uac\r\n", "").await;
    let refresh = peer.hear("UPDATE").await;
    peer.respond(&refresh, "481 Call Does Not Exist", "t", "", "").await;
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: true, .. })), "{events:?}");
}

#[tokio::test]
async fn our_re_invite_is_sent_again_after_glare() {
    let sipp = Sipp::server("uas_reoffer.xml").await;
    let mut port = Port::start(config()).await;
    let call = port.dial(sipp.uri());
    port.answered(call).await;
    port.until(call, |event| matches!(event, SipEvent::Snapshot { .. })).await;
    let mut local = local_media();
    local.rtp.set_port(31_000);
    local.rtcp.set_port(31_001);
    port.port.command(call, SipCommand::ReOffer { local });
    port.until(call, |event| matches!(event, SipEvent::Snapshot { data } if data.contains("31000"))).await;
    port.hang_up(call);
    port.until_over(call).await;
    sipp.succeeds().await;
}

fn trunk_with_password(mut trunk: TrunkConfig) -> TrunkConfig {
    trunk.credential =
        Some(TrunkCredential { username: "trunkuser".to_owned(), password: "trunkpass".to_owned() });
    trunk
}

async fn authenticates(name: &str) {
    let sipp = Sipp::server(name).await;
    let mut port = Port::with_trunk(trunk_with_password(sipp.trunk())).await;
    let call = port.dial(Target::Trunk { number: "+31655512345".to_owned() });
    port.answered(call).await;
    port.hang_up(call);
    port.until_over(call).await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn a_trunk_that_challenges_gets_credentials_in_md5() {
    authenticates("uas_auth_md5.xml").await;
}

/// The stack writes the algorithm as `SHA256`, which no server takes.
#[tokio::test]
async fn a_trunk_that_challenges_gets_credentials_in_sha_256() {
    authenticates("uas_auth_sha256.xml").await;
}

#[tokio::test]
async fn a_password_that_the_trunk_refuses_is_a_failure_and_not_tried_again() {
    let sipp = Sipp::server("uas_auth_rejected.xml").await;
    let mut port = Port::with_trunk(trunk_with_password(sipp.trunk())).await;
    let call = port.dial(Target::Trunk { number: "+31655512345".to_owned() });
    let events = port.until_over(call).await;
    assert_eq!(events.last().and_then(status), Some((407, false)), "{events:?}");
    sipp.succeeds().await;
}

#[tokio::test]
async fn we_register_at_a_trunk_that_wants_it() {
    let sipp = Sipp::server("uas_register.xml").await;
    let mut trunk = trunk_with_password(sipp.trunk());
    trunk.register = true;
    let _port = Port::with_trunk(trunk).await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn the_trunk_is_called_over_tcp_when_it_is_set_so() {
    let sipp =
        Sipp::run(&["-sf", &support::scenario("uas_answer.xml").display().to_string()], None, "t1", 1).await;
    let mut trunk = sipp.trunk();
    trunk.transport = TrunkTransport::Tcp;
    let mut port = Port::with_trunk(trunk).await;
    let call = port.dial(Target::Trunk { number: "+31655512345".to_owned() });
    port.answered(call).await;
    port.hang_up(call);
    port.until_over(call).await;
    sipp.succeeds().await;
}

/// The stack keeps to UDP whatever the size (RFC 3261 section 18.1.1).
#[tokio::test]
async fn a_large_invite_goes_to_the_trunk_over_tcp() {
    let sipp =
        Sipp::run(&["-sf", &support::scenario("uas_answer.xml").display().to_string()], None, "t1", 1).await;
    let mut port = Port::with_trunk(sipp.trunk()).await;
    let mut local = local_media();
    let wide = local.media[0].clone();
    local.media.extend((96..112).map(|payload_type| offhook_proto::Media {
        codec: Codec::L16 { rate_hz: 8_000 },
        payload_type,
        ..wide.clone()
    }));
    let call = CallId(77);
    let target = Target::Trunk { number: "+31655512345".to_owned() };
    let (caller_id, display) = (None, None);
    port.port.command(
        call,
        SipCommand::Dial {
            target,
            caller_id,
            display,
            local,
            auto_answer: false,
            ring_timeout_ms: 30_000,
            after: None,
        },
    );
    port.answered(call).await;
    port.hang_up(call);
    port.until_over(call).await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_a_network_failure() {
    let mut port = Port::start(config()).await;
    for transport in ["", ";transport=tcp"] {
        let call = port.dial(Target::Uri(format!("sip:bob@127.0.0.1:{}{transport}", free_port())));
        let events = port.until_over(call).await;
        assert_eq!(events.last().and_then(status), Some((503, true)), "{events:?}");
    }
    port.idle().await;
}

#[tokio::test]
async fn a_peer_that_never_responds_is_a_network_failure_at_64_times_t1() {
    let deaf = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let mut port = Port::start(SipConfig { t1_ms: 10, ..config() }).await;
    let to = deaf.local_addr().expect("its address");
    let call = port.dial(Target::Uri(format!("sip:bob@{to}")));
    let events = port.until_over(call).await;
    assert_eq!(events.last().and_then(status), Some((408, true)), "{events:?}");
    port.idle().await;
}

#[tokio::test]
async fn what_cannot_be_dialled_fails_with_a_reason() {
    let mut port = Port::start(config()).await;
    for (target, expected) in [
        (Target::Registered { aor: "nobody".to_owned() }, (480, true)),
        (Target::Trunk { number: "1".to_owned() }, (503, true)),
        (Target::Uri("not a uri at all:".to_owned()), (404, false)),
        (Target::Uri("sip:bob@no-such-host.invalid".to_owned()), (503, true)),
    ] {
        let call = port.dial(target.clone());
        let events = port.until_over(call).await;
        assert_eq!(events.last().and_then(status), Some(expected), "{target:?} {events:?}");
    }
}

#[tokio::test]
async fn a_peer_that_wants_longer_sessions_is_asked_again() {
    let sipp = Sipp::server("uas_too_brief.xml").await;
    let mut port = Port::start(config()).await;
    let call = port.dial(sipp.uri());
    port.answered(call).await;
    port.hang_up(call);
    port.until_over(call).await;
    sipp.succeeds().await;
}

#[tokio::test]
async fn pv_06_the_cause_that_the_carrier_tells_is_passed_on() {
    let sipp = Sipp::server("uas_unallocated.xml").await;
    let mut port = Port::start(config()).await;
    let call = port.dial(sipp.uri());
    let events = port.until_over(call).await;
    let last = events.last();
    assert!(matches!(last, Some(SipEvent::Failed { status: 404, cause: Some(1), .. })), "{events:?}");
    port.idle().await;
    sipp.succeeds().await;
}

/// Both sides of the moment: while our own offer is open, and when the dialog is quiet.
#[tokio::test]
async fn a_refer_at_a_bad_moment_is_declined_and_the_call_goes_on() {
    let peer = Peer::new().await;
    let mut port = Port::start(config()).await;
    let (call, invite) = port.answered_by(&peer).await;
    port.answered(call).await;
    peer.hear("ACK").await;
    port.port.command(call, SipCommand::ReOffer { local: local_media() });
    let reoffer = peer.hear("INVITE").await;
    peer.request(&invite, "t", "REFER", 7, "Refer-To: <sip:eve@127.0.0.1>\r\n", "").await;
    assert!(peer.hear("SIP/2.0 603").await.header("CSeq").contains("REFER"));
    peer.request(&invite, "t", "INVITE", 8, "Content-Type: application/sdp\r\n", &peer.sdp()).await;
    let glare = peer.hear("SIP/2.0 491").await;
    assert!(glare.header("CSeq").contains("8 INVITE"));
    peer.request(&invite, "t", "ACK", 8, "", "").await;
    peer.answer(&reoffer, "t").await;
    peer.request(&invite, "t", "REFER", 9, "Refer-To: <sip:eve@127.0.0.1>\r\n", "").await;
    assert!(peer.hear("SIP/2.0 603").await.header("CSeq").contains("9 REFER"));
    port.hang_up(call);
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: false, .. })), "{events:?}");
}
