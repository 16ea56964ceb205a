//! Customers: calls asked of control, calls that reach the trunk, calls that come from it.

use serde_json::{Value, json};

use super::director::{Director, Task};
use super::stages::Stage;
use super::state::{Attempt, Order, Outcome};
use super::timers::Timer;
use crate::clock;
use crate::media::keys::KEY_MS;
use crate::media::party::Sockets;
use crate::media::pump::Command;
use crate::media::{EndpointId, Role};
use crate::plan::{self, Behaviour, Kind, Side};
use crate::rest::pool::Method;
use crate::sip::{CallKey, Cause, Event, Remote, describe};

/// A customer who refuses does so after this.
const REFUSE_AFTER_MS: u64 = 100;
/// A customer whose phone rings longer than this refuses with 480, whatever the plan.
const RING_LIMIT_MS: u64 = 120_000;
/// How long an agent's hang-up may take before the customer hangs up as well.
const HANGUP_PATIENCE_MS: u64 = 5_000;
/// Pause before a request that met nobody is made again.
const ASK_AGAIN_MS: u64 = 1_000;
/// Keys are pressed so long after two have been joined, and are over so long before they part.
const KEYS_AFTER_MS: u64 = 1_000;
/// Sockets stay open after the end, to hear what should not be heard.
const LISTEN_ON_MS: u64 = 3_000;

impl Director {
    /// Asks control for the next callback or preview call, or places the next inbound call.
    pub(crate) fn order(&mut self, now_ms: u64, kind: Kind) {
        let load = &self.setup.load;
        let index = self.made[kind as usize];
        self.made[kind as usize] += 1;
        let number = plan::number(&load.number_prefix, kind, index);
        let behaviour = plan::call(load.seed, kind, index, &load.mix());
        let order = self.orders.len();
        self.order_by_number.insert(number.clone(), order);
        let ordered = Order {
            kind,
            number: number.clone(),
            behaviour,
            id: None,
            outcome: None,
            unanswered: false,
            attempts: 0,
        };
        self.orders.push(ordered);
        self.open_orders += 1;
        match kind {
            Kind::Callback | Kind::Preview => self.ask(order),
            Kind::Inbound => self.place_inbound(now_ms, order),
        }
    }

    /// Asks control for a callback or a preview call.
    pub(crate) fn ask(&self, order: usize) {
        let Order { kind, number, .. } = &self.orders[order];
        match kind {
            Kind::Callback => {
                let path = format!("/genesys/1/service/callback/{}", self.setup.load.service);
                let body = json!({"_customer_number": number, "_call_direction": "USERTERMINATED"});
                self.request(Task::Order(order), Method::Post, path, Some(body));
            }
            Kind::Preview => {
                let queue = &self.setup.load.queue;
                let body = json!({"queue": queue, "number": number, "data": {"order": order}});
                self.request(Task::Order(order), Method::Post, "/api/v1/contacts".to_owned(), Some(body));
            }
            Kind::Inbound => {}
        }
    }

    /// Control was not there, refused, or died before it answered.
    pub(crate) fn on_order_refused(
        &mut self,
        now_ms: u64,
        order: usize,
        outcome: &Result<(u16, Value), String>,
    ) {
        match outcome {
            Err(reason) if reason.contains("refused") => {
                self.timers.set(now_ms + ASK_AGAIN_MS, Timer::AskAgain(order));
            }
            Ok((503, _)) => self.timers.set(now_ms + ASK_AGAIN_MS, Timer::AskAgain(order)),
            Ok(_) => self.conclude(order, Outcome::RequestRefused),
            // Whether it was taken, nobody knows: asked again, it might be done twice.
            Err(_) => {
                self.orders[order].unanswered = true;
                self.conclude(order, Outcome::RequestRefused);
            }
        }
    }

    /// Control has taken a request, or not.
    pub(crate) fn on_ordered(&mut self, order: usize, success: Option<&Value>) {
        let Some(body) = success else {
            self.conclude(order, Outcome::RequestRefused);
            return;
        };
        let id = body["_id"].as_str().or(body["id"].as_str());
        self.orders[order].id = id.map(str::to_owned);
    }

    /// Takes back what control has not finished when the run ends.
    pub(crate) fn withdraw(&self, order: usize) {
        let order = &self.orders[order];
        if let (Kind::Callback, Some(id)) = (order.kind, &order.id) {
            let path = format!("/genesys/1/service/callback/{}/{id}", self.setup.load.service);
            self.request(Task::Withdraw, Method::Delete, path, None);
        }
    }

    /// Gives an order its outcome; a later attempt's counts.
    pub(crate) fn conclude(&mut self, order: usize, outcome: Outcome) {
        if self.orders[order].outcome.replace(outcome).is_none() {
            self.open_orders -= 1;
        }
    }

    /// Something happened on the trunk.
    pub(crate) fn on_customer(&mut self, now_ms: u64, event: Event) {
        match event {
            Event::Incoming { call, to_user, offer, .. } => {
                self.on_customer_dialled(now_ms, call, &to_user, offer);
            }
            Event::Answered { call, remote } => self.on_inbound_answered(now_ms, call, remote),
            Event::Reoffered { call, remote: Some(remote) } => {
                let attempt = self.trunk_calls.get(&call).map(|&attempt| &mut self.attempts[attempt]);
                if let Some(attempt) = attempt.filter(|attempt| attempt.answered_ms.is_some()) {
                    attempt.remote = Some(remote);
                    self.pump.tell(Command::Talk { id: attempt.endpoint, remote });
                }
            }
            Event::Ended { call, cause } => self.on_customer_ended(now_ms, call, cause),
            Event::Progress { .. }
            | Event::Confirmed { .. }
            | Event::Reoffered { .. }
            | Event::Registered { .. }
            | Event::RegisterFailed { .. } => {}
        }
    }

    /// The customer picks up, or refuses, as planned.
    pub(crate) fn on_customer_acts(&mut self, now_ms: u64, attempt: usize) {
        let (order, call) = (self.attempts[attempt].order, self.attempts[attempt].call);
        let code = match self.orders[order].behaviour {
            Behaviour::Busy => 486,
            Behaviour::NotInUse => 404,
            Behaviour::Decline { .. } => 603,
            Behaviour::NoAnswer => 480,
            Behaviour::Talk { .. } | Behaviour::EarlyHangup { .. } => {
                self.pick_up(now_ms, attempt);
                return;
            }
        };
        self.trunk.reject(now_ms, call, code);
    }

    /// A conversation has lasted as long as planned: whoever is to end it does.
    pub(crate) fn on_talk_over(&mut self, now_ms: u64, index: usize) {
        let attempt = &self.attempts[index];
        if attempt.ended_ms.is_some() {
            return;
        }
        let ends = match self.orders[attempt.order].behaviour {
            Behaviour::Talk { ends, .. } => ends,
            _ => Side::Customer,
        };
        match (ends, attempt.agent) {
            (Side::Agent, Some(agent)) => {
                self.attempts[index].hangup_asked_ms = Some(now_ms);
                self.post_agent(Task::HangUp, agent, "hangup", json!({}));
                self.timers.set(now_ms + HANGUP_PATIENCE_MS, Timer::PatienceOver(index));
            }
            _ => self.trunk.hang_up(now_ms, attempt.call),
        }
    }

    /// The customer has waited for nothing, and goes.
    pub(crate) fn on_patience_over(&mut self, now_ms: u64, index: usize) {
        let attempt = &self.attempts[index];
        if attempt.ended_ms.is_some() {
            return;
        }
        let waited =
            |since: Option<u64>, patience_ms| since.is_some_and(|since_ms| now_ms >= since_ms + patience_ms);
        if attempt.agent.is_none() && waited(attempt.answered_ms, self.setup.load.patience.0) {
            self.trunk.hang_up(now_ms, attempt.call);
        } else if waited(attempt.hangup_asked_ms, HANGUP_PATIENCE_MS) {
            self.mishaps.hangups_ignored += 1;
            self.trunk.hang_up(now_ms, attempt.call);
        }
    }

    /// First packet between an agent and a customer.
    pub(crate) fn on_heard(&mut self, now_ms: u64, listener: EndpointId, speaker: EndpointId) {
        let (agent, customer) = (listener.min(speaker) as usize, listener.max(speaker) as usize);
        let agents = self.agents.len();
        let Some(attempt) = customer.checked_sub(agents).and_then(|at| self.attempts.get_mut(at)) else {
            return;
        };
        if agent >= agents || attempt.agent.is_some() {
            return;
        }
        attempt.agent = Some(agent);
        let Behaviour::Talk { talk_ms, .. } = self.orders[attempt.order].behaviour else { return };
        let inbound = self.orders[attempt.order].kind == Kind::Inbound;
        let began_ms = if inbound { now_ms } else { attempt.answered_ms.unwrap_or(now_ms) };
        if inbound {
            self.timers.set(now_ms + talk_ms, Timer::TalkOver(customer - agents));
        }
        let load = &self.setup.load;
        let Some(keys) = &load.keys else { return };
        // Where the talk is too short, none is pressed: what is cut off tells nothing.
        let over_ms = now_ms + 2 * KEYS_AFTER_MS + keys.0.len() as u64 * KEY_MS;
        if over_ms <= began_ms + talk_ms {
            self.timers.set(now_ms + KEYS_AFTER_MS, Timer::PressKeys(customer - agents));
        }
    }

    /// An inbound caller presses what a menu asks for.
    pub(crate) fn press_menu_keys(&mut self, index: usize) {
        let attempt = &self.attempts[index];
        if let (Some(keys), None) = (&self.setup.load.menu_keys, attempt.ended_ms) {
            self.pump.tell(Command::Press { id: attempt.endpoint, keys: keys.0.clone() });
        }
    }

    /// Both sides of a conversation press keys.
    pub(crate) fn press_keys(&mut self, index: usize) {
        let attempt = &self.attempts[index];
        let (Some(keys), None) = (&self.setup.load.keys, attempt.ended_ms) else { return };
        for id in
            [Some(attempt.endpoint), attempt.agent.map(|agent| agent as EndpointId)].into_iter().flatten()
        {
            self.pump.tell(Command::Press { id, keys: keys.0.clone() });
        }
    }

    pub(crate) fn close_sockets(&mut self, attempt: usize) {
        self.pump.tell(Command::Close { id: self.attempts[attempt].endpoint });
    }

    /// Customers who are rung or have answered, and those of them who have heard an agent.
    pub(crate) fn customers_now(&self) -> (usize, usize) {
        let joined = self.trunk_calls.values().filter(|&&attempt| self.attempts[attempt].agent.is_some());
        (self.trunk_calls.len(), joined.count())
    }

    fn on_customer_dialled(&mut self, now_ms: u64, call: CallKey, to_user: &str, offer: Option<Remote>) {
        let Some(&order) = self.order_by_number.get(to_user) else {
            self.mishaps.unknown_numbers += 1;
            self.trunk.reject(now_ms, call, 404);
            return;
        };
        if self.stage >= Stage::Records {
            self.trunk.reject(now_ms, call, 480);
            return;
        }
        let Some(remote) = offer else {
            self.mishaps.unusable_offers += 1;
            self.trunk.reject(now_ms, call, 488);
            return;
        };
        let behaviour = self.orders[order].behaviour;
        self.orders[order].attempts += 1;
        let attempt = self.attempt(order, call, Some(remote));
        let acts_after_ms = match behaviour {
            Behaviour::Busy | Behaviour::NotInUse => REFUSE_AFTER_MS,
            Behaviour::NoAnswer => RING_LIMIT_MS,
            Behaviour::Decline { ring_ms } => ring_ms,
            Behaviour::Talk { ring_ms, .. } | Behaviour::EarlyHangup { ring_ms, .. } => ring_ms,
        };
        if !matches!(behaviour, Behaviour::Busy | Behaviour::NotInUse) {
            self.open_ports(attempt);
            self.trunk.ring(now_ms, call);
        }
        self.timers.set(now_ms + acts_after_ms, Timer::CustomerActs(attempt));
    }

    fn pick_up(&mut self, now_ms: u64, index: usize) {
        let attempt = &mut self.attempts[index];
        let (Some(local), Some(remote)) = (attempt.local, attempt.remote) else {
            self.trunk.reject(now_ms, attempt.call, 480);
            return;
        };
        if !self.trunk.answer(now_ms, attempt.call, &describe(local, u64::from(attempt.endpoint))) {
            return;
        }
        attempt.answered_ms = Some(now_ms);
        let id = attempt.endpoint;
        let at_ns = clock::now_ns();
        self.flush();
        self.pump.tell(Command::Answered { id, at_ns, remote });
        let patience_ms = self.setup.load.patience.0;
        match self.orders[self.attempts[index].order].behaviour {
            Behaviour::EarlyHangup { after_ms, .. } => {
                self.timers.set(now_ms + after_ms, Timer::TalkOver(index));
            }
            Behaviour::Talk { talk_ms, .. } => {
                self.timers.set(now_ms + talk_ms, Timer::TalkOver(index));
                self.timers.set(now_ms + patience_ms, Timer::PatienceOver(index));
            }
            Behaviour::Busy | Behaviour::NoAnswer | Behaviour::Decline { .. } | Behaviour::NotInUse => {}
        }
    }

    fn place_inbound(&mut self, now_ms: u64, order: usize) {
        let attempt = self.attempt(order, 0, None);
        self.open_ports(attempt);
        let Some(local) = self.attempts[attempt].local else {
            self.conclude(order, Outcome::CallRefused);
            return;
        };
        let description = describe(local, u64::from(self.attempts[attempt].endpoint));
        let (from, to) = (self.orders[order].number.clone(), self.setup.load.dnis.clone());
        let call = self.trunk.invite(now_ms, &from, &to, self.setup.sip, &description);
        self.orders[order].attempts += 1;
        self.attempts[attempt].call = call;
        self.trunk_calls.insert(call, attempt);
    }

    fn on_inbound_answered(&mut self, now_ms: u64, call: CallKey, remote: Option<Remote>) {
        let Some(&index) = self.trunk_calls.get(&call) else { return };
        let Some(remote) = remote else {
            self.mishaps.unusable_offers += 1;
            self.trunk.hang_up(now_ms, call);
            return;
        };
        let attempt = &mut self.attempts[index];
        attempt.answered_ms = Some(now_ms);
        attempt.remote = Some(remote);
        self.pump.tell(Command::Answered { id: attempt.endpoint, at_ns: clock::now_ns(), remote });
        let patience_ms = self.setup.load.patience.0;
        if self.setup.load.menu_keys.is_some() {
            self.timers.set(now_ms + self.setup.load.menu_after.0, Timer::PressMenuKeys(index));
        }
        match self.orders[attempt.order].behaviour {
            Behaviour::EarlyHangup { after_ms, .. } => {
                self.timers.set(now_ms + after_ms, Timer::TalkOver(index));
            }
            _ => self.timers.set(now_ms + patience_ms, Timer::PatienceOver(index)),
        }
    }

    fn on_customer_ended(&mut self, now_ms: u64, call: CallKey, cause: Cause) {
        let Some(index) = self.trunk_calls.remove(&call) else { return };
        let attempt = &mut self.attempts[index];
        attempt.ended_ms = Some(now_ms);
        let order = attempt.order;
        let behaviour = self.orders[order].behaviour;
        let outcome = match (cause, behaviour) {
            (Cause::TimedOut, _) => Outcome::SipTimeout,
            (Cause::WeRefused, Behaviour::Busy) => Outcome::Busy,
            (Cause::WeRefused, Behaviour::NotInUse) => Outcome::NotInUse,
            (Cause::WeRefused, Behaviour::Decline { .. }) => Outcome::Declined,
            (Cause::WeRefused | Cause::Cancelled, Behaviour::NoAnswer) => Outcome::NoAnswer,
            (Cause::WeRefused | Cause::Cancelled, _) => Outcome::CancelledByControl,
            (Cause::Refused(_), _) => Outcome::CallRefused,
            (_, Behaviour::EarlyHangup { .. }) => Outcome::EarlyHangup,
            _ if attempt.agent.is_some() => Outcome::Talked,
            _ => Outcome::NeverJoined,
        };
        self.pump.tell(Command::Over { id: attempt.endpoint, at_ns: clock::now_ns() });
        self.timers.set(now_ms + LISTEN_ON_MS, Timer::CloseSockets(index));
        let cut_short = self.stage >= Stage::Records;
        self.conclude(order, if cut_short { Outcome::Unfinished } else { outcome });
    }

    fn attempt(&mut self, order: usize, call: CallKey, remote: Option<Remote>) -> usize {
        let index = self.attempts.len();
        self.attempts.push(Attempt {
            order,
            endpoint: (self.agents.len() + index) as EndpointId,
            call,
            local: None,
            remote,
            answered_ms: None,
            agent: None,
            hangup_asked_ms: None,
            ended_ms: None,
        });
        if remote.is_some() {
            self.trunk_calls.insert(call, index);
        }
        index
    }

    fn open_ports(&mut self, index: usize) {
        match self.ports.open() {
            Ok(pair) => {
                let attempt = &mut self.attempts[index];
                attempt.local = Some(pair.local);
                let sockets = Sockets { rtp: pair.rtp, rtcp: pair.rtcp };
                let id = attempt.endpoint;
                self.pump.tell(Command::Admit { id, role: Role::Customer, sockets, understands_pin: false });
            }
            Err(error) => {
                self.mishaps.ports_missing += 1;
                self.progress.say(&format!("no port for a customer: {error}"));
            }
        }
    }
}
