//! How a client behaves.

use crate::limits::{CLIENT_TIMEOUT_US, LEASE_MS};
use crate::{Error, ErrorCode, validate};

/// How a client behaves. The default has no name, no subscription and watches the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name of this controller, 1 to 64 of `A-Z a-z 0-9 . _ -`: owner of the legs that it creates.
    pub controller: Option<String>,
    /// Lease to subscribe with, in milliseconds: 0 (none) or 1,000 to 3,600,000. `None`: no subscription at all.
    pub lease_ms: Option<u32>,
    /// How long a request may take from first to last, in microseconds, 1 to [`CLIENT_TIMEOUT_US`].
    pub timeout_us: u64,
    /// The engine is pinged when it has been sure of us for so long, in microseconds, or for a third of the lease, if that
    /// is shorter. 0: never, and its silence goes unnoticed.
    pub ping_after_us: u64,
    /// The engine is called silent when nothing was heard for so long, in microseconds.
    pub silent_after_us: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            controller: None,
            lease_ms: None,
            timeout_us: 3_000_000,
            ping_after_us: 1_000_000,
            silent_after_us: 3_000_000,
        }
    }
}

impl Config {
    /// For a few requests from a command line: no subscription, no pings.
    pub fn one_shot() -> Self {
        Self { ping_after_us: 0, ..Self::default() }
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        if let Some(controller) = &self.controller {
            validate::name("controller", controller)?;
        }
        let bad = |reason: String| Err(Error::new(ErrorCode::BadValue, reason));
        if !(1..=CLIENT_TIMEOUT_US).contains(&self.timeout_us) {
            return bad(format!("timeout_us: must be 1 to {CLIENT_TIMEOUT_US}, not {}", self.timeout_us));
        }
        let Some(lease_ms) = self.lease_ms else { return Ok(()) };
        if lease_ms != 0 && !LEASE_MS.contains(&lease_ms) {
            return bad(format!("lease_ms: must be 0 or {LEASE_MS:?}, not {lease_ms}"));
        }
        if self.controller.is_none() {
            return bad("controller: a subscription needs the name of its controller".to_owned());
        }
        Ok(())
    }

    pub(super) fn watches(&self) -> bool {
        self.ping_after_us > 0
    }

    pub(super) fn ping_after_us(&self) -> u64 {
        match self.lease_ms {
            None | Some(0) => self.ping_after_us,
            Some(lease_ms) => self.ping_after_us.min(u64::from(lease_ms) * 1_000 / 3),
        }
    }
}
