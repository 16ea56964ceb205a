//! What has come, before the stack reads it. It leaves out without a word what it cannot read, and takes some of the rest for something
//! else: what is wrong with a request is said here, and what can be set right without harm is.

use std::str::from_utf8;

use rsipstack::sip::prelude::HeadersExt as _;
use rsipstack::sip::{Method, Request, SipMessage, StatusCode};
use rsipstack::transport::SipConnection;

use super::door::{self, Answer};
use super::flow::Flow;
use super::inspect::trace;
use super::pieces::content_length;
use super::request::allow;
use super::shared::Shared;

/// What is to be done with it.
#[derive(Debug)]
pub(crate) enum Legible {
    /// So many bytes of it are for the stack.
    Message(usize),
    /// A request that is not.
    Refused(Refused),
    /// It is left out: no message, or one that is never answered.
    Nothing,
}

/// A request that the stack would leave out or mistake.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Its headers, under another Request-Line.
    request: Box<Request>,
    answer: Answer,
}

impl Refused {
    /// What its sender is told; none where its headers do not say who that is.
    pub(crate) fn response(self, shared: &Shared, flow: Flow) -> Option<SipMessage> {
        let message = SipMessage::Request(*self.request);
        let received = SipConnection::update_msg_received(message, flow.address, flow.transport()).ok()?;
        let SipMessage::Request(request) = received else { return None };
        let response = door::response(&shared.endpoint, &request, self.answer);
        trace("received by another name", &SipMessage::Request(request), Some(&flow.sip_addr()));
        trace("sent", &response, Some(&flow.sip_addr()));
        Some(response)
    }
}

/// Looks at a datagram of `length` bytes; there may be room behind it. Its body goes to its end where nothing is said of its length
/// (RFC 3261 section 18.3), which the stack has to be told.
pub(crate) fn datagram(buffer: &mut [u8], length: usize) -> Legible {
    let is_keep_alive = buffer[..length].trim_ascii().is_empty();
    let Some(head) = head_of(&buffer[..length]).filter(|_| !is_keep_alive) else {
        return Legible::Message(length);
    };
    mend(&mut buffer[..head]);
    let body = length - head;
    let framed = match content_length(&buffer[..head]) {
        Ok(Some(said)) if said > body && length == buffer.len() => Err(TOO_LARGE),
        // A response that only says so has lost nothing.
        Ok(Some(said)) if said > body && (body > 0 || !buffer.starts_with(RESPONSE)) => Err(BAD),
        Ok(None) if body > 0 => Ok(Some(format!("Content-Length: {body}\r\n"))),
        Ok(_) => Ok(None),
        Err(_) => Err(BAD),
    };
    match (look(&buffer[..head], framed.as_ref().err().cloned()), framed) {
        (Legible::Message(_), Ok(Some(line))) => {
            let end = length + line.len();
            if end > buffer.len() {
                return refuse(&buffer[..head], (TOO_LARGE, Vec::new()));
            }
            buffer.copy_within(head - 2..length, head - 2 + line.len());
            buffer[head - 2..head - 2 + line.len()].copy_from_slice(line.as_bytes());
            Legible::Message(end)
        }
        (Legible::Message(_), _) => Legible::Message(length),
        (other, _) => other,
    }
}

/// Looks at a message of a stream.
pub(crate) fn message(bytes: &mut [u8]) -> Legible {
    let Some(head) = head_of(bytes) else { return Legible::Nothing };
    mend(&mut bytes[..head]);
    match look(&bytes[..head], None) {
        Legible::Message(_) => Legible::Message(bytes.len()),
        other => other,
    }
}

/// Length of the headers, with the line that ends them.
fn head_of(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)
}

/// Puts a question mark for each byte that is no UTF-8: at such a line the stack would stop, and miss those behind it.
fn mend(head: &mut [u8]) {
    let mut from = 0;
    while let Err(error) = from_utf8(&head[from..]) {
        from += error.valid_up_to();
        head[from] = b'?';
    }
}

/// Looks at the first line; `unframed` says that nobody can tell where the body ends, and what that is answered with.
fn look(head: &[u8], unframed: Option<StatusCode>) -> Legible {
    let line = first_line(head);
    if head.starts_with(RESPONSE) {
        // A response whose body is not all there is left out (RFC 3261 section 18.3).
        return if unframed.is_some() { Legible::Nothing } else { Legible::Message(head.len()) };
    }
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let (method, version) = (words.next().unwrap_or_default(), words.next_back().unwrap_or_default());
    let known = Method::try_from(method).ok();
    let ends_work = matches!(known, Some(Method::Ack | Method::Bye | Method::Cancel));
    if SipMessage::try_from(format!("{line}\r\n\r\n").as_bytes()).is_ok() {
        return match unframed.filter(|_| !ends_work) {
            Some(status) => refuse(head, (status, Vec::new())),
            None => Legible::Message(head.len()),
        };
    }
    if !version.starts_with("SIP/") || known == Some(Method::Ack) {
        return Legible::Nothing;
    }
    if version != "SIP/2.0" {
        return refuse(head, (StatusCode::VersionNotSupported, Vec::new()));
    }
    if known.is_some() || !is_token(method) {
        return refuse(head, (BAD, Vec::new()));
    }
    refuse(head, (StatusCode::NotImplemented, vec![allow()]))
}

fn refuse(head: &[u8], answer: Answer) -> Legible {
    let line = first_line(head);
    let method = line.split([' ', '\t']).next().unwrap_or_default();
    let readable = [b"OPTIONS sip:invalid SIP/2.0", &head[line.len()..]].concat();
    let Ok(SipMessage::Request(request)) = SipMessage::try_from(readable.as_slice()) else {
        return Legible::Nothing;
    };
    // An ACK is never answered, however it is written.
    if request.cseq_header().is_ok_and(|cseq| cseq.value().trim_end().ends_with(" ACK")) {
        return Legible::Nothing;
    }
    let answer = if door::is_whole(&request, method) { answer } else { (BAD, Vec::new()) };
    Legible::Refused(Refused { request: Box::new(request), answer })
}

fn first_line(head: &[u8]) -> &str {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).unwrap_or_default()
}

/// Whether it can name a method (RFC 3261 section 25.1).
fn is_token(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

const RESPONSE: &[u8] = b"SIP/";
const BAD: StatusCode = StatusCode::BadRequest;
/// Of a datagram, no more than the buffer takes is read.
const TOO_LARGE: StatusCode = StatusCode::MessageTooLarge;

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: &str = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\n\
        Call-ID: 1\r\nCSeq: 1 METHOD\r\n";

    /// What a datagram is made into in a buffer with some room, or the status that it gets.
    fn seen(bytes: &[u8]) -> Result<Vec<u8>, Option<u16>> {
        let mut buffer = bytes.to_vec();
        buffer.resize(bytes.len() + 40, 0);
        match datagram(&mut buffer, bytes.len()) {
            Legible::Message(length) => Ok(buffer[..length].to_vec()),
            Legible::Refused(refused) => Err(Some(refused.answer.0.code())),
            Legible::Nothing => Err(None),
        }
    }

    fn text(line: &str, more: &str, body: &str) -> Vec<u8> {
        let method = line.split(' ').next().unwrap_or_default();
        format!("{line}\r\n{}{more}\r\n{body}", HEADERS.replace("METHOD", method)).into_bytes()
    }

    #[test]
    fn a_request_that_cannot_be_read_gets_the_status_that_says_so_and_an_ack_none() {
        for (line, status) in [
            ("FOO sip:a@b SIP/2.0", Some(501)),
            ("FOO@ sip:a@b SIP/2.0", Some(400)),
            ("FOO sip:a@b SIP/3.0", Some(505)),
            ("INVITE sip: SIP/2.0", Some(400)),
            ("INVITE sip:a b SIP/2.0", Some(400)),
            ("INVITE  SIP/2.0", Some(400)),
            ("INVITE SIP/2.0", Some(400)),
            ("ACK  SIP/2.0", None),
            ("ack  SIP/2.0", None),
            ("GET / HTTP/1.1", None),
            ("", None),
        ] {
            assert_eq!(seen(&text(line, "", "")), Err(status), "{line}");
        }
        let acks = String::from_utf8(text("FOO sip:a@b SIP/2.0", "", "")).expect("text");
        assert_eq!(seen(acks.replace("1 FOO", "1 ACK").as_bytes()), Err(None));
        for (right, wrong) in [("1 FOO", "1 BAR"), ("1 FOO", "-1 FOO"), ("From:", "By:"), (";tag=1", "")] {
            assert_eq!(seen(acks.replace(right, wrong).as_bytes()), Err(Some(400)), "{wrong}");
        }
    }

    #[test]
    fn a_body_goes_to_the_end_of_its_datagram_where_nothing_is_said_of_its_length() {
        for line in ["INVITE sip:a@b SIP/2.0", "SIP/2.0 200 OK", "ACK sip:a@b SIP/2.0"] {
            let made = seen(&text(line, "", "v=0\r\n")).expect("a message");
            assert_eq!(made, text(line, "Content-Length: 5\r\n", "v=0\r\n"), "{line}");
            for said in ["Content-Length: 5\r\n", "l : 5\r\n", "Content-Length: 2\r\n"] {
                let whole = text(line, said, "v=0\r\n");
                assert_eq!(seen(&whole), Ok(whole), "{said}");
            }
            let none = text(line, "", "");
            assert_eq!(seen(&none), Ok(none));
        }
    }

    #[test]
    fn a_body_that_is_not_all_there_is_refused_and_what_ends_work_gets_in() {
        for said in ["Content-Length: 6\r\n", "Content-Length: -1\r\n", "l: 1\r\nContent-Length: 5\r\n"] {
            for (line, status) in [("INVITE sip:a@b SIP/2.0", Some(400)), ("SIP/2.0 200 OK", None)] {
                assert_eq!(seen(&text(line, said, "v=0\r\n")), Err(status), "{line} {said}");
            }
            for line in ["ACK sip:a@b SIP/2.0", "BYE sip:a@b SIP/2.0", "CANCEL sip:a@b SIP/2.0"] {
                let as_it_is = text(line, said, "v=0\r\n");
                assert_eq!(seen(&as_it_is), Ok(as_it_is));
            }
        }
    }

    #[test]
    fn what_is_longer_than_the_buffer_is_too_large() {
        for said in ["Content-Length: 9000\r\n", ""] {
            let mut full = text("INVITE sip:a@b SIP/2.0", said, &"x".repeat(7_000));
            let length = full.len();
            let Legible::Refused(refused) = datagram(&mut full, length) else { panic!("it is let in") };
            assert_eq!(refused.answer.0, StatusCode::MessageTooLarge);
        }
    }

    #[test]
    fn bytes_that_are_no_text_hide_no_header_and_the_body_stays_as_it_is() {
        let with = |name: &[u8], body: &[u8]| {
            let subject = [b"Subject: ", name, b"\r\nContent-Length: 2\r\n"].concat();
            let whole = String::from_utf8(text("INFO sip:a@b SIP/2.0", "MORE", "BODY")).expect("text");
            let (head, rest) = whole.split_once("MORE").expect("a place");
            [head.as_bytes(), &subject, rest.strip_suffix("BODY").expect("a body").as_bytes(), body].concat()
        };
        assert_eq!(
            seen(&with(b"Jos\xe9 \xff\xfe\xc3\xa9", b"\xff\xfe")),
            Ok(with(b"Jos? ??\xc3\xa9", b"\xff\xfe"))
        );
    }

    #[test]
    fn keep_alives_and_what_has_no_end_are_left_as_they_are() {
        for bytes in [&b"\r\n\r\n"[..], b"\r\n", b"", b"\0", b"INVITE sip:a@b SIP/2.0\r\nVia: x"] {
            let _ = seen(bytes);
        }
        assert_eq!(seen(b"\r\n\r\n"), Ok(b"\r\n\r\n".to_vec()));
    }
}
