//! One subscriber: its events, numbered without a gap and sent again until acknowledged, and its lease.

use std::collections::VecDeque;
use std::net::SocketAddr;

use offhook_proto::limits::{EVENTS_IN_FLIGHT, EVENTS_UNACKNOWLEDGED};
use offhook_proto::{Event, EventBody, frame};

use crate::Time;
use crate::limits::{HEARING_US, LATE_LOOK_US};

/// Time until an event is sent again, first and at most, in milliseconds.
const RESEND_MS: (u64, u64) = (100, 2_000);
/// Events sent again at once: the oldest, which hold up the others.
const RESEND_EVENTS: usize = 8;
/// Silence after which a subscriber is forgotten, in milliseconds, when its legs do not go first.
const FORGET_AFTER_MS: u64 = 600_000;

/// A controller that is told what happens.
#[derive(Debug)]
pub(crate) struct Subscriber {
    address: SocketAddr,
    lease_ms: u32,
    heard: Time,
    lease: Lease,
    /// Not yet numbered, oldest first, with their times.
    waiting: VecDeque<(u64, EventBody)>,
    /// Thrown away since the last `events.lost`.
    lost: u64,
    /// Numbered and sent, not acknowledged, as datagrams.
    in_flight: VecDeque<(u64, Vec<u8>)>,
    last_seq: u64,
    resend_at: Time,
    resend_ms: u64,
}

/// How long a controller has been silent, in terms of its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lease {
    Held,
    Expired,
    /// Its legs have been released; it is still told of it, should it come back.
    Released,
}

/// What time has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseStep {
    /// Nothing.
    None,
    /// The lease has run out: tell everybody.
    Expired,
    /// It ran out as long ago again: release the legs.
    Released,
    /// Nobody is there any more.
    Forgotten,
}

impl Subscriber {
    /// A subscriber that has been told nothing.
    pub(crate) fn new(now: Time, address: SocketAddr, lease_ms: u32) -> Self {
        Self {
            address,
            lease_ms,
            heard: now,
            lease: Lease::Held,
            waiting: VecDeque::new(),
            lost: 0,
            in_flight: VecDeque::new(),
            last_seq: 0,
            resend_at: Time::NEVER,
            resend_ms: RESEND_MS.0,
        }
    }

    /// Renews the subscription. Without `after` it starts anew from the last number; what was on the way is not sent again.
    pub(crate) fn renew(&mut self, now: Time, address: SocketAddr, lease_ms: u32, after: Option<u64>) {
        self.lease_ms = lease_ms;
        self.on_heard(now);
        match after {
            Some(seq) => {
                self.acknowledge(now, seq);
                if self.address != address && !self.in_flight.is_empty() {
                    (self.resend_at, self.resend_ms) = (now, RESEND_MS.0);
                }
            }
            None => {
                self.waiting.clear();
                self.in_flight.clear();
                (self.lost, self.resend_at) = (0, Time::NEVER);
            }
        }
        self.address = address;
    }

    /// Takes note of a request of this controller.
    pub(crate) fn on_heard(&mut self, now: Time) {
        self.heard = now;
        self.lease = Lease::Held;
    }

    /// Number of the last event.
    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Adds an event. When too many wait, the oldest goes.
    pub(crate) fn push(&mut self, now: Time, body: EventBody) {
        self.waiting.push_back((now.as_ms(), body));
        if self.waiting.len() + self.in_flight.len() > EVENTS_UNACKNOWLEDGED
            && self.waiting.pop_front().is_some()
        {
            self.lost += 1;
        }
    }

    /// Takes note that all events up to and with `seq` have arrived.
    pub(crate) fn acknowledge(&mut self, now: Time, seq: u64) {
        let before = self.in_flight.len();
        while self.in_flight.front().is_some_and(|(sent, _)| *sent <= seq) {
            self.in_flight.pop_front();
        }
        if self.in_flight.len() < before {
            self.resend_ms = RESEND_MS.0;
            self.resend_at =
                if self.in_flight.is_empty() { Time::NEVER } else { now.plus_ms(self.resend_ms) };
        }
    }

    /// Sends what may be sent, and again what was not acknowledged in time.
    pub(crate) fn pump(&mut self, now: Time, instance: &str, mut send: impl FnMut(SocketAddr, Vec<u8>)) {
        if self.resend_at <= now {
            for (_, datagram) in self.in_flight.iter().take(RESEND_EVENTS) {
                send(self.address, datagram.clone());
            }
            self.resend_ms = (self.resend_ms * 2).min(RESEND_MS.1);
            self.resend_at = now.plus_ms(self.resend_ms);
        }
        while self.in_flight.len() < EVENTS_IN_FLIGHT {
            let (at_ms, body) = if self.lost > 0 {
                (now.as_ms(), EventBody::EventsLost { count: std::mem::take(&mut self.lost) })
            } else if let Some(next) = self.waiting.pop_front() {
                next
            } else {
                break;
            };
            self.last_seq += 1;
            let event = Event { instance: instance.to_owned(), seq: self.last_seq, at_ms, body };
            let datagram = frame::join("event", &event);
            send(self.address, datagram.clone());
            if self.in_flight.is_empty() {
                (self.resend_ms, self.resend_at) = (RESEND_MS.0, now.plus_ms(RESEND_MS.0));
            }
            self.in_flight.push_back((self.last_seq, datagram));
        }
    }

    /// What the controller's silence means by now.
    pub(crate) fn lease_step(&mut self, now: Time) -> LeaseStep {
        let deadline = self.lease_deadline();
        if now < deadline {
            return LeaseStep::None;
        }
        if now.since(deadline) > LATE_LOOK_US && self.lease != Lease::Released {
            self.heard = self.heard + now.since(deadline) + HEARING_US;
            return LeaseStep::None;
        }
        match self.lease {
            Lease::Held if self.lease_ms > 0 => {
                self.lease = Lease::Expired;
                LeaseStep::Expired
            }
            Lease::Expired => {
                self.lease = Lease::Released;
                LeaseStep::Released
            }
            Lease::Held | Lease::Released => LeaseStep::Forgotten,
        }
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Time {
        self.resend_at.min(self.lease_deadline())
    }

    fn lease_deadline(&self) -> Time {
        let lease_ms = u64::from(self.lease_ms);
        self.heard.plus_ms(match self.lease {
            Lease::Held if lease_ms > 0 => lease_ms,
            Lease::Expired => 2 * lease_ms,
            Lease::Held | Lease::Released => FORGET_AFTER_MS + 2 * lease_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriber() -> Subscriber {
        Subscriber::new(Time(0), "127.0.0.1:9".parse().expect("a literal address"), 1_000)
    }

    fn event(number: usize) -> EventBody {
        EventBody::LegAlive { leg: number.to_string() }
    }

    /// Numbers of the events sent at a moment.
    fn pump(subscriber: &mut Subscriber, now: Time) -> Vec<u64> {
        let mut sent = Vec::new();
        subscriber.pump(now, "i", |_, datagram| {
            let (_, body) = frame::split(&datagram).expect("it has a cookie");
            sent.push(serde_json::from_slice::<Event>(body).expect("it is an event").seq);
        });
        sent
    }

    #[test]
    fn events_are_sent_once_and_again_less_and_less_often() {
        let mut subscriber = subscriber();
        subscriber.push(Time(0), event(0));
        assert_eq!(pump(&mut subscriber, Time(0)), [1]);
        let mut at_ms = Vec::new();
        for ms in 1..10_000 {
            if !pump(&mut subscriber, Time::from_ms(ms)).is_empty() {
                at_ms.push(ms);
            }
        }
        assert_eq!(at_ms, [100, 300, 700, 1_500, 3_100, 5_100, 7_100, 9_100]);
        subscriber.acknowledge(Time::from_ms(10_000), 1);
        assert!(pump(&mut subscriber, Time::from_ms(60_000)).is_empty());
    }

    #[test]
    fn only_a_window_is_on_the_way() {
        let mut subscriber = subscriber();
        for number in 0..200 {
            subscriber.push(Time(0), event(number));
        }
        assert_eq!(pump(&mut subscriber, Time(0)).len(), EVENTS_IN_FLIGHT);
        subscriber.acknowledge(Time(1), 10);
        assert_eq!(pump(&mut subscriber, Time(1)), (65..=74).collect::<Vec<_>>());
    }

    #[test]
    fn a_slow_subscriber_loses_the_oldest_that_wait_and_is_told() {
        let mut subscriber = subscriber();
        for number in 0..EVENTS_IN_FLIGHT {
            subscriber.push(Time(0), event(number));
        }
        pump(&mut subscriber, Time(0));
        for number in 0..EVENTS_UNACKNOWLEDGED {
            subscriber.push(Time(0), event(number));
        }
        subscriber.acknowledge(Time(0), 1);
        let mut bodies = Vec::new();
        subscriber.pump(Time(0), "i", |_, datagram| {
            let (_, body) = frame::split(&datagram).expect("it has a cookie");
            bodies.push(serde_json::from_slice::<Event>(body).expect("it is an event"));
        });
        assert_eq!(bodies[0].seq, EVENTS_IN_FLIGHT as u64 + 1);
        assert_eq!(bodies[0].body, EventBody::EventsLost { count: EVENTS_IN_FLIGHT as u64 });
    }

    #[test]
    fn an_engine_that_was_stopped_hears_a_controller_out_before_its_lease_ends() {
        let mut subscriber = subscriber();
        assert_eq!(subscriber.lease_step(Time::from_ms(9_000)), LeaseStep::None);
        assert!(subscriber.deadline() > Time::from_ms(9_000));
        assert_eq!(subscriber.lease_step(subscriber.deadline()), LeaseStep::Expired);
        assert_eq!(subscriber.lease_step(Time::from_ms(60_000)), LeaseStep::None);
        assert_eq!(subscriber.lease_step(subscriber.deadline()), LeaseStep::Released);
    }

    #[test]
    fn a_lease_expires_then_releases_unless_the_controller_is_heard() {
        let mut subscriber = subscriber();
        assert_eq!(subscriber.lease_step(Time::from_ms(999)), LeaseStep::None);
        assert_eq!(subscriber.lease_step(Time::from_ms(1_000)), LeaseStep::Expired);
        assert_eq!(subscriber.lease_step(Time::from_ms(1_001)), LeaseStep::None);
        subscriber.on_heard(Time::from_ms(1_500));
        assert_eq!(subscriber.lease_step(Time::from_ms(2_400)), LeaseStep::None);
        assert_eq!(subscriber.lease_step(Time::from_ms(2_500)), LeaseStep::Expired);
        assert_eq!(subscriber.lease_step(Time::from_ms(3_500)), LeaseStep::Released);
        assert_eq!(subscriber.lease_step(Time::from_ms(100_000)), LeaseStep::None);
        assert_eq!(subscriber.lease_step(Time::from_ms(700_000)), LeaseStep::Forgotten);
    }
}
