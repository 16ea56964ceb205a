//! A configured flow, and callers who go through it.

use offhook_control_core::CallId;
use offhook_control_core::api::{ApiReply, ApiRequest, CallbackFilter};
use offhook_control_core::config::Config;
use offhook_control_core::inbound_flow::{Action, CallbackAction, FlowConfig, StepConfig, check};
use offhook_control_core::record::{CallSummary, CallbackSpec, Fact, Origin};
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::view::CallbackView;
use offhook_proto::{EventBody, PlaySource};

use super::Bench;

pub(crate) fn step(caption: &str, action: Action, branches: &[(&str, &str)]) -> StepConfig {
    let branches = branches.iter().map(|(name, to)| ((*name).to_owned(), (*to).to_owned())).collect();
    StepConfig { caption: caption.to_owned(), action, branches }
}

pub(crate) fn announce(prompt: &str) -> Action {
    Action::Announce { prompts: vec![prompt.to_owned()] }
}

pub(crate) fn menu(prompt: &str) -> Action {
    Action::Menu {
        prompts: vec![prompt.to_owned()],
        digits: 1,
        terminator: None,
        timeout_s: 5,
        variable: "Keys".into(),
    }
}

pub(crate) fn set(variable: &str, value: &str) -> Action {
    Action::Set { variable: variable.into(), value: value.into() }
}

pub(crate) fn request() -> Action {
    Action::RequestAgent { queue: "sales".into(), priority: None }
}

pub(crate) fn music() -> Action {
    Action::Music { file: String::new(), seconds: 30 }
}

pub(crate) fn callback() -> CallbackAction {
    CallbackAction { service: "cb".into(), ..CallbackAction::default() }
}

pub(crate) fn flow(steps: Vec<StepConfig>) -> FlowConfig {
    FlowConfig { name: "main".into(), dnis: vec!["200".into()], steps, ..FlowConfig::default() }
}

/// QC-17: music for 30 s, then a menu; 1 calls back, anything else keeps waiting.
pub(crate) fn example(callback: CallbackAction, after: &[StepConfig]) -> FlowConfig {
    let next = after.first().map(|step| step.caption.clone());
    let default: Vec<(&str, &str)> = next.iter().map(|next| ("Default", next.as_str())).collect();
    let mut branches = default.clone();
    branches.push(("OnError", "music"));
    let mut steps = vec![
        step("ask", request(), &[("Default", "music")]),
        step("music", music(), &[("Default", "menu")]),
        step("menu", menu("menu.wav"), &[("Default", "music"), ("1", "thanks")]),
        step("thanks", announce("thank_you.wav"), &[("Default", "callback")]),
        step("callback", Action::Callback(callback), &branches),
    ];
    steps.extend(after.iter().cloned());
    flow(steps)
}

pub(crate) fn with(flow: FlowConfig) -> impl FnOnce(&mut Config) {
    |config| {
        assert_eq!(check(&flow, &config.queues, &config.services), []);
        config.flows.push(flow);
    }
}

pub(crate) struct Caller(pub(crate) CallId);

pub(crate) fn arrive(bench: &mut Bench, number: u64, from: &str) -> Caller {
    arrive_at(bench, number, from, "200")
}

pub(crate) fn arrive_at(bench: &mut Bench, number: u64, from: &str, to: &str) -> Caller {
    let call = CallId(CallId::FIRST_INCOMING + number);
    bench.arrives(call, from, to);
    bench.answer(call);
    bench.sip(call, SipEvent::Snapshot { data: "dialog".into() });
    Caller(call)
}

impl Caller {
    pub(crate) fn press(&self, bench: &mut Bench, key: char) {
        bench.event(EventBody::Dtmf { leg: format!("c-{}", self.0), digit: key, duration_ms: 100 });
    }

    pub(crate) fn hang_up(&self, bench: &mut Bench) {
        bench.sip(self.0, SipEvent::Ended { by_peer: true, reason: String::new() });
    }

    pub(crate) fn hears(&self, bench: &Bench) -> Vec<String> {
        let name = |source: &PlaySource| match source {
            PlaySource::File(name) => name.clone(),
            other => format!("{other:?}"),
        };
        bench.played(self.0).iter().map(name).collect()
    }

    /// Presses 1 in the example's menu, and hears everything to its end.
    pub(crate) fn asks_for_callback(&self, bench: &mut Bench) {
        bench.pass_ms(30_000);
        assert_eq!(self.hears(bench), ["menu.wav"]);
        self.press(bench, '1');
        assert_eq!(self.hears(bench), ["thank_you.wav"]);
        bench.end_play(self.0);
        assert_eq!(self.hears(bench), ["callback_confirm.wav"]);
        bench.end_play(self.0);
    }

    pub(crate) fn was_dropped(&self, bench: &Bench) -> bool {
        bench
            .sip
            .iter()
            .any(|(call, command)| *call == self.0 && matches!(command, SipCommand::HangUp { .. }))
    }

    /// The peer's side of the drop.
    pub(crate) fn is_gone(&self, bench: &mut Bench) {
        assert!(self.was_dropped(bench));
        bench.sip(self.0, SipEvent::Ended { by_peer: false, reason: "bye".into() });
    }
}

pub(crate) fn stored(bench: &Bench) -> Vec<CallbackSpec> {
    let specs = bench.facts().filter_map(|fact| match fact {
        Fact::CallbackAdded(spec) => Some((**spec).clone()),
        _ => None,
    });
    specs.collect()
}

pub(crate) fn origin(bench: &Bench) -> Origin {
    let spec = stored(bench).pop().expect("a callback was stored");
    *spec.origin.expect("made from a call")
}

pub(crate) fn view(bench: &mut Bench) -> CallbackView {
    let request = ApiRequest::QueryCallbacks { service: "cb".into(), filter: CallbackFilter::default() };
    match bench.ask(request) {
        ApiReply::Callbacks(views) => views.last().expect("a callback").clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn summary(bench: &Bench, call: CallId) -> CallSummary {
    let found = bench.facts().find_map(|fact| match fact {
        Fact::CallEnded { call: ended, summary: Some(summary) } if *ended == call => Some(summary.clone()),
        _ => None,
    });
    *found.expect("the call's record")
}

/// Value of `_ERR` as a `set` step after the failure passed it on, seen in the origin's variables of a later callback.
pub(crate) fn variable(bench: &Bench, name: &str) -> String {
    origin(bench).variables.get(name).cloned().unwrap_or_default()
}
