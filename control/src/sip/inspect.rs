//! What happens to every message between the stack and the wire: a trace without secrets, the digest algorithm's name, the
//! time of arrival.

use rsipstack::sip::prelude::{HasHeaders as _, HeadersExt as _};
use rsipstack::sip::{Header, Method, Response, SipMessage, StatusCodeKind, Uri};
use rsipstack::transaction::endpoint::MessageInspector;
use rsipstack::transport::SipAddr;

use super::config::Clock;

/// Filter for `tracing` under which the stack never writes a message with credentials: it logs whole ones at `info`. That a connection of
/// TCP has ended is no news either.
pub const LOG_FILTER: &str = "info,rsipstack=warn,rsipstack::transport::stream=error";

const ARRIVAL: &str = "Offhook-Arrival";
const LOCAL: &str = "local";

pub(crate) struct Inspector {
    pub(crate) clock: Clock,
}

impl MessageInspector for Inspector {
    fn before_send(&self, mut msg: SipMessage, dest: Option<&SipAddr>) -> SipMessage {
        for header in msg.headers_mut().iter_mut() {
            match header {
                Header::Authorization(value) => value.replace(wire_algorithm(value.value())),
                Header::ProxyAuthorization(value) => value.replace(wire_algorithm(value.value())),
                _ => {}
            }
        }
        trace("sent", &msg, dest);
        msg
    }

    fn after_received(&self, mut msg: SipMessage, from: Option<&SipAddr>) -> SipMessage {
        trace("received", &msg, from);
        if let (SipMessage::Response(answer), Some(from)) = (&mut msg, from) {
            name_contact(answer, from);
        }
        if msg.is_response() {
            for header in msg.headers_mut().iter_mut() {
                match header {
                    Header::WwwAuthenticate(value) => value.replace(stack_algorithm(value.value())),
                    Header::ProxyAuthenticate(value) => value.replace(stack_algorithm(value.value())),
                    _ => {}
                }
            }
            msg.headers_mut().retain(|header| header.name() != ARRIVAL);
            // The stack makes responses of its own for timeouts and broken connections; those come from nowhere.
            let arrival = match from {
                Some(_) => (self.clock)().mono_us.to_string(),
                None => LOCAL.to_owned(),
            };
            msg.headers_mut().push(Header::Other(ARRIVAL.to_owned(), arrival));
        }
        msg
    }
}

/// The stack takes no answer to an INVITE without a Contact, and leaves its peer in a call of its own. It is had where it answered from.
fn name_contact(answer: &mut Response, from: &SipAddr) {
    let opens =
        answer.cseq_header().is_ok_and(|cseq| cseq.method().is_ok_and(|method| method == Method::Invite));
    if opens && answer.status_code.kind() == StatusCodeKind::Successful && answer.contact_header().is_err() {
        let uri = Uri::from(from);
        answer.headers.push(Header::Contact(format!("<{uri}>").into()));
    }
}

/// When a response came in, in microseconds on the shell's monotonic clock.
pub(crate) fn arrival_us(headers: &rsipstack::sip::Headers) -> Option<u64> {
    arrival(headers)?.parse().ok()
}

/// Whether the stack made a response itself, because no peer answered.
pub(crate) fn is_local(headers: &rsipstack::sip::Headers) -> bool {
    arrival(headers) == Some(LOCAL)
}

fn arrival(headers: &rsipstack::sip::Headers) -> Option<&str> {
    headers.iter().find_map(|header| match header {
        Header::Other(name, value) if name == ARRIVAL => Some(value.as_str()),
        _ => None,
    })
}

/// The stack writes `SHA256` and `qop="auth"`; RFC 7616 has `SHA-256` and `qop=auth` (sections 3.3 and 3.4).
fn wire_algorithm(value: &str) -> String {
    value.replace("SHA256", "SHA-256").replace("qop=\"auth\"", "qop=auth")
}

fn stack_algorithm(value: &str) -> String {
    value.replace("SHA-256", "SHA256").replace("sha-256", "SHA256")
}

pub(crate) fn trace(way: &str, msg: &SipMessage, peer: Option<&SipAddr>) {
    if tracing::enabled!(target: "offhook::sip", tracing::Level::DEBUG) {
        let peer = peer.map(ToString::to_string).unwrap_or_default();
        tracing::debug!(target: "offhook::sip", %peer, "{way}\n{}", redacted(&msg.to_string()));
    }
}

/// A message without its credentials.
pub(crate) fn redacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let name = line.split(':').next().unwrap_or_default().trim();
        if name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("proxy-authorization") {
            out.push_str(name);
            out.push_str(": (left out)\r\n");
        } else {
            out.push_str(line);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_leaves_credentials_out() {
        let text = "REGISTER sip:a SIP/2.0\r\nAuthorization: Digest username=\"a\", response=\"secret\"\r\nTo: <sip:a>\r\n";
        let shown = redacted(text);
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("To: <sip:a>"));
    }

    #[test]
    fn the_algorithm_is_named_as_rfc_7616_has_it_on_the_wire() {
        let written = "Digest algorithm=SHA256, qop=\"auth\", nonce=\"x\"";
        assert_eq!(wire_algorithm(written), "Digest algorithm=SHA-256, qop=auth, nonce=\"x\"");
        assert_eq!(
            stack_algorithm("Digest algorithm=SHA-256, nonce=\"x\""),
            "Digest algorithm=SHA256, nonce=\"x\""
        );
    }
}
