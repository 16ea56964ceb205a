//! Agents' phones and customers behind a carrier: they answer at once, and customers hang up after a while (RFC 3261 over UDP).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::socket::{setsockopt, sockopt};

use super::tally::Tally;

/// Runs on a thread of its own, for as long as the process lives; where phones and carrier are.
pub(super) fn start(control: SocketAddr, talk: Duration, tally: Arc<Tally>) -> Result<SocketAddr> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let size = 16 << 20;
    if setsockopt(&socket, sockopt::RcvBufForce, &size).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &size)?;
    }
    socket.set_read_timeout(Some(TICK))?;
    let local = socket.local_addr()?;
    let phones =
        Phones { socket, local, control, talk, tally, calls: HashMap::new(), due: BinaryHeap::new() };
    thread::spawn(move || phones.run());
    Ok(local)
}

struct Phones {
    socket: UdpSocket,
    local: SocketAddr,
    control: SocketAddr,
    talk: Duration,
    tally: Arc<Tally>,
    /// By Call-ID.
    calls: HashMap<String, Call>,
    due: BinaryHeap<Reverse<(Instant, String)>>,
}

struct Call {
    /// Our 200 OK, until its ACK has come.
    unacked: Option<Vec<u8>>,
    bye: Option<Bye>,
}

/// How a customer hangs up.
struct Bye {
    request: Vec<u8>,
    /// Not before this.
    at: Option<Instant>,
    times: u32,
}

impl Phones {
    fn run(mut self) {
        let mut buffer = vec![0; 65_536];
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    if let Some(message) =
                        std::str::from_utf8(&buffer[..length]).ok().and_then(Message::parse)
                    {
                        self.take(&message, from);
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => thread::sleep(TICK),
            }
            let now = Instant::now();
            while self.due.peek().is_some_and(|Reverse((at, _))| *at <= now) {
                if let Some(Reverse((_, id))) = self.due.pop() {
                    self.on_due(id, now);
                }
            }
        }
    }

    fn take(&mut self, message: &Message, from: SocketAddr) {
        let id = message.header("Call-ID").to_owned();
        match message.start.split(' ').next() {
            Some("INVITE") => self.invite(message, id, from),
            Some("ACK") => {
                let at = Instant::now() + self.talk;
                if let Some(call) = self.calls.get_mut(&id).filter(|call| call.unacked.is_some()) {
                    call.unacked = None;
                    if let Some(bye) = &mut call.bye {
                        bye.at = Some(at);
                        self.due.push(Reverse((at, id)));
                    }
                }
            }
            Some("SIP/2.0") => {
                // The only request of ours is a BYE.
                self.calls.remove(&id);
            }
            Some("BYE") => {
                self.calls.remove(&id);
                self.send(&message.response("200 OK", "x", ""), from);
            }
            _ => self.send(&message.response("200 OK", "x", ""), from),
        }
    }

    fn invite(&mut self, message: &Message, id: String, from: SocketAddr) {
        if let Some(call) = self.calls.get(&id) {
            if let Some(ok) = &call.unacked {
                self.send(ok, from);
            }
            return;
        }
        let tag = format!("{:x}", self.calls.len() + 1);
        let uri = message.start.split(' ').nth(1).unwrap_or_default();
        let user =
            uri.strip_prefix("sip:").and_then(|rest| rest.split(['@', ';']).next()).unwrap_or_default();
        let customer = Tally::is_customer(user);
        let bye = customer.map(|_| Bye { request: self.bye(message, &tag), at: None, times: 0 });
        self.send(&message.response("180 Ringing", &tag, ""), from);
        let body = format!(
            "Contact: <sip:peer@{}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            self.local,
            SDP.len()
        );
        let ok = message.response("200 OK", &tag, &body);
        if let (Some(number), Some(port)) = (customer, message.rtp_port()) {
            self.tally.answer(number, port);
        }
        self.send(&ok, from);
        self.due.push(Reverse((Instant::now() + RESEND, id.clone())));
        self.calls.insert(id, Call { unacked: Some(ok), bye });
    }

    fn bye(&self, invite: &Message, tag: &str) -> Vec<u8> {
        let contact = invite.header("Contact");
        let uri = contact.split(['<', '>']).nth(1).unwrap_or(contact);
        format!(
            "BYE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{};rport\r\nMax-Forwards: 70\r\n\
             From: {};tag={tag}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n",
            self.local,
            invite.header("Call-ID"),
            invite.header("To"),
            invite.header("From"),
            invite.header("Call-ID"),
        )
        .into_bytes()
    }

    /// What was not acknowledged is sent again; whoever has talked long enough hangs up.
    fn on_due(&mut self, id: String, now: Instant) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let again = match (&call.unacked, &mut call.bye) {
            (Some(ok), _) => ok.clone(),
            (None, Some(bye)) if bye.at.is_some_and(|at| at <= now) => {
                bye.times += 1;
                if bye.times > MOST_BYES {
                    self.calls.remove(&id);
                    return;
                }
                bye.request.clone()
            }
            (None, _) => return,
        };
        self.send(&again, self.control);
        self.due.push(Reverse((now + RESEND, id)));
    }

    fn send(&self, message: &[u8], to: SocketAddr) {
        // What is lost is sent again.
        let _ = self.socket.send_to(message, to);
    }
}

/// A request or response, as far as it is needed here.
struct Message<'a> {
    start: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a str,
}

impl<'a> Message<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let start = lines.next()?;
        let headers =
            lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim(), value.trim()));
        Some(Self { start, headers: headers.collect(), body })
    }

    fn header(&self, name: &str) -> &'a str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// The port of its audio.
    fn rtp_port(&self) -> Option<u16> {
        let line = self.body.lines().find_map(|line| line.strip_prefix("m=audio "))?;
        line.split(' ').next()?.parse().ok()
    }

    /// `end`: headers and body that follow, or nothing for neither.
    fn response(&self, status: &str, tag: &str, end: &str) -> Vec<u8> {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for (name, value) in &self.headers {
            let copied =
                ["Via", "From", "To", "Call-ID", "CSeq"].iter().any(|known| known.eq_ignore_ascii_case(name));
            if !copied {
                continue;
            }
            text += &format!("{name}: {value}");
            if name.eq_ignore_ascii_case("To") && !value.contains(";tag=") {
                text += &format!(";tag={tag}");
            }
            text += "\r\n";
        }
        text += if end.is_empty() { "Content-Length: 0\r\n\r\n" } else { end };
        text.into_bytes()
    }
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n\
                   a=rtpmap:0 PCMU/8000\r\n";
const TICK: Duration = Duration::from_millis(5);
const RESEND: Duration = Duration::from_millis(500);
const MOST_BYES: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_copies_what_it_must_and_tags_the_called_party_once() {
        let text = "INVITE sip:+1000000007@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nTo: <sip:b>\r\n\
                    From: <sip:a>;tag=1\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nUser-Agent: y\r\n\r\n\
                    v=0\r\nm=audio 4002 RTP/AVP 0\r\n";
        let invite = Message::parse(text).expect("a message");
        assert_eq!(invite.rtp_port(), Some(4_002));
        let response = String::from_utf8(invite.response("180 Ringing", "t", "")).expect("text");
        assert_eq!(
            response,
            "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nTo: <sip:b>;tag=t\r\nFrom: <sip:a>;tag=1\r\n\
             Call-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        let again = Message::parse(&response).expect("a message");
        assert!(
            String::from_utf8(again.response("200 OK", "u", "")).is_ok_and(|text| !text.contains("tag=u"))
        );
    }
}
