//! Where a call goes and what its INVITE says.

use std::net::SocketAddr;
use std::sync::Arc;

use offhook_control_core::sip::{Direction, Target};
use rsipstack::sip::{Header, Host, Uri};

use super::config::{TrunkConfig, TrunkTransport};
use super::connections;
use super::dialog::is_tcp;
use super::flow::Flow;
use super::limits::UDP_REQUEST_BYTES;
use super::outgoing::{Dial, Failure};
use super::phone::Phone;
use super::request::allow;
use super::sdp;
use super::secrets::Secrets;
use super::shared::{Shared, lock, uri};
use super::text::{display_name, user_part};
use super::trunk;

/// Everything about one INVITE but its SDP.
pub(crate) struct Plan {
    pub(crate) callee: Uri,
    pub(crate) caller: Uri,
    pub(crate) display: Option<String>,
    pub(crate) contact: Uri,
    pub(crate) headers: Vec<Header>,
    /// Where the INVITE goes.
    pub(crate) destination: Flow,
    /// Where later requests go instead of the peer's Contact.
    pub(crate) flow: Option<Flow>,
    /// The registration that the peer is called by.
    pub(crate) phone: Option<Phone>,
    pub(crate) trunk: bool,
    /// Whether the peer demands reliable provisional responses.
    pub(crate) reliable: bool,
}

/// Headers around an SDP, roughly: Via, From, To and the others of our INVITE.
const HEADER_BYTES: usize = 900;

/// Plans a call. Fails with 480 when the phone is not registered, 404 when the address is none, 503 when nothing listens.
pub(crate) async fn plan(
    shared: &Arc<Shared>,
    dial: &Dial,
    session_expires_s: Option<u32>,
) -> Result<Plan, Failure> {
    let bad = |reason: String| Failure::new(404, reason);
    let (callee, destination, phone, trunk) = match &dial.target {
        Target::Registered { aor } => {
            let binding = lock(&shared.registrar).best(shared.steady_ms(), aor).cloned();
            let binding = binding.ok_or_else(|| Failure::network(480, format!("{aor} is not registered")))?;
            (uri(&binding.uri).map_err(bad)?, binding.flow, Some(Phone::of(aor, &binding)), false)
        }
        Target::Uri(text) => {
            let callee = uri(text).map_err(bad)?;
            let destination = resolve(&callee, shared.advertised).await?;
            (callee, destination, None, false)
        }
        Target::Trunk { number } => {
            let config = shared
                .config
                .trunk
                .as_ref()
                .ok_or_else(|| Failure::network(503, "no trunk is configured"))?;
            let address =
                trunk::address(shared).await.map_err(|error| Failure::network(503, error.to_string()))?;
            let tcp = over_tcp(config, dial);
            let suffix = if tcp { ";transport=tcp" } else { "" };
            let user = user_part(number);
            let callee = uri(&format!("sip:{user}@{}:{}{suffix}", config.host, config.port)).map_err(bad)?;
            (callee, Flow { tcp, address }, None, true)
        }
    };
    if destination.tcp {
        // Beforehand, so that a refusal is known at once.
        let opened = connections::open(shared, destination).await;
        opened.map_err(|error| Failure::network(503, format!("{error:#}")))?;
    }
    let default_caller =
        shared.config.trunk.as_ref().filter(|_| trunk).and_then(|trunk| trunk.caller_id.clone());
    let user = dial.caller_id.clone().or(default_caller).unwrap_or_else(|| "offhook".to_owned());
    let realm = &shared.config.realm;
    let caller = uri(&format!("sip:{}@{realm}", user_part(&user))).map_err(bad)?;
    let mut headers = vec![allow(), Header::Supported("timer".into())];
    if let Some(interval_s) = session_expires_s {
        headers.push(Header::SessionExpires(format!("{interval_s};refresher=uac").into()));
        headers.push(Header::MinSE(shared.config.min_session_s.to_string().into()));
    }
    if trunk {
        headers.push(Header::PAssertedIdentity(format!("<{caller}>").into()));
    }
    if dial.auto_answer {
        headers.push(Header::CallInfo(format!("<sip:{realm}>;answer-after=0").into()));
        headers.push(Header::AlertInfo(format!("<http://{realm}>;info=alert-autoanswer;delay=0").into()));
        headers.push(Header::Other("Answer-Mode".to_owned(), "Auto".to_owned()));
    }
    Ok(Plan {
        callee,
        caller,
        display: dial.display.as_deref().map(display_name).filter(|name| !name.is_empty()),
        contact: uri(&shared.contact(destination.tcp)).map_err(bad)?,
        headers,
        destination,
        flow: phone.as_ref().map(|phone| phone.flow),
        phone,
        trunk,
        reliable: false,
    })
}

fn over_tcp(trunk: &TrunkConfig, dial: &Dial) -> bool {
    match trunk.transport {
        TrunkTransport::Udp => false,
        TrunkTransport::Tcp => true,
        TrunkTransport::Auto => {
            HEADER_BYTES + sdp::offer(&dial.local, &Secrets::new(trunk.srtp), Direction::SendRecv).len()
                > UDP_REQUEST_BYTES
        }
    }
}

/// The address behind a URI (RFC 3263, addresses only).
async fn resolve(uri: &Uri, ours: SocketAddr) -> Result<Flow, Failure> {
    let port = uri.host_with_port.port.map_or(5060, |port| port.value());
    let tcp = is_tcp(uri);
    let address = match &uri.host_with_port.host {
        Host::IpAddr(ip) => SocketAddr::new(*ip, port),
        Host::Domain(name) => {
            let found = tokio::net::lookup_host((name.0.as_str(), port))
                .await
                .map_err(|error| Failure::network(503, format!("{} cannot be looked up: {error}", name.0)))?;
            let all: Vec<SocketAddr> = found.collect();
            let of_our_family = all.into_iter().find(|address| address.is_ipv4() == ours.is_ipv4());
            of_our_family
                .ok_or_else(|| Failure::network(503, format!("{} has no address of our family", name.0)))?
        }
    };
    Ok(Flow { tcp, address })
}
