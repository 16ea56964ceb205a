//! Controllers: their subscriptions, their events, their leases.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use offhook_proto::{Error, ErrorCode, EventBody, Subscribe, Subscribed};

use super::DirectorOutput;
use super::subscriber::{LeaseStep, Subscriber};
use crate::Time;
use crate::limits::SUBSCRIBERS;

/// All subscribers, by the controller's name.
#[derive(Debug)]
pub(crate) struct Controllers {
    instance: String,
    subscribers: BTreeMap<Arc<str>, Subscriber>,
}

impl Controllers {
    pub(crate) fn new(instance: String) -> Self {
        Self { instance, subscribers: BTreeMap::new() }
    }

    /// Takes note of a request of a controller.
    pub(crate) fn on_heard(&mut self, now: Time, controller: &str) {
        if let Some(subscriber) = self.subscribers.get_mut(controller) {
            subscriber.on_heard(now);
        }
    }

    /// Adds or renews a subscription.
    pub(crate) fn subscribe(
        &mut self,
        now: Time,
        controller: Option<&str>,
        source: SocketAddr,
        request: &Subscribe,
    ) -> Result<Subscribed, Error> {
        let controller = named(controller, "subscribe")?;
        let address = request.address.unwrap_or(source);
        if address.ip() != source.ip() {
            return Err(Error::new(
                ErrorCode::BadValue,
                format!("address: must be one of the requesting host, {}, not {address}", source.ip()),
            ));
        }
        if !self.subscribers.contains_key(controller) && self.subscribers.len() >= SUBSCRIBERS {
            return Err(Error::new(ErrorCode::Busy, format!("there are {SUBSCRIBERS} subscribers already")));
        }
        let subscriber = self
            .subscribers
            .entry(controller.into())
            .or_insert_with(|| Subscriber::new(now, address, request.lease_ms));
        subscriber.renew(now, address, request.lease_ms, request.after);
        Ok(Subscribed { instance: self.instance.clone(), seq: subscriber.last_seq() })
    }

    /// Ends a subscription and the lease with it. Success also when there is none.
    pub(crate) fn unsubscribe(&mut self, controller: Option<&str>) -> Result<(), Error> {
        self.subscribers.remove(named(controller, "unsubscribe")?);
        Ok(())
    }

    /// Takes an acknowledgement.
    pub(crate) fn acknowledge(&mut self, now: Time, controller: Option<&str>, seq: u64) -> Result<(), Error> {
        let controller = named(controller, "event.ack")?;
        let Some(subscriber) = self.subscribers.get_mut(controller) else {
            let reason = format!("{controller} has no subscription: subscribe first");
            return Err(Error::new(ErrorCode::BadRequest, reason));
        };
        subscriber.acknowledge(now, seq);
        Ok(())
    }

    /// Tells every subscriber.
    pub(crate) fn raise(&mut self, now: Time, body: &EventBody) {
        for subscriber in self.subscribers.values_mut() {
            subscriber.push(now, body.clone());
        }
    }

    /// Sends what may be sent.
    pub(crate) fn pump(&mut self, now: Time, outputs: &mut VecDeque<DirectorOutput>) {
        for subscriber in self.subscribers.values_mut() {
            subscriber.pump(now, &self.instance, |to, datagram| {
                outputs.push_back(DirectorOutput::Send { to, datagram });
            });
        }
    }

    /// Controllers whose lease has run out by now, and those that were silent for twice as long.
    pub(crate) fn lease_steps(&mut self, now: Time) -> Vec<(Arc<str>, LeaseStep)> {
        let steps = self.subscribers.iter_mut().map(|(name, one)| (Arc::clone(name), one.lease_step(now)));
        steps.filter(|(_, step)| *step != LeaseStep::None).collect()
    }

    /// Forgets a controller.
    pub(crate) fn forget(&mut self, controller: &str) {
        self.subscribers.remove(controller);
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Time {
        self.subscribers.values().map(Subscriber::deadline).min().unwrap_or(Time::NEVER)
    }
}

fn named<'a>(controller: Option<&'a str>, command: &str) -> Result<&'a str, Error> {
    controller
        .ok_or_else(|| Error::new(ErrorCode::BadRequest, format!("controller: missing; {command} needs one")))
}
