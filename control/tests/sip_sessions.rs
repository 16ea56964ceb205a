//! Session timers (RFC 4028) in calls with peers that want other ones, or are slow.
#![allow(missing_docs)]

mod support;

use offhook_control::sip::SipConfig;
use offhook_control_core::CallId;
use offhook_control_core::sip::{SipCommand, SipEvent, Target};
use support::peer::{Heard, Peer};
use support::{Port, config, local_media};

async fn port() -> Port {
    Port::start(SipConfig { min_session_s: 1, ..config() }).await
}

/// A call of ours to a peer that takes UPDATE and agrees on a session of so many seconds, which we refresh.
async fn session_of(port: &mut Port, peer: &Peer, seconds: u32) -> (CallId, Heard) {
    let call = port.dial(Target::Uri(format!("sip:bob@{}", peer.address())));
    let invite = peer.hear("INVITE").await;
    let more = format!(
        "Contact: <sip:bob@{}>\r\nContent-Type: application/sdp\r\nAllow: INVITE, UPDATE\r\nRequire: timer\r\n\
         Session-Expires: {seconds};refresher=uac\r\n",
        peer.address()
    );
    peer.respond(&invite, "200 OK", "t", &more, &peer.sdp()).await;
    port.answered(call).await;
    (call, invite)
}

#[tokio::test]
async fn an_answer_to_a_refresh_is_not_taken_for_that_to_an_offer_beside_it() {
    let (peer, mut port) = (Peer::new().await, port().await);
    let (call, invite) = session_of(&mut port, &peer, 2).await;
    let refresh = peer.hear("UPDATE").await;
    let mut local = local_media();
    local.rtp.set_port(31_000);
    port.port.command(call, SipCommand::ReOffer { local });
    let offer = peer.hear("INVITE").await;
    peer.respond(&refresh, "200 OK", "t", "Session-Expires: 1800;refresher=uac\r\n", "").await;
    // What comes behind that is answered: it has been read.
    peer.request(&invite, "t", "OPTIONS", 1, "", "").await;
    peer.hear("SIP/2.0 200").await;
    peer.answer(&offer, "t").await;
    port.until(call, |event| matches!(event, SipEvent::Snapshot { data } if data.contains("31000"))).await;
    port.hang_up(call);
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: false, .. })), "{events:?}");
}
