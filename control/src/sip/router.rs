//! Where each request of a peer goes.

use std::sync::Arc;

use rsipstack::sip::{Header, Method, StatusCode};
use rsipstack::transaction::TransactionReceiver;
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::mpsc::error::TrySendError;

use super::limits::RETRY_AFTER_S;
use super::request::reply;
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
    // All others were answered at the door.
    match transaction.original.method {
        Method::Invite => incoming::take(shared, transaction),
        Method::Register => registration::answer(shared, transaction),
        _ => {}
    }
}

fn refuse(message: Message, status: StatusCode) {
    if let Message::Peer(transaction) = message {
        let wait = Header::RetryAfter(RETRY_AFTER_S.to_string().into());
        let headers = if status == StatusCode::ServiceUnavailable { vec![wait] } else { Vec::new() };
        reply(*transaction, status, headers);
    }
}
