//! Inbound flows: what a caller goes through before an agent is found.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::Bench;
use bench::flow::{
    Caller, announce, arrive, arrive_at, callback, example, flow, menu, music, request, set, step, stored,
    variable, with,
};
use offhook_control_core::api::ApiRequest;
use offhook_control_core::config::{Config, QueueConfig};
use offhook_control_core::inbound_flow::{Action, CallbackAction, FlowMedia, Key, check};
use offhook_control_core::record::Fact;
use offhook_control_core::sip::SipEvent;
use offhook_control_core::view::AgentStatus;
use offhook_control_core::{CallId, Input, Record};
use offhook_proto::{Command, PlaySource};

#[test]
fn qc_17_the_example_flow_calls_back_after_1_and_keeps_everybody_else_waiting() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    assert_eq!(caller.hears(&bench), ["music.wav"]);
    for key in ['2', '*'] {
        bench.pass_ms(30_000);
        assert_eq!(caller.hears(&bench), ["menu.wav"]);
        caller.press(&mut bench, key);
        assert_eq!(caller.hears(&bench), ["music.wav"]);
    }
    bench.pass_ms(30_000);
    bench.end_play(caller.0);
    bench.pass_ms(5_000);
    assert_eq!(caller.hears(&bench), ["music.wav"], "no key at all");
    assert!(!caller.was_dropped(&bench) && stored(&bench).is_empty());
    caller.asks_for_callback(&mut bench);
    assert!(caller.was_dropped(&bench));
    assert_eq!(stored(&bench).len(), 1);
    caller.is_gone(&mut bench);
    bench.pass_ms(600_000);
    assert_eq!(bench.dials(), 0, "no agent");
    bench.add_agent("ann", true);
    assert_eq!(bench.dials_to_trunk(), 1);
    let customer = bench.customer();
    bench.answer(customer);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
}

#[test]
fn qc_17_a_caller_in_the_flow_gets_the_first_agent_and_no_callback() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    bench.pass_ms(30_000);
    caller.press(&mut bench, '1');
    bench.add_agent("ann", true);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
    bench.end_play(caller.0);
    caller.press(&mut bench, '1');
    bench.pass_ms(60_000);
    assert!(stored(&bench).is_empty() && !caller.was_dropped(&bench));
}

#[test]
fn qc_15_a_step_that_fails_takes_on_error_and_err_says_why() {
    let broken = CallbackAction { phone_number: "{DNIS}".into(), ..callback() };
    let mut bench = Bench::with(with(flow(vec![
        step("ask", request(), &[("Default", "broken")]),
        step("broken", Action::Callback(broken), &[("Default", "never"), ("OnError", "keep")]),
        step("never", Action::HangUp, &[]),
        step("keep", set("why", "{_ERR}"), &[("Default", "callback")]),
        step("callback", Action::Callback(callback()), &[("OnError", "never")]),
    ])));
    let caller = arrive(&mut bench, 1, "+31201");
    bench.end_play(caller.0);
    assert_eq!(variable(&bench, "why"), "200 is an extension, which is never dialled automatically");
    assert!(caller.was_dropped(&bench));
}

#[test]
fn qc_15_a_prompt_that_the_engine_cannot_play_takes_on_error() {
    let mut bench = Bench::with(with(flow(vec![
        step("hello", announce("missing.wav"), &[("Default", "bye"), ("OnError", "sorry")]),
        step("sorry", announce("sorry.wav"), &[("Default", "bye")]),
        step("bye", Action::HangUp, &[]),
    ])));
    bench.broken_prompts.push("missing.wav".into());
    let caller = arrive(&mut bench, 1, "+31201");
    assert_eq!(caller.hears(&bench), ["sorry.wav"]);
    bench.end_play(caller.0);
    assert!(caller.was_dropped(&bench));
}

#[test]
fn qc_15_a_flow_that_only_fails_ends() {
    let mut bench =
        Bench::with(with(flow(vec![step("hello", announce("missing.wav"), &[("Default", "hello")])])));
    bench.broken_prompts.push("missing.wav".into());
    let caller = arrive(&mut bench, 1, "+31201");
    assert!(caller.was_dropped(&bench), "it is in no queue");
    assert!(bench.engine.len() < 100);
}

#[test]
fn qc_16_a_missing_branch_falls_back_to_default() {
    let mut bench = Bench::with(with(flow(vec![
        step("menu", menu("menu.wav"), &[("Default", "other"), ("1", "one")]),
        step("one", announce("one.wav"), &[]),
        step("other", announce("other.wav"), &[]),
    ])));
    for (number, key, heard) in [(1, '1', "one.wav"), (2, '7', "other.wav")] {
        let caller = arrive(&mut bench, number, "+31201");
        caller.press(&mut bench, key);
        assert_eq!(caller.hears(&bench), [heard]);
    }
    let silent = arrive(&mut bench, 3, "+31203");
    bench.end_play(silent.0);
    bench.pass_ms(5_000);
    assert_eq!(silent.hears(&bench), ["other.wav"], "Timeout has no branch of its own");
    bench.end_play(silent.0);
    assert!(silent.was_dropped(&bench), "and without a Default the flow ends");
}

#[test]
fn qc_16_captions_are_unique_and_only_phone_flows_may_hold_the_action() {
    let queues = [QueueConfig { name: "sales".into(), ..QueueConfig::default() }];
    let services = [offhook_control_core::config::ServiceConfig { name: "cb".into(), ..Default::default() }];
    let mut twice = example(callback(), &[]);
    twice.steps.push(step("music", music(), &[]));
    let faults = check(&twice, &queues, &services);
    assert!(
        faults.iter().any(|fault| fault.step == Some(5) && fault.key == Key::Setting("caption")),
        "{faults:#?}"
    );
    for media in [FlowMedia::Chat, FlowMedia::Email] {
        let mut flow = example(callback(), &[]);
        flow.media = media;
        flow.dnis.clear();
        let faults = check(&flow, &queues, &services);
        let only =
            |fault: &&offhook_control_core::inbound_flow::Fault| fault.why.contains("only phone flows");
        assert_eq!(faults.iter().filter(only).count(), 4, "music, menu, announce, callback: {faults:#?}");
    }
}

#[test]
fn a_key_ends_the_prompt_and_keys_that_come_too_late_do_nothing() {
    let two = Action::Menu {
        prompts: vec!["menu.wav".into()],
        digits: 2,
        terminator: None,
        timeout_s: 5,
        variable: "Keys".into(),
    };
    let mut bench = Bench::with(with(flow(vec![
        step("menu", two, &[("12", "right"), ("1", "short"), ("Default", "wrong")]),
        step("right", announce("right.wav"), &[]),
        step("short", announce("short.wav"), &[]),
        step("wrong", announce("wrong.wav"), &[]),
    ])));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.press(&mut bench, '1');
    assert!(matches!(bench.engine.last(), Some(Command::PlayStop(_))));
    caller.press(&mut bench, '2');
    caller.press(&mut bench, '3');
    assert_eq!(caller.hears(&bench), ["right.wav"]);
    let slow = arrive(&mut bench, 2, "+31202");
    slow.press(&mut bench, '1');
    bench.pass_ms(5_000);
    assert_eq!(slow.hears(&bench), ["short.wav"]);
}

#[test]
fn a_caller_who_is_in_no_queue_yet_gets_no_agent() {
    let mut bench = Bench::with(with(flow(vec![
        step("hello", announce("hello.wav"), &[("Default", "ask")]),
        step("ask", request(), &[]),
    ])));
    bench.add_agent("ann", true);
    let caller = arrive(&mut bench, 1, "+31201");
    bench.pass_ms(10_000);
    assert_eq!(bench.agent("ann").status, AgentStatus::Available);
    bench.end_play(caller.0);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
}

#[test]
fn by_07_a_place_is_taken_by_arrival_and_not_by_when_the_flow_asked_for_it() {
    let mut bench = Bench::with(with(flow(vec![
        step("hello", announce("hello.wav"), &[("Default", "ask")]),
        step("ask", request(), &[]),
    ])));
    let first = arrive(&mut bench, 1, "+31201");
    bench.pass_ms(1_000);
    let second = arrive(&mut bench, 2, "+31202");
    bench.end_play(second.0);
    bench.end_play(first.0);
    bench.add_agent("ann", true);
    let joined = bench.engine.iter().find_map(|command| match command {
        Command::Splice(splice) => Some(splice.b.clone()),
        _ => None,
    });
    assert_eq!(joined, Some(format!("c-{}", first.0)));
}

#[test]
fn cb_16_a_caller_who_has_a_callback_already_is_told_before_the_promise() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    bench.callback("+31201");
    let caller = arrive(&mut bench, 1, "+31201");
    bench.pass_ms(30_000);
    caller.press(&mut bench, '1');
    bench.end_play(caller.0);
    assert_eq!(caller.hears(&bench), ["music.wav"]);
    assert_eq!(stored(&bench).len(), 1);
}

#[test]
fn an_agent_who_is_asked_about_a_caller_who_chooses_the_callback_is_asked_again() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    bench.add_agent("ann", false);
    let caller = arrive(&mut bench, 1, "+31201");
    assert_eq!(bench.agent("ann").status, AgentStatus::Offered);
    bench.pass_ms(14_000);
    bench.ask(ApiRequest::Reject("ann".into()));
    bench.pass_ms(16_000);
    assert_eq!(caller.hears(&bench), ["menu.wav"]);
    bench.ask(ApiRequest::SetStatus(
        "ann".into(),
        offhook_control_core::api::StatusBody { status: offhook_control_core::api::WantedStatus::Available },
    ));
    caller.press(&mut bench, '1');
    bench.pass_ms(14_000);
    assert_eq!(bench.agent("ann").status, AgentStatus::Offered);
    bench.end_play(caller.0);
    bench.end_play(caller.0);
    assert_eq!(stored(&bench).len(), 1);
    assert_eq!(bench.agent("ann").status, AgentStatus::Offered, "with the callback now");
    caller.is_gone(&mut bench);
    bench.ask(ApiRequest::Accept("ann".into()));
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn cb_07_the_estimated_wait_decides_which_way_a_caller_goes() {
    let flow = || {
        flow(vec![
            step("ask", request(), &[("Default", "long?")]),
            step(
                "long?",
                Action::EstimatedWait { longer_than_s: 60 },
                &[("Longer", "offer"), ("Default", "music")],
            ),
            step("offer", menu("callback_menu.wav"), &[("Default", "music")]),
            step("music", music(), &[("Default", "long?")]),
        ])
    };
    let mut bench = Bench::with(with(flow()));
    let first = arrive(&mut bench, 1, "+31201");
    assert_eq!(first.hears(&bench), ["callback_menu.wav"], "nobody is at work");
    bench.add_agent("ann", true);
    let second = arrive(&mut bench, 2, "+31202");
    assert_eq!(second.hears(&bench), ["callback_menu.wav"], "a conversation is taken to last three minutes");
    let mut idle = Bench::with(with(flow()));
    idle.add_agent("ann", false);
    let caller = arrive(&mut idle, 1, "+31201");
    assert_eq!(caller.hears(&idle), ["music.wav"], "an agent is ready");
}

#[test]
fn cb_07_a_caller_is_told_the_place_and_the_wait() {
    let say =
        |prompts: &[&str]| Action::Announce { prompts: prompts.iter().map(|&name| name.into()).collect() };
    let flow = flow(vec![
        step("ask", request(), &[("Default", "ask how long")]),
        step("ask how long", Action::EstimatedWait { longer_than_s: 60 }, &[("Default", "tell")]),
        step(
            "tell",
            say(&["position.wav", "number:{Position}", "number:{EstimatedWaitMinutes}"]),
            &[("OnError", "sorry")],
        ),
        step("sorry", say(&["number:{_ERR}"]), &[("OnError", "keep")]),
        step("keep", announce("sorry.wav"), &[]),
    ]);
    let mut bench = Bench::with(with(flow));
    let callers = [arrive(&mut bench, 1, "+31201"), arrive(&mut bench, 2, "+31202")];
    for caller in &callers {
        assert_eq!(caller.hears(&bench), ["sorry.wav"], "nobody knows how long, and why is no number");
    }
    bench.add_agent("ann", true);
    let third = arrive(&mut bench, 3, "+31203"); // the second in the queue, since the agent has the first
    let number = |value: u32| format!("{:?}", PlaySource::Number { value, folder: String::new() });
    assert_eq!(third.hears(&bench), ["position.wav".to_owned(), number(2), number(6)]);
}

#[test]
fn records_of_callers_before_there_were_flows_are_still_read() {
    let old = r#"{"v":1,"at_ms":5,"fact":"inbound_arrived","call":4611686018427387905,"queue":"sales","number":"+31","dnis":"100"}"#;
    let record: Record = serde_json::from_str(old).expect("an old record");
    let Fact::InboundArrived { contact: None, priority: None, flow: None, .. } = record.fact else {
        panic!("{record:?}")
    };
}

#[test]
fn a_flow_that_is_configured_no_more_leaves_its_callers_in_their_queue() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    let mut bench = bench.restart();
    bench.sip(caller.0, SipEvent::Restored);
    assert_eq!(caller.hears(&bench), ["music.wav"]);
    caller.hang_up(&mut bench);
    bench.take(Input::Tick);
    assert_eq!(bench.open_legs(), 0);
}

/// A flow that passes its caller on after a place in the queue was taken, and apologises when that fails.
fn passing_on(number: &str, agent: &str) -> impl FnOnce(&mut Config) {
    with(flow(vec![
        step("ask", request(), &[("Default", "pass on")]),
        step("pass on", transfer(number, agent), &[("OnError", "sorry")]),
        step("sorry", announce("sorry.wav"), &[("Default", "keep")]),
        step("keep", set("why", "{_ERR}"), &[("Default", "callback")]),
        step("callback", Action::Callback(callback()), &[]),
    ]))
}

fn transfer(number: &str, agent: &str) -> Action {
    Action::Transfer { number: number.into(), agent: agent.into() }
}

fn fails(bench: &mut Bench, call: CallId, status: u16) {
    bench.sip(call, SipEvent::Failed { status, reason: String::new(), network: false, cause: None });
}

#[test]
fn a_flow_calls_a_number_and_joins_its_caller_with_it() {
    let mut bench = Bench::with(passing_on("+44700", ""));
    let caller = arrive(&mut bench, 1, "+31201");
    assert!(caller.hears(&bench)[0].contains("Ringback"), "{:?}", caller.hears(&bench));
    assert_eq!(bench.dials_to_trunk(), 1);
    let number = bench.last_dial();
    bench.add_agent("ann", true);
    assert_eq!(
        bench.agent("ann").status,
        AgentStatus::Available,
        "the caller is not waiting for an agent now"
    );
    bench.answer(number);
    let spliced = bench.last_splice();
    let (guest, partner) = spliced.expect("a splice");
    assert!(guest.ends_with(&format!("-{number}")), "{guest}");
    assert_eq!(partner, format!("c-{}", caller.0));
    assert!(stored(&bench).is_empty() && !caller.was_dropped(&bench));
    caller.hang_up(&mut bench);
    assert!(Caller(number).was_dropped(&bench), "with the caller the number is let go");
    bench.sip(number, SipEvent::Ended { by_peer: false, reason: String::new() });
    assert!(bench.facts().any(|fact| matches!(fact, Fact::AgentRemoved { .. })), "and forgotten");
}

#[test]
fn a_number_that_is_not_reached_takes_on_error_and_the_place_in_the_queue_is_the_same() {
    let mut bench = Bench::with(passing_on("+44700", ""));
    let first = arrive(&mut bench, 1, "+31201");
    bench.pass_ms(1_000);
    let second = arrive_at(&mut bench, 2, "+31202", "100");
    let number = bench.last_dial();
    fails(&mut bench, number, 486);
    assert_eq!(first.hears(&bench), ["sorry.wav"]);
    bench.pass_ms(60_000);
    assert_eq!(bench.dials_to_trunk(), 1, "the number is not called again");
    bench.add_agent("ann", true);
    let call = bench.agent("ann").call;
    assert_eq!(call, Some(first.0.to_string()), "who came first");
    assert!(!second.was_dropped(&bench));
}

#[test]
fn what_cannot_be_passed_on_takes_on_error_at_once_and_err_says_why() {
    for (number, agent, why) in [
        ("{DNIS}{Queue}", "", "number is not a telephone number of at most 32 digits"),
        ("", "bob", "bob is not available"),
    ] {
        let mut bench = Bench::with(passing_on(number, agent));
        let caller = arrive(&mut bench, 1, "+31201");
        assert_eq!(caller.hears(&bench), ["sorry.wav"]);
        assert_eq!(bench.dials_to_trunk(), 0);
        bench.end_play(caller.0);
        bench.end_play(caller.0);
        assert_eq!(variable(&bench, "why"), why);
    }
}

#[test]
fn a_flow_asks_an_agent_and_goes_on_when_they_refuse() {
    let mut bench = Bench::with(with(flow(vec![
        step("pass on", transfer("", "bob"), &[("OnError", "sorry")]),
        step("sorry", announce("sorry.wav"), &[]),
    ])));
    bench.add_agent("bob", false);
    let caller = arrive(&mut bench, 1, "+31201");
    assert_eq!(bench.agent("bob").status, AgentStatus::Offered);
    bench.ask(ApiRequest::Reject("bob".into()));
    assert_eq!(caller.hears(&bench), ["sorry.wav"]);
    bench.add_agent("ann", true);
    assert_eq!(bench.agent("ann").status, AgentStatus::Available, "nobody was asked for through a queue");
    bench.end_play(caller.0);
    assert!(caller.was_dropped(&bench), "the flow has ended");

    bench.pass_ms(60_000);
    let next = arrive(&mut bench, 2, "+31202");
    bench.ask(ApiRequest::Accept("bob".into()));
    assert_eq!(bench.agent("bob").call, Some(next.0.to_string()));
}

#[test]
fn by_10_a_caller_on_the_way_to_a_number_is_on_the_way_again_after_a_restart() {
    let mut bench = Bench::with(passing_on("+44700", ""));
    let caller = arrive(&mut bench, 1, "+31201");
    assert_eq!(bench.dials_to_trunk(), 1);
    let mut bench = bench.restart();
    bench.sip(caller.0, SipEvent::Restored);
    bench.pass_ms(10_000);
    let forgotten = bench.facts().filter(|fact| matches!(fact, Fact::AgentRemoved { .. })).count();
    assert_eq!(forgotten, 1, "nobody waits for the number of the former run");
    assert_eq!(
        bench.dials_to_trunk(),
        1,
        "the flow goes on behind the place in the queue: it is called again"
    );
    let number = bench.customer();
    fails(&mut bench, number, 480);
    assert_eq!(caller.hears(&bench), ["sorry.wav"]);
}

#[test]
fn a_transfer_names_a_number_or_an_agent() {
    let faults = |number: &str, agent: &str| {
        let found = check(&flow(vec![step("pass on", transfer(number, agent), &[])]), &[], &[]);
        found.into_iter().map(|fault| (fault.key, fault.why)).collect::<Vec<_>>()
    };
    assert_eq!(faults("+44700", ""), []);
    assert_eq!(faults("{ANI}", ""), []);
    assert_eq!(faults("", "bob"), []);
    for (number, agent, why) in [
        ("", "", "or agent has to be named"),
        ("+1", "bob", "not both"),
        ("banana", "", "is not a telephone number"),
    ] {
        let found = faults(number, agent);
        assert!(found.len() == 1 && found[0].0 == Key::Setting("number"), "{found:?}");
        assert!(found[0].1.contains(why), "{found:?}");
    }
}
