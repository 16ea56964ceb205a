//! What callbacks remember over settings that change and runs that die, by behaviour id.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::flow::{arrive, callback, example, stored, summary, with};
use bench::{Bench, agent};
use offhook_control_core::api::{AgentBody, ApiReply, ApiRequest, CallbackFilter};
use offhook_control_core::config::{Config, QueueConfig};
use offhook_control_core::record::{CallbackReason, Fact};
use offhook_control_core::report::{Page, Report};
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::{CallId, CallbackId};
use serde_json::{Value, json};

/// Two queues, an access number that leads to the first, and a push address.
fn services(config: &mut Config) {
    let support =
        QueueConfig { name: "support".into(), skill: Some("support".into()), ..QueueConfig::default() };
    config.queues.push(support);
    config.services[0].access_number = "100".into();
    config.services[0].push_url = "http://127.0.0.1/push".into();
}

fn to_support(config: &mut Config) {
    config.services[0].queue = "support".into();
    config.services[0].access_number = "101".into();
    config.queues[1].dnis = vec!["101".into()];
}

fn both(config: &mut Config) {
    services(config);
    to_support(config);
}

fn supporter(bench: &mut Bench, id: &str) {
    let body = AgentBody { skills: vec!["support".into()], ..agent(false, true) };
    bench.add_agent(id, true);
    bench.ask(ApiRequest::PutAgent(id.into(), body));
}

fn view(bench: &mut Bench, id: &CallbackId) -> Value {
    let filter = CallbackFilter { id: Some(id.clone()), ..CallbackFilter::default() };
    bench.ask(ApiRequest::QueryCallbacks { service: "cb".into(), filter }).body()[0].clone()
}

fn codes(bench: &mut Bench, report: Report) -> Vec<(String, String)> {
    let ApiReply::Report(Page::Events(rows)) = bench.ask(ApiRequest::Report { report, after: 0, limit: 100 })
    else {
        panic!("events")
    };
    rows.into_iter().map(|(_, row)| (row.result_code, row.queue_key)).collect()
}

/// One caller waited for sales, asked for a callback and is gone.
fn caller_who_left_with_a_callback() -> Bench {
    let mut bench = Bench::with(|config| {
        services(config);
        with(example(callback(), &[]))(config);
    });
    let caller = arrive(&mut bench, 1, "+49301");
    caller.asks_for_callback(&mut bench);
    caller.is_gone(&mut bench);
    bench
}

#[test]
fn cb_06_a_callback_that_has_not_started_follows_its_services_queue_with_its_place() {
    let mut bench = Bench::with(services);
    let first = bench.callback("+31201");
    bench.pass_ms(1_000);
    bench.reconfigure(to_support);
    let second = bench.callback("+31202");
    bench.add_agent("ann", true);
    assert_eq!(bench.dials_to_trunk(), 0, "ann knows sales alone");
    assert_eq!(
        (&view(&mut bench, &first)["_position"], &view(&mut bench, &second)["_position"]),
        (&json!(1), &json!(2))
    );
    supporter(&mut bench, "bob");
    bench.answer(bench.customer());
    assert_eq!(bench.ended(&first), Some(CallbackReason::AgentConnected));
    bench.sip(bench.customer(), SipEvent::Ended { by_peer: true, reason: String::new() });
    let key = codes(&mut bench, Report::CallEvents).pop().map(|(_, key)| key);
    assert_eq!(key.as_deref(), Some("__Callback_support"), "the reports know it too");
}

#[test]
fn cb_06_a_customer_who_is_to_call_is_told_the_access_number_of_now_and_found_by_it() {
    let mut bench = Bench::with(services);
    let id =
        bench.callback_with(json!({ "_customer_number": "+31201", "_call_direction": "USERORIGINATED" }));
    bench.reconfigure(to_support);
    supporter(&mut bench, "bob");
    assert_eq!(bench.webhooks.last().expect("told")["_access_number"], "101");
    let mut bench = bench.restart_with(both);
    assert_eq!(view(&mut bench, &id)["_access_number"], "101", "it is on record");
    let call = CallId(CallId::FIRST_INCOMING + 1);
    bench.arrives(call, "+31201", "101");
    bench.answer(call);
    supporter(&mut bench, "bob");
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
}

#[test]
fn cb_06_a_number_that_was_told_with_the_id_stays_the_customers() {
    let mut bench = Bench::with(services);
    let told = json!({ "_customer_number": "+31201", "_call_direction": "USERORIGINATED", "_wait_for_agent": false });
    let Value::Object(params) = told else { panic!("an object") };
    let reply = bench.ask(ApiRequest::StartCallback { service: "cb".into(), params }).body();
    bench.reconfigure(to_support);
    let id = CallbackId(reply["_id"].as_str().expect("an id").to_owned());
    assert_eq!(
        (&reply["_access_number"], &view(&mut bench, &id)["_access_number"]),
        (&json!("100"), &json!("100"))
    );
}

#[test]
fn cb_06_settings_that_changed_while_control_was_away_hold_too() {
    let mut bench = Bench::with(services);
    let id = bench.callback("+31201");
    let mut bench = bench.restart_with(both);
    supporter(&mut bench, "bob");
    bench.answer(bench.customer());
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
}

#[test]
fn cb_06_qc_01_a_queued_callback_keeps_the_queue_that_its_call_waited_in() {
    let mut bench = caller_who_left_with_a_callback();
    bench.reconfigure(to_support);
    bench.add_agent("ann", true);
    assert_eq!(bench.dials_to_trunk(), 1);
}

fn asks_first(bench: &mut Bench) -> CallbackId {
    let id = bench.callback_with(json!({ "_customer_number": "+31201", "_wait_for_user_confirm": true }));
    bench.add_agent("ann", true);
    assert_eq!(bench.webhooks.len(), 1);
    id
}

#[test]
fn cb_05_a_restart_goes_on_with_the_second_of_three_questions_when_the_first_has_had_its_time() {
    let mut bench = Bench::with(services);
    let id = asks_first(&mut bench);
    bench.pass_ms(20_000);
    let mut bench = bench.restart_with(services);
    bench.add_agent("ann", true);
    bench.pass_ms(8_000);
    assert_eq!((bench.webhooks.len(), bench.dials_to_trunk()), (0, 0), "the first may still be answered");
    bench.pass_ms(2_000);
    assert_eq!(bench.webhooks.last().expect("asked again")["_attempt"], 2);
    bench.pass_ms(60_000);
    assert_eq!((bench.webhooks.len(), bench.ended(&id)), (2, Some(CallbackReason::FailUserNoConfirm)));
}

#[test]
fn cb_05_whoever_was_asked_before_a_restart_may_answer_after_it() {
    let mut bench = Bench::with(services);
    let id = asks_first(&mut bench);
    let mut bench = bench.restart_with(services);
    bench.add_agent("ann", true);
    assert_eq!(bench.ask(ApiRequest::ConfirmCallback { service: "cb".into(), id }).status(), 200);
    assert_eq!((bench.webhooks.len(), bench.dials_to_trunk()), (0, 1));
}

/// A caller asks for a callback by a program, and control dies before it has let them go.
fn killed_before_the_drop(more: &Value) -> (Bench, CallId, CallbackId) {
    let mut bench = Bench::with(services);
    let call = CallId(CallId::FIRST_INCOMING + 1);
    bench.arrives(call, "+31201", "100");
    bench.answer(call);
    bench.keep_dialogs([call]);
    let mut params = json!({ "_customer_number": "+31201", "_originating_interaction_id": call.to_string() });
    params.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let id = bench.callback_with(params);
    let added = |fact: &Fact| matches!(fact, Fact::CallbackAdded(_));
    let at = bench.records.iter().position(|record| added(&record.fact)).expect("stored");
    bench.records.truncate(at + 1);
    (bench.restart_with(services), call, id)
}

#[test]
fn cb_11_control_that_dies_between_the_record_and_the_drop_lets_the_caller_go_afterwards() {
    let (mut bench, call, id) = killed_before_the_drop(&json!({}));
    bench.restored([call]);
    let hung_up =
        |(of, command): &(CallId, SipCommand)| *of == call && matches!(command, SipCommand::HangUp { .. });
    assert!(bench.sip.iter().any(hung_up));
    assert_eq!(view(&mut bench, &id)["_total_waiting"], 1, "the callback alone");
    bench.sip(call, SipEvent::Ended { by_peer: false, reason: String::new() });
    let told = summary(&bench, call);
    assert_eq!((told.result.as_str(), told.ani.as_deref()), ("callback", Some("+31201")));
    assert_eq!(told.data["_CB_SERVICE_ID"], id.to_string());
    assert!(told.answered_ms < Some(bench.now().unix_ms), "before the restart");
}

#[test]
fn cb_11_the_call_that_a_flow_makes_a_callback_of_gets_the_callbacks_data() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    let asked_s = json!(bench.now().unix_ms / 1_000 + 30);
    caller.asks_for_callback(&mut bench);
    let id = stored(&bench)[0].id.clone();
    caller.is_gone(&mut bench);
    let data = summary(&bench, caller.0).data;
    assert_eq!(data["_CB_SERVICE_ID"], id.to_string());
    assert_eq!((&data["_CB_T_SERVICE_START"], &data["_CB_T_CALLBACK_ACCEPTED"]), (&asked_s, &asked_s));
}

#[test]
fn cb_11_qc_02_the_customer_is_not_dialled_before_their_own_call_is_over() {
    let mut bench = Bench::with(services);
    let call = CallId(CallId::FIRST_INCOMING + 1);
    bench.arrives(call, "+31201", "100");
    bench.answer(call);
    bench.callback_with(
        json!({ "_customer_number": "+31201", "_originating_interaction_id": call.to_string() }),
    );
    bench.add_agent("ann", true);
    assert_eq!(bench.dials_to_trunk(), 0, "it would be busy");
    bench.sip(call, SipEvent::Ended { by_peer: false, reason: String::new() });
    bench.pass_ms(200);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn cb_12_pv_08_a_caller_who_leaves_with_a_callback_has_a_code_of_their_own_in_the_events() {
    let mut bench = caller_who_left_with_a_callback();
    let by_request = CallId(CallId::FIRST_INCOMING + 2);
    bench.arrives(by_request, "+31201", "100");
    bench.answer(by_request);
    bench.callback_with(
        json!({ "_customer_number": "+31201", "_originating_interaction_id": by_request.to_string() }),
    );
    bench.sip(by_request, SipEvent::Ended { by_peer: false, reason: String::new() });
    let hung_up = arrive(&mut bench, 3, "+49303");
    hung_up.hang_up(&mut bench);
    let left = |rows: Vec<(String, String)>| -> Vec<String> {
        rows.into_iter().filter(|(_, key)| key == "sales").map(|(code, _)| code).collect()
    };
    assert_eq!(left(codes(&mut bench, Report::QueueEvents)), ["q", "q", "h"]);
    assert_eq!(left(codes(&mut bench, Report::CallEvents)), ["r", "r", "h"]);
}
