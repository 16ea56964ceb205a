//! Agents: their morning, their phones, their consoles.

use serde_json::{Value, json};

use super::director::{Director, Task};
use super::stages::Stage;
use super::state::{Agent, Morning, Phone};
use super::timers::Timer;
use crate::clock;
use crate::media::party::Sockets;
use crate::media::pump::Command;
use crate::media::{EndpointId, Role};
use crate::plan;
use crate::rest::pool::Method;
use crate::sip::{CallKey, Event, Remote};

/// Seconds that a registration lasts; it is renewed at half that.
const REGISTRATION_S: u32 = 3_600;
/// Pause before anything that control refused is tried again.
const RETRY_MS: u64 = 1_000;
/// Digits of a PIN (PM-04).
const PIN_DIGITS: usize = 4;

impl Director {
    /// Opens every agent's ports and spreads their mornings over the ramp. Errors: no ports, or no descriptors.
    pub(crate) fn hire(&mut self) -> std::io::Result<()> {
        let load = self.setup.load.clone();
        for index in 0..load.agents {
            let mut rng = plan::agent_rng(load.seed, index);
            let pair = self.ports.open()?;
            let (pin, auto_accept) =
                (plan::chance(&mut rng, load.pin), plan::chance(&mut rng, load.auto_accept));
            let sockets = Sockets { rtp: pair.rtp, rtcp: pair.rtcp };
            let id = index as EndpointId;
            self.pump.tell(Command::Admit { id, role: Role::Agent, sockets, understands_pin: pin });
            let id = format!("agent{:04}", index + 1);
            self.agent_by_id.insert(id.clone(), index);
            self.agents.push(Agent {
                id,
                rng,
                auto_accept,
                pin,
                local: pair.local,
                phone: Phone::OnHook,
                morning: Morning::Waiting,
                status: String::new(),
                connection: String::new(),
                offer: None,
                status_epoch: 0,
                pin_heard: String::new(),
                asked_ms: None,
                off_hook_ms: None,
            });
            let after_ms = if load.ramp.0 > 0.0 { (index as f64 * 1_000.0 / load.ramp.0) as u64 } else { 0 };
            self.timers.set(self.started_ms + after_ms, Timer::StartAgent(index));
        }
        Ok(())
    }

    /// How many agents are off hook.
    pub(crate) fn off_hook(&self) -> usize {
        self.agents.iter().filter(|agent| matches!(agent.phone, Phone::OffHook(_))).count()
    }

    pub(crate) fn create_agent(&mut self, index: usize) {
        let agent = &self.agents[index];
        let body = json!({
            "name": format!("Agent {}", index + 1),
            "skills": [self.setup.load.skill],
            "station": {"kind": "registered"},
            "persistent": true,
            "auto_accept": agent.auto_accept,
            "pin": agent.pin,
            "password": password(&agent.id),
        });
        let path = format!("/api/v1/agents/{}", agent.id);
        self.request(Task::CreateAgent(index), Method::Put, path, Some(body));
    }

    pub(crate) fn on_created(&mut self, now_ms: u64, index: usize, success: bool) {
        if !success {
            self.timers.set(now_ms + RETRY_MS, Timer::StartAgent(index));
            return;
        }
        self.agents[index].morning = Morning::Created;
        self.register(now_ms, index);
    }

    pub(crate) fn register(&mut self, now_ms: u64, index: usize) {
        let id = &self.agents[index].id;
        self.phones.register(now_ms, id, &password(id), self.setup.sip, REGISTRATION_S);
        self.timers.set(now_ms + u64::from(REGISTRATION_S) * 500, Timer::Register(index));
    }

    pub(crate) fn make_available(&mut self, index: usize) {
        if self.stage >= Stage::LogOut {
            return;
        }
        if self.agents[index].morning < Morning::LoggedIn {
            self.post_agent(Task::LogIn(index), index, "login", json!({"initiate": false}));
        } else {
            self.post_agent(Task::MakeAvailable(index), index, "status", json!({"status": "available"}));
        }
    }

    pub(crate) fn on_logged_in(&mut self, now_ms: u64, index: usize, success: bool) {
        if success {
            self.agents[index].morning = Morning::LoggedIn;
            self.make_available(index);
        } else {
            self.timers.set(now_ms + RETRY_MS, Timer::MakeAvailable(index));
        }
    }

    pub(crate) fn on_made_available(&mut self, now_ms: u64, index: usize, success: bool) {
        if success {
            self.agents[index].morning = Morning::Available;
        } else {
            self.timers.set(now_ms + RETRY_MS, Timer::MakeAvailable(index));
        }
    }

    pub(crate) fn log_out(&mut self, index: usize) {
        self.post_agent(Task::LogOut(index), index, "logout", json!({}));
    }

    /// Control keeps an agent who is still in a call.
    pub(crate) fn on_logged_out(&mut self, now_ms: u64, index: usize, success: bool) {
        if !success {
            self.timers.set(now_ms + RETRY_MS, Timer::LogOut(index));
        }
    }

    /// Something happened on the phones' line.
    pub(crate) fn on_phone(&mut self, now_ms: u64, event: Event) {
        match event {
            Event::Registered { user } => {
                let Some(&index) = self.agent_by_id.get(&user) else { return };
                if self.agents[index].morning == Morning::Created {
                    self.agents[index].morning = Morning::Registered;
                    self.make_available(index);
                }
            }
            Event::RegisterFailed { user, code } => {
                self.mishaps.registrations_refused += 1;
                self.progress.say(&format!("{user}: registration failed with {code}"));
                if let Some(&index) = self.agent_by_id.get(&user) {
                    self.timers.set(now_ms + 5 * RETRY_MS, Timer::Register(index));
                }
            }
            Event::Incoming { call, to_user, offer, .. } => self.on_dialled(now_ms, call, &to_user, offer),
            Event::Reoffered { call, remote: Some(remote) } => {
                if let Some(&index) = self.phone_calls.get(&call) {
                    self.pump.tell(Command::Talk { id: index as EndpointId, remote });
                }
            }
            Event::Ended { call, .. } => self.on_hung_up(now_ms, call),
            Event::Confirmed { .. }
            | Event::Reoffered { .. }
            | Event::Progress { .. }
            | Event::Answered { .. } => {}
        }
    }

    pub(crate) fn answer_phone(&mut self, now_ms: u64, index: usize, call: CallKey) {
        if self.agents[index].phone != Phone::Ringing(call) {
            return;
        }
        let local = self.agents[index].local;
        if self.phones.answer(now_ms, call, &crate::sip::describe(local, call)) {
            self.flush();
            if let Some(&remote) = self.phone_remotes.get(&call) {
                self.pump.tell(Command::Talk { id: index as EndpointId, remote });
            }
            let agent = &mut self.agents[index];
            agent.phone = Phone::OffHook(call);
            agent.off_hook_ms.get_or_insert(now_ms);
            agent.pin_heard.clear();
        }
    }

    /// Control's view of an agent has changed.
    pub(crate) fn on_agent(&mut self, now_ms: u64, object: &Value) {
        let Some(&index) = object["id"].as_str().and_then(|id| self.agent_by_id.get(id)) else { return };
        let status = object["status"].as_str().unwrap_or("");
        object["connection"].as_str().unwrap_or("").clone_into(&mut self.agents[index].connection);
        self.consider_offer(now_ms, index, &object["offer"]);
        let agent = &mut self.agents[index];
        if agent.status == status {
            return;
        }
        status.clone_into(&mut agent.status);
        agent.status_epoch += 1;
        match status {
            "wrap_up" => {
                let after_ms = plan::draw(&mut agent.rng, self.setup.load.wrap_up);
                self.timers.set(now_ms + after_ms, Timer::WrapUpDone(index, agent.status_epoch));
            }
            // An agent who missed or rejected something goes back to work.
            "refused" | "on_break" if agent.morning == Morning::Available => {
                self.timers.set(now_ms + RETRY_MS, Timer::MakeAvailable(index));
            }
            _ => {}
        }
    }

    /// The agent accepts or rejects an offer, unless it has gone.
    pub(crate) fn decide(&mut self, index: usize, offer: &str) {
        if self.agents[index].offer.as_deref() != Some(offer) {
            return;
        }
        let rejects = plan::chance(&mut self.agents[index].rng, self.setup.load.reject);
        self.post_agent(Task::Decide(index), index, if rejects { "reject" } else { "accept" }, json!({}));
    }

    /// A digit of the PIN was understood; the fourth makes the agent type it.
    pub(crate) fn on_digit(&mut self, index: usize, digit: char) {
        let Some(agent) = self.agents.get_mut(index) else { return };
        if agent.pin_heard.len() >= PIN_DIGITS {
            return;
        }
        agent.pin_heard.push(digit);
        if agent.pin_heard.len() == PIN_DIGITS {
            let pin = json!({"pin": agent.pin_heard});
            self.post_agent(Task::Pin(index), index, "pin", pin);
        }
    }

    pub(crate) fn on_pin_checked(&mut self, index: usize, right: bool) {
        if !right {
            self.mishaps.wrong_pins += 1;
            self.agents[index].pin_heard.clear();
        }
    }

    fn consider_offer(&mut self, now_ms: u64, index: usize, offer: &Value) {
        let agent = &mut self.agents[index];
        let id =
            offer["id"].as_str().map(str::to_owned).or_else(|| offer["id"].as_u64().map(|id| id.to_string()));
        if agent.offer == id {
            return;
        }
        agent.offer.clone_from(&id);
        let asked = offer["kind"].as_str() == Some("preview") || !agent.auto_accept;
        if let (Some(id), true) = (id, asked) {
            let after_ms = plan::draw(&mut agent.rng, self.setup.load.accept_after);
            self.timers.set(now_ms + after_ms, Timer::Decide(index, id));
        }
    }

    fn on_dialled(&mut self, now_ms: u64, call: CallKey, to_user: &str, offer: Option<Remote>) {
        let Some(&index) = self.agent_by_id.get(to_user) else {
            self.mishaps.unknown_numbers += 1;
            self.phones.reject(now_ms, call, 404);
            return;
        };
        let Some(remote) = offer else {
            self.mishaps.unusable_offers += 1;
            self.phones.reject(now_ms, call, 488);
            return;
        };
        let agent = &mut self.agents[index];
        self.mishaps.redialled += u64::from(agent.asked_ms.is_some());
        if agent.phone != Phone::OnHook {
            self.mishaps.dialled_twice += 1;
            self.phones.reject(now_ms, call, 486);
            return;
        }
        agent.phone = Phone::Ringing(call);
        agent.asked_ms.get_or_insert(now_ms);
        self.phone_calls.insert(call, index);
        let id = index as EndpointId;
        self.pump.tell(Command::Again { id });
        // Our packets begin with the answer; control may only latch onto them then.
        let after_ms = plan::draw(&mut agent.rng, self.setup.load.phone_answer);
        self.phones.ring(now_ms, call);
        self.phone_remotes.insert(call, remote);
        self.timers.set(now_ms + after_ms, Timer::AnswerPhone(index, call));
    }

    fn on_hung_up(&mut self, now_ms: u64, call: CallKey) {
        self.phone_remotes.remove(&call);
        let Some(index) = self.phone_calls.remove(&call) else { return };
        let id = index as EndpointId;
        self.pump.tell(Command::Over { id, at_ns: clock::now_ns() });
        let agent = &mut self.agents[index];
        agent.phone = Phone::OnHook;
        if self.stage < Stage::LogOut {
            self.mishaps.legs_dropped += 1;
            agent.pin_heard.clear();
            self.timers.set(now_ms + RETRY_MS, Timer::MakeAvailable(index));
        }
    }
}

/// Every agent's digest password, by its id.
fn password(id: &str) -> String {
    format!("secret-{id}")
}
