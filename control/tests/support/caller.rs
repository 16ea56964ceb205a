//! A caller that the trunk lets in, and its call.

use std::net::SocketAddr;

use offhook_control::sip::{SipConfig, TrunkConfig};
use offhook_control_core::CallId;
use offhook_control_core::sip::{SipCommand, SipEvent};

use super::peer::{Heard, Peer};
use super::{Port, config, free_port, local_media};

/// A port of quick timers that takes anybody on 127.0.0.1 for its trunk.
pub async fn port() -> Port {
    let trunk = Some(TrunkConfig::new("127.0.0.1", free_port()));
    Port::start(SipConfig { t1_ms: 50, min_session_s: 1, trunk, ..config() }).await
}

/// A caller: the same dialog in all of its requests.
pub struct Caller {
    pub peer: Peer,
    pub to: SocketAddr,
}

impl Caller {
    pub async fn of(port: &Port) -> Self {
        Self { peer: Peer::new().await, to: port.address() }
    }

    pub async fn send(&self, method: &str, cseq: u32, to: &str, more: &str, body: &str) {
        self.peer.send(self.to, &self.message(method, cseq, to, more, body)).await;
    }

    /// What is sent.
    pub fn message(&self, method: &str, cseq: u32, to: &str, more: &str, body: &str) -> String {
        let (us, at) = (self.peer.address(), self.to);
        // A CANCEL is of the INVITE's transaction (RFC 3261 section 9.1).
        let of = if method == "CANCEL" { "INVITE" } else { method };
        let to = if to.is_empty() { format!("<sip:100@{at}>") } else { to.to_owned() };
        format!(
            "{method} sip:100@{at} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{0}{of}{cseq}\r\nFrom: <sip:+316@{us}>;tag=f\r\n\
             To: {to}\r\nCall-ID: c{0}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:c@{us}>\r\n{more}\
             Content-Length: {1}\r\n\r\n{body}",
            us.port(),
            body.len(),
        )
    }

    pub async fn invite(&self, cseq: u32, to: &str, more: &str) {
        let more = format!("Content-Type: application/sdp\r\n{more}");
        self.send("INVITE", cseq, to, &more, &self.peer.sdp()).await;
    }

    /// Its call, answered by us; the 200.
    pub async fn through(&self, port: &mut Port, more: &str) -> (CallId, Heard) {
        self.invite(1, "", more).await;
        let (call, _) = port.incoming().await;
        answer(port, call);
        (call, self.peer.hear("SIP/2.0 200").await)
    }

    /// The next response to a request of its own; what repeats others is skipped.
    pub async fn response(&self, cseq: &str) -> Heard {
        loop {
            let heard = self.peer.hear("SIP/2.0").await;
            if heard.header("CSeq") == cseq && !heard.is("SIP/2.0 100") {
                return heard;
            }
        }
    }
}

pub fn answer(port: &Port, call: CallId) {
    port.port.command(call, SipCommand::Answer { local: local_media() });
}

pub async fn ends(port: &mut Port, call: CallId, of_peer: bool) {
    let events = port.until_over(call).await;
    assert!(
        matches!(events.last(), Some(SipEvent::Ended { by_peer, .. }) if *by_peer == of_peer),
        "{events:?}"
    );
    port.idle().await;
}
