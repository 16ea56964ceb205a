//! What the network says of datagrams that reached nobody.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;

use super::limits::REFUSAL_T1;
use super::shared::Shared;

/// Ends a while after the network has said that nobody is at an address (ICMP). Anybody can say so (compare RFC 5927 section 5): whoever is
/// heard meanwhile is there.
///
/// Listens from this call on, not from the first poll.
pub(crate) fn refusal(shared: &Shared, address: SocketAddr) -> impl Future<Output = ()> + use<> {
    let mut unreachable = shared.unreachable.subscribe();
    let patience = Duration::from_millis(u64::from(shared.config.t1_ms)) * REFUSAL_T1;
    async move {
        loop {
            match unreachable.recv().await {
                Ok(refused) if refused == address => return tokio::time::sleep(patience).await,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
