//! A phone over TCP that registers, and says exactly what a test wants.

use std::net::SocketAddr;

use md5::Digest as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::PATIENCE;
use super::peer::Heard;

/// One connection of a phone whose Contact leads nowhere.
pub struct Phone {
    stream: TcpStream,
    received: Vec<u8>,
    at: SocketAddr,
}

impl Phone {
    pub async fn connect(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).await.expect("a connection");
        Self { stream, received: Vec::new(), at }
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("written");
    }

    /// The next message that starts so; others are skipped.
    pub async fn hear(&mut self, start: &str) -> Heard {
        loop {
            if let Some(length) = self.whole() {
                let heard = Heard::parse(&self.received[..length], self.at);
                self.received.drain(..length);
                if heard.is(start) {
                    return heard;
                }
                continue;
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await;
            let length = read.unwrap_or_else(|_| panic!("nothing like {start}")).expect("bytes");
            assert_ne!(length, 0, "the connection ends before anything like {start}");
        }
    }

    /// How long the message is that has come whole.
    fn whole(&self) -> Option<usize> {
        let head = self.received.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let body =
            Heard::parse(&self.received[..head], self.at).header("Content-Length").parse().unwrap_or(0);
        (self.received.len() >= head + body).then_some(head + body)
    }

    /// Registers `user` at `contact`, with what the address is followed by; `cseq` and the next are its numbers.
    pub async fn register(&mut self, user: &str, contact: &str, cseq: u32) {
        self.send(&register(user, contact, cseq, "")).await;
        let challenge = self.hear("SIP/2.0 401").await;
        self.send(&register(user, contact, cseq + 1, &authorization(user, &challenge.text))).await;
        self.hear("SIP/2.0 200").await;
    }

    pub async fn respond(&mut self, request: &Heard, status: &str, tag: &str) {
        self.send(&request.response(status, tag, "", "")).await;
    }

    /// 200 with SDP to an INVITE.
    pub async fn answer(&mut self, invite: &Heard, contact: &str, tag: &str, sdp: &str) {
        let more = format!("Contact: {contact}\r\nContent-Type: application/sdp\r\n");
        self.send(&invite.response("200 OK", tag, &more, sdp)).await;
    }
}

fn register(user: &str, contact: &str, cseq: u32, authorization: &str) -> String {
    format!(
        "REGISTER sip:offhook.test SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK{cseq}\r\n\
         From: <sip:{user}@offhook.test>;tag=1\r\nTo: <sip:{user}@offhook.test>\r\nCall-ID: {user}-tcp\r\n\
         CSeq: {cseq} REGISTER\r\nContact: {contact}\r\nMax-Forwards: 70\r\n\
         {authorization}Content-Length: 0\r\n\r\n"
    )
}

/// The answer to a challenge: the user's password is its name with `-secret`.
fn authorization(user: &str, challenge: &str) -> String {
    let nonce = nonce(challenge);
    let md5 = |text: String| hex(&md5::Md5::digest(text));
    let secret = md5(format!("{user}:offhook.test:{user}-secret"));
    let request = md5("REGISTER:sip:offhook.test".to_owned());
    let response = md5(format!("{secret}:{nonce}:00000001:c:auth:{request}"));
    format!(
        "Authorization: Digest username=\"{user}\", realm=\"offhook.test\", nonce=\"{nonce}\", \
         uri=\"sip:offhook.test\", qop=auth, nc=00000001, cnonce=\"c\", response=\"{response}\"\r\n"
    )
}

/// The nonce of a challenge.
pub fn nonce(challenge: &str) -> &str {
    challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
