//! Retransmission and its end, for both sides of a transaction (RFC 3261 section 17). Over TCP only the end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;

use super::Transport;

/// Round-trip estimate (RFC 3261 section 17.1.1.1).
const T1_MS: u64 = 500;
/// Longest gap between retransmissions of anything but an INVITE.
const T2_MS: u64 = 4_000;
/// After this an unanswered transaction has failed, and an answered one is forgotten.
const T64_MS: u64 = 64 * T1_MS;

/// What is re-sent and until when.
#[derive(Debug)]
struct Pending {
    to: SocketAddr,
    bytes: Vec<u8>,
    gap_ms: u64,
    longest_gap_ms: u64,
    due_ms: u64,
    end_ms: u64,
    resend: bool,
}

/// A transaction's name: the branch, with the method for ours as a server (ACK counts as INVITE).
pub(crate) type Key = String;

/// What a timer did.
#[derive(Debug, PartialEq)]
pub(crate) enum Expiry {
    /// Send these bytes again.
    Resend(SocketAddr, Vec<u8>),
    /// Its time is up. `resending`: what ends it (a response, an ACK) never came.
    Over { key: Key, resending: bool },
}

/// Every open transaction of a user agent.
#[derive(Debug)]
pub(crate) struct Transactions {
    transport: Transport,
    pending: HashMap<Key, Pending>,
    timers: BinaryHeap<Reverse<(u64, Key)>>,
}

impl Transactions {
    /// None open yet.
    pub(crate) fn new(transport: Transport) -> Self {
        Self { transport, pending: HashMap::new(), timers: BinaryHeap::new() }
    }

    /// Starts waiting for the answer to a request, which is re-sent over UDP; INVITE doubles without limit, others up to T2.
    pub(crate) fn start_client(
        &mut self,
        now_ms: u64,
        key: &str,
        to: SocketAddr,
        bytes: &[u8],
        invite: bool,
    ) {
        let longest_gap_ms = if invite { T64_MS } else { T2_MS };
        self.insert(now_ms, key, to, bytes, longest_gap_ms, self.transport == Transport::Udp);
    }

    /// Remembers a response, to repeat it when the request is repeated; `resend` repeats it unasked until [`Self::quiet`].
    pub(crate) fn start_server(
        &mut self,
        now_ms: u64,
        key: &str,
        to: SocketAddr,
        bytes: &[u8],
        resend: bool,
    ) {
        self.insert(now_ms, key, to, bytes, T2_MS, resend);
    }

    /// The response that answers a repeated request.
    pub(crate) fn stored(&self, key: &str) -> Option<(SocketAddr, Vec<u8>)> {
        self.pending.get(key).map(|p| (p.to, p.bytes.clone()))
    }

    /// Stops re-sending but remembers. True: it was being re-sent.
    pub(crate) fn quiet(&mut self, key: &str) -> bool {
        self.pending.get_mut(key).is_some_and(|p| std::mem::replace(&mut p.resend, false))
    }

    /// A provisional response: no more re-sending, and the final one may take `patience_ms`.
    pub(crate) fn provisional(&mut self, now_ms: u64, key: &str, patience_ms: u64) {
        if let Some(pending) = self.pending.get_mut(key) {
            pending.resend = false;
            pending.end_ms = now_ms + patience_ms;
            pending.due_ms = pending.end_ms;
            self.timers.push(Reverse((pending.due_ms, key.to_owned())));
        }
    }

    /// Ends a transaction. False: there is none of that name.
    pub(crate) fn finish(&mut self, key: &str) -> bool {
        self.pending.remove(key).is_some()
    }

    /// When [`Self::expire`] next has something to do.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        self.timers.peek().map(|Reverse((due_ms, _))| *due_ms)
    }

    /// The next timer that has run out, if any.
    pub(crate) fn expire(&mut self, now_ms: u64) -> Option<Expiry> {
        while let Some(Reverse((due_ms, _))) = self.timers.peek() {
            if *due_ms > now_ms {
                return None;
            }
            let Reverse((due_ms, key)) = self.timers.pop()?;
            let Some(pending) = self.pending.get_mut(&key).filter(|p| p.due_ms == due_ms) else { continue };
            if due_ms >= pending.end_ms {
                let resending = pending.resend;
                self.pending.remove(&key);
                return Some(Expiry::Over { key, resending });
            }
            let resend = pending.resend;
            pending.gap_ms = (pending.gap_ms * 2).min(pending.longest_gap_ms);
            pending.due_ms =
                if resend { (due_ms + pending.gap_ms).min(pending.end_ms) } else { pending.end_ms };
            self.timers.push(Reverse((pending.due_ms, key)));
            if resend {
                return Some(Expiry::Resend(pending.to, pending.bytes.clone()));
            }
        }
        None
    }

    fn insert(
        &mut self,
        now_ms: u64,
        key: &str,
        to: SocketAddr,
        bytes: &[u8],
        longest_gap_ms: u64,
        resend: bool,
    ) {
        let end_ms = now_ms + T64_MS;
        let due_ms = if resend { now_ms + T1_MS } else { end_ms };
        let bytes = bytes.to_vec();
        let pending = Pending { to, bytes, gap_ms: T1_MS, longest_gap_ms, due_ms, end_ms, resend };
        self.pending.insert(key.to_owned(), pending);
        self.timers.push(Reverse((due_ms, key.to_owned())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(transport: Transport, invite: bool) -> (Vec<u64>, u64) {
        let mut transactions = Transactions::new(transport);
        let to = SocketAddr::from(([127, 0, 0, 1], 5060));
        transactions.start_client(0, "k", to, b"x", invite);
        let (mut times, mut now_ms) = (Vec::new(), 0);
        loop {
            now_ms = transactions.deadline_ms().unwrap_or(now_ms);
            match transactions.expire(now_ms) {
                Some(Expiry::Resend(..)) => times.push(now_ms),
                Some(Expiry::Over { .. }) => return (times, now_ms),
                None => {}
            }
        }
    }

    #[test]
    fn an_unanswered_invite_is_repeated_at_the_times_of_rfc_3261_and_then_fails() {
        assert_eq!(gaps(Transport::Udp, true), (vec![500, 1_500, 3_500, 7_500, 15_500, 31_500], 32_000));
    }

    #[test]
    fn other_requests_are_repeated_at_most_four_seconds_apart() {
        let (times, end_ms) = gaps(Transport::Udp, false);
        assert_eq!(times[..5], [500, 1_500, 3_500, 7_500, 11_500]);
        assert_eq!(end_ms, 32_000);
    }

    #[test]
    fn over_tcp_nothing_is_repeated_and_a_dead_peer_is_noticed_as_late() {
        assert_eq!(gaps(Transport::Tcp, true), (Vec::new(), 32_000));
    }

    #[test]
    fn a_finished_transaction_never_fires() {
        let mut transactions = Transactions::new(Transport::Udp);
        let to = SocketAddr::from(([127, 0, 0, 1], 5060));
        transactions.start_client(0, "k", to, b"x", true);
        assert!(transactions.finish("k"));
        assert!(!transactions.finish("k"));
        assert_eq!(transactions.expire(100_000), None);
    }
}
