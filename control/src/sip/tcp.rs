//! Connections of TCP that come in. Who has not shown yet to be a phone or the trunk is a stranger: there is room for so many, for
//! so long, and the oldest make room for new ones.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rsipstack::transport::SipAddr;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::connections;
use super::flow::Flow;
use super::incoming::is_of_trunk;
use super::limits::STRANGER_MS;
use super::shared::{Shared, lock};

/// Accepts for ever; `address` is the listener's as peers are told.
pub(crate) async fn accept(shared: Arc<Shared>, listener: TcpListener, address: SipAddr) {
    let mut strangers = Strangers { most: shared.config.max_strangers, by_age: VecDeque::new() };
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Err(error) = take(&mut strangers, &shared, stream, &address).await {
                        tracing::debug!(%peer, %error, "a connection for SIP is not taken");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Most often there are no file descriptors left.
                    tracing::warn!(%error, "SIP cannot accept a connection");
                    strangers.close_oldest();
                    tokio::time::sleep(PAUSE).await;
                }
            },
            _ = looks.tick() => strangers.look(&shared, Instant::now()),
        }
    }
}

async fn take(
    strangers: &mut Strangers,
    shared: &Arc<Shared>,
    stream: TcpStream,
    address: &SipAddr,
) -> anyhow::Result<()> {
    let socket = stream.as_fd().try_clone_to_owned()?;
    let flow = connections::take_up(shared, stream, address.clone()).await?;
    if !is_of_trunk(shared, flow) {
        strangers.add(flow, socket, Instant::now());
    }
    Ok(())
}

struct Strangers {
    most: usize,
    by_age: VecDeque<Stranger>,
}

struct Stranger {
    flow: Flow,
    since: Instant,
    /// The stack has another one.
    socket: OwnedFd,
}

impl Strangers {
    fn add(&mut self, flow: Flow, socket: OwnedFd, now: Instant) {
        while self.by_age.len() >= self.most.max(1) {
            self.close_oldest();
        }
        self.by_age.push_back(Stranger { flow, since: now, socket });
    }

    fn close_oldest(&mut self) {
        if let Some(oldest) = self.by_age.pop_front() {
            // It may have left meanwhile.
            let _ = SockRef::from(&oldest.socket).shutdown(Shutdown::Both);
        }
    }

    /// Phones that have registered are none any more; who takes too long to do that goes.
    fn look(&mut self, shared: &Shared, now: Instant) {
        self.by_age.retain(|stranger| !lock(&shared.registrar).is_flow_of_phone(stranger.flow));
        let longest = Duration::from_millis(STRANGER_MS);
        while self.by_age.front().is_some_and(|oldest| now.duration_since(oldest.since) >= longest) {
            self.close_oldest();
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);
