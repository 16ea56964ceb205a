//! Agents at their consoles, and whoever asks for callbacks.

use std::collections::{BTreeMap, BTreeSet};

use offhook_control_core::api::{
    ApiReply, ApiRequest, ConfirmModeBody, ConnectBody, ContactBody, KeysBody, LoginBody, PinBody,
    StatusBody, TransferBody, TransferMode, WantedStatus,
};
use offhook_control_core::modes::ModeWish;
use offhook_control_core::record::Destination;
use offhook_control_core::view::{AgentStatus, AgentView, ConnectionStatus, Notification};
use offhook_control_core::{AgentId, CallbackId, ContactId, Core, Input, OpId};
use offhook_proto::PlaySource;
use rand::RngExt as _;
use serde_json::json;

use super::engines::SimLeg;
use super::flows::FLOW;
use super::network::GUESTS;
use super::office::Order;
use super::world::{Happening, SECOND, World};

#[derive(Debug, Default)]
pub(super) struct Users {
    agents: BTreeMap<AgentId, AgentView>,
    /// Created; others are created again after a crash.
    stored: BTreeSet<AgentId>,
    pub(super) names: Vec<AgentId>,
    next_op: u64,
    asked: BTreeMap<OpId, Asked>,
    /// Confirmed to whoever asked.
    pub(super) callbacks: BTreeSet<CallbackId>,
    pub(super) contacts: BTreeSet<ContactId>,
    /// Agents who ever asked to speak with another about a transfer.
    pub(super) consulting: BTreeSet<AgentId>,
    pub(super) evening: bool,
    pub(super) night: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Asked {
    Store(AgentId),
    Mode(AgentId),
    /// A callback for a customer.
    Callback(u32),
    Other,
}

/// Something that a user does.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// An agent looks at the console and acts.
    Look(AgentId),
    /// The same, over and over.
    Routine(AgentId),
    Callback(u32),
    /// The customer of a callback is ready.
    Confirm(CallbackId),
    /// The customer of a callback calls the access number.
    CallForCallback {
        number: String,
        access: String,
    },
    CancelCallbacks,
    Contact(u32),
    CallIn(u32),
    Office(Order),
}

impl World {
    pub(super) fn plan_users(&mut self) {
        let count = self.rng.random_range(1..4_usize);
        for agent in ["ann", "bob", "cat"].into_iter().take(count) {
            self.users.names.push(agent.into());
            let begin = self.between_ms(100, 2_000);
            self.after(begin, Happening::User(Deed::Routine(agent.into())));
        }
        for number in 0..self.rng.random_range(1..4_u32) {
            let at = self.between_ms(500, 30_000);
            self.after(at, Happening::User(Deed::Callback(number)));
        }
        for number in 0..self.rng.random_range(0..3_u32) {
            let at = self.between_ms(500, 30_000);
            self.after(at, Happening::User(Deed::Contact(number)));
        }
        for number in 0..self.rng.random_range(0..3_u32) {
            let at = self.between_ms(3_000, 35_000);
            self.after(at, Happening::User(Deed::CallIn(number)));
        }
        while self.chance(30) {
            let at = self.between_ms(3_000, 30_000);
            self.after(at, Happening::User(Deed::CancelCallbacks));
        }
    }

    /// What was not confirmed before a crash is asked again.
    pub(super) fn users_after_start(&mut self) {
        self.users.asked.clear();
    }

    pub(super) fn ask(&mut self, request: ApiRequest, asked: Asked) {
        self.users.next_op += 1;
        let op = OpId(self.users.next_op);
        self.users.asked.insert(op, asked);
        if matches!(
            request,
            ApiRequest::Logout(_)
                | ApiRequest::SetStatus(..)
                | ApiRequest::Disconnect(_)
                | ApiRequest::Reject(_)
                | ApiRequest::Cancel(_)
                | ApiRequest::HangUp(_)
        ) {
            self.oracle.disturbed_us = self.now_us;
        }
        let run = self.shell.run;
        let delay = self.rng.random_range(100..5_000_u64);
        self.after(delay, Happening::Hear { run, input: Input::Api { op, request } });
    }

    pub(super) fn on_reply(&mut self, op: OpId, reply: &ApiReply) {
        let asked = self.users.asked.remove(&op);
        match (asked, reply) {
            (Some(Asked::Store(agent)), ApiReply::Agent(view, _)) => {
                self.users.stored.insert(agent.clone());
                self.users.agents.insert(agent, (**view).clone());
            }
            (Some(Asked::Mode(agent)), ApiReply::ModeAsked(asked)) => {
                let body = ConfirmModeBody { change: asked.change.clone() };
                self.ask(ApiRequest::ConfirmMode(agent, body), Asked::Other);
            }
            (Some(Asked::Callback(number)), ApiReply::CallbackAccess { id, access_number, .. }) => {
                self.users.callbacks.insert(id.clone());
                self.plan_own_call(format!("+3120{number}"), access_number.clone());
            }
            (Some(_), ApiReply::CallbackStored(id)) => {
                self.users.callbacks.insert(id.clone());
            }
            (_, ApiReply::Operation(reply)) => self.note_operation(reply),
            (Some(_), ApiReply::ContactStored(id)) => {
                self.users.contacts.insert(id.clone());
            }
            _ => {}
        }
    }

    /// Control refuses a request: only while calls are still to be taken up is it told to come again. When that is told, they may
    /// all be.
    pub(super) fn judge_refusal(&mut self, reply: &ApiReply) {
        let is_taking_up = self.shell.core.as_ref().is_some_and(Core::is_taking_up);
        if matches!(reply, ApiReply::Error(error) if error.code == "taking_up" && !is_taking_up) {
            self.violate("a request is told to come again, and all calls are taken up".to_owned());
        }
    }

    pub(super) fn on_notification(&mut self, notification: Notification) {
        if let Notification::Operation(view) = &notification {
            self.judge_operation(view);
        }
        if let Notification::Agent(view) = notification {
            let id = view.id.clone();
            let before = self.users.agents.insert(id.clone(), *view);
            let after = self.users.agents.get(&id);
            let moved = before.as_ref().map(|view| (view.status, view.connection))
                != after.map(|view| (view.status, view.connection));
            if moved {
                let think = self.between_ms(20, 2_500);
                self.after(think, Happening::User(Deed::Look(id)));
            }
        }
    }

    pub(super) fn on_deed(&mut self, deed: Deed) {
        match deed {
            Deed::Routine(agent) => {
                self.look(&agent);
                let pause = if self.users.evening { 3 * SECOND } else { 4 * SECOND };
                self.after(pause, Happening::User(Deed::Routine(agent)));
            }
            Deed::Look(agent) => self.look(&agent),
            Deed::Callback(number) => self.ask_for_callback(number),
            Deed::Confirm(id) => {
                let service = self.oracle.requests.service_of(&id);
                self.ask(ApiRequest::ConfirmCallback { service, id }, Asked::Other);
            }
            Deed::CallForCallback { number, access } => self.call_in(number, &access),
            Deed::Office(order) => self.order(order),
            Deed::CancelCallbacks => {
                let known: Vec<_> = self.users.callbacks.iter().cloned().collect();
                let Some(id) = known.get(self.rng.random_range(0..known.len().max(1))).cloned() else {
                    return;
                };
                let service = self.oracle.requests.service_of(&id);
                let request = if self.chance(20) {
                    ApiRequest::ConfirmCallback { service, id }
                } else if self.chance(50) {
                    ApiRequest::CancelCallback { service, id }
                } else {
                    let now_s = self.now().unix_ms / 1_000;
                    let past_s = self.rng.random_range(0..3_600_u64);
                    let time = if self.chance(50) { now_s + 8 } else { now_s - past_s }.to_string();
                    let params = [("_new_desired_time".to_owned(), json!(time))].into_iter().collect();
                    ApiRequest::RescheduleCallback { service, id, params }
                };
                self.ask(request, Asked::Other);
            }
            Deed::Contact(number) => {
                let body = ContactBody {
                    queue: if self.chance(30) { "support".into() } else { "sales".into() },
                    number: format!("+4420{number}"),
                    data: json!({}),
                    ..ContactBody::default()
                };
                self.ask(ApiRequest::AddContact(body), Asked::Other);
            }
            Deed::CallIn(number) => {
                let to = [FLOW, FLOW, "100", "100", "101"][self.rng.random_range(0..5_usize)];
                self.call_in(format!("+4930{number}"), to);
            }
        }
    }

    fn look(&mut self, id: &AgentId) {
        if self.shell.core.is_none() {
            return;
        }
        if !self.users.stored.contains(id) {
            self.store_agent(id);
            return;
        }
        let Some(view) = self.users.agents.get(id).cloned() else { return };
        if !self.users.evening && self.chance(6) {
            let request = self.stray(id);
            return self.ask(request, Asked::Other);
        }
        let roll = self.rng.random_range(0..100_u32);
        let me = id.clone();
        let be = |status| ApiRequest::SetStatus(me.clone(), StatusBody { status });
        let request = match view.status {
            _ if self.users.night => match view.status {
                AgentStatus::LoggedOut => return,
                AgentStatus::OnCall => ApiRequest::HangUp(me.clone()),
                _ => ApiRequest::Logout(me.clone()),
            },
            AgentStatus::LoggedOut => ApiRequest::Login(me, LoginBody { initiate: roll < 30 }),
            AgentStatus::WorkingOffline if roll < 50 && !self.users.evening => {
                let wish = ModeWish { persistent: Some(roll < 25), auto_accept: Some(roll % 2 == 0) };
                self.ask(ApiRequest::SetMode(me.clone(), wish), Asked::Mode(me));
                return;
            }
            AgentStatus::OnBreak | AgentStatus::WorkingOffline | AgentStatus::Refused => match roll {
                0..10 if !self.users.evening => ApiRequest::Connect(me, ConnectBody::default()),
                _ => be(WantedStatus::Available),
            },
            _ if view.connection == ConnectionStatus::Validating && roll < 95 => {
                let Some(pin) = self.heard_pin(id) else { return };
                let pin = if roll < 15 { "x".to_owned() } else { pin };
                ApiRequest::Pin(me, PinBody { pin })
            }
            AgentStatus::PersistentCallOffered | AgentStatus::Available if self.users.evening => return,
            AgentStatus::PersistentCallOffered | AgentStatus::Available => match roll {
                0..3 => be(WantedStatus::OnBreak),
                3..5 => be(WantedStatus::WorkingOffline),
                5..7 => ApiRequest::Logout(me),
                7..9 => ApiRequest::Disconnect(me),
                9..15 => ApiRequest::Connect(me, ConnectBody::default()),
                _ => return,
            },
            AgentStatus::Offered | AgentStatus::Preview => match roll {
                0..70 => ApiRequest::Accept(me),
                70..80 => ApiRequest::Reject(me),
                80..85 => ApiRequest::Cancel(me),
                85..88 => ApiRequest::Logout(me),
                _ => return,
            },
            AgentStatus::OnCall => match roll {
                0..12 => ApiRequest::HangUp(me),
                12..16 => ApiRequest::Cancel(me),
                16..18 => ApiRequest::Disconnect(me),
                18..20 => be(WantedStatus::OnBreak),
                20..22 => ApiRequest::Connect(me, ConnectBody::default()),
                22..36 if !self.users.evening => self.pass_on(me),
                36..44 => ApiRequest::CompleteTransfer(me),
                44..48 => ApiRequest::CancelTransfer(me),
                48..54 => ApiRequest::BlockKeys(me, KeysBody { blocked: true }),
                54..56 => ApiRequest::BlockKeys(me, KeysBody { blocked: false }),
                _ => return,
            },
            AgentStatus::WrapUp if roll < 40 => ApiRequest::WrapUpDone(me),
            AgentStatus::WrapUp => return,
        };
        self.ask(request, Asked::Other);
    }

    /// The customer goes to another agent, a number or a queue, with or without a word before (PV-07).
    pub(super) fn pass_on(&mut self, by: AgentId) -> ApiRequest {
        let others: Vec<_> = self.users.names.iter().filter(|name| **name != by).cloned().collect();
        let to = match self.rng.random_range(0..10_usize) {
            0 => Destination::Queue("sales".into()),
            1 => Destination::Queue("support".into()),
            2..4 => Destination::Number(format!("{GUESTS}{}", self.rng.random_range(0..2_u32))),
            roll => match others.get(roll % others.len().max(1)) {
                Some(other) => Destination::Agent(other.clone()),
                None => Destination::Queue("sales".into()),
            },
        };
        let mode = if self.chance(50) { TransferMode::Attended } else { TransferMode::Blind };
        if mode == TransferMode::Attended {
            self.users.consulting.insert(by.clone());
        }
        ApiRequest::Transfer(by, TransferBody { to, mode })
    }

    fn store_agent(&mut self, id: &AgentId) {
        let body = self.agent_body(id);
        self.ask(ApiRequest::PutAgent(id.clone(), body), Asked::Store(id.clone()));
    }

    /// The digits that the engine speaks to the agent's phone.
    fn heard_pin(&self, id: &AgentId) -> Option<String> {
        let prefix = format!("a-{id}-");
        let legs = self.engines.iter().flat_map(|engine| &engine.legs);
        // Of a leg that moves there are two.
        let spoken = |leg: &&SimLeg| !leg.spoken.is_empty();
        let leg = legs.filter(|(name, _)| name.starts_with(&prefix)).map(|(_, leg)| leg).find(spoken)?;
        let sources = &leg.spoken;
        let digits = sources.iter().filter_map(|source| match source {
            PlaySource::File(name) => name.strip_suffix(".wav").filter(|digit| digit.len() == 1),
            _ => None,
        });
        let pin: String = digits.take(4).collect();
        (pin.len() == 4).then_some(pin)
    }

    pub(super) fn evening(&mut self) {
        self.trace(|| "evening".to_owned());
        self.users.evening = true;
        self.turn_page();
        self.at(self.now_us + 5 * SECOND, Happening::Night);
    }

    /// Agents go home when the work is done.
    pub(super) fn fall_night(&mut self) {
        let done = self.oracle.all_done() && self.shell.core.is_some();
        if !done && self.now_us < 2_500 * SECOND {
            self.at(self.now_us + 5 * SECOND, Happening::Night);
            return;
        }
        self.trace(|| "night".to_owned());
        self.users.night = true;
        let names = self.users.names.clone();
        for name in names {
            self.at(self.now_us, Happening::User(Deed::Look(name)));
        }
    }
}
