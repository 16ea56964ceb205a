//! Agents' phones and customers behind a carrier, with the load test's SIP: they answer at once, and customers hang up after a
//! while.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use offhook_loadtest::sip::{CallKey, Event, Remote, Transport, UserAgent, describe};
use offhook_loadtest::wire::Wire;

use super::tally::Tally;

/// Runs on a thread of its own, for as long as the process lives; where phones and carrier are.
pub(super) fn start(talk: Duration, tally: Arc<Tally>) -> Result<SocketAddr> {
    let (sender, messages) = channel();
    let on_message = move |from, message| drop(sender.send((from, message)));
    let wire = Wire::open(([127, 0, 0, 1], 0).into(), Transport::Udp, on_message)?;
    let local = wire.local();
    let phones = Phones {
        agent: UserAgent::new(local, Transport::Udp, 1),
        wire,
        messages,
        talk_ms: talk.as_millis() as u64,
        tally,
        customers: HashSet::new(),
        hang_ups: VecDeque::new(),
    };
    thread::spawn(move || phones.run());
    Ok(local)
}

struct Phones {
    agent: UserAgent,
    wire: Wire,
    messages: Receiver<(SocketAddr, Vec<u8>)>,
    talk_ms: u64,
    tally: Arc<Tally>,
    customers: HashSet<CallKey>,
    /// When customers hang up, the next one first: all talk equally long.
    hang_ups: VecDeque<(u64, CallKey)>,
}

impl Phones {
    fn run(mut self) {
        let started = Instant::now();
        loop {
            let received = self.messages.recv_timeout(TICK);
            let now_ms = started.elapsed().as_millis() as u64;
            match received {
                Ok((from, message)) => self.agent.handle_message(now_ms, from, &message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.agent.handle_timeout(now_ms);
            while let Some(event) = self.agent.poll_event() {
                self.on_event(now_ms, event);
            }
            while let Some((_, call)) = self.hang_ups.pop_front_if(|(at_ms, _)| *at_ms <= now_ms) {
                self.agent.hang_up(now_ms, call);
            }
            while let Some((to, message)) = self.agent.poll_transmit() {
                self.wire.send(to, message);
            }
        }
    }

    fn on_event(&mut self, now_ms: u64, event: Event) {
        match event {
            Event::Incoming { call, to_user, offer, .. } => self.answer(now_ms, call, &to_user, offer),
            Event::Confirmed { call } if self.customers.contains(&call) => {
                self.hang_ups.push_back((now_ms + self.talk_ms, call));
            }
            Event::Ended { call, .. } => {
                self.customers.remove(&call);
            }
            Event::Confirmed { .. }
            | Event::Reoffered { .. }
            | Event::Progress { .. }
            | Event::Answered { .. }
            | Event::Registered { .. }
            | Event::RegisterFailed { .. } => {}
        }
    }

    fn answer(&mut self, now_ms: u64, call: CallKey, to_user: &str, offer: Option<Remote>) {
        self.agent.ring(now_ms, call);
        if let (Some(number), Some(offer)) = (Tally::is_customer(to_user), offer) {
            self.customers.insert(call);
            self.tally.answer(number, offer.rtp.port());
        } else {
            self.tally.call_agent();
        }
        self.agent.answer(now_ms, call, &describe(self.wire.local(), call));
    }
}

const TICK: Duration = Duration::from_millis(5);
