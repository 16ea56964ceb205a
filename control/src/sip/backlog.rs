//! Datagrams that have been read and wait for the door: behind too many of them further ones wait in the socket, where there is a limit.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rsipstack::sip::{SipMessage, Transport};
use rsipstack::transport::SipConnection;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::limits::BACKLOG;

/// How many there are. The stack's own queue has no limit and tells nothing.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    read: AtomicUsize,
    handled: AtomicUsize,
    handled_one: Notify,
}

impl Backlog {
    /// Waits until there is room for one more.
    pub(crate) async fn room(&self) {
        while self.waiting() >= BACKLOG {
            // Who handled one may have done so just before.
            let _ = timeout(LOOK_EVERY, self.handled_one.notified()).await;
        }
    }

    /// A datagram is handed to the stack, which passes it on to the door unless it is no message. Whether it is one is looked at only
    /// where many wait, or have been no message: what is counted for nothing fills half of the room at most.
    pub(crate) fn note_read(&self, datagram: &[u8], from: SocketAddr) {
        if self.waiting() < BACKLOG / 2 || is_message(datagram, from) {
            self.read.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The door has one of them.
    pub(crate) fn note_handled(&self) {
        self.handled.fetch_add(1, Ordering::Relaxed);
        self.handled_one.notify_one();
    }

    fn waiting(&self) -> usize {
        self.read.load(Ordering::Relaxed).saturating_sub(self.handled.load(Ordering::Relaxed))
    }
}

/// As the stack looks at it before it passes it on.
fn is_message(datagram: &[u8], from: SocketAddr) -> bool {
    let message = SipMessage::try_from(datagram).ok();
    message.is_some_and(|message| SipConnection::update_msg_received(message, from, Transport::Udp).is_ok())
}

const LOOK_EVERY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const OPTIONS: &[u8] =
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
        To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

    fn read(backlog: &Backlog, datagram: &[u8], count: usize) {
        let from = SocketAddr::from(([192, 0, 2, 1], 5_060));
        (0..count).for_each(|_| backlog.note_read(datagram, from));
    }

    #[tokio::test]
    async fn no_more_is_read_than_the_door_keeps_up_with() {
        let backlog = Backlog::default();
        read(&backlog, OPTIONS, BACKLOG);
        assert!(backlog.room().now_or_never().is_none());
        backlog.note_handled();
        backlog.room().await;
    }

    #[tokio::test]
    async fn what_is_no_message_never_comes_to_the_door_and_is_not_waited_for() {
        let backlog = Backlog::default();
        read(&backlog, b"\r\n\r\n", 10 * BACKLOG);
        backlog.room().await;
        read(&backlog, OPTIONS, BACKLOG / 2);
        assert!(backlog.room().now_or_never().is_none(), "messages are");
        (0..BACKLOG / 2).for_each(|_| backlog.note_handled());
        backlog.room().await;
    }
}
