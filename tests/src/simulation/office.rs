//! Whoever runs the place: numbers that may not be called, calls that are ended, contacts that are taken out, agents who move
//! or learn, settings, and a trunk that goes away. Also clicks that fit nothing.

use offhook_control_core::api::{
    AgentBody, ApiRequest, ConfirmModeBody, ConnectBody, DispositionBody, KeysBody, LoginBody, PinBody,
    StatusBody, WantedStatus,
};
use offhook_control_core::modes::ModeWish;
use offhook_control_core::record::{Fact, Station};
use offhook_control_core::{AgentId, CallId, Input};
use rand::RngExt as _;

use super::network::PeerState;
use super::users::{Asked, Deed};
use super::world::{Happening, SECOND, World};

/// Something that is done from above.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    ListNumber,
    UnlistNumber,
    EndCall,
    RemoveContact,
    Dispose,
    ChangeAgent,
    Reload,
}

impl World {
    pub(super) fn plan_office(&mut self, day_us: u64) {
        let orders = [
            (20, Order::ListNumber),
            (8, Order::UnlistNumber),
            (20, Order::EndCall),
            (10, Order::RemoveContact),
            (25, Order::Dispose),
            (15, Order::ChangeAgent),
            (20, Order::Reload),
        ];
        for (percent, order) in orders {
            if self.chance(percent) {
                let at = self.rng.random_range(2 * SECOND..day_us);
                self.at(at, Happening::User(Deed::Office(order)));
            }
        }
        if self.config.trunk_watched && self.chance(60) {
            let (at, pause_us) = (self.rng.random_range(2 * SECOND..day_us), self.between_ms(300, 12_000));
            self.at(at, Happening::TrunkAway { pause_us });
        }
    }

    pub(super) fn order(&mut self, order: Order) {
        let number = match self.rng.random_range(0..5_u32) {
            number @ 0..3 => format!("+3120{number}"),
            number => format!("+4420{}", number - 3),
        };
        let contacts: Vec<_> = self.users.contacts.iter().cloned().collect();
        let contact = contacts.get(self.rng.random_range(0..contacts.len().max(1))).cloned();
        let request = match (order, contact) {
            (Order::ListNumber, _) => ApiRequest::ListNumbers(vec![number]),
            (Order::UnlistNumber, _) => ApiRequest::UnlistNumber(number),
            (Order::EndCall, _) => {
                let live: Vec<CallId> = self
                    .network
                    .peers
                    .iter()
                    .filter(|(_, peer)| peer.state != PeerState::Over)
                    .map(|(call, _)| *call)
                    .collect();
                let Some(call) = live.get(self.rng.random_range(0..live.len().max(1))) else { return };
                ApiRequest::EndCall(*call)
            }
            (Order::RemoveContact, Some(contact)) => ApiRequest::RemoveContact(contact),
            (Order::Dispose, Some(contact)) => {
                let disposition = "sold".to_owned();
                ApiRequest::Dispose(contact, DispositionBody { disposition, again_at: None })
            }
            (Order::RemoveContact | Order::Dispose, None) => return,
            (Order::ChangeAgent, _) => {
                let names = self.users.names.clone();
                let name = names[self.rng.random_range(0..names.len())].clone();
                let body = self.agent_body(&name);
                ApiRequest::PutAgent(name, body)
            }
            (Order::Reload, _) => return self.reload(),
        };
        self.ask(request, Asked::Other);
    }

    fn reload(&mut self) {
        let wrap_up_ms = self.rng.random_range(0..4_000_u32);
        let offer_timeout_ms = self.rng.random_range(2_000..8_000_u32);
        for queue in &mut self.config.queues {
            (queue.wrap_up_ms, queue.offer_timeout_ms) = (wrap_up_ms, offer_timeout_ms);
        }
        let config = Box::new(self.config.clone());
        self.tell(1_000, Input::Config(config));
    }

    /// An agent as an administrator wants them: the first can do everything.
    pub(super) fn agent_body(&mut self, id: &AgentId) -> AgentBody {
        let index = self.users.names.iter().position(|name| name == id).unwrap_or(0);
        let skills: &[&str] = match self.rng.random_range(0..10_u32) {
            _ if index == 0 => &["sales", "support"],
            0..5 => &["sales"],
            5..7 => &["support"],
            _ => &["support", "sales"],
        };
        let station = match self.rng.random_range(0..10_u32) {
            0 => Station::Sip { uri: format!("sip:{id}@home") },
            1 => Station::Number { number: format!("{HOMES}{index}") },
            _ => Station::Registered,
        };
        AgentBody {
            name: None,
            skills: skills.iter().map(|skill| (*skill).to_owned()).collect(),
            station: Some(station),
            group: None,
            persistent: Some(!self.chance(15)),
            auto_accept: Some(self.chance(50)),
            pin: self.chance(30),
            password: None,
        }
    }

    /// A click that need not fit what the agent does.
    pub(super) fn stray(&mut self, id: &AgentId) -> ApiRequest {
        let me = id.clone();
        let be = |status| ApiRequest::SetStatus(id.clone(), StatusBody { status });
        match self.rng.random_range(0..20_u32) {
            0 => ApiRequest::Login(me, LoginBody { initiate: true }),
            1 => ApiRequest::Logout(me),
            2 => be(WantedStatus::Available),
            3 => be(WantedStatus::OnBreak),
            4 => be(WantedStatus::WorkingOffline),
            5 => ApiRequest::SetMode(me, ModeWish { persistent: None, auto_accept: Some(true) }),
            6 => ApiRequest::ConfirmMode(me, ConfirmModeBody { change: "none".to_owned() }),
            7 => ApiRequest::Connect(me, ConnectBody::default()),
            8 => ApiRequest::Disconnect(me),
            9 => ApiRequest::Pin(me, PinBody { pin: "x".to_owned() }),
            10 => ApiRequest::Accept(me),
            11 => ApiRequest::Reject(me),
            12 => ApiRequest::Cancel(me),
            13 => ApiRequest::HangUp(me),
            14 => ApiRequest::WrapUpDone(me),
            15 => self.pass_on(me),
            16 => ApiRequest::CompleteTransfer(me),
            17 => ApiRequest::CancelTransfer(me),
            18 => ApiRequest::BlockKeys(me, KeysBody { blocked: false }),
            _ => {
                let body = self.agent_body(id);
                ApiRequest::PutAgent(me, body)
            }
        }
    }

    pub(super) fn lose_trunk(&mut self, pause_us: u64) {
        self.trace(|| "the trunk is away".to_owned());
        self.network.trunk_away = true;
        self.after(pause_us, Happening::TrunkBack);
        self.look_at_trunk();
    }

    pub(super) fn find_trunk(&mut self) {
        self.trace(|| "the trunk is back".to_owned());
        self.network.trunk_away = false;
        self.look_at_trunk();
    }

    /// The shell asks the trunk after a while, and tells control what it finds then.
    pub(super) fn look_at_trunk(&mut self) {
        if self.config.trunk_watched {
            let (run, delay) = (self.shell.run, self.between_ms(2, 900));
            self.after(delay, Happening::TrunkAsked { run });
        }
    }

    pub(super) fn on_trunk_asked(&mut self, run: u64) {
        let outage = self.network.trunk_away.then(|| "no answer".to_owned());
        if run == self.shell.run && self.shell.core.is_some() {
            self.oracle.order.trunk_open = outage.is_none();
        }
        self.hear(run, Input::Trunk { outage });
    }

    /// Control decides on a fact.
    pub(super) fn judge_trunk(&mut self, fact: &Fact) {
        let dials = matches!(fact, Fact::CallbackDialled { .. } | Fact::ContactDialled { .. });
        if dials && !self.oracle.order.trunk_open {
            self.violate("somebody is dialled although the trunk does not answer".to_owned());
        }
    }

    /// A record became durable.
    pub(super) fn judge_list(&mut self, fact: &Fact) {
        let id = match fact {
            Fact::CallbackAdded(spec) => {
                self.oracle.numbers.insert(spec.id.0.clone(), spec.number.clone());
                return;
            }
            Fact::ContactAdded { id, spec } => {
                self.oracle.numbers.insert(id.0.clone(), spec.number.clone());
                return;
            }
            Fact::NumbersListed { numbers } => return self.oracle.unwanted.extend(numbers.iter().cloned()),
            Fact::NumberUnlisted { number } => {
                self.oracle.unwanted.remove(number);
                return;
            }
            Fact::CallbackDialled { id, .. } => &id.0,
            Fact::ContactDialled { id, .. } => &id.0,
            _ => return,
        };
        let Some(number) = self.oracle.numbers.get(id) else { return };
        if self.oracle.unwanted.contains(number.trim_start_matches('+')) {
            let number = number.clone();
            self.violate(format!("{number} is dialled, and does not want to be called"));
        }
    }
}

/// Numbers of agents who work at home.
pub(super) const HOMES: &str = "+9920";
