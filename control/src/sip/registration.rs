//! The registrar on the wire: REGISTER in, 200, 401, 403 out; expiry; the file that keeps the bindings.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rsipstack::sip::prelude::HeadersExt as _;
use rsipstack::sip::{Header, Request, StatusCode};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::SipConnection;

use super::flow::Flow;
use super::limits::AOR_BYTES;
use super::registrar::{Binding, Change, Register, Verdict};
use super::request::{reply, warning};
use super::shared::{Shared, lock};
use super::text::user_of;

/// How often expired bindings are looked for, and changed ones written.
const EVERY: Duration = Duration::from_secs(1);

/// Answers a REGISTER.
pub(crate) fn answer(shared: &Arc<Shared>, transaction: Transaction) {
    let flow = Flow::of(transaction.connection.as_ref());
    let Some(register) = flow.and_then(|flow| read(&transaction.original, flow)) else {
        return reply(transaction, StatusCode::BadRequest, Vec::new());
    };
    let verdict = lock(&shared.registrar)
        .register(shared.steady_ms(), &register, |user| shared.config.credentials.password(user));
    if let Verdict::Refused(status, reason, _) = verdict {
        mention(&register, status, reason);
    }
    let (status, headers, change) = told(verdict);
    reply(transaction, status, headers);
    if let Some(change) = change {
        let shared = Arc::clone(shared);
        tokio::spawn(async move { shared.emit_registration(change.aor, change.contact).await });
    }
}

/// The answer to a REGISTER whose sender has not shown who it is; none when it has, and only then is it worth a transaction.
pub(crate) fn refusal(
    shared: &Shared,
    request: &Request,
    connection: &SipConnection,
) -> Option<(StatusCode, Vec<Header>)> {
    let Some(register) = Flow::of(Some(connection)).and_then(|flow| read(request, flow)) else {
        return Some((StatusCode::BadRequest, Vec::new()));
    };
    let verdict = lock(&shared.registrar)
        .refusal(shared.steady_ms(), &register, |user| shared.config.credentials.password(user))?;
    if let Verdict::Refused(status, reason, _) = verdict
        && shared.is_to_mention(&shared.refused_register_s)
    {
        mention(&register, status, reason);
    }
    let (status, headers, _) = told(verdict);
    Some((status, headers))
}

fn mention(register: &Register, status: u16, reason: &str) {
    tracing::info!(aor = %register.aor, source = %register.flow.address, status, reason, "REGISTER refused");
}

/// A verdict on the wire, and what the core hears of it.
fn told(verdict: Verdict) -> (StatusCode, Vec<Header>, Option<Change>) {
    match verdict {
        Verdict::Challenge(values) => (StatusCode::Unauthorized, challenges(values), None),
        Verdict::Refused(status, reason, wait_s) => {
            let mut headers = vec![warning(399, reason)];
            headers.extend(wait_s.map(|wait_s| Header::RetryAfter(wait_s.to_string().into())));
            (StatusCode::from(status), headers, None)
        }
        Verdict::Accepted { contacts, change } => {
            let headers = contacts.into_iter().map(|value| Header::Contact(value.into())).collect();
            (StatusCode::OK, headers, change)
        }
    }
}

fn challenges(values: Vec<String>) -> Vec<Header> {
    values.into_iter().map(|value| Header::WwwAuthenticate(value.into())).collect()
}

/// Takes up the bindings of the last run. They are told from a task of their own, because nobody may listen yet.
pub(crate) fn restore(shared: &Arc<Shared>) {
    let Some(saved) = shared.config.bindings.as_deref().and_then(load) else {
        return;
    };
    let there = lock(&shared.registrar).restore(shared.steady_ms(), saved);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        for change in there {
            shared.emit_registration(change.aor, change.contact).await;
        }
    });
}

/// Lets bindings expire and keeps them on disk.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut written = Vec::new();
    loop {
        tokio::time::sleep(EVERY).await;
        let changes = lock(&shared.registrar).expire(shared.steady_ms());
        for change in changes {
            shared.emit_registration(change.aor, change.contact).await;
        }
        let Some(path) = shared.config.bindings.clone() else { continue };
        let current = lock(&shared.registrar).save();
        if current != written {
            let text = serde_json::to_vec(&current).expect("our own types serialise into memory");
            match tokio::task::spawn_blocking(move || store(&path, &text)).await {
                Ok(Ok(())) => written = current,
                Ok(Err(error)) => tracing::warn!(%error, "registrations could not be written"),
                Err(error) => tracing::warn!(%error, "registrations could not be written"),
            }
        }
    }
}

/// What a REGISTER asks for. None when it has not what every REGISTER has, or names a user longer than any of ours.
pub(crate) fn read(request: &Request, flow: Flow) -> Option<Register> {
    let aor = user_of(&request.to_header().ok()?.uri().ok()?);
    Some(Register {
        aor: (aor.len() <= AOR_BYTES).then_some(aor)?,
        authorization: authorization(request),
        contacts: values(request, |header| match header {
            Header::Contact(value) => Some(value.value()),
            _ => None,
        }),
        expires_s: request.expires_header().and_then(|value| value.value().trim().parse().ok()),
        call_id: request.call_id_header().ok()?.value().to_owned(),
        cseq: request.cseq_header().ok()?.seq().ok()?,
        flow,
    })
}

fn authorization(request: &Request) -> Vec<String> {
    values(request, |header| match header {
        Header::Authorization(value) => Some(value.value()),
        _ => None,
    })
}

fn values(request: &Request, pick: impl Fn(&Header) -> Option<&str>) -> Vec<String> {
    request.headers.iter().filter_map(pick).map(str::to_owned).collect()
}

fn load(path: &Path) -> Option<Vec<(String, Vec<Binding>)>> {
    let text = std::fs::read(path).ok()?;
    serde_json::from_slice(&text)
        .inspect_err(
            |error| tracing::warn!(%error, path = %path.display(), "kept registrations cannot be read"),
        )
        .ok()
}

/// Writes beside and renames, so that a crash leaves the old file or the new one.
fn store(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(beside, path)
}
