//! A leg's two registered sockets, and how far the receive on each has got.

use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use offhook_engine_core::{LegId, LegIx, Socket};
use offhook_uring::FileSlot;

/// A leg's sockets in the ring.
pub(crate) struct Ports {
    pub(crate) id: LegId,
    pub(crate) rtp: Port,
    pub(crate) rtcp: Port,
    /// The leg is on its way out: a receive that ends is not armed again.
    pub(crate) leaving: bool,
    /// Its RTP address, if that is steered.
    pub(crate) steered: Option<SocketAddrV4>,
    /// It is steered no more, and what was before may still come.
    pub(crate) draining: bool,
    /// The RTP socket, taken out of the ring already.
    pub(crate) rtp_out: Option<OwnedFd>,
}

/// One socket in the ring.
pub(crate) struct Port {
    pub(crate) slot: FileSlot,
    /// Whether the ring holds a receive that can still report something.
    pub(crate) receiving: bool,
}

impl Ports {
    pub(crate) fn port(&self, socket: Socket) -> &Port {
        match socket {
            Socket::Rtp => &self.rtp,
            Socket::Rtcp => &self.rtcp,
        }
    }

    pub(crate) fn port_mut(&mut self, socket: Socket) -> &mut Port {
        match socket {
            Socket::Rtp => &mut self.rtp,
            Socket::Rtcp => &mut self.rtcp,
        }
    }

    /// Nothing more can come from either socket, nor through the steering.
    pub(crate) fn are_quiet(&self) -> bool {
        !self.rtp.receiving && !self.rtcp.receiving && !self.draining
    }
}

/// The word that the ring gives back with whatever happens on a socket: the leg's place and which of the two.
pub(crate) fn token(leg: LegIx, socket: Socket) -> u32 {
    leg.0 << 1 | u32::from(socket == Socket::Rtcp)
}

/// The leg and the socket behind a [`token`].
pub(crate) fn parse_token(token: u32) -> (LegIx, Socket) {
    (LegIx(token >> 1), if token & 1 == 0 { Socket::Rtp } else { Socket::Rtcp })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_leg_and_socket() {
        for (leg, socket) in
            [(0, Socket::Rtp), (0, Socket::Rtcp), (65_535, Socket::Rtp), (i32::MAX as u32, Socket::Rtcp)]
        {
            assert_eq!(parse_token(token(LegIx(leg), socket)), (LegIx(leg), socket));
        }
    }
}
