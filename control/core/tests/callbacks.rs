//! Callbacks in both directions, with everything that they wait for, by behaviour id.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, available_agent};
use offhook_control_core::api::{ApiRequest, CallbackFilter};
use serde_json::Value;

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
fn cb_07_nobody_at_work_is_no_estimate() {
    let mut bench = Bench::new();
    assert_eq!(estimate(&mut bench, "sales", None)["ewt"], Value::Null);
}
