//! Agents, callbacks, contacts and inbound callers, in the order in which they come.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::time::Instant;

use offhook_loadtest::sip::{CallKey, Event, Transport, UserAgent, describe};
use offhook_loadtest::wire::Wire;
use serde_json::{Value, json};

use super::Fault;
use super::http::Asked;
use super::relay::{LegId, Relay};

/// A customer's phone rings no longer than this.
const RING_MS: u64 = 1_500;

#[derive(Default)]
struct Agent {
    phone: Option<SocketAddr>,
    status: &'static str,
    auto_accept: bool,
    call: Option<CallKey>,
    up: bool,
    leg: Option<LegId>,
    offer: Option<u64>,
    customer: Option<Work>,
}

#[derive(Clone)]
struct Work {
    kind: &'static str,
    number: String,
    /// An inbound caller, who is there already.
    call: Option<(CallKey, LegId)>,
}

pub(crate) struct Core {
    started: Instant,
    agent_of_sip: UserAgent,
    wire: Wire,
    trunk: SocketAddr,
    relay: Relay,
    fault: Fault,
    agents: BTreeMap<String, Agent>,
    phones: HashMap<CallKey, String>,
    customers: HashMap<CallKey, (String, LegId, u64, bool)>,
    waiting: VecDeque<Work>,
    /// Callers who have not pressed what the menu asks for.
    in_menu: Vec<Work>,
    records: Vec<Value>,
    listeners: Vec<Sender<String>>,
    offers: u64,
}

impl Core {
    pub(crate) fn new(
        wire: Wire,
        transport: Transport,
        trunk: SocketAddr,
        relay: Relay,
        fault: Fault,
    ) -> Self {
        Self {
            started: Instant::now(),
            agent_of_sip: UserAgent::new(wire.local(), transport, 99),
            wire,
            trunk,
            relay,
            fault,
            agents: BTreeMap::new(),
            phones: HashMap::new(),
            customers: HashMap::new(),
            waiting: VecDeque::new(),
            in_menu: Vec::new(),
            records: Vec::new(),
            listeners: Vec::new(),
            offers: 0,
        }
    }

    pub(crate) fn transmit(&mut self) {
        while let Some((to, message)) = self.agent_of_sip.poll_transmit() {
            self.wire.send(to, message);
        }
    }

    pub(crate) fn handle_message(&mut self, from: SocketAddr, message: &[u8]) {
        if message.starts_with(b"REGISTER ") {
            self.on_register(from, &String::from_utf8_lossy(message));
        } else {
            let now_ms = self.now_ms();
            self.agent_of_sip.handle_message(now_ms, from, message);
        }
    }

    pub(crate) fn turn(&mut self) {
        let now_ms = self.now_ms();
        self.agent_of_sip.handle_timeout(now_ms);
        while let Some(event) = self.agent_of_sip.poll_event() {
            self.on_sip(now_ms, event);
        }
        let late: Vec<_> = self
            .customers
            .iter()
            .filter(|(_, c)| !c.3 && now_ms > c.2 + RING_MS)
            .map(|(call, _)| *call)
            .collect();
        for call in late {
            self.agent_of_sip.hang_up(now_ms, call);
        }
        let relay = self.relay.clone();
        let pressed = |work: &Work| work.call.is_some_and(|(_, leg)| relay.was_pressed(leg, "42"));
        self.waiting.extend(self.in_menu.extract_if(.., |work| pressed(work)));
        self.route(now_ms);
    }

    pub(crate) fn handle_request(&mut self, asked: Asked) {
        let now_ms = self.now_ms();
        if let Some(events) = asked.events {
            self.listeners.push(events);
            return;
        }
        let parts: Vec<&str> = asked.path.split(['/', '?']).skip(1).collect();
        let answer = match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["healthz"]) => (200, json!({"status": "ok", "engine": "up"})),
            ("PUT", ["api", "v1", "agents", id]) => {
                let agent = self.agents.entry((*id).to_owned()).or_default();
                agent.auto_accept = asked.body["auto_accept"] == true;
                agent.status = "logged_out";
                (201, json!({}))
            }
            ("GET", ["api", "v1", "agents"]) => {
                (200, self.agents.keys().map(|id| self.object(id)).collect::<Vec<_>>().into())
            }
            ("GET", ["api", "v1", "calls", ..]) => (200, self.records.clone().into()),
            ("GET", ["api", "v1", "statistics"]) => (200, json!({})),
            ("POST", ["api", "v1", "agents", id, action]) => self.act(now_ms, id, action),
            ("POST", ["genesys", "1", "service", "callback", _]) => {
                self.wait("callback", asked.body["_customer_number"].as_str().unwrap_or(""))
            }
            ("POST", ["api", "v1", "contacts"]) => {
                self.wait("preview", asked.body["number"].as_str().unwrap_or(""))
            }
            _ => (404, json!({"error": "not_found"})),
        };
        let _ = asked.answer.send(answer);
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn wait(&mut self, kind: &'static str, number: &str) -> (u16, Value) {
        self.waiting.push_back(Work { kind, number: number.to_owned(), call: None });
        (200, json!({"_id": number}))
    }

    fn act(&mut self, now_ms: u64, id: &str, action: &str) -> (u16, Value) {
        let Some(agent) = self.agents.get_mut(id) else { return (404, json!({"error": "no_agent"})) };
        match action {
            "login" => agent.status = "on_break",
            "status" if agent.up => agent.status = "available",
            "status" => {
                let Some(phone) = agent.phone else { return (409, json!({"error": "no_phone"})) };
                let (leg, local) = self.relay.open(true);
                let call =
                    self.agent_of_sip.invite(now_ms, "control", id, phone, &describe(local, leg as u64));
                agent.status = "persistent_call_offered";
                (agent.call, agent.leg) = (Some(call), Some(leg));
                self.phones.insert(call, id.to_owned());
            }
            "accept" => {
                agent.offer = None;
                if let Some(work) = agent.customer.clone() {
                    self.connect(now_ms, id, &work);
                }
            }
            "reject" => {
                agent.offer = None;
                agent.status = "available";
                self.waiting.extend(agent.customer.take());
            }
            "hangup" => {
                let call = self.customers.iter().find(|(_, c)| c.0 == id).map(|(call, _)| *call);
                if let Some(call) = call {
                    self.unsplice(id, call);
                    self.agent_of_sip.hang_up(now_ms, call);
                }
            }
            "wrap_up_done" => agent.status = "available",
            "logout" => {
                agent.status = "logged_out";
                agent.call.into_iter().for_each(|call| self.agent_of_sip.hang_up(now_ms, call));
            }
            _ => return (404, json!({"error": "not_found"})),
        }
        self.publish(id);
        (200, json!({}))
    }

    fn object(&self, id: &str) -> Value {
        let agent = &self.agents[id];
        let kind = agent.customer.as_ref().map_or("", |work| work.kind);
        let offer = agent.offer.map(|offer| json!({"id": offer.to_string(), "kind": kind}));
        let connection = if agent.up { "up" } else { "down" };
        json!({"id": id, "status": agent.status, "connection": connection, "offer": offer})
    }

    fn publish(&mut self, id: &str) {
        let line = format!("event: agent\ndata: {}\n\n", self.object(id));
        self.listeners.retain(|listener| listener.send(line.clone()).is_ok());
    }

    /// Gives the first who waits to the first agent who is free.
    fn route(&mut self, now_ms: u64) {
        let free = |agent: &Agent| agent.up && agent.status == "available";
        let Some(id) = self.agents.iter().find(|(_, agent)| free(agent)).map(|(id, _)| id.clone()) else {
            return;
        };
        let Some(work) = self.waiting.pop_front() else { return };
        let Some(agent) = self.agents.get_mut(&id) else { return };
        agent.customer = Some(work.clone());
        if agent.auto_accept && work.kind != "preview" {
            self.connect(now_ms, &id, &work);
        } else {
            self.offers += 1;
            agent.offer = Some(self.offers);
            agent.status = if work.kind == "preview" { "preview" } else { "offered" };
        }
        self.publish(&id);
    }

    fn connect(&mut self, now_ms: u64, id: &str, work: &Work) {
        let name = if self.fault == Fault::WrongRecord { "somebody" } else { id };
        self.records.push(json!({"kind": work.kind, "number": work.number, "agent": name}));
        let Some(agent) = self.agents.get_mut(id) else { return };
        agent.status = "on_call";
        if let (Some((call, leg)), Some(agent_leg)) = (work.call, agent.leg) {
            self.customers.insert(call, (id.to_owned(), leg, now_ms, true));
            self.relay.splice(agent_leg, leg);
            return;
        }
        let (leg, local) = self.relay.open(false);
        let call = self.agent_of_sip.invite(
            now_ms,
            "control",
            &work.number,
            self.trunk,
            &describe(local, leg as u64),
        );
        self.customers.insert(call, (id.to_owned(), leg, now_ms, false));
    }

    fn unsplice(&mut self, id: &str, call: CallKey) {
        if let (Some(agent_leg), Some((_, leg, ..))) = (self.agents[id].leg, self.customers.get(&call)) {
            self.relay.unsplice(agent_leg, *leg);
        }
    }

    fn on_sip(&mut self, now_ms: u64, event: Event) {
        match event {
            Event::Answered { call, remote: Some(remote) } => {
                if let Some(id) = self.phones.get(&call).cloned() {
                    let Some(agent) = self.agents.get_mut(&id) else { return };
                    (agent.up, agent.status) = (true, "available");
                    agent.leg.into_iter().for_each(|leg| self.relay.connect(leg, remote.rtp));
                    self.publish(&id);
                } else if let Some((id, leg, _, answered)) = self.customers.get_mut(&call) {
                    *answered = true;
                    self.relay.connect(*leg, remote.rtp);
                    self.agents[id.as_str()].leg.into_iter().for_each(|agent| self.relay.splice(agent, *leg));
                }
            }
            Event::Incoming { call, from_user, offer: Some(offer), .. } => {
                let (leg, local) = self.relay.open(false);
                self.relay.connect(leg, offer.rtp);
                self.agent_of_sip.answer(now_ms, call, &describe(local, leg as u64));
                let work = Work { kind: "inbound", number: from_user, call: Some((call, leg)) };
                if self.fault == Fault::Menu {
                    self.in_menu.push(work);
                } else {
                    self.waiting.push_back(work);
                }
            }
            Event::Ended { call, .. } => {
                if let Some(id) = self.phones.remove(&call) {
                    let Some(agent) = self.agents.get_mut(&id) else { return };
                    (agent.up, agent.call) = (false, None);
                    self.publish(&id);
                } else if let Some(id) = self.customers.get(&call).map(|customer| customer.0.clone()) {
                    self.unsplice(&id, call);
                    self.customers.remove(&call);
                    let Some(agent) = self.agents.get_mut(&id) else { return };
                    (agent.status, agent.customer) = ("wrap_up", None);
                    self.publish(&id);
                } else {
                    self.on_abandoned(call);
                }
            }
            _ => {}
        }
    }

    /// An inbound caller has gone before anyone answered.
    fn on_abandoned(&mut self, call: CallKey) {
        let is_theirs = |work: &Work| work.call.is_some_and(|(waiting, _)| waiting == call);
        self.waiting.retain(|work| !is_theirs(work));
        self.in_menu.retain(|work| !is_theirs(work));
        let offered =
            self.agents.iter_mut().find(|(_, agent)| agent.customer.as_ref().is_some_and(is_theirs));
        if let Some((id, agent)) = offered {
            (agent.status, agent.offer, agent.customer) = ("available", None, None);
            let id = id.clone();
            self.publish(&id);
        }
    }

    /// A registrar that wants some digest, whatever it says.
    fn on_register(&mut self, from: SocketAddr, text: &str) {
        let user = text.split("sip:").nth(2).and_then(|rest| rest.split('@').next()).unwrap_or("");
        let authorised = text.contains("\r\nAuthorization: Digest ");
        if authorised && let Some(agent) = self.agents.get_mut(user) {
            agent.phone = Some(from);
        }
        let status = if authorised {
            "200 OK\r\n"
        } else {
            "401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"s\", nonce=\"n\", qop=\"auth\"\r\n"
        };
        let copied = ["Via", "From", "To", "Call-ID", "CSeq"];
        let lines =
            text.lines().filter(|line| copied.iter().any(|name| line.starts_with(&format!("{name}:"))));
        let headers: String = lines.map(|line| format!("{line}\r\n")).collect();
        let answer = format!("SIP/2.0 {status}{headers}Content-Length: 0\r\n\r\n");
        self.wire.send(from, answer.into_bytes());
    }
}
