//! Brings SIP, REST, media and the plan together, on one thread.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use serde_json::{Value, json};

use super::Setup;
use super::stages::{Cpu, Stage};
use super::state::{Agent, Attempt, Order, Sample};
use super::timers::{Timer, Timers};
use crate::clock;
use crate::media::pump::{Note, Pump};
use crate::media::sockets::PortPool;
use crate::progress::Progress;
use crate::rest::events::Feed;
use crate::rest::pool::{HttpCounters, Job, Method, Pool, Reply};
use crate::sip::{CallKey, Remote, UserAgent};
use crate::wire::Wire;

/// One of the harness's two SIP addresses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Line {
    Phones,
    Trunk,
}

/// Everything that can happen to the director.
#[derive(Debug)]
pub(crate) enum Input {
    Sip(Line, SocketAddr, Vec<u8>),
    Rest(Reply<Task>),
    Feed(Feed),
    Note(Note),
}

/// What a REST request was for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Task {
    CreateAgent(usize),
    LogIn(usize),
    MakeAvailable(usize),
    Decide(usize),
    HangUp,
    WrapUpDone,
    Pin(usize),
    LogOut(usize),
    Order(usize),
    /// Takes back a callback that the run did not get to.
    Withdraw,
    AllAgents,
    Calls,
    Statistics,
}

/// What went wrong in ways that no packet shows.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(crate) struct Mishaps {
    /// Agents' legs that control dropped during the run.
    pub(crate) legs_dropped: u64,
    /// INVITEs to phones that had been called before.
    pub(crate) redialled: u64,
    /// INVITEs to a phone that was off hook already.
    pub(crate) dialled_twice: u64,
    /// INVITEs for numbers that nobody asked for.
    pub(crate) unknown_numbers: u64,
    /// INVITEs without audio that we could use.
    pub(crate) unusable_offers: u64,
    /// Conversations that the agent's hang-up did not end.
    pub(crate) hangups_ignored: u64,
    pub(crate) registrations_refused: u64,
    pub(crate) wrong_pins: u64,
    pub(crate) event_streams_lost: u64,
    pub(crate) ports_missing: u64,
    /// SIP messages that no socket took.
    pub(crate) messages_unsent: u64,
}

/// The run's state.
pub(crate) struct Director {
    pub(crate) setup: Setup,
    pub(crate) phones: UserAgent,
    pub(crate) trunk: UserAgent,
    phones_wire: Wire,
    trunk_wire: Wire,
    rest: Pool<Task>,
    pub(crate) pump: Pump,
    pub(crate) ports: PortPool,
    pub(crate) timers: Timers,
    pub(crate) agents: Vec<Agent>,
    pub(crate) agent_by_id: HashMap<String, usize>,
    pub(crate) phone_calls: HashMap<CallKey, usize>,
    /// Where a phone's RTP will go once it answers.
    pub(crate) phone_remotes: HashMap<CallKey, Remote>,
    pub(crate) orders: Vec<Order>,
    pub(crate) order_by_number: HashMap<String, usize>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) trunk_calls: HashMap<CallKey, usize>,
    /// Calls of each kind so far.
    pub(crate) made: [u32; 3],
    /// Orders without an outcome.
    pub(crate) open_orders: usize,
    pub(crate) stage: Stage,
    pub(crate) started_ms: u64,
    pub(crate) samples: Vec<Sample>,
    pub(crate) cpu: Cpu,
    pub(crate) mishaps: Mishaps,
    pub(crate) http: HttpCounters,
    /// Control's answers at the end; null until then.
    pub(crate) records: Option<Value>,
    pub(crate) statistics: Value,
    pub(crate) progress: Progress,
}

/// The parts that a director is made of.
pub(crate) struct Parts {
    pub(crate) setup: Setup,
    pub(crate) phones_wire: Wire,
    pub(crate) trunk_wire: Wire,
    pub(crate) rest: Pool<Task>,
    pub(crate) pump: Pump,
    pub(crate) ports: PortPool,
    pub(crate) progress: Progress,
}

impl Director {
    /// A director that has done nothing yet.
    pub(crate) fn new(parts: Parts) -> Self {
        let load = &parts.setup.load;
        let seed = parts.setup.run;
        let phones = UserAgent::new(load.phones_listen, load.phones_transport, seed);
        let trunk = UserAgent::new(load.trunk_listen, load.trunk_transport, seed ^ 1);
        Self {
            phones,
            trunk,
            phones_wire: parts.phones_wire,
            trunk_wire: parts.trunk_wire,
            rest: parts.rest,
            pump: parts.pump,
            ports: parts.ports,
            timers: Timers::default(),
            agents: Vec::new(),
            agent_by_id: HashMap::new(),
            phone_calls: HashMap::new(),
            phone_remotes: HashMap::new(),
            orders: Vec::new(),
            order_by_number: HashMap::new(),
            attempts: Vec::new(),
            trunk_calls: HashMap::new(),
            made: [0; 3],
            open_orders: 0,
            stage: Stage::Ramp,
            started_ms: clock::now_ns() / 1_000_000,
            samples: Vec::new(),
            cpu: Cpu::default(),
            mishaps: Mishaps::default(),
            http: HttpCounters::default(),
            records: None,
            statistics: Value::Null,
            progress: parts.progress,
            setup: parts.setup,
        }
    }

    /// Runs until the last stage is done.
    pub(crate) fn run(&mut self, inputs: &Receiver<Input>) {
        self.begin();
        while self.stage != Stage::Done {
            let now_ms = clock::now_ns() / 1_000_000;
            let deadlines = [self.timers.deadline_ms(), self.phones.deadline_ms(), self.trunk.deadline_ms()];
            let wait_ms =
                deadlines.into_iter().flatten().min().map_or(100, |due_ms| due_ms.saturating_sub(now_ms));
            match inputs.recv_timeout(Duration::from_millis(wait_ms)) {
                Ok(input) => self.handle_input(input),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now_ms = clock::now_ns() / 1_000_000;
            self.phones.handle_timeout(now_ms);
            self.trunk.handle_timeout(now_ms);
            while let Some(timer) = self.timers.expire(now_ms) {
                self.handle_timer(now_ms, timer);
            }
            self.settle(now_ms);
        }
        self.mishaps.messages_unsent = self.phones_wire.lost() + self.trunk_wire.lost();
    }

    /// Queues a REST request.
    pub(crate) fn request(&self, tag: Task, method: Method, path: String, body: Option<Value>) {
        self.rest.submit(Job { tag, method, path, body });
    }

    /// Posts to a resource of an agent.
    pub(crate) fn post_agent(&self, tag: Task, agent: usize, action: &str, body: Value) {
        let path = format!("/api/v1/agents/{}/{action}", self.agents[agent].id);
        self.request(tag, Method::Post, path, Some(body));
    }

    /// Sends what SIP wants sent.
    pub(crate) fn flush(&mut self) {
        while let Some((to, bytes)) = self.phones.poll_transmit() {
            self.phones_wire.send(to, bytes);
        }
        while let Some((to, bytes)) = self.trunk.poll_transmit() {
            self.trunk_wire.send(to, bytes);
        }
    }

    fn handle_input(&mut self, input: Input) {
        let now_ms = clock::now_ns() / 1_000_000;
        match input {
            Input::Sip(Line::Phones, from, bytes) => self.phones.handle_message(now_ms, from, &bytes),
            Input::Sip(Line::Trunk, from, bytes) => self.trunk.handle_message(now_ms, from, &bytes),
            Input::Rest(reply) => self.on_reply(now_ms, &reply),
            Input::Feed(Feed::Open) => {
                self.request(Task::AllAgents, Method::Get, "/api/v1/agents".to_owned(), None);
            }
            Input::Feed(Feed::Event { name, data }) if name == "agent" => self.on_agent(now_ms, &data),
            Input::Feed(Feed::Event { .. }) => {}
            Input::Feed(Feed::Lost(why)) => {
                self.mishaps.event_streams_lost += 1;
                self.progress.say(&format!("event stream: {why}"));
            }
            Input::Note(Note::Heard { listener, speaker }) => self.on_heard(now_ms, listener, speaker),
            Input::Note(Note::Digit { listener, digit }) => self.on_digit(listener as usize, digit),
        }
    }

    fn settle(&mut self, now_ms: u64) {
        loop {
            let (phone, customer) = (self.phones.poll_event(), self.trunk.poll_event());
            if phone.is_none() && customer.is_none() {
                break;
            }
            if let Some(event) = phone {
                self.on_phone(now_ms, event);
            }
            if let Some(event) = customer {
                self.on_customer(now_ms, event);
            }
        }
        self.flush();
    }

    fn handle_timer(&mut self, now_ms: u64, timer: Timer) {
        match timer {
            Timer::Tick => self.on_tick(now_ms),
            Timer::NextCallback => self.on_next_callback(now_ms),
            Timer::NextPreview => self.on_next_preview(now_ms),
            Timer::NextInbound => self.on_next_inbound(now_ms),
            Timer::AskAgain(order) => self.ask(order),
            Timer::StartAgent(agent) => self.create_agent(agent),
            Timer::MakeAvailable(agent) => self.make_available(agent),
            Timer::LogOut(agent) => self.log_out(agent),
            Timer::AnswerPhone(agent, call) => self.answer_phone(now_ms, agent, call),
            Timer::Register(agent) => self.register(now_ms, agent),
            Timer::Decide(agent, offer) => self.decide(agent, &offer),
            Timer::WrapUpDone(agent, epoch) => {
                if self.agents[agent].status_epoch == epoch {
                    self.post_agent(Task::WrapUpDone, agent, "wrap_up_done", json!({}));
                }
            }
            Timer::CustomerActs(attempt) => self.on_customer_acts(now_ms, attempt),
            Timer::TalkOver(attempt) => self.on_talk_over(now_ms, attempt),
            Timer::PatienceOver(attempt) => self.on_patience_over(now_ms, attempt),
            Timer::PressMenuKeys(attempt) => self.press_menu_keys(attempt),
            Timer::PressKeys(attempt) => self.press_keys(attempt),
            Timer::CloseSockets(attempt) => self.close_sockets(attempt),
        }
    }

    fn on_reply(&mut self, now_ms: u64, reply: &Reply<Task>) {
        self.http.count(reply);
        let success = reply.success();
        match reply.tag {
            Task::CreateAgent(agent) => self.on_created(now_ms, agent, success.is_some()),
            Task::LogIn(agent) => self.on_logged_in(now_ms, agent, success.is_some()),
            Task::MakeAvailable(agent) => self.on_made_available(now_ms, agent, success.is_some()),
            Task::Decide(agent) if success.is_none() => self.agents[agent].offer = None,
            Task::Pin(agent) => self.on_pin_checked(agent, success.is_some()),
            Task::Order(order) if success.is_none() && self.setup.load.crashes => {
                self.on_order_refused(now_ms, order, &reply.outcome);
            }
            Task::Order(order) => self.on_ordered(order, success),
            Task::AllAgents => {
                for agent in success.and_then(Value::as_array).into_iter().flatten() {
                    self.on_agent(now_ms, agent);
                }
            }
            Task::Calls => self.records = Some(success.cloned().unwrap_or(Value::Null)),
            Task::Statistics => self.statistics = success.cloned().unwrap_or(Value::Null),
            Task::LogOut(agent) => self.on_logged_out(now_ms, agent, success.is_some()),
            Task::Decide(_) | Task::HangUp | Task::WrapUpDone | Task::Withdraw => {}
        }
    }
}
