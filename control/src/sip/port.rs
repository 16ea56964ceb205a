//! The SIP side as the rest of control sees it.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::poll;
use offhook_control_core::sip::SipCommand;
use offhook_control_core::{CallId, Input};
use offhook_proto::Dscp;
use rsipstack::EndpointBuilder;
use rsipstack::platform::CancellationToken;
use rsipstack::sip::Method;
use rsipstack::transaction::CallIdFormat;
use rsipstack::transaction::endpoint::EndpointOption;
use rsipstack::transport::tcp_listener::TcpListenerConnection;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipConnection, TransportLayer};
use tokio::net::TcpListener;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc};

use super::backlog::Backlog;
use super::config::SipConfig;
use super::door::{self, Door};
use super::inspect::Inspector;
use super::limits::{CALL_INBOX, REGISTRATION_S};
use super::shared::{Message, Shared, Slot};
use super::socket::{self, Udp};
use super::vital::{Vital, spawn_call};
use super::{established, outgoing, registration, resumed, router, tcp, trunk, trunk_probe};

/// How many things are held right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls, from `Dial`, `Restore` or an INVITE to their last event.
    pub calls: usize,
    /// Dialogs that requests are matched to.
    pub dialogs: usize,
    /// Transactions in progress.
    pub transactions: usize,
    /// Transactions that have ended and only absorb retransmissions, for 64·T1.
    pub finished_transactions: usize,
}

/// The running SIP side. Dropping it closes its sockets and forgets its calls without a word to the peers, as a crash does.
pub struct SipPort {
    shared: Arc<Shared>,
    local: SocketAddr,
    vital: Vital,
}

impl SipPort {
    /// Binds the sockets, takes up kept registrations and starts to serve. What happens is told on `inputs`:
    /// [`Input::Sip`], [`Input::Registration`] and [`Input::Trunk`].
    ///
    /// # Errors
    /// When the address cannot be bound for UDP or TCP.
    pub async fn start(config: SipConfig, inputs: mpsc::Sender<Input>) -> anyhow::Result<Self> {
        let stopped = CancellationToken::new();
        let (unreachable, _) = broadcast::channel(256);
        let backlog = Arc::default();
        let slot = Slot::default();
        let (udp, listener) = bind(config.listen, config.dscp, &backlog, &slot, &unreachable, &stopped)?;
        let local = listener.local_addr()?;
        let transports = TransportLayer::new(stopped.clone());
        let udp = UdpConnection::from_socket(Arc::new(udp), config.advertise, Some(stopped.clone())).await?;
        transports.set_stream_idle_timeout(Duration::from_secs(u64::from(REGISTRATION_S.1) * 2));
        let tcp_listener = TcpListenerConnection::new(local, config.advertise).await?;
        let endpoint = EndpointBuilder::new()
            .with_user_agent(&config.user_agent)
            .with_transport_layer(transports)
            .with_cancel_token(stopped.clone())
            .with_allows(vec![Method::Invite])
            .with_option(timers(&config))
            .with_inspector(Box::new(Inspector { clock: Arc::clone(&config.clock) }))
            .with_transport_inspector(Box::new(Door { shared: Arc::clone(&slot) }))
            .build();
        let incoming = endpoint.incoming_transactions()?;
        let advertised = config.advertise.unwrap_or_else(|| SipConnection::resolve_bind_address(local));
        let inner = endpoint.inner.clone();
        let shared = Arc::new(Shared::new(config, advertised, inner, unreachable, inputs, stopped.clone()));
        let _ = slot.set(Arc::downgrade(&shared));
        if let Err(error) = trunk::resolve(&shared).await {
            tracing::warn!(%error, "calls from the trunk are refused until its name can be looked up");
        }
        registration::restore(&shared);
        let vital = Vital::new(stopped);
        // The stack goes through its listeners when it begins to serve. What comes in by these, which are added later, is read here.
        let mut serving = Box::pin(async move { endpoint.serve().await });
        anyhow::ensure!(poll!(serving.as_mut()).is_pending(), "SIP does not begin to serve");
        vital.spawn("the transactions of SIP", serving);
        let transports = &shared.endpoint.transport_layer;
        transports.add_transport(SipConnection::Udp(udp.clone()));
        let address = tcp_listener.get_addr().clone();
        transports.add_transport(SipConnection::TcpListener(tcp_listener));
        socket::serve(&vital, Arc::clone(&shared), udp, backlog);
        vital.spawn("accepting connections", tcp::accept(Arc::clone(&shared), listener, address));
        vital.spawn("passing requests on", router::run(Arc::clone(&shared), incoming));
        vital.spawn_finite("letting requests in", door::let_in(Arc::clone(&shared)));
        vital.spawn("keeping registrations", registration::keep(Arc::clone(&shared)));
        vital.spawn_finite("following the trunk", trunk::keep(Arc::clone(&shared)));
        vital.spawn_finite("asking the trunk", trunk_probe::watch(Arc::clone(&shared)));
        Ok(Self { shared, local, vital })
    }

    /// Address and port of both sockets.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Waits until SIP cannot go on, which an error of ours alone can bring about: why.
    pub async fn failed(&self) -> String {
        self.vital.failed().await
    }

    /// Does what the core asks of a call. Returns at once; the outcome comes as events. A `Dial`, `Restore` or `Resume` of a call that
    /// exists, and anything else for one that does not, changes nothing.
    pub fn command(&self, call: CallId, command: SipCommand) {
        match command {
            SipCommand::Dial {
                target,
                caller_id,
                display,
                local,
                auto_answer,
                ring_timeout_ms,
                after: _,
            } => {
                let dial = outgoing::Dial { target, caller_id, display, local, auto_answer, ring_timeout_ms };
                if let Some((sender, inbox)) = self.open(call) {
                    let run = outgoing::run(Arc::clone(&self.shared), call, dial, sender, inbox);
                    spawn_call(&self.shared, call, run);
                }
            }
            SipCommand::Restore { snapshot } => {
                if let Some((sender, inbox)) = self.open(call) {
                    let (shared, one) = (Arc::clone(&self.shared), self.shared.taking_up.one());
                    let run = established::restore(shared, call, snapshot, sender, inbox, one);
                    spawn_call(&self.shared, call, run);
                }
            }
            SipCommand::Resume { set_up } => {
                if let Some((sender, inbox)) = self.open(call) {
                    let (shared, one) = (Arc::clone(&self.shared), self.shared.taking_up.one());
                    let run = resumed::resume(shared, call, set_up, sender, inbox, one);
                    spawn_call(&self.shared, call, run);
                }
            }
            other => {
                let Some(sender) = self.shared.call(call) else {
                    return;
                };
                if let Err(TrySendError::Full(message)) = sender.try_send(Message::Command(other)) {
                    // It waits outside: a peer that fills the inbox must not keep us from hanging up.
                    tokio::spawn(async move { drop(sender.send(message).await) });
                }
            }
        }
    }

    /// Says that all `Restore` and `Resume` of an earlier run have been given ([`SipConfig::takes_up`]).
    pub fn no_more_to_take_up(&self) {
        self.shared.taking_up.no_more();
    }

    /// What is held right now.
    pub fn counts(&self) -> Counts {
        let (calls, dialogs) = self.shared.held();
        let stats = self.shared.endpoint.get_stats();
        Counts {
            calls,
            dialogs: dialogs + self.shared.layer.len(),
            transactions: stats.running_transactions,
            finished_transactions: stats.finished_transactions,
        }
    }

    fn open(&self, call: CallId) -> Option<(mpsc::Sender<Message>, mpsc::Receiver<Message>)> {
        let (sender, inbox) = mpsc::channel(CALL_INBOX);
        self.shared.add_call(call, sender.clone()).then_some((sender, inbox))
    }
}

impl Drop for SipPort {
    fn drop(&mut self) {
        self.shared.stopped.cancel();
    }
}

fn timers(config: &SipConfig) -> EndpointOption {
    let t1 = Duration::from_millis(u64::from(config.t1_ms));
    EndpointOption {
        t1,
        t2: t1 * 8,
        t4: t1 * 10,
        t1x64: t1 * 64,
        callid_format: CallIdFormat::Uuid,
        ..EndpointOption::default()
    }
}

/// Binds UDP and TCP to the same port.
fn bind(
    listen: SocketAddr,
    dscp: Dscp,
    backlog: &Arc<Backlog>,
    slot: &Slot,
    unreachable: &broadcast::Sender<SocketAddr>,
    stopped: &CancellationToken,
) -> anyhow::Result<(Udp, TcpListener)> {
    let attempts = if listen.port() == 0 { 16 } else { 1 };
    let mut last = None;
    for _ in 0..attempts {
        let (backlog, slot) = (Arc::clone(backlog), Arc::clone(slot));
        let udp = Udp::bind(listen, dscp, backlog, slot, unreachable.clone(), stopped.clone())
            .with_context(|| format!("SIP over UDP cannot listen on {listen} (sip.listen)"))?;
        match listen_at(rsipstack::platform::net::UdpSocket::local_addr(&udp)?) {
            Ok(listener) => return Ok((udp, listener)),
            Err(error) => last = Some(error),
        }
    }
    let error = last.map_or_else(|| anyhow::anyhow!("no port"), anyhow::Error::from);
    Err(error.context(format!("SIP over TCP cannot listen on {listen} (sip.listen)")))
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = StdTcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
