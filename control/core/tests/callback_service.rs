//! The callback services as their clients see them, by behaviour id.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, available_agent};
use offhook_control_core::api::{ApiReply, ApiRequest, CallbackFilter, ContactBody};
use offhook_control_core::limits::HISTORY;
use offhook_control_core::{CallbackId, Input};
use serde_json::{Value, json};

const ALWAYS: [&str; 7] = [
    "_id",
    "_desired_time",
    "_service_name",
    "_callback_state",
    "_expiration_time",
    "_customer_number",
    "_url",
];

fn start(bench: &mut Bench, params: Value) -> ApiReply {
    let Value::Object(mut params) = params else { panic!("not an object") };
    params.entry("_call_direction").or_insert_with(|| "USERTERMINATED".into());
    bench.ask(ApiRequest::StartCallback { service: "cb".into(), params })
}

fn query(bench: &mut Bench, filter: CallbackFilter) -> Vec<Value> {
    let reply = bench.ask(ApiRequest::QueryCallbacks { service: "cb".into(), filter });
    reply.body().as_array().expect("a list").clone()
}

fn by_number(number: &str, state: Option<&str>) -> CallbackFilter {
    CallbackFilter {
        customer_number: Some(number.into()),
        state: state.map(Into::into),
        ..CallbackFilter::default()
    }
}

#[test]
fn cb_01_a_service_is_found_by_its_name_and_answers_with_the_id() {
    let mut bench = Bench::new();
    let reply = start(&mut bench, json!({ "_customer_number": "+31201" }));
    assert_eq!(reply.status(), 200);
    assert!(reply.body()["_id"].as_str().is_some_and(|id| !id.is_empty()));
    let unknown = ApiRequest::StartCallback { service: "nobody".into(), params: serde_json::Map::new() };
    assert_eq!(bench.ask(unknown).status(), 404);
}

#[test]
fn cb_01_the_common_defaults_are_filled_in() {
    let mut bench = Bench::new();
    bench.callback("+31201");
    let spec = bench.facts().find_map(|fact| match fact {
        offhook_control_core::record::Fact::CallbackAdded(spec) => Some(spec.clone()),
        _ => None,
    });
    let spec = spec.expect("stored");
    assert_eq!((spec.max_attempts, spec.retry_s, spec.ttl_s), (3, 300, 86_400));
}

#[test]
fn cb_14_replies_carry_the_seven_fields_in_every_state() {
    let mut bench = available_agent(true);
    let later = bench.now().unix_ms / 1_000 + 100;
    let scheduled = bench.callback_with(json!({ "_customer_number": "+31201", "_desired_time": later }));
    bench.callback("+31202");
    bench.callback("+31203");
    bench.ask(ApiRequest::CancelCallback { service: "cb".into(), id: scheduled });
    let all = query(&mut bench, CallbackFilter::default());
    let states: Vec<_> =
        all.iter().map(|callback| callback["_callback_state"].as_str().unwrap_or("")).collect();
    for state in ["COMPLETED", "PROCESSING", "QUEUED"] {
        assert!(states.contains(&state), "{states:?}");
    }
    for callback in &all {
        for field in ALWAYS {
            assert!(callback[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {callback}");
        }
    }
}

#[test]
fn cb_14_callbacks_are_found_by_number_and_state() {
    let mut bench = Bench::new();
    bench.callback("+31201");
    bench.callback("+31202");
    assert_eq!(query(&mut bench, by_number("+31202", None)).len(), 1);
    assert_eq!(query(&mut bench, by_number("+31202", Some("QUEUED"))).len(), 1);
    assert!(query(&mut bench, by_number("+31202", Some("SCHEDULED"))).is_empty());
    assert!(query(&mut bench, by_number("+31209", None)).is_empty());
    // As the throttles do: one number however it is written, also with a `+` that was not encoded and came as a blank.
    for number in ["0031202", "31202", " 31202"] {
        assert_eq!(query(&mut bench, by_number(number, None))[0]["_customer_number"], "+31202", "{number}");
    }
}

#[test]
fn cb_14_the_position_counts_those_before_it_by_arrival() {
    let mut bench = Bench::new();
    for number in 1..=3 {
        bench.callback(&format!("+3120{number}"));
        bench.pass_ms(10);
    }
    for number in 1..=3 {
        let found = query(&mut bench, by_number(&format!("+3120{number}"), None));
        assert_eq!((&found[0]["_position"], &found[0]["_total_waiting"]), (&json!(number), &json!(3)));
    }
}

#[test]
fn cb_14_callbacks_of_all_services_are_found_without_naming_one() {
    let mut bench = Bench::new();
    let id = bench.callback("+31201");
    let found = |bench: &mut Bench, service: &str| {
        let filter = CallbackFilter { id: Some(id.clone()), ..CallbackFilter::default() };
        let reply = bench.ask(ApiRequest::QueryCallbacks { service: service.into(), filter });
        (reply.status(), reply.body()[0]["_customer_number"].clone())
    };
    assert_eq!(found(&mut bench, ""), (200, json!("+31201")));
    assert_eq!(found(&mut bench, "nobody's").0, 404);
}

#[test]
fn cb_14_a_callback_can_be_moved_until_its_customer_is_called() {
    let mut bench = Bench::new();
    let id = bench.callback("+31201");
    let later = bench.now().unix_ms / 1_000 + 3_600;
    let moved = |id: &CallbackId| {
        let Value::Object(params) = json!({ "_new_desired_time": later }) else { panic!("an object") };
        ApiRequest::RescheduleCallback { service: "cb".into(), id: id.clone(), params }
    };
    assert_eq!(bench.ask(moved(&id)).status(), 200);
    assert_eq!(bench.callback_state(&id), "SCHEDULED");
    bench.pass_ms(3_599_000);
    assert_eq!(bench.callback_state(&id), "SCHEDULED");
    bench.pass_ms(2_000);
    assert_eq!(bench.callback_state(&id), "QUEUED");
    bench.add_agent("ann", true);
    bench.take(Input::Tick);
    assert_eq!(bench.ask(moved(&id)).status(), 409, "the customer is being called");
}

/// Asks for another time, so many seconds from now.
fn move_by(bench: &mut Bench, id: &CallbackId, seconds: i64) -> Value {
    let at = (bench.now().unix_ms / 1_000).saturating_add_signed(seconds);
    let params = [("_new_desired_time".to_owned(), json!(at))].into_iter().collect();
    let request = ApiRequest::RescheduleCallback { service: "cb".into(), id: id.clone(), params };
    let reply = bench.ask(request);
    assert_eq!(reply.status(), 200, "{}", reply.body());
    reply.body()[0].clone()
}

fn positions<const N: usize>(bench: &mut Bench, numbers: [&str; N]) -> [Value; N] {
    numbers.map(|number| query(bench, by_number(number, None))[0]["_position"].clone())
}

#[test]
fn cb_14_by_07_a_callback_that_is_moved_to_the_past_overtakes_nobody_also_after_a_restart() {
    let mut bench = Bench::new();
    let [a, b, c] = ["+31201", "+31202", "+31203"];
    bench.callback(a);
    bench.pass_ms(1_000);
    let second = bench.callback(b);
    bench.pass_ms(1_000);
    bench.callback(c);
    bench.pass_ms(1_000);
    let before = query(&mut bench, by_number(b, None))[0].clone();
    let moved = move_by(&mut bench, &second, -3_600);
    assert_eq!(
        (&moved["_desired_time"], &moved["_callback_state"]),
        (&before["_desired_time"], &json!("QUEUED"))
    );
    assert_eq!(positions(&mut bench, [a, b, c]), [json!(1), json!(2), json!(3)], "now: its own place");
    let mut bench = bench.restart();
    assert_eq!(positions(&mut bench, [a, b, c]), [json!(1), json!(2), json!(3)]);
    // Who gave the place up for a later time does not get it back.
    assert_eq!(move_by(&mut bench, &second, 3_600)["_callback_state"], "SCHEDULED");
    bench.pass_ms(1_000);
    assert_eq!(move_by(&mut bench, &second, -3_600)["_callback_state"], "QUEUED");
    assert_eq!(positions(&mut bench, [a, b, c]), [json!(1), json!(3), json!(2)]);
    let mut bench = bench.restart();
    assert_eq!(positions(&mut bench, [a, b, c]), [json!(1), json!(3), json!(2)]);
}

#[test]
fn cb_10_a_desired_time_whose_time_to_live_is_over_is_refused_by_name() {
    let mut bench = Bench::new();
    let now_s = bench.now().unix_ms / 1_000;
    let ask = |bench: &mut Bench, desired: u64| {
        let params = json!({ "_customer_number": "+31201", "_call_direction": "USERTERMINATED", "_ttl": 600,
            "_desired_time": desired });
        let reply = start(bench, params);
        (reply.status(), reply.body()["message"].as_str().unwrap_or_default().to_owned())
    };
    let (status, message) = ask(&mut bench, now_s - 601);
    assert!(
        status == 400 && message.contains("_desired_time") && message.contains("_ttl"),
        "{status} {message}"
    );
    assert!(query(&mut bench, CallbackFilter::default()).is_empty(), "nothing is stored");
    assert_eq!(ask(&mut bench, now_s - 599).0, 200);
}

#[test]
fn cb_14_a_completed_callback_is_found_however_many_contacts_have_ended_since() {
    let mut bench = Bench::new();
    let id = bench.callback("+31201");
    bench.ask(ApiRequest::CancelCallback { service: "cb".into(), id: id.clone() });
    for place in 0..=HISTORY {
        let body =
            ContactBody { queue: "sales".into(), number: format!("+44{place:05}"), ..ContactBody::default() };
        let ApiReply::ContactStored(contact) = bench.ask(ApiRequest::AddContact(body)) else {
            panic!("stored")
        };
        bench.ask(ApiRequest::RemoveContact(contact));
    }
    assert_eq!(bench.callback_state(&id), "COMPLETED");
}

#[test]
fn cb_16_an_equal_callback_a_full_service_and_a_frequent_number_are_refused_by_name() {
    let mut bench = Bench::with(|config| {
        config.services[0].max_queued = 2;
        config.services[0].max_per_number_and_day = 3;
    });
    let ask = |bench: &mut Bench, number: &str| {
        let reply = start(bench, json!({ "_customer_number": number }));
        (reply.status(), reply.body()["error"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(ask(&mut bench, "+31201").0, 200);
    assert_eq!(ask(&mut bench, "+31201"), (409, "already_queued".into()));
    let second = bench.callback("+31202");
    assert_eq!(ask(&mut bench, "+31203"), (503, "service_full".into()));
    for _ in 0..2 {
        let found = query(&mut bench, by_number("+31202", Some("QUEUED")));
        let id = CallbackId(found[0]["_id"].as_str().unwrap_or_default().to_owned());
        bench.ask(ApiRequest::CancelCallback { service: "cb".into(), id });
        assert_eq!(ask(&mut bench, "+31202").0, 200);
    }
    assert_eq!(bench.callback_state(&second), "COMPLETED");
    let found = query(&mut bench, by_number("+31202", Some("QUEUED")));
    let id = CallbackId(found[0]["_id"].as_str().unwrap_or_default().to_owned());
    bench.ask(ApiRequest::CancelCallback { service: "cb".into(), id });
    assert_eq!(ask(&mut bench, "+31202"), (503, "number_limit".into()));
    bench.pass_ms(86_401_000);
    assert_eq!(ask(&mut bench, "+31202").0, 200, "a day later");
}

#[test]
fn cb_16_too_many_requests_of_a_service_within_a_window_are_refused_also_after_a_restart() {
    let narrow = |config: &mut offhook_control_core::config::Config| {
        config.services[0].max_per_300_s = 2;
        config.services[0].max_per_3600_s = 3;
    };
    let mut bench = Bench::with(narrow);
    let ask = |bench: &mut Bench, number: &str| {
        let reply = start(bench, json!({ "_customer_number": number }));
        (reply.status(), reply.body()["message"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(ask(&mut bench, "+31201").0, 200);
    assert_eq!(ask(&mut bench, "+31202").0, 200);
    let (status, message) = ask(&mut bench, "+31203");
    assert!(status == 503 && message.contains("300 s"), "{status} {message}");
    bench.pass_ms(301_000);
    let mut bench = bench.restart_with(narrow);
    assert_eq!(ask(&mut bench, "+31203").0, 200);
    let (status, message) = ask(&mut bench, "+31204");
    assert!(status == 503 && message.contains("3600 s"), "{status} {message}");
}

#[test]
fn cb_14_a_requests_own_data_does_not_pass_for_the_fields_of_its_callback() {
    let mut bench = Bench::new();
    let id = bench
        .callback_with(json!({ "_customer_number": "+31201", "_id": "mine", "_callback_state": "COMPLETED",
        "_position": "first", "_CB_DIAL_1_RESULT": "PERSON", "colour": "red" }));
    let filter = CallbackFilter { id: Some(id.clone()), ..CallbackFilter::default() };
    let body = bench.ask(ApiRequest::QueryCallbacks { service: "cb".into(), filter }).body();
    let found = &body[0];
    assert_eq!((&found["_id"], &found["_callback_state"]), (&json!(id.to_string()), &json!("QUEUED")));
    assert_eq!((&found["_position"], &found["colour"]), (&json!(1), &json!("red")));
    assert_eq!(found["_CB_DIAL_1_RESULT"], json!(null));
}

#[test]
fn cb_01_another_medium_than_voice_is_refused_and_nothing_stored() {
    let mut bench = Bench::new();
    for (medium, status) in [(json!("chat"), 400), (json!(7), 400), (json!("VOICE"), 200)] {
        let reply = start(&mut bench, json!({ "_customer_number": "+31201", "_media_type": medium }));
        assert_eq!(reply.status(), status, "{medium}");
    }
    assert_eq!(query(&mut bench, by_number("+31201", None)).len(), 1);
}

#[test]
fn cb_14_a_move_that_asks_for_more_than_another_time_is_refused_by_the_fields_name() {
    let mut bench = Bench::new();
    let id = bench.callback("+31201");
    let params = json!({ "_new_desired_time": "2099-01-01T00:00:00Z", "_customer_number": "+31202" });
    let params = params.as_object().cloned().expect("an object");
    let reply = bench.ask(ApiRequest::RescheduleCallback { service: "cb".into(), id: id.clone(), params });
    assert_eq!(reply.status(), 400);
    assert!(reply.body()["message"].as_str().is_some_and(|text| text.contains("_customer_number")));
    assert_eq!(bench.callback_state(&id), "QUEUED");
}
