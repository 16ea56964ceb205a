//! What the kernel reports, and how an operation is recognised in its report.

use crate::pool::Buffer;
use std::net::SocketAddr;

/// One thing the kernel reports to the ring's owner.
#[derive(Debug)]
pub enum Completion {
    /// A datagram has arrived.
    Datagram(Datagram),
    /// No datagram of this receive can come any more; arm it again if it should go on.
    ReceiveEnded {
        /// The token given to [`Ring::receive`](crate::Ring::receive).
        token: u32,
        /// Why it ended.
        reason: ReceiveEnd,
    },
    /// A packet was not sent. Packets that were sent report nothing.
    SendFailed {
        /// The token given with the packet.
        token: u32,
        /// The system's error number, such as ECONNREFUSED after the peer's ICMP message.
        errno: i32,
    },
    /// [`Waker::wake`](crate::Waker::wake) was called, once or more, since the last of these.
    Woken,
}

/// A received datagram.
#[derive(Debug)]
pub struct Datagram {
    /// The token given to [`Ring::receive`](crate::Ring::receive).
    pub token: u32,
    /// Who sent it; 0.0.0.0:0 from a socket that is neither IPv4 nor IPv6.
    pub source: SocketAddr,
    /// The datagram was longer than the ring's receive buffers: its end is missing.
    pub truncated: bool,
    /// The port that it was sent to, of a [`Ring::receive_steered`](crate::Ring::receive_steered).
    pub port: Option<u16>,
    /// The payload, in the memory that the kernel filled.
    pub buffer: Buffer,
}

/// Why a receive ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiveEnd {
    /// [`Ring::cancel_receive`](crate::Ring::cancel_receive) was called.
    Cancelled,
    /// No receive buffer was free. Nothing is lost: datagrams wait in the socket, up to its SO_RCVBUF.
    NoBuffers,
    /// The kernel ended it after a datagram: an empty one, or one that met a full completion queue.
    Disarmed,
    /// The socket reported this error number, such as ECONNREFUSED after the peer's ICMP message.
    Failed(i32),
}

impl ReceiveEnd {
    pub(crate) fn from_result(result: i32) -> Self {
        match -result {
            libc::ECANCELED => Self::Cancelled,
            libc::ENOBUFS => Self::NoBuffers,
            errno if errno > 0 => Self::Failed(errno),
            _ => Self::Disarmed,
        }
    }
}

/// The kinds of operation in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Receive,
    Send,
    Cancel,
    Wake,
    ReceiveSteered,
    Install,
}

/// What an operation's `user_data` says: kind (8 bits), slot index (24), the user's token (32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) kind: Kind,
    pub(crate) slot: u32,
    pub(crate) token: u32,
}

impl Tag {
    pub(crate) fn pack(self) -> u64 {
        debug_assert!(self.slot < 1 << 24);
        (self.kind as u64) << 56 | u64::from(self.slot) << 32 | u64::from(self.token)
    }

    /// The tag behind `user_data`; `None` if no operation of ours carries it.
    pub(crate) fn unpack(user_data: u64) -> Option<Self> {
        let kind = match user_data >> 56 {
            0 => Kind::Receive,
            1 => Kind::Send,
            2 => Kind::Cancel,
            3 => Kind::Wake,
            4 => Kind::ReceiveSteered,
            5 => Kind::Install,
            _ => return None,
        };
        Some(Self { kind, slot: (user_data >> 32) as u32 & 0xff_ffff, token: user_data as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_survives_its_way_through_the_kernel() {
        for kind in [Kind::Receive, Kind::Send, Kind::Cancel, Kind::Wake, Kind::ReceiveSteered, Kind::Install]
        {
            let tag = Tag { kind, slot: 0xff_fffe, token: u32::MAX - 1 };
            assert_eq!(Tag::unpack(tag.pack()), Some(tag));
        }
        assert_eq!(Tag::unpack(6 << 56), None);
    }

    #[test]
    fn each_error_number_gives_its_reason() {
        assert_eq!(ReceiveEnd::from_result(-libc::ECANCELED), ReceiveEnd::Cancelled);
        assert_eq!(ReceiveEnd::from_result(-libc::ENOBUFS), ReceiveEnd::NoBuffers);
        assert_eq!(ReceiveEnd::from_result(-libc::ECONNREFUSED), ReceiveEnd::Failed(libc::ECONNREFUSED));
        assert_eq!(ReceiveEnd::from_result(48), ReceiveEnd::Disarmed);
    }
}
