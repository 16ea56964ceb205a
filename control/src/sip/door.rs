//! The door: what opens nothing is answered here, without a transaction (RFC 3261 section 8.2.7), so that a flood of it costs
//! no memory; new work is refused while there is too much of it (section 21.5.4); responses that an earlier run asked for
//! find the call that goes on with them; and requests in dialogs of that run wait until these are taken up.

use std::sync::{Arc, Weak};

use rsipstack::sip::prelude::HeadersExt as _;
use rsipstack::sip::{Header, Method, Request, Response, SipMessage, StatusCode, Version};
use rsipstack::transaction::endpoint::{EndpointInner, TransportEventInspector};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use tokio::sync::mpsc;

use super::flow::Flow;
use super::inspect::trace;
use super::limits::{FINISHED_TRANSACTIONS, RETRY_AFTER_S};
use super::request::allow;
use super::shared::{Message, Shared, Slot, key_of, key_of_response};
use super::taking_up::Hold;
use super::text::one_line;
use super::{incoming, registration, reliable};

/// Stands between the transports and the transactions, for what the stack reads itself.
pub(crate) struct Door {
    pub(crate) shared: Slot,
}

pub(crate) type Answer = (StatusCode, Vec<Header>);

#[async_trait::async_trait]
impl TransportEventInspector for Door {
    async fn handle(&self, event: TransportEvent) -> Option<TransportEvent> {
        match (event, self.shared.get().and_then(Weak::upgrade)) {
            (TransportEvent::Incoming(message, connection, from), Some(shared)) => {
                let let_in = is_let_in(&shared, &message, &connection, &from).await;
                let_in.then_some(TransportEvent::Incoming(message, connection, from))
            }
            (event, _) => Some(event),
        }
    }
}

/// A message has come in. Returns when it has been answered here or handed to its transaction.
pub(crate) async fn receive(
    shared: &Arc<Shared>,
    message: SipMessage,
    connection: SipConnection,
    from: SipAddr,
) {
    if is_let_in(shared, &message, &connection, &from).await
        && let Err(error) = shared.endpoint.on_received_message(message, connection, &from).await
    {
        tracing::debug!(%from, %error, "a message is left out");
    }
}

/// Whether a message goes on to the transactions: what does not has been answered, or is kept.
async fn is_let_in(
    shared: &Arc<Shared>,
    message: &SipMessage,
    connection: &SipConnection,
    from: &SipAddr,
) -> bool {
    let request = match message {
        SipMessage::Response(response) => {
            let Some(call) = stray(shared, response) else { return true };
            trace("received", message, Some(from));
            // One that finds no room comes again.
            let _ = call.try_send(Message::Stray(Box::new(response.clone())));
            return false;
        }
        SipMessage::Request(request) => request,
    };
    if connection.is_reliable()
        && let Some(response) = settled(&shared.endpoint, request)
    {
        trace("received", message, Some(from));
        trace("sent", &response, Some(from));
        shared.unread.send(connection, response).await;
        return false;
    }
    let Some((mut status, mut headers)) = answer(shared, request, connection) else {
        return true;
    };
    let unknown = key_of(request).filter(|_| status == StatusCode::CallTransactionDoesNotExist);
    if let Some(key) = unknown.filter(|_| shared.taking_up.lasts()) {
        // Its dialog may be the next that is taken up. What comes over a connection does not come again.
        if !connection.is_reliable() {
            return false;
        }
        match shared.taking_up.hold(key, (request.clone(), connection.clone(), from.clone())) {
            Hold::Held => return false,
            Hold::Full => (status, headers) = busy(),
            Hold::Over(_) => return true,
        }
    }
    trace("received", message, Some(from));
    let response = response(&shared.endpoint, request, (status, headers));
    trace("sent", &response, Some(from));
    shared.unread.send(connection, response).await;
    false
}

/// The response that is an answer of the door.
pub(crate) fn response(endpoint: &EndpointInner, request: &Request, (status, headers): Answer) -> SipMessage {
    let mut response = endpoint.make_response(request, status, None);
    response.version = Version::V2;
    if let Ok(to) = response.to_header().cloned()
        && to.tag().is_ok_and(|tag| tag.is_none())
    {
        // The same for a retransmission (section 8.2.7).
        response.headers.unique_push(to.with_tag("door".into()).into());
    }
    response.headers.extend(headers);
    SipMessage::Response(response)
}

/// Lets in what waited for the dialogs of the run before.
pub(crate) async fn let_in(shared: Arc<Shared>) {
    while let Some(released) = shared.taking_up.released(|key| shared.dialog(key).is_some()).await {
        for (request, connection, from) in released {
            let message = SipMessage::Request(request);
            if let Err(error) = shared.endpoint.on_received_message(message, connection, &from).await {
                tracing::debug!(%error, "a request that waited for its dialog is lost");
            }
        }
    }
}

/// The call that a response to an INVITE of an earlier run belongs to: the stack knows no transaction for it.
fn stray(shared: &Shared, response: &Response) -> Option<mpsc::Sender<Message>> {
    if response.cseq_header().ok()?.method().ok()? != Method::Invite {
        return None;
    }
    let call = shared.dialog(&key_of_response(response)?)?;
    let key = TransactionKey::from_response(response, TransactionRole::Client).ok()?;
    let known = shared.endpoint.transactions.get(&key).is_some()
        || shared.endpoint.finished_transactions.get(&key).is_some();
    (!known).then_some(call)
}

/// What the stack would answer by itself, waiting for its peer meanwhile: the answer of a transaction that is over, and that to a
/// CANCEL of none (RFC 3261 section 9.2).
fn settled(endpoint: &EndpointInner, request: &Request) -> Option<SipMessage> {
    if request.method == Method::Ack {
        return None;
    }
    let key = TransactionKey::from_request(request, TransactionRole::Server).ok()?;
    let last = endpoint.finished_transactions.get(&key).flatten();
    if request.method != Method::Cancel {
        return last.filter(SipMessage::is_response);
    }
    let (status, to) = match last {
        Some(SipMessage::Response(last)) => (StatusCode::OK, last.to_header().ok().cloned()),
        Some(SipMessage::Request(_)) | None if endpoint.transactions.get(&key).is_some() => return None,
        Some(SipMessage::Request(_)) | None => (StatusCode::CallTransactionDoesNotExist, None),
    };
    let mut response = endpoint.make_response(request, status, None);
    if let Some(to) = to {
        response.headers.unique_push(to.into());
    }
    Some(SipMessage::Response(response))
}

/// The answer to a request that no transaction is made for; none lets it in.
fn answer(shared: &Shared, request: &Request, connection: &SipConnection) -> Option<Answer> {
    if request.method == Method::Ack {
        return None;
    }
    if let Some(refusal) = unfit(request) {
        return Some(refusal);
    }
    // What ends work always gets in, and what has been answered once is answered the same again.
    if request.method == Method::Cancel || is_retransmission(&shared.endpoint, request) {
        return None;
    }
    if let Some(key) = key_of(request) {
        return shared.dialog(&key).is_none().then(no_such_call);
    }
    if let Some(unknown) = required(request) {
        return Some((StatusCode::BadExtension, vec![Header::Unsupported(unknown.into())]));
    }
    let refusal = match request.method {
        Method::Invite => foreign_call(shared, connection).or_else(|| replacing(request)),
        Method::Register => registration::refusal(shared, request, connection),
        Method::Options => {
            let accept = Header::Accept("application/sdp".into());
            Some((StatusCode::OK, vec![allow(), accept, Header::Supported("timer".into())]))
        }
        Method::Bye | Method::Notify | Method::PRack | Method::Update | Method::Info => Some(no_such_call()),
        Method::Message | Method::Publish | Method::Refer | Method::Subscribe => {
            Some((StatusCode::MethodNotAllowed, vec![allow()]))
        }
        Method::Ack | Method::Cancel => None,
    };
    refusal.or_else(|| is_full(shared).then(busy))
}

/// What is wrong with a request whatever it asks for: its version (RFC 3261 section 21.5.7), a header that it must have (section 8.1.1), or
/// a body that is no session description where one is due (section 8.2.3).
pub(crate) fn unfit(request: &Request) -> Option<Answer> {
    if request.version != Version::V2 {
        return Some((StatusCode::VersionNotSupported, Vec::new()));
    }
    if !is_whole(request, &request.method.to_string()) {
        return Some((StatusCode::BadRequest, Vec::new()));
    }
    let describes = matches!(request.method, Method::Invite | Method::Update);
    if !describes || request.body.trim_ascii().is_empty() {
        return None;
    }
    let takes = if is_encoded(request) {
        Header::AcceptEncoding("identity".into())
    } else if is_description(request) {
        return None;
    } else {
        Header::Accept("application/sdp".into())
    };
    Some((StatusCode::UnsupportedMediaType, vec![takes]))
}

/// Whether a request has the headers that each must have, with a From tag, and a CSeq of its method.
pub(crate) fn is_whole(request: &Request, method: &str) -> bool {
    let is_numbered = request.cseq_header().is_ok_and(|cseq| {
        let mut words = cseq.value().split_whitespace();
        let is_number = words.next().is_some_and(|number| number.parse::<u32>().is_ok());
        is_number && words.next().is_some_and(|of| of.eq_ignore_ascii_case(method)) && words.next().is_none()
    });
    let is_named = request.call_id_header().is_ok_and(|call_id| !call_id.value().is_empty());
    let is_signed = request.from_header().is_ok_and(|from| from.tag().is_ok_and(|tag| tag.is_some()));
    is_numbered && is_named && is_signed && request.to_header().is_ok()
}

/// Whether a body is compressed, or the like.
fn is_encoded(request: &Request) -> bool {
    let said = request.header_value("Content-Encoding");
    said.is_some_and(|said| !said.trim().eq_ignore_ascii_case("identity"))
}

/// Whether a body is one of SDP, or has parts of which one may be; who says nothing is believed.
fn is_description(request: &Request) -> bool {
    let said = request.headers.iter().find_map(|header| match header {
        Header::ContentType(value) => Some(value.value().trim().to_ascii_lowercase()),
        _ => None,
    });
    said.is_none_or(|said| said.starts_with("application/sdp") || said.starts_with("multipart/"))
}

fn no_such_call() -> Answer {
    (StatusCode::CallTransactionDoesNotExist, Vec::new())
}

fn busy() -> Answer {
    (StatusCode::ServiceUnavailable, vec![Header::RetryAfter(RETRY_AFTER_S.to_string().into())])
}

fn is_full(shared: &Shared) -> bool {
    shared.endpoint.transactions.len() >= shared.config.max_transactions
        || shared.endpoint.finished_transactions.len() >= FINISHED_TRANSACTIONS
}

/// Only the trunk may call.
fn foreign_call(shared: &Shared, connection: &SipConnection) -> Option<Answer> {
    let flow = Flow::of(Some(connection));
    if flow.is_some_and(|flow| incoming::is_trunk(shared, flow)) {
        return None;
    }
    if shared.is_to_mention(&shared.foreign_call_s) {
        let source = flow.map(|flow| flow.address);
        tracing::info!(?source, "a call that does not come from the trunk is refused");
    }
    Some((StatusCode::Forbidden, Vec::new()))
}

/// Calls are passed on by us alone: none is replaced, as if there were none (RFC 3891 section 3).
pub(crate) fn replacing(request: &Request) -> Option<Answer> {
    request.header_value("Replaces").is_some().then(no_such_call)
}

fn is_retransmission(endpoint: &EndpointInner, request: &Request) -> bool {
    TransactionKey::from_request(request, TransactionRole::Server).is_ok_and(|key| {
        endpoint.transactions.get(&key).is_some() || endpoint.finished_transactions.get(&key).is_some()
    })
}

/// What a request requires and we do not know (RFC 3261 section 8.2.2.3).
pub(crate) fn required(request: &Request) -> Option<String> {
    let values = request.headers.iter().filter_map(|header| match header {
        Header::Require(value) => Some(value.value()),
        _ => None,
    });
    let unknown: Vec<&str> = values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case("timer"))
        .filter(|token| !(request.method == Method::Invite && token.eq_ignore_ascii_case(reliable::TAG)))
        .collect();
    (!unknown.is_empty() && request.to_header().is_ok()).then(|| one_line(&unknown.join(", ")))
}
