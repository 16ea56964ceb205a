//! Requests of ours outside call set-up, and answers to the peer's.

use std::sync::Arc;

use rsipstack::dialog::authenticate::{AuthRetry, handle_client_authenticate};
use rsipstack::sip::prelude::HeadersExt as _;
use rsipstack::sip::{Header, Method, Request, Response, SipMessage, StatusCode, StatusCodeKind};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::SipAddr;

use super::inspect::trace;
use super::sdp::SdpError;
use super::shared::Shared;
use super::text::one_line;

/// Methods that we take.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, UPDATE, INFO, OPTIONS, REFER";
/// CSeq numbers that one request may use up: itself and its retries with credentials.
pub(crate) const CSEQS_PER_REQUEST: u32 = 4;

/// Sends a request and waits for its final response; answers challenges with the trunk's credentials. None when it could not
/// be sent or the transaction ended without a response. The CSeq numbers after the request's must be free for retries.
pub(crate) async fn send(
    shared: &Arc<Shared>,
    request: Request,
    destination: SipAddr,
    trunk: bool,
) -> Option<Response> {
    let mut cseq = request.cseq_header().ok()?.seq().ok()?;
    let is_invite = request.method == Method::Invite;
    let key = TransactionKey::from_request(&request, TransactionRole::Client).ok()?;
    let mut transaction = Transaction::new_client(key, request, shared.endpoint.clone(), None);
    transaction.destination = Some(destination);
    transaction.send().await.ok()?;
    let credential = if trunk { shared.trunk_credential() } else { None };
    let mut auth = AuthRetry::new();
    loop {
        let SipMessage::Response(response) = transaction.receive().await? else { continue };
        if response.status_code.kind() == StatusCodeKind::Provisional {
            continue;
        }
        let challenged = matches!(
            response.status_code,
            StatusCode::Unauthorized | StatusCode::ProxyAuthenticationRequired
        );
        if let Some(credential) = credential.as_ref().filter(|_| challenged && auth.should_answer(&response))
        {
            cseq += 1;
            transaction = handle_client_authenticate(cseq, &transaction, response, credential).await.ok()?;
            transaction.send().await.ok()?;
            continue;
        }
        if is_invite && response.status_code.kind() == StatusCodeKind::Successful {
            // Retransmitted 2xx get their ACK for as long as the transaction lasts (RFC 6026 section 7.2).
            tokio::spawn(async move { while transaction.receive().await.is_some() {} });
        }
        return Some(response);
    }
}

/// Sends a request that nobody answers: an ACK. What is lost is asked for again by the peer.
pub(crate) async fn send_once(shared: &Shared, request: Request, destination: SipAddr) {
    let message = SipMessage::Request(request);
    trace("sent", &message, Some(&destination));
    let sent = match shared.endpoint.transport_layer.lookup(&destination, None).await {
        Ok((connection, resolved)) => connection.send(message, Some(&resolved)).await,
        Err(error) => Err(error),
    };
    if let Err(error) = sent {
        tracing::debug!(%error, "an ACK could not be sent");
    }
}

/// Answers a request without waiting.
pub(crate) fn reply(mut transaction: Transaction, status: StatusCode, headers: Vec<Header>) {
    tokio::spawn(async move {
        if let Err(error) = transaction.reply_with(status, headers, None).await {
            tracing::debug!(%error, "a response could not be sent");
        }
        // An INVITE's refusal is retransmitted until its ACK.
        if transaction.original.method == Method::Invite {
            while transaction.receive().await.is_some() {}
        }
    });
}

/// Why a request is refused (RFC 3261 section 20.43); code 399 is of nothing in particular.
pub(crate) fn warning(code: u16, reason: &str) -> Header {
    Header::Warning(format!("{code} offhook \"{}\"", one_line(reason)).into())
}

/// Why a session description is refused, in the 488 to it.
pub(crate) fn sdp_warning(error: &SdpError) -> Header {
    warning(error.warning_code(), &error.to_string())
}

pub(crate) fn allow() -> Header {
    Header::Allow(ALLOW.into())
}

/// A response with the peer's Record-Route, our Contact and what we take.
pub(crate) fn full_response(
    shared: &Shared,
    request: &Request,
    status: StatusCode,
    contact: &str,
    sdp: Option<String>,
) -> Response {
    let body = sdp.map(String::into_bytes);
    let has_body = body.is_some();
    let mut response = shared.endpoint.make_response(request, status, body);
    for header in request.headers.iter() {
        if matches!(header, Header::RecordRoute(_)) {
            response.headers.push(header.clone());
        }
    }
    response.headers.push(Header::Contact(format!("<{contact}>").into()));
    response.headers.push(allow());
    response.headers.push(Header::Supported("timer".into()));
    if has_body {
        response.headers.push(Header::ContentType("application/sdp".into()));
    }
    response
}
