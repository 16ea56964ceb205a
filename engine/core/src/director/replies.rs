//! Replies kept for requests that come again.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use offhook_proto::limits::{REPLIES_KEPT, REPLY_KEPT_MS};

use crate::Time;
use crate::limits::REPLIES_KEPT_BYTES;

/// Who asked: the address that a request came from, and its cookie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asker {
    pub(crate) source: SocketAddr,
    pub(crate) cookie: Arc<str>,
}

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sighting {
    /// It is new, and now under way.
    New,
    /// It is under way: the reply will come.
    UnderWay,
    /// It was answered like this.
    Answered(Vec<u8>),
}

/// The replies of the last half minute.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    /// None while the request is under way.
    known: HashMap<Asker, Option<Vec<u8>>>,
    /// Answered ones, oldest first.
    order: VecDeque<(Time, Asker)>,
    bytes: usize,
}

impl Replies {
    /// Looks a request up, and takes note of it when it is new.
    pub(crate) fn see(&mut self, now: Time, asker: &Asker) -> Sighting {
        self.forget_old(now);
        match self.known.get(asker) {
            Some(Some(datagram)) => Sighting::Answered(datagram.clone()),
            Some(None) => Sighting::UnderWay,
            None => {
                self.known.insert(asker.clone(), None);
                Sighting::New
            }
        }
    }

    /// Keeps the reply of a request.
    pub(crate) fn keep(&mut self, now: Time, asker: Asker, datagram: Vec<u8>) {
        self.bytes += datagram.len();
        self.known.insert(asker.clone(), Some(datagram));
        self.order.push_back((now, asker));
        while self.order.len() > REPLIES_KEPT || self.bytes > REPLIES_KEPT_BYTES {
            self.forget_oldest();
        }
    }

    fn forget_old(&mut self, now: Time) {
        while self.order.front().is_some_and(|(at, _)| now.since(*at) >= REPLY_KEPT_MS * 1_000) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, asker)) = self.order.pop_front()
            && let Some(Some(datagram)) = self.known.remove(&asker)
        {
            self.bytes -= datagram.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(cookie: &str) -> Asker {
        Asker { source: "127.0.0.1:9".parse().expect("a literal address"), cookie: cookie.into() }
    }

    #[test]
    fn a_reply_is_kept_for_its_time() {
        let mut replies = Replies::default();
        assert_eq!(replies.see(Time(0), &asker("a")), Sighting::New);
        assert_eq!(replies.see(Time(0), &asker("a")), Sighting::UnderWay);
        replies.keep(Time(5), asker("a"), vec![1]);
        let just = Time::from_ms(REPLY_KEPT_MS) + 4;
        assert_eq!(replies.see(just, &asker("a")), Sighting::Answered(vec![1]));
        assert_eq!(replies.see(just + 1, &asker("a")), Sighting::New);
    }

    #[test]
    fn no_more_replies_are_kept_than_the_limit() {
        let mut replies = Replies::default();
        for number in 0..=REPLIES_KEPT {
            let asker = asker(&number.to_string());
            replies.see(Time(0), &asker);
            replies.keep(Time(0), asker, vec![0; 8]);
        }
        assert_eq!((replies.known.len(), replies.bytes), (REPLIES_KEPT, REPLIES_KEPT * 8));
        assert_eq!(replies.see(Time(0), &asker("0")), Sighting::New);
        assert_ne!(replies.see(Time(0), &asker("1")), Sighting::New);
    }
}
