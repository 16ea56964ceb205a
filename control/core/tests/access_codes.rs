//! Customers of user-originated callbacks who withhold their number are known by a code (CB-09).

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::Bench;
use bench::flow::{self, Caller};
use offhook_control_core::CallbackId;
use offhook_control_core::api::{ApiReply, ApiRequest, CallbackFilter};
use offhook_control_core::config::Config;
use offhook_control_core::record::{CallKind, CallbackReason, Fact};
use serde_json::{Value, json};

/// With an access number that leads to the queue, and codes.
fn services(config: &mut Config) {
    config.services[0].access_number = "100".into();
    config.services[0].push_url = "http://127.0.0.1/push".into();
    config.services[0].provide_code = true;
}

fn start(bench: &mut Bench, params: Value) -> ApiReply {
    let Value::Object(params) = params else { panic!("not an object") };
    bench.ask(ApiRequest::StartCallback { service: "cb".into(), params })
}

/// A callback whose number is told at once; its code.
fn expected(bench: &mut Bench, number: &str) -> (CallbackId, String) {
    let asked = json!({ "_customer_number": number, "_wait_for_agent": false, "topic": "bill" });
    let reply = start(bench, asked).body();
    let text = |field: &str| reply[field].as_str().expect(field).to_owned();
    (CallbackId(text("_id")), text("_access_code"))
}

fn view(bench: &mut Bench, id: &CallbackId) -> Value {
    let filter = CallbackFilter { id: Some(id.clone()), ..CallbackFilter::default() };
    bench.ask(ApiRequest::QueryCallbacks { service: "cb".into(), filter }).body()[0].clone()
}

fn keys_in(bench: &mut Bench, caller: &Caller, keys: &str) {
    for key in keys.chars() {
        caller.press(bench, key);
    }
}

/// Six digits that are nobody's code.
fn wrong(codes: &[&str]) -> String {
    let free = (0..).map(|code| format!("{code:06}")).find(|code| !codes.contains(&code.as_str()));
    free.expect("one is free")
}

fn withheld(bench: &mut Bench, number: u64) -> Caller {
    flow::arrive_at(bench, number, "anonymous", "100")
}

#[test]
fn cb_09_a_code_of_six_digits_comes_with_the_access_number_and_is_another_one_for_each_callback() {
    let mut bench = Bench::with(services);
    let (id, first) = expected(&mut bench, "+31201");
    let (_, second) = expected(&mut bench, "+31202");
    assert!(first.len() == 6 && first.bytes().all(|byte| byte.is_ascii_digit()), "{first}");
    assert_ne!(first, second);
    assert_eq!(view(&mut bench, &id)["_access_code"], json!(first));
}

#[test]
fn cb_09_the_code_is_told_by_push_when_the_number_is() {
    let mut bench = Bench::with(services);
    let reply = start(&mut bench, json!({ "_customer_number": "+31201" })).body();
    let id = CallbackId(reply["_id"].as_str().expect("an id").to_owned());
    assert_eq!(
        (&reply["_access_code"], &view(&mut bench, &id)["_access_code"]),
        (&Value::Null, &Value::Null)
    );
    bench.add_agent("ann", true);
    let push = bench.webhooks.last().expect("told").clone();
    assert!(push["_access_code"].is_string());
    assert_eq!(view(&mut bench, &id)["_access_code"], push["_access_code"]);
}

#[test]
fn cb_09_the_request_says_whether_there_is_a_code_and_nobody_has_one_who_is_called() {
    let mut bench = Bench::with(|config| {
        services(config);
        config.services[0].provide_code = false;
    });
    let asked = |number: &str, more: Value| {
        let mut params = json!({ "_customer_number": number, "_wait_for_agent": false });
        params.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        params
    };
    let plain = start(&mut bench, asked("+31201", json!({})));
    assert_eq!(plain.body()["_access_code"], Value::Null);
    let wanted = start(&mut bench, asked("+31202", json!({ "_provide_code": "true" })));
    assert!(wanted.body()["_access_code"].is_string());
    let called =
        json!({ "_customer_number": "+31203", "_call_direction": "USERTERMINATED", "_provide_code": true });
    let refused = start(&mut bench, called);
    assert_eq!(refused.status(), 400);
    assert!(refused.body()["message"].to_string().contains("_provide_code"));
    let odd = start(&mut bench, asked("+31204", json!({ "_provide_code": "six" })));
    assert_eq!(odd.status(), 400);
}

#[test]
fn cb_09_who_withholds_their_number_is_joined_with_the_callbacks_data_by_its_code() {
    let mut bench = Bench::with(services);
    let (other, _) = expected(&mut bench, "+31202");
    let (id, code) = expected(&mut bench, "+31201");
    bench.pass_ms(5_000);
    flow::arrive_at(&mut bench, 1, "+49301", "100");
    let customer = withheld(&mut bench, 2);
    assert_eq!(customer.hears(&bench), ["access_code.wav"]);
    keys_in(&mut bench, &customer, &code);
    assert_eq!(customer.hears(&bench), ["music.wav"]);
    bench.add_agent("ann", false);
    let offer = bench.agent("ann").offer.expect("an offer");
    assert_eq!(
        (offer.kind, &offer.data["topic"]),
        (CallKind::Callback, &json!("bill")),
        "its place is older"
    );
    assert_eq!(offer.data["_CB_SERVICE_ID"], id.to_string());
    bench.ask(ApiRequest::Accept("ann".into()));
    assert_eq!((bench.ended(&id), bench.ended(&other)), (Some(CallbackReason::AgentConnected), None));
    assert_eq!(bench.last_splice().map(|(_, leg)| leg), Some(format!("c-{}", customer.0)));
}

#[test]
fn cb_09_nobody_is_offered_to_an_agent_while_they_are_asked_for_the_code() {
    let mut bench = Bench::with(services);
    let (id, code) = expected(&mut bench, "+31201");
    bench.add_agent("ann", true);
    let customer = withheld(&mut bench, 1);
    bench.end_play(customer.0);
    assert_eq!(bench.last_splice(), None);
    keys_in(&mut bench, &customer, &code);
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
}

#[test]
fn cb_09_after_three_wrong_codes_a_caller_is_an_ordinary_one() {
    let mut bench = Bench::with(services);
    let (id, code) = expected(&mut bench, "+31201");
    let customer = withheld(&mut bench, 1);
    for heard in ["access_code.wav", "wrong_code.wav", "wrong_code.wav"] {
        assert_eq!(customer.hears(&bench), [heard]);
        keys_in(&mut bench, &customer, &wrong(&[&code]));
    }
    assert_eq!(customer.hears(&bench), ["music.wav"]);
    keys_in(&mut bench, &customer, &code);
    bench.add_agent("ann", false);
    assert_eq!(bench.agent("ann").offer.expect("an offer").kind, CallKind::Inbound);
    assert_eq!(view(&mut bench, &id)["_callback_state"], "QUEUED");
}

#[test]
fn cb_09_a_wrong_code_may_be_followed_by_the_right_one() {
    let mut bench = Bench::with(services);
    let (id, code) = expected(&mut bench, "+31201");
    bench.add_agent("ann", true);
    let customer = withheld(&mut bench, 1);
    keys_in(&mut bench, &customer, &code[..3]);
    keys_in(&mut bench, &customer, "#");
    assert_eq!(customer.hears(&bench), ["wrong_code.wav"]);
    keys_in(&mut bench, &customer, &code);
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
}

#[test]
fn cb_09_who_keys_in_nothing_is_an_ordinary_caller_and_so_is_who_cannot_be_asked() {
    let mut bench = Bench::with(services);
    let (id, _) = expected(&mut bench, "+31201");
    bench.add_agent("ann", true);
    let caller = withheld(&mut bench, 1);
    bench.end_play(caller.0);
    bench.pass_ms(11_000);
    assert_eq!(bench.last_splice().map(|(_, leg)| leg), Some(format!("c-{}", caller.0)));
    bench.broken_prompts.push("access_code.wav".into());
    let second = withheld(&mut bench, 2);
    assert_eq!(second.hears(&bench), ["music.wav"]);
    assert_eq!(view(&mut bench, &id)["_callback_state"], "QUEUED");
}

#[test]
fn cb_09_only_who_withholds_their_number_is_asked_and_only_while_a_callback_with_a_code_waits() {
    let mut bench = Bench::with(services);
    let early = withheld(&mut bench, 1);
    assert_eq!(early.hears(&bench), ["music.wav"], "nobody is expected");
    let (id, code) = expected(&mut bench, "+31201");
    let known = flow::arrive_at(&mut bench, 2, "+49301", "100");
    assert_eq!(known.hears(&bench), ["music.wav"], "not the customer");
    let cancel = ApiRequest::CancelCallback { service: "cb".into(), id };
    assert_eq!(bench.ask(cancel).status(), 200);
    let late = withheld(&mut bench, 3);
    assert_eq!(late.hears(&bench), ["music.wav"], "{code} has ended with its callback");
}

#[test]
fn cb_09_a_code_that_ends_while_it_is_keyed_in_is_a_wrong_one() {
    let mut bench = Bench::with(services);
    let (id, code) = expected(&mut bench, "+31201");
    expected(&mut bench, "+31202");
    let customer = withheld(&mut bench, 1);
    bench.ask(ApiRequest::CancelCallback { service: "cb".into(), id });
    keys_in(&mut bench, &customer, &code);
    assert_eq!(customer.hears(&bench), ["wrong_code.wav"]);
}

#[test]
fn cb_09_a_code_opens_one_call_at_a_time() {
    let mut bench = Bench::with(services);
    let (_, code) = expected(&mut bench, "+31201");
    let (_, second_code) = expected(&mut bench, "+31202");
    let first = withheld(&mut bench, 1);
    keys_in(&mut bench, &first, &code);
    let second = withheld(&mut bench, 2);
    keys_in(&mut bench, &second, &code);
    assert_eq!(second.hears(&bench), ["wrong_code.wav"]);
    first.hang_up(&mut bench);
    keys_in(&mut bench, &second, &code);
    assert_eq!(second.hears(&bench), ["music.wav"]);
    assert_ne!(code, second_code);
}

#[test]
fn cb_09_by_10_codes_and_whoever_gave_one_survive_a_restart() {
    let mut bench = Bench::with(services);
    let (id, code) = expected(&mut bench, "+31201");
    let (later, later_code) = expected(&mut bench, "+31202");
    let customer = withheld(&mut bench, 1);
    keys_in(&mut bench, &customer, &code);
    let mut bench = bench.restart_with(services);
    bench.restored([customer.0]);
    bench.add_agent("ann", true);
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
    assert_eq!(view(&mut bench, &later)["_access_code"], json!(later_code));
    bench.ask(ApiRequest::HangUp("ann".into()));
    let second = withheld(&mut bench, 2);
    keys_in(&mut bench, &second, &later_code);
    assert_eq!(second.hears(&bench), ["music.wav"]);
    let joined = |fact: &Fact| matches!(fact, Fact::CallbackCalledIn { id, call, .. } if *id == later && *call == second.0);
    assert!(bench.facts().any(joined));
}

#[test]
fn cb_09_by_10_who_was_being_asked_is_asked_again_after_a_restart() {
    let mut bench = Bench::with(services);
    let (id, code) = expected(&mut bench, "+31201");
    let customer = withheld(&mut bench, 1);
    keys_in(&mut bench, &customer, &code[..3]);
    let mut bench = bench.restart_with(services);
    bench.restored([customer.0]);
    assert_eq!(customer.hears(&bench), ["access_code.wav"]);
    keys_in(&mut bench, &customer, &code);
    bench.add_agent("ann", true);
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
}

#[test]
fn cb_09_by_10_who_gave_a_code_before_a_flow_stays_the_callbacks_over_a_restart() {
    let flows = || flow::with(flow::example(flow::callback(), &[]));
    let both = |config: &mut Config| {
        services(config);
        config.services[0].access_number = "200".into();
        flows()(config);
    };
    let mut bench = Bench::with(both);
    let (id, code) = expected(&mut bench, "+31201");
    bench.pass_ms(1_000);
    let stranger = flow::arrive(&mut bench, 1, "anonymous");
    bench.end_play(stranger.0);
    bench.pass_ms(11_000);
    assert_eq!(stranger.hears(&bench), ["music.wav"], "in the flow");
    let customer = flow::arrive(&mut bench, 2, "");
    keys_in(&mut bench, &customer, &code);
    let mut bench = bench.restart_with(both);
    bench.restored([stranger.0, customer.0]);
    assert_eq!(stranger.hears(&bench), ["music.wav"], "goes on with the flow");
    bench.add_agent("ann", true);
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
}
