//! A client of the engine as a state machine: it opens no socket and reads no clock.
//!
//! ```text
//! request(now, command) ─▶┌────────┐─▶ poll_transmit: datagrams to send
//! handle_datagram(now, …)▶│ Client │─▶ poll_event: replies, events, news of the engine
//! handle_timeout(now) ───▶└────────┘─▶ poll_timeout: when to call handle_timeout
//! ```
//!
//! After every input: drain `poll_transmit` and `poll_event`, then wait until `poll_timeout` or the next input. Time is
//! `now_us`: microseconds of any clock that never goes back.
//!
//! It sends a request again with the same cookie until it is answered or given up, keeps a window of requests in flight,
//! subscribes and renews, hands events over once each and in order, acknowledges them, notices that the engine has fallen
//! silent, has come back, or is another run of it.

mod config;
mod cookie;
mod exchange;
mod liveness;
mod order;

use std::collections::VecDeque;

pub use config::Config;

use crate::limits::{CLIENT_EVENTS_HELD, CLIENT_UNFINISHED, DATAGRAM_BYTES, SIGNATURE_BYTES};
use crate::{
    Command, Error, ErrorCode, Event, EventAck, Reply, Request, Subscribe, Subscribed, frame, validate,
};
use exchange::{Exchange, Purpose};
use liveness::{Liveness, Sighting};
use order::{Order, Slot};

/// A request of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// What a client tells its owner.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// A request has ended: exactly once for each.
    Reply {
        /// Which.
        id: RequestId,
        /// The engine's answer (never [`Reply::Error`]), or why there is none. After `timeout` nobody knows whether the
        /// request was executed.
        result: Result<Reply, Error>,
    },
    /// An event of the subscription: each once, in order.
    Event(Event),
    /// Events may have been missed, because the engine does not have them any more. Ask for what matters.
    EventsMissed,
    /// The engine refused the subscription. It is tried again every second.
    SubscribeRefused(Error),
    /// The engine has been heard for the first time.
    EngineUp {
        /// Random name of its run.
        instance: String,
    },
    /// Another run of the engine answers: every leg of the old one is gone. Requests that have not been answered end next, with
    /// `timeout`: the new run is not asked for what was meant for the old one.
    EngineRestarted {
        /// The run known so far.
        old: String,
        /// The run that answers now.
        new: String,
    },
    /// Nothing has been heard for [`Config::silent_after_us`].
    EngineSilent,
    /// The run that was silent is heard again.
    EngineBack,
}

/// What happened on the wire since the client was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams of ours sent again.
    pub retransmitted: u64,
    /// Datagrams that are neither reply nor event.
    pub malformed: u64,
    /// Replies to nothing that waits: late, repeated, or somebody else's.
    pub stray: u64,
    /// Events that came again, or with no room for them, or without a subscription.
    pub events_dropped: u64,
    /// Events of a kind that this version does not know: acknowledged and left out.
    pub events_unknown: u64,
}

/// The state machine. See the [module](self).
#[derive(Debug)]
pub struct Client {
    config: Config,
    exchange: Exchange,
    liveness: Liveness,
    order: Order,
    ping: Task,
    subscription: Task,
    ack: Option<u64>,
    out: VecDeque<ClientEvent>,
    replies_held: usize,
    events_held: usize,
    held: bool,
    /// Of the last input.
    awake_us: u64,
    counters: Counters,
}

/// A request that the client makes for itself, at most one at a time.
#[derive(Debug)]
struct Task {
    /// When to send it next; `None` while it is in flight or not wanted.
    due_us: Option<u64>,
    in_flight: Option<u64>,
}

impl Client {
    /// A client that starts now.
    ///
    /// `seed` makes its cookies unlike those of all other clients of this engine: random, and never used twice.
    ///
    /// # Errors
    /// `bad_value` when a value of `config` is out of its range.
    pub fn new(now_us: u64, seed: u64, config: Config) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self {
            exchange: Exchange::new(seed, config.timeout_us),
            liveness: Liveness::new(now_us),
            order: Order::default(),
            ping: Task { due_us: config.watches().then_some(now_us), in_flight: None },
            subscription: Task { due_us: config.lease_ms.map(|_| now_us), in_flight: None },
            ack: None,
            out: VecDeque::new(),
            replies_held: 0,
            events_held: 0,
            held: false,
            awake_us: now_us,
            counters: Counters::default(),
            config,
        })
    }

    /// Takes a command on; a [`ClientEvent::Reply`] with the returned id ends it.
    ///
    /// # Errors
    /// At once, and without a reply to come: `bad_value` or `same_leg` as [`validate::request`] has it or when the request
    /// is too large for a datagram; `busy` when [`CLIENT_UNFINISHED`] requests have not ended.
    pub fn request(&mut self, now_us: u64, command: Command) -> Result<RequestId, Error> {
        let request = Request { controller: self.config.controller.clone(), command };
        validate::request(&request)?;
        if self.exchange.calls() + self.replies_held >= CLIENT_UNFINISHED {
            return Err(Error::new(
                ErrorCode::Busy,
                format!("{CLIENT_UNFINISHED} requests have not ended yet"),
            ));
        }
        let id = self.exchange.open(now_us, Purpose::Call, &request);
        if self.exchange.datagram_bytes(id) > DATAGRAM_BYTES - SIGNATURE_BYTES {
            self.exchange.cancel(id);
            let reason = format!("the request does not fit into a datagram of {DATAGRAM_BYTES} bytes");
            return Err(Error::new(ErrorCode::BadValue, reason));
        }
        Ok(RequestId(id))
    }

    /// Takes a datagram from the engine's address, without its signature. One that makes no sense is counted.
    pub fn handle_datagram(&mut self, now_us: u64, datagram: &[u8]) {
        self.wake(now_us);
        let Ok((cookie, body)) = frame::split(datagram) else {
            self.counters.malformed += 1;
            return;
        };
        if cookie == EVENT_COOKIE {
            self.on_event(now_us, body);
        } else {
            self.on_reply(now_us, cookie, body);
        }
        self.drive(now_us);
    }

    /// Does what is due. Harmless when nothing is.
    pub fn handle_timeout(&mut self, now_us: u64) {
        self.wake(now_us);
        while let Some((id, purpose)) = self.exchange.poll_expired(now_us) {
            let reason = format!("no reply within {} ms", self.config.timeout_us / 1_000);
            self.on_end(now_us, id, purpose, Err(Error::new(ErrorCode::Timeout, reason)));
        }
        self.drive(now_us);
    }

    /// The next datagram to send to the engine, to be signed where there is a key.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.exchange.poll_transmit()
    }

    /// The next piece of news.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        let event = self.out.pop_front()?;
        match event {
            ClientEvent::Reply { .. } => self.replies_held -= 1,
            ClientEvent::Event(_) => self.events_held -= 1,
            ClientEvent::EventsMissed
            | ClientEvent::SubscribeRefused(_)
            | ClientEvent::EngineUp { .. }
            | ClientEvent::EngineRestarted { .. }
            | ClientEvent::EngineSilent
            | ClientEvent::EngineBack => {}
        }
        Some(event)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); may be in the past. `None`: nothing to wait for.
    pub fn poll_timeout(&self) -> Option<u64> {
        let silence = self.watches_silence().then(|| self.liveness.silent_at_us(self.config.silent_after_us));
        [
            self.exchange.poll_timeout(),
            self.ping.due_us,
            self.subscription.due_us,
            self.order.poll_timeout(),
            silence,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// While true, events that arrive are left for the engine to send again: for an owner who has no room for them.
    pub fn hold_events(&mut self, hold: bool) {
        self.held = hold;
    }

    /// Run of the engine that answers, once known.
    pub fn instance(&self) -> Option<&str> {
        self.liveness.instance()
    }

    /// What happened on the wire.
    pub fn counters(&self) -> Counters {
        Counters { retransmitted: self.exchange.retransmitted(), ..self.counters }
    }

    fn on_event(&mut self, now_us: u64, body: &[u8]) {
        let Ok(label) = serde_json::from_slice::<Label>(body) else {
            self.counters.malformed += 1;
            return;
        };
        if self.sight(now_us, Some(&label.instance)) == Sighting::Former || self.config.lease_ms.is_none() {
            self.counters.events_dropped += 1;
            return;
        }
        if self.held || self.events_held >= CLIENT_EVENTS_HELD {
            self.counters.events_dropped += 1;
            return;
        }
        // A kind of event that a newer engine has must not stop those that follow it.
        let slot =
            serde_json::from_slice::<Event>(body).map_or(Slot::Unknown, |event| Slot::Event(Box::new(event)));
        if !self.order.insert(now_us, label.seq, slot) {
            self.counters.events_dropped += 1;
        }
    }

    fn on_reply(&mut self, now_us: u64, cookie: &str, body: &[u8]) {
        let Some((id, purpose)) = self.exchange.close(now_us, cookie) else {
            self.counters.stray += 1;
            return;
        };
        let result = match serde_json::from_slice::<Reply>(body) {
            Ok(Reply::Error(error)) => Err(error),
            Ok(Reply::Ok(map)) => Ok(Reply::Ok(map)),
            Err(error) => {
                self.counters.malformed += 1;
                Err(Error::bad_reply(&error))
            }
        };
        self.on_end(now_us, id, purpose, result);
    }

    fn on_end(&mut self, now_us: u64, id: u64, purpose: Purpose, result: Result<Reply, Error>) {
        let timed_out = matches!(&result, Err(error) if error.code == ErrorCode::Timeout);
        let sighting = if timed_out { Sighting::Unnamed } else { self.sight(now_us, instance_of(&result)) };
        match purpose {
            Purpose::Call => {
                self.replies_held += 1;
                self.out.push_back(ClientEvent::Reply { id: RequestId(id), result });
            }
            Purpose::Ping => {
                self.ping = Task {
                    due_us: Some(if timed_out { now_us } else { now_us + self.config.ping_after_us() }),
                    in_flight: None,
                };
            }
            Purpose::Subscribe { after } => self.on_subscribe_end(now_us, after, sighting, result),
            Purpose::Ack => {
                self.ack = None;
                // Whoever does not know the subscription has lost it.
                if !timed_out && result.is_err() && self.subscription.in_flight.is_none() {
                    self.subscription.due_us = Some(now_us + RETRY_US);
                }
            }
        }
    }

    fn on_subscribe_end(
        &mut self,
        now_us: u64,
        after: Option<u64>,
        sighting: Sighting,
        result: Result<Reply, Error>,
    ) {
        self.subscription = Task { due_us: Some(now_us + RENEW_US), in_flight: None };
        match result.and_then(Reply::parse::<Subscribed>) {
            // The answer of a run that is gone, or the first of a new one to a request that continued the old one.
            Ok(_) if sighting == Sighting::Former || (sighting == Sighting::Restarted && after.is_some()) => {
                self.subscription.due_us = Some(now_us);
            }
            Ok(reply) => {
                if self.order.begin(now_us, after, reply.seq) {
                    self.out.push_back(ClientEvent::EventsMissed);
                }
            }
            Err(error) if error.code == ErrorCode::Timeout => self.subscription.due_us = Some(now_us),
            Err(error) => {
                self.subscription.due_us = Some(now_us + RETRY_US);
                self.out.push_back(ClientEvent::SubscribeRefused(error));
            }
        }
    }

    /// Takes note of a sign of life, and of the run that gave it.
    fn sight(&mut self, now_us: u64, instance: Option<&str>) -> Sighting {
        let sighting = self.liveness.sight(now_us, instance);
        match (&sighting, instance) {
            (Sighting::First, Some(instance)) => {
                self.out.push_back(ClientEvent::EngineUp { instance: instance.to_owned() });
            }
            (Sighting::Restarted, Some(new)) => {
                let old = self.liveness.last_former().to_owned();
                self.out.push_back(ClientEvent::EngineRestarted { old, new: new.to_owned() });
                self.order = Order::default();
                self.give_up_calls();
                self.subscribe_anew(now_us);
            }
            (Sighting::Back, _) => {
                self.out.push_back(ClientEvent::EngineBack);
                self.subscribe_anew(now_us);
            }
            // Somebody is there again; a ping tells who.
            (Sighting::Unnamed, _) if self.liveness.is_silent() && self.ping.in_flight.is_none() => {
                self.ping.due_us = self.config.watches().then_some(now_us);
            }
            (Sighting::First | Sighting::Restarted | Sighting::Unnamed, _) => {}
            (Sighting::Same | Sighting::Former, _) => {}
        }
        sighting
    }

    /// What the former run was asked for is not for the new one: sent again, it would be executed among legs that have been
    /// opened since.
    fn give_up_calls(&mut self) {
        for id in self.exchange.close_calls() {
            self.replies_held += 1;
            let error = Error::new(ErrorCode::Timeout, "the engine was restarted before it answered");
            self.out.push_back(ClientEvent::Reply { id: RequestId(id), result: Err(error) });
        }
    }

    fn subscribe_anew(&mut self, now_us: u64) {
        if let Some(id) = self.subscription.in_flight.take() {
            self.exchange.cancel(id);
        }
        if let Some(id) = self.ack.take() {
            self.exchange.cancel(id);
        }
        self.subscription.due_us = self.config.lease_ms.map(|_| now_us);
    }

    /// What was slept through, since this process or its machine was stopped, is not the engine's silence: it was not asked
    /// meanwhile, and what it had said may lie in the socket.
    fn wake(&mut self, now_us: u64) {
        if let Some(due_us) = self.poll_timeout() {
            self.liveness.excuse(now_us.saturating_sub(due_us.max(self.awake_us)));
        }
        self.awake_us = self.awake_us.max(now_us);
    }

    fn drive(&mut self, now_us: u64) {
        if self.watches_silence() && self.liveness.fall_silent(now_us, self.config.silent_after_us) {
            self.out.push_back(ClientEvent::EngineSilent);
        }
        if self.order.skip_gap(now_us) {
            self.out.push_back(ClientEvent::EventsMissed);
        }
        while let Some(slot) = self.order.pop(now_us) {
            match slot {
                Slot::Event(event) => {
                    self.events_held += 1;
                    self.out.push_back(ClientEvent::Event(*event));
                }
                Slot::Unknown => self.counters.events_unknown += 1,
            }
        }
        self.acknowledge(now_us);
        if is_due(self.subscription.due_us, now_us) {
            self.subscribe(now_us);
        }
        if is_due(self.ping.due_us, now_us) {
            self.ping =
                Task { due_us: None, in_flight: Some(self.send(now_us, Purpose::Ping, Command::Ping)) };
        }
    }

    fn acknowledge(&mut self, now_us: u64) {
        let Some(seq) = self.order.poll_ack(now_us) else { return };
        // The newer acknowledgement covers the older one.
        if let Some(id) = self.ack.take() {
            self.exchange.cancel(id);
        }
        self.ack = Some(self.send(now_us, Purpose::Ack, Command::EventAck(EventAck { seq })));
    }

    fn subscribe(&mut self, now_us: u64) {
        let Some(lease_ms) = self.config.lease_ms else { return };
        let after = self.order.last();
        let command = Command::Subscribe(Subscribe { lease_ms, after, address: None });
        let id = self.send(now_us, Purpose::Subscribe { after }, command);
        self.subscription = Task { due_us: None, in_flight: Some(id) };
    }

    fn send(&mut self, now_us: u64, purpose: Purpose, command: Command) -> u64 {
        let request = Request { controller: self.config.controller.clone(), command };
        self.exchange.open(now_us, purpose, &request)
    }

    fn watches_silence(&self) -> bool {
        self.config.watches() && !self.liveness.is_silent()
    }
}

/// The part of an event that every version has.
#[derive(serde::Deserialize)]
struct Label {
    instance: String,
    seq: u64,
}

fn instance_of(result: &Result<Reply, Error>) -> Option<&str> {
    match result {
        Ok(Reply::Ok(map)) => map.get("instance")?.as_str(),
        Ok(Reply::Error(_)) | Err(_) => None,
    }
}

fn is_due(due_us: Option<u64>, now_us: u64) -> bool {
    due_us.is_some_and(|due_us| due_us <= now_us)
}

/// Cookie of every event.
pub(crate) const EVENT_COOKIE: &str = "event";
/// A subscription is renewed so often.
const RENEW_US: u64 = 10_000_000;
/// A refused subscription is tried again after so long.
const RETRY_US: u64 = 1_000_000;
