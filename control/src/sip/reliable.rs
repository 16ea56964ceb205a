//! Provisional responses that a caller wants to acknowledge (RFC 3262): numbered, sent again until their PRACK, one at a time.

use std::time::Duration;

use rsipstack::sip::prelude::HeadersExt as _;
use rsipstack::sip::{CSeq, Header, Request, Response};
use tokio::time::Instant;

/// The option tag.
pub(crate) const TAG: &str = "100rel";

/// Those of one INVITE that requires them.
#[derive(Debug)]
pub(crate) struct Reliable {
    /// CSeq number of the INVITE.
    cseq: u32,
    /// RSeq of the last one.
    rseq: u32,
    t1: Duration,
    unacked: Option<Unacked>,
    /// Waits for the acknowledgement of the one before.
    next: Option<Response>,
}

#[derive(Debug)]
struct Unacked {
    response: Response,
    due: Instant,
    wait: Duration,
    give_up: Instant,
}

/// What a deadline brings.
#[derive(Debug)]
pub(crate) enum Due {
    /// The response goes out once more.
    Again(Response),
    /// It was never acknowledged: the INVITE is refused (section 3).
    Over,
}

impl Reliable {
    /// None when the caller does not require them: they are sent as ever then.
    pub(crate) fn of_invite(invite: &Request, t1_ms: u64) -> Option<Self> {
        let required = invite.headers.iter().any(|header| match header {
            Header::Require(value) => {
                value.value().split(',').any(|tag| tag.trim().eq_ignore_ascii_case(TAG))
            }
            _ => false,
        });
        let cseq = invite.cseq_header().and_then(CSeq::seq).ok().filter(|_| required)?;
        Some(Self { cseq, rseq: 0, t1: Duration::from_millis(t1_ms), unacked: None, next: None })
    }

    /// The response as it goes out now; none when it has to wait for a PRACK.
    pub(crate) fn send(&mut self, mut response: Response, now: Instant) -> Option<Response> {
        if self.unacked.is_some() {
            self.next = Some(response);
            return None;
        }
        self.rseq += 1;
        response.headers.push(Header::Require(TAG.into()));
        response.headers.push(Header::RSeq(self.rseq.to_string().into()));
        self.unacked = Some(Unacked {
            response: response.clone(),
            due: now + self.t1,
            wait: self.t1,
            give_up: now + self.t1 * 64,
        });
        Some(response)
    }

    /// Whether a PRACK is awaited; the final answer waits for it as well (section 3).
    pub(crate) fn is_waiting(&self) -> bool {
        self.unacked.is_some()
    }

    /// Takes a PRACK. False: it acknowledges nothing that waits, and gets 481 (section 3).
    pub(crate) fn on_prack(&mut self, prack: &Request) -> bool {
        let rack = prack.header_value("RAck").unwrap_or_default();
        let parts: Vec<&str> = rack.split_whitespace().collect();
        let [rseq, cseq, method] = parts[..] else { return false };
        let acknowledges = rseq.parse() == Ok(self.rseq)
            && cseq.parse() == Ok(self.cseq)
            && method.eq_ignore_ascii_case("INVITE");
        acknowledges && self.unacked.take().is_some()
    }

    /// What waited for that PRACK, ready to go out.
    pub(crate) fn following(&mut self, now: Instant) -> Option<Response> {
        let next = self.next.take()?;
        self.send(next, now)
    }

    /// When something is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.unacked.as_ref().map(|unacked| unacked.due)
    }

    /// The deadline has come: the wait doubles each time, and ends after 64·T1.
    pub(crate) fn on_due(&mut self, now: Instant) -> Option<Due> {
        let unacked = self.unacked.as_mut()?;
        if now >= unacked.give_up {
            self.unacked = None;
            return Some(Due::Over);
        }
        unacked.wait *= 2;
        unacked.due = (now + unacked.wait).min(unacked.give_up);
        Some(Due::Again(unacked.response.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Request {
        Request::try_from(text.replace('\n', "\r\n").as_bytes()).expect("a request")
    }

    fn request(method: &str, more: &str) -> Request {
        message(&format!(
            "{method} sip:a@b SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\nFrom: <sip:c@d>;tag=1\nTo: <sip:a@b>\n\
             Call-ID: 1\nCSeq: 7 {method}\n{more}Content-Length: 0\n\n"
        ))
    }

    fn ringing() -> Response {
        let text = "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
                    To: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n";
        Response::try_from(text.as_bytes()).expect("a response")
    }

    fn reliable() -> Reliable {
        Reliable::of_invite(&request("INVITE", "Require: timer, 100rel\n"), 500).expect("it requires them")
    }

    #[test]
    fn who_does_not_require_them_does_not_get_them() {
        assert!(Reliable::of_invite(&request("INVITE", "Supported: 100rel\n"), 500).is_none());
    }

    #[test]
    fn one_goes_out_again_with_doubled_waits_until_its_prack_and_the_next_waits() {
        let (mut reliable, start) = (reliable(), Instant::now());
        let first = reliable.send(ringing(), start).expect("the first goes out");
        assert_eq!(first.header_value("RSeq").as_deref(), Some("1"));
        assert_eq!(first.header_value("Require").as_deref(), Some("100rel"));
        assert!(reliable.send(ringing(), start).is_none(), "one at a time");
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(reliable.due(), Some(at(500)));
        assert!(matches!(reliable.on_due(at(500)), Some(Due::Again(_))));
        assert_eq!(reliable.due(), Some(at(1_500)));
        for wrong in ["2 7 INVITE", "1 8 INVITE", "1 7 BYE", "", "1 7", "x y z"] {
            assert!(!reliable.on_prack(&request("PRACK", &format!("RAck: {wrong}\n"))), "{wrong}");
        }
        assert!(reliable.on_prack(&request("PRACK", "RAck: 1 7 INVITE\n")));
        assert!(!reliable.is_waiting());
        let second = reliable.following(at(600)).expect("the second goes out");
        assert_eq!(second.header_value("RSeq").as_deref(), Some("2"));
        assert!(
            !reliable.on_prack(&request("PRACK", "RAck: 1 7 INVITE\n")),
            "the first is acknowledged already"
        );
    }

    #[test]
    fn one_that_is_never_acknowledged_is_given_up_after_64_t1() {
        let (mut reliable, start) = (reliable(), Instant::now());
        reliable.send(ringing(), start);
        let mut sent = 1;
        let over = loop {
            let due = reliable.due().expect("a deadline");
            match reliable.on_due(due) {
                Some(Due::Again(_)) => sent += 1,
                Some(Due::Over) => break due,
                None => panic!("nothing waits"),
            }
        };
        assert_eq!(over, start + Duration::from_secs(32));
        assert_eq!(sent, 7);
        assert!(!reliable.is_waiting());
    }
}
