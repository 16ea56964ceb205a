//! Callbacks in both directions, with everything that they wait for, by behaviour id.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, available_agent, conversation};
use offhook_control_core::api::{ApiReply, ApiRequest, CallbackFilter};
use offhook_control_core::config::{Config, Secret};
use offhook_control_core::hours::OfficeHours;
use offhook_control_core::record::{CallKind, CallbackReason, Fact};
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::{CallId, CallbackId, Input};
use serde_json::{Value, json};

fn estimate(bench: &mut Bench, queue: &str, position: Option<u64>) -> Value {
    bench.ask(ApiRequest::Estimate { queue: queue.into(), position }).body()
}

#[test]
fn cb_07_the_estimated_wait_of_a_queue_is_asked_for_with_a_place() {
    let mut bench = available_agent(true);
    assert_eq!(estimate(&mut bench, "sales", None)["ewt"], 0, "an agent is ready");
    bench.callback("+31201");
    bench.callback("+31202");
    let next = estimate(&mut bench, "sales", None);
    assert_eq!((&next["calls"], &next["pos"], &next["ewt"]), (&1.into(), &2.into(), &360.into()));
    assert_eq!(estimate(&mut bench, "sales", Some(5))["ewt"], 900);
    assert_eq!(estimate(&mut bench, "nobody", None)["error"], "not_found");
    let filter = CallbackFilter { customer_number: Some("+31202".into()), ..CallbackFilter::default() };
    let reply = bench.ask(ApiRequest::QueryCallbacks { service: "cb".into(), filter }).body();
    assert_eq!((&reply[0]["_position"], &reply[0]["_ewt"]), (&1.into(), &180.into()));
}

#[test]
fn cb_07_by_10_the_estimate_goes_on_from_the_conversations_before_a_restart() {
    let (mut bench, customer) = conversation();
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann]);
    bench.pass_ms(40_000);
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    assert_eq!(estimate(&mut bench, "sales", None)["aht"], 45, "five seconds of wrap-up");
    assert_eq!(estimate(&mut bench.restart(), "sales", None)["aht"], 45);
}

#[test]
fn cb_07_nobody_at_work_is_no_estimate() {
    let mut bench = Bench::new();
    assert_eq!(estimate(&mut bench, "sales", None)["ewt"], Value::Null);
}

fn start(bench: &mut Bench, params: Value) -> ApiReply {
    let Value::Object(params) = params else { panic!("not an object") };
    bench.ask(ApiRequest::StartCallback { service: "cb".into(), params })
}

fn id_of(reply: &ApiReply) -> CallbackId {
    CallbackId(reply.body()["_id"].as_str().expect("an id").to_owned())
}

fn view(bench: &mut Bench, id: &CallbackId) -> Value {
    let filter = CallbackFilter { id: Some(id.clone()), ..CallbackFilter::default() };
    bench.ask(ApiRequest::QueryCallbacks { service: "cb".into(), filter }).body()[0].clone()
}

fn state(bench: &mut Bench, id: &CallbackId) -> String {
    let view = view(bench, id);
    let text = |field: &str| view[field].as_str().unwrap_or_default().to_owned();
    format!("{} {}", text("_callback_state"), text("_callback_reason")).trim().to_owned()
}

/// With an access number that leads to the queue, and a push address.
fn services(config: &mut Config) {
    config.services[0].access_number = "100".into();
    config.services[0].push_url = "http://127.0.0.1/push".into();
    config.services[0].push_secret = Secret("key".into());
}

fn calls_in(bench: &mut Bench, call: u64, from: &str) -> CallId {
    let call = CallId(call);
    bench.arrives(call, from, "100");
    bench.answer(call);
    call
}

fn spliced(bench: &Bench) -> usize {
    bench.order.iter().filter(|line| *line == "splice both").count()
}

const IN: u64 = 1 << 52;

#[test]
fn cb_03_the_customer_calls_unless_the_request_says_otherwise_and_other_values_are_refused() {
    let mut bench = Bench::with(services);
    let reply = start(&mut bench, json!({ "_customer_number": "+31201" }));
    let id = id_of(&reply);
    assert_eq!(view(&mut bench, &id)["_call_direction"], "USERORIGINATED");
    let reply =
        start(&mut bench, json!({ "_customer_number": "+31202", "_call_direction": "USERTERMINATED" }));
    let id = id_of(&reply);
    assert_eq!(view(&mut bench, &id)["_call_direction"], "USERTERMINATED");
    let reply = start(&mut bench, json!({ "_customer_number": "+31203", "_call_direction": "SIDEWAYS" }));
    assert_eq!(reply.status(), 400);
    let message = reply.body()["message"].to_string();
    assert!(message.contains("_call_direction") && message.contains("USERORIGINATED or USERTERMINATED"));
    let mut bench = Bench::new();
    let reply = start(&mut bench, json!({ "_customer_number": "+31201" }));
    assert_eq!((reply.status(), bench.facts().count()), (400, 1), "nothing to call, nothing stored");
}

#[test]
fn cb_04_without_waiting_for_an_agent_the_access_number_is_told_with_the_id() {
    let mut bench = Bench::with(services);
    let reply = start(&mut bench, json!({ "_customer_number": "+31201", "_wait_for_agent": false }));
    assert_eq!((reply.status(), &reply.body()["_access_number"]), (200, &json!("100")));
    assert!(reply.body()["_expiration_time"].is_string() && reply.body()["_id"].is_string());
    let reply = start(&mut bench, json!({ "_customer_number": "+31202" }));
    assert_eq!(
        reply.body()["_access_number"],
        Value::Null,
        "true is the default: not before an agent is there"
    );
    let terminated = json!({ "_customer_number": "+31203", "_wait_for_agent": "false", "_call_direction": "USERTERMINATED" });
    let refused = start(&mut bench, terminated);
    assert_eq!(refused.status(), 400);
    assert!(refused.body()["message"].to_string().contains("_wait_for_agent"));
}

#[test]
fn cb_04_with_waiting_the_customer_is_told_the_number_when_an_agent_is_there() {
    let mut bench = Bench::with(services);
    let reply = start(&mut bench, json!({ "_customer_number": "+31201" }));
    let id = id_of(&reply);
    assert_eq!((state(&mut bench, &id), bench.webhooks.len()), ("QUEUED".into(), 0));
    bench.add_agent("ann", true);
    assert_eq!(state(&mut bench, &id), "ROUTING");
    assert_eq!(view(&mut bench, &id)["_access_number"], "100");
    let push = bench.webhooks.last().expect("told").clone();
    assert_eq!((&push["event"], &push["_access_number"]), (&json!("callback_call_now"), &json!("100")));
    calls_in(&mut bench, IN + 1, "+31201");
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
    assert_eq!(bench.dials_to_trunk(), 0);
}

#[test]
fn cb_09_a_customer_who_calls_is_matched_by_number_and_joined_with_the_data_of_the_callback() {
    let mut bench = Bench::with(services);
    let asked = json!({ "_customer_number": "+31201", "_wait_for_agent": false, "topic": "bill" });
    let reply = start(&mut bench, asked);
    let id = id_of(&reply);
    bench.pass_ms(5_000);
    calls_in(&mut bench, IN + 1, "+49301");
    calls_in(&mut bench, IN + 2, "0031201");
    bench.add_agent("ann", false);
    let offer = bench.agent("ann").offer.expect("an offer");
    assert_eq!(
        (offer.kind, &offer.data["topic"]),
        (CallKind::Callback, &json!("bill")),
        "its place is older"
    );
    assert_eq!(state(&mut bench, &id), "ROUTING");
    bench.ask(ApiRequest::Accept("ann".into()));
    assert_eq!((bench.ended(&id), spliced(&bench)), (Some(CallbackReason::AgentConnected), 1));
    assert_eq!(view(&mut bench, &id)["_CB_DIAL_0_RESULT"], Value::Null);
}

#[test]
fn cb_09_a_caller_whom_no_callback_expects_is_an_ordinary_caller() {
    let mut bench = Bench::with(services);
    start(&mut bench, json!({ "_customer_number": "+31201", "_wait_for_agent": false }));
    calls_in(&mut bench, IN + 1, "+49301");
    bench.add_agent("ann", false);
    let offer = bench.agent("ann").offer.expect("an offer");
    assert_eq!((offer.kind, offer.number.as_str()), (CallKind::Inbound, "+49301"));
}

#[test]
fn cb_09_a_customer_who_hangs_up_in_the_queue_may_call_again() {
    let mut bench = Bench::with(services);
    let reply = start(&mut bench, json!({ "_customer_number": "+31201", "_wait_for_agent": false }));
    let id = id_of(&reply);
    let call = calls_in(&mut bench, IN + 1, "+31201");
    let cancel = ApiRequest::CancelCallback { service: "cb".into(), id: id.clone() };
    assert_eq!(bench.ask(cancel).status(), 409, "the customer is on the line");
    bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
    assert_eq!((state(&mut bench, &id), bench.ended(&id)), ("QUEUED".into(), None));
    bench.add_agent("ann", true);
    calls_in(&mut bench, IN + 2, "+31201");
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
}

#[test]
fn cb_09_a_customer_who_called_is_still_the_callbacks_after_a_restart() {
    let mut bench = Bench::with(services);
    let reply = start(&mut bench, json!({ "_customer_number": "+31201", "_wait_for_agent": false }));
    let id = id_of(&reply);
    let call = calls_in(&mut bench, IN + 1, "+31201");
    bench.keep_dialogs([call]);
    let mut bench = bench.restart_with(services);
    bench.restored([call]);
    bench.add_agent("ann", true);
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
}

#[test]
fn cb_09_who_never_calls_ends_with_the_time_to_live() {
    let mut bench = Bench::with(services);
    let asked = json!({ "_customer_number": "+31201", "_wait_for_agent": false, "_ttl": 60 });
    let id = id_of(&start(&mut bench, asked));
    bench.pass_ms(61_000);
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailTimeoutTtl));
}

/// A user-terminated callback with confirmation, and an agent who is ready.
fn asked_first(bench: &mut Bench, more: &Value) -> CallbackId {
    let mut params = json!({ "_customer_number": "+31201", "_call_direction": "USERTERMINATED",
        "_wait_for_user_confirm": true });
    params.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let reply = start(bench, params);
    bench.add_agent("ann", true);
    id_of(&reply)
}

fn confirm(bench: &mut Bench, id: &CallbackId) -> u16 {
    bench.ask(ApiRequest::ConfirmCallback { service: "cb".into(), id: id.clone() }).status()
}

#[test]
fn cb_05_the_customer_is_asked_first_and_called_when_they_are_ready() {
    let mut bench = Bench::with(services);
    let id = asked_first(&mut bench, &json!({ "topic": "bill" }));
    assert_eq!((bench.dials_to_trunk(), state(&mut bench, &id)), (0, "ROUTING".into()));
    let push = bench.webhooks.last().expect("asked").clone();
    assert_eq!((&push["event"], &push["data"]["topic"]), (&json!("callback_confirm"), &json!("bill")));
    assert_eq!(push["_confirm_url"], format!("/genesys/1/service/callback/cb/{id}/confirm"));
    assert_eq!(confirm(&mut bench, &id), 200);
    assert_eq!(bench.dials_to_trunk(), 1);
    assert_eq!(confirm(&mut bench, &id), 200, "twice is once");
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn cb_05_after_three_times_thirty_seconds_without_an_answer_it_fails() {
    let mut bench = Bench::with(services);
    let id = asked_first(&mut bench, &json!({}));
    for asked in 1..=3 {
        assert_eq!(bench.webhooks.len(), asked);
        assert_eq!(bench.webhooks[asked - 1]["_attempt"], asked);
        bench.pass_ms(29_000);
        assert_eq!(bench.ended(&id), None);
        bench.pass_ms(1_100);
    }
    assert_eq!((bench.webhooks.len(), bench.dials_to_trunk()), (3, 0));
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailUserNoConfirm));
    assert_eq!(confirm(&mut bench, &id), 409);
}

#[test]
fn cb_05_connect_anyway_calls_a_customer_who_did_not_answer() {
    let mut bench = Bench::with(services);
    let more = json!({ "_on_user_confirm_timeout": "CONNECT-ANYWAY", "_user_confirm_timeout": 5,
        "_max_notify_delivery_attempts": 2 });
    asked_first(&mut bench, &more);
    bench.pass_ms(9_000);
    assert_eq!((bench.webhooks.len(), bench.dials_to_trunk()), (2, 0));
    bench.pass_ms(1_100);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn cb_05_while_the_customer_is_asked_the_agent_is_free_for_the_next() {
    let mut bench = Bench::with(services);
    asked_first(&mut bench, &json!({}));
    bench.callback("+31202");
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn cb_05_a_confirmation_survives_a_restart() {
    let mut bench = Bench::with(services);
    let id = asked_first(&mut bench, &json!({}));
    bench.ask(ApiRequest::Logout("ann".into()));
    assert_eq!(confirm(&mut bench, &id), 200);
    let mut bench = bench.restart_with(services);
    bench.add_agent("ann", true);
    assert_eq!((bench.webhooks.len(), bench.dials_to_trunk()), (0, 1));
}

#[test]
fn cb_05_confirmation_without_waiting_for_an_agent_is_refused() {
    let mut bench = Bench::with(services);
    let both =
        json!({ "_customer_number": "+31201", "_wait_for_agent": false, "_wait_for_user_confirm": true });
    let reply = start(&mut bench, both);
    assert_eq!(reply.status(), 400);
    assert!(reply.body()["message"].to_string().contains("_wait_for_user_confirm"));
}

#[test]
fn cb_06_new_settings_hold_at_once_for_what_has_not_started_and_not_for_what_the_request_named() {
    let mut bench = Bench::with(services);
    let terminated = |number: &str, more: Value| {
        let mut params = json!({ "_customer_number": number, "_call_direction": "USERTERMINATED" });
        params.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        params
    };
    let open = id_of(&start(&mut bench, terminated("+31201", json!({}))));
    let named = id_of(&start(&mut bench, terminated("+31202", json!({ "_ttl": 600 }))));
    let mut config = Config::clone(&bench.config);
    config.services[0].ttl_s = 60;
    config.services[0].max_queued = 2;
    bench.take(Input::Config(Box::new(config)));
    let third = start(&mut bench, terminated("+31203", json!({})));
    assert_eq!(third.body()["error"], "service_full");
    bench.pass_ms(61_000);
    assert_eq!(bench.ended(&open), Some(CallbackReason::FailTimeoutTtl));
    assert_eq!(bench.ended(&named), None);
}

#[test]
fn cb_06_cb_03_a_customer_who_is_to_call_is_not_called_whatever_is_set_meanwhile() {
    let mut bench = Bench::with(services);
    let id = id_of(&start(&mut bench, json!({ "_customer_number": "+31201" })));
    bench.reconfigure(|config| config.services[0].ttl_s = 600);
    bench.add_agent("ann", true);
    assert_eq!(bench.dials_to_trunk(), 0);
    assert!(view(&mut bench, &id)["_access_number"].is_string(), "the customer is told to call");
}

#[test]
fn cb_11_the_originating_call_gets_id_and_times_in_whole_seconds() {
    let mut bench = Bench::with(services);
    let call = calls_in(&mut bench, IN + 1, "+31201");
    let now_s = bench.now().unix_ms / 1_000;
    let asked = json!({ "_customer_number": "+31201", "_call_direction": "USERTERMINATED",
        "_originating_interaction_id": call.to_string(), "_desired_time": now_s + 3_600 });
    let id = id_of(&start(&mut bench, asked));
    let ApiReply::Call(view) = bench.ask(ApiRequest::Call(call)) else { panic!("a call") };
    assert_eq!(view.data["_CB_SERVICE_ID"], id.to_string());
    assert_eq!(view.data["_CB_T_SERVICE_START"], now_s + 3_600, "scheduled: the time asked for");
    assert_eq!(view.data["_CB_T_CALLBACK_ACCEPTED"], now_s);
    let unknown = json!({ "_customer_number": "+31202", "_call_direction": "USERTERMINATED",
        "_originating_interaction_id": "77" });
    let reply = start(&mut bench, unknown);
    assert_eq!(reply.status(), 400);
    assert!(reply.body()["message"].to_string().contains("_originating_interaction_id"));
}

#[test]
fn cb_12_the_originating_call_ends_as_a_callback_and_is_not_abandoned() {
    let mut bench = Bench::with(services);
    let call = calls_in(&mut bench, IN + 1, "+31201");
    let asked = json!({ "_customer_number": "+31201", "_call_direction": "USERTERMINATED",
        "_originating_interaction_id": call.to_string() });
    start(&mut bench, asked);
    let added = bench.order.iter().position(|line| line == "record callback_added");
    assert!(added.is_some());
    let ends = |(of, command): &(CallId, SipCommand)| {
        *of == call && matches!(command, SipCommand::HangUp { reason } if reason == "Callback")
    };
    assert!(bench.sip.iter().any(ends));
    bench.sip(call, SipEvent::Ended { by_peer: false, reason: String::new() });
    let ended = bench.facts().find_map(|fact| match fact {
        Fact::CallEnded { call: ended, summary: Some(summary) } if *ended == call => Some(summary.clone()),
        _ => None,
    });
    let ended = ended.expect("on record");
    assert_eq!(ended.result, "callback");
    assert!(ended.data.contains_key("_CB_SERVICE_ID"));
    let ApiReply::Statistics(figures) = bench.ask(ApiRequest::Statistics) else { panic!("figures") };
    assert_eq!(figures.abandoned, 0);
}

/// Open on Mondays from nine to ten in Amsterdam. The tests begin on Friday, 2027-01-15 08:00 UTC.
fn mondays(config: &mut Config) {
    services(config);
    let spans = ["mon 09:00-10:00".to_owned()];
    config.services[0].office_hours =
        OfficeHours::parse("Europe/Amsterdam", &spans, &[]).expect("office hours");
}

#[test]
fn cb_18_a_request_outside_office_hours_waits_for_the_next_opening() {
    let mut bench = Bench::with(mondays);
    let id = bench.callback_with(json!({ "_customer_number": "+31201", "_dial_retry_timeout": 3_600 }));
    assert_eq!(state(&mut bench, &id), "SCHEDULED");
    assert_eq!(view(&mut bench, &id)["_desired_time"], "2027-01-18T08:00:00.000Z");
    bench.add_agent("ann", true);
    let opening_ms = 3 * 86_400_000;
    bench.pass_ms(opening_ms - 60_000);
    assert_eq!(bench.dials_to_trunk(), 0);
    bench.pass_ms(60_000);
    assert_eq!(bench.dials_to_trunk(), 1);
    let call = bench.customer();
    bench.sip(call, SipEvent::Failed { status: 486, reason: String::new(), network: false, cause: None });
    bench.pass_ms(3_700_000);
    assert_eq!(bench.dials_to_trunk(), 1, "the next attempt would be after closing time");
}

#[test]
fn cb_18_where_that_is_enabled_a_request_outside_office_hours_is_refused() {
    let mut bench = Bench::with(|config| {
        mondays(config);
        config.services[0].reject_out_of_office_hours = true;
    });
    let params = json!({ "_customer_number": "+31201", "_call_direction": "USERTERMINATED" });
    let reply = start(&mut bench, params);
    assert_eq!((reply.status(), &reply.body()["error"]), (503, &json!("out_of_office_hours")));
    assert!(reply.body()["message"].to_string().contains("2027-01-18T08:00:00.000Z"));
    let inside = json!({ "_customer_number": "+31201", "_call_direction": "USERTERMINATED",
        "_desired_time": "2027-01-18T08:30:00Z" });
    assert_eq!(start(&mut bench, inside).status(), 200);
}
