//! OPTIONS to the trunk outside calls (RFC 3261 section 11): an outage is known before a customer is dialled.
//!
//! Any answer shows that it is there, whatever it thinks of OPTIONS, but 503: that is its word that it takes no calls.

use std::sync::Arc;
use std::time::Duration;

use rsipstack::sip::typed::CSeq;
use rsipstack::sip::{Header, Method, Request, Version};

use super::config::{TrunkConfig, TrunkTransport};
use super::connections;
use super::dialog::listener;
use super::flow::Flow;
use super::request::{self, allow};
use super::shared::Shared;
use super::trunk::{address, domain};
use super::unreachable::refusal;

/// Asks again and again, and tells the core whenever the answer is another one than before.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let Some(trunk) = shared.config.trunk.clone() else { return };
    let Some(every_s) = trunk.options_every_s else { return };
    let every = Duration::from_secs(u64::from(every_s));
    let mut known = None;
    loop {
        let outage = ask(&shared, &trunk).await.err();
        let is_up = outage.is_none();
        if known != Some(is_up) {
            match &outage {
                Some(reason) => {
                    tracing::error!(
                        reason,
                        "the trunk is down: no customer is dialled until it answers OPTIONS"
                    );
                }
                None => tracing::info!("the trunk answers OPTIONS: customers are dialled"),
            }
            known = Some(is_up);
            shared.emit_trunk(outage).await;
        }
        tokio::time::sleep(if is_up { every } else { every.min(AWAY_PAUSE) }).await;
    }
}

/// One OPTIONS, sent again like any request. Fails with the reason why the trunk counts as away.
async fn ask(shared: &Arc<Shared>, trunk: &TrunkConfig) -> Result<(), String> {
    let address = address(shared).await.map_err(|error| format!("{error:#}"))?;
    let flow = Flow { tcp: trunk.transport == TrunkTransport::Tcp, address };
    let request = options(shared, trunk, flow)?;
    connections::open(shared, flow).await.map_err(|error| format!("{error:#}"))?;
    let refusal = refusal(shared, address);
    let patience = Duration::from_millis(u64::from(shared.config.t1_ms)) * PATIENCE_T1;
    let response = tokio::select! {
        response = request::send(shared, request, flow.sip_addr(), true) => response,
        () = refusal, if !flow.tcp => return Err(format!("nobody listens at {address}")),
        () = tokio::time::sleep(patience) => None,
    };
    match response.map(|response| response.status_code.code()) {
        None | Some(408) => Err(format!("{address} does not answer OPTIONS")),
        Some(503) => Err(format!("{address} answers OPTIONS with 503")),
        Some(_) => Ok(()),
    }
}

fn options(shared: &Shared, trunk: &TrunkConfig, flow: Flow) -> Result<Request, String> {
    let uri = domain(trunk)?;
    let via = shared
        .endpoint
        .get_via(listener(&shared.endpoint, flow.transport()), None)
        .map_err(|error| error.to_string())?;
    let method = Method::Options;
    let (tag, call_id): (u64, u128) = (rand::random(), rand::random());
    let headers = vec![
        Header::Via(via.into()),
        Header::CallId(format!("{call_id:032x}").into()),
        Header::From(format!("<sip:offhook@{}>;tag={tag:016x}", shared.config.realm).into()),
        Header::To(format!("<{uri}>").into()),
        Header::CSeq(CSeq { seq: 1, method }.into()),
        Header::MaxForwards(70.into()),
        Header::UserAgent(shared.endpoint.user_agent.clone().into()),
        Header::Contact(format!("<{}>", shared.contact(flow.tcp)).into()),
        Header::Accept("application/sdp".into()),
        allow(),
        Header::ContentLength(0.into()),
    ];
    Ok(Request { method, uri, headers: headers.into(), body: Vec::new(), version: Version::V2 })
}

/// How long an answer is waited for, in T1: 4 s, in which a datagram is sent four times.
const PATIENCE_T1: u32 = 8;
/// How soon a trunk that is away is asked again, at the latest.
const AWAY_PAUSE: Duration = Duration::from_secs(5);
