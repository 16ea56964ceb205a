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

/// A peer that finds every session too short.
struct Impatient {
    peer: Peer,
    /// Of each INVITE that it was sent; retransmissions have the same.
    vias: Vec<String>,
}

impl Impatient {
    async fn new() -> Self {
        Self { peer: Peer::new().await, vias: Vec::new() }
    }

    async fn refuse(&mut self, invite: &Heard) {
        self.note(invite);
        let least = format!("Min-SE: {}\r\n", 1_800 + self.vias.len());
        self.peer.respond(invite, "422 Session Interval Too Small", "t", &least, "").await;
    }

    fn note(&mut self, invite: &Heard) {
        let via = invite.header("Via").to_owned();
        if !self.vias.contains(&via) {
            self.vias.push(via);
        }
    }
}

#[tokio::test]
async fn a_peer_that_finds_every_session_too_short_is_not_called_for_ever() {
    let (mut callee, mut port) = (Impatient::new().await, port().await);
    let call = port.dial(Target::Uri(format!("sip:bob@{}", callee.peer.address())));
    let events = loop {
        tokio::select! {
            events = port.until_over(call) => break events,
            invite = callee.peer.hear("INVITE") => callee.refuse(&invite).await,
        }
    };
    assert!(matches!(events.last(), Some(SipEvent::Failed { status: 422, .. })), "{events:?}");
    assert_eq!(callee.vias.len(), 10);
}

#[tokio::test]
async fn a_peer_that_finds_every_session_too_short_is_not_asked_for_ever() {
    let (mut impatient, mut port) = (Impatient::new().await, port().await);
    let (call, invite) = session_of(&mut port, &impatient.peer, 1_800).await;
    impatient.note(&invite);
    port.port.command(call, SipCommand::ReOffer { local: local_media() });
    loop {
        let request = impatient.peer.hear("").await;
        if request.is("INVITE") {
            impatient.refuse(&request).await;
            // In its turn behind what the refusal brings.
            port.port.command(call, SipCommand::Probe);
        } else if request.is("OPTIONS") {
            impatient.peer.respond(&request, "200 OK", "t", "", "").await;
            if impatient.vias.len() > 10 {
                port.hang_up(call);
            }
        } else if request.is("BYE") {
            impatient.peer.respond(&request, "200 OK", "t", "", "").await;
            break;
        }
    }
    assert_eq!(impatient.vias.len(), 1 + 10);
    port.idle().await;
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
