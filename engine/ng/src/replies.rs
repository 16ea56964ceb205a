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
            // One that was forgotten under way and asked again is answered twice.
            self.bytes += reply.len();
            self.bytes -= kept.len();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(cookie: &str) -> Asker {
        Asker { peer: Peer::Stream(1), cookie: cookie.into() }
    }

    #[test]
    fn a_reply_is_kept_for_its_time_and_its_asker_only() {
        let (mut replies, start) = (Replies::default(), Duration::ZERO);
        assert_eq!(replies.see(start, &asker("a")), Sighting::New);
        assert_eq!(replies.see(start, &asker("a")), Sighting::UnderWay);
        replies.keep(&asker("a"), b"said");
        assert_eq!(replies.see(start, &asker("a")), Sighting::Answered(b"said".to_vec()));
        let other = Asker { peer: Peer::Stream(2), ..asker("a") };
        assert_eq!(replies.see(start, &other), Sighting::New);
        let last = Duration::from_millis(REPLY_KEPT_MS - 1);
        assert_eq!(replies.see(last, &asker("a")), Sighting::Answered(b"said".to_vec()));
        assert_eq!(replies.see(Duration::from_millis(REPLY_KEPT_MS), &asker("a")), Sighting::New);
    }

    #[test]
    fn no_more_replies_and_no_more_bytes_are_kept_than_the_limits_say() {
        let (mut replies, now) = (Replies::default(), Duration::ZERO);
        for number in 0..2 * REPLIES {
            replies.see(now, &asker(&number.to_string()));
        }
        assert!(replies.kept.len() <= REPLIES && replies.order.len() <= REPLIES);
        let mut replies = Replies::default();
        for number in 0..40 {
            let asker = asker(&number.to_string());
            replies.see(now, &asker);
            replies.keep(&asker, &vec![b'x'; 1 << 20]);
        }
        replies.see(now, &asker("last"));
        assert!(replies.bytes <= REPLY_BYTES, "{}", replies.bytes);
        assert_eq!(replies.bytes, replies.kept.values().map(Vec::len).sum::<usize>());
    }

    #[test]
    fn one_that_is_answered_twice_is_counted_once() {
        let mut replies = Replies::default();
        let (early, late) = (Duration::ZERO, Duration::from_millis(2 * REPLY_KEPT_MS));
        for now in [early, late] {
            assert_eq!(replies.see(now, &asker("slow")), Sighting::New);
        }
        replies.keep(&asker("slow"), b"the first");
        replies.keep(&asker("slow"), b"the second");
        assert_eq!(replies.bytes, b"the second".len());
        replies.see(late + late, &asker("other"));
        assert_eq!(replies.bytes, 0);
    }
}
