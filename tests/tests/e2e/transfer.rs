//! Customers passed on to an agent, a number or a queue, and what is reported of it.

use offhook_tests::e2e::{House, Phone, Settings, Sipp, for_a_while, until};
use serde_json::{Value, json};

/// Ann talks with a customer whom the carrier reached; Bob is off hook.
struct Talk {
    house: House,
    ann: Phone,
    bob: Phone,
    customer: offhook_tests::e2e::Party,
    carrier: Sipp,
    contact: String,
}

fn talk() -> Talk {
    let house = House::open(&Settings::default());
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &[]);
    let (ann, bob) = (house.phone("ann"), house.phone("bob"));
    house.off_hook("ann", &ann);
    let contact = house.rest.contact("+31201", &json!({}));
    customer.talks_with(&ann.party);
    house.off_hook("bob", &bob);
    Talk { house, ann, bob, customer, carrier, contact }
}

fn transfer(house: &House, to: &Value, mode: &str) {
    house.rest.post("/api/v1/agents/ann/transfer", &json!({ "to": to, "mode": mode }));
}

/// From now on nothing of `other` reaches `party`.
fn hears_no_more(party: &offhook_tests::e2e::Party, others: &[&offhook_tests::e2e::Party]) {
    // What was on its way is heard by now.
    for_a_while();
    party.forget();
    for_a_while();
    for other in others {
        assert!(!party.speakers().contains_key(other.name()), "{} hears {}", party.name(), other.name());
    }
}

#[test]
fn pv_07_a_customer_passed_on_to_another_agent_is_heard_by_that_one_only_and_reported_with_both() {
    let Talk { house, ann, bob, customer, carrier, contact } = talk();
    transfer(&house, &json!({ "agent": "bob" }), "blind");
    customer.talks_with(&bob.party);
    hears_no_more(&ann.party, &[&customer, &bob.party]);
    hears_no_more(&customer, &[&ann.party]);
    assert_eq!(house.rest.agent("bob")["status"], "on_call");
    house.rest.act("bob", "hangup");
    carrier.awaits("BYE", 1);
    house.rest.await_contact(&contact, "done");
    assert_eq!((carrier.invites().len(), ann.sipp.invites().len(), bob.sipp.invites().len()), (1, 1, 1));

    let events = || house.rest.get("/api/v1/call_events");
    until("the conversation is reported", || events()["rows"].as_array().is_some_and(|rows| rows.len() == 3));
    let rows = events()["rows"].as_array().cloned().unwrap_or_default();
    let shown: Vec<_> = rows.iter().map(|row| row["ciq"].as_str().unwrap_or_default()).collect();
    assert_eq!(shown, ["a", "c", "a"]);
    for row in &rows {
        assert_eq!(row["call_id"], contact.as_str());
        assert_eq!(row["internal_iq_session_id"], rows[0]["internal_iq_session_id"]);
        assert_eq!((&row["result_code"], &row["queue_key"]), (&json!("k"), &json!("__Dialer_sales")));
    }
    let queued = house.rest.get("/api/v1/queue_events?format=csv");
    let lines: Vec<&str> = queued.as_str().unwrap_or_default().lines().collect();
    assert_eq!(
        lines[0],
        "call_id,internal_iq_session_id,call_sequence,dte_start,duration_tot_sec,dte_speak_start,\
         duration_speak_sec,originating,result_code,result_response,ciq,queue_key"
    );
    assert!(lines[1].starts_with(&contact) && lines[1].ends_with(",q,,,__Dialer_sales"), "{}", lines[1]);
}

#[test]
fn pv_07_a_caller_passed_on_to_a_number_talks_with_whoever_answers_there() {
    let house = House::open(&Settings::default());
    let (caller, outside) = (house.party("caller"), house.party("outside"));
    let carrier = house.carrier(&outside, &[]);
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    let call = house.caller(&caller, &["-d", "60000"]);
    caller.talks_with(&ann.party);
    transfer(&house, &json!({ "number": "+31201" }), "blind");
    caller.talks_with(&outside);
    hears_no_more(&ann.party, &[&caller, &outside]);
    hears_no_more(&caller, &[&ann.party]);
    house.rest.await_agent("ann", "status", "available");
    let agents = house.rest.get("/api/v1/agents");
    assert_eq!(agents.as_array().map(Vec::len), Some(1), "a number is no agent: {agents}");
    house.rest.end_calls("inbound");
    carrier.awaits("BYE", 1);
    call.awaits("BYE", 1);
    assert_eq!(carrier.invites().len(), 1);
}

#[test]
fn pv_07_a_number_that_is_busy_brings_the_caller_back_to_the_agent() {
    let house = House::open(&Settings::default());
    let (caller, outside) = (house.party("caller"), house.party("outside"));
    let carrier = house.carrier(&outside, &[]);
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    let _call = house.caller(&caller, &["-d", "60000"]);
    caller.talks_with(&ann.party);
    transfer(&house, &json!({ "number": "+31486" }), "blind");
    carrier.awaits("ACK", 1);
    caller.talks_with(&ann.party);
    assert_eq!(house.rest.agent("ann")["status"], "on_call");
    assert_eq!((carrier.invites().len(), ann.sipp.invites().len()), (1, 1));
}

#[test]
fn pv_07_a_customer_passed_on_to_a_queue_is_offered_to_the_next_agent() {
    let Talk { house, ann, bob, customer, carrier, .. } = talk();
    transfer(&house, &json!({ "queue": "sales" }), "blind");
    customer.talks_with(&bob.party);
    hears_no_more(&ann.party, &[&customer, &bob.party]);
    assert_eq!(carrier.invites().len(), 1);
    assert_eq!(house.rest.agent("ann")["status"], "available");
}

#[test]
fn pv_07_attended_the_agents_talk_while_the_customer_hears_neither_and_then_the_other_has_them() {
    let Talk { house, ann, bob, customer, .. } = talk();
    transfer(&house, &json!({ "agent": "bob" }), "attended");
    ann.party.talks_with(&bob.party);
    hears_no_more(&customer, &[&ann.party, &bob.party]);
    hears_no_more(&ann.party, &[&customer]);
    assert!(!bob.party.speakers().contains_key("customer"), "before the transfer is complete");
    house.rest.act("ann", "transfer/complete");
    customer.talks_with(&bob.party);
    hears_no_more(&ann.party, &[&customer, &bob.party]);
    hears_no_more(&bob.party, &[&ann.party]);
}

#[test]
fn pv_07_attended_the_agent_takes_the_customer_back() {
    let Talk { house, ann, bob, customer, .. } = talk();
    transfer(&house, &json!({ "agent": "bob" }), "attended");
    ann.party.talks_with(&bob.party);
    house.rest.act("ann", "transfer/cancel");
    customer.talks_with(&ann.party);
    hears_no_more(&bob.party, &[&customer, &ann.party]);
    assert_eq!(house.rest.agent("bob")["status"], "available");
}
