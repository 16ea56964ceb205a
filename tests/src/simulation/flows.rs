//! Callers in a flow: they press keys and hang up as they please, and some ask to be called back.

use std::collections::{BTreeMap, BTreeSet};

use offhook_control_core::inbound_flow::{Action, CallbackAction, FlowConfig, StepConfig};
use offhook_control_core::record::{CallbackSpec, Fact};
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::{CallId, Input};
use offhook_proto::EventBody;
use rand::RngExt as _;

use super::network::{GUESTS, PeerAct, PeerState};
use super::world::{Happening, World};

/// The number that leads to the flow.
pub(super) const FLOW: &str = "200";

/// What is known of callers who may be called back.
#[derive(Debug, Default)]
pub(super) struct Callers {
    /// Arrival, contact and priority as recorded.
    arrived: BTreeMap<CallId, (u64, u64, i32)>,
    /// Pressed 1.
    wished: BTreeSet<CallId>,
    /// Control has heard that they are gone.
    gone: BTreeSet<CallId>,
    /// Their callback is on durable record.
    stored: BTreeSet<CallId>,
}

/// The example flow, with less patience, an end to its callbacks, and a number that it passes callers on to.
pub(super) fn flow() -> FlowConfig {
    let step = |caption: &str, action, branches: &[(&str, &str)]| StepConfig {
        caption: caption.to_owned(),
        action,
        branches: branches.iter().map(|(name, to)| ((*name).to_owned(), (*to).to_owned())).collect(),
    };
    let callback =
        CallbackAction { service: "cb".into(), call_delay_s: "1".into(), ..CallbackAction::default() };
    let menu = Action::Menu {
        prompts: vec!["callback_menu.wav".into()],
        digits: 1,
        terminator: None,
        timeout_s: 4,
        variable: "Keys".into(),
    };
    let thanks = Action::Announce { prompts: vec!["thank_you.wav".into()] };
    let pass_on = Action::Transfer { number: format!("{GUESTS}0"), agent: String::new() };
    let steps = vec![
        step("hello", Action::Announce { prompts: vec!["please_wait.wav".into()] }, &[("Default", "ask")]),
        step(
            "ask",
            Action::RequestAgent { queue: "sales".into(), priority: Some(1) },
            &[("Default", "music")],
        ),
        step("music", Action::Music { file: String::new(), seconds: 3 }, &[("Default", "menu")]),
        step("menu", menu, &[("Default", "music"), ("1", "thanks"), ("7", "pass on")]),
        step("pass on", pass_on, &[("OnError", "music")]),
        step("thanks", thanks, &[("Default", "callback")]),
        step("callback", Action::Callback(callback), &[("Default", "later"), ("OnError", "music")]),
        step("later", Action::Wait { seconds: 120 }, &[("Default", "enough")]),
        step("enough", Action::HangUp, &[]),
    ];
    FlowConfig { name: "main".into(), dnis: vec![FLOW.into()], steps, ..FlowConfig::default() }
}

impl World {
    /// A caller will press a few keys.
    pub(super) fn plan_keys(&mut self, call: CallId) {
        for _ in 0..self.rng.random_range(0..8_u32) {
            let at = self.between_ms(500, 25_000);
            let key = if self.chance(60) { '1' } else { ['5', '7'][usize::from(self.chance(30))] };
            self.after(at, Happening::Peer { call, act: PeerAct::Press(key) });
        }
    }

    pub(super) fn press(&mut self, call: CallId, digit: char) {
        let up = self.network.peers.get(&call).is_some_and(|peer| peer.state == PeerState::Up);
        let Some((engine, leg)) = self.fed_leg(call).filter(|_| up) else { return };
        self.trace(|| format!("peer {call} presses {digit}"));
        if digit == '1' {
            self.oracle.callers.wished.insert(call);
        }
        if self.wire.is_some() {
            return self.send_key(call, digit);
        }
        let delay = self.rng.random_range(100..4_000_u64);
        self.raise(engine, delay, EventBody::Dtmf { leg, digit, duration_ms: 100 });
    }

    /// Control hears something.
    pub(super) fn judge_input(&mut self, input: &Input) {
        if let Input::Sip { call, event: SipEvent::Ended { .. } | SipEvent::Failed { .. } } = input {
            self.oracle.callers.gone.insert(*call);
        }
    }

    /// Control decides on a fact.
    pub(super) fn judge_decision(&mut self, fact: &Fact) {
        let Fact::CallbackAdded(spec) = fact else { return };
        let Some(origin) = &spec.origin else { return };
        if self.oracle.callers.gone.contains(&origin.call) {
            self.violate(format!("caller {} hung up, and gets a callback", origin.call));
        }
        if !self.oracle.callers.wished.contains(&origin.call) {
            self.violate(format!("caller {} gets a callback without having asked", origin.call));
        }
    }

    /// A fact became durable.
    pub(super) fn judge_caller_record(&mut self, fact: &Fact) {
        let callers = &mut self.oracle.callers;
        match fact {
            Fact::InboundArrived { call, arrival_ms, contact, .. } => {
                let known = (arrival_ms.unwrap_or_default(), contact.unwrap_or_default(), 0);
                callers.arrived.insert(*call, known);
            }
            Fact::AgentRequested { call, priority, .. } => {
                if let Some(known) = callers.arrived.get_mut(call) {
                    known.2 = *priority;
                }
            }
            Fact::Transferred { call, priority: Some(priority), .. } => {
                if let Some(known) = callers.arrived.get_mut(call) {
                    known.2 = *priority;
                }
            }
            Fact::CallbackAdded(spec) => self.judge_stored(spec),
            _ => {}
        }
    }

    fn judge_stored(&mut self, spec: &CallbackSpec) {
        let Some(origin) = &spec.origin else { return };
        let place = (spec.arrival_ms, origin.contact, origin.priority);
        let arrived = self.oracle.callers.arrived.get(&origin.call).copied();
        if arrived != Some(place) {
            self.violate(format!(
                "caller {} arrived as {arrived:?} and is called back as {place:?}",
                origin.call
            ));
        }
        if !self.oracle.callers.stored.insert(origin.call) {
            self.violate(format!("caller {} gets two callbacks", origin.call));
        }
    }

    /// Control drops a call for a callback: that has to be on durable record.
    pub(super) fn judge_drop(&mut self, call: CallId, command: &SipCommand) {
        if let SipCommand::HangUp { reason } = command
            && reason == "Callback"
            && !self.oracle.callers.stored.contains(&call)
        {
            self.violate(format!("caller {call} is dropped before the callback is on durable record"));
        }
    }
}
