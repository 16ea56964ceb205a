//! A calendar that is set, forward and back: times of day follow it, waits do not.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, available_agent};
use offhook_control_core::CallbackId;
use offhook_control_core::api::{ApiRequest, ContactBody};
use offhook_control_core::hours::OfficeHours;
use offhook_control_core::record::CallbackReason;
use offhook_control_core::sip::SipEvent;
use serde_json::json;

const HOUR_S: i64 = 3_600;
const HOUR_MS: u64 = 3_600_000;

/// A callback for so many seconds from now.
fn booked(bench: &mut Bench, in_s: u64) -> CallbackId {
    let desired = (bench.now().unix_ms / 1_000 + in_s).to_string();
    bench.callback_with(json!({ "_customer_number": "+31201", "_desired_time": desired }))
}

/// The customer that is being called is busy.
fn busy(bench: &mut Bench) {
    let (status, reason, network, cause) = (486, "Busy Here".to_owned(), false, None);
    bench.sip(bench.customer(), SipEvent::Failed { status, reason, network, cause });
}

#[test]
fn cb_10_a_callback_comes_at_its_time_when_the_calendar_is_set_forward() {
    let mut bench = available_agent(true);
    let id = booked(&mut bench, 7_200);
    bench.set_calendar(HOUR_S);
    bench.pass_ms(HOUR_MS - 2_000);
    assert_eq!((bench.callback_state(&id).as_str(), bench.dials_to_trunk()), ("SCHEDULED", 0));
    bench.pass_ms(2_000);
    assert_eq!(bench.dials_to_trunk(), 1);
    let mut bench = available_agent(true);
    booked(&mut bench, 7_200);
    bench.set_calendar(5 * HOUR_S);
    assert_eq!(bench.dials_to_trunk(), 1, "its time has passed meanwhile");
}

#[test]
fn cb_10_a_callback_comes_at_its_time_when_the_calendar_is_set_back() {
    let mut bench = available_agent(true);
    let id = booked(&mut bench, 7_200);
    bench.set_calendar(-HOUR_S);
    bench.pass_ms(2 * HOUR_MS + 2_000);
    assert_eq!((bench.callback_state(&id).as_str(), bench.dials_to_trunk()), ("SCHEDULED", 0));
    bench.pass_ms(HOUR_MS);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn cb_10_a_callback_that_waits_for_an_agent_or_is_offered_waits_for_its_time_again() {
    for agents in [0, 1] {
        let mut bench = if agents == 0 { Bench::new() } else { available_agent(false) };
        let id = booked(&mut bench, 600);
        bench.set_calendar(HOUR_S);
        let before = if agents == 0 { "QUEUED" } else { "ROUTING" };
        assert_eq!(bench.callback_state(&id), before);
        bench.set_calendar(-HOUR_S);
        assert_eq!(bench.callback_state(&id), "SCHEDULED");
        bench.pass_ms(601_000);
        assert_eq!(bench.callback_state(&id), before);
    }
}

#[test]
fn cb_15_an_attempt_is_made_again_after_the_same_wait_whatever_the_calendar_does() {
    for by_s in [-3 * HOUR_S, 3 * HOUR_S] {
        let mut bench = available_agent(true);
        bench.callback("+31201");
        busy(&mut bench);
        bench.set_calendar(by_s);
        bench.pass_ms(299_000);
        assert_eq!(bench.dials_to_trunk(), 1, "{by_s}");
        bench.pass_ms(2_000);
        assert_eq!(bench.dials_to_trunk(), 2, "{by_s}");
    }
}

#[test]
fn a_callback_for_now_is_for_now_whatever_the_calendar_shows_after_a_restart() {
    let mut bench = Bench::new();
    bench.set_calendar(5 * HOUR_S);
    let id = bench.callback("+31201");
    let mut bench = Bench::of(bench.records);
    assert_eq!(bench.callback_state(&id), "QUEUED");
}

#[test]
fn by_10_a_phone_that_may_ring_is_spared_for_the_whole_time_however_the_calendar_was_set_meanwhile() {
    let mut bench = available_agent(true);
    bench.set_calendar(-5 * HOUR_S);
    let id = bench.callback("+31201");
    // The next run finds an attempt of which nobody knows, puts that on record, and dies in its turn.
    let bench = Bench::of(bench.records);
    let mut bench = Bench::of(bench.records);
    bench.pass_ms(89_000);
    assert_eq!(bench.callback_state(&id), "SCHEDULED");
    bench.pass_ms(2_000);
    assert_eq!(bench.callback_state(&id), "QUEUED");
}

#[test]
fn cb_10_the_time_to_live_is_over_when_the_calendar_says_so() {
    let mut bench = Bench::new();
    let id = bench.callback_with(json!({ "_customer_number": "+31201", "_ttl": 7_200 }));
    bench.set_calendar(-HOUR_S);
    bench.pass_ms(2 * HOUR_MS);
    assert_eq!(bench.ended(&id), None);
    bench.set_calendar(HOUR_S);
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailTimeoutTtl));
}

/// The tests begin on a Friday at 08:00 UTC.
#[test]
fn cb_18_a_service_opens_when_the_calendar_says_so() {
    let mut bench = Bench::with(|config| {
        let hours = OfficeHours::parse("UTC", &["mon-fri 10:00-17:00".to_owned()], &[]);
        config.services[0].office_hours = hours.expect("they are hours");
    });
    let id = bench.callback("+31201");
    bench.set_calendar(2 * HOUR_S);
    assert_eq!(bench.callback_state(&id), "QUEUED");
}

#[test]
fn cb_16_requests_before_a_calendar_was_set_back_do_not_count_for_longer_than_their_window() {
    let mut bench = Bench::with(|config| config.services[0].max_per_300_s = 1);
    bench.callback("+31201");
    bench.set_calendar(-10 * HOUR_S);
    let params = json!({ "_customer_number": "+31202", "_call_direction": "USERTERMINATED" });
    let request = || ApiRequest::StartCallback {
        service: "cb".into(),
        params: params.as_object().expect("an object").clone(),
    };
    assert_eq!(bench.ask(request()).status(), 503);
    bench.pass_ms(301_000);
    assert_eq!(bench.ask(request()).status(), 200);
}

#[test]
fn pv_01_a_contact_that_may_not_be_called_yet_follows_the_calendar() {
    let mut bench = available_agent(false);
    let body = ContactBody {
        queue: "sales".into(),
        number: "+44201".into(),
        not_before: Some("2027-01-15T12:00:00Z".into()),
        ..ContactBody::default()
    };
    bench.ask(ApiRequest::AddContact(body));
    let mut shown_after = |by_s| {
        bench.set_calendar(by_s);
        serde_json::to_value(bench.agent("ann").status).expect("a status is JSON")
    };
    assert_eq!(shown_after(5 * HOUR_S), "preview");
    assert_eq!(shown_after(-5 * HOUR_S), "available");
    assert_eq!(shown_after(5 * HOUR_S), "preview");
}
