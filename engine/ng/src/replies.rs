//! Replies kept for repeated cookies: a request that comes again is answered again and not executed again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::Peer;
use crate::limits::{REPLIES, REPLY_BYTES, REPLY_KEPT_MS};

/// Who asks, and by what cookie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asker {
    pub(crate) peer: Peer,
    pub(crate) cookie: Box<str>,
}

/// What is known of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sighting {
    New,
    UnderWay,
    Answered(Vec<u8>),
}

/// The replies of the last [`REPLY_KEPT_MS`].
#[derive(Debug, Default)]
pub(crate) struct Replies {
    /// An empty reply is of a request that is under way.
    kept: HashMap<Asker, Vec<u8>>,
    order: VecDeque<(Duration, Asker)>,
    bytes: usize,
}

impl Replies {
    /// Looks a request up, and notes that it is under way when it is new.
    pub(crate) fn see(&mut self, now: Duration, asker: &Asker) -> Sighting {
        self.forget_old(now);
        match self.kept.get(asker) {
            Some(reply) if reply.is_empty() => Sighting::UnderWay,
            Some(reply) => Sighting::Answered(reply.clone()),
            None => {
                self.kept.insert(asker.clone(), Vec::new());
                self.order.push_back((now, asker.clone()));
                Sighting::New
            }
        }
    }

    /// Keeps a reply, unless its request has been forgotten.
    pub(crate) fn keep(&mut self, asker: &Asker, reply: &[u8]) {
        if let Some(kept) = self.kept.get_mut(asker) {
            self.bytes += reply.len();
            *kept = reply.to_vec();
        }
    }

    fn forget_old(&mut self, now: Duration) {
        let kept_for = Duration::from_millis(REPLY_KEPT_MS);
        while let Some((since, _)) = self.order.front() {
            if now.saturating_sub(*since) < kept_for
                && self.order.len() < REPLIES
                && self.bytes <= REPLY_BYTES
            {
                return;
            }
            if let Some(reply) = self.order.pop_front().and_then(|(_, asker)| self.kept.remove(&asker)) {
                self.bytes -= reply.len();
            }
        }
    }
}
