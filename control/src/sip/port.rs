//! The SIP side as the rest of control sees it.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
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
use tokio::time::timeout;

use super::backlog::Backlog;
use super::config::SipConfig;
use super::door::{self, Door};
use super::inspect::Inspector;
use super::limits::{CALL_INBOX, REGISTRATION_S, SERVE_MS};
use super::shared::{Message, Shared};
use super::socket::Udp;
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
    stopped: CancellationToken,
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
        let (udp, listener) = bind(config.listen, config.dscp, &backlog, &unreachable, &stopped)?;
        let (local, served) = (listener.local_addr()?, udp.served());
        let transports = TransportLayer::new(stopped.clone());
        let udp = UdpConnection::from_socket(Arc::new(udp), config.advertise, Some(stopped.clone())).await?;
        transports.add_transport(SipConnection::Udp(udp));
        transports.set_stream_idle_timeout(Duration::from_secs(u64::from(REGISTRATION_S.1) * 2));
        let tcp_listener = TcpListenerConnection::new(local, config.advertise).await?;
        let slot = Arc::new(OnceLock::new());
        let endpoint = EndpointBuilder::new()
            .with_user_agent(&config.user_agent)
            .with_transport_layer(transports)
            .with_cancel_token(stopped.clone())
            .with_allows(vec![Method::Invite])
            .with_option(timers(&config))
            .with_inspector(Box::new(Inspector { clock: Arc::clone(&config.clock) }))
            .with_transport_inspector(Box::new(Door { shared: Arc::clone(&slot), backlog }))
            .build();
        let incoming = endpoint.incoming_transactions()?;
        let advertised = config.advertise.unwrap_or_else(|| SipConnection::resolve_bind_address(local));
        let shared = Arc::new(Shared::new(config, advertised, endpoint.inner.clone(), unreachable, inputs));
        let _ = slot.set(Arc::downgrade(&shared));
        if let Err(error) = trunk::resolve(&shared).await {
            tracing::warn!(%error, "calls from the trunk are refused until its name can be looked up");
        }
        registration::restore(&shared);
        tokio::spawn(async move { endpoint.serve().await });
        timeout(Duration::from_millis(SERVE_MS), served.notified())
            .await
            .context("SIP does not begin to serve")?;
        // The stack goes through its listeners when it begins to serve: the connections of this one are accepted here.
        let address = tcp_listener.get_addr().clone();
        shared.endpoint.transport_layer.add_transport(SipConnection::TcpListener(tcp_listener));
        spawn_until(&stopped, tcp::accept(Arc::clone(&shared), listener, address, stopped.clone()));
        spawn_until(&stopped, router::run(Arc::clone(&shared), incoming));
        spawn_until(&stopped, door::let_in(Arc::clone(&shared)));
        spawn_until(&stopped, registration::keep(Arc::clone(&shared)));
        spawn_until(&stopped, trunk::keep(Arc::clone(&shared)));
        spawn_until(&stopped, trunk_probe::watch(Arc::clone(&shared)));
        Ok(Self { shared, local, stopped })
    }

    /// Address and port of both sockets.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
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
                    spawn_until(
                        &self.stopped,
                        outgoing::run(Arc::clone(&self.shared), call, dial, sender, inbox),
                    );
                }
            }
            SipCommand::Restore { snapshot } => {
                if let Some((sender, inbox)) = self.open(call) {
                    let (shared, one) = (Arc::clone(&self.shared), self.shared.taking_up.one());
                    spawn_until(
                        &self.stopped,
                        established::restore(shared, call, snapshot, sender, inbox, one),
                    );
                }
            }
            SipCommand::Resume { set_up } => {
                if let Some((sender, inbox)) = self.open(call) {
                    let (shared, one) = (Arc::clone(&self.shared), self.shared.taking_up.one());
                    spawn_until(&self.stopped, resumed::resume(shared, call, set_up, sender, inbox, one));
                }
            }
            other => {
                let Some(sender) = self.shared.call(call) else {
                    return;
                };
                if let Err(TrySendError::Full(message)) = sender.try_send(Message::Command(other)) {
                    // It waits outside: a peer that fills the inbox must not keep us from hanging up.
                    spawn_until(&self.stopped, async move { drop(sender.send(message).await) });
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
        self.stopped.cancel();
    }
}

fn spawn_until(stopped: &CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
    let stopped = stopped.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = task => {}
            () = stopped.cancelled() => {}
        }
    });
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
    unreachable: &broadcast::Sender<SocketAddr>,
    stopped: &CancellationToken,
) -> anyhow::Result<(Udp, TcpListener)> {
    let attempts = if listen.port() == 0 { 16 } else { 1 };
    let mut last = None;
    for _ in 0..attempts {
        let udp = Udp::bind(listen, dscp, Arc::clone(backlog), unreachable.clone(), stopped.clone())
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
