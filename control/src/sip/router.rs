//! Where each request of a peer goes.

use std::sync::Arc;

use rsipstack::sip::prelude::HeadersExt as _;
use rsipstack::sip::{Header, Method, Request, StatusCode};
use rsipstack::transaction::TransactionReceiver;
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::mpsc::error::TrySendError;

use super::limits::RETRY_AFTER_S;
use super::request::{allow, reply};
use super::shared::{Message, Shared, key_of};
use super::{incoming, registration};

pub(crate) async fn run(shared: Arc<Shared>, mut transactions: TransactionReceiver) {
    while let Some(transaction) = transactions.recv().await {
        route(&shared, transaction);
    }
}

fn route(shared: &Arc<Shared>, transaction: Transaction) {
    if let Some(key) = key_of(&transaction.original) {
        let Some(call) = shared.dialog(&key) else {
            return reply(transaction, StatusCode::CallTransactionDoesNotExist, Vec::new());
        };
        return match call.try_send(Message::Peer(Box::new(transaction))) {
            Ok(()) => {}
            Err(TrySendError::Full(message)) => refuse(message, StatusCode::ServiceUnavailable),
            Err(TrySendError::Closed(message)) => refuse(message, StatusCode::CallTransactionDoesNotExist),
        };
    }
    if let Some(unknown) = required(&transaction.original) {
        return reply(transaction, StatusCode::BadExtension, vec![Header::Unsupported(unknown.into())]);
    }
    match transaction.original.method {
        Method::Invite => incoming::take(shared, transaction),
        Method::Register => registration::answer(shared, transaction),
        Method::Options => {
            let accept = Header::Accept("application/sdp".into());
            reply(transaction, StatusCode::OK, vec![allow(), accept, Header::Supported("timer".into())]);
        }
        Method::Bye | Method::Notify | Method::PRack | Method::Update | Method::Info => {
            reply(transaction, StatusCode::CallTransactionDoesNotExist, Vec::new());
        }
        Method::Ack | Method::Cancel => {}
        Method::Message | Method::Publish | Method::Refer | Method::Subscribe => {
            reply(transaction, StatusCode::MethodNotAllowed, vec![allow()]);
        }
    }
}

fn refuse(message: Message, status: StatusCode) {
    if let Message::Peer(transaction) = message {
        let wait = Header::RetryAfter(RETRY_AFTER_S.to_string().into());
        let headers = if status == StatusCode::ServiceUnavailable { vec![wait] } else { Vec::new() };
        reply(*transaction, status, headers);
    }
}

/// What a request requires and we do not know (RFC 3261 section 8.2.2.3).
pub(crate) fn required(request: &Request) -> Option<String> {
    let unknown: Vec<String> = request
        .headers
        .iter()
        .filter_map(|header| match header {
            Header::Require(value) => Some(value.value()),
            _ => None,
        })
        .flat_map(|value| value.split(','))
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case("timer"))
        .collect();
    (!unknown.is_empty() && request.to_header().is_ok()).then(|| unknown.join(", "))
}
