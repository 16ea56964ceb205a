//! A peer that says exactly what a test wants, when it wants.

use std::collections::HashMap;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

use super::PATIENCE;

/// One UDP socket and no protocol of its own.
pub struct Peer {
    socket: UdpSocket,
}

/// A message, by its first line and headers. Of repeated headers the first is kept.
#[derive(Debug)]
pub struct Heard {
    pub first: String,
    pub headers: HashMap<String, String>,
    pub from: SocketAddr,
    pub text: String,
}

impl Heard {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(&name.to_lowercase()).map_or("", String::as_str)
    }

    pub fn is(&self, start: &str) -> bool {
        self.first.starts_with(start)
    }

    pub fn parse(message: &[u8], from: SocketAddr) -> Self {
        let text = String::from_utf8_lossy(message).into_owned();
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        let mut headers = HashMap::new();
        for (name, value) in lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'))
        {
            headers.entry(name.trim().to_lowercase()).or_insert_with(|| value.trim().to_owned());
        }
        Self { first, headers, from, text }
    }

    /// A response to this request, with a To tag.
    pub fn response(&self, status: &str, tag: &str, more: &str, body: &str) -> String {
        let to = self.header("To");
        let tag = if to.contains("tag=") { String::new() } else { format!(";tag={tag}") };
        format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}\
             Content-Length: {}\r\n\r\n{body}",
            self.header("Via"),
            self.header("From"),
            self.header("Call-ID"),
            self.header("CSeq"),
            body.len(),
        )
    }

    /// A request of `us` (`UDP 127.0.0.1:5060`) in the dialog that was opened by answering this INVITE with `tag`.
    pub fn request(&self, us: &str, tag: &str, method: &str, cseq: u32, more: &str, body: &str) -> String {
        let target = self.header("Contact").trim_matches(['<', '>']);
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{us};branch=z9hG4bK{method}{cseq}{tag}\r\nFrom: {};tag={tag}\r\n\
             To: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n{more}\
             Content-Length: {}\r\n\r\n{body}",
            self.header("To"),
            self.header("From"),
            self.header("Call-ID"),
            body.len(),
        )
    }
}

impl Peer {
    pub async fn new() -> Self {
        Self::at("127.0.0.1:0".parse().expect("an address")).await
    }

    pub async fn at(address: SocketAddr) -> Self {
        Self { socket: UdpSocket::bind(address).await.expect("a port") }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("its address")
    }

    /// The next message that starts so; others are skipped.
    pub async fn hear(&self, start: &str) -> Heard {
        let mut buffer = vec![0; 65_536];
        loop {
            let received = tokio::time::timeout(PATIENCE, self.socket.recv_from(&mut buffer)).await;
            let (length, from) =
                received.unwrap_or_else(|_| panic!("nothing like {start}")).expect("a datagram");
            let heard = Heard::parse(&buffer[..length], from);
            if heard.is(start) {
                return heard;
            }
        }
    }

    pub async fn send(&self, to: SocketAddr, message: &str) {
        self.send_bytes(to, message.as_bytes()).await;
    }

    pub async fn send_bytes(&self, to: SocketAddr, message: &[u8]) {
        self.socket.send_to(message, to).await.expect("sent");
    }

    /// A response to a request, with a To tag.
    pub async fn respond(&self, request: &Heard, status: &str, tag: &str, more: &str, body: &str) {
        self.send(request.from, &request.response(status, tag, more, body)).await;
    }

    /// 200 with SDP to an INVITE.
    pub async fn answer(&self, invite: &Heard, tag: &str) {
        let contact = format!("Contact: <sip:bob@{}>\r\nContent-Type: application/sdp\r\n", self.address());
        self.respond(invite, "200 OK", tag, &contact, &self.sdp()).await;
    }

    /// A request in the dialog that the peer opened by answering `invite` with `tag`.
    pub async fn request(&self, invite: &Heard, tag: &str, method: &str, cseq: u32, more: &str, body: &str) {
        let us = format!("UDP {}", self.address());
        let more = format!("Contact: <sip:bob@{}>\r\n{more}", self.address());
        let message = invite.request(&us, tag, method, cseq, &more, body);
        self.send(invite.from, &message).await;
    }

    pub fn sdp(&self) -> String {
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 101\r\n\
         a=rtpmap:101 telephone-event/8000\r\n"
            .to_owned()
    }
}
