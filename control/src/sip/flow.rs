//! Where a peer's messages come from and ours go: transport, address and port.

use std::net::SocketAddr;

use rsipstack::sip::Transport;
use rsipstack::transport::{SipAddr, SipConnection};
use serde::{Deserialize, Serialize};

/// One side of a signalling path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub(crate) tcp: bool,
    pub(crate) address: SocketAddr,
}

impl Flow {
    /// Where the peer at the other end of a connection is.
    pub(crate) fn of(connection: Option<&SipConnection>) -> Option<Self> {
        let connection = connection?;
        let address = connection.get_remote_addr()?.get_socketaddr().ok()?;
        Some(Self { tcp: connection.is_reliable(), address })
    }

    pub(crate) fn transport(self) -> Transport {
        if self.tcp { Transport::Tcp } else { Transport::Udp }
    }

    /// As the stack wants destinations.
    pub(crate) fn sip_addr(self) -> SipAddr {
        SipAddr { r#type: Some(self.transport()), addr: self.address.into() }
    }
}
