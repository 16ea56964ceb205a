//! Callbacks as whoever runs the place books, counts and cancels them, by behaviour id.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::Bench;
use offhook_control_core::CallbackId;
use offhook_control_core::api::{ApiReply, ApiRequest, BulkCancel, CallbackQueues, CancelReason, SlotsWish};
use offhook_control_core::config::Config;
use offhook_control_core::hours::OfficeHours;
use offhook_control_core::record::CallbackReason;
use serde_json::{Value, json};

/// Open on weekdays from nine to ten in Amsterdam; two callbacks fit into half an hour.
fn morning(config: &mut Config) {
    let hours = OfficeHours::parse("Europe/Amsterdam", &["mon-fri 09:00-10:00".to_owned()], &[]);
    config.services[0].office_hours = hours.expect("hours");
    config.services[0].request_time_bucket_min = 30;
    config.services[0].max_request_by_time_bucket = 2;
}

fn slots(bench: &mut Bench, wish: SlotsWish) -> Value {
    bench.ask(ApiRequest::CallbackSlots { service: "cb".into(), wish }).body()
}

/// From a Friday morning on, which is 08:00 in London and 09:00 in Amsterdam.
fn from(start: &str) -> SlotsWish {
    SlotsWish { start: Some(start.to_owned()), ..SlotsWish::default() }
}

fn book(bench: &mut Bench, number: &str, at: &str) -> ApiReply {
    let Value::Object(params) =
        json!({ "_customer_number": number, "_desired_time": at, "_call_direction": "USERTERMINATED" })
    else {
        panic!("an object")
    };
    bench.ask(ApiRequest::StartCallback { service: "cb".into(), params })
}

#[test]
fn cb_18_a_callback_can_be_booked_when_the_service_is_open_as_its_time_zone_has_it() {
    let mut bench = Bench::with(morning);
    let friday = SlotsWish { number_of_days: Some(4), ..from("2027-01-22T00:00:00Z") };
    let both = json!({
        "2027-01-22T08:00:00.000Z": 2, "2027-01-22T08:30:00.000Z": 2,
        "2027-01-25T08:00:00.000Z": 2, "2027-01-25T08:30:00.000Z": 2
    });
    assert_eq!(slots(&mut bench, friday.clone()), both);
    let first = SlotsWish { max_time_slots: Some(1), ..friday.clone() };
    assert_eq!(slots(&mut bench, first), json!({ "2027-01-22T08:00:00.000Z": 2 }));
    let end = Some("2027-01-22T08:30:00Z".to_owned());
    let until = SlotsWish { end, ..from("2027-01-22T07:59:00Z") };
    assert_eq!(slots(&mut bench, until.clone()), json!({ "2027-01-22T08:00:00.000Z": 2 }));
    let both = SlotsWish { number_of_days: Some(1), ..until };
    assert_eq!(bench.ask(ApiRequest::CallbackSlots { service: "cb".into(), wish: both }).status(), 400);
    let past = slots(&mut bench, SlotsWish { number_of_days: Some(2), ..from("2020-01-01T00:00:00Z") });
    assert!(
        past.as_object().is_some_and(|slots| slots.keys().all(|at| at.starts_with("2027-01-15"))),
        "{past}"
    );
}

#[test]
fn cb_16_a_span_that_is_full_is_not_offered_and_takes_no_more_until_a_callback_leaves_it() {
    let mut bench = Bench::with(morning);
    let day = || from("2027-01-22T00:00:00Z");
    let mut ids = Vec::new();
    for (number, at) in [("+31201", "2027-01-22T08:00:00Z"), ("+31202", "2027-01-22T08:29:59Z")] {
        match book(&mut bench, number, at) {
            ApiReply::CallbackStored(id) => ids.push(id),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(slots(&mut bench, day()), json!({ "2027-01-22T08:30:00.000Z": 2 }));
    let refused = book(&mut bench, "+31203", "2027-01-22T08:10:00Z");
    assert_eq!((refused.status(), &refused.body()["error"]), (503, &json!("time_slot_full")));
    let mut move_to = |id: &CallbackId, at: &str| {
        let Value::Object(params) = json!({ "_new_desired_time": at }) else { panic!("an object") };
        bench.ask(ApiRequest::RescheduleCallback { service: "cb".into(), id: id.clone(), params }).status()
    };
    assert_eq!(move_to(&ids[0], "2027-01-22T08:05:00Z"), 200, "it is in that span already");
    assert_eq!(move_to(&ids[0], "2027-01-22T08:35:00Z"), 200);
    assert_eq!(book(&mut bench, "+31203", "2027-01-22T08:10:00Z").status(), 200);
    let gone = BulkCancel { ids: vec![ids[1].clone()], reason: CancelReason::Cancelled };
    bench.ask(ApiRequest::CancelCallbacks(gone));
    let left = json!({ "2027-01-22T08:00:00.000Z": 1, "2027-01-22T08:30:00.000Z": 1 });
    assert_eq!(slots(&mut bench, day()), left);
    let mut bench = bench.restart_with(morning);
    assert_eq!(slots(&mut bench, day()), left, "the next run knows it as well");
}

#[test]
fn cb_14_callbacks_are_counted_listed_and_cancelled_all_at_once() {
    let mut bench = Bench::with(|_| ());
    let queued = bench.callback("+31201");
    let ApiReply::CallbackStored(later) = book(&mut bench, "+31202", "2027-01-16T09:00:00Z") else {
        panic!("stored")
    };
    let counts = |bench: &mut Bench| bench.ask(ApiRequest::CallbackWatermarks(Vec::new())).body();
    assert_eq!(counts(&mut bench), json!({ "services": { "cb": 1 }, "total": 1 }), "it is not queued yet");
    let listed = |bench: &mut Bench, wish: CallbackQueues| {
        let queues = bench.ask(ApiRequest::CallbackQueues(wish)).body();
        let ids =
            queues["cb"].as_array().expect("the service").iter().map(|callback| callback["_id"].clone());
        ids.collect::<Vec<_>>()
    };
    let far = CallbackQueues { end_time: Some("2027-02-01T00:00:00Z".into()), ..CallbackQueues::default() };
    assert_eq!(listed(&mut bench, CallbackQueues::default()), [json!(queued)], "a day ahead");
    assert_eq!(listed(&mut bench, far.clone()), [json!(queued), json!(later)]);
    let one = CallbackQueues { max: Some(1), ..far.clone() };
    assert_eq!(listed(&mut bench, one), [json!(queued)]);
    let scheduled = CallbackQueues { states: vec!["SCHEDULED".into()], ..far.clone() };
    assert_eq!(listed(&mut bench, scheduled), [json!(later)]);

    let ids = vec![queued.clone(), CallbackId("none".into()), later.clone()];
    let all = BulkCancel { ids, reason: CancelReason::CancelledByAdmin };
    let answer = bench.ask(ApiRequest::CancelCallbacks(all.clone())).body();
    assert_eq!(answer["cancelled"], json!([queued, later]));
    assert_eq!(
        (&answer["failed"][0]["_id"], &answer["failed"][0]["error"]),
        (&json!("none"), &json!("not_found"))
    );
    for id in [&queued, &later] {
        assert_eq!(bench.ended(id), Some(CallbackReason::CancelledByAdmin));
    }
    let again = bench.ask(ApiRequest::CancelCallbacks(all)).body();
    assert_eq!(again["cancelled"], json!([]), "{again}");
    assert_eq!(counts(&mut bench), json!({ "services": { "cb": 0 }, "total": 0 }));
    let over = CallbackQueues { reasons: vec![CallbackReason::CancelledByAdmin], ..far };
    assert_eq!(listed(&mut bench, over).len(), 2);
    let ApiReply::Callbacks(found) =
        bench.ask(ApiRequest::CancelledCallbacks(CancelReason::CancelledByAdmin))
    else {
        panic!("callbacks")
    };
    assert_eq!(found.len(), 2);
    assert_eq!(bench.ask(ApiRequest::CallbackWatermarks(vec!["none".into()])).status(), 404);
}
