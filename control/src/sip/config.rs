//! What the SIP side is told at start.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use offhook_control_core::Now;
use offhook_proto::{Dscp, Media};

use super::digest::Algorithm;
use super::limits;
use super::secrets::Security;

/// Passwords of the phones that may register.
pub trait Credentials: Send + Sync {
    /// The password of a user, none when there is no such user. Called for every REGISTER that carries credentials.
    fn password(&self, user: &str) -> Option<String>;
}

/// Reads the shell's clocks.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// Everything that [`super::SipPort::start`] needs.
#[derive(Clone)]
pub struct SipConfig {
    /// Address and port of the UDP socket and the TCP listener. With port 0 one is chosen that is free for both.
    pub listen: SocketAddr,
    /// Address and port that peers are told, behind a NAT; [`Self::listen`] when absent.
    pub advertise: Option<SocketAddr>,
    /// User-Agent and Server header.
    pub user_agent: String,
    /// Realm of the registrar and host part of our own URIs.
    pub realm: String,
    /// Encodings taken from an incoming offer, best first.
    pub media: Vec<Media>,
    /// Passwords of phones.
    pub credentials: Arc<dyn Credentials>,
    /// Digests offered to phones, in this order. A phone takes the first that it knows, and old ones look at the first
    /// only: put [`Algorithm::Sha256`] first, or alone, where all phones know it.
    pub digests: Vec<Algorithm>,
    /// Whether calls with phones are encrypted.
    pub srtp: Security,
    /// The way to the telephone network.
    pub trunk: Option<TrunkConfig>,
    /// Session interval that we ask for (RFC 4028), in seconds, at least 90. None: no session timers of our own.
    pub session_expires_s: Option<u32>,
    /// Smallest session interval that we accept, in seconds: 90 (RFC 4028 section 5) outside tests.
    pub min_session_s: u32,
    /// Seconds between two OPTIONS to the peer of a call, from 1. None: it is not asked.
    pub options_every_s: Option<u32>,
    /// Code point in what is sent over UDP.
    pub dscp: Dscp,
    /// Most transactions at once before new calls get 503.
    pub max_transactions: usize,
    /// Most connections of TCP whose sender is neither a registered phone nor the trunk, at least 1: when there are more, the oldest
    /// is closed.
    pub max_strangers: usize,
    /// Where registrations are kept for the next start, so that a restart does not lose the phones.
    pub bindings: Option<PathBuf>,
    /// Whether dialogs of an earlier run are to be taken up: until [`super::SipPort::no_more_to_take_up`], at most 64·T1, a
    /// request in a dialog that is not known is left to come again instead of being refused with 481.
    pub takes_up: bool,
    /// Timers of RFC 3261 section 17: T1 in milliseconds. 500 outside tests.
    pub t1_ms: u32,
    /// The shell's clocks.
    pub clock: Clock,
}

impl SipConfig {
    /// A configuration with the usual values.
    pub fn new(listen: SocketAddr, realm: &str, credentials: Arc<dyn Credentials>, clock: Clock) -> Self {
        let pcmu = Media::default();
        let pcma = Media { codec: offhook_proto::Codec::Pcma, payload_type: 8, ..Media::default() };
        Self {
            listen,
            advertise: None,
            user_agent: concat!("offhook/", env!("CARGO_PKG_VERSION")).to_owned(),
            realm: realm.to_owned(),
            media: vec![pcmu, pcma],
            credentials,
            digests: vec![Algorithm::Md5, Algorithm::Sha256],
            srtp: Security::Off,
            trunk: None,
            session_expires_s: Some(1_800),
            min_session_s: limits::MIN_SE_S,
            options_every_s: None,
            dscp: Dscp::CS3,
            max_transactions: limits::TRANSACTIONS,
            max_strangers: limits::STRANGERS,
            bindings: None,
            takes_up: false,
            t1_ms: 500,
            clock,
        }
    }
}

impl SipConfig {
    /// Whether calls of the trunk, or of phones, are encrypted.
    pub(crate) fn security(&self, trunk: bool) -> Security {
        match &self.trunk {
            Some(carrier) if trunk => carrier.srtp,
            _ if trunk => Security::Off,
            _ => self.srtp,
        }
    }
}

impl fmt::Debug for SipConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SipConfig")
            .field("listen", &self.listen)
            .field("realm", &self.realm)
            .field("trunk", &self.trunk)
            .finish_non_exhaustive()
    }
}

/// Transport towards the trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrunkTransport {
    /// UDP always.
    Udp,
    /// TCP always.
    Tcp,
    /// UDP, and TCP for requests above 1,300 bytes (RFC 3261 section 18.1.1).
    #[default]
    Auto,
}

/// The way to the telephone network.
#[derive(Clone)]
pub struct TrunkConfig {
    /// Host name or address of the carrier's proxy; also the domain of the numbers dialled.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Transport.
    pub transport: TrunkTransport,
    /// User name and password, where the carrier asks for them.
    pub credential: Option<TrunkCredential>,
    /// Seconds between two OPTIONS outside calls, from 1, that tell whether it answers. None: it is not asked.
    pub options_every_s: Option<u32>,
    /// Whether to register there.
    pub register: bool,
    /// Registration asked for, in seconds.
    pub register_expires_s: u32,
    /// Caller number where a call names none.
    pub caller_id: Option<String>,
    /// Further addresses that the carrier's calls come from.
    pub sources: Vec<IpAddr>,
    /// Whether calls with it are encrypted.
    pub srtp: Security,
}

/// User name and password at the trunk.
#[derive(Clone)]
pub struct TrunkCredential {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

impl TrunkConfig {
    /// A trunk without credentials.
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            transport: TrunkTransport::default(),
            credential: None,
            options_every_s: None,
            register: false,
            register_expires_s: 300,
            caller_id: None,
            sources: Vec::new(),
            srtp: Security::Off,
        }
    }
}

impl fmt::Debug for TrunkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrunkConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("transport", &self.transport)
            .field("register", &self.register)
            .finish_non_exhaustive()
    }
}
