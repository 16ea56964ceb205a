//! Why callbacks end, each reason by a sequence of events that leads to it, and what becomes of the last attempt.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, available_agent};
use jiff::ToSpan as _;
use jiff::civil::date;
use offhook_control_core::api::{ApiReply, ApiRequest, CallbackFilter};
use offhook_control_core::config::Config;
use offhook_control_core::hours::OfficeHours;
use offhook_control_core::record::{CallbackReason, DialResult, Fact};
use offhook_control_core::report::{Page, Report};
use offhook_control_core::sip::SipEvent;
use offhook_control_core::{CallId, CallbackId};
use offhook_proto::{Command, ErrorCode};
use serde_json::{Value, json};

/// The queue has another name, and the service is gone with the old one.
fn another_queue(config: &mut Config) {
    config.services.clear();
    config.queues[0].name = "support".into();
}

fn with_access_number(config: &mut Config) {
    config.services[0].access_number = "100".into();
}

/// A callback whose customer is to call.
fn own_call(bench: &mut Bench, more: &Value) -> CallbackId {
    let mut params = json!({ "_customer_number": "+31201", "_call_direction": "USERORIGINATED" });
    params.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let Value::Object(params) = params else { panic!("an object") };
    let reply = bench.ask(ApiRequest::StartCallback { service: "cb".into(), params }).body();
    CallbackId(reply["_id"].as_str().expect("an id").to_owned())
}

fn failed(status: u16) -> SipEvent {
    SipEvent::Failed { status, reason: String::new(), network: false, cause: None }
}

fn over() -> SipEvent {
    SipEvent::Ended { by_peer: false, reason: String::new() }
}

/// The agent's phone is lost while the customer's rings, and comes back.
fn lose_agents_phone(bench: &mut Bench) {
    let (agent, customer) = (bench.dialled("ann"), bench.customer());
    bench.sip(customer, SipEvent::Ringing);
    bench.sip(agent, over());
    bench.sip(customer, failed(487));
    bench.pass_ms(1_500);
    bench.answer(bench.dialled("ann"));
    bench.pass_ms(1_500);
}

fn limited(attempts: u32) -> Value {
    json!({ "_customer_number": "+31201", "_max_dial_attempts": attempts, "_dial_retry_timeout": 10 })
}

#[test]
fn cb_13_who_waits_in_a_queue_that_is_configured_no_more_ends_as_target_not_found_and_goes_to_nobody() {
    let mut bench = Bench::new();
    let waiting = bench.callback("+31201");
    let later = bench.now().unix_ms / 1_000 + 60;
    let scheduled = bench.callback_with(json!({ "_customer_number": "+31202", "_desired_time": later }));
    bench.reconfigure(another_queue);
    assert_eq!(bench.ended(&waiting), Some(CallbackReason::FailTargetNotFound));
    assert_eq!(bench.ended(&scheduled), None, "there may be such a queue again when it falls due");
    bench.add_agent("ann", true);
    bench.pass_ms(61_000);
    assert_eq!(bench.ended(&scheduled), Some(CallbackReason::FailTargetNotFound));
    assert_eq!(bench.dials_to_trunk(), 0);
}

#[test]
fn cb_13_a_queue_that_is_gone_after_a_restart_is_a_target_not_found_too() {
    let mut bench = Bench::new();
    let id = bench.callback("+31201");
    let mut bench = bench.restart_with(another_queue);
    bench.add_agent("ann", true);
    assert_eq!((bench.ended(&id), bench.dials_to_trunk()), (Some(CallbackReason::FailTargetNotFound), 0));
}

#[test]
fn cb_13_what_an_agent_is_being_asked_about_is_taken_back_when_its_queue_is_gone() {
    let mut bench = available_agent(false);
    let id = bench.callback("+31201");
    assert!(bench.agent("ann").offer.is_some());
    bench.reconfigure(another_queue);
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailTargetNotFound));
    assert_eq!(bench.agent("ann").offer, None);
}

#[test]
fn cb_13_a_customer_who_is_to_call_a_number_that_there_is_no_more_cannot_be_queued() {
    let mut bench = Bench::with(with_access_number);
    let waiting = own_call(&mut bench, &json!({}));
    let later = bench.now().unix_ms / 1_000 + 60;
    let scheduled = own_call(&mut bench, &json!({ "_customer_number": "+31202", "_desired_time": later }));
    bench.reconfigure(|config| config.services[0].access_number.clear());
    assert_eq!(bench.ended(&waiting), Some(CallbackReason::FailQueueing));
    assert_eq!(bench.ended(&scheduled), None);
    bench.pass_ms(61_000);
    assert_eq!(bench.ended(&scheduled), Some(CallbackReason::FailQueueing));
}

#[test]
fn cb_13_a_service_that_has_closed_for_good_when_a_callback_falls_due_cannot_queue_it() {
    let mut bench = available_agent(true);
    let later = bench.now().unix_ms / 1_000 + 60;
    let id = bench.callback_with(json!({ "_customer_number": "+31201", "_desired_time": later }));
    let mondays = (0..60).map(|weeks: i64| (date(2027, 1, 18) + weeks.weeks()).to_string());
    let closed: Vec<String> = mondays.collect();
    let hours = OfficeHours::parse("", &["mon 09:00-10:00".to_owned()], &closed).expect("office hours");
    bench.reconfigure(|config| config.services[0].office_hours = hours);
    bench.pass_ms(59_000);
    assert_eq!(bench.ended(&id), None);
    bench.pass_ms(2_000);
    assert_eq!((bench.ended(&id), bench.dials_to_trunk()), (Some(CallbackReason::FailQueueing), 0));
}

#[test]
fn cb_13_attempts_that_all_failed_for_the_agents_phone_end_as_agent_connect() {
    let mut bench = available_agent(true);
    let id = bench.callback_with(limited(2));
    lose_agents_phone(&mut bench);
    assert_eq!((bench.ended(&id), bench.dials_to_trunk()), (None, 2));
    lose_agents_phone(&mut bench);
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailAgentConnect));
}

#[test]
fn cb_13_an_attempt_that_failed_at_the_customer_counts_before_those_that_failed_here_also_after_a_restart() {
    let mut bench = available_agent(true);
    let id = bench.callback_with(limited(2));
    bench.sip(bench.customer(), failed(486));
    let mut bench = bench.restart();
    bench.add_agent("ann", true);
    bench.pass_ms(10_000);
    lose_agents_phone(&mut bench);
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailCallToCustomer));
}

#[test]
fn cb_13_attempts_that_all_failed_for_the_engine_or_our_own_death_end_as_an_error() {
    let mut bench = available_agent(true);
    let id = bench.callback_with(limited(2));
    let call = bench.customer();
    bench.refuse_next(
        |command| matches!(command, Command::Splice(splice) if splice.b_hears_a),
        ErrorCode::CodecMismatch,
    );
    bench.answer(call);
    bench.sip(call, over());
    bench.pass_ms(10_100);
    assert_eq!((bench.ended(&id), bench.dials_to_trunk()), (None, 2));
    let bench = bench.restart();
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailError));
    let results: Vec<DialResult> = bench
        .facts()
        .filter_map(|fact| match fact {
            Fact::CallbackAttempted { result, .. } => Some(*result),
            _ => None,
        })
        .collect();
    assert_eq!(results, [DialResult::CreateCallError, DialResult::Unknown]);
}

#[test]
fn cb_13_a_callback_whose_call_is_deleted_before_anybody_talks_ends_as_interaction_deleted() {
    let mut bench = available_agent(true);
    let id = bench.callback("+31201");
    let call = bench.customer();
    bench.ask(ApiRequest::EndCall(call));
    bench.sip(call, failed(487));
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailInteractionDeleted));
    bench.pass_ms(3_600_000);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn cb_13_cb_09_a_customer_who_called_in_and_whose_call_is_deleted_is_expected_no_more() {
    let mut bench = Bench::with(with_access_number);
    let id = own_call(&mut bench, &json!({ "_wait_for_agent": false }));
    let call = CallId(CallId::FIRST_INCOMING + 1);
    bench.arrives(call, "+31201", "100");
    bench.answer(call);
    bench.ask(ApiRequest::EndCall(call));
    bench.sip(call, over());
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailInteractionDeleted));
}

fn results_of(bench: &mut Bench, id: &CallbackId) -> (Value, Value) {
    let filter = CallbackFilter { id: Some(id.clone()), ..CallbackFilter::default() };
    let shown = bench.ask(ApiRequest::QueryCallbacks { service: "cb".into(), filter }).body();
    let request = ApiRequest::Report { report: Report::Callbacks, after: 0, limit: 10 };
    let ApiReply::Report(Page::Callbacks(rows)) = bench.ask(request) else { panic!("callbacks") };
    let row = serde_json::to_value(&rows[0].1).expect("a row is JSON");
    (shown[0]["_CB_DIAL_1_RESULT"].clone(), row["_CB_DIAL_RESULTS"].clone())
}

#[test]
fn cb_15_an_attempt_that_a_cancellation_ends_has_a_result_here_in_the_report_and_after_a_restart() {
    let mut bench = available_agent(true);
    let id = bench.callback("+31201");
    let call = bench.customer();
    bench.sip(call, SipEvent::Ringing);
    bench.ask(ApiRequest::CancelCallback { service: "cb".into(), id: id.clone() });
    bench.sip(call, failed(487));
    assert_eq!(bench.ended(&id), Some(CallbackReason::Cancelled));
    let unknown = (json!("UNKNOWN"), json!("UNKNOWN"));
    assert_eq!(results_of(&mut bench, &id), unknown);
    let request = ApiRequest::Report { report: Report::CallEvents, after: 0, limit: 10 };
    let ApiReply::Report(Page::Events(rows)) = bench.ask(request) else { panic!("events") };
    assert!(rows.iter().all(|(_, row)| row.result_code != "e"), "the network did nothing wrong");
    assert_eq!(results_of(&mut bench.restart(), &id), unknown);
}
