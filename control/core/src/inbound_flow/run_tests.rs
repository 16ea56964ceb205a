//! The interpreter alone.

use std::collections::BTreeMap;

use super::{Action, CallbackAction, Effect, Event, FlowConfig, Run, StepConfig};

fn step(caption: &str, action: Action, branches: &[(&str, &str)]) -> StepConfig {
    let branches = branches.iter().map(|(name, to)| ((*name).to_owned(), (*to).to_owned())).collect();
    StepConfig { caption: caption.to_owned(), action, branches }
}

/// Takes a place in the queue of a caller from +31201 who dialled 200, and orders a callback.
fn ordered(callback: CallbackAction, after: Vec<StepConfig>) -> (Run, Effect) {
    let request = Action::RequestAgent { queue: "sales".into(), priority: None };
    let next = after.first().map(|step| step.caption.clone()).unwrap_or_default();
    let mut steps = vec![
        step("ask", request, &[("Default", "callback")]),
        step("callback", Action::Callback(callback), &[("Default", &next)]),
    ];
    steps.extend(after);
    let given = [("ANI", "+31201"), ("DNIS", "200"), ("none", " ")];
    let variables: BTreeMap<_, _> = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut run = Run::new(FlowConfig { name: "main".into(), steps, ..FlowConfig::default() }, variables);
    assert!(matches!(run.handle(Event::Begin), Some(Effect::RequestAgent { .. })));
    let effect = run.handle(Event::Done).expect("it goes on");
    (run, effect)
}

fn callback(caller_id: &str) -> CallbackAction {
    let (caller_id, prompt) = (caller_id.to_owned(), String::new());
    CallbackAction { caller_id, prompt, ..CallbackAction::default() }
}

#[test]
fn qc_05_without_a_number_to_show_the_one_that_was_dialled_is_shown() {
    for (caller_id, shown) in [("", "200"), ("{none}", "200"), ("{DNIS}", "200"), (" +31880 ", "+31880")] {
        let (_, effect) = ordered(callback(caller_id), Vec::new());
        assert!(matches!(&effect, Effect::MayCallBack(order) if order.caller_id == shown), "{effect:?}");
    }
}

#[test]
fn qc_10_qc_15_err_says_which_step_needed_the_call_that_the_callback_has_ended() {
    let after = vec![
        step("play", Action::Announce { prompts: vec!["a.wav".into()] }, &[("OnError", "keep")]),
        step("keep", Action::Set { variable: "why".into(), value: "{_ERR}".into() }, &[("Default", "pause")]),
        step("pause", Action::Wait { seconds: 5 }, &[]),
    ];
    let (mut run, effect) = ordered(callback("{DNIS}"), after);
    let Effect::MayCallBack(order) = effect else { panic!("{effect:?}") };
    assert_eq!(run.handle(Event::Done), Some(Effect::CallBack(order)));
    assert_eq!(run.handle(Event::Done), Some(Effect::Time { ms: 5_000 }), "other steps still run");
    assert_eq!(run.variables()["why"], "announce needs a call, and a callback has ended it");
}
