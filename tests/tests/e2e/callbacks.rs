//! Callbacks.

use offhook_tests::e2e::{House, Settings, for_a_while, until};
use serde_json::{Value, json};

#[test]
fn cb_08_a_callback_waits_for_an_agent_then_calls_the_customer_then_routes_to_the_agent_and_ends() {
    let house = House::open(&Settings::default());
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &["-d", "1500"]);
    let live = house.rest.live();
    let callback = house.rest.callback("+31180");
    assert_eq!(house.rest.callback_of(&callback)["_callback_state"], "QUEUED");
    for_a_while();
    assert_eq!(carrier.invites().len(), 0, "no agent, no call");

    let ann = house.phone("ann");
    house.goes_off_hook("ann", &ann, &json!({}));
    customer.talks_with(&ann.party);
    let done = house.rest.await_callback(&callback, "COMPLETED");
    assert_eq!(done["_callback_reason"], "AGENT_CONNECTED");
    assert_eq!(done["_CB_DIAL_1_RESULT"], "CONNECTED");

    let invites = carrier.invites();
    assert_eq!((invites.len(), invites[0].to_user()), (1, "+31180"));
    let phone = ann.sipp.messages().into_iter().find(|message| message.first().starts_with("ACK "));
    assert!(phone.expect("the phone was answered").at < invites[0].at, "the agent comes first");
    customer.heard_only(&[&ann.party]);
    ann.party.heard_only(&[&customer]);
    let states: Vec<Value> = live.of("callback").iter().map(|seen| seen["_callback_state"].clone()).collect();
    let place = |state: &str| states.iter().position(|seen| seen == state);
    let order = [place("QUEUED"), place("PROCESSING"), place("COMPLETED")];
    assert!(order.is_sorted() && !order.contains(&None), "{states:?}");
    assert_eq!(states.iter().filter(|state| *state == "COMPLETED").count(), 1);

    house.rest.act("ann", "hangup");
    carrier.awaits("BYE", 1);
    house.rest.await_agent("ann", "status", "available");
}

#[test]
fn cb_15_a_busy_customer_is_called_again_as_often_as_configured_and_then_no_more() {
    let settings = Settings { dial_retry_timeout_s: 1, max_dial_attempts: 2, ..Settings::default() };
    let house = House::open(&settings);
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &[]);
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    let callback = house.rest.callback("+31486");
    let done = house.rest.await_callback(&callback, "COMPLETED");
    assert_eq!(done["_callback_reason"], "FAIL_CALL_TO_CUSTOMER");
    assert_eq!((&done["_CB_DIAL_1_RESULT"], &done["_CB_DIAL_2_RESULT"]), (&json!("BUSY"), &json!("BUSY")));
    for_a_while();
    assert_eq!(carrier.invites().len(), 2);
    house.rest.await_agent("ann", "status", "available");
}

#[test]
fn qc_02_the_customer_is_dialled_only_when_an_agent_is_available_and_has_accepted() {
    let house = House::open(&Settings::default());
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &[]);
    let ann = house.phone("ann");
    house.off_hook_as("ann", &ann, &json!({ "auto_accept": false }));
    let callback = house.rest.callback("+3111112");
    let agent = house.rest.await_agent("ann", "status", "offered");
    assert_eq!(
        (&agent["offer"]["kind"], &agent["offer"]["number"]),
        (&json!("callback"), &json!("+3111112"))
    );
    assert_eq!(house.rest.callback_of(&callback)["_callback_state"], "ROUTING");
    for_a_while();
    assert_eq!(carrier.invites().len(), 0, "offered, not accepted");
    house.rest.act("ann", "accept");
    customer.talks_with(&ann.party);
    until("it is completed", || house.rest.callback_of(&callback)["_callback_state"] == "COMPLETED");
    assert_eq!(carrier.invites().len(), 1);
}
