//! Everything that is read of a message before its sender is trusted, on bytes alone: for fuzzing.

use offhook_control_core::sip::{Direction, LocalMedia};
use offhook_proto::Media;
use rsipstack::dialog::DialogId;
use rsipstack::sip::{Request, Response, SipMessage, Transport};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transport::SipConnection;

use super::dialog::{Dialog, contact_value};
use super::digest::{Algorithm, Credentials};
use super::flow::Flow;
use super::legible::Legible;
use super::registrar::Registrar;
use super::sdp;
use super::secrets::{Secrets, Security};
use super::session_timer::SessionTimer;
use super::shared::key_of;
use super::text::{address_uri, one_line, parameter, split_list};
use super::{door, incoming, inspect, legible, outgoing, registration};

/// Reads a datagram as each of our parts would. None when it is no SIP message.
///
/// # Panics
/// When a promise of ours does not hold, such as that nobody writes a line of their own into our requests.
pub fn read(datagram: &[u8]) -> Option<()> {
    let mut buffer = vec![0; datagram.len() + ROOM_BYTES];
    buffer[..datagram.len()].copy_from_slice(datagram);
    if let Legible::Message(length) = legible::datagram(&mut buffer, datagram.len()) {
        let _ = legible::message(&mut buffer[..length]);
    }
    let message = SipMessage::try_from(datagram).ok()?;
    on_message(&message);
    match message {
        SipMessage::Request(request) => on_request(&request),
        SipMessage::Response(response) => on_response(&response),
    }
    let shown = inspect::redacted(&String::from_utf8_lossy(datagram));
    let credentials = |line: &str| line.to_ascii_lowercase().starts_with("authorization: digest");
    assert!(!shown.lines().any(credentials), "credentials are shown: {shown}");
    Some(())
}

/// What the stack does with it first, in the two tasks that all of SIP hangs on.
fn on_message(message: &SipMessage) {
    for transport in [Transport::Udp, Transport::Tcp] {
        let Ok(received) = SipConnection::update_msg_received(message.clone(), flow().address, transport)
        else {
            continue;
        };
        let _ = match &received {
            SipMessage::Request(request) => TransactionKey::from_request(request, TransactionRole::Server),
            SipMessage::Response(response) => {
                TransactionKey::from_response(response, TransactionRole::Client)
            }
        };
        let _ = (SipConnection::get_destination(&received), received.to_bytes());
        if let SipMessage::Request(request) = &received {
            let _ = DialogId::try_from((request, TransactionRole::Server));
        }
    }
}

fn on_request(request: &Request) {
    let _ = (key_of(request), door::unfit(request), door::replacing(request));
    if let Some(unknown) = door::required(request) {
        is_one_line(&unknown);
    }
    for name in ["Session-Expires", "Replaces", "Referred-By", "RAck", "Refer-To", "Reason"] {
        let value = incoming::value(request, name);
        if let Ok(Some(timer)) = SessionTimer::of_request(value.as_deref(), LEAST_S) {
            assert!(timer.interval_s >= LEAST_S);
            on_timer(timer);
        }
        value.iter().for_each(|value| on_value(value));
    }
    is_one_line(&one_line(&incoming::caller(request)));
    incoming::told(request).iter().for_each(|(_, value)| on_value(value));
    if let Ok(mut dialog) = Dialog::of_invite(request, "tag", "sip:us@127.0.0.1", Some(flow()), true) {
        on_dialog(&dialog);
        let _ = dialog.takes(request);
        if let Some(contact) = contact_value(&request.headers) {
            dialog.refresh_target(contact);
        }
        on_dialog(&dialog);
    }
    if let Some(register) = registration::read(request, flow()) {
        let mut registrar = Registrar::new("realm", &[Algorithm::Sha256, Algorithm::Md5], 1);
        let _ = registrar.register(NOW_MS, &register, |_| Some("password".to_owned()));
        let _ = registrar.refusal(NOW_MS, &register, |_| Some("password".to_owned()));
        for value in &register.authorization {
            let _ = Credentials::parse(value)
                .map(|found| (found.nonce_count(), found.matches("REGISTER", "password")));
        }
        // As if the password had been right.
        let _ = registrar.bind(NOW_MS, &register);
        let kept = registrar.save();
        registrar.expire(NOW_MS + 1_000_000_000);
        let _ = registrar.restore(NOW_MS, kept);
    }
    on_body(&request.body);
}

fn on_response(response: &Response) {
    let timer = SessionTimer::of_response(outgoing::header(response, "Session-Expires").as_deref(), LEAST_S);
    timer.into_iter().for_each(on_timer);
    let _ = (outgoing::min_se(response), outgoing::allows(&response.headers, "UPDATE"));
    let failure = outgoing::failure_of(response);
    is_one_line(&one_line(&failure.reason));
    if let Ok(invite) = Request::try_from(INVITE)
        && let Ok(dialog) = Dialog::of_answer(&invite, response, Some(flow()), true)
    {
        on_dialog(&dialog);
    }
    on_body(&response.body);
}

fn on_body(body: &[u8]) {
    for security in [Security::Off, Security::Optional, Security::Required] {
        let secrets = Secrets::new(security);
        let ours = LocalMedia {
            rtp: flow().address,
            rtcp: flow().address,
            media: vec![Media::default()],
            session_version: 1,
        };
        if let Ok(offer) = sdp::Description::parse(body, security) {
            let _ = offer.remote_media(&ours.media, &secrets).map(|remote| sdp::reversed(remote.direction));
        }
        let _ = sdp::accept(body, &ours, &secrets).map(|remote| remote.direction == Direction::SendRecv);
    }
}

fn on_value(value: &str) {
    for part in split_list(value) {
        let _ = (address_uri(part), parameter(part, "tag"));
    }
}

/// What is in it is written into our requests, and into the journal.
fn on_dialog(dialog: &Dialog) {
    let text = serde_json::to_string(dialog).expect("our own types serialise into memory");
    // A backslash of theirs is no escape.
    let escapes = text.replace(r"\\", "");
    assert!(!escapes.contains(r"\r") && !escapes.contains(r"\n"), "a line of its own: {text}");
    let again: Dialog = serde_json::from_str(&text).expect("what was written is read");
    assert_eq!(&again, dialog);
}

fn on_timer(timer: SessionTimer) {
    assert!(timer.due_ms() <= u64::from(timer.interval_s) * 1_000);
    is_one_line(&timer.response_value());
}

fn is_one_line(text: &str) {
    assert!(!text.contains(['\r', '\n']), "{text:?}");
}

fn flow() -> Flow {
    Flow { tcp: false, address: ([127, 0, 0, 9], 5_070).into() }
}

/// Behind a datagram, for a header.
const ROOM_BYTES: usize = 64;
const LEAST_S: u32 = 90;
const NOW_MS: u64 = 1_800_000_000_000;
/// The request that a response is taken to answer.
const INVITE: &str = "INVITE sip:+31201@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n\
    From: <sip:us@127.0.0.1>;tag=a\r\nTo: <sip:+31201@127.0.0.1>\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n\
    Contact: <sip:us@127.0.0.1>\r\nContent-Length: 0\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    /// The fuzz target's corpus: each message whole, cut off anywhere, and with a byte changed anywhere.
    #[test]
    fn whatever_a_stranger_sends_is_read_or_left() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus/sip");
        let mut whole = 0;
        for file in std::fs::read_dir(corpus).expect("the corpus is there") {
            let message = std::fs::read(file.expect("a file").path()).expect("it can be read");
            assert!(read(&message).is_some(), "{}", String::from_utf8_lossy(&message));
            whole += 1;
            for at in 0..message.len() {
                let _ = read(&message[..at]);
                for byte in [0, b'\r', b';', b'<', b'"', b'%', 0xc3] {
                    let mut changed = message.clone();
                    changed[at] = byte;
                    let _ = read(&changed);
                }
            }
        }
        assert!(whole >= 6);
    }
}
