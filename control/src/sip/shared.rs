//! What every task of the SIP side shares.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::{CallId, Input};
use rsipstack::dialog::authenticate::Credential;
use rsipstack::dialog::dialog_layer::DialogLayer;
use rsipstack::platform::CancellationToken;
use rsipstack::sip::{Request, Response, Uri};
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::{SipAddr, SipConnection};
use tokio::sync::{broadcast, mpsc};

use super::config::SipConfig;
use super::connections::Connections;
use super::merged::UnderWay;
use super::registrar::Registrar;
use super::taking_up::TakingUp;
use super::unread::Unread;

/// One message to a call's task.
pub(crate) enum Message {
    /// The core asks.
    Command(SipCommand),
    /// The peer asks, in the dialog.
    Peer(Box<Transaction>),
    /// The peer acknowledged our 2xx to the request with this CSeq number.
    Acked { cseq: u32, body: Vec<u8> },
    /// It never did.
    NotAcked,
    /// The caller cancelled its INVITE.
    Cancelled,
    /// The answer to a re-INVITE or UPDATE of ours, which carried an offer or did not; none when it could not be sent.
    Replied { offered: bool, refresh: bool, response: Option<Box<Response>> },
    /// A response to an INVITE of ours whose transaction died with an earlier run.
    Stray(Box<Response>),
    /// The answer to an OPTIONS of ours, that the core asked for or not; none when there was none.
    Probed { asked: bool, response: Option<Box<Response>> },
}

/// Where it is found by what is made before it, and set before anything is read.
pub(crate) type Slot = Arc<OnceLock<Weak<Shared>>>;

pub(crate) type Inbox = mpsc::Receiver<Message>;

/// A request, the connection that it came over, and from where.
pub(crate) type Received = (Request, SipConnection, SipAddr);

/// Name of a dialog before and after the remote tag is known: Call-ID and our tag.
pub(crate) type DialogKey = (String, String);

pub(crate) struct Shared {
    pub(crate) config: SipConfig,
    /// Our address as peers are told.
    pub(crate) advertised: SocketAddr,
    pub(crate) endpoint: EndpointInnerRef,
    pub(crate) layer: Arc<DialogLayer>,
    pub(crate) unreachable: broadcast::Sender<SocketAddr>,
    pub(crate) registrar: Mutex<Registrar>,
    /// Addresses that the trunk's calls come from.
    pub(crate) trunk_sources: Mutex<Vec<IpAddr>>,
    /// Second of the last call from elsewhere that was mentioned in the log, and of the last REGISTER that was refused.
    pub(crate) foreign_call_s: AtomicU64,
    pub(crate) refused_register_s: AtomicU64,
    /// What the calendar showed when our clock began, in milliseconds since 1970 UTC.
    started_ms: u64,
    inputs: mpsc::Sender<Input>,
    calls: Mutex<HashMap<CallId, mpsc::Sender<Message>>>,
    dialogs: Mutex<HashMap<DialogKey, mpsc::Sender<Message>>>,
    /// Answers of the door that their peers do not read.
    pub(crate) unread: Unread,
    /// Dialogs of an earlier run.
    pub(crate) taking_up: Arc<TakingUp<Received>>,
    next_incoming: AtomicU64,
    pub(crate) connections: Connections,
    /// INVITEs outside dialogs.
    pub(crate) under_way: UnderWay,
    /// Set when the port is dropped.
    pub(crate) stopped: CancellationToken,
}

impl Shared {
    pub(crate) fn new(
        config: SipConfig,
        advertised: SocketAddr,
        endpoint: EndpointInnerRef,
        unreachable: broadcast::Sender<SocketAddr>,
        inputs: mpsc::Sender<Input>,
        stopped: CancellationToken,
    ) -> Self {
        // Room for a million calls a second before the numbers of one run could meet those of the next.
        let now = (config.clock)();
        let first = CallId::FIRST_INCOMING + (now.unix_ms << 10);
        let longest = Duration::from_millis(64 * u64::from(config.t1_ms));
        Self {
            taking_up: TakingUp::new(config.takes_up, longest),
            registrar: Mutex::new(Registrar::new(&config.realm, &config.digests, rand::random())),
            layer: Arc::new(DialogLayer::new(endpoint.clone())),
            config,
            advertised,
            endpoint,
            unreachable,
            trunk_sources: Mutex::default(),
            foreign_call_s: AtomicU64::new(0),
            refused_register_s: AtomicU64::new(0),
            unread: Unread::default(),
            started_ms: now.unix_ms.saturating_sub(now.mono_us / 1_000),
            inputs,
            calls: Mutex::default(),
            dialogs: Mutex::default(),
            next_incoming: AtomicU64::new(first),
            connections: Connections::default(),
            under_way: UnderWay::default(),
            stopped,
        }
    }

    /// Tells the core. Waits while the core is behind.
    pub(crate) async fn emit(&self, call: CallId, event: SipEvent) {
        let _ = self.inputs.send(Input::Sip { call, event }).await;
    }

    pub(crate) async fn emit_registration(&self, aor: String, contact: Option<String>) {
        let _ = self.inputs.send(Input::Registration { aor, contact }).await;
    }

    pub(crate) async fn emit_trunk(&self, outage: Option<String>) {
        let _ = self.inputs.send(Input::Trunk { outage }).await;
    }

    pub(crate) fn next_incoming(&self) -> CallId {
        CallId(self.next_incoming.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn add_call(&self, call: CallId, sender: mpsc::Sender<Message>) -> bool {
        let mut calls = lock(&self.calls);
        if calls.contains_key(&call) {
            return false;
        }
        calls.insert(call, sender);
        true
    }

    pub(crate) fn call(&self, call: CallId) -> Option<mpsc::Sender<Message>> {
        lock(&self.calls).get(&call).cloned()
    }

    pub(crate) fn remove_call(&self, call: CallId) {
        lock(&self.calls).remove(&call);
    }

    pub(crate) fn add_dialog(&self, key: DialogKey, sender: mpsc::Sender<Message>) {
        lock(&self.dialogs).insert(key, sender);
    }

    pub(crate) fn dialog(&self, key: &DialogKey) -> Option<mpsc::Sender<Message>> {
        lock(&self.dialogs).get(key).cloned()
    }

    pub(crate) fn remove_dialog(&self, key: &DialogKey) {
        lock(&self.dialogs).remove(key);
    }

    /// Forgets dialogs whose calls have ended without doing so.
    pub(crate) fn remove_closed_dialogs(&self) {
        lock(&self.dialogs).retain(|_, sender| !sender.is_closed());
    }

    /// Calls and dialogs held.
    pub(crate) fn held(&self) -> (usize, usize) {
        (lock(&self.calls).len(), lock(&self.dialogs).len())
    }

    /// Microseconds on the shell's monotonic clock.
    pub(crate) fn mono_us(&self) -> u64 {
        (self.config.clock)().mono_us
    }

    /// Milliseconds since 1970 UTC.
    pub(crate) fn unix_ms(&self) -> u64 {
        (self.config.clock)().unix_ms
    }

    /// Milliseconds since 1970 UTC as they would be if nobody had set the calendar since the start: what a phone was granted lasts
    /// as long as it was told.
    pub(crate) fn steady_ms(&self) -> u64 {
        self.started_ms + (self.mono_us() / 1_000)
    }

    /// Whether what strangers can bring about at will is to be mentioned in the log, which is not theirs to fill: once a second, by the
    /// second of the last time.
    pub(crate) fn is_to_mention(&self, last_s: &AtomicU64) -> bool {
        let now_s = self.unix_ms() / 1_000;
        last_s.swap(now_s, Ordering::Relaxed) != now_s
    }

    /// Our Contact URI for a transport.
    pub(crate) fn contact(&self, tcp: bool) -> String {
        let address = self.advertised;
        format!("sip:offhook@{address}{}", if tcp { ";transport=tcp" } else { "" })
    }

    /// What answers the trunk's challenges.
    pub(crate) fn trunk_credential(&self) -> Option<Credential> {
        let credential = self.config.trunk.as_ref()?.credential.as_ref()?;
        Some(Credential {
            username: credential.username.clone(),
            password: credential.password.clone(),
            realm: None,
            auth_username: None,
        })
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The key of the dialog that a request of the peer belongs to, if it names one.
pub(crate) fn key_of(request: &Request) -> Option<DialogKey> {
    use rsipstack::sip::prelude::HeadersExt as _;
    let tag = request.to_header().ok()?.tag().ok()??;
    Some((request.call_id_header().ok()?.value().to_owned(), tag.value().to_owned()))
}

/// The key of the dialog that a response to a request of ours belongs to.
pub(crate) fn key_of_response(response: &Response) -> Option<DialogKey> {
    use rsipstack::sip::prelude::HeadersExt as _;
    let tag = response.from_header().ok()?.tag().ok()??;
    Some((response.call_id_header().ok()?.value().to_owned(), tag.value().to_owned()))
}

/// A URI from text, checked.
pub(crate) fn uri(text: &str) -> Result<Uri, String> {
    Uri::try_from(text).map_err(|error| format!("{text} is not a SIP URI: {error}"))
}
