//! Two engines, of which one is killed, or ended (BY-09).

use offhook_tests::e2e::{House, Settings, eventually, until};
use serde_json::{Value, json};

fn has(legs: &[Value], start: &str) -> bool {
    legs.iter().any(|leg| leg["leg"].as_str().is_some_and(|name| name.starts_with(start)))
}

/// The engine, counted from 0, on which an agent's leg is.
fn engine_of(house: &House, agent: &str) -> usize {
    let start = format!("a-{agent}-");
    eventually("the agent's leg is on an engine", || {
        (0..2).find(|number| has(&house.legs_of(*number), &start))
    })
}

#[test]
fn by_09_when_one_of_two_engines_is_killed_its_conversation_goes_on_over_the_other() {
    a_conversation_goes_on_over_the_other(House::kill_engine_number);
}

#[test]
fn by_09_when_one_of_two_engines_is_ended_its_conversation_goes_on_over_the_other() {
    a_conversation_goes_on_over_the_other(House::end_engine_number);
}

fn a_conversation_goes_on_over_the_other(lose_engine_number: fn(&mut House, usize)) {
    let mut house = House::open(&Settings { engines: 2, ..Settings::default() });
    until("both engines are up", || {
        let (_, health) = house.rest.ask("GET", "/healthz", &json!(null)).unwrap_or_default();
        health["engines"].as_array().is_some_and(|all| all.iter().all(|engine| engine["state"] == "up"))
    });
    let (ann, bob) = (house.phone("ann"), house.phone("bob"));
    let (customer, caller) = (house.party("customer"), house.party("caller"));
    let carrier = house.carrier(&customer, &[]);
    house.off_hook("ann", &ann);
    house.off_hook_as("bob", &bob, &json!({ "skills": ["other"] }));
    let (dying, other) = (engine_of(&house, "ann"), engine_of(&house, "bob"));
    assert_ne!(dying, other, "agents are spread over the engines");
    let callback = house.rest.callback("+31201");
    customer.talks_with(&ann.party);
    assert!(has(&house.legs_of(dying), "c-"), "the customer is beside the agent");
    // A second caller waits, on whichever engine had fewer legs.
    let waiting = house.caller_playing(&caller, "patient_caller.xml", &[]);
    until("the caller hears music", || !caller.heard().is_empty());

    lose_engine_number(&mut house, dying);
    customer.talks_with(&ann.party);
    assert!(has(&house.legs_of(other), "a-ann-") && has(&house.legs_of(other), "c-"));
    house.rest.await_callback(&callback, "COMPLETED");
    caller.forget();
    until("the caller hears music again", || caller.heard().len() > 25);
    assert_eq!((ann.sipp.invites().len(), bob.sipp.invites().len(), carrier.invites().len()), (1, 1, 1));
    assert_eq!((ann.sipp.received("BYE"), bob.sipp.received("BYE"), carrier.received("BYE")), (0, 0, 0));

    // The engine that was lost comes back and takes its share; the agent goes on working where the leg is now.
    house.start_engine_number(dying);
    house.rest.act("ann", "hangup");
    carrier.awaits("BYE", 1);
    caller.talks_with(&ann.party);
    assert_eq!(ann.sipp.invites().len(), 1, "nobody is called again");
    drop(waiting);
    customer.heard_only(&[&ann.party]);
    caller.heard_only(&[&ann.party]);
}
