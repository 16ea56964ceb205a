//! The trunk: where it is, and our registration there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rsipstack::dialog::registration::Registration;
use rsipstack::sip::typed::Contact;
use rsipstack::sip::{StatusCodeKind, Uri};

use super::config::{TrunkConfig, TrunkTransport};
use super::shared::{Shared, lock, uri};

/// How often the trunk's name is looked up again.
const RESOLVE_EVERY: Duration = Duration::from_secs(60);

/// Looks the trunk's address up and takes note of where its calls come from.
pub(crate) async fn resolve(shared: &Shared) -> anyhow::Result<()> {
    let Some(trunk) = &shared.config.trunk else {
        return Ok(());
    };
    let mut sources = trunk.sources.clone();
    sources.extend(addresses(trunk).await?.iter().map(SocketAddr::ip));
    *lock(&shared.trunk_sources) = sources;
    Ok(())
}

/// Where requests for the trunk go.
pub(crate) async fn address(shared: &Shared) -> anyhow::Result<SocketAddr> {
    let trunk = shared.config.trunk.as_ref().context("no trunk is configured")?;
    let want_v4 = shared.advertised.is_ipv4();
    let all = addresses(trunk).await?;
    all.into_iter().find(|address| address.is_ipv4() == want_v4).with_context(|| {
        let version = if want_v4 { "IPv4" } else { "IPv6" };
        format!("the trunk's host {} has no address of {version}, as sip.listen has", trunk.host)
    })
}

/// Looks the name up again and again, and keeps us registered.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let Some(trunk) = shared.config.trunk.clone() else {
        return;
    };
    let lookups = async {
        loop {
            tokio::time::sleep(RESOLVE_EVERY).await;
            if let Err(error) = resolve(&shared).await {
                tracing::warn!(%error, "the trunk's name cannot be looked up");
            }
        }
    };
    if trunk.register {
        tokio::join!(lookups, register(&shared, &trunk));
    } else {
        lookups.await;
    }
}

async fn register(shared: &Arc<Shared>, trunk: &TrunkConfig) {
    let mut failures = 0;
    let tcp = trunk.transport == TrunkTransport::Tcp;
    let mut registration = Registration::new(shared.endpoint.clone(), shared.trunk_credential());
    registration.contact = contact(shared, tcp);
    loop {
        let wait = match once(shared, trunk, &mut registration).await {
            Ok(()) => {
                failures = 0;
                tracing::debug!(expires_s = registration.expires(), "registered at the trunk");
                rsipstack::dialog::registration::refresh_interval(registration.expires())
            }
            Err(reason) => {
                failures += 1;
                tracing::warn!(reason, failures, "not registered at the trunk");
                rsipstack::dialog::registration::backoff_interval(failures)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn once(shared: &Shared, trunk: &TrunkConfig, registration: &mut Registration) -> Result<(), String> {
    registration.outbound_proxy = Some(address(shared).await.map_err(|error| error.to_string())?);
    let response = registration
        .register(domain(trunk)?, Some(trunk.register_expires_s))
        .await
        .map_err(|error| error.to_string())?;
    match response.status_code.kind() {
        StatusCodeKind::Successful => Ok(()),
        _ => Err(format!("the trunk answered {}", response.status_code)),
    }
}

fn contact(shared: &Shared, tcp: bool) -> Option<Contact> {
    let uri = Uri::try_from(shared.contact(tcp)).ok()?;
    Some(Contact { display_name: None, uri, params: Vec::new() })
}

/// Request-URI of what is for the trunk itself.
pub(crate) fn domain(trunk: &TrunkConfig) -> Result<Uri, String> {
    let tcp = if trunk.transport == TrunkTransport::Tcp { ";transport=tcp" } else { "" };
    uri(&format!("sip:{}:{}{tcp}", trunk.host, trunk.port))
}

async fn addresses(trunk: &TrunkConfig) -> anyhow::Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((trunk.host.as_str(), trunk.port))
        .await
        .with_context(|| format!("the trunk's host {} cannot be looked up", trunk.host))?;
    Ok(found.collect())
}
