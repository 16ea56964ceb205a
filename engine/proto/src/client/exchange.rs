//! Requests on their way: sent again with the same cookie until answered or given up, a window of them at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::cookie::Cookies;
use crate::limits::CLIENT_IN_FLIGHT;
use crate::{Request, frame};

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The client's owner. Only these count for the window.
    Call,
    /// The client, to see whether the engine is there.
    Ping,
    /// The client, for its subscription.
    Subscribe {
        /// Event that it said to continue after.
        after: Option<u64>,
    },
    /// The client, for the events that it has taken.
    Ack,
}

/// The table of requests.
#[derive(Debug)]
pub(super) struct Exchange {
    cookies: Cookies,
    timeout_us: u64,
    next_id: u64,
    open: BTreeMap<u64, Open>,
    /// Calls that the window has no place for, in order. Some may have ended since.
    waiting: VecDeque<u64>,
    calls: usize,
    calls_in_flight: usize,
    deadlines: BTreeSet<(u64, u64)>,
    outbox: VecDeque<u64>,
    retransmitted: u64,
}

#[derive(Debug)]
struct Open {
    purpose: Purpose,
    datagram: Vec<u8>,
    /// Times sent; 0 while it waits.
    sent: u32,
    /// Its entry in `deadlines`.
    due_us: u64,
    give_up_us: u64,
    in_outbox: bool,
}

impl Exchange {
    pub(super) fn new(seed: u64, timeout_us: u64) -> Self {
        Self {
            cookies: Cookies::new(seed),
            timeout_us,
            next_id: 1,
            open: BTreeMap::new(),
            waiting: VecDeque::new(),
            calls: 0,
            calls_in_flight: 0,
            deadlines: BTreeSet::new(),
            outbox: VecDeque::new(),
            retransmitted: 0,
        }
    }

    /// Calls that have not ended.
    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    pub(super) fn retransmitted(&self) -> u64 {
        self.retransmitted
    }

    pub(super) fn datagram_bytes(&self, id: u64) -> usize {
        self.open.get(&id).map_or(0, |open| open.datagram.len())
    }

    /// Takes a request on and sends it as soon as the window allows.
    pub(super) fn open(&mut self, now_us: u64, purpose: Purpose, request: &Request) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let datagram = frame::join(&self.cookies.cookie(id), request);
        let give_up_us = now_us.saturating_add(self.timeout_us);
        let open = Open { purpose, datagram, sent: 0, due_us: give_up_us, give_up_us, in_outbox: false };
        self.open.insert(id, open);
        self.deadlines.insert((give_up_us, id));
        let is_call = purpose == Purpose::Call;
        self.calls += usize::from(is_call);
        if is_call && self.calls_in_flight >= CLIENT_IN_FLIGHT {
            self.waiting.push_back(id);
        } else {
            self.calls_in_flight += usize::from(is_call);
            self.send(now_us, id);
        }
        id
    }

    /// Ends the request of a cookie, if it is one of ours that waits for an answer.
    pub(super) fn close(&mut self, now_us: u64, cookie: &str) -> Option<(u64, Purpose)> {
        let id = self.cookies.id(cookie)?;
        let purpose = self.remove(id)?;
        self.fill_window(now_us);
        Some((id, purpose))
    }

    /// Ends a request whose answer nobody wants any more.
    pub(super) fn cancel(&mut self, id: u64) {
        self.remove(id);
    }

    /// Ends all calls, in order; those that wait as well.
    pub(super) fn close_calls(&mut self) -> Vec<u64> {
        let calls: Vec<u64> =
            self.open.iter().filter(|(_, open)| open.purpose == Purpose::Call).map(|(id, _)| *id).collect();
        for id in &calls {
            self.remove(*id);
        }
        self.waiting.clear();
        calls
    }

    /// The next request whose time is over. Sends again those whose pause is over.
    pub(super) fn poll_expired(&mut self, now_us: u64) -> Option<(u64, Purpose)> {
        while let Some(&(due_us, id)) = self.deadlines.first() {
            if due_us > now_us {
                return None;
            }
            let open = self.open.get(&id).expect("a deadline belongs to an open request");
            if open.give_up_us <= now_us {
                let purpose = self.remove(id)?;
                self.fill_window(now_us);
                return Some((id, purpose));
            }
            self.send(now_us, id);
            self.retransmitted += 1;
        }
        None
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        loop {
            let id = self.outbox.pop_front()?;
            // One that was answered meanwhile stays unsent.
            if let Some(open) = self.open.get_mut(&id) {
                open.in_outbox = false;
                return Some(open.datagram.clone());
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<u64> {
        self.deadlines.first().map(|&(due_us, _)| due_us)
    }

    fn send(&mut self, now_us: u64, id: u64) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let pause_us = BACK_OFF_US[(open.sent as usize).min(BACK_OFF_US.len() - 1)];
        open.sent = open.sent.saturating_add(1);
        self.deadlines.remove(&(open.due_us, id));
        open.due_us = now_us.saturating_add(pause_us).min(open.give_up_us);
        self.deadlines.insert((open.due_us, id));
        if !open.in_outbox {
            open.in_outbox = true;
            self.outbox.push_back(id);
        }
    }

    fn remove(&mut self, id: u64) -> Option<Purpose> {
        let open = self.open.remove(&id)?;
        self.deadlines.remove(&(open.due_us, id));
        if open.purpose == Purpose::Call {
            self.calls -= 1;
            self.calls_in_flight -= usize::from(open.sent > 0);
        }
        Some(open.purpose)
    }

    fn fill_window(&mut self, now_us: u64) {
        while self.calls_in_flight < CLIENT_IN_FLIGHT {
            let Some(id) = self.waiting.pop_front() else { return };
            if self.open.contains_key(&id) {
                self.calls_in_flight += 1;
                self.send(now_us, id);
            }
        }
    }
}

/// Pause after each sending; the last one for all that follow.
const BACK_OFF_US: [u64; 4] = [100_000, 200_000, 400_000, 800_000];
