//! A user agent on one address: any number of phones or customers, told apart by user name and Call-ID.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::call::{Call, Stage, same_transaction};
use super::digest::Challenge;
use super::message::{Message, Start};
use super::transactions::{Expiry, Transactions};
use super::{CallKey, Cause, Event, SipCounters, Transport, sdp};

/// How long a call may ring before our INVITE counts as unanswered.
const RING_PATIENCE_MS: u64 = 300_000;
/// Most answers to a challenge before a refusal is believed.
const MAX_AUTHENTICATIONS: u8 = 2;

/// What a client transaction is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    Register(String),
    Invite(CallKey),
    Bye(CallKey),
    Cancel,
}

/// One phone's binding at the registrar.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) password: String,
    pub(super) registrar: SocketAddr,
    pub(super) expires_s: u32,
    pub(super) cseq: u32,
    pub(super) authentications: u8,
}

/// Transactions, registrations and calls behind one address.
#[derive(Debug)]
pub struct UserAgent {
    pub(super) local: SocketAddr,
    pub(super) transport: Transport,
    pub(super) seed: u64,
    pub(super) serial: u64,
    pub(super) transactions: Transactions,
    pub(super) purposes: HashMap<String, Purpose>,
    pub(super) registrations: HashMap<String, Registration>,
    pub(super) calls: HashMap<CallKey, Call>,
    pub(super) by_call_id: HashMap<String, CallKey>,
    pub(super) out: VecDeque<(SocketAddr, Vec<u8>)>,
    pub(super) events: VecDeque<Event>,
    /// How it went so far.
    pub counters: SipCounters,
}

impl UserAgent {
    /// A user agent that writes `local` and `transport` into its Via and Contact. `seed` makes its tags and branches.
    pub fn new(local: SocketAddr, transport: Transport, seed: u64) -> Self {
        Self {
            local,
            transport,
            seed,
            serial: 0,
            transactions: Transactions::new(transport),
            purposes: HashMap::new(),
            registrations: HashMap::new(),
            calls: HashMap::new(),
            by_call_id: HashMap::new(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            counters: SipCounters::default(),
        }
    }

    /// The next message to send, and where.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        let message = self.out.pop_front()?;
        self.counters.sent += 1;
        Some(message)
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] next has something to do.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.transactions.deadline_ms()
    }

    /// Re-sends and gives up whatever is due.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        while let Some(expiry) = self.transactions.expire(now_ms) {
            match expiry {
                Expiry::Resend(to, bytes) => {
                    self.counters.retransmissions_sent += 1;
                    self.out.push_back((to, bytes));
                }
                Expiry::Over { key, resending } => self.on_over(&key, resending),
            }
        }
    }

    /// Takes one message: a datagram, or what [`crate::wire`] has cut out of a connection.
    pub fn handle_message(&mut self, now_ms: u64, from: SocketAddr, bytes: &[u8]) {
        self.counters.received += 1;
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return; // keep-alive
        }
        let Some(message) = Message::parse(bytes) else {
            self.counters.unreadable += 1;
            return;
        };
        match message.start.clone() {
            Start::Request { method, .. } => self.on_request(now_ms, from, &method, &message),
            Start::Response { code, .. } => self.on_response(now_ms, code, &message),
        }
    }

    /// How many calls exist.
    #[cfg(test)]
    pub(crate) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// A token that no other of this run equals; the seed makes it repeatable.
    pub(super) fn token(&mut self) -> String {
        self.serial += 1;
        format!("{:x}{:x}", self.seed & 0xffff_ffff, self.serial)
    }

    /// Ends a call and says so.
    pub(super) fn end(&mut self, call: CallKey, cause: Cause) {
        if let Some(ended) = self.calls.remove(&call) {
            self.by_call_id.remove(&ended.call_id);
            self.events.push_back(Event::Ended { call, cause });
        }
    }

    fn on_over(&mut self, key: &str, resending: bool) {
        match self.purposes.remove(key) {
            Some(Purpose::Register(user)) => {
                self.counters.timeouts += 1;
                self.events.push_back(Event::RegisterFailed { user, code: 408 });
            }
            Some(Purpose::Invite(call) | Purpose::Bye(call)) => {
                self.counters.timeouts += 1;
                self.end(call, Cause::TimedOut);
            }
            Some(Purpose::Cancel) => self.counters.timeouts += 1,
            None if resending => {
                self.counters.timeouts += 1;
                let waiting = self.calls.iter().find(|(_, call)| call.invite_key == key).map(|(key, _)| *key);
                if let Some(call) = waiting {
                    self.end(call, Cause::TimedOut);
                }
            }
            None => {}
        }
    }

    fn on_response(&mut self, now_ms: u64, code: u16, response: &Message) {
        let branch = response.branch().unwrap_or("");
        let cancel = response.cseq().is_some_and(|(_, method)| method == "CANCEL");
        let key = if cancel { cancel_name(branch) } else { branch.to_owned() };
        let Some(purpose) = self.purposes.get(&key).cloned() else {
            self.on_repeated_answer(code, response);
            return;
        };
        if code < 200 {
            self.transactions.provisional(now_ms, &key, RING_PATIENCE_MS);
            if let Purpose::Invite(call) = purpose {
                self.on_provisional(now_ms, call, code);
            }
            return;
        }
        self.transactions.finish(&key);
        self.purposes.remove(&key);
        match purpose {
            Purpose::Register(user) => self.on_registered(now_ms, user, code, response),
            Purpose::Invite(call) if code < 300 => self.on_answer(now_ms, call, response),
            Purpose::Invite(call) => self.on_refusal(call, code, response),
            Purpose::Bye(call) => self.end(call, Cause::ByeAnswered),
            Purpose::Cancel => {}
        }
    }

    /// A 2xx that was repeated because our ACK got lost (RFC 3261 section 13.2.2.4).
    fn on_repeated_answer(&mut self, code: u16, response: &Message) {
        let invite = response.cseq().is_some_and(|(_, method)| method == "INVITE");
        let call = response.header("Call-ID").and_then(|id| self.by_call_id.get(id));
        match call.and_then(|key| self.calls.get(key)).and_then(|call| call.ack.clone()) {
            Some(ack) if invite && (200..300).contains(&code) => {
                self.counters.retransmissions_received += 1;
                self.out.push_back(ack);
            }
            _ if code < 200 => {}
            _ => self.counters.unexpected += 1,
        }
    }

    fn on_provisional(&mut self, now_ms: u64, key: CallKey, code: u16) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if let Stage::Calling { provisional: false, cancel } = call.stage {
            call.stage = Stage::Calling { provisional: true, cancel };
            if cancel {
                self.send_cancel(now_ms, key);
            }
        }
        self.events.push_back(Event::Progress { call: key, code });
    }

    fn on_answer(&mut self, now_ms: u64, key: CallKey, response: &Message) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.establish(response);
        let changed_mind = call.stage == Stage::Calling { provisional: true, cancel: true };
        call.stage = Stage::Up;
        self.send_ack(key);
        if changed_mind {
            self.hang_up(now_ms, key);
        } else {
            self.events.push_back(Event::Answered { call: key, remote: sdp::parse(&response.body) });
        }
    }

    fn on_refusal(&mut self, key: CallKey, code: u16, response: &Message) {
        let Some(call) = self.calls.get(&key) else { return };
        let ack = same_transaction(&call.invite, "ACK", Some(response));
        self.out.push_back((call.peer, ack.write()));
        self.end(key, Cause::Refused(code));
    }

    fn on_registered(&mut self, now_ms: u64, user: String, code: u16, response: &Message) {
        let Some(registration) = self.registrations.get_mut(&user) else { return };
        if code < 300 {
            registration.authentications = 0;
            self.events.push_back(Event::Registered { user });
            return;
        }
        match challenge_of(code, response) {
            Some(challenge) if registration.authentications < MAX_AUTHENTICATIONS => {
                registration.authentications += 1;
                self.send_register(now_ms, &user, Some((code, &challenge)));
            }
            _ => self.events.push_back(Event::RegisterFailed { user, code }),
        }
    }
}

/// CANCEL has the INVITE's branch, so its transaction needs a name of its own.
pub(super) fn cancel_name(branch: &str) -> String {
    format!("cancel|{branch}")
}

fn challenge_of(code: u16, response: &Message) -> Option<Challenge> {
    let header = match code {
        401 => "WWW-Authenticate",
        407 => "Proxy-Authenticate",
        _ => return None,
    };
    // Not `values`: the commas of a challenge are not a list.
    let challenges = response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header));
    challenges.filter_map(|(_, value)| Challenge::parse(value)).next()
}

#[cfg(test)]
#[path = "user_agent_tests.rs"]
mod tests;
